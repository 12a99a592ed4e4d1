"""Which limits a configuration sets, for whom, and what a request takes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from frontdesk.core.config import RateLimit, Tier
from frontdesk.limits.counters import Limit, at_a_time, per_day, rate

Unit = Literal["requests", "tokens", "concurrent", "concurrent_streams"]
Per = Literal["minute", "day"]
Scope = Literal["person", "user", "address", "app", "tier", "feature", "group"]
"""A person by their tier or by name, a network, and those who share: all, all of a tier, a feature, or a group."""

_OWN: frozenset[Scope] = frozenset({"person", "user"})


class Rule(msgspec.Struct, frozen=True, gc=False):
    """So much of something for a scope. `name` is the scope's, `ending` what its keys end with.

    `is_own` says that nobody but the caller uses it, so that they may know what is left.
    """

    unit: Unit
    per: Per | None
    limit: Limit
    scope: Scope
    name: str
    ending: str
    is_own: bool


def rules_of(settings: Tier | RateLimit, scope: Scope, name: str = "") -> tuple[Rule, ...]:
    """The rules that a tier has for each person, or an entry of `rate_limits` for its scope."""
    return tuple(_rules(settings, scope, name))


def _rules(settings: Tier | RateLimit, scope: Scope, name: str) -> Iterable[Rule]:
    def rule(unit: Unit, per: Per | None, limit: Limit) -> Rule:
        ending = unit if per is None else f"{unit}_{per}"
        return Rule(unit, per, limit, scope, name, ending, is_own=scope in _OWN)

    if settings.requests_per_minute is not None:
        yield rule("requests", "minute", rate(settings.requests_per_minute))
    if settings.tokens_per_minute is not None:
        yield rule("tokens", "minute", rate(settings.tokens_per_minute))
    if settings.tokens_per_day is not None:
        yield rule("tokens", "day", per_day(settings.tokens_per_day))
    if settings.concurrent is not None:
        yield rule("concurrent", None, at_a_time(settings.concurrent))
    if settings.concurrent_streams is not None:
        yield rule("concurrent_streams", None, at_a_time(settings.concurrent_streams))
