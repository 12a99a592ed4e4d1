"""docs/compatibility.md says what is locked and what is listed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.peers.conflicts import CONFLICTS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")


def test_versions_are_those_that_are_run() -> None:
    told = set(re.findall(r"^\| ([\w@/-]+)(?: \(\w+\))? \| ([\d.]+) \|", PAGE, re.MULTILINE))

    locked = (ROOT / "requirements" / "peers.txt").read_text(encoding="utf-8")
    run = set(re.findall(r"^([\w-]+)==([\d.]+)", locked, re.MULTILINE))
    run |= set(
        json.loads((ROOT / "tests/peers/js/package.json").read_text(encoding="utf-8"))["devDependencies"].items()
    )
    assert len(told) >= 10
    assert told - run == set()


def test_conflicts_are_those_of_the_list() -> None:
    table = PAGE.partition("on purpose\n")[2]

    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE)[1:] == [conflict.name for conflict in CONFLICTS]
