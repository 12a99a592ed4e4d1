"""Streams over ASGI: whatever is cancelled, and however slow the reader, what arrives is whole and in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from frontdesk.core.errors import FrontdeskError, RateLimited, Unavailable
from frontdesk.turn.events import Event, TextDelta, TurnCompleted
from frontdesk.turn.sinks import StreamSink

COMMENT = b": keep-alive\n\n"


class Words:
    """Renders each word as itself."""

    def render(self, events: list[Event]) -> bytes:
        return b"".join(event.text.encode() if isinstance(event, TextDelta) else b"." for event in events)

    def render_error(self, error: FrontdeskError) -> bytes:
        return b"!"


class Reader:
    """ASGI's `send` of a reader that may be slow: it waits before it writes, as servers do."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.messages: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        await self.may_write.wait()
        is_start = message["type"] == "http.response.start"
        assert is_start == (not self.messages), "one start, and it comes first"
        assert not self.messages or self.messages[-1].get("more_body", True), "nothing after the last"
        self.messages.append(message)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]


def words(text: str) -> list[Event]:
    return [TextDelta(0, text)]


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def sink(reader: Reader) -> StreamSink:
    return StreamSink(Words(), reader.send, [])


async def cancelled(sink: StreamSink, reader: Reader, events: list[Event]) -> None:
    """A write that is cancelled while it waits for the reader."""
    reader.may_write.clear()
    writing = asyncio.ensure_future(sink.write(events))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    reader.may_write.set()


async def test_a_batch_is_one_write(sink: StreamSink, reader: Reader) -> None:
    await sink.write([*words("a"), *words("b")])
    await sink.write([*words("c"), TurnCompleted()])

    assert reader.bodies == [b"ab", b"c."]
    assert [message["more_body"] for message in reader.messages[1:]] == [True, False]


@pytest.mark.parametrize("before", ["", "a"], ids=["the first", "a later"])
async def test_a_cancelled_write_goes_out_with_the_next(sink: StreamSink, reader: Reader, before: str) -> None:
    if before:
        await sink.write(words(before))
    await cancelled(sink, reader, words("b"))
    await cancelled(sink, reader, words("c"))

    await sink.write([*words("d"), TurnCompleted()])

    assert b"".join(reader.bodies) == before.encode() + b"bcd."


async def test_a_cancelled_write_goes_out_before_an_error(sink: StreamSink, reader: Reader) -> None:
    await sink.write(words("a"))
    await cancelled(sink, reader, words("b"))

    await sink.fail(Unavailable("Restarting."))

    assert b"".join(reader.bodies) == b"ab!"
    assert sink.is_complete


async def test_where_nothing_was_written_an_error_keeps_its_status(sink: StreamSink, reader: Reader) -> None:
    await sink.fail(RateLimited("Wait."))

    assert reader.messages[0]["status"] == 429
    assert sink.is_complete


async def test_a_comment_takes_the_headers_along(sink: StreamSink, reader: Reader) -> None:
    sink.keep_alive()
    await sink.write(words("a"))
    sink.keep_alive()
    await sink.fail(RateLimited("Wait."))

    assert reader.messages[0]["status"] == 200
    assert reader.bodies == [COMMENT, b"a", COMMENT, b"!"]


async def test_a_comment_never_waits(sink: StreamSink, reader: Reader) -> None:
    reader.may_write.clear()
    sink.keep_alive()
    writing = asyncio.ensure_future(sink.write([*words("a"), TurnCompleted()]))
    await asyncio.sleep(0)
    sink.keep_alive()

    reader.may_write.set()
    await writing
    sink.keep_alive()

    assert reader.bodies == [b"a."]


async def test_a_comment_does_not_break_into_a_refusal(sink: StreamSink, reader: Reader) -> None:
    reader.may_write.clear()
    failing = asyncio.ensure_future(sink.fail(RateLimited("Wait.")))
    await asyncio.sleep(0)
    sink.keep_alive()
    reader.may_write.set()
    await failing

    assert [message.get("status") for message in reader.messages] == [429, None]


async def test_a_reader_that_left_is_sent_nothing(sink: StreamSink, reader: Reader) -> None:
    await sink.write(words("a"))
    sink.leave()
    sink.keep_alive()
    await sink.write([*words("b"), TurnCompleted()])
    await sink.fail(RateLimited("Wait."))

    assert reader.bodies == [b"a"]
