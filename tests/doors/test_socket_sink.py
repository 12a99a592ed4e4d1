"""The sink of a WebSocket: what waits is sent once, in order, and what cannot be sent ends it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from frontdesk.core.errors import FrontdeskError
from frontdesk.doors.socket_sink import Exchange, SocketSink
from frontdesk.http.requests import ClientGone
from frontdesk.turn.facts import ToldTurn
from frontdesk.wire.openai_responses_render import ResponsesMessages
from frontdesk.wire.openai_responses_socket import lane_tail
from tests.fakes import answer_events


class Wire:
    """A socket whose reader takes what is sent while it `may_write`."""

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.is_closed = False

    def send_now(self, *texts: bytes) -> bool:
        if self.is_closed or not self.may_write.is_set():
            return False
        self.writes.append(list(texts))
        return True

    async def send(self, *texts: bytes) -> None:
        await self.may_write.wait()
        if self.is_closed:
            raise ClientGone
        self.writes.append(list(texts))

    @property
    def types(self) -> list[str]:
        return [json.loads(text)["type"] for write in self.writes for text in write]


def sink_on(wire: Any, lane: str | None = None, notices: Any = ()) -> tuple[SocketSink, Exchange]:
    exchange = Exchange(wire, lane_tail(lane))
    return SocketSink(ResponsesMessages(ToldTurn("resp_1", "fast", 1, 2)), exchange, [], notices), exchange


WHOLE = ["response.created", "response.in_progress", "response.output_item.added"]


async def test_a_batch_is_one_write() -> None:
    wire = Wire()
    sink, exchange = sink_on(wire)

    for batch in answer_events("a", "b"):
        await sink.write(batch)

    assert len(wire.writes) == 4
    assert wire.types[:3] == WHOLE
    assert wire.types[-1] == "response.completed"
    assert sink.is_complete
    assert exchange.over.is_set()
    assert exchange.is_answered


async def test_a_write_that_was_cut_off_goes_with_the_next_one() -> None:
    wire = Wire()
    sink, exchange = sink_on(wire)
    wire.may_write.clear()
    writing = asyncio.ensure_future(sink.write(answer_events("a")[0]))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    wire.may_write.set()

    await sink.fail(FrontdeskError("It took too long."))

    assert wire.types[:3] == WHOLE
    assert wire.types[-1] == "response.failed"
    assert [json.loads(text)["sequence_number"] for text in wire.writes[0]] == list(range(len(wire.writes[0])))
    assert exchange.over.is_set()
    assert not exchange.is_answered


async def test_where_nobody_is_there_any_more_it_is_over() -> None:
    wire = Wire()
    wire.is_closed = True
    sink, exchange = sink_on(wire)

    await sink.write(answer_events("a")[0])

    assert (await exchange.receive())["type"] == "http.disconnect"
    assert not sink.is_complete
    await exchange.end()
    assert wire.writes == []


async def test_what_left_says_nothing_more() -> None:
    wire = Wire()
    sink, _ = sink_on(wire)
    sink.leave()

    await sink.write(answer_events("a")[0])
    await sink.fail(FrontdeskError("x"))
    sink.tell({"type": "frontdesk.queue"})
    sink.keep_alive()

    assert wire.writes == []


async def test_a_notice_is_told_before_the_answer_where_it_need_not_wait() -> None:
    wire = Wire()
    sink, _ = sink_on(wire, "l")
    sink.tell({"type": "frontdesk.queue", "ahead": 2})
    wire.may_write.clear()
    sink.tell({"type": "frontdesk.queue", "ahead": 1})
    wire.may_write.set()
    await sink.write(answer_events("a")[0])
    sink.tell({"type": "frontdesk.queue", "ahead": 0})

    assert [json.loads(text) for text in wire.writes[0]] == [{"type": "frontdesk.queue", "ahead": 2, "stream_id": "l"}]
    assert wire.types[1:] == WHOLE
    assert all(json.loads(text)["stream_id"] == "l" for text in wire.writes[1])
