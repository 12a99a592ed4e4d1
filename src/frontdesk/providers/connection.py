"""One HTTP/1.1 connection to a provider, on the event loop's own transport.

One request at a time:

    free ──send──► waiting ──headers──► open ──end of message──► whole ──give_back──► free
                      │                  │
                      └── lost ──────────┴──► failed

What comes is kept until it is read. Beyond 256 kB the transport stops reading, so a slow reader
slows its provider down. A long request leaves in slices, so that its progress is seen. A message
ends as RFC 9112 §6.3 says: by its length, its last chunk, or, where it told neither, by the
connection's end; a connection that ends earlier is a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import httptools

_PAUSE_BYTES = 256 * 1024
_SLICE_BYTES = 256 * 1024
# Of headers, trailers and what else is no body, at a stretch.
_MAX_HEADER_BYTES = 64 * 1024
# A connection that ends without a byte this soon after a request was closed before it came. Later, the
# request may have been worked on, and sending it again might pay for it twice.
_STALE_WITHIN_S = 1.0


class ConnectionFailed(Exception):
    """The connection or what came over it is of no more use; the message says how, and names no address."""


class ConnectionStale(ConnectionFailed):
    """A connection that was used before had ended meanwhile: not a byte of an answer came."""


class ConnectionSilent(ConnectionFailed):
    """Nothing came for too long."""


class Connection(asyncio.Protocol):
    """A connection. `ended` is called once, when it is gone."""

    __slots__ = (
        "_chunks",
        "_ended",
        "_failure",
        "_has_answered",
        "_headers",
        "_is_between",
        "_is_paused",
        "_is_reusable",
        "_is_sent",
        "_is_used",
        "_is_whole",
        "_is_write_paused",
        "_loop",
        "_no_body_bytes",
        "_parser",
        "_sent_at",
        "_transport",
        "_unread_bytes",
        "_waiter",
        "_waiting_since",
        "free_since",
        "on_whole",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Callable[[Connection], None]) -> None:
        self._loop = loop
        self._ended = ended
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)  # until it is made
        self._chunks: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._no_body_bytes = 0  # that came since the last byte of a body
        self._unread_bytes = 0
        self._sent_at = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._waiting_since = 0.0
        self._failure: ConnectionFailed | None = None
        self._is_between = True  # no request is under way
        self._is_paused = False
        self._is_write_paused = False
        self._is_sent = False
        self._is_used = False
        self._is_reusable = False
        self._is_whole = False
        self._has_answered = False  # a byte came since the request
        self.free_since: float | None = None
        self.on_whole: Callable[[Connection], None] | None = None  # for who waits for the end, and not for what comes
        self.status = 0  # of the answer, once its headers are whole

    # --- for the pool ---------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether a request can be tried on it."""
        return self._failure is None and not self._transport.is_closing()

    async def send(self, request: bytes | Sequence[bytes]) -> None:
        """Send a request, or its pieces, and return when its answer's headers are here. Raises ConnectionFailed."""
        self._is_between = self._is_whole = self._has_answered = False
        self.free_since = None
        self.status = 0
        self._headers = []
        self._no_body_bytes = 0
        self._sent_at = self._loop.time()
        if not isinstance(request, bytes):
            await self._send_slices(request)
        elif len(request) <= _SLICE_BYTES:
            self._transport.write(request)
            self._is_sent = True
        else:
            await self._send_slices((request,))
        while self.status == 0:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    def give_back(self) -> bool:
        """End this request's use of the connection; False where it is of no use for another, and is then gone."""
        self._chunks.clear()
        self._unread_bytes = 0
        self.on_whole = None
        is_over = self._is_whole and self._is_sent and self._transport.get_write_buffer_size() == 0
        if not (is_over and self._is_reusable and self.is_alive):
            self._transport.abort()
            return False
        if self._is_paused:
            self._resume()
        self._is_between = self._is_used = True
        self.free_since = self._loop.time()
        return True

    def check(self, now: float, idle_timeout_s: float) -> None:
        """Fail where somebody has waited too long for a byte to come, or for a slice to leave."""
        if self._waiter is not None and now - self._waiting_since >= idle_timeout_s:
            self._fail(ConnectionSilent("silence"))

    def close(self) -> None:
        """End it now."""
        self._fail(ConnectionFailed("closed here"))

    # --- for the response -----------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Whether the answer has come to its end; some of it may still wait to be read."""
        return self._is_whole

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value; `name` in small letters."""
        for each, value in self._headers:
            if each.lower() == name:
                return value
        return None

    async def read(self) -> bytes:
        """Return what has arrived, at least a byte; empty at the end. Raises ConnectionFailed."""
        chunks = self._chunks
        while not chunks:
            if self._is_whole:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._wait()
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread_bytes = 0
        if self._is_paused:
            self._resume()
        return data

    # --- asyncio --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._is_between:
            self._fail(ConnectionFailed("bytes that nobody asked for"))
            return
        self._has_answered = True
        self._no_body_bytes += len(data)
        if not self.status:
            self._waiting_since = self._loop.time()  # slow headers are no silence, and wake nobody
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionFailed("another protocol"))
        except httptools.HttpParserError:
            if self._is_whole:
                self._is_reusable = False  # what follows the answer is no part of it
            else:
                self._fail(ConnectionFailed("no HTTP"))
        if self._no_body_bytes > _MAX_HEADER_BYTES:
            self._fail(ConnectionFailed("too many headers"))
        if self._unread_bytes > _PAUSE_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        waiter = self._waiter
        if waiter is not None and self.status and not waiter.done():
            waiter.set_result(None)
        elif self._is_whole and self.on_whole is not None:
            self.on_whole(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the end of a message that told no length, else a failure."""
        if not self._is_between and not self._is_whole and self._failure is None:
            if exc is None and self.status and not self._tells_its_length():
                self._is_whole = True
            elif self._is_used and not self._has_answered and self._loop.time() - self._sent_at < _STALE_WITHIN_S:
                self._failure = ConnectionStale("closed meanwhile")
            else:
                self._failure = ConnectionFailed("closed early" if exc is None else type(exc).__name__)
        self._is_reusable = False
        self._failure = self._failure or ConnectionFailed("closed")
        self._wake()
        self._ended(self)

    def pause_writing(self) -> None:
        """The transport has enough to send."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The transport can take more."""
        self._is_write_paused = False
        self._wake()

    # --- httptools ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A status line comes."""
        if self.status:
            raise ConnectionFailed  # a second answer: the parser stops here

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody reads."""
        if not self.status:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The headers are whole. Interim answers (1xx) are passed over (RFC 9110 §15.2)."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
        else:
            self._headers.clear()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._no_body_bytes = 0
        self._chunks.append(body)
        self._unread_bytes += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self.status:
            self._is_whole = True
            self._is_reusable = self._parser.should_keep_alive()

    # --- within ---------------------------------------------------------------------------------

    async def _send_slices(self, pieces: Sequence[bytes]) -> None:
        """Send a long request as fast as it leaves, until it is sent or answered before its end."""
        self._is_sent = False
        for piece in pieces:
            left = memoryview(piece)
            while left:
                self._transport.write(left[:_SLICE_BYTES])
                left = left[_SLICE_BYTES:]
                while self._is_write_paused:
                    if self.status or self._failure is not None:
                        return
                    await self._wait()
        self._is_sent = True

    async def _wait(self) -> None:
        self._waiting_since = self._loop.time()
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: ConnectionFailed) -> None:
        self._failure = self._failure or failure
        self._transport.abort()
        self._wake()

    def _resume(self) -> None:
        self._is_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _tells_its_length(self) -> bool:
        return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self._headers)
