"""GCRA: allowances that refill evenly, which is a sliding window without a list of times.

The theoretical arrival time of a key moves on by one interval with each thing that it takes; what
would move it further than a window ahead of now is refused. A full allowance may come at once; after
that, one thing an interval. In this process only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from frontdesk.core.clock import Clock

_Key = TypeVar("_Key", bound=Hashable)
_ROUNDING_S = 1e-6


class ArrivalTimes(Generic[_Key]):
    """The theoretical arrival times of keys. Iterates over the keys that are remembered."""

    def __init__(self, clock: Clock, window_s: float) -> None:
        self._clock = clock
        self._window_s = window_s
        self._times: dict[_Key, float] = {}
        self._sweep_at = clock.monotonic() + window_s

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._times)

    def take(self, key: _Key, limit: int) -> float | None:
        """Take one of `limit` a window; returns None, or the seconds until one may be taken.

        O(1), and once a window O(keys): who has the whole allowance again is forgotten.
        """
        now = self._clock.monotonic()
        arrives_at = max(now, self._times.get(key, now)) + self._window_s / limit
        wait_s = arrives_at - now - self._window_s
        if wait_s > _ROUNDING_S:
            return wait_s
        if now >= self._sweep_at:
            self._sweep(now)
        self._times[key] = arrives_at
        return None

    def give_back(self, key: _Key, limit: int) -> None:
        """Undo one take; nothing where the key is forgotten already."""
        if key in self._times:
            self._times[key] -= self._window_s / limit

    def _sweep(self, now: float) -> None:
        self._times = {key: arrives_at for key, arrives_at in self._times.items() if arrives_at > now}
        self._sweep_at = now + self._window_s
