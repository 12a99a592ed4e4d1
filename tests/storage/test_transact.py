"""Transactions that look before they write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam

from frontdesk.storage.database import Database, StorageLimits, open_database
from frontdesk.storage.errors import (
    ConstraintViolated,
    OutcomeUnknown,
    StatementFailed,
    StorageClosed,
    StorageError,
    WorkFailed,
)
from frontdesk.storage.lanes import Lane
from frontdesk.storage.postgresql import PostgresqlDatabase
from frontdesk.storage.postgresql_connection import connect_pool
from frontdesk.storage.query import Last, Parameters, Query, Row, Step
from tests.storage.breaking import BreakingPool
from tests.storage.notes import ADD, ADD_RETURNING, APPEND, COUNT, CREATE, LIST, note
from tests.storage.notes import notes as notes_table

LOCKED = Query(sa.select(notes_table.c.text).where(notes_table.c.id == bindparam("of_id")).with_for_update())
_PATIENT = StorageLimits(patience_s=30, close_timeout_s=30)

Steps = Generator[Step, list[Row], Any]


def adding(number: int, text: str = "added") -> Callable[[], Steps]:
    """Add two notes, the second one with this text."""

    def work() -> Steps:
        yield Step(ADD, note(number, "added"))
        yield Step(ADD, note(-number, text))
        return number

    return work


# --- what it sees, what it leaves ---------------------------------------------------------------


async def test_it_reads_what_is_committed_and_writes_what_it_yields(notes: Database):
    await notes.write(Step(ADD, [note(1, "one"), note(2, "two")]))

    def copy() -> Steps:
        rows = yield Step(LIST)
        for number, text in rows:
            yield Step(ADD, note(number + 10, text))
        return len(rows)

    assert await notes.transact(copy) == 2
    assert await notes.read(LIST) == [(1, "one"), (2, "two"), (11, "one"), (12, "two")]


async def test_it_sees_what_it_has_written_itself(notes: Database):
    def work() -> Steps:
        added = yield Step(ADD_RETURNING, note(1, "one"))
        return added, (yield Step(LIST))

    assert await notes.transact(work) == ([(1, "one")], [(1, "one")])


async def test_it_sees_what_was_enqueued_and_written_before_it(notes: Database):
    notes.enqueue(Step(ADD, note(1, "enqueued")), lane=Lane.MONEY)
    await notes.flush()
    await notes.write(Step(ADD, note(2, "written")))

    assert await notes.transact(_all) == [(1, "enqueued"), (2, "written")]


async def test_a_step_runs_for_several_sets_of_values_and_has_no_rows(notes: Database):
    def work() -> Steps:
        return (yield Step(ADD, [note(number, "x") for number in range(30)]))

    assert await notes.transact(work) == []
    assert await notes.read(COUNT) == [(30,)]


async def test_one_without_steps_only_returns(notes: Database):
    def work() -> Steps:
        return "nothing to do"
        yield

    assert await notes.transact(work) == "nothing to do"


@pytest.mark.parametrize("lane", list(Lane))
async def test_every_lane_takes_it(notes: Database, lane: Lane):
    assert await notes.transact(adding(1), lane) == 1
    assert await notes.read(COUNT) == [(2,)]


async def test_many_at_once_each_decide_by_what_the_others_left(notes: Database):
    """A read and a write of one row in two steps: none of the changes is lost."""
    await notes.write(Step(ADD, note(1, "")))

    def work() -> Steps:
        ((text,),) = yield Step(LOCKED, {"of_id": 1})
        yield Step(APPEND, {"of_id": 1, "more": "x"})
        return len(text)

    places = await asyncio.gather(*(notes.transact(work) for _ in range(100)))

    assert sorted(places) == list(range(100))
    assert await notes.read(LIST) == [(1, "x" * 100)]


# --- what is done last --------------------------------------------------------------------------


def _add_all(given: list[Parameters]) -> Generator[Step, list[Row], list[str]]:
    """Add notes, and tell how many there were before all of them."""
    ((before,),) = yield Step(COUNT)
    yield Step(ADD, given)
    return [f"{before} and {len(given)}"]


AT_LAST = Last(_add_all)


async def test_what_is_to_be_last_is_done_once_behind_all_other_steps(notes: Database):
    heard: list[object] = []
    notes.heard = heard.extend

    def work() -> Steps:
        assert (yield Step(AT_LAST, note(1, "late"))) == []
        yield Step(ADD, note(2, "early"))
        yield Step(AT_LAST, [note(3, "late"), note(4, "late")])
        return (yield Step(COUNT))

    assert await notes.transact(work) == [(1,)]
    assert await notes.read(COUNT) == [(4,)]
    assert heard == ["1 and 3"]


async def test_what_is_to_be_last_is_no_step_of_a_write(notes: Database):
    with pytest.raises(TypeError, match="transact"):
        await notes.write(Step(AT_LAST, note(1, "lost")))

    assert await notes.read(COUNT) == [(0,)]


async def test_nothing_is_heard_of_what_was_not_committed(notes: Database):
    heard: list[object] = []
    notes.heard = heard.extend

    def refused() -> Steps:
        yield Step(AT_LAST, note(1, "late"))
        yield Step(ADD, note(1, "the same"))

    def broken() -> Steps:
        yield Step(AT_LAST, note(5, "late"))
        raise RuntimeError("a bug")

    def fine() -> Steps:
        yield Step(AT_LAST, note(7, "late"))

    results = await asyncio.gather(*(notes.transact(work) for work in (refused, broken, fine)), return_exceptions=True)

    assert [type(result) for result in results] == [ConstraintViolated, WorkFailed, type(None)]
    assert await notes.read(LIST) == [(7, "late")]
    assert heard == ["0 and 1"]


async def test_a_bug_of_who_listens_hurts_nobody(notes: Database, caplog: pytest.LogCaptureFixture):
    def listen(_: object) -> None:
        raise RuntimeError("a bug")

    notes.heard = listen

    def work() -> Steps:
        yield Step(AT_LAST, note(1, "late"))
        return "done"

    assert await notes.transact(work) == "done"
    assert await notes.read(COUNT) == [(1,)]
    assert "commit_not_heard" in caplog.text


# --- what fails, fails alone --------------------------------------------------------------------


async def test_one_that_fails_does_not_take_its_neighbours_down(notes: Database):
    good = [notes.transact(adding(number)) for number in range(1, 20)]
    bad = [notes.transact(adding(number, "forbidden")) for number in range(100, 110)]
    writes = [notes.write(Step(ADD, note(number, "x")), Step(COUNT)) for number in range(200, 205)]

    outcomes = await asyncio.gather(*bad[:5], *good, *writes, *bad[5:], return_exceptions=True)

    assert outcomes[5:24] == list(range(1, 20))
    assert {type(outcome) for outcome in outcomes[:5] + outcomes[29:]} == {ConstraintViolated}
    stored = [row[0] for row in await notes.read(LIST)]
    assert stored == sorted([*range(-19, 0), *range(1, 20), *range(200, 205)])


async def test_a_step_of_several_rows_that_fails_leaves_none_of_them(notes: Database):
    def work() -> Steps:
        yield Step(ADD, note(1, "one"))
        yield Step(ADD, [note(2, "two"), note(3, "forbidden")])

    with pytest.raises(ConstraintViolated):
        await notes.transact(work)

    assert await notes.read(LIST) == []


def _raises() -> Steps:
    yield Step(ADD, note(1, "half"))
    raise LookupError("of its own")


def _raises_at_once() -> Steps:
    raise LookupError("of its own")
    yield


def _forgets_a_value() -> Steps:
    yield Step(ADD, {"id": 1})


def _yields_no_step() -> Steps:
    yield None  # pyright: ignore[reportReturnType] - the subject


def _is_no_generator() -> Any:
    return None


def _cannot_be_closed() -> Steps:
    try:
        yield Step(ADD, note(1, "forbidden"))
    finally:
        raise LookupError("in its own cleaning up")


@pytest.mark.parametrize(
    "work",
    [_raises, _raises_at_once, _forgets_a_value, _yields_no_step, _is_no_generator, _cannot_be_closed],
)
async def test_code_that_raises_fails_alone_and_is_logged(
    notes: Database, work: Callable[[], Steps], caplog: pytest.LogCaptureFixture
):
    failing, *others = await asyncio.gather(
        notes.transact(work), *(notes.transact(adding(number)) for number in range(10, 15)), return_exceptions=True
    )

    assert isinstance(failing, WorkFailed)
    assert failing.__cause__ is not None
    assert others == list(range(10, 15))
    assert [row[0] for row in await notes.read(LIST)] == [*range(-14, -9), *range(10, 15)]
    assert caplog.text.count("transaction_code_failed lane=MONEY") == 1
    assert (notes.failure, notes.lost_writes) == (None, 0)


async def test_a_value_that_an_engine_cannot_hold_fails_its_transaction(notes: Database):
    with pytest.raises(StatementFailed):
        await notes.transact(adding(2**70))

    assert await notes.transact(adding(1)) == 1


async def test_code_is_closed_where_its_step_fails(notes: Database):
    closed: list[str] = []

    def work() -> Steps:
        try:
            yield Step(ADD, note(1, "forbidden"))
            closed.append("went on")
        finally:
            closed.append("closed")

    with pytest.raises(ConstraintViolated):
        await notes.transact(work)

    assert set(closed) == {"closed"}


async def test_it_is_made_anew_where_a_neighbour_in_its_group_fails(sqlite_url: str):
    """What it saw in the group that was undone does not count."""
    database = await open_database(sqlite_url)
    await database.write(Step(CREATE))
    seen: list[tuple[int, int]] = []

    def count_and_add(number: int) -> Callable[[], Steps]:
        def work() -> Steps:
            ((count,),) = yield Step(COUNT)
            seen.append((number, count))
            yield Step(ADD, note(number, str(count)))
            return count

        return work

    outcomes = await asyncio.gather(
        database.transact(count_and_add(1)),
        database.transact(adding(5, "forbidden")),
        database.transact(count_and_add(2)),
        return_exceptions=True,
    )

    assert [outcomes[0], outcomes[2]] == [0, 1]
    assert seen == [(1, 0), (1, 0), (2, 1)]
    assert await database.read(LIST) == [(1, "0"), (2, "1")]
    await database.close()


# --- who waits ----------------------------------------------------------------------------------


async def test_a_cancelled_waiter_does_not_cancel_it(notes: Database):
    waiting = notes.transact(adding(1))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    notes.enqueue(Step(COUNT), lane=Lane.MONEY)
    await notes.flush()

    assert await notes.read(COUNT) == [(2,)]


async def test_what_is_enqueued_comes_after_those_before_it(notes: Database):
    """A reservation that nobody waits for any more is given back behind it."""
    waiting = notes.transact(adding(1))
    waiting.cancel()
    notes.enqueue(Step(APPEND, {"of_id": 1, "more": ", released"}), lane=Lane.MONEY)
    await notes.flush()

    assert await notes.read(LIST) == [(-1, "added"), (1, "added, released")]


async def test_a_closed_database_refuses_it(notes: Database):
    await notes.close()

    with pytest.raises(StorageClosed):
        await notes.transact(adding(1))


async def test_closing_ends_those_under_way(database_url: str):
    database = await open_database(database_url)
    await database.write(Step(CREATE))
    waiting = [database.transact(adding(number)) for number in range(1, 20)]
    await database.close()
    returned = await asyncio.gather(*waiting)
    again = await open_database(database_url)

    assert returned == list(range(1, 20))
    assert await again.read(COUNT) == [(38,)]
    await again.close()


def _all() -> Steps:
    return (yield Step(LIST))


# --- many processes -----------------------------------------------------------------------------

_CAP = 50


def take_a_unit() -> Steps:
    """Decide by a locked row whether there is one left."""
    ((taken,),) = yield Step(LOCKED, {"of_id": 0})
    if len(taken) >= _CAP:
        return False
    yield Step(APPEND, {"of_id": 0, "more": "x"})
    return True


async def test_the_last_unit_is_taken_once(notes: Database):
    await notes.write(Step(ADD, note(0, "")))

    has_one = await asyncio.gather(*(notes.transact(take_a_unit) for _ in range(100)))

    assert sum(has_one) == _CAP
    assert await notes.read(LIST) == [(0, "x" * _CAP)]


@pytest.fixture
async def pair(postgresql_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Two databases on one server, as two processes have them, and the table `note`."""
    one, two = await open_database(postgresql_url, _PATIENT), await open_database(postgresql_url, _PATIENT)
    await one.write(Step(CREATE))
    yield one, two
    await one.close()
    await two.close()


async def test_two_processes_never_take_the_last_unit_twice(pair: tuple[Database, Database]):
    await pair[0].write(Step(ADD, note(0, "")))

    has_one = await asyncio.gather(*(pair[number % 2].transact(take_a_unit) for number in range(100)))

    assert sum(has_one) == _CAP
    assert await pair[0].read(LIST) == [(0, "x" * _CAP)]


async def test_a_deadlock_is_tried_again(pair: tuple[Database, Database]):
    """Two that lock in different orders are both done in the end, and see each other's doings."""
    await pair[0].write(Step(ADD, [note(1, ""), note(2, "")]))
    pause = Query(sa.text("SELECT pg_sleep(0.1)"))
    runs = [0, 0]

    def both(which: int, first: int, second: int) -> Callable[[], Steps]:
        def work() -> Steps:
            runs[which] += 1
            yield Step(LOCKED, {"of_id": first})
            yield Step(pause)
            ((before,),) = yield Step(LOCKED, {"of_id": second})
            yield Step(APPEND, {"of_id": first, "more": "x"})
            yield Step(APPEND, {"of_id": second, "more": "x"})
            return before

        return work

    before = await asyncio.gather(pair[0].transact(both(0, 1, 2)), pair[1].transact(both(1, 2, 1)))

    assert sorted(before) == ["", "x"]
    assert sum(runs) > 2
    assert await pair[0].read(LIST) == [(1, "xx"), (2, "xx")]


async def test_a_serialization_failure_is_tried_again(pair: tuple[Database, Database]):
    await pair[0].write(Step(ADD, note(1, "")))
    strictly = Query(sa.text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
    runs: list[int] = []

    def work() -> Steps:
        runs.append(1)
        yield Step(strictly)
        ((text,),) = yield Step(Query(sa.text("SELECT text FROM note WHERE id = 1")))
        yield Step(APPEND, {"of_id": 1, "more": "x"})
        return len(text)

    places = await asyncio.gather(*(pair[number % 2].transact(work) for number in range(6)))

    assert sorted(places) == list(range(6))
    assert len(runs) > 6
    assert await pair[0].read(LIST) == [(1, "x" * 6)]


# --- connections that break ---------------------------------------------------------------------


@pytest.fixture
async def breaking(postgresql_url: str, pair: tuple[Database, Database]):
    """Makes a database whose connection breaks once, at a statement that begins so."""
    async with contextlib.AsyncExitStack() as opened:

        async def make(statement: str, *, is_done: bool) -> tuple[Database, BreakingPool]:
            pool = BreakingPool(await connect_pool(postgresql_url, _PATIENT), statement, is_done=is_done)
            database: Any = PostgresqlDatabase(pool, _PATIENT)
            opened.push_async_callback(database.close)
            return database, pool

        yield make


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "UPDATE"])
@pytest.mark.parametrize("is_done", [False, True])
async def test_a_connection_that_breaks_before_the_commit_is_tried_again(breaking, statement: str, is_done: bool):
    database, pool = await breaking(statement, is_done=is_done)

    def work() -> Steps:
        ((count,),) = yield Step(COUNT)
        yield Step(ADD, note(1, "one"))
        yield Step(APPEND, {"of_id": 1, "more": "!"})
        return count

    assert await database.transact(work) == 0
    assert pool.has_broken
    assert await database.read(LIST) == [(1, "one!")]


@pytest.mark.parametrize("is_done", [False, True])
async def test_the_outcome_of_a_broken_commit_is_unknown(breaking, is_done: bool):
    database, pool = await breaking("COMMIT", is_done=is_done)

    with pytest.raises(OutcomeUnknown):
        await database.transact(adding(1))

    assert pool.has_broken
    assert await database.read(COUNT) == [(2 if is_done else 0,)]


async def test_a_server_that_stays_away_fails_it(postgresql_url: str):
    limits = StorageLimits(patience_s=0.01, close_timeout_s=0.01)
    database = await open_database(postgresql_url, limits)
    await database.write(Step(CREATE))

    class Gone:
        def acquire(self, *, timeout: float | None = None) -> Any:
            raise asyncpg.CannotConnectNowError("gone")

        async def close(self) -> None: ...

        def terminate(self) -> None: ...

    away = PostgresqlDatabase(Gone(), limits)
    with pytest.raises(StorageError, match="cannot do this now"):
        await away.transact(adding(1))

    assert away.failure is not None
    assert await database.read(COUNT) == [(0,)]
    await away.close()
    await database.close()
