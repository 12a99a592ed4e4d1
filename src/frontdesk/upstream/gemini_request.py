"""What a request of Gemini's API asks, and what is wrong with it, in the words of that API."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, cast

import msgspec

from frontdesk.core.errors import BadRequest, Forbidden
from frontdesk.turn.items import (
    EmbeddingRequest,
    Format,
    Image,
    Item,
    Message,
    Part,
    Prompt,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.upstream.gemini_forms import COUNT, DATA_FIELDS, EMBED, EMBED_BATCH, FORMS, GENERATE, HOSTED_TOOLS
from frontdesk.upstream.gemini_proto import read_form, snake

_MAX_CANDIDATES = 8
_MAX_STOPS = 5
_MAX_LOGPROBS = 20
_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_HEEDED = {"stopSequences": "stop", "seed": "seed", "responseLogprobs": "logprobs", "logprobs": "top_logprobs"}
_MIME_TYPES = frozenset({"text/plain", "application/json", "text/x.enum"})
_Fields = dict[str, Any]


class GenerateRequest(NamedTuple):
    """A request for an answer, read."""

    prompt: Prompt
    shows_thoughts: bool
    searches: bool
    is_plain: bool  # one of an enumeration's values, and no JSON
    unsigned: str | None  # a call of the turn under way that came without its signature


class EmbedRequest(NamedTuple):
    """A request for vectors, read."""

    request: EmbeddingRequest
    is_batch: bool


# --- reading ------------------------------------------------------------------------------------


def read_generate(raw: _Fields, *, is_streaming: bool) -> GenerateRequest:
    """Read what an answer is asked with; raises a FrontdeskError."""
    return _read(read_form(raw, GENERATE, FORMS), "GenerateContentRequest", is_streaming=is_streaming)


def count_generate(raw: _Fields) -> Prompt:
    """Return the prompt whose tokens are to be counted; raises a FrontdeskError."""
    read = read_form(raw, COUNT, FORMS)
    inner = read.get("generateContentRequest")
    if inner is not None and "contents" in read:
        raise BadRequest("Please set exactly one of contents and generate_content_request.", param="contents")
    return _read(inner or read, "CountTokensRequest", is_streaming=False).prompt


def read_embed(raw: _Fields, *, is_batch: bool) -> EmbedRequest:
    """Read what vectors are asked with; raises BadRequest."""
    read = read_form(raw, EMBED_BATCH if is_batch else EMBED, FORMS)
    requests: list[_Fields] = read.get("requests", []) if is_batch else [read]
    if not requests:
        raise BadRequest("* BatchEmbedContentsRequest.requests: requests is not specified", param="requests")
    inputs: list[str] = []
    for place, each in enumerate(requests):
        where = f"BatchEmbedContentsRequest.requests[{place}]" if is_batch else "EmbedContentRequest"
        parts: list[_Fields] = each.get("content", {}).get("parts", [])
        texts = [part["text"] for part in parts if part.get("text")]
        if not texts:
            raise BadRequest(f"* {where}.content: contents is not specified", param="content")
        inputs.append(" ".join(texts))
    sizes = {each.get("outputDimensionality") for each in requests}
    if len(sizes) > 1:
        raise BadRequest("* BatchEmbedContentsRequest.requests: output_dimensionality must be the same for all.")
    return EmbedRequest(EmbeddingRequest(inputs, sizes.pop()), is_batch)


def _read(read: _Fields, name: str, *, is_streaming: bool) -> GenerateRequest:
    config: _Fields = read.get("generationConfig", {})
    thinking: _Fields = config.get("thinkingConfig", {})
    _check_config(config, thinking)
    if "cachedContent" in read:
        raise Forbidden("CachedContent not found (or permission denied)")
    conversation = _Conversation(name)
    conversation.read(read.get("contents", []))
    tools = _tools(read, name)
    names = {cast("str", tool.definition["name"]) for tool in tools}
    thinks = thinking.get("thinkingBudget") != 0
    prompt = Prompt(
        conversation.items,
        _instructions(read, name),
        tools,
        _tool_choice(read, names),
        _format(config),
        config.get("maxOutputTokens"),
        reasoning_effort="high" if thinks else "none",
        choices=config.get("candidateCount", 1),
        stream=is_streaming,
        include=frozenset({"reasoning.encrypted_content"} if thinks else ()),
        parameters={parameter: config[field] for field, parameter in _HEEDED.items() if field in config},
    )
    searches = any("googleSearch" in tool or "googleSearchRetrieval" in tool for tool in read.get("tools", []))
    return GenerateRequest(
        prompt,
        thinking.get("includeThoughts") is True,
        searches,
        config.get("responseMimeType") == "text/x.enum",
        conversation.unsigned,
    )


class _Conversation:
    """The contents, in order; calls and their responses find each other by id, or by their places."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: list[ToolCall] = []  # of the content before
        self.items: list[Item] = []
        self.unsigned: str | None = None

    def read(self, contents: list[_Fields]) -> None:
        if not contents:
            raise BadRequest(f"* {self._name}.contents: contents is not specified", param="contents")
        for place, content in enumerate(contents):
            where = f"{self._name}.contents[{place}]"
            role = content.get("role") or "user"
            if role not in ("user", "model"):
                raise BadRequest("Please use a valid role: user, model.", param=f"contents[{place}].role")
            parts: list[_Fields] = content.get("parts", [])
            if not parts:
                raise BadRequest(f"* {where}.parts: contents.parts must not be empty.", param=f"contents[{place}]")
            self._read_content(parts, role, where)
        if self._calls:
            raise BadRequest(
                "Please ensure that function response turn comes immediately after a function call turn.",
                param="contents",
            )

    def _read_content(self, parts: list[_Fields], role: str, where: str) -> None:
        awaited, self._calls = self._calls, []
        said: list[Part] = []
        responses = 0
        is_after_user = not self.items or not isinstance(self.items[-1], Message) or self.items[-1].role == "user"
        for place, part in enumerate(parts):
            at = f"{where}.parts[{place}]"
            _check_data(part, at)
            if "functionResponse" in part:
                self._flush(role, said)
                self._answer(part["functionResponse"], awaited, responses, at)
                responses += 1
            elif "functionCall" in part:
                self._flush(role, said)
                if role != "model" or not is_after_user:
                    raise BadRequest(
                        "Please ensure that function call turn comes immediately after a user turn or after a"
                        " function response turn.",
                        param=where,
                    )
                self._call(part, at)
            elif not part.get("thought"):
                said.append(_part(part, at))
        self._flush(role, said)
        if role == "user" and responses == 0:
            self.unsigned = None  # another turn begins
        if responses != len(awaited):
            raise BadRequest(
                "Please ensure that the number of function response parts is equal to the number of function call parts"
                " of the function call turn.",
                param=where,
            )

    def _call(self, part: _Fields, at: str) -> None:
        call: _Fields = part["functionCall"]
        name = call.get("name")
        if not name:
            raise BadRequest(f"* {at}.function_call.name: Name cannot be empty.", param=at)
        if not self._calls and "thoughtSignature" not in part:
            self.unsigned = self.unsigned or name
        call_id = call.get("id") or f"call_{len(self.items)}"
        self._calls.append(ToolCall(call_id, name, msgspec.json.encode(call.get("args", {})).decode()))
        self.items.append(self._calls[-1])

    def _answer(self, response: _Fields, awaited: list[ToolCall], place: int, at: str) -> None:
        name = response.get("name")
        if not name:
            raise BadRequest(f"* {at}.function_response.name: Name cannot be empty.", param=at)
        if "response" not in response:
            raise BadRequest(f"* {at}.function_response.response: response is not specified", param=at)
        if place >= len(awaited) or name not in {call.name for call in awaited}:
            raise BadRequest(
                "Please ensure that function response turn comes immediately after a function call turn. And the"
                " number of function response parts should be equal to number of function call parts of the function"
                " call turn.",
                param=at,
            )
        call_id = response.get("id") or awaited[place].call_id
        self.items.append(ToolOutput(call_id, _output(response["response"])))

    def _flush(self, role: str, said: list[Part]) -> None:
        if said:
            role = "assistant" if role == "model" else "user"
            text = said[0].text if len(said) == 1 and isinstance(said[0], Text) else None
            self.items.append(Message(role, text if text is not None else list(said)))
            said.clear()


def _check_data(part: _Fields, at: str) -> None:
    given = [name for name in DATA_FIELDS if name in part]
    if not given or (given == ["text"] and not part["text"] and "thoughtSignature" not in part):
        raise BadRequest(f"* {at}.data: required oneof field 'data' must have one initialized field", param=at)
    if len(given) > 1:
        place = at.partition(".")[2]
        raise BadRequest(
            f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{given[1]}'", param=at
        )


def _part(part: _Fields, at: str) -> Part:
    if "text" in part:
        return Text(part["text"])
    if "inlineData" in part:
        blob: _Fields = part["inlineData"]
        mime_type = blob.get("mimeType")
        if not mime_type:
            raise BadRequest(f"* {at}.inline_data.mime_type: mime_type is not specified", param=at)
        is_image = mime_type.startswith("image/")
        return (
            Image(f"data:{mime_type};base64,{blob.get('data', '')}") if is_image else Unknown({"type": "file"}, "chat")
        )
    if "fileData" in part:
        file: _Fields = part["fileData"]
        if not file.get("fileUri"):
            raise BadRequest(f"* {at}.file_data.file_uri: file_uri is not specified", param=at)
        is_image = file.get("mimeType", "").startswith("image/")
        return Image(file["fileUri"]) if is_image else Unknown({"type": "file"}, "chat")
    return Unknown({"type": next(snake(name) for name in DATA_FIELDS if name in part)}, "chat")


def _output(response: _Fields) -> str:
    """What a function returned, as words: its only text, or all of it as JSON."""
    values = list(response.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return msgspec.json.encode(response).decode()


def _instructions(read: _Fields, name: str) -> str | None:
    parts: list[_Fields] = read.get("systemInstruction", {}).get("parts", [])
    for place, part in enumerate(parts):
        _check_data(part, f"{name}.system_instruction.parts[{place}]")
    return "\n".join(part["text"] for part in parts if "text" in part) or None


# --- tools and formats --------------------------------------------------------------------------


def _tools(read: _Fields, name: str) -> list[Tool]:
    tools: list[Tool] = []
    names: set[str] = set()
    for place, tool in enumerate(cast("list[_Fields]", read.get("tools", []))):
        if not tool.get("functionDeclarations") and not any(each in tool for each in HOSTED_TOOLS):
            raise BadRequest(f"* {name}.tools[{place}].tool_type: required one_of 'tool_type' must have one"
                             " initialized field", param="tools")  # fmt: skip
        for position, declared in enumerate(cast("list[_Fields]", tool.get("functionDeclarations", []))):
            where = f"{name}.tools[{place}].function_declarations[{position}]"
            called = declared.get("name", "")
            if _FUNCTION_NAME.fullmatch(called) is None:
                raise BadRequest(
                    f"* {where}.name: Invalid function name. Must start with a letter or an underscore, then letters,"
                    " digits, underscores, dots, colons or dashes, at most 128 of them.",
                    param="tools",
                )
            if called in names:
                raise BadRequest(f"Duplicate function declaration found: {called}", param="tools")
            names.add(called)
            tools.append(Tool("function", {"name": called, "parameters": _parameters(declared, where)}))
    return tools


def _parameters(declared: _Fields, where: str) -> _Fields:
    if "parameters" in declared and "parametersJsonSchema" in declared:
        raise BadRequest(f"* {where}: only one of parameters and parameters_json_schema may be set.", param="tools")
    if "parametersJsonSchema" in declared:
        schema = declared["parametersJsonSchema"]
        return cast("_Fields", schema) if isinstance(schema, dict) else {}
    parameters: _Fields = declared.get("parameters", {})
    if parameters:
        if parameters.get("type") != "OBJECT":
            raise BadRequest(f"* {where}.parameters.type: must be OBJECT", param="tools")
        _check_schema(parameters, f"{where}.parameters")
    return json_schema(parameters) or {"type": "object", "properties": {}}


def _check_schema(schema: _Fields, where: str) -> None:
    """Raise BadRequest for what Google's Schema has a place for and its models do not take."""
    kind = schema.get("type")
    said = None
    if kind == "OBJECT" and not schema.get("properties") and "additionalProperties" not in schema:
        said = "properties: should be non-empty for OBJECT type"
    elif kind == "ARRAY" and "items" not in schema:
        said = "items: missing field."
    elif "enum" in schema and kind != "STRING":
        said = "enum: only allowed for STRING type"
    elif kind == "STRING" and schema.get("format") not in (None, "enum", "date-time"):
        said = "format: only 'enum' and 'date-time' are supported for STRING type"
    if said is not None:
        raise BadRequest(f"* {where}.{said}", param=where)
    for name, inner in cast("dict[str, _Fields]", schema.get("properties", {})).items():
        _check_schema(inner, f"{where}.properties[{name}]")
    if "items" in schema:
        _check_schema(schema["items"], f"{where}.items")
    for place, inner in enumerate(cast("list[_Fields]", schema.get("anyOf", []))):
        _check_schema(inner, f"{where}.any_of[{place}]")


def json_schema(schema: _Fields) -> _Fields:
    """Return Google's Schema as the JSON Schema that says the same."""
    said: _Fields = {name: value for name, value in schema.items() if name in _SAME}
    kind = schema.get("type", "TYPE_UNSPECIFIED")
    if kind != "TYPE_UNSPECIFIED":
        said["type"] = [kind.lower(), "null"] if schema.get("nullable") else kind.lower()
    for name, keyword in (("properties", "properties"), ("defs", "$defs")):
        if name in schema:
            said[keyword] = {each: json_schema(inner) for each, inner in schema[name].items()}
    if "items" in schema:
        said["items"] = json_schema(schema["items"])
    if "anyOf" in schema:
        said["anyOf"] = [json_schema(inner) for inner in schema["anyOf"]]
    if "ref" in schema:
        said["$ref"] = schema["ref"].replace("#/defs/", "#/$defs/")
    return said


_SAME = frozenset(
    {"title", "description", "enum", "required", "format", "pattern", "default", "additionalProperties"}
    | {"minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "minProperties", "maxProperties"}
)


def _tool_choice(read: _Fields, names: set[str]) -> str | dict[str, Any] | None:
    config: _Fields = read.get("toolConfig", {}).get("functionCallingConfig", {})
    mode, allowed = config.get("mode", "AUTO"), config.get("allowedFunctionNames", [])
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise BadRequest(
            "Please set allowed_function_names only when function calling mode is ANY.", param="tool_config"
        )
    strange = [name for name in allowed if name not in names]
    if strange:
        raise BadRequest(
            f"allowed_function_names contains '{strange[0]}', which no function declaration is called.",
            param="tool_config",
        )
    if mode == "NONE":
        return "none"
    wanted: Literal["required", "auto"] = "required" if mode == "ANY" else "auto"
    if wanted == "required" and not names:
        raise BadRequest("Function calling config is set without function_declarations.", param="tool_config")
    if not allowed:
        return wanted
    tools = [{"type": "function", "name": name} for name in allowed]
    return {"type": "allowed_tools", "mode": wanted, "tools": tools}


def _format(config: _Fields) -> Format | None:
    mime_type = config.get("responseMimeType", "text/plain")
    if mime_type not in _MIME_TYPES:
        known = ", ".join(sorted(_MIME_TYPES))
        raise BadRequest(
            f"* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are {known}.",
            param="generation_config.response_mime_type",
        )
    schema = config.get("responseJsonSchema")
    if schema is not None and "responseSchema" in config:
        raise BadRequest(
            "* GenerateContentRequest.generation_config: only one of response_schema and response_json_schema may be"
            " set.",
            param="generation_config",
        )
    if "responseSchema" in config:
        _check_schema(config["responseSchema"], "GenerateContentRequest.generation_config.response_schema")
        schema = json_schema(config["responseSchema"])
    if schema is None:
        return Format("json_object", {}) if mime_type == "application/json" else None
    if mime_type == "text/plain":
        raise BadRequest(
            "* GenerateContentRequest.generation_config.response_mime_type: must be application/json or text/x.enum"
            " where a response schema is set.",
            param="generation_config.response_mime_type",
        )
    return Format("json_schema", {"name": "response", "schema": schema if isinstance(schema, dict) else {}})


def _check_config(config: _Fields, thinking: _Fields) -> None:
    _within(config, "temperature", 0, 2)
    _within(config, "topP", 0, 1)
    _within(config, "topK", 1, 1000)
    _within(config, "maxOutputTokens", 1, 2**31)
    _within(config, "candidateCount", 1, _MAX_CANDIDATES)
    _within(config, "presencePenalty", -2, 2)
    _within(config, "frequencyPenalty", -2, 2)
    _within(config, "logprobs", 0, _MAX_LOGPROBS)
    _within(thinking, "thinkingBudget", -1, 2**31)
    if len(config.get("stopSequences", [])) > _MAX_STOPS:
        raise BadRequest(
            f"At most {_MAX_STOPS} stop sequences are supported.", param="generation_config.stop_sequences"
        )
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise BadRequest(
            "logprobs is only supported when response_logprobs is true.", param="generation_config.logprobs"
        )
    if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        raise BadRequest(
            "You can only set only one of thinking budget and thinking level.",
            param="generation_config.thinking_config",
        )


def _within(config: _Fields, name: str, least: float, most: float) -> None:
    value = config.get(name)
    if value is not None and not least <= value <= most:
        raise BadRequest(
            f"* GenerateContentRequest.generation_config.{snake(name)}: {snake(name)} must be in the range"
            f" [{least:g}, {most:g}].",
            param=f"generation_config.{snake(name)}",
        )
