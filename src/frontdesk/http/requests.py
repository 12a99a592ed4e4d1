"""A request's head, read once; its body, read within a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from frontdesk.core.errors import BadRequest, FrontdeskError, MethodNotAllowed, TooLarge

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up before its request was whole; nobody is there to be answered."""


class WrongMethod(MethodNotAllowed):
    """The path answers other methods; `allow` names them for the header (RFC 9110 §10.2.1)."""

    def __init__(self, path: str, method: str, allow: str) -> None:
        super().__init__(f"{path} does not answer {method}, but {allow}.")
        self.allow = allow


class Head:
    """The headers that we decide by. Raises BadRequest where one came twice: neither counts more."""

    __slots__ = ("authorization", "content_length", "feature")

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.authorization: bytes | None = None
        self.content_length: bytes | None = None
        self.feature: bytes | None = None
        for name, value in headers:
            if name == b"authorization":
                if self.authorization is not None:
                    raise _duplicate("Authorization")
                self.authorization = value
            elif name == b"content-length":
                self.content_length = value
            elif name == b"frontdesk-feature":
                if self.feature is not None:
                    raise _duplicate("Frontdesk-Feature")
                self.feature = value


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
