"""Demands: each thing takes what the table says, in the caller's own spelling, and nothing is overlooked."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from frontdesk.policies.demands import Demand, demands_of, demands_of_embedding
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_chat_shapes import ChatCompletionRequest
from frontdesk.wire.openai_embeddings import read_embeddings
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_shapes import ResponseRequest
from frontdesk.wire.reading import names_of
from tests.policies.things import THINGS, Door, Thing, request_of

AT_DOORS = [
    pytest.param(door, thing, id=f"{door}-{thing.name}")
    for thing in THINGS
    for door in ("chat", "responses")
    if thing.fields(door) is not None
]


def demands(door: Door, body: dict[str, Any], **decided: Any) -> list[Demand]:
    content = json.dumps(body).encode()
    prompt = read_chat(content).prompt if door == "chat" else read_responses(content).prompt
    return list(demands_of(prompt, decided))


@pytest.mark.parametrize(("door", "thing"), AT_DOORS)
def test_each_thing_takes_what_the_table_says(door: Door, thing: Thing) -> None:
    found = demands(door, request_of(door, [thing]))

    assert {demand.capability for demand in found} == (thing.needs if thing.needs is not None else {None})
    assert {demand.param for demand in found} <= {thing.param(door)}
    assert all(demand.thing for demand in found)


@pytest.mark.parametrize(("door", "shape"), [("chat", ChatCompletionRequest), ("responses", ResponseRequest)])
def test_every_field_of_the_wire_is_in_the_table_or_always_allowed(door: Door, shape: type[msgspec.Struct]) -> None:
    always = {"messages", "input", "model", "stream", "stream_options", "metadata", "store", "prompt", "background"}
    always |= {"previous_response_id", "conversation"}
    told = {name for thing in THINGS for name in thing.fields(door) or ()}

    assert names_of(shape) - always - told == set()


def test_where_a_feature_has_a_default_the_wires_says_something() -> None:
    body = request_of("chat", [], temperature=1, logprobs=False, parallel_tool_calls=True, verbosity="medium")
    decided = {"temperature": 0.3, "logprobs": True, "parallel_tool_calls": False, "verbosity": "low"}

    assert demands("chat", body) == []
    assert demands("chat", body, frequency_penalty=0.5) == []
    assert sorted(demand.param for demand in demands("chat", body, **decided)) == sorted(decided)


@pytest.mark.parametrize("door", ["chat", "responses"])
def test_what_a_feature_decided_may_be_sent_back(door: Door) -> None:
    """As our own Responses tell it."""
    decided: dict[str, Any] = {
        "temperature": 0.3,
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "verbosity": "low",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    }
    efforts = {"reasoning": {"effort": "low"}, "text": {"verbosity": "low"}} if door == "responses" else {}
    more = {
        name: value for name, value in decided.items() if not efforts or name not in ("reasoning_effort", "verbosity")
    }

    assert demands(door, request_of(door, [], **more, **efforts), **decided) == []
    assert demands(door, request_of(door, [], prompt_cache_options={"ttl": None}), **decided) == []
    changed = demands(door, request_of(door, [], prompt_cache_options={"mode": "implicit"}), **decided)
    assert [demand.param for demand in changed] == ["prompt_cache_options"]


def test_what_our_responses_tell_may_be_asked_for() -> None:
    told = read_responses(b'{"input": "x"}').echo

    assert demands("responses", request_of("responses", [], **told)) == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "x"}, "url": "x"},
        {"type": "file", "file": {"file_id": "f", "more": 1}},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav", "more": 1}},
    ],
)
def test_fields_that_a_part_does_not_have_are_other_parameters(part: dict[str, Any]) -> None:
    found = demands("chat", request_of("chat", [], messages=[{"role": "user", "content": [part]}]))

    assert found[-1].capability == "other_parameters"


@pytest.mark.parametrize(
    "reasoning",
    [
        {"type": "reasoning", "more": 1},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x", "more": 1}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "x", "more": 1}]},
    ],
)
def test_reasoning_that_says_more_than_answers_do_is_a_demand(reasoning: dict[str, Any]) -> None:
    found = demands("responses", request_of("responses", [], input=[reasoning]))

    assert [demand.capability for demand in found] == ["other_parameters"]


def test_vectors_may_be_of_any_length() -> None:
    asked = read_embeddings(b'{"input": ["x"], "dimensions": 8, "encoding_format": "base64", "user": "u", "odd": 1}')

    assert [(demand.capability, demand.param) for demand in demands_of_embedding(asked.request)] == [
        ("parameters", "user"),
        ("other_parameters", "odd"),
    ]
