"""How many slots are kept for interactive requests: as many as it takes that hardly one of them has to wait.

How many that is depends on how many come at once and how soon others' slots are freed, so it is learned: two more
whenever an interactive request finds all slots taken, some of them by others; one fewer after `_AT_ONCE` that found one
at once, or after each `_SILENCE_S` in which none came. It begins with a quarter of the slots, and stays between an
eighth and a half. Who sets a number gets that number.
"""

from __future__ import annotations


class Spare:
    """How many of so many slots are spare. `fixed` sets it for good."""

    __slots__ = ("_amount", "_at_once", "_changed_at", "_least", "_most")

    def __init__(self, concurrent: int, fixed: int | None, now: float) -> None:
        most = concurrent - 1
        self._least = min(most, max(1, concurrent // 8)) if fixed is None else fixed
        self._most = min(most, max(1, concurrent // 2)) if fixed is None else fixed
        self._amount = min(most, max(1, concurrent // 4)) if fixed is None else fixed
        self._at_once = 0
        self._changed_at = now

    def amount(self, now: float) -> int:
        """How many are kept now."""
        while self._amount > self._least and now - self._changed_at >= _SILENCE_S:
            self._amount -= 1
            self._changed_at += _SILENCE_S
        return self._amount

    def found(self, now: float) -> None:
        """Note that an interactive request found a slot at once."""
        self.amount(now)
        self._changed_at = now
        self._at_once += 1
        if self._at_once >= _AT_ONCE:
            self._change(-1)

    def missed(self, now: float) -> None:
        """Note that one found none, though others hold some."""
        self.amount(now)
        self._changed_at = now
        self._change(_MORE)

    def _change(self, by: int) -> None:
        self._amount = min(max(self._amount + by, self._least), self._most)
        self._at_once = 0


_MORE = 2
_AT_ONCE = 200
_SILENCE_S = 60.0
