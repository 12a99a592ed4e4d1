"""Counters of this process alone: plain arithmetic, no waiting.

Arrival times stand on the monotonic clock, days on the calendar's. A key that holds nothing any more is forgotten:
each new one looks at two old ones, so there are never many more keys than count, and nothing ever stops to sweep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from frontdesk.core.clock import Clock
from frontdesk.limits.counters import LEASE_WAIT_S, Denied, Left, Sharing, Take, Taken

_DAY_S = 86_400.0
_ROUNDING_S = 1e-6
_ROUNDING = 1e-3  # of one thing
_NO_DAY = (-1.0, 0)


class InProcessCounters:
    """See `counters.Counters`; nothing here is awaited."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic = clock.monotonic
        self._times: _Forgetful[float] = _Forgetful(lambda time: time <= clock.monotonic())
        self._days: _Forgetful[tuple[float, int]] = _Forgetful(lambda of_day: of_day[0] != self._today())
        self._leases: dict[str, set[str]] = {}

    @property
    def sharing(self) -> Sharing:
        """This process counts for itself."""
        return "alone"

    @property
    def leases(self) -> Mapping[str, set[str]]:
        """Who holds each key of which somebody holds a lease."""
        return self._leases

    def take(self, takes: Sequence[Take], holder: str) -> Taken | Denied:
        """Take all, or nothing. O(takes)."""
        now = self._monotonic()
        times, leases = self._times.values, self._leases
        by, wait_s = -1, 0.0
        marks: list[float] = []
        for take in takes:
            limit = take.limit
            kind = limit.kind
            if kind == "rate":
                mark = times.get(take.key, now)
                if mark < now:  # noqa: PLR1730 - a call of max costs more than all of this
                    mark = now
                mark += take.weight * limit.interval_s
                over_s = mark - now - limit.window_s
                if over_s > _ROUNDING_S and over_s > wait_s:
                    by, wait_s = len(marks), over_s
            elif kind == "lease":
                mark = 0.0
                if len(leases.get(take.key, ())) >= limit.amount and wait_s < LEASE_WAIT_S:
                    by, wait_s = len(marks), LEASE_WAIT_S
            else:
                mark = self._today()
                if self._used_on(mark, take.key) + take.weight > limit.amount and self._to_midnight_s() > wait_s:
                    by, wait_s = len(marks), self._to_midnight_s()
            marks.append(mark)
        if by >= 0:
            return Denied(by, wait_s, self.look(takes))
        return self._taken(takes, holder, marks, now)

    def note(self, takes: Sequence[Take], holder: str) -> Taken:
        """Count what somebody else let pass, whatever the limits say."""
        now, today = self._monotonic(), self._today()
        marks = [
            max(self._times.values.get(take.key, now), now) + take.weight * take.limit.interval_s
            if take.limit.kind == "rate"
            else today
            for take in takes
        ]
        return self._taken(takes, holder, marks, now)

    def settle(self, taken: Taken, used: Sequence[int]) -> None:
        """Put what was used in the place of what was taken. O(takes)."""
        for take, mark, spent in zip(taken.takes, taken.marks, used, strict=True):
            more = spent - take.weight
            kind = take.limit.kind
            if kind == "lease":
                self._end_lease(take.key, taken.holder)
            elif more == 0:
                continue
            elif kind == "rate":
                self._correct_rate(take, mark, more)
            else:
                self._correct_day(take, mark, more)

    def look(self, takes: Sequence[Take]) -> list[Left]:
        """What is left, and nothing taken."""
        now = self._monotonic()
        return [self._left(take, now) for take in takes]

    async def close(self) -> None:
        """There is nothing in the background."""

    def _taken(self, takes: Sequence[Take], holder: str, marks: list[float], now: float) -> Taken:
        times, leases = self._times.values, self._leases
        left: list[Left] = []
        for take, mark in zip(takes, marks):  # noqa: B905 - they were made together, and strict costs
            key, limit = take.key, take.limit
            kind = limit.kind
            if kind == "rate":
                if key in times:
                    times[key] = mark
                else:
                    self._times.put(key, mark)
                whole_in_s = mark - now
                left.append(Left(int(limit.amount - whole_in_s / limit.interval_s + _ROUNDING), whole_in_s))
            elif kind == "lease":
                if (holders := leases.get(key)) is None:
                    holders = leases[key] = set()
                holders.add(holder)
                left.append(Left(limit.amount - len(holders), 0.0))
            else:
                used = self._used_on(mark, key) + take.weight
                self._days.put(key, (mark, used))
                left.append(Left(limit.amount - used, self._to_midnight_s()))
        return Taken(takes, holder, left, marks)

    def _left(self, take: Take, now: float) -> Left:
        limit = take.limit
        if limit.kind == "rate":
            whole_in_s = max(0.0, self._times.values.get(take.key, now) - now)
            return Left(max(0, int(limit.amount - whole_in_s / limit.interval_s + _ROUNDING)), whole_in_s)
        if limit.kind == "lease":
            return Left(max(0, limit.amount - len(self._leases.get(take.key, ()))), 0.0)
        return Left(max(0, limit.amount - self._used_on(self._today(), take.key)), self._to_midnight_s())

    def _correct_rate(self, take: Take, mark: float, more: int) -> None:
        """Owe more, or give back what time has not given back yet: all of it stands before `mark`.

        So nobody ever has more than if the true figure had been taken at first.
        """
        now = self._monotonic()
        if more > 0:
            self._times.put(take.key, max(self._times.values.get(take.key, now), now) + more * take.limit.interval_s)
        elif mark > now and take.key in self._times.values:
            self._times.values[take.key] -= min(-more * take.limit.interval_s, mark - now)

    def _correct_day(self, take: Take, day: float, more: int) -> None:
        of_day = self._days.values.get(take.key)
        if of_day is not None and of_day[0] == day:
            self._days.values[take.key] = (day, max(0, of_day[1] + more))

    def _end_lease(self, key: str, holder: str) -> None:
        holders = self._leases.get(key)
        if holders is not None:
            holders.discard(holder)
            if not holders:
                del self._leases[key]

    def _used_on(self, day: float, key: str) -> int:
        of_day, used = self._days.values.get(key, _NO_DAY)
        return used if of_day == day else 0

    def _today(self) -> float:
        return self._clock.now() // _DAY_S

    def _to_midnight_s(self) -> float:
        return _DAY_S - self._clock.now() % _DAY_S


_Value = TypeVar("_Value")


class _Forgetful(Generic[_Value]):
    """Values by key, of which those that say nothing any more go away as others come."""

    def __init__(self, is_over: Callable[[_Value], bool]) -> None:
        self.values: dict[str, _Value] = {}
        self._order: deque[str] = deque()
        self._is_over = is_over

    def put(self, key: str, value: _Value) -> None:
        """Keep a value. O(1)."""
        if key not in self.values:
            for _ in range(min(2, len(self._order))):
                self._look_at_oldest()
            self._order.append(key)
        self.values[key] = value

    def _look_at_oldest(self) -> None:
        oldest = self._order.popleft()
        if self._is_over(self.values[oldest]):
            del self.values[oldest]
        else:
            self._order.append(oldest)
