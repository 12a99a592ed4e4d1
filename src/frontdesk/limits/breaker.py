"""The breaker: who asks a server that does not answer waits in vain, so after some failures nobody asks but a probe.

closed ──(failures in a row)──► open ──(a probe succeeds)──► closed
"""

from __future__ import annotations

import asyncio
import logging

from frontdesk.core.clock import Clock

_log = logging.getLogger("frontdesk.limits")
_MOST_FAILURES = 3


class Breaker:
    """Whether Valkey is asked. Each change is one line in the log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()
        self.closed.set()

    @property
    def is_open(self) -> bool:
        """Whether nobody is to ask."""
        return self.opened.is_set()

    def worked(self) -> None:
        """It answered in time."""
        self._failures = 0

    def failed(self, reason: str) -> None:
        """It did not."""
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            self.open(reason)

    def open(self, reason: str) -> None:
        """Ask no more."""
        if self.is_open:
            return
        self.closed.clear()
        self.opened.set()
        self._opened_at = self._clock.monotonic()
        _log.warning("limits_degraded valkey=away reason=%r counted=in_this_process", reason)

    def close(self) -> None:
        """Ask again."""
        if not self.is_open:
            return
        self._failures = 0
        self.opened.clear()
        self.closed.set()
        away_s = self._clock.monotonic() - self._opened_at
        _log.warning("limits_shared valkey=back away_s=%.1f", away_s)
