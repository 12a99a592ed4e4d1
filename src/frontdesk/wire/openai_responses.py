"""Responses: the caller's request, read. Rendering is `openai_responses_render`.

Shapes: OpenAI API reference, "Responses" (2026-08-21).
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.wire.reading import read_content, read_object, required_text, unsupported, view, wrong


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _TextOptions(msgspec.Struct):
    format: dict[str, Any] | None = None
    verbosity: str | None = None


class _ResponsesBody(msgspec.Struct):
    """The fields that we read. All others are carried."""

    input: str | list[dict[str, Any]] | None = None
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_output_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: _TextOptions | None = None
    reasoning: _Reasoning | None = None
    metadata: dict[str, str] | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    store: bool | None = None
    truncation: str | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    max_tool_calls: int | None = None


_READ = frozenset(_ResponsesBody.__struct_fields__)
_NOT_SERVED = {
    "background": "Leave it out and keep the connection open.",
    "previous_response_id": "Send the earlier messages in 'input'.",
    "conversation": "Send the earlier messages in 'input'.",
    "prompt": "Send the text in 'instructions' or 'input'.",
    "max_tool_calls": "It limits tools that the provider runs, and none are offered.",
}
# Chat Completions' own names. Carried on, they would be obeyed by a provider and seen by nobody here.
_CHATS = {
    "messages": "'input'",
    "n": "several requests",
    "max_tokens": "'max_output_tokens'",
    "max_completion_tokens": "'max_output_tokens'",
    "response_format": "'text.format'",
    "functions": "'tools'",
    "function_call": "'tool_choice'",
    "reasoning_effort": "'reasoning.effort'",
    "verbosity": "'text.verbosity'",
    "logprobs": "'include'",
    "modalities": "text",
    "audio": "text",
    "web_search_options": "'tools'",
}
_LOGPROBS = "message.output_text.logprobs"
_KNOWN_INCLUDES = frozenset({_LOGPROBS, "reasoning.encrypted_content"})


class ResponsesRequest(msgspec.Struct, frozen=True):
    """A Responses request: the prompt, and what the Response object echoes."""

    prompt: Prompt
    model: str | None
    feature: str | None
    echo: dict[str, Any]


def read_responses(body: bytes) -> ResponsesRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    fields = view(raw, _ResponsesBody)
    for name, remedy in _NOT_SERVED.items():
        if getattr(fields, name) not in (None, False):
            raise unsupported(name, remedy)
    for name, instead in _CHATS.items():
        if raw.get(name) is not None:
            raise unsupported(name, f"Use {instead} instead.")
    reasoning = fields.reasoning or _Reasoning()
    if reasoning.summary or reasoning.generate_summary:
        raise unsupported("reasoning.summary", "Leave it out: the models here summarise nothing.")
    if fields.truncation not in (None, "disabled"):
        raise unsupported("truncation", "Leave it out, or send 'disabled'.")
    if fields.max_output_tokens is not None and fields.max_output_tokens < 1:
        raise wrong("max_output_tokens", f"'max_output_tokens' is {fields.max_output_tokens}. It must be at least 1.")
    parameters = {name: value for name, value in raw.items() if name not in _READ and value is not None}
    _read_include(fields, parameters)
    text = fields.text or _TextOptions()
    prompt = Prompt(
        items=_read_input(fields.input),
        instructions=fields.instructions,
        tools=[_read_tool(tool, f"tools[{position}]") for position, tool in enumerate(fields.tools or ())],
        tool_choice=_read_tool_choice(fields.tool_choice),
        format=_read_format(text.format),
        max_output_tokens=fields.max_output_tokens,
        reasoning_effort=reasoning.effort,
        verbosity=text.verbosity,
        stream=bool(fields.stream),
        parameters=parameters,
    )
    return ResponsesRequest(prompt, fields.model, (fields.metadata or {}).get("feature"), _echo(raw))


def _read_include(fields: _ResponsesBody, parameters: dict[str, Any]) -> None:
    for name in fields.include or ():
        if name not in _KNOWN_INCLUDES:
            raise wrong("include", f"'include' has {name!r}; known here: {', '.join(sorted(_KNOWN_INCLUDES))}.")
    if _LOGPROBS in (fields.include or ()) or fields.top_logprobs:
        parameters["logprobs"] = True
        if fields.top_logprobs:
            parameters["top_logprobs"] = fields.top_logprobs


def _read_input(given: str | list[dict[str, Any]] | None) -> list[Item]:
    if isinstance(given, str):
        return [Message("user", given)]
    if not given:
        raise wrong(
            "input", "'input' is missing or empty. Send a text or a list of items.", "missing_required_parameter"
        )
    return [_read_item(item, f"input[{position}]") for position, item in enumerate(given)]


def _read_item(item: dict[str, Any], where: str) -> Item:
    kind = item.get("type", "message")
    if kind == "message":
        return _read_message(item, where)
    if kind in ("function_call", "custom_tool_call"):
        text_name = "arguments" if kind == "function_call" else "input"
        return ToolCall(
            required_text(item, "call_id", where),
            required_text(item, "name", where),
            required_text(item, text_name, where),
            "function" if kind == "function_call" else "custom",
        )
    if kind in ("function_call_output", "custom_tool_call_output"):
        output = read_content(item.get("output"), f"{where}.output", _read_part)
        return ToolOutput(
            required_text(item, "call_id", where),
            output,
            "function" if kind == "function_call_output" else "custom",
        )
    if kind == "item_reference":
        raise unsupported(f"{where}.type", "Send the item itself instead of a reference.")
    if not isinstance(kind, str):
        raise wrong(f"{where}.type", f"{where}.type must be a text such as 'message'.", "invalid_type")
    return Unknown(item, "responses")


_ROLES = frozenset({"system", "developer", "user", "assistant"})


def _read_message(item: dict[str, Any], where: str) -> Message:
    role = item.get("role")
    if role not in _ROLES:
        raise wrong(f"{where}.role", f"{where}.role is {role!r}. It must be one of {', '.join(sorted(_ROLES))}.")
    return Message(cast("str", role), read_content(item.get("content"), f"{where}.content", _read_part))


def _read_part(part: Any, where: str) -> Part:
    if not isinstance(part, dict):
        raise wrong(where, f"{where} must be an object with a type.", "invalid_type")
    fields = cast("dict[str, Any]", part)
    kind = fields.get("type")
    if kind in ("input_text", "output_text", "text"):
        return Text(required_text(fields, "text", where))
    if kind == "input_image" and isinstance(fields.get("image_url"), str):
        return Image(fields["image_url"], fields.get("detail"))
    if not isinstance(kind, str):
        raise wrong(f"{where}.type", f"{where}.type must be a text such as 'input_text'.", "invalid_type")
    return Unknown(fields, "responses")


def _read_tool(tool: dict[str, Any], where: str) -> Tool:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise wrong(f"{where}.type", f"{where}.type must be a text such as 'function'.", "invalid_type")
    if kind in ("function", "custom"):
        required_text(tool, "name", where)
    return Tool(kind, {name: value for name, value in tool.items() if name != "type"})


def _read_tool_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise wrong("tool_choice", f"'tool_choice' is {choice!r}. It must be none, auto, required or a tool.")
    if isinstance(choice, dict):
        kind = required_text(choice, "type", "tool_choice")
        if kind in ("function", "custom"):
            required_text(choice, "name", "tool_choice")
        elif kind == "allowed_tools":
            _check_allowed_tools(choice)
    return choice


def _check_allowed_tools(choice: dict[str, Any]) -> None:
    tools = choice.get("tools")
    if not isinstance(tools, list):
        raise wrong("tool_choice.tools", "'tool_choice.tools' must be a list of tools.", "invalid_type")
    for position, tool in enumerate(cast("list[Any]", tools)):
        if not isinstance(tool, dict):
            raise wrong(f"tool_choice.tools[{position}]", "A tool must be an object with a type.", "invalid_type")
        required_text(cast("dict[str, Any]", tool), "type", f"tool_choice.tools[{position}]")


def _read_format(fields: dict[str, Any] | None) -> Format | None:
    if fields is None or fields.get("type") == "text":
        return None
    if fields.get("type") == "json_object":
        return Format("json_object", {})
    if fields.get("type") != "json_schema":
        raise wrong("text.format", "'text.format.type' must be text, json_object or json_schema.")
    required_text(fields, "name", "text.format")
    return Format("json_schema", {name: value for name, value in fields.items() if name != "type"})


def _echo(raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Response that repeat its request, all present, null where nothing was said."""
    reasoning = cast("dict[str, Any]", raw.get("reasoning") or {})
    text = cast("dict[str, Any]", raw.get("text") or {})
    return {
        "background": False,
        "conversation": None,
        "instructions": raw.get("instructions"),
        "max_output_tokens": raw.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": raw.get("metadata") or {},
        "parallel_tool_calls": raw.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "prompt": None,
        "prompt_cache_key": raw.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": raw.get("safety_identifier"),
        "service_tier": raw.get("service_tier") or "default",
        "store": False,
        "temperature": _number(raw.get("temperature")),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": raw.get("tool_choice") or "auto",
        "tools": [_echoed_tool(tool) for tool in raw.get("tools") or ()],
        "top_logprobs": raw.get("top_logprobs") or 0,
        "top_p": _number(raw.get("top_p")),
        "truncation": "disabled",
        "user": raw.get("user"),
    }


def _number(value: Any) -> Any:
    return 1.0 if value is None else value


def _echoed_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": False, **tool}
