"""Chat Completions bytes, whole and cut at every position, become the same events."""

from __future__ import annotations

import re
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.chat_dialect import ChatStreamDecoder, decode_chat, encode_chat
from frontdesk.providers.profiles import COMPATIBLE, OPENAI
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
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

EXPECTED_USAGE = UsageReported(
    Usage(19, 10, cached_tokens=4, reasoning_tokens=2, audio_input_tokens=0, audio_output_tokens=0, raw=recorded.USAGE)
)


def decode(*pieces: bytes) -> tuple[list[Event], FrontdeskError | None]:
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


DESCRIBED = AnswerDescribed("default", "fp_1")


def thought(text: str) -> list[Event]:
    return [ReasoningStarted(0, ""), ReasoningDelta(0, text), ItemFinished(0)]


def message(text: str, output: int) -> list[Event]:
    return [MessageStarted(output, ""), TextDelta(output, text), ItemFinished(output)]


def stopped(usage: dict[str, Any] = recorded.TOTALS) -> list[Event]:
    return [ChoiceFinished(0, "stop"), UsageReported(Usage(5, 2, raw=usage)), TurnCompleted()]


def page(url: str, title: str = "", end_index: int = 0) -> dict[str, Any]:
    return {"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": end_index}


WHOLE: dict[str, tuple[bytes, list[Event]]] = {
    "sources": (
        recorded.SOURCES,
        [
            MessageStarted(0, ""),
            TextDelta(0, "Zwei."),
            AnnotationAdded(0, page("https://example.test/bells", "Glocken läuten", 5)),
            AnnotationAdded(0, page("http://example.test/")),
            ItemFinished(0),
            ChoiceFinished(0, "stop"),
            TurnCompleted(),
        ],
    ),
    "text": (
        recorded.TEXT,
        [
            DESCRIBED,
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
            DESCRIBED,
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
            DESCRIBED,
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
        [DESCRIBED, *message("whole", output=0), ChoiceFinished(0, "stop"), TurnCompleted()],
    ),
    "refusal": (
        recorded.REFUSAL,
        [
            DESCRIBED,
            MessageStarted(0, ""),
            RefusalDelta(0, "I cannot "),
            RefusalDelta(0, "do that."),
            ItemFinished(0),
            ChoiceFinished(0, "stop"),
            TurnCompleted(),
        ],
    ),
    "azure": (
        recorded.AZURE,
        [AnswerDescribed(system_fingerprint="fp_az"), *message("Hi.", output=0), *stopped()],
    ),
    "vllm": (
        recorded.VLLM,
        [
            *thought("Hm."),
            ToolCallStarted(1, "", "chatcmpl-tool-1", "f"),
            ToolArgumentsDelta(1, "{}"),
            ItemFinished(1),
            ChoiceFinished(0, "tool_calls"),
            UsageReported(Usage(5, 2, raw={**recorded.TOTALS, "prompt_tokens_details": None})),
            TurnCompleted(),
        ],
    ),
    "ollama": (
        recorded.OLLAMA,
        [
            AnswerDescribed(system_fingerprint="fp_ollama"),
            *thought("Hm."),
            *message("Hi.", output=1),
            ToolCallStarted(2, "", "call_1", "f"),
            ToolArgumentsDelta(2, "{}"),
            ItemFinished(2),
            ChoiceFinished(0, "tool_calls"),
            UsageReported(Usage(5, 2, raw=recorded.TOTALS)),
            TurnCompleted(),
        ],
    ),
    "llama.cpp": (
        recorded.LLAMA_CPP,
        [AnswerDescribed(system_fingerprint="b6123-abcdef"), *message("Hi.", output=0), *stopped()],
    ),
    "mistral": (
        recorded.MISTRAL,
        [
            *thought("Hm."),
            MessageStarted(1, ""),
            TextDelta(1, "Hi."),
            ChoiceFinished(0, "length"),
            UsageReported(Usage(5, 2, raw=recorded.TOTALS)),
            TurnIncomplete("max_output_tokens"),
        ],
    ),
    "groq": (
        recorded.GROQ,
        [
            AnswerDescribed(system_fingerprint="fp_g"),
            *message("Hi.", output=0),
            *stopped({"queue_time": 0.01, **recorded.TOTALS, "total_time": 0.1}),
        ],
    ),
    "deepseek": (
        recorded.DEEPSEEK,
        [
            AnswerDescribed(system_fingerprint="fp_d"),
            *thought("Hm."),
            *message("Hi.", output=1),
            ChoiceFinished(0, "stop"),
            UsageReported(Usage(5, 2, cached_tokens=4, reasoning_tokens=1, raw=recorded.DEEPSEEK_USAGE)),
            TurnCompleted(),
        ],
    ),
    "openrouter": (
        recorded.OPENROUTER,
        [*thought("Hm."), *message("Hi.", output=1), *stopped({**recorded.TOTALS, "cost": 0.00001})],
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
    said = re.search(rb'"finish_reason": ?"', sent)
    assert said is not None

    for place in range(said.start()):
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
    "openrouter's error": (recorded.OPENROUTER_ERROR, ["Half"]),
    "an error in its choice": (recorded.OPENROUTER_ERROR_IN_CHOICE, ["Half"]),
    "a part of an unknown type": (recorded.UNKNOWN_PART, ["Half"]),
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

    assert isinstance(error, ProviderError)
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


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        (Prompt([Message("user", "x")], reasoning_summary="auto", dialect="responses"), "reasoning.summary"),
        (Prompt([Message("user", "x")], truncation="auto", dialect="responses"), "truncation"),
        (Prompt([Message("user", "x")], parameters={"reasoning": {"mode": "pro"}}, dialect="responses"), "reasoning"),
        (Prompt([Message("user", "x")], parameters={"image": {}}, dialect="responses"), "image"),
    ],
)
def test_what_only_responses_says_is_refused_by_name(prompt: Prompt, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        encode_chat(prompt, "m", OPENAI)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    assert param in caught.value.message


def test_what_responses_asks_for_and_chat_completions_has_not_is_left_out() -> None:
    prompt = Prompt(
        [
            Unknown({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}, "responses"),
            Message("assistant", [Text("Hi.")], {"phase": "final_answer"}),
            Message("user", "x"),
        ],
        truncation="disabled",
        include=frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"}),
        dialect="responses",
    )

    assert encode_chat(prompt, "m", OPENAI) == {
        "model": "m",
        "messages": [
            {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
            {"role": "user", "content": "x"},
        ],
        "logprobs": True,
    }


def test_log_probabilities_of_words_and_refusals_are_carried() -> None:
    word = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}

    def said(delta: dict[str, Any], logprobs: dict[str, Any]) -> bytes:
        return recorded.raw({"choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None}]})

    events, error = decode(
        said({"content": "x"}, {"content": [word], "refusal": None}),
        said({"refusal": "x"}, {"content": None, "refusal": [word]}),
        recorded.chunk({}, "stop") + recorded.DONE,
    )

    assert error is None
    assert events[1:3] == [TextDelta(0, "x", [word]), RefusalDelta(0, "x", [word])]


def test_the_tokens_of_a_prediction_are_told() -> None:
    details = {"accepted_prediction_tokens": 3, "rejected_prediction_tokens": 1}
    usage = {**recorded.TOTALS, "completion_tokens_details": details}

    events, error = decode(recorded.chunk({"content": "x"}, "stop", usage=usage) + recorded.DONE)

    assert error is None
    assert events[-2] == UsageReported(
        Usage(5, 2, accepted_prediction_tokens=3, rejected_prediction_tokens=1, raw=usage)
    )


def test_a_whole_body_tells_its_tier_and_fingerprint_first() -> None:
    body = (
        b'{"service_tier":"flex","system_fingerprint":"fp_2","choices":[{"message":{"content":"x"},'
        b'"finish_reason":"stop"}]}'
    )

    assert decode_chat(body)[0] == AnswerDescribed("flex", "fp_2")


def test_a_tier_of_a_strange_kind_is_left_out() -> None:
    events, error = decode(recorded.chunk({"content": "x"}, "stop", service_tier=7, system_fingerprint={}))

    assert error is None
    assert not any(isinstance(event, AnswerDescribed) for event in events)


def test_all_choices_that_were_asked_for_must_end() -> None:
    decoder = ChatStreamDecoder(choices=2)
    decoder.feed(recorded.WITHOUT_DONE)

    assert decoder.finish() == []
    assert decoder.error is not None


@pytest.mark.parametrize("said", [True, {}, "calls"])
def test_calls_stand_beside_a_field_of_their_name_that_is_a_strangers(said: object) -> None:
    prompt = Prompt([Message("assistant", "x", {"tool_calls": said}), ToolCall("c", "f", "{}")], dialect="responses")

    messages = encode_chat(prompt, "m", COMPATIBLE)["messages"]

    assert [message.get("tool_calls") for message in messages] == [
        said,
        [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    ]


def test_calls_are_not_written_into_what_the_caller_sent() -> None:
    said = {"role": "assistant", "content": "x", "tool_calls": [{"id": "a", "unknown": 1}]}
    prompt = Prompt([Unknown(said, "chat"), ToolCall("c", "f", "{}")])

    first, second = (encode_chat(prompt, "m", COMPATIBLE) for _ in range(2))

    assert first == second
    assert said["tool_calls"] == [{"id": "a", "unknown": 1}]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "rate_limit_exceeded", "message": "Slow down."}, (503, "provider_busy")),
        ({"code": 429, "message": "Provider returned error"}, (503, "provider_busy")),
        ({"type": "overloaded_error"}, (503, "provider_busy")),
        ({"code": 502}, (502, "provider_error")),
        ({"code": ["odd"]}, (502, "provider_error")),
        ("text", (502, "provider_error")),
    ],
)
def test_a_server_that_is_busy_may_say_so_inside_its_answer(error: Any, expected: tuple[int, str]) -> None:
    _, failure = decode(recorded.chunk({"content": "x"}) + recorded.raw({"error": error}))

    assert failure is not None
    assert (failure.status, failure.code) == expected


def test_a_source_may_come_before_the_words_and_not_after_their_end() -> None:
    page = {"type": "url_citation", "url_citation": {"url": "https://example.test/"}}
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    events, error = decode(
        recorded.chunk({"annotations": [page]}),
        recorded.chunk({"content": "x"}),
        recorded.chunk({"tool_calls": [call]}),
        recorded.chunk({"annotations": [{**page, "url_citation": {"url": "https://example.test/late"}}]}),
        recorded.chunk({}, "tool_calls") + recorded.DONE,
    )

    assert error is None
    assert [type(event) for event in events[1:5]] == [MessageStarted, AnnotationAdded, TextDelta, ItemFinished]
    assert sum(isinstance(event, AnnotationAdded) for event in events) == 1
