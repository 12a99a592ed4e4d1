"""Percentiles without interpolation, and how sure a median is."""

from __future__ import annotations

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], part: float) -> float:
    """Return the least value that `part` (above 0, up to 1) of all values do not exceed: the nearest rank.

    Raises ValueError where there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def median_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return between which of the values the true median lies, with 95 % confidence.

    By order statistics: how many of n values fall below the median is a binomial of n and 1/2, whatever
    their distribution. Of fewer than six it is the lowest and the highest, and the confidence less.
    """
    ordered = sorted(values)
    count = len(ordered)
    below, ways = 0, 1  # of 2**count, those in which at most `below` values fall below the median
    while ways + math.comb(count, below + 1) <= _TAIL * 2**count:
        below += 1
        ways += math.comb(count, below)
    return ordered[below], ordered[-1 - below]


_TAIL = 0.025
