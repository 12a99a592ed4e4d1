"""Changes: numbered for each person in the order of the commits, one row of each thing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any

from frontdesk.changes.store import Change, ChangeStore, Moved, move, note
from frontdesk.storage.database import Database
from frontdesk.storage.query import Row, Step

Steps = Generator[Step, list[Row], None]


def item(person: str, name: str, *, at_ms: int = 1, is_deleted: bool = False) -> Change:
    return Change("default", person, "conv_1", "item", name, at_ms, is_deleted)


def noting(*changes: Change) -> Callable[[], Steps]:
    def work() -> Steps:
        for each in changes:
            yield note(each)

    return work


async def told(database: Database, person: str, seq: int = 0) -> list[tuple[int, str, bool]]:
    rows = await ChangeStore(database).after("default", person, seq, 1000)
    return [(row.seq, row.id, row.is_deleted) for row in rows]


async def test_changes_are_numbered_for_each_person(database: Database):
    await database.transact(noting(item("u1", "a"), item("u2", "x"), item("u1", "b")))
    await database.transact(noting(item("u2", "y")))

    assert await told(database, "u1") == [(1, "a", False), (2, "b", False)]
    assert await told(database, "u2") == [(1, "x", False), (2, "y", False)]
    assert await told(database, "u2", 1) == [(2, "y", False)]


async def test_a_later_change_moves_the_row_of_its_thing(database: Database):
    await database.transact(noting(item("u1", "a"), item("u1", "b")))
    await database.transact(noting(item("u1", "a", is_deleted=True)))

    assert await told(database, "u1") == [(2, "b", False), (3, "a", True)]


async def test_what_is_noted_twice_in_a_transaction_is_kept_once_as_it_was_last(database: Database):
    await database.transact(noting(item("u1", "a"), item("u1", "b"), item("u1", "a", is_deleted=True)))

    assert await told(database, "u1") == [(1, "b", False), (2, "a", True)]


async def test_the_things_of_keys_are_not_noted(database: Database):
    heard: list[Any] = []
    database.heard = heard.extend

    await database.transact(noting(item("", "a")))

    assert await told(database, "") == []
    assert heard == []


async def test_who_listens_is_told_of_commits_alone(database: Database):
    heard: list[Any] = []

    def take(moved: Sequence[Any]) -> None:
        heard.extend(moved)

    database.heard = take

    def broken() -> Steps:
        yield note(item("u1", "a"))
        raise RuntimeError("a bug")

    results = await asyncio.gather(
        database.transact(noting(item("u2", "a"), item("u1", "b"))),
        database.transact(broken),
        return_exceptions=True,
    )

    assert isinstance(results[1], Exception)
    assert heard == [Moved("default", "u1", 1), Moved("default", "u2", 1)]


async def test_many_writers_at_once_leave_no_gap_and_no_double(database: Database):
    """And who reads meanwhile has seen all below the last number that they saw."""
    seen: list[tuple[int, str]] = []
    is_over = asyncio.Event()

    async def read() -> None:
        while not is_over.is_set():
            for seq, name, _ in await told(database, "u1", seen[-1][0] if seen else 0):
                seen.append((seq, name))
            await asyncio.sleep(0)

    reader = asyncio.ensure_future(read())
    people = ["u1", "u2", "u3"]
    await asyncio.gather(
        *(
            database.transact(noting(*(item(people[(number + turn) % 3], f"{number}-{turn}") for turn in range(3))))
            for number in range(50)
        )
    )
    is_over.set()
    await reader
    seen += [(seq, name) for seq, name, _ in await told(database, "u1", seen[-1][0] if seen else 0)]

    assert [seq for seq, _ in seen] == list(range(1, 51))
    assert len({name for _, name in seen}) == 50


async def test_a_conversation_that_goes_takes_its_parts_along(database: Database):
    await database.transact(noting(item("u1", "a"), Change("default", "u1", "conv_1", "conversation")))
    await database.transact(noting(Change("default", "u1", "conv_1", "conversation", is_deleted=True)))

    assert await told(database, "u1") == [(3, "", True)]


async def test_nobody_is_told_that_a_failed_answer_was_read(database: Database):
    failed = Change("default", "u1", "conv_1", "turn", "resp_1", 1, state="failed:provider_error")
    answered = Change("default", "u1", "conv_1", "turn", "resp_2", 1, state="answered")
    await database.transact(noting(failed, answered))
    await database.transact(noting(failed._replace(state="read"), answered._replace(state="read")))

    rows = await ChangeStore(database).after("default", "u1", 0, 10)
    assert [(row.id, row.state) for row in rows] == [("resp_1", "failed:provider_error"), ("resp_2", "read")]


async def test_the_first_look_goes_back_from_the_head_and_tells_nothing_of_what_was_deleted(database: Database):
    await database.transact(noting(item("u1", "a"), item("u1", "b"), item("u1", "c")))
    await database.transact(noting(item("u1", "b", is_deleted=True)))
    rows = await ChangeStore(database).before("default", "u1", 4, 10)

    assert [(row.seq, row.id) for row in rows] == [(3, "c"), (1, "a")]


async def test_the_changes_of_an_anonymous_person_come_behind_the_users_own(database: Database):
    await database.transact(noting(item("anon", "a"), item("anon", "b"), item("u1", "x")))
    await database.transact(noting(item("anon", "a")))
    heard: list[Any] = []
    database.heard = heard.extend

    def upgrade() -> Steps:
        yield move("default", "anon", "u1")

    await database.transact(upgrade)

    assert await told(database, "u1") == [(1, "x", False), (3, "b", False), (4, "a", False)]
    assert await told(database, "anon") == []
    assert heard == [Moved("default", "u1", 4)]
    store = ChangeStore(database)
    assert await store.head("default", "anon") is None
    assert await store.heads([("default", "u1"), ("default", "anon"), ("default", "u9")]) == [Moved("default", "u1", 4)]
    await database.transact(noting(item("u1", "y")))
    assert (await told(database, "u1"))[-1] == (5, "y", False)


async def test_upgrades_and_writers_in_both_orders_wait_for_nobody_for_ever(database: Database):
    def upgrade(number: int) -> Callable[[], Steps]:
        def work() -> Steps:
            yield move("default", f"anon{number}", "u1")

        return work

    await asyncio.gather(
        *(database.transact(noting(item(f"anon{number}", "a"), item("u1", f"{number}"))) for number in range(20)),
        *(database.transact(upgrade(number)) for number in range(20)),
        *(database.transact(noting(item("u1", f"again{number}"), item("a-first", "b"))) for number in range(20)),
    )
    for number in range(20):
        await database.transact(upgrade(number))

    names = [name for _, name, _ in await told(database, "u1")]
    assert sorted(names) == sorted(["a", *(f"{n}" for n in range(20)), *(f"again{n}" for n in range(20))])


async def test_what_was_deleted_long_ago_is_forgotten_and_the_floor_says_so(database: Database):
    await database.transact(noting(item("u1", "a", at_ms=10), item("u1", "b", at_ms=10)))
    await database.transact(noting(item("u1", "a", at_ms=10, is_deleted=True)))
    await database.transact(noting(item("u1", "b", at_ms=50, is_deleted=True)))
    store = ChangeStore(database)

    assert await store.sweep(20) == 1
    assert await store.sweep(20) == 0

    assert await told(database, "u1") == [(4, "b", True)]
    head = await store.head("default", "u1")
    assert head is not None
    assert (head.head, head.floor) == (4, 3)
