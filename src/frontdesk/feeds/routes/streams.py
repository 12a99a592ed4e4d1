"""A feed as an event stream, as fast as its reader takes it.

While nothing happens it is the request's own task, which waits for the client to go, and costs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from frontdesk.core.errors import FrontdeskError
from frontdesk.core.taking import given_back
from frontdesk.feeds import frames
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner
from frontdesk.http.requests import Head
from frontdesk.sync.shapes import Page
from frontdesk.turn.live import until_gone
from frontdesk.turn.sinks import STREAM_HEADERS, sent_at_once


class EventStream(Response):
    """The answer to who wants to be told from now on, or from behind a cursor. `open` it first, for what it raises."""

    _send: Send

    def __init__(self, feeds: Feeds, owner: Owner, conversation: str | None, head: Head, revision: str) -> None:
        # Not Response's own: what it keeps is of no use here, and there are thousands.
        self.head: Head | None = head
        self._feeds = feeds
        self._owner = owner
        self._revision = revision  # of the bootstrap
        self._feed = feeds.feed(owner, conversation, self)
        self._abort: Callable[[], None] | None = None
        self._is_ready = False
        self._is_sending = True  # nothing is sent between, until it has begun
        self._has_ended = False
        self._ended_early: FrontdeskError | None = None

    async def open(self, cursor: str | None) -> None:
        """Take a place and begin to listen. Raises RateLimited, Unavailable, StorageError."""
        self._feeds.rounds.join(self, self._owner)
        with given_back(self._leave):
            await self._feed.open(cursor)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell what comes; return when the stream has ended or its reader has gone."""
        self._send = send
        self._abort = scope.get("frontdesk.abort")
        try:
            if self._ended_early is not None:
                raise self._ended_early
            await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
            self._is_ready = not self._feed.is_behind
            now = frames.ready(self._feed.cursor, self._revision) if self._is_ready else b""
            await self._write(frames.BEGINNING + now)
            self._feed.start()
            await until_gone(cast("Any", receive))
        finally:
            self._leave()

    async def take(self, page: Page) -> None:
        """Send the changes of a page."""
        body = frames.changed(page)
        self._is_ready = self._is_ready and not page.is_reset
        if not (self._is_ready or page.has_more):
            self._is_ready = True
            body += frames.ready(page.cursor, self._revision)
        if body:
            await self._write(body)

    def break_off(self) -> None:
        """End the connection: its client comes again, with its cursor."""
        self._has_ended = True
        if self._abort is not None:
            self._abort()

    def beat(self) -> None:
        """Send a heartbeat, where it would not have to wait: then bytes are on their way already."""
        if not (self._is_sending or self._has_ended):
            heartbeat = frames.heartbeat(self._feed.cursor, self._revision)
            sent_at_once(cast("Any", self._send), _part(heartbeat))

    def end(self, error: FrontdeskError) -> None:
        """Say why, as the last; to who reads too slowly, nothing more."""
        if self._has_ended:
            return
        self._has_ended = True
        self._feed.close()
        self._ended_early = error
        last = {"type": "http.response.body", "body": frames.bye(error), "more_body": False}
        if self._is_sending or not sent_at_once(cast("Any", self._send), last):
            self.break_off()

    async def _write(self, body: bytes) -> None:
        if self._has_ended:
            return
        self._is_sending = True
        await self._send(_part(body))
        self._is_sending = False

    def _leave(self) -> None:
        self._has_ended = True
        self._feed.close()
        self._feeds.rounds.leave(self)


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}
