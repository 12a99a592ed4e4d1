"""Anthropic's own client against the scripted upstream: every kind of block, checked against the package's types."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic, types
from anthropic.types import RawMessageStreamEvent
from conftest import KEY, Upstream
from pydantic import BaseModel, TypeAdapter

HELLO: Any = [{"role": "user", "content": "hello there"}]
WEATHER: Any = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TIME: Any = {"name": "time", "input_schema": {"type": "object", "properties": {}}}
PIXEL = base64.b64encode(b"no picture, but bytes").decode()
MANY: dict[str, Any] = {"max_tokens": 4096, "messages": HELLO}


class Place(BaseModel):
    name: str
    rivers: list[str]


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(
        base_url=upstream.url, api_key=KEY, max_retries=0, timeout=30, _strict_response_validation=True
    ) as opened:
        yield opened


def strangers(value: Any, where: str = "") -> Iterator[str]:
    """Yield the places of fields that the package's types do not know."""
    if isinstance(value, BaseModel):
        yield from (f"{where}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from strangers(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from strangers(each, f"{where}[{place}]")


def same(message: Any) -> dict[str, Any]:
    """What two answers to one request have in common."""
    return {**message.to_dict(), "id": ""}


async def both(client: AsyncAnthropic, **asked: Any) -> types.Message:
    """Ask whole and streamed; both are the same but for their ids, and hold nothing that is not known."""
    whole = await client.messages.create(**asked)
    async with client.messages.stream(**asked) as stream:
        events = [event async for event in stream]
        streamed = await stream.get_final_message()
    assert list(strangers(whole)) == list(strangers(streamed)) == []
    assert events[-1].type == "message_stop"
    assert [kinds(whole), whole.stop_reason, whole.stop_sequence] == [
        kinds(streamed),
        streamed.stop_reason,
        streamed.stop_sequence,
    ]
    assert whole.usage.output_tokens == streamed.usage.output_tokens
    return streamed


def kinds(message: types.Message) -> list[str]:
    return [block.type for block in message.content]


def text_of(message: types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


# --- words --------------------------------------------------------------------------------------


async def test_a_message(client: AsyncAnthropic, upstream: Upstream) -> None:
    answer = await both(client, model="claude-sonnet-4-5", system="Be brief.", metadata={"user_id": "u1"}, **MANY)

    assert (answer.model, text_of(answer), answer.stop_reason) == ("claude-sonnet-4-5", "hello there", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 2)
    assert upstream.billed() == (4, 2)


async def test_a_whole_message_is_what_a_stream_adds_up_to(client: AsyncAnthropic) -> None:
    asked: Any = {**MANY, "model": "thinking", "thinking": {"type": "adaptive"}}
    whole = await client.messages.create(**asked)
    async with client.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()

    assert same(whole) == same(streamed)


async def test_every_raw_event_is_of_a_type_of_the_package(upstream: Upstream) -> None:
    document = {
        "type": "document",
        "title": "T",
        "source": {"type": "text", "media_type": "text/plain", "data": "A. B."},
    }
    content = [{**document, "citations": {"enabled": True}}, {"type": "text", "text": "why?"}]
    asked = {
        "model": "thinking",
        "max_tokens": 2000,
        "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": content}],
    }
    events = upstream.events("/v1/messages", asked, anthropic_version="2023-06-01", x_api_key=KEY)

    adapter = TypeAdapter(RawMessageStreamEvent)
    seen = [adapter.validate_python(event) for event in events if event["type"] != "ping"]
    assert [place for event in seen for place in strangers(event)] == []
    assert [event["type"] for event in events][:3] == ["message_start", "content_block_start", "ping"]
    assert {event.delta.type for event in seen if event.type == "content_block_delta"} == {
        "thinking_delta",
        "signature_delta",
        "text_delta",
        "citations_delta",
    }


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"model": "words-9", "max_tokens": 3}, "max_tokens"),
        ({"model": "echo", "stop_sequences": ["zzz", " there"]}, "stop_sequence"),
        ({"model": "refusal"}, "refusal"),
        ({"model": "filtered"}, "refusal"),
        ({"model": "length", "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "pause_turn"),
        ({"model": "words-3", "max_tokens": 0}, "max_tokens"),
    ],
)
async def test_why_an_answer_stops(client: AsyncAnthropic, asked: dict[str, Any], reason: str) -> None:
    answer = await both(client, **{**MANY, **asked})

    assert answer.stop_reason == reason
    assert answer.stop_sequence == (" there" if reason == "stop_sequence" else None)
    assert (answer.stop_details is not None) == (reason == "refusal")


async def test_every_kind_of_content_is_taken(client: AsyncAnthropic) -> None:
    content: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL}},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Words."}]}},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "Found."}]},
        {"type": "text", "text": "What is all this?"},
    ]
    answer = await both(client, model="echo", max_tokens=4096, messages=[{"role": "user", "content": content}])

    assert text_of(answer).startswith("[image] [image] [image] [document]")
    assert answer.usage.input_tokens == 3 * 85 + 4 + 4


async def test_a_document_is_cited_where_it_says(client: AsyncAnthropic) -> None:
    text = "The grass is green. The sky is blue."
    sources: Any = [
        {"type": "text", "media_type": "text/plain", "data": text},
        {"type": "content", "content": [{"type": "text", "text": "Cats sleep."}]},
    ]
    documents: Any = [{"type": "document", "source": each, "citations": {"enabled": True}} for each in sources]
    found: Any = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "Found."}]}
    content = [*documents, {**found, "citations": {"enabled": True}}, {"type": "text", "text": "why?"}]
    answer = await both(client, model="words-2", max_tokens=99, messages=[{"role": "user", "content": content}])

    assert answer.content[0].type == "text"
    first, second, third = answer.content[0].citations or ()
    assert first.type == "char_location"
    assert text[first.start_char_index : first.end_char_index] == first.cited_text
    assert (second.type, second.cited_text) == ("content_block_location", "Cats sleep.")
    assert (third.type, third.cited_text) == ("search_result_location", "Found.")


# --- tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "auto"}, ["weather", "time"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["weather"]),
        ({"type": "any"}, ["weather", "time"]),
        ({"type": "tool", "name": "time"}, ["time"]),
        ({"type": "none"}, []),
    ],
)
async def test_tools_are_called_as_chosen(client: AsyncAnthropic, choice: Any, called: list[str]) -> None:
    answer = await both(
        client, model="tools-all", tools=[{**WEATHER, "strict": True}, TIME], tool_choice=choice, **MANY
    )

    assert [block.name for block in answer.content if block.type == "tool_use"] == called
    assert answer.stop_reason == ("tool_use" if called else "end_turn")


async def test_a_tool_is_run_and_its_result_used(client: AsyncAnthropic) -> None:
    called: list[str] = []

    @anthropic.beta_async_tool
    async def weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: Where.
        """
        called.append(city)
        return f"Sun over {city}"

    asked: Any = [{"role": "user", "content": "How is it? The city is Bergen."}]
    runner = client.beta.messages.tool_runner(model="echo", max_tokens=99, messages=asked, tools=[weather])
    answer = await runner.until_done()

    assert called == ["Bergen"]
    assert [block.text for block in answer.content if block.type == "text"] == ["Sun over Bergen"]


async def test_thoughts_go_back_as_they_came(client: AsyncAnthropic) -> None:
    asked: Any = {"model": "thinking", "max_tokens": 4096, "tools": [WEATHER]}
    asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    first = await both(client, **asked, messages=HELLO)
    call = first.content[-1]
    assert call.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    again: Any = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = await both(client, **asked, messages=again)

    assert kinds(first) == ["thinking", "tool_use"]
    assert (kinds(second), text_of(second)) == (["thinking", "text"], "sunny")
    assert second.usage.output_tokens_details is not None
    assert second.usage.output_tokens_details.thinking_tokens == 3

    forged = [{"type": "thinking", "thinking": "I never thought that.", "signature": PIXEL}, call]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        await client.messages.create(**asked, messages=[*HELLO, {"role": "assistant", "content": forged}, again[-1]])
    with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
        await client.messages.create(**asked, messages=[*HELLO, {"role": "assistant", "content": [call]}, again[-1]])


async def test_thoughts_may_be_left_out_or_hidden(client: AsyncAnthropic) -> None:
    omitted = await both(client, model="thinking", thinking={"type": "adaptive", "display": "omitted"}, **MANY)
    unasked = await both(client, model="thinking", **MANY)
    digits = "46C9A13E193C177646C7398A98432ECCCE4C1253D5E2D82641AC0E52CC2876CB"
    trigger = f"ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_{digits}"
    messages: Any = [{"role": "user", "content": trigger}]
    hidden = await both(client, model="thinking", thinking={"type": "adaptive"}, max_tokens=4096, messages=messages)

    assert omitted.content[0].type == "thinking"
    assert (omitted.content[0].thinking, omitted.content[0].signature != "") == ("", True)
    assert kinds(unasked) == ["text"]
    assert kinds(hidden) == ["redacted_thinking", "text"]


async def test_an_answer_is_of_the_type_that_is_asked_for(client: AsyncAnthropic) -> None:
    answer = await client.messages.parse(model="echo", output_format=Place, **MANY)

    assert answer.parsed_output == Place(name="text", rivers=["text"])


# --- caching, counting, models ------------------------------------------------------------------


async def test_what_is_marked_is_written_once_and_read_after(client: AsyncAnthropic) -> None:
    system: Any = [
        {"type": "text", "text": "Rules that hold long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    marked: Any = [{"type": "text", "text": "hello again", "cache_control": {"type": "ephemeral"}}]
    asked: Any = {"model": "echo:seed=41", "max_tokens": 9, "system": system}
    first = await client.messages.create(**asked, messages=[{"role": "user", "content": marked}])
    second = await client.messages.create(**asked, messages=[{"role": "user", "content": marked}])
    third = await client.messages.create(**asked, messages=[{"role": "user", "content": "something else now"}])

    assert first.usage.cache_creation is not None
    assert first.usage.cache_creation.to_dict() == {"ephemeral_1h_input_tokens": 4, "ephemeral_5m_input_tokens": 2}
    assert [
        (each.usage.input_tokens, each.usage.cache_creation_input_tokens, each.usage.cache_read_input_tokens)
        for each in (first, second, third)
    ] == [(0, 6, 0), (0, 0, 6), (3, 0, 4)]


async def test_tokens_are_counted_as_they_are_billed(client: AsyncAnthropic) -> None:
    asked: Any = {"model": "echo", "system": "Be brief.", "messages": HELLO, "tools": [WEATHER]}
    counted = await client.messages.count_tokens(**asked)
    answer = await client.messages.create(max_tokens=9, **asked)

    assert counted.input_tokens == answer.usage.input_tokens == 4


async def test_models_are_listed_page_by_page(client: AsyncAnthropic) -> None:
    names = [model.id async for model in await client.models.list(limit=5)]
    model = await client.models.retrieve("words-5")

    assert len(names) == len(set(names)) > 10
    assert (model.id, list(strangers(model))) == ("words-5", [])


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "named"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
async def test_errors_are_the_packages_own(
    client: AsyncAnthropic, status: int, kind: type[anthropic.APIStatusError], named: str
) -> None:
    with pytest.raises(kind) as raised:
        await client.messages.create(model=f"echo:fault={status}", **MANY)

    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["type"] == named
    assert raised.value.request_id == raised.value.body["request_id"]


async def test_an_error_inside_a_stream(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        async with client.messages.stream(model="words-5:fault=error@2", **MANY) as stream:
            await stream.get_final_message()


async def test_a_wrong_key(upstream: Upstream) -> None:
    async with AsyncAnthropic(base_url=upstream.url, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
            await stranger.messages.create(model="echo", **MANY)


async def test_it_tries_again_what_it_was_refused(upstream: Upstream) -> None:
    upstream.play("fault=529, retry-after-ms=1")
    async with AsyncAnthropic(base_url=upstream.url, api_key=KEY, max_retries=1, timeout=30) as patient:
        answer = await patient.messages.create(model="echo", **MANY)

    assert text_of(answer) == "hello there"
