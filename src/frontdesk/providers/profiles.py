"""What differs between servers of OpenAI's dialects, as values: a row for each vendor that is known by name.

A parameter that a vendor lacks is refused by its name, or said in the vendor's words; only `HINTS` are left out, for
they change no answer. Rows are of the vendors' documentation and official clients (2026-11); what stands there of a
parameter that a server would pass over in silence counts as lacking it.

    DeepSeek     "Thinking Mode", "JSON Output"; "Create Chat Completion"
    Groq         "OpenAI Compatibility", "Reasoning", "Structured Outputs"; groq 1.7
    llama.cpp    tools/server/README
    Mistral      "Chat"; mistralai 3.7
    Ollama       "OpenAI compatibility"; openai/openai.go
    OpenRouter   "Parameters", "Reasoning Tokens", "Provider Routing", "Prompt Caching"; openrouter 1.3
    Together     "Chat completions", "Reasoning", "Structured outputs"
    vLLM         "OpenAI-Compatible Server", "Reasoning Outputs"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from yarl import URL

from frontdesk.core.config.vendors import VENDORS

Effort = Callable[[str, str], dict[str, Any]]

HINTS = frozenset(
    {
        "metadata",
        "prediction",
        "prompt_cache_breakpoint",  # of a part
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "user",
    }
)
"""What says who asks, what to keep in a cache, and what to expect: how fast and dear an answer is, never what it says.

Where a vendor knows no such thing, it is left out; so is what only labels an earlier answer (its id, its sources).
"""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a server understands OpenAI's dialects.

    `reads_open_reasoning`: whether it takes earlier reasoning back that is not sealed. OpenAI looks
    such an item up by its id instead, and what was not stored is not found.
    `carries_unknown`: whether parts, labels and ways to choose tools go on as they came, as to OpenAI and to a server
    of which nothing is known; else they are said as this vendor has them, or refused.
    `lacks` holds parameters, in the spelling of Chat Completions, `renamed` other names of some, `hints` those of
    `HINTS` that it knows.
    `ask_effort` returns how a model is asked to think that hard.
    `json_schema`: "told" where an answer is bound to no schema: it is asked for in words and checked.
    `sounds` and `documents`: how it is given what a person can hear or read.
    `tool_choice`: "all" is every way, "words" all but naming one, "auto" only leaving it to the model.
    `reasoning_name`: under which name it takes back what an earlier answer thought, if at all.
    `call_id_chars`: how long the ids of calls must be, of letters and digits.
    `honours_all_on_demand`: whether it passes over what a model lacks unless it is told not to.
    `dimensions_name`: how it calls the length of an embedding.
    `marks_cache`: whether a request for a model that wants marks is marked where its caller did not.
    """

    max_tokens_name: Literal["max_completion_tokens", "max_tokens"]
    has_developer_role: bool
    reads_open_reasoning: bool
    carries_unknown: bool = True
    has_stream_options: bool = True
    has_custom_tools: bool = True
    lacks: frozenset[str] = frozenset()
    renamed: Mapping[str, str] | None = None
    hints: frozenset[str] = HINTS
    ask_effort: Effort = lambda effort, _model: {"reasoning_effort": effort}
    json_schema: Literal["native", "told"] = "native"
    sounds: Literal["openai", "base64", "none"] = "openai"
    documents: Literal["openai", "openrouter", "mistral", "none"] = "openai"
    tool_choice: Literal["all", "words", "auto"] = "all"
    cache_marks: Literal["openai", "anthropic", "none"] = "openai"
    reasoning_name: Literal["reasoning_content", "reasoning"] | None = None
    call_id_chars: int | None = None
    honours_all_on_demand: bool = False
    dimensions_name: Literal["dimensions", "output_dimension"] = "dimensions"
    marks_cache: bool = False


OPENAI = Profile(max_tokens_name="max_completion_tokens", has_developer_role=True, reads_open_reasoning=False)
COMPATIBLE = Profile(max_tokens_name="max_tokens", has_developer_role=False, reads_open_reasoning=True)


def profile_of(vendor: str | None, base_url: str, *, marks_cache: bool = True) -> Profile:
    """How the server of a vendor understands the dialect, or else the one at an address of a known vendor."""
    name = vendor or _VENDOR_OF_HOST.get(URL(base_url).host or "")
    profile = COMPATIBLE if name is None else _ROWS.get(name, COMPATIBLE)
    return replace(profile, marks_cache=profile.marks_cache and marks_cache)


# --- how models are asked to think --------------------------------------------------------------

_OFF = "none"
_MISTRALS_THINKERS = ("magistral",)  # they think by an instruction of Mistral's, not by an effort
_GROQS_SWITCHED = ("qwen3", "qwen-3", "qwq")  # they think or do not, and would think among their words
_HARD = {"minimal": "low", "xhigh": "high", "max": "high"}


def _three_efforts(effort: str) -> str:
    """An effort in the words of who knows low, medium and high."""
    return _HARD.get(effort, effort)


def _as_deepseek(effort: str, _model: str) -> dict[str, Any]:
    """A switch and an effort; DeepSeek itself takes all of OpenAI's words for one of its three."""
    if effort == _OFF:
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled"}, "reasoning_effort": effort}


def _as_groq(effort: str, model: str) -> dict[str, Any]:
    if any(name in model.lower() for name in _GROQS_SWITCHED):
        said = {"reasoning_effort": _OFF if effort == _OFF else "default"}
        return said if effort == _OFF else {**said, "reasoning_format": "parsed"}
    return {"reasoning_effort": _three_efforts(effort)}


def _as_mistral(effort: str, model: str) -> dict[str, Any]:
    if any(name in model.lower() for name in _MISTRALS_THINKERS):
        return {"prompt_mode": None if effort == _OFF else "reasoning"}
    return {"reasoning_effort": effort}


def _as_ollama(effort: str, _model: str) -> dict[str, Any]:
    return {"reasoning_effort": _three_efforts(effort)}


def _as_openrouter(effort: str, _model: str) -> dict[str, Any]:
    return {"reasoning": {"effort": effort}}


def _as_together(effort: str, _model: str) -> dict[str, Any]:
    if effort == _OFF:
        return {"reasoning": {"enabled": False}}
    return {"reasoning": {"enabled": True}, "reasoning_effort": _three_efforts(effort)}


def _as_vllm(effort: str, _model: str) -> dict[str, Any]:
    """Templates call the switch by two names (Qwen and GLM, DeepSeek and Granite); the effort is for gpt-oss."""
    thinks = effort != _OFF
    said = {"chat_template_kwargs": {"enable_thinking": thinks, "thinking": thinks}}
    return {**said, "reasoning_effort": _three_efforts(effort)} if thinks else said


def _as_llama_cpp(effort: str, _model: str) -> dict[str, Any]:
    thinks = effort != _OFF
    said: dict[str, Any] = {"enable_thinking": thinks}
    if thinks:
        said["reasoning_effort"] = _three_efforts(effort)
    return {"chat_template_kwargs": said}


# --- the rows -----------------------------------------------------------------------------------

_KNOWN = replace(
    COMPATIBLE, carries_unknown=False, has_custom_tools=False, hints=frozenset(), documents="none", cache_marks="none"
)  # what most of them have in common; a row says what it has beside that
_ROWS: dict[str, Profile] = {
    "deepseek": replace(
        _KNOWN,
        lacks=frozenset({"n", "seed", "logit_bias", "parallel_tool_calls", "verbosity", "service_tier"}),
        ask_effort=_as_deepseek,
        json_schema="told",  # "response_format" is text or json_object
        sounds="none",
        reasoning_name="reasoning_content",  # asked for where calls were made: 400 without it
    ),
    "groq": replace(
        _KNOWN,
        max_tokens_name="max_completion_tokens",
        # The two penalties: "not yet supported by any of our models".
        lacks=frozenset(
            {"n", "logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "verbosity"}
        ),
        hints=frozenset({"user"}),
        ask_effort=_as_groq,
        sounds="none",
        reasoning_name="reasoning",
    ),
    "llama-cpp": replace(
        _KNOWN,
        lacks=frozenset({"verbosity", "service_tier"}),
        ask_effort=_as_llama_cpp,
        tool_choice="words",  # an object is passed over
        reasoning_name="reasoning_content",
    ),
    "mistral": replace(
        _KNOWN,
        has_stream_options=False,  # 422 extra_forbidden; usage comes without being asked for
        lacks=frozenset({"logit_bias", "verbosity", "service_tier"}),
        renamed={"seed": "random_seed"},
        hints=frozenset({"metadata", "prediction", "prompt_cache_key"}),
        ask_effort=_as_mistral,
        sounds="base64",
        documents="mistral",
        dimensions_name="output_dimension",
        call_id_chars=9,  # 400 "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9."
    ),
    "ollama": replace(
        _KNOWN,
        lacks=frozenset({"n", "logit_bias", "parallel_tool_calls", "verbosity", "service_tier"}),
        ask_effort=_as_ollama,
        sounds="none",
        tool_choice="auto",
        reasoning_name="reasoning",
    ),
    "openrouter": replace(
        _KNOWN,
        lacks=frozenset({"n"}),
        hints=HINTS - {"prompt_cache_retention", "safety_identifier"},
        ask_effort=_as_openrouter,
        documents="openrouter",
        cache_marks="anthropic",
        reasoning_name="reasoning",
        honours_all_on_demand=True,
        marks_cache=True,
    ),
    "together": replace(
        _KNOWN,
        # Its log probabilities are asked for by a number, and are told in a shape of its own.
        lacks=frozenset({"logprobs", "top_logprobs", "parallel_tool_calls", "verbosity", "service_tier"}),
        ask_effort=_as_together,
        reasoning_name="reasoning",
    ),
    "vllm": replace(
        _KNOWN,
        lacks=frozenset({"verbosity", "service_tier"}),
        hints=frozenset({"user"}),
        ask_effort=_as_vllm,
        reasoning_name="reasoning",
    ),
}

# An address of one's own machine is nobody's: many servers use the same ports.
_VENDOR_OF_HOST = {
    host: name
    for name, url in VENDORS.items()
    if url is not None and (host := URL(url).host) not in (None, "127.0.0.1", "localhost")
} | {"api.openrouter.ai": "openrouter", "api.together.ai": "together"}
