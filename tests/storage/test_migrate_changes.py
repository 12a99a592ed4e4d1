"""What people had before their changes were numbered is told to their devices, as if it had changed when it did."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from frontdesk.changes.store import ChangeStore
from frontdesk.files.owner import Owner
from frontdesk.storage.database import open_database
from frontdesk.storage.migrate import alembic_config
from frontdesk.storage.schema import migrate_in_child
from frontdesk.sync.pull import Pulling
from tests.engines import PostgresqlServer
from tests.fakes import HandClock
from tests.storage.test_migrate import inspected, run_on
from tests.sync.person import as_told
from tests.sync.stored import stored, told
from tests.sync.taker import Taker

_BEFORE = "0007"
_CONVERSATION = {
    "credential": "",
    "title": None,
    "metadata": None,
    "branch": 0,
    "branches": 1,
    "version": 1,
    "response": None,
    "created_at_ms": 1_000,
    "pinned_at_ms": None,
    "expires_at_ms": None,
    "follow_ups": None,
}
_FEEDBACK = {"credential": "", "rating": "up", "created_at_ms": 1_000}


@pytest.fixture
async def earlier_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database of the version before, in which people have something."""
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path}/earlier.db"
        await inspected(url, _fill)
        yield url
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    await run_on(server.url(), "CREATE DATABASE earlier")
    await inspected(server.url("earlier"), _fill)
    yield server.url("earlier")
    await run_on(server.url(), "DROP DATABASE earlier WITH (FORCE)")


def _fill(connection: sa.Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, _BEFORE)
    for tenant, conversation, person, changed_at_ms in (
        ("default", "conv_1", "u1", 5_000),
        ("default", "conv_2", "u1", 3_000),
        ("default", "conv_3", "u2", 9_000),
        ("other", "conv_4", "u1", 1_000),
        ("default", "conv_5", "", 4_000),  # a key's
    ):
        row = {"tenant": tenant, "id": conversation, "person": person, "changed_at_ms": changed_at_ms}
        _insert(connection, "conversation", {**_CONVERSATION, **row, "credential": "" if person else "key_1"})
        branch = {"tenant": tenant, "conversation": conversation, "number": 0, "parent": None, "fork": 0, "length": 3}
        _insert(connection, "conversation_branch", branch)
        for position, content in enumerate((b"x", b"y", None)):  # the last one was deleted
            item = {"type": "message", "id": f"{conversation}_{position}"}
            _insert(
                connection,
                "conversation_item",
                {
                    "tenant": tenant,
                    "conversation": conversation,
                    "branch": 0,
                    "position": position,
                    "id": item["id"],
                    "content": content and json.dumps(item).encode(),
                    "words": None,
                    "created_at_ms": changed_at_ms - 1_000 + position * 500,
                },
            )
        title = {"branch": -1, "position": 0, "id": "", "content": None, "words": "title", "created_at_ms": 1}
        _insert(connection, "conversation_item", {"tenant": tenant, "conversation": conversation, **title})
    for number, person in enumerate(("u1", "u2", "")):
        row = {"tenant": "default", "person": person, "response": f"resp_{number}", "id": f"fb_{number}"}
        _insert(connection, "feedback", {**_FEEDBACK, **row, "changed_at_ms": 3_200 + number})


def _insert(connection: sa.Connection, table: str, values: dict[str, Any]) -> None:
    columns = [sa.column(name, sa.LargeBinary if name == "content" else None) for name in values]
    connection.execute(sa.insert(sa.table(table, *columns)).values(values))


async def test_what_people_had_is_told_in_the_order_in_which_it_changed(earlier_url: str):
    await migrate_in_child(earlier_url)
    database = await open_database(earlier_url)
    changes = ChangeStore(database)

    rows = await changes.after("default", "u1", 0, 100)

    assert [(row.seq, row.kind, row.id or row.conversation) for row in rows] == [
        (1, "item", "conv_2_0"),
        (2, "item", "conv_2_1"),
        (3, "conversation", "conv_2"),
        (4, "feedback", "resp_0"),
        (5, "item", "conv_1_0"),
        (6, "item", "conv_1_1"),
        (7, "conversation", "conv_1"),
    ]
    heads = {
        (tenant, person): await changes.head(tenant, person)
        for tenant, person in (("default", "u1"), ("default", "u2"), ("other", "u1"), ("default", ""))
    }
    assert {key: head and (head.head, head.floor) for key, head in heads.items()} == {
        ("default", "u1"): (7, 0),
        ("default", "u2"): (4, 0),
        ("other", "u1"): (3, 0),
        ("default", ""): None,
    }
    await database.close()


async def test_a_device_is_told_all_of_it(earlier_url: str):
    await migrate_in_child(earlier_url)
    database = await open_database(earlier_url)
    clock = HandClock()
    pulling = Pulling(database, clock)

    for person in ("u1", "u2"):
        owner, taker = Owner("default", person, ""), Taker()
        while True:
            taker.take(as_told(await pulling.pull(owner, taker.cursor, 2)))
            if taker.cursor == await pulling.now(owner):
                break
        expected = await stored(database, owner, 1_000)
        assert told(taker.things) == {key: thing for key, thing in expected.items() if "conv_4" not in key[1]}

    await database.close()
