"""Reports as CSV, for spreadsheets: a name that somebody chose must not become a formula there.

https://owasp.org/www-community/attacks/CSV_Injection: what begins with = + - @, a tab or a line break is a formula
to some of them, and gets an apostrophe before it. So does what stands behind a semicolon, which begins a cell wherever
the comma is the decimal sign. Quotes, commas and line breaks are as RFC 4180 has them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from frontdesk.reports.report import Names, Report
from frontdesk.reports.sums import MEASURES, cells

_FORMULA = re.compile(r"(?:^|(?<=;))( *)(?=[-=+@\t\r\n])")
_ROWS_AT_ONCE = 500


def csv_of(report: Report) -> Iterator[str]:
    """A report's header and its groups, some hundred at a time. A value that is not there is empty."""
    rows = ((names, cells(sums)) for names, sums in report.groups)
    return csv_with([*report.question.group_by, *MEASURES], rows)


def csv_with(header: Iterable[str], rows: Iterable[tuple[Names, Iterable[str]]]) -> Iterator[str]:
    """Yield a header and rows of names and measures, some hundred at a time."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for number, (names, measures) in enumerate(rows, 1):
        writer.writerow([*("" if name is None else without_formula(name) for name in names), *measures])
        if number % _ROWS_AT_ONCE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def without_formula(name: str) -> str:
    """A name as a spreadsheet takes it for text."""
    return _FORMULA.sub(r"\1'", name)
