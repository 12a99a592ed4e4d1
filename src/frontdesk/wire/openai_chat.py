"""Chat Completions: the caller's request, and the events rendered as chunks or as one body.

Shapes: OpenAI API reference, "Chat" (2026-08-21). Deltas are the hot path: everything in a chunk
but the text is put together once per choice.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import (
    ChoiceFinished,
    Event,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.turn.turn import Turn
from frontdesk.wire.reading import read_content, read_object, required_text, unsupported, view, wrong

_encode = msgspec.json.Encoder().encode


# --- reading ------------------------------------------------------------------------------------


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _ChatBody(msgspec.Struct):
    """The fields that we read. All others are carried."""

    messages: list[dict[str, Any]]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None


_READ = frozenset(_ChatBody.__struct_fields__)


class ChatRequest(msgspec.Struct, frozen=True):
    """A Chat Completions request: the prompt, and what only this door needs to know."""

    prompt: Prompt
    model: str | None
    feature: str | None
    includes_usage: bool


def read_chat(body: bytes) -> ChatRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    fields = view(raw, _ChatBody)
    if not fields.messages:
        raise wrong("messages", "'messages' is empty. Send at least one message.")
    choices = 1 if fields.n is None else fields.n
    if not 1 <= choices <= _MAX_CHOICES:
        raise wrong("n", f"'n' is {choices}. It must be from 1 to {_MAX_CHOICES}.")
    for name, remedy in _NOT_SERVED.items():
        if raw.get(name) not in (None, ["text"]):
            raise unsupported(name, remedy)
    for name, limit in (("max_completion_tokens", fields.max_completion_tokens), ("max_tokens", fields.max_tokens)):
        if limit is not None and limit < 1:
            raise wrong(name, f"{name!r} is {limit}. It must be at least 1.")
    max_output_tokens = fields.max_tokens if fields.max_completion_tokens is None else fields.max_completion_tokens
    items: list[Item] = []
    for position, message in enumerate(fields.messages):
        _read_message(message, f"messages[{position}]", items)
    prompt = Prompt(
        items=items,
        tools=[_read_tool(tool, f"tools[{position}]") for position, tool in enumerate(fields.tools or ())],
        tool_choice=_read_tool_choice(fields.tool_choice),
        format=_read_format(fields.response_format),
        max_output_tokens=max_output_tokens,
        reasoning_effort=fields.reasoning_effort,
        verbosity=fields.verbosity,
        choices=choices,
        stream=bool(fields.stream),
        parameters={name: value for name, value in raw.items() if name not in _READ and value is not None},
    )
    return ChatRequest(
        prompt=prompt,
        model=fields.model,
        feature=(fields.metadata or {}).get("feature"),
        includes_usage=fields.stream_options is not None and bool(fields.stream_options.include_usage),
    )


_MAX_CHOICES = 8
# What a provider would answer to these has no place in the events yet, and would be lost.
_NOT_SERVED = {
    "functions": "Use 'tools'.",
    "function_call": "Use 'tool_choice'.",
    "modalities": "Leave it out: answers are text.",
    "audio": "Leave it out: answers are text.",
    "web_search_options": "Leave it out: citations would be lost.",
}


def _read_message(message: dict[str, Any], where: str, items: list[Item]) -> None:
    role = message.get("role")
    if role == "tool":
        items.append(
            ToolOutput(
                call_id=required_text(message, "tool_call_id", where),
                output=read_content(message.get("content"), f"{where}.content", _read_part),
            )
        )
    elif role == "function":
        items.append(Unknown(message, "chat"))
    elif role == "assistant":
        _read_answer(message, where, items)
    elif role in _ROLES:
        items.append(
            Message(role, read_content(message.get("content"), f"{where}.content", _read_part), _extra(message))
        )
    else:
        raise wrong(f"{where}.role", f"{where}.role is {role!r}. It must be one of {', '.join(_ALL_ROLES)}.")


_ROLES = frozenset({"system", "developer", "user"})
_ALL_ROLES = ("system", "developer", "user", "assistant", "tool")
_MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "tool_call_id"})


def _read_answer(message: dict[str, Any], where: str, items: list[Item]) -> None:
    content = message.get("content")
    calls = message.get("tool_calls")
    extra = _extra(message)
    if content is not None or extra is not None or not calls:
        text = "" if content is None else read_content(content, f"{where}.content", _read_part)
        items.append(Message("assistant", text, extra))
    if calls is None:
        return
    if not isinstance(calls, list):
        raise wrong(f"{where}.tool_calls", f"{where}.tool_calls must be a list.", "invalid_type")
    for position, call in enumerate(cast("list[Any]", calls)):
        items.append(_read_tool_call(call, f"{where}.tool_calls[{position}]"))


def _read_tool_call(call: Any, where: str) -> Item:
    if not isinstance(call, dict):
        raise wrong(where, f"{where} must be an object.", "invalid_type")
    fields = cast("dict[str, Any]", call)
    call_id = required_text(fields, "id", where)
    kind = fields.get("type", "function")
    inner = fields.get(kind) if isinstance(kind, str) else None
    if kind not in ("function", "custom") or not isinstance(inner, dict):
        raise wrong(f"{where}.type", f"{where} must be a function or a custom tool call.")
    text = required_text(inner, "arguments" if kind == "function" else "input", f"{where}.{kind}")  # type: ignore[arg-type]
    return ToolCall(call_id, required_text(inner, "name", f"{where}.{kind}"), text, kind)  # type: ignore[arg-type]


def _read_part(part: Any, where: str) -> Part:
    if not isinstance(part, dict):
        raise wrong(where, f"{where} must be an object with a type.", "invalid_type")
    fields = cast("dict[str, Any]", part)
    kind = fields.get("type")
    if kind == "text":
        extra = {name: value for name, value in fields.items() if name not in ("type", "text")}
        return Text(required_text(fields, "text", where), extra or None)
    if kind == "image_url":
        image = fields.get("image_url")
        if not isinstance(image, dict):
            raise wrong(f"{where}.image_url", f"{where}.image_url must be an object with a url.", "invalid_type")
        return Image(required_text(image, "url", f"{where}.image_url"), image.get("detail"))  # type: ignore[arg-type]
    if not isinstance(kind, str):
        raise wrong(f"{where}.type", f"{where}.type must be a text such as 'text' or 'image_url'.", "invalid_type")
    return Unknown(fields, "chat")


def _read_tool(tool: dict[str, Any], where: str) -> Tool:
    kind = tool.get("type")
    inner = tool.get(kind) if isinstance(kind, str) else None
    if kind not in ("function", "custom") or not isinstance(inner, dict):
        raise wrong(f"{where}.type", f"{where} must have the type 'function' or 'custom' and that object.")
    definition = cast("dict[str, Any]", inner)
    required_text(definition, "name", f"{where}.{kind}")
    return Tool(cast("str", kind), _flat_format(definition) if kind == "custom" else definition)


def _flat_format(definition: dict[str, Any]) -> dict[str, Any]:
    """A custom tool's grammar stands one level deeper in Chat Completions than in Responses."""
    form = definition.get("format")
    grammar = cast("dict[str, Any]", form).get("grammar") if isinstance(form, dict) else None
    if isinstance(grammar, dict):
        return {**definition, "format": {"type": "grammar", **cast("dict[str, Any]", grammar)}}
    return definition


def _read_tool_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if choice is None or isinstance(choice, str):
        if choice not in (None, "none", "auto", "required"):
            raise wrong("tool_choice", f"'tool_choice' is {choice!r}. It must be none, auto, required or a tool.")
        return choice
    kind = choice.get("type")
    inner = choice.get(kind) if isinstance(kind, str) else None
    if not isinstance(inner, dict):
        raise wrong("tool_choice", "'tool_choice' must name a function or custom tool.")
    flat: dict[str, Any] = {**inner, "type": kind}
    if kind == "allowed_tools":
        flat["tools"] = [_flat_reference(tool) for tool in _list_of_objects(flat.get("tools"), "tool_choice")]
    else:
        required_text(flat, "name", f"tool_choice.{kind}")
    return flat


def _flat_reference(tool: dict[str, Any]) -> dict[str, Any]:
    kind = tool.get("type")
    inner = tool.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **cast("dict[str, Any]", inner)} if isinstance(inner, dict) else tool


def _list_of_objects(value: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in cast("list[Any]", value)):
        raise wrong(where, f"'{where}' must list tools as objects.", "invalid_type")
    return cast("list[dict[str, Any]]", value)


def _read_format(fields: dict[str, Any] | None) -> Format | None:
    if fields is None or fields.get("type") == "text":
        return None
    if fields.get("type") == "json_object":
        return Format("json_object", {})
    inner = fields.get("json_schema")
    if fields.get("type") != "json_schema" or not isinstance(inner, dict):
        raise wrong("response_format", "'response_format.type' must be text, json_object or json_schema.")
    required_text(inner, "name", "response_format.json_schema")  # type: ignore[arg-type]
    return Format("json_schema", inner)  # type: ignore[arg-type]


def _extra(message: dict[str, Any]) -> dict[str, Any] | None:
    if len(message) <= 2 and "content" in message:  # role and content: the usual case
        return None
    return {name: value for name, value in message.items() if name not in _MESSAGE_FIELDS and value is not None} or None


# --- rendering ----------------------------------------------------------------------------------


class ChatStream:
    """Renders events as `chat.completion.chunk`s."""

    __slots__ = ("_head", "_includes_usage", "_outputs", "_roles", "_tool_counts", "_usage")

    def __init__(self, turn: Turn, *, includes_usage: bool) -> None:
        self._head = (
            f'data: {{"id":"{turn.id}","object":"chat.completion.chunk","created":{int(turn.started_at)},'
            f'"model":{_encode(turn.model).decode()},"service_tier":null,"system_fingerprint":null,'
        ).encode()
        self._includes_usage = includes_usage
        self._usage: Usage | None = None
        self._outputs: dict[int, _Output] = {}
        self._roles: set[int] = set()
        self._tool_counts: dict[int, int] = {}

    def render(self, events: list[Event]) -> bytes:
        """Return the chunks of these events."""
        chunks: list[bytes] = []
        add = chunks.append
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                output = self._outputs[event.output]  # type: ignore[union-attr]
                if event.logprobs is None:  # type: ignore[union-attr]
                    add(output.text_head + _encode(event.text) + output.text_tail)  # type: ignore[union-attr]
                else:
                    add(self._with_logprobs(output.choice, event))  # type: ignore[arg-type]
            elif kind is ToolArgumentsDelta:
                output = self._outputs[event.output]  # type: ignore[union-attr]
                add(output.text_head + _encode(event.text) + output.text_tail)  # type: ignore[union-attr]
            else:
                self._render_rare(event, add)
        return b"".join(chunks)

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the error as an event of its own. There is no `[DONE]`: the answer is not whole."""
        return b"data: " + _encode(error.body()) + b"\n\n"

    def _render_rare(self, event: Event, add: Any) -> None:
        match event:
            case MessageStarted():
                self._outputs[event.output] = self._text_output(event.choice, b"content")
                self._start_role(event.choice, add)
            case ReasoningStarted():
                self._outputs[event.output] = self._text_output(event.choice, b"reasoning_content")
                self._start_role(event.choice, add)
            case ReasoningDelta():
                output = self._outputs[event.output]
                add(output.text_head + _encode(event.text) + output.text_tail)
            case RefusalDelta():
                choice = self._outputs[event.output].choice
                add(self._chunk(choice, b'{"refusal":' + _encode(event.text) + b"}"))
            case ToolCallStarted():
                self._start_tool_call(event, add)
            case ChoiceFinished():
                self._start_role(event.choice, add)
                add(self._chunk(event.choice, b"{}", b'"%s"' % event.reason.encode()))
            case TurnCancelled():
                add(b"data: " + _encode(_error_body("cancelled", "This answer was cancelled.")) + b"\n\n")
            case UsageReported():
                self._usage = event.usage
            case TurnCompleted() | TurnIncomplete():
                if self._includes_usage:
                    add(self._head + b'"choices":[],"usage":' + _encode(usage_body(self._usage)) + b"}\n\n")
                add(b"data: [DONE]\n\n")
            case _:
                pass  # ItemFinished has no twin in chunks

    def _start_role(self, choice: int, add: Any) -> None:
        if choice not in self._roles:
            self._roles.add(choice)
            add(self._chunk(choice, b'{"role":"assistant","content":"","refusal":null}'))

    def _start_tool_call(self, event: ToolCallStarted, add: Any) -> None:
        self._start_role(event.choice, add)
        place = self._tool_counts.get(event.choice, 0)
        self._tool_counts[event.choice] = place + 1
        text_name = "arguments" if event.kind == "function" else "input"
        call = {
            "index": place,
            "id": event.call_id,
            "type": event.kind,
            event.kind: {"name": event.name, text_name: ""},
        }
        add(self._chunk(event.choice, b'{"tool_calls":[' + _encode(call) + b"]}"))
        head = b'{"tool_calls":[{"index":%d,"%s":{"%s":' % (place, event.kind.encode(), text_name.encode())
        self._outputs[event.output] = self._output(event.choice, head, b"}}]}")

    def _text_output(self, choice: int, name: bytes) -> _Output:
        return self._output(choice, b'{"%s":' % name, b"}")

    def _output(self, choice: int, delta_head: bytes, delta_tail: bytes) -> _Output:
        head = self._head + b'"choices":[{"index":%d,"delta":' % choice + delta_head
        usage = b',"usage":null' if self._includes_usage else b""
        return _Output(choice, head, delta_tail + b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n")

    def _with_logprobs(self, choice: int, event: TextDelta) -> bytes:
        return self._chunk(
            choice,
            b'{"content":' + _encode(event.text) + b"}",
            logprobs=b'{"content":' + _encode(event.logprobs) + b',"refusal":null}',
        )

    def _chunk(self, choice: int, delta: bytes, reason: bytes = b"null", logprobs: bytes = b"null") -> bytes:
        return (
            self._head
            + b'"choices":[{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]'
            % (choice, delta, logprobs, reason)
            + (b',"usage":null}\n\n' if self._includes_usage else b"}\n\n")
        )


class _Output:
    """An output item's place in the chunks: everything of a delta but its text."""

    __slots__ = ("choice", "text_head", "text_tail")

    def __init__(self, choice: int, text_head: bytes, text_tail: bytes) -> None:
        self.choice = choice
        self.text_head = text_head
        self.text_tail = text_tail


class ChatBody:
    """Renders events as one `chat.completion`."""

    __slots__ = ("_choices", "_outputs", "_turn", "_usage")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._choices: dict[int, _Choice] = {}
        self._outputs: dict[int, list[str]] = {}
        self._usage: Usage | None = None

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        for event in events:
            match event:
                case TextDelta():
                    self._outputs[event.output].append(event.text)
                    if event.logprobs is not None:
                        self._choice_of_text(event.output).logprobs.extend(event.logprobs)
                case ReasoningDelta() | ToolArgumentsDelta():
                    self._outputs[event.output].append(event.text)
                case RefusalDelta():
                    self._choice_of_text(event.output).refusal.append(event.text)
                case MessageStarted():
                    self._outputs[event.output] = self._choice(event.choice).start_text(event.output)
                case ReasoningStarted():
                    self._outputs[event.output] = self._choice(event.choice).reasoning
                case ToolCallStarted():
                    self._outputs[event.output] = self._choice(event.choice).start_call(event)
                case ChoiceFinished():
                    self._choice(event.choice).finish_reason = event.reason
                case UsageReported():
                    self._usage = event.usage
                case _:
                    pass

    def body(self) -> bytes:
        """Return the completion as JSON."""
        turn = self._turn
        return _encode(
            {
                "id": turn.id,
                "object": "chat.completion",
                "created": int(turn.started_at),
                "model": turn.model,
                "choices": [self._choices[index].body(index) for index in sorted(self._choices)],
                "usage": usage_body(self._usage),
                "service_tier": None,
                "system_fingerprint": None,
            }
        )

    def _choice(self, choice: int) -> _Choice:
        found = self._choices.get(choice)
        if found is None:
            found = self._choices[choice] = _Choice()
        return found

    def _choice_of_text(self, output: int) -> _Choice:
        return next(choice for choice in self._choices.values() if output in choice.text_outputs)


class _Choice:
    """One choice as it comes together."""

    __slots__ = ("calls", "finish_reason", "logprobs", "reasoning", "refusal", "text", "text_outputs")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.text_outputs: set[int] = set()
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: list[tuple[ToolCallStarted, list[str]]] = []
        self.logprobs: list[Any] = []
        self.finish_reason = "stop"

    def start_text(self, output: int) -> list[str]:
        self.text_outputs.add(output)
        return self.text

    def start_call(self, event: ToolCallStarted) -> list[str]:
        arguments: list[str] = []
        self.calls.append((event, arguments))
        return arguments

    def body(self, index: int) -> dict[str, Any]:
        text = "".join(self.text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not (self.calls or self.refusal) else None,
            "refusal": "".join(self.refusal) or None,
            "annotations": [],
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [_call_body(event, "".join(arguments)) for event, arguments in self.calls]
        return {
            "index": index,
            "message": message,
            "logprobs": {"content": self.logprobs, "refusal": None} if self.logprobs else None,
            "finish_reason": self.finish_reason,
        }


def _call_body(event: ToolCallStarted, arguments: str) -> dict[str, Any]:
    text_name = "arguments" if event.kind == "function" else "input"
    return {"id": event.call_id, "type": event.kind, event.kind: {"name": event.name, text_name: arguments}}


def usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """Return usage as Chat Completions spells it; None where no provider reported any."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens or 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _error_body(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
