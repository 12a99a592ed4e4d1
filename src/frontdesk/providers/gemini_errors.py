"""What Gemini says when it does not answer: `{"error": {"code", "message", "status", "details"}}`.

A status of 400 is not always the caller's matter: a key that is wrong is ours, and so is a place that Google does not
serve.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.refusals import Said, account_refused

_KEY_REFUSED = "api_key_invalid"
OUR_MATTER = frozenset({_KEY_REFUSED, "failed_precondition"})
"""Codes of refusals with a status of 400 that no caller can do anything about."""


class _Error(msgspec.Struct):
    code: Any = None
    message: str | None = None
    status: str | None = None
    details: list[dict[str, Any]] = []


class _Body(msgspec.Struct):
    error: _Error


def parsed_gemini_error(body: bytes) -> Said:
    """Read an error's body; a stream's without `alt=sse` is a list of one. `param` is as Gemini spells the field."""
    try:
        if body.lstrip()[:1] == b"[":
            bodies = msgspec.json.decode(body, type=list[_Body])
        else:
            bodies = [msgspec.json.decode(body, type=_Body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Said()
    return _said(bodies[0].error) if bodies else Said()


def failure_of(error: Any) -> FrontdeskError:
    """The error to raise for one that came inside an answer: the caller's matter where it says so."""
    try:
        typed = msgspec.convert(error, _Error)
    except msgspec.ValidationError:
        return ProviderError("the provider reports an error inside its answer")
    said = _said(typed)
    status = typed.code if type(typed.code) is int else None
    reason = f"the provider reports an error inside its answer: {typed.status or status}"
    if status == _BAD_REQUEST and said.code in OUR_MATTER:
        return account_refused(reason, _BAD_REQUEST)
    if status == _BAD_REQUEST and said.message:
        return BadRequest(said.message, code=said.code)
    if status == _TOO_MANY:
        return ProviderError(
            reason, status=503, code="provider_busy", upstream_status=status, retry_after_s=said.retry_after_s
        )
    return ProviderError(reason, upstream_status=status)


_BAD_REQUEST = 400
_TOO_MANY = 429
_TOO_LONG = re.compile(r"\bexceeds the maximum number of tokens|\bmaximum number of tokens allowed", re.IGNORECASE)
_OF_KEYS = re.compile(r"\bAPI[ _]key\b", re.IGNORECASE)


def _said(error: _Error) -> Said:
    message = error.message or ""
    if _is_of_keys(error):
        code = _KEY_REFUSED
    elif _TOO_LONG.search(message):
        code = "context_length_exceeded"
    elif error.status in (None, "INVALID_ARGUMENT"):
        code = None
    else:
        code = error.status.lower()
    fields = [detail.get("fieldViolations") for detail in error.details]
    field = next((name for violations in fields if (name := _first_field(violations)) is not None), None)
    delays = [_seconds(detail.get("retryDelay")) for detail in error.details]
    return Said(error.message, code, field, next((delay for delay in delays if delay is not None), None))


def _is_of_keys(error: _Error) -> bool:
    reasons = {str(detail.get("reason")) for detail in error.details}
    if any(reason.startswith("API_KEY_") for reason in reasons):
        return True
    return error.status == "INVALID_ARGUMENT" and _OF_KEYS.match(error.message or "") is not None


def _first_field(violations: Any) -> str | None:
    match violations:
        case [{"field": str() as field}, *_] if field:
            return field
        case _:
            return None


def _seconds(delay: Any) -> float | None:
    """A duration as protobuf writes it in JSON: "17s", "0.5s"."""
    if not isinstance(delay, str) or not delay.endswith("s"):
        return None
    try:
        seconds = float(delay[:-1])
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= _MOST_RETRY_AFTER_S else None


_MOST_RETRY_AFTER_S = 99_999.0


# --- fields, under the names that callers know ----------------------------------------------------


def param_of(field: str, dialect: Literal["chat", "responses"]) -> str | None:
    """The parameter that a caller calls so what Gemini calls `field`; None where it has none."""
    names = re.sub(r"\[[^\]]*\]", "", field).replace("_", "").lower().split(".")
    known = _PARAMS.get(names[1] if names[0] == "generationconfig" and len(names) > 1 else names[0])
    return None if known is None else known[dialect]


def _alike(name: str) -> dict[str, str]:
    return {"chat": name, "responses": name}


_ITEMS = {"chat": "messages", "responses": "input"}
_FORMAT = {"chat": "response_format", "responses": "text.format"}
_PARAMS = {
    "contents": _ITEMS,
    "systeminstruction": _ITEMS,
    "tools": _alike("tools"),
    "toolconfig": _alike("tool_choice"),
    "temperature": _alike("temperature"),
    "topp": _alike("top_p"),
    "topk": _alike("top_k"),
    "seed": _alike("seed"),
    "stopsequences": _alike("stop"),
    "candidatecount": _alike("n"),
    "presencepenalty": _alike("presence_penalty"),
    "frequencypenalty": _alike("frequency_penalty"),
    "responselogprobs": _alike("logprobs"),
    "logprobs": _alike("top_logprobs"),
    "maxoutputtokens": {"chat": "max_completion_tokens", "responses": "max_output_tokens"},
    "responsemimetype": _FORMAT,
    "responsejsonschema": _FORMAT,
    "thinkingconfig": {"chat": "reasoning_effort", "responses": "reasoning.effort"},
    "safetysettings": _alike("safetySettings"),
    "cachedcontent": _alike("cachedContent"),
}
