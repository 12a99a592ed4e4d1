"""`python -m bench` measures what it is asked to, and writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_versions_are_measured_in_the_same_laps(tmp_path: Path):
    done = _bench("cpu-answer", "--quick", "--rounds", "1", "--against", ".", "--json", str(tmp_path / "out.json"))

    assert done.returncode in {0, 1}, done.stderr  # 1: a target was missed, which is the machine's matter
    written = json.loads((tmp_path / "out.json").read_bytes())
    [figure] = written["figures"]
    failures, cpu = figure["metrics"]
    assert list(cpu["laps"]) == ["pass-through", "frontdesk", "other"]
    assert [each["to"] for each in cpu["comparisons"]] == ["pass-through", "other"]
    assert failures["is_met"] is True
    assert written["trees"]["other"] == "."


def test_an_unknown_figure_is_refused():
    done = _bench("no-such-figure")

    assert done.returncode == 2
    assert "no figure begins with 'no-such-figure'; there are cpu-answer" in done.stderr


def test_an_unknown_version_is_refused():
    done = _bench("cpu-answer", "--against", "no-such-commit")

    assert done.returncode == 1
    assert "bench: 'no-such-commit' is no folder, and git says" in done.stderr
