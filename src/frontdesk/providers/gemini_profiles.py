"""What differs between Gemini models, as values: chosen by the beginning of a model's name.

Facts: "Gemini thinking", "Thought signatures", "File input methods", "What's new" of 3.5 to 3.8 Flash
(ai.google.dev/gemini-api/docs, 2026-11). What a model refuses in its own words as well as we could is left to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"]


@dataclass(frozen=True, slots=True)
class Levels:
    """Thinking is chosen by a level; there is no "off". In order, the least first."""

    offered: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """Thinking is chosen by a number of tokens. `least` is 0 where it can be turned off."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class GeminiProfile:
    """What a model can do.

    `thinking` is None where it does not think. `signs_calls`: whether it refuses its own earlier calls without the
    signature of the thoughts behind them. `formats_with_tools`: whether an answer's shape may be asked for beside
    tools. `fetches_urls`: whether it reads what an https URL leads to. `reads_media_of_tools`: whether a function's
    response may hold pictures. `has_sampling`: whether temperature, top_p and top_k mean anything to it.
    `has_prefill`: whether it goes on with an answer that was begun. `most_choices` is how many answers it gives.
    """

    thinking: Levels | Budget | None
    signs_calls: bool
    formats_with_tools: bool
    fetches_urls: bool
    reads_media_of_tools: bool
    has_logprobs: bool
    has_penalties: bool
    has_sampling: bool
    has_prefill: bool
    most_choices: int


def gemini_profile(model: str) -> GeminiProfile:
    """The profile of a model, named as in the API. One that nobody knows yet is like the newest."""
    name = model.removeprefix("models/").lower()
    return next((profile for prefix, profile in _BY_PREFIX if name.startswith(prefix)), _NEWEST)


def _second(thinking: Budget | None) -> GeminiProfile:
    """Of the second generation and before: with logprobs and penalties where Google has enabled them."""
    return GeminiProfile(
        thinking,
        signs_calls=False,
        formats_with_tools=False,
        fetches_urls=thinking is not None,
        reads_media_of_tools=False,
        has_logprobs=True,
        has_penalties=True,
        has_sampling=True,
        has_prefill=True,
        most_choices=8,
    )


def _third(*levels: Level) -> GeminiProfile:
    """Of the third generation, up to 3.5 Flash."""
    return GeminiProfile(
        Levels(levels),
        signs_calls=True,
        formats_with_tools=True,
        fetches_urls=True,
        reads_media_of_tools=True,
        has_logprobs=False,
        has_penalties=True,
        has_sampling=True,
        has_prefill=True,
        most_choices=1,
    )


def _newer(*levels: Level) -> GeminiProfile:
    """Of all since 3.5 Flash-Lite: they sample as they do, and begin their answers themselves."""
    return replace(_third(*levels), has_penalties=False, has_sampling=False, has_prefill=False)


_FROM_MINIMAL: tuple[Level, ...] = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_FROM_LOW: tuple[Level, ...] = ("LOW", "MEDIUM", "HIGH")
_NEWEST = _newer(*_FROM_LOW)
_BY_PREFIX: tuple[tuple[str, GeminiProfile], ...] = (  # the first that fits
    ("gemini-1.", _second(None)),
    ("gemini-2.0-", _second(None)),
    ("tunedmodels/", _second(None)),
    ("gemma-", replace(_third(*_FROM_LOW), has_penalties=False)),
    ("gemini-2.5-pro", _second(Budget(128, 32_768))),
    ("gemini-2.5-", _second(Budget(0, 24_576))),
    ("gemini-3-pro", _third("LOW", "HIGH")),
    ("gemini-3-flash", _third(*_FROM_MINIMAL)),
    ("gemini-3.1-pro", _third(*_FROM_LOW)),
    ("gemini-pro-latest", _third(*_FROM_LOW)),
    ("gemini-3.1-flash-lite", _third(*_FROM_MINIMAL)),
    ("gemini-3.5-flash-lite", _newer(*_FROM_MINIMAL)),
    ("gemini-3.5-flash", _third(*_FROM_MINIMAL)),
    ("gemini-3.6-flash", _newer(*_FROM_MINIMAL)),
)
