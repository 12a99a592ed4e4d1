"""How sure a share is: of three answers that all were liked, it is not known that all will be.

The interval is Wilson's score interval (E. B. Wilson, Probable Inference, the Law of Succession, and Statistical
Inference, JASA 22, 1927): unlike the usual one around the share it stays within 0 and 1, and is honest where there
is little to go by.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_Z = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 % on each side."""

_DIGITS = 6


class Share(NamedTuple):
    """A share, and the bounds within which the true one is, 19 times of 20."""

    share: float
    low: float
    high: float


def share_of(up: int, down: int) -> Share | None:
    """The share of `up` in both, with its interval of 95 %; None of nothing."""
    number = up + down
    if number == 0:
        return None
    share = up / number
    shrunk = 1 + _Z**2 / number
    middle = (share + _Z**2 / (2 * number)) / shrunk
    half = _Z / shrunk * math.sqrt(share * (1 - share) / number + _Z**2 / (4 * number**2))
    # At both ends it is exact, and what is reckoned misses it by the last digit.
    low = 0.0 if up == 0 else middle - half
    high = 1.0 if down == 0 else middle + half
    return Share(round(share, _DIGITS), round(low, _DIGITS), round(high, _DIGITS))
