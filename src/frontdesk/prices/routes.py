"""/api/admin/prices: what each configured route costs, and what it cost before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import secret
from frontdesk.core.clock import Clock
from frontdesk.core.errors import NotFound
from frontdesk.core.money import MICROS_PER_USD, Rates
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.prices.book import PAID_ONE_BY_ONE, Effective, PriceBook
from frontdesk.prices.history import Terms, terms_of
from frontdesk.prices.store import PriceRow, PriceStore
from frontdesk.prices.tariffs import Tariff, holding_at
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller

_MOST_CHANGES = 100


class PriceRoutes:
    """The routes of prices."""

    def __init__(self, book: PriceBook, database: Database, callers: Callers, clock: Clock) -> None:
        self._book = book
        self._database = database
        self._callers = callers
        self._clock = clock

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/admin/prices", "GET", self.list_prices, self._callers),
            guarded("/api/admin/prices/{route:path}", "GET", self.find_price, self._callers),
        ]

    async def list_prices(self, _: Request, caller: Annotated[Caller, May("operator", scope="usage")]) -> Response:  # noqa: ARG002 - who may call
        """What each configured route costs now, in the configuration's order."""
        return secret({"object": "list", "data": [_price(each) for each in self._effective()]})

    async def find_price(self, request: Request, caller: Annotated[Caller, May("operator", scope="usage")]) -> Response:
        """What one of them costs now, and what it cost since when: the latest change first."""
        route: str = request.path_params["route"]
        found = next((each for each in self._effective() if each.route == route), None)
        is_name = route.isprintable()  # PostgreSQL refuses to look for a NUL
        history = await PriceStore(self._database, caller.tenant).history(route, _MOST_CHANGES) if is_name else []
        if found is None and not history:
            words = "Prices are of the routes of `models`, spelled 'provider/model'."
            raise NotFound(f"There is no route {route!r}. {words}", code="route_not_found", param="route")
        told = _price(found or Effective(route, holding_at((Tariff(None),), 0.0), None, "it is in no model's route"))
        return secret({**told, "configured": found is not None, "history": _history(history)})

    def _effective(self) -> list[Effective]:
        return self._book.effective(self._clock.now())


def _price(effective: Effective) -> dict[str, Any]:
    holding = effective.holding
    price = holding.price
    tiers = holding.service_tiers or {}
    return {
        "route": effective.route,
        "object": "price",
        "book": None if price is None else price.book,
        "unpriced": effective.unpriced,
        **_terms(None if price is None else Terms(price.rates, price.steps)),
        "service_tiers": {name: _terms(Terms(each.rates, each.steps)) for name, each in tiers.items()},
        "context_tokens": effective.context_tokens,
        "next_change_at": None if math.isinf(holding.until) else int(holding.until),
    }


def _history(rows: Sequence[PriceRow]) -> list[dict[str, Any]]:
    """Rows as they are told. Of two processes that started together both may have written the same."""
    return [_row(row) for row, before in zip(rows, [*rows[1:], None], strict=False) if not _repeats(row, before)]


def _repeats(row: PriceRow, before: PriceRow | None) -> bool:
    return before is not None and row.rates == before.rates


def _row(row: PriceRow) -> dict[str, Any]:
    terms = terms_of(row)
    return {
        "since": row.since_ms // 1000,
        "book": None if terms is None else row.book,
        **_terms(terms),
        "daily": [
            {"from": _clock_time(each.starts), "until": _clock_time(each.ends), **_terms(each)}
            for each in (() if terms is None else terms.daily)
        ],
        "service_tiers": {} if terms is None else {name: _terms(each) for name, each in terms.service_tiers.items()},
    }


def _terms(terms: Terms | None) -> dict[str, Any]:
    """US dollars as they are printed: `prices.book.PAID_ONE_BY_ONE` for one, all else for a million."""
    if terms is None:
        return {"rates": None, "steps": []}
    steps = [{"above_input_tokens": above, "rates": _usd(rates)} for above, rates in terms.steps]
    return {"rates": _usd(terms.rates), "steps": steps}


def _usd(rates: Rates) -> dict[str, float]:
    usd = {name: getattr(rates, name) / MICROS_PER_USD for name in Rates.__struct_fields__}
    return {name: each / MICROS_PER_USD if name in PAID_ONE_BY_ONE else each for name, each in usd.items()}


def _clock_time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
