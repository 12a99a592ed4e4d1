"""One device's view of its person's changes, from a cursor on, whatever it reads them by.

    hub ──moved──► Feed ──pull, a page at a time──► store
                    └──take──► its reader, who takes the next page when this one was taken

Nobody is told more than they take: while a reader takes its time nothing is read for it, and what changes meanwhile is
told once, as it is by then. A page that is about other conversations only moves the cursor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol

from frontdesk.core.tasks import Tasks
from frontdesk.feeds.hub import Ear, Known
from frontdesk.files.owner import Owner
from frontdesk.storage.errors import StorageError
from frontdesk.sync.cursor import Cursor, read_cursor
from frontdesk.sync.shapes import USUAL_CHANGES, Page, conversation_of

_log = logging.getLogger("frontdesk.feeds")

_NOWHERE = Cursor("unknown", 0)  # of nobody's changes: what is told behind it is a first sync
_PAUSE_S = 1.0
"""Before the store is asked again that has failed."""


class Listening(Protocol):
    """Tells how far somebody's changes go: `Hub`."""

    def listen(self, owner: Owner, ear: Ear, *, is_certain: bool = False) -> Awaitable[Known]:
        """Tell an ear from now on."""
        ...

    def leave(self, owner: Owner, ear: Ear) -> None:
        """Tell it no more."""
        ...


class Pulls(Protocol):
    """Reads what has changed: `Pulling`."""

    def pull(self, owner: Owner, cursor: str | None, limit: int = ..., /) -> Awaitable[Page]:
        """The next page behind a cursor. Raises StorageError."""
        ...


class Reader(Protocol):
    """Who is told by a feed."""

    async def take(self, page: Page) -> None:
        """Take some changes, which waits for nobody but the device. There may be none in the first page of a first sync
        (`is_reset`), and in the last one of what there was already.
        """
        ...

    def break_off(self) -> None:
        """Nothing more will come, by a fault of ours."""
        ...


class Feed:
    """Of one reader. `open` it, then `start` it, and `close` it in the end, whatever happens."""

    __slots__ = (
        "_conversation",
        "_hub",
        "_is_bringing",
        "_is_closed",
        "_is_whole",
        "_known",
        "_owner",
        "_pulls",
        "_reader",
        "_seen",
        "_tasks",
        "cursor",
    )
    _known: Known

    def __init__(
        self, hub: Listening, pulls: Pulls, tasks: Tasks, owner: Owner, conversation: str | None, reader: Reader
    ) -> None:
        self._hub = hub
        self._pulls = pulls
        self._tasks = tasks
        self._owner = owner
        self._conversation = conversation
        self._reader = reader
        self._is_bringing = True  # nothing, until it is started
        self._is_closed = False
        self._is_whole = True  # whether the store had no more when it was asked
        self._seen = 0  # how far changes went then
        self.cursor = ""

    @property
    def is_behind(self) -> bool:
        """Whether there may be something to tell."""
        return not self._is_whole or self._known.head > self._seen

    async def open(self, cursor: str | None, *, may_be_late: bool = False) -> None:
        """Begin to listen, behind a cursor; without one, from now on. What is no cursor is a stale one.

        Who begins behind a cursor must not be told that it has all there is before that is so, unless it stays to
        hear the rest and `may_be_late`. Raises StorageError.
        """
        is_certain = cursor is not None and not may_be_late
        self._known = await self._hub.listen(self._owner, self, is_certain=is_certain)
        now = self._known.cursor
        place = now if cursor is None else read_cursor(cursor) or _NOWHERE
        self._is_whole = place == now
        self._seen = self._known.head
        self.cursor = str(place)

    def start(self) -> None:
        """Begin to tell."""
        self._is_bringing = False
        self._bring_if_behind()

    def moved(self, head: int) -> None:  # noqa: ARG002 - as every ear
        """The person's changes go further than before."""
        self._bring_if_behind()

    def close(self) -> None:
        """Tell no more. May be called twice."""
        self._is_closed = True
        self._hub.leave(self._owner, self)

    def _bring_if_behind(self) -> None:
        # In this order: before it is open nothing is known.
        if not (self._is_bringing or self._is_closed) and self.is_behind:
            self._is_bringing = True
            self._tasks.start("feed", self._bring())

    async def _bring(self) -> None:
        try:
            while self.is_behind and not self._is_closed:
                await self._bring_page()
        except Exception:  # noqa: BLE001 - a bug must not leave its reader waiting for ever
            _log.exception("feed_broke")
            self._reader.break_off()
        finally:
            self._is_bringing = False

    async def _bring_page(self) -> None:
        head = self._known.head
        try:
            page = await self._pulls.pull(self._owner, self.cursor, USUAL_CHANGES)
        except StorageError:
            await asyncio.sleep(_PAUSE_S)
            return
        page = _about(page, self._conversation)
        is_end = not (page.has_more or self._is_whole)
        if (page.changes or page.is_reset or is_end) and not self._is_closed:
            await self._reader.take(page)
        self.cursor = page.cursor
        self._is_whole = not page.has_more
        self._seen = head


def _about(page: Page, conversation: str | None) -> Page:
    """What of a page is about one conversation."""
    if conversation is None:
        return page
    about = [number for number, told in enumerate(page.changes) if conversation_of(told) == conversation]
    page.changes = [page.changes[number] for number in about]
    page.places = [page.places[number] for number in about]
    return page
