"""What was measured, as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.contenders import CONTENDERS, DIRECT, FRONTDESK
from bench.load import Load, Outcome
from bench.metric import Comparison, Measured
from bench.percentile import percentile
from bench.rounds import Samples

_BUSY_SHARE = 0.8
_OTHERS_SHARE = 0.2
_LATE_MS = 2.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """How much the figure can be trusted: the worst of all laps. Shares are of one core."""

    client_share: float
    upstream_share: float
    others_share: float
    asked_late_p99_ms: float
    first_failure: str

    def warnings(self) -> Iterator[str]:
        """Yield what makes the figure doubtful."""
        if self.client_share > _BUSY_SHARE:
            yield f"the client was busy {self.client_share:.0%} of the time: what it saw may be its own slowness"
        if self.upstream_share > _BUSY_SHARE:
            yield f"the upstream was busy {self.upstream_share:.0%} of the time: what was seen may be its slowness"
        if self.others_share > _OTHERS_SHARE:
            yield f"others used {self.others_share:.0%} of a core: measure again on a quiet machine"
        if self.asked_late_p99_ms > _LATE_MS:
            yield f"questions were asked {self.asked_late_p99_ms:.1f} ms late: all times are that much too long"


@dataclass(frozen=True, slots=True)
class Report:
    """A figure, measured. `series` are memory over time: seconds and MB, by contender."""

    name: str
    title: str
    laps: int
    loads: list[Load]
    metrics: list[Measured]
    conditions: Conditions
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict[str, list[tuple[float, float]]])


def conditions(laps: Sequence[Samples]) -> Conditions:
    """Judge the laps."""
    samples = [sample for each in laps for sample in each.values()]
    client = max(sample.client_share for sample in samples)
    upstream = max(sample.upstream_share for sample in samples)
    others = max(sample.others_share for sample in samples)
    # Directly: through a server, a question may also be late because a connection had to be opened.
    late_ms = max((_late_ms(each[DIRECT].outcome) for each in laps if DIRECT in each), default=0.0)
    failure = next((sample.outcome.first_failure for sample in samples if sample.outcome.failures), "")
    return Conditions(client, upstream, others, late_ms, failure)


def lines(report: Report) -> Iterator[str]:
    """Yield a figure's lines."""
    yield f"{report.name}: {report.title} ({report.laps} laps)"
    names = [name for name in CONTENDERS if any(name in metric.medians for metric in report.metrics)]
    yield "".join((f"  {'':20}", *(f"{name:>14}" for name in names), f"   {'target':34}", FRONTDESK, " is"))
    for metric in report.metrics:
        yield _line(metric, names)
    that = report.conditions
    late = f"; asked {that.asked_late_p99_ms:.2f} ms late (p99)" if that.asked_late_p99_ms else ""
    yield (
        f"  client busy {that.client_share:.0%}, upstream {that.upstream_share:.0%}, "
        f"others {that.others_share:.0%} of a core at most{late}"
    )
    if that.first_failure:
        yield f"  FIRST FAILURE: {that.first_failure}"
    yield from (f"  WARNING: {warning}" for warning in that.warnings())


def _line(metric: Measured, names: Sequence[str]) -> str:
    cells = (_amount(metric.medians.get(name), metric.unit).rjust(14) for name in names)
    said = [_compared(comparison, metric.unit) for comparison in metric.comparisons if metric.unit]
    return f"  {metric.name:20}{''.join(cells)}   {_verdict(metric):34}{', '.join(said)}".rstrip()


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if not unit:
        return f"{value:.0f}"
    return (
        f"{value:.2f} {unit}"
        if abs(value) < 10
        else f"{value:.1f} {unit}"
        if abs(value) < 100
        else f"{value:.0f} {unit}"
    )


def _compared(comparison: Comparison, unit: str) -> str:
    low, high = comparison.low, comparison.high
    if comparison.kind == "ratio":
        return f"{comparison.median:.3f} x {comparison.to} ({low:.3f} to {high:.3f})"
    return f"{comparison.median:+.2f} {unit} on {comparison.to} ({low:+.2f} to {high:+.2f})"


def _verdict(metric: Measured) -> str:
    target = metric.target
    if target is None:
        return ""
    mark = "PASS" if metric.is_met else "FAIL"
    if target.to is None:
        return f"{mark} <= {target.most:g} {metric.unit}".rstrip()
    how = f"{target.most:g} x" if metric.kind == "ratio" else f"+{target.most:g} {metric.unit} on"
    return f"{mark} <= {how} {target.to}"


def _late_ms(outcome: Outcome) -> float:
    return percentile(outcome.late_s, 0.99) * 1000 if outcome.late_s else 0.0
