"""What the values of a configuration may be, beyond their types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from frontdesk.core.config.addresses import check_base_url, check_network, check_origin, without_user
from frontdesk.core.config.asides import check_asides
from frontdesk.core.config.auth import check_auth
from frontdesk.core.config.clients import check_clients
from frontdesk.core.config.features import MAX_OUTPUT_TOKENS, check_features
from frontdesk.core.config.money import check_money
from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, remedy_for, spelled
from frontdesk.core.config.shapes import FIELDS_OF_KIND, Config, Model, Provider, Retention, Tier
from frontdesk.core.config.vendors import OWN_ADDRESSES, VENDORS

_MAX_NAME_CHARS = 200  # as long as the model of a request may be


def check_values(config: Config, problems: Problems) -> None:
    """Check everything, and put in what follows from other settings: keys without blanks, a provider's `api`."""
    for family in ("providers", "models", "tiers"):
        _check_names(problems, family, getattr(config, family))
    _check_database(problems, config.database)
    for name, provider in config.providers.items():
        _check_provider(problems, name, provider)
    for name, model in config.models.items():
        _check_model(problems, name, model, config.providers)
    _check_defaults(problems, config)
    for name, tier in config.tiers.items():
        _check_tier(problems, name, tier, config)
    for position, origin in enumerate(config.cors.origins):
        check_origin(problems, ("cors", "origins", position), origin)
    for position, network in enumerate(config.trusted_proxies):
        check_network(problems, ("trusted_proxies", position), network)
    check_features(problems, config)
    check_auth(problems, config)
    check_money(problems, config)
    check_asides(problems, config)
    check_clients(problems, config.clients)
    _check_retention(problems, config.retention)
    for family, named in (("tiers", config.tiers), ("features", config.features)):
        for name, each in named.items():
            _check_days(problems, (family, name, "keep_days"), each.keep_days)
    _check_numbers(problems, config)


def _check_names(problems: Problems, family: str, names: Iterable[str]) -> None:
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > _MAX_NAME_CHARS:
            words = f"It needs 1 to {_MAX_NAME_CHARS} printable characters."
            problems.add((family, name), f"{family} has the name {name[:_MAX_NAME_CHARS]!r}. {words}")


def _check_database(problems: Problems, url: str) -> None:
    kind, separator, rest = url.partition("://")
    if not separator or kind not in ("sqlite", "postgresql", "postgres"):
        # The value may hold a password, so only its kind is told.
        named = f"of the unknown kind {kind!r}" if separator and kind.isalnum() else "no address"
        words = "Use sqlite:///path or postgresql://user:password@host/name."
        problems.add(("database",), f"database is {named}. {words}")
    elif kind == "sqlite" and (rest[:1] != "/" or rest[1:2] in ("", ":") or "?" in rest):
        words = "Use sqlite:///path or sqlite:////absolute/path."
        problems.add(("database",), f"database is {without_user(url)!r}, which names no file. {words}")


# --- providers and models -----------------------------------------------------------------------

_MOMENT_S = 0.001
_DAY_S = 86_400.0


def _check_provider(problems: Problems, name: str, provider: Provider) -> None:
    place: Place = ("providers", name)
    if "/" in name:
        words = "which parts provider and model in a route"
        problems.add(place, f"The provider name {name!r} has a '/', {words}.")
    if problems.is_lost((*place, "kind")):
        return
    _refuse_fields_of_other_kinds(problems, place, provider)
    _check_api_key(problems, (*place, "api_key"), provider)
    _check_address(problems, place, provider)
    if provider.kind in _KEYED and not provider.api_key:
        words = "A provider of this kind needs it."
        problems.add((*place, "api_key"), f"{spelled(place)}.api_key is missing. {words}")
    if provider.kind == "local" and not provider.model:
        words = "Name a local model, such as smollm2-135m."
        problems.add((*place, "model"), f"{spelled(place)}.model is missing. {words}")
    if provider.api is None and provider.kind in ("openai", "openai-compatible", "azure-openai"):
        provider.api = "chat" if provider.kind == "openai-compatible" else "auto"
    if provider.prompt_cache is None and "prompt_cache" in FIELDS_OF_KIND[provider.kind]:
        provider.prompt_cache = "auto"
    for field in ("idle_timeout_s", "first_event_s", "attempt_s"):
        check_number(problems, (*place, field), getattr(provider, field), _MOMENT_S, _DAY_S)
    _check_order(problems, place, ("first_event_s", provider.first_event_s), ("attempt_s", provider.attempt_s))
    _check_resilience(problems, place, provider)
    check_number(problems, (*place, "threads"), provider.threads, 1, 1024)
    check_number(problems, (*place, "context_tokens"), provider.context_tokens, 1, 10_000_000)


_KEYED = frozenset({"openai", "azure-openai", "anthropic", "gemini"})
_ADDRESSES = {
    "openai-compatible": "A provider of this kind needs it, ending in /v1, or a vendor.",
    "azure-openai": "A provider of this kind needs it: https://NAME.openai.azure.com.",
}


_API_VERSION = re.compile(r"v1|preview|[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?")


def _check_address(problems: Problems, place: Place, provider: Provider) -> None:
    """Check where a provider is, and put in what its vendor or its kind says where nothing is written."""
    vendor, here = (*place, "vendor"), (*place, "base_url")
    if provider.vendor is not None and provider.vendor not in VENDORS:
        words = f"is {provider.vendor!r}, whose ways nobody knows here. {remedy_for(provider.vendor, VENDORS)}"
        problems.lose(vendor, f"{spelled(vendor)} {words}")
    provider.base_url = provider.base_url or VENDORS.get(provider.vendor or "") or OWN_ADDRESSES.get(provider.kind)
    if not provider.base_url:
        if provider.kind in _ADDRESSES and not problems.is_lost(vendor):
            problems.add(here, f"{spelled(here)} is missing. {_ADDRESSES[provider.kind]}")
        return
    check_base_url(problems, here, provider.base_url, has_key=bool(provider.api_key))
    last = provider.base_url.rstrip("/").rpartition("/")[2]
    if last in _PATHS.get(provider.kind, ()):
        problems.add(here, f"{spelled(here)} ends in '/{last}', which this kind adds itself. Leave it out.")
    if provider.api_version is not None and _API_VERSION.fullmatch(provider.api_version) is None:
        words = f"is {provider.api_version!r}. It must be v1, preview, or a date such as 2024-10-21."
        problems.add((*place, "api_version"), f"{spelled(place)}.api_version {words}")


_PATHS = {"anthropic": ("v1", "messages"), "gemini": ("v1", "v1beta", "models")}
"""What ends an address that has been copied from a request of that kind."""


def _check_order(
    problems: Problems, place: Place, less: tuple[str, float | None], more: tuple[str, float | None]
) -> None:
    """Refuse a time above another one that ends it."""
    (lower, least), (upper, most) = less, more
    if least is None or most is None or least <= most:
        return
    here = (*place, lower)
    words = f"more than {upper}, which is {most:g}: it would never be reached. Lower it, or raise {upper}."
    problems.add(here, f"{spelled(here)} is {least:g}, {words}")


def _check_resilience(problems: Problems, place: Place, provider: Provider) -> None:
    retries, breaker, slots = provider.retries, provider.breaker, provider.slots
    check_number(problems, (*place, "retries", "most"), retries.most, 0, 10)
    check_number(problems, (*place, "retries", "base_s"), retries.base_s, _MOMENT_S, 60)
    check_number(problems, (*place, "retries", "longest_s"), retries.longest_s, _MOMENT_S, 600)
    check_number(problems, (*place, "retries", "budget"), retries.budget, 0, 10)
    check_number(problems, (*place, "breaker", "share"), breaker.share, 0.01, 1)
    check_number(problems, (*place, "breaker", "least"), breaker.least, 1, 100_000)
    check_number(problems, (*place, "breaker", "window_s"), breaker.window_s, 1, 3600)
    check_number(problems, (*place, "breaker", "open_s"), breaker.open_s, _MOMENT_S, 3600)
    check_number(problems, (*place, "breaker", "longest_open_s"), breaker.longest_open_s, _MOMENT_S, _DAY_S)
    of_retries, of_breaker = (*place, "retries"), (*place, "breaker")
    _check_order(problems, of_retries, ("base_s", retries.base_s), ("longest_s", retries.longest_s))
    _check_order(problems, of_breaker, ("open_s", breaker.open_s), ("longest_open_s", breaker.longest_open_s))
    if slots is not None:
        check_number(problems, (*place, "slots", "concurrent"), slots.concurrent, 1, 100_000)
        check_number(problems, (*place, "slots", "waiting"), slots.waiting, 0, 1_000_000)
        check_number(problems, (*place, "slots", "longest_wait_s"), slots.longest_wait_s, _MOMENT_S, _DAY_S)
        check_number(problems, (*place, "slots", "ageing_s"), slots.ageing_s, _MOMENT_S, _DAY_S)
        if slots.concurrent >= 1:
            check_number(problems, (*place, "slots", "spare"), slots.spare, 0, slots.concurrent - 1)


def _refuse_fields_of_other_kinds(problems: Problems, place: Place, provider: Provider) -> None:
    """Refuse settings that this kind of provider would ignore."""
    taken = FIELDS_OF_KIND[provider.kind]
    for field in provider.__struct_fields__:
        here = (*place, field)
        is_written = here in problems.lines.by_place and getattr(provider, field) is not None
        if is_written and field not in ("kind", *taken):
            problems.lose(
                here,
                f"The setting {spelled(here)!r} means nothing to a provider of kind {provider.kind!r}. Remove it. "
                f"This kind takes: {', '.join(taken) or 'nothing else'}.",
            )


def _check_api_key(problems: Problems, place: Place, provider: Provider) -> None:
    """Strip white space, as a file's last newline; refuse what no header can carry (RFC 9110 §5.5)."""
    if provider.api_key is None:
        return
    provider.api_key = provider.api_key.strip()
    if not (provider.api_key.isascii() and provider.api_key.isprintable()):
        words = "has a line break or another character that no key has. Copy it anew."
        problems.add(place, f"{spelled(place)} {words}")


def _check_model(problems: Problems, name: str, model: Model, providers: Mapping[str, Provider]) -> None:
    route: Place = ("models", name, "route")
    if not model.route:
        problems.add(route, f"{spelled(route)} is empty. List at least one 'provider/model'.")
    for position, step in enumerate(model.route):
        here = (*route, position)
        for way in (step,) if isinstance(step, str) else step:
            _check_way(problems, here if isinstance(step, str) else (*here, way), way, providers, route)
        if isinstance(step, dict):
            _check_weights(problems, here, step)
    if model.shadow is not None:
        shadow: Place = ("models", name, "shadow")
        _check_way(problems, (*shadow, "to"), model.shadow.to, providers, shadow)
        check_number(problems, (*shadow, "share"), model.shadow.share, 0, 1)
    hedge: Place = ("models", name, "hedge_after_s")
    check_number(problems, hedge, model.hedge_after_s, _MOMENT_S, 600)
    if model.hedge_after_s is not None and len(model.routes) == 1:
        problems.add(hedge, f"{spelled(hedge)} means nothing: the route has no other 'provider/model'. Remove it.")
    longest: Place = ("models", name, "max_output_tokens")
    check_number(problems, longest, model.max_output_tokens, 1, MAX_OUTPUT_TOKENS)
    if model.max_output_tokens is not None and model.kind != "chat":
        problems.add(longest, f"{spelled(longest)} means nothing: only what chats writes so long. Remove it.")
    window: Place = ("models", name, "context_tokens")
    check_number(problems, window, model.context_tokens, 1, 10_000_000)
    if model.context_tokens is not None and model.kind != "chat":
        problems.add(window, f"{spelled(window)} means nothing: only what chats has so long a past. Remove it.")
    _check_room(problems, window, model)


def _check_room(problems: Problems, place: Place, model: Model) -> None:
    """Refuse a window that leaves no room for a question beside the longest answer."""
    most, longest = model.context_tokens, model.max_output_tokens
    if most is not None and longest is not None and most <= longest:
        words = f"is {most}, which max_output_tokens ({longest}) fills: no question would fit in. Change one of them."
        problems.add(place, f"{spelled(place)} {words}")


def _check_way(problems: Problems, place: Place, way: str, providers: Mapping[str, Provider], where: Place) -> None:
    provider, slash, rest = way.partition("/")
    if not slash or not rest:
        problems.add(place, f"{spelled(where)} has {way!r}. Write it as 'provider/model'.")
    else:
        check_reference(problems, place, provider, providers, "providers", where)


def _check_weights(problems: Problems, place: Place, step: Mapping[str, float]) -> None:
    if not step:
        problems.add(place, f"{spelled(place)} is empty. Write 'provider/model', or several with their weights.")
    for way, weight in step.items():
        check_number(problems, (*place, way), weight, 0, 1_000_000)
    if step and not any(step.values()) and not any(problems.is_lost((*place, way)) for way in step):
        problems.add(place, f"{spelled(place)} has no weight above 0, so none of it would ever be drawn.")


# --- people -------------------------------------------------------------------------------------


def _check_defaults(problems: Problems, config: Config) -> None:
    if config.default_model is not None:
        place: Place = ("default_model",)
        is_known = check_reference(problems, place, config.default_model, config.models, "models")
        if is_known and config.models[config.default_model].kind != "chat":
            words = f"default_model is {config.default_model!r}, which does not chat. Name a model of kind 'chat'."
            problems.add(place, words)
    if config.default_feature is not None:
        check_reference(problems, ("default_feature",), config.default_feature, config.features, "features")
    if config.default_tier is not None:
        check_reference(problems, ("default_tier",), config.default_tier, config.tiers, "tiers")
    elif config.tiers:
        words = "Name the one that counts where none is told."
        problems.add(("tiers",), f"There are tiers but no default_tier. {words}")


def _check_tier(problems: Problems, name: str, tier: Tier, config: Config) -> None:
    place: Place = ("tiers", name)
    families: tuple[tuple[str, str, list[str] | None, Mapping[str, object]], ...] = (
        ("models", "model", tier.models, config.models),
        ("features", "feature", tier.features, config.features),
    )
    for family, noun, named, known in families:
        here = (*place, family)
        if named is not None and not named:
            words = f"people of this tier could use no {noun}. Name some; leave it out for all of them."
            problems.add(here, f"{spelled(here)} is empty: {words}")
        for position, each in enumerate(named or ()):
            check_reference(problems, (*here, position), each, known, family, here)


# --- how long things are kept -------------------------------------------------------------------

_HOUR_DAYS = 1 / 24
_LONGEST_DAYS = 3660


def _check_retention(problems: Problems, retention: Retention) -> None:
    _check_days(problems, ("retention", "responses_days"), retention.responses_days)
    _check_days(problems, ("retention", "conversations_days"), retention.conversations_days)
    check_number(problems, ("retention", "events_hours"), retention.events_hours, 0, _LONGEST_DAYS * 24)
    check_number(problems, ("retention", "keys_hours"), retention.keys_hours, 1, _LONGEST_DAYS * 24)
    # Less than a day, and today's limits and reports would lack what was asked this morning.
    check_number(problems, ("retention", "turns_days"), retention.turns_days, 1, _LONGEST_DAYS)
    check_number(problems, ("retention", "alerts_days"), retention.alerts_days, 1, _LONGEST_DAYS)


def _check_days(problems: Problems, place: Place, days: float | None) -> None:
    """Refuse what texts cannot be kept for: less than an hour, other than not at all, or longer than anybody plans."""
    if days is None or days == 0 or _HOUR_DAYS <= days <= _LONGEST_DAYS:
        return
    words = f"It must be 0 (nothing is stored), or from {_HOUR_DAYS:.2g} (an hour) to {_LONGEST_DAYS}."
    problems.add(place, f"{spelled(place)} is {days:g}. {words}")


# --- numbers ------------------------------------------------------------------------------------


def _check_numbers(problems: Problems, config: Config) -> None:
    limits = config.limits
    check_number(problems, ("limits", "body_mb"), limits.body_mb, 0.001, 10_000)
    # Clients take half a minute of silence for a lost connection.
    check_number(problems, ("limits", "keep_alive_s"), limits.keep_alive_s, _MOMENT_S, 30)
    check_number(problems, ("limits", "header_timeout_s"), limits.header_timeout_s, _MOMENT_S, _DAY_S)
    check_number(problems, ("limits", "body_timeout_s"), limits.body_timeout_s, _MOMENT_S, _DAY_S)
    check_number(problems, ("limits", "slow_reader_s"), limits.slow_reader_s, _MOMENT_S, _DAY_S)
    check_number(problems, ("limits", "turn_timeout_s"), limits.turn_timeout_s, _MOMENT_S, _DAY_S)
    files, batches = config.files, config.batches
    check_number(problems, ("files", "max_mb"), files.max_mb, 0.001, 10_000)
    check_number(problems, ("files", "per_user_mb"), files.per_user_mb, 0.001, 10_000_000)
    check_number(problems, ("files", "per_user"), files.per_user, 1, 1_000_000)
    check_number(problems, ("files", "total_mb"), files.total_mb, 0.001, 100_000_000)
    check_number(problems, ("files", "keep_days"), files.keep_days, _HOUR_DAYS, _LONGEST_DAYS)
    check_number(problems, ("batches", "concurrent"), batches.concurrent, 1, 1000)
    check_number(problems, ("batches", "max_lines"), batches.max_lines, 1, 1_000_000)
    check_number(problems, ("batches", "per_user"), batches.per_user, 1, 1_000_000)
    check_number(problems, ("batches", "keep_days"), batches.keep_days, _HOUR_DAYS, _LONGEST_DAYS)
    check_number(problems, ("jobs", "at_once"), config.jobs.at_once, 1, 1000)
    check_number(problems, ("jobs", "poll_s"), config.jobs.poll_s, 0.05, 60)
    check_number(problems, ("sync", "keep_deleted_days"), config.sync.keep_deleted_days, _HOUR_DAYS, _LONGEST_DAYS)
    check_number(problems, ("live", "per_user"), config.live.per_user, 1, 10_000)
    check_number(problems, ("live", "total"), config.live.total, 1, 1_000_000)
    check_number(problems, ("hangup_drain_s",), config.hangup_drain_s, 0, _DAY_S)
    check_number(problems, ("shutdown_grace_s",), config.shutdown_grace_s, 0, _DAY_S)
