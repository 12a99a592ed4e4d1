"""What the routes of a configuration cost, for people to read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from frontdesk.core.money import Price, Rates
from frontdesk.prices.book import Effective, PriceBook

_MILLION = 1_000_000
_PICOS_PER_USD = 10**12


class RoutePrice(NamedTuple):
    """A route, and US dollars for a million tokens; None where there is no price, and `unpriced` says why.

    `units` is what else is paid, in words. `until` is the day on which it changes; of prices that depend on the length
    of a prompt, it is that of short ones.
    """

    route: str
    input: float | None
    output: float | None
    book: str | None
    until: str | None
    unpriced: str | None
    units: str = ""

    @property
    def told(self) -> str:
        """The price in words."""
        if self.input is None or self.output is None:
            return f"no price: {self.unpriced}"
        tokens = f"${self.input:g} in, ${self.output:g} out" if self.input or self.output else ""
        amount = ", ".join(filter(None, (tokens, self.units))) or "nothing"
        until = "" if self.until is None else f", until {self.until}"
        return f"{amount} ({self.book}{until})"


def route_prices(book: PriceBook, at: float) -> list[RoutePrice]:
    """What each route costs at a time, in seconds since 1970, in the configuration's order."""
    return list(_route_prices(book, at))


def _route_prices(book: PriceBook, at: float) -> Iterator[RoutePrice]:
    for each in book.effective(at):
        price = each.holding.price
        if price is None:
            yield RoutePrice(each.route, None, None, None, None, each.unpriced)
        else:
            yield _priced(each, price)


def _priced(each: Effective, price: Price) -> RoutePrice:
    until = None
    if math.isfinite(each.holding.until):
        until = datetime.fromtimestamp(each.holding.until, UTC).strftime("%Y-%m-%d")
    rates = price.rates
    return RoutePrice(
        each.route,
        rates.input / _MILLION,
        rates.output / _MILLION,
        price.book,
        until,
        each.unpriced,
        ", ".join(_units(rates)),
    )


def _units(rates: Rates) -> Iterator[str]:
    """What is paid besides tokens, in US dollars for what stands behind it."""
    for picos, unit, count in (
        (rates.audio_minute, "a minute heard", 1),
        (rates.character, "a million characters", _MILLION),
        (rates.image, "a picture", 1),
        (rates.request, "a call", 1),
    ):
        if picos:
            yield f"${picos * count / _PICOS_PER_USD:g} {unit}"
