"""An invoice beside the ledger: what is one line, what is within a tolerance, and that nothing is lost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.reconciling.comparing import ALL_MODELS, Comparison, Side, Tolerance, compare, undated
from frontdesk.reconciling.invoices import NO_MODEL, Charge, Invoice
from frontdesk.reconciling.store import Spent

FIRST, SECOND = date(2026, 7, 1), date(2026, 7, 2)
NONE = Tolerance(Decimal(0), 0)


def invoice(*charges: tuple[date, str, str], has_costs: bool = True, has_tokens: bool = False) -> Invoice:
    by_key = {(day, model): Charge(Decimal(usd)) for day, model, usd in charges}
    has_models = any(model != NO_MODEL for _, model, _ in charges)
    return Invoice("a file", by_key, has_costs, has_tokens, has_models)


def spent(day: date, model: str, micros: int, unpriced: int = 0, tokens: tuple[int, int] = (0, 0)) -> Spent:
    return Spent(day, model, 1, unpriced, micros, 0, 0, *tokens)


def differences(comparison: Comparison) -> dict[tuple[date | None, str], int]:
    return {(line.day, line.model): line.difference.micros for line in comparison.lines}


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "name"),
    [
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4.1-nano-2025-04-14", "gpt-4.1-nano"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("deepseek/deepseek-v4.1-flash-20260610", "deepseek/deepseek-v4.1-flash"),
        ("openai/gpt-oss-120b:free", "openai/gpt-oss-120b"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "ft:gpt-4o-mini-2024-07-18:org::id"),
        ("qwen3-235b-2507", "qwen3-235b-2507"),
        ("llama-3.1-8b", "llama-3.1-8b"),
        ("o3", "o3"),
    ],
)
def test_names_are_compared_without_their_dates(theirs: str, name: str) -> None:
    assert undated(theirs) == name
    assert undated(name) == name


def test_a_snapshot_is_the_model_that_was_asked_for() -> None:
    comparison = compare(
        invoice((FIRST, "gpt-5-mini-2025-08-07", "1"), (FIRST, "gpt-5-2025-08-07", "2"), (FIRST, "gpt-5", "0.5")),
        [spent(FIRST, "gpt-5-mini", 1_000_000), spent(FIRST, "gpt-5", 2_500_000)],
        NONE,
    )

    assert differences(comparison) == {(FIRST, "gpt-5"): 0, (FIRST, "gpt-5-mini"): 0}
    assert comparison.is_within


def test_other_names_can_be_told() -> None:
    charged = invoice((FIRST, "anthropic/claude-4.5-haiku-20251001", "1"))
    ledger = [spent(FIRST, "anthropic/claude-haiku-4.5", 1_000_000)]

    assert not compare(charged, ledger, NONE).is_within
    named = compare(charged, ledger, NONE, {"anthropic/claude-4.5-haiku-20251001": "anthropic/claude-haiku-4.5"})
    assert differences(named) == {(FIRST, "anthropic/claude-haiku-4.5"): 0}


def test_where_the_invoice_names_no_model_days_are_compared() -> None:
    comparison = compare(
        invoice((FIRST, NO_MODEL, "3"), (SECOND, NO_MODEL, "1")),
        [spent(FIRST, "a", 1_000_000), spent(FIRST, "b", 2_000_000), spent(SECOND, "a", 400_000)],
        NONE,
    )

    assert differences(comparison) == {(FIRST, ALL_MODELS): 0, (SECOND, ALL_MODELS): -600_000}


def test_what_only_one_side_has_is_a_line_of_its_own() -> None:
    comparison = compare(invoice((FIRST, "a", "1"), (FIRST, NO_MODEL, "0.2")), [spent(SECOND, "a", 7)], NONE)

    assert [(line.day, line.model, line.ledger, line.invoice) for line in comparison.lines] == [
        (FIRST, NO_MODEL, None, Side(200_000)),
        (FIRST, "a", None, Side(1_000_000)),
        (SECOND, "a", Side(7), None),
    ]


def test_attempts_that_used_nothing_are_no_line_but_those_without_a_price_are() -> None:
    ledger = [
        spent(FIRST, "failed", 0),
        spent(FIRST, "unpriced", 0, unpriced=1),
        spent(FIRST, "free", 0, tokens=(5, 1)),
    ]

    comparison = compare(invoice((FIRST, "a", "0")), ledger, NONE)

    assert [line.model for line in comparison.lines] == ["a", "free", "unpriced"]


# --- how much may differ ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charged", "micros", "is_within"),
    [
        ("100", 100_500_000, True),
        ("100", 100_500_001, False),
        ("100", 99_500_000, True),
        ("100", 99_499_999, False),
        ("1", 1_010_000, True),
        ("1", 1_010_001, False),
        ("0", 10_000, True),
        ("0", 10_001, False),
        ("-1", -1_010_000, True),
        ("-1", -1_010_001, False),
    ],
)
def test_half_a_percent_or_a_cent_may_differ(charged: str, micros: int, is_within: bool) -> None:
    """Whichever is more: on two dollars they are the same."""
    comparison = compare(invoice((FIRST, "a", charged)), [spent(FIRST, "a", micros)], Tolerance())

    assert (comparison.is_within, comparison.total.is_within) == (is_within, is_within)


def test_a_line_beyond_counts_where_the_total_hides_it() -> None:
    charged = invoice((FIRST, "a", "10"), (SECOND, "a", "10"))

    comparison = compare(charged, [spent(FIRST, "a", 11_000_000), spent(SECOND, "a", 9_000_000)], Tolerance())

    assert ([line.is_within for line in comparison.lines], comparison.total.is_within) == ([False, False], True)
    assert not comparison.is_within


def test_a_total_beyond_counts_where_no_line_is() -> None:
    models = [f"m{number}" for number in range(10)]
    charged = invoice(*((FIRST, model, "0.01") for model in models))

    comparison = compare(charged, [spent(FIRST, model, 18_000) for model in models], Tolerance())

    assert all(line.is_within for line in comparison.lines)
    assert not comparison.is_within


def test_tokens_are_compared_where_there_are_no_costs() -> None:
    charges = {(FIRST, "a"): Charge(input_tokens=1_000, output_tokens=100)}
    file = Invoice("a file", charges, has_costs=False, has_tokens=True, has_models=True)

    for tokens, is_within in (((1_005, 100), True), ((1_006, 100), False), ((1_000, 101), False), ((995, 100), True)):
        comparison = compare(file, [spent(FIRST, "a", 99_000_000, tokens=tokens)], Tolerance())
        assert comparison.is_within is is_within


@pytest.mark.parametrize(
    ("charged", "micros", "percent"), [("3", 2_000_000, "-33.33"), ("-2", -3_000_000, "-50.00"), ("0", 1, None)]
)
def test_percents_are_of_the_invoice(charged: str, micros: int, percent: str | None) -> None:
    line = compare(invoice((FIRST, "a", charged)), [spent(FIRST, "a", micros)], NONE).lines[0]

    assert line.percent == (None if percent is None else Decimal(percent))


# --- nothing is lost ----------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "A", "a-2025-08-07", "b", "b-latest", "Model B", NO_MODEL])
_DAYS = st.sampled_from([FIRST, SECOND])
_AMOUNTS = st.integers(-(10**9), 10**12)


@given(
    charged=st.dictionaries(st.tuples(_DAYS, _NAMES), _AMOUNTS),
    ledger=st.lists(st.tuples(_DAYS, _NAMES, _AMOUNTS), max_size=9),
)
def test_lines_add_up_to_the_totals_and_those_to_both_sides(
    charged: dict[tuple[date, str], int], ledger: list[tuple[date, str, int]]
) -> None:
    file = invoice(*((day, model, str(Decimal(micros) / 10**6)) for (day, model), micros in charged.items()))

    comparison = compare(file, [spent(*each) for each in ledger], Tolerance())

    total = comparison.total
    assert (total.invoice, total.ledger) == (Side(sum(charged.values())), Side(sum(micros for *_, micros in ledger)))
    assert total.difference.micros == sum(line.difference.micros for line in comparison.lines)
    keys = [(line.day, line.model) for line in comparison.lines]
    assert keys == sorted(set(keys), key=str)
