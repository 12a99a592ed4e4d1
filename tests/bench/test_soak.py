"""A soak says how memory went."""

from __future__ import annotations

import pytest

from bench.processes import ROOT
from bench.soak import Soak, run_soak, trend


def test_memory_that_grows_is_seen():
    series = {"frontdesk": [(at_s, 60 + at_s / 360) for at_s in range(0, 3600, 10)]}

    first, last, grown, slope = trend(series)

    assert first.medians["frontdesk"] == pytest.approx(61.236, abs=0.001)
    assert last.medians["frontdesk"] == pytest.approx(68.736, abs=0.001)
    assert (grown.medians["frontdesk"], grown.is_met) == (pytest.approx(7.5), False)
    assert slope.medians["frontdesk"] == pytest.approx(10)


def test_memory_that_only_moves_is_flat():
    series = {"frontdesk": [(at_s, 60.0 + at_s % 20) for at_s in range(0, 3600, 10)]}

    _, _, grown, _ = trend(series)

    assert grown.is_met is True


def test_a_short_soak_runs():
    report = run_soak(Soak(minutes=0.01), {"frontdesk": ROOT / "src"})

    assert report.conditions.first_failure == ""
    assert report.metrics[0].medians == {"frontdesk": 0}
    assert len(report.series["frontdesk"]) >= 35
    assert all(size_mb > 10 for _, size_mb in report.series["frontdesk"])
