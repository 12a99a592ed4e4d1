"""How servers of OpenAI's dialects refuse: each in its own shape and words, read into one.

    OpenAI, Azure, Groq, DeepSeek, Together, llama.cpp    {"error": {"message", "code", "param", "type"}}
    OpenRouter                the same; the code is a status, and what the server behind it said is in "metadata"
    vLLM before 0.10, Mistral {"object": "error", "message": "…" or {"detail": [...]}, "code", "type"}
    FastAPI                   {"detail": "…"} or {"detail": [{"loc": ["body", "n"], "msg": "…"}]}
    Azure's gateway           {"statusCode": 401, "message": "…"}

Whose matter a refusal is, its status says (`refusals`), but for what `judged` knows better.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.refusals import Said

_decode = msgspec.json.Decoder(dict[str, Any]).decode

TOO_LONG = "context_length_exceeded"
# Of vLLM, DeepSeek and OpenAI; Mistral; llama.cpp; Together and TGI; Anthropic and Gemini behind OpenRouter.
_SAYS_TOO_LONG = re.compile(
    r"(?:maximum|model'?s|available|exceed\w*|limited?) (?:\w+ ){0,3}context[ _](?:length|size|window)"
    r"|context[ _](?:length|size|window) (?:\w+ ){0,3}exceed|exceed_context_size|context_length_exceeded"
    r"|`inputs` tokens \+ `max_new_tokens`|prompt is too long|input token count .{0,60}exceeds|reduce the length of",
    re.IGNORECASE,
)


def read_error(body: bytes) -> Said:
    """Read the body of a refusal; a body that says nothing is `Said()`."""
    try:
        fields = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Said()
    error = fields.get("error", fields)
    said = Said(error) if isinstance(error, str) else _said(_object(error))
    about = f"{said.code} {_object(error).get('type')} {said.message}"
    return msgspec.structs.replace(said, code=TOO_LONG) if _SAYS_TOO_LONG.search(about) else said


def _said(error: dict[str, Any]) -> Said:
    metadata = _object(error.get("metadata"))
    behind = metadata.get("raw")
    if isinstance(behind, str) and behind:  # what the server said that OpenRouter asked
        inner = read_error(behind.encode())
        return inner if inner.message is not None else Said(behind, _code(error), _param(error))
    message = error.get("message", error.get("detail"))
    detail = _object(message).get("detail", message)
    if isinstance(detail, list):
        return _complaint(cast("list[Any]", detail))
    code = "content_filter" if "flagged_input" in metadata else _code(error)
    return Said(detail if isinstance(detail, str) else None, code, _param(error))


def _complaint(details: list[Any]) -> Said:
    """What FastAPI and pydantic complain of first: a place, and what is wrong there."""
    first = _object(next(iter(details), None))
    place = first.get("loc")
    names = [str(name) for name in cast("list[Any]", place) if name != "body"] if isinstance(place, list) else []
    param, words = ".".join(names) or None, first.get("msg")
    if not isinstance(words, str):
        return Said(param=param)
    return Said(words if param is None else f"{param}: {words}", None, param)


def _code(error: dict[str, Any]) -> str | None:
    """The error's code. A status is none: it stands elsewhere."""
    code = error.get("code")
    return code if isinstance(code, str) and code else None


def _param(error: dict[str, Any]) -> str | None:
    param = error.get("param")
    return param if isinstance(param, str) else None if param is None else str(param)


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


# --- whose matter it is -------------------------------------------------------------------------

_BAD = frozenset({400, 404, 422})
# The model failed to write JSON or a call (Groq): asked again, or another one, it may not.
_MISWRITTEN = frozenset({"json_validate_failed", "tool_use_failed", "output_parse_failed"})
# A 400 for what stands in the configuration, or is between its operator and the vendor.
_OPERATORS = frozenset(
    {
        "billing_hard_limit_reached",
        "billing_not_active",
        "invalid_model",
        "model_decommissioned",
        "model_not_active",
        "model_not_found",
        "organization_restricted",
    }
)
_NO_SUCH_MODEL = re.compile(r"^(?:Model Not Exist|Invalid model: |.{1,200} is not a valid model ID)", re.IGNORECASE)
_NO_SUCH_ENDPOINT = re.compile(r"^No endpoints found that (?:can handle|support)", re.IGNORECASE)
_NO_ROOM = 498  # Groq's, of its flexible tier


def judged(status: int, said: Said) -> FrontdeskError | None:
    """The error for a refusal whose status alone would blame the wrong side; None for all others."""
    message = said.message or ""
    reason = f"status {status}, code {said.code!r}"
    if status == _NO_ROOM or (status == 413 and said.code == "rate_limit_exceeded"):
        return ProviderError(reason, status=503, code="provider_busy", upstream_status=status)
    if status == 400 and said.code in _MISWRITTEN:
        return ProviderError(reason, code="invalid_structured_output", upstream_status=status)
    if status in _BAD and (said.code in _OPERATORS or _NO_SUCH_MODEL.search(message)):
        return ProviderError(reason, upstream_status=status)
    if status == 404 and _NO_SUCH_ENDPOINT.search(message):  # OpenRouter: no server has all that was asked for
        return BadRequest(message, code="unsupported_parameter")
    if status == 403 and said.code == "content_filter":
        return BadRequest(message, code="content_filter")
    return None


_NAMES_SCHEMAS = re.compile(r"json_schema|response[_ ]format|structured[_ ]output", re.IGNORECASE)
_SAYS_LACKING = re.compile(
    r"(?:\bnot|n't|\bun)[ -]?(?:support|available|implement)|\bonly (?:supports?|allow)", re.IGNORECASE
)


def lacks_schemas(error: BadRequest) -> bool:
    """Whether a refusal says that the model is bound to no schema, and not that the schema is a bad one."""
    if error.code == "unsupported_parameter" and error.param is None:
        return True  # one of those that were asked for, and none of them can be left out more easily
    named = bool(_NAMES_SCHEMAS.search(f"{error.param} {error.message}"))
    return named and _SAYS_LACKING.search(error.message) is not None
