"""When which price holds: tariffs follow one another by their dates, and one may change with the time of day.

Times are seconds since 1970, in UTC; days have 86,400 of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from frontdesk.core.money import Price

_DAY_S = 86_400
_MINUTE_S = 60
# Asking for one of these costs more. Of all others one pays at most what is paid without asking.
_DEARER_TIERS = frozenset({"fast", "performance", "priority", "ultrafast"})


class Daily(msgspec.Struct, frozen=True):
    """A price that holds each day from one minute to another; over midnight where `ends` is the lesser."""

    starts: int
    ends: int
    price: Price

    def holds(self, minute: int) -> bool:
        """Whether it holds in this minute of the day."""
        if self.ends < self.starts:
            return minute >= self.starts or minute < self.ends
        return self.starts <= minute < self.ends


class Tariff(msgspec.Struct, frozen=True):
    """What holds since a time, until the next tariff does. Of `daily` the last that fits holds.

    `service_tiers` are what requests cost that ask for one. None: all cost the same.
    """

    price: Price | None
    since: float = -math.inf
    daily: tuple[Daily, ...] = ()
    service_tiers: Mapping[str, Price] | None = None


class Holding(msgspec.Struct, frozen=True):
    """What holds from a time until another."""

    price: Price | None
    since: float
    until: float
    service_tiers: Mapping[str, Price] | None

    def price_in(self, service_tier: str | None) -> Price | None:
        """The price of a request that asks for this service tier.

        None for one that costs more where nobody said how much.
        """
        if service_tier is None or self.service_tiers is None:
            return self.price
        named = self.service_tiers.get(service_tier)
        return self.price if named is None and service_tier not in _DEARER_TIERS else named


def holding_at(tariffs: Sequence[Tariff], at: float) -> Holding:
    """What holds at a time. Tariffs come by their dates, and the first has always held."""
    place = max(place for place, tariff in enumerate(tariffs) if tariff.since <= at or place == 0)
    tariff = tariffs[place]
    since = tariff.since
    until = tariffs[place + 1].since if place + 1 < len(tariffs) else math.inf
    if not tariff.daily:
        return Holding(tariff.price, since, until, tariff.service_tiers)
    minute = int(at % _DAY_S // _MINUTE_S)
    price = next((daily.price for daily in reversed(tariff.daily) if daily.holds(minute)), tariff.price)
    turns = list(_turns_of_the_day(tariff.daily, at - at % _DAY_S))
    since = max(since, *(turn for turn in turns if turn <= at))
    until = min(until, *(turn for turn in turns if turn > at))
    return Holding(price, since, until, tariff.service_tiers)


def _turns_of_the_day(daily: Sequence[Daily], midnight: float) -> Iterator[float]:
    """When the price may be another, from the day before to the day after."""
    for each in daily:
        for minute in (each.starts, each.ends):
            for day in (-1, 0, 1):
                yield midnight + day * _DAY_S + minute * _MINUTE_S
