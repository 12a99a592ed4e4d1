"""What a budget's window has come to: the parts of it that were spent, each a thing to tell once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from frontdesk.core.config import Budget
from frontdesk.core.money import Micros, micros_of, usd_words

CrossingType = Literal["budget.alert", "budget.degraded", "budget.spent"]


class Crossing(msgspec.Struct, frozen=True):
    """A part of a budget that was spent. `kind` is its name within a window and an amount of it."""

    type: CrossingType
    kind: str
    threshold: float


def crossings(budget: Budget, spent: Micros, *, is_found_spent: bool) -> list[Crossing]:
    """What was crossed, in the order in which it was: by thresholds, and that it is spent last.

    `is_found_spent` where requests were refused for it already, since what is left of it buys nothing. The
    amount is a part of each kind: who raises `usd` is told again. A budget of nothing has no parts.
    """
    cap = micros_of(budget.usd)
    if not cap:
        return []
    found = sorted(_thresholds(budget, usd_words(cap)), key=lambda crossing: crossing.threshold)
    found = [crossing for crossing in found if spent >= Decimal(repr(crossing.threshold)) * cap]
    if spent >= cap or is_found_spent:
        found.append(Crossing("budget.spent", f"spent:{usd_words(cap)}", 1.0))
    return found


def _thresholds(budget: Budget, amount: str) -> Iterator[Crossing]:
    for threshold in budget.alert_at:
        yield Crossing("budget.alert", f"alert:{threshold}:{amount}", threshold)
    for step, threshold in enumerate(budget.degrade_at, 1):
        yield Crossing("budget.degraded", f"degraded:{step}:{amount}", threshold)


def fraction(spent: Micros, cap: Micros) -> float:
    """How much of a budget is spent, to four digits and never rounded up: 1.0 is all of it."""
    return spent * 10_000 // cap / 10_000
