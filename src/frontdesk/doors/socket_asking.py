"""Requests for responses that come over a socket: each becomes a turn, as at POST /v1/responses with `stream`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from frontdesk.doors.desk import Desk, Visit
from frontdesk.doors.responses import begin_response
from frontdesk.doors.socket_memory import Memory, Remembered, remembered
from frontdesk.doors.socket_sink import Exchange, SocketSink
from frontdesk.http.sockets import Socket
from frontdesk.turn.events import TurnCompleted, Usage, UsageReported
from frontdesk.turn.facts import Facts
from frontdesk.turn.run import Admitted
from frontdesk.turn.seams import Policy, Sink
from frontdesk.turn.sinks import Headers
from frontdesk.turn.turn import Turn
from frontdesk.wire.openai_responses import ResponsesRequest, read_response_fields
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesMessages, output_items
from frontdesk.wire.openai_responses_socket import Creation

Json = dict[str, Any]

PATH = "/v1/responses"
"""Where the same is asked by a POST: what is done once, or again after a crash, is known by it."""
_JSON = [(b"content-type", b"application/json")]
_encode = msgspec.json.Encoder().encode


class SocketAsking:
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
            await admitted.admit(self._policies)
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
        asked = self._asked
        renderer = ResponsesMessages(said, obfuscates=asked.obfuscates, is_background=asked.background)
        sink = SocketSink(renderer, self._exchange, headers, turn.notices if turn.wants_status else ())
        if turn.wants_status:
            turn.tell = sink.tell
        return sink


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


async def _never_sent(_: Json) -> None:
    """Its answer goes by the socket."""
