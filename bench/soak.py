"""Memory over a long time: a moderate mix of whole answers and streams, looked at every ten seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.clocks import Clocks
from bench.contenders import field
from bench.generator import Generator
from bench.load import Load, Outcome
from bench.metric import Kind, Measured, Target, judge
from bench.processes import Server
from bench.report import Conditions, Report
from bench.script import Script

NAME = "soak"
_ANSWERS_PER_S = 50
_STREAMS_PER_S = 5
_STREAM = Script(100, pace_ms=20)
_ANSWER = Script(40)
_FLAT_MB = 2.0
_LOOK_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Soak:
    """How long memory is looked at. The first tenth of the time is not counted."""

    minutes: float

    @property
    def duration_s(self) -> float:
        """The whole time."""
        return self.minutes * 60

    @property
    def look_every_s(self) -> float:
        """Ten seconds, less for a soak that is shorter than minutes."""
        return min(_LOOK_EVERY_S, self.duration_s / 40)


def run_soak(soak: Soak, trees: Mapping[str, Path]) -> Report:
    """Load every Frontdesk at the same time, and say how its memory went."""
    loads = _loads(soak.duration_s)
    with field((_ANSWER, _STREAM), trees) as those:
        servers = {each: each.server for each in those.contenders if each.name in trees and each.server is not None}
        with Generator(len(servers) * len(loads)) as generator:
            began = Clocks.read(those.upstream, list(servers.values()))
            futures = {each.name: [generator.start(load, each.port, each.token) for load in loads] for each in servers}
            series = _watch(soak, {each.name: server for each, server in servers.items()})
            outcomes = {name: [future.result() for future in each] for name, each in futures.items()}
            passed = Clocks.read(those.upstream, list(servers.values())).since(began)
    failed = {name: [float(sum(outcome.failures for outcome in each))] for name, each in outcomes.items()}
    return Report(
        NAME,
        f"{_ANSWERS_PER_S} answers and {_STREAMS_PER_S} streams a second for {soak.minutes:g} minutes",
        1,
        list(loads),
        [judge("failures", "", "added", failed, Target(0)), *trend(series)],
        _conditions(passed, [outcome for each in outcomes.values() for outcome in each]),
        series,
    )


def trend(series: Mapping[str, Sequence[tuple[float, float]]]) -> list[Measured]:
    """Say how memory went: medians of the first and last quarter of the looks, and the slope.

    `series` are pairs of time in s and resident memory in MB, at least four by contender.
    """

    def of(name: str, unit: str, kind: Kind, values: Mapping[str, float], target: Target | None = None) -> Measured:
        return judge(name, unit, kind, {each: [value] for each, value in values.items()}, target)

    first: dict[str, float] = {}
    last: dict[str, float] = {}
    slope: dict[str, float] = {}
    for name, points in series.items():
        sizes_mb = [size_mb for _, size_mb in points]
        quarter = len(sizes_mb) // 4
        first[name] = statistics.median(sizes_mb[:quarter])
        last[name] = statistics.median(sizes_mb[-quarter:])
        slope[name] = statistics.linear_regression([at_s / 3600 for at_s, _ in points], sizes_mb).slope
    return [
        of("first quarter", "MB", "ratio", first),
        of("last quarter", "MB", "ratio", last),
        of("grown between", "MB", "added", {name: last[name] - first[name] for name in first}, Target(_FLAT_MB)),
        of("slope", "MB/h", "added", slope),
    ]


def _loads(duration_s: float) -> tuple[Load, Load]:
    timeout_s = duration_s + 60
    answers, streams = round(duration_s * _ANSWERS_PER_S), round(duration_s * _STREAMS_PER_S)
    return (
        Load(_ANSWER, is_streaming=False, requests=answers, rate_per_s=_ANSWERS_PER_S, timeout_s=timeout_s),
        Load(_STREAM, is_streaming=True, requests=streams, rate_per_s=_STREAMS_PER_S, timeout_s=timeout_s),
    )


def _watch(soak: Soak, servers: Mapping[str, Server]) -> dict[str, list[tuple[float, float]]]:
    series: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    began = time.monotonic()
    at_s = soak.duration_s / 10
    while at_s <= soak.duration_s:
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        for name, server in servers.items():
            series[name].append((at_s, server.memory().resident_kb / 1024))
        at_s += soak.look_every_s
    return series


def _conditions(passed: Clocks, outcomes: Sequence[Outcome]) -> Conditions:
    client = max(outcome.cpu_s / outcome.wall_s for outcome in outcomes)
    others = passed.others_share(sum(outcome.cpu_s for outcome in outcomes))
    failure = next((outcome.first_failure for outcome in outcomes if outcome.failures), "")
    return Conditions(client, passed.upstream_s / passed.wall_s, others, 0.0, failure)
