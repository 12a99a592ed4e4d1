"""WebSockets at the edge: who may open one, for how long, and what its door sees of it.

A handshake is a GET that offers `websocket`. It is answered as any request, with a status and OpenAI's error
body, until its door takes the offer. What counts as its credential, the first of these:

    Authorization              as everywhere; it may not come with a token beside it
    a token as subprotocol     for browsers, which can set no header here: `frontdesk.token.TOKEN`, or as OpenAI's
                               clients write it `openai-insecure-api-key.TOKEN`. Beside it stands what is spoken,
                               `frontdesk` or `realtime`: a browser wants one of its offers selected, and the token is
                               never said back. All our tokens, and those of identity providers, are tokens to HTTP as
                               well (RFC 9110 §5.6.2), so they stand there as they are
    the session cookie         where cookies are on, from a page of this very site or of `cors.origins` alone. A browser
                               sends it with any page's handshake, and no page can send a CSRF token with that

A socket may outlive its credential. So it is asked again at every message, and of all sockets every 3 s: the end is
4401, or 4403 where it may no longer do this. Close codes of refusals are 4000 + the status of their error.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from websockets.utils import accept_key

from frontdesk.core.errors import (
    BadRequest,
    Forbidden,
    FrontdeskError,
    Refused,
    Unauthenticated,
    Unavailable,
    store_unavailable,
)
from frontdesk.core.tasks import Tasks
from frontdesk.http.callers import Callers, May, may_of
from frontdesk.http.protocol import Upgrade
from frontdesk.http.requests import ClientGone, Head, Receive, Scope, Send, UpgradeNeeded
from frontdesk.http.socket_protocol import INTERNAL_ERROR, SERVICE_RESTART, SocketProtocol
from frontdesk.storage.errors import StorageError
from frontdesk.turn.turn import Caller

NORMAL = 1000
TRY_AGAIN_LATER = 1013
_REFUSED = 4000  # and the status of the error: from here on codes are an application's own (RFC 6455 §7.4.2)
_LOOK_EVERY_S = 3.0
_LOOKS_AT_ONCE = 100
_SPOKEN = (b"frontdesk", b"realtime")
_TOKENS = (b"frontdesk.token.", b"openai-insecure-api-key.")
_log = logging.getLogger("frontdesk.http")


class SocketCallers(Callers, Protocol):
    """Tells who calls: `Gate`."""

    def check_origin(self, head: Head) -> None:
        """Raise Forbidden for a page of an origin that may use no cookies here."""
        ...


class Socket:
    """An open WebSocket, as its door sees it. One task receives, any may send.

    `caller` is who calls by the newest look at the credential: a tier may change while a socket is open.
    """

    __slots__ = ("_callers", "_may", "_protocol", "caller", "head", "scope")

    def __init__(
        self, protocol: SocketProtocol, caller: Caller, head: Head, scope: Scope, callers: Callers, may: May
    ) -> None:
        self.caller = caller
        self.head = head
        self.scope = scope
        self._protocol = protocol
        self._callers = callers
        self._may = may

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._protocol.is_closed

    @property
    def is_ending(self) -> bool:
        """Whether the server takes nothing new: finish what is under way."""
        return self._protocol.is_ending

    async def receive(self) -> str | bytes | None:
        """The next message; None where no more will come.

        That is the end where the socket `is_closed`. Where it is not, the server is about to end: what is
        under way may still be sent, then its door returns. Raises StorageError, Unavailable where nobody can say
        whether the credential still holds.
        """
        message = await self._protocol.receive()
        if message is None or not await self.still_holds():
            return None
        return message

    async def send(self, *texts: str | bytes) -> None:
        """Send texts, each a message of its own, in one write; bytes are UTF-8 already.

        Waits while the peer does not read. Raises ClientGone where the socket is closed.
        """
        await self._protocol.send(*texts)

    async def until_writable(self) -> None:
        """Wait until `send_now` need not. Raises ClientGone where the socket is closed."""
        await self._protocol.until_writable()

    def send_now(self, *texts: str | bytes) -> bool:
        """Send texts that need not wait; False where they would, or the socket is closed, and nothing was sent."""
        return self._protocol.send_now(*texts)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the end: at most 123 bytes of a reason are sent. Does nothing where it has begun."""
        self._protocol.close(code, reason)

    @property
    def is_known_to_hold(self) -> bool:
        """Whether the credential does, and its caller is who it was; where not, `still_holds` knows."""
        return self._callers.known(self.head) is self.caller

    async def still_holds(self) -> bool:
        """Whether the credential does, and its caller still may; closes the socket where not.

        Raises StorageError, Unavailable where nobody can say.
        """
        if self.is_closed:
            return False
        try:
            self.caller = self._callers.known(self.head) or await self._callers.identify(self.head)
            self._may.check(self.caller)
        except (Unauthenticated, Forbidden) as error:
            self.close(_REFUSED + error.status, error.code)
            return False
        return True


Serve = Callable[[Any], Awaitable[None]]
"""Serves a Socket until it returns. The annotation of its parameter `socket` says who may open one."""


class SocketDoor:
    """A door at which only these may open a socket."""

    __slots__ = ("_serve", "_sockets", "may")

    def __init__(self, sockets: Sockets, serve: Serve, may: May) -> None:
        self._sockets = sockets
        self._serve = serve
        self.may = may

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as every door
        """Serve a socket from its handshake to its end. Raises what the handshake is refused with."""
        socket = await self._sockets.open(scope, self.may)
        code, reason = SERVICE_RESTART, "service restart"  # unless it ends otherwise than by being cancelled
        try:
            await self._serve(socket)
            if not socket.is_ending:
                code, reason = NORMAL, ""
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - a request's errors are answered by Edge, a socket's here
            code, reason = _ending(error, scope["path"])
        finally:
            socket.close(code, reason)
            self._sockets.forget(socket)


class Sockets:
    """Opens sockets, whose messages have at most `limit_bytes`, and watches over those that are open."""

    def __init__(self, callers: SocketCallers, limit_bytes: int, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._callers = callers
        self._limit_bytes = limit_bytes
        self._look_every_s = look_every_s
        self._open: set[Socket] = set()
        self._tasks = Tasks("sockets")

    def door(self, serve: Serve) -> SocketDoor:
        """Make a door of what serves its sockets, to those whom its signature allows."""
        return SocketDoor(self, serve, may_of(serve, "socket"))

    async def open(self, scope: Scope, may: May) -> Socket:
        """Take the offer of a handshake. Raises Unauthenticated, Forbidden, BadRequest, UpgradeNeeded, ClientGone."""
        head = Head(scope)
        spoken = _take_offers(scope, head)
        caller = self._callers.known(head) or await self._callers.identify(head)
        if head.authorization is None:
            self._check_page(head)
        may.check(caller)
        headers = [(b"sec-websocket-accept", _accept(scope))]
        if spoken is not None:
            headers.append((b"sec-websocket-protocol", spoken))
        protocol = SocketProtocol(self._limit_bytes)
        upgrade: Upgrade = scope["frontdesk.upgrade"]
        upgrade(protocol, headers)
        socket = Socket(protocol, caller, head, scope, self._callers, may)
        self._open.add(socket)
        if not self._tasks:
            self._tasks.start("watch", self._watch())
        return socket

    def forget(self, socket: Socket) -> None:
        """Watch no longer over one that nobody serves any more."""
        self._open.discard(socket)

    async def close(self) -> None:
        """End the watch. The server closes the sockets."""
        await self._tasks.close()

    def _check_page(self, head: Head) -> None:
        if head.origin is None:
            raise Forbidden(
                "A session cookie opens a WebSocket for a page alone, and its browser sends an Origin. Others send "
                "'Authorization: Bearer' with the session's token.",
                code="csrf_failed",
            )
        self._callers.check_origin(head)

    async def _watch(self) -> None:
        while self._open:
            await asyncio.sleep(self._look_every_s)
            for number, socket in enumerate(tuple(self._open), 1):
                await _look_at(socket)
                if number % _LOOKS_AT_ONCE == 0:
                    await asyncio.sleep(0)


async def _look_at(socket: Socket) -> None:
    try:
        if not socket.is_known_to_hold:
            await socket.still_holds()
    except (FrontdeskError, StorageError):
        return  # nobody can say now; the next look asks again
    except Exception:  # noqa: BLE001 - one that cannot be looked at must not end the watch over the others
        _log.exception("socket_check_failed path=%s", socket.scope["path"])


def _take_offers(scope: Scope, head: Head) -> bytes | None:
    """Choose what is spoken among the subprotocols; a token among them becomes the head's authorization."""
    offers = [offer.strip() for value in _values(scope, b"sec-websocket-protocol") for offer in value.split(b",")]
    tokens = [offer.removeprefix(prefix) for offer in offers for prefix in _TOKENS if offer.startswith(prefix)]
    spoken = next((offer for offer in offers if offer in _SPOKEN), None)
    if len(tokens) + (head.authorization is not None) > 1:
        raise BadRequest(
            "The handshake has several credentials, in Authorization or among its subprotocols. Send one.",
            code="duplicate_credential",
        )
    if tokens:
        if spoken is None:
            raise BadRequest(
                "Offer 'frontdesk' or 'realtime' beside the subprotocol that holds the token: that one is never "
                "selected, and a browser wants one to be.",
                code="missing_subprotocol",
            )
        head.authorization = b"Bearer " + tokens[0]
    return spoken


def _accept(scope: Scope) -> bytes:
    """The proof that the handshake was read (RFC 6455 §4.2.2)."""
    if _values(scope, b"sec-websocket-version") != [b"13"]:
        raise UpgradeNeeded("The header Sec-WebSocket-Version must be 13, the version of RFC 6455.")
    keys = _values(scope, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise BadRequest("The header Sec-WebSocket-Key must be 16 bytes in base64.", code="invalid_handshake")
    return accept_key(keys[0].decode()).encode()


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


_KEY_BYTES = 16


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for each, value in scope["headers"] if each == name]


def _ending(error: Exception, path: str) -> tuple[int, str]:
    """The close code and reason of what a door raised; logs what is no caller's matter."""
    if isinstance(error, Refused):
        return _REFUSED + error.status, error.code
    if isinstance(error, StorageError):
        _log.error("store_failed path=%s reason=%s", path, error)
        return TRY_AGAIN_LATER, store_unavailable().code
    if isinstance(error, Unavailable):
        return TRY_AGAIN_LATER, error.code
    _log.error("socket_broke path=%s", path, exc_info=error)
    return INTERNAL_ERROR, FrontdeskError.code
