"""One lane on PostgreSQL: enqueued entries, written in order by one task, exactly once.

A connection that breaks during COMMIT leaves open whether the transaction happened. So each group
moves the lane's marker in its own transaction, and after a break the marker is asked before anything
is written again.

    take a group ─► BEGIN, marker, steps, COMMIT ───────────────────────► next group
                       │ broke before COMMIT: again      │ broke during COMMIT
                       ▼                                 ▼
                    the same group ◄── no ── did the marker move? ── yes ─► next group

Entries of MONEY each get a transaction of their own: two of them in one would hold locks in an
order that another process may not share, and deadlock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count

from frontdesk.storage.database import StorageLimits
from frontdesk.storage.errors import OutcomeUnknown, StorageError
from frontdesk.storage.lanes import Entry, Lane
from frontdesk.storage.postgresql_connection import (
    Connection,
    Pool,
    Transaction,
    Verdict,
    describe,
    judge,
    translate,
    uneven,
)
from frontdesk.storage.postgresql_health import Health
from frontdesk.storage.postgresql_marker import Marker

_GROUP_ROWS = {Lane.MONEY: 1, Lane.EVENTS: 500, Lane.BULK: 500}
_FIRST_PAUSE_S = 0.02
_LAST_PAUSE_S = 1.0
# Money is never given up because others are in its way.
_CONTENTION_TRIES = {Lane.MONEY: float("inf"), Lane.EVENTS: 20, Lane.BULK: 20}


class PostgresqlLane:
    """What waits in one lane, and which awaited writes of it are under way."""

    def __init__(self, lane: Lane, pool: Pool, health: Health, limits: StorageLimits) -> None:
        self._lane = lane
        self._pool = pool
        self._health = health
        self._limits = limits
        self._waiting: deque[Entry] = deque()
        self._waiting_rows = 0
        self._under_way: dict[int, Entry] = {}
        self._changed = asyncio.Event()
        self._delivering: list[Entry] = []
        self.marker = Marker(lane.name.lower())
        self._groups = count()

    def begin(self, entry: Entry) -> None:
        """An awaited write begins: what is enqueued from now on comes after it."""
        self._under_way[entry.number] = entry

    def end(self, entry: Entry) -> None:
        """An awaited write has ended."""
        del self._under_way[entry.number]
        self._changed.set()

    def add(self, entry: Entry) -> None:
        """Put an entry last."""
        if self._lane is Lane.BULK and self._waiting_rows + entry.rows > self._limits.bulk_queue_rows:
            self._health.dropped_writes += 1
            return
        self._waiting.append(entry)
        self._waiting_rows += entry.rows
        self._changed.set()

    async def deliver_all(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._until_ready()
            if self._lane is not Lane.MONEY and self._waiting_rows < _GROUP_ROWS[self._lane]:
                await asyncio.sleep(self._limits.linger_s)
            self._delivering = self._take_group()
            await self._deliver(self._delivering)
            self._delivering = []

    def take_rest(self) -> list[Entry]:
        """Take what was not written; after `deliver_all` was cancelled."""
        rest = [*self._delivering, *self._waiting]
        self._waiting.clear()
        return rest

    async def _until_ready(self) -> None:
        while not self._is_ready():
            self._changed.clear()
            await self._changed.wait()

    def _is_ready(self) -> bool:
        return bool(self._waiting) and self._waiting[0].number < self._first_under_way()

    def _first_under_way(self) -> float:
        return next(iter(self._under_way), float("inf"))

    def _take_group(self) -> list[Entry]:
        group = [self._take_one()]
        rows = group[0].rows
        while rows < _GROUP_ROWS[self._lane] and self._is_ready():
            group.append(self._take_one())
            rows += group[-1].rows
        return group

    def _take_one(self) -> Entry:
        entry = self._waiting.popleft()
        self._waiting_rows -= entry.rows
        return entry

    async def _deliver(self, group: list[Entry]) -> None:
        delivery = _Delivery(group, next(self._groups))
        pause_s, tries = _FIRST_PAUSE_S, 0
        while True:
            try:
                await self._try(delivery)
            except Exception as error:  # noqa: BLE001 - each kind has its remedy
                verdict = judge(error)
                tries += verdict is Verdict.TRY_AGAIN and not delivery.is_doubtful
                is_hopeless = verdict is Verdict.FINAL or tries > _CONTENTION_TRIES[self._lane]
                if is_hopeless and not delivery.is_doubtful:  # what may be stored is never written elsewhere
                    await self._give_up(group, error)
                    return
                if verdict is Verdict.TRY_LATER or is_hopeless:
                    self._health.failed(describe(error))
                    self._fail_flushes(translate(error))
            else:
                self._health.worked()
                for entry in group:
                    entry.succeed([])
                return
            await asyncio.sleep(uneven(pause_s))
            pause_s = min(pause_s * 2, _LAST_PAUSE_S)

    def _fail_flushes(self, failure: StorageError) -> None:
        for entry in (*self._delivering, *self._waiting):
            entry.fail(failure)

    async def _try(self, delivery: _Delivery) -> None:
        if delivery.is_stored or not delivery.steps:  # those of a flush
            return
        async with self._pool.acquire(timeout=self._limits.connect_timeout_s) as connection:
            if delivery.is_doubtful:
                delivery.is_stored = await self.marker.has(connection, delivery.number)
                delivery.is_doubtful = False
            if not delivery.is_stored:
                await self._store(delivery, connection)

    async def _store(self, delivery: _Delivery, connection: Connection) -> None:
        transaction = Transaction(connection)
        try:
            await transaction.run_together(delivery.steps, self.marker.begin(delivery.number))
        except Exception as error:
            delivery.is_doubtful = isinstance(translate(error, transaction.progress), OutcomeUnknown)
            raise
        delivery.is_stored = True  # also where giving the connection back fails

    async def _give_up(self, group: list[Entry], error: Exception) -> None:
        """Write the entries one by one, so that the one at fault is lost alone."""
        parts = group if len(group) > 1 else group[0].divide()
        for entry in parts:
            await self._deliver([entry])
        if not parts:
            self._health.lost(group, describe(error))


class _Delivery:
    """A group on its way. Where it `is_doubtful`, a transaction of this number may have stored it already."""

    def __init__(self, group: list[Entry], number: int) -> None:
        self.number = number
        self.steps = [step for entry in group for step in entry.steps]
        self.is_doubtful = False
        self.is_stored = False
