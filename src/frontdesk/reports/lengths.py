"""How long answers got, against how long they might get: exact figures of all lengths, and what they suggest.

A length is counted by its value, so percentiles are values that were there (nearest rank), not bounds of buckets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LEAST_TURNS = 100
"""Of fewer, one in a hundred says nothing."""

_MAY_BE_CUT = 0.01
_ROOM = 1.25
_STEP = 50
_MOST = 2**31 - 1
_EXACT = 1e-9  # what sums of fractions are wrong by, and more


class Figures(NamedTuple):
    """The figures of a group, in tokens. `limited_turns` are those whose answer had a limit; of these are those of
    `given_…`, and `cut_turns`, which reached it. `suggested` is a limit, None where too little is known.
    """

    turns: int
    limited_turns: int
    given_p50: int | None
    given_max: int | None
    used_p50: int
    used_p90: int
    used_p99: int
    used_max: int
    cut_turns: int
    cut_share: float | None
    suggested: int | None


@dataclass(slots=True)
class Lengths:
    """The turns of a group by their limits, and by the lengths of their answers: those that ended, and those cut off.

    Written by who reads them, piece by piece.
    """

    given: dict[int, int] = field(default_factory=dict[int, int])
    ended: dict[int, int] = field(default_factory=dict[int, int])
    cut: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, given: int | None, used: int, turns: int, *, is_cut: bool) -> int:
        """Count so many turns more; returns how many numbers are new, which is what is kept of them."""
        lengths = self.cut if is_cut else self.ended
        new = used not in lengths
        lengths[used] = lengths.get(used, 0) + turns
        if given is not None:
            new += given not in self.given
            self.given[given] = self.given.get(given, 0) + turns
        return new

    def figures(self) -> Figures:
        """The figures of what was counted: something at least. Sorts all lengths."""
        used = dict(self.ended)
        for length, turns in self.cut.items():
            used[length] = used.get(length, 0) + turns
        limited, cut = sum(self.given.values()), sum(self.cut.values())
        return Figures(
            turns=sum(used.values()),
            limited_turns=limited,
            given_p50=percentile(self.given, 50),
            given_max=max(self.given, default=None),
            used_p50=percentile(used, 50) or 0,
            used_p90=percentile(used, 90) or 0,
            used_p99=percentile(used, 99) or 0,
            used_max=max(used),
            cut_turns=cut,
            cut_share=round(cut / limited, 6) if limited else None,
            suggested=suggested_limit(self.ended, self.cut, max(self.given, default=0)),
        )


def percentile(counts: Mapping[int, int], percent: int) -> int | None:
    """The least value that so many percent are not above; None of nothing."""
    rank = -(-sum(counts.values()) * percent // 100)
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return None


def suggested_limit(ended: Mapping[int, int], cut: Mapping[int, int], longest_limit: int) -> int | None:
    """A limit that 99 of 100 answers end within, and a quarter more; None of fewer than `LEAST_TURNS`.

    How long an answer would have got that was cut off is not known, but that it would be longer: so the share of those
    that are longer than a length is estimated as Kaplan and Meier do (J. Am. Stat. Assoc. 53, 1958, p. 457). Where too
    many were cut off to tell, it is twice the longest limit that there was.
    """
    left = sum(ended.values()) + sum(cut.values())
    if left < LEAST_TURNS:
        return None
    longer = 1.0
    for length in sorted(ended.keys() | cut.keys()):
        longer *= 1 - ended.get(length, 0) / left
        if longer <= _MAY_BE_CUT + _EXACT:
            return _rounded_up(length * _ROOM)
        left -= ended.get(length, 0) + cut.get(length, 0)
    return _rounded_up(2 * longest_limit)


def _rounded_up(tokens: float) -> int:
    return min(_MOST, max(_STEP, int(-(-tokens // _STEP) * _STEP)))
