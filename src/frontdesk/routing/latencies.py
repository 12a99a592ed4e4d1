"""How long first words took of late: figures that were kept, and not buckets that double."""

from __future__ import annotations

import math
from collections import deque

_KEPT = 500


class Latencies:
    """The last of them, in seconds."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_KEPT)

    def __len__(self) -> int:
        return len(self._latest)

    def note(self, seconds: float) -> None:
        """One more."""
        self._latest.append(seconds)

    def quantiles(self, *shares: float) -> list[float | None]:
        """The least of them that so large a share of all does not exceed; None where there are none. O(n log n)."""
        ranked = sorted(self._latest)
        if not ranked:
            return [None] * len(shares)
        return [ranked[max(0, math.ceil(share * len(ranked)) - 1)] for share in shares]
