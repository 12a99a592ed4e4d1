"""Who calls, for doors and for routes alike."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from starlette.requests import Request

from frontdesk.core.errors import Forbidden
from frontdesk.http.requests import Head
from frontdesk.turn.turn import Caller


class Callers(Protocol):
    """Tells who calls."""

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a credential that was seen before and still holds."""
        ...

    def identify(self, authorization: bytes | None) -> Awaitable[Caller]:
        """The caller of any credential. Raises Unauthenticated."""
        ...


async def caller_of(request: Request, callers: Callers) -> Caller:
    """The caller of a request that Starlette serves. Raises Unauthenticated, BadRequest."""
    authorization = Head(request.scope["headers"]).authorization
    return callers.known(authorization) or await callers.identify(authorization)


async def server_of(request: Request, callers: Callers) -> Caller:
    """The caller, who must hold a secret key. Raises Unauthenticated, BadRequest, Forbidden."""
    caller = await caller_of(request, callers)
    if caller.kind != "server":
        raise Forbidden("This needs a secret key; a session token may not do it.")
    return caller
