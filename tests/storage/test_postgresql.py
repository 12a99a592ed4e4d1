"""What holds on PostgreSQL only: a server that goes away, locks of others, exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from frontdesk.storage.database import Database, StorageLimits, flush_for, open_database
from frontdesk.storage.errors import OutcomeUnknown, StorageError, StorageFailed
from frontdesk.storage.lanes import Lane
from frontdesk.storage.postgresql import PostgresqlDatabase
from frontdesk.storage.postgresql_connection import connect_pool
from frontdesk.storage.query import Query, Step
from tests.engines import PostgresqlServer
from tests.storage.breaking import BreakingPool
from tests.storage.notes import ADD, APPEND, COUNT, CREATE, LIST, SET, note
from tests.storage.notes import notes as notes_table

_PATIENT = StorageLimits(patience_s=30, close_timeout_s=30)
_LENGTH = Query(sa.select(sa.func.length(notes_table.c.text)).where(notes_table.c.id == sa.bindparam("id")))


@pytest.fixture
async def notes(postgresql_url: str) -> AsyncIterator[Database]:
    database = await open_database(postgresql_url, _PATIENT)
    await database.write(Step(CREATE))
    yield database
    await database.close()


@pytest.fixture
async def other(postgresql_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session of somebody else's."""
    connection = await asyncpg.connect(postgresql_url)
    yield connection
    await connection.close()


# --- a server that goes away --------------------------------------------------------------------


@pytest.mark.parametrize("modes", [("fast",), ("immediate",) * 3], ids=["restart", "crashes"])
async def test_restarts_under_writes_lose_nothing_and_double_nothing(
    notes: Database, postgresql_server: PostgresqlServer, modes: tuple[str, ...]
):
    await notes.write(Step(ADD, [note(0, ""), note(-1, ""), note(-2, "")]))
    outcomes: dict[int, object] = {}
    enqueued = dict.fromkeys(Lane, 0)
    restarting = asyncio.create_task(_restart(postgresql_server, modes))

    async def write(first: int) -> None:
        n = first
        while not restarting.done():
            n += 4
            lane = Lane(n % 3)
            enqueued[lane] += 1
            notes.enqueue(Step(APPEND, {"of_id": -lane, "more": "x"}), lane=lane)
            try:
                await notes.write(Step(ADD, note(2 * n, "a")), Step(ADD, note(2 * n + 1, "b")))
                outcomes[n] = None
            except StorageFailed as error:
                outcomes[n] = error

    await asyncio.gather(*(write(first) for first in range(1, 5)))
    await flush_for(notes, 30)

    stored = {row[0] for row in await notes.read(LIST) if row[0] > 0}
    halves = [{n for n in outcomes if 2 * n + half in stored} for half in (0, 1)]
    assert halves[0] == halves[1]
    assert {n for n, error in outcomes.items() if error is None} <= halves[0]
    assert {n for n, error in outcomes.items() if error is not None} & halves[0] <= {
        n for n, error in outcomes.items() if isinstance(error, OutcomeUnknown)
    }
    missing = {lane: enqueued[lane] - (await notes.read(_LENGTH, {"id": -lane}))[0][0] for lane in Lane}
    assert missing == dict.fromkeys(Lane, 0)
    assert (notes.lost_writes, notes.failure) == (0, None)


async def _restart(server: PostgresqlServer, modes: tuple[str, ...]) -> None:
    for mode in modes:
        await asyncio.to_thread(server.restart, mode)


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("lane", list(Lane))
async def test_what_was_enqueued_is_written_once_where_a_commit_breaks(
    postgresql_url: str, notes: Database, lane: Lane, is_done: bool
):
    await notes.write(Step(ADD, note(1, "")))
    pool: Any = BreakingPool(await connect_pool(postgresql_url, _PATIENT), "COMMIT", is_done=is_done)
    database = PostgresqlDatabase(pool, _PATIENT)

    for number in range(5):
        database.enqueue(Step(APPEND, {"of_id": 1, "more": f"{number}"}), lane=lane)
    await flush_for(database, 30)

    assert pool.has_broken
    assert await database.read(LIST) == [(1, "01234")]
    assert database.lost_writes == 0
    await database.close()


@pytest.mark.parametrize("is_done", [False, True])
async def test_who_waits_is_told_that_the_outcome_of_a_broken_commit_is_unknown(
    postgresql_url: str, notes: Database, is_done: bool
):
    pool: Any = BreakingPool(await connect_pool(postgresql_url, _PATIENT), "COMMIT", is_done=is_done)
    database = PostgresqlDatabase(pool, _PATIENT)

    with pytest.raises(OutcomeUnknown):
        await database.write(Step(ADD, note(1, "a")), Step(ADD, note(2, "b")))

    assert await database.read(COUNT) == [(2 if is_done else 0,)]
    await database.close()


async def test_sessions_that_were_ended_between_writes_are_not_noticed(notes: Database, other: asyncpg.Connection):
    for number in range(5):
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'frontdesk'"
        )
        await notes.write(Step(ADD, note(number, "x")), Step(COUNT))

    assert await notes.read(COUNT) == [(5,)]


async def test_a_server_that_is_not_there_fails_the_opening():
    with pytest.raises(StorageFailed, match="PostgreSQL cannot be reached"):
        await open_database("postgresql://nobody@/nowhere?host=/nonexistent")


# --- lanes --------------------------------------------------------------------------------------


_IS_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def test_what_is_enqueued_waits_for_the_writes_before_it_in_its_lane(notes: Database, other: asyncpg.Connection):
    """However long they take: a release must not overtake its reservation."""
    await notes.write(Step(ADD, [note(1, ""), note(2, ""), note(3, "")]))
    held = other.transaction()
    await held.start()
    await other.execute("UPDATE note SET text = 'theirs' WHERE id = 1")
    reservation = asyncio.create_task(notes.write(Step(APPEND, {"of_id": 1, "more": " ours"})))
    while not await other.fetchval(_IS_WAITING):
        await asyncio.sleep(0)
    reservation.cancel()

    notes.enqueue(Step(APPEND, {"of_id": 2, "more": "release"}), lane=Lane.MONEY)
    notes.enqueue(Step(APPEND, {"of_id": 3, "more": "event"}), lane=Lane.EVENTS)
    while (await notes.read(LIST))[2] != (3, "event"):
        await asyncio.sleep(0)
    assert (await notes.read(LIST))[1] == (2, "")
    await held.commit()
    await notes.flush()

    assert await notes.read(LIST) == [(1, "theirs ours"), (2, "release"), (3, "event")]


@pytest.mark.parametrize(("lane", "is_grouped"), [(Lane.MONEY, False), (Lane.EVENTS, True), (Lane.BULK, True)])
async def test_money_holds_no_locks_of_two_entries(notes: Database, lane: Lane, is_grouped: bool):
    for number in range(10):
        notes.enqueue(Step(ADD, note(number, "x")), lane=lane)
    await notes.flush()

    transactions = await notes.read(Query(sa.text("SELECT count(DISTINCT xmin::text) FROM note")))

    assert transactions == [(1 if is_grouped else 10,)]


# --- others' locks ------------------------------------------------------------------------------


async def test_a_deadlock_is_tried_again(notes: Database):
    await notes.write(Step(ADD, [note(1, ""), note(2, "")]))
    pause = Query(sa.text("SELECT pg_sleep(0.1)"))

    def both(first: int, second: int) -> list[Step]:
        return [Step(APPEND, {"of_id": first, "more": "x"}), Step(pause), Step(APPEND, {"of_id": second, "more": "x"})]

    await asyncio.gather(notes.write(*both(1, 2)), notes.write(*both(2, 1)))

    assert await notes.read(LIST) == [(1, "xx"), (2, "xx")]


async def test_a_statement_that_takes_too_long_is_ended(postgresql_url: str):
    database = await open_database(postgresql_url, StorageLimits(statement_timeout_s=0.05, patience_s=0.01))

    with pytest.raises(StorageFailed, match="57014"):
        await database.read(Query(sa.text("SELECT pg_sleep(60)")))

    assert await database.read(Query(sa.text("SELECT 1"))) == [(1,)]
    assert database.failure is None
    await database.close()


async def test_a_lock_that_is_held_for_long_does_not_lose_what_was_enqueued(
    postgresql_url: str, other: asyncpg.Connection
):
    database = await open_database(postgresql_url, StorageLimits(statement_timeout_s=0.05, patience_s=0.01))
    await database.write(Step(CREATE), Step(ADD, note(1, "")))
    held = other.transaction()
    await held.start()
    await other.execute("UPDATE note SET text = 'held' WHERE id = 1")
    database.enqueue(Step(APPEND, {"of_id": 1, "more": "!"}), lane=Lane.MONEY)
    with pytest.raises(StorageFailed):
        await database.write(Step(SET, {"of_id": 1, "new_text": "never"}))
    await held.commit()
    await database.flush()

    assert await database.read(LIST) == [(1, "held!")]
    await database.close()


async def test_bulk_leaves_connections_to_others(postgresql_url: str):
    database = await open_database(postgresql_url, StorageLimits(connections=3))
    await database.write(Step(CREATE))
    pause = Query(sa.text("SELECT pg_sleep(0.05)"))
    bulk = [asyncio.create_task(database.write(Step(pause), Step(COUNT), lane=Lane.BULK)) for _ in range(10)]

    await database.write(Step(ADD, note(1, "money")))

    assert sum(task.done() for task in bulk) < 2
    await asyncio.gather(*bulk)
    await database.close()


# --- settings of a transaction ------------------------------------------------------------------

_SET_TENANT = Query(sa.select(sa.func.set_config("frontdesk.tenant", sa.bindparam("tenant", type_=sa.Text), True)))
_TENANT = Query(sa.select(sa.func.current_setting("frontdesk.tenant", True)))


async def test_what_is_set_for_a_transaction_ends_with_it(notes: Database):
    async def ask(tenant: str) -> object:
        return (await notes.write(Step(_SET_TENANT, {"tenant": tenant}), Step(_TENANT)))[1]

    tenants = [f"tenant {number}" for number in range(30)]
    assert await asyncio.gather(*(ask(tenant) for tenant in tenants)) == [[(tenant,)] for tenant in tenants]

    after = await asyncio.gather(*(notes.read(_TENANT) for _ in range(30)))
    assert {rows[0][0] for rows in after} <= {None, ""}


async def test_a_failed_transaction_leaves_its_connection_usable(postgresql_url: str):
    database = await open_database(postgresql_url, StorageLimits(connections=1))
    await database.write(Step(CREATE))
    for number in range(5):
        with pytest.raises(StorageError):
            await database.write(Step(ADD, note(number, "x")), Step(ADD, note(number, "x")))

    assert await database.write(Step(COUNT)) == [[(0,)]]
    await database.close()
