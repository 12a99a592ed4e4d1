"""Chat Completions, rendered: chunks add up to the body, and none is undescribed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.turn.events import (
    AnswerDescribed,
    ChoiceFinished,
    Event,
    MessageStarted,
    TextDelta,
    TurnCancelled,
    TurnCompleted,
    UsageReported,
)
from frontdesk.wire.openai_chat_render import ChatBody, ChatStream
from tests.contract.own_document import OwnDocument
from tests.peers.document import Answer
from tests.wire.answers import EVERYTHING, LOGPROBS, answers, batches, frames, payloads, told_at, turn_at

OWN = OwnDocument()


def test_everything_as_one_body() -> None:
    body = body_of([event for batch in EVERYTHING for event in batch])

    (choice,) = body["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "hi a",
        "refusal": "no",
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"url": "https://example.test/a", "title": "A", "start_index": 0, "end_index": 2},
            }
        ],
        "reasoning_content": "First, look.\n\nThen leap.hmm",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "free"}},
        ],
    }
    assert choice["logprobs"] == {"content": LOGPROBS, "refusal": LOGPROBS}
    assert choice["finish_reason"] == "tool_calls"
    assert (body["service_tier"], body["system_fingerprint"]) == ("flex", "fp_1")
    assert body["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 40,
        "total_tokens": 43,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 5,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 6,
            "rejected_prediction_tokens": 0,
        },
    }


def test_unknown_is_null_where_openai_has_a_null_and_missing_where_not() -> None:
    body = body_of([MessageStarted(0, "msg_1"), TextDelta(0, "hi"), ChoiceFinished(0, "stop"), TurnCompleted()])

    assert body["service_tier"] is None
    assert not {"usage", "system_fingerprint"} & set(body)
    assert body["choices"][0]["logprobs"] is None


def test_later_description_is_in_the_chunks_after_it() -> None:
    stream = ChatStream(turn_at("chat"), includes_usage=False)
    rendered = stream.render([MessageStarted(0, "msg_1"), TextDelta(0, "one")])
    rendered += stream.render([AnswerDescribed("flex", "fp_2"), TextDelta(0, "two")])

    role, one, two = payloads(rendered)
    assert [(chunk["service_tier"], chunk.get("system_fingerprint")) for chunk in (role, one, two)] == [
        (None, None),
        (None, None),
        ("flex", "fp_2"),
    ]
    assert two["choices"][0]["delta"] == {"content": "two"}


def test_logprobs_of_words_and_of_a_refusal_have_their_own_place() -> None:
    told = [
        chunk["choices"][0]["logprobs"] for chunk in payloads(stream_of(EVERYTHING)) if chunk["choices"][0]["logprobs"]
    ]

    assert told == [{"content": LOGPROBS, "refusal": None}, {"content": None, "refusal": LOGPROBS}]


@pytest.mark.parametrize("error", [ProviderError("secret reason"), BadRequest("A message.", code="x", param="y")])
def test_broken_stream_ends_with_the_error_and_no_done(error: FrontdeskError) -> None:
    stream = ChatStream(turn_at("chat"), includes_usage=True)
    rendered = stream.render([MessageStarted(0, "msg_1"), TextDelta(0, "half")]) + stream.render_error(error)

    assert payloads(rendered)[-1] == error.body()
    assert b"[DONE]" not in rendered
    assert b"secret" not in rendered
    assert described(rendered)


def test_cancelled_stream_says_so() -> None:
    rendered = stream_of([[MessageStarted(0, "msg_1"), TextDelta(0, "half")], [TurnCancelled()]])

    assert payloads(rendered)[-1]["error"]["code"] == "cancelled"
    assert b"[DONE]" not in rendered


@given(answers(choices=3), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_chunks_add_up_to_the_body_and_are_described(
    events: list[Event], sizes: list[int], includes_usage: bool, obfuscates: bool
) -> None:
    turn = turn_at("chat")
    stream = ChatStream(turn, includes_usage=includes_usage, obfuscates=obfuscates)
    body = ChatBody(turn)

    rendered = b"".join(stream.render(batch) for batch in batches(events, sizes))
    body.add(events)

    whole = json.loads(body.body())
    chunks = [chunk for chunk in payloads(rendered) if "error" not in chunk]
    assert added_up(chunks) == {choice["index"]: choice for choice in map(plain, whole["choices"])}
    assert described(rendered)
    assert OWN.check(Answer("POST", "/v1/chat/completions", 200, "application/json", body.body())) == []
    is_cancelled = isinstance(events[-1], TurnCancelled)
    assert [text for _, text in frames(rendered)].count("[DONE]") == int(not is_cancelled)
    if is_cancelled:
        return
    usages = [chunk.get("usage") for chunk in chunks]
    has_usage = any(isinstance(event, UsageReported) for event in events)
    assert usages[-1] == (whole.get("usage") if includes_usage else None)
    assert sum(usage is not None for usage in usages) == int(includes_usage and has_usage)
    assert all(("usage" in chunk) == includes_usage for chunk in chunks)


def test_a_stored_one_tells_its_metadata() -> None:
    said = [{}, {"a": "b"}]
    bodies = [ChatBody(told_at(), metadata) for metadata in said]
    for body in bodies:
        body.add([MessageStarted(0, "msg_1"), TextDelta(0, "hi"), ChoiceFinished(0, "stop"), TurnCompleted()])

    assert [json.loads(body.body())["metadata"] for body in bodies] == said
    for body in bodies:
        assert OWN.check(Answer("POST", "/v1/chat/completions", 200, "application/json", body.body())) == []


@given(answers(choices=2))
def test_obfuscation_is_beside_each_text_and_nowhere_else(events: list[Event]) -> None:
    turn = turn_at("chat")
    straight = payloads(ChatStream(turn, includes_usage=True).render(events))
    hidden = payloads(ChatStream(turn, includes_usage=True, obfuscates=True).render(events))

    assert ["obfuscation" in chunk for chunk in hidden] == [has_text(chunk) for chunk in hidden]
    assert [{name: value for name, value in chunk.items() if name != "obfuscation"} for chunk in hidden] == straight


# --- what these tests share -----------------------------------------------------------------------


def stream_of(given_batches: list[list[Event]]) -> bytes:
    stream = ChatStream(turn_at("chat"), includes_usage=False)
    return b"".join(stream.render(batch) for batch in given_batches)


def body_of(events: list[Event]) -> dict[str, Any]:
    body = ChatBody(turn_at("chat"))
    body.add(events)
    return json.loads(body.body())


def described(rendered: bytes) -> bool:
    """Whether our own document describes every chunk."""
    assert OWN.check(Answer("POST", "/v1/chat/completions", 200, "text/event-stream", rendered)) == []
    return True


def has_text(chunk: Any) -> bool:
    """Whether a chunk brings a delta of text: no role with it, no reason to end, no start of a call, no source."""
    if "error" in chunk or not chunk["choices"]:
        return False
    (choice,) = chunk["choices"]
    if "annotations" in choice["delta"]:
        return False
    calls = choice["delta"].get("tool_calls", [{}])
    return choice["finish_reason"] is None and "role" not in choice["delta"] and "id" not in calls[0]


def added_up(chunks: list[Any]) -> dict[int, Any]:
    """What a client makes of the chunks, choice by choice."""
    choices: dict[int, Any] = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            choice = choices.setdefault(
                part["index"],
                {
                    "index": part["index"],
                    "texts": {},
                    "annotations": [],
                    "calls": {},
                    "logprobs": {},
                    "finish_reason": None,
                },
            )
            choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
            for name, tokens in (part["logprobs"] or {}).items():
                choice["logprobs"].setdefault(name, []).extend(tokens or [])
            for name, text in part["delta"].items():
                if name == "tool_calls":
                    _add_call(choice["calls"], text[0])
                elif name == "annotations":
                    choice["annotations"].extend(text)
                elif name != "role" and text:
                    choice["texts"][name] = choice["texts"].get(name, "") + text
    return choices


def _add_call(calls: dict[int, Any], part: Any) -> None:
    call = calls.setdefault(part["index"], {"id": part.get("id"), "kind": part.get("type"), "text": ""})
    inner = part.get("function", part.get("custom"))
    call["name"] = inner.get("name", call.get("name"))
    call["text"] += inner.get("arguments", inner.get("input"))


def plain(choice: Any) -> Any:
    """A choice of a body, in the shape that chunks add up to."""
    message = choice["message"]
    calls = {
        place: {
            "id": call["id"],
            "kind": call["type"],
            "text": call[call["type"]].get("arguments", call[call["type"]].get("input")),
            "name": call[call["type"]]["name"],
        }
        for place, call in enumerate(message.get("tool_calls", ()))
    }
    texts = {name: message[name] for name in ("content", "refusal", "reasoning_content") if message.get(name)}
    logprobs = {name: tokens or [] for name, tokens in (choice["logprobs"] or {}).items()}
    return {
        "index": choice["index"],
        "texts": texts,
        "annotations": message["annotations"],
        "calls": calls,
        "logprobs": logprobs,
        "finish_reason": choice["finish_reason"],
    }
