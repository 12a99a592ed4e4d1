"""OpenAI's dialect, read by OpenAI's own client, which checks every body and event against its types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.upstream.raw import CHAT, RESPONSES, asking, chat, exchange, played, responses
from tests.upstreams import ScriptedUpstream, scripted_upstream

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 3}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FITTING = {"city": "text", "days": 2}
TOOL: dict[str, Any] = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}
OTHER: dict[str, Any] = {"type": "function", "name": "time", "parameters": {"type": "object", "properties": {}}}
CUSTOM: dict[str, Any] = {"type": "custom", "name": "shell"}
PICTURE = "https://example.com/cat.png"
HELLO: Any = [{"role": "user", "content": "hello there"}]


def nested(*tools: dict[str, Any]) -> Any:
    """Tools as Chat Completions spells them."""
    return [{"type": tool["type"], tool["type"]: {k: v for k, v in tool.items() if k != "type"}} for tool in tools]


@pytest.fixture
async def client(upstream: ScriptedUpstream) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{upstream.url}/v1", api_key="any", max_retries=0, timeout=20, _strict_response_validation=True
    ) as opened:
        yield opened


# --- chat ---------------------------------------------------------------------------------------


async def test_a_chat(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-5-mini", messages=HELLO, store=True, user="u1")

    assert (answer.model, answer.choices[0].message.content) == ("gpt-5-mini", "hello there")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (2, 2, 4)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.completion_tokens_details is not None


async def test_a_chat_that_streams(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="words-3:pace=1", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "word0 word1 word2 "
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


async def test_a_chat_that_calls_tools(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="echo", messages=HELLO, tools=nested(TOOL, CUSTOM), tool_choice="required"
    )

    call = (answer.choices[0].message.tool_calls or [])[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", FITTING)


async def test_tools_are_called_several_at_once_where_that_is_allowed(client: AsyncOpenAI) -> None:
    async def names(**fields: Any) -> list[str]:
        tools = nested(TOOL, OTHER, CUSTOM)
        answer = await client.chat.completions.create(model="tools-all", messages=HELLO, tools=tools, **fields)
        calls = answer.choices[0].message.tool_calls or ()
        return [call.function.name if call.type == "function" else call.custom.name for call in calls]

    assert await names() == ["weather", "time", "shell"]
    assert await names(parallel_tool_calls=False) == ["weather"]
    assert await names(tool_choice={"type": "function", "function": {"name": "time"}}) == ["time"]
    assert await names(tool_choice="none") == []


async def test_a_custom_tool_gets_the_words(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=HELLO, tools=nested(CUSTOM))

    call = (answer.choices[0].message.tool_calls or [])[0]
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("shell", "hello there")


async def test_a_tools_output_is_answered_in_words(client: AsyncOpenAI) -> None:
    call: Any = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages: Any = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    answer = await client.chat.completions.create(model="echo", messages=messages, tools=nested(TOOL))

    assert answer.choices[0].message.content == "sunny"


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_an_answer_fits_its_schema(client: AsyncOpenAI, is_streaming: bool) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA, "strict": True}}
    async with client.chat.completions.stream(model="echo", messages=HELLO, response_format=form) as stream:
        text = (await stream.get_final_completion()).choices[0].message.content
    whole = await client.chat.completions.create(model="echo", messages=HELLO, response_format=form)

    assert json.loads(text or "") == json.loads(whole.choices[0].message.content or "") == FITTING


async def test_several_choices_at_once(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="words-2", messages=HELLO, n=9)
    assert [(c.index, c.message.content) for c in answer.choices] == [(n, "word0 word1 ") for n in range(9)]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 18

    stream = await client.chat.completions.create(model="words-2", messages=HELLO, n=2, stream=True)
    indexes = [c.choices[0].index async for c in stream if c.choices and c.choices[0].delta.content]
    assert indexes == [0, 1, 0, 1]


async def test_log_probabilities(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="words-2", messages=HELLO, logprobs=True, top_logprobs=3)

    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    tokens = logprobs.content or []
    assert [token.token for token in tokens] == ["word0 ", "word1 "]
    for token in tokens:
        assert token.top_logprobs[0].token == token.token
        assert len(token.top_logprobs) == 3
        assert 0 > token.top_logprobs[0].logprob > token.top_logprobs[1].logprob


async def test_a_seed_makes_chance_repeat_itself(client: AsyncOpenAI) -> None:
    async def said(seed: int | None) -> list[str | None]:
        answer = await client.chat.completions.create(
            model="varied-20", messages=HELLO, n=2, seed=openai.omit if seed is None else seed
        )
        return [choice.message.content for choice in answer.choices]

    first = await said(7)
    assert first == await said(7)
    assert first != await said(8)
    assert first[0] != first[1]
    assert await said(None) != await said(None)


async def test_stops_and_limits(client: AsyncOpenAI) -> None:
    async def choice(**fields: Any) -> tuple[str | None, str]:
        answer = await client.chat.completions.create(model="words-5", messages=HELLO, **fields)
        return answer.choices[0].message.content, answer.choices[0].finish_reason

    assert await choice(stop="word2") == ("word0 word1 ", "stop")
    assert await choice(stop=["never", "1"]) == ("word0 word", "stop")
    assert await choice(max_tokens=2) == ("word0 word1 ", "length")
    assert await choice(max_completion_tokens=5) == ("word0 word1 word2 word3 word4 ", "stop")


async def test_refusals_and_filters(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="refusal", messages=HELLO)
    assert (answer.choices[0].message.refusal, answer.choices[0].message.content) == ("I cannot help with that.", None)

    answer = await client.chat.completions.create(model="filtered", messages=HELLO)
    assert answer.choices[0].finish_reason == "content_filter"


async def test_pictures_and_files_are_acknowledged(client: AsyncOpenAI) -> None:
    parts: Any = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    answer = await client.chat.completions.create(model="echo", messages=[{"role": "user", "content": parts}])

    assert answer.choices[0].message.content == "see [image] [input_audio]"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 1 + 85 + 1


# --- responses ----------------------------------------------------------------------------------


async def test_a_response(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="gpt-5",
        input="hello there",
        instructions="Be brief.",
        previous_response_id="resp_1",
        background=False,
        metadata={"a": "b"},
        tools=[{"type": "web_search"}],
        tool_choice={"type": "web_search_preview"},
    )

    assert (response.status, response.output_text) == ("completed", "hello there")
    assert (response.previous_response_id, response.metadata) == ("resp_1", {"a": "b"})
    assert response.model_dump()["store"] is True
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, 2)


async def test_a_response_that_streams(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="words-2", input="hello", stream=True)
    events = [event async for event in stream]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "word0 word1 "


async def test_a_response_that_calls_tools(client: AsyncOpenAI) -> None:
    tools: Any = [TOOL, CUSTOM, {"type": "web_search"}]
    response = await client.responses.create(model="tools-all", input="hello there", tools=tools)

    function, custom = response.output
    assert function.type == "function_call"
    assert (function.name, json.loads(function.arguments)) == ("weather", FITTING)
    assert custom.type == "custom_tool_call"
    assert (custom.name, custom.input) == ("shell", "hello there")


async def test_a_response_fits_its_schema(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="echo",
        input="hello",
        text={"format": {"type": "json_schema", "name": "trip", "schema": SCHEMA, "strict": True}},
    )

    assert json.loads(response.output_text) == FITTING


async def test_a_response_that_thinks_aloud(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="thinking", input="hello")

    reasoning, message = response.output
    assert reasoning.type == "reasoning"
    assert [part.text for part in reasoning.content or ()] == ["Let me think."]
    assert (reasoning.summary, reasoning.encrypted_content) == ([], None)
    assert message.type == "message"
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 3
    assert response.usage.output_tokens == 4


async def test_thoughts_in_a_summary_and_sealed(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(
        model="thinking",
        input="hello",
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        stream=True,
    )
    events = [event async for event in stream]

    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == "Let me think."
    last = events[-1]
    assert last.type == "response.completed"
    reasoning = last.response.output[0]
    assert reasoning.type == "reasoning"
    assert [part.text for part in reasoning.summary] == ["Let me think."]
    assert reasoning.encrypted_content


async def test_a_response_that_ends_for_its_length(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="words-5", input="hello", max_output_tokens=2)

    assert (response.status, response.output_text) == ("incomplete", "word0 word1 ")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_a_response_with_log_probabilities(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="words-2", input="hello", include=["message.output_text.logprobs"], top_logprobs=2
    )

    (message,) = response.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert [token.token for token in part.logprobs or ()] == ["word0 ", "word1 "]


async def test_what_lies_with_the_provider_is_taken(upstream: ScriptedUpstream) -> None:
    """Fields that Frontdesk's own doors refuse, or know nothing of."""
    for fields in (
        {"previous_response_id": "resp_1", "input": None},
        {"prompt": {"id": "pmpt_1"}, "input": None},
        {"conversation": "conv_1", "input": "x", "truncation": "auto", "max_tool_calls": 3, "background": True},
        {"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "x"}]},
        {"input": "x", "include": ["file_search_call.results"], "service_tier": "flex", "brand_new": {"a": 1}},
    ):
        seen = await exchange(upstream, asking(RESPONSES, {"model": "echo", **fields}))
        assert seen.status == 200, seen.body

    for fields in (
        {"web_search_options": {}, "modalities": ["text"], "prediction": {"type": "content", "content": "x"}},
        {"functions": [{"name": "f"}], "function_call": "auto", "service_tier": "flex", "brand_new": 1},
        {"metadata": {"a": "b"}, "store": True, "logit_bias": {"50256": -100}, "tool_choice": None},
    ):
        seen = await exchange(upstream, asking(CHAT, chat("echo", stream=False, **fields)))
        assert seen.status == 200, seen.body


# --- embeddings and models ----------------------------------------------------------------------


async def test_embeddings(client: AsyncOpenAI) -> None:
    answer = await client.embeddings.create(
        model="text-embedding-3-small", input=["a b", "c"], dimensions=8, encoding_format="float"
    )

    assert [len(each.embedding) for each in answer.data] == [8, 8]
    assert answer.usage.prompt_tokens == 3


async def test_models(client: AsyncOpenAI) -> None:
    assert {"echo", "words", "tools-all"} <= {model.id async for model in client.models.list()}
    assert (await client.models.retrieve("words-3:pace=2")).id == "words-3:pace=2"


# --- errors -------------------------------------------------------------------------------------


async def test_what_is_missing_is_refused_as_openai_does(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="echo", messages=[])
    assert caught.value.param == "messages"

    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        await client.get("/nothing", cast_to=object)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"messages": 5}', b'{"model": 5, "messages": []}', b'{"n": 200}', b"{}"]
)
async def test_what_is_no_request_gets_400(upstream: ScriptedUpstream, body: bytes) -> None:
    for path in (CHAT, RESPONSES, "/v1/embeddings"):
        head = f"POST {path} HTTP/1.1\r\nhost: u\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        seen = await exchange(upstream, head.encode() + body)

        assert seen.status == 400
        assert seen.json["error"]["type"] == "invalid_request_error"


async def test_a_schema_that_is_none_is_refused(upstream: ScriptedUpstream) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
    for stream in (True, False):
        seen = await exchange(upstream, asking(CHAT, chat("echo", stream=stream, response_format=form)))

        assert (seen.status, seen.json["error"]["code"]) == (400, "invalid_schema")


async def test_a_key_is_asked_for_where_one_is_set() -> None:
    async with scripted_upstream(api_key="sk-the-right-one") as upstream:
        for key in ("sk-wrong", "sk-the-right-one2", ""):
            seen = await exchange(upstream, asking(CHAT, chat("echo"), authorization=f"Bearer {key}"))
            assert seen.status == 401
            assert seen.json["error"]["code"] == ("invalid_api_key" if key else None)
        seen = await exchange(upstream, asking(CHAT, chat("echo"), authorization="Bearer sk-the-right-one"))
        assert seen.status == 200


async def test_only_scripts_are_models_where_that_is_said() -> None:
    async with scripted_upstream(script=None) as upstream:
        assert (await played(upstream, "gpt-5")).json["error"]["code"] == "model_not_found"
        assert (await played(upstream, "words-2")).text == "word0 word1 "


@pytest.mark.parametrize("model", ["llama3:8b", "ft:gpt-4o:acme::abc123", "bge-m3:latest", "a/b"])
async def test_names_of_other_models_are_answered(upstream: ScriptedUpstream, model: str) -> None:
    seen = await exchange(upstream, asking(RESPONSES, responses(model, stream=False)))

    assert (seen.status, seen.json["model"]) == (200, model)
