"""The ledger of one process: who reserves waits, who settles does not, and one transaction serves all of them.

    reserve, extend ─► requests ───┐ gather while a
    settle ──────────► settlements ┴ transaction is under way ─► Batch ─► one commit ─► answers

Theory of operation. One batch is under way at a time. What comes meanwhile is the next one, so that at any load
the cost of a commit is shared by all who wait for it. Settlements wait for the next who asks, some milliseconds
at most.

Where storage fails, requests fail and settlements stay, in their order, for the next try. Where a commit breaks, it
is not known whether the batch was stored: its requests fail, and what they may have put aside is given
back; its settlements are stored again under the same number, by which the database tells whether they were.
So a settlement is stored once, whether its turn had put something aside or not. A process that dies takes with it
what it had not stored, and leaves the holds: the sweeper spends them in full. A process that only
seemed dead corrects that with its settlements, for a day; afterwards the sweeper's word is the last.

Nothing of what was spent is dropped, so what waits must not grow: see `_MOST_WAITING`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Sequence

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.ids import new_id
from frontdesk.core.tasks import Tasks
from frontdesk.ledger.batch import Answer, Batch, Outcome, Request, Settling, run_batch
from frontdesk.ledger.holds import Balance, C, Choose, Enter, Reservation, Settlement, Window
from frontdesk.ledger.store.holds import HoldKey, forget_claim
from frontdesk.ledger.store.windows import Key, read_windows
from frontdesk.ledger.sweeping import CrashRows, sweep_holds
from frontdesk.storage.database import FEW_ROWS, Database
from frontdesk.storage.errors import OutcomeUnknown, StorageBusy, StorageClosed, StorageError, StorageFailed
from frontdesk.storage.query import Work

_log = logging.getLogger("frontdesk.ledger")

# Settlements in memory, at some kB each. Beyond it nothing more is reserved: each turn that is under way may
# still bring one.
_MOST_WAITING = 10_000
# Of settlements and of requests in a transaction: some milliseconds of statements.
_MOST_TOGETHER = 128
_MOST_KNOWN = 50_000
# A settlement waits so long for company, unless somebody asks. Where many ask, batches begin so far apart: a commit
# costs the same for two as for twenty.
_LINGER_S = 0.01
_SOON_S = 0.05
_APART_S = 0.002
_MANY = 3
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 1.0


class Ledger:
    """A Treasury (see `holds`) on a database. Belongs to one event loop; `close` before the database.

    `owner` is this process, as its heartbeat names it. `crash_rows` makes the rows of
    a turn whose process died.
    """

    def __init__(self, database: Database, owner: str, clock: Clock, crash_rows: CrashRows) -> None:
        self._database = database
        self._owner = owner
        self._name = new_id("ledger_")
        self._clock = clock
        self._crash_rows = crash_rows
        self._requests: deque[Request] = deque()
        self._settlings: deque[Settling] = deque()
        self._again: deque[Batch] = deque()
        """What comes before all that waits: it was tried before."""
        self._waiting = 0
        self._open: set[HoldKey] = set()
        self._known: set[Key] = set()
        self._number = 0
        self._tasks = Tasks("ledger")
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_closed = False
        self.lost_settlements = 0
        """How many could never be stored as they were: a fault of ours, each logged. What they cost is spent all
        the same, unless the log says otherwise."""

    @property
    def waiting_settlements(self) -> int:
        """How many are not stored yet."""
        return self._waiting

    @property
    def open_holds(self) -> int:
        """How many turns of this process have put something aside that was not settled yet."""
        return len(self._open)

    # --- asking -----------------------------------------------------------------------------

    async def reserve(self, reservation: Reservation, choose: Choose[C], enter: Enter[C] | None = None) -> C:
        """See `Treasury.reserve`. Raises what `choose` raises, too, and what `enter` returns. A turn reserves once,
        unless it was settled.
        """
        return await self._ask(reservation, choose, enter, is_extension=False)

    async def extend(self, reservation: Reservation, choose: Choose[C]) -> C:
        """See `Treasury.extend`. One that has put nothing aside so far does so now.

        Raises StorageFailed where the hold has expired: the sweeper has spent it.
        """
        return await self._ask(reservation, choose, None, is_extension=True)

    async def balances(self, tenant: str, windows: Sequence[Window]) -> list[Balance]:
        """See `Treasury.balances`: with what was settled here just now, where that can be stored soon. Raises
        StorageError.
        """
        if self._waiting:
            self._start()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_idle.wait(), _SOON_S)
        keys: list[Key] = [(tenant, each.scope, each.period, each.starts_at_ms) for each in windows]
        found = await read_windows(self._database, keys)
        return [Balance(*found.get(key, (0, 0))) for key in keys]

    async def _ask(
        self, reservation: Reservation, choose: Choose[C], enter: Enter[C] | None, *, is_extension: bool
    ) -> C:
        if self._is_closed:
            raise StorageClosed("The ledger was closed.")
        if self._waiting >= _MOST_WAITING:
            raise StorageBusy(f"{self._waiting} settlements wait to be stored: nothing is reserved until they are.")
        future: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        request = Request(reservation, choose, enter, future, is_extension=is_extension)
        self._requests.append(request)
        self._start()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled():  # it was answered, and nobody takes the answer
                future.exception()
                self._give_back(request)
            raise

    # --- settling ---------------------------------------------------------------------------

    def settle(self, settlement: Settlement) -> None:
        """See `Treasury.settle`. Only enqueues."""
        if self._is_closed:
            self._lose("after the ledger was closed", 1)
            return
        self._waiting += 1
        self._settlings.append(Settling(settlement))
        self._is_idle.clear()
        self._start_in(_LINGER_S)

    def _give_back(self, request: Request) -> None:
        """Undo a reservation that nobody waits for, behind what it did. A turn that extends is settled anyway."""
        if request.micros and not request.is_extension:
            self.settle(Settlement(request.reservation, 0, ()))

    def _lose(self, why: str, count: int) -> None:
        self.lost_settlements += count
        _log.error("settlements_lost reason=%s count=%d", why, count)

    # --- sweeping ---------------------------------------------------------------------------

    async def sweep(self, dead_after_s: float) -> int:
        """Settle in full what processes hold that have died, and what has expired, of all tenants; returns how many.

        Dead is whose last heartbeat is older than `dead_after_s`; where no other process can serve, every other
        one. Raises StorageError.
        """
        return await sweep_holds(self._database, self._owner, self._clock, self._crash_rows, dead_after_s)

    # --- ending -----------------------------------------------------------------------------

    async def flush(self) -> None:
        """Return when all that was settled so far is stored."""
        await self._is_idle.wait()

    async def close(self, timeout_s: float = 5.0) -> None:
        """Store what waits, for so long at most. What is left is for the sweeper of another process.

        May be called twice.
        """
        if self._is_closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.flush()
        self._is_closed = True
        self._disarm()
        await self._tasks.close()
        _fail(self._requests, StorageClosed("The ledger was closed."))
        self._requests.clear()
        if self._waiting:
            self._lose("the ledger was closed", self._waiting)
        self._database.enqueue(forget_claim(self._name))

    # --- batches ----------------------------------------------------------------------------

    def _start(self) -> None:
        self._is_idle.clear()
        self._disarm()
        if not self._is_running and not self._is_closed:
            self._is_running = True
            # It begins after what else is ready to run: that may want to reserve as well.
            self._tasks.start("batches", self._run())

    def _start_in(self, delay_s: float) -> None:
        """Begin then, or earlier where somebody asks: who reserves takes along what waits."""
        if self._timer is None and not self._is_running and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._start)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (batch := self._next_batch()) is not None:
                began_at = loop.time()
                if not await self._store(batch):
                    break
                if not self._again and not self._requests:  # settlements alone are in no hurry
                    break
                if len(batch.requests) >= _MANY:
                    await asyncio.sleep(began_at + _APART_S - loop.time())
        finally:
            self._is_running = False
        if self._settlings or self._again or self._requests:
            self._start_in(_LINGER_S)
        else:
            self._is_idle.set()

    def _next_batch(self) -> Batch | None:
        if self._again:
            return self._again.popleft()
        settlings = [self._settlings.popleft() for _ in range(min(len(self._settlings), _MOST_TOGETHER))]
        requests: list[Request] = []
        while self._requests and len(requests) < _MOST_TOGETHER:
            request = self._requests.popleft()
            if not request.future.done():
                requests.append(request)
        return Batch(settlings, requests) if settlings or requests else None

    async def _store(self, batch: Batch) -> bool:
        """Store a batch, or put away what is to be tried again; False where that has no sense just now."""
        if not batch.is_in_doubt:
            self._number += 1
            batch.number = self._number
        try:
            rows = FEW_ROWS * (len(batch.settlings) + len(batch.requests))
            outcome = await self._database.transact(self._work_of(batch), rows=rows)
        except OutcomeUnknown as error:
            self._doubt(batch, error)
            return True
        except StorageFailed as error:
            self._put_off(batch, error)
            return False
        except StorageError as error:
            self._divide(batch, error)
            return True
        except asyncio.CancelledError:
            _fail(batch.requests, StorageClosed("The ledger was closed."))
            raise
        self._pause_s = _FIRST_PAUSE_S
        self._stored(batch, outcome)
        return True

    def _work_of(self, batch: Batch) -> Work[Outcome | None]:
        now_ms = unix_ms(self._clock)
        return lambda: run_batch(batch, self._name, self._owner, now_ms, self._open, self._known)

    # --- what became of a batch -------------------------------------------------------------

    def _stored(self, batch: Batch, outcome: Outcome | None) -> None:
        self._waiting -= len(batch.settlings)
        self._open.difference_update(each.key for each in batch.settlings)
        if outcome is None:
            self._abandon(batch.requests, OutcomeUnknown("It was stored before."))
            return
        if outcome.too_late:
            self._lose("they came long after the sweeper", len(outcome.too_late))
        self._know(outcome.windows)
        for request, answer in zip(batch.requests, outcome.answers, strict=True):
            self._answer(request, answer)

    def _know(self, windows: Iterable[Key]) -> None:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(windows)

    def _answer(self, request: Request, answer: Answer) -> None:
        request.micros = answer.micros
        if answer.micros:
            self._open.add(request.key)
        if request.future.done():  # who asked was cancelled
            self._give_back(request)
        elif answer.error is not None:
            request.future.set_exception(answer.error)
        else:
            request.future.set_result(answer.choice)

    def _doubt(self, batch: Batch, error: OutcomeUnknown) -> None:
        """It may be stored or not: ask for its fate before all else."""
        self._abandon(batch.requests, error)
        self._again.appendleft(batch.without_requests(is_in_doubt=True))

    def _abandon(self, requests: Sequence[Request], error: StorageError) -> None:
        """Fail requests of which nobody knows whether they put something aside, and give it back.

        Where the turn has more, it is given back together, when the turn is settled.
        """
        _fail(requests, error)
        for request in requests:
            if request.key not in self._open:
                self.settle(Settlement(request.reservation, 0, ()))

    def _put_off(self, batch: Batch, error: StorageFailed) -> None:
        """Nothing can be stored now: settlements wait, requests do not."""
        _fail(batch.requests, error)
        _fail(self._requests, error)
        self._requests.clear()
        if batch.settlings or batch.is_in_doubt:
            self._again.appendleft(batch.without_requests(is_in_doubt=batch.is_in_doubt))
        if self._again or self._settlings:
            self._timer = asyncio.get_running_loop().call_later(self._pause_s, self._start)
            self._pause_s = min(self._pause_s * 2, _LAST_PAUSE_S)

    def _divide(self, batch: Batch, error: StorageError) -> None:
        """Something in it can never be stored: find out what, so that it fails alone."""
        if parts := batch.parts():
            self._again.extendleft(reversed(parts))
            return
        _fail(batch.requests, error)
        for settling in batch.settlings:
            if settling.rows:
                self._lose(f"its rows cannot be stored: {error}", 1)
                self._again.appendleft(Batch([settling.without_rows()], []))
            else:
                self._lose(f"it cannot be stored: {error}", 1)
                self._waiting -= 1


def _fail(requests: Iterable[Request], error: StorageError) -> None:
    for request in requests:
        if not request.future.done():
            request.future.set_exception(error)
