"""A metric: one number of a sample, how contenders are compared by it, and what is wanted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.contenders import CONTENDERS, FRONTDESK
from bench.percentile import median_interval
from bench.rounds import Sample, Samples

Kind = Literal["ratio", "added"]


@dataclass(frozen=True, slots=True)
class Target:
    """The most that Frontdesk's value may be, or its comparison with a contender."""

    most: float
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """What is read of a sample. `of` returns None where a contender has no such number."""

    name: str
    unit: str
    kind: Kind
    of: Callable[[Sample], float | None]
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Frontdesk with another contender: each pair, their median, and between what it lies (95 %)."""

    to: str
    kind: Kind
    median: float
    low: float
    high: float
    pairs: list[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric over all laps. `is_met` is None where there is no target."""

    name: str
    unit: str
    kind: Kind
    medians: dict[str, float]
    laps: dict[str, list[float]]
    comparisons: list[Comparison]
    target: Target | None
    is_met: bool | None


def measure(metric: Metric, laps: Sequence[Samples]) -> Measured:
    """Read a metric of all laps."""
    values: dict[str, list[float]] = {}
    for name in laps[0]:
        known = [value for samples in laps if (value := metric.of(samples[name])) is not None]
        if len(known) == len(laps):  # who has no number in a lap, all its answers having failed, has none
            values[name] = known
    return judge(metric.name, metric.unit, metric.kind, values, metric.target)


def judge(
    name: str, unit: str, kind: Kind, values: Mapping[str, Sequence[float]], target: Target | None = None
) -> Measured:
    """Compare each contender's values, one a lap, and hold them against the target."""
    ordered = {each: list(values[each]) for each in CONTENDERS if each in values}
    medians = {each: statistics.median(theirs) for each, theirs in ordered.items()}
    comparisons = [
        compare(kind, ordered[FRONTDESK], each, theirs)
        for each, theirs in ordered.items()
        if FRONTDESK in ordered and each != FRONTDESK and (kind == "added" or all(theirs))
    ]
    is_met = None if target is None else _reached(target, medians, comparisons) <= target.most
    return Measured(name, unit, kind, medians, ordered, comparisons, target, is_met)


def compare(kind: Kind, ours: Sequence[float], name: str, theirs: Sequence[float]) -> Comparison:
    """Compare lap by lap: what disturbs a lap disturbs both."""
    both = zip(ours, theirs, strict=True)
    pairs = [our / their if kind == "ratio" else our - their for our, their in both]
    return Comparison(name, kind, statistics.median(pairs), *median_interval(pairs), pairs)


def _reached(target: Target, medians: Mapping[str, float], comparisons: Sequence[Comparison]) -> float:
    if target.to is None:
        return medians.get(FRONTDESK, math.inf)
    return next((each.median for each in comparisons if each.to == target.to), math.inf)
