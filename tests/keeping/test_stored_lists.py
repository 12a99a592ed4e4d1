"""Lists of stored turns, on both engines: each owner's, in order, page by page, of a model, with some metadata."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from frontdesk.files.owner import Owner
from frontdesk.keeping.rows import ResponseRow, Status
from frontdesk.keeping.store.responses import End, Page, ResponseStore, end, put
from frontdesk.storage.database import Database
from frontdesk.storage.query import Row, Step
from frontdesk.turn.events import TurnCompleted
from frontdesk.turn.log import encode_entries
from tests.fakes import HandClock

ADA = Owner("acme", "ada", "")


async def keep(
    database: Database,
    number: int,
    owner: Owner = ADA,
    status: Status | None = "completed",
    metadata: dict[str, str] | None = None,
    **fields: Any,
) -> str:
    row = ResponseRow(
        **{
            "tenant": owner.tenant,
            "id": f"chatcmpl-{number:04}",
            "person": owner.person,
            "credential": owner.credential,
            "caller": "{}",
            "door": "chat",
            "carrier": "c1",
            "status": "in_progress",
            "is_stored": True,
            "is_background": False,
            "is_dispatched": True,
            "wants_cancel": False,
            "conversation": None,
            "previous": None,
            "model": "fast",
            "feature": "default",
            "metadata": None if metadata is None else msgspec.json.encode(metadata).decode(),
            "created_at_ms": number,
            "finished_at_ms": None,
            "events_until_ms": None,
            "expires_at_ms": None,
            **fields,
        }
    )

    def work() -> Generator[Step, list[Row], None]:
        yield from put(row, None)
        if status is not None:
            answer = encode_entries([TurnCompleted()])
            yield from end(row.tenant, row.id, "c1", End(status, number, None, None, answer))

    await database.transact(work)
    return row.id


async def listed(database: Database, owner: Owner = ADA, **asked: Any) -> list[str]:
    page = Page(**{"after": "", "limit": 100, "is_ascending": True, **asked})
    return [row.id for row, _ in await ResponseStore(database, owner, "chat", HandClock()).list_answered(page)]


async def test_each_owner_has_a_list_of_what_was_answered(database: Database) -> None:
    mine = [await keep(database, 1), await keep(database, 2, status="incomplete")]
    for number, status in enumerate((None, "failed", "cancelled"), 10):
        await keep(database, number, status=status)
    await keep(database, 20, is_stored=False)
    await keep(database, 21, door="responses")
    for number, owner in enumerate((Owner("acme", "bob", ""), Owner("acme", "", "ada"), Owner("other", "ada", "")), 30):
        assert await listed(database, owner) == []
        assert await listed(database, owner) != [await keep(database, number, owner)]

    assert await listed(database) == mine


@pytest.mark.parametrize("is_ascending", [True, False])
async def test_pages_follow_on_each_other(database: Database, is_ascending: bool) -> None:
    every = [await keep(database, number, metadata={"is": "odd" if number % 2 else "even"}) for number in range(9)]
    every = every if is_ascending else every[::-1]

    for metadata, wanted in (({}, every), ({"is": "odd"}, [each for each in every if int(each[-1]) % 2])):
        seen: list[str] = []
        while page := await listed(
            database, after=seen[-1] if seen else "", limit=2, is_ascending=is_ascending, metadata=metadata
        ):
            seen += page
        assert seen == wanted


HARD = ['a"b', "50%", "a_b", "\\", "A", "a", "é", "", "\n", '","', '":"', "'", "{", "🛎️"]


async def test_metadata_is_found_as_it_is_and_no_other(database: Database) -> None:
    """Letter by letter, whatever its words mean in SQL or JSON."""
    made = {
        (key, value): await keep(database, number, metadata={key: value, "all": "of them"})
        for number, (key, value) in enumerate((key, value) for key in HARD if key for value in HARD)
    }

    for (key, value), found in made.items():
        assert await listed(database, metadata={key: value}) == [found]
        assert await listed(database, metadata={key: value, "all": "of them"}) == [found]
    assert await listed(database, metadata={"all": "Of them"}) == []
    assert len(await listed(database, metadata={"all": "of them"}, limit=500)) == len(made)


async def test_models_are_told_apart(database: Database) -> None:
    one, other = await keep(database, 1), await keep(database, 2, model="slow")

    assert await listed(database, model="fast") == [one]
    assert await listed(database, model="slow") == [other]
    assert await listed(database, model="fas%") == []
