"""What a model offers: its routes, each with what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from frontdesk.core.money import Price
from frontdesk.policies.spending import Menu, Offer


class Prices(Protocol):
    """Knows what routes cost."""

    def price_of(self, route: str, at: float, service_tier: str | None = None) -> Price | None:
        """The price of a route ("provider/model") at a time, in seconds since 1970; None where there is none.

        `service_tier` is the one that the request asks for.
        """
        ...


class Menus:
    """Routes with their prices, put together anew only where a price has changed."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._known: dict[tuple[str, ...], tuple[list[Price | None], Menu]] = {}

    def of(self, routes: tuple[str, ...], at: float, service_tier: str | None = None) -> Menu:
        """What a model's routes, in this order, offer at the prices of a time, in seconds since 1970."""
        price_of = self._prices.price_of
        if service_tier is not None:  # whatever a caller writes: too many to be kept
            return _menu(routes, [price_of(route, at, service_tier) for route in routes])
        prices = [price_of(route, at) for route in routes]
        known = self._known.get(routes)
        # Mostly the very same objects, which is seen at once.
        if known is None or known[0] != prices:
            known = self._known[routes] = prices, _menu(routes, prices)
        return known[1]


def _menu(routes: Sequence[str], prices: Sequence[Price | None]) -> Menu:
    both = zip(routes, prices, strict=True)
    return Menu([Offer(route, price) for route, price in both if price is not None])
