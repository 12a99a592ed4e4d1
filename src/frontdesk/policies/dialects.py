"""What OpenAI's wires name, a table for each: parameters, messages, parts, tools. No values, no types.

Tests hold the tables to the shapes of `wire/`. What they do not have is a stranger: nobody here knows
what a provider makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from frontdesk.core.config import Capability
from frontdesk.turn.items import ImageRequest, MediaRequest, ModerationRequest, SpeechRequest, TranscriptionRequest

Fields: TypeAlias = "Mapping[str, Fields | None]"
"""The fields of an object; of one that holds objects, or a list of them, the fields of those as well."""


class PartKind(NamedTuple):
    """A kind of part: the capability that it takes (None: it is words), and its fields."""

    capability: Capability | None
    fields: Fields


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire. `spelling` is how it calls what prompts have fields for, `implied` what its prompts hold without
    having been asked for by that name, `only_if_asked` what some providers of this wire refuse.
    `said_by_answers` are texts that answers have and clients send back.
    """

    spelling: Mapping[str, str]
    parameters: Fields
    messages: Mapping[str, Fields]
    said_by_answers: frozenset[str]
    parts: Mapping[str, PartKind]
    tools: Mapping[str, Fields]
    implied: frozenset[str] = frozenset()
    only_if_asked: frozenset[str] = frozenset()

    def has_place_for(self, parameter: str) -> bool:
        """Whether every request of this wire may hold a parameter that Chat Completions names so."""
        known = parameter in self.parameters or parameter in self.spelling or parameter in self.implied
        return known and parameter not in self.only_if_asked


def strangers_in(value: Any, fields: Fields) -> Iterator[str]:
    """Yield the names in an object, or in each of a list, that say something and that `fields` do not have."""
    if isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from strangers_in(each, fields)
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            if inner is None:
                continue
            if name not in fields:
                yield name
            elif (known := fields[name]) is not None:
                yield from strangers_in(inner, known)


def _named(*names: str) -> Fields:
    return dict.fromkeys(names)


MARK = "prompt_cache_breakpoint"
_MARKED: Fields = {MARK: _named("mode", "ttl")}
MARKED_TEXT: Fields = {**_named("type", "text"), **_MARKED}
FORMAT = _named("name", "description", "schema", "strict")
_PARAMETERS = _named(
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "top_logprobs",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
EMBEDDINGS_PARAMETERS = _named("user")
MEDIA_PARAMETERS: Mapping[type[MediaRequest], Fields] = {
    ModerationRequest: {},
    TranscriptionRequest: _named(
        "temperature", "chunking_strategy", "keywords", "languages", "known_speaker_names", "known_speaker_references"
    ),
    SpeechRequest: _named("speed"),
    ImageRequest: _named(
        "background",
        "complexity",
        "frame_count",
        "frame_duration_ms",
        "input_fidelity",
        "moderation",
        "output_compression",
        "output_format",
        "response_format",
        "safety_identifier",
        "style",
        "user",
    ),
}
"""What requests that are no chat pass on, by their kind."""
_FUNCTION = _named("name", "description", "parameters", "strict")
_CUSTOM: Fields = {**_named("name", "description"), "format": _named("type", "definition", "syntax")}

_CHAT = Dialect(
    spelling={
        "items": "messages",
        "format": "response_format",
        "n": "n",
        "reasoning_effort": "reasoning_effort",
        "reasoning_summary": "reasoning_summary",
        "verbosity": "verbosity",
    },
    parameters={
        **_PARAMETERS,
        **_named("logit_bias", "logprobs", "seed", "stop"),
        "prediction": {"type": None, "content": MARKED_TEXT},
        "prompt_cache_options": _named("mode", "ttl"),
    },
    messages={
        "system": _named("name"),
        "developer": _named("name"),
        "user": _named("name"),
        "assistant": {
            **_named("name", "refusal", "tool_calls", "annotations"),
            "function_call": _named("name", "arguments"),
            "audio": _named("id"),
        },
    },
    said_by_answers=frozenset({"reasoning", "reasoning_content", "refusal"}),
    parts={
        "text": PartKind(None, MARKED_TEXT),
        "image_url": PartKind("images", {"type": None, "image_url": _named("url", "detail"), **_MARKED}),
        "input_audio": PartKind("audio", {"type": None, "input_audio": _named("data", "format"), **_MARKED}),
        "file": PartKind("files", {"type": None, "file": _named("filename", "file_data", "file_id"), **_MARKED}),
        "refusal": PartKind(None, _named("type", "refusal")),
    },
    tools={"function": _FUNCTION, "custom": _CUSTOM},
)

_MESSAGE_ITEM = _named("phase")
# Of tools: what the wire takes where it says nothing.
_TOOL_ITEM = _named("async", "defer_loading", "allowed_callers")
_FILE = _named("filename", "file_data", "file_id", "file_url", "detail")
_RESPONSES = Dialect(
    spelling={
        "items": "input",
        "format": "text.format",
        "reasoning_effort": "reasoning.effort",
        "reasoning_summary": "reasoning.summary",
        "verbosity": "text.verbosity",
    },
    parameters={
        **_PARAMETERS,
        "reasoning": _named("context", "mode"),
        "prompt_cache_options": _named("mode", "ttl", "comparison_response_id", "prewarm"),
        "image": _named("context_compression"),
    },
    messages=dict.fromkeys(("user", "assistant", "system", "developer"), _MESSAGE_ITEM),
    said_by_answers=frozenset({"phase"}),
    parts={
        "input_text": PartKind(None, MARKED_TEXT),
        "output_text": PartKind(None, _named("type", "text", "annotations", "logprobs")),
        "text": PartKind(None, _named("type", "text")),
        "refusal": PartKind(None, _named("type", "refusal")),
        "input_image": PartKind("images", {**_named("type", "image_url", "file_id", "detail"), **_MARKED}),
        "input_file": PartKind("files", {"type": None, **_FILE, **_MARKED}),
    },
    tools={
        "function": {**_FUNCTION, **_named("output_schema"), **_TOOL_ITEM},
        "custom": {**_CUSTOM, **_TOOL_ITEM},
    },
    implied=frozenset({"logprobs"}),  # by `include`, or by a number of top_logprobs
    # Responses tell them, and some servers take them; OpenAI's own requests have none (openai 3.54).
    only_if_asked=frozenset({"frequency_penalty", "presence_penalty"}),
)

DIALECTS: Mapping[Literal["chat", "responses"], Dialect] = {"chat": _CHAT, "responses": _RESPONSES}
