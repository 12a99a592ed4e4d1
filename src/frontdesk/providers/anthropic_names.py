"""How the callers of either dialect call what a prompt asks, so that a refusal names the field that they sent."""

from __future__ import annotations

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Prompt

_IN_RESPONSES = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "reasoning_summary": "reasoning.summary",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}
_OF_PATH = {
    "max_tokens": "max_completion_tokens",
    "messages": "messages",
    "metadata": "safety_identifier",
    "output_config": "response_format",
    "stop_sequences": "stop",
    "system": "messages",
    "thinking": "reasoning_effort",
}
_CARRIED = frozenset({"model", "service_tier", "temperature", "tool_choice", "tools", "top_k", "top_p"})


def spelled(name: str, prompt: Prompt) -> str:
    """Return Chat Completions' name of a field as the prompt's caller spells it."""
    return _IN_RESPONSES.get(name, name) if prompt.dialect == "responses" else name


def unsupported(name: str, prompt: Prompt, remedy: str) -> BadRequest:
    """Make the error for what this model does not do; `name` is Chat Completions'."""
    param = spelled(name, prompt)
    return BadRequest(f"{param!r} is not supported by this model. {remedy}", code="unsupported_parameter", param=param)


def param_of(path: str, prompt: Prompt) -> str | None:
    """Return the caller's name of the field that a path of Anthropic's begins with (messages.0.content.1.source)."""
    head, _, rest = path.partition(".")
    if head == "output_config" and rest.startswith("effort"):
        return spelled("reasoning_effort", prompt)
    if head in _OF_PATH:
        return spelled(_OF_PATH[head], prompt)
    return head if head in _CARRIED else None
