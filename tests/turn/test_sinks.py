"""Streams over ASGI: whatever is cancelled, and however slow the reader, what arrives is whole and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from frontdesk.core.errors import FrontdeskError, RateLimited, Unavailable
from frontdesk.turn.events import Event, TextDelta, TurnCompleted
from frontdesk.turn.seams import Sink
from frontdesk.turn.sinks import BodySink, StreamSink

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


# --- what is told before the answer -------------------------------------------------------------

WAITING: Mapping[str, object] = {"type": "frontdesk.waiting", "place": 3}
WAITING_EVENT = b'event: frontdesk.waiting\ndata: {"type":"frontdesk.waiting","place":3}\n\n'


async def test_what_is_told_goes_before_the_answer_and_takes_the_headers_along(
    sink: StreamSink, reader: Reader
) -> None:
    sink.tell(WAITING)
    assert sink.has_written, "the reader has heard something"
    sink.keep_alive()
    sink.tell(WAITING)
    await sink.write(words("a"))

    assert reader.messages[0]["status"] == 200
    assert reader.bodies == [WAITING_EVENT, COMMENT, WAITING_EVENT, b"a"]


async def test_nothing_is_told_once_the_answer_began_ended_or_was_left(sink: StreamSink, reader: Reader) -> None:
    left = StreamSink(Words(), reader.send, [])
    left.leave()
    left.tell(WAITING)
    assert reader.messages == []
    await sink.write(words("a"))
    sink.tell(WAITING)
    await sink.write([TurnCompleted()])
    sink.tell(WAITING)

    assert reader.bodies == [b"a", b"."]


async def test_what_would_have_to_wait_is_not_told(sink: StreamSink, reader: Reader) -> None:
    reader.may_write.clear()
    sink.tell(WAITING)
    assert not sink.has_written
    await cancelled(sink, reader, words("a"))
    sink.tell(WAITING)
    await sink.write(words("b"))

    assert reader.bodies == [b"ab"]


async def test_what_fails_after_something_was_told_is_told_in_the_stream(sink: StreamSink, reader: Reader) -> None:
    sink.tell(WAITING)
    await sink.fail(Unavailable("Full."))

    assert (reader.messages[0]["status"], reader.bodies) == (200, [WAITING_EVENT, b"!"])


async def test_notices_stay_behind_the_first_event_of_the_answer(reader: Reader) -> None:
    sink = StreamSink(Words(), reader.send, [], NOTICES)
    sink.tell(WAITING)
    await sink.write(words("a\n\nb"))

    assert b"".join(reader.bodies) == WAITING_EVENT + b"a\n\n" + EVENTS + b"b"


# --- headers, and what only those are told who ask ----------------------------------------------

NOTICES: list[Mapping[str, object]] = [
    {"type": "frontdesk.budget", "left": 0.5, "what": "größer"},
    {"type": "frontdesk.model", "model": "small"},
]
EVENTS = (
    b'event: frontdesk.budget\ndata: {"type":"frontdesk.budget","left":0.5,"what":"gr\\u00f6\\u00dfer"}\n\n'
    b'event: frontdesk.model\ndata: {"type":"frontdesk.model","model":"small"}\n\n'
)
NOTICE_HEADERS = [
    (b"frontdesk-notice", b'{"type":"frontdesk.budget","left":0.5,"what":"gr\\u00f6\\u00dfer"}'),
    (b"frontdesk-notice", b'{"type":"frontdesk.model","model":"small"}'),
]


class Answer:
    """A body of its own."""

    def add(self, events: list[Event]) -> None:
        """Nothing of it matters."""

    def body(self) -> bytes:
        return b"{}"


async def test_notices_come_behind_the_first_event_of_a_stream_and_once(reader: Reader) -> None:
    notices: list[Mapping[str, object]] = []
    sink = StreamSink(Words(), reader.send, [], notices)
    sink.keep_alive()
    notices.extend(NOTICES)

    await sink.write(words("a\n\nb"))
    await sink.write([*words("c"), TurnCompleted()])

    assert reader.bodies == [COMMENT, b"a\n\n" + EVENTS + b"b", b"c."], "SDKs take the first one for the beginning"


async def test_notices_of_a_write_that_was_cancelled_go_out_with_the_next(reader: Reader) -> None:
    sink = StreamSink(Words(), reader.send, [], NOTICES)
    await cancelled(sink, reader, words("a"))

    await sink.write([*words("b"), TurnCompleted()])

    assert b"".join(reader.bodies) == b"a" + EVENTS + b"b."


async def test_notices_are_headers_of_a_body(reader: Reader) -> None:
    headers = [(b"x-request-id", b"resp_1")]

    await BodySink(Answer(), reader.send, headers, NOTICES).write([TurnCompleted()])

    assert reader.messages[0]["headers"][2:] == [*headers, *NOTICE_HEADERS]
    assert headers == [(b"x-request-id", b"resp_1")], "the turn's own list stays as it is"


@pytest.mark.parametrize("kind", ["stream", "body"])
async def test_notices_are_headers_of_a_refusal(reader: Reader, kind: str) -> None:
    sink: Sink = (
        StreamSink(Words(), reader.send, [], NOTICES)
        if kind == "stream"
        else BodySink(Answer(), reader.send, [], NOTICES)
    )

    await sink.fail(RateLimited("Wait."))

    assert [header for header in reader.messages[0]["headers"] if header[0] == b"frontdesk-notice"] == NOTICE_HEADERS


@pytest.mark.parametrize("first", ["an answer", "a refusal", "a comment"])
@pytest.mark.parametrize("kind", ["stream", "body"])
async def test_headers_leave_as_they_are_when_they_leave(reader: Reader, kind: str, first: str) -> None:
    headers = [(b"x-request-id", b"resp_1")]
    sink: Sink = (
        StreamSink(Words(), reader.send, headers) if kind == "stream" else BodySink(Answer(), reader.send, headers)
    )
    headers.append((b"x-ratelimit-limit-requests", b"20"))

    if first == "a refusal":
        await sink.fail(RateLimited("Wait."))
    else:
        if first == "a comment":
            sink.keep_alive()
        await sink.write([TurnCompleted()])

    sent = reader.messages[0]
    assert sent["status"] == (429 if first == "a refusal" else 200)
    assert sent["headers"][-2:] == [(b"x-request-id", b"resp_1"), (b"x-ratelimit-limit-requests", b"20")]


async def test_a_body_that_makes_no_answer_is_answered_with_its_error() -> None:
    class Unanswerable:
        def add(self, events: list[Event]) -> None:
            pass

        def body(self) -> bytes:
            raise FrontdeskError("There is nothing to tell.", code="nothing", status=502)

    reader = Reader()
    sink = BodySink(Unanswerable(), reader.send, [])

    await sink.write([TurnCompleted()])

    assert sink.is_complete
    assert reader.messages[0]["status"] == 502
    assert b'"nothing"' in reader.bodies[0]
