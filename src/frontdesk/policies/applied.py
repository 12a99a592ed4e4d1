"""Which budgets a turn falls under, and which of their windows count now.

A person's tier says what they may spend themselves; `budgets` of the configuration what scopes may. Who holds a
secret key is in no tier and no group, and falls under `app` and `feature:NAME` alone. Windows follow the clock: at
midnight UTC a turn counts in the next ones, and where the clock is set back, in those before.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

import msgspec

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.config import Config, PersonBudget
from frontdesk.core.config.money import budgets_of
from frontdesk.core.money import micros_of
from frontdesk.core.periods import PERIODS, Period, window_end_ms, window_start_ms
from frontdesk.ledger.holds import Window
from frontdesk.policies.spending import Cap
from frontdesk.turn.turn import Caller

_MOST_KEPT = 4096


class Applied(msgspec.Struct, frozen=True, gc=False):
    """A budget, and its window that counts now. `is_own`: whether it is the person's own, and no one else's."""

    window: Window
    ends_at_ms: int | None
    cap: Cap
    is_own: bool

    @property
    def per(self) -> Period:
        """Its period."""
        return self.window.period


class _Rule(msgspec.Struct, frozen=True, gc=False):
    per: Period
    cap: Cap


class AppliedBudgets:
    """The budgets of a configuration."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        self._of_tiers: dict[str, list[_Rule]] = {}
        for name, tier in config.tiers.items():
            if theirs := budgets_of(tier):
                self._of_tiers[name] = [_rule(budget) for budget in theirs]
        self._of_scopes: dict[str, list[_Rule]] = {}
        for budget in config.budgets:
            self._of_scopes.setdefault(budget.scope, []).append(_rule(budget))
        self._spans: dict[Period, tuple[int, int | None]] = {}
        self._from_ms = self._until_ms = 0
        # By all that decides it; as long as the day lasts.
        self._known: dict[tuple[object, ...], tuple[Applied, ...]] = {}

    @property
    def are_any(self) -> bool:
        """Whether there are budgets at all."""
        return bool(self._of_tiers or self._of_scopes)

    def of(self, caller: Caller, tier: str | None, feature: str) -> tuple[Applied, ...]:
        """Those that a turn of this caller falls under now, the person's own first. `tier` is the one that counts."""
        now_ms = unix_ms(self._clock)
        if not self._from_ms <= now_ms < self._until_ms:
            self._turn_to(now_ms)
        key = caller.role == "user", caller.person, caller.groups, tier, feature
        applied = self._known.get(key)
        if applied is None:
            if len(self._known) >= _MOST_KEPT:  # there are many people, and groups are whatever tokens say
                self._known.clear()
            applied = self._known[key] = (*self._find_own(caller, tier), *self._find_shared(caller, tier, feature))
        return applied

    def _find_own(self, caller: Caller, tier: str | None) -> list[Applied]:
        if caller.role != "user" or caller.person is None:
            return []
        scope = f"user:{caller.person}"
        return self._applied(scope, (*self._of_tiers.get(tier or "", ()), *self._of_scopes.get(scope, ())), is_own=True)

    def _find_shared(self, caller: Caller, tier: str | None, feature: str) -> tuple[Applied, ...]:
        scopes = ["app", f"feature:{feature}"]
        if caller.role == "user":
            scopes += [f"tier:{tier}", *(f"group:{group}" for group in dict.fromkeys(caller.groups))]
        return tuple(
            each
            for scope in scopes
            if scope in self._of_scopes
            for each in self._applied(scope, self._of_scopes[scope], is_own=False)
        )

    def _applied(self, scope: str, rules: Iterable[_Rule], *, is_own: bool) -> list[Applied]:
        spans = self._spans
        return [
            Applied(Window(scope, rule.per, spans[rule.per][0]), spans[rule.per][1], rule.cap, is_own) for rule in rules
        ]

    def _turn_to(self, now_ms: int) -> None:
        """A day begins, or the clock was set. A day lies in one month, so its windows last as long as it does."""
        self._known.clear()
        for period in PERIODS:
            start_ms = window_start_ms(period, now_ms)
            self._spans[period] = start_ms, window_end_ms(period, start_ms)
        self._from_ms, until_ms = self._spans["day"]
        self._until_ms = self._from_ms if until_ms is None else until_ms


def _rule(budget: PersonBudget) -> _Rule:
    micros = micros_of(budget.usd)
    steps = tuple(_part(micros, fraction) for fraction in sorted(budget.degrade_at))
    return _Rule(budget.per, Cap(micros, steps, leaves_free=budget.when_spent == "free"))


def _part(micros: int, fraction: float) -> int:
    """The least amount that is a fraction of another, or more."""
    return int((Decimal(repr(fraction)) * micros).to_integral_value(ROUND_CEILING))
