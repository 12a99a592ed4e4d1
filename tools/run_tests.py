"""Run everything that `make test` runs, and sum it up in the last line.

    python -m tools.run_tests

Parts that do not disturb each other run beside each other, and what each but the first prints comes when it has ended.
A part that fails does not stop the others. The last line is `N passed, N failed`, with `, N skipped` where some were.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests ended how. An error counts as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass(frozen=True, slots=True)
class Part:
    """A command; `REPORT` in it becomes the path of the JUnit file that it writes.

    `may_skip` is False where everything that its tests need was set up: one that is skipped has failed.
    """

    name: str
    command: tuple[str, ...]
    folder: str = "."
    may_skip: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part. A part without a report counts no tests."""

    name: str
    is_good: bool
    seconds: float
    counts: Counts | None


_PYTEST = (sys.executable, "-m", "pytest", "-q", "--junitxml=REPORT")
_FAST = "not slow and not journey"
_PEERS = (sys.executable, "-m", "tests.peers.run", "--junit=REPORT")
_WEB = ("npm", "test", "--loglevel=error", "--", "--reporter=default", "--reporter=junit")
# What mostly waits for a database.
_STORED = tuple(
    f"tests/{name}"
    for name in (
        "batches",
        "contract",
        "conversations",
        "feeds",
        "files",
        "idempotency",
        "keeping",
        "ledger",
        "memory",
        "sharing",
        "storage",
        "sync",
    )
)
# Of the edges what kills, cuts and waits.
_FAULTS = tuple(
    f"tests/edges/test_{name}.py"
    for name in (
        "api_socket",
        "connections",
        "crashes",
        "endings",
        "fault_run",
        "hostile_upstreams",
        "kept_crashes",
        "kept_cuts",
        "kept_endings",
        "kept_keys",
        "kept_readers",
        "kept_secrets",
        "late_bodies",
        "media_faults",
        "money",
        "patience",
    )
)


# What is of the rest the longest, so that the parts end at about the same time.
_LONGEST = tuple(f"tests/{name}" for name in ("bench", "client", "providers", "reports"))


def _without(*paths: str) -> tuple[str, ...]:
    return tuple(f"--ignore={path}" for path in paths)


PARTS = (
    (
        Part("checks", ("make", "--no-print-directory", "--keep-going", "check")),
        Part("web tests", (*_WEB, "--outputFile.junit=REPORT"), folder="web"),
        Part("web peers", (*_PEERS, "js"), may_skip=False),
        Part("Python peers", (*_PEERS, "python")),
        Part("wheel", (sys.executable, "-m", "tools.check_wheel")),
    ),
    (
        Part("Python tests", (*_PYTEST, "-m", _FAST, *_without("tests/edges", *_LONGEST, *_STORED))),
        Part("edges", (*_PYTEST, "-m", _FAST, "tests/edges", *_LONGEST, *_without(*_FAULTS))),
        Part("faults", (*_PYTEST, "-m", _FAST, *_FAULTS)),
        Part("stored", (*_PYTEST, "-m", _FAST, *_STORED)),
    ),
    (Part("journeys", (*_PYTEST, "-m", "journey and not slow", "tests/journeys"), may_skip=False),),
)
"""In their order; those of a group run beside each other."""


def main() -> int:
    """Run all parts and print what became of them. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-tests-") as folder:
        outcomes = [outcome for group in PARTS for outcome in run_beside(group, Path(folder))]
    print("\n" + "\n".join(lines_of(outcomes)))
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def run_beside(parts: Sequence[Part], folder: Path) -> list[Outcome]:
    """Run parts at the same time. What the first prints goes where ours goes, that of the others follows."""
    first, *others = parts
    with ThreadPoolExecutor(max(1, len(others))) as pool:
        running = [pool.submit(_run_silently, part, folder) for part in others]
        outcomes = [run(first, folder / f"{first.name}.xml")]
        for part, one in zip(others, running, strict=True):
            outcomes.append(one.result())
            print(f"\n--- {part.name}", flush=True)
            print((folder / f"{part.name}.log").read_text(errors="replace"), end="", flush=True)
    return outcomes


def _run_silently(part: Part, folder: Path) -> Outcome:
    with (folder / f"{part.name}.log").open("wb") as log:
        return _run(part, folder / f"{part.name}.xml", log)


def run(part: Part, report: Path) -> Outcome:
    """Run one part; what it prints goes where ours goes."""
    print(f"\n--- {part.name}", flush=True)
    return _run(part, report, None)


def _run(part: Part, report: Path, log: IO[bytes] | None) -> Outcome:
    began = time.monotonic()
    command = [word.replace("REPORT", str(report)) for word in part.command]
    done = subprocess.run(
        command, cwd=ROOT / part.folder, env=_environment(), stdout=log, stderr=log and subprocess.STDOUT, check=False
    )
    counts = count(report.read_bytes()) if report.exists() else None
    if counts is not None and not part.may_skip:
        counts = Counts(counts.passed, counts.failed + counts.skipped)
    is_good = done.returncode == 0 and (counts is None or not counts.failed)
    return Outcome(part.name, is_good, time.monotonic() - began, counts)


def count(report: bytes) -> Counts:
    """Count the tests of a JUnit report."""
    root = ET.fromstring(report)  # noqa: S314 - written a moment ago by the test runner
    cases = list(root.iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Counts(len(cases) - failed - skipped, failed, skipped)


def lines_of(outcomes: Iterable[Outcome]) -> list[str]:
    """One line a part, then the sum. A part that failed without a failed test counts as one."""
    lines: list[str] = []
    total = Counts()
    for outcome in outcomes:
        counts = outcome.counts or Counts()
        if not outcome.is_good and not counts.failed:
            counts += Counts(failed=1)
        total += counts
        told = str(counts) if outcome.counts else "done" if outcome.is_good else "FAILED"
        lines.append(f"{outcome.name:<14}{told} in {outcome.seconds:.0f} s")
    return [*lines, "", str(total)]


def _environment() -> dict[str, str]:
    # The jobs of an outer make are not ours to hand on. Node may be in .venv only.
    kept = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    if not sys.stdout.isatty():
        kept["NO_COLOR"] = "1"
    return {**kept, "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


if __name__ == "__main__":
    sys.exit(main())
