"""Responses: the caller's request, read. Rendering is `openai_responses_render`.

Shapes: OpenAI API reference, "Responses" (2026-08-21), and `openai_responses_shapes`.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.wire.openai_responses_shapes import (
    CACHE_OPTIONS_REFUSED,
    CALL_REFUSED,
    ITEMS,
    PARTS,
    PROMPT_REFUSED,
    RESPONSES_REFUSED,
    TOOL_CHOICES,
    TOOL_REFERENCES,
    TOOL_REFUSED,
    TOOLS,
    AllowedToolsChoice,
    CustomToolCallItem,
    CustomToolCallOutputItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputImagePart,
    InputTextPart,
    JsonSchemaFormat,
    MessageItem,
    OutputTextPart,
    PlainTextPart,
    PromptReference,
    Reasoning,
    ResponseRequest,
    ResponsesPassed,
    TextOptions,
)
from frontdesk.wire.parameters import JsonObjectFormat, variables_in
from frontdesk.wire.reading import names_of, others, read_content, read_object, refuse, view
from frontdesk.wire.refusing import told, unsupported, wrong

# Of what is refused, only values that say nothing come so far: no provider needs them.
_READ = (names_of(ResponseRequest) - names_of(ResponsesPassed)) | RESPONSES_REFUSED.keys()
_LOGPROBS = "message.output_text.logprobs"


class ResponsesRequest(msgspec.Struct, frozen=True):
    """A Responses request: the prompt, and what the Response object echoes.

    `feature` is what metadata names, `prompt_id` what `prompt` does.
    """

    prompt: Prompt
    model: str | None
    feature: str | None
    echo: dict[str, Any]
    obfuscates: bool = False
    prompt_id: str | None = None


def read_responses(body: bytes) -> ResponsesRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    refuse(raw, RESPONSES_REFUSED)
    if "prompt" in raw:
        _refuse_in_reference(raw["prompt"])
    fields = view(raw, ResponseRequest)
    options = fields.stream_options
    if options is not None and not fields.stream:
        raise wrong(
            "stream_options", "'stream_options' is only for streams. Send 'stream': true with it, or leave it out."
        )
    if fields.prompt_cache_options is not None:
        refuse(raw["prompt_cache_options"], CACHE_OPTIONS_REFUSED, "prompt_cache_options.")
    reasoning = fields.reasoning or _NO_REASONING
    text = fields.text or _NO_TEXT
    prompt = Prompt(
        items=_read_input(fields.input),
        instructions=fields.instructions,
        tools=[_read_tool(tool, f"tools[{position}]") for position, tool in enumerate(fields.tools or ())],
        tool_choice=_read_tool_choice(fields.tool_choice),
        format=_read_format(text, raw),
        max_output_tokens=fields.max_output_tokens,
        reasoning_effort=reasoning.effort,
        reasoning_summary=reasoning.summary or reasoning.generate_summary,
        verbosity=text.verbosity,
        stream=bool(fields.stream),
        include=frozenset(fields.include or ()),
        truncation=fields.truncation,
        parameters=_parameters(fields, raw),
        variables=_variables(fields),
        dialect="responses",
    )
    return ResponsesRequest(
        prompt,
        fields.model,
        (fields.metadata or {}).get("feature"),
        _echo(fields, raw),
        options is not None and bool(options.include_obfuscation),
        None if fields.prompt is None else fields.prompt.id,
    )


_NO_REASONING = Reasoning()
_NO_TEXT = TextOptions()
_OWN_REASONING = frozenset({"effort", "summary", "generate_summary"})


def _parameters(fields: ResponseRequest, raw: dict[str, Any]) -> dict[str, Any]:
    """What is passed on, in the spelling of Chat Completions; `reasoning` is what it has no word for."""
    parameters = {name: value for name, value in raw.items() if name not in _READ and value is not None}
    if fields.reasoning is not None:
        rest = others(raw["reasoning"], _OWN_REASONING)
        if rest is not None:
            parameters["reasoning"] = rest
    if _LOGPROBS in (fields.include or ()) or fields.top_logprobs:
        parameters["logprobs"] = True
    else:
        parameters.pop("top_logprobs", None)
    return parameters


# --- prompts that the server holds ---------------------------------------------------------------


def _refuse_in_reference(reference: Any) -> None:
    """Refuse by name what OpenAI's prompts have and features have not."""
    if not isinstance(reference, dict):
        return  # the shape says what is wrong
    fields = cast("dict[str, Any]", reference)
    refuse(fields, PROMPT_REFUSED, "prompt.")
    for name in others(fields, _REFERENCE) or ():
        raise unsupported(f"prompt.{name[:_MAX_NAME_CHARS]}", "It is not known here; leave it out.")
    variables = fields.get("variables")
    for name, value in cast("dict[str, Any]", variables).items() if isinstance(variables, dict) else ():
        param = f"prompt.variables.{name[:_MAX_NAME_CHARS]}"
        if isinstance(value, dict):
            raise unsupported(param, "Send a text; put pictures and files into 'input'.")
        if not isinstance(value, str):
            raise wrong(param, f"{param!r} must be a text, not {told(value)}.", "invalid_type")


_REFERENCE = names_of(PromptReference)
_MAX_NAME_CHARS = 64


def _variables(fields: ResponseRequest) -> dict[str, str]:
    """The values of variables, which `prompt` may say, and metadata as for Chat Completions."""
    variables = variables_in(fields.metadata)
    for name, value in ((fields.prompt.variables if fields.prompt else None) or {}).items():
        if variables.setdefault(name, value) != value:
            words = f"'prompt' and metadata say different values for the variable {name!r}. Send one."
            raise wrong(f"variables.{name}", words, "invalid_variable")
    return variables


# --- items --------------------------------------------------------------------------------------


def _read_input(given: str | list[dict[str, Any]]) -> list[Item]:
    if isinstance(given, str):
        return [Message("user", given)]
    return [_read_item(item, f"input[{position}]") for position, item in enumerate(given)]


_MESSAGE = frozenset({"type", "role", "content", "id", "status"})
_FUNCTION_CALL = frozenset({"type", "call_id", "name", "arguments", "id", "status", *CALL_REFUSED})
_CUSTOM_CALL = frozenset({"type", "call_id", "name", "input", "id", "status", *CALL_REFUSED})
_OUTPUT = frozenset({"type", "call_id", "name", "output", "id", "status", *CALL_REFUSED})


def _read_item(item: dict[str, Any], where: str) -> Item:
    """Return the item; what says more than ours can hold goes on as it came, once it was checked."""
    match ITEMS.typed(_named(item), where):
        case MessageItem() as message:
            extra = None if len(item) == 2 else others(item, _MESSAGE)
            return Message(message.role, read_content(message.content, f"{where}.content", _read_part), extra)
        case FunctionCallItem() as call:
            refuse(item, CALL_REFUSED, f"{where}.")
            ours: Item = ToolCall(call.call_id, call.name, call.arguments, "function")
            known = _FUNCTION_CALL
        case CustomToolCallItem() as call:
            refuse(item, CALL_REFUSED, f"{where}.")
            ours = ToolCall(call.call_id, call.name, call.input, "custom")
            known = _CUSTOM_CALL
        case (FunctionCallOutputItem() | CustomToolCallOutputItem()) as output:
            refuse(item, CALL_REFUSED, f"{where}.")
            content = read_content(output.output, f"{where}.output", _read_part)
            kind = "function" if isinstance(output, FunctionCallOutputItem) else "custom"
            ours = ToolOutput(output.call_id, content, kind)
            known = _OUTPUT
        case _:
            return Unknown(item, "responses")
    return ours if others(item, known) is None else Unknown(item, "responses")


def _named(item: dict[str, Any]) -> dict[str, Any]:
    """A reference to an item may leave its type out, as a message may."""
    if item.get("type") is None and "role" not in item and "id" in item:
        return {**item, "type": "item_reference"}
    return item


_TEXT = frozenset({"type", "text", "annotations", "logprobs"})
_IMAGE = frozenset({"type", "image_url", "detail"})


def _read_part(part: Any, where: str) -> Part:
    match PARTS.typed(part, where):
        case InputTextPart() | OutputTextPart() | PlainTextPart() as text:
            return Text(text.text, None if len(part) == 2 else others(part, _TEXT))
        case InputImagePart() as image:
            if image.image_url is None and image.file_id is None:
                param = f"{where}.image_url"
                raise wrong(param, f"Missing required parameter: '{param}'.", "missing_required_parameter")
            if image.image_url is not None and others(part, _IMAGE) is None:
                return Image(image.image_url, image.detail)
            return Unknown(part, "responses")
        case _:
            return Unknown(part, "responses")


# --- tools and formats --------------------------------------------------------------------------


def _read_tool(tool: dict[str, Any], where: str) -> Tool:
    TOOLS.typed(tool, where)
    refuse(tool, TOOL_REFUSED, f"{where}.")
    return Tool(tool["type"], {name: value for name, value in tool.items() if name != "type"})


def _read_tool_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict):
        typed = TOOL_CHOICES.typed(choice, "tool_choice")
        if isinstance(typed, AllowedToolsChoice):
            for position, tool in enumerate(typed.tools):
                TOOL_REFERENCES.typed(tool, f"tool_choice.tools[{position}]")
    return choice


def _read_format(text: TextOptions, raw: dict[str, Any]) -> Format | None:
    if isinstance(text.format, JsonSchemaFormat):
        return Format("json_schema", {name: value for name, value in raw["text"]["format"].items() if name != "type"})
    return Format("json_object", {}) if isinstance(text.format, JsonObjectFormat) else None


# --- what the Response repeats ------------------------------------------------------------------


def _echo(fields: ResponseRequest, raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Response that repeat its request: all present, null where nothing was said.

    Left out where they were: `prompt_cache_options` and `user`, for which OpenAI's document has no null.
    """
    reasoning = fields.reasoning or _NO_REASONING
    text = cast("dict[str, Any]", raw.get("text") or {})
    echo: dict[str, Any] = {
        "background": False,
        "conversation": None,
        "frequency_penalty": fields.frequency_penalty or 0.0,
        "instructions": fields.instructions,
        "max_output_tokens": fields.max_output_tokens,
        "max_tool_calls": None,
        "metadata": fields.metadata or {},
        "moderation": None,
        "parallel_tool_calls": fields.parallel_tool_calls is not False,
        "presence_penalty": fields.presence_penalty or 0.0,
        "previous_response_id": None,
        "prompt": None if fields.prompt is None else _echoed_reference(fields.prompt),
        "prompt_cache_key": fields.prompt_cache_key,
        "prompt_cache_retention": fields.prompt_cache_retention,
        "reasoning": {
            "effort": reasoning.effort,
            "summary": reasoning.summary or reasoning.generate_summary,
            "context": reasoning.context,
        },
        "safety_identifier": fields.safety_identifier,
        "service_tier": fields.service_tier or "default",
        "store": False,
        "temperature": 1.0 if fields.temperature is None else fields.temperature,
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": raw.get("tool_choice") or "auto",
        "tools": [_echoed_tool(tool) for tool in fields.tools or ()],
        "top_logprobs": fields.top_logprobs or 0,
        "top_p": 1.0 if fields.top_p is None else fields.top_p,
        "truncation": fields.truncation or "disabled",
    }
    if fields.user is not None:
        echo["user"] = fields.user
    if fields.prompt_cache_options is not None:
        options = fields.prompt_cache_options
        echo["prompt_cache_options"] = {"mode": options.mode or "implicit", "ttl": options.ttl or "30m"}
    return echo


def _echoed_reference(prompt: PromptReference) -> dict[str, Any]:
    return {"id": prompt.id, "variables": prompt.variables, "version": None}


def _echoed_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"] != "function":
        return tool
    return {"description": None, "parameters": None, "strict": False, **tool}
