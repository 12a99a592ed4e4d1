"""Where events end: an event stream, or one JSON body.

The shapes are the wire's: a sink is given a renderer of `wire/` and ASGI's `send`. Headers leave
with the first bytes, so a refusal before them keeps its real status. Each batch is one write.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import TERMINAL_TYPES, Event

# ASGI's. Where it has to wait for the reader it does so before it writes anything.
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Notices = Sequence[Mapping[str, object]]
"""What callers are told of a turn who ask for it, each with its `type`; none for all others."""

# RFC 9110 has no name for "do not buffer"; nginx reads X-Accel-Buffering. no-transform keeps
# compressing proxies away (RFC 9111 §5.2.2.6).
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
"""Of every event stream."""
# A comment of its own event (WHATWG HTML §9.2.6): parsers of OpenAI's SDKs ignore it.
_KEEP_ALIVE = b": keep-alive\n\n"
_encode = msgspec.json.Encoder().encode


class StreamRenderer(Protocol):
    """Renders events as server-sent events, in one of OpenAI's shapes."""

    def render(self, events: list[Event]) -> bytes:
        """Return the bytes of these events, whole events only, possibly none."""
        ...

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the bytes that end a stream which already began."""
        ...


class BodyRenderer(Protocol):
    """Renders a whole answer as one JSON body."""

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        ...

    def body(self) -> bytes:
        """Return the body; the terminal event was the last one. Raises FrontdeskError where that makes no answer."""
        ...


class StreamSink:
    """Server-sent events over ASGI.

    `headers` and `notices` are read when they leave: whoever admits the turn may add to them until then.
    Notices are events of their own name, behind the first one; what is told before the answer goes before it.
    """

    __slots__ = (
        "_has_begun",
        "_has_left",
        "_has_started",
        "_headers",
        "_is_sending",
        "_notices",
        "_send",
        "_unsent",
        "has_written",
        "is_complete",
        "renderer",
    )

    def __init__(self, renderer: StreamRenderer, send: Send, headers: Headers, notices: Notices = ()) -> None:
        self.renderer = renderer
        self._send = send
        self._headers = headers
        self._notices = notices
        self._has_started = False
        self._has_begun = False  # the answer, behind which nothing is told any more
        self._has_left = False
        self._is_sending = False
        self._unsent = b""  # of a write that was cancelled while it waited: the next one takes it along
        self.has_written = False
        self.is_complete = False

    async def write(self, events: list[Event]) -> None:
        """Send a batch in one write."""
        if self._has_left:
            return
        body = self.renderer.render(events)
        await self._write(body, is_last=bool(events) and type(events[-1]) in TERMINAL_TYPES)

    def resume(self) -> None:
        """The reader had a part of it before: what goes wrong is told inside the stream, whatever is left of it."""
        self._has_begun = True

    def keep_alive(self) -> None:
        """Send a comment: proxies and phones close what is silent, and readers pass it over.

        Before the first event it takes the headers along, so what goes wrong later is told inside the
        stream. Where it would have to wait, bytes are on their way already.
        """
        if not (self._has_left or self._is_sending or self.is_complete):
            self._send_between(_KEEP_ALIVE)

    def tell(self, notice: Mapping[str, object]) -> None:
        """Send a notice before the answer begins; it takes the headers along, as a comment does.

        Nothing is told once the answer has begun, nor where it would have to wait: the next one says more anyway.
        """
        if not (self._has_left or self._has_begun or self._is_sending or self.is_complete):
            self.has_written = self._send_between(_notice_event(notice)) or self.has_written

    async def fail(self, error: FrontdeskError) -> None:
        """Answer with the error's status, or end the stream with it."""
        if self._has_left:
            return
        if self._has_started or self._has_begun:
            await self._write(self.renderer.render_error(error), is_last=True)
        else:
            self._is_sending = True
            await send_error(self._send, error, with_notices(self._headers, self._notices))
            self.is_complete = True

    def leave(self) -> None:
        """Forget what still comes."""
        self._has_left = True

    async def _write(self, body: bytes, *, is_last: bool) -> None:
        if not body and not is_last:
            return
        self._is_sending = self._has_begun = self.has_written = True
        if self._notices:
            # Behind the first event: OpenAI's SDKs take that one for the beginning of the answer, or fail.
            first, end, rest = body.partition(b"\n\n")
            body = b"".join((first, end, *map(_notice_event, self._notices), rest))
            self._notices = ()
        self._unsent = body = self._unsent + body
        try:
            if not self._has_started:
                await self._send(self._start())
                self._has_started = True
            await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})
        finally:
            self._is_sending = False
        self._unsent = b""
        self.is_complete = is_last

    def _start(self) -> dict[str, Any]:
        return {"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS + self._headers}

    def _send_between(self, body: bytes) -> bool:
        """Send what is no part of the answer, headers first; False where it would wait."""
        if not self._has_started:
            if not sent_at_once(self._send, self._start()):
                return False
            self._has_started = True
        return sent_at_once(self._send, {"type": "http.response.body", "body": body, "more_body": True})


class BodySink:
    """One JSON body over ASGI. `headers` and `notices` as a stream's; each notice is a header here."""

    __slots__ = ("_has_left", "_headers", "_notices", "_send", "has_written", "is_complete", "renderer")

    def __init__(self, renderer: BodyRenderer, send: Send, headers: Headers, notices: Notices = ()) -> None:
        self.renderer = renderer
        self._send = send
        self._headers = headers
        self._notices = notices
        self._has_left = False
        self.has_written = False
        self.is_complete = False

    async def write(self, events: list[Event]) -> None:
        """Collect a batch; send the body when it was the last."""
        if self._has_left:
            return
        self.renderer.add(events)
        if events and type(events[-1]) in TERMINAL_TYPES:
            try:
                body = self.renderer.body()
            except FrontdeskError as error:
                await self.fail(error)
                return
            await send_json(self._send, 200, body, with_notices(self._headers, self._notices))
            self.is_complete = True

    def keep_alive(self) -> None:
        """Nothing: a body is sent at once, with a status that is not known before."""

    async def fail(self, error: FrontdeskError) -> None:
        """Answer with the error; what was collected is dropped."""
        if not self._has_left:
            await send_error(self._send, error, with_notices(self._headers, self._notices))
            self.is_complete = True

    def leave(self) -> None:
        """Forget what still comes."""
        self._has_left = True


def sent_at_once(send: Send, message: dict[str, Any]) -> bool:
    """Send what can be sent without waiting for the reader; False where it would wait, and nothing was sent."""
    sending = send(message).__await__()
    try:
        next(sending)
    except StopIteration:
        return True
    sending.close()
    return False


def _notice_event(notice: Mapping[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(notice["type"]).encode(), _ascii(notice))


def with_notices(headers: Headers, notices: Notices) -> Headers:
    """The headers of an answer that is no stream: its notices are among them."""
    return [*headers, *((b"frontdesk-notice", _ascii(notice)) for notice in notices)] if notices else headers


def _ascii(notice: Mapping[str, object]) -> bytes:
    """JSON that a header can carry."""
    return json.dumps(notice, separators=(",", ":")).encode()


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a JSON body as a whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: FrontdeskError, headers: Headers) -> None:
    """Send an error as a whole response, with `Retry-After` where it knows one (RFC 9110 §10.2.3), and whether
    to try again where its status does not say (OpenAI's SDKs ask `x-should-retry` first).
    """
    if error.retry_after_s is not None:
        headers = [*headers, (b"retry-after", b"%d" % max(1, -(-error.retry_after_s // 1)))]
    if error.should_retry is not None:
        headers = [*headers, (b"x-should-retry", b"true" if error.should_retry else b"false")]
    await send_json(send, error.status, _encode(error.body()), headers)
