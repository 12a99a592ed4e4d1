"""Cells of other people's tables: read where they can mean one thing, refused by their value where they cannot."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.reconciling.cells import count_of, day_of, is_nothing, usd_of

THIN, NARROW, HARD = "\u2009", "\u202f", "\u00a0"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.5", "0.5"),
        (" 0.003835980000000000000000000000 ", "0.00383598"),
        ("$1,234.50", "1234.5"),
        ("US$ 1,234,567.891", "1234567.891"),
        ("12.00 USD", "12"),
        ("usd 3", "3"),
        ("1,234", "1234"),
        ("12,5", "12.5"),
        ("0,125", "0.125"),
        ("1.234,50", "1234.5"),
        ("1.234.567", "1234567"),
        ("1.234", "1.234"),
        ("1'234.50", "1234.5"),
        (f"1{THIN}234{NARROW}567,5{HARD}$", "1234567.5"),
        (".25", "0.25"),
        ("1.2e-05", "0.000012"),
        ("1E-7", "0.0000001"),
        ("-4.10", "-4.1"),
        ("\u22124.10", "-4.1"),
        ("-$4.10", "-4.1"),
        ("$-4.10", "-4.1"),
        ("(4.10)", "-4.1"),
        ("($1,004.10)", "-1004.1"),
        ("+4", "4"),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, amount: str) -> None:
    assert usd_of(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    ["€4", "4 EUR", "£4", "four", "1,2,3", "1,23,456", "1.2.3", "12,34.5", "1,234.5,6", "(4", "4)", "--4", "4-", "NaN",
     "Infinity", "1e999", "1_000", "0x10", "=1+1", "99999999999999", "4;5", "%4", "", "$"],
)  # fmt: skip
def test_what_is_no_amount_is_refused_by_its_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"no amount|no number|more than anybody") as caught:
        usd_of(text)

    assert repr(text) in str(caught.value)


@given(st.integers(-(10**17), 10**17))
def test_an_amount_comes_back_however_it_is_written(micros: int) -> None:
    amount = Decimal(micros) / 10**6
    english = f"{amount:,.6f}"

    written = [english, f"${english}", f"{amount:.6f}", english.translate(str.maketrans(",.", ".,")), f"{amount:e}"]

    assert [usd_of(text) for text in written] == [amount] * len(written)


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("59200", 59_200), ("59200.0", 59_200), ("1,234,567", 1_234_567), ("2e3", 2_000)]
)
def test_counts_are_whole(text: str, count: int) -> None:
    assert count_of(text) == count


@pytest.mark.parametrize("text", ["1.5", "1.234", "-1", "many", "1e13", "$5", ""])
def test_what_is_no_count_is_refused_by_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="no count of tokens"):
        count_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-31",
        " 2026-07-31T00:00:00+00:00",
        "2026-07-31T23:59:59.999Z",
        "2026-07-31 10:00:00.713",
        "2026-07-31 10:00:00 UTC",
        "2026-08-01T01:00:00+02:00",
        "2026/7/31",
        "2026/07/31 10:00:00",
        "1785456000",
        "1785456000.0",
        "1785542399999",
        "Jul 31, 2026",
        "July 31, 2026",
        "31 Jul 2026",
    ],
)
def test_days_are_utc(text: str) -> None:
    assert day_of(text) == date(2026, 7, 31)


@pytest.mark.parametrize(
    "text",
    ["", "Total", "07/31/2026", "31.07.2026", "2026-02-30", "20260731", "2026-07", "1026-07-31", "12345", "x" * 99],
)
def test_a_day_that_may_be_another_is_refused_by_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 2026-07-31") as caught:
        day_of(text)

    assert repr(text) in str(caught.value)


def test_what_says_nothing_is_not_0() -> None:
    assert [is_nothing(text) for text in ("", "  ", "-", "N/A", "0", "x")] == [True, True, True, True, False, False]
