"""Ids: UUIDv7 (RFC 9562 §5.7) as 32 hex digits behind OpenAI's prefixes.

They sort by the millisecond of their making, which keeps indexes compact. They are never an
authority: whoever knows an id has no right from it, and order between processes is not implied.
"""

from __future__ import annotations

import os
import time

ANONYMOUS_PREFIX = "anon_"
"""How ids of people without an account begin, and nobody else's."""

_RANDOM_POOL_BYTES = 2048


class _Randomness:
    """Random bits, bought from the kernel 2 kB at a time (a read costs 1 µs, a slice 0.1)."""

    __slots__ = ("_offset", "_pool")

    def __init__(self) -> None:
        self._pool = b""
        self._offset = 0

    def take(self) -> int:
        """Return 74 random bits or more."""
        if self._offset >= len(self._pool):
            self._pool = os.urandom(_RANDOM_POOL_BYTES)
            self._offset = 0
        start = self._offset
        self._offset = start + 16
        return int.from_bytes(self._pool[start : self._offset], "big")

    def forget(self) -> None:
        """Throw the pool away: a forked child must not hand out its parent's bits again."""
        self._pool = b""
        self._offset = 0


_randomness = _Randomness()
os.register_at_fork(after_in_child=_randomness.forget)


def new_id(prefix: str) -> str:
    """Make an id such as `resp_0199…` from a prefix such as `resp_`."""
    random_bits = _randomness.take()
    value = (
        (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random_bits >> 116 & 0xFFF) << 64
        | 0b10 << 62
        | random_bits & 0x3FFF_FFFF_FFFF_FFFF
    )
    return f"{prefix}{value:032x}"
