"""What a request brings beyond plain words of user and assistant: each thing, and the capability that it takes.

Kinds of items, parts and fields that nothing here names take one that nobody has, or `parameters`: what
providers learn tomorrow is closed until somebody opens it. What a client got in an answer and sends back
(refusals, reasoning) is part of the conversation. What says nothing (null, nothing in a list, a default) is no demand.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NamedTuple, cast

from frontdesk.core.config import Capability
from frontdesk.turn.items import (
    EmbeddingRequest,
    Image,
    Item,
    Message,
    Part,
    Prompt,
    Text,
    ToolCall,
    ToolOutput,
    Unknown,
)


class Demand(NamedTuple):
    """A thing that a request brings: the capability that it takes (None: no one has it), its field in the spelling
    of the caller's wire, and what it is, in words.
    """

    capability: Capability | None
    param: str
    thing: str


def demands_of(prompt: Prompt, decided: Container[str]) -> Iterator[Demand]:
    """Yield what a prompt demands. Of parameters that are `decided`, the wire's default says something, too."""
    says = _SPELLING[prompt.dialect]
    if prompt.instructions:
        yield _field("instructions", "instructions")
    for item in prompt.items:
        if type(item) is Message and type(item.content) is str and item.extra is None and item.role in _PEOPLE:
            continue  # nearly all are
        yield from _of_item(item, says["items"])
    if prompt.tools:
        yield _field("tools", "tools")
    if prompt.tool_choice not in (None, "none", "auto"):
        yield _field("tools", "tool_choice")
    if prompt.format is not None:
        yield _field("json_schema", says["format"])
    if prompt.choices != 1:
        yield _field("parameters", "n")
    for name in ("reasoning_effort", "reasoning_summary", "verbosity"):
        if getattr(prompt, name) is not None:
            yield _field("parameters", says[name])
    if prompt.include:
        yield _field("parameters", "include")
    if prompt.truncation not in (None, "disabled"):
        yield _field("parameters", "truncation")
    if prompt.parameters:
        yield from _of_parameters(prompt.parameters, decided, _IMPLIED[prompt.dialect])


def demands_of_embedding(request: EmbeddingRequest, decided: Container[str]) -> Iterator[Demand]:
    """Yield what a request for vectors demands beyond its inputs and how long its vectors are."""
    yield from _of_parameters(request.parameters, decided)


# Parameters that say nothing by themselves: of tools, and of what Responses asks for elsewhere.
_IMPLIED = {
    "chat": frozenset({"parallel_tool_calls"}),
    "responses": frozenset({"parallel_tool_calls", "logprobs"}),
}
_PEOPLE = frozenset({"user", "assistant"})
_SPELLING: dict[str, dict[str, str]] = {
    "chat": {
        "items": "messages",
        "format": "response_format",
        "reasoning_effort": "reasoning_effort",
        "reasoning_summary": "reasoning_summary",
        "verbosity": "verbosity",
    },
    "responses": {
        "items": "input",
        "format": "text.format",
        "reasoning_effort": "reasoning.effort",
        "reasoning_summary": "reasoning.summary",
        "verbosity": "text.verbosity",
    },
}
# What the wire does where nothing is said.
_DEFAULTS: dict[str, Any] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "presence_penalty": 0,
    "prompt_cache_options": {},
    "reasoning": {},
    "service_tier": "auto",
    "stop": [],
    "temperature": 1,
    "top_logprobs": 0,
    "top_p": 1,
}


def _of_parameters(
    parameters: dict[str, Any], decided: Container[str], implied: Container[str] = ()
) -> Iterator[Demand]:
    for name, value in parameters.items():
        if name in implied or (name in _DEFAULTS and name not in decided and value == _DEFAULTS[name]):
            continue
        yield _field("parameters", name)


def _field(capability: Capability, name: str) -> Demand:
    return Demand(capability, name, repr(name))


# --- items --------------------------------------------------------------------------------------


def _of_item(item: Item, field: str) -> Iterator[Demand]:
    match item:
        case Message():
            if item.role not in _PEOPLE:
                capability: Capability | None = "instructions" if item.role in ("system", "developer") else None
                yield Demand(capability, field, f"a message of the role {item.role!r}")
            yield from _of_extra(item.extra or {}, item.role, field)
            yield from _of_content(item.content, item.role, field)
        case ToolCall():
            yield Demand("tools", field, "a tool call")
        case ToolOutput():
            yield Demand("tools", field, "a tool's output")
            yield from _of_content(item.output, "tool", field)
        case Unknown() if item.dialect == "chat":
            yield from _of_chat_message(item.raw, field)
        case Unknown():
            yield from _of_responses_item(item.raw, field)


def _of_extra(extra: dict[str, Any], role: str, field: str) -> Iterator[Demand]:
    """What a message says beside role and content."""
    for name, value in extra.items():
        if role == "assistant" and (
            (name in _SAID_BY_ANSWERS and isinstance(value, str)) or (name == "annotations" and value == [])
        ):
            continue
        capability = _OF_ANSWERS.get(name, "parameters") if role == "assistant" else "parameters"
        yield Demand(capability, field, f"{name!r} of a message")


_SAID_BY_ANSWERS = frozenset({"phase", "reasoning", "reasoning_content", "refusal"})
_OF_ANSWERS: dict[str, Capability] = {"audio": "audio", "function_call": "tools"}
_READ_OF_CHAT = frozenset({"role", "content", "tool_calls", "tool_call_id"})


def _of_chat_message(raw: dict[str, Any], field: str) -> Iterator[Demand]:
    """Of a message that says more than our items hold: calls with more than a call has, or outputs, or a function's."""
    role = raw["role"]
    yield Demand("tools", field, f"a message of the role {role!r}" if role == "function" else "a tool call")
    if role != "function":
        yield Demand("parameters", field, "what is unknown of a tool call or its output")
    extra = {name: value for name, value in raw.items() if name not in _READ_OF_CHAT and value is not None}
    if role == "function":
        extra.pop("name", None)
    yield from _of_extra(extra, role, field)
    yield from _of_raw_content(raw.get("content"), role, field)


_REASONING = frozenset({"type", "id", "summary", "content", "encrypted_content", "status"})
_REASONING_PART = frozenset({"type", "text"})
_TOOL_ITEMS = frozenset({"function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"})


def _of_responses_item(raw: dict[str, Any], field: str) -> Iterator[Demand]:
    kind = raw.get("type")
    if kind == "reasoning":
        parts = [*(raw.get("summary") or ()), *(raw.get("content") or ())]
        if not (raw.keys() <= _REASONING and all(part.keys() <= _REASONING_PART for part in parts)):
            yield Demand("parameters", field, "what is unknown of an item of reasoning")
    elif kind in _TOOL_ITEMS:
        yield Demand("tools", field, f"an item of type {kind!r}")
        yield Demand("parameters", field, "what is unknown of a tool call or its output")
        yield from _of_raw_content(raw.get("output"), "tool", field)
    else:
        yield Demand(None, field, f"an item of type {kind!r}")


# --- parts --------------------------------------------------------------------------------------


def _of_content(content: str | list[Part], role: str, field: str) -> Iterator[Demand]:
    for part in content if isinstance(content, list) else ():
        match part:
            case Text():
                if part.extra is not None:
                    yield Demand("parameters", field, f"{next(iter(part.extra))!r} of a part")
            case Image():
                yield Demand("images", field, "a picture")
            case Unknown():
                yield from _of_raw_part(part.raw, role, field)


def _of_raw_content(content: Any, role: str, field: str) -> Iterator[Demand]:
    for part in cast("list[dict[str, Any]]", content) if isinstance(content, list) else ():
        yield from _of_raw_part(part, role, field)


class _PartKind(NamedTuple):
    capability: Capability | None
    fields: frozenset[str]
    inside: str | None = None  # the object that holds the fields, where it is not the part itself


_FILE = frozenset({"filename", "file_data", "file_id", "file_url", "detail"})
_PART_KINDS = {
    "file": _PartKind("files", _FILE, "file"),
    "image_url": _PartKind("images", frozenset({"url", "detail"}), "image_url"),
    "input_audio": _PartKind("audio", frozenset({"data", "format"}), "input_audio"),
    "input_file": _PartKind("files", _FILE),
    "input_image": _PartKind("images", frozenset({"image_url", "file_id", "detail"})),
    "input_text": _PartKind(None, frozenset({"text"})),
    "output_text": _PartKind(None, frozenset({"text", "annotations", "logprobs"})),
    "refusal": _PartKind(None, frozenset({"refusal"})),
    "text": _PartKind(None, frozenset({"text"})),
}


def _of_raw_part(raw: dict[str, Any], role: str, field: str) -> Iterator[Demand]:
    name = raw.get("type")
    kind = _PART_KINDS.get(cast("str", name))
    if kind is None or (name == "refusal" and role != "assistant"):
        yield Demand(None, field, f"a part of type {name!r}")
        return
    if kind.capability is not None:
        yield Demand(kind.capability, field, f"a part of type {name!r}")
    if name == "input_image" and raw.get("file_id") is not None:
        yield Demand("files", field, "a picture by its provider's id")
    for other in _others(raw, kind):
        yield Demand("parameters", field, f"{other!r} of a part")


def _others(raw: dict[str, Any], kind: _PartKind) -> Iterator[str]:
    """The fields of a part that its kind does not name, and that say something."""
    fields = kind.fields if kind.inside is None else frozenset({kind.inside})
    yield from (name for name, value in raw.items() if name not in fields and name != "type" and value is not None)
    if kind.inside is not None:
        inner = cast("dict[str, Any]", raw[kind.inside])
        yield from (name for name, value in inner.items() if name not in kind.fields and value is not None)
