"""What providers answer instead of an answer becomes an error of ours: whose matter it is, and when to come back.

Their words are told where the request is at fault, without our key and their address.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import msgspec
from yarl import URL

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError, TooLarge, Unprocessable
from frontdesk.providers.upstream import UpstreamResponse

_ERROR_TIMEOUT_S = 3.0  # for the body of a refusal: its status says enough to go on
_MAX_ERROR_BYTES = 64 * 1024
_MAX_MESSAGE = 2000
_MAX_CODE = 80
_MAX_PARAM = 200
_MAX_REASON = 300
_MOST_RETRY_AFTER_S = 99_999.0
_OK = 200
_TOO_MANY = frozenset({429, 529})  # Anthropic calls an overload 529
# Our key and our account, between our operator and the vendor: to ask again is of no use.
_OURS = frozenset({401, 402, 403})
SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""OpenAI's codes, with a 429, of an account that is not served: it is not that the server is busy."""
_CALLERS_MATTER: dict[int, type[BadRequest | TooLarge | Unprocessable]] = {
    400: BadRequest,
    413: TooLarge,
    422: Unprocessable,
}


class Said(msgspec.Struct, frozen=True):
    """What the body of a refusal says. When to come back, a header says better."""

    message: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None


class Refusals:
    """Reads the refusals of one provider. `parse` reads its error body; a body that says nothing is `Said()`.

    `judge` is asked first whose matter a refusal is, by its status and what it says; None leaves that to the status.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        clock: Clock,
        parse: Callable[[bytes], Said],
        error_timeout_s: float = _ERROR_TIMEOUT_S,
        judge: Callable[[int, Said], FrontdeskError | None] = lambda _status, _said: None,
    ) -> None:
        self._secrets = tuple(secret for secret in (api_key, base_url, URL(base_url).host) if secret)
        self._clock = clock
        self._parse = parse
        self._error_timeout_s = error_timeout_s
        self._judge = judge

    async def accepted(self, response: UpstreamResponse) -> UpstreamResponse:
        """Return the beginning of an answer. Raises the error of a refusal, and lets go of it."""
        if response.status == _OK:
            return response
        with response:
            raise await self.error_of(response)

    async def error_of(self, response: UpstreamResponse) -> FrontdeskError:
        """Read a refusal and return the error to raise for it."""
        return self.error_for(response, await self.read(response))

    async def read(self, response: UpstreamResponse) -> Said:
        """What the body of a refusal says, redacted; nothing where it cannot be read, for its status says enough."""
        try:
            async with asyncio.timeout(self._error_timeout_s):
                said = self._parse(await response.read_all(_MAX_ERROR_BYTES))
        except (ProviderError, TimeoutError):
            return Said()
        return Said(
            said.message and self._told(said.message, _MAX_MESSAGE),
            said.code and self._told(said.code, _MAX_CODE),
            said.param and self._told(said.param, _MAX_PARAM),
            said.retry_after_s,
        )

    def error_for(self, response: UpstreamResponse, said: Said) -> FrontdeskError:
        """The error to raise for a refusal that was read: the caller's matter where its status says so."""
        status = response.status
        judged = self._judge(status, said)
        if judged is not None:
            return judged
        if status in _CALLERS_MATTER:
            kind = _CALLERS_MATTER[status]
            return kind(
                said.message or f"The model's provider refused the request with status {status}.",
                code=said.code or kind.code,
                param=said.param,
            )
        reason = f"status {status}, code {said.code!r}"
        if status in _OURS or (status in _TOO_MANY and said.code in SPENT):
            return account_refused(reason, status)
        retry_after_s = self._retry_after_s(response)
        if retry_after_s is None:
            retry_after_s = said.retry_after_s
        if status in _TOO_MANY:
            return ProviderError(
                reason, status=503, code="provider_busy", upstream_status=status, retry_after_s=retry_after_s
            )
        return ProviderError(
            reason,
            upstream_status=status,
            retry_after_s=retry_after_s if status >= 500 else None,
        )

    def redacted(self, error: FrontdeskError) -> FrontdeskError:
        """An error that was found inside an answer, and may be told in the provider's words."""
        if isinstance(error, ProviderError):
            error.reason = self._told(error.reason, _MAX_REASON)
            return error
        return BadRequest(
            self._told(error.message, _MAX_MESSAGE),
            code=self._told(error.code, _MAX_CODE),
            param=error.param and self._told(error.param, _MAX_PARAM),
        )

    def _told(self, text: str, limit: int) -> str:
        """Return a provider's words without our key and its address; cut only then, for half a key is not found."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:limit]

    def _retry_after_s(self, response: UpstreamResponse) -> float | None:
        """When to come back (RFC 9110 §10.2.3: seconds, or a date); some say it in milliseconds."""
        milliseconds = _number(response.header("Retry-After-Ms"))
        if milliseconds is not None:
            return milliseconds / 1000
        said = response.header("Retry-After")
        seconds = _number(said)
        if seconds is not None or said is None:
            return seconds
        try:
            return min(max(0.0, parsedate_to_datetime(said).timestamp() - self._clock.now()), _MOST_RETRY_AFTER_S)
        except (ValueError, TypeError, OverflowError):
            return None


def account_refused(reason: str, upstream_status: int) -> ProviderError:
    """The error for a key that is not taken, or an account that is not served: only an operator can mend that."""
    error = ProviderError(reason, upstream_status=upstream_status)
    error.message = (
        "The AI service behind this model refuses to serve this server. Whoever runs the server has to see to it; "
        "until then, use another model."
    )
    error.should_retry = False
    return error


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= _MOST_RETRY_AFTER_S * 1000 else None
