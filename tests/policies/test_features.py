"""Features: what a person may send, what everybody is given, and in which order the two are put together."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from frontdesk.core.config import Feature, Variable
from frontdesk.core.errors import BadRequest, Forbidden
from frontdesk.policies.features import Features
from frontdesk.turn.items import EmbeddingRequest, Format, Message, Prompt, Tool
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_responses import read_responses
from tests.fakes import HandClock
from tests.policies.things import CAPABILITIES, THINGS, Door, Thing, request_of

PERSON = Caller("user", "sess_1", "u1")
SERVER = Caller("server", "key_1")
PLAIN = Prompt([Message("user", "hello")])


def admitted(feature: Feature, caller: Caller = PERSON, name: str = "chat", **asked: Any) -> Turn:
    prompt = msgspec.structs.replace(PLAIN, **asked)
    turn = Turn("responses", caller, "fast", prompt, HandClock(), name)
    Features({"chat": feature}).admit(turn)
    return turn


def prompt_of(turn: Turn) -> Prompt:
    assert isinstance(turn.request, Prompt)
    return turn.request


def test_a_feature_that_says_nothing_changes_nothing() -> None:
    turn = admitted(Feature())

    assert turn.request == PLAIN
    assert (turn.instructions, turn.prompt) == (None, "")


def test_instructions_come_before_the_callers_own() -> None:
    feature = Feature(instructions="Be kind to {{name}}.", variables={"name": Variable()}, client_may=["instructions"])

    turn = admitted(feature, variables={"name": "Ann"}, instructions="Answer in German.")

    assert prompt_of(turn).instructions == "Be kind to Ann.\n\nAnswer in German."
    assert turn.instructions == "Be kind to Ann."
    assert turn.prompt == "1fcb225f8f17"
    assert admitted(feature, variables={"name": "Bob"}).prompt == turn.prompt
    assert prompt_of(admitted(feature, variables={"name": "Ann"}, instructions="")).instructions == "Be kind to Ann."


def test_defaults_are_for_what_the_request_does_not_say() -> None:
    feature = Feature(
        parameters={"temperature": 0.2, "top_p": 0.5, "n": 2, "reasoning_effort": "low", "verbosity": "low"},
        response_format={"type": "json_schema", "json_schema": {"name": "theirs", "schema": {}}},
        max_output_tokens=100,
        client_may=["parameters", "json_schema"],
    )
    mine = Format("json_object", {})

    untold = prompt_of(admitted(feature))
    told = prompt_of(
        admitted(
            feature,
            parameters={"temperature": 0.9},
            choices=3,
            reasoning_effort="high",
            format=mine,
            max_output_tokens=9,
        )
    )

    assert (untold.parameters, untold.choices) == ({"temperature": 0.2, "top_p": 0.5}, 2)
    assert (untold.reasoning_effort, untold.verbosity, untold.max_output_tokens) == ("low", "low", 100)
    assert untold.format == Format("json_schema", {"name": "theirs", "schema": {}})
    assert (told.parameters, told.choices) == ({"temperature": 0.9, "top_p": 0.5}, 3)
    assert (told.reasoning_effort, told.verbosity, told.max_output_tokens) == ("high", "low", 9)
    assert told.format == mine


@pytest.mark.parametrize("door", ["chat", "responses"])
def test_defaults_that_a_wire_has_no_place_for_are_left_out_there(door: Door) -> None:
    only_chats: dict[str, Any] = {
        "n": 2,
        "stop": ["END"],
        "seed": 1,
        "logit_bias": {"5": 1},
        "prediction": {"type": "content"},
    }
    only_chats |= {"frequency_penalty": 0.5, "presence_penalty": 0.5}
    both = {"temperature": 0.2, "logprobs": True, "top_logprobs": 2, "prompt_cache_options": {"mode": "explicit"}}

    prompt = prompt_of(admitted(Feature(parameters=only_chats | both), dialect=door))

    n = only_chats.pop("n")
    assert prompt.choices == (n if door == "chat" else 1)
    assert prompt.parameters == (only_chats | both if door == "chat" else both)


@pytest.mark.parametrize("caller", [PERSON, SERVER])
def test_a_parameter_that_says_nothing_leaves_the_features_default(caller: Caller) -> None:
    feature = Feature(parameters={"prompt_cache_options": {"mode": "explicit"}})

    turn = admitted(feature, caller, parameters={"prompt_cache_options": {"mode": None}})

    assert prompt_of(turn).parameters == {"prompt_cache_options": {"mode": "explicit"}}


def test_calls_in_parallel_are_the_features_to_decide() -> None:
    feature = Feature(client_may=["tools"], parameters={"parallel_tool_calls": False})

    with pytest.raises(Forbidden, match="client_may name 'parameters'"):
        admitted(feature, parameters={"parallel_tool_calls": True})
    assert prompt_of(admitted(feature)).parameters == {"parallel_tool_calls": False}


@pytest.mark.parametrize(
    ("given", "format_"),
    [({"type": "text"}, None), ({"type": "json_object"}, Format("json_object", {})), (None, None)],
)
def test_a_feature_may_ask_for_any_format(given: Any, format_: Format | None) -> None:
    assert prompt_of(admitted(Feature(response_format=given))).format == format_


@pytest.mark.parametrize(
    ("caller", "asked", "given"),
    [(PERSON, None, 100), (PERSON, 50, 50), (PERSON, 101, 100), (SERVER, None, 100), (SERVER, 101, 101)],
)
def test_a_maximum_of_tokens_only_shrinks(caller: Caller, asked: int | None, given: int) -> None:
    turn = admitted(Feature(max_output_tokens=100), caller, max_output_tokens=asked)

    assert prompt_of(turn).max_output_tokens == given


@pytest.mark.parametrize(
    ("door", "thing"),
    [
        pytest.param(door, thing, id=f"{door}-{thing.name}")
        for thing in THINGS
        for door in ("chat", "responses")
        if thing.fields(door) is not None
    ],
)
def test_exactly_what_a_thing_takes_lets_it_pass(door: Door, thing: Thing) -> None:
    content = json.dumps(request_of(door, [thing])).encode()
    prompt = read_chat(content).prompt if door == "chat" else read_responses(content).prompt
    takes = thing.needs

    for left_out in CAPABILITIES if takes is None else takes:
        others: list[Any] = [name for name in CAPABILITIES if name != left_out]
        with pytest.raises(Forbidden) as caught:
            Features({"chat": Feature(client_may=others)}).admit(turn_of(door, prompt))
        assert (caught.value.code, caught.value.param) == ("not_allowed_by_feature", thing.param(door))
    if takes is not None:
        exactly: list[Any] = sorted(takes)
        Features({"chat": Feature(client_may=exactly)}).admit(turn_of(door, prompt))


def turn_of(door: Door, prompt: Prompt) -> Turn:
    return Turn(door, PERSON, "fast", prompt, HandClock(), "chat")


def test_what_is_not_allowed_is_named_with_the_remedy() -> None:
    with pytest.raises(Forbidden) as caught:
        admitted(Feature(), tools=[Tool("function", {"name": "f"})])

    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "not_allowed_by_feature", "tools")
    assert caught.value.message == (
        "The feature 'chat' does not allow 'tools'. Leave it out, or let the feature's client_may name 'tools'."
    )


def test_what_nothing_allows_says_so() -> None:
    with pytest.raises(Forbidden, match=r"Leave it out: no capability of a feature allows it\."):
        admitted(Feature(client_may=["parameters", "instructions"]), items=[Message("king", "x")])


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"parameters": {"temperature": 1.25}}, "temperature"),
        ({"parameters": {"temperature": "hot"}}, "temperature"),
        ({"choices": 3}, "n"),
    ],
)
def test_above_a_ceiling_is_refused_with_value_and_ceiling(asked: dict[str, Any], param: str) -> None:
    feature = Feature(client_may=["parameters"], ceilings={"temperature": 0.5, "n": 2})

    with pytest.raises(Forbidden) as caught:
        admitted(feature, **asked)

    assert (caught.value.code, caught.value.param) == ("not_allowed_by_feature", param)
    assert caught.value.message.startswith(f"The feature 'chat' allows '{param}' up to ")
    assert any(
        told in caught.value.message for told in ("0.5, and this asks for 1.25", "hot", "2, and this asks for 3")
    )
    admitted(feature, parameters={"temperature": 0.5}, choices=2)


def test_restrictions_are_for_people_alone() -> None:
    feature = Feature(ceilings={"temperature": 0.5}, instructions="Be kind.", parameters={"top_p": 0.5})

    turn = admitted(feature, SERVER, parameters={"temperature": 1.5}, instructions="Mine.")

    assert prompt_of(turn).parameters == {"top_p": 0.5, "temperature": 1.5}
    assert prompt_of(turn).instructions == "Be kind.\n\nMine."


def test_a_key_without_a_feature_asks_as_it_likes_but_for_values_that_nothing_takes() -> None:
    tools = [Tool("function", {"name": "f"})]
    assert prompt_of(admitted(Feature(instructions="x"), SERVER, "default", tools=tools)).tools == tools

    with pytest.raises(BadRequest, match="names no feature, so nothing takes 'name'") as caught:
        admitted(Feature(), SERVER, "default", variables={"name": "Ann"})
    assert (caught.value.code, caught.value.param) == ("unknown_variable", "variables.name")


def test_vectors_are_asked_for_under_a_feature_as_well() -> None:
    request = EmbeddingRequest(["x"], dimensions=8)
    turn = Turn("embeddings", PERSON, "embed", request, HandClock(), "search")
    feature = Feature(instructions="{{name}}", variables={"name": Variable()}, parameters={"temperature": 0})

    Features({"search": feature}).admit(turn)

    assert turn.request is request
    assert turn.instructions is None
    takers: list[tuple[str, Any]] = [("user", "parameters"), ("models", "other_parameters")]
    for name, takes in takers:
        turn.request = EmbeddingRequest(["x"], parameters={name: "u"})
        with pytest.raises(Forbidden, match=f"does not allow '{name}'.* name '{takes}'"):
            Features({"search": Feature()}).admit(turn)
        Features({"search": Feature(client_may=[takes])}).admit(turn)
