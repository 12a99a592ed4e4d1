"""The Gemini dialect's requests: prompts become bodies of generateContent.

Nothing of a request is dropped in silence. What Gemini has another word for is said so, what it cannot do is refused
by the name that the caller knows it by, and what only hints changes no answer and is passed over. Thoughts count
within `maxOutputTokens`, as they do within OpenAI's limit. What an answer becomes is `gemini_answer`.

Shapes: Gemini API reference, models.generateContent (v1beta), and the types of google-genai 3.4 (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any, TypeAlias, cast

from frontdesk.core.errors import BadRequest
from frontdesk.providers.gemini_contents import CUSTOM_INPUT, function_name, write_conversation
from frontdesk.providers.gemini_profiles import Budget, GeminiProfile, Level, Levels
from frontdesk.providers.parts import read_part
from frontdesk.turn.items import Image, Message, Prompt, Tool, ToolOutput, Unknown

_Fields: TypeAlias = dict[str, Any]


def encode_gemini(prompt: Prompt, model: str, profile: GeminiProfile) -> dict[str, Any]:
    """Return the body of a request. Raises BadRequest for what this model cannot be asked."""
    _refuse_what_only_responses_says(prompt)
    conversation = write_conversation(prompt, model, profile)
    generation: _Fields = {}
    body: _Fields = {"contents": conversation.contents}
    if conversation.instructions:
        body["systemInstruction"] = {"parts": conversation.instructions}
    _write_tools(prompt, body)
    _write_format(prompt, profile, generation)
    _write_lengths(prompt, profile, generation)
    _write_detail(prompt, generation)
    _write_parameters(prompt, profile, generation, body)
    thinking = _thinking(prompt, profile)
    if thinking:
        own = generation.get("thinkingConfig")
        generation["thinkingConfig"] = {**thinking, **cast("_Fields", own)} if isinstance(own, dict) else thinking
    if generation:
        body["generationConfig"] = generation
    return body


# What the callers of Responses call otherwise than those of Chat Completions.
_SPELLING = {
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "reasoning_summary": "reasoning.summary",
    "verbosity": "text.verbosity",
}


def _refused(prompt: Prompt, name: str, remedy: str, code: str = "unsupported_parameter") -> BadRequest:
    """The error for a parameter, under the name that its caller gave it."""
    param = _SPELLING.get(name, name) if prompt.dialect == "responses" else name
    return BadRequest(f"{param!r} is not supported by this model. {remedy}", code=code, param=param)


def _refuse_what_only_responses_says(prompt: Prompt) -> None:
    """Refuse what would be lost. What `include` may ask for besides log probabilities and seals exists in no answer."""
    if prompt.truncation not in (None, "disabled"):
        raise _refused(prompt, "truncation", "Leave it out, and send fewer items.")


# --- tools --------------------------------------------------------------------------------------


def _write_tools(prompt: Prompt, body: _Fields) -> None:
    declared = [_declaration(tool, prompt) for tool in prompt.tools]
    mode, allowed = _choice(prompt, {declaration["name"] for declaration in declared})
    if not declared:
        return
    if prompt.parameters.get("parallel_tool_calls") is False:
        raise _refused(prompt, "parallel_tool_calls", "It may call several tools at once; leave it out.")
    if mode == "AUTO" and allowed is not None:  # only who must call can be bound to some of the tools
        declared = [declaration for declaration in declared if declaration["name"] in allowed]
        allowed = None
    body["tools"] = [{"functionDeclarations": declared}]
    if mode is not None:
        names = {} if allowed is None else {"allowedFunctionNames": allowed}
        body["toolConfig"] = {"functionCallingConfig": {"mode": mode, **names}}


def _choice(prompt: Prompt, offered: Set[str]) -> tuple[str | None, list[str] | None]:
    """How tools are chosen, and which of them may be; None where nothing was said."""
    match prompt.tool_choice:
        case None:
            return None, None
        case "none":
            return "NONE", None
        case "auto":
            return "AUTO", None
        case "required":
            mode, names = "ANY", None
        case {"type": "function" | "custom", "name": str(name)}:
            mode, names = "ANY", [function_name(name)]
        case {"type": "allowed_tools", "mode": "auto" | "required" as how, "tools": list()}:
            mode = "AUTO" if how == "auto" else "ANY"
            tools = cast("list[_Fields]", prompt.tool_choice["tools"])
            names = [function_name(str(tool.get("name"))) for tool in tools]
        case _:
            raise _refused(
                prompt, "tool_choice", "Send none, auto, required or tools by their names.", "unsupported_tool"
            )
    missing = next((name for name in names or () if name not in offered), None)
    if missing is not None or not (offered if names is None else names):
        raise BadRequest(
            "'tool_choice' asks for a tool that 'tools' does not have.", code="invalid_value", param="tool_choice"
        )
    return mode, names


def _declaration(tool: Tool, prompt: Prompt) -> _Fields:
    """A tool as a function of Gemini's; `strict` means nothing here. A custom tool takes its text as one argument."""
    definition = tool.definition
    if tool.kind not in ("function", "custom"):
        words = f"It calls functions, no tools of type {tool.kind!r}."
        raise _refused(prompt, "tools", words, "unsupported_tool")
    form = definition.get("format")
    if isinstance(form, dict) and cast("_Fields", form).get("type") != "text":
        words = "No grammar binds what it writes: offer a function, or a custom tool without 'format'."
        raise _refused(prompt, "tools", words, "unsupported_tool")
    strange = next((name for name, value in definition.items() if name not in _OF_TOOLS and value), None)
    if strange is not None:
        raise _refused(prompt, "tools", f"A tool's {strange[:64]!r} has no place here: leave it out.")
    fields: _Fields = {
        "name": function_name(definition["name"]),
        "description": definition.get("description"),
        "parametersJsonSchema": definition.get("parameters") if tool.kind == "function" else _CUSTOM_PARAMETERS,
        "responseJsonSchema": definition.get("output_schema"),
    }
    return {name: value for name, value in fields.items() if value is not None}


_OF_TOOLS = frozenset({"name", "description", "parameters", "strict", "output_schema", "format"})
_CUSTOM_PARAMETERS: _Fields = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}


def custom_tools(prompt: Prompt) -> frozenset[str]:
    """The names of the tools whose calls are told as text again."""
    return frozenset(tool.definition["name"] for tool in prompt.tools if tool.kind == "custom")


def renamed_tools(prompt: Prompt) -> dict[str, str]:
    """The names that the caller gave its tools, by those that Gemini knows them by, where the two differ."""
    names = [str(tool.definition["name"]) for tool in prompt.tools]
    return {function_name(name): name for name in names if function_name(name) != name}


# --- the answer's shape and length --------------------------------------------------------------


def _write_format(prompt: Prompt, profile: GeminiProfile, generation: _Fields) -> None:
    if prompt.format is None:
        return
    if prompt.tools and not profile.formats_with_tools:
        raise _refused(prompt, "response_format", "It takes no format beside tools: send one of the two.")
    generation["responseMimeType"] = "application/json"
    definition = prompt.format.definition
    schema = definition.get("schema")
    if prompt.format.kind == "json_schema" and schema is not None:
        described = {"description": definition["description"]} if definition.get("description") else {}
        generation["responseJsonSchema"] = {**described, **schema}


def _write_lengths(prompt: Prompt, profile: GeminiProfile, generation: _Fields) -> None:
    if prompt.max_output_tokens is not None:
        generation["maxOutputTokens"] = prompt.max_output_tokens
    if prompt.choices > profile.most_choices:
        raise _refused(prompt, "n", f"It gives at most {profile.most_choices} at a time: send several requests.")
    if prompt.choices != 1:
        generation["candidateCount"] = prompt.choices
    if prompt.verbosity not in (None, "medium"):
        raise _refused(prompt, "verbosity", "Leave it out, and say in words how long the answer should be.")


def _write_detail(prompt: Prompt, generation: _Fields) -> None:
    """How closely to look at pictures. Gemini is told so once: as closely as at the one that needs it most."""
    details = {image.detail or "auto" for image in _images(prompt)}
    if details & {"high", "original"}:
        generation["mediaResolution"] = "MEDIA_RESOLUTION_HIGH"
    elif details == {"low"}:
        generation["mediaResolution"] = "MEDIA_RESOLUTION_LOW"


def _images(prompt: Prompt) -> list[Image]:
    images: list[Image] = []
    for item in prompt.items:
        content = item.content if isinstance(item, Message) else item.output if isinstance(item, ToolOutput) else ""
        for part in content if isinstance(content, list) else ():
            read = read_part(part) if isinstance(part, Unknown) else part
            if isinstance(read, Image):
                images.append(read)
    return images


# --- thinking -----------------------------------------------------------------------------------


def _thinking(prompt: Prompt, profile: GeminiProfile) -> _Fields:
    """How long to think, and whether to tell of it: thoughts stay hidden unless a summary was asked for."""
    effort = prompt.reasoning_effort
    if profile.thinking is None:
        if effort not in (None, "none"):
            raise _refused(prompt, "reasoning_effort", "It does not think; leave it out.")
        if prompt.reasoning_summary is not None:
            raise _refused(prompt, "reasoning_summary", "It does not think; leave it out.")
        return {}
    config: _Fields = {}
    if effort is not None:
        match profile.thinking:
            case Budget():
                config["thinkingBudget"] = _budget(effort, profile.thinking)
            case Levels(offered):
                config["thinkingLevel"] = _level(effort, offered)
    if prompt.reasoning_summary is not None and config.get("thinkingBudget") != 0:
        config["includeThoughts"] = True
    return config


# As Google's own Chat Completions understand efforts ("OpenAI compatibility").
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24_576}


def _budget(effort: str, thinking: Budget) -> int:
    if effort in ("none", "minimal"):
        return thinking.least
    return min(_BUDGETS.get(effort, thinking.most), thinking.most)


_LEVELS: dict[str, Level] = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM"}
_ORDER: tuple[Level, ...] = ("MINIMAL", "LOW", "MEDIUM", "HIGH")


def _level(effort: str, offered: tuple[Level, ...]) -> Level:
    """The level that an effort means; where a model does not offer it, the next one above, for nothing turns it off."""
    wanted = _ORDER.index(_LEVELS.get(effort, "HIGH"))
    at_least: list[Level] = [level for level in offered if _ORDER.index(level) >= wanted]
    return at_least[0] if at_least else offered[-1]


# --- parameters ---------------------------------------------------------------------------------


def _write_parameters(prompt: Prompt, profile: GeminiProfile, generation: _Fields, body: _Fields) -> None:
    for name, value in prompt.parameters.items():
        if name in GEMINI_HINTS or value is None or value == _SAYS_NOTHING.get(name, _NOTHING):
            continue
        if name in _CARRIED:
            generation[_CARRIED[name]] = value
        elif name in _CARRIED_BESIDE:
            body[_CARRIED_BESIDE[name]] = value
        elif name in _WRITTEN:
            _WRITTEN[name](name, value, _Place(prompt, profile, generation, body))
        else:
            raise _refused(prompt, name, "Leave it out or use another model.")


GEMINI_HINTS = frozenset(
    {
        "metadata",
        "parallel_tool_calls",  # refused where tools are offered
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "user",
    }
)
"""What says who asks, or how to work; the answer is the same without."""

_NOTHING = object()
_SAYS_NOTHING: _Fields = {
    "audio": {},
    "frequency_penalty": 0,
    "image": {},
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "presence_penalty": 0,
    "reasoning": {},
    "top_logprobs": 0,
}
# Gemini's own words, in both of the spellings that its servers read.
_CARRIED = {
    "thinkingConfig": "thinkingConfig",
    "thinking_config": "thinkingConfig",
}
_CARRIED_BESIDE = {
    "safetySettings": "safetySettings",
    "safety_settings": "safetySettings",
    "cachedContent": "cachedContent",
    "cached_content": "cachedContent",
}


class _Place:
    """Where a parameter is written."""

    __slots__ = ("body", "generation", "profile", "prompt")

    def __init__(self, prompt: Prompt, profile: GeminiProfile, generation: _Fields, body: _Fields) -> None:
        self.prompt = prompt
        self.profile = profile
        self.generation = generation
        self.body = body


def _write_stop(name: str, value: Any, place: _Place) -> None:
    stops: Any = [value] if isinstance(value, str) else value
    if len(stops) > _MOST_STOPS:
        raise _refused(place.prompt, name, f"It takes at most {_MOST_STOPS} of them.")
    if stops:
        place.generation["stopSequences"] = stops


_MOST_STOPS = 5


def _write_seed(_name: str, value: Any, place: _Place) -> None:
    """OpenAI's seeds have 64 bits, Gemini's 32 with a sign: the same one becomes the same one."""
    place.generation["seed"] = value % _SEEDS if isinstance(value, int) else value


_SEEDS = 2**31


def _write_sampling(name: str, value: Any, place: _Place) -> None:
    """Newer models pass over it without a word; what says OpenAI's default asks them for nothing."""
    if place.profile.has_sampling:
        place.generation[_SAMPLING[name]] = value
    elif value != 1 or _SAMPLING[name] == "topK":
        raise _refused(place.prompt, name, "Leave it out.")


_SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK", "topK": "topK"}


def _write_penalty(name: str, value: Any, place: _Place) -> None:
    if not place.profile.has_penalties:
        raise _refused(place.prompt, name, "Leave it out.")
    place.generation[name.replace("_p", "P")] = value


def _write_logprobs(name: str, value: Any, place: _Place) -> None:
    if not place.profile.has_logprobs:
        raise _refused(place.prompt, name, "It tells no log probabilities; leave it out.")
    place.generation["responseLogprobs" if name == "logprobs" else "logprobs"] = value


def _write_service_tier(name: str, value: Any, place: _Place) -> None:
    if value in ("flex", "priority"):
        place.body["serviceTier"] = value
    elif value not in ("auto", "default", "standard"):
        raise _refused(place.prompt, name, "It has 'default', 'flex' and 'priority'.")


_WRITTEN: dict[str, Callable[[str, Any, _Place], None]] = {
    **dict.fromkeys(_SAMPLING, _write_sampling),
    "stop": _write_stop,
    "seed": _write_seed,
    "frequency_penalty": _write_penalty,
    "presence_penalty": _write_penalty,
    "logprobs": _write_logprobs,
    "top_logprobs": _write_logprobs,
    "service_tier": _write_service_tier,
}
