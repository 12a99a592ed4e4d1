"""What a request brings beyond plain words of user and assistant: each thing, and the capability that it takes.

Fields that `dialects` does not have take `other_parameters`, kinds of items, parts and tools one that nobody has:
what providers learn tomorrow is closed until somebody opens it. What a client got in an answer and sends back
(refusals, reasoning) is part of the conversation. What says nothing (null, an empty object, a default) is no demand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from frontdesk.core.config import Capability
from frontdesk.policies.dialects import (
    DIALECTS,
    EMBEDDINGS_PARAMETERS,
    FORMAT,
    MARK,
    MARKED_TEXT,
    MEDIA_PARAMETERS,
    Dialect,
    Fields,
    strangers_in,
)
from frontdesk.turn.items import (
    Compaction,
    EmbeddingRequest,
    Image,
    ImageRequest,
    Item,
    MediaRequest,
    Message,
    ModerationRequest,
    Part,
    Prompt,
    Reference,
    SpeechRequest,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    TranscriptionRequest,
    Unknown,
)


class Demand(NamedTuple):
    """A thing that a request brings: the capability that it takes (None: no one has it), its field in the spelling
    of the caller's wire, and what it is, in words.
    """

    capability: Capability | None
    param: str
    thing: str


def demands_of(prompt: Prompt, decided: Mapping[str, Any]) -> Iterator[Demand]:
    """Yield what a prompt demands. Of parameters that are `decided`, only that value repeats what holds anyway."""
    dialect = DIALECTS[prompt.dialect]
    says = dialect.spelling
    if prompt.instructions:
        yield _field("instructions", "instructions")
    for item in prompt.items if not prompt.answered else _brought(prompt):
        if type(item) is Message and type(item.content) is str and item.extra is None and item.role in _PEOPLE:
            continue  # nearly all are
        yield from _of_item(item, dialect)
    for tool in prompt.tools:
        yield from _of_tool(tool, dialect)
    if prompt.tool_choice not in (None, "none", "auto"):
        yield from _of_tool_choice(prompt.tool_choice, dialect)
    if prompt.format is not None:
        yield _field("json_schema", says["format"])
        yield from _strangers(prompt.format.definition, FORMAT, says["format"], "of the format")
    if prompt.choices not in (1, decided.get("n")):
        yield _field("parameters", "n")
    for name in ("reasoning_effort", "reasoning_summary", "verbosity"):
        value = getattr(prompt, name)
        if value is not None and not _is_held(name, value, decided):
            yield _field("parameters", says[name])
    if prompt.include:
        yield _field("parameters", "include")
    if prompt.truncation not in (None, "disabled"):
        yield _field("parameters", "truncation")
    if prompt.parameters:
        yield from _of_parameters(prompt.parameters, decided, dialect.parameters, dialect.implied)


def _brought(prompt: Prompt) -> Iterator[Item]:
    """The items that the caller brings, then or now: what this server answered is no demand of anybody's."""
    return (item for place, item in enumerate(prompt.items) if place not in prompt.answered)


def demands_of_embedding(request: EmbeddingRequest) -> Iterator[Demand]:
    """Yield what a request for vectors demands beyond its inputs and how long its vectors are."""
    yield from _of_parameters(request.parameters, {}, EMBEDDINGS_PARAMETERS)


def demands_of_media(request: MediaRequest) -> Iterator[Demand]:
    """Yield what a request demands beyond its words, sound or pictures, and the shape in which it wants the answer."""
    match request:
        case ModerationRequest():
            if any(isinstance(each, Image) for each in request.inputs):
                yield Demand("images", "input", "a picture")
        case SpeechRequest():
            if request.instructions:
                yield _field("instructions", "instructions")
        case ImageRequest():
            for name, plain in (("n", 1), ("size", None), ("quality", None), ("partial_images", 0)):
                if getattr(request, name) not in (plain, "auto"):
                    yield _field("parameters", name)
        case TranscriptionRequest():
            pass
    shown = {name: value for name, value in request.parameters.items() if name not in _SHAPE_OF_ANSWER}
    yield from _of_parameters(shown, {}, MEDIA_PARAMETERS[type(request)])


_SHAPE_OF_ANSWER = frozenset({"output_format", "response_format"})


def says_nothing(value: Any) -> bool:
    """Whether it is an empty list, or an object without a field that says something."""
    return _repeats(value, None)


_PEOPLE = frozenset({"user", "assistant"})
# What the wires do where nothing is said, and what our Responses then tell.
_HELD: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "parallel_tool_calls": (True, False),  # of tools, and says nothing by itself
    "presence_penalty": (0,),
    "prompt_cache_options": ({"mode": "implicit", "ttl": "30m", "prewarm": False},),
    "service_tier": ("auto", "default"),
    "temperature": (1,),
    "top_logprobs": (0,),
    "top_p": (1,),
    "verbosity": ("medium",),
}


def _is_held(name: str, value: Any, decided: Mapping[str, Any]) -> bool:
    """Whether a value changes nothing: what the feature has holds as a whole, what the wire has field by field."""
    if name in decided:
        return value == decided[name] or says_nothing(value)
    return any(_repeats(value, each) for each in _HELD.get(name, (None,)))


def _repeats(value: Any, held: Any) -> bool:
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", held) if isinstance(held, dict) else {}
        fields = cast("dict[str, Any]", value)
        return all(each is None or _repeats(each, inner.get(name)) for name, each in fields.items())
    return value in (held, [])


def _of_parameters(
    parameters: dict[str, Any], decided: Mapping[str, Any], known: Fields, implied: frozenset[str] = frozenset()
) -> Iterator[Demand]:
    for name, value in parameters.items():
        if name in implied:
            continue
        if name not in known:
            yield _field("other_parameters", name)
            continue
        if not _is_held(name, value, decided):
            yield _field("parameters", name)
        yield from _strangers({name: value}, known, name, f"in {name!r}")


def _field(capability: Capability, name: str) -> Demand:
    return Demand(capability, name, repr(name))


def _strangers(value: Any, known: Fields, field: str, where: str) -> Iterator[Demand]:
    for name in strangers_in(value, known):
        yield Demand("other_parameters", field, f"{name!r} {where}")


# --- tools --------------------------------------------------------------------------------------


def _of_tool(tool: Tool, dialect: Dialect) -> Iterator[Demand]:
    known = dialect.tools.get(tool.kind)
    if known is None:
        yield Demand(None, "tools", f"a tool of type {tool.kind!r}")
        return
    yield _field("tools", "tools")
    yield from _strangers(tool.definition, known, "tools", "of a tool")


def _of_tool_choice(choice: str | dict[str, Any] | None, dialect: Dialect) -> Iterator[Demand]:
    chosen: list[dict[str, Any]] = []
    if isinstance(choice, dict):
        chosen = choice["tools"] if choice["type"] == "allowed_tools" else [choice]
    strange = [tool["type"] for tool in chosen if tool["type"] not in dialect.tools]
    for kind in strange:
        yield Demand(None, "tool_choice", f"a tool of type {kind!r}")
    if not strange:
        yield _field("tools", "tool_choice")


# --- items --------------------------------------------------------------------------------------


def _of_item(item: Item, dialect: Dialect) -> Iterator[Demand]:
    field = dialect.spelling["items"]
    match item:
        case Message():
            if item.role not in _PEOPLE:
                capability: Capability | None = "instructions" if item.role in ("system", "developer") else None
                yield Demand(capability, field, f"a message of the role {item.role!r}")
            yield from _of_extra(item.extra or {}, item.role, dialect)
            yield from _of_content(item.content, item.role, dialect)
        case ToolCall():
            yield Demand("tools", field, "a tool call")
        case ToolOutput():
            yield Demand("tools", field, "a tool's output")
            yield from _of_content(item.output, "tool", dialect)
        case Reference() | Compaction():
            pass  # what it stands for was allowed when it came
        case Unknown() if item.dialect == "chat":
            yield from _of_chat_message(item.raw, dialect)
        case Unknown():
            yield from _of_responses_item(item.raw, dialect)


# Fields of messages that say what parts and items say elsewhere.
_OBEYED: dict[str, Capability] = {"audio": "audio", "function_call": "tools", "tool_calls": "tools"}


def _of_extra(extra: dict[str, Any], role: str, dialect: Dialect) -> Iterator[Demand]:
    """What a message says beside role and content."""
    field, known = dialect.spelling["items"], dialect.messages.get(role, {})
    for name, value in extra.items():
        if role == "assistant" and _is_of_answers(name, value, dialect):
            continue
        thing = f"{name!r} of a message"
        if name in _OBEYED:
            yield Demand(_OBEYED[name], field, thing)
        elif name in known:
            yield Demand("parameters", field, thing)
        yield from _strangers({name: value}, known, field, "of a message")


def _is_of_answers(name: str, value: Any, dialect: Dialect) -> bool:
    """Whether it is what answers say beside their words, and only that: annotations that hold none."""
    return (name in dialect.said_by_answers and isinstance(value, str)) or (name == "annotations" and value == [])


_READ_OF_FUNCTION = frozenset({"role", "content"})
_READ_OF_CHAT = _READ_OF_FUNCTION | {"tool_calls", "tool_call_id"}


def _of_chat_message(raw: dict[str, Any], dialect: Dialect) -> Iterator[Demand]:
    """Of a message that says more than our items hold: calls with more than a call has, or outputs, or a function's."""
    role, field = raw["role"], dialect.spelling["items"]
    read = _READ_OF_FUNCTION if role == "function" else _READ_OF_CHAT
    extra = {name: value for name, value in raw.items() if name not in read and value is not None}
    if role != "assistant":
        extra.pop("name", None)  # which function or tool it was
    if role == "function":
        yield Demand("tools", field, "a message of the role 'function'")
    else:
        yield Demand("tools", field, "a tool call or its output")
        yield Demand("other_parameters", field, _MORE_THAN_A_CALL)
    yield from _of_extra(extra, role, dialect)
    yield from _of_raw_content(raw.get("content"), role, dialect)


_MORE_THAN_A_CALL = "what is unknown of a tool call or its output"
_REASONING: Fields = {
    **dict.fromkeys(("type", "id", "encrypted_content", "status")),
    **dict.fromkeys(("summary", "content"), dict.fromkeys(("type", "text"))),
}
_TOOL_CALLS = frozenset({"function_call", "custom_tool_call"})
_TOOL_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


def _of_responses_item(raw: dict[str, Any], dialect: Dialect) -> Iterator[Demand]:
    kind, field = raw.get("type"), dialect.spelling["items"]
    if kind == "reasoning":
        yield from _strangers(raw, _REASONING, field, "of an item of reasoning")
    elif kind in _TOOL_CALLS or kind in _TOOL_OUTPUTS:
        yield Demand("tools", field, f"an item of type {kind!r}")
        yield Demand("other_parameters", field, _MORE_THAN_A_CALL)
        if kind in _TOOL_OUTPUTS:
            yield from _of_raw_content(raw["output"], "tool", dialect)
    else:
        yield Demand(None, field, f"an item of type {kind!r}")


# --- parts --------------------------------------------------------------------------------------


def _of_content(content: str | list[Part], role: str, dialect: Dialect) -> Iterator[Demand]:
    for part in content if isinstance(content, list) else ():
        match part:
            case Text():
                yield from _of_fields(part.extra or {}, MARKED_TEXT, dialect)
            case Image():
                yield Demand("images", dialect.spelling["items"], "a picture")
            case Unknown():
                yield from _of_raw_part(part.raw, role, dialect)


def _of_raw_content(content: Any, role: str, dialect: Dialect) -> Iterator[Demand]:
    """Of content that was checked by the wire, part by part, and kept as it came."""
    for part in cast("list[dict[str, Any]]", content) if isinstance(content, list) else ():
        yield from _of_raw_part(part, role, dialect)


def _of_raw_part(raw: dict[str, Any], role: str, dialect: Dialect) -> Iterator[Demand]:
    name, field = raw["type"], dialect.spelling["items"]
    kind = dialect.parts.get(name)
    if kind is None or (name == "refusal" and role != "assistant"):
        yield Demand(None, field, f"a part of type {name!r}")
        return
    if kind.capability is not None:
        yield Demand(kind.capability, field, f"a part of type {name!r}")
    if name == "input_image" and raw.get("file_id") is not None:
        yield Demand("files", field, "a picture by its provider's id")
    yield from _of_fields(raw, kind.fields, dialect)


def _of_fields(part: dict[str, Any], known: Fields, dialect: Dialect) -> Iterator[Demand]:
    """What a part says beside its content: where a cache may end, and what nobody knows."""
    field = dialect.spelling["items"]
    if MARK in known and part.get(MARK) is not None:
        yield Demand("parameters", field, f"{MARK!r} of a part")
    yield from _strangers(part, known, field, "of a part")
