"""What people may ask and spend, checked: limits, budgets, prices, and how an operator is told."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import date

from frontdesk.core.config.addresses import check_valkey_url, check_webhook_url
from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, remedy_for, spelled
from frontdesk.core.config.shapes import Alerts, Budget, Config, PersonBudget, Price, RateLimit, Rates, Tier
from frontdesk.core.webhooks import signing_key

LIMIT_FIELDS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "concurrent", "concurrent_streams")
"""What limits a tier and an entry of rate_limits."""

_MOST_REQUESTS = 1_000_000
_MOST_TOKENS = 10**12
_MOST_USD = 1_000_000_000
_LEAST_USD = 0.000_001
# The dearest models cost hundreds: ten times a thousand dollars too much is a price for a billion, or in cents.
_MOST_RATE_USD = 100_000
_MOST_REQUEST_USD = 10_000
_OF_UNITS = {
    "request": (_MOST_REQUEST_USD, "a call"),
    "audio_minute": (_MOST_REQUEST_USD, "a minute of sound"),
    "character": (_MOST_RATE_USD, "a million characters"),
    "image": (_MOST_REQUEST_USD, "a picture"),
}
_MOST_NAME_CHARS = 200
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_money(problems: Problems, config: Config) -> None:
    """Check limits, budgets, prices and alerts, and put in what follows: a webhook's secret without blanks."""
    if config.valkey is not None:
        check_valkey_url(problems, ("valkey",), config.valkey)
    for name, tier in config.tiers.items():
        _check_limits(problems, ("tiers", name), tier)
        _check_budgets_of_tier(problems, ("tiers", name, "budget"), tier)
    _check_rate_limits(problems, config)
    _check_budgets(problems, config)
    for route, price in config.prices.items():
        _check_price(problems, route, price, config)
    _check_alerts(problems, config.alerts)


def budgets_of(tier: Tier) -> list[PersonBudget]:
    """What each person of a tier may spend: none, one, or one for each of several periods."""
    if tier.budget is None:
        return []
    return tier.budget if isinstance(tier.budget, list) else [tier.budget]


# --- limits -------------------------------------------------------------------------------------


def _check_limits(problems: Problems, place: Place, limits: Tier | RateLimit) -> None:
    for field in LIMIT_FIELDS:
        most = _MOST_TOKENS if field.startswith("tokens") else _MOST_REQUESTS
        check_number(problems, (*place, field), getattr(limits, field), 1, most)


def _check_rate_limits(problems: Problems, config: Config) -> None:
    first_of: dict[str, int] = {}
    for position, limit in enumerate(config.rate_limits):
        place: Place = ("rate_limits", position)
        _check_scope(problems, (*place, "scope"), limit.scope, config, ("app", "address"))
        _check_limits(problems, place, limit)
        if all(getattr(limit, field) is None and not problems.is_lost((*place, field)) for field in LIMIT_FIELDS):
            problems.add(place, f"{spelled(place)} limits nothing. Write one of: {', '.join(LIMIT_FIELDS)}.")
        first = first_of.setdefault(limit.scope, position)
        if first != position:
            words = f"has the scope {limit.scope!r}, as rate_limits[{first}] has. Write one with the limits of both."
            problems.add((*place, "scope"), f"{spelled(place)} {words}")


# --- budgets ------------------------------------------------------------------------------------


def _check_budgets_of_tier(problems: Problems, place: Place, tier: Tier) -> None:
    if tier.budget == [] and not problems.is_lost(place):
        problems.add(place, f"{spelled(place)} is empty, and would be no limit. Write a budget, or remove the key.")
    is_list = isinstance(tier.budget, list)
    first_of: dict[str, int] = {}
    for position, budget in enumerate(budgets_of(tier)):
        here = (*place, position) if is_list else place
        _check_budget(problems, here, budget)
        first = first_of.setdefault(budget.per, position)
        if first != position and not problems.is_lost((*here, "per")):
            words = f"is a budget per {budget.per}, as {spelled((*place, first))} is. Keep one."
            problems.add((*here, "per"), f"{spelled(here)} {words}")


def _check_budgets(problems: Problems, config: Config) -> None:
    first_of: dict[tuple[str, str], int] = {}
    for position, budget in enumerate(config.budgets):
        place: Place = ("budgets", position)
        _check_scope(problems, (*place, "scope"), budget.scope, config, ("app",))
        _check_budget(problems, place, budget)
        _check_fractions(problems, (*place, "alert_at"), budget.alert_at, may_be_all=True)
        first = first_of.setdefault((budget.scope, budget.per), position)
        if first != position and not problems.is_lost((*place, "per")):
            words = f"is a budget of {budget.scope!r} per {budget.per}, as budgets[{first}] is. Keep one."
            problems.add((*place, "scope"), f"{spelled(place)} {words}")


def _check_budget(problems: Problems, place: Place, budget: PersonBudget | Budget) -> None:
    check_number(problems, (*place, "usd"), budget.usd, 0, _MOST_USD)
    if 0 < budget.usd < _LEAST_USD:
        words = "less than a millionth of a dollar, the least that is counted. Write 0 for nothing at all."
        problems.add((*place, "usd"), f"{spelled((*place, 'usd'))} is {budget.usd:g}, {words}")
    _check_fractions(problems, (*place, "degrade_at"), budget.degrade_at, may_be_all=False)


def _check_fractions(problems: Problems, place: Place, fractions: Sequence[float], *, may_be_all: bool) -> None:
    """Fractions of a budget, rising. The budget as a whole is one of alerts, but no step of degrading."""
    for position, fraction in enumerate(fractions):
        if not (0 < fraction < 1 or (may_be_all and fraction == 1)):
            wanted = "above 0 and at most 1" if may_be_all else "above 0 and below 1"
            remedy = f" Did you mean {fraction / 100:g}?" if 5 <= fraction <= 100 else ""  # percent
            here = (*place, position)
            problems.lose(here, f"{spelled(here)} is {fraction:g}. It must be {wanted}: a part of usd.{remedy}")
    for position, (before, fraction) in enumerate(itertools.pairwise(fractions), 1):
        here = (*place, position)
        if fraction <= before and not problems.is_lost((*place, position - 1)):
            problems.add(here, f"{spelled(place)} has {fraction:g} after {before:g}. Write them rising, each once.")


# --- scopes -------------------------------------------------------------------------------------


def _check_scope(problems: Problems, place: Place, scope: str, config: Config, bare: tuple[str, ...]) -> None:
    """Refuse a scope that counts nobody. Tiers and features must be there; groups and users nobody knows beforehand."""
    if problems.is_lost(place):
        return
    kind, colon, name = scope.partition(":")
    known: Mapping[str, tuple[str, Mapping[str, object]]] = {
        "tier": ("tiers", config.tiers),
        "feature": ("features", config.features),
    }
    if scope in bare:
        return
    if not colon or kind not in (*known, "group", "user"):
        spellings = (*bare, "tier:NAME", "feature:NAME", "group:NAME", "user:NAME")
        nearest = remedy_for(kind, [*bare, *known, "group", "user"])
        hint = f" {nearest}" if nearest.startswith("Did you mean") and nearest.split("'")[1] != kind else ""
        told = scope[:_MOST_NAME_CHARS]
        problems.add(place, f"{spelled(place)} is {told!r}. It must be one of {', '.join(spellings)}.{hint}")
    elif not name.strip() or not name.isprintable() or len(name) > _MOST_NAME_CHARS:
        words = f"It needs 1 to {_MOST_NAME_CHARS} printable characters."
        problems.add(place, f"{spelled(place)} has the name {name[:_MOST_NAME_CHARS]!r}. {words}")
    elif kind not in known and name != name.strip():  # no person or group is meant to be named so
        problems.add(place, f"{spelled(place)} has the name {name!r}, with a blank at its edge. Write it without.")
    elif kind in known:
        family, names = known[kind]
        check_reference(problems, place, name, names, family)


# --- prices -------------------------------------------------------------------------------------


def _check_price(problems: Problems, route: str, price: Price, config: Config) -> None:
    place: Place = ("prices", route)
    provider, slash, model = route.partition("/")
    if not slash or not model:
        words = "Write it as 'provider/model', or 'provider/*' for all other models of a provider."
        problems.add(place, f"prices has {route[:_MOST_NAME_CHARS]!r}. {words}")
    else:
        check_reference(problems, place, provider, config.providers, "providers", ("prices",))
    _check_rates(problems, place, price)
    before: date | None = None
    for position, change in enumerate(price.changes):
        here: Place = (*place, "changes", position)
        _check_rates(problems, here, change)
        day = _check_day(problems, (*here, "from"), change.since)
        if day is not None and before is not None and day <= before:
            words = f"is {day}, not after the change before it, of {before}. Write them in the order of their days."
            problems.add((*here, "from"), f"{spelled((*here, 'from'))} {words}")
        before = day or before


def _check_rates(problems: Problems, place: Place, rates: Rates) -> None:
    if rates.input is None and not (rates.request or rates.audio_minute or rates.character or rates.image):
        words = "Write what a million tokens cost, or 0; or what is paid: audio_minute, character, image or request."
        problems.add((*place, "input"), f"{spelled(place)}.input is missing. {words}")
    for field in Rates.__struct_fields__:
        usd = getattr(rates, field)
        most, unit = _OF_UNITS.get(field, (_MOST_RATE_USD, "a million tokens"))
        if usd is not None and not 0 <= usd <= most:  # .nan neither
            here = (*place, field)
            problems.add(here, f"{spelled(here)} is {usd:g}. It must be from 0 to {most}, in US dollars for {unit}.")


def _check_day(problems: Problems, place: Place, text: str) -> date | None:
    if problems.is_lost(place):
        return None
    try:
        if _DAY.fullmatch(text) is not None:
            return date.fromisoformat(text)
    except ValueError:
        pass
    problems.add(place, f"{spelled(place)} is {text[:_MOST_NAME_CHARS]!r}, which is no day. Write it as 2026-12-01.")
    return None


# --- alerts -------------------------------------------------------------------------------------


def _check_alerts(problems: Problems, alerts: Alerts) -> None:
    """Check where an operator is told. An address that is empty, as of a variable that is not set, is none."""
    place: Place = ("alerts", "secret")
    if not alerts.webhook:
        alerts.webhook = None
    else:
        check_webhook_url(problems, ("alerts", "webhook"), alerts.webhook)
    alerts.secret = alerts.secret.strip() if alerts.secret else None
    remedy = "Write 'whsec_' and 24 random bytes or more in base64, or any 24 characters; `${NAME}`, not the secret."
    if alerts.secret is None:
        if alerts.webhook is not None and not problems.is_lost(place):
            problems.add(place, f"alerts.secret is missing: by it the webhook knows that a call is ours. {remedy}")
        return
    try:
        signing_key(alerts.secret)
    except ValueError as error:
        problems.add(place, f"alerts.secret {error}. {remedy}")
