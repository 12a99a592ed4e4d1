"""Answers to render: one that has everything, and any that a provider could give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.facts import ToldTurn
from frontdesk.turn.items import Message, Prompt
from frontdesk.turn.turn import Caller, Door, Turn
from tests.fakes import HandClock

TOP = {"token": "a", "logprob": -0.25, "bytes": [97]}
LOGPROBS: list[Any] = [{**TOP, "top_logprobs": [TOP, {**TOP, "bytes": None}]}]
USAGE = UsageReported(
    Usage(3, 40, cached_tokens=1, cache_write_tokens=2, reasoning_tokens=5, accepted_prediction_tokens=6)
)
PAGE = {"type": "url_citation", "url": "https://example.test/a", "title": "A", "start_index": 0, "end_index": 2}
FILE = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 3}
EVERYTHING: list[list[Event]] = [
    [AnswerDescribed("flex", "fp_1"), ReasoningStarted(0, "rs_1"), ReasoningSummaryStarted(0)],
    [ReasoningSummaryDelta(0, "First, "), ReasoningSummaryDelta(0, "look.")],
    [ReasoningSummaryStarted(0), ReasoningSummaryDelta(0, "Then leap."), ReasoningEncrypted(0, "sealed")],
    [ItemFinished(0), ReasoningStarted(1, "rs_2"), ReasoningDelta(1, "hm"), ReasoningDelta(1, "m"), ItemFinished(1)],
    [MessageStarted(2, "msg_1", 0, "commentary"), TextDelta(2, "hi "), AnnotationAdded(2, PAGE)],
    [TextDelta(2, "a", LOGPROBS), AnnotationAdded(2, FILE)],
    [RefusalDelta(2, "no", LOGPROBS), ItemFinished(2)],
    [ToolCallStarted(3, "fc_1", "call_1", "f"), ToolCallStarted(4, "ctc_1", "call_2", "c", "custom")],
    [ToolArgumentsDelta(3, '{"a'), ToolArgumentsDelta(4, "free"), ToolArgumentsDelta(3, '":1}')],
    [ItemFinished(3), ItemFinished(4), ChoiceFinished(0, "tool_calls"), USAGE, TurnCompleted()],
]


def turn_at(door: Door, *, include: frozenset[str] = frozenset()) -> Turn:
    """A turn that asked for these things beside its answer."""
    prompt = Prompt([Message("user", "x")], stream=True, include=include)
    return Turn(door, Caller("user", "sess_1", "u1", "free"), "fast", prompt, HandClock())


def told_at(*, include: frozenset[str] = frozenset(), said: dict[str, Any] | None = None) -> ToldTurn:
    """The facts of a turn that took seven seconds, as it is told again."""
    return ToldTurn("resp_1", "fast", 1_800_000_000.25, 1_800_000_007.5, {} if said is None else said, include)


def payloads(rendered: bytes) -> list[Any]:
    """The JSON of each event of a stream; `[DONE]` is left out."""
    return [json.loads(line) for _, line in frames(rendered) if line != "[DONE]"]


def frames(rendered: bytes) -> Iterator[tuple[str | None, str]]:
    """Yield (event, data) of each event. Line ends are LF alone, and each event is whole."""
    assert b"\r" not in rendered
    *blocks, rest = rendered.decode().split("\n\n")
    assert rest == ""
    for block in blocks:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        assert set(lines) in ({"data"}, {"event", "data"})
        yield lines.get("event"), lines["data"]


WORDS = st.text(max_size=6)
LOGGED = st.sampled_from([None, LOGPROBS])


@st.composite
def answers(draw: st.DrawFn, *, choices: int = 1) -> list[Event]:
    """Any answer, in order, whole or broken off anywhere, with a terminal event where it is whole."""
    events: list[Event] = [AnswerDescribed(*draw(st.tuples(st.sampled_from([None, "flex"]), st.none() | WORDS)))]
    for output in range(draw(st.integers(0, 4))):
        choice = draw(st.integers(0, choices - 1))
        events += draw(_items(output, choice))
    is_cut = draw(st.booleans())
    if is_cut and len(events) > 1 and isinstance(events[-1], ItemFinished):
        events.pop()
    for choice in range(choices):
        events.append(ChoiceFinished(choice, "length" if is_cut else "stop"))
    if draw(st.booleans()):
        events.append(USAGE)
    ends = [TurnIncomplete("max_output_tokens"), TurnIncomplete("content_filter"), TurnCancelled()]
    events.append(draw(st.sampled_from(ends)) if is_cut else TurnCompleted())
    return events


@st.composite
def _items(draw: st.DrawFn, output: int, choice: int) -> list[Event]:
    kind = draw(st.sampled_from(["message", "reasoning", "function", "custom"]))
    deltas: Any
    if kind == "message":
        phase = draw(st.sampled_from([None, "commentary", "final_answer"]))
        started: Event = MessageStarted(output, f"msg_{output}", choice, phase)
        deltas = st.builds(TextDelta, st.just(output), WORDS, LOGGED) | st.builds(
            RefusalDelta, st.just(output), WORDS, LOGGED
        )
        deltas |= st.builds(AnnotationAdded, st.just(output), st.sampled_from([PAGE, FILE]))
    elif kind == "reasoning":
        started = ReasoningStarted(output, f"rs_{output}", choice)
        deltas = st.one_of(
            st.builds(ReasoningDelta, st.just(output), WORDS),
            st.builds(ReasoningSummaryDelta, st.just(output), WORDS),
            st.just(ReasoningSummaryStarted(output)),
            st.builds(ReasoningEncrypted, st.just(output), WORDS),
        )
    else:
        started = ToolCallStarted(
            output, f"call_{output}", f"c_{output}", "tool", "custom" if kind == "custom" else "function", choice
        )
        deltas = st.builds(ToolArgumentsDelta, st.just(output), WORDS)
    return [started, *draw(st.lists(deltas, max_size=5)), ItemFinished(output)]


def batches(events: list[Event], sizes: list[int]) -> Iterator[list[Event]]:
    """Cut events into batches of these sizes, over and over."""
    place = 0
    while place < len(events):
        for size in sizes:
            yield events[place : place + size]
            place += size
