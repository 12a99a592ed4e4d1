"""Every figure measures everybody, on loads that are tiny here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.contenders import CONTENDERS, DIRECT, FRONTDESK, OTHER, Field, field
from bench.figures import FIGURES, Figure
from bench.generator import Generator
from bench.metric import measure
from bench.processes import ROOT
from bench.report import Report, conditions, lines
from bench.rounds import play_round
from bench.script import Script

_SCRIPTS = (Script(40), Script(10), Script(10, pace_ms=1))


@pytest.fixture(scope="module")
def everybody() -> Iterator[Field]:
    with field(_SCRIPTS, {FRONTDESK: ROOT / "src", OTHER: ROOT / "src"}) as those:
        yield those


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    with Generator() as started:
        yield started


def _tiny(figure: Figure) -> Figure:
    load = figure.load
    script = Script(10, min(1, load.script.pace_ms))
    return replace(figure, load=replace(load, script=script, requests=8, at_once=4, spread_s=min(0.01, load.spread_s)))


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_figure_measures_everybody(figure: Figure, everybody: Field, generator: Generator):
    figure = _tiny(figure)
    contenders = [each for each in everybody.contenders if not (figure.skips_direct and each.name == DIRECT)]

    laps = list(play_round(generator, figure.load, 2, contenders, everybody.upstream))
    measured = [measure(metric, laps) for metric in figure.metrics]

    failures, *others = measured
    assert conditions(laps).first_failure == ""
    assert failures.laps == {each.name: [0, 0] for each in contenders}
    for metric in others:
        servers = [name for name in CONTENDERS if name != DIRECT]
        wanted = servers if metric.kind == "ratio" else [each.name for each in contenders]
        assert list(metric.medians) == wanted
        assert metric.is_met is not None or metric.target is None
    text = "\n".join(lines(Report(figure.name, figure.title, 2, [figure.load], measured, conditions(laps))))
    assert figure.title in text
    assert all(metric.name in text for metric in measured)


def test_servers_say_what_they_used(everybody: Field, generator: Generator):
    direct, *served = everybody.contenders
    [figure] = [figure for figure in FIGURES if figure.name == "cpu-answer"]

    [lap] = play_round(generator, _tiny(figure).load, 1, everybody.contenders, everybody.upstream)

    assert lap[direct.name].cpu_s is None
    assert lap[direct.name].memory is None
    for each in served:
        sample = lap[each.name]
        assert sample.cpu_s is not None
        assert sample.cpu_s > 0
        assert sample.memory is not None
        assert sample.memory.most.resident_kb >= sample.memory.before.resident_kb > 10_000
        assert sample.memory.after.anonymous_kb < sample.memory.after.resident_kb
