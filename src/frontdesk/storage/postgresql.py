"""PostgreSQL through asyncpg: the same interface, for many processes at a time.

    write ─► a task of its own on a connection of the pool ─► who waits
    enqueue ─► PostgresqlLane: one task a lane, in order, again until it is stored

A write that a lost connection interrupts before its COMMIT is begun anew on another connection,
up to `patience_s`; one that lost it during COMMIT raises OutcomeUnknown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from frontdesk.core.tasks import Tasks
from frontdesk.storage.database import FEW_ROWS, StorageLimits, flush_for
from frontdesk.storage.errors import OutcomeUnknown, StorageClosed, StorageError
from frontdesk.storage.lanes import Entry, Heard, Lane, Results, nobody_heard
from frontdesk.storage.postgresql_connection import (
    Connection,
    Pool,
    Transaction,
    Verdict,
    connect_pool,
    describe,
    judge,
    translate,
    uneven,
)
from frontdesk.storage.postgresql_health import Health
from frontdesk.storage.postgresql_lane import PostgresqlLane
from frontdesk.storage.postgresql_marker import delete_markers, delete_stale_markers
from frontdesk.storage.query import NOTHING, Parameters, Query, Row, Step, Work, bind_step

T = TypeVar("T")

_FIRST_PAUSE_S = 0.005
_LAST_PAUSE_S = 0.5


async def open_postgresql(url: str, limits: StorageLimits) -> PostgresqlDatabase:
    """Connect. Raises StorageFailed where the server cannot be reached."""
    pool = await connect_pool(url, limits)
    with contextlib.suppress(Exception):  # whoever opens it next will do it
        async with pool.acquire(timeout=limits.connect_timeout_s) as connection:
            await delete_stale_markers(connection)
    return PostgresqlDatabase(pool, limits)


class PostgresqlDatabase:
    """A Database on a PostgreSQL server; see `database.Database`."""

    is_alone = False

    def __init__(self, pool: Pool, limits: StorageLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._limits = limits
        self._writes = Tasks("postgresql-writes")
        self._background = Tasks("postgresql")
        self._health = Health(pool, self._background, limits.connect_timeout_s)
        self._lanes = {lane: PostgresqlLane(lane, pool, self._health, limits) for lane in Lane}
        for lane, queue in self._lanes.items():
            self._background.start(f"lane-{lane.name.lower()}", queue.deliver_all())
        self._numbers = count()
        # Bulk work holds one connection at most: the others are for what is urgent.
        self._bulk = asyncio.Semaphore(1)
        self._is_closing = False
        self.heard: Heard = nobody_heard

    @property
    def failure(self) -> str | None:
        """Why writes fail just now; None when all is well."""
        return self._health.failure

    @property
    def lost_writes(self) -> int:
        """How many enqueued entries could not be stored."""
        return self._health.lost_writes

    @property
    def dropped_writes(self) -> int:
        """How many entries of the BULK lane were dropped."""
        return self._health.dropped_writes

    async def read(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        """See `Database.read`."""
        self._check_open()
        compiled = query.for_postgresql()
        values = compiled.bind(parameters)

        async def select(connection: Connection) -> list[Row]:
            return [tuple(record) for record in await connection.fetch(compiled.sql, *values)]

        return await self._persist(select)

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        """See `Database.write`."""
        self._check_open()
        future: asyncio.Future[Results] = self._loop.create_future()
        entry = self._entry(steps, lane, future)
        self._lanes[lane].begin(entry)
        # In a task of its own, so that a cancelled waiter does not cancel it.
        self._writes.start("write", self._store(entry))
        return await future

    def transact(self, work: Work[T], lane: Lane = Lane.MONEY, *, rows: int = FEW_ROWS) -> asyncio.Future[T]:
        """See `Database.transact`."""
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        entry = Entry([], lane, future, number=next(self._numbers), work=work, rows_of_work=rows)
        self._lanes[lane].begin(entry)
        self._writes.start("transact", self._store(entry))
        return future

    def enqueue(self, *steps: Step, lane: Lane = Lane.EVENTS) -> None:
        """See `Database.enqueue`."""
        self._enqueue(self._entry(steps, lane, None))

    def enqueue_rows(self, query: Query, rows: Sequence[Parameters], lane: Lane = Lane.EVENTS) -> None:
        """See `Database.enqueue_rows`."""
        bound = bind_step(query.for_postgresql(), rows)
        self._enqueue(Entry([bound], lane, number=next(self._numbers), is_divisible=True))

    def _enqueue(self, entry: Entry) -> None:
        if self._is_closing:
            self._health.lost([entry], "closed")
        else:
            self._lanes[entry.lane].add(entry)

    async def flush(self) -> None:
        """See `Database.flush`."""
        self._check_open()
        flushes: list[asyncio.Future[Results]] = []
        for lane, queue in self._lanes.items():
            flushes.append(self._loop.create_future())
            queue.add(Entry([], lane, flushes[-1], number=next(self._numbers)))
        await asyncio.gather(*flushes)

    async def close(self) -> None:
        """See `Database.close`."""
        if self._is_closing:
            return
        await flush_for(self, self._limits.close_timeout_s)
        self._is_closing = True
        await self._writes.wait(self._limits.close_timeout_s)
        await self._writes.close()
        await self._background.close()
        for queue in self._lanes.values():
            self._give_up(queue.take_rest())
        with contextlib.suppress(Exception):  # what is left is the server's to notice, and the next opening's
            async with asyncio.timeout(self._limits.connect_timeout_s):
                async with self._pool.acquire() as connection:
                    await delete_markers(connection, (queue.marker for queue in self._lanes.values()))
                await self._pool.close()
        self._pool.terminate()

    def _give_up(self, entries: list[Entry]) -> None:
        for entry in entries:
            entry.fail(StorageClosed("The database was closed."))
        self._health.lost([entry for entry in entries if entry.future is None], "closed")

    def _check_open(self) -> None:
        if self._is_closing:
            raise StorageClosed("The database was closed.")

    def _entry(self, steps: tuple[Step, ...], lane: Lane, future: asyncio.Future[Results] | None) -> Entry:
        bound = [bind_step(step.query.for_postgresql(), step.parameters) for step in steps]
        return Entry(bound, lane, future, number=next(self._numbers))

    # --- writing ----------------------------------------------------------------------------

    async def _store(self, entry: Entry) -> None:
        try:
            async with self._bulk if entry.lane is Lane.BULK else contextlib.nullcontext():
                entry.succeed(await self._persist(_transaction_of(entry)))
                entry.tell(self.heard)
        except StorageError as error:
            entry.fail(error)
        finally:
            entry.fail(StorageClosed("The database was closed."))  # where the task was cancelled
            self._lanes[entry.lane].end(entry)

    async def _persist(self, attempt: Callable[[Connection], Awaitable[T]]) -> T:
        """Make an attempt on a connection, and further ones while that may help."""
        deadline = self._loop.time() + self._limits.patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await self._once(attempt)
            except StorageError:
                raise
            except Exception as error:
                verdict = judge(error)
                if verdict is Verdict.TRY_LATER:
                    self._health.failed(describe(error))
                if verdict is Verdict.FINAL or self._loop.time() + pause_s > deadline:
                    raise translate(error) from error
            await asyncio.sleep(uneven(pause_s))
            pause_s = min(pause_s * 2, _LAST_PAUSE_S)

    async def _once(self, attempt: Callable[[Connection], Awaitable[T]]) -> T:
        done: list[T] = []
        try:
            async with self._pool.acquire(timeout=self._limits.connect_timeout_s) as connection:
                done.append(await attempt(connection))
        except Exception:
            if not done:  # else only giving the connection back has failed
                raise
        self._health.worked()
        return done[0]


def _transaction_of(entry: Entry) -> Callable[[Connection], Awaitable[Any]]:
    async def attempt(connection: Connection) -> Any:
        transaction = Transaction(connection)
        try:
            if entry.work is not None:
                return await transaction.run_work(entry, entry.work)
            await transaction.run(entry.steps)
        except Exception as error:
            failure = translate(error, transaction.progress)
            if isinstance(failure, OutcomeUnknown):
                raise failure from error
            raise
        return transaction.results

    return attempt
