"""Stores what logs gather: the entries of all of them together, in one transaction after the other.

    logs ──grew──► dirty ──► one transaction: entries of all, ends of some ──► stored ──► shown to their readers

One transaction is under way at a time; what comes meanwhile is the next one's. The more logs there are, the longer it
waits for company: a lone reader sees a word a millisecond or two after it came, and two hundred cost little more than
twenty. Where nothing can be stored for some seconds, readers get their words all the same and the log says so: people
who wait for an answer are told it, and a crash in that time loses what they had been told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence

from frontdesk.core.tasks import Tasks
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.store.carriers import put_events
from frontdesk.storage.database import FEW_ROWS, Database
from frontdesk.storage.errors import StorageError, StorageFailed
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Row, Step
from frontdesk.turn.log import Entry, TurnLog, encode_entries

_log = logging.getLogger("frontdesk.keeping")

Ending = Callable[[], Generator[Step, list[Row], None]]
"""What is stored with the last entries of a turn; part of a transaction, so it may run twice."""
Published = Callable[[str, TurnLog, int, Sequence[Entry]], None]
"""Told of a tenant's log, the place of the first entry that was stored just now, and these entries."""

_APART_S = 0.0015
_APART_S_EACH = 0.0001  # for each log that has something
_MOST_APART_S = 0.025
_PATIENCE_S = 5.0
_LOOK_EVERY_S = 0.5
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 1.0
_MOST_UNSTORED = 2_000


class Writing:
    """A log on its way to the store. Without `keeps_entries` only its ending is stored.

    `otherwise` is stored in the place of an ending that never can be.
    """

    __slots__ = (
        "ending",
        "is_dropped",
        "keeps_entries",
        "log",
        "otherwise",
        "room",
        "since",
        "stored",
        "tenant",
        "was_shown",
    )

    def __init__(self, tenant: str, log: TurnLog, *, keeps_entries: bool) -> None:
        self.tenant = tenant
        self.log = log
        self.keeps_entries = keeps_entries
        self.stored = 0
        self.ending: Ending | None = None
        self.otherwise: Ending | None = None
        self.room: asyncio.Future[None] | None = None  # of its turn, which waits until something was stored
        self.since: float | None = None  # it was seen to wait
        self.was_shown = False  # though not all of it is stored
        self.is_dropped = False  # it is another process's


class Journal:
    """The logs of one process. `close` before the database."""

    def __init__(self, database: Database, lease: Lease, published: Published) -> None:
        self._database = database
        self._lease = lease
        self._published = published
        self._dirty: dict[str, Writing] = {}
        self._storing: Sequence[Writing] = ()
        self._tasks = Tasks("journal")
        self._is_running = False
        self._is_failing = False
        self._pause_s = _FIRST_PAUSE_S
        self._next_look: asyncio.TimerHandle | None = None

    def grew(self, writing: Writing) -> None:
        """There are entries that are not stored."""
        if writing.is_dropped:
            return
        self._dirty[writing.log.id] = writing
        if not self._is_running:
            self._is_running = True
            self._tasks.start("journal", self._run())

    async def room(self, writing: Writing) -> None:
        """Return once not too much of a log waits to be stored."""
        while len(writing.log.entries) - writing.log.shown > _MOST_UNSTORED and not writing.is_dropped:
            await self._stored_some(writing)

    async def end(self, writing: Writing, ending: Ending, otherwise: Ending | None = None) -> None:
        """Store the rest of a log together with its ending, or with another one where that can never be stored.

        Returns when its readers may see all.
        """
        writing.ending, writing.otherwise = ending, otherwise
        self.grew(writing)
        while writing.ending is not None and not writing.was_shown and not writing.is_dropped:
            await self._stored_some(writing)

    def drop(self, writing: Writing) -> None:
        """Store nothing more of a log: it is not this process's any more."""
        self._dirty.pop(writing.log.id, None)
        writing.ending, writing.is_dropped = None, True
        _tell(writing)

    def drop_all(self) -> None:
        """Store nothing more of all logs that wait by now."""
        for writing in (*self._storing, *self._dirty.values()):
            self.drop(writing)

    async def close(self) -> None:
        """End the work in the background; what is not stored by now is lost."""
        await self._tasks.close()

    async def _stored_some(self, writing: Writing) -> None:
        writing.room = asyncio.get_running_loop().create_future()
        await writing.room

    # --- storing ----------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(_LOOK_EVERY_S, self._look)
        try:
            while self._dirty:
                began_at = loop.time()
                self._storing = some = list(self._dirty.values())
                self._dirty.clear()
                is_stored = await self._store(some)
                self._storing = ()
                if is_stored:
                    apart_s = min(_MOST_APART_S, _APART_S + _APART_S_EACH * len(some))
                    await asyncio.sleep(max(0.0, began_at + apart_s - loop.time()))
                else:
                    await asyncio.sleep(self._pause_s)
                    self._pause_s = min(self._pause_s * 2, _LAST_PAUSE_S)
        finally:
            self._next_look.cancel()
            self._storing = ()
            self._is_running = False

    async def _store(self, some: Sequence[Writing]) -> bool:
        """Store some logs; False where nothing can be stored now, and they stay."""
        carrier = self._lease.carrier
        lengths = [len(writing.log.entries) for writing in some]
        endings = [writing.ending for writing in some]
        try:
            rows = [
                _row(writing, length)
                for writing, length in zip(some, lengths, strict=True)
                if writing.keeps_entries and length > writing.stored
            ]
            is_ours = await self._put(rows, [ending for ending in endings if ending is not None])
        except StorageFailed as error:
            self._put_back(some, error)
            return False
        except Exception as error:  # noqa: BLE001 - a bug in what one log brings must not stop all others
            await self._divide(some, error)
            return True
        self._works_again()
        if not is_ours:
            await self._lose(carrier, some)
            return True
        for writing, length, ending in zip(some, lengths, endings, strict=True):
            if writing.ending is ending:
                writing.ending = writing.otherwise = None
            self._has_stored(writing, length)
        return True

    async def _put(self, rows: list[dict[str, object]], endings: Sequence[Ending]) -> bool:
        if not rows and not endings:
            return True
        check = self._lease.check
        if not endings and check is None:
            await self._database.write(put_events(rows), lane=Lane.EVENTS)
            return True

        def work() -> Generator[Step, list[Row], bool]:
            if check is not None and not (yield check):
                return False
            if rows:
                yield put_events(rows)
            for ending in endings:
                yield from ending()
            return True

        return await self._database.transact(work, Lane.EVENTS, rows=len(rows) + FEW_ROWS * len(endings))

    def _has_stored(self, writing: Writing, length: int) -> None:
        first, writing.stored, writing.since = writing.stored, length, None
        log = writing.log
        writing.was_shown = log.shown > length
        log.show(max(log.shown, length))
        self._published(writing.tenant, log, first, log.entries[first:length])
        _tell(writing)

    # --- where that fails -------------------------------------------------------------------

    def _put_back(self, some: Sequence[Writing], error: StorageFailed) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.error("journal_failing reason=%s", error)
        newer, self._dirty = self._dirty, {writing.log.id: writing for writing in some if not writing.is_dropped}
        self._dirty.update(newer)

    def _works_again(self) -> None:
        self._pause_s = _FIRST_PAUSE_S
        if self._is_failing:
            self._is_failing = False
            _log.warning("journal_recovered")

    def _look(self) -> None:
        """Show what waits too long: because storing fails, or because it does not end."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for writing in (*self._storing, *self._dirty.values()):
            if writing.since is None:
                writing.since = now
            elif now - writing.since >= _PATIENCE_S:
                _show_unstored(writing)
        self._next_look = loop.call_later(_LOOK_EVERY_S, self._look)

    async def _lose(self, carrier: str, some: Sequence[Writing]) -> None:
        for writing in some:
            self.drop(writing)
        try:
            await self._lease.lose(carrier)
        except StorageError as error:
            _log.warning("carrier_not_begun reason=%s", error)  # the next beat begins it

    async def _divide(self, some: Sequence[Writing], error: Exception) -> None:
        """Something can never be stored: find out whose, so that it is lost alone."""
        if len(some) > 1:
            for writing in some:
                if not writing.is_dropped:
                    await self._store([writing])
            return
        (writing,) = some
        reason = error if isinstance(error, StorageError) else type(error).__name__
        _log.error("entries_lost turn_id=%s reason=%s", writing.log.id, reason)
        writing.ending, writing.otherwise = writing.otherwise, None
        writing.stored = len(writing.log.entries)
        _show_unstored(writing)
        if writing.ending is not None:
            self.grew(writing)


def _row(writing: Writing, length: int) -> dict[str, object]:
    return {
        "tenant": writing.tenant,
        "response": writing.log.id,
        "first": writing.stored,
        "last": length - 1,
        "content": encode_entries(writing.log.entries[writing.stored : length]),
    }


def _show_unstored(writing: Writing) -> None:
    writing.was_shown = True
    writing.log.show(len(writing.log.entries))
    _tell(writing)


def _tell(writing: Writing) -> None:
    room, writing.room = writing.room, None
    if room is not None and not room.done():
        room.set_result(None)
