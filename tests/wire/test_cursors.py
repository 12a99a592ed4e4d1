"""Cursors: who comes back to a stream gets what they do not have, each frame once, as it would have come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import FrontdeskError, ProviderError
from frontdesk.turn.events import AnswerDescribed, Event, TextDelta
from frontdesk.wire.cursors import Cursor, cursor_at
from frontdesk.wire.openai_chat_render import ChatStream
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_render import ResponsesMessages, ResponsesStream
from tests.wire.answers import EVERYTHING, answers, batches, told_at

FACTS = told_at(said=read_responses(b'{"input": "x"}').echo)
ERROR = ProviderError("broken")
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
Opened = Callable[..., Any]
STREAMS: dict[str, Opened] = {
    "chat": lambda **options: ChatStream(FACTS, includes_usage=True, **options),
    "responses": lambda **options: ResponsesStream(FACTS, **options),
    "in the background": lambda **options: ResponsesStream(FACTS, is_background=True, **options),
}


@pytest.mark.parametrize("name", STREAMS)
@given(events=answers(choices=2), breaks=st.booleans(), first=SIZES, second=SIZES, data=st.data())
def test_two_connections_get_what_one_would(
    name: str, events: list[Event], breaks: bool, first: list[int], second: list[int], data: st.DataObject
) -> None:
    """Wherever the first one breaks off, and however the answer's events are cut into batches then and now."""
    error = ERROR if breaks else None
    whole = framed(read(STREAMS[name](), events, first, error))
    had = data.draw(st.integers(0, len(whole)))

    rest = framed(read(STREAMS[name](after=had - 1 if had else None), events, second, error))

    assert whole[:had] + rest == whole


@pytest.mark.parametrize("name", STREAMS)
@given(events=answers(), sizes=SIZES, after=st.none() | st.integers(-3, 80))
def test_each_frame_says_its_number(name: str, events: list[Event], sizes: list[int], after: int | None) -> None:
    plain = framed(read(STREAMS[name](), events, sizes, ERROR))
    numbered = framed(read(STREAMS[name](after=after, carries_ids=True), events, sizes, ERROR))

    first = 0 if after is None else max(0, after + 1)
    assert numbered == [f"id: {number}\n{frame}" for number, frame in enumerate(plain)][first:]


@given(answers(), SIZES, st.integers(0, 30))
def test_what_is_left_out_is_counted(events: list[Event], sizes: list[int], after: int) -> None:
    rendered = read(ResponsesStream(FACTS, obfuscates=True, after=after, carries_ids=True), events, sizes, None)

    numbers = [json.loads(frame.split("data: ", 1)[1])["sequence_number"] for frame in framed(rendered)]
    assert [int(number) for number in re.findall(r"^id: (\d+)$", rendered.decode(), re.MULTILINE)] == numbers
    assert numbers == list(range(after + 1, after + 1 + len(numbers)))


@given(answers(), SIZES, SIZES, st.booleans(), st.none() | st.integers(0, 40))
def test_messages_are_what_the_events_of_a_stream_hold(
    events: list[Event], sizes: list[int], others: list[int], is_background: bool, after: int | None
) -> None:
    stream = ResponsesStream(FACTS, after=after, is_background=is_background)
    socket = ResponsesMessages(FACTS, after=after, is_background=is_background)

    messages = [message for batch in batches(events[:-1], others) if batch for message in socket.render(batch)]
    messages += socket.render_error(ERROR)

    expected = [frame.split("\ndata: ", 1)[1] for frame in framed(read(stream, events, sizes, ERROR))]
    assert [message.decode() for message in messages] == expected
    assert socket.response() == stream.response()


def test_a_tier_that_comes_later_changes_no_frame_before_it() -> None:
    events: list[Event] = [AnswerDescribed("flex"), AnswerDescribed("priority"), *EVERYTHING[4]]

    one_by_one = read(ResponsesStream(FACTS), events, [1], None)

    assert read(ResponsesStream(FACTS), events, [len(events)], None) == one_by_one
    assert b'"service_tier":"flex"' in one_by_one.split(b"\n\n")[0]


def test_who_has_all_gets_nothing() -> None:
    stream = ResponsesStream(FACTS, after=10_000)

    assert read(stream, [event for batch in EVERYTHING for event in batch], [3], None) == b""


def test_who_takes_all_frames_as_they_are_costs_nothing() -> None:
    assert cursor_at(None, carries_ids=False) is None


def test_a_cursor_passes_on_what_is_behind_it() -> None:
    cursor = Cursor(2, carries_ids=True)

    assert cursor.pass_on([b"a", b"b"]) == []
    assert cursor.pass_on([]) == []
    assert cursor.pass_on([b"c", b"d"]) == [b"id: 3\nd"]
    assert cursor.pass_on([b"e"]) == [b"id: 4\ne"]


def test_texts_are_told_apart_from_what_frames_end_with() -> None:
    """A text that looks like the end of a frame, or like its number, is JSON and stays within it."""
    events: list[Event] = [*EVERYTHING[4][:1], TextDelta(2, "\n\nid: 7\ndata: {}\n\n")]

    frames = framed(read(ResponsesStream(FACTS, after=2, carries_ids=True), events, [1], None))

    assert [frame.split("\n")[0] for frame in frames] == ["id: 3", "id: 4"]
    assert json.loads(frames[-1].split("data: ", 1)[1])["delta"] == "\n\nid: 7\ndata: {}\n\n"


# --- what these tests share -----------------------------------------------------------------------


def read(stream: Any, events: list[Event], sizes: list[int], error: FrontdeskError | None) -> bytes:
    """What a stream renders of an answer that comes in such batches; with an error it breaks off before its end."""
    told = events if error is None else events[:-1]
    rendered = b"".join(stream.render(batch) for batch in batches(told, sizes) if batch)
    return rendered if error is None else rendered + stream.render_error(error)


def framed(rendered: bytes) -> list[str]:
    return list(_framed(rendered))


def _framed(rendered: bytes) -> Iterator[str]:
    *blocks, rest = rendered.decode().split("\n\n")
    assert rest == ""
    yield from blocks
