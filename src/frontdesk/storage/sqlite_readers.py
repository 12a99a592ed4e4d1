"""Reads from SQLite: a few threads with a connection each, beside the one that writes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from frontdesk.storage.errors import StorageClosed, StorageError, StorageFailed
from frontdesk.storage.query import Row
from frontdesk.storage.side_thread import Leave, SideThread
from frontdesk.storage.sqlite_connection import translate

# A batch is read in one go: a hand-over to a thread costs as much as five point reads.
_BATCH = 16
_HEAD_START_S = 0.001
# The clock is looked at every so many of SQLite's own instructions, about 2 ms of work.
_INSTRUCTIONS = 100_000


class _Read(NamedTuple):
    sql: str
    values: Sequence[object]
    future: asyncio.Future[list[Row]]


_Outcome = list[tuple[_Read, list[Row] | StorageError]]


class SqliteReaders:
    """Answers reads in the order of asking, as many at a time as there are connections."""

    def __init__(self, connections: Sequence[sqlite3.Connection], timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Read] = deque()
        self._is_armed = False
        self._is_closed = False
        self._readers = [_Reader(connection, timeout_s, self._arm) for connection in connections]

    async def read(self, sql: str, values: Sequence[object]) -> list[Row]:
        """Run a select. Raises StatementFailed or StorageFailed."""
        if self._is_closed:
            raise StorageClosed("The database was closed.")
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        self._waiting.append(_Read(sql, values, future))
        self._arm()
        return await future

    async def close(self) -> None:
        """End the threads after what they read now; what still waits fails."""
        self._is_closed = True
        for read in self._waiting:
            _answer(read, StorageClosed("The database was closed."))
        self._waiting.clear()
        for reader in self._readers:
            await reader.close()

    def _arm(self) -> None:
        # After what else is ready to run: it may want to read as well.
        if not self._is_armed and self._waiting:
            self._is_armed = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_armed = False
        for reader in self._readers:
            if self._waiting and not reader.is_busy:
                reader.start([self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))])


class _Reader:
    """One thread and its connection."""

    def __init__(self, connection: sqlite3.Connection, timeout_s: float, when_free: Callable[[], None]) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._when_free = when_free
        self._deadline = 0.0
        self._thread: SideThread[list[_Read], _Outcome] = SideThread("sqlite-reader", self._read_batch, self._finish)
        connection.set_progress_handler(self._is_late, _INSTRUCTIONS)

    @property
    def is_busy(self) -> bool:
        return self._thread.is_busy

    def start(self, batch: list[_Read]) -> None:
        self._thread.start(batch, _HEAD_START_S)

    async def close(self) -> None:
        await self._thread.stop()
        self._connection.close()

    def _finish(self, outcome: _Outcome) -> None:
        for read, answer in outcome:
            _answer(read, answer)
        self._when_free()

    # --- in the thread ----------------------------------------------------------------------

    def _read_batch(self, batch: list[_Read], _leave: Leave) -> _Outcome:
        return [(read, self._read_one(read)) for read in batch]

    def _read_one(self, read: _Read) -> list[Row] | StorageError:
        self._deadline = time.monotonic() + self._timeout_s
        try:
            return self._connection.execute(read.sql, read.values).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return StorageFailed(f"A read took longer than {self._timeout_s:g} s and was ended.")
            return translate(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits must hear of it
            return translate(error)

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline


def _answer(read: _Read, answer: list[Row] | StorageError) -> None:
    if read.future.done():
        return
    if isinstance(answer, list):
        read.future.set_result(answer)
    else:
        read.future.set_exception(answer)
