"""Where answers end that are neither JSON nor events: sound, and plain texts."""

from __future__ import annotations

from typing import Protocol

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import TERMINAL_TYPES, Event
from frontdesk.turn.sinks import Headers, Notices, Send, send_error, with_notices


class ContentRenderer(Protocol):
    """Renders events as bytes of one type."""

    @property
    def content_type(self) -> str:
        """What the bytes are; it counts when the first ones leave."""
        ...

    def render(self, events: list[Event]) -> bytes:
        """Return more bytes, possibly none."""
        ...


class ContentSink:
    """Bytes over ASGI, sent as they come. Headers leave with the first of them, so until then an error has its status.

    An answer that breaks off later can say so in one way only: by the end of its connection, before its own.
    """

    __slots__ = ("_has_left", "_has_started", "_headers", "_notices", "_send", "has_written", "is_complete", "renderer")

    def __init__(self, renderer: ContentRenderer, send: Send, headers: Headers, notices: Notices = ()) -> None:
        self.renderer = renderer
        self._send = send
        self._headers = headers
        self._notices = notices
        self._has_started = False
        self._has_left = False
        self.has_written = False
        self.is_complete = False

    async def write(self, events: list[Event]) -> None:
        """Send a batch in one write."""
        if self._has_left:
            return
        body = self.renderer.render(events)
        is_last = bool(events) and type(events[-1]) in TERMINAL_TYPES
        if not body and not is_last:
            return
        self.has_written = True
        if not self._has_started:
            kind = (b"content-type", self.renderer.content_type.encode("latin-1"))
            headers = with_notices([kind, *self._headers], self._notices)
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            self._has_started = True
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})
        self.is_complete = is_last

    def keep_alive(self) -> None:
        """Nothing: every byte counts."""

    async def fail(self, error: FrontdeskError) -> None:
        """Answer with the error where nothing was sent; else leave the answer without its end."""
        if self._has_left or self._has_started:
            return
        await send_error(self._send, error, with_notices(self._headers, self._notices))
        self.is_complete = True

    def leave(self) -> None:
        """Forget what still comes."""
        self._has_left = True
