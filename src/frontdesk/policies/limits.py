"""Limits: how much each person, network, group, tier, feature and the whole app may ask in a minute, a day, at a time.

All limits of a request are taken in one step or none is, so a refusal uses nothing. Tokens are estimated: those of
the request, and the most that it lets the answer have (nothing where it does not say), and settled with those that
were used. An estimate larger than a limit counts as the whole limit: such a request passes when nothing else was used.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator
from typing import cast

from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.limits.counters import Counters, Denied, Left, Take, Taken, key_of
from frontdesk.limits.networks import network_of
from frontdesk.limits.rules import Rule, Scope, rules_of
from frontdesk.limits.telling import Headers, refusal
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.items import Prompt
from frontdesk.turn.sizes import size_of
from frontdesk.turn.turn import Caller, Turn
from frontdesk.usage.costs import usage_of

_NONE: tuple[Rule, ...] = ()


class Limits:
    """Refuses what would pass a limit. People have those of their tier, and whoever asks those of `rate_limits`.

    Secret keys fall under the limits of the app, the feature and the address.
    """

    def __init__(self, config: Config, counters: Counters, clock: Clock) -> None:
        self._counters = counters
        self._clock = clock
        self._tiers = config.tiers
        self._default_tier = config.default_tier
        self._of_tier = {name: rules_of(tier, "person") for name, tier in config.tiers.items()}
        self._of_scope = {
            limit.scope: rules_of(limit, scope, name)
            for limit in config.rate_limits
            for scope, name in [_parse(limit.scope)]
        }
        # What all requests of one kind have in common, by all that decides it.
        self._needs: dict[tuple[object, ...], Needs] = {}
        self._open: dict[str, tuple[Needs, Taken]] = {}

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Take what the turn needs of all its limits, or raise RateLimited with the time until it may pass."""
        needs = self._needs_of(turn)
        if not needs.rules:
            return None
        takes = needs.takes(_tokens_estimated(turn)) if needs.has_tokens else needs.plain
        outcome = self._counters.take(takes, turn.id)
        if isinstance(outcome, (Taken, Denied)):
            self._conclude(turn, needs, outcome)
            return None
        return self._wait(turn, needs, outcome)

    def settle(self, turn: Turn) -> None:
        """Put what was used in the place of what was estimated. Who was turned away before any attempt used nothing."""
        if (opened := self._open.pop(turn.id, None)) is None:
            return
        needs, taken = opened
        if not turn.attempts and turn.status in _TURNED_AWAY:
            self._counters.settle(taken, needs.used(0, 0))
        else:
            self._counters.settle(taken, needs.used(_tokens_used(turn) if needs.has_tokens else 0))

    async def standing(self, caller: Caller) -> list[dict[str, object]]:
        """What is left of each of a caller's own limits, for JSON.

        `kind` and `per` say of what, `resets_at` when it is whole again, in seconds since 1970: None where it is, or
        where only the end of something under way sets it free.
        """
        rules: list[Rule] = []
        takes: list[Take] = []
        for group, subject in self._own_of(caller):
            for rule in group:
                rules.append(rule)
                takes.append(_take_of(rule, caller, subject))
        if not rules:
            return []
        looked = self._counters.look(takes)
        left = looked if isinstance(looked, list) else await looked
        now = self._clock.now()
        return [_standing(rule, each, now) for rule, each in zip(rules, left, strict=True)]

    # --- what a turn needs ------------------------------------------------------------------

    def _needs_of(self, turn: Turn) -> Needs:
        caller = turn.caller
        key = (
            caller.tenant,
            caller.role,
            caller.person or caller.credential_id,
            caller.tier,
            caller.groups,
            turn.feature,
            turn.address,
            turn.request.stream,
        )
        needs = self._needs.get(key)
        if needs is None:
            if len(self._needs) >= _MOST_KEPT:
                self._needs.clear()
            needs = self._needs[key] = self._find_needs(turn)
        return needs

    def _find_needs(self, turn: Turn) -> Needs:
        caller, is_stream = turn.caller, turn.request.stream
        rules: list[Rule] = []
        takes: list[Take] = []
        for group, subject in self._of(turn):
            for rule in group:
                if is_stream or rule.unit != "concurrent_streams":
                    rules.append(rule)
                    takes.append(_take_of(rule, caller, subject))
        return Needs(rules, takes, is_told_all=caller.role != "user")

    def _of(self, turn: Turn) -> Iterator[tuple[tuple[Rule, ...], str]]:
        """The rules that apply, and the subject of each: whom its keys are of."""
        caller = turn.caller
        yield from self._own_of(caller)
        subjects = {"app": "app", "address": f"address:{network_of(turn.address)}"}
        scopes = ["app", "address", f"feature:{turn.feature}"]
        if caller.role == "user":
            tier = tier_of(caller, self._tiers, self._default_tier)
            scopes += [f"tier:{tier}", *(f"group:{group}" for group in dict.fromkeys(caller.groups))]
        for scope in scopes:
            if rules := self._of_scope.get(scope):
                yield rules, subjects.get(scope, scope)

    def _own_of(self, caller: Caller) -> Iterator[tuple[tuple[Rule, ...], str]]:
        if caller.role != "user":
            return
        person = caller.person or caller.credential_id
        if rules := self._of_tier.get(tier_of(caller, self._tiers, self._default_tier), _NONE):
            yield rules, f"person:{person}"
        if rules := self._of_scope.get(scope := f"user:{person}", _NONE):
            yield rules, scope

    # --- what came of it --------------------------------------------------------------------

    async def _wait(self, turn: Turn, needs: Needs, waiting: Awaitable[Taken | Denied]) -> None:
        self._conclude(turn, needs, await waiting)

    def _conclude(self, turn: Turn, needs: Needs, outcome: Taken | Denied) -> None:
        turn.headers += needs.headers.of(outcome.left)
        if isinstance(outcome, Denied):
            by = outcome.by
            rule = needs.rules[by]
            asked = min(_tokens_estimated(turn), rule.limit.amount) if rule.unit == "tokens" else 1
            raise refusal(rule, asked, outcome.left[by], outcome.wait_s)
        self._open[turn.id] = (needs, outcome)


class Needs:
    """What requests of one kind take: the rules that apply, and for each what is taken of its limit.

    `plain` is what they take where nothing of it is tokens. Headers tell people of their own limits, and whoever is
    told all, of all.
    """

    __slots__ = ("_tokens", "has_tokens", "headers", "plain", "rules")

    def __init__(self, rules: list[Rule], takes: list[Take], *, is_told_all: bool) -> None:
        self.rules = rules
        self.plain = takes
        self.headers = Headers(rules, [is_told_all or rule.is_own for rule in rules])
        self._tokens = [place for place, rule in enumerate(rules) if rule.unit == "tokens"]
        self.has_tokens = bool(self._tokens)

    def takes(self, tokens: int) -> list[Take]:
        """What a request of about so many tokens takes; never more than a limit has."""
        takes = self.plain.copy()
        for place in self._tokens:
            key, limit = takes[place].key, takes[place].limit
            takes[place] = Take(key, limit, min(tokens, limit.amount))
        return takes

    def used(self, tokens: int, rest: int = 1) -> list[int]:
        """What it has used: so many tokens, and of all other limits `rest`."""
        used = [rest] * len(self.rules)
        for place in self._tokens:
            used[place] = tokens
        return used


_MOST_KEPT = 4096
_TURNED_AWAY = frozenset({"refused", "failed"})


def _parse(scope: str) -> tuple[Scope, str]:
    kind, _, name = scope.partition(":")
    return cast("Scope", kind), name  # the configuration was checked


def _take_of(rule: Rule, caller: Caller, subject: str) -> Take:
    return Take(f"{key_of(caller.tenant, subject)}:{rule.ending}", rule.limit)


def _tokens_estimated(turn: Turn) -> int:
    estimate, request = size_of(turn).estimate, turn.request
    if isinstance(request, Prompt) and request.max_output_tokens is not None:
        return estimate + request.max_output_tokens * request.choices
    return estimate


def _tokens_used(turn: Turn) -> int:
    """What all attempts used, as the ledger has it."""
    tokens = 0
    for attempt in turn.attempts:
        usage = usage_of(turn, attempt)
        if usage is not None:
            tokens += usage.input_tokens + usage.output_tokens
    return tokens


_A_MOMENT_S = 1e-3  # midnight plus what floats lose is still midnight


def _standing(rule: Rule, left: Left, now: float) -> dict[str, object]:
    return {
        "kind": rule.unit,
        "per": rule.per,
        "limit": rule.limit.amount,
        "remaining": left.amount,
        "resets_at": math.ceil(now + left.whole_in_s - _A_MOMENT_S) if left.whole_in_s > 0 else None,
    }
