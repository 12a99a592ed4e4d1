"""The scripted provider: obedient, and never more than it can make in a moment."""

from __future__ import annotations

import asyncio
import json
from array import array
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.providers.scripts import count_input, perform, script_names
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    ChoiceFinished,
    EmbeddingsProduced,
    Event,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnIncomplete,
    UsageReported,
)
from frontdesk.turn.items import (
    EmbeddingRequest,
    Format,
    Image,
    Item,
    Message,
    Prompt,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)

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


def with_input(kind: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"input": {"type": kind}}, "required": ["input"]}


async def test_values_come_out_of_the_last_message_of_the_user() -> None:
    schema = with_input("integer")
    items: list[Item] = [
        Message("user", "an older 1"),
        Message("user", [Text("What is f(3)"), Image("https://example.com/9.png"), Text("and 4?")]),
        Message("assistant", "It is 5."),
        Message("system", "Say 6."),
    ]
    tools = [Tool("function", {"name": name, "parameters": schema}) for name in ("f", "g", "h")]

    as_object = await answered(Prompt(items, format=Format("json_schema", {"name": "x", "schema": schema})))
    calls = await answered(Prompt(items, tools=tools), "tools-all")

    assert json.loads(texts(as_object)) == {"input": 3}
    assert texts(calls, ToolArgumentsDelta) == '{"input": 3}{"input": 4}{"input": 1}'


async def test_names_of_tools_are_no_values() -> None:
    tools = [Tool("function", {"name": name, "parameters": with_input("string")}) for name in ("f", "g")]
    asked = Prompt([Message("user", "Use `f`, not `g`, on 'größer'.")], tools=tools, choices=2)

    assert [json.loads(text) for text in spoken(await answered(asked))] == [{"input": "größer"}] * 2
    assert '"größer"' in texts(await answered(asked), ToolArgumentsDelta)


async def test_an_object_without_a_schema_has_what_the_user_names() -> None:
    def asked(text: str) -> Prompt:
        return Prompt([Message("user", text)], format=Format("json_object", {}))

    assert json.loads(texts(await answered(asked("As JSON, with keys a and b; a is 1")))) == {"a": 1, "b": "text"}
    assert texts(await answered(asked("hello there"))) == "{}"


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


# --- what is said -------------------------------------------------------------------------------

TOOLS = [
    Tool("function", {"name": "f", "parameters": SCHEMA}),
    Tool("web_search", {}),
    Tool("function", {"name": "g"}),
]


def texts(events: list[Event], *kinds: type) -> str:
    return "".join(event.text for event in events if isinstance(event, kinds or (TextDelta,)))  # type: ignore[attr-defined]


def spoken(events: list[Event]) -> list[str]:
    """The arguments of each call."""
    outputs = [event.output for event in events if isinstance(event, ToolCallStarted)]
    deltas = [event for event in events if isinstance(event, ToolArgumentsDelta)]
    return ["".join(delta.text for delta in deltas if delta.output == output) for output in outputs]


def called(events: list[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, ToolCallStarted)]


@pytest.mark.parametrize("name", [name for name in script_names() if name not in ("error", "break", "silent")])
async def test_every_script_ends_once_and_tells_a_token_a_delta(name: str) -> None:
    events = await answered(prompt(), f"{name}-3" if name in ("words", "varied") else name)

    deltas = [event for event in events if isinstance(event, TextDelta | RefusalDelta | ReasoningDelta)]
    (reported,) = [event for event in events if isinstance(event, UsageReported)]
    assert [type(event) in TERMINAL_TYPES for event in events].count(True) == 1
    assert type(events[-1]) in TERMINAL_TYPES
    assert (reported.usage.input_tokens, reported.usage.output_tokens) == (2, len(deltas))


async def test_tools_are_called_as_they_are_chosen() -> None:
    expected: list[tuple[str, dict[str, Any], list[str]]] = [
        ("echo", {}, ["f"]),
        ("tools-all", {}, ["f", "g"]),
        ("tools-all", {"parameters": {"parallel_tool_calls": False}}, ["f"]),
        ("tools-all", {"tool_choice": "none"}, []),
        ("echo", {"tool_choice": {"type": "function", "name": "g"}}, ["g"]),
        ("tools-all", {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "g"}]}}, ["g"]),
        ("echo", {"choices": 2}, ["f", "f"]),
    ]
    for model, fields, names in expected:
        events = await answered(prompt(tools=TOOLS, **fields), model)
        assert called(events) == names
        reasons = {event.reason for event in events if isinstance(event, ChoiceFinished)}
        assert reasons == {"tool_calls" if names else "stop"}


async def test_after_an_output_only_what_is_required_is_called() -> None:
    items = [Message("user", "x"), ToolCall("c", "f", "{}"), ToolOutput("c", "done well")]

    assert texts(await answered(Prompt(items, tools=TOOLS))) == "done well"
    assert called(await answered(Prompt(items, tools=TOOLS, tool_choice="required"))) == ["f"]


async def test_a_choice_of_no_tool_is_refused() -> None:
    with pytest.raises(BadRequest, match="no tool of this request"):
        await answered(prompt(tools=TOOLS, tool_choice={"type": "function", "name": "h"}))


async def test_choices_come_a_token_each_in_turn() -> None:
    events = await answered(prompt(choices=2), "words-2")

    assert [event.output for event in events if isinstance(event, TextDelta)] == [0, 1, 0, 1]
    assert [event.choice for event in events if isinstance(event, ChoiceFinished)] == [0, 1]


async def test_limits_and_stops_cut_an_answer() -> None:
    events = await answered(prompt(max_output_tokens=2), "words-5")
    assert (texts(events), events[-1]) == ("word0 word1 ", TurnIncomplete("max_output_tokens"))
    assert texts(await answered(prompt(parameters={"stop": ["zzz", "rd3", "word4"]}), "words-5")).endswith("word2 wo")

    events = await answered(prompt(tools=TOOLS, max_output_tokens=1))
    assert isinstance(events[-1], TurnIncomplete)
    assert texts(events, ToolArgumentsDelta) == '{"a":'

    assert (await answered(prompt(), "filtered"))[-1] == TurnIncomplete("content_filter")


async def test_log_probabilities_come_where_they_are_asked_for() -> None:
    assert all(event.logprobs is None for event in await answered(prompt()) if isinstance(event, TextDelta))
    for asked in (
        {"parameters": {"logprobs": True, "top_logprobs": 2}},
        {"parameters": {"top_logprobs": 2}, "include": frozenset({"message.output_text.logprobs"})},
    ):
        (first, *_) = [e for e in await answered(prompt(**asked)) if isinstance(e, TextDelta)]
        assert first.logprobs is not None
        (token,) = first.logprobs
        assert (token["token"], bytes(token["bytes"])) == (first.text, first.text.encode())
        assert [top["token"] for top in token["top_logprobs"]] == [first.text, f"{first.text}1"]


async def test_chance_is_that_of_the_seed() -> None:
    async def said(model: str, **parameters: Any) -> str:
        return texts(await answered(prompt(parameters=parameters), model))

    assert await said("varied-30", seed=5) == await said("varied-30", seed=5) == await said("varied-30:seed=5")
    assert await said("varied-30", seed=5) != await said("varied-30", seed=6)
    assert await said("varied-30") != await said("varied-30")


async def test_thoughts_are_aloud_or_summed_up_and_sealed() -> None:
    aloud = await answered(prompt(), "thinking")
    assert texts(aloud, ReasoningDelta) == "Let me think."
    assert not any(isinstance(event, ReasoningEncrypted) for event in aloud)

    asked = prompt(reasoning_summary="auto", include=frozenset({"reasoning.encrypted_content"}))
    events = await answered(asked, "thinking")
    assert texts(events, ReasoningSummaryDelta) == "Let me think."
    assert {ReasoningSummaryStarted, ReasoningEncrypted} <= {type(event) for event in events}
    (reported,) = [event for event in events if isinstance(event, UsageReported)]
    assert (reported.usage.reasoning_tokens, reported.usage.output_tokens) == (3, 5)


async def test_pictures_and_what_is_unknown_are_acknowledged_and_counted() -> None:
    parts = [Text("see"), Image("https://example.com/a.png"), Unknown({"type": "input_file"}, "responses")]
    asked = Prompt(
        [Message("user", parts), ToolCall("c", "f", "one two"), ToolOutput("c", [Text("three")])], instructions="be so"
    )

    assert texts(await answered(Prompt([Message("user", parts)]))) == "see [image] [input_file]"
    assert count_input(asked) == 2 + (1 + 85 + 1) + 2 + 1


# --- how it is played ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["echo:fault=cut@3", "echo:fault=429,length=3", "echo:crlf", "echo:usage=early"])
async def test_what_needs_a_wire_is_refused_in_process(model: str) -> None:
    with pytest.raises(BadRequest, match="frontdesk upstream"):
        ScriptedProvider().answer(prompt(), model)


async def test_statuses_are_the_errors_of_a_provider() -> None:
    for model, status in (("error-503", 502), ("echo:fault=429", 503), ("echo:fault=504", 504)):
        with pytest.raises(ProviderError) as caught:
            await answered(prompt(), model)
        assert caught.value.status == status
    with pytest.raises(BadRequest):
        await answered(prompt(), "echo:fault=400")
    with pytest.raises(ProviderError):
        await answered(EmbeddingRequest(["x"]), "error-503")


async def test_silence_comes_after_as_many_words_as_it_says() -> None:
    batches = ScriptedProvider().answer(prompt(), "words-5:fault=silence@3")
    seen = [event for _ in range(4) for event in await anext(batches)]
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert texts(seen) == "word0 word1 word2 "
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("name", ["", "nonsense", "words-", "words-3x", "Echo", "echo-", "wrods-3"])
def test_a_script_that_is_unknown_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="has no script") as caught:
        perform(prompt(), name)
    assert caught.value.param == "model"


async def test_embeddings_may_be_asked_of_any_name() -> None:
    for name in ("any", "text-embedding-3-small", "bge-m3:latest"):
        assert isinstance((await answered(EmbeddingRequest(["x"]), name))[0], EmbeddingsProduced)
