"""The Responses dialect: prompts become its bodies, its bytes become events.

Nothing is stored at the provider: each request says all that it needs. Only `response.completed` or
`response.incomplete` is the end of a stream, and its Response may still say that it failed; the end of
bytes before it is a broken answer, and so is `response.failed`. A whole body must say by its status
that it is one. What an answer's items become is `responses_answer`.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.bodies import StreamDecoder
from frontdesk.providers.profiles import Profile
from frontdesk.providers.responses_answer import Response, ResponsesAnswer, StreamEvent
from frontdesk.providers.seals import is_foreign
from frontdesk.turn.events import Event
from frontdesk.turn.items import (
    Compaction,
    Image,
    Item,
    Message,
    Part,
    Prompt,
    Reference,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
    unresolved,
)

# --- encoding -----------------------------------------------------------------------------------

_LOGPROBS = "message.output_text.logprobs"


def encode_responses(prompt: Prompt, model: str, profile: Profile) -> dict[str, Any]:
    """Return the body of a Responses request. Raises BadRequest for what it cannot say."""
    body: dict[str, Any] = {**_parameters(prompt), "model": model, "input": _input(prompt, profile), "store": False}
    include = prompt.include | {_LOGPROBS} if prompt.parameters.get("logprobs") else prompt.include
    reasoning = _said(effort=prompt.reasoning_effort, summary=prompt.reasoning_summary)
    if prompt.dialect == "responses":
        reasoning = {**prompt.parameters.get("reasoning", {}), **reasoning}
    text = _said(
        format=None if prompt.format is None else {**prompt.format.definition, "type": prompt.format.kind},
        verbosity=prompt.verbosity,
    )
    body |= _said(
        instructions=prompt.instructions,
        tools=[_tool(tool, prompt) for tool in prompt.tools] or None,
        tool_choice=None if prompt.tool_choice is None else _tool_choice(prompt.tool_choice),
        text=text or None,
        reasoning=reasoning or None,
        max_output_tokens=prompt.max_output_tokens,
        include=sorted(include) or None,
        truncation=prompt.truncation,
        stream=prompt.stream or None,
    )
    return body


def _said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# Parameters of Chat Completions that Responses has no place for: a value that asks for nothing, and the remedy.
_ONLY_CHATS: dict[str, tuple[Any, str]] = {
    "stop": ([], "Leave it out, and cut the answer where it arrives."),
    "seed": (None, "Leave it out."),
    "logit_bias": ({}, "Leave it out."),
    "frequency_penalty": (0, "Leave it out."),
    "presence_penalty": (0, "Leave it out."),
    "prediction": (None, "Leave it out: it changes how fast an answer comes, not what it says."),
    "modalities": (["text"], "Leave it out: answers are text."),
    "reasoning": ({}, "Use 'reasoning_effort'."),
}
# Names of Responses that a prompt says elsewhere, or that ask for what cannot be told. Carried on, they would
# be obeyed by a provider and seen by nobody here; some of them reach what others have stored there.
_NOT_CARRIED: dict[str, str] = {
    "background": "Leave it out.",
    "context_management": "Leave it out.",
    "conversation": "Send the earlier messages themselves.",
    "include": "Send it to /v1/responses.",
    "input": "Use 'messages'.",
    "instructions": "Use a message of the role 'developer'.",
    "max_output_tokens": "Use 'max_completion_tokens'.",
    "max_tool_calls": "Leave it out.",
    "moderation": "Leave it out.",
    "previous_response_id": "Send the earlier messages themselves.",
    "prompt": "Send its text as a message.",
    "text": "Use 'response_format' and 'verbosity'.",
    "truncation": "Leave it out.",
}


def _parameters(prompt: Prompt) -> dict[str, Any]:
    """The parameters that are carried: those of both dialects, those of neither, and what its own caller said."""
    if prompt.choices != 1:
        raise _unsupported("n", "Send several requests.")
    carried: dict[str, Any] = {}
    for name, value in prompt.parameters.items():
        if name in _NOT_CARRIED:
            raise _unsupported(name, _NOT_CARRIED[name])
        if name in _ONLY_CHATS and prompt.dialect == "chat":
            nothing, remedy = _ONLY_CHATS[name]
            if value is not None and value != nothing:
                raise _unsupported(name, remedy)
        elif name not in ("logprobs", "reasoning"):  # said in `include`, said with the rest of it
            carried[name] = value
    return carried


def _unsupported(name: str, remedy: str) -> BadRequest:
    return BadRequest(f"{name!r} is not supported by this model. {remedy}", code="unsupported_parameter", param=name)


def _input(prompt: Prompt, profile: Profile) -> list[dict[str, Any]]:
    # Chat Completions does not say of an output what kind of call it answers.
    custom = {item.call_id for item in prompt.items if isinstance(item, ToolCall) and item.kind == "custom"}
    items: list[dict[str, Any]] = []
    for item in prompt.items:
        if isinstance(item, Unknown) and item.raw.get("type") == "reasoning":
            _add_reasoning(item.raw, profile, items)
        else:
            items.append(_item(item, custom, profile))
    return items


def _add_reasoning(raw: dict[str, Any], profile: Profile, items: list[dict[str, Any]]) -> None:
    """Reasoning goes back as it came, for its seal is bound to its id, but for what an input has no place for:
    a status, nulls, empty lists. Where a server could not read it, it is left out, as in Chat Completions, and
    so is what another dialect sealed.
    """
    sealed = raw.get("encrypted_content")
    if isinstance(sealed, str) and is_foreign(None, sealed):
        return
    if sealed or (profile.reads_open_reasoning and raw.get("content")):
        said = {name: value for name, value in raw.items() if name != "status" and value not in (None, [])}
        items.append({**said, "summary": raw.get("summary") or []})


def _item(item: Item, custom: set[str], profile: Profile) -> dict[str, Any]:
    match item:
        case Message():
            return _message(item, profile)
        case ToolCall():
            is_function = item.kind == "function"
            return {
                "type": "function_call" if is_function else "custom_tool_call",
                "call_id": item.call_id,
                "name": item.name,
                "arguments" if is_function else "input": item.arguments,
            }
        case ToolOutput():
            is_custom = item.kind == "custom" or item.call_id in custom
            return {
                "type": "custom_tool_call_output" if is_custom else "function_call_output",
                "call_id": item.call_id,
                "output": _content(item.output, "user"),
            }
        case Reference() | Compaction():
            raise unresolved(item)
        case Unknown():
            if item.dialect == "responses":
                return item.raw
            raise BadRequest(
                f"A message of the role {item.raw.get('role')!r} has what cannot be sent to this model. "
                "Use the roles and fields that OpenAI documents, and 'tool' instead of 'function'.",
                code="unsupported_item",
                param="messages",
            )


# What Chat Completions says beside a message's content. Thoughts and citations of earlier answers are left
# out: nothing reads them there.
_NOT_SENT_BACK = frozenset(
    {"annotations", "id", "reasoning", "reasoning_content", "reasoning_details", "refusal", "status"}
)
_UNKNOWN_TO_RESPONSES = {
    "name": "Say the name in the content.",
    "audio": "Send its transcript as content.",
    "function_call": "Use 'tool_calls'.",
}


def _message(message: Message, profile: Profile) -> dict[str, Any]:
    extra = message.extra or {}
    for name, remedy in _UNKNOWN_TO_RESPONSES.items():
        if name in extra:
            raise BadRequest(
                f"A message's {name!r} cannot be sent to this model. {remedy}",
                code="unsupported_parameter",
                param="messages",
            )
    role = "system" if message.role == "developer" and not profile.has_developer_role else message.role
    content = _content(message.content, role)
    refusal = extra.get("refusal")
    if refusal is not None:
        words = [_part(Text(content), role)] if isinstance(content, str) and content else content or []
        content = [*words, {"type": "refusal", "refusal": refusal}]
    carried = {name: value for name, value in extra.items() if name not in _NOT_SENT_BACK}
    return {**carried, "type": "message", "role": role, "content": content}


def _content(content: str | list[Part], role: str) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_part(part, role) for part in content]


def _part(part: Part, role: str) -> dict[str, Any]:
    match part:
        case Text() if role == "assistant":
            return {"annotations": [], **(part.extra or {}), "type": "output_text", "text": part.text}
        case Text():
            return {**(part.extra or {}), "type": "input_text", "text": part.text}
        case Image():
            return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}
        case Unknown():
            return part.raw if part.dialect == "responses" else _part_from_chat(part.raw)


def _part_from_chat(raw: dict[str, Any]) -> dict[str, Any]:
    match raw:
        case {"type": "refusal"}:
            return raw
        case {"type": "file", "file": dict()}:
            rest = {name: value for name, value in raw.items() if name != "file"}
            return {**rest, **cast("dict[str, Any]", raw["file"]), "type": "input_file"}
        case _:
            raise BadRequest(
                f"A content part of type {raw.get('type')!r} cannot be sent to this model.",
                code="unsupported_part",
                param="messages",
            )


def _tool(tool: Tool, prompt: Prompt) -> dict[str, Any]:
    """A tool as it was defined. Responses makes a function strict where nothing is said, Chat Completions does
    not: so whoever spoke Chat Completions is understood as there.
    """
    if tool.kind not in ("function", "custom"):
        raise BadRequest(
            f"A tool of type {tool.kind!r} is not offered here. Use 'function' or 'custom' tools.",
            code="unsupported_tool",
            param="tools",
        )
    if tool.kind == "custom" or prompt.dialect == "responses":
        return {**tool.definition, "type": tool.kind}
    strict = tool.definition.get("strict")
    parameters = tool.definition.get("parameters")
    return {
        **tool.definition,
        "type": "function",
        "parameters": {"type": "object", "properties": {}} if parameters is None else parameters,
        "strict": False if strict is None else strict,
    }


def _tool_choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(choice, str) or choice["type"] in ("function", "custom", "allowed_tools"):
        return choice
    raise BadRequest(
        f"A choice of type {choice['type']!r} is not offered here.", code="unsupported_tool", param="tool_choice"
    )


# --- decoding -----------------------------------------------------------------------------------

_decode_event = msgspec.json.Decoder(StreamEvent).decode
_decode_body = msgspec.json.Decoder(Response).decode


class ResponsesStreamDecoder(StreamDecoder):
    """Decodes a stream of Responses events."""

    __slots__ = ("_answer",)

    def __init__(self, *, reports_cost: bool = False) -> None:
        super().__init__()
        self._answer = ResponsesAnswer(reports_cost=reports_cost)

    def _take(self, payload: bytes, events: list[Event]) -> None:
        if payload == b"[DONE]":  # Chat Completions' end, which some servers send after their own
            return
        answer = self._answer
        answer.take(_decode_event(payload), events)
        self.is_done = answer.is_done


def decode_responses(body: bytes, *, reports_cost: bool = False) -> list[Event]:
    """Return the events of a whole Response. Raises ProviderError, or BadRequest where it blames the prompt."""
    events: list[Event] = []
    try:
        response = _decode_body(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"the body cannot be read: {type(error).__name__}") from None
    ResponsesAnswer(reports_cost=reports_cost).end(response, events)
    return events
