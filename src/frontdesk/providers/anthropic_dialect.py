"""Prompts as bodies of Anthropic's Messages API. The conversation itself is `anthropic_turns`.

What has no word there is said another way, or refused by name:

    json_schema                 `output_config.format` on models that keep to schemas; where the schema or the model is
                                beyond that, a tool that must be called, whose arguments are told as the answer's text;
                                on models that cannot be made to call one, an instruction
    json_object                 such a tool with any object; beside tools or thoughts an instruction
    custom tools                a tool with one text
    allowed_tools               only those are sent
    reasoning effort            thinking: adaptive, or a budget of half of the answer at the most. A call that must be
                                made, and calls whose thoughts did not come back, are made without
    reasoning summary           `thinking.display`; where nothing is asked for, thoughts are hidden
    prompt_cache_breakpoint     `cache_control`; of more than four the last four
    user, safety_identifier     `metadata.user_id`
    a long limit                no longer than the model's longest answer

Hints without a meaning there: `prompt_cache_key`, `detail` of pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.providers.anthropic_answer import Reading
from frontdesk.providers.anthropic_names import unsupported
from frontdesk.providers.anthropic_profiles import Effort, ModelProfile, model_profile
from frontdesk.providers.anthropic_schemas import closed_schema
from frontdesk.providers.anthropic_turns import CUSTOM_INPUT, Block, Turns, lacks_thinking, read_turns, without_thinking
from frontdesk.providers.structured import told_format
from frontdesk.turn.items import Format, Prompt, Tool

_ANSWER_TOOL = "answer"
_MOST_MARKS = 4
_MOST_STRICT_TOOLS = 20
_MOST_USER_ID_CHARS = 256
_BYTES_PER_TOKEN = 4
_LEAST_BUDGET = 1024
_BUDGETS: dict[Effort, int] = {"low": 2048, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 49_152}
_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")

_encode = msgspec.json.encode


class Encoded(msgspec.Struct, frozen=True):
    """A body, and what its answer must be read with.

    `has_thinking`: it gives earlier thoughts back. `held_to` is a format that nothing binds the model to: its answer
    must be looked at.
    """

    body: dict[str, Any]
    reading: Reading
    has_thinking: bool
    held_to: Format | None = None


def encode_messages(prompt: Prompt, model: str, *, marks_cache: bool = True, gives_back: bool = True) -> Encoded:
    """Return the request for a prompt. Raises BadRequest for what it cannot say.

    `marks_cache`: put marks for the cache where the caller put none. `gives_back`: send earlier thoughts again.
    """
    return _Encoder(prompt, model, model_profile(model)).encode(marks_cache=marks_cache, gives_back=gives_back)


class _Encoder:
    def __init__(self, prompt: Prompt, model: str, profile: ModelProfile) -> None:
        self._prompt = prompt
        self._model = model
        self._profile = profile
        self._carried = _parameters(prompt)

    def encode(self, *, marks_cache: bool, gives_back: bool) -> Encoded:
        prompt, profile = self._prompt, self._profile
        self._refuse_unsaid()
        turns = read_turns(prompt, profile, self._model)
        if not gives_back:
            turns = without_thinking(turns)
        tools = self._tools()
        choice = self._tool_choice(tools)
        schema = self._schema()
        answer_tool = self._answer_tool(schema, tools, choice)
        told: Format | None = None
        if answer_tool is not None:
            is_only = not tools or choice.get("type") == "none"
            choice = _named_choice(answer_tool) if is_only else {**choice, "type": "any"}
            tools = [*tools, answer_tool]
        elif schema is None and choice.get("type") not in ("any", "tool"):
            told = prompt.format
        max_tokens = self._max_tokens()
        is_forced = choice.get("type") in ("any", "tool")
        thinking, effort = self._thinking(turns, max_tokens, is_forced=is_forced)
        is_thinking = self._is_thinking(thinking)
        if not is_thinking:
            turns = without_thinking(turns)
        system = [*turns.system, {"type": "text", "text": told_format(told)}] if told else turns.system
        if not tools:
            tools, choice = _tools_of_earlier_calls(turns), {"type": "none"}
        body: dict[str, Any] = {"model": self._model, "max_tokens": max_tokens, "messages": turns.messages}
        body |= _said(
            system=system or None,
            tools=tools or None,
            tool_choice=(choice or None) if tools else None,
            thinking=thinking,
            output_config=_said(effort=effort, format=schema) or None,
            stop_sequences=self._stop_sequences(),
            metadata=self._metadata(),
            service_tier=self._service_tier(),
            stream=prompt.stream or None,
            **self._sampling(is_thinking=is_thinking and thinking is not None),
        )
        self._add_carried(body)
        self._mark(body, marks_cache=marks_cache)
        reading = Reading(
            model=self._model,
            custom_tools=frozenset(tool.definition["name"] for tool in prompt.tools if tool.kind == "custom"),
            answer_tool=None if answer_tool is None else str(answer_tool["name"]),
            shows_thinking=prompt.reasoning_summary is not None or "thinking" in self._carried,
        )
        is_unbound = answer_tool is not None and prompt.format is not None and prompt.format.kind == "json_schema"
        return Encoded(body, reading, _gives_thoughts(turns), prompt.format if is_unbound else told)

    # --- parameters -----------------------------------------------------------------------------

    def _refuse_unsaid(self) -> None:
        prompt = self._prompt
        if prompt.choices != 1:
            raise unsupported("n", prompt, "Send several requests.")
        if prompt.verbosity not in (None, "medium"):
            raise unsupported("verbosity", prompt, "Say in the instructions how long the answer should be.")
        if prompt.truncation not in (None, "disabled"):
            raise unsupported("truncation", prompt, "Send fewer messages instead.")
        if "message.output_text.logprobs" in prompt.include:
            raise unsupported("logprobs", prompt, "Leave it out.")

    def _max_tokens(self) -> int:
        asked, most = self._prompt.max_output_tokens, self._profile.max_tokens
        if asked is None:
            return most
        return min(asked, most) if self._profile.is_known else asked

    def _sampling(self, *, is_thinking: bool) -> dict[str, Any]:
        """What it is told of temperature and top_p; what only says the default is left out."""
        given = {
            name: value
            for name in ("temperature", "top_p")
            if (value := self._prompt.parameters.get(name)) is not None and value != 1
        }
        temperature = given.get("temperature")
        if temperature is not None and temperature > 1:
            raise unsupported("temperature", self._prompt, "It takes 0 to 1.")
        for name in given:
            if not self._profile.has_sampling:
                raise unsupported(name, self._prompt, "Leave it out.")
            if is_thinking:
                raise unsupported(name, self._prompt, "Leave it out, or ask for no reasoning: one rules out the other.")
        if len(given) == 2:
            raise unsupported("top_p", self._prompt, "Leave it out, or 'temperature': it takes one of the two.")
        return given

    def _stop_sequences(self) -> list[str] | None:
        stop = self._prompt.parameters.get("stop")
        sequences = cast("list[str]", [stop] if isinstance(stop, str) else stop or [])
        if any(not each.strip() for each in sequences):
            raise unsupported("stop", self._prompt, "Each text must have more than spaces and line ends.")
        return sequences or None

    def _metadata(self) -> dict[str, Any] | None:
        parameters = self._prompt.parameters
        user = parameters.get("safety_identifier") or parameters.get("user")
        if not user:
            return None
        if len(user) > _MOST_USER_ID_CHARS:
            user = hashlib.sha256(str(user).encode("utf-8", "surrogatepass")).hexdigest()
        return {"user_id": user}

    def _service_tier(self) -> str | None:
        tier = self._prompt.parameters.get("service_tier")
        if tier is None:
            return None
        if tier in _TIERS:
            return _TIERS[tier]
        raise unsupported("service_tier", self._prompt, "It takes 'auto' and 'default'.")

    def _add_carried(self, body: dict[str, Any]) -> None:
        """Put in what its caller said in Anthropic's own words, which count more than what was made of OpenAI's."""
        for name, value in self._carried.items():
            ours = body.get(name)
            if isinstance(ours, dict) and isinstance(value, dict):
                body[name] = {**cast("dict[str, Any]", ours), **cast("dict[str, Any]", value)}
            else:
                body[name] = value

    # --- thinking -------------------------------------------------------------------------------

    def _thinking(
        self, turns: Turns, max_tokens: int, *, is_forced: bool
    ) -> tuple[dict[str, Any] | None, Effort | None]:
        """How it is told to think, and how hard. None leaves it to the model."""
        profile, effort = self._profile, self._prompt.reasoning_effort
        has_summary = self._prompt.reasoning_summary is not None
        if "thinking" in self._carried or profile.thinking == "none":
            return None, None
        if profile.thinking == "budget":
            is_wanted = effort not in (None, "none", "minimal") or (effort is None and has_summary)
            is_possible = not is_forced and not lacks_thinking(turns) and not self._has_prefill(turns)
            return (self._budget(max_tokens) if is_wanted and is_possible else None), None
        if is_forced and profile.thinking_off is not None:
            return ({"type": profile.thinking_off} if profile.thinks_unasked else None), None
        if effort in ("none", "minimal"):
            return self._least_thinking(effort)
        if effort is None and not has_summary:
            return None, None
        thinking = {"type": "adaptive", "display": "summarized" if has_summary else "omitted"}
        return thinking, None if effort is None else self._nearest_effort(effort)

    def _least_thinking(self, effort: str) -> tuple[dict[str, Any] | None, Effort | None]:
        if self._profile.thinking_off is not None:
            return {"type": self._profile.thinking_off}, None
        if effort == "none":
            raise unsupported("reasoning_effort", self._prompt, "It always reasons: use 'low'.")
        display = "omitted" if self._prompt.reasoning_summary is None else "summarized"
        return {"type": "adaptive", "display": display}, "low"

    def _nearest_effort(self, effort: str) -> Effort:
        """The effort, or the next lower one that the model has."""
        lower = _EFFORTS[: _EFFORTS.index(cast("Effort", effort)) + 1]
        return next(each for each in reversed(lower) if each in self._profile.efforts)

    def _budget(self, max_tokens: int) -> dict[str, Any] | None:
        """Thoughts are a part of the answer: half of it stays for words. None where the rest is too little to think."""
        wanted = _BUDGETS[cast("Effort", self._prompt.reasoning_effort or "medium")]
        budget = min(wanted, max_tokens // 2)
        if budget < _LEAST_BUDGET:
            return None
        thinking: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
        if self._profile.has_display:
            thinking["display"] = "omitted" if self._prompt.reasoning_summary is None else "summarized"
        return thinking

    def _has_prefill(self, turns: Turns) -> bool:
        return turns.messages[-1]["role"] == "assistant"

    def _is_thinking(self, thinking: dict[str, Any] | None) -> bool:
        """Whether the model may think, so that it reads its earlier thoughts."""
        if "thinking" in self._carried:
            return True
        if thinking is None:
            return self._profile.thinks_unasked
        return thinking["type"] in ("adaptive", "enabled", "between_tools")

    # --- tools ----------------------------------------------------------------------------------

    def _tools(self) -> list[Block]:
        allowed = self._allowed_names()
        strict = [tool for tool in self._prompt.tools if tool.definition.get("strict") is True]
        holds_strict = self._profile.has_schemas and len(strict) <= _MOST_STRICT_TOOLS
        return [
            self._tool(tool, holds_strict=holds_strict)
            for tool in self._prompt.tools
            if allowed is None or tool.kind not in ("function", "custom") or tool.definition.get("name") in allowed
        ]

    def _allowed_names(self) -> set[str] | None:
        choice = self._prompt.tool_choice
        if isinstance(choice, str) or choice is None or choice["type"] != "allowed_tools":
            return None
        return {str(tool.get("name")) for tool in choice["tools"]}

    def _tool(self, tool: Tool, *, holds_strict: bool) -> Block:
        definition = tool.definition
        match tool.kind:
            case "function":
                known = _FUNCTION_FIELDS
            case "custom":
                known = _CUSTOM_FIELDS
            case kind:
                raise BadRequest(
                    f"A tool of type {kind!r} is not offered here. Use 'function' or 'custom' tools.",
                    code="unsupported_tool",
                    param="tools",
                )
        for name, value in definition.items():
            if name not in known and value not in (None, False):
                raise self._no_such_tool(definition, f"Leave out its {name[:64]!r}.")
        block: Block = {
            name: value for name, value in definition.items() if name in _CARRIED_FIELDS and value not in (None, "")
        }
        if tool.kind == "custom":
            form = definition.get("format")
            if isinstance(form, dict) and cast("dict[str, Any]", form).get("type") != "text":
                raise self._no_such_tool(definition, "Leave its 'format' out: no grammar binds what it writes.")
            block["input_schema"] = _CUSTOM_SCHEMA
            return block
        schema = _object_schema(cast("dict[str, Any]", definition.get("parameters") or {}))
        closed = closed_schema(schema) if holds_strict and definition.get("strict") is True else None
        block["input_schema"] = schema if closed is None else closed
        if closed is not None:
            block["strict"] = True
        return block

    def _no_such_tool(self, definition: dict[str, Any], remedy: str) -> BadRequest:
        name = str(definition.get("name"))
        return BadRequest(
            f"The tool {name[:64]!r} cannot be offered to this model. {remedy}", code="unsupported_tool", param="tools"
        )

    def _tool_choice(self, tools: list[Block]) -> Block:
        """The choice among tools; empty where the model decides as it does by itself."""
        choice, prompt = self._prompt.tool_choice, self._prompt
        is_alone = prompt.parameters.get("parallel_tool_calls") is False
        if not isinstance(choice, str) and choice is not None:
            written = self._chosen(choice)
        else:
            written = {"type": _CHOICES[choice or "auto"]}
        if written["type"] in ("any", "tool"):
            if not tools:
                raise BadRequest("There is no tool to choose.", code="unsupported_tool", param="tool_choice")
            if not self._profile.can_be_forced:
                raise unsupported("tool_choice", prompt, "It decides by itself whether it calls a tool: use 'auto'.")
        if is_alone and tools and written["type"] != "none":
            return {**written, "disable_parallel_tool_use": True}
        return {} if written["type"] == "auto" else written

    def _chosen(self, choice: dict[str, Any]) -> Block:
        match choice["type"]:
            case "allowed_tools":
                return {"type": "any" if choice.get("mode") == "required" else "auto"}
            case "function" | "custom":
                return {"type": "tool", "name": choice["name"]}
            case kind:
                raise BadRequest(
                    f"A choice of type {kind!r} is not offered here.", code="unsupported_tool", param="tool_choice"
                )

    # --- formats --------------------------------------------------------------------------------

    def _schema(self) -> Block | None:
        """The format that the model keeps to by itself; None where it cannot, or none is asked for."""
        form = self._prompt.format
        if form is None or form.kind != "json_schema" or not self._profile.has_schemas:
            return None
        closed = closed_schema(self._format_schema())
        return None if closed is None else {"type": "json_schema", "schema": closed}

    def _format_schema(self) -> dict[str, Any]:
        form = self._prompt.format
        assert form is not None
        schema = cast("dict[str, Any]", form.definition.get("schema") or {})
        said = form.definition.get("description")
        return {"description": said, **schema} if said else schema

    def _answer_tool(self, schema: Block | None, tools: list[Block], choice: Block) -> Block | None:
        """The tool whose arguments are the answer; None where no format is asked for, or it is kept otherwise."""
        form = self._prompt.format
        if form is None or schema is not None or choice.get("type") in ("any", "tool"):
            return None  # a call that must be made is the answer: the format is for another one
        if not self._profile.can_be_forced:
            return None
        is_thinking = self._prompt.reasoning_effort not in (None, "none", "minimal")
        if form.kind == "json_object" and (tools or is_thinking):
            return None
        definition = {} if form.kind == "json_object" else self._format_schema()
        return {
            "name": _free_name(str(form.definition.get("name") or _ANSWER_TOOL), tools),
            "description": "Gives the answer to the user. Call it once, with the whole answer.",
            "input_schema": _object_schema(definition),
        }

    # --- marks for the cache --------------------------------------------------------------------

    def _mark(self, body: dict[str, Any], *, marks_cache: bool) -> None:
        options = cast("dict[str, Any]", self._prompt.parameters.get("prompt_cache_options") or {})
        blocks = _blocks_of(body)
        marked = [block for block in blocks if "cache_control" in block]
        if not marked and marks_cache and options.get("mode") != "explicit" and "cache_control" not in body:
            marked = _mark_ends(body, self._profile.cache_tokens * _BYTES_PER_TOKEN)
        most = _MOST_MARKS - ("cache_control" in body)  # one of its own for the whole request counts as well
        for block in marked[:-most]:
            del block["cache_control"]
        marked = marked[-most:]
        is_long = self._prompt.parameters.get("prompt_cache_retention") == "24h" or options.get("ttl") is not None
        if is_long or any(_ttl_of(block) == "1h" for block in marked):  # a longer one must not follow a shorter one
            for block in marked:
                block["cache_control"] = {"type": "ephemeral", "ttl": "1h"}


_TIERS: dict[str, str] = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_CARRIED_FIELDS = frozenset({"name", "description", "cache_control", "eager_input_streaming", "input_examples"})
_FUNCTION_FIELDS = _CARRIED_FIELDS | {"parameters", "strict"}
_CUSTOM_FIELDS = _CARRIED_FIELDS | {"format"}
_CUSTOM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
    "additionalProperties": False,
}

# --- parameters ---------------------------------------------------------------------------------


def _is_zero(value: Any) -> bool:
    return value == 0


def _is_empty(value: Any) -> bool:
    return not value


_READ = frozenset(
    {
        "parallel_tool_calls",
        "prompt_cache_key",  # a hint
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "stop",
        "temperature",
        "top_p",
        "user",
    }
)
_OWN = frozenset({"cache_control", "output_config", "thinking", "top_k"})
# What it has no word for: which values ask for nothing, and what else to do.
_NO_WORD: dict[str, tuple[Callable[[Any], bool], str]] = {
    "frequency_penalty": (_is_zero, "Leave it out."),
    "presence_penalty": (_is_zero, "Leave it out."),
    "logit_bias": (_is_empty, "Leave it out."),
    "logprobs": (_is_empty, "Leave it out."),
    "top_logprobs": (_is_zero, "Leave it out."),
    "reasoning": (_is_empty, "Use the effort alone."),
    "image": (_is_empty, "Leave it out."),
}
_CACHE_OPTIONS = frozenset({"mode", "ttl"})


def _parameters(prompt: Prompt) -> dict[str, Any]:
    """Return what is carried in Anthropic's own words. What it has no word for is refused by its name."""
    carried: dict[str, Any] = {}
    for name, value in prompt.parameters.items():
        if value is None or name in _READ:
            continue
        if name in _OWN:
            carried[name] = value
            continue
        asks_nothing, remedy = _NO_WORD.get(name, (_never, "Leave it out."))
        if not asks_nothing(value):
            raise unsupported(name, prompt, remedy)
    for name, value in cast("dict[str, Any]", prompt.parameters.get("prompt_cache_options") or {}).items():
        if name not in _CACHE_OPTIONS and value is not None:
            raise unsupported(f"prompt_cache_options.{name}", prompt, "Leave it out.")
    return carried


def _never(_value: Any) -> bool:
    return False


def _said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# --- tools --------------------------------------------------------------------------------------


def _object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of a tool's input, which must say that it is an object."""
    return schema if schema.get("type") == "object" else {**schema, "type": "object"}


def _free_name(wanted: str, tools: list[Block]) -> str:
    taken = {tool["name"] for tool in tools}
    name = wanted
    while name in taken:
        name = f"{name}_"
    return name


def _named_choice(tool: Block) -> Block:
    return {"type": "tool", "name": tool["name"], "disable_parallel_tool_use": True}


def _tools_of_earlier_calls(turns: Turns) -> list[Block]:
    """Stand-ins for the tools of earlier calls, without which Anthropic takes no calls; none of them can be called."""
    names = {
        block["name"]: None for message in turns.messages for block in message["content"] if block["type"] == "tool_use"
    }
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]


def _gives_thoughts(turns: Turns) -> bool:
    return any(
        block["type"] in ("thinking", "redacted_thinking") for message in turns.messages for block in message["content"]
    )


# --- marks for the cache ------------------------------------------------------------------------


def _blocks_of(body: dict[str, Any]) -> list[Block]:
    """All blocks that can be marked, in the order in which Anthropic reads them."""
    said = [block for message in body["messages"] for block in message["content"]]
    inner = [part for block in said for part in (block, *cast("list[Block]", block.get("content") or ()))]
    return [*body.get("tools", ()), *body.get("system", ()), *inner]


def _mark_ends(body: dict[str, Any], least_bytes: int) -> list[Block]:
    """Mark the ends of tools, of what stands before the conversation, and of the conversation, where it is worth it."""
    missing_bytes = least_bytes
    marked: list[Block] = []
    for place in ("tools", "system", "messages"):
        blocks = cast("list[Block]", body.get(place) or [])
        for block in blocks:
            if missing_bytes <= 0:  # long enough: how much longer says nothing
                break
            missing_bytes -= _size_bytes(block)
        if not blocks or missing_bytes > 0:
            continue
        last = blocks[-1] if place != "messages" else cast("Block", blocks[-1]["content"][-1])
        last["cache_control"] = {"type": "ephemeral"}
        marked.append(last)
    return marked


def _size_bytes(value: Any) -> int:
    """About how long something is as JSON; pictures and files count for little, as their base64 says nothing of it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if fields.get("type") == "base64":
            return _BYTES_PER_TOKEN * 1024
        return sum(len(name) + _size_bytes(each) for name, each in fields.items())
    if isinstance(value, list):
        return sum(map(_size_bytes, cast("list[Any]", value)))
    return _BYTES_PER_TOKEN


def _ttl_of(block: Block) -> Any:
    mark = block["cache_control"]
    return cast("dict[str, Any]", mark).get("ttl") if isinstance(mark, dict) else None
