"""What waits on one socket: a lane is a queue, answered one by one in order; lanes are answered side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from frontdesk.core.errors import RateLimited
from frontdesk.doors.socket_sink import Exchange
from frontdesk.doors.socket_work import SocketWork

MOST_AT_ONCE = 16
MOST_WAITING = 64


class Waiting(NamedTuple):
    """A request of a lane: what does it, and about how long it is."""

    exchange: Exchange
    work: Callable[[Exchange], Awaitable[None]]
    size_bytes: int


class Lane:
    """A queue, and the exchange of it that is under way."""

    __slots__ = ("exchange", "is_busy", "name", "waiting")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.waiting: deque[Waiting] = deque()
        self.exchange: Exchange | None = None
        self.is_busy = False


class SocketLanes:
    """The lanes of one socket. What waits in them has at most `limit_bytes`; `param` is what names a lane.

    `emptied` is called when a lane has nothing more to do.
    """

    __slots__ = ("_emptied", "_limit_bytes", "_param", "_waiting", "_waiting_bytes", "_work", "busy")

    def __init__(
        self, work: SocketWork, limit_bytes: int, param: str, emptied: Callable[[Lane], Awaitable[None]]
    ) -> None:
        self.busy = 0
        self._work = work
        self._limit_bytes = limit_bytes
        self._param = param
        self._emptied = emptied
        self._waiting = 0
        self._waiting_bytes = 0

    def put(self, lane: Lane, asked: Waiting) -> None:
        """Put a request into its lane. Raises RateLimited where there is no room for it."""
        self._check_room(lane, asked)
        lane.waiting.append(asked)
        self._waiting += 1
        self._waiting_bytes += asked.size_bytes
        if not lane.is_busy:
            lane.is_busy = True
            self.busy += 1
            self._work.start(f"lane {lane.name}", self._run(lane))

    def _check_room(self, lane: Lane, asked: Waiting) -> None:
        if not lane.is_busy and self.busy >= MOST_AT_ONCE:
            raise RateLimited(
                f"{MOST_AT_ONCE} responses are under way on this connection, the most at a time. Wait for one to end.",
                code="websocket_stream_limit_reached",
                param=self._param,
            )
        if not lane.is_busy:
            return
        if self._waiting >= MOST_WAITING or self._waiting_bytes + asked.size_bytes > self._limit_bytes:
            raise RateLimited(
                f"Too much waits on this connection: at most {MOST_WAITING} messages, of "
                f"{self._limit_bytes / 1_048_576:g} MB in all. Wait for responses to end before you ask for more.",
                code="too_many_waiting",
            )

    async def _run(self, lane: Lane) -> None:
        """Answer what waits in a lane, one by one."""
        try:
            while lane.waiting and not self._work.has_ended:
                asked = lane.waiting.popleft()
                self._waiting -= 1
                self._waiting_bytes -= asked.size_bytes
                lane.exchange = asked.exchange
                await self._work.answer(asked.exchange, asked.work)
        finally:
            lane.exchange = None
            lane.is_busy = False
            self.busy -= 1
        await self._emptied(lane)
