"""The slots of one provider: how many requests it carries at once, and who goes next.

    enter ──► a slot is free ─────────────────────────────► granted
          ──► none, but one will be in time ──► waiting ──► granted
          ──► none in time, or too many wait          └──► ProviderFull: too late after all, or pushed out
    leave ──► the next one is granted

Interactive requests take any slot, all others only where more than the spare ones are free (`spare`): so whoever waits
for an answer themselves finds a slot at once as long as no more of them come before another request ends. What is kept
free is not kept from the others for ever: one of so many grants is theirs, the oldest one's, however many interactive
requests come.

How long a wait will be is its place, times how long a request holds a slot on the average, by how many slots there
are. Who would wait longer than its deadline or than `longest_wait_s` is refused at once and told to come back then.

Everything is of this process. It has no task, and one timer for all who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from frontdesk.core.clock import Clock
from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.core.config import Slots as SlotsConfig
from frontdesk.core.errors import ProviderFull
from frontdesk.scheduling.spare import Spare
from frontdesk.scheduling.waiting import LEVELS, Waiter, Waiting
from frontdesk.turn.turn import Turn


@dataclass(frozen=True, slots=True)
class Standing:
    """How the slots of a provider are, for operators.

    `waiting` counts by the class that requests came with; `shed` are all that were refused a slot since the start.
    `service_s` is how long a request held a slot on the average of late, None where none has ended yet.
    """

    concurrent: int
    spare: int
    in_use: int
    waiting: dict[Priority, int]
    oldest_wait_s: float
    shed: int
    service_s: float | None


class Slots:
    """Grants the slots of one provider. Each operation is O(log n) in those who wait."""

    def __init__(self, provider: str, settings: SlotsConfig, clock: Clock) -> None:
        self._provider = provider
        self._concurrent = settings.concurrent
        self._spare = Spare(settings.concurrent, settings.spare, clock.monotonic())
        self._most_waiting = settings.waiting
        self._longest_wait_s = settings.longest_wait_s
        self._ageing_s = settings.ageing_s
        self._clock = clock
        self._held: dict[str, list[_Hold]] = {}  # by turn: one with several attempts may hold several
        self._in_use = dict.fromkeys(PRIORITIES, 0)
        self._service = _Service()
        self._waiting = Waiting(settings.ageing_s)
        self._waiting_of = dict.fromkeys(PRIORITIES, 0)
        self._passed_over = 0  # how often in a row an interactive request was let in before all others who waited
        # A heap of when waits end. Those who wait no more may still be in it.
        self._ends: list[tuple[float, int, Waiter]] = []
        self._entered = 0
        self._telling = 0  # how many of those who wait are told of it
        self._shed = 0
        self._look_at = 0.0
        self._look: asyncio.TimerHandle | None = None

    # --- coming and going -------------------------------------------------------------------

    def enter(self, turn: Turn) -> Awaitable[None] | None:
        """Take a slot for an attempt: at once, or when what is returned was awaited.

        Raises ProviderFull where none can be had in time, as does the wait where that turns out later. Each slot is
        given back by one `leave`; a wait that was cancelled or refused has none to give back.
        """
        now = self._clock.monotonic()
        is_interactive = turn.priority == "interactive"
        is_free = self._is_free_for(turn, now)
        if is_free and len(self._waiting):  # fewer may be spare by now than when one was last let in
            self._fill(now)
            is_free = self._is_free_for(turn, now)
        if is_free:
            if is_interactive:
                self._spare.found(now)
            self._begin(turn, now)
            self._fill(now)
            return None
        if is_interactive and self._in_use["interactive"] < self._service.under_way:
            self._spare.missed(now)
        return self._wait(*self._line_up(turn, now))

    def leave(self, turn: Turn) -> None:
        """Give back a slot of this turn, once for each that it was granted; does nothing where it has none."""
        held = self._held.get(turn.id)
        if not held:
            return
        hold = held.pop()
        if not held:
            del self._held[turn.id]
        now = self._clock.monotonic()
        self._in_use[hold.priority] -= 1
        self._service.end(hold.since, now)
        self._fill(now)

    def sweep(self) -> None:
        """Refuse those whose time is over, and tell the others where they stand; the timer does it in time."""
        now = self._clock.monotonic()
        while (end := self._next_end()) is not None and end <= now:
            self._refuse(heappop(self._ends)[2], "waited too long", now)
        self._fill(now)
        if self._telling:
            self._tell_all(now)
        self._plan_look(now)

    def standing(self) -> Standing:
        """How they are now."""
        oldest = self._waiting.oldest()
        return Standing(
            concurrent=self._concurrent,
            spare=self._spare.amount(self._clock.monotonic()),
            in_use=sum(self._in_use.values()),
            waiting=dict(self._waiting_of),
            oldest_wait_s=0.0 if oldest is None else self._clock.monotonic() - oldest.since,
            shed=self._shed,
            service_s=self._service.mean_s,
        )

    # --- granting ---------------------------------------------------------------------------

    def _is_free_for(self, turn: Turn, now: float) -> bool:
        return self._free() > (0 if turn.priority == "interactive" else self._spare.amount(now))

    def _free(self) -> int:
        return self._concurrent - self._service.under_way

    def _begin(self, turn: Turn, now: float) -> None:
        priority = turn.priority
        self._held.setdefault(turn.id, []).append(_Hold(priority, now))
        self._in_use[priority] += 1
        self._service.begin(now)
        is_before_others = priority == "interactive" and len(self._waiting) > self._waiting_of["interactive"]
        self._passed_over = self._passed_over + 1 if is_before_others else 0

    def _fill(self, now: float) -> None:
        """Grant what can be: nobody waits whom a free slot is for."""
        while len(self._waiting) and (waiter := self._next(now)) is not None:
            self._forget(waiter, was_let_in=True)
            if waiter.granted.done():
                continue  # it was cancelled, and does not know yet
            waiter.has_slot = True
            self._begin(waiter.turn, now)
            waiter.granted.set_result(None)
            if waiter.tell is not None:
                waiter.tell({"type": "frontdesk.started", "waited_s": round(now - waiter.since, 1)})

    def _next(self, now: float) -> Waiter | None:
        free = self._free()
        if free <= 0:
            return None
        self._waiting.age(now)
        if self._passed_over >= _MOST_PASSED_OVER:
            oldest = self._waiting.oldest_of_others()
            if oldest is not None and now - oldest.since >= self._ageing_s:
                return oldest
        return self._waiting.next() if free > self._spare.amount(now) else self._waiting.next_interactive()

    # --- waiting ----------------------------------------------------------------------------

    def _line_up(self, turn: Turn, now: float) -> tuple[Waiter, int]:
        """Let one more wait. Returns its place as well, from 1."""
        self._waiting.age(now)
        level, who = LEVELS[turn.priority], turn.caller.who
        place = self._waiting.place_of_one_more(level, who)
        expected_s = self._expected_s(place, turn.priority, now)
        until = min(now + self._longest_wait_s, turn.deadline_at - _LEAST_LEFT_S)
        if now + expected_s > until:
            raise self._full(f"{expected_s:.1f} s to wait at place {place}", expected_s)
        if len(self._waiting) >= self._most_waiting:
            last = self._waiting.last_below(level) or self._waiting.last_of_the_busiest(level, who)
            if last is None:
                raise self._full(f"{len(self._waiting)} wait", expected_s)
            self._refuse(last, "pushed out", now)
        granted: asyncio.Future[ProviderFull | None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(turn, who, now, until, granted)
        self._waiting.add(waiter)
        self._waiting_of[turn.priority] += 1
        self._expect_end(waiter)
        self._telling += waiter.tell is not None
        self._plan_look(now)
        return waiter, place

    async def _wait(self, waiter: Waiter, place: int) -> None:
        turn = waiter.turn
        turn.slots_awaited += 1
        try:
            self._tell(waiter, place, waiter.since)
            refusal = await waiter.granted
        except BaseException:
            if waiter.has_slot:  # granted, and cancelled before it went on
                self.leave(turn)
            elif waiter in self._waiting:
                self._forget(waiter)
            raise
        finally:
            turn.slots_awaited -= 1
        if refusal is not None:
            raise refusal

    def _forget(self, waiter: Waiter, *, was_let_in: bool = False) -> None:
        if was_let_in:
            self._waiting.let_in(waiter)
        else:
            self._waiting.remove(waiter)
        self._waiting_of[waiter.turn.priority] -= 1
        self._telling -= waiter.tell is not None

    def _refuse(self, waiter: Waiter, why: str, now: float) -> None:
        self._forget(waiter)
        if not waiter.granted.done():
            place = self._waiting.place_of_one_more(LEVELS[waiter.turn.priority], waiter.who)
            waiter.granted.set_result(self._full(why, self._expected_s(place, waiter.turn.priority, now)))

    def _full(self, why: str, expected_s: float) -> ProviderFull:
        self._shed += 1
        return ProviderFull(f"no slot of {self._provider}: {why}", retry_after_s=max(expected_s, _LEAST_RETRY_S))

    def _expected_s(self, place: int, priority: Priority, now: float) -> float:
        """How long this place means, as far as is measured; 0 where nothing is."""
        slots = self._concurrent
        if priority != "interactive":
            slots = max(1, slots - self._spare.amount(now) - self._in_use["interactive"])
        return place * self._service.expected_s(now) / slots

    def _expect_end(self, waiter: Waiter) -> None:
        if len(self._ends) > 2 * len(self._waiting) + _ROOM:
            self._ends = [end for end in self._ends if end[2] in self._waiting]
            heapify(self._ends)
        self._entered += 1
        heappush(self._ends, (waiter.until, self._entered, waiter))

    # --- looking at those who wait ----------------------------------------------------------

    def _next_end(self) -> float | None:
        """When the next wait ends; None where nobody waits."""
        ends = self._ends
        while ends and ends[0][2] not in self._waiting:
            heappop(ends)
        return ends[0][0] if ends else None

    def _plan_look(self, now: float) -> None:
        """See that the timer goes off when the next wait ends, or in a second where somebody is told of places."""
        look_at = self._next_end()
        if look_at is None:
            return  # where it is set it finds nobody
        if self._telling:
            look_at = min(look_at, now + _TELL_EVERY_S)
        if self._look is not None:
            if self._look_at <= look_at:
                return
            self._look.cancel()
        self._look_at = look_at
        self._look = asyncio.get_running_loop().call_later(max(0.0, look_at - now), self._go_off)

    def _go_off(self) -> None:
        self._look = None
        self.sweep()

    def _tell_all(self, now: float) -> None:
        """Tell those whose place is another than they were told, if that was not just now. O(n)."""
        for place, waiter in enumerate(self._waiting, 1):
            if waiter.told_place != place and now - waiter.told_at >= _TELL_EVERY_S - _ROUNDING_S:
                self._tell(waiter, place, now)

    def _tell(self, waiter: Waiter, place: int, now: float) -> None:
        if waiter.tell is None:
            return
        waiter.told_place, waiter.told_at = place, now
        priority = waiter.turn.priority
        is_measured = self._service.mean_s is not None
        waiter.tell(
            {
                "type": "frontdesk.waiting",
                "place": place,
                "waiting": len(self._waiting),
                "priority": priority,
                "expected_s": round(self._expected_s(place, priority, now), 1) if is_measured else None,
            }
        )


@dataclass(frozen=True, slots=True)
class _Hold:
    priority: Priority
    since: float


class _Service:
    """How long requests hold a slot: the mean of the last ones that ended."""

    __slots__ = ("_began_at", "_ended", "mean_s", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.mean_s: float | None = None
        self._began_at = 0.0
        self._ended = 0

    def begin(self, now: float) -> None:
        self.under_way += 1
        self._began_at = now

    def end(self, began: float, now: float) -> None:
        self.under_way -= 1
        self._ended = min(self._ended + 1, _REMEMBERED)
        mean_s = self.mean_s or 0.0
        self.mean_s = mean_s + (now - began - mean_s) / self._ended

    def expected_s(self, now: float) -> float:
        """The mean, where somebody waits. But all that are under way take at least as long as the youngest of them
        already has: a provider that came to a halt ends nothing that a mean could be taken of.
        """
        return max(self.mean_s or 0.0, now - self._began_at)


_MOST_PASSED_OVER = 16
"""So many interactive requests go before the oldest of the others, where these get nothing else."""
_REMEMBERED = 32
_TELL_EVERY_S = 1.0
_ROUNDING_S = 0.01
_LEAST_RETRY_S = 1.0
# Of its time, or a slot is of no use to a turn. So who waits is told that, before it is told that its time is over.
_LEAST_LEFT_S = 0.02
_ROOM = 64
