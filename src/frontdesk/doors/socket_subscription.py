"""What one socket is told of what changes: a feed, as frames."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.doors import socket_frames as frames
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner
from frontdesk.http.requests import ClientGone
from frontdesk.http.socket_protocol import INTERNAL_ERROR
from frontdesk.http.sockets import Socket
from frontdesk.sync.shapes import Page
from frontdesk.wire.openai_responses_socket import error_message

_FRAME_BYTES = 128 * 1024  # about: clients have limits, and answers come between frames
_encode = msgspec.json.Encoder().encode


class Subscription:
    """One subscription of a socket, under the id of the frame that asked for it. `open` it, in the end `close` it."""

    __slots__ = ("_feed", "_is_closed", "_is_ready", "_sent", "_socket", "_tail")

    def __init__(self, socket: Socket, feeds: Feeds, owner: Owner, conversation: str | None, tail: bytes) -> None:
        self._socket = socket
        self._tail = tail
        self._feed = feeds.feed(owner, conversation, self)
        self._is_ready = False
        self._is_closed = False
        self._sent: str | None = None  # of a page under way

    @property
    def cursor(self) -> str:
        """Where its client is, as far as it was sent anything."""
        return self._sent or self._feed.cursor

    async def open(self, cursor: str | None) -> None:
        """Begin to listen, behind a cursor; without one, from now on. Raises StorageError."""
        await self._feed.open(cursor)

    async def start(self) -> None:
        """Begin to tell. Raises ClientGone."""
        if not self._feed.is_behind:
            self._is_ready = True
            await self._socket.send(frames.ready(self._feed.cursor, self._tail))
        self._feed.start()

    async def take(self, page: Page) -> None:
        """Send the changes of a page, as soon as what was sent before was taken."""
        try:
            if page.is_reset:
                self._is_ready = False
                await self._send(frames.reset(self._tail))
            for place, changes in _parts_of(page):
                await self._send(frames.changes(place, changes, self._tail))
                self._sent = place
            if not (self._is_ready or page.has_more):
                self._is_ready = True
                await self._send(frames.ready(page.cursor, self._tail))
        except ClientGone:
            self.close()
        finally:
            self._sent = None  # the feed's own cursor counts at once

    def break_off(self) -> None:
        """Tell that nothing more will come; its client subscribes again."""
        if self._is_closed:
            return
        self.close()
        error = FrontdeskError("Something went wrong here. It was logged; subscribe again.")
        if not self._socket.send_now(error_message(error)[:-1] + self._tail):
            self._socket.close(INTERNAL_ERROR, error.code)

    def close(self) -> None:
        """Tell nothing more, nor what waits to be sent: it might come behind what another one tells. May be called
        twice.
        """
        self._is_closed = True
        self._feed.close()

    async def _send(self, frame: bytes) -> None:
        while not self._is_closed and not self._socket.send_now(frame):
            await self._socket.until_writable()


def _parts_of(page: Page) -> Iterator[tuple[str, list[msgspec.Raw]]]:
    """Yield the changes of a page by parts that are not too long, each with the cursor behind its last one."""
    some: list[msgspec.Raw] = []
    size_bytes = 0
    for told, place in zip(page.changes, page.places, strict=True):
        change = _encode(told)
        some.append(msgspec.Raw(change))
        size_bytes += len(change)
        if size_bytes >= _FRAME_BYTES:
            yield place, some
            some, size_bytes = [], 0
    if some:
        yield page.places[-1], some
