"""What was read last of what was said, so that who goes on with it does not wait for the same again.

Only what has ended is kept here, and that never changes until it is deleted. Whether it may be told is asked of the
store each time: so nothing is told that is not there any more, and no text stays for long that was deleted elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from frontdesk.core.clock import Clock
from frontdesk.policies.history import Recalled

_MOST_BYTES = 32 * 1024 * 1024
_LARGEST_PART = 8  # of all that is kept, so that one response full of pictures does not push out all others
_LIFE_S = 300.0


class Said(NamedTuple):
    """What a response said: the items that its request brought, and those of its answer."""

    brought: Sequence[Recalled]
    answered: Sequence[Recalled]


class _Read(NamedTuple):
    said: Said
    size_bytes: int
    until: float


class Recent:
    """Keeps some of it: what was read last, for some minutes."""

    def __init__(self, clock: Clock, most_bytes: int = _MOST_BYTES, life_s: float = _LIFE_S) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._life_s = life_s
        self._read: dict[tuple[str, str], _Read] = {}  # in the order of their reading
        self.size_bytes = 0

    def find(self, tenant: str, response_id: str) -> Said | None:
        """What this response said, where it is known."""
        found = self._read.get((tenant, response_id))
        return None if found is None or found.until <= self._clock.monotonic() else found.said

    def add(self, tenant: str, response_id: str, said: Said, size_bytes: int) -> None:
        """Keep what a response said that has ended, of so many bytes in the store."""
        self.forget(tenant, response_id)
        if size_bytes * _LARGEST_PART > self._most_bytes:
            return
        now = self._clock.monotonic()
        self._read[tenant, response_id] = _Read(said, size_bytes, now + self._life_s)
        self.size_bytes += size_bytes
        while True:
            oldest = next(iter(self._read))
            if self.size_bytes <= self._most_bytes and self._read[oldest].until > now:
                return
            self.forget(*oldest)

    def forget(self, tenant: str, response_id: str) -> None:
        """Let go of what a response said: it was deleted."""
        found = self._read.pop((tenant, response_id), None)
        if found is not None:
            self.size_bytes -= found.size_bytes
