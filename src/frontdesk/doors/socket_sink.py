"""One request of a WebSocket and what becomes of its answer: the sink that events end in, as messages that say whose
they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from frontdesk.core.errors import FrontdeskError, Unavailable
from frontdesk.http.requests import ClientGone
from frontdesk.http.sockets import Socket
from frontdesk.turn.events import TERMINAL_TYPES, Event
from frontdesk.turn.facts import ResponseFacts
from frontdesk.turn.sinks import Headers, Notices
from frontdesk.wire.openai_responses_render import ResponsesMessages
from frontdesk.wire.openai_responses_socket import error_message, notice_message

_END = b'{"type":"end"}'


class Exchange:
    """A request that came by a socket, and its answer.

    `tail` ends each of its messages, and says whose it is. With a `head` the events of its answer and the notices of
    it are held by such messages, each behind the head. With `keeps_events` those of its answer are kept, to go on with.
    It is `over` once all was sent, or nobody is there any more; its `error` is what its caller was told instead of an
    answer, or behind a part of one.
    """

    __slots__ = ("_head", "_socket", "_tail", "error", "events", "facts", "is_complete", "keeps_events", "over")

    def __init__(self, socket: Socket, tail: bytes, head: bytes = b"") -> None:
        self._socket = socket
        self._tail = tail
        self._head = head
        self.over = asyncio.Event()
        self.is_complete = False
        self.error: FrontdeskError | None = None
        self.facts: ResponseFacts | None = None
        self.keeps_events = False
        self.events: list[Event] = []

    @property
    def is_answered(self) -> bool:
        """Whether all of an answer was sent, and no error."""
        return self.is_complete and self.error is None

    async def receive(self) -> dict[str, Any]:
        """Return when it is over: as ASGI tells a request whose answer was sent, or whose client has gone."""
        await self.over.wait()
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        """Its turn ended without an end of its answer."""
        self.over.set()

    async def send(self, messages: list[bytes], *, is_last: bool = False) -> None:
        """Send events, or notices, in one write. Where nobody is there any more, it is over.

        Where its last events are none, for a reader that has them all, that is told instead.
        """
        told = [self._held(message) for message in messages]
        await self._send(told if told or not is_last else [self._told(_END)], is_last=is_last)

    async def answer(self, message: bytes) -> None:
        """Send a message that is no event, and is all of its answer."""
        await self._send([self._told(message)], is_last=True)

    async def _send(self, messages: list[bytes], *, is_last: bool) -> None:
        try:
            await self._socket.send(*messages)
        except ClientGone:
            self.over.set()
            return
        if is_last:
            self.is_complete = True
            self.over.set()

    def send_now(self, message: bytes) -> bool:
        """Send an event, or a notice, that need not wait; False where it would, or nobody is there any more."""
        return self._socket.send_now(self._held(message))

    async def refuse(self, error: FrontdeskError, headers: Headers | None = None) -> None:
        """Tell an error that ends it. Does nothing where its answer has ended."""
        if not self.is_complete:
            self.error = error
            await self.answer(error_message(error, headers or ()))

    async def end(self) -> None:
        """See that it does not stay open: its turn says nothing more, and its client may still be there."""
        if not self.is_complete and not self._socket.is_closed:
            await self.refuse(_broken_off(self.facts))

    def _held(self, event: bytes) -> bytes:
        return self._head + event + self._tail if self._head else self._told(event)

    def _told(self, message: bytes) -> bytes:
        return message if self._tail == b"}" else message[:-1] + self._tail


class SocketSink:
    """The messages of a Response. `headers` and `notices` are read when they leave, as a stream's.

    Notices are messages of their own type, behind the first event; what is told before the answer goes before it. Only
    an error takes headers along, in what it says.
    """

    __slots__ = ("_exchange", "_has_begun", "_has_left", "_headers", "_notices", "_unsent", "has_written", "renderer")

    def __init__(
        self, renderer: ResponsesMessages, exchange: Exchange, headers: Headers, notices: Notices = ()
    ) -> None:
        self.renderer = renderer
        self._exchange = exchange
        self._headers = headers
        self._notices = notices
        self._has_begun = False
        self._has_left = False
        self._unsent: list[bytes] = []  # of a write that was cancelled while it waited: the next one takes it along
        self.has_written = False

    @property
    def is_complete(self) -> bool:
        """Whether all that there is to send was handed over."""
        return self._exchange.is_complete

    async def write(self, events: list[Event]) -> None:
        """Send a batch in one write."""
        if self._has_left:
            return
        if self._exchange.keeps_events:
            self._exchange.events += events
        messages = self.renderer.render(events)
        is_last = bool(events) and type(events[-1]) in TERMINAL_TYPES
        if not messages and not is_last:
            return
        self._has_begun = True
        if self._notices:
            # Behind the first event: clients take that one for the beginning of the answer.
            messages[1:1] = map(notice_message, self._notices)
            self._notices = ()
        await self._send(messages, is_last=is_last)

    def keep_alive(self) -> None:
        """Nothing: the connection asks for a sign of life by itself (RFC 6455 §5.5.2)."""

    def tell(self, notice: Mapping[str, object]) -> None:
        """Send a notice before the answer begins; none where it would have to wait: the next one says more anyway."""
        if not (self._has_left or self._has_begun or self.is_complete):
            self.has_written = self._exchange.send_now(notice_message(notice)) or self.has_written

    async def fail(self, error: FrontdeskError) -> None:
        """Tell the error, or end the answer with it that has begun."""
        if self._has_left:
            return
        if self._has_begun:
            self._exchange.error = error
            await self._send(self.renderer.render_error(error), is_last=True)
            return
        if self._notices:
            await self._exchange.send([notice_message(notice) for notice in self._notices])
        await self._exchange.refuse(error, self._headers)

    def leave(self) -> None:
        """Forget what still comes."""
        self._has_left = True

    async def _send(self, messages: list[bytes], *, is_last: bool) -> None:
        self.has_written = True
        self._unsent = messages = self._unsent + messages
        await self._exchange.send(messages, is_last=is_last)
        self._unsent = []


def _broken_off(facts: ResponseFacts | None) -> Unavailable:
    where = "/v1/responses/{id}" if facts is None else f"/v1/responses/{facts.id}"
    return Unavailable(
        f"This answer cannot be followed here any more. Where it is stored, read on with GET {where}?stream=true; "
        "where it is not, send the request again.",
        code="answer_interrupted",
        retry_after_s=1,
    )
