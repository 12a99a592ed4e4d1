"""Responses: the caller's request, read. Rendering is `openai_responses_render`.

Shapes: OpenAI API reference, "Responses" (2026-08-21), and `openai_responses_shapes`.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.turn.items import (
    Compaction,
    ConversationNamed,
    Format,
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
)
from frontdesk.wire.openai_responses_shapes import (
    CACHE_OPTIONS_REFUSED,
    CALL_REFUSED,
    INPUT_TOKENS_REFUSED,
    ITEMS,
    PARTS,
    PROMPT_REFUSED,
    RESPONSES_REFUSED,
    TOOL_CHOICES,
    TOOL_REFERENCES,
    TOOL_REFUSED,
    TOOLS,
    AllowedToolsChoice,
    CompactAsked,
    CompactionItem,
    ConversationReference,
    CustomToolCallItem,
    CustomToolCallOutputItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputImagePart,
    InputTextPart,
    InputTokensAsked,
    ItemReference,
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

    `feature` is what metadata names, `prompt_id` what `prompt` does. What it goes on with is the response `previous`
    or a `conversation`, never both: the prompt holds only what is new.
    """

    prompt: Prompt
    model: str | None
    feature: str | None
    echo: dict[str, Any]
    obfuscates: bool = False
    prompt_id: str | None = None
    store: bool = True
    background: bool = False
    previous: str | None = None
    conversation: ConversationNamed | None = None


def read_responses(body: bytes) -> ResponsesRequest:
    """Read a request body; raises BadRequest naming the field."""
    return read_response_fields(read_object(body))


def read_response_fields(raw: dict[str, Any]) -> ResponsesRequest:
    """Read the fields of a request; raises BadRequest naming the one that is wrong."""
    refuse(raw, RESPONSES_REFUSED)
    if "prompt" in raw:
        _refuse_in_reference(raw["prompt"])
    fields = view(raw, ResponseRequest)
    _check_input(fields)
    return _request(fields, raw)


def read_input_tokens(body: bytes) -> ResponsesRequest:
    """Read a request for the size of an input, as the one that it would be; raises BadRequest naming the field."""
    raw = read_object(body)
    refuse(raw, INPUT_TOKENS_REFUSED)
    view(raw, InputTokensAsked)
    return _request(view(raw, ResponseRequest), raw)


def read_compact(body: bytes) -> ResponsesRequest:
    """Read a request to make an input shorter, as the one that it would be; raises BadRequest naming the field."""
    raw = read_object(body)
    view(raw, CompactAsked)
    fields = view(raw, ResponseRequest)
    _check_input(fields)
    return _request(fields, raw)


def _request(fields: ResponseRequest, raw: dict[str, Any]) -> ResponsesRequest:
    options = fields.stream_options
    if options is not None and not fields.stream:
        raise wrong(
            "stream_options", "'stream_options' is only for streams. Send 'stream': true with it, or leave it out."
        )
    _check_storing(fields)
    if fields.prompt_cache_options is not None:
        refuse(raw["prompt_cache_options"], CACHE_OPTIONS_REFUSED, "prompt_cache_options.")
    reasoning = fields.reasoning or _NO_REASONING
    text = fields.text or _NO_TEXT
    conversation = _named(fields.conversation)
    prompt = Prompt(
        items=_read_input(fields),
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
        previous=fields.previous_response_id,
        conversation=conversation,
    )
    return ResponsesRequest(
        prompt,
        fields.model,
        (fields.metadata or {}).get("feature"),
        _echo(fields, raw, conversation),
        options is not None and bool(options.include_obfuscation),
        None if fields.prompt is None else fields.prompt.id,
        fields.store is not False,
        bool(fields.background),
        fields.previous_response_id,
        conversation,
    )


def _check_input(fields: ResponseRequest) -> None:
    if not (fields.input or isinstance(fields.input, str) or fields.previous_response_id or fields.conversation):
        words = "There is nothing to answer. Send 'input', or say with 'previous_response_id' what to go on with."
        raise wrong("input", words, "missing_required_parameter")


def _check_storing(fields: ResponseRequest) -> None:
    if fields.background and fields.store is False:
        words = "'background': true needs 'store': true: its answer is asked for later. Send one of them otherwise."
        raise wrong("background", words)
    if fields.previous_response_id is not None and fields.conversation is not None:
        raise wrong(
            "previous_response_id",
            "'previous_response_id' and 'conversation' exclude each other. Send one of them.",
            "mutually_exclusive_parameters",
        )


def _named(said: str | ConversationReference | None) -> ConversationNamed | None:
    """The conversation that a request names by its id, or as an object."""
    if said is None:
        return None
    return ConversationNamed(said) if isinstance(said, str) else ConversationNamed(said.id, said.after)


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


def _read_input(fields: ResponseRequest) -> list[Item]:
    """What is new; nothing where the request goes on with what is stored."""
    if isinstance(fields.input, str):
        return [Message("user", fields.input)]
    return read_items(fields.input or [], "input")


def read_items(items: list[dict[str, Any]], where: str) -> list[Item]:
    """Return items in the neutral form; raises BadRequest naming the place of one that is wrong, as `input[0].role`."""
    return [_read_item(item, f"{where}[{position}]") for position, item in enumerate(items)]


_MESSAGE = frozenset({"type", "role", "content", "id", "status"})
_FUNCTION_CALL = frozenset({"type", "call_id", "name", "arguments", "id", "status", *CALL_REFUSED})
_CUSTOM_CALL = frozenset({"type", "call_id", "name", "input", "id", "status", *CALL_REFUSED})
_OUTPUT = frozenset({"type", "call_id", "name", "output", "id", "status", *CALL_REFUSED})


def _read_item(item: dict[str, Any], where: str) -> Item:
    """Return the item; what says more than ours can hold goes on as it came, once it was checked."""
    match ITEMS.typed(_with_type(item), where):
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
        case ItemReference() as reference:
            return Reference(reference.id)
        case CompactionItem() as compaction:
            return Compaction(compaction.encrypted_content)
        case _:
            return Unknown(item, "responses")
    return ours if others(item, known) is None else Unknown(item, "responses")


def _with_type(item: dict[str, Any]) -> dict[str, Any]:
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


def _echo(fields: ResponseRequest, raw: dict[str, Any], conversation: ConversationNamed | None) -> dict[str, Any]:
    """The fields of a Response that repeat its request: all present, null where nothing was said.

    Left out where they were: `prompt_cache_options` and `user`, for which OpenAI's document has no null.
    """
    reasoning = fields.reasoning or _NO_REASONING
    text = cast("dict[str, Any]", raw.get("text") or {})
    echo: dict[str, Any] = {
        "background": bool(fields.background),
        "conversation": None if conversation is None else {"id": conversation.id},
        "frequency_penalty": fields.frequency_penalty or 0.0,
        "instructions": fields.instructions,
        "max_output_tokens": fields.max_output_tokens,
        "max_tool_calls": None,
        "metadata": fields.metadata or {},
        "moderation": None,
        "parallel_tool_calls": fields.parallel_tool_calls is not False,
        "presence_penalty": fields.presence_penalty or 0.0,
        "previous_response_id": fields.previous_response_id,
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
        "store": fields.store is not False,
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
