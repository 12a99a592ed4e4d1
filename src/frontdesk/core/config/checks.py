"""What the values of a configuration may be, beyond their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from frontdesk.core.config.addresses import check_base_url, check_network, check_origin, without_user
from frontdesk.core.config.auth import check_auth
from frontdesk.core.config.features import MAX_OUTPUT_TOKENS, check_features
from frontdesk.core.config.money import check_money
from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, spelled
from frontdesk.core.config.shapes import FIELDS_OF_KIND, Config, Model, Provider, Tier

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
    if provider.kind == "openai-compatible" and not provider.base_url:
        words = "A provider of this kind needs it, ending in /v1."
        problems.add((*place, "base_url"), f"{spelled(place)}.base_url is missing. {words}")
    if provider.base_url:
        check_base_url(problems, (*place, "base_url"), provider.base_url, has_key=bool(provider.api_key))
    if provider.kind == "openai" and not provider.api_key:
        words = "A provider of this kind needs it."
        problems.add((*place, "api_key"), f"{spelled(place)}.api_key is missing. {words}")
    if provider.kind == "local" and not provider.model:
        words = "Name a local model, such as smollm2-135m."
        problems.add((*place, "model"), f"{spelled(place)}.model is missing. {words}")
    if provider.api is None and provider.kind in ("openai", "openai-compatible"):
        provider.api = "auto" if provider.kind == "openai" else "chat"
    check_number(problems, (*place, "idle_timeout_s"), provider.idle_timeout_s, _MOMENT_S, _DAY_S)
    check_number(problems, (*place, "threads"), provider.threads, 1, 1024)
    check_number(problems, (*place, "context_tokens"), provider.context_tokens, 1, 10_000_000)


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
        provider, slash, rest = step.partition("/")
        if not slash or not rest:
            problems.add((*route, position), f"{spelled(route)} has {step!r}. Write it as 'provider/model'.")
        else:
            check_reference(problems, (*route, position), provider, providers, "providers", route)
    longest: Place = ("models", name, "max_output_tokens")
    check_number(problems, longest, model.max_output_tokens, 1, MAX_OUTPUT_TOKENS)
    if model.max_output_tokens is not None and model.kind != "chat":
        problems.add(longest, f"{spelled(longest)} means nothing: embeddings are not written. Remove it.")


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
    check_number(problems, ("hangup_drain_s",), config.hangup_drain_s, 0, _DAY_S)
    check_number(problems, ("shutdown_grace_s",), config.shutdown_grace_s, 0, _DAY_S)
