"""Responses, rendered: the order of events, what they add up to, and that no event is undescribed."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError, RateLimited, Unavailable
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    Event,
    MessageStarted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
)
from frontdesk.turn.items import Format, Message, Text, ToolCall, Unknown
from frontdesk.turn.log import Entry, Failure, decode_entries, encode_entries, put_together
from frontdesk.wire.openai_chat_render import ChatBody
from frontdesk.wire.openai_responses import read_items, read_responses
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesStream, last_word, output_items
from tests.contract.own_document import OwnDocument
from tests.peers.document import Answer
from tests.wire.answers import EVERYTHING, FILE, LOGPROBS, PAGE, answers, batches, frames, payloads, told_at, turn_at

OWN = OwnDocument()
ECHO = read_responses(b'{"input": "x"}').echo
SEALED = frozenset({"reasoning.encrypted_content"})


def test_everything_in_its_order() -> None:
    rendered = stream_of(EVERYTHING)

    assert [name for name, _ in frames(rendered)] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_everything_as_one_response() -> None:
    response = body_of([event for batch in EVERYTHING for event in batch])

    assert response["output"] == [
        {
            "id": "rs_1",
            "type": "reasoning",
            "status": "completed",
            "summary": [
                {"type": "summary_text", "text": "First, look."},
                {"type": "summary_text", "text": "Then leap."},
            ],
            "content": [],
        },
        {
            "id": "rs_2",
            "type": "reasoning",
            "status": "completed",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hmm"}],
        },
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "hi a",
                    "annotations": [PAGE, FILE],
                    "logprobs": [
                        {
                            "token": "a",
                            "logprob": -0.25,
                            "bytes": [97],
                            "top_logprobs": [
                                {"token": "a", "logprob": -0.25, "bytes": [97]},
                                {"token": "a", "logprob": -0.25, "bytes": []},
                            ],
                        }
                    ],
                },
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "f",
            "arguments": '{"a":1}',
        },
        {
            "id": "ctc_1",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "call_2",
            "name": "c",
            "input": "free",
        },
    ]
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 43,
    }
    assert (response["status"], response["service_tier"], response["completed_at"]) == (
        "completed",
        "flex",
        1_800_000_007,
    )


def test_parts_of_a_summary_are_counted() -> None:
    events = [event for event in payloads(stream_of(EVERYTHING)) if "summary" in event["type"]]

    assert [(event["summary_index"], event.get("delta"), event.get("text")) for event in events] == [
        (0, None, None),
        (0, "First, ", None),
        (0, "look.", None),
        (0, None, "First, look."),
        (0, None, None),
        (1, None, None),
        (1, "Then leap.", None),
        (1, None, "Then leap."),
        (1, None, None),
    ]


@pytest.mark.parametrize(("include", "sealed"), [(SEALED, "sealed"), (frozenset[str](), None)])
def test_what_was_sealed_is_told_where_it_was_asked_for(include: frozenset[str], sealed: str | None) -> None:
    body = body_of([event for batch in EVERYTHING for event in batch], include=include)
    last = payloads(stream_of(EVERYTHING, include=include))[-1]["response"]

    assert body["output"][0].get("encrypted_content") == sealed
    assert last["output"] == body["output"]


def test_annotations_of_a_part_are_counted() -> None:
    events = [event for event in payloads(stream_of(EVERYTHING)) if "annotation" in event["type"]]

    assert [(event["annotation_index"], event["annotation"]) for event in events] == [(0, PAGE), (1, FILE)]


def test_an_annotation_counts_from_the_beginning_of_its_part() -> None:
    page = {**PAGE, "start_index": 5, "end_index": 8}
    events: list[Event] = [
        MessageStarted(0, "msg_1"),
        TextDelta(0, "four"),
        RefusalDelta(0, "no"),
        TextDelta(0, " more"),
        AnnotationAdded(0, page),
    ]

    first, _, last = body_of(events)["output"][0]["content"]

    assert first["annotations"] == []
    assert last["annotations"] == [{**PAGE, "start_index": 1, "end_index": 4}]
    assert payloads(stream_of([events]))[-1]["annotation"] == last["annotations"][0]


def test_logprobs_of_events_have_no_bytes() -> None:
    events = payloads(stream_of(EVERYTHING))

    texts = ("response.output_text.delta", "response.output_text.done")
    told = [event["logprobs"] for event in events if event["type"] in texts]
    token = {"token": "a", "logprob": -0.25}
    assert told == [[], [{**token, "top_logprobs": [token, token]}], [{**token, "top_logprobs": [token, token]}]]


def test_first_event_tells_the_tier_that_its_own_batch_brings() -> None:
    created = payloads(stream_of([[AnswerDescribed("priority"), MessageStarted(0, "msg_1")]]))[0]

    assert created["response"]["service_tier"] == "priority"


def test_later_description_without_a_tier_keeps_the_first() -> None:
    events: list[list[Event]] = [[AnswerDescribed("flex")], [AnswerDescribed(None, "fp")], [TurnCancelled()]]

    assert payloads(stream_of(events))[-1]["response"]["service_tier"] == "flex"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderError("secret"), "server_error"),
        (ProviderError("secret", status=504, code="provider_timeout"), "server_error"),
        (Unavailable("later", code="server_shutting_down"), "server_error"),
        (RateLimited("wait"), "rate_limit_exceeded"),
        (ProviderError("secret", status=429), "rate_limit_exceeded"),
        (BadRequest("no", code="image_too_large"), "image_too_large"),
        (BadRequest("no", code="context_length_exceeded"), "invalid_prompt"),
    ],
)
def test_broken_answer_ends_as_failed_with_a_code_of_openais(error: FrontdeskError, code: str) -> None:
    stream = ResponsesStream(told_at(said=ECHO))
    rendered = stream.render([MessageStarted(0, "msg_1"), TextDelta(0, "half")]) + stream.render_error(error)

    last = payloads(rendered)[-1]
    assert [name for name, _ in frames(rendered)][-2:] == ["response.output_item.done", "response.failed"]
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": code, "message": error.message}
    assert (last["response"]["output"][0]["status"], last["response"]["output"][0]["content"][0]["text"]) == (
        "incomplete",
        "half",
    )
    assert described(rendered)


def test_id_of_a_provider_is_no_way_out_of_the_json() -> None:
    rendered = stream_of([[MessageStarted(0, 'x","y":"\n\n'), TextDelta(0, "hi"), TurnIncomplete("content_filter")]])

    assert {event["item_id"] for event in payloads(rendered) if "item_id" in event} == {'x","y":"\n\n'}


@given(answers(), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())
def test_streamed_equals_whole_and_is_described(events: list[Event], sizes: list[int], is_sealed: bool) -> None:
    include = SEALED if is_sealed else frozenset[str]()
    facts = told_at(include=include, said=ECHO)
    stream, body = ResponsesStream(facts), ResponsesBody(facts)

    rendered = b"".join(stream.render(batch) for batch in batches(events, sizes) if batch)
    body.add(events)

    told = payloads(rendered)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [name for name, _ in frames(rendered)] == [event["type"] for event in told]
    assert told[-1]["response"] == stream.response() == json.loads(body.body())
    assert [event["item"] for event in told if event["type"] == "response.output_item.done"] == sorted(
        told[-1]["response"]["output"], key=lambda item: ended_at(told, item["id"])
    )
    assert texts_of(told) == texts_within(told[-1]["response"]["output"])
    assert described(rendered)
    assert OWN.check(Answer("POST", "/v1/responses", 200, "application/json", body.body())) == []


@given(answers())
def test_obfuscation_is_beside_each_delta_and_nowhere_else(events: list[Event]) -> None:
    facts = told_at(said=ECHO)
    plain = payloads(ResponsesStream(facts).render(events))
    hidden = payloads(ResponsesStream(facts, obfuscates=True).render(events))

    assert [event["type"].endswith(".delta") for event in hidden] == ["obfuscation" in event for event in hidden]
    assert [{name: value for name, value in event.items() if name != "obfuscation"} for event in hidden] == plain


def test_response_repeats_what_was_asked() -> None:
    asked: dict[str, Any] = {
        "input": "x",
        "instructions": "Be brief.",
        "max_output_tokens": 20,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit"},
        "prompt_cache_retention": "24h",
        "reasoning": {"effort": "low", "generate_summary": "auto", "context": "all_turns"},
        "safety_identifier": "s",
        "service_tier": "priority",
        "store": True,
        "background": True,
        "conversation": {"id": "conv_1", "after": "msg_1"},
        "temperature": 0,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
        "top_logprobs": 3,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
        "presence_penalty": 1,
    }
    echo = read_responses(json.dumps(asked).encode()).echo
    body = ResponsesBody(told_at(said=echo))
    body.add([MessageStarted(0, "msg_1"), TextDelta(0, "x", LOGPROBS), TurnIncomplete("max_output_tokens")])

    response = json.loads(body.body())
    same = set(asked) - {"input", "reasoning", "tools", "prompt_cache_options", "conversation"}
    assert {name: response[name] for name in same} == {name: asked[name] for name in same}
    assert response["conversation"] == {"id": "conv_1"}
    assert response["reasoning"] == {"effort": "low", "summary": "auto", "context": "all_turns"}
    assert response["prompt_cache_options"] == {"mode": "explicit", "ttl": "30m"}
    assert response["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": False},
        {"type": "custom", "name": "c"},
    ]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert OWN.check(Answer("POST", "/v1/responses", 200, "application/json", body.body())) == []


# --- what these tests share -----------------------------------------------------------------------


def stream_of(given_batches: list[list[Event]], *, include: frozenset[str] = frozenset()) -> bytes:
    stream = ResponsesStream(told_at(include=include, said=ECHO))
    return b"".join(stream.render(batch) for batch in given_batches)


def body_of(events: list[Event], *, include: frozenset[str] = frozenset()) -> dict[str, Any]:
    body = ResponsesBody(told_at(include=include, said=ECHO))
    body.add(events)
    return json.loads(body.body())


def described(rendered: bytes) -> bool:
    """Whether our own document describes every event."""
    assert OWN.check(Answer("POST", "/v1/responses", 200, "text/event-stream", rendered)) == []
    return True


def ended_at(told: list[Any], item_id: str) -> int:
    return next(
        event["sequence_number"]
        for event in told
        if event["type"] == "response.output_item.done" and event["item"]["id"] == item_id
    )


def texts_of(told: list[Any]) -> dict[str, str]:
    """The deltas of each item, put together."""
    texts: dict[str, str] = {}
    for event in told:
        if "delta" in event:
            texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
    return {item_id: "".join(sorted(text)) for item_id, text in texts.items() if text}


def texts_within(output: list[Any]) -> dict[str, str]:
    """All text of each item, as a bag of letters: a summary and thoughts may have come by turns."""
    texts: dict[str, str] = {}
    for item in output:
        parts = [
            *item.get("summary", ()),
            *item.get("content", ()),
            {"text": item.get("arguments", item.get("input", ""))},
        ]
        text = "".join(part.get("text", part.get("refusal", "")) for part in parts)
        if text:
            texts[item["id"]] = "".join(sorted(text))
    return texts


def test_what_a_feature_decided_is_told_and_what_it_holds_is_not() -> None:
    """A Response repeats what was really asked for; instructions and schemas of the server stay there."""
    asked = read_responses(b'{"input": "x", "max_output_tokens": 900, "instructions": "mine", "top_p": 0.5}')
    turn = turn_at("responses")
    turn.request = asked.prompt
    facts = ResponseTurnFacts(turn, asked.echo)
    stream, body = ResponsesStream(facts), ResponsesBody(facts)
    turn.request = msgspec.structs.replace(
        asked.prompt,
        instructions="theirs\n\nmine",
        max_output_tokens=100,
        reasoning_effort="low",
        verbosity="low",
        format=Format("json_schema", {"name": "theirs", "schema": {}}),
        parameters={"temperature": 0.2, "top_p": 0.5, "stop": ["theirs"]},
    )

    told = {
        "max_output_tokens": 100,
        "temperature": 0.2,
        "top_p": 0.5,
        "reasoning": {**asked.echo["reasoning"], "effort": "low"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "instructions": "mine",
    }
    for response in (stream.response(), body.response(), payloads(stream.render([TurnCancelled()]))[0]["response"]):
        assert {name: response[name] for name in told} == told
        assert "theirs" not in json.dumps(response)


def test_a_prompt_of_the_servers_is_repeated_by_its_name() -> None:
    asked = read_responses(b'{"input": "x", "prompt": {"id": "chat", "variables": {"a": "b"}}}')
    body = ResponsesBody(told_at(said=asked.echo))
    body.add([TurnIncomplete("content_filter")])

    assert json.loads(body.body())["prompt"] == {"id": "chat", "variables": {"a": "b"}, "version": None}
    assert OWN.check(Answer("POST", "/v1/responses", 200, "application/json", body.body())) == []


# --- answers that are told again ------------------------------------------------------------------


@given(answers(), st.sampled_from(["chat", "responses"]))
def test_what_was_put_together_gives_the_same_body(events: list[Event], door: str) -> None:
    facts = told_at(said=ECHO)
    whole, again = [ChatBody(facts) if door == "chat" else ResponsesBody(facts) for _ in range(2)]

    whole.add(events)
    again.add(cast("list[Event]", decode_entries(encode_entries(put_together(list(events))))))

    assert again.body() == whole.body()


@given(answers(), st.integers(0, 12), st.booleans())
def test_an_answer_that_is_kept_is_told_as_far_as_it_came(events: list[Event], cut: int, breaks: bool) -> None:
    entries: list[Entry] = [*events[:cut], *([Failure.of(ProviderError("x"))] if breaks else [])]
    stream, body = ResponsesStream(told_at(said=ECHO)), ResponsesBody.of(told_at(said=ECHO), entries)
    stream.render(events[:cut])
    if breaks:
        stream.render_error(ProviderError("x"))

    told = json.loads(body.body())
    assert told == stream.response()
    assert told["status"] == ("failed" if breaks else stream.response()["status"])
    assert OWN.check(Answer("POST", "/v1/responses", 200, "application/json", body.body())) == []


def test_an_answer_under_way_is_told_with_what_it_has() -> None:
    body = ResponsesBody.of(
        told_at(said=ECHO),
        [
            ReasoningStarted(0, "rs_1"),
            ReasoningSummaryDelta(0, "So"),
            MessageStarted(1, "msg_1"),
            TextDelta(1, "hal"),
            ToolCallStarted(2, "fc_1", "call_1", "f"),
            ToolArgumentsDelta(2, '{"a'),
        ],
    )

    told = [body.response() for _ in range(2)]  # asking changes nothing
    body.add([TextDelta(1, "f"), TurnCompleted()])

    assert told[0] == told[1]
    assert (told[0]["status"], told[0]["completed_at"]) == ("in_progress", None)
    assert [item["status"] for item in told[0]["output"]] == ["in_progress"] * 3
    assert told[0]["output"][0]["summary"] == [{"type": "summary_text", "text": "So"}]
    assert told[0]["output"][1]["content"][0]["text"] == "hal"
    assert told[0]["output"][2]["arguments"] == '{"a'
    whole = json.loads(body.body())
    assert [item["status"] for item in whole["output"]] == ["completed"] * 3
    assert whole["output"][1]["content"] == [{"type": "output_text", "text": "half", "annotations": [], "logprobs": []}]


def test_a_response_that_failed_is_one_with_what_came_of_it() -> None:
    body = ResponsesBody(told_at(said=ECHO))
    body.add([MessageStarted(0, "msg_1"), TextDelta(0, "half")])

    body.fail(RateLimited("Wait."))

    told = json.loads(body.body())
    assert (told["status"], told["completed_at"]) == ("failed", None)
    assert told["error"] == {"code": "rate_limit_exceeded", "message": "Wait."}
    assert (told["output"][0]["status"], told["output"][0]["content"][0]["text"]) == ("incomplete", "half")


def test_a_response_in_the_background_waits_before_it_begins() -> None:
    facts = told_at(said={**ECHO, "background": True})
    rendered = ResponsesStream(facts, is_background=True).render([MessageStarted(0, "msg_1"), TurnCancelled()])

    told = payloads(rendered)
    assert [(event["type"], event["sequence_number"], event["response"]["status"]) for event in told[:3]] == [
        ("response.created", 0, "queued"),
        ("response.queued", 1, "queued"),
        ("response.in_progress", 2, "in_progress"),
    ]
    assert described(rendered)
    accepted = json.loads(ResponsesBody(facts).accepted())
    assert accepted == told[0]["response"]
    assert (accepted["status"], accepted["output"], accepted["background"]) == ("queued", [], True)


@given(answers(), st.none() | st.integers(0, 99), st.booleans(), st.booleans())
def test_the_last_word_is_the_end_of_the_stream_with_the_next_number(
    events: list[Event], after: int | None, breaks: bool, carries_ids: bool
) -> None:
    facts = told_at(said=ECHO)
    error = ProviderError("x")
    entries: list[Entry] = [*events[:-1], Failure.of(error)] if breaks else list(events)
    stream = ResponsesStream(facts)
    rendered = stream.render(events[:-1]) + stream.render_error(error) if breaks else stream.render(events)

    word = last_word(facts, put_together(entries), after, carries_ids=carries_ids)

    number = 0 if after is None else after + 1
    assert word.startswith(b"id: %d\nevent: " % number if carries_ids else b"event: ")
    last = json.loads(word.split(b"\ndata: ")[1])
    assert last == {**payloads(rendered)[-1], "sequence_number": number}
    assert word.count(b"\n\n") == 1


def test_items_of_an_answer_are_told_with_what_was_sealed() -> None:
    events: list[Entry] = [event for batch in EVERYTHING for event in batch]

    items = output_items(told_at(), events)

    assert items == body_of(cast("list[Event]", events), include=SEALED)["output"]
    assert items[0]["encrypted_content"] == "sealed"


def test_items_of_an_answer_can_be_sent_again() -> None:
    events: list[Entry] = [event for batch in EVERYTHING for event in batch]

    reasoning, thoughts, message, *calls = read_items(output_items(told_at(), events), "items")

    assert isinstance(message, Message)
    assert [item.raw["type"] for item in (reasoning, thoughts) if isinstance(item, Unknown)] == ["reasoning"] * 2
    assert (message.role, message.extra) == ("assistant", {"phase": "commentary"})
    assert [part.text for part in message.content if isinstance(part, Text)] == ["hi a"]
    assert calls == [ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "c", "free", "custom")]
