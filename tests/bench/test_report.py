"""A report says what was missed, and what makes it doubtful."""

from __future__ import annotations

from bench.metric import Target, judge
from bench.report import Conditions, Report, lines


def _report(*, client_share: float = 0.1, most: float = 3, failure: str = "") -> str:
    metric = judge("p99", "ms", "added", {"direct": [1.0, 2.0], "frontdesk": [3.0, 4.5]}, Target(most, "direct"))
    that = Conditions(client_share, 0.2, 0.05, 0.1, failure)
    return "\n".join(lines(Report("latency", "A title", 2, [], [metric], that)))


def test_a_line_has_medians_comparison_and_verdict():
    said = " ".join(_report().splitlines()[2].split())

    assert said == "p99 1.50 ms 3.75 ms PASS <= +3 ms on direct +2.25 ms on direct (+2.00 to +2.50)"


def test_a_missed_target_is_marked():
    assert "FAIL <= +2 ms on direct" in _report(most=2)


def test_a_busy_client_is_warned_of():
    assert "WARNING" not in _report()
    assert "WARNING: the client was busy 90% of the time" in _report(client_share=0.9)


def test_the_first_failure_is_shown():
    assert "FIRST FAILURE: question 7: no" in _report(failure="question 7: no")
