"""How many callers wait with so many requests or more: what tells a newcomer's place without looking at all.

A Fenwick tree (P. Fenwick, "A new data structure for cumulative frequency tables", 1994): node n has the sum of as
many depths up to n as n's lowest bit says.
"""

from __future__ import annotations


class Depths:
    """Counts by depth, from 1, and sums of the first of them. Both cost O(log n); it grows with the deepest."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums = [0, 0]

    def add(self, depth: int, by: int) -> None:
        """Change the count of a depth."""
        sums = self._sums
        while depth >= len(sums):
            self._double()
        while depth < len(sums):
            sums[depth] += by
            depth += depth & -depth

    def up_to(self, depth: int) -> int:
        """Return the sum of all counts up to this depth."""
        sums, total = self._sums, 0
        depth = min(depth, len(sums) - 1)
        while depth > 0:
            total += sums[depth]
            depth -= depth & -depth
        return total

    def _double(self) -> None:
        """Twice as many nodes, of which the last one sums all there were: so their number stays a power of two."""
        last = len(self._sums) - 1
        self._sums.extend([0] * last)
        self._sums[-1] = self._sums[last]
