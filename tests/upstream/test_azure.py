"""Azure's dialect, read by OpenAI's own client for Azure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

from tests.upstream.raw import Seen, asking, chat, exchange
from tests.upstreams import ScriptedUpstream, scripted_upstream

HELLO: Any = [{"role": "user", "content": "hello there"}]
VERSION = "2024-10-21"
CATEGORIES = {"hate", "self_harm", "sexual", "violence"}


@pytest.fixture
async def client(upstream: ScriptedUpstream) -> AsyncIterator[AsyncAzureOpenAI]:
    async with AsyncAzureOpenAI(
        azure_endpoint=upstream.url, api_key="any", api_version=VERSION, max_retries=0, timeout=20
    ) as opened:
        yield opened


async def played(upstream: ScriptedUpstream, model: str, *, stream: bool = True) -> Seen:
    path = f"/openai/deployments/{model}/chat/completions?api-version={VERSION}"
    return await exchange(upstream, asking(path, chat("ignored", stream=stream)))


async def test_the_deployment_is_the_model(client: AsyncAzureOpenAI, upstream: ScriptedUpstream) -> None:
    answer = await client.chat.completions.create(model="words-3", messages=HELLO)
    vectors = await client.embeddings.create(model="embed", input=["a", "b"], dimensions=8)

    assert (answer.model, answer.choices[0].message.content) == ("words-3", "word0 word1 word2 ")
    assert [len(each.embedding) for each in vectors.data] == [8, 8]
    first, second = upstream.journal()
    assert (first.path, first.model) == ("/openai/deployments/words-3/chat/completions", "words-3")
    assert first.headers["api-key"].startswith("sha256:")
    assert second.model == "embed"


async def test_the_deployment_goes_before_the_bodys_model(upstream: ScriptedUpstream) -> None:
    assert (await played(upstream, "words-2", stream=False)).json["model"] == "words-2"
    assert (await played(upstream, "words-2%3Afault=503")).status == 503


async def test_a_stream_with_what_the_filter_says(client: AsyncAzureOpenAI) -> None:
    stream = await client.chat.completions.create(model="words-2", messages=HELLO, stream=True)
    first, *chunks = [chunk async for chunk in stream]

    assert first.choices == []
    assert set(first.to_dict()["prompt_filter_results"][0]["content_filter_results"]) == CATEGORIES  # type: ignore[index]
    said = [chunk.choices[0] for chunk in chunks]
    assert "".join(choice.delta.content or "" for choice in said) == "word0 word1 "
    filtered = [choice.to_dict()["content_filter_results"] for choice in said]
    assert [set(each) for each in filtered if each] == [CATEGORIES] * 2  # type: ignore[arg-type]


async def test_a_body_with_what_the_filter_says(upstream: ScriptedUpstream) -> None:
    safe = (await played(upstream, "echo", stream=False)).json
    stopped = (await played(upstream, "filtered", stream=False)).json

    assert set(safe["prompt_filter_results"][0]["content_filter_results"]) == CATEGORIES
    assert not any(each["filtered"] for each in safe["choices"][0]["content_filter_results"].values())
    assert stopped["choices"][0]["finish_reason"] == "content_filter"
    assert stopped["choices"][0]["content_filter_results"]["violence"] == {"filtered": True, "severity": "high"}


async def test_tools_are_called(client: AsyncAzureOpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    answer = await client.chat.completions.create(model="echo", messages=HELLO, tools=[tool])

    call = (answer.choices[0].message.tool_calls or [])[0]
    assert (call.type, answer.choices[0].finish_reason) == ("function", "tool_calls")


async def test_the_newer_paths_need_no_version(upstream: ScriptedUpstream) -> None:
    async with AsyncOpenAI(base_url=f"{upstream.url}/openai/v1", api_key="any", max_retries=0, timeout=20) as client:
        answer = await client.chat.completions.create(model="words-2", messages=HELLO)
        response = await client.responses.create(model="words-2", input="hi")
        vectors = await client.embeddings.create(model="embed", input="a")
        names = [model.id async for model in client.models.list()]

    assert answer.choices[0].message.content == response.output_text == "word0 word1 "
    assert (len(vectors.data[0].embedding), "echo" in names) == (64, True)


async def test_a_path_without_its_version_is_not_there(upstream: ScriptedUpstream) -> None:
    for query in ("", "?api-version="):
        path = f"/openai/deployments/echo/chat/completions{query}"
        seen = await exchange(upstream, asking(path, chat("echo")))
        assert (seen.status, seen.json) == (404, {"error": {"code": "404", "message": "Resource not found"}})


async def test_a_wrong_key_and_a_right_one() -> None:
    async with scripted_upstream(api_key="right") as upstream:
        credentials: list[dict[str, Any]] = [{"api_key": "right"}, {"azure_ad_token": "right"}]
        for credential in credentials:
            async with AsyncAzureOpenAI(
                azure_endpoint=upstream.url, api_version=VERSION, max_retries=0, **credential
            ) as client:
                assert (await client.chat.completions.create(model="echo", messages=HELLO)).choices
        async with AsyncAzureOpenAI(
            azure_endpoint=upstream.url, api_key="wrong", api_version=VERSION, max_retries=0
        ) as stranger:
            with pytest.raises(openai.AuthenticationError) as raised:
                await stranger.chat.completions.create(model="echo", messages=HELLO)

    assert raised.value.code == "401"
    assert "Access denied" in raised.value.message


async def test_errors_of_what_stands_behind_it_are_openais(client: AsyncAzureOpenAI) -> None:
    wrong: Any = [{"role": "user"}]
    with pytest.raises(openai.BadRequestError) as raised:
        await client.chat.completions.create(model="echo", messages=wrong)

    assert raised.value.param is not None
    with pytest.raises(openai.RateLimitError) as busy:
        await client.chat.completions.create(model="echo:fault=429,retry-after=7", messages=HELLO)
    assert (busy.value.code, busy.value.response.headers["retry-after"]) == ("429", "7")
