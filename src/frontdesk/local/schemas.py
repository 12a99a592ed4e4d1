"""The schemas that bind an answer: the caller's own, or an envelope that is a tool call or a reply.

    {"tool": "get_weather", "arguments": {...}}      a call, of the tools that may be called
    {"tool": "none", "reply": "..."}                 words, where a call is not demanded

Small models call tools by this form more reliably than by one of their own, and it is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

_NO_TOOL = "none"
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """A function that the model may call. Without `is_strict`, keywords that a grammar cannot hold are hints."""

    name: str
    description: str
    parameters: dict[str, Any]
    is_strict: bool


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool; `arguments` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The model answers in words, or in JSON of the format that was asked for."""

    text: str


def bound(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema for an answer that is JSON alone, written without blank lines and indentation."""
    return {**schema, "x-guidance": _COMPACT}


def envelope(tools: Sequence[ToolChoice], *, may_reply: bool, reply: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema of a tool call or a reply. `reply` is the schema of the reply, or None for words."""
    definitions: dict[str, Any] = {}
    forms: list[dict[str, Any]] = []
    for position, tool in enumerate(tools):
        definitions[f"arguments_{position}"] = _moved(tool.parameters, f"#/$defs/arguments_{position}")
        forms.append(_form(tool.name, "arguments", {"$ref": f"#/$defs/arguments_{position}"}))
    if may_reply:
        definitions["reply"] = {"type": "string"} if reply is None else _moved(reply, "#/$defs/reply")
        forms.append(_form(_NO_TOOL, "reply", {"$ref": "#/$defs/reply"}))
    is_strict = reply is not None or any(tool.is_strict for tool in tools)
    return {"$defs": definitions, "anyOf": forms, "x-guidance": {**_COMPACT, "lenient": not is_strict}}


def told(tools: Sequence[ToolChoice], *, may_reply: bool) -> str:
    """The words that tell the model of its tools."""
    lines = ["You can use these tools:"]
    for tool in tools:
        parameters = msgspec.json.encode(tool.parameters).decode()
        lines.append(f"- {tool.name}: {tool.description} Arguments (JSON schema): {parameters}")
    lines.append('To use a tool, answer with JSON alone: {"tool": NAME, "arguments": {...}}')
    if may_reply:
        lines.append('To answer in words instead: {"tool": "none", "reply": "your answer"}')
    return "\n".join(lines)


def read_envelope(text: str) -> Call | Reply | None:
    """Read a whole envelope; None where it is none, as when it was cut short."""
    try:
        fields = msgspec.json.decode(text, type=_Envelope)
        arguments, reply = bytes(fields.arguments), bytes(fields.reply)
        if arguments:
            return Call(fields.tool, arguments.decode())
        if not reply:
            return None
        return Reply(msgspec.json.decode(reply, type=str) if reply.startswith(b'"') else reply.decode())
    except (msgspec.MsgspecError, RecursionError):
        return None


class _Envelope(msgspec.Struct):
    tool: str
    arguments: msgspec.Raw = msgspec.Raw()
    reply: msgspec.Raw = msgspec.Raw()


def read_cut_reply(text: str) -> str | None:
    """The words of a reply whose envelope was cut short; None where it is something else."""
    if not text.startswith(_REPLY_HEAD):
        return None
    inner = text[len(_REPLY_HEAD) :]
    for dropped in range(min(len(inner), 12) + 1):  # the longest half escape is \\ud83d\\ude0
        try:
            return msgspec.json.decode(f'"{inner[: len(inner) - dropped]}"', type=str)
        except msgspec.MsgspecError:
            continue
    return None


_REPLY_HEAD = '{"tool": "none", "reply": "'


def written(call: Call) -> str:
    """A call as the model wrote it, for the history that it is shown."""
    return f'{{"tool": {msgspec.json.encode(call.name).decode()}, "arguments": {call.arguments}}}'


def _form(tool: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"tool": {"const": tool}, name: schema},
        "required": ["tool", name],
        "additionalProperties": False,
    }


def _moved(schema: Any, root: str) -> Any:
    """The schema with its references into itself as they read from its new place."""
    if isinstance(schema, list):
        return [_moved(each, root) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = {
        name: _moved(value, root)
        for name, value in cast("dict[str, Any]", schema).items()
        if not (name in _NAMES_OF_ITS_OWN and isinstance(value, str))
    }
    reference = fields.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        fields["$ref"] = root + reference[1:]
    return fields


_NAMES_OF_ITS_OWN = frozenset({"$id", "$schema"})  # with them it would be a document apart, out of reach of references
