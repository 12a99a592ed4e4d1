"""SQLite: one writer thread with group commit, two readers, checkpoints beside them.

    write, enqueue ─► Lanes ─► SideThread(SqliteWriter) ─► one transaction, one fsync ─► who waits
    read ─► SqliteReaders            SqliteCheckpoints ─► WAL into the file

While one group is being committed the next one gathers. What was only enqueued waits up to
`linger_s` for company; a write takes it along.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from frontdesk.storage.database import FEW_ROWS, StorageLimits, flush_for
from frontdesk.storage.errors import StorageClosed, StorageError, StorageFailed
from frontdesk.storage.file_lock import FileLock
from frontdesk.storage.lanes import Entry, Heard, Lane, Lanes, Results, nobody_heard
from frontdesk.storage.query import NOTHING, Parameters, Query, Row, Step, Work, bind_step
from frontdesk.storage.side_thread import SideThread
from frontdesk.storage.sqlite_checkpoints import CheckpointPlan, SqliteCheckpoints
from frontdesk.storage.sqlite_connection import (
    connect_reader,
    connect_writer,
    create_privately,
    path_of,
    translate,
)
from frontdesk.storage.sqlite_readers import SqliteReaders
from frontdesk.storage.sqlite_writer import Outcome, SqliteWriter

T = TypeVar("T")

_log = logging.getLogger(__name__)

_READERS = 2
# Of each urgent lane; together about 2 ms of statements, which the head start covers.
_GROUP_ROWS = 200
_BULK_ROWS = 1_000
# A BULK lane that more urgent groups have passed over so often gets its slice all the same.
_PATIENT_GROUPS = 50
_RETRY_S = 1.0
_PLAN = CheckpointPlan()


async def open_sqlite(url: str, limits: StorageLimits, *, is_server: bool) -> SqliteDatabase:
    """Open a SQLite file. A server takes its lock. Raises AlreadyServed or StorageFailed."""
    path = path_of(url)
    try:
        create_privately(path)
        lock = FileLock.acquire(path) if is_server else None
    except OSError as error:
        raise StorageFailed(f"{str(path)!r} cannot be opened: {error.strerror}.") from None
    try:
        return SqliteDatabase(path, limits, lock)
    except sqlite3.Error as error:
        if lock is not None:
            lock.release()
        raise StorageFailed(f"{str(path)!r} cannot be opened: {translate(error)}") from error


class SqliteDatabase:
    """A Database on one SQLite file; see `database.Database`."""

    def __init__(self, path: Path, limits: StorageLimits, lock: FileLock | None, plan: CheckpointPlan = _PLAN) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._lock = lock
        gate = threading.Lock()
        with contextlib.ExitStack() as opened:
            writer = opened.enter_context(contextlib.closing(connect_writer(path, limits.busy_timeout_s)))
            readers = [
                opened.enter_context(contextlib.closing(connect_reader(path, limits.busy_timeout_s)))
                for _ in range(_READERS)
            ]
            copier = opened.enter_context(contextlib.closing(connect_writer(path, limits.busy_timeout_s)))
            opened.pop_all()
        self._writer = SqliteWriter(writer, gate, limits.bulk_slice_s)
        self._thread: SideThread[list[Entry], Outcome] = SideThread(
            "sqlite-writer", self._writer.write_group, self._end_group, limits.loan_after_s
        )
        self._readers = SqliteReaders(readers, limits.read_timeout_s)
        self._checkpoints = SqliteCheckpoints(copier, path, gate, lambda: self._writer.rows_written, plan)
        self._lanes = Lanes(limits.bulk_queue_rows)
        self._is_armed = False
        self._timer: asyncio.TimerHandle | None = None
        self._groups_before_bulk = 0
        self._divisions = 0
        self._is_closing = False
        self._is_final = False
        self._failure: str | None = None
        self.lost_writes = 0
        self.dropped_writes = 0
        self.heard: Heard = nobody_heard

    @property
    def is_alone(self) -> bool:
        """Whether this process holds the file's lock."""
        return self._lock is not None

    @property
    def failure(self) -> str | None:
        """Why writes fail just now; None when all is well."""
        return self._failure or self._checkpoints.failure

    async def read(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        """See `Database.read`."""
        compiled = query.for_sqlite()
        return await self._readers.read(compiled.sql, compiled.bind(parameters))

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        """See `Database.write`."""
        self._check_open()
        future: asyncio.Future[Results] = self._loop.create_future()
        self._lanes.add(_entry(steps, lane, future))
        self._arm()
        return await future

    def transact(self, work: Work[T], lane: Lane = Lane.MONEY, *, rows: int = FEW_ROWS) -> asyncio.Future[T]:
        """See `Database.transact`."""
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._lanes.add(Entry([], lane, future, work=work, rows_of_work=rows))
        self._arm()
        return future

    def enqueue(self, *steps: Step, lane: Lane = Lane.EVENTS) -> None:
        """See `Database.enqueue`."""
        self._enqueue(_entry(steps, lane, None))

    def enqueue_rows(self, query: Query, rows: Sequence[Parameters], lane: Lane = Lane.EVENTS) -> None:
        """See `Database.enqueue_rows`."""
        self._enqueue(Entry([bind_step(query.for_sqlite(), rows)], lane, is_divisible=True))

    def _enqueue(self, entry: Entry) -> None:
        if self._is_final or self._is_closing:
            self._lose([entry], self._failure or "closed")
        elif not self._lanes.add(entry):
            self.dropped_writes += 1
        else:
            self._arm_in(self._limits.linger_s)

    async def flush(self) -> None:
        """See `Database.flush`."""
        divisions = self._divisions
        await self._flush_lanes()
        if self._divisions != divisions:  # the parts came after the markers
            await self._flush_lanes()

    async def _flush_lanes(self) -> None:
        await asyncio.gather(*(self.write(lane=lane) for lane in Lane))

    async def close(self) -> None:
        """See `Database.close`."""
        if self._is_closing:
            return
        if not self._is_final:
            await flush_for(self, self._limits.close_timeout_s)
        self._is_closing = True
        self._disarm()
        await self._thread.stop()
        self._give_up(self._lanes.take_all(), StorageClosed("The database was closed."))
        await self._readers.close()
        await self._loop.run_in_executor(None, self._close_files)

    def _close_files(self) -> None:
        self._checkpoints.close()
        self._writer.close()
        if self._lock is not None:
            self._lock.release()

    def _check_open(self) -> None:
        if self._is_closing:
            raise StorageClosed("The database was closed.")
        if self._is_final:
            raise StorageFailed(self._failure)

    # --- groups -----------------------------------------------------------------------------

    def _arm(self) -> None:
        """Begin a group after what else is ready to run: it may want to write as well."""
        if not self._is_armed:
            self._disarm()
            self._is_armed = True
            self._loop.call_soon(self._begin_group)

    def _arm_in(self, delay_s: float) -> None:
        if not self._is_armed and self._timer is None:
            self._timer = self._loop.call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._arm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_group(self) -> None:
        self._is_armed = False
        if self._thread.is_busy or self._is_final or self._is_closing:
            return
        # After a failure an empty transaction finds out whether it has passed.
        if self._lanes or self._failure is not None:
            group = self._take_group()
            is_bulk = bool(group) and group[0].lane is Lane.BULK
            self._thread.start(group, 0.0 if is_bulk else self._limits.head_start_s)

    def _take_group(self) -> list[Entry]:
        urgent = self._lanes.take(Lane.MONEY, _GROUP_ROWS) + self._lanes.take(Lane.EVENTS, _GROUP_ROWS)
        if urgent and (not self._lanes.has(Lane.BULK) or self._groups_before_bulk < _PATIENT_GROUPS):
            self._groups_before_bulk += 1
            return urgent
        self._lanes.put_back(urgent)
        self._groups_before_bulk = 0
        return self._lanes.take(Lane.BULK, _BULK_ROWS)

    def _end_group(self, outcome: Outcome) -> None:
        if outcome.failure is not None:
            self._fail_group(outcome, outcome.failure)
            return
        self._failure = None
        for entry, results in outcome.stored:
            entry.succeed(results)
            entry.tell(self.heard)
        self._lanes.put_back(outcome.unwritten)
        for entry, error in outcome.refused:
            self._refuse(entry, error)
        if self._lanes.is_awaited or self._lanes.rows >= _GROUP_ROWS:
            self._arm()
        elif self._lanes:
            self._arm_in(self._limits.linger_s)

    def _refuse(self, entry: Entry, error: StorageError) -> None:
        if parts := entry.divide():
            self._divisions += 1
            self._lanes.put_back(parts)
        elif entry.future is None:
            self._lose([entry], str(error))
        else:
            entry.fail(error)

    def _fail_group(self, outcome: Outcome, failure: StorageFailed) -> None:
        self._failure = str(failure)
        if outcome.is_final:
            self._is_final = True
            self._give_up(outcome.unwritten + self._lanes.take_all(), failure)
            return
        enqueued = [entry for entry in outcome.unwritten if entry.future is None]
        for entry in outcome.unwritten:
            entry.fail(failure)
        self._lanes.put_back(enqueued)
        if self._lanes.is_awaited:
            self._arm()
        else:
            self._arm_in(_RETRY_S)

    def _give_up(self, entries: list[Entry], failure: StorageFailed) -> None:
        for entry in entries:
            entry.fail(failure)
        self._lose([entry for entry in entries if entry.future is None], str(failure))

    def _lose(self, entries: list[Entry], reason: str) -> None:
        if entries:
            self.lost_writes += len(entries)
            _log.error("enqueued_writes_lost entries=%d reason=%s", len(entries), reason)


def _entry(steps: tuple[Step, ...], lane: Lane, future: asyncio.Future[Results] | None) -> Entry:
    return Entry([bind_step(step.query.for_sqlite(), step.parameters) for step in steps], lane, future)
