"""/api/socket: all that a device needs, on one connection: what changes, what it brings, answers as they are made.

    subscribe ──► a feed, told by a task of its own, one at a time
    push      ──► its lane: what devices bring is done in order; then the answers to it are followed, where it says so
    create ┐
    follow ├────► a lane of the frame's id: side by side, unless ids are the same
    cancel ┘
    unfollow  ──► what is followed under the frame's id ends
    ping      ──► at once

Each frame is answered under its id, whatever else is told in between. When the server ends, the subscription ends with
a `bye`, so that its device goes elsewhere, and the answers under way are finished here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol

from frontdesk.conversations.rows import ConversationRow
from frontdesk.core.errors import FrontdeskError, RateLimited, Refused, Unavailable
from frontdesk.core.taking import given_back
from frontdesk.doors import socket_frames as frames
from frontdesk.doors.kept.ending import Ending
from frontdesk.doors.kept.turns import KeptTurns
from frontdesk.doors.present import Presence
from frontdesk.doors.socket_asking import SocketAsking
from frontdesk.doors.socket_frames import Cancel, Create, Follow, Ping, Push, Subscribe, Unfollow
from frontdesk.doors.socket_lanes import Lane, SocketLanes, Waiting
from frontdesk.doors.socket_sink import Exchange, SocketSink
from frontdesk.doors.socket_subscription import Subscription
from frontdesk.doors.socket_work import SocketWork
from frontdesk.feeds.rounds import BEAT_EVERY_S
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner, owner_of
from frontdesk.http.callers import May
from frontdesk.http.clients import PROTOCOL_VERSION
from frontdesk.http.requests import ClientGone, Head
from frontdesk.http.sockets import Socket
from frontdesk.sync.shapes import Result
from frontdesk.wire.openai_responses_render import ResponsesMessages, last_message
from frontdesk.wire.openai_responses_socket import Creation, read_request

Json = dict[str, Any]

PATH = "/api/socket"
_BURST_FRAMES = 200.0
_FRAMES_S = 20.0


class Conversations(Protocol):
    """Knows whose conversations are."""

    def find(self, owner: Owner, conversation_id: str, /) -> Awaitable[ConversationRow]:
        """One of somebody's. Raises NotFound."""
        ...


class Pushing(Protocol):
    """Does what was done on devices."""

    def push(self, presence: Presence, entries: Sequence[Json], /) -> Awaitable[Sequence[Result]]:
        """Do entries in order, each exactly once; returns what became of each."""
        ...


@dataclass(frozen=True, slots=True)
class SocketServices:
    """What is done for who has a socket, by services that have nothing to do with sockets."""

    asking: Callable[[Socket], SocketAsking]
    kept: KeptTurns
    ending: Ending
    feeds: Feeds
    conversations: Conversations
    pushing: Pushing


class ApiSocketDoor:
    """Serves people's sockets.

    `revision` is that of the bootstrap; what waits of one socket has at most `limit_bytes`.
    """

    def __init__(self, services: SocketServices, revision: str, limit_bytes: int) -> None:
        self._services = services
        self._revision = revision
        self._limit_bytes = limit_bytes

    async def serve(self, socket: Annotated[Socket, May("user")]) -> None:
        """Serve a connection to its end."""
        connection = _Connection(self._services, socket, self._revision, self._limit_bytes)
        rounds = self._services.feeds.rounds
        try:
            rounds.join(connection, owner_of(socket.caller))
        except FrontdeskError as error:
            # Not by its handshake: no page could read what that is answered with.
            await Exchange(socket, frames.tail(None)).refuse(error)
            raise
        try:
            await connection.serve()
        finally:
            rounds.leave(connection)
            await connection.close()


class _Connection:
    """One socket, what it is told, and what it asked for."""

    __slots__ = (
        "_answers",
        "_asking",
        "_followed",
        "_has_begun",
        "_has_said_bye",
        "_named",
        "_others",
        "_pace",
        "_revision",
        "_services",
        "_socket",
        "_subscription",
        "_work",
    )

    def __init__(self, services: SocketServices, socket: Socket, revision: str, limit_bytes: int) -> None:
        self._services = services
        self._socket = socket
        self._revision = revision
        self._work = SocketWork(socket, PATH)
        self._answers = SocketLanes(self._work, limit_bytes, "id", self._emptied)
        self._others = SocketLanes(self._work, limit_bytes, "id", self._emptied)  # which need no place among answers
        self._named: dict[str, Lane] = {}
        self._followed: set[Exchange] = set()
        self._pace = _Pace()
        self._asking: SocketAsking | None = None  # most sockets never ask
        self._subscription: Subscription | None = None
        self._has_begun = False
        self._has_said_bye = False

    async def serve(self) -> None:
        """Take frames until no more come, and return when what they ask for has its end."""
        try:
            await self._socket.send(frames.hello(PROTOCOL_VERSION, self._revision, BEAT_EVERY_S))
            self._has_begun = True
            await self._work.receive(self._take)
            self.end(_restarting())
            await self._work.finish()
        except ClientGone:
            return

    async def close(self) -> None:
        """Let go of all: turns go on as after any hang-up."""
        self._unsubscribe()
        await self._work.close()

    # --- among all who listen -----------------------------------------------------------------

    @property
    def head(self) -> Head | None:
        """None: the credentials of sockets are looked at as those of all sockets."""
        return None

    def beat(self) -> None:
        """Give a sign of life, where the peer reads what it is sent."""
        if self._has_begun:
            cursor = None if self._subscription is None else self._subscription.cursor
            self._socket.send_now(frames.heartbeat(cursor, self._revision))

    def end(self, error: FrontdeskError) -> None:
        """Tell nothing more of what changes, and that somebody else will. What is under way is finished here."""
        self._unsubscribe()
        if not self._has_said_bye:
            self._has_said_bye = True
            self._socket.send_now(frames.bye(error))

    # --- taking -------------------------------------------------------------------------------

    async def _take(self, text: str | bytes) -> None:
        fields: Json = {}
        try:
            self._pace.check()
            fields = frames.read_frame(text)
            await self._do(frames.typed(fields), len(text))
        except Refused as error:
            await self._exchange(frames.id_in(fields)).refuse(error)

    async def _do(self, frame: frames.Frame, size_bytes: int) -> None:
        exchange = self._exchange(frame.id)
        match frame:
            case Ping():
                await exchange.answer(frames.PONG)
            case Subscribe():
                # In its turn: who subscribes again and again waits for each.
                await self._work.answer(exchange, partial(self._subscribe, frame))
            case Push():
                asked = Waiting(exchange, partial(self._push, frame), size_bytes)
                self._put(self._others, "push", asked)
            case Cancel():
                asked = Waiting(exchange, partial(self._cancel, frame), size_bytes)
                self._put(self._others, "cancel", asked)
            case Create():
                asked = Waiting(exchange, partial(self._create, frame), size_bytes)
                self._put(self._answers, f"answer {frame.id}", asked)
            case Follow():
                self._put_follow(frame, size_bytes)
            case Unfollow():
                self._unfollow(frame.id)

    def _exchange(self, frame_id: str | None) -> Exchange:
        return Exchange(self._socket, frames.tail(frame_id), frames.EVENT)

    def _put_follow(self, frame: Follow, size_bytes: int) -> None:
        asked = Waiting(self._exchange(frame.id), partial(self._follow, frame), size_bytes)
        self._put(self._answers, f"answer {frame.id}", asked)
        self._followed.add(asked.exchange)

    def _unfollow(self, frame_id: str) -> None:
        """End what is followed under an id, and what waits to be; not what was asked for under it."""
        lane = self._named.get(f"answer {frame_id}")
        for exchange in () if lane is None else (lane.exchange, *(asked.exchange for asked in lane.waiting)):
            if exchange in self._followed:
                self._followed.discard(exchange)
                exchange.abort()

    def _put(self, lanes: SocketLanes, name: str, asked: Waiting) -> None:
        lane = self._named.get(name) or Lane(name)
        lanes.put(lane, asked)
        self._named[name] = lane

    async def _emptied(self, lane: Lane) -> None:
        self._named.pop(str(lane.name), None)

    # --- doing --------------------------------------------------------------------------------

    async def _subscribe(self, frame: Subscribe, _: Exchange) -> None:
        self._work.check_open()
        owner = owner_of(self._socket.caller)
        if frame.conversation is not None:
            await self._services.conversations.find(owner, frame.conversation)
        feeds = self._services.feeds
        subscription = Subscription(self._socket, feeds, owner, frame.conversation, frames.tail(frame.id))
        with given_back(subscription.close):
            await subscription.open(frame.cursor)
        self._unsubscribe()
        if self._has_said_bye:
            subscription.close()
            return
        self._subscription = subscription
        await subscription.start()

    def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()

    async def _push(self, frame: Push, exchange: Exchange) -> None:
        self._work.check_open()
        presence = Presence(self._socket.caller, self._socket.scope)
        results = await self._services.pushing.push(presence, frame.entries)
        await exchange.answer(frames.results(results))
        for result in results if frame.follow else ():
            if result.id is not None and result.response is not None:
                try:
                    self._put_follow(Follow(id=result.id, response=result.response), 0)
                except RateLimited as error:
                    await self._exchange(result.id).refuse(error)

    async def _create(self, frame: Create, exchange: Exchange) -> None:
        self._work.check_open()
        creation = Creation(read_request(frame.request), key=frame.idempotency_key)
        if self._asking is None:
            self._asking = self._services.asking(self._socket)
        await self._asking.ask(None, creation, exchange)

    async def _follow(self, frame: Follow, exchange: Exchange) -> None:
        try:
            await self._read(frame, exchange)
            if exchange in self._followed:
                await exchange.end()
            elif not exchange.is_complete:
                await exchange.send([], is_last=True)
        finally:
            self._followed.discard(exchange)

    async def _read(self, frame: Follow, exchange: Exchange) -> None:
        self._work.check_open()
        kept = self._services.kept
        row = await kept.response(self._socket.caller, frame.response)
        reading = await kept.reading(row)
        exchange.facts = facts = reading.facts
        after = frame.starting_after
        if after is not None and not reading.has_places:
            await exchange.send([last_message(facts, reading.log.entries, after)], is_last=True)
            return
        renderer = ResponsesMessages(facts, after=after, is_background=row.is_background)
        reader = reading.log.attach(SocketSink(renderer, exchange, []), exchange.abort)
        try:
            await exchange.over.wait()
        finally:
            reader.leave()

    async def _cancel(self, frame: Cancel, exchange: Exchange) -> None:
        told = await self._services.ending.end(self._socket.caller, frame.response)
        await exchange.answer(frames.response(told))


class _Pace:
    """How fast a socket's frames may come: some at once, then so many a second."""

    __slots__ = ("_left", "_since")

    def __init__(self) -> None:
        self._left = _BURST_FRAMES
        self._since = asyncio.get_running_loop().time()

    def check(self) -> None:
        """Count a frame. Raises RateLimited where it is one too many."""
        now = asyncio.get_running_loop().time()
        self._left = min(_BURST_FRAMES, self._left + (now - self._since) * _FRAMES_S)
        self._since = now
        if self._left < 1:
            raise RateLimited(
                f"This connection sends more than {_FRAMES_S:g} frames a second. Bring several things by one 'push', "
                "and wait a moment.",
                code="too_many_frames",
                retry_after_s=1,
            )
        self._left -= 1


def _restarting() -> Unavailable:
    return Unavailable("The server is restarting. Try again in a moment.", code="server_shutting_down", retry_after_s=1)
