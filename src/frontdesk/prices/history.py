"""Which price held when: the book's tariffs, written down as they come into force.

Attempts carry what they cost, so nothing is reckoned from these rows again. They tell people why a call of
last month cost what it did, after the configuration and the snapshot have changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.money import Price, Rates
from frontdesk.prices.book import PriceBook
from frontdesk.prices.store import PriceRow, PriceStore
from frontdesk.prices.tariffs import Tariff


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price as it is stored: pico-dollars for a token, and for a call (`request`)."""

    rates: Rates
    steps: tuple[tuple[int, Rates], ...] = ()


class DailyTerms(Terms, frozen=True, omit_defaults=True, kw_only=True):
    """What holds each day from one minute to another."""

    starts: int
    ends: int


class TariffTerms(Terms, frozen=True, omit_defaults=True, kw_only=True):
    """A tariff as it is stored."""

    daily: tuple[DailyTerms, ...] = ()
    service_tiers: dict[str, Terms] = {}


class PriceHistory:
    """Keeps the rows of a book's prices."""

    def __init__(self, store: PriceStore, book: PriceBook, clock: Clock) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._nothing_until = -math.inf

    async def record(self) -> int:
        """Add a row for each price that is another than the newest row of its route says; returns how many.

        At the start, and again and again: it asks nobody until the next dated change.
        """
        now = self._clock.now()
        if now < self._nothing_until:
            return 0
        newest = await self._store.newest()
        by_route = self._book.tariffs()
        rows = [row for route, tariffs in by_route.items() for row in changes(route, tariffs, newest.get(route), now)]
        await self._store.add(rows)
        dates = [tariff.since for tariffs in by_route.values() for tariff in tariffs]
        self._nothing_until = min((date for date in dates if date > now), default=math.inf)
        return len(rows)


def changes(route: str, tariffs: Sequence[Tariff], newest: PriceRow | None, now: float) -> Iterator[PriceRow]:
    """Yield the rows that are missing, the oldest first.

    A dated change counts from its date, every other one from now: since when it is known here.
    """
    begun = [tariff for tariff in tariffs if tariff.since <= now] or [tariffs[0]]
    if newest is not None:
        known_ms = newest.since_ms
        for tariff in begun:
            if math.isfinite(tariff.since) and _ms(tariff.since) > newest.since_ms:
                row = _row(route, tariff, _ms(tariff.since))
                if not _is_same(row, newest):
                    yield row
                    newest = row
                known_ms = row.since_ms
        row = _row(route, begun[-1], max(_ms(now), known_ms + 1))
        if not _is_same(row, newest):
            yield row
    else:
        since = begun[-1].since
        yield _row(route, begun[-1], _ms(since if math.isfinite(since) else now))


def terms_of(row: PriceRow) -> TariffTerms | None:
    """What a row says; None where the route had no price."""
    return None if row.rates is None else msgspec.json.decode(row.rates, type=TariffTerms)


def _row(route: str, tariff: Tariff, since_ms: int) -> PriceRow:
    if tariff.price is None:
        return PriceRow(route, since_ms, "none", None)
    tiers: Mapping[str, Price] = tariff.service_tiers or {}
    terms = TariffTerms(
        tariff.price.rates,
        tariff.price.steps,
        daily=tuple(
            DailyTerms(each.price.rates, each.price.steps, starts=each.starts, ends=each.ends) for each in tariff.daily
        ),
        service_tiers={name: Terms(price.rates, price.steps) for name, price in tiers.items()},
    )
    return PriceRow(route, since_ms, tariff.price.book, msgspec.json.encode(terms).decode())


def _is_same(row: PriceRow, other: PriceRow) -> bool:
    """Whether it costs the same; that another edition of the book says so is no change."""
    return terms_of(row) == terms_of(other)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
