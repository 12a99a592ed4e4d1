"""Chat Completions: the caller's request, read. Rendering is `openai_chat_render`.

Shapes: OpenAI API reference, "Chat" (2026-08-21), and `openai_chat_shapes`.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.wire.openai_chat_shapes import (
    CHAT_CALLS,
    CHAT_MESSAGES,
    CHAT_PARTS,
    CHAT_REFUSED,
    CHAT_TOOLS,
    ChatAllowedToolsChoice,
    ChatAssistantMessage,
    ChatCompletionRequest,
    ChatCustomChoice,
    ChatCustomTool,
    ChatFunctionCall,
    ChatFunctionChoice,
    ChatImagePart,
    ChatJsonSchemaFormat,
    ChatPassed,
    ChatTextPart,
    ChatToolChoice,
    ChatToolMessage,
)
from frontdesk.wire.parameters import JsonObjectFormat, variables_in
from frontdesk.wire.reading import names_of, others, read_content, read_object, refuse, view
from frontdesk.wire.refusing import wrong

# Of what is refused, only values that say nothing come so far: no provider needs them.
_READ = (names_of(ChatCompletionRequest) - names_of(ChatPassed)) | CHAT_REFUSED.keys()


class ChatRequest(msgspec.Struct, frozen=True):
    """A Chat Completions request: the prompt, and what only this door needs to know."""

    prompt: Prompt
    model: str | None
    feature: str | None
    includes_usage: bool
    obfuscates: bool = False
    store: bool | None = None
    metadata: dict[str, str] = {}


def read_chat(body: bytes) -> ChatRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    refuse(raw, CHAT_REFUSED)
    fields = view(raw, ChatCompletionRequest)
    options = fields.stream_options
    if options is not None and not fields.stream:
        raise wrong(
            "stream_options", "'stream_options' is only for streams. Send 'stream': true with it, or leave it out."
        )
    if fields.top_logprobs and not fields.logprobs:
        raise wrong("top_logprobs", "'top_logprobs' needs 'logprobs': true.")
    items: list[Item] = []
    for position, message in enumerate(fields.messages):
        _read_message(message, f"messages[{position}]", items)
    prompt = Prompt(
        items=items,
        tools=[_read_tool(tool, f"tools[{position}]") for position, tool in enumerate(fields.tools or ())],
        tool_choice=_read_tool_choice(fields.tool_choice),
        format=_read_format(fields, raw),
        max_output_tokens=fields.max_tokens if fields.max_completion_tokens is None else fields.max_completion_tokens,
        reasoning_effort=fields.reasoning_effort,
        verbosity=fields.verbosity,
        choices=fields.n or 1,
        stream=bool(fields.stream),
        parameters={name: value for name, value in raw.items() if name not in _READ and value is not None},
        variables=variables_in(fields.metadata),
    )
    return ChatRequest(
        prompt=prompt,
        model=fields.model,
        feature=(fields.metadata or {}).get("feature"),
        includes_usage=options is not None and bool(options.include_usage),
        obfuscates=options is not None and bool(options.include_obfuscation),
        store=fields.store,
        metadata=fields.metadata or {},
    )


# --- messages -----------------------------------------------------------------------------------

_ROLE_AND_CONTENT = frozenset({"role", "content"})
_ANSWER = frozenset({"role", "content", "tool_calls", "annotations"})
_CALL = {kind: frozenset({"id", "type", kind, "index"}) for kind in ("function", "custom")}
_CALLED = {"function": frozenset({"name", "arguments"}), "custom": frozenset({"name", "input"})}
_TOOL_OUTPUT = frozenset({"role", "content", "tool_call_id", "name"})


def _read_message(message: dict[str, Any], where: str, items: list[Item]) -> None:
    match CHAT_MESSAGES.typed(message, where):
        case ChatAssistantMessage() as typed:
            _read_answer(typed, message, where, items)
        case ChatToolMessage() as typed:
            output = read_content(typed.content, f"{where}.content", _read_part)
            # What a tool's output cannot hold, such as a mark for a cache, goes on as it came.
            is_plain = others(message, _TOOL_OUTPUT) is None
            items.append(ToolOutput(typed.tool_call_id, output) if is_plain else Unknown(message, "chat"))
        case _ if message["role"] == "function":
            items.append(Unknown(message, "chat"))
        case _:
            content = read_content(message["content"], f"{where}.content", _read_part)
            extra = None if len(message) == 2 else others(message, _ROLE_AND_CONTENT)
            items.append(Message(message["role"], content, extra))


def _read_answer(typed: ChatAssistantMessage, message: dict[str, Any], where: str, items: list[Item]) -> None:
    """An answer becomes its words, then a call each."""
    extra = None if len(message) == 2 and "content" in message else others(message, _ANSWER)
    text = "" if typed.content is None else read_content(typed.content, f"{where}.content", _read_part)
    calls = [_read_call(call, f"{where}.tool_calls[{place}]") for place, call in enumerate(typed.tool_calls or ())]
    if any(call is None for call in calls):
        items.append(Unknown({name: value for name, value in message.items() if name != "annotations"}, "chat"))
        return
    if typed.content is not None or extra is not None or not calls:
        items.append(Message("assistant", text, extra))
    items.extend(cast("list[ToolCall]", calls))


def _read_call(call: dict[str, Any], where: str) -> ToolCall | None:
    """Return the call; None where it says more than a call can hold, such as a signature of its thoughts."""
    typed = CHAT_CALLS.typed(call, where)
    kind = "function" if isinstance(typed, ChatFunctionCall) else "custom"
    called = call[kind]
    if others(call, _CALL[kind]) is not None or others(called, _CALLED[kind]) is not None:
        return None
    return ToolCall(call["id"], called["name"], called["arguments" if kind == "function" else "input"], kind)


_TEXT = frozenset({"type", "text"})
_IMAGE = frozenset({"type", "image_url"})
_IMAGE_URL = frozenset({"url", "detail"})


def _read_part(part: Any, where: str) -> Part:
    match CHAT_PARTS.typed(part, where):
        case ChatTextPart() as text:
            return Text(text.text, None if len(part) == 2 else others(part, _TEXT))
        case ChatImagePart() as image if others(part, _IMAGE) is None and others(part["image_url"], _IMAGE_URL) is None:
            return Image(image.image_url.url, image.image_url.detail)
        case _:
            return Unknown(part, "chat")


# --- tools and formats --------------------------------------------------------------------------


def _read_tool(tool: dict[str, Any], where: str) -> Tool:
    """Return the tool, its definition flat, as Responses has it."""
    if isinstance(CHAT_TOOLS.typed(tool, where), ChatCustomTool):
        return Tool("custom", _flat_format(tool["custom"]))
    return Tool("function", tool["function"])


def _flat_format(definition: dict[str, Any]) -> dict[str, Any]:
    """A custom tool's grammar stands one level deeper in Chat Completions than in Responses."""
    form = definition.get("format")
    if form is None or form["type"] != "grammar":
        return definition
    return {**definition, "format": {"type": "grammar", **form["grammar"]}}


def _read_tool_choice(choice: ChatToolChoice | None) -> str | dict[str, Any] | None:
    match choice:
        case ChatFunctionChoice() | ChatCustomChoice():
            return _flat_reference(choice)
        case ChatAllowedToolsChoice():
            allowed = choice.allowed_tools
            tools = [_flat_reference(tool) for tool in allowed.tools]
            return {"type": "allowed_tools", "mode": allowed.mode, "tools": tools}
        case _:
            return choice


def _flat_reference(tool: ChatFunctionChoice | ChatCustomChoice) -> dict[str, Any]:
    if isinstance(tool, ChatFunctionChoice):
        return {"type": "function", "name": tool.function.name}
    return {"type": "custom", "name": tool.custom.name}


def _read_format(fields: ChatCompletionRequest, raw: dict[str, Any]) -> Format | None:
    form = fields.response_format
    if isinstance(form, ChatJsonSchemaFormat):
        return Format("json_schema", raw["response_format"]["json_schema"])
    return Format("json_object", {}) if isinstance(form, JsonObjectFormat) else None
