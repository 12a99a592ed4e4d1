"""The errors that a caller may see, as one tree.

    FrontdeskError              carries status, code, type, param and a public message
    ├── Refused                 the caller's matter, 4xx
    │   ├── BadRequest          400  the request cannot be understood or is not supported
    │   ├── Unauthenticated     401  no credential, or one that is forged, expired or revoked
    │   ├── Forbidden           403  a good credential that may not do this
    │   ├── NotFound            404  unknown or disallowed model, unknown route, another's object
    │   ├── MethodNotAllowed    405
    │   ├── TooSlow             408  the request did not arrive in time
    │   ├── Conflict            409  the thing is not as the request takes it to be; may carry retry_after_s
    │   ├── TooLarge            413  the body is larger than the limit
    │   ├── Unprocessable       422  a provider or a rule understood the request and declined it
    │   ├── RateLimited         429  carries retry_after_s
    │   └── QuotaSpent          429  money; asking again soon is of no use
    ├── Unavailable             503  Frontdesk itself cannot serve now; carries retry_after_s
    └── ProviderError           502  a provider failed; 504 for a time-out, 503 when it is busy

Everything else is a bug: it is logged once and answered with 500, `internal_error`.
Messages reach people: they name the thing, the value and the remedy, and never hold a key,
an address of a provider or a stack.
"""

from __future__ import annotations

from typing import Any


class FrontdeskError(Exception):
    """An error that is told to the caller in OpenAI's shape."""

    status = 500
    code = "internal_error"
    type = "server_error"
    # Said to the caller in a header, where it is not what the status means (OpenAI's SDKs try 429 again).
    should_retry: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        if should_retry is not None:
            self.should_retry = should_retry

    def body(self) -> dict[str, Any]:
        """The error as OpenAI's error body."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class Refused(FrontdeskError):
    """The caller's matter."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class BadRequest(Refused):
    """The request cannot be understood, or asks for what is not supported."""


class Unauthenticated(Refused):
    """No credential, or one that is forged, expired or revoked."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class Forbidden(Refused):
    """A good credential that may not do this."""

    status = 403
    code = "forbidden"
    type = "permission_error"


class NotFound(Refused):
    """Not there, or not the caller's to know of."""

    status = 404
    code = "not_found"


class MethodNotAllowed(Refused):
    """The path exists, with other methods."""

    status = 405
    code = "method_not_allowed"


class TooSlow(Refused):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"


class Conflict(Refused):
    """What the request is about is being changed, or has changed: it may be asked again, knowing that."""

    status = 409
    code = "conflict"


class AskedBefore(Conflict):
    """The request was made before, under the same key. Whoever knows what became of that answers with it."""

    code = "idempotency_key_in_use"


class TooLarge(Refused):
    """The body is larger than the limit."""

    status = 413
    code = "request_too_large"


class Unprocessable(Refused):
    """Understood and declined."""

    status = 422
    code = "unprocessable"


class RateLimited(Refused):
    """A limit of the caller's is reached for now."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class QuotaSpent(Refused):
    """Money that a budget does not have: until its period ends, asking again is of no use."""

    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"
    should_retry = False


class Unavailable(FrontdeskError):
    """Frontdesk itself cannot serve this now."""

    status = 503
    code = "server_overloaded"


def store_unavailable() -> Unavailable:
    """The error for whatever needs the store while it cannot be written or read."""
    return Unavailable(
        "The server cannot store anything at the moment. Its operator was told; try again later.",
        code="store_unavailable",
        retry_after_s=30,
    )


class ProviderError(FrontdeskError):
    """A provider failed in a way that another provider may not.

    `reason` is for logs and rows only: it may name the provider, never its key or address. Where the request
    never left (`is_sent` is False), it cost nothing.
    """

    status = 502
    code = "provider_error"

    def __init__(
        self,
        reason: str,
        *,
        code: str | None = None,
        status: int | None = None,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        is_sent: bool = True,
    ) -> None:
        super().__init__(
            _PROVIDER_WORDS.get(status or self.status, _PROVIDER_WORDS[502]),
            code=code,
            status=status,
            retry_after_s=retry_after_s,
        )
        self.reason = reason
        self.upstream_status = upstream_status
        self.is_sent = is_sent

    def __str__(self) -> str:
        return self.reason


class ProviderFull(ProviderError):
    """All of a provider's places are taken, and so is where one waits for them, or it would take too long.

    Nothing was sent, and it says nothing of how the provider is.
    """

    status = 503
    code = "server_overloaded"

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, status=503, code=self.code, retry_after_s=retry_after_s, is_sent=False)
        self.message = "Too many requests are waiting for this model. Try again later."


class ProviderResting(ProviderError):
    """A provider failed so often that it is left alone for now: nothing was sent."""

    status = 503
    code = "provider_unavailable"

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, status=503, code=self.code, retry_after_s=retry_after_s, is_sent=False)
        self.message = "The AI service behind this model fails at the moment. Try again in a moment."


_PROVIDER_WORDS = {
    502: "The AI service behind this model did not answer properly. Try again.",
    503: "The AI service behind this model is busy. Try again in a moment.",
    504: "The AI service behind this model took too long to answer. Try again.",
}
