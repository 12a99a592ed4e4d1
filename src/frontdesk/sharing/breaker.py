"""The breaker: who asks a server that does not answer waits in vain, so after some failures nobody asks but a probe.

closed ──(failures in a row)──► open ──(a probe succeeds)──► closed
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from frontdesk.core.clock import Clock

MOST_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Signs:
    """What the log says of a breaker: where, the name of each change, and what is done while it is open."""

    log: logging.Logger
    opened: str
    closed: str
    meanwhile: str


class Breaker:
    """Whether Valkey is asked. Each change is one line in the log."""

    def __init__(self, clock: Clock, signs: Signs) -> None:
        self._clock = clock
        self._signs = signs
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
        if self._failures >= MOST_FAILURES:
            self.open(reason)

    def open(self, reason: str) -> None:
        """Ask no more."""
        if self.is_open:
            return
        self.closed.clear()
        self.opened.set()
        self._opened_at = self._clock.monotonic()
        signs = self._signs
        signs.log.warning("%s valkey=away reason=%r %s", signs.opened, reason, signs.meanwhile)

    def close(self) -> None:
        """Ask again."""
        if not self.is_open:
            return
        self._failures = 0
        self.opened.clear()
        self.closed.set()
        away_s = self._clock.monotonic() - self._opened_at
        self._signs.log.warning("%s valkey=back away_s=%.1f", self._signs.closed, away_s)
