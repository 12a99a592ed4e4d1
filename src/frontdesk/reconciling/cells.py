"""Cells of other people's tables: days, amounts of US dollars, counts. What can be read in two ways is refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

_NOTHING = ("", "-", "\u2013", "\u2014", "n/a", "null", "none")
# Spaces of all kinds and apostrophes stand between thousands in some countries.
_SPACES = re.compile(r"[\s\u00a0\u2009\u202f'\u2019]")
_DOLLARS = re.compile(r"US\$|USD|\$", re.IGNORECASE)
_DIGITS = r"(?:\d[\d.,]*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_NUMBER = re.compile(_DIGITS)
# Bookkeepers write what comes back in parentheses.
_AMOUNT = re.compile(rf"\((?P<owed>{_DIGITS})\)|(?P<sign>[+-]?)(?P<number>{_DIGITS})")
_MOST = Decimal(10) ** 12
_SHORT_DATES = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y")
_YEARS = range(2000, 3000)


def is_nothing(text: str) -> bool:
    """Whether a cell says nothing at all, which is not 0."""
    return text.strip().lower() in _NOTHING


def usd_of(text: str) -> Decimal:
    """An amount of US dollars: '0.5', '$1,234.50', '(12.00)', '-1.2e-05', '1.234,50 USD'. Raises ValueError.

    A comma before three digits stands between thousands, unless a dot does so already; else it is the decimal one.
    """
    bare = _SPACES.sub("", _DOLLARS.sub("", text)).replace("\u2212", "-")
    found = _AMOUNT.fullmatch(bare)
    if found is None:
        raise ValueError(f"{text!r} is no amount of US dollars")
    amount = Decimal(_with_a_dot(found["owed"] or found["number"], text))
    if amount >= _MOST:
        raise ValueError(f"{text!r} is more than anybody is charged")
    return -amount if found["owed"] or found["sign"] == "-" else amount


def count_of(text: str) -> int:
    """A whole number that is not negative: '59200', '59200.0', '1,234,567'. Raises ValueError, also for '1.234'."""
    bare = _SPACES.sub("", text)
    if bare.count(".") == 1 and _are_thousands(bare, "."):
        raise ValueError(f"{text!r} is no count of tokens that can be read without doubt")
    number = Decimal(_with_a_dot(bare, text)) if _NUMBER.fullmatch(bare) else Decimal(-1)
    if number < 0 or number >= _MOST or number != number.to_integral_value():
        raise ValueError(f"{text!r} is no count of tokens")
    return int(number)


def day_of(text: str) -> date:
    """The day, in UTC, of a date or a time, or of Unix seconds or milliseconds. Raises ValueError."""
    bare = text.strip().removesuffix("UTC").strip()
    found = _numbered_day(bare) or _iso_day(bare) or _short_day(bare)
    if found is None or found.year not in _YEARS:
        raise ValueError(f"{text!r} is no date that can be read without doubt: write it as 2026-07-31")
    return found


def _with_a_dot(number: str, text: str) -> str:
    """A number with a dot for its decimals, and nothing between its thousands."""
    commas, dots = number.count(","), number.count(".")
    if commas and dots:
        thousands, decimal = (",", ".") if number.rindex(".") > number.rindex(",") else (".", ",")
    elif commas:
        thousands, decimal = (",", ".") if _are_thousands(number, ",") else ("", ",")
    else:
        thousands, decimal = (".", "") if dots > 1 else ("", ".")
    whole, _, rest = number.partition(decimal) if decimal else (number, "", "")
    if (thousands and thousands in whole and not _are_thousands(whole, thousands)) or "," in rest or "." in rest:
        raise ValueError(f"{text!r} is no number that can be read without doubt")
    plain = whole.replace(thousands, "") if thousands else whole
    return f"{plain}.{rest}" if rest else plain


def _are_thousands(number: str, mark: str) -> bool:
    first, *groups = number.split(mark)
    return 1 <= len(first) <= 3 and not first.startswith("0") and all(len(group) == 3 for group in groups)


def _numbered_day(text: str) -> date | None:
    if re.fullmatch(r"\d{10}(?:\.\d+)?|\d{13}", text) is None:
        return None
    seconds = int(text[:10])
    return datetime.fromtimestamp(seconds, UTC).date()


def _iso_day(text: str) -> date | None:
    slashed = re.fullmatch(r"(\d{4})/(\d{1,2})/(\d{1,2})(.*)", text)
    if slashed is not None:
        text = f"{slashed[1]}-{slashed[2]:0>2}-{slashed[3]:0>2}{slashed[4]}"
    if re.match(r"\d{4}-\d\d-\d\d", text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.date() if moment.tzinfo is None else moment.astimezone(UTC).date()
    except (ValueError, OverflowError):
        return None


def _short_day(text: str) -> date | None:
    for pattern in _SHORT_DATES:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    return None
