"""One WebSocket connection (RFC 6455), from the moment that its handshake was answered.

`websockets` reads and writes the frames; here are the transport, the messages and the patience:

    reader      `send` waits while the send buffer is full; one untouched for `slow_reader_s` ends the connection
    sender      is not read from while its messages wait, or its pongs. What it sends is parsed in pieces, one a turn
                of the loop, so that a flood of small frames leaves room for others
    message     must be whole `body_timeout_s` after its first frame, a second more per 4 kB that came
    silence     of 20 s is answered with a ping, of 40 s with the end; what came of a frame that is not whole buys
                time at the same rate, for its sender can answer nothing before its end
    close       must be answered within 2 s. Behind an error, what still comes is thrown away for as long: unread, it
                would reset the connection before the peer could learn why

    open ──shutdown()──► ending (nothing is received, all can be sent) ──shutdown()──┐
     ├──────────── close(), an error, the peer's close ──────────────────────────────┴──► closing ──► lost
     └──────────── the peer vanishes ───────────────────────────────────────────────────────────────►

Compression is never offered: it takes some 100 kB a connection, and tokens gain nothing by it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from frontdesk.http.protocol import MIN_BODY_RATE_BYTES_S, Patience, Signal
from frontdesk.http.requests import ClientGone

_PING_EVERY_S = 20.0
_GONE_AFTER_S = 40.0
_CLOSE_TIMEOUT_S = 2.0  # less than the server waits for its last connections
_PIECE_BYTES = 4096  # 680 frames at most
_MOST_WAITING_BYTES = 64 * 1024
_MESSAGE_BYTES = 256  # what a message takes beside its content: empty ones are bounded by it
_MAX_REASON_BYTES = 123  # RFC 6455 §5.5: a control frame has 125
_NOTHING = memoryview(b"")
_log = logging.getLogger("frontdesk.http")

# RFC 6455 §7.4.1; the last one is in IANA's registry.
POLICY_VIOLATION = 1008
INVALID_TEXT = 1007
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012


class SocketProtocol(asyncio.Protocol):
    """A connection whose messages have at most `limit_bytes`. One task receives, any may send."""

    __slots__ = (
        "_arrived",
        "_closing_since",
        "_connections",
        "_frames",
        "_heard_at",
        "_is_ending",
        "_is_held",
        "_is_lost",
        "_is_pinged",
        "_is_text",
        "_message_since",
        "_messages",
        "_part",
        "_patience",
        "_received_bytes",
        "_transport",
        "_unparsed",
        "_unread_bytes",
        "_waiting_bytes",
        "_writable",
        "_write_paused_since",
    )
    _transport: asyncio.Transport
    _connections: set[Any]
    _patience: Patience

    def __init__(self, limit_bytes: int) -> None:
        self._frames = Protocol(SERVER, max_size=limit_bytes, logger=_log)
        self._frames.debug = False  # it would log what people say
        self._messages: deque[str | bytes] = deque()
        self._waiting_bytes = 0  # of them
        self._arrived = Signal()
        self._writable = Signal(is_set=True)
        self._unparsed = _NOTHING
        self._part: bytearray | None = None  # of a message whose last frame has not come
        self._is_text = False
        self._message_since: float | None = None
        self._received_bytes = 0  # since the last whole frame, or the first one of a message
        self._heard_at = 0.0
        self._is_pinged = False
        self._is_held = False  # nothing is read
        self._write_paused_since: float | None = None
        self._unread_bytes = 0
        self._closing_since: float | None = None
        self._is_ending = False
        self._is_lost = False

    def take_over(self, transport: asyncio.Transport, connections: set[Any], patience: Patience) -> None:
        """Begin on a connection whose handshake was answered."""
        self._transport = transport
        self._connections = connections
        self._patience = patience
        self._heard_at = time.monotonic()
        connections.add(self)
        transport.set_protocol(self)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._frames.state is not State.OPEN or self._transport.is_closing()

    @property
    def is_ending(self) -> bool:
        """Whether the server takes nothing new."""
        return self._is_ending

    @property
    def would_wait(self) -> bool:
        """Whether `send` would wait for the peer to read."""
        return self._write_paused_since is not None

    async def receive(self) -> str | bytes | None:
        """The next message, a text as str; None where no more will come."""
        while not self._messages:
            if self._is_ending or self.is_closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        before_bytes = self._waiting_bytes
        self._waiting_bytes -= len(message) + _MESSAGE_BYTES
        if before_bytes > _MOST_WAITING_BYTES >= self._waiting_bytes:
            self._go_on()
        return message

    async def send(self, *texts: str | bytes) -> None:
        """Send texts, each a message, in one write; bytes are UTF-8. Waits for the peer to read. Raises ClientGone."""
        await self.until_writable()
        self._send(texts)

    async def until_writable(self) -> None:
        """Wait for the peer to read what was sent before. Raises ClientGone."""
        while self._write_paused_since is not None and not self.is_closed:
            await self._writable.wait()
        if self.is_closed:
            raise ClientGone

    def send_now(self, *texts: str | bytes) -> bool:
        """Send texts that need not wait; False where they would, or the socket is closed, and nothing was sent."""
        if self.would_wait or self.is_closed:
            return False
        self._send(texts)
        return True

    def close(self, code: int, reason: str) -> None:
        """Begin the end; a long reason is cut. Does nothing where it has begun."""
        if self.is_closed:
            return
        self._frames.send_close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))
        self._flush()
        self._end()
        self._forget_messages()

    def shutdown(self) -> None:
        """Take no more messages. Called again when what is under way had its time: then close."""
        if self._is_ending:
            self.close(SERVICE_RESTART, "service restart")
            return
        self._is_ending = True
        self._arrived.set()
        self._forget_messages()

    def sweep(self, now: float) -> None:
        """End the connection where its patience is used up; ping a silent peer."""
        if self._closing_since is not None:
            self._sweep_closing(now, self._closing_since)
        elif self._write_paused_since is not None:
            self._heard_from(now)
            self._sweep_reader(now, self._write_paused_since)
        elif self._is_held:
            self._heard_from(now)  # what it may have said is unread here
        else:
            self._sweep_sender(now)

    def data_received(self, data: bytes) -> None:
        """Parse a piece of what came, the rest soon."""
        if self._frames.eof_sent:
            return
        self._received_bytes += len(data)
        self._unparsed = memoryview(b"".join((self._unparsed, data)) if self._unparsed else data)
        self._parse()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Tell who waits; what came before is still received."""
        self._is_lost = True
        self._unparsed = _NOTHING
        self._connections.discard(self)
        self._arrived.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self._write_paused_since = time.monotonic()
        self._unread_bytes = self._transport.get_write_buffer_size()
        self._writable.clear()

    def resume_writing(self) -> None:
        """The reader took enough."""
        self._write_paused_since = None
        self._writable.set()
        self._go_on()

    def _send(self, texts: Iterable[str | bytes]) -> None:
        for text in texts:
            self._frames.send_text(text.encode() if isinstance(text, str) else text)
        self._flush()

    def _parse(self) -> None:
        piece, self._unparsed = self._unparsed[:_PIECE_BYTES], self._unparsed[_PIECE_BYTES:] or _NOTHING
        self._frames.receive_data(piece)  # type: ignore[arg-type]  # it appends them to a bytearray
        for frame in self._frames.events_received():
            if self._closing_since is not None and self._frames.eof_sent:
                break
            assert isinstance(frame, Frame)  # the others are of handshakes
            self._take(frame)
        self._flush()
        if self._frames.state is not State.OPEN:
            self._end()
        if self._must_hold():
            self._hold()
        elif self._unparsed:
            self._hold()
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self._is_held:
            self._is_held = False
            self._transport.resume_reading()

    def _take(self, frame: Frame) -> None:
        self._heard_at = time.monotonic()
        self._is_pinged = False
        if frame.opcode in _CONTROL:
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        if self._part is not None:
            self._part += frame.data  # no list: a frame may bring a single byte
        elif not frame.fin:
            self._part = bytearray(frame.data)
            self._message_since = self._heard_at
        if frame.fin:
            whole = frame.data if self._part is None else self._part
            self._part = self._message_since = None
            self._add(whole)
        if self._part is None:
            self._received_bytes = len(self._unparsed)

    def _add(self, content: bytes | bytearray | memoryview) -> None:
        if self._is_ending or self._closing_since is not None:
            return
        try:
            message = str(content, "utf-8") if self._is_text else bytes(content)
        except UnicodeDecodeError:
            self._fail(INVALID_TEXT, "A text must be UTF-8.")
            return
        self._messages.append(message)
        self._waiting_bytes += len(message) + _MESSAGE_BYTES
        self._arrived.set()

    def _must_hold(self) -> bool:
        """Whether messages wait for who receives them, or pongs for a peer that reads none."""
        return self._waiting_bytes > _MOST_WAITING_BYTES or self._write_paused_since is not None

    def _hold(self) -> None:
        if not self._is_held:
            self._is_held = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if self._is_held and not self._is_lost and not self._must_hold():
            self._parse()

    def _forget_messages(self) -> None:
        self._messages.clear()
        self._waiting_bytes = 0
        self._go_on()

    def _fail(self, code: int, reason: str) -> None:
        self._frames.fail(code, reason)
        self._flush()
        self._end()

    def _flush(self) -> None:
        writes = self._frames.data_to_send()
        if not writes or self._transport.is_closing():
            return
        self._transport.write(b"".join(writes))
        if writes[-1]:
            return
        # An empty write is the library's sign that it was the last one.
        if self._frames.close_rcvd is not None:
            self._transport.close()
        else:
            self._transport.write_eof()

    def _end(self) -> None:
        if self._closing_since is None:
            self._closing_since = time.monotonic()
            self._unread_bytes = self._transport.get_write_buffer_size()
            self._arrived.set()
            self._writable.set()

    def _heard_from(self, now: float) -> None:
        self._heard_at = now
        if self._message_since is not None:
            self._message_since = now

    def _sweep_closing(self, now: float, since: float) -> None:
        unread_bytes = self._transport.get_write_buffer_size()
        if unread_bytes < self._unread_bytes:
            self._closing_since = now  # it still reads what came before the end
        elif now - since > (self._patience.slow_reader_s if unread_bytes else _CLOSE_TIMEOUT_S):
            self._transport.abort()
        self._unread_bytes = unread_bytes

    def _sweep_reader(self, now: float, since: float) -> None:
        unread_bytes = self._transport.get_write_buffer_size()
        if unread_bytes < self._unread_bytes:
            self._write_paused_since = now
        elif now - since > self._patience.slow_reader_s:
            self._transport.abort()  # behind what it does not read, it would not read a reason either
        self._unread_bytes = unread_bytes

    def _sweep_sender(self, now: float) -> None:
        bought_s = self._received_bytes / MIN_BODY_RATE_BYTES_S
        timeout_s = self._patience.body_timeout_s
        silent_s = now - self._heard_at
        if self._message_since is not None and now - self._message_since > timeout_s + bought_s:
            self._fail(POLICY_VIOLATION, f"The message did not arrive within {timeout_s:g} s.")
        elif silent_s > _GONE_AFTER_S + bought_s:
            self._fail(INTERNAL_ERROR, "No pong came.")
        elif silent_s > _PING_EVERY_S and not self._is_pinged:
            self._is_pinged = True
            self._frames.send_ping(b"")
            self._flush()


_CONTROL = frozenset({Opcode.PING, Opcode.PONG, Opcode.CLOSE})
