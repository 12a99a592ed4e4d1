"""The price book: what a call of each configured route costs, and by whose word.

config.prices "provider/model"     what an operator says of a model, or of all others of a provider
config.prices "provider/*"
kind local, scripted               nothing
kind openai, openai-compatible     what the provider with this base_url charges: `snapshot`
none of these                      no price: such calls are served, but count as unpriced
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
from yarl import URL

from frontdesk.core.config import Config
from frontdesk.core.config import Price as ConfiguredPrice
from frontdesk.core.config import Rates as ConfiguredRates
from frontdesk.core.money import Price, Rates, picos_of
from frontdesk.prices.snapshot import Rate, Snapshot, rate_above, steps_of
from frontdesk.prices.snapshot import Rates as PublishedRates
from frontdesk.prices.snapshot import Tariff as PublishedTariff
from frontdesk.prices.tariffs import Daily, Holding, Tariff, holding_at

_OPENAI_URL = "https://api.openai.com/v1"
_FOR_NOTHING = ("local", "scripted")


class Listing(msgspec.Struct, frozen=True):
    """A route in the book: its tariffs by their dates, and how much its model can read, where that is known.

    `unpriced` says in words why it has no price.
    """

    tariffs: Sequence[Tariff]
    context_tokens: int | None = None
    unpriced: str | None = None


class Effective(msgspec.Struct, frozen=True):
    """What a route costs at a time; `unpriced` says why there is no price."""

    route: str
    holding: Holding
    context_tokens: int | None
    unpriced: str | None


class PriceBook:
    """The prices of all configured routes. `open` makes it, once."""

    def __init__(self, listings: Mapping[str, Listing]) -> None:
        self._listings = dict(listings)
        self._held = {route: holding_at(listing.tariffs, 0.0) for route, listing in listings.items()}

    @classmethod
    def open(cls, config: Config) -> PriceBook:
        """Look up what every route of the configuration costs. Reads the snapshot where one may be in it."""
        routes = list(dict.fromkeys(route for model in config.models.values() for route in model.asked))
        listings = {route: listing for route in routes if (listing := _said(config, route)) is not None}
        listings |= _looked_up(config, [route for route in routes if route not in listings])
        return cls({route: listings[route] for route in routes})

    def price_of(self, route: str, at: float, service_tier: str | None = None) -> Price | None:
        """What a call by this route ("provider/model") costs at a time, in seconds since 1970; None where unknown.

        `service_tier` is the one that the request asks for: some cost twice as much.
        """
        held = self._held.get(route)
        if held is None:
            return None
        if not held.since <= at < held.until:
            held = self._held[route] = holding_at(self._listings[route].tariffs, at)
        return held.price if service_tier is None else held.price_in(service_tier)

    def unpriced(self) -> dict[str, str]:
        """The configured routes without a price, in the configuration's order, each with the reason in words."""
        return {route: listing.unpriced for route, listing in self._listings.items() if listing.unpriced is not None}

    def effective(self, at: float) -> list[Effective]:
        """What each configured route costs at a time, and until when that holds, in the configuration's order."""
        return [
            Effective(route, holding_at(listing.tariffs, at), listing.context_tokens, listing.unpriced)
            for route, listing in self._listings.items()
        ]

    def tariffs(self) -> dict[str, Sequence[Tariff]]:
        """The tariffs of each configured route."""
        return {route: listing.tariffs for route, listing in self._listings.items()}


# --- what is configured -------------------------------------------------------------------------


def _said(config: Config, route: str) -> Listing | None:
    """What the configuration itself says of a route."""
    provider, _, _ = route.partition("/")
    price = config.prices.get(route) or config.prices.get(f"{provider}/*")
    if price is not None:
        return Listing(tuple(_configured(price)))
    kind = config.providers[provider].kind
    return Listing((Tariff(Price(Rates(), book=kind)),)) if kind in _FOR_NOTHING else None


def _configured(price: ConfiguredPrice) -> Iterator[Tariff]:
    yield Tariff(Price(_rates_in_usd(price), book="configured"))
    for change in price.changes:
        since = date.fromisoformat(change.since)
        yield Tariff(Price(_rates_in_usd(change), book=f"configured since {since}"), _begins(since))


def _rates_in_usd(said: ConfiguredRates) -> Rates:
    return _rates({name: getattr(said, name) for name in Rates.__struct_fields__})


# --- what providers charge ----------------------------------------------------------------------


def _looked_up(config: Config, routes: Sequence[str]) -> dict[str, Listing]:
    """What the snapshot has of these routes."""
    names: dict[str, list[str]] = {}
    for route in routes:
        provider, _, model = route.partition("/")
        names.setdefault(provider, []).append(model)
    if not names:
        return {}
    book = Snapshot.read()
    return {
        f"{provider}/{name}": listing
        for provider, models in names.items()
        for name, listing in _listings_at(book, config.providers[provider].base_url or _OPENAI_URL, models)
    }


def _listings_at(book: Snapshot, base_url: str, names: Sequence[str]) -> Iterator[tuple[str, Listing]]:
    source = book.provider_at(str(URL(base_url)))
    models = {} if source is None else book.find_models(source, names)
    for name in names:
        model = models.get(name)
        if source is None:
            yield name, _unpriced(f"{book.package} has no provider at its address")
        elif model is None:
            yield name, _unpriced(f"{book.package} has no such model of the provider {source.id!r}")
        elif model.unpriced is not None:
            yield name, _unpriced(f"{book.package} has it {model.unpriced}", model.context_tokens)
        else:
            yield name, Listing(tuple(_published(model.tariffs, book.package)), model.context_tokens)


def _unpriced(reason: str, context_tokens: int | None = None) -> Listing:
    return Listing((Tariff(None),), context_tokens, reason)


def _published(tariffs: Iterable[PublishedTariff], package: str) -> Iterator[Tariff]:
    before: Price | None = None
    for each in tariffs:
        since = -math.inf if each.since is None else _begins(each.since)
        label = package if each.since is None else f"{package} since {each.since}"
        price = _price(each, label)
        if before is not None and (price.rates, price.steps) == (before.rates, before.steps):
            price = before  # another part of the tariff has changed, and this one holds since it did
        before = price
        yield Tariff(
            price,
            since,
            tuple(Daily(daily.starts, daily.ends, _price(daily, label)) for daily in each.daily),
            {name: _price(rates, f"{label}, {name}") for name, rates in each.service_tiers.items()},
        )


def _price(rates: PublishedRates, book: str) -> Price:
    by_bucket: dict[str, Rate | None] = {name: getattr(rates, name, None) for name in Rates.__struct_fields__}
    steps = steps_of(by_bucket.values())
    base, *rest = [
        _rates({name: None if rate is None else rate_above(rate, above) for name, rate in by_bucket.items()})
        for above in (-1, *steps)
    ]
    return Price(base, tuple(zip(steps, rest, strict=True)), book)


# --- both ---------------------------------------------------------------------------------------


def _rates(usd: Mapping[str, float | Decimal | None]) -> Rates:
    """Rates out of dollars, with what was left out put in."""
    given = {name: _picos(name, value) for name, value in usd.items() if value is not None}
    read = given.get("input", 0)  # what is paid by the minute or the picture reads no tokens
    written = given.get("output", read)  # what has no price of its own writes nothing: embeddings
    kept = given.get("cache_write", read)
    return Rates(
        **{**dict.fromkeys(_READ, read), "cache_write_hour": kept, **dict.fromkeys(_WRITTEN, written), **given}
    )


def _picos(name: str, usd: float | Decimal) -> int:
    """Dollars for a million tokens or characters, or for one of something else, in pico-dollars for one of it."""
    return picos_of(Decimal(str(usd)) * (1_000_000 if name in PAID_ONE_BY_ONE else 1))


PAID_ONE_BY_ONE = frozenset({"request", "audio_minute", "image"})
"""Rates that are printed for one call, minute or picture; all others for a million."""
_READ = ("input", "cached", "cache_write", "audio_input", "image_input", "tool")
_WRITTEN = ("output", "reasoning", "audio_output", "image_output")


def _begins(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
