"""uvicorn's HTTP protocol with patience that ends: slow senders, slow readers, malformed requests.

One sweep, twice a second, looks at every connection:

    headers     must be whole `header_timeout_s` after their first byte
    body        must be whole `body_timeout_s` after the headers, a second more per 4 kB that came
    reader      may leave a full send buffer untouched for `slow_reader_s`
    nothing     may be asked for 75 s between two requests

Of thousands most are streams in which nothing happens: while a request is being answered and its reader keeps up, no
patience is used up. Such a connection rests, and is not looked at until it stirs.

The first two are answered with 408 in OpenAI's shape where nothing was sent yet. All close the
connection, which the request's handler sees as a hang-up.

A client may send its next request before the last one is answered (RFC 9112 §9.3.2). uvicorn queues
it; its clock stands still meanwhile, and what is wrong with it never breaks into the answer that is
under way: the connection then closes behind that answer. At a hang-up every request of the
connection is told, not the newest alone.

A server may ignore the offer of another protocol (RFC 9110 §7.8); Java's client offers h2c with every
POST. The parser has no way to: it ends such a request with its headers, and says where. So that end is
passed over here, and the parser is given the head again without the offer, then what comes behind it.
Where a GET offered `websocket`, its scope has "frontdesk.upgrade", an `Upgrade`: who serves it may still
take the offer, and the connection speaks HTTP no more. Who does not has a request as any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httptools
import msgspec
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from frontdesk.core.errors import BadRequest, FrontdeskError, TooSlow, Unavailable
from frontdesk.http.requests import ClientGone

MIN_BODY_RATE_BYTES_S = 4096
_SWEEP_EVERY_S = 0.5
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
_MAX_HEADER_BYTES = 64 * 1024
_KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds."""

    header_timeout_s: float
    body_timeout_s: float
    slow_reader_s: float


class Successor(Protocol):
    """What takes a connection over when it speaks HTTP no more."""

    def take_over(self, transport: asyncio.Transport, connections: set[Any], patience: Patience) -> None:
        """Become the transport's protocol, and one of the connections that the sweep looks at."""
        ...


Upgrade = Callable[[Successor, Iterable[tuple[bytes, bytes]]], None]
"""Answer a handshake with 101 and these headers, and give the connection away.

Raises BadRequest, ClientGone; Unavailable where the server is about to end."""


class PatientProtocol(HttpToolsProtocol):
    """One connection."""

    # With them uvicorn's own attributes stay few enough for a dict that shares its keys (1 kB a connection).
    __slots__ = (
        "_cycles",
        "_has_headers",
        "_idle_since",
        "_is_deaf",
        "_offers_socket",
        "_patience",
        "_read_bytes",
        "_received_bytes",
        "_receiving_since",
        "_resting",
        "_unread_bytes",
        "_write_paused_since",
    )
    parser: httptools.HttpRequestParser  # until the connection is lost

    def __init__(self, *args: Any, patience: Patience, resting: set[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._resting: set[Any] = set() if resting is None else resting
        self._cycles: list[RequestResponseCycle] = []  # requests whose headers came, oldest first
        self._receiving_since: float | None = None  # the first byte of a request that is not whole
        self._has_headers = False
        self._received_bytes = 0
        self._read_bytes = 0  # by the newest read, which may hold several requests
        self._idle_since = 0.0
        self._write_paused_since: float | None = None
        self._unread_bytes = 0
        self._offers_socket = False  # the request whose head comes again
        self._is_deaf = False  # what still comes is not for us: the connection ends with its last answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: a connection that says nothing is as slow as one that says little."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = _Flow(self.transport)  # noqa: V101 - uvicorn's
        self._receiving_since = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of this connection."""
        super().connection_lost(exc)
        self._resting.discard(self)
        self.pipeline.clear()
        for cycle in self._cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Count what comes, then parse it."""
        self._resting.discard(self)
        if self._is_deaf:
            return
        self._read_bytes = len(data)
        self._received_bytes += self._read_bytes
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(BadRequest("This is not a valid HTTP request.", code="invalid_http"))
            return
        if self._receiving_since is not None and not self._has_headers and self._received_bytes > _MAX_HEADER_BYTES:
            self._refuse(_too_large())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["frontdesk.abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        self._receiving_since = time.monotonic()
        self._has_headers = False
        self._received_bytes = 0

    def on_headers_complete(self) -> None:
        """The headers are whole; the body's time begins."""
        may_be_too_large = self._received_bytes > _MAX_HEADER_BYTES or self._read_bytes > _MAX_HEADER_BYTES
        if may_be_too_large and _size_of(self.headers) > _MAX_HEADER_BYTES:
            self._refuse(_too_large())
            raise _Ended  # the parser stops here; what it makes of this is answered by nobody any more
        if self.parser.should_upgrade():
            return  # to come again, see _parse
        self._has_headers = True
        self._receiving_since = time.monotonic()
        self._received_bytes = 0
        if self._offers_socket:
            self._offers_socket = False
            self.scope["frontdesk.upgrade"] = self._upgrade  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self.cycle.__class__ = PatientCycle  # uvicorn makes its own, and has no place to name another
        self.cycle.message_event = cast("asyncio.Event", Signal())  # before its task runs, so nobody waits yet
        if self._cycles and self._cycles[0].response_complete:
            self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._has_headers:
            return  # its head comes again, see _parse
        self._receiving_since = None
        self._received_bytes = 0
        super().on_message_complete()
        self._has_headers = False

    def on_response_complete(self) -> None:
        """An answer is whole; the next request's time begins, where one was queued.

        uvicorn's own sets a timer for each idle connection: here the sweep watches over all.
        """
        self._resting.discard(self)
        self._idle_since = time.monotonic()
        if self._receiving_since is not None:
            self._receiving_since = self._idle_since
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self._resting.discard(self)
        self._write_paused_since = time.monotonic()
        self._unread_bytes = self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader took enough."""
        self._write_paused_since = None
        super().resume_writing()

    def sweep(self, now: float) -> bool:
        """End the connection where its patience is used up. Returns whether it rests from now on."""
        if self._write_paused_since is not None:
            self._sweep_reader(now, self._write_paused_since)
        elif self._receiving_since is None and self._cycles and not self._cycles[-1].response_complete:
            return True
        elif self._before_current():
            pass  # an answer is under way: what comes behind it has time
        elif self._receiving_since is not None:
            self._sweep_sender(now - self._receiving_since)
        elif now - self._idle_since > _KEEP_ALIVE_S:
            self.transport.close()
        return False

    def _parse(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                rest = memoryview(rest)[offer.args[0] :]  # uncopied: a read may bring thousands
                self._offers_socket = self._is_handshake()
                self.parser.feed_data(self._head_without_offer())
            else:
                return

    def _is_handshake(self) -> bool:
        offered = [value.strip().lower() for name, value in self.headers if name == b"upgrade"]
        is_get = self.parser.get_method() == b"GET" and self.parser.get_http_version() == "1.1"
        return is_get and offered == [b"websocket"]

    def _upgrade(self, successor: Successor, headers: Iterable[tuple[bytes, bytes]]) -> None:
        cycle = self.cycle
        if cycle.disconnected or self.transport.is_closing():
            raise ClientGone
        if self._receiving_since is not None or self.pipeline or self._is_deaf or cycle.body:
            raise BadRequest("Nothing may follow a handshake before its answer.", code="invalid_handshake")
        if self.flow.write_paused:
            raise BadRequest("Read the answers before this one's first.", code="invalid_handshake")
        if not cycle.keep_alive:
            raise Unavailable(
                "The server is restarting. Try again in a moment.", code="server_shutting_down", retry_after_s=1
            )
        fields = b"".join(b"%b: %b\r\n" % field for field in headers)
        self.transport.write(_SWITCHING + fields + b"\r\n")
        self.flow.resume_reading()
        self.connections.discard(self)
        self._resting.discard(self)
        successor.take_over(self.transport, self.connections, self._patience)
        # To uvicorn the request is over. What it keeps until its task ends must not keep all of this.
        cycle.disconnected = True
        cycle.on_response = _nothing  # noqa: V101 - uvicorn's
        del self.scope["frontdesk.upgrade"]  # type: ignore[typeddict-item]
        self._cycles.clear()
        self.parser = cast("httptools.HttpRequestParser", None)

    def _head_without_offer(self) -> bytes:
        parser = self.parser
        method = parser.get_method()
        if method == b"CONNECT":  # to the parser an offer by itself
            raise httptools.HttpParserError("There are no tunnels here.")
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, parser.get_http_version().encode(), fields)

    def _sweep_reader(self, now: float, since: float) -> None:
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes < self._unread_bytes:
            self._write_paused_since = now
        elif now - since > self._patience.slow_reader_s:
            self.transport.abort()
        self._unread_bytes = unread_bytes

    def _sweep_sender(self, waited_s: float) -> None:
        patience = self._patience
        if not self._has_headers:
            if waited_s > patience.header_timeout_s:
                self._time_out("headers", patience.header_timeout_s)
        elif waited_s > patience.body_timeout_s + self._received_bytes / MIN_BODY_RATE_BYTES_S:
            self._time_out("body", patience.body_timeout_s)

    def _time_out(self, part: str, timeout_s: float) -> None:
        if part == "headers" and self._received_bytes == 0:
            self.transport.close()  # nothing was asked, so there is nothing to answer
            return
        self._refuse(TooSlow(f"The request's {part} did not arrive within {timeout_s:g} s."))

    def _refuse(self, error: FrontdeskError) -> None:
        """Answer the request that is being received with an error, and end the connection."""
        if self.transport.is_closing():
            return
        self._receiving_since = None
        older = self._before_current()
        if older:
            older[-1].keep_alive = False
            self._is_deaf = True
            self.pipeline.clear()
            return
        current = self._current()
        if current is None or not current.response_started:
            body = msgspec.json.encode(error.body())
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (error.status, _REASONS[error.status], len(body), body)
            )
        self.transport.close()

    def _current(self) -> RequestResponseCycle | None:
        """The request that is being received, where its headers came."""
        return self._cycles[-1] if self._has_headers and self._cycles else None

    def _before_current(self) -> list[RequestResponseCycle]:
        """The requests before it that are not answered yet."""
        current = self._current()
        return [cycle for cycle in self._cycles if cycle is not current and not cycle.response_complete]


class PatientCycle(RequestResponseCycle):
    """uvicorn's request, with a `send` of half the cost: the head of an answer leaves with the first bytes of its
    body, in one system call, and headers are looked at once. Names are in small letters, as ASGI demands.
    """

    kept_head = b""

    async def send(self, message: Any) -> None:
        """Send a part of the answer. Raises RuntimeError for what is no answer."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        is_start = message["type"] == "http.response.start"
        if self.response_complete or is_start == self.response_started:
            raise RuntimeError(f"{message['type']!r} has no place here in an answer.")
        if is_start:
            self._begin(message["status"], message.get("headers", ()))
        else:
            self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False  # noqa: V101 - uvicorn's
        pieces = [STATUS_LINE[status]]
        says_close = False
        for name, value in (*self.default_headers, *headers):
            pieces += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                self.chunked_encoding = False
                self.expected_content_length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                says_close = True
        if not (self.keep_alive or says_close):
            pieces.append(b"connection: close\r\n")
        if self.chunked_encoding is None and status not in _WITHOUT_BODY and self.scope["method"] != "HEAD":
            self.chunked_encoding = True
            pieces.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(pieces)
        lines = sum(piece.endswith(b"\n") for piece in pieces)
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise RuntimeError("A header of the answer has a line break.")
        self.kept_head = head + b"\r\n"

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        if self.scope["method"] == "HEAD":
            data = b""
            self.expected_content_length = 0
        elif self.chunked_encoding:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                data += b"0\r\n\r\n"
        else:
            data = body
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (is_last and self.expected_content_length):
                raise RuntimeError("The answer's body is not as long as its content-length says.")
        if self.kept_head:
            data = self.kept_head + data
            self.kept_head = b""
        if data:
            self.transport.write(data)
        if is_last:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"


def _nothing() -> None: ...


_WITHOUT_BODY = frozenset({204, 304})  # RFC 9110 §6.4.1


class Signal:
    """What an `asyncio.Event` is, at a third of its time and a tenth of its memory, for one loop."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Whether `wait` would return at once."""
        return self._is_set

    def set(self) -> None:
        """Let all go on who wait."""
        self._is_set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Let who comes from now on wait."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._is_set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters = (*self._waiters, waiter)
        try:
            await waiter
        finally:
            self._waiters = tuple(each for each in self._waiters if each is not waiter)


class _Flow(FlowControl):
    """uvicorn's, with a lighter event."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False  # noqa: V101 - uvicorn's, as the next two
        self.write_paused = False  # noqa: V101
        self._is_writable_event = cast("asyncio.Event", Signal(is_set=True))  # noqa: V101


class _Ended(Exception):
    """The connection was refused while its request was being parsed."""


def _too_large() -> FrontdeskError:
    return BadRequest("The request's headers are larger than 64 kB.", status=431, code="headers_too_large")


def _size_of(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


class Sweeper:
    """Looks at all connections, twice a second, but for those that are `resting`."""

    def __init__(self, connections: set[Any], resting: set[Any] | None = None) -> None:
        self._connections = connections
        self._resting: set[Any] = set() if resting is None else resting
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; `stop` ends it."""
        self._timer = asyncio.get_running_loop().call_later(_SWEEP_EVERY_S, self._sweep)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in self._connections - self._resting:
            if connection.sweep(now):
                self._resting.add(connection)
        self.start()
