"""The way in: POSTs on the line and WebSockets go to their door by exact path, Starlette's router serves all else.

Both raise, and here alone it is answered: a FrontdeskError with its status in OpenAI's shape, a
store that fails with 503, a bug with 500 after it was logged once. Where an answer has begun, it can
only be logged; the protocol then closes the connection, so that nobody takes the answer for whole.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Collection, Mapping
from typing import Any, Protocol

from frontdesk.core.errors import FrontdeskError, store_unavailable
from frontdesk.core.ids import new_id
from frontdesk.http.clients import Clients
from frontdesk.http.requests import ClientGone, Receive, Scope, Send, UpgradeNeeded, WrongMethod
from frontdesk.storage.errors import StorageError
from frontdesk.turn.sinks import Headers, send_error

_log = logging.getLogger("frontdesk.http")


class Door(Protocol):
    """What serves requests."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or raise before anything was sent."""
        ...


class Edge:
    """The ASGI application under CORS. `doors` answer POST at their paths, `sockets` the offer of a WebSocket.

    A path that both serve answers a GET without an offer as doors do, one of a socket alone with 426. At those of
    doors that are `listed` the rest answers GET. `clients` may refuse what is under /api first.
    """

    def __init__(
        self,
        doors: Mapping[str, Door],
        rest: Door,
        sockets: Mapping[str, Door] | None = None,
        listed: Collection[str] = (),
        clients: Clients | None = None,
    ) -> None:
        self._doors = doors
        self._rest = rest
        self._sockets = sockets or {}
        self._listed = listed
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. A WebSocket's handshake is one, with "frontdesk.upgrade" in its scope."""
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
        path, method = scope["path"], scope["method"]
        if self._clients is not None and path.startswith("/api/"):
            self._clients.check(scope)
        if "frontdesk.upgrade" in scope and (socket := self._sockets.get(path)) is not None:
            return socket(scope, receive, send)
        door = self._doors.get(path)
        if door is not None:
            if method == "POST":
                return door(scope, receive, send)
            if path not in self._listed:
                raise WrongMethod(path, method, "POST")
            if method not in _READING:
                raise WrongMethod(path, method, "GET, HEAD, POST")
            return self._rest(scope, receive, send)
        if path not in self._sockets:
            return self._rest(scope, receive, send)
        if method != "GET":
            raise WrongMethod(path, method, "GET")
        raise UpgradeNeeded(f"{path} is a WebSocket's. Send 'Upgrade: websocket' and 'Connection: Upgrade'.")


def _answer(error: Exception, path: str, *, has_begun: bool) -> tuple[FrontdeskError, Headers]:
    """What to tell of an error; logs what is no caller's matter."""
    request_id = new_id("req_")
    headers = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
    if isinstance(error, WrongMethod):
        headers.append((b"allow", error.allow.encode()))
    if isinstance(error, UpgradeNeeded):
        headers += [(b"upgrade", error.wanted), (b"connection", b"Upgrade"), *_BESIDE.get(error.wanted, [])]
    if isinstance(error, StorageError):
        _log.error("store_failed path=%s request_id=%s reason=%s", path, request_id, error)
        return store_unavailable(), headers
    if isinstance(error, FrontdeskError) and not has_begun:
        return error, headers
    _log.error("route_broke path=%s request_id=%s", path, request_id, exc_info=error)
    return FrontdeskError("Something went wrong here. It was logged; try again."), headers


_READING = ("GET", "HEAD")
_BESIDE: dict[bytes, Headers] = {b"websocket": [(b"sec-websocket-version", b"13")]}
