"""What an attempt used and cost, and how that is known.

said, by whom                                       what it cost               cost_source
what it charged, by the provider                    that                       provider
what was used, by the provider                      at our price               usage
nothing, or nonsense: cut, left, timed out          our count, at our price    estimate
nothing: it refused, or was never reached           nothing                    estimate
whatever, where there is no price                   not known                  none
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from frontdesk.core.money import Buckets, Micros, Price
from frontdesk.turn.buckets import buckets_of
from frontdesk.turn.counting import answering_attempt, counted_units, counted_usage
from frontdesk.turn.events import Usage
from frontdesk.turn.sizes import size_of
from frontdesk.turn.turn import Attempt, Turn
from frontdesk.usage.rows import CostSource

# A million dollars for one call is nonsense; a column holds the sum of millions of them.
_MOST_MICROS = 10**12
_ANY_TIER = "auto"  # tells of no service tier


class Pricer(Protocol):
    """Knows what routes cost."""

    def price_of(self, route: str, at: float, service_tier: str | None = None) -> Price | None:
        """The price of a route ("provider/model") at a time, in seconds since 1970; None where there is none."""
        ...


class Cost(NamedTuple):
    """Micro-dollars, how they are known, and the book by which they were reckoned."""

    micros: Micros | None = None
    source: CostSource | None = None
    price: str | None = None


def usage_of(turn: Turn, attempt: Attempt) -> Usage | None:
    """What an attempt used: as its provider reported it, else as we count it; None where it used nothing.

    What was reported before an answer broke off may be less than what came of it.
    """
    reported = attempt.usage
    if attempt is answering_attempt(turn):
        reported = turn.usage or reported
    if reported is not None and reported.units is None and (units := counted_units(turn)) is not None:
        reported = msgspec.structs.replace(reported, units=units)
    if reported is not None and attempt.status == "completed":
        return reported
    if reported is None and attempt.was_free:
        return None
    counted = _counted(turn, attempt)
    if reported is None:
        return counted
    if reported.output_tokens >= counted.output_tokens:
        return reported
    return msgspec.structs.replace(reported, output_tokens=counted.output_tokens, cost_micros=None, source="counted")


def cost_of(turn: Turn, attempt: Attempt, usage: Usage | None, buckets: Buckets, pricer: Pricer) -> Cost:
    """What an attempt cost. `buckets` are those of its usage."""
    if usage is None:
        return _NOTHING
    if usage.cost_micros is not None:
        return Cost(_within(usage.cost_micros), "provider")
    price = _price_of(turn, attempt, pricer)
    if price is None:
        return UNKNOWN
    if buckets.units is not None and _tells_no_tokens(usage) and not price.is_by_units:
        usage = _counted(turn, attempt)  # a recording's seconds, say, of a model that is paid by tokens
        buckets = buckets_of(usage)
    return Cost(_within(price.cost(buckets)), "usage" if usage.source == "reported" else "estimate", price.book)


def _counted(turn: Turn, attempt: Attempt) -> Usage:
    return counted_usage(turn, attempt) or Usage(size_of(turn).estimate, 0, source="counted", units=counted_units(turn))


def _tells_no_tokens(usage: Usage) -> bool:
    return not (usage.input_tokens or usage.output_tokens)


def _price_of(turn: Turn, attempt: Attempt, pricer: Pricer) -> Price | None:
    """The price of when the turn began, as its money was put aside; in the service tier that served, where the
    provider tells and it has a price, else in the one that was asked for.
    """
    route = f"{attempt.provider}/{attempt.model}"
    asked = turn.request.parameters.get("service_tier") if turn.request.parameters else None
    served = turn.served_tier if attempt is answering_attempt(turn) else None
    if served is not None and served not in (asked, _ANY_TIER):
        price = pricer.price_of(route, turn.started_at, served)
        if price is not None:
            return price
    return pricer.price_of(route, turn.started_at, asked if isinstance(asked, str) else None)


def _within(micros: Micros) -> Micros:
    return max(0, min(micros, _MOST_MICROS))


_NOTHING = Cost(0, "estimate")
UNKNOWN = Cost()
"""Of what nobody knows the price."""
