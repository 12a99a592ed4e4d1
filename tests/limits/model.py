"""What limits mean, in the plainest words: a bucket that leaks, sums of days, names. Exact, and slow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from frontdesk.limits.counters import Take

DAY_S = 86_400


@dataclass
class ModelTaken:
    """What was taken, and for each rate how full its bucket was then, and when."""

    takes: Sequence[Take]
    holder: str
    levels: list[Fraction]
    at: Fraction


@dataclass
class Model:
    """Counters as one would explain them."""

    now: Fraction
    levels: dict[str, Fraction] = field(default_factory=dict)
    sums: dict[tuple[str, int], int] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    rates: dict[str, Fraction] = field(default_factory=dict)  # what leaks a second

    def move(self, seconds: Fraction) -> None:
        self.now += seconds
        for key, level in self.levels.items():
            self.levels[key] = max(Fraction(0), level - seconds * self.rates[key])

    def take(self, takes: Sequence[Take], holder: str) -> ModelTaken | list[int]:
        """What was taken; or the places of those that refuse, and nothing was."""
        for take in takes:
            if take.limit.kind == "rate":
                self.rates[take.key] = Fraction(take.limit.amount) / Fraction(take.limit.window_s)
        refuse = [place for place, take in enumerate(takes) if self._used(take) + take.weight > take.limit.amount]
        if refuse:
            return refuse
        levels: list[Fraction] = []
        for take in takes:
            match take.limit.kind:
                case "rate":
                    self.levels[take.key] = self._used(take) + take.weight
                case "day":
                    self.sums[take.key, self._today] = int(self._used(take)) + take.weight
                case "lease":
                    self.names.setdefault(take.key, set()).add(holder)
            levels.append(self.levels.get(take.key, Fraction(0)))
        return ModelTaken(takes, holder, levels, self.now)

    def settle(self, taken: ModelTaken, used: Sequence[int]) -> None:
        for take, level_then, spent in zip(taken.takes, taken.levels, used, strict=True):
            more = spent - take.weight
            match take.limit.kind:
                case "rate" if more >= 0:
                    self.levels[take.key] = self.levels.get(take.key, Fraction(0)) + more
                case "rate":
                    leaked = (self.now - taken.at) * self.rates[take.key]
                    still_in = max(Fraction(0), level_then - leaked)
                    self.levels[take.key] = max(Fraction(0), self.levels[take.key] - min(Fraction(-more), still_in))
                case "day":
                    day = int(taken.at // DAY_S)
                    self.sums[take.key, day] = self.sums[take.key, day] + more
                case "lease":
                    self.names[take.key].discard(taken.holder)

    def left(self, take: Take) -> int:
        return max(0, int((take.limit.amount - self._used(take)) // 1))

    @property
    def _today(self) -> int:
        return int(self.now // DAY_S)

    def _used(self, take: Take) -> Fraction:
        match take.limit.kind:
            case "rate":
                return self.levels.get(take.key, Fraction(0))
            case "day":
                return Fraction(self.sums.get((take.key, self._today), 0))
            case "lease":
                return Fraction(len(self.names.get(take.key, ())))


def most_in_any_window(used: Sequence[tuple[Fraction, int]], window_s: Fraction) -> int:
    """The most that was used in any window of this length; `used` are times and amounts."""
    return max(
        (sum(amount for time, amount in used if start <= time <= start + window_s) for start, _ in used), default=0
    )


numbers = itertools.count()
