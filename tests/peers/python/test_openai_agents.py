"""OpenAI's Agents SDK: a loop with a tool, a result of a type, whole and streamed, both dialects."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from agents import (
    Agent,
    Model,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    RunResult,
    RunResultStreaming,
    Tool,
    function_tool,
    handoff,
)
from openai import AsyncOpenAI

QUIET = RunConfig(tracing_disabled=True)


@dataclass
class Place:
    name: str
    rivers: list[str]


@pytest.fixture(params=[OpenAIChatCompletionsModel, OpenAIResponsesModel])
def model(request: pytest.FixtureRequest) -> Model:
    return request.param("fast", AsyncOpenAI(max_retries=0))


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def weather(calls: list[str]) -> Tool:
    @function_tool
    def weather(city: str) -> str:
        """Tell the weather."""
        calls.append(city)
        return f"Sun over {city}"

    return weather


def kinds(result: RunResult | RunResultStreaming) -> list[str]:
    return [item.type for item in result.new_items]


LOOP = ["tool_call_item", "tool_call_output_item", "message_output_item"]


async def test_agent_runs_a_tool_and_uses_its_result(model: Model, weather: Tool, calls: list[str]) -> None:
    agent = Agent(name="Desk", instructions="Be brief.", model=model, tools=[weather])

    result = await Runner.run(agent, "How is it in Bergen?", run_config=QUIET)

    assert result.final_output == "Sun over text"
    assert calls == ["text"]
    assert kinds(result) == LOOP
    assert result.context_wrapper.usage.requests == 2
    assert result.context_wrapper.usage.output_tokens > 0


async def test_agent_streams_a_tool_loop(model: Model, weather: Tool, calls: list[str]) -> None:
    agent = Agent(name="Desk", model=model, tools=[weather])

    result = Runner.run_streamed(agent, "How is it in Bergen?", run_config=QUIET)
    deltas = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]

    assert "".join(deltas) == result.final_output == "Sun over text"
    assert len(deltas) > 1
    assert calls == ["text"]
    assert kinds(result) == LOOP


async def test_agent_gives_a_result_of_its_type(model: Model) -> None:
    agent = Agent(name="Desk", model=model, output_type=Place)

    result = await Runner.run(agent, "Tell me about a place.", run_config=QUIET)

    assert result.final_output == Place("text", ["text"])


async def test_agent_hands_over_to_another(model: Model) -> None:
    expert = Agent(name="Expert", model=model)
    agent = Agent(name="Desk", model=model, handoffs=[handoff(expert)])

    result = await Runner.run(agent, "I want the expert.", run_config=QUIET)

    assert result.last_agent is expert
    assert result.final_output == '{"assistant": "Expert"}'


async def test_conversation_goes_on_with_what_was_said(model: Model, weather: Tool) -> None:
    agent = Agent(name="Desk", model=model, tools=[weather])
    first = await Runner.run(agent, "How is it in Bergen?", run_config=QUIET)

    told = [*first.to_input_list(), {"role": "user", "content": "And now?"}]
    second = await Runner.run(Agent(name="Desk", model=model), told, run_config=QUIET)

    assert second.final_output == "And now?"
