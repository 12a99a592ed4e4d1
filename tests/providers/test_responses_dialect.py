"""Responses bytes, whole and cut at every position, become the same events; prompts become its bodies."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.chat_dialect import ChatStreamDecoder
from frontdesk.providers.profiles import COMPATIBLE, OPENAI, Profile
from frontdesk.providers.responses_dialect import ResponsesStreamDecoder, decode_responses, encode_responses
from frontdesk.routing.verdicts import is_quicker_elsewhere, mark_of, may_repeat
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
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Format, Image, Message, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_chat_render import ChatStream
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesStream
from tests.fakes import HandClock
from tests.providers import recorded_responses as recorded
from tests.providers.recorded_responses import CALL_ID, CUSTOM_ID, MESSAGE_ID, OTHER_CALL_ID, REASONING_ID

# --- decoding -----------------------------------------------------------------------------------

USAGE = UsageReported(Usage(75, 42, 64, cache_write_tokens=0, reasoning_tokens=32, raw=recorded.USAGE))
DEFAULT = AnswerDescribed(service_tier="default")
STOPPED: list[Event] = [ChoiceFinished(0, "stop"), USAGE, TurnCompleted()]
CALLED: list[Event] = [ChoiceFinished(0, "tool_calls"), USAGE, TurnCompleted()]


def decode(*pieces: bytes) -> tuple[list[Event], FrontdeskError | None]:
    decoder = ResponsesStreamDecoder()
    events: list[Event] = []
    for piece in pieces:
        events.extend(decoder.feed(piece))
    if not decoder.is_done and decoder.error is None:
        events.extend(decoder.finish())
    return events, decoder.error


def told(token: str) -> dict[str, Any]:
    """A log probability as events carry it."""
    spelt = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
    return {**spelt, "top_logprobs": [spelt]}


def page(title: str, start_index: int) -> dict[str, Any]:
    url = "https://example.test/a"
    return {
        "type": "url_citation",
        "url": url,
        "title": title,
        "start_index": start_index,
        "end_index": start_index + 5,
    }


WHOLE: dict[str, tuple[bytes, list[Event]]] = {
    "sources": (
        recorded.SOURCES,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, "Zwei."),
            AnnotationAdded(0, page("Ä", 0)),
            TextDelta(0, " Oder drei?"),
            AnnotationAdded(0, {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 7}),
            AnnotationAdded(0, page("B", 5)),
            ItemFinished(0),
            DEFAULT,
            *STOPPED,
        ],
    ),
    "text": (
        recorded.TEXT,
        [
            ReasoningStarted(0, REASONING_ID),
            ItemFinished(0),
            MessageStarted(1, MESSAGE_ID, phase="final_answer"),
            TextDelta(1, "Grüße"),
            TextDelta(1, ", 世界 "),
            TextDelta(1, "🛎️\n"),
            ItemFinished(1),
            DEFAULT,
            *STOPPED,
        ],
    ),
    "tools": (
        recorded.TOOLS,
        [
            ToolCallStarted(0, CALL_ID, "call_aB3", "weather"),
            ToolArgumentsDelta(0, '{"city":'),
            ToolCallStarted(1, OTHER_CALL_ID, "call_cD4", "time"),
            ToolArgumentsDelta(1, "{}"),
            ToolArgumentsDelta(0, ' "Köln"}'),
            ItemFinished(0),
            ItemFinished(1),
            DEFAULT,
            *CALLED,
        ],
    ),
    "custom tool": (
        recorded.CUSTOM,
        [
            ToolCallStarted(0, CUSTOM_ID, "call_eF5", "patch", "custom"),
            ToolArgumentsDelta(0, "*** a"),
            ToolArgumentsDelta(0, " patch"),
            ItemFinished(0),
            DEFAULT,
            *CALLED,
        ],
    ),
    "reasoning": (
        recorded.REASONING,
        [
            ReasoningStarted(0, REASONING_ID),
            ReasoningSummaryStarted(0),
            ReasoningSummaryDelta(0, "**Counting**"),
            ReasoningSummaryDelta(0, " the bells"),
            ReasoningSummaryStarted(0),
            ReasoningSummaryDelta(0, "**Answering**"),
            ReasoningEncrypted(0, recorded.SEAL),
            ItemFinished(0),
            MessageStarted(1, MESSAGE_ID),
            TextDelta(1, "Two."),
            ItemFinished(1),
            DEFAULT,
            *STOPPED,
        ],
    ),
    "open reasoning": (
        recorded.OPEN_REASONING,
        [
            ReasoningStarted(0, "rs_e5f6"),
            ReasoningDelta(0, "Hm… "),
            ReasoningDelta(0, "so."),
            ItemFinished(0),
            MessageStarted(1, MESSAGE_ID),
            TextDelta(1, "42"),
            ItemFinished(1),
            *STOPPED,
        ],
    ),
    "refusal": (
        recorded.REFUSAL,
        [
            MessageStarted(0, MESSAGE_ID),
            RefusalDelta(0, "I cannot "),
            RefusalDelta(0, "do that."),
            ItemFinished(0),
            DEFAULT,
            *STOPPED,
        ],
    ),
    "logprobs": (
        recorded.LOGPROBS,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, "Hé", [told("Hé")]),
            TextDelta(0, "!", [told("!")]),
            ItemFinished(0),
            DEFAULT,
            *STOPPED,
        ],
    ),
    "incomplete": (
        recorded.INCOMPLETE,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, "Half"),
            TextDelta(0, " an"),
            DEFAULT,
            ChoiceFinished(0, "length"),
            USAGE,
            TurnIncomplete("max_output_tokens"),
        ],
    ),
    "filtered": (
        recorded.FILTERED,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, "Half"),
            TextDelta(0, " an"),
            DEFAULT,
            ChoiceFinished(0, "content_filter"),
            USAGE,
            TurnIncomplete("content_filter"),
        ],
    ),
    "only done": (
        recorded.ONLY_DONE,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, "whole"),
            ItemFinished(0),
            ChoiceFinished(0, "stop"),
            TurnCompleted(),
        ],
    ),
    "only items": (
        recorded.ONLY_ITEMS,
        [MessageStarted(0, MESSAGE_ID), TextDelta(0, "whole"), ItemFinished(0), DEFAULT, *STOPPED],
    ),
    "only completed": (
        recorded.ONLY_COMPLETED,
        [
            DEFAULT,
            ReasoningStarted(0, REASONING_ID),
            ItemFinished(0),
            MessageStarted(1, MESSAGE_ID),
            TextDelta(1, "whole"),
            ItemFinished(1),
            ToolCallStarted(2, CALL_ID, "call_aB3", "weather"),
            ToolArgumentsDelta(2, '{"city": "Köln"}'),
            ItemFinished(2),
            *CALLED,
        ],
    ),
    "other ids": (
        recorded.OTHER_IDS,
        [
            ReasoningStarted(0, REASONING_ID),
            MessageStarted(1, MESSAGE_ID),
            TextDelta(1, "who"),
            TextDelta(1, "le"),
            ItemFinished(1),
            DEFAULT,
            ItemFinished(0),
            *STOPPED,
        ],
    ),
    "partial deltas": (
        recorded.PARTIAL_DELTAS,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, "who"),
            TextDelta(0, "le"),
            ItemFinished(0),
            DEFAULT,
            *STOPPED,
        ],
    ),
    "trimmed": (
        recorded.TRIMMED,
        [
            MessageStarted(0, MESSAGE_ID),
            TextDelta(0, " whole\n"),
            ItemFinished(0),
            ToolCallStarted(1, CALL_ID, "call_aB3", "weather"),
            ToolArgumentsDelta(1, '{"city":"Bonn"}'),
            ItemFinished(1),
            DEFAULT,
            *CALLED,
        ],
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers_become_their_events(name: str) -> None:
    sent, expected = WHOLE[name]

    assert decode(sent) == (expected, None)


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_at_every_position_changes_nothing(name: str) -> None:
    sent, expected = WHOLE[name]

    for place in range(len(sent) + 1):
        assert decode(sent[:place], sent[place:]) == (expected, None), place


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_random_pieces_change_nothing(name: str, data: st.DataObject) -> None:
    sent, expected = WHOLE[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))

    pieces = [sent[start:stop] for start, stop in pairwise([0, *cuts, len(sent)])]

    assert decode(*pieces) == (expected, None)


@pytest.mark.parametrize("name", WHOLE)
def test_an_end_at_every_position_before_the_last_event_is_an_error(name: str) -> None:
    sent, expected = WHOLE[name]
    last = max(sent.rfind(b"event: response.completed"), sent.rfind(b"event: response.incomplete"))

    for place in range(last + len(b"event: response.completed")):
        events, error = decode(sent[:place])
        assert isinstance(error, ProviderError), place
        assert events == expected[: len(events)]


def test_numbers_that_skip_or_repeat_change_nothing() -> None:
    sent, expected = WHOLE["text"]
    numbers = iter(range(0, 10_000, 7))

    renumbered = b"\n".join(
        line.rsplit(b',"sequence_number":', 1)[0] + b',"sequence_number":%d}' % (next(numbers) % 50)
        if line.startswith(b"data: ")
        else line
        for line in sent.split(b"\n")
    )

    assert decode(renumbered) == (expected, None)


def test_a_server_that_tells_its_tier_at_the_beginning_tells_it_once() -> None:
    begun = recorded.event("response.created", response=recorded.response("in_progress", service_tier="priority"))
    ended = recorded.ending(recorded.message("x"), service_tier="priority")

    events, error = decode(recorded.stream(begun, ended))

    assert error is None
    assert [event for event in events if isinstance(event, AnswerDescribed)] == [AnswerDescribed("priority")]
    assert events[0] == AnswerDescribed("priority")


def test_parts_of_a_message_are_told_one_behind_the_other() -> None:
    content = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    item = {**recorded.message(""), "content": content}

    events, error = decode(recorded.stream(recorded.done(0, item), recorded.ending(item)))

    assert error is None
    assert events[:3] == [MessageStarted(0, MESSAGE_ID), TextDelta(0, "a"), RefusalDelta(0, "b")]


# What begins well and breaks: the events of its good beginning, and an error.
HALF_TOLD: list[Event] = [MessageStarted(0, MESSAGE_ID), TextDelta(0, "Half"), TextDelta(0, " an")]


def broken(*events: dict[str, Any]) -> bytes:
    return recorded.stream(*recorded.HALF, *events, recorded.ending())


def called_completed(status: str, output: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """The event of a whole answer, around a Response that says something else."""
    return recorded.event("response.completed", response=recorded.response(status, output, **more))


PLACE: dict[str, Any] = {"output_index": 0, "content_index": 0}
BROKEN: dict[str, bytes] = {
    "cut": recorded.stream(*recorded.HALF),
    "cut within an event": recorded.stream(*recorded.HALF, recorded.ending())[:-40],
    "done only": recorded.stream(*recorded.HALF) + b"data: [DONE]\n\n",
    "malformed": recorded.stream(*recorded.HALF) + b"data: {]\n\n" + recorded.stream(recorded.ending()),
    "bad utf-8": recorded.stream(*recorded.HALF)
    + b'data: {"type":"response.output_text.delta","delta":"\xff\xfe"}\n\n'
    + recorded.stream(recorded.ending()),
    "wrong type": broken({"type": "response.output_text.delta", **PLACE, "delta": 7}),
    "no object": recorded.stream(*recorded.HALF) + b"data: []\n\n" + recorded.stream(recorded.ending()),
    "failed": recorded.stream(
        *recorded.HALF,
        recorded.event(
            "response.failed",
            response=recorded.response("failed", error={"code": "server_error", "message": "secret words"}),
        ),
    ),
    "error event": recorded.stream(
        *recorded.HALF,
        recorded.event("error", code="server_error", message="secret words", param=None),
    ),
    "error in an object": recorded.stream(
        *recorded.HALF,
        recorded.event("error", error={"type": "server_error", "code": None, "message": "secret words", "param": None}),
    ),
    "error without a type": recorded.stream(*recorded.HALF)
    + b'data: {"error":{"message":"secret words","code":500}}\n\n',
    "error of a strange kind": broken(recorded.event("error", error=["secret words"])),
    "cancelled": recorded.stream(
        *recorded.HALF, recorded.event("response.cancelled", response=recorded.response("cancelled"))
    ),
    "completed, but failed": recorded.stream(
        *recorded.HALF, called_completed("failed", error={"code": "server_error", "message": "secret words"})
    ),
    "completed, but failed without an error": recorded.stream(*recorded.HALF, called_completed("failed")),
    "completed, but cancelled": recorded.stream(*recorded.HALF, called_completed("cancelled")),
    "completed, but incomplete without a reason": recorded.stream(*recorded.HALF, called_completed("incomplete")),
    "completed, with an error": recorded.stream(
        *recorded.HALF, recorded.ending(error={"code": "server_error", "message": "secret words"})
    ),
    "completed, with an empty error": recorded.stream(*recorded.HALF, recorded.ending(error={})),
    "incomplete, but failed": recorded.stream(
        *recorded.HALF,
        recorded.event(
            "response.incomplete",
            response=recorded.response("failed", incomplete_details={"reason": "max_output_tokens"}),
        ),
    ),
    "failed, but completed": recorded.stream(
        *recorded.HALF, recorded.event("response.failed", response=recorded.response("completed"))
    ),
    "incomplete without a reason": recorded.stream(
        *recorded.HALF, recorded.event("response.incomplete", response=recorded.response("incomplete"))
    ),
    "other text in its end": broken(recorded.event("response.output_text.done", **PLACE, text="Half of an")),
    "other text in its part": broken(
        recorded.event("response.content_part.done", **PLACE, part={"type": "output_text", "text": "Half a"})
    ),
    "other text in its item": broken(recorded.done(0, recorded.message("An half"))),
    "other text at the end": recorded.stream(*recorded.HALF, recorded.ending(recorded.message("Half"))),
    "unknown item begins": broken(recorded.added(1, {"id": "ws_1", "type": "web_search_call", "status": "x"})),
    "unknown item ends": broken(recorded.done(1, {"id": "ig_1", "type": "image_generation_call", "result": "iVBO"})),
    "unknown item at the end": recorded.stream(
        *recorded.HALF, recorded.ending({"id": "x", "type": "mcp_call"}, recorded.message("Half an"))
    ),
    "unknown part": broken(
        recorded.event("response.content_part.done", **PLACE, part={"type": "output_audio", "data": "UklG"})
    ),
    "unknown delta": broken(recorded.event("response.audio.transcript.delta", delta="Half an hour")),
    "text of another kind of item": broken(recorded.event("response.reasoning_text.delta", **PLACE, delta="x")),
    "arguments of no call": broken(recorded.arguments(1, CALL_ID, "{}")),
    "a call without a name": broken(recorded.added(1, recorded.call(CALL_ID, "call_1", "", ""))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers_keep_their_text_and_end_in_an_error(name: str) -> None:
    sent = BROKEN[name]

    for place in range(len(sent) + 1):
        events, error = decode(sent[:place], sent[place:])
        assert isinstance(error, ProviderError), place
        assert events[:3] == HALF_TOLD
        assert all(isinstance(event, AnswerDescribed) for event in events[3:])
        assert "secret words" not in error.reason + error.message


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_a_completed_event_whose_response_is_incomplete_is_no_clean_end(reason: Any) -> None:
    """Such as vLLM sends: it calls every end completed, and only the status inside says what became of it."""
    cut = recorded.message("Half an", status="incomplete")
    ended = called_completed("incomplete", [cut], incomplete_details={"reason": reason})

    events, error = decode(recorded.stream(*recorded.HALF, ended))

    assert error is None
    finished = ChoiceFinished(0, "length" if reason == "max_output_tokens" else "content_filter")
    assert events == [*HALF_TOLD, DEFAULT, finished, USAGE, TurnIncomplete(reason)]


@pytest.mark.parametrize("status", ["in_progress", "queued", "", None, "done"])
def test_a_status_that_is_no_end_leaves_the_events_name_to_count(status: str | None) -> None:
    whole = recorded.response("completed", [recorded.message("Half an")]) | {"status": status}
    cut = recorded.response("incomplete", incomplete_details={"reason": "max_output_tokens"}) | {"status": status}

    ended = decode(recorded.stream(*recorded.HALF, recorded.event("response.completed", response=whole)))
    ended_short = decode(recorded.stream(*recorded.HALF, recorded.event("response.incomplete", response=cut)))

    assert ended == ([*HALF_TOLD, DEFAULT, ItemFinished(0), *STOPPED], None)
    assert ended_short == (
        [*HALF_TOLD, DEFAULT, ChoiceFinished(0, "length"), USAGE, TurnIncomplete("max_output_tokens")],
        None,
    )


def test_words_after_the_end_of_their_item_are_an_error() -> None:
    late = recorded.event("response.output_text.delta", **PLACE, delta=" hour")
    sent = recorded.stream(*recorded.HALF, recorded.done(0, recorded.message("Half an")), late)

    events, error = decode(sent)

    assert isinstance(error, ProviderError)
    assert events == [*HALF_TOLD, ItemFinished(0)]


def test_words_of_a_part_before_the_newest_are_an_error() -> None:
    newer = recorded.event("response.output_text.delta", output_index=0, content_index=1, delta=" hour")
    older = recorded.event("response.output_text.delta", output_index=0, content_index=0, delta=" lost")

    events, error = decode(recorded.stream(*recorded.HALF, newer, older))

    assert isinstance(error, ProviderError)
    assert events == [*HALF_TOLD, TextDelta(0, " hour")]


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "slow_down", "server_is_overloaded"])
def test_a_busy_provider_says_so_inside_its_answer_too(code: str) -> None:
    failed = recorded.response("failed", error={"code": code, "message": "Rate limit reached"})

    _, error = decode(recorded.stream(*recorded.opening(), recorded.event("response.failed", response=failed)))

    assert error is not None
    assert (error.status, error.code, error.should_retry) == (503, "provider_busy", None)


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"])
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_spent_account_is_not_busy_inside_an_answer_either(code: str, is_streamed: bool) -> None:
    failed = recorded.response("failed", error={"code": code, "message": "You exceeded your current quota"})

    if is_streamed:
        _, error = decode(recorded.stream(*recorded.opening(), recorded.event("response.failed", response=failed)))
    else:
        with pytest.raises(ProviderError) as caught:
            decode_responses(json.dumps(failed).encode())
        error = caught.value

    assert isinstance(error, ProviderError)
    assert (error.status, error.code, error.upstream_status, error.should_retry) == (502, "provider_error", 429, False)
    assert "Try again" not in error.message
    assert (may_repeat(error), is_quicker_elsewhere(error), mark_of(error)) == (False, False, "failure")


def test_a_prompt_that_the_provider_blames_is_the_callers_matter() -> None:
    failed = recorded.response("failed", error={"code": "invalid_prompt", "message": "Flagged: usage policy."})

    events, error = decode(recorded.stream(*recorded.opening(), recorded.event("response.failed", response=failed)))

    assert events == []
    assert isinstance(error, BadRequest)
    assert (error.status, error.code, error.message) == (400, "invalid_prompt", "Flagged: usage policy.")


def test_nothing_is_said_after_the_end() -> None:
    sent, expected = WHOLE["text"]
    decoder = ResponsesStreamDecoder()

    events = decoder.feed(sent + sent)

    assert events == expected
    assert decoder.feed(sent) == []
    assert decoder.is_done


def test_a_whole_body_becomes_the_events_of_one_read() -> None:
    output = [recorded.BARE_REASONING, recorded.message("Hi"), recorded.call(CALL_ID, "call_a", "f", "{}")]

    events = decode_responses(json.dumps(recorded.response("completed", output)).encode())

    assert events == [
        DEFAULT,
        ReasoningStarted(0, REASONING_ID),
        ItemFinished(0),
        MessageStarted(1, MESSAGE_ID),
        TextDelta(1, "Hi"),
        ItemFinished(1),
        ToolCallStarted(2, CALL_ID, "call_a", "f"),
        ToolArgumentsDelta(2, "{}"),
        ItemFinished(2),
        *CALLED,
    ]


def test_a_whole_body_that_was_cut_short_says_why() -> None:
    output = [recorded.message("Half", status="incomplete")]
    body = recorded.response("incomplete", output, incomplete_details={"reason": "max_output_tokens"})

    events = decode_responses(json.dumps(body).encode())

    assert events == [
        DEFAULT,
        MessageStarted(0, MESSAGE_ID),
        TextDelta(0, "Half"),
        ChoiceFinished(0, "length"),
        USAGE,
        TurnIncomplete("max_output_tokens"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"error":{"code":"x"}}',
        b'{"output":[]}',
        b'{"status":"in_progress","output":[]}',
        b'{"status":"queued","output":[]}',
        b'{"status":"cancelled","output":[]}',
        b'{"status":"incomplete","output":[]}',
        b'{"status":"completed","output":[],"error":{"code":"server_error","message":"x"}}',
        b'{"status":"completed","output":[],"error":{}}',
        b'{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"error":{"code":"server_error"}}',
        b'{"status":"completed","output":[{"type":"web_search_call"}]}',
        b'{"status":"completed","output":[{"type":"message","content":[{"type":"video"}]}]}',
        b'{"status":"completed","output":"x"}',
        b'{"status":"failed","error":{"code":"server_error","message":"x"}}',
    ],
)
def test_a_body_that_is_no_answer_is_a_provider_error(body: bytes) -> None:
    with pytest.raises(ProviderError):
        decode_responses(body)


@pytest.mark.parametrize("usage", [{"input_tokens": "many"}, {"input_tokens": -1}, {}])
def test_usage_that_is_no_count_is_not_believed(usage: dict[str, Any]) -> None:
    events = decode_responses(json.dumps(recorded.response("completed", usage=usage)).encode())

    assert events == [DEFAULT, ChoiceFinished(0, "stop"), TurnCompleted()]


# --- encoding -----------------------------------------------------------------------------------


def test_a_responses_prompt_is_written_as_it_was_meant() -> None:
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "status": "completed"}
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    prompt = Prompt(
        items=[
            Message("developer", "Be brief."),
            Message(
                "user",
                [
                    Text("What is this?"),
                    Image("https://x.example/a.png", "low"),
                    Image("data:image/png;base64,AA=="),
                    Unknown({"type": "input_file", "file_id": "file-1"}, "responses"),
                ],
            ),
            Unknown(sealed, "responses"),
            Message("assistant", [Text("Let me see.")], {"phase": "commentary"}),
            ToolCall("call_1", "look", "{}"),
            ToolCall("call_2", "note", "free text", "custom"),
            ToolOutput("call_1", [Text("a bell"), Image("https://x.example/b.png")]),
            ToolOutput("call_2", "noted", "custom"),
        ],
        instructions="Be kind.",
        tools=[
            Tool("function", {"name": "look", "parameters": {"type": "object"}}),
            Tool("function", {"name": "see", "parameters": None, "strict": True}),
            Tool("custom", {"name": "note", "format": grammar}),
        ],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        format=Format("json_schema", {"name": "thing", "schema": {"type": "object"}, "strict": True}),
        max_output_tokens=9,
        reasoning_effort="low",
        reasoning_summary="auto",
        verbosity="low",
        stream=True,
        include=frozenset({"reasoning.encrypted_content"}),
        truncation="auto",
        parameters={
            "temperature": 0.5,
            "top_logprobs": 2,
            "logprobs": True,
            "user": "u1",
            "top_k": 3,
            "presence_penalty": 0.5,
            "reasoning": {"context": "all_turns"},
        },
        dialect="responses",
    )

    assert encode_responses(prompt, "m", OPENAI) == {
        "temperature": 0.5,
        "top_logprobs": 2,
        "user": "u1",
        "top_k": 3,
        "presence_penalty": 0.5,
        "model": "m",
        "store": False,
        "input": [
            {"type": "message", "role": "developer", "content": "Be brief."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
                    {"type": "input_file", "file_id": "file-1"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {
                "type": "message",
                "role": "assistant",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "note", "input": "free text"},
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": [
                    {"type": "input_text", "text": "a bell"},
                    {"type": "input_image", "image_url": "https://x.example/b.png", "detail": "auto"},
                ],
            },
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "noted"},
        ],
        "instructions": "Be kind.",
        "tools": [
            {"type": "function", "name": "look", "parameters": {"type": "object"}},
            {"type": "function", "name": "see", "parameters": None, "strict": True},
            {"type": "custom", "name": "note", "format": grammar},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        "text": {
            "format": {"type": "json_schema", "name": "thing", "schema": {"type": "object"}, "strict": True},
            "verbosity": "low",
        },
        "reasoning": {"context": "all_turns", "effort": "low", "summary": "auto"},
        "max_output_tokens": 9,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "truncation": "auto",
        "stream": True,
    }


def test_a_chat_prompt_is_written_as_responses() -> None:
    prompt = Prompt(
        items=[
            Message("system", "Be brief."),
            Message("user", [Text("Look.", {"prompt_cache_breakpoint": {"mode": "explicit"}})]),
            Message("user", [Unknown({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:"}}, "chat")]),
            Message("assistant", "", {"refusal": "No.", "annotations": [], "reasoning_content": "Hm."}),
            Message("assistant", "Well.", {"refusal": "No."}),
            ToolCall("call_2", "note", "free text", "custom"),
            ToolOutput("call_2", "noted"),
        ],
        tools=[Tool("function", {"name": "look"}), Tool("function", {"name": "see", "strict": True, "parameters": {}})],
        tool_choice="required",
        format=Format("json_object", {}),
        parameters={
            "stop": [],
            "frequency_penalty": 0,
            "presence_penalty": 0.0,
            "logit_bias": {},
            "modalities": ["text"],
            "logprobs": False,
            "service_tier": "flex",
            "parallel_tool_calls": False,
            "prompt_cache_key": "k",
            "safety_identifier": "s",
        },
        dialect="chat",
    )

    assert encode_responses(prompt, "m", OPENAI) == {
        "service_tier": "flex",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "model": "m",
        "store": False,
        "input": [
            {"type": "message", "role": "system", "content": "Be brief."},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Look.", "prompt_cache_breakpoint": {"mode": "explicit"}}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:"}],
            },
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Well.", "annotations": []},
                    {"type": "refusal", "refusal": "No."},
                ],
            },
            {"type": "custom_tool_call", "call_id": "call_2", "name": "note", "input": "free text"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "noted"},
        ],
        "tools": [
            {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False},
            {"type": "function", "name": "see", "parameters": {}, "strict": True},
        ],
        "tool_choice": "required",
        "text": {"format": {"type": "json_object"}},
    }


def test_a_compatible_server_has_no_developer_and_reads_thoughts() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    empty = {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "x"}], "content": []}
    prompt = Prompt([Message("developer", "Be brief."), Unknown(thought, "responses"), Unknown(empty, "responses")])

    body = encode_responses(prompt, "m", COMPATIBLE)

    assert body["input"] == [{"type": "message", "role": "system", "content": "Be brief."}, thought]
    assert encode_responses(prompt, "m", OPENAI)["input"] == [
        {"type": "message", "role": "developer", "content": "Be brief."}
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", ["\n"]),
        ("seed", 0),
        ("logit_bias", {"1": 2}),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1),
        ("prediction", {"type": "content", "content": "x"}),
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("background", True),
        ("context_management", [{"type": "compaction"}]),
        ("moderation", {"model": "omni"}),
        ("reasoning", {"effort": "low"}),
        ("input", "x"),
    ],
)
def test_a_parameter_that_the_dialect_lacks_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        encode_responses(Prompt([Message("user", "x")], parameters={name: value}), "m", OPENAI)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", name)
    assert name in caught.value.message


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt([Message("user", "x")], choices=2), "'n'"),
        (Prompt([Message("user", "x")], tools=[Tool("web_search", {})]), "'web_search'"),
        (Prompt([Message("user", "x")], tool_choice={"type": "mcp"}), "'mcp'"),
        (Prompt([Message("user", [Unknown({"type": "input_audio", "input_audio": {}}, "chat")])]), "'input_audio'"),
        (Prompt([Message("user", [Unknown({"type": "file"}, "chat")])]), "'file'"),
        (Prompt([Unknown({"role": "function", "name": "f", "content": "x"}, "chat")]), "'function'"),
        (Prompt([Unknown({"role": "tool", "tool_call_id": "c", "content": "x", "mark": 1}, "chat")]), "'tool'"),
        (Prompt([Message("user", "x", {"name": "ann"})]), "'name'"),
        (Prompt([Message("assistant", "", {"audio": {"id": "a"}})]), "'audio'"),
    ],
)
def test_what_the_dialect_cannot_say_is_refused_by_name(prompt: Prompt, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        encode_responses(prompt, "m", OPENAI)

    assert words in caught.value.message
    assert caught.value.param is not None


STRANGE = st.none() | st.booleans() | st.integers() | st.text() | st.just([]) | st.just({}) | st.just([{}])


@given(st.sampled_from(sorted(WHOLE)), STRANGE, st.data())
def test_a_strange_value_anywhere_is_an_error_or_leaves_an_answer_whole(
    name: str, strange: Any, data: st.DataObject
) -> None:
    sent, _ = WHOLE[name]
    events = [json.loads(line[6:]) for line in sent.split(b"\n") if line.startswith(b"data: {")]
    place = data.draw(st.sampled_from(events))
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = strange

    told, error = decode(b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events))

    assert error is None or isinstance(error, ProviderError)
    assert (error is None) == isinstance(told[-1] if told else None, TurnCompleted | TurnIncomplete)


# --- and back -----------------------------------------------------------------------------------

ASKED = read_responses(b'{"input": "x", "include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}')


def rendered(events: list[Event]) -> bytes:
    turn = Turn("responses", Caller("server", "key", None, None), "m", ASKED.prompt, HandClock())
    return ResponsesStream(ResponseTurnFacts(turn, ASKED.echo)).render(events)


def essence(events: list[Event]) -> list[Event]:
    """The events without the tier, which is told earlier, and with usage as it counts."""
    return [
        UsageReported(msgspec.structs.replace(event.usage, raw=None)) if isinstance(event, UsageReported) else event
        for event in events
        if not isinstance(event, AnswerDescribed)
    ]


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_rendered_of_an_answer_is_the_same_answer(name: str) -> None:
    _, expected = WHOLE[name]

    again, error = decode(rendered(expected))

    assert error is None
    assert essence(again) == essence(expected)


@pytest.mark.parametrize("name", WHOLE)
def test_chat_completions_tells_the_same_words_calls_and_reason(name: str) -> None:
    _, expected = WHOLE[name]
    decoder = ChatStreamDecoder()
    turn = Turn("chat", Caller("server", "key", None, None), "m", ASKED.prompt, HandClock())

    again = decoder.feed(ChatStream(turn, includes_usage=True).render(expected))

    assert decoder.error is None
    assert said(again) == said(expected)


def said(events: list[Event]) -> dict[str, Any]:
    """What an answer says, however its pieces and items are cut."""
    return {
        "words": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "refusal": "".join(event.text for event in events if isinstance(event, RefusalDelta)),
        "calls": [(event.call_id, event.name, event.kind) for event in events if isinstance(event, ToolCallStarted)],
        "arguments": sorted("".join(event.text for event in events if isinstance(event, ToolArgumentsDelta))),
        "end": [event for event in events if isinstance(event, ChoiceFinished | TurnCompleted | TurnIncomplete)],
    }


@pytest.mark.parametrize("profile", [OPENAI, COMPATIBLE])
def test_what_another_dialect_sealed_is_left_out(profile: Profile) -> None:
    def thought(seal: str) -> Unknown:
        raw = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal, "content": [{"text": "x"}]}
        return Unknown(raw, "responses")

    ours, other, later = thought("gAAAABo="), thought("anthropic.1:e30="), thought("other.17:e30=")
    prompt = Prompt([ours, other, later, Message("user", "x")], dialect="responses")

    written = encode_responses(prompt, "m", profile)["input"]

    assert [item["type"] for item in written] == ["reasoning", "message"]
    assert written[0]["encrypted_content"] == "gAAAABo="
