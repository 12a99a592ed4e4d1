"""Responses over a WebSocket: many requests on one connection, each answered with its events as messages.

    message ──► its lane (`stream_id`) ──► one at a time, in order ──► a turn as at POST /v1/responses ──► messages

A lane is a queue of its own; requests that name none share one. Lanes are served side by side. What is wrong with a
request is told in its turn, so that the n-th end of a lane is the n-th request's. A connection ends after an hour: what
is under way is finished, then it is told so, and closed. At a hang-up turns go on or drain as those of a POST.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from frontdesk.core.errors import BadRequest, FrontdeskError, Refused
from frontdesk.doors.desk import ASKING, Desk
from frontdesk.doors.socket_asking import PATH, SocketAsking
from frontdesk.doors.socket_lanes import Lane, SocketLanes, Waiting
from frontdesk.doors.socket_sink import Exchange
from frontdesk.doors.socket_work import SocketWork
from frontdesk.http.requests import ClientGone
from frontdesk.http.sockets import NORMAL, Socket
from frontdesk.turn.seams import Policy
from frontdesk.wire.openai_responses_socket import (
    Steering,
    lane_of,
    lane_tail,
    read_message,
    steering_failed,
)
from frontdesk.wire.reading import read_object

Json = dict[str, Any]

MOST_LANES = 32  # with names, in the life of a connection
_LIFE_S = 3600.0
_LIMIT_REACHED = "websocket_connection_limit_reached"


class ResponsesSocketDoor:
    """Answers Responses over WebSockets.

    `policies` are those of the line that say who may ask what, and make of a request what a provider is sent: those
    that a request passes which only gets ready. What a connection remembers, and what waits of it, has at most
    `limit_bytes` each. It lasts `life_s`.
    """

    def __init__(self, desk: Desk, policies: Sequence[Policy], limit_bytes: int, *, life_s: float = _LIFE_S) -> None:
        self._desk = desk
        self._policies = policies
        self._limit_bytes = limit_bytes
        self._life_s = life_s

    async def serve(self, socket: Annotated[Socket, ASKING]) -> None:
        """Serve a connection to its end."""
        asking = SocketAsking(self._desk, self._policies, socket, self._limit_bytes)
        connection = _Connection(asking, self._limit_bytes)
        try:
            await connection.serve(self._life_s)
        finally:
            await connection.close()


class _Connection:
    """The lanes of one socket."""

    def __init__(self, asking: SocketAsking, limit_bytes: int) -> None:
        self._asking = asking
        self._socket = asking.socket
        self._has_expired = False
        self._work = SocketWork(self._socket, PATH)
        self._lanes = SocketLanes(self._work, limit_bytes, "stream_id", self._emptied)
        self._named: dict[str | None, Lane] = {}

    async def serve(self, life_s: float) -> None:
        """Take messages until no more come, and return when what they ask for has its end."""
        life = asyncio.get_running_loop().call_later(life_s, self._expire)
        try:
            await self._work.receive(self._take)
            await self._work.finish()
        except ClientGone:
            return
        finally:
            life.cancel()

    async def close(self) -> None:
        """Let go of what is under way: its turns go on as after any hang-up."""
        await self._work.close()

    # --- taking and answering -----------------------------------------------------------------

    async def _take(self, text: str | bytes) -> None:
        """Put a message into its lane. What names none, or cannot be read, is of the one without a name."""
        fields: Json = {}
        wrong: FrontdeskError | None = None
        name: str | None = None
        try:
            fields = _parsed(text)
            name = lane_of(fields)
        except FrontdeskError as error:
            wrong = error  # to be told in its turn
        exchange = Exchange(self._socket, lane_tail(name))
        try:
            lane = self._lane(name)
            self._lanes.put(lane, Waiting(exchange, partial(self._answer, name, fields, wrong), len(text)))
        except Refused as error:
            await exchange.refuse(error)

    def _lane(self, name: str | None) -> Lane:
        lane = self._named.get(name)
        if lane is None:
            if name is not None and len(self._named) - (None in self._named) >= MOST_LANES:
                raise BadRequest(
                    f"This connection has {MOST_LANES} lanes already, the most that one may name. Use one of them, or "
                    "open another connection.",
                    code="websocket_stream_limit_reached",
                    param="stream_id",
                )
            lane = self._named[name] = Lane(name)
        return lane

    async def _answer(self, name: str | None, fields: Json, wrong: FrontdeskError | None, exchange: Exchange) -> None:
        if wrong is not None:
            raise wrong
        if self._has_expired:
            raise _expired()
        self._work.check_open()
        asked = read_message(fields)
        if isinstance(asked, Steering):
            await self._refuse_steering(asked)
            return
        await self._asking.ask(name, asked, exchange)

    async def _refuse_steering(self, steering: Steering) -> None:
        """Give the input back, in the lane of the response that it was for."""
        target = next((lane for lane in self._named.values() if _is_making(lane, steering.target)), None)
        await Exchange(self._socket, lane_tail(None if target is None else target.name)).send(
            [steering_failed(steering)]
        )

    # --- ending -------------------------------------------------------------------------------

    def _expire(self) -> None:
        self._has_expired = True
        if not self._lanes.busy:
            self._work.start("end of life", self._end())

    async def _emptied(self, _: Lane) -> None:
        if self._has_expired and not self._lanes.busy:
            await self._end()

    async def _end(self) -> None:
        await Exchange(self._socket, lane_tail(None)).refuse(_expired())
        self._socket.close(NORMAL, _LIMIT_REACHED)


def _parsed(text: str | bytes) -> Json:
    if isinstance(text, bytes):
        raise BadRequest("Messages are texts that hold JSON. This one was binary.", code="invalid_json")
    return read_object(text.encode())


def _is_making(lane: Lane, response_id: str) -> bool:
    exchange = lane.exchange
    return exchange is not None and exchange.facts is not None and exchange.facts.id == response_id


def _expired() -> BadRequest:
    return BadRequest(
        "A connection lasts 60 minutes, and this one ends now. Open a new one. There go on with responses that are "
        "stored by 'previous_response_id'; send all items again of those that are not.",
        code=_LIMIT_REACHED,
    )
