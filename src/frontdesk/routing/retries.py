"""How often and when the same route is asked again.

Pauses grow and are drawn at random up to their length, for those that failed together must not come back together.
A budget lets a provider's retries be no more than a share of its other requests, so that an outage makes no storm.
"""

from __future__ import annotations

from frontdesk.core.config import Retries

_RESERVE = 10.0  # what may be taken before anything was earned, and the most that is kept


def pause_s(rules: Retries, number: int, retry_after_s: float | None, draw: float) -> float | None:
    """How long to wait before the n-th retry, counted from 1; None where there is to be none.

    `retry_after_s` is what the provider said, and the least; `draw` is a number from 0 up to 1.
    """
    least_s = retry_after_s or 0.0
    if number > rules.most or least_s > rules.longest_s:
        return None
    spread_s = min(rules.base_s * 2.0 ** (number - 1), rules.longest_s - least_s)
    return least_s + draw * spread_s


class RetryBudget:
    """How many requests to a provider may be more than were asked for: retries, and hedges."""

    __slots__ = ("_left", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = _RESERVE if share > 0 else 0.0

    @property
    def left(self) -> float:
        """How many there may be now."""
        return self._left

    def earn(self) -> None:
        """A request is sent that is none of them."""
        self._left = min(self._left + self._share, _RESERVE)

    def take(self) -> bool:
        """Whether one more may be sent; it then counts."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def give_back(self) -> None:
        """One that was taken was not sent."""
        self._left = min(self._left + 1.0, _RESERVE)
