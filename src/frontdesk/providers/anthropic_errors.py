"""What Anthropic says when it does not answer: `{"type": "error", "error": {"type", "message"}}`.

A status of 400 is not always the caller's matter: it may be that of the account that asks.
"""

from __future__ import annotations

import re

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.refusals import Said, account_refused

_BAD_REQUEST = 400
_BUSY = {"overloaded_error": 529, "rate_limit_error": 429}
# messages.0.content.1.image.source: …   tools.0.custom.input_schema: …   max_tokens: …
_FIELD = re.compile(r"^`?([a-z_]+(?:\.[a-z0-9_]+)*)`?:\s")
_TOO_LONG = re.compile(
    r"prompt is too long|exceed\w* (?:the )?(?:context|model.s context)|input length and", re.IGNORECASE
)
_ACCOUNT = re.compile(
    r"credit balance|\bbilling\b|\b(?:your|this) (?:organization|workspace)|data retention|anthropic-(?:version|beta)",
    re.IGNORECASE,
)


class _Error(msgspec.Struct, frozen=True):
    type: str | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    error: _Error = _Error()


_decode = msgspec.json.Decoder(_Body).decode


def parsed_error(body: bytes) -> Said:
    """Read an error's body; `param` is Anthropic's own path of a field."""
    try:
        error = _decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Said()
    message = error.message or ""
    field = _FIELD.match(message)
    is_requests = error.type in (None, "invalid_request_error", "request_too_large")
    return Said(error.message, _code_of(message) or (None if is_requests else error.type), field and field[1])


def failure_of(error: object) -> FrontdeskError:
    """The error that is reported inside an answer, by its type: BadRequest or ProviderError.

    It tells the provider's words as they came, of any length; they may name its address or our key.
    """
    try:
        typed = msgspec.convert(error, _Error)
    except msgspec.ValidationError:
        typed = _Error()
    reason = f"the provider reports an error inside its answer: {typed.type!r}"
    if typed.type in _BUSY:
        return ProviderError(reason, status=503, code="provider_busy", upstream_status=_BUSY[typed.type])
    if typed.type != "invalid_request_error" or not typed.message:
        return ProviderError(reason)
    if is_accounts_matter(typed.message):
        return account_refused(reason, _BAD_REQUEST)
    return BadRequest(typed.message, code=_code_of(typed.message))


def is_accounts_matter(message: str) -> bool:
    """Whether a request was turned down for the account that asks, and not for what it asks."""
    return _ACCOUNT.search(message) is not None


def _code_of(message: str) -> str | None:
    """OpenAI's code of what a message says is wrong with a request, where it has one."""
    return "context_length_exceeded" if _TOO_LONG.search(message) else None
