"""Pydantic AI: an agent with a tool and a typed result, whole and streamed, both dialects."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel


class Place(BaseModel):
    name: str
    rivers: list[str]


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel])
def model(request: pytest.FixtureRequest) -> Model:
    return request.param("fast")


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def agent(model: Model, calls: list[str]) -> Agent[None, str]:
    desk = Agent(model, instructions="Be brief.")

    @desk.tool_plain
    def weather(city: str) -> str:
        calls.append(city)
        return f"Sun over {city}"

    return desk


async def test_agent_runs_a_tool_and_uses_its_result(agent: Agent[None, str], calls: list[str]) -> None:
    result = await agent.run("How is it in Bergen?")

    assert result.output == "Sun over text"
    assert calls == ["text"]
    assert result.usage.requests == 2
    assert result.usage.output_tokens > 0


async def test_agent_streams_a_tool_loop(agent: Agent[None, str], calls: list[str]) -> None:
    async with agent.run_stream("How is it in Bergen?") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    assert "".join(pieces) == "Sun over text"
    assert len(pieces) > 1
    assert calls == ["text"]


async def test_agent_gives_a_result_of_its_type(model: Model) -> None:
    result = await Agent(model, output_type=Place).run("Tell me about a place.")

    assert result.output == Place(name="text", rivers=["text"])
