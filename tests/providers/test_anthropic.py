"""Anthropic's provider: what it sends, what becomes of refusals, and whole answers of a server that checks requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError, TooLarge
from frontdesk.providers.anthropic import AnthropicProvider
from frontdesk.providers.seal_box import SealBox
from frontdesk.providers.seals import sealed
from frontdesk.turn.events import (
    ChoiceFinished,
    Event,
    ItemFinished,
    ReasoningEncrypted,
    ReasoningSummaryDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    UsageReported,
)
from frontdesk.turn.items import (
    EmbeddingRequest,
    Format,
    Item,
    Message,
    Prompt,
    Request,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from tests.fakes import HandClock
from tests.providers import recorded_anthropic as recorded
from tests.upstreams import ScriptedUpstream, scripted_upstream

KEY = "sk-ant-test-very-secret"
MODEL = "claude-sonnet-4-5"
WEATHER = Tool(
    "function",
    {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
)


class Server:
    """A provider on a socket that gives its answers in turn, the last one for ever."""

    def __init__(self, answers: list[tuple[int, bytes, str]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        self.asked.append((head.decode(), json.loads(await reader.readexactly(length))))
        status, body, headers = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        told = f"HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {len(body)}\r\n\r\n"
        writer.write(told.encode() + body)
        self.writers.append(writer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def provider(
    *answers: tuple[int, bytes] | tuple[int, bytes, str],
) -> AsyncIterator[tuple[AnthropicProvider, Server]]:
    served = Server([(each[0], each[1], each[2] if len(each) == 3 else "") for each in answers])
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = AnthropicProvider(f"http://127.0.0.1:{port}", KEY, 5, HandClock())
    try:
        yield asked, served
    finally:
        await asked.close()
        server.close()
        for writer in served.writers:
            writer.close()


@asynccontextmanager
async def scripted(script: str) -> AsyncIterator[tuple[AnthropicProvider, ScriptedUpstream]]:
    async with scripted_upstream(api_key=KEY, script=script) as served:
        asked = AnthropicProvider(served.url, KEY, 5, HandClock())
        try:
            yield asked, served
        finally:
            await asked.close()


async def collect(asked: AnthropicProvider, request: Request, events: list[Event], model: str = MODEL) -> None:
    async with aclosing(asked.answer(request, model)) as batches:
        async for batch in batches:
            events.extend(batch)


async def events_of(asked: AnthropicProvider, request: Request, model: str = MODEL) -> list[Event]:
    events: list[Event] = []
    await collect(asked, request, events, model)
    return events


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def prompt(*items: Item, stream: bool = True, **more: Any) -> Prompt:
    return Prompt(list(items) or [Message("user", "Hello there")], stream=stream, **more)


def error_body(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}).encode()


async def refused(status: int, body: bytes, headers: str = "", **asked: Any) -> FrontdeskError:
    async with provider((status, body, headers)) as (anthropic, _):
        with pytest.raises(FrontdeskError) as caught:
            await events_of(anthropic, prompt(**asked))
    return caught.value


# --- what is sent, what is read ------------------------------------------------------------------


async def test_it_asks_as_anthropic_wants_to_be_asked() -> None:
    async with provider((200, recorded.TEXT)) as (anthropic, served):
        events = await events_of(anthropic, prompt())

    head, body = served.asked[0]
    lines = head.lower().splitlines()

    assert text_of(events) == "Grüße, 世界 🛎️\n"
    assert lines[0] == "post /v1/messages http/1.1"
    assert {f"x-api-key: {KEY}", "anthropic-version: 2023-06-01", "content-type: application/json"} <= set(lines)
    assert body["stream"] is True


async def test_a_whole_body_is_told_as_a_stream_is() -> None:
    async with provider((200, recorded.body({"type": "text", "text": "whole"}))) as (anthropic, served):
        events = await events_of(anthropic, prompt(stream=False))

    assert (text_of(events), events[-1]) == ("whole", TurnCompleted())
    assert "stream" not in served.asked[0][1]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_inside_an_answer_never_tells_our_key(stream: bool) -> None:
    said = f"invalid: {KEY} at 127.0.0.1"
    data = error_body("invalid_request_error", said)
    async with provider((200, b"data: " + data + b"\n\n" if stream else data)) as (anthropic, _):
        with pytest.raises(BadRequest) as caught:
            await events_of(anthropic, prompt(stream=stream))

    assert caught.value.message == "invalid: … at …"


async def test_what_came_before_an_error_stands() -> None:
    events: list[Event] = []
    async with provider((200, recorded.OVERLOADED)) as (anthropic, _):
        with pytest.raises(ProviderError):
            await collect(anthropic, prompt(), events)

    assert text_of(events) == "One"


async def test_it_answers_messages_alone() -> None:
    async with provider((200, b"")) as (anthropic, served):
        with pytest.raises(BadRequest):
            await events_of(anthropic, EmbeddingRequest(["x"]))

    assert served.asked == []


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "dialect", "param", "code"),
    [
        ("messages.0.content.1.image.source.base64: too large", "chat", "messages", "invalid_request"),
        ("messages.0.content.1.image.source.base64: too large", "responses", "input", "invalid_request"),
        ("max_tokens: 100000 > 64000, which is the maximum", "chat", "max_completion_tokens", "invalid_request"),
        ("max_tokens: 100000 > 64000, which is the maximum", "responses", "max_output_tokens", "invalid_request"),
        ("tools.0.custom.input_schema: odd", "chat", "tools", "invalid_request"),
        ("output_config.effort: odd", "responses", "reasoning.effort", "invalid_request"),
        ("output_config.format.schema: odd", "chat", "response_format", "invalid_request"),
        ("`temperature`: odd", "chat", "temperature", "invalid_request"),
        ("prompt is too long: 3 tokens > 2 maximum", "chat", None, "context_length_exceeded"),
        ("Something: odd", "chat", None, "invalid_request"),
    ],
)
async def test_the_callers_mistakes_are_named_as_they_call_things(
    message: str, dialect: Any, param: str | None, code: str
) -> None:
    error = await refused(400, error_body("invalid_request_error", message), dialect=dialect)

    assert isinstance(error, BadRequest)
    assert (error.message, error.param, error.code) == (message, param, code)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        (400, "invalid_request_error", "This organization has been disabled."),
        (401, "authentication_error", f"invalid x-api-key {KEY}"),
        (402, "billing_error", "Pay."),
        (403, "permission_error", "No."),
        (404, "not_found_error", "model: claude-none"),
        (500, "api_error", "Sorry."),
        (504, "timeout_error", "Late."),
    ],
)
async def test_what_is_between_us_and_the_provider_is_no_callers_matter(status: int, kind: str, message: str) -> None:
    error = await refused(status, error_body(kind, message))

    assert isinstance(error, ProviderError)
    assert (error.status, error.upstream_status) == (502, status)
    assert message not in error.message
    assert KEY not in error.message + error.reason


@pytest.mark.parametrize("message", ["Your credit balance is too low.", "This organization has been disabled."])
async def test_a_400_for_the_account_is_for_whoever_runs_the_server(message: str) -> None:
    error = await refused(400, error_body("invalid_request_error", message))

    assert error.should_retry is False
    assert "Try again" not in error.message


@pytest.mark.parametrize("status", [429, 529])
async def test_a_provider_that_is_busy_says_when_to_come_back(status: int) -> None:
    error = await refused(status, error_body("overloaded_error", "Overloaded"), "retry-after: 7\r\n")

    assert isinstance(error, ProviderError)
    assert (error.status, error.code, error.upstream_status, error.retry_after_s) == (503, "provider_busy", status, 7)


async def test_a_request_that_is_too_large_says_so() -> None:
    error = await refused(413, error_body("request_too_large", "Request exceeds the maximum size"))

    assert isinstance(error, TooLarge)
    assert error.code == "request_too_large"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": 3}', b'{"error": {"type": []}}', b"\xff", b"[" * 9999]
)
async def test_a_refusal_in_other_words_is_one_as_well(body: bytes) -> None:
    error = await refused(400, body)

    assert isinstance(error, BadRequest)
    assert error.param is None


# --- earlier thoughts ---------------------------------------------------------------------------


def earlier(signature: str = "eA==", model: str = MODEL) -> Unknown:
    held = {"model": model, "block": {"type": "thinking", "thinking": "x", "signature": signature}}
    (locked,) = SealBox("anthropic.1:", KEY).locked([ReasoningEncrypted(0, sealed("anthropic.1:", held))])
    assert isinstance(locked, ReasoningEncrypted)
    return Unknown({"type": "reasoning", "encrypted_content": locked.content}, "responses")


CALLED: tuple[Item, ...] = (
    Message("user", "Hello"),
    earlier(),
    ToolCall("a", "weather", "{}"),
    ToolOutput("a", "rain"),
)
STALE = error_body("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block")


async def test_thoughts_that_are_not_taken_back_are_left_out_at_a_second_try() -> None:
    async with provider((400, STALE), (200, recorded.TEXT)) as (anthropic, served):
        events = await events_of(anthropic, prompt(*CALLED, tools=[WEATHER], reasoning_effort="high"))

    assert events[-1] == TurnCompleted()
    assert ["thinking" in body for _, body in served.asked] == [True, False]
    assert "signature" not in json.dumps(served.asked[1][1])


@pytest.mark.parametrize(
    ("items", "status", "body"),
    [
        ((Message("user", "Hello"),), 400, STALE),  # there are none to leave out
        (CALLED, 400, error_body("invalid_request_error", "tools: odd")),
        (CALLED, 500, STALE),
        (CALLED, 400, STALE),  # and the second try is the last
    ],
)
async def test_other_refusals_are_told(items: tuple[Item, ...], status: int, body: bytes) -> None:
    async with provider((status, body)) as (anthropic, served):
        with pytest.raises(FrontdeskError):
            await events_of(anthropic, prompt(*items, tools=[WEATHER], reasoning_effort="high"))

    is_tried_again = items is CALLED and (status, body) == (400, STALE)
    assert len(served.asked) == (2 if is_tried_again else 1)


# --- formats ------------------------------------------------------------------------------------

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


async def test_an_answer_that_nothing_binds_is_put_right() -> None:
    data = (
        recorded.started()
        + recorded.text(0, "Sure:\n```json\n", '{"name": "Ada",}', "\n```")
        + recorded.ended("end_turn")
    )
    async with provider((200, data)) as (anthropic, _):
        asked = prompt(format=Format("json_object", {}))
        events = await events_of(anthropic, asked, "claude-opus-5-5")

    assert json.loads(text_of(events)) == {"name": "Ada"}


async def test_an_answer_that_does_not_fit_is_the_providers_failure() -> None:
    data = recorded.started() + recorded.call(0, "person", "toolu_a", '{"nome": "Ada"}') + recorded.ended("tool_use")
    async with provider((200, data)) as (anthropic, _):
        asked = prompt(format=Format("json_schema", {"name": "person", "schema": PERSON}))
        with pytest.raises(ProviderError) as caught:
            await events_of(anthropic, asked, "claude-sonnet-4")

    assert caught.value.code == "invalid_structured_output"


# --- the scripted upstream ----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_words_come_through(stream: bool) -> None:
    async with scripted("echo") as (anthropic, _):
        events = await events_of(anthropic, prompt(Message("user", "Grüße, 世界 🛎️"), stream=stream))

    usage = next(event.usage for event in events if isinstance(event, UsageReported))
    assert "Grüße, 世界 🛎️" in text_of(events)
    assert events[-1] == TurnCompleted()
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_loop_of_tools_with_thoughts_comes_through(stream: bool) -> None:
    asked: dict[str, Any] = {
        "tools": [WEATHER],
        "stream": stream,
        "dialect": "responses",
        "include": frozenset({"reasoning.encrypted_content"}),
    }
    thinking: dict[str, Any] = {"reasoning_effort": "high", "reasoning_summary": "auto"}
    async with scripted("thinking") as (anthropic, _):
        first = await events_of(anthropic, prompt(**asked, **thinking))
        seal = next(event.content for event in first if isinstance(event, ReasoningEncrypted))
        items: list[Item] = [
            Message("user", "Hello"),
            Unknown({"type": "reasoning", "summary": [], "encrypted_content": seal}, "responses"),
            ToolCall("toolu_1", "weather", '{"city": "Köln"}'),
            ToolOutput("toolu_1", "rain"),
        ]
        second = await events_of(anthropic, prompt(*items, **asked, **thinking))

    assert any(isinstance(event, ReasoningSummaryDelta) for event in first)
    assert second[-1] == TurnCompleted()


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_come_through(stream: bool) -> None:
    shell = Tool("custom", {"name": "shell"})
    async with scripted("tools-all") as (anthropic, _):
        events = await events_of(anthropic, prompt(tools=[WEATHER, shell], stream=stream))

    called = [(event.name, event.kind) for event in events if isinstance(event, ToolCallStarted)]
    arguments = [
        "".join(e.text for e in events if isinstance(e, ToolArgumentsDelta) and e.output == output)
        for output in range(2)
    ]
    assert called == [("weather", "function"), ("shell", "custom")]
    assert list(json.loads(arguments[0])) == ["city"]
    assert arguments[1]
    assert ChoiceFinished(0, "tool_calls") in events


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-sonnet-4", "claude-opus-4-8"])
async def test_a_format_comes_through(model: str) -> None:
    asked = prompt(format=Format("json_schema", {"name": "person", "schema": PERSON, "strict": True}))
    async with scripted("echo") as (anthropic, _):
        events = await events_of(anthropic, asked, model)

    assert list(json.loads(text_of(events))) == ["name"]
    assert ChoiceFinished(0, "stop") in events


async def test_what_was_cut_off_does_not_end() -> None:
    async with scripted("length") as (anthropic, _):
        events = await events_of(anthropic, prompt())

    assert events[-1] == TurnIncomplete("max_output_tokens")
    assert not any(isinstance(event, ItemFinished) for event in events)


async def test_what_was_declined_is_told_as_such() -> None:
    async with scripted("refusal") as (anthropic, _):
        events = await events_of(anthropic, prompt())

    assert events[-1] == TurnIncomplete("content_filter")


async def test_a_long_prompt_is_read_from_the_cache_the_second_time() -> None:
    asked = prompt(Message("user", "Say it."), instructions="word " * 8000)
    async with scripted("words-3") as (anthropic, _):
        usages = [
            next(event.usage for event in await events_of(anthropic, asked) if isinstance(event, UsageReported))
            for _ in range(2)
        ]

    assert [bool(each.cached_tokens) for each in usages] == [False, True]
    assert [bool(each.cache_write_tokens) for each in usages] == [True, False]
    assert usages[0].input_tokens == usages[1].input_tokens


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("401", 502, None), ("429", 503, "provider_busy"), ("500", 502, None), ("529", 503, "provider_busy")],
)
async def test_faults_before_an_answer_are_the_providers(fault: str, status: int, code: str | None) -> None:
    async with scripted("echo") as (anthropic, served):
        served.play({"script": f"fault={fault}"})
        with pytest.raises(ProviderError) as caught:
            await events_of(anthropic, prompt())

    assert caught.value.status == status
    assert code is None or caught.value.code == code


@pytest.mark.parametrize(
    "fault", ["cut@300", "reset@300", "end@3", "no-finish", "error@3", "failed@3", "bad-json@3", "bad-utf8@3"]
)
async def test_faults_within_an_answer_never_look_like_its_end(fault: str) -> None:
    events: list[Event] = []
    async with scripted("echo") as (anthropic, served):
        served.play({"script": f"words-20:fault={fault}"})
        with pytest.raises(ProviderError):
            await collect(anthropic, prompt(), events)

    assert not any(isinstance(event, TurnCompleted | TurnIncomplete) for event in events)


@pytest.mark.parametrize("manner", ["cutsize=1", "crlf", "comments", "usage=each", "usage=missing", "usage=early"])
async def test_however_bytes_come_the_words_are_the_same(manner: str) -> None:
    async with scripted("words-20") as (anthropic, served):
        plain = text_of(await events_of(anthropic, prompt()))
        served.play({"script": f"words-20:{manner}"})
        told = text_of(await events_of(anthropic, prompt()))

    assert told == plain
    assert plain
