"""Invoices: known by their columns, or by what is said of them; problems with line and value."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.reconciling.invoices import NO_MODEL, Charge, Invoice, InvoiceError, read_invoice
from tests.reconciling import files

FIRST, SECOND, THIRD = date(2026, 7, 1), date(2026, 7, 2), date(2026, 7, 3)
PLAIN = {"date": "Day", "model": "Model", "cost": "Amount"}


def read(text: str | bytes, **columns: str) -> Invoice:
    return read_invoice(text.encode() if isinstance(text, str) else text, columns)


def usd(text: str, *tokens: int) -> Charge:
    return Charge(Decimal(text), *tokens)


# --- files that are known -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "title", "charges", "says"),
    [
        (
            files.OPENAI_COSTS,
            "OpenAI's export of costs",
            {(FIRST, "gpt-5-mini-2025-08-07"): usd("1"), (THIRD, "web search tool calls"): usd("0.02")},
            (True, False, True),
        ),
        (files.OPENAI_COSTS_BY_DAY, "OpenAI's export of costs", {(FIRST, NO_MODEL): usd("1")}, (True, False, False)),
        (
            files.OPENAI_USAGE,
            "OpenAI's export of usage",
            {(FIRST, "gpt-5-mini-2025-08-07"): usd("0", 60_000, 11_000)},
            (False, True, True),
        ),
        (
            files.ANTHROPIC_COSTS,
            "Anthropic's export of costs",
            {
                (FIRST, "Claude Haiku 4.5"): usd("0.07"),
                (SECOND, "Claude Sonnet 4"): usd("0.30"),
                (SECOND, NO_MODEL): usd("0.01"),
            },
            (True, False, True),
        ),
        (
            files.ANTHROPIC_USAGE,
            "Anthropic's export of usage",
            {(FIRST, "claude-haiku-4-5-20251001"): usd("0", 1_235, 502)},
            (False, True, True),
        ),
        (
            files.OPENROUTER,
            "OpenRouter's activity",
            {
                (FIRST, "deepseek/deepseek-v4.1-flash-20260610"): usd("0.012315", 110, 55),
                (SECOND, "openai/gpt-oss-120b"): usd("0.5", 7, 3),
            },
            (True, True, True),
        ),
    ],
)
def test_files_of_providers_are_known_by_their_columns(
    text: str, title: str, charges: dict[Any, Charge], says: tuple[bool, bool, bool]
) -> None:
    invoice = read(text)

    assert (invoice.title, dict(invoice.charges)) == (title, charges)
    assert (invoice.has_costs, invoice.has_tokens, invoice.has_models) == says


@pytest.mark.parametrize("name", ["OPENAI_COSTS", "OPENAI_USAGE", "ANTHROPIC_COSTS", "ANTHROPIC_USAGE", "OPENROUTER"])
def test_it_makes_no_difference_how_a_file_was_saved(name: str) -> None:
    text: str = getattr(files, name)
    expected = read(text)

    header, _, rest = text.partition("\n")
    saved = [
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        text.replace("\n", "\r\n").encode(),
        ("\r\n\r\n" + text + "\n,,,\n").encode(),
        f"{header.upper()}\n{rest}".encode(),
        f"{header.replace(',', ' , ')},an unheard-of column\n{rest}".encode(),
    ]

    assert [read(data) for data in saved] == [expected] * len(saved)


# --- any other ----------------------------------------------------------------------------------


def test_columns_say_which_to_take_of_any_file() -> None:
    text = 'Day;Model;Amount;In;Out\n2026/7/1;"a;b";"$1.234,50";1.000,0;7\n2026-07-01;a;€ 1\n'

    with pytest.raises(InvoiceError, match=r"line 3: 'amount': '€ 1' is no amount of US dollars"):
        read(text, **PLAIN)
    invoice = read(text.replace("€ 1", "1"), **PLAIN, input_tokens="In", output_tokens="OUT")

    assert invoice.charges == {(FIRST, "a;b"): usd("1234.50", 1_000, 7), (FIRST, "a"): usd("1")}
    assert (invoice.title, invoice.has_costs, invoice.has_tokens) == (None, True, True)


def test_columns_count_over_what_is_known_of_a_file() -> None:
    text = files.ANTHROPIC_COSTS

    assert read(text, cost="list_price_usd", model="workspace").charges == {
        (FIRST, "Default"): usd("0.07"),
        (SECOND, "Default"): usd("0.31"),
    }


def test_a_file_may_have_tokens_alone_and_no_models() -> None:
    invoice = read("day\ttokens\n2026-07-01\t5\n2026-07-01\t6\n", date="day", input_tokens="tokens")

    assert (invoice.charges, invoice.has_costs, invoice.has_models) == ({(FIRST, NO_MODEL): usd("0", 11)}, False, False)


def test_credits_are_taken_off() -> None:
    assert read("Day,Model,Amount\n2026-07-01,a,5\n2026-07-01,a,(1.50)\n", **PLAIN).charges == {
        (FIRST, "a"): usd("3.50")
    }


# --- problems -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("", {}, "It is empty"),
        ("\n , \n", {}, "It is empty"),
        ("a,b\n1,2\n", {}, "Its columns are of no file that is known: a, b."),
        ("a,b\n1,2\n", {}, "--columns date=NAME,model=NAME,cost=NAME"),
        ("a,b\n1,2\n", {"date": "c"}, "--columns: date is 'c', which is no column. It has: a, b."),
        ("a,b\n1,2\n", {"date": "a"}, "--columns: name the column of costs, or of tokens"),
        ("a,b,A\n1,2,3\n", {"date": "a"}, "line 1: two columns are named 'a'"),
        ("Day,Model,Amount\n", PLAIN, "It has no line that charges anything"),
        ("Day,Model,Amount\n2026-07-01,a,\n", PLAIN, "It has no line that charges anything"),
        ("Day,Model,Amount\nTotal,,5\n", PLAIN, "line 2: 'day': 'Total' is no date"),
        ("Day,Model,Amount\n\n\n2026-07-01,a,five\n", PLAIN, "line 4: 'amount': 'five' is no amount"),
        ('Day,Model,Amount\n2026-07-01,"a\nb",5\n2026-07-01,a,x\n', PLAIN, "line 4: 'amount': 'x'"),
        ("Day,Model,Amount\n2026-07-01,a,5,6\n", PLAIN, "line 2: it has 4 columns, and the first line names 3: '6'"),
        ("Day,Model,Amount\n2026-07-01,a\x1b[2J,5\n", PLAIN, r"line 2: 'model': 'a\x1b[2J' is no name of a model"),
        ("Day,Model,Amount\n2026-07-01,a\n", PLAIN, "no line that charges anything"),
        ('Day,Model,Amount\n2026-07-01,"a,5\n', PLAIN, "it is no CSV"),
        (b"Day,Model,Amount\n2026-07-01,a\xff,5\n", PLAIN, r"line 2: it is not UTF-8 (b'\xff,5\n')"),
        (files.OPENAI_COSTS.replace(",usd,", ",eur,", 1), {}, "line 2: 'amount_currency' is 'eur': only US dollars"),
        (files.OPENAI_USAGE.replace("59200.0", "59200.5"), {}, "line 2: 'input_tokens': '59200.5' is no count"),
    ],
)
def test_a_problem_names_line_and_value(text: str | bytes, columns: dict[str, str], says: str) -> None:
    with pytest.raises(InvoiceError) as caught:
        read(text, **columns)

    assert says in str(caught.value)


def test_many_problems_are_told_together_and_counted() -> None:
    lines = "".join(f"2026-07-01,a,x{number}\n" for number in range(25))

    with pytest.raises(InvoiceError) as caught:
        read("Day,Model,Amount\n" + lines, **PLAIN)

    told = str(caught.value).split("\n")
    assert (len(told), told[0], told[-1]) == (
        11,
        "line 2: 'amount': 'x0' is no amount of US dollars.",
        "… and 15 lines more.",
    )


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.text('",;\n\r\t01-2026.$aé\0').map(str.encode)
)
def test_no_file_is_a_bug(data: bytes) -> None:
    for known in (b"", b"Day,Model,Amount\n2026-07-01,a,1\n"):
        try:
            invoice = read(known + data, **({"date": "Day", "cost": "Amount"} if known else {}))
        except InvoiceError:
            continue
        assert invoice.charges
