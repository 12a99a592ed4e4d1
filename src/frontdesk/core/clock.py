"""Time, as a thing that tests can hold still."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps. For durations and windows."""
        ...


def unix_ms(clock: Clock) -> int:
    """Milliseconds since 1970-01-01 UTC, as rows tell times."""
    return int(clock.now() * 1000)


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
