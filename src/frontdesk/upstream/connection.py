"""One connection: requests are read by httptools, answered one after the other, and written by timers.

There is no task: a response is an iterator of actions, and `_advance` pulls from it until there is
something to wait for, be it a pause or a reader that is slower than we.

    idle ──request──► answering ──whole──► idle, or the next of those that came meanwhile
                          └── CLOSE, DONE ──► FIN is sent; the other side's end is awaited
                          └── RESET, or nobody is there any more ──► gone
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Iterator
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import NamedTuple, Protocol, cast

import httptools

from frontdesk.core.clock import Clock
from frontdesk.upstream.delivery import Action, Ending
from frontdesk.upstream.journal import Ended, Journal, Record

_MAX_HEADER_BYTES = 64 * 1024
_MAX_WAITING = 16  # requests sent ahead; beyond, reading pauses
_WRITE_BYTES = 64 * 1024  # then the others have their turn
_LINGER_S = 5.0
_FLUSH_LOOK_S = 0.001
_FLUSH_LOOKS = 2000


class Received(NamedTuple):
    """A request as it came."""

    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    is_kept: bool
    can_chunk: bool


class Response(NamedTuple):
    """What becomes of a request. Control has no record."""

    actions: Iterator[Action]
    record: Record | None = None


class Host(Protocol):
    """The server, as its connections see it."""

    clock: Clock
    journal: Journal
    max_body_bytes: int
    connections: set[Connection]

    def respond(self, received: Received) -> Response:
        """Return the response to a request; never raises."""
        ...

    def left(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        ...

    def refuse(self, status: int, message: str, target: str, headers: dict[str, str]) -> bytes:
        """Return a whole response for what is no request, of which this much came."""
        ...

    def read_rate(self, target: str, headers: dict[str, str]) -> int | None:
        """Return the bytes a second at which the request's body is to be read; None for all at once."""
        ...


class Connection(asyncio.Protocol):
    """Serves one connection."""

    def __init__(self, host: Host, number: int) -> None:
        self._host = host
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Received] = deque()
        self._actions: Iterator[Action] | None = None
        self._record: Record | None = None
        self._timer: asyncio.Handle | None = None
        self._reading_timer: asyncio.Handle | None = None
        self._due = 0.0
        self._is_blocked = False  # the transport's buffer is full
        self._is_deaf = False  # what still comes is thrown away
        self._is_kept = True
        self._is_silent = False  # nothing more comes of this answer
        self._read_rate: int | None = None
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # --- asyncio's protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        opened = self._socket()
        if opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        totals = self._host.journal.totals
        totals.connections += 1
        totals.open_connections += 1
        self._host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended is told elsewhere
        """End: where an answer was under way, its reader hung up."""
        self._cancel(self._reading_timer)
        self._end_answer("hung_up")
        self._host.journal.totals.open_connections -= 1
        self._host.left(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._is_deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_deaf = True  # the request itself is good, and what follows is no HTTP
        except httptools.HttpParserError as error:
            said = error.__context__  # what a callback raised is wrapped
            refusal = said if isinstance(said, _RefusedError) else _RefusedError(400, "This is no valid HTTP request.")
            self._refuse(refusal.status, str(refusal))
        if self._read_rate is not None:
            self._slow_down(len(data) / self._read_rate)
        elif len(self._waiting) >= _MAX_WAITING:
            self._transport.pause_reading()
        self._go_on()

    def eof_received(self) -> None:
        """The other side says no more; a client of an answer that does so has left."""
        if self._actions is not None:
            self._end_answer("hung_up")

    def pause_writing(self) -> None:
        """The reader is slow: nothing more is made for now."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_blocked = False
        self._due = self._loop.time()
        if self._actions is not None and self._timer is None and not self._is_silent:
            self._advance()

    # --- httptools' callbacks -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers = {}
        self._header_bytes = 0
        self._body = []
        self._body_bytes = 0

    def on_url(self, part: bytes) -> None:
        """A piece of the request's target."""
        self._target += part
        self._count_header(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; of a repeated one the values join."""
        self._count_header(len(name) + len(value))
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """The body comes; how fast it is read may have been told."""
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length[:15]) > self._host.max_body_bytes:
            raise _RefusedError(413, f"The body is larger than {self._host.max_body_bytes} bytes.")
        self._read_rate = self._host.read_rate(self._target.decode("latin-1"), self._headers)
        if self._headers.get("expect", "").lower() == "100-continue" and self._actions is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(part)
        if self._body_bytes > self._host.max_body_bytes:
            raise _RefusedError(413, f"The body is larger than {self._host.max_body_bytes} bytes.")
        self._body.append(part)

    def on_message_complete(self) -> None:
        """The request is whole."""
        parser = self._parser
        self._waiting.append(
            Received(
                self._number,
                parser.get_method().decode("latin-1"),
                self._target.decode("latin-1"),
                self._headers,
                b"".join(self._body),
                parser.should_keep_alive(),
                parser.get_http_version() == "1.1",
            )
        )

    def _count_header(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > _MAX_HEADER_BYTES:
            raise _RefusedError(431, "The request's headers are larger than 64 kB.")

    # --- reading slowly -------------------------------------------------------------------------

    def _slow_down(self, pause_s: float) -> None:
        """Read no more, and answer nothing, until what came has had its time."""
        self._transport.pause_reading()
        self._reading_timer = self._loop.call_later(pause_s, self._read_on)

    def _read_on(self) -> None:
        self._reading_timer = None
        self._transport.resume_reading()
        self._go_on()

    # --- answering ------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._waiting and self._actions is None and self._reading_timer is None:
            self._begin_answer(self._waiting.popleft())

    def _begin_answer(self, received: Received) -> None:
        self._is_kept = received.is_kept
        response = self._host.respond(received)
        self._actions, self._record = response.actions, response.record
        if self._record is not None:
            self._host.journal.totals.open_streams += 1
        self._due = self._loop.time()
        self._advance()

    def _advance(self) -> None:
        """Do what comes next, until there is something to wait for."""
        self._timer = None
        actions = self._actions
        if actions is None:
            return
        ready: list[bytes] = []
        size_bytes = 0
        while not self._is_blocked:
            action = next(actions, None)
            if action is None:
                self._write(ready)
                self._finish()
                return
            if isinstance(action, bytes):
                ready.append(action)
                size_bytes += len(action)
                if size_bytes < _WRITE_BYTES:
                    continue
                action = 0.0
            self._write(ready)
            if isinstance(action, Ending):
                self._end(action)
            else:
                self._wait(action)
            return

    def _wait(self, pause_s: float) -> None:
        """Pauses add up from where they were due, so that a busy moment does not slow a stream for good."""
        if pause_s == 0:
            self._timer = self._loop.call_soon(self._advance)
            return
        now = self._loop.time()
        self._due = max(self._due + pause_s, now)
        self._timer = self._loop.call_at(self._due, self._advance)

    def _write(self, ready: list[bytes]) -> None:
        if not ready:
            return
        data = b"".join(ready) if len(ready) > 1 else ready[0]
        record = self._record
        if record is not None:
            if record.first_byte_at is None:
                record.first_byte_at = self._host.clock.now()
            record.bytes_written += len(data)
        self._transport.write(data)

    def _finish(self) -> None:
        """The answer is whole."""
        self._end_answer("whole")
        if not self._is_kept or self._is_deaf:
            self._close()
        else:
            if len(self._waiting) >= _MAX_WAITING:
                self._transport.resume_reading()
            self._go_on()

    def _end(self, ending: Ending) -> None:
        if ending is Ending.SILENCE:
            self._is_silent = True  # the client's patience is what is tested
            return
        self._end_answer("whole" if ending is Ending.DONE else "fault")
        self._is_deaf = True
        if ending is Ending.RESET:
            self._reset(_FLUSH_LOOKS)
        else:
            self._close()

    def _end_answer(self, ended: Ended) -> None:
        self._cancel(self._timer)
        self._timer = None
        self._actions = None
        record, self._record = self._record, None
        if record is None:
            return
        journal = self._host.journal
        journal.totals.open_streams -= 1
        if ended == "hung_up":
            record.bytes_written -= self._transport.get_write_buffer_size()
        journal.close(record, ended, self._host.clock.now())

    def _reset(self, looks_left: int) -> None:
        """Send a RST once all that was written has reached the other side: it throws away what has not."""
        if self._transport.is_closing():
            return
        opened = self._socket()
        unsent = self._transport.get_write_buffer_size() or _unacknowledged(opened)
        if unsent and looks_left:
            self._timer = self._loop.call_later(_FLUSH_LOOK_S, self._reset, looks_left - 1)
            return
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, unless an answer is under way: that one is the last."""
        self._is_deaf = True
        if self._actions is None and not self._waiting:
            target = self._target.decode("latin-1")
            self._transport.write(self._host.refuse(status, message, target, self._headers))
            self._close()

    # --- ends -----------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """The server ends: this connection does after its answer."""
        self._is_kept = False
        self._is_deaf = True
        if self._actions is None or self._is_silent:
            self._transport.close()

    def abort(self) -> None:
        """The server does not wait any longer."""
        self._end_answer("shut_down")
        self._transport.abort()

    def _close(self) -> None:
        """Send a FIN, and wait for the other side's: closing with bytes unread would be a RST."""
        self._is_deaf = True
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        self._transport.write_eof()
        self._cancel(self._reading_timer)
        self._reading_timer = self._loop.call_later(_LINGER_S, self._transport.abort)

    def _socket(self) -> socket.socket:
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    def _cancel(self, timer: asyncio.Handle | None) -> None:
        if timer is not None:
            timer.cancel()


class _RefusedError(Exception):
    """The request is not read to its end."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _unacknowledged(opened: socket.socket) -> int:
    return struct.unpack("i", ioctl(opened.fileno(), TIOCOUTQ, bytes(4)))[0]
