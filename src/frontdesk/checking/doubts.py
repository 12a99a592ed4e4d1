"""What may be meant otherwise in a configuration that can be used: each doubt with its place."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator

from frontdesk.checking.reach import of_all, of_tier, reach_of
from frontdesk.checking.routes import doubts_about_routes
from frontdesk.checking.settings import Settings
from frontdesk.core.config import App, Config, Feature, Tier
from frontdesk.core.config.asides import SUMMARIES
from frontdesk.core.config.features import unused_variables
from frontdesk.core.config.problems import Place, spelled

Doubt = tuple[Place, str]

# Wider networks than these belong to nobody alone.
_WIDE_IPV4, _WIDE_IPV6 = 8, 16
# What providers do where a request says nothing, by OpenAI's API reference, "Chat" (2026-08-21).
_UNSAID = {"temperature": 1.0, "top_p": 1.0, "n": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
_TOKENS_PER_WORD = 2  # English has fewer, most other languages about as many


def doubts(settings: Settings) -> Iterator[Doubt]:
    """Yield what an operator should look at."""
    config = settings.config
    yield from _about_models(config)
    yield from doubts_about_routes(config)
    yield from _about_features(config)
    yield from _about_summaries(config)
    yield from _about_reach(config)
    yield from _about_anonymity(settings)
    yield from _about_issuers(config)
    yield from _about_apps(config.auth.apps)
    yield from _about_bound_apps(config)
    yield from _about_pages(config)
    yield from _about_proxies(config)


def _about_models(config: Config) -> Iterator[Doubt]:
    if not config.models:
        yield (), "No models are configured: every request is answered with 404."
    # A feature has its first model as a default.
    asks = [feature for feature in (config.features or {"": Feature()}).values() if feature.models is None]
    if config.default_model is None and any(feature.default_model is None for feature in asks):
        yield (), "There is no default_model: requests that name no model are answered with 400."


def _about_features(config: Config) -> Iterator[Doubt]:
    if not config.features:
        yield (), "There are no features: a user's token may send everything, as instructions and tools of its own."
    elif config.default_feature is None and len(config.features) > 1:
        yield (), "There is no default_feature: requests of people that name no feature are answered with 400."
    yield from _about_default_feature(config)
    for name, feature in config.features.items():
        place: Place = ("features", name)
        for variable in unused_variables(feature):
            here = (*place, "variables", variable)
            yield here, f"{spelled(here)} is not in the feature's instructions: what requests send for it is lost."
        if "other_parameters" in feature.client_may:
            yield from _about_other_parameters(place, feature)
        if feature.ceilings and "parameters" not in feature.client_may:
            words = "client_may does not name 'parameters', so people may send none"
            yield (*place, "ceilings"), f"{spelled(place)}.ceilings mean nothing: {words}."
        for parameter, ceiling in feature.ceilings.items():
            unsaid = _UNSAID.get(parameter)
            if unsaid is not None and ceiling < unsaid and parameter not in feature.parameters:
                here = (*place, "ceilings", parameter)
                words = f"where a request says nothing, providers take {unsaid:g}. Set {spelled(place)}.parameters too."
                yield here, f"{spelled(here)} is {ceiling:g}, but {words}"


def _about_summaries(config: Config) -> Iterator[Doubt]:
    """Of one that breaks off only the whole sentences are kept, and nothing where those are few."""
    for name, feature in config.features.items():
        if feature.context is None or feature.context.strategy != "summary":
            continue
        asked = SUMMARIES if SUMMARIES in config.features else name
        most, words = config.features[asked].max_output_tokens, feature.context.summary.words
        if most is not None and most < words * _TOKENS_PER_WORD:
            here: Place = ("features", name, "context", "summary", "words")
            told = f"is {words}, but features.{asked}.max_output_tokens is {most}: summaries break off"
            yield here, f"{spelled(here)} {told}. Set fewer words, or {words * _TOKENS_PER_WORD} tokens."


def _about_default_feature(config: Config) -> Iterator[Doubt]:
    default = config.default_feature
    name = next(iter(config.features)) if default is None and len(config.features) == 1 else default
    kinds = {name: model.kind for name, model in config.models.items()}
    if name is None or "chat" not in kinds.values():
        return
    models = config.features[name].models
    if models is not None and all(kinds[model] != "chat" for model in models):
        place: Place = ("features", name) if default is None else ("default_feature",)
        told = f"features.{name} is the only feature" if default is None else f"default_feature is {name!r}"
        yield place, f"{told}, and no model of it chats: chats of people that name no feature are refused."


def _about_other_parameters(place: Place, feature: Feature) -> Iterator[Doubt]:
    """What Frontdesk does not know it cannot hold to a limit: providers have other names for theirs."""
    limits = {"models": feature.models, "max_output_tokens": feature.max_output_tokens, "ceilings": feature.ceilings}
    held = [name for name, limit in limits.items() if limit]
    if held:
        words = "people may send whatever a provider understands, under any name that Frontdesk does not know"
        told = f"{spelled(place)}.client_may names 'other_parameters': {words}"
        yield (*place, "client_may"), f"{told}. That may get round {', '.join(held)}."


# --- what people can reach ----------------------------------------------------------------------


def _about_reach(config: Config) -> Iterator[Doubt]:
    if not config.tiers:
        yield (), "There are no tiers: people may use every model, as often as they like."
    reached = reach_of(config)
    for name in config.tiers:
        if not of_tier(reached, name):
            yield ("tiers", name), f"tiers.{name} reaches no model: none of its features has one of its models."
    for name in config.features:
        allowing = [models for (_, feature), models in reached.items() if feature == name]
        if not allowing:
            yield ("features", name), f"features.{name} is in no tier's features: nobody can use it."
        elif not any(allowing):
            yield ("features", name), f"features.{name} has no model in common with a tier: nobody can use it."
    usable = of_all(reached)
    for name in config.models:
        if name not in usable:
            yield ("models", name), f"models.{name} is in no tier and feature together: only secret keys can use it."
    yield from _about_defaults(config, usable)


def _about_defaults(config: Config, usable: frozenset[str]) -> Iterator[Doubt]:
    tier = config.tiers.get(config.default_tier or "", Tier())
    words = f"which the default tier {config.default_tier!r} does not have: its people must name another."
    model, feature = config.default_model, config.default_feature
    if not config.features and model in usable and tier.models is not None and model not in tier.models:
        yield ("default_model",), f"default_model is {model!r}, {words}"
    if feature is not None and tier.features is not None and feature not in tier.features:
        yield ("default_feature",), f"default_feature is {feature!r}, {words}"


# --- who comes in -------------------------------------------------------------------------------


def _about_anonymity(settings: Settings) -> Iterator[Doubt]:
    auth = settings.config.auth
    place: Place = ("auth", "anonymous")
    if not auth.anonymous:
        if auth.anonymous_tier is not None:
            yield ("auth", "anonymous_tier"), "auth.anonymous_tier is for nobody: auth.anonymous is off."
    elif settings.is_development:
        yield place, "auth.anonymous is on: anybody on this machine may begin a session without a credential."
    else:
        limit = f"{auth.anonymous_sessions_per_hour} an hour from one address"
        words = f"anybody who can reach the server may begin sessions without a credential, {limit}."
        yield place, f"auth.anonymous is on: {words}"


def _about_issuers(config: Config) -> Iterator[Doubt]:
    for position, issuer in enumerate(config.auth.jwt):
        place: Place = ("auth", "jwt", position)
        if issuer.tiers and issuer.claims.tier is None:
            yield (*place, "tiers"), f"{spelled(place)}.tiers maps nothing: claims.tier names no claim."
    numbered = list(enumerate(config.auth.jwt))
    for (first, one), (second, other) in itertools.permutations(numbered, 2):
        inside = other.user_prefix.removeprefix(one.user_prefix)
        if one.issuer != other.issuer and inside and other.user_prefix.startswith(one.user_prefix):
            words = f"users of {one.issuer} whose names begin with {inside!r} are refused, not taken for its users"
            here: Place = ("auth", "jwt", first, "user_prefix")
            told = f"is {one.user_prefix!r}, with which that of auth.jwt[{second}] begins"
            yield here, f"{spelled(here)} {told} ({other.user_prefix!r}): {words}. Choose others if there are such."


def _about_apps(apps: dict[str, App]) -> Iterator[Doubt]:
    attested = [name for name, app in apps.items() if app.attestation is not None]
    for name in apps:
        if attested and name not in attested:
            words = f"while {', '.join(attested)} has: who has a credential bound to {name!r} needs none"
            yield ("auth", "apps", name), f"auth.apps.{name} has no attestation {words}."


def _about_bound_apps(config: Config) -> Iterator[Doubt]:
    bound = {issuer.app for issuer in config.auth.jwt}
    for name, app in config.auth.apps.items():
        if config.auth.jwt and app.attestation is not None and name not in bound:
            words = "no issuer of auth.jwt is bound to it (app). Only sessions that your server begins for it are"
            yield ("auth", "apps", name), f"auth.apps.{name} has attestation, but {words}."


def _about_pages(config: Config) -> Iterator[Doubt]:
    if "*" in config.cors.origins:
        yield ("cors", "origins"), "cors.origins has '*': pages of any site may call with a token that they hold."
    if config.auth.cookies and not config.cors.origins:
        words = "only pages that this host itself serves can use them"
        yield ("auth", "cookies"), f"auth.cookies is on and there are no cors.origins: {words}."


def _about_proxies(config: Config) -> Iterator[Doubt]:
    for position, text in enumerate(config.trusted_proxies):
        network = ipaddress.ip_network(text)
        place: Place = ("trusted_proxies", position)
        if network.prefixlen == 0:
            words = "everybody may say which address they have, and limits by address limit nobody"
            yield place, f"trusted_proxies has {text!r}: {words}. Name your proxies."
        elif network.prefixlen < (_WIDE_IPV4 if network.version == 4 else _WIDE_IPV6):
            words = f"{network.num_addresses:,} addresses, of which each may say for whom it asks"
            yield place, f"trusted_proxies has {text!r}: {words}. Name your proxies."
