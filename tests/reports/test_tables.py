"""CSV that spreadsheets read as it is meant: quotes, line breaks, and names that would be formulas."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.reports.question import Question
from frontdesk.reports.report import Names, Report
from frontdesk.reports.sums import COLUMNS, MEASURES, NOTHING, cells, told
from frontdesk.reports.tables import csv_of

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
SUMS = tuple(range(1, len(COLUMNS) + 1))


def table(*names: Names) -> str:
    groups = [(each, SUMS) for each in names]
    return "".join(csv_of(Report(Question(0, 1, ("user", "day")), groups, NOTHING)))


def test_a_table_has_its_header_and_a_line_for_each_group() -> None:
    header, *lines = table(("u1", "2026-07-01"), (None, "2026-07-02")).split("\r\n")

    assert header == "user,day," + ",".join(MEASURES)
    measures = ",".join(cells(SUMS))
    assert lines == [f"u1,2026-07-01,{measures}", f",2026-07-02,{measures}", ""]


def test_measures_are_the_same_as_in_json() -> None:
    cost = told(SUMS)["cost_usd"]

    assert [float(cell) for cell in cells(SUMS)] == [told(SUMS)[name] for name in MEASURES]
    assert (cost, cells(SUMS)[MEASURES.index("cost_usd")]) == (0.000016, "0.000016")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ('=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("a\nb", '"a\nb"'),
        ("plain", "plain"),
        ("a=b", "a=b"),
        ("a;=1+1", "a;'=1+1"),
        ("a; @SUM(A1);b", "a; '@SUM(A1);b"),
        ("a;b", "a;b"),
    ],
)
def test_names_are_quoted_and_no_formulas(name: str, cell: str) -> None:
    assert table((name, None)).split("\r\n", 1)[1].startswith(f"{cell},,")


@given(st.lists(st.tuples(st.text(max_size=9), st.none() | st.text("=+-@\t\r\n,;\"'a", max_size=5)), max_size=5))
def test_every_name_comes_back_and_no_cell_begins_a_formula(names: list[tuple[str, str | None]]) -> None:
    _, *rows = csv.reader(io.StringIO(table(*names), newline=""))

    assert [row[2:] for row in rows] == [cells(SUMS)] * len(names)
    for row, group in zip(rows, names, strict=True):
        for cell, name in zip(row, group, strict=False):
            assert not cell.startswith(FORMULAS)
            assert cell.replace("'", "") == (name or "").replace("'", "")
            assert not any(part.strip(" ").startswith(FORMULAS) for part in cell.split(";"))


def test_a_long_table_comes_in_parts() -> None:
    groups = [((f"u{number}", None), SUMS) for number in range(1_200)]

    parts = list(csv_of(Report(Question(0, 1, ("user", "day")), groups, NOTHING)))

    assert [part.count("\r\n") for part in parts] == [501, 500, 200]
