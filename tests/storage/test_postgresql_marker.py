"""The row that tells how far a lane has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from frontdesk.storage.database import StorageLimits, flush_for, open_database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.postgresql import PostgresqlDatabase
from frontdesk.storage.postgresql_connection import connect_pool
from frontdesk.storage.postgresql_marker import Marker, delete_markers, delete_stale_markers
from frontdesk.storage.query import Step
from tests.storage.breaking import BreakingPool
from tests.storage.notes import ADD, APPEND, CREATE, LIST, note

_PATIENT = StorageLimits(patience_s=30, close_timeout_s=30)
_OWNERS = "SELECT owner FROM delivery ORDER BY owner"
_NUMBERS = "SELECT number FROM delivery ORDER BY number"


@pytest.fixture
async def connections(postgresql_url: str) -> AsyncIterator[list[Any]]:
    opened = [await asyncpg.connect(postgresql_url) for _ in range(2)]
    yield opened
    for connection in opened:
        await connection.close()


async def _column(connection: Any, query: str) -> list[object]:
    return [row[0] for row in await connection.fetch(query)]


# --- what it tells ------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [[], [0], [0, 1]])
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
async def test_it_tells_whether_a_transaction_was_committed(connections: list[Any], earlier: list[int], ending: str):
    marker = Marker("events")
    for number in earlier:
        await connections[0].execute(marker.begin(number))
        await connections[0].execute("COMMIT")
    number = len(earlier)

    await connections[0].execute(marker.begin(number))
    await connections[0].execute(ending)

    assert await marker.has(connections[1], number) == (ending == "COMMIT")


@pytest.mark.parametrize("earlier", [[], [0]])
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
async def test_who_asks_waits_for_a_transaction_that_has_not_ended(
    connections: list[Any], earlier: list[int], ending: str
):
    """Its connection is lost, which its server may not have noticed: it can still be committed."""
    marker = Marker("events")
    for number in earlier:
        await connections[0].execute(marker.begin(number))
        await connections[0].execute("COMMIT")
    await connections[0].execute(marker.begin(7))

    asking = asyncio.create_task(marker.has(connections[1], 7))
    while not await connections[0].fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0)
    assert not asking.done()
    await connections[0].execute(ending)

    assert await asking == (ending == "COMMIT")


async def test_two_markers_have_nothing_to_do_with_each_other(connections: list[Any]):
    one, two = Marker("events"), Marker("events")
    await connections[0].execute(one.begin(3))
    await connections[1].execute(two.begin(3))
    await connections[0].execute("COMMIT")
    await connections[1].execute("ROLLBACK")

    assert [await marker.has(connections[0], 3) for marker in (one, two)] == [True, False]


# --- what becomes of it -------------------------------------------------------------------------


async def test_markers_of_a_closed_database_are_gone_and_no_others(postgresql_url: str, connections: list[Any]):
    kept = Marker("events")
    await connections[0].execute(kept.begin(0) + "; COMMIT")
    database = await open_database(postgresql_url)
    await database.write(Step(CREATE))
    for lane in Lane:
        database.enqueue(Step(ADD, note(lane, "x")), lane=lane)
    await database.flush()
    assert len(await _column(connections[0], _OWNERS)) == 1 + len(Lane)
    await database.close()

    assert await _column(connections[0], _OWNERS) == [kept.owner]


async def test_each_group_moves_its_lane_s_marker(postgresql_url: str, connections: list[Any]):
    database = await open_database(postgresql_url)
    await database.write(Step(CREATE))
    for number in range(5):
        database.enqueue(Step(ADD, note(number, "x")), lane=Lane.MONEY)
        database.enqueue(Step(ADD, note(-1 - number, "x")), lane=Lane.EVENTS)
    await database.flush()

    assert await _column(connections[0], _NUMBERS) == [0, 4]
    await database.close()


async def test_opening_deletes_markers_that_are_a_day_old(postgresql_url: str, connections: list[Any]):
    markers = [Marker("events") for _ in range(3)]
    for marker in markers:
        await connections[0].execute(marker.begin(0) + "; COMMIT")
    hour_ms = 60 * 60 * 1000
    for marker, age_ms in zip(markers, (0, 23 * hour_ms, 25 * hour_ms), strict=True):
        await connections[0].execute(
            "UPDATE delivery SET at_ms = at_ms - $1 WHERE owner = $2", age_ms, marker.owner
        )  # fmt: skip

    database = await open_database(postgresql_url)

    assert await _column(connections[0], _OWNERS) == sorted(marker.owner for marker in markers[:2])
    await database.close()


async def test_one_that_is_used_again_is_not_stale(connections: list[Any]):
    """Who deletes waits for it, and then sees how young it is."""
    marker = Marker("events")
    await connections[0].execute(marker.begin(0) + "; COMMIT")
    await connections[0].execute("UPDATE delivery SET at_ms = 0")
    await connections[0].execute(marker.begin(1))
    deleting = asyncio.create_task(delete_stale_markers(connections[1]))
    while not await connections[0].fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0)
    await connections[0].execute("COMMIT")
    await deleting

    assert await marker.has(connections[0], 1)
    await delete_markers(connections[0], [marker])
    assert await _column(connections[0], _OWNERS) == []


async def test_a_database_without_the_table_opens(postgresql_url: str, connections: list[Any]):
    await connections[0].execute("DROP TABLE delivery")

    database = await open_database(postgresql_url)

    assert database.failure is None
    await database.close()


# --- doubts that last ---------------------------------------------------------------------------


class _Doubt(BreakingPool):
    """After the commit broke, asking fails some times as well."""

    def __init__(self, pool: Any, errors: list[Exception]) -> None:
        super().__init__(pool, "COMMIT", is_done=True)
        self.errors = errors

    async def pass_on(self, connection: Any, query: str, run: Callable[[], Awaitable[Any]]) -> Any:
        if self.has_broken and "RETURNING number" in query and self.errors:
            raise self.errors.pop()
        return await super().pass_on(connection, query, run)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("away"),
        asyncpg.DeadlockDetectedError("in the way"),
        asyncpg.UndefinedTableError("no such table"),
    ],
)
@pytest.mark.parametrize("lane", [Lane.MONEY, Lane.EVENTS])
async def test_nothing_is_written_again_while_it_is_in_doubt(
    postgresql_url: str, lane: Lane, error: Exception, monkeypatch: pytest.MonkeyPatch
):
    """However often asking fails: a group is not given up to be written in parts, which might double it."""
    monkeypatch.setattr("frontdesk.storage.postgresql_lane._LAST_PAUSE_S", 0.001)
    monkeypatch.setattr("frontdesk.storage.postgresql_lane._FIRST_PAUSE_S", 0.001)
    opened = await open_database(postgresql_url)
    await opened.write(Step(CREATE), Step(ADD, note(1, "")))
    await opened.close()
    pool: Any = _Doubt(await connect_pool(postgresql_url, _PATIENT), [error] * 30)
    database = PostgresqlDatabase(pool, _PATIENT)

    for number in range(3):
        database.enqueue(Step(APPEND, {"of_id": 1, "more": f"{number}"}), lane=lane)
    await flush_for(database, 30)

    assert pool.errors == []
    assert await database.read(LIST) == [(1, "012")]
    assert database.lost_writes == 0
    await database.close()
