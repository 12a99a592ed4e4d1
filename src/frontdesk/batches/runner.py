"""The batches of a process: taken over one by one, carried beside each other, left to others when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from frontdesk.batches.carrying import AbsentCallers, Carrying, Means, Room
from frontdesk.batches.slots import FairSlots, FundedLines
from frontdesk.batches.store import AllBatches, BatchRow, BatchWork
from frontdesk.core import config
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.tasks import Tasks
from frontdesk.doors.absent import Asker
from frontdesk.files.service import Files
from frontdesk.storage.database import Database
from frontdesk.storage.errors import StorageError

_log = logging.getLogger("frontdesk.batches")
_LOOK_EVERY_S = 2.0
_MOST_CARRIED = 64
_MOST_OF_ONE = 16  # owner: whoever comes later finds room, though one has many and long ones
_PAUSE_S = 5.0
_LAST_WORDS_S = 5.0
_DAY_MS = 86_400_000


class BatchRunner:
    """Carries batches. `start` it; then `stop` it before turns are ended, and `close` it behind them."""

    def __init__(
        self,
        database: Database,
        process: str,
        files: Files,
        asker: Asker,
        callers: AbsentCallers,
        room: Room,
        clock: Clock,
        settings: config.Batches,
        max_line_bytes: int,
        dead_after_s: float,
    ) -> None:
        self._clock = clock
        self._work = BatchWork(database, process, dead_after_s)
        self._all = AllBatches(database)
        self._tasks = Tasks("batches")
        self._lines = Tasks("batch lines")
        self._carried: dict[str, Carrying] = {}
        self._is_wanted = asyncio.Event()
        self._stopped = asyncio.Event()
        self._has_closed = False
        self._means = Means(
            work=self._work,
            files=files,
            asker=asker,
            callers=callers,
            room=room,
            slots=FairSlots(settings.concurrent),
            funded=FundedLines(),
            clock=clock,
            tasks=self._lines,
            max_lines=settings.max_lines,
            max_line_bytes=max_line_bytes,
            keep_ms=int(settings.keep_days * _DAY_MS),
            is_closing=self._stopped.is_set,
        )

    def start(self) -> None:
        """Begin to look for batches."""
        self._tasks.start("look", self._look())

    def look(self) -> None:
        """There may be something to do: a batch was made, or cancelled."""
        self._is_wanted.set()
        for carrying in self._carried.values():
            carrying.look()

    def stop(self) -> None:
        """Ask no more lines. Those under way go on."""
        self._stopped.set()
        self.look()

    async def close(self) -> None:
        """Keep what came of the lines that were under way, and leave the batches to others. May be called twice."""
        if self._has_closed:
            return
        self._has_closed = True
        self.stop()
        if not await self._tasks.wait(_LAST_WORDS_S):
            await self._tasks.close()
        await self._lines.close()
        try:
            await self._work.leave_all()
        except StorageError as error:  # they are taken for those of a dead process then
            _log.warning("store_unavailable work=batches reason=%s", error)

    async def sweep(self) -> None:
        """Remove batches that ended long ago."""
        await self._all.sweep(unix_ms(self._clock))

    async def _look(self) -> None:
        while not self._stopped.is_set():
            self._is_wanted.clear()
            try:
                await self._take_some()
            except StorageError as error:
                _log.warning("store_unavailable work=batches reason=%s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._is_wanted.wait()

    async def _take_some(self) -> None:
        while len(self._carried) < _MOST_CARRIED and not self._stopped.is_set():
            row = await self._work.take(unix_ms(self._clock), _MOST_OF_ONE)
            if row is None:
                return
            self._carried[row.id] = Carrying(row, self._means)
            self._tasks.start(row.id, self._carry(row))

    async def _carry(self, row: BatchRow) -> None:
        carrying = self._carried[row.id]
        try:
            while not await self._has_run(carrying, row) and not self._stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PAUSE_S):
                        await self._stopped.wait()
        finally:
            del self._carried[row.id]
            if all(each.owner != row.owner for each in self._carried.values()):
                self._means.funded.forget(row.owner)
            self._is_wanted.set()

    async def _has_run(self, carrying: Carrying, row: BatchRow) -> bool:
        """Go on with a batch; False where it should be tried again."""
        try:
            await carrying.run()
        except StorageError as error:
            _log.warning("store_unavailable work=batches id=%s reason=%s", row.id, error)
        except Exception:  # noqa: BLE001 - a bug stops neither the other batches nor, once it is mended, this one
            _log.exception("batch_broke id=%s", row.id)
        else:
            return True
        return False
