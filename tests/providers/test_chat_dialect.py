"""Chat Completions bytes, whole and cut at every position, become the same events."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.chat_dialect import ChatStreamDecoder, decode_chat, encode_chat
from frontdesk.providers.profiles import COMPATIBLE, OPENAI
from frontdesk.turn.events import (
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
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
from tests.providers import recorded

EXPECTED_USAGE = UsageReported(Usage(19, 10, cached_tokens=4, reasoning_tokens=2, raw=recorded.USAGE))


def decode(*pieces: bytes) -> tuple[list[Event], ProviderError | None]:
    decoder = ChatStreamDecoder()
    events: list[Event] = []
    for piece in pieces:
        events.extend(decoder.feed(piece))
    if not decoder.is_done and decoder.error is None:
        events.extend(decoder.finish())
    return without_ids(events), decoder.error


def without_ids(events: list[Event]) -> list[Event]:
    """Item ids are made here and differ each time."""
    plain: list[Event] = []
    for event in events:
        match event:
            case MessageStarted():
                plain.append(MessageStarted(event.output, "", event.choice))
            case ReasoningStarted():
                plain.append(ReasoningStarted(event.output, "", event.choice))
            case ToolCallStarted():
                plain.append(ToolCallStarted(event.output, "", event.call_id, event.name, event.kind, event.choice))
            case _:
                plain.append(event)
    return plain


WHOLE: dict[str, tuple[bytes, list[Event]]] = {
    "text": (
        recorded.TEXT,
        [
            MessageStarted(0, ""),
            TextDelta(0, "Grüße"),
            TextDelta(0, ", 世界 "),
            TextDelta(0, "🛎️\n"),
            ItemFinished(0),
            ChoiceFinished(0, "stop"),
            EXPECTED_USAGE,
            TurnCompleted(),
        ],
    ),
    "tools": (
        recorded.TOOLS,
        [
            ToolCallStarted(0, "", "call_a", "weather"),
            ToolArgumentsDelta(0, '{"city":'),
            ToolCallStarted(1, "", "call_b", "time"),
            ToolArgumentsDelta(1, "{}"),
            ToolArgumentsDelta(0, ' "Köln"}'),
            ItemFinished(0),
            ItemFinished(1),
            ChoiceFinished(0, "tool_calls"),
            EXPECTED_USAGE,
            TurnCompleted(),
        ],
    ),
    "thinking": (
        recorded.THINKING,
        [
            ReasoningStarted(0, ""),
            ReasoningDelta(0, "Hm… "),
            ReasoningDelta(0, "so."),
            ItemFinished(0),
            MessageStarted(1, ""),
            TextDelta(1, "42"),
            ChoiceFinished(0, "length"),
            EXPECTED_USAGE,
            TurnIncomplete("max_output_tokens"),
        ],
    ),
    "without done": (
        recorded.WITHOUT_DONE,
        [MessageStarted(0, ""), TextDelta(0, "whole"), ItemFinished(0), ChoiceFinished(0, "stop"), TurnCompleted()],
    ),
    "refusal": (
        recorded.REFUSAL,
        [
            MessageStarted(0, ""),
            RefusalDelta(0, "I cannot "),
            RefusalDelta(0, "do that."),
            ItemFinished(0),
            ChoiceFinished(0, "stop"),
            TurnCompleted(),
        ],
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers_become_their_events(name: str) -> None:
    sent, expected = WHOLE[name]

    events, error = decode(sent)

    assert error is None
    assert events == expected


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_at_every_position_changes_nothing(name: str) -> None:
    sent, expected = WHOLE[name]

    for place in range(len(sent) + 1):
        assert decode(sent[:place], sent[place:]) == (expected, None), place


@pytest.mark.parametrize("name", WHOLE)
def test_byte_by_byte_changes_nothing(name: str) -> None:
    sent, expected = WHOLE[name]

    assert decode(*(bytes([byte]) for byte in sent)) == (expected, None)


@pytest.mark.parametrize("name", WHOLE)
def test_an_end_at_every_position_is_whole_or_an_error(name: str) -> None:
    """No answer ends cleanly before its choice said that it was finished."""
    sent, expected = WHOLE[name]
    said = sent.find(b'"finish_reason": "')

    for place in range(said):
        events, error = decode(sent[:place])
        assert error is not None, place
        assert events == expected[: len(events)]


BROKEN = {
    "error inside": (recorded.ERROR_INSIDE, ["Half an ", "answer"]),
    "cut": (recorded.CUT, ["Half"]),
    "malformed": (recorded.MALFORMED, ["Half"]),
    "bad utf-8": (recorded.BAD_UTF8, ["Half"]),
    "wrong type": (recorded.WRONG_TYPE, ["Half"]),
    "empty": (recorded.EMPTY, []),
    "nothing": (recorded.SILENT_END, []),
    "done too early": (recorded.chunk({"content": "Half"}) + recorded.DONE, ["Half"]),
    "aborted": (recorded.chunk({"content": "Half"}) + recorded.chunk({}, "abort") + recorded.DONE, ["Half"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers_keep_their_text_and_end_in_an_error(name: str) -> None:
    sent, texts = BROKEN[name]

    for place in range(len(sent) + 1):
        events, error = decode(sent[:place], sent[place:])
        assert error is not None
        assert [event.text for event in events if isinstance(event, TextDelta)] == texts
        assert not any(isinstance(event, TurnCompleted | TurnIncomplete) for event in events)


def test_the_error_tells_no_text_of_the_provider() -> None:
    _, error = decode(b'data: {"error": {"message": "secret words", "code": "bad"}}\n\n')

    assert error is not None
    assert "secret words" not in error.reason + error.message
    assert "bad" in error.reason


def test_a_whole_body_becomes_the_events_of_one_read() -> None:
    body = (
        b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi",'
        b'"refusal":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}}]},'
        b'"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    )

    events = without_ids(decode_chat(body))

    assert events == [
        MessageStarted(0, ""),
        TextDelta(0, "Hi"),
        ItemFinished(0),
        ToolCallStarted(1, "", "call_a", "f"),
        ToolArgumentsDelta(1, "{}"),
        ItemFinished(1),
        ChoiceFinished(0, "tool_calls"),
        UsageReported(Usage(1, 2, raw={"prompt_tokens": 1, "completion_tokens": 2})),
        TurnCompleted(),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{"message":{"content":"x"}}]}',
        b'{"error":{"code":"x"}}',
        b"\xff",
    ],
)
def test_a_body_that_is_no_answer_is_a_provider_error(body: bytes) -> None:
    with pytest.raises(ProviderError):
        decode_chat(body)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "many"},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {},
        {"prompt_tokens": 1, "completion_tokens": True},
    ],
)
def test_usage_that_is_no_count_is_not_believed(usage: dict[str, Any]) -> None:
    events, error = decode(recorded.chunk({"content": "x"}, "stop", usage=usage) + recorded.DONE)

    assert error is None
    assert not any(isinstance(event, UsageReported) for event in events)


def test_a_prompt_is_written_as_chat_completions() -> None:
    prompt = Prompt(
        items=[
            Message("developer", "Be brief."),
            Message("user", [Text("What is this?"), Image("https://x.example/a.png", "low")]),
            Message("assistant", "Let me see."),
            ToolCall("call_1", "look", "{}"),
            ToolCall("call_2", "note", "free text", "custom"),
            ToolOutput("call_1", "a bell"),
            Unknown({"type": "reasoning", "id": "rs_1", "summary": []}, "responses"),
        ],
        instructions="Be kind.",
        tools=[Tool("function", {"name": "look", "parameters": {"type": "object"}})],
        tool_choice={"type": "function", "name": "look"},
        format=Format("json_schema", {"name": "thing", "schema": {"type": "object"}}),
        max_output_tokens=9,
        reasoning_effort="low",
        stream=True,
        parameters={"temperature": 0.5, "top_k": 3},
    )

    assert encode_chat(prompt, "m", OPENAI) == {
        "temperature": 0.5,
        "top_k": 3,
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                    {"id": "call_2", "type": "custom", "custom": {"name": "note", "input": "free text"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "a bell"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 9,
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "thing", "schema": {"type": "object"}}},
        "reasoning_effort": "low",
    }
    compatible = encode_chat(prompt, "m", COMPATIBLE)
    assert compatible["max_tokens"] == 9
    assert [message["role"] for message in compatible["messages"][:2]] == ["system", "system"]


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt([Message("user", "x")], tools=[Tool("web_search", {})]),
        Prompt([Message("user", [Unknown({"type": "input_video"}, "responses")])]),
        Prompt([Unknown({"type": "computer_call"}, "responses")]),
    ],
)
def test_what_the_dialect_cannot_say_is_refused_by_name(prompt: Prompt) -> None:
    with pytest.raises(BadRequest, match=r"web_search|input_video|computer_call"):
        encode_chat(prompt, "m", OPENAI)


def test_all_choices_that_were_asked_for_must_end() -> None:
    decoder = ChatStreamDecoder(choices=2)
    decoder.feed(recorded.WITHOUT_DONE)

    assert decoder.finish() == []
    assert decoder.error is not None
