"""What may be meant otherwise of limits, budgets and prices: each doubt with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from frontdesk.checking.reach import Reach, of_all, of_feature, of_tier, reach_of
from frontdesk.checking.settings import Settings
from frontdesk.core.config import Budget, Config, ModelKind, PersonBudget, RateLimit, Tier
from frontdesk.core.config.money import budgets_of
from frontdesk.core.config.problems import Place, remedy_for, spelled
from frontdesk.core.money import Price
from frontdesk.prices.book import PriceBook

Doubt = tuple[Place, str]

# What two routes are compared by: a question and an answer of usual length.
_INPUT_TOKENS, _OUTPUT_TOKENS = 1000, 500


class _Applied(NamedTuple):
    """A budget, where it stands, whom it holds (each person of a tier, too, is `tier:NAME`), and for which models."""

    place: Place
    scope: str
    budget: PersonBudget
    models: tuple[str, ...]


def doubts_about_money(settings: Settings, book: PriceBook, at: float) -> Iterator[Doubt]:
    """Yield what an operator should look at; prices are those of a time, in seconds since 1970."""
    config = settings.config
    reach = reach_of(config)
    applied = list(_applied(config, reach))
    prices = {each.route: each.holding.price for each in book.effective(at)}
    yield from _about_prices(config, book, applied)
    yield from _about_output(settings)
    for each in applied:
        yield from _about_budget(config, each, prices)
    yield from _about_reach(config, reach)
    yield from _about_limits(config, reach)
    yield from _about_alerts(config)
    if not settings.is_development:
        yield from _about_anonymity(config, reach, applied, prices)


def _applied(config: Config, reach: Reach) -> Iterator[_Applied]:
    def of(place: Place, scope: str, budget: PersonBudget, models: frozenset[str]) -> _Applied:
        return _Applied(place, scope, budget, tuple(name for name in config.models if name in models))

    for name, tier in config.tiers.items():
        for position, budget in enumerate(budgets_of(tier)):
            place: Place = ("tiers", name, "budget")
            here = (*place, position) if isinstance(tier.budget, list) else place
            yield of(here, f"tier:{name}", budget, of_tier(reach, name))
    for position, budget in enumerate(config.budgets):
        yield of(("budgets", position), budget.scope, budget, _models_of(budget, config, reach))


def _models_of(budget: Budget, config: Config, reach: Reach) -> frozenset[str]:
    kind, _, name = budget.scope.partition(":")
    match kind:
        case "app":
            return frozenset(config.models)
        case "feature":  # of secret keys too, which are in no tier
            models = config.features[name].models
            return frozenset(config.models if models is None else models)
        case "tier":
            return of_tier(reach, name)
        case _:
            return of_all(reach)


# --- prices -------------------------------------------------------------------------------------


# What is written of a model's price, by its kind.
_RATES: dict[ModelKind, str] = {
    "chat": "input: ..., output: ...",
    "embeddings": "input: ...",
    "moderation": "input: ...",
    "transcription": "audio_minute: ...",
    "speech": "character: ...",
    "image": "image: ...",
}


def _about_prices(config: Config, book: PriceBook, applied: list[_Applied]) -> Iterator[Doubt]:
    unpriced = book.unpriced()
    for name, model in config.models.items():
        has_budget = any(name in each.models for each in applied)
        for position, route in enumerate(model.routes):
            if route in unpriced:
                is_all = all(each in unpriced for each in model.routes)
                fate = _fate(name, is_all=is_all, has_budget=has_budget)
                place: Place = ("models", name, "route")
                told = f"{spelled(place)} has {route!r}, which has no price ({unpriced[route]}): {fate}"
                yield (*place, position), f"{told} Write it: prices: {{{route!r}: {{{_RATES[model.kind]}}}}}."
    routes = {route for model in config.models.values() for route in model.asked}
    providers = {route.partition("/")[0] for route in routes}
    for route in config.prices:
        provider, _, rest = route.partition("/")
        if route not in routes and not (rest == "*" and provider in providers):
            nearest = remedy_for(route, sorted(routes))
            hint = f" {nearest}" if nearest.startswith("Did you mean") else ""
            yield ("prices", route), f"prices has {route!r}, which is no route of a model.{hint}"


def _about_output(settings: Settings) -> Iterator[Doubt]:
    """Prices of what chats, of which somebody wrote what reading costs and not what writing does."""
    config, written = settings.config, settings.lines.by_place
    routes = {route for model in config.models.values() if model.kind == "chat" for route in model.asked}
    named = {route if route in config.prices else f"{route.partition('/')[0]}/*" for route in routes}
    for route, price in config.prices.items():
        place: Place = ("prices", route)
        changes = ((*place, "changes", position) for position in range(len(price.changes)))
        for here, rates in zip((place, *changes), (price, *price.changes), strict=True):
            if route not in named:
                continue
            if rates.input is None and not rates.request:
                words = "has no input, and it chats: its words would cost nothing. Write what they cost, or 0."
                yield here, f"{spelled(here)} {words}"
            if rates.input and not rates.output and (*here, "output") not in written:
                yield here, f"{spelled(here)} has no output: what models write would cost nothing. Write it, or 0."


def _fate(model: str, *, is_all: bool, has_budget: bool) -> str:
    if not has_budget:
        return "what it costs will not be known."
    if is_all:
        return f"A BUDGET APPLIES TO IT, so that every request for {model!r} is REFUSED."
    return "a budget applies to it, so that it is PASSED OVER, and refused where no other route is left."


# --- budgets ------------------------------------------------------------------------------------


def _about_budget(config: Config, applied: _Applied, prices: dict[str, Price | None]) -> Iterator[Doubt]:
    place, _, budget, models = applied
    if not budget.usd:
        steps = [field for field in ("degrade_at", "alert_at") if getattr(budget, field, None)]
        if steps:
            words = f"{' and '.join(steps)} mean nothing" if len(steps) > 1 else f"{steps[0]} means nothing"
            yield (*place, "usd"), f"{spelled(place)}.usd is 0: nothing may be spent, and {words}."
        return
    costly = [name for name in models if not any(_is_free(prices.get(route)) for route in config.models[name].routes)]
    if budget.when_spent == "free" and costly:
        left = [name for name in models if name not in costly]
        words = f"{_listed(costly)} {'has' if len(costly) == 1 else 'have'} no route that costs nothing"
        rest = f"Left is {_listed(left)}" if left else "Nothing is left, as with 'refuse'"
        yield (*place, "when_spent"), f"{spelled(place)}.when_spent is 'free', but {words}. {rest}."
    same = [name for name in models if config.models[name].kind == "chat" and _has_no_cheaper(name, config, prices)]
    if budget.degrade_at and same:
        words = f"{_listed(same)} {'has' if len(same) == 1 else 'have'} no cheaper route behind the first"
        yield (*place, "degrade_at"), f"{spelled(place)}.degrade_at: {words}, so that answers get shorter at once."


def _has_no_cheaper(name: str, config: Config, prices: dict[str, Price | None]) -> bool:
    """Whether all that can be made cheaper of a model is the length of its answers."""
    bounds = [
        price.bound(_INPUT_TOKENS, _OUTPUT_TOKENS)
        for route in config.models[name].routes
        if (price := prices.get(route)) is not None
    ]
    return bool(bounds) and bounds[0] > 0 and min(bounds) == bounds[0]


def _is_free(price: Price | None) -> bool:
    return price is not None and price.is_free


def _about_reach(config: Config, reach: Reach) -> Iterator[Doubt]:
    for family, entries in (("budgets", config.budgets), ("rate_limits", config.rate_limits)):
        for position, entry in enumerate(entries):
            kind, _, name = entry.scope.partition(":")
            here: Place = (family, position, "scope")
            if kind == "tier" and not of_tier(reach, name):
                yield here, f"{spelled(here)} is {entry.scope!r}, whose people reach no model: it counts nobody."
            elif kind == "feature" and not of_feature(reach, name):
                yield here, f"{spelled(here)} is {entry.scope!r}, which people cannot use: it counts secret keys alone."


# --- limits -------------------------------------------------------------------------------------


def _about_limits(config: Config, reach: Reach) -> Iterator[Doubt]:
    for name, tier in config.tiers.items():
        yield from _about_lengths(config, ("tiers", name), tier, {of for (by, of) in reach if by == name})
    for position, limit in enumerate(config.rate_limits):
        kind, _, name = limit.scope.partition(":")
        features = {
            of for (by, of) in reach if kind not in ("tier", "feature") or name == (by if kind == "tier" else of)
        }
        yield from _about_lengths(config, ("rate_limits", position), limit, features)


def _about_lengths(config: Config, place: Place, limits: Tier | RateLimit, features: set[str]) -> Iterator[Doubt]:
    """Answers that a feature allows, and that are longer than what a window has."""
    for field in ("tokens_per_minute", "tokens_per_day"):
        most = getattr(limits, field)
        for name, feature in config.features.items():
            longest = feature.max_output_tokens
            if most is not None and longest is not None and name in features and most < longest:
                here = (*place, field)
                words = f"less than features.{name}.max_output_tokens, which is {longest}: so long an answer never fits"
                yield here, f"{spelled(here)} is {most}, {words}."


# --- who is told, who comes in -------------------------------------------------------------------


def _about_alerts(config: Config) -> Iterator[Doubt]:
    asking = [position for position, budget in enumerate(config.budgets) if budget.alert_at]
    if asking and config.alerts.webhook is None:
        here: Place = ("budgets", asking[0], "alert_at")
        yield here, f"{spelled(here)}: there is no alerts.webhook, so that the log alone tells an operator."
    if config.alerts.webhook is not None and not config.budgets:
        yield ("alerts", "webhook"), "alerts.webhook is told nothing: there are no budgets."


def _about_anonymity(
    config: Config, reach: Reach, applied: list[_Applied], prices: dict[str, Price | None]
) -> Iterator[Doubt]:
    """Whoever comes without a credential may spend without end where nothing holds all people of their tier."""
    tier = config.auth.anonymous_tier or config.default_tier or ""
    scopes = {each.scope for each in applied}
    if not config.auth.anonymous or scopes & {"app", f"tier:{tier}"}:
        return
    reached = {
        model
        for (of_tier, feature), models in reach.items()
        if of_tier == tier and f"feature:{feature}" not in scopes
        for model in models
        if not all(_is_free(prices.get(route)) for route in config.models[model].routes)
    }
    if reached:
        told = _listed([model for model in config.models if model in reached])
        words = f"auth.anonymous is on, and no budget holds what anybody may spend on {told}."
        yield ("auth", "anonymous"), f"{words} Give the tier one, or budgets one of the scope 'app'."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
