"""The scripted provider: obedient, and never more than it can make in a moment."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.turn.events import EmbeddingsProduced, Event, TextDelta, ToolArgumentsDelta
from frontdesk.turn.items import EmbeddingRequest, Format, Message, Prompt, Request, Tool

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}


async def answered(request: Request, model: str = "echo") -> list[Event]:
    return [event async for batch in ScriptedProvider().answer(request, model) for event in batch]


def prompt(**fields: Any) -> Prompt:
    return Prompt(items=[Message("user", "hello there")], **fields)


async def test_an_answer_fits_its_schema() -> None:
    events = await answered(prompt(format=Format("json_schema", {"name": "x", "schema": SCHEMA})))

    assert json.loads("".join(event.text for event in events if isinstance(event, TextDelta))) == {"a": 3}


async def test_a_tool_is_called_with_arguments_that_fit() -> None:
    events = await answered(prompt(tools=[Tool("function", {"name": "f", "parameters": SCHEMA})]))

    assert json.loads("".join(event.text for event in events if isinstance(event, ToolArgumentsDelta))) == {"a": 3}


@pytest.mark.parametrize("schema", [None, 5, [1], "text", {"$ref": 5}, {"type": "array", "minItems": "x"}])
async def test_what_is_no_schema_is_refused(schema: Any) -> None:
    asked = [prompt(format=Format("json_schema", {"name": "x", "schema": schema}))]
    if schema:
        asked.append(prompt(tools=[Tool("function", {"name": "f", "parameters": schema})]))

    for each in asked:
        with pytest.raises(BadRequest) as caught:
            await answered(each)
        assert caught.value.code == "invalid_schema"


async def test_vectors_have_the_length_that_is_asked_for() -> None:
    for dimensions, expected in ((None, 64), (1, 1), (4096, 4096)):
        (produced, *_) = await answered(EmbeddingRequest(["hello", ""], dimensions), "embed")

        assert isinstance(produced, EmbeddingsProduced)
        vectors = [array("f", vector) for vector in produced.vectors]
        assert [len(vector) for vector in vectors] == [expected, expected]
        assert sum(value * value for value in vectors[0]) == pytest.approx(1)
        assert not any(vectors[1])


async def test_too_many_dimensions_are_refused() -> None:
    for dimensions in (4097, 1_000_000_000):
        with pytest.raises(BadRequest, match="at most 4096") as caught:
            await answered(EmbeddingRequest(["hello"], dimensions), "embed")
        assert caught.value.param == "dimensions"


async def test_all_inputs_at_all_dimensions_hold_the_loop_for_a_moment() -> None:
    """A moment: each text costs its letters, not its dimensions. Otherwise this ends in a time-out."""
    events = await answered(EmbeddingRequest(["hello"] * 2048, 4096), "embed")

    produced = next(event for event in events if isinstance(event, EmbeddingsProduced))
    assert len(produced.vectors) == 2048
