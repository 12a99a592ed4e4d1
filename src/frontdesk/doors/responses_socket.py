"""Responses over a WebSocket: many requests on one connection, each answered with its events as messages.

    message ──► its lane (`stream_id`) ──► one at a time, in order ──► a turn as at POST /v1/responses ──► messages

A lane is a queue of its own; requests that name none share one. Lanes are served side by side. What is wrong with a
request is told in its turn, so that the n-th end of a lane is the n-th request's. A connection ends after an hour: what
is under way is finished, then it is told so, and closed. At a hang-up turns go on or drain as those of a POST.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, RateLimited, Refused, Unavailable, store_unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.doors.responses import begin_response
from frontdesk.doors.socket_memory import Memory, Remembered, remembered
from frontdesk.doors.socket_sink import Exchange, SocketSink
from frontdesk.http.requests import ClientGone
from frontdesk.http.sockets import NORMAL, Socket
from frontdesk.storage.errors import StorageError
from frontdesk.turn.events import TurnCompleted, Usage, UsageReported
from frontdesk.turn.facts import Facts
from frontdesk.turn.run import Admitted
from frontdesk.turn.seams import Policy, Sink
from frontdesk.turn.sinks import Headers
from frontdesk.turn.turn import Turn
from frontdesk.wire.openai_responses import ResponsesRequest, read_response_fields
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesMessages, output_items
from frontdesk.wire.openai_responses_socket import (
    Creation,
    Steering,
    lane_of,
    lane_tail,
    read_message,
    steering_failed,
)
from frontdesk.wire.reading import read_object

Json = dict[str, Any]
_log = logging.getLogger("frontdesk.doors")

PATH = "/v1/responses"
MOST_LANES = 32  # with names, in the life of a connection
MOST_AT_ONCE = 16
MOST_WAITING = 64
_LIFE_S = 3600.0
_LOOK_EVERY_S = 1.0
_LAST_WORDS_S = 1.0
_JSON = [(b"content-type", b"application/json")]
_LIMIT_REACHED = "websocket_connection_limit_reached"
_encode = msgspec.json.Encoder().encode


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
        connection = _Connection(_Asking(self._desk, self._policies, socket, self._limit_bytes), self._limit_bytes)
        try:
            await connection.serve(self._life_s)
        finally:
            await connection.close()


@dataclass(slots=True)
class _Message:
    """A message that waits in its lane: its fields, or what is wrong with it already."""

    fields: Json
    size_bytes: int
    error: FrontdeskError | None = None


@dataclass(slots=True)
class _Lane:
    name: str | None
    waiting: deque[_Message] = field(default_factory=deque[_Message])
    exchange: Exchange | None = None  # the one under way
    is_busy: bool = False


class _Connection:
    """The lanes of one socket."""

    def __init__(self, asking: _Asking, limit_bytes: int) -> None:
        self._asking = asking
        self._socket = asking.socket
        self._limit_bytes = limit_bytes
        self._lanes: dict[str | None, _Lane] = {}
        self._busy = 0
        self._waiting = 0
        self._waiting_bytes = 0
        self._has_expired = False
        self._tasks = Tasks("socket lanes")

    async def serve(self, life_s: float) -> None:
        """Take messages until no more come, and return when what they ask for has its end."""
        life = asyncio.get_running_loop().call_later(life_s, self._expire)
        try:
            while (message := await self._socket.receive()) is not None:
                await self._take(message)
            while not await self._tasks.wait(_LOOK_EVERY_S):
                if self._socket.is_closed:
                    self._hang_up()
        except ClientGone:
            return
        finally:
            life.cancel()

    async def close(self) -> None:
        """Let go of what is under way: its turns go on as after any hang-up."""
        self._hang_up()
        await self._tasks.wait(_LAST_WORDS_S)
        await self._tasks.close()

    # --- taking -------------------------------------------------------------------------------

    async def _take(self, text: str | bytes) -> None:
        """Put a message into its lane. What names none, or cannot be read, is of the one without a name."""
        message = _Message({}, len(text))
        name: str | None = None
        try:
            message.fields = _parsed(text)
            name = lane_of(message.fields)
        except FrontdeskError as error:
            message.error = error
        try:
            lane = self._lane(name)
            self._check_room(lane, message)
        except Refused as error:
            await Exchange(self._socket, lane_tail(name)).refuse(error)
            return
        lane.waiting.append(message)
        self._waiting += 1
        self._waiting_bytes += message.size_bytes
        if not lane.is_busy:
            lane.is_busy = True
            self._busy += 1
            self._tasks.start(f"lane {name}", self._run(lane))

    def _lane(self, name: str | None) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            if name is not None and len(self._lanes) - (None in self._lanes) >= MOST_LANES:
                raise BadRequest(
                    f"This connection has {MOST_LANES} lanes already, the most that one may name. Use one of them, or "
                    "open another connection.",
                    code="websocket_stream_limit_reached",
                    param="stream_id",
                )
            lane = self._lanes[name] = _Lane(name)
        return lane

    def _check_room(self, lane: _Lane, message: _Message) -> None:
        if not lane.is_busy and self._busy >= MOST_AT_ONCE:
            raise RateLimited(
                f"{MOST_AT_ONCE} responses are under way on this connection, the most at a time. Wait for one to end.",
                code="websocket_stream_limit_reached",
                param="stream_id",
            )
        if not lane.is_busy:
            return
        if self._waiting >= MOST_WAITING or self._waiting_bytes + message.size_bytes > self._limit_bytes:
            raise RateLimited(
                f"Too much waits on this connection: at most {MOST_WAITING} messages, of "
                f"{self._limit_bytes / 1_048_576:g} MB in all. Wait for responses to end before you ask for more.",
                code="too_many_waiting",
            )

    # --- answering ----------------------------------------------------------------------------

    async def _run(self, lane: _Lane) -> None:
        """Answer what waits in a lane, one by one."""
        try:
            while lane.waiting:
                message = lane.waiting.popleft()
                self._waiting -= 1
                self._waiting_bytes -= message.size_bytes
                lane.exchange = Exchange(self._socket, lane_tail(lane.name))
                await self._answer(lane, lane.exchange, message)
        finally:
            lane.exchange = None
            lane.is_busy = False
            self._busy -= 1
        if self._has_expired and not self._busy:
            await self._end()

    async def _answer(self, lane: _Lane, exchange: Exchange, message: _Message) -> None:
        try:
            asked = self._read(message)
            if isinstance(asked, Steering):
                await self._refuse_steering(asked)
                return
            await self._asking.ask(lane.name, asked, exchange)
        except FrontdeskError as error:
            await exchange.refuse(error)
        except StorageError as error:
            _log.error("store_failed path=%s reason=%s", PATH, error)
            await exchange.refuse(store_unavailable())
        except Exception:  # noqa: BLE001 - as Edge does: a bug in one request must not end the others
            _log.exception("socket_request_broke path=%s", PATH)
            await exchange.refuse(FrontdeskError("Something went wrong here. It was logged; try again."))

    def _read(self, message: _Message) -> Creation | Steering:
        if message.error is not None:
            raise message.error
        if self._has_expired:
            raise _expired()
        if self._socket.is_ending:
            raise Unavailable(
                "The server is restarting. Open a new connection in a moment.",
                code="server_shutting_down",
                retry_after_s=1,
            )
        return read_message(message.fields)

    async def _refuse_steering(self, steering: Steering) -> None:
        """Give the input back, in the lane of the response that it was for."""
        target = next((lane for lane in self._lanes.values() if _is_making(lane, steering.target)), None)
        await Exchange(self._socket, lane_tail(None if target is None else target.name)).send(
            [steering_failed(steering)]
        )

    # --- ending -------------------------------------------------------------------------------

    def _expire(self) -> None:
        self._has_expired = True
        if not self._busy:
            self._tasks.start("end of life", self._end())

    async def _end(self) -> None:
        await Exchange(self._socket, lane_tail(None)).refuse(_expired())
        self._socket.close(NORMAL, _LIMIT_REACHED)

    def _hang_up(self) -> None:
        for lane in self._lanes.values():
            lane.waiting.clear()
            if lane.exchange is not None:
                lane.exchange.over.set()


class _Asking:
    """Makes turns of requests, and remembers what they need who come after them."""

    def __init__(self, desk: Desk, policies: Sequence[Policy], socket: Socket, limit_bytes: int) -> None:
        self.socket = socket
        self._desk = desk
        self._policies = policies
        self._memory = Memory(limit_bytes)
        self._scope = {
            "type": "http",
            "method": "POST",
            "scheme": socket.scope.get("scheme", "http"),
            "path": PATH,
            "headers": _JSON,
            "client": socket.scope.get("client"),
        }

    async def ask(self, lane: str | None, creation: Creation, exchange: Exchange) -> None:
        """Answer a request. Raises what it is refused with, before anything was sent."""
        try:
            await self._ask(lane, creation, exchange)
        finally:
            if not exchange.is_answered:
                self._memory.forget(creation.previous)

    async def _ask(self, lane: str | None, creation: Creation, exchange: Exchange) -> None:
        before = self._memory.find(creation.previous)
        asked = read_response_fields(creation.fields)
        fields = creation.fields
        if before is not None:
            fields = before.before(fields)
            asked = _going_on(read_response_fields(fields), before, creation)
        body = _encode(fields)
        visit = self._visit(creation, exchange)
        turn, wish = begin_response(self._desk, visit, asked, body)
        if not creation.generates:
            await self._get_ready(turn, asked, exchange)
        else:
            if wish.stores or creation.key is not None:
                visit.asked = body
                visit.said = _encode(creation.fields) if before is not None else None
            exchange.keeps_events = not wish.stores
            form = _Form(turn, asked, exchange)
            await self._desk.answer(turn, visit, form, wish)
            await exchange.end()
        if exchange.is_answered and not (creation.generates and wish.stores):
            self._remember(lane, fields, len(body), before, exchange)

    def _visit(self, creation: Creation, exchange: Exchange) -> Visit:
        head = copy.copy(self.socket.head)
        head.idempotency_key = None if creation.key is None else creation.key.encode()
        scope = {**self._scope, "frontdesk.abort": exchange.abort}
        return Visit(self.socket.caller, head, b"", scope, exchange.receive, _never_sent)

    async def _get_ready(self, turn: Turn, asked: ResponsesRequest, exchange: Exchange) -> None:
        """Let a request pass as far as that costs nothing, and answer with a Response that says nothing."""
        admitted = Admitted(turn)
        facts = ResponseTurnFacts(turn, {**asked.echo, "store": False})
        try:
            for policy in self._policies:
                waiting = policy.admit(turn)
                if waiting is not None:
                    await waiting
                admitted.add(policy)
        finally:
            admitted.settle()
        turn.finished_at = turn.clock.now()
        sink = _Form(turn, asked, exchange)(facts, turn.headers)
        await sink.write([UsageReported(Usage(0, 0)), TurnCompleted()])

    def _remember(
        self, lane: str | None, fields: Json, size_bytes: int, before: Remembered | None, exchange: Exchange
    ) -> None:
        facts = exchange.facts
        assert facts is not None  # it was answered
        output = output_items(facts, list(exchange.events))
        found = remembered(fields, before, output, size_bytes + len(_encode(output)))
        self._memory.keep(lane, facts.id, found)


class _Form:
    """Makes the sink of an exchange, for whatever turn it is answered with."""

    __slots__ = ("_asked", "_exchange", "_turn")

    def __init__(self, turn: Turn, asked: ResponsesRequest, exchange: Exchange) -> None:
        self._turn = turn
        self._asked = asked
        self._exchange = exchange

    def __call__(self, facts: Facts, headers: Headers) -> Sink:
        turn = self._turn
        said: Any = facts  # of a Response's turn, whichever it is
        self._exchange.facts = said
        renderer = ResponsesMessages(said, obfuscates=self._asked.obfuscates)
        sink = SocketSink(renderer, self._exchange, headers, turn.notices if turn.wants_status else ())
        if turn.wants_status:
            turn.tell = sink.tell
        return sink


def _parsed(text: str | bytes) -> Json:
    if isinstance(text, bytes):
        raise BadRequest("Messages are texts that hold JSON. This one was binary.", code="invalid_json")
    return read_object(text.encode())


def _going_on(asked: ResponsesRequest, before: Remembered, creation: Creation) -> ResponsesRequest:
    """The same request: what this server said in it needs no leave, and it says what it goes on with.

    Raises BadRequest where it does not fit to that.
    """
    before.check_outputs(asked.prompt.items)
    return msgspec.structs.replace(
        asked,
        prompt=msgspec.structs.replace(asked.prompt, answered=before.answers),
        echo={**asked.echo, "previous_response_id": creation.previous},
    )


def _is_making(lane: _Lane, response_id: str) -> bool:
    exchange = lane.exchange
    return exchange is not None and exchange.facts is not None and exchange.facts.id == response_id


def _expired() -> BadRequest:
    return BadRequest(
        "A connection lasts 60 minutes, and this one ends now. Open a new one. There go on with responses that are "
        "stored by 'previous_response_id'; send all items again of those that are not.",
        code=_LIMIT_REACHED,
    )


async def _never_sent(_: Json) -> None:
    """Its answer goes by the socket."""
