"""A feed as one body: what has changed, or after a while that nothing has."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from frontdesk.core.errors import FrontdeskError, Unavailable
from frontdesk.core.taking import given_back
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner
from frontdesk.http.requests import Head
from frontdesk.sync.shapes import Page, Told
from frontdesk.turn.live import until_gone
from frontdesk.turn.sinks import send_error, send_json

MOST_WAIT_S = 55
"""Proxies give up after a minute."""
_NO_STORE = [(b"cache-control", b"no-store")]


class PollAnswer(msgspec.Struct, kw_only=True):
    """What has changed behind a cursor, as in POST /api/sync, and after how many seconds to ask again.

    `bootstrap` is its revision: who knows another one asks for that again.
    """

    cursor: str
    changes: list[Told]
    has_more: bool = False
    reset: bool | UnsetType = UNSET
    poll_after_s: float
    bootstrap: str


class Poll(Response):
    """The answer to who asks again and again. `open` it first, for what it raises."""

    _send: Send

    def __init__(
        self, feeds: Feeds, owner: Owner, conversation: str | None, head: Head, revision: str, wait_s: float
    ) -> None:
        # Not Response's own: what it keeps is of no use here, and there are thousands.
        self.head: Head | None = head
        self._feeds = feeds
        self._owner = owner
        self._revision = revision  # of the bootstrap
        self._feed = feeds.feed(owner, conversation, self)
        self._wait_s = wait_s
        self._timer: asyncio.TimerHandle | None = None
        self._has_answered = False
        self._ended_early: FrontdeskError | None = None

    async def open(self, cursor: str | None) -> None:
        """Take a place and begin to listen. Raises RateLimited, Unavailable, StorageError."""
        self._feeds.rounds.join(self, self._owner)
        with given_back(self._leave):
            # Thousands poll again and again: who waits is told the rest in a moment.
            await self._feed.open(cursor, may_be_late=self._wait_s > 0)
        if cursor is None:
            self._wait_s = 0.0  # the first time it is told where it is, and has all there is

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as every answer
        """Answer, and return when that was sent or its client has gone."""
        self._send = send
        try:
            if self._ended_early is not None:
                raise self._ended_early
            if self._wait_s == 0 and not self._feed.is_behind:
                await self._answer(self._nothing())
                return
            self._timer = asyncio.get_running_loop().call_later(self._wait_s or _PATIENCE_S, self._give_up)
            self._feed.start()
            await until_gone(cast("Any", receive))
        finally:
            self._leave()

    async def take(self, page: Page) -> None:
        """Answer with the changes of a page; of none there is nothing to say yet."""
        if self._has_answered:
            return
        has_some = bool(page.changes) or page.is_reset
        if not has_some and self._wait_s > 0:
            return
        answer = self._said(page.cursor, page.changes, 0 if has_some else self._after_s())
        answer.has_more = page.has_more
        if page.is_reset:
            answer.reset = True
        await self._answer(answer)

    def break_off(self) -> None:
        """Answer that something broke."""
        self.end(FrontdeskError("Something went wrong here. It was logged; try again."))

    def beat(self) -> None:
        """Nothing: a body is sent whole."""

    def end(self, error: FrontdeskError) -> None:
        """Answer with an error; where the server is about to end, with nothing, and when to come again."""
        if self._has_answered:
            return
        self._ended_early = error
        if self._timer is None:  # or soon, as everything that is raised is answered
            self._has_answered = True
        elif isinstance(error, Unavailable):
            self._feeds.tasks.start("poll", self._answer(self._nothing(error.retry_after_s)))
        else:
            self._has_answered = True
            self._feed.close()
            self._feeds.tasks.start("poll", send_error(cast("Any", self._send), error, _NO_STORE))

    def _give_up(self) -> None:
        if not self._has_answered:
            self._feeds.tasks.start("poll", self._answer(self._nothing()))

    def _nothing(self, after_s: float | None = None) -> PollAnswer:
        return self._said(self._feed.cursor, [], self._after_s() if after_s is None else after_s)

    def _said(self, cursor: str, changes: list[Told], after_s: float) -> PollAnswer:
        return PollAnswer(cursor=cursor, changes=changes, poll_after_s=after_s, bootstrap=self._revision)

    def _after_s(self) -> float:
        return self._feeds.poll_after_s(self._wait_s)

    async def _answer(self, answer: PollAnswer) -> None:
        self._has_answered = True
        self._feed.close()
        await send_json(cast("Any", self._send), 200, _encode(answer), _NO_STORE)

    def _leave(self) -> None:
        self._has_answered = True
        if self._timer is not None:
            self._timer.cancel()
        self._feed.close()
        self._feeds.rounds.leave(self)


_encode = msgspec.json.Encoder().encode
_PATIENCE_S = 10.0  # with a store that fails, of who would not wait
