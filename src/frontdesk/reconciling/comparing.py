"""An invoice beside the ledger: by day and model, both in micro-dollars.

Providers bill a dated snapshot ("gpt-5-mini-2025-08-07") of what was asked for by another name ("gpt-5-mini"), or name
models for people ("Claude Haiku 4.5"). So both sides' names are compared without their dates, in one spelling; two
snapshots of one model are one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from frontdesk.core.money import MICROS_PER_USD, Micros
from frontdesk.reconciling.invoices import NO_MODEL, Invoice
from frontdesk.reconciling.store import Spent

ALL_MODELS = "all models"
"""The name of lines where the invoice tells no models apart."""

_MONTH_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_DATED = re.compile(rf"(?:[-@]20\d\d-?{_MONTH_DAY}|[-@]20\d\d-\d\d-\d\d|-{_MONTH_DAY}|-latest)$")
# OpenRouter's: which providers of a model may answer, not which model.
_VARIANT = re.compile(r"(?<=/)([^/:]+):\w+$")
_PERCENT = 100


class Tolerance(msgspec.Struct, frozen=True):
    """How much may differ: a share of what the invoice says, or an amount, whichever is more."""

    percent: Decimal = Decimal("0.5")
    micros: Micros = MICROS_PER_USD // 100

    def covers(self, difference: Micros, invoice: Micros) -> bool:
        """Whether such a difference is within it."""
        return abs(difference) <= max(Decimal(self.micros), abs(invoice) * self.percent / _PERCENT)

    def covers_tokens(self, difference: int, invoice: int) -> bool:
        """Whether such a difference of tokens is within its share."""
        return abs(difference) <= invoice * self.percent / _PERCENT


class Side(msgspec.Struct, frozen=True):
    """What one of the two says of a line."""

    micros: Micros = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: Side) -> Side:
        """Both together."""
        return Side(
            self.micros + other.micros,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


class Line(msgspec.Struct, frozen=True):
    """What both say of a model in a day; None where one of them does not know of it. The totals have no day."""

    day: date | None
    model: str
    ledger: Side | None
    invoice: Side | None
    is_within: bool

    @property
    def difference(self) -> Side:
        """The ledger's, less the invoice's."""
        ledger, invoice = self.ledger or Side(), self.invoice or Side()
        return Side(
            ledger.micros - invoice.micros,
            ledger.input_tokens - invoice.input_tokens,
            ledger.output_tokens - invoice.output_tokens,
        )

    @property
    def percent(self) -> Decimal | None:
        """The difference of what it cost, in percent of the invoice; None where that says 0."""
        charged = (self.invoice or Side()).micros
        if not charged:
            return None
        return (Decimal(self.difference.micros) * _PERCENT / abs(charged)).quantize(Decimal("0.01"), ROUND_HALF_UP)


class Comparison(msgspec.Struct, frozen=True):
    """All lines, by day and model, and their sum."""

    lines: list[Line]
    total: Line

    @property
    def is_within(self) -> bool:
        """Whether no line differs by more than was tolerated, nor all of them together."""
        return self.total.is_within and all(line.is_within for line in self.lines)


def compare(
    invoice: Invoice, ledger: Iterable[Spent], tolerance: Tolerance, names: Mapping[str, str] | None = None
) -> Comparison:
    """Hold the two against each other. Both must be of the same days.

    `names` say what the ledger calls a model of the invoice, where it is not the same.
    """
    ours = {undated(theirs): undated(name) for theirs, name in (names or {}).items()}
    charged: dict[tuple[date, str], Side] = {}
    for (day, model), charge in invoice.charges.items():
        side = Side(_micros(charge.usd), charge.input_tokens, charge.output_tokens)
        name = _name(model, invoice)
        _put(charged, (day, ours.get(name, name)), side)
    spent: dict[tuple[date, str], Side] = {}
    for each in ledger:
        side = Side(each.micros, each.input_tokens, each.output_tokens)
        if side != Side() or each.unpriced:
            _put(spent, (each.day, _name(each.model, invoice)), side)
    lines = [
        _line(invoice, tolerance, day, model, spent.get((day, model)), charged.get((day, model)))
        for day, model in sorted(charged.keys() | spent.keys())
    ]
    total = _line(invoice, tolerance, None, "", _sum(spent.values()), _sum(charged.values()))
    return Comparison(lines, total)


def undated(model: str) -> str:
    """A model's name in one spelling, without the date of a snapshot."""
    spelled = re.sub(r"[\s.]+", "-", model.strip().lower()) if " " in model.strip() else model.strip().lower()
    return _DATED.sub("", _VARIANT.sub(r"\1", spelled))


def _name(model: str, invoice: Invoice) -> str:
    if not invoice.has_models:
        return ALL_MODELS
    return model if model == NO_MODEL else undated(model)


def _line(
    invoice: Invoice, tolerance: Tolerance, day: date | None, model: str, spent: Side | None, charged: Side | None
) -> Line:
    line = Line(day, model, spent, charged, is_within=True)
    difference, said = line.difference, charged or Side()
    if invoice.has_costs:
        is_within = tolerance.covers(difference.micros, said.micros)
    else:
        is_within = tolerance.covers_tokens(difference.input_tokens, said.input_tokens) and tolerance.covers_tokens(
            difference.output_tokens, said.output_tokens
        )
    return msgspec.structs.replace(line, is_within=is_within)


def _put(sides: dict[tuple[date, str], Side], key: tuple[date, str], side: Side) -> None:
    sides[key] = sides.get(key, Side()).plus(side)


def _sum(sides: Iterable[Side]) -> Side:
    total = Side()
    for side in sides:
        total = total.plus(side)
    return total


def _micros(usd: Decimal) -> Micros:
    return int((usd * MICROS_PER_USD).to_integral_value(ROUND_HALF_UP))
