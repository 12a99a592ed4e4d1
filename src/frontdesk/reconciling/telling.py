"""A comparison in words and columns for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from frontdesk.core.money import MICROS_PER_USD, Micros, usd, usd_words
from frontdesk.reconciling.comparing import Comparison, Line, Side, Tolerance
from frontdesk.reconciling.invoices import Invoice
from frontdesk.reconciling.store import Spent


class Told(msgspec.Struct, frozen=True):
    """All that there is to say of a comparison. `until` is the first day that is not part of it."""

    file: str
    provider: str
    since: date
    until: date
    invoice: Invoice
    tolerance: Tolerance
    comparison: Comparison
    notes: Sequence[str]


def notes_of(ledger: Iterable[Spent], outside: int) -> list[str]:
    """What explains differences. `outside` is how many days and models of the file are outside of the range."""
    ledger = list(ledger)
    notes: list[str] = []
    if not ledger:
        notes.append("The ledger has no attempt of this provider in these days.")
    unpriced = sorted({each.model for each in ledger if each.unpriced})
    if unpriced:
        count = sum(each.unpriced for each in ledger)
        notes.append(
            f"{_count(count, 'attempt has', 'attempts have')} no price here and cost $0 above: {', '.join(unpriced)}. "
            "Name their prices under 'prices'."
        )
    estimated, crashed = sum(each.estimated for each in ledger), sum(each.crashed for each in ledger)
    if estimated:
        notes.append(f"{usd_words(estimated)} of the ledger are estimates: answers that broke off, or were left.")
    if crashed:
        notes.append(f"{usd_words(crashed)} of the ledger are what was put aside for turns whose process died.")
    if outside:
        notes.append(f"Outside of these days the file has {_count(outside, 'line', 'lines')} by day and model.")
    return notes


def text_of(told: Told) -> str:
    """The comparison for people."""
    invoice, comparison = told.invoice, told.comparison
    last = told.until - timedelta(1)
    name = told.file if invoice.title is None else f"{told.file} ({invoice.title})"
    head = f"{name} and the ledger's attempts of {told.provider!r}, {told.since} to {last}, UTC:"
    rows = [_titles(invoice), *(_cells(line, invoice) for line in (*comparison.lines, comparison.total))]
    parts = [head, "", *_aligned(rows, len(comparison.lines)), "", *(f"! {note}" for note in told.notes)]
    beyond = sum(not line.is_within for line in comparison.lines)
    parts.append(_verdict(comparison, beyond, _words_of(told.tolerance, invoice)))
    return "\n".join(parts)


def json_of(told: Told) -> str:
    """The same for programs: amounts in US dollars, differences the ledger's less the invoice's."""
    invoice, comparison = told.invoice, told.comparison
    lines = comparison.lines
    content = {
        "ok": comparison.is_within,
        "file": told.file,
        "kind": invoice.title,
        "provider": told.provider,
        "from": str(told.since),
        "to": str(told.until),
        "compared": "costs" if invoice.has_costs else "tokens",
        "tolerance": {"percent": float(told.tolerance.percent), "usd": usd(told.tolerance.micros)},
        "lines": [_named(line, invoice) for line in lines],
        "totals": _measures(comparison.total, invoice),
        "only_in_ledger": [_key(line) for line in lines if line.invoice is None],
        "only_in_invoice": [_key(line) for line in lines if line.ledger is None],
        "notes": list(told.notes),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


# --- for people ---------------------------------------------------------------------------------


def _titles(invoice: Invoice) -> list[str]:
    costs = ["ledger", "invoice", "difference", "%"] if invoice.has_costs else []
    tokens = ["input tokens", "difference", "output tokens", "difference"] if invoice.has_tokens else []
    return ["day", "model", *costs, *tokens, ""]


def _cells(line: Line, invoice: Invoice) -> list[str]:
    cells = [str(line.day or "all"), line.model]
    ledger, charged, difference = line.ledger, line.invoice, line.difference
    if invoice.has_costs:
        cells += [_dollars(ledger), _dollars(charged), _signed(difference.micros)]
        cells.append("" if line.percent is None else f"{line.percent:+}")
    if invoice.has_tokens:
        said = ledger or Side()
        cells += [f"{said.input_tokens:,}", f"{difference.input_tokens:+,}"]
        cells += [f"{said.output_tokens:,}", f"{difference.output_tokens:+,}"]
    return [*cells, _remark(line)]


def _remark(line: Line) -> str:
    where = "only in the ledger" if line.invoice is None else "only in the invoice" if line.ledger is None else ""
    beyond = "" if line.is_within else "beyond"
    return ", ".join(part for part in (beyond, where) if part)


def _dollars(side: Side | None) -> str:
    return "" if side is None else f"{side.micros / MICROS_PER_USD:,.6f}"


def _signed(micros: Micros) -> str:
    return f"{micros / MICROS_PER_USD:+,.6f}" if micros else "0"


def _aligned(rows: list[list[str]], count: int) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join([*_words(row[:2], widths), *_numbers(row, widths), row[-1]]).rstrip() for row in rows]
    lines.insert(count + 1, "-" * max(len(line) for line in lines))
    return lines


def _words(cells: list[str], widths: list[int]) -> list[str]:
    return [f"{cell:{width}}" for cell, width in zip(cells, widths, strict=False)]


def _numbers(row: list[str], widths: list[int]) -> list[str]:
    return [f"{cell:>{width}}" for cell, width in zip(row[2:-1], widths[2:-1], strict=True)]


def _words_of(tolerance: Tolerance, invoice: Invoice) -> str:
    percent, amount = f"{tolerance.percent.normalize():f} %", usd_words(tolerance.micros)
    if not tolerance.micros or not invoice.has_costs:
        return percent
    return f"{percent} or {amount}, whichever is more" if tolerance.percent else amount


def _verdict(comparison: Comparison, beyond: int, tolerated: str) -> str:
    if comparison.is_within:
        return f"They agree within {tolerated}."
    named = [_count(beyond, "line", "lines")] if beyond else []
    return f"They differ by more than {tolerated}: {' and '.join([*named, *_total_named(comparison)])}."


def _total_named(comparison: Comparison) -> list[str]:
    return [] if comparison.total.is_within else ["the total"]


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


# --- for programs -------------------------------------------------------------------------------


def _key(line: Line) -> dict[str, str]:
    return {"day": str(line.day), "model": line.model}


def _named(line: Line, invoice: Invoice) -> dict[str, Any]:
    return {**_key(line), **_measures(line, invoice)}


def _measures(line: Line, invoice: Invoice) -> dict[str, Any]:
    """A side is null where it does not know of the line, and so is what a file does not say."""
    difference = line.difference
    told: dict[str, Any] = {
        "ledger": _side(line.ledger, has_costs=True, has_tokens=True),
        "invoice": _side(line.invoice, has_costs=invoice.has_costs, has_tokens=invoice.has_tokens),
        "difference": _side(difference, has_costs=invoice.has_costs, has_tokens=invoice.has_tokens),
        "percent": None if line.percent is None or not invoice.has_costs else float(line.percent),
        "is_within": line.is_within,
    }
    return told


def _side(side: Side | None, *, has_costs: bool, has_tokens: bool) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "usd": usd(side.micros) if has_costs else None,
        "input_tokens": side.input_tokens if has_tokens else None,
        "output_tokens": side.output_tokens if has_tokens else None,
    }
