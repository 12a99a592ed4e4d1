"""The way in: POSTs on the line go to their door by exact path, Starlette's router serves all else.

Both raise, and here alone it is answered: a FrontdeskError with its status in OpenAI's shape, a
store that fails with 503, a bug with 500 after it was logged once. Where an answer has begun, it can
only be logged; the protocol then closes the connection, so that nobody takes the answer for whole.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from frontdesk.core.errors import FrontdeskError, store_unavailable
from frontdesk.core.ids import new_id
from frontdesk.http.requests import ClientGone, Receive, Scope, Send, WrongMethod
from frontdesk.storage.errors import StorageError
from frontdesk.turn.sinks import Headers, send_error

_log = logging.getLogger("frontdesk.http")


class Door(Protocol):
    """What serves requests."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or raise before anything was sent."""
        ...


class Edge:
    """The ASGI application under CORS. `doors` answer POST at their paths."""

    def __init__(self, doors: Mapping[str, Door], rest: Door) -> None:
        self._doors = doors
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request: the server sends neither WebSockets nor the lifespan here."""
        has_begun = False

        def send_on(message: dict[str, Any]) -> Awaitable[None]:
            nonlocal has_begun
            has_begun = True
            return send(message)

        try:
            await self._serve(scope, receive, send_on)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the one place that answers what is raised
            answer, headers = _answer(error, scope["path"], has_begun=has_begun)
            if not has_begun:
                await send_error(send, answer, headers)

    def _serve(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path = scope["path"]
        door = self._doors.get(path)
        if door is None:
            return self._rest(scope, receive, send)
        if scope["method"] != "POST":
            raise WrongMethod(path, scope["method"], "POST")
        return door(scope, receive, send)


def _answer(error: Exception, path: str, *, has_begun: bool) -> tuple[FrontdeskError, Headers]:
    """What to tell of an error; logs what is no caller's matter."""
    request_id = new_id("req_")
    headers = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
    if isinstance(error, WrongMethod):
        headers.append((b"allow", error.allow.encode()))
    if isinstance(error, StorageError):
        _log.error("store_failed path=%s request_id=%s reason=%s", path, request_id, error)
        return store_unavailable(), headers
    if isinstance(error, FrontdeskError) and not has_begun:
        return error, headers
    _log.error("route_broke path=%s request_id=%s", path, request_id, exc_info=error)
    return FrontdeskError("Something went wrong here. It was logged; try again."), headers
