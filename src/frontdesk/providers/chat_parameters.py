"""How a Chat Completions server is asked: parameters, format, effort and tools, in the words of its profile."""

from __future__ import annotations

import re
from typing import Any, cast

from frontdesk.core.errors import BadRequest
from frontdesk.providers.parts import has_cache_mark
from frontdesk.providers.profiles import HINTS, Profile
from frontdesk.turn.items import Message, Prompt, Tool, ToolOutput

# Of parameters that a server lacks, the values that ask for nothing.
_SAYS_NOTHING: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
}
_LOGPROBS = "message.output_text.logprobs"
_IN_RESPONSES = {"logprobs": "include", "verbosity": "text.verbosity"}


def carried_parameters(prompt: Prompt, profile: Profile) -> dict[str, Any]:
    """Return what a caller says that nothing is decided about. Raises BadRequest for what the server lacks."""
    carried = {
        (profile.renamed or {}).get(name, name): value
        for name, value in prompt.parameters.items()
        if (name not in HINTS or name in profile.hints) and _is_said(name, value, prompt, profile)
    }
    if not profile.carries_unknown and carried.get("service_tier") in _SAYS_NOTHING["service_tier"]:
        del carried["service_tier"]  # each vendor has other names for its own
    return carried


def add_parameters(body: dict[str, Any], prompt: Prompt, model: str, profile: Profile) -> None:
    """Add to a body all else that is asked for. Raises BadRequest for what the server lacks."""
    if prompt.choices != 1 and _is_said("n", prompt.choices, prompt, profile):
        body["n"] = prompt.choices
    if prompt.max_output_tokens is not None:
        body[profile.max_tokens_name] = prompt.max_output_tokens
    body |= _written_tools(prompt, profile)
    if prompt.format is not None:
        body["response_format"] = (
            {"type": "json_object"}
            if prompt.format.kind == "json_object"
            else {"type": "json_schema", "json_schema": prompt.format.definition}
        )
    if prompt.reasoning_effort is not None:
        _merge(body, profile.ask_effort(prompt.reasoning_effort, model))
    if prompt.verbosity is not None and _is_said("verbosity", prompt.verbosity, prompt, profile):
        body["verbosity"] = prompt.verbosity
    if _LOGPROBS in prompt.include and _is_said("logprobs", "asked for", prompt, profile):
        body["logprobs"] = True
    if profile.honours_all_on_demand and _demands(prompt):
        body["provider"] = {"require_parameters": True, **_object(body.get("provider"))}
    if profile.marks_cache and _WANTS_MARKS.match(model) and not _marks_itself(prompt):
        body.setdefault("cache_control", {"type": "ephemeral"})


def _is_said(name: str, value: Any, prompt: Prompt, profile: Profile) -> bool:
    """Whether a parameter is told; what the server lacks is left out where it asks for nothing, else refused."""
    if name not in profile.lacks:
        return True
    if value is not None and value not in _SAYS_NOTHING.get(name, ()):
        spelled = _IN_RESPONSES.get(name, name) if prompt.dialect == "responses" else name
        raise _unsupported(spelled, "Leave it out, or use another model.")
    return False


def _unsupported(name: str, remedy: str) -> BadRequest:
    return BadRequest(f"{name!r} is not supported by this model. {remedy}", code="unsupported_parameter", param=name)


def _merge(body: dict[str, Any], said: dict[str, Any]) -> None:
    """Add what is said of thinking to what the caller said there; the effort that was asked for comes first."""
    for name, value in said.items():
        body[name] = {**_object(body.get(name)), **value} if isinstance(value, dict) else value


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


# OpenRouter picks among servers that differ; these are in all of them, or change no answer.
_EVERYWHERE = HINTS | {"temperature", "top_p", "max_tokens", "max_completion_tokens", "provider"}


def _demands(prompt: Prompt) -> bool:
    """Whether a prompt asks for something that not every server has."""
    return bool(
        prompt.format is not None
        or prompt.tools
        or prompt.reasoning_effort not in (None, "none")
        or prompt.verbosity is not None
        or _LOGPROBS in prompt.include
        or prompt.parameters.keys() - _EVERYWHERE
    )


_WANTS_MARKS = re.compile(r"~?anthropic/")  # other models' caches need none


def _marks_itself(prompt: Prompt) -> bool:
    """Whether the caller says itself where a cache may end."""
    contents = [
        item.content if isinstance(item, Message) else item.output
        for item in prompt.items
        if isinstance(item, Message | ToolOutput)
    ]
    return any(has_cache_mark(part) for content in contents if isinstance(content, list) for part in content)


# --- tools --------------------------------------------------------------------------------------


def _written_tools(prompt: Prompt, profile: Profile) -> dict[str, Any]:
    """The tools and how they are chosen."""
    tools, choice = list(prompt.tools), prompt.tool_choice
    if isinstance(choice, dict) and not profile.carries_unknown:
        tools, choice = _narrowed(tools, choice, profile)
    if profile.tool_choice == "auto":
        if choice == "none":
            tools = []
        elif choice not in (None, "auto"):
            raise _unsupported("tool_choice", "Leave it out: the model chooses itself.")
        choice = None
    body: dict[str, Any] = {"tools": [_tool(tool, profile) for tool in tools]} if tools else {}
    if choice is not None:
        body["tool_choice"] = _tool_choice(choice)
    return body


def _narrowed(tools: list[Tool], choice: dict[str, Any], profile: Profile) -> tuple[list[Tool], str | dict[str, Any]]:
    """A choice among some tools, said by offering no others, where a server has no words for it."""
    if choice["type"] == "allowed_tools":
        names = {each.get("name") for each in choice["tools"]}
        return [tool for tool in tools if tool.definition.get("name") in names], choice["mode"]
    if choice["type"] == "function" and profile.tool_choice == "words":
        return [tool for tool in tools if tool.definition.get("name") == choice["name"]], "required"
    return tools, choice


def _tool(tool: Tool, profile: Profile) -> dict[str, Any]:
    if tool.kind != "function" and not (tool.kind == "custom" and profile.has_custom_tools):
        offered = "'function' or 'custom'" if profile.has_custom_tools else "'function'"
        raise BadRequest(
            f"A tool of type {tool.kind!r} is not offered here. Use {offered} tools.",
            code="unsupported_tool",
            param="tools",
        )
    definition = tool.definition
    form = definition.get("format")
    if tool.kind == "custom" and isinstance(form, dict) and cast("dict[str, Any]", form).get("type") == "grammar":
        definition = {**definition, "format": _nested(cast("dict[str, Any]", form))}
    return {"type": tool.kind, tool.kind: definition}


def _tool_choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(choice, str):
        return choice
    if choice["type"] == "allowed_tools":
        choice = {**choice, "tools": [_nested(tool) for tool in choice["tools"]]}
    elif choice["type"] not in ("function", "custom"):
        raise BadRequest(
            f"A choice of type {choice['type']!r} is not offered here.", code="unsupported_tool", param="tool_choice"
        )
    return _nested(choice)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """What Responses says beside its type, Chat Completions says in an object named for the type."""
    return {"type": flat["type"], flat["type"]: {name: value for name, value in flat.items() if name != "type"}}
