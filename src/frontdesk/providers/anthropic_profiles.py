"""What differs between Anthropic's models, by how their names begin.

From Anthropic's model pages, migration guides and the types of its package (anthropic 2.12, 2026-11). The API tells
some of it for each model (GET /v1/models/{id}), but not what matters most here: forced calls, prefill, sampling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Effort = Literal["low", "medium", "high", "xhigh", "max"]

_ALL: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """One model, or several that are alike.

    `max_tokens` is the longest answer, thoughts included; `is_known` whether that is this model's own figure.
    `thinking` is how it is made to think: not at all, with a budget of tokens, or by itself (adaptive), as much as
    `efforts` say; `thinks_unasked`: unless it is told not to. `thinking_off` is the `thinking.type` that keeps an
    adaptive one from it, None where nothing does. `has_display`: it can be told to hide its thoughts.
    `has_sampling`: it takes temperature or top_p, one of the two. `has_schemas`: it keeps to a JSON Schema by itself.
    `can_be_forced`: it can be told that it must call a tool. `has_prefill`: it goes on with an assistant's words.
    `has_system_turns`: system messages may stand within the conversation.
    `cache_tokens` is the shortest beginning of a prompt that is cached.
    """

    max_tokens: int
    thinking: Literal["none", "budget", "adaptive"]
    cache_tokens: int
    efforts: tuple[Effort, ...] = _ALL
    thinks_unasked: bool = False
    thinking_off: Literal["disabled", "between_tools"] | None = "disabled"
    has_display: bool = True
    has_sampling: bool = False
    has_schemas: bool = True
    can_be_forced: bool = True
    has_prefill: bool = False
    has_system_turns: bool = False
    is_known: bool = True


_THREE = ModelProfile(4096, "none", 1024, has_display=False, has_sampling=True, has_schemas=False, has_prefill=True)
_THREE_FIVE = replace(_THREE, max_tokens=8192)
_THREE_SEVEN = replace(_THREE, max_tokens=64_000, thinking="budget")
_FOUR = replace(_THREE_SEVEN, has_display=True)
_FOUR_FIVE = replace(_FOUR, has_schemas=True)
_FOUR_SIX = ModelProfile(128_000, "adaptive", 4096, efforts=("low", "medium", "high", "max"), has_sampling=True)
_FOUR_SEVEN = ModelProfile(128_000, "adaptive", 2048)
_FOUR_EIGHT = replace(_FOUR_SEVEN, cache_tokens=1024, has_system_turns=True)
_FIVE = ModelProfile(128_000, "adaptive", 512, thinks_unasked=True, has_system_turns=True)
_FABLE = ModelProfile(128_000, "adaptive", 2048, thinks_unasked=True, thinking_off=None)
_FABLE_FIVE = replace(_FABLE, cache_tokens=512, has_system_turns=True)
_ALWAYS_THINKING = replace(_FIVE, thinking_off=None, can_be_forced=False)

_NEWEST = replace(_ALWAYS_THINKING, max_tokens=64_000, cache_tokens=1024, is_known=False)
"""A model that nobody here knows is as the newest ones that we do; its answers are as long as all since 2025 give."""

_BY_PREFIX: dict[str, ModelProfile] = {
    "claude-3-": _THREE,
    "claude-3-haiku": replace(_THREE, cache_tokens=2048),
    "claude-3-5-sonnet": _THREE_FIVE,
    "claude-3-5-haiku": replace(_THREE_FIVE, cache_tokens=2048),
    "claude-3-7-": _THREE_SEVEN,
    "claude-opus-4-0": replace(_FOUR, max_tokens=32_000),
    "claude-opus-4": replace(_FOUR, max_tokens=32_000),
    "claude-opus-4-1": replace(_FOUR_FIVE, max_tokens=32_000),
    "claude-sonnet-4-0": _FOUR,
    "claude-sonnet-4": _FOUR,
    "claude-sonnet-4-5": _FOUR_FIVE,
    "claude-opus-4-5": replace(_FOUR_FIVE, cache_tokens=4096),
    "claude-haiku-4-5": replace(_FOUR_FIVE, cache_tokens=4096),
    "claude-opus-4-6": _FOUR_SIX,
    "claude-sonnet-4-6": replace(_FOUR_SIX, cache_tokens=1024),
    "claude-opus-4-7": _FOUR_SEVEN,
    "claude-opus-4-8": _FOUR_EIGHT,
    "claude-mythos-preview": _FABLE,
    "claude-fable-5": _FABLE_FIVE,
    "claude-mythos-5": _FABLE_FIVE,
    "claude-sonnet-5": replace(_FOUR_SEVEN, thinks_unasked=True, cache_tokens=1024),
    "claude-opus-5": _FIVE,
    "claude-fable-5-1": _ALWAYS_THINKING,
    "claude-fable-5-2": _ALWAYS_THINKING,
    "claude-mythos-5-1": _ALWAYS_THINKING,
    "claude-mythos-5-2": _ALWAYS_THINKING,
    "claude-opus-5-5": _ALWAYS_THINKING,
    "claude-sonnet-5-5": replace(_FIVE, thinking_off="between_tools", can_be_forced=False),
    "claude-haiku-5-5": _FIVE,
}
_LONGEST_FIRST = sorted(_BY_PREFIX, key=len, reverse=True)


def model_profile(model: str) -> ModelProfile:
    """Return the profile of a model by its name, as Anthropic, Bedrock or Google Cloud spell it.

    A minor version that nobody here knows (claude-opus-4-9, claude-sonnet-5-7) is a new model, and not an old one.
    """
    name = model[max(model.find("claude-"), 0) :].replace(".", "-").replace("@", "-")
    prefix = next((each for each in _LONGEST_FIRST if name.startswith(each)), None)
    if prefix is None or _NEWER_MINOR.match(name[len(prefix) :]):
        return _NEWEST
    return _BY_PREFIX[prefix]


_NEWER_MINOR = re.compile(r"-?\d{1,2}(?:-|$)")
