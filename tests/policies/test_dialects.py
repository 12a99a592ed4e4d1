"""The tables of the wires' names are what the wires' shapes say, to their last field."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from frontdesk.policies.dialects import (
    DIALECTS,
    EMBEDDINGS_PARAMETERS,
    FORMAT,
    MEDIA_PARAMETERS,
    Fields,
    strangers_in,
)
from frontdesk.turn.items import ImageRequest, ModerationRequest, SpeechRequest, TranscriptionRequest
from frontdesk.wire import openai_chat_shapes as chat
from frontdesk.wire import openai_responses_shapes as responses
from frontdesk.wire.openai_embeddings import EmbeddingsPassed
from frontdesk.wire.openai_images import EditPassed, GenerationPassed
from frontdesk.wire.openai_speech import SpeechPassed
from frontdesk.wire.openai_transcripts import TranscriptionPassed
from frontdesk.wire.reading import Kinds, names_of
from tests.policies.things import Door

CHAT, RESPONSES = DIALECTS["chat"], DIALECTS["responses"]


def structs_in(kind: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for inner in typing.get_args(kind):
        yield from structs_in(inner)


def fields_of(shape: type[msgspec.Struct], *read: str) -> Fields:
    """What a table must say of a shape, but for the fields that are `read` elsewhere."""
    found: dict[str, Fields | None] = {}
    for field in msgspec.structs.fields(shape):
        inner = list(structs_in(field.type))
        found[field.encode_name] = {name: value for each in inner for name, value in fields_of(each).items()} or None
    tag = shape.__struct_config__.tag_field
    return {name: value for name, value in {**({tag: None} if tag else {}), **found}.items() if name not in read}


def test_parameters_are_those_that_are_passed_on() -> None:
    options = dict.fromkeys(responses.CACHE_OPTIONS_REFUSED)
    passed = fields_of(responses.ResponsesPassed)
    cache = {**(passed["prompt_cache_options"] or {}), **options}
    reasoning = fields_of(responses.Reasoning, "effort", "summary", "generate_summary")

    assert CHAT.parameters == fields_of(chat.ChatPassed)
    assert RESPONSES.parameters == {**passed, "prompt_cache_options": cache, "reasoning": reasoning}
    assert fields_of(EmbeddingsPassed) == EMBEDDINGS_PARAMETERS


def test_parameters_of_what_is_no_chat_are_those_that_are_passed_on() -> None:
    passed = {
        ModerationRequest: {},
        TranscriptionRequest: fields_of(TranscriptionPassed),
        SpeechRequest: fields_of(SpeechPassed),
        ImageRequest: {**fields_of(GenerationPassed), **fields_of(EditPassed)},
    }

    assert passed == MEDIA_PARAMETERS


def test_messages_have_the_fields_of_their_role() -> None:
    read = ("role", "content")
    shapes = {role: shape for role, shape in chat.CHAT_MESSAGES.shapes.items() if role not in ("tool", "function")}
    item = fields_of(responses.MessageItem, *read, "type", "id", "status")

    assert CHAT.messages == {role: fields_of(shape, *read) for role, shape in shapes.items()}
    assert RESPONSES.messages == dict.fromkeys(("user", "assistant", "system", "developer"), item)


@pytest.mark.parametrize(("door", "kinds"), [("chat", chat.CHAT_PARTS), ("responses", responses.PARTS)])
def test_parts_have_the_fields_of_their_kind(door: Door, kinds: Kinds) -> None:
    assert {name: kind.fields for name, kind in DIALECTS[door].parts.items()} == {
        name: fields_of(shape) for name, shape in kinds.shapes.items()
    }


def test_tools_and_formats_have_the_fields_of_their_kind() -> None:
    """A prompt has them flat, as Responses."""
    harmless: Fields = dict.fromkeys(responses.TOOL_REFUSED)

    assert CHAT.tools == {
        "function": fields_of(chat.ChatFunction),
        "custom": {**fields_of(chat.ChatCustom), "format": fields_of(responses.GrammarFormat)},
    }
    assert RESPONSES.tools == {
        name: {**fields_of(shape, "type"), **harmless} for name, shape in responses.TOOLS.shapes.items()
    }
    assert fields_of(chat.ChatJsonSchema) == fields_of(responses.JsonSchemaFormat, "type") == FORMAT


@pytest.mark.parametrize(
    ("door", "request_shape"), [("chat", chat.ChatCompletionRequest), ("responses", responses.ResponseRequest)]
)
def test_a_wire_has_a_place_for_what_its_requests_may_say(door: Door, request_shape: type[msgspec.Struct]) -> None:
    settings = names_of(chat.ChatPassed) | {"n", "reasoning_effort", "verbosity"}  # which a feature may have
    elsewhere = {"logprobs", "reasoning_effort", "verbosity"} if door == "responses" else set()

    placed = {name for name in settings if DIALECTS[door].has_place_for(name)}

    assert placed == settings & (names_of(request_shape) | elsewhere) - DIALECTS[door].only_if_asked


@pytest.mark.parametrize(
    ("value", "known", "names"),
    [
        ({"a": 1, "b": None, "c": 2}, {"a": None}, ["c"]),
        ({"a": {"b": 1, "c": {}}}, {"a": {"b": None}}, ["c"]),
        ({"a": [{"b": 1}, {"c": 1}, "text"]}, {"a": {"b": None}}, ["c"]),
        ({"a": {"any": 1}}, {"a": None}, []),
        ("text", {"a": None}, []),
    ],
)
def test_strangers_are_found_at_any_depth(value: Any, known: Mapping[str, Any], names: list[str]) -> None:
    assert list(strangers_in(value, known)) == names
