"""What a model's route says and never does: ways that always decline, that come twice, and times that pass too late."""

from __future__ import annotations

from collections.abc import Iterator

from frontdesk.core.config import Config, Model, Provider
from frontdesk.core.config.problems import Place, spelled
from frontdesk.local.catalogue import known_models

Doubt = tuple[Place, str]

_CHATS = frozenset({"chat"})
# What the kinds of provider have models for; all others may have any.
_HAVE = {"anthropic": _CHATS, "gemini": frozenset({"chat", "embeddings"})}
_LOCAL = {"embedding": "embeddings"}


def doubts_about_routes(config: Config) -> Iterator[Doubt]:
    """Yield what an operator should look at, of providers, models and files."""
    for name, provider in config.providers.items():
        yield from _about_silence(name, provider)
    for name, model in config.models.items():
        place: Place = ("models", name)
        yield from _about_ways(place, model, config)
        yield from _about_hedge(place, model, config)
        yield from _about_shadow(place, model)
    if config.files.max_mb > config.files.per_user_mb:
        words = f"more than files.per_user_mb, which is {config.files.per_user_mb:g}: nobody can upload so large a file"
        yield ("files", "max_mb"), f"files.max_mb is {config.files.max_mb:g}, {words}."


def _about_silence(name: str, provider: Provider) -> Iterator[Doubt]:
    first_s, idle_s = provider.first_event_s, provider.idle_timeout_s
    if first_s is not None and first_s > idle_s:
        here: Place = ("providers", name, "first_event_s")
        words = f"more than idle_timeout_s, which is {idle_s:g} and ends a silent provider before"
        yield here, f"{spelled(here)} is {first_s:g}, {words}."


def _about_ways(place: Place, model: Model, config: Config) -> Iterator[Doubt]:
    written = [
        ((*place, "route", position), way)
        for position, step in enumerate(model.route)
        for way in ([step] if isinstance(step, str) else step)
    ]
    seen: set[str] = set()
    for here, way in written:
        if way in seen:
            yield here, f"{spelled(place)}.route has {way!r} twice: the second one changes nothing."
        seen.add(way)
    shadow = [] if model.shadow is None else [((*place, "shadow", "to"), model.shadow.to)]
    for here, way in (*written, *shadow):
        have = _kinds_of(way, config)
        if have is not None and model.kind not in have:
            told = f"which has no models of the kind {model.kind!r}, but of {' and '.join(sorted(have))}"
            yield here, f"{spelled(here[:3])} has {way!r}, {told}: it declines whatever is asked."


def _kinds_of(way: str, config: Config) -> frozenset[str] | None:
    """What a way can answer; None where only its provider knows."""
    name, _, model = way.partition("/")
    provider = config.providers[name]
    if provider.kind != "local":
        return _HAVE.get(provider.kind)
    if provider.path is not None:
        return _CHATS
    known = {each.name: each.kind for each in known_models()}
    kind = known.get(model)
    return None if kind is None else frozenset({_LOCAL.get(kind, kind)})


def _about_hedge(place: Place, model: Model, config: Config) -> Iterator[Doubt]:
    first = model.route[0]
    providers = [config.providers[way.partition("/")[0]] for way in ([first] if isinstance(first, str) else first)]
    longest_s = [each.first_event_s for each in providers if each.first_event_s is not None]
    after_s = model.hedge_after_s
    if after_s is not None and len(longest_s) == len(providers) and after_s >= max(longest_s):
        words = f"and the first attempt ends after {max(longest_s):g} without a word (first_event_s): none is joined"
        yield (*place, "hedge_after_s"), f"{spelled(place)}.hedge_after_s is {after_s:g}, {words}."


def _about_shadow(place: Place, model: Model) -> Iterator[Doubt]:
    if model.shadow is None:
        return
    here = (*place, "shadow")
    if not model.shadow.share:
        yield (*here, "share"), f"{spelled(here)}.share is 0: nothing is copied."
    elif [model.shadow.to] == model.routes[:1]:
        words = "which answers already: it is asked and paid for twice"
        yield (*here, "to"), f"{spelled(here)}.to is {model.shadow.to!r}, {words}."
