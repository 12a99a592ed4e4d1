import sys
from collections import Counter
from pathlib import Path

import pytest

from tools.run_tests import PARTS, ROOT, Counts, Outcome, Part, count, lines_of, run, run_beside


def test_report_is_counted_with_errors_as_failures() -> None:
    report = b"""<testsuites><testsuite>
        <testcase name="a"/><testcase name="b"/>
        <testcase name="c"><failure/></testcase>
        <testcase name="d"><error/></testcase>
        <testcase name="e"><skipped/></testcase>
    </testsuite></testsuites>"""

    assert count(report) == Counts(passed=2, failed=2, skipped=1)


def test_last_line_is_the_sum_of_all_parts() -> None:
    outcomes = [
        Outcome("checks", is_good=True, seconds=9.6, counts=None),
        Outcome("Python tests", is_good=True, seconds=60, counts=Counts(passed=100, skipped=2)),
        Outcome("web tests", is_good=False, seconds=3, counts=Counts(passed=9, failed=1)),
    ]

    assert lines_of(outcomes) == [
        "checks        done in 10 s",
        "Python tests  100 passed, 0 failed, 2 skipped in 60 s",
        "web tests     9 passed, 1 failed in 3 s",
        "",
        "109 passed, 1 failed, 2 skipped",
    ]


def test_part_that_breaks_without_a_failed_test_counts_as_one() -> None:
    broken = Outcome("checks", is_good=False, seconds=1, counts=None)

    assert lines_of([broken]) == ["checks        FAILED in 1 s", "", "0 passed, 1 failed"]


@pytest.mark.parametrize(("code", "is_good"), [(0, True), (1, False), (5, False)])
def test_exit_code_of_a_part_decides(tmp_path: Path, code: int, *, is_good: bool) -> None:
    part = Part("part", (sys.executable, "-c", f"raise SystemExit({code})"))

    assert run(part, tmp_path / "none.xml").is_good is is_good


def test_skipped_test_has_failed_where_none_may_be_skipped(tmp_path: Path) -> None:
    report = "<testsuite><testcase/><testcase><skipped/></testcase></testsuite>"
    writes = ("-c", f"import sys; open(sys.argv[1], 'w').write('{report}')", "REPORT")

    outcome = run(Part("part", (sys.executable, *writes), may_skip=False), tmp_path / "report.xml")

    assert outcome.counts == Counts(passed=1, failed=1)
    assert not outcome.is_good


def test_report_is_read_from_where_the_part_was_told_to_write(tmp_path: Path) -> None:
    writes = "import sys; open(sys.argv[1], 'w').write('<testsuite><testcase/></testsuite>')"

    outcome = run(Part("part", (sys.executable, "-c", writes, "REPORT")), tmp_path / "report.xml")

    assert outcome.counts == Counts(passed=1)


def test_parts_beside_each_other_are_told_one_after_the_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    waits = "import pathlib, sys, time; there = pathlib.Path(sys.argv[1]); other = pathlib.Path(sys.argv[2])\n"
    waits += "there.touch()\nwhile not other.exists(): time.sleep(0.01)\nprint('both', there.name)"
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    parts = [
        Part(name, (sys.executable, "-c", waits, *paths)) for name, paths in (("a", (one, two)), ("b", (two, one)))
    ]

    outcomes = run_beside(parts, tmp_path)

    assert [(outcome.name, outcome.is_good) for outcome in outcomes] == [("a", True), ("b", True)]
    said = capfd.readouterr().out
    assert said.index("--- a") < said.index("both one") < said.index("--- b") < said.index("both two")


def test_each_python_test_is_run_by_one_part() -> None:
    """What another part is to run is left out by name, and nothing else is."""
    tests = ROOT / "tests"
    folders = [each for each in tests.iterdir() if each.is_dir() and each.name != "peers"]
    files = [*tests.glob("test_*.py"), *(tests / "peers").glob("test_*.py")]
    files += [file for folder in folders for file in folder.rglob("test_*.py")]
    lanes = [part for group in PARTS for part in group if "not slow and not journey" in part.command]

    ran = Counter(file for part in lanes for file in files if is_run(part, file))

    assert ran == Counter(files)


def is_run(part: Part, file: Path) -> bool:
    """Whether its pytest comes upon this file."""
    arguments = part.command[part.command.index("not slow and not journey") + 1 :]
    asked = [ROOT / path for path in arguments if not path.startswith("-")]
    ignored = [ROOT / path.removeprefix("--ignore=") for path in arguments if path.startswith("--ignore=")]
    return any(map(file.is_relative_to, asked or [ROOT / "tests"])) and not any(map(file.is_relative_to, ignored))
