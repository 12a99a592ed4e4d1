"""POSTs that are done once: what a route says of the header Idempotency-Key, and who is asked about it.

A key is its caller's and its route's. Where nobody in particular calls there is no one whose key it would be: then
the header means nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from frontdesk.http.requests import Head
from frontdesk.http.starlette import with_this_body
from frontdesk.idempotency.key import FormDigest, fingerprint_at, fingerprint_of
from frontdesk.turn.turn import Caller


class Reply(NamedTuple):
    """An answer, whole. `headers` are as ASGI has them."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Keyed(NamedTuple):
    """A request with a key, as its header has it.

    `credential` is what opens the answer besides, empty where the key does alone. With `may_repeat` doing it again
    does no harm, where nobody knows whether it was done.
    """

    caller: Caller
    route: str
    key: bytes
    credential: bytes
    may_repeat: bool


class DoneBefore(Exception):
    """It was done under this key already, and this was answered."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


Claim = Callable[[bytes], Awaitable[None]]
"""Claims the key for a request of this fingerprint. Raises DoneBefore, Refused."""
Work = Callable[[Claim], Awaitable[Reply]]
"""Does what is asked. It awaits the claim before it does anything that lasts, and lets through what that raises."""


class Idempotency(Protocol):
    """Knows what was done under which key."""

    def carry(self, keyed: Keyed, work: Work) -> Awaitable[Reply]:
        """Do some work, and keep its answer, where it was not done under this key; else return what was answered.

        Raises what `work` raises, and Refused where the key does not allow it. Once claimed, the work goes on
        when its caller is gone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Once:
    """How a route does things once. Of one that `is_secret` the answer is told again to its own credential alone.

    One that `may_repeat` is done again where a crash left in doubt whether it was done, the others are refused.
    Without `keys` none means anything.
    """

    keys: Idempotency | None
    may_repeat: bool = False
    is_secret: bool = False

    def is_for(self, head: Head, caller: Caller | None) -> bool:
        """Whether a request is to be done once."""
        return self.keys is not None and caller is not None and head.idempotency_key is not None

    async def carry(
        self, route: str, request: Request, caller: Caller, handler: Callable[[Request, Caller], Awaitable[Response]]
    ) -> Response:
        """Serve a request whose body is at hand."""
        body = await request.body()
        content_type = request.headers.get("content-type", "").encode("latin-1")

        async def work(claim: Claim) -> Reply:
            await claim(_at(request, fingerprint_of(body, content_type)))
            return _reply_of(await handler(with_this_body(request, body), caller))

        return _told(await self._carry(route, request, caller, work))

    async def carry_upload(
        self,
        route: str,
        request: Request,
        caller: Caller,
        handler: Callable[[Request, Callable[[], Awaitable[None]]], Awaitable[Response]],
    ) -> Response:
        """Serve a form that is read as it comes. The handler awaits what it is given when it has read all of it."""
        digest = FormDigest(request.headers.get("content-type", "").encode("latin-1"))

        async def receive() -> Message:
            message = await request.receive()
            digest.feed(message.get("body", b""))
            return message

        async def work(claim: Claim) -> Reply:
            def claimed() -> Awaitable[None]:
                return claim(_at(request, digest.finish()))

            return _reply_of(await handler(Request(request.scope, receive), claimed))

        return _told(await self._carry(route, request, caller, work))

    def _carry(self, route: str, request: Request, caller: Caller, work: Work) -> Awaitable[Reply]:
        head = Head(request.scope)
        credential = (head.authorization or b"") if self.is_secret else b""
        assert self.keys is not None  # as `is_for` says
        assert head.idempotency_key is not None
        return self.keys.carry(Keyed(caller, route, head.idempotency_key, credential, self.may_repeat), work)


def _at(request: Request, fingerprint: bytes) -> bytes:
    scope = request.scope
    return fingerprint_at(scope["path"], scope.get("query_string", b""), fingerprint)


def _reply_of(response: Response) -> Reply:
    return Reply(response.status_code, list(response.raw_headers), bytes(response.body))


def _told(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    response.raw_headers = list(reply.headers)
    return response
