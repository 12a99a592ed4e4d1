"""A request's head, read once; its body, read within a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from frontdesk.core.errors import BadRequest, FrontdeskError, MethodNotAllowed, Refused, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up before its request was whole, or a message sent; nobody is there to be answered."""


class WrongMethod(MethodNotAllowed):
    """The path answers other methods; `allow` names them for the header (RFC 9110 §10.2.1)."""

    def __init__(self, path: str, method: str, allow: str) -> None:
        super().__init__(f"{path} does not answer {method}, but {allow}.")
        self.allow = allow


class UpgradeNeeded(Refused):
    """The path is a WebSocket's, in its one version (RFC 9110 §15.5.22, RFC 6455 §4.4)."""

    status = 426
    code = "upgrade_required"
    wanted = b"websocket"  # a 426 must say what would do


class ClientTooOld(UpgradeNeeded):
    """The app speaks an older version of our protocol than is served."""

    code = "client_too_old"
    wanted = b"frontdesk/1"
    should_retry = False


class Head:
    """What of a request's line and headers we decide by.

    Raises BadRequest where a header that decides came twice: neither counts more.
    """

    __slots__ = (
        "attestation",
        "authorization",
        "content_length",
        "context",
        "cookie",
        "csrf",
        "events",
        "feature",
        "host",
        "idempotency_key",
        "is_secure",
        "last_event_id",
        "method",
        "origin",
        "priority",
        "timeout",
    )

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.is_secure = scope["scheme"] == "https"
        self.attestation: bytes | None = None
        self.authorization: bytes | None = None
        self.content_length: bytes | None = None
        self.context: bytes | None = None
        self.cookie: bytes | None = None
        self.csrf: bytes | None = None
        self.events: bytes | None = None
        self.feature: bytes | None = None
        self.host: bytes | None = None
        self.idempotency_key: bytes | None = None
        self.last_event_id: bytes | None = None
        self.origin: bytes | None = None
        self.priority: bytes | None = None
        self.timeout: bytes | None = None
        for name, value in scope["headers"]:
            field = _DECIDING.get(name)
            if field is not None:
                if getattr(self, field) is not None:
                    raise _duplicate(name.decode().title())
                setattr(self, field, value)


_DECIDING = {
    b"authorization": "authorization",
    b"content-length": "content_length",
    b"cookie": "cookie",
    b"frontdesk-attestation": "attestation",
    b"frontdesk-context": "context",
    b"frontdesk-csrf": "csrf",
    b"frontdesk-events": "events",
    b"frontdesk-feature": "feature",
    b"frontdesk-priority": "priority",
    b"frontdesk-timeout": "timeout",
    b"host": "host",
    b"last-event-id": "last_event_id",
    b"idempotency-key": "idempotency_key",
    b"origin": "origin",
    b"x-firebase-appcheck": "attestation",  # what Firebase's own SDKs send
}


async def read_body(receive: Receive, head: Head, limit_bytes: int) -> bytes:
    """Return the whole body.

    Raises TooLarge as soon as it is known, before reading where the length was told; what still
    comes is thrown away by the protocol. Raises ClientGone at a hang-up.
    """
    told = head.content_length
    if told is not None and told.isdigit() and int(told) > limit_bytes:
        raise _too_large(limit_bytes)
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        return body
    pieces = [body]
    size_bytes = len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise _too_large(limit_bytes)
    return b"".join(pieces)


def _duplicate(header: str) -> FrontdeskError:
    return BadRequest(f"The header {header} came twice. Send it once.", code="duplicate_header")


def _too_large(limit_bytes: int) -> FrontdeskError:
    return TooLarge(f"The request's body is larger than {limit_bytes / 1_048_576:g} MB. Send less at once.")
