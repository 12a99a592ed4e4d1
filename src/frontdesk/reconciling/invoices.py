"""Invoices and exports of providers, read line by line: what each day and model cost, and how many tokens it had.

A file is known by its columns; `columns` says of any other which ones to take. What cannot be read is told with its
line and its value, and nothing is then compared.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import msgspec

from frontdesk.reconciling.cells import count_of, day_of, is_nothing, usd_of

FIELDS = ("date", "model", "cost", "input_tokens", "output_tokens")
"""What a column can be taken for."""
NO_MODEL = "(no model)"

_T = TypeVar("_T")
_MOST_PROBLEMS = 10
_SAMPLE_CHARS = 65_536


class Layout(msgspec.Struct, frozen=True):
    """A kind of file, known by the columns `has`. Of tokens, those columns that are there are summed up.

    A model's name ends at the first comma where `is_line_item`: after it comes what of it is charged.
    """

    title: str | None
    has: tuple[str, ...]
    date: str
    model: str | None = None
    cost: str | None = None
    input_tokens: tuple[str, ...] = ()
    output_tokens: tuple[str, ...] = ()
    currency: str | None = None
    is_line_item: bool = False


LAYOUTS = (
    Layout(
        "OpenAI's export of costs",
        has=("start_time_iso", "amount_value", "amount_currency"),
        date="start_time_iso",
        model="line_item",
        cost="amount_value",
        currency="amount_currency",
        is_line_item=True,
    ),
    Layout(
        "OpenAI's export of usage",
        has=("start_time_iso", "num_model_requests", "input_tokens", "output_tokens"),
        date="start_time_iso",
        model="model",
        input_tokens=("input_tokens",),
        output_tokens=("output_tokens",),
    ),
    Layout(
        "Anthropic's export of costs",
        has=("usage_date_utc", "model", "cost_usd"),
        date="usage_date_utc",
        model="model",
        cost="cost_usd",
    ),
    Layout(
        "Anthropic's export of usage",
        has=("usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_output_tokens"),
        date="usage_date_utc",
        model="model_version",
        input_tokens=(
            "usage_input_tokens_no_cache",
            "usage_input_tokens_cache_write",
            "usage_input_tokens_cache_write_5m",
            "usage_input_tokens_cache_write_1h",
            "usage_input_tokens_cache_read",
        ),
        output_tokens=("usage_output_tokens",),
    ),
    Layout(
        "OpenRouter's activity",
        has=("created_at", "cost_total", "model_permaslug"),
        date="created_at",
        model="model_permaslug",
        cost="cost_total",
        input_tokens=("tokens_prompt",),
        output_tokens=("tokens_completion",),
    ),
)


class InvoiceError(Exception):
    """A file that cannot be compared; the message says why, in lines."""


class Charge(NamedTuple):
    """What was charged, in US dollars, and for how many tokens; 0 for what a file does not say."""

    usd: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: Charge) -> Charge:
        """Both together."""
        return Charge(
            self.usd + other.usd, self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens
        )


class Invoice(msgspec.Struct, frozen=True):
    """A file that was read: charges by day and the provider's name of a model. `title` is None of an unknown kind.

    Where no line names a model, `has_models` is false and all are by `NO_MODEL`.
    """

    title: str | None
    charges: Mapping[tuple[date, str], Charge]
    has_costs: bool
    has_tokens: bool
    has_models: bool


def read_invoice(data: bytes, columns: Mapping[str, str]) -> Invoice:
    """Read a file. `columns` names, by field, the columns to take; they count over what is known of the file.

    Raises InvoiceError.
    """
    text = _decoded(data)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header = _header(rows)
    layout = _layout(header, columns)
    charges: dict[tuple[date, str], Charge] = {}
    problems: list[str] = []
    for line, row in _lines(rows):
        try:
            found = _charge(layout, header, row)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        if found is not None:
            key, charge = found
            charges[key] = charges.get(key, Charge()).plus(charge)
    if problems:
        raise InvoiceError(_told(problems))
    if not charges:
        raise InvoiceError("It has no line that charges anything.")
    has_models = any(model != NO_MODEL for _, model in charges)
    has_tokens = bool(layout.input_tokens or layout.output_tokens)
    return Invoice(layout.title, charges, layout.cost is not None, has_tokens, has_models)


# --- the file -----------------------------------------------------------------------------------


def _decoded(data: bytes) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvoiceError(
            f"line {line}: it is not UTF-8 ({data[error.start : error.start + 4]!r}). Save it as CSV in UTF-8."
        ) from None


def _delimiter(text: str) -> str:
    """What stands between the columns: whichever makes the most of them out of the first line."""
    first = text.lstrip("\r\n")[:_SAMPLE_CHARS].splitlines()[:1]
    return max((",", ";", "\t"), key=(first[0] if first else "").count)


def _header(rows: Any) -> Mapping[str, int]:
    """The places of the columns, by their names in small letters."""
    for _, row in _lines(rows):
        names = [name.strip().lower() for name in row]
        twice = next((name for place, name in enumerate(names) if name and name in names[:place]), None)
        if twice is not None:
            raise InvoiceError(f"line 1: two columns are named {twice!r}.")
        return {name: place for place, name in enumerate(names) if name}
    raise InvoiceError("It is empty: there is no line with the names of columns.")


def _lines(rows: Any) -> Iterator[tuple[int, list[str]]]:  # csv names its reader's type in private
    """The lines that say something, with their numbers: of one over several, that of its end."""
    while True:
        try:
            row: list[str] = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvoiceError(f"line {rows.line_num}: it is no CSV: {error}.") from None
        if any(not is_nothing(cell) for cell in row):
            yield rows.line_num, row


def _layout(header: Mapping[str, int], columns: Mapping[str, str]) -> Layout:
    known = next((layout for layout in LAYOUTS if all(name in header for name in layout.has)), None)
    for field, name in columns.items():
        if name.lower() not in header:
            raise InvoiceError(f"--columns: {field} is {name!r}, which is no column. It has: {', '.join(header)}.")
    if known is None and "date" not in columns:
        titles = "; ".join(f"{layout.title} ({', '.join(layout.has)})" for layout in LAYOUTS)
        raise InvoiceError(
            f"Its columns are of no file that is known: {', '.join(header)}.\nKnown are {titles}.\n"
            "Of any other say which to take: --columns date=NAME,model=NAME,cost=NAME"
        )
    named = {field: name.lower() for field, name in columns.items()}
    layout = _named(known or Layout(None, has=(), date=named["date"]), named)
    if layout.cost is None and not (layout.input_tokens or layout.output_tokens):
        raise InvoiceError("--columns: name the column of costs, or of tokens: cost=NAME, or input_tokens=NAME")
    return layout


def _named(layout: Layout, named: Mapping[str, str]) -> Layout:
    """The layout with these columns in place of its own."""
    changes: dict[str, object] = {
        field: (name,) if field.endswith("_tokens") else name for field, name in named.items()
    }
    if "cost" in named:
        changes["currency"] = None
    if "model" in named:
        changes["is_line_item"] = False
    return msgspec.structs.replace(layout, **changes)


def _told(problems: Sequence[str]) -> str:
    shown = [f"{problem}." for problem in problems[:_MOST_PROBLEMS]]
    more = len(problems) - len(shown)
    return "\n".join([*shown, *([f"… and {more} lines more."] if more else [])])


# --- its lines ----------------------------------------------------------------------------------


def _charge(layout: Layout, header: Mapping[str, int], row: Sequence[str]) -> tuple[tuple[date, str], Charge] | None:
    """What a line says; None where it charges nothing. Raises ValueError."""
    if len(row) > len(header) and any(not is_nothing(cell) for cell in row[len(header) :]):
        raise ValueError(f"it has {len(row)} columns, and the first line names {len(header)}: {row[-1]!r} is too much")

    def cell(name: str | None) -> str:
        place = None if name is None else header.get(name)
        return row[place].strip() if place is not None and place < len(row) else ""

    amount, counted = cell(layout.cost), [cell(name) for name in (*layout.input_tokens, *layout.output_tokens)]
    if all(is_nothing(text) for text in (amount, *counted)):
        return None
    charge = Charge(
        Decimal(0) if is_nothing(amount) else _in(layout.cost, amount, usd_of),
        _sum_of(layout.input_tokens, cell),
        _sum_of(layout.output_tokens, cell),
    )
    currency = cell(layout.currency)
    if not is_nothing(currency) and currency.lower() != "usd":
        raise ValueError(f"{layout.currency!r} is {currency!r}: only US dollars can be compared")
    model = " ".join(cell(layout.model).split())
    if layout.is_line_item:
        model = model.partition(",")[0].strip()
    if not model.isprintable():  # it would be printed to a terminal
        raise ValueError(f"{layout.model!r}: {model!r} is no name of a model")
    return (_in(layout.date, cell(layout.date), day_of), NO_MODEL if is_nothing(model) else model), charge


def _sum_of(names: Iterable[str], cell: Callable[[str], str]) -> int:
    return sum(_in(name, cell(name), count_of) for name in names if not is_nothing(cell(name)))


def _in(column: str | None, text: str, read: Callable[[str], _T]) -> _T:
    """Read a cell, and name its column where it cannot be read."""
    try:
        return read(text)
    except ValueError as error:
        raise ValueError(f"{column!r}: {error}") from None
