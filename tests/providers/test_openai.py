"""OpenAI's provider: which dialect it asks in, what becomes of refusals, and what it tells of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Literal

import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.providers.profiles import OPENAI, Profile, profile_of
from frontdesk.turn.events import (
    AnswerDescribed,
    EmbeddingsProduced,
    Event,
    MessageStarted,
    TextDelta,
    TurnCompleted,
    UsageReported,
)
from frontdesk.turn.items import EmbeddingRequest, Format, Message, Prompt, Request
from tests.fakes import HandClock
from tests.providers import recorded, recorded_responses

Api = Literal["auto", "chat", "responses"]
KEY = "sk-test-very-secret"
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"


class Server:
    """A provider on a socket: each path has its answers, the last one for ever; all others are not found.

    `lost_bytes` are promised by a refusal and never sent.
    """

    def __init__(self, answers: dict[str, list[tuple[int, bytes]]], lost_bytes: int) -> None:
        self._answers = answers
        self._lost_bytes = lost_bytes
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        self.asked.append((path, json.loads(await reader.readexactly(length))))
        answers = self._answers.get(path, [(404, b'{"detail":"Not Found"}')])
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        lost_bytes = 0 if status == 200 else self._lost_bytes
        size = len(body) + lost_bytes
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (status, size, body))
        self.writers.append(writer)
        if not lost_bytes:
            await writer.drain()
            writer.close()


@asynccontextmanager
async def provider(
    answers: dict[str, list[tuple[int, bytes]]],
    api: Api = "auto",
    *,
    clock: HandClock | None = None,
    lost_bytes: int = 0,
    reports_cost: bool | None = None,
    profile: Profile = OPENAI,
) -> AsyncIterator[tuple[OpenAIProvider, Server]]:
    served = Server(answers, lost_bytes)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    asked = OpenAIProvider(
        f"http://127.0.0.1:{served.port}/v1",
        KEY,
        profile,
        api,
        idle_timeout_s=3600 if lost_bytes else 5,
        error_timeout_s=0.05 if lost_bytes else 5,
        clock=clock or HandClock(),
        reports_cost=reports_cost,
    )
    try:
        yield asked, served
    finally:
        await asked.close()
        server.close()
        for writer in served.writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def collect(asked: OpenAIProvider, request: Request, events: list[Event]) -> None:
    async with aclosing(asked.answer(request, "m")) as batches:
        async for batch in batches:
            events.extend(batch)


async def events_of(asked: OpenAIProvider, request: Request) -> list[Event]:
    events: list[Event] = []
    await collect(asked, request, events)
    return events


async def text_of(asked: OpenAIProvider, request: Request) -> str:
    return "".join(event.text for event in await events_of(asked, request) if isinstance(event, TextDelta))


def prompt(dialect: Literal["chat", "responses"], *, stream: bool = True, **more: Any) -> Prompt:
    return Prompt([Message("user", "x")], stream=stream, dialect=dialect, **more)


def error_body(**fields: Any) -> bytes:
    return json.dumps({"error": {"message": "m", "type": "invalid_request_error", "param": None, **fields}}).encode()


BOTH = {CHAT: [(200, recorded.TEXT)], RESPONSES: [(200, recorded_responses.TEXT)]}
WORDS = "Grüße, 世界 🛎️\n"  # of both


@pytest.mark.parametrize(
    ("api", "spoken", "path"),
    [
        ("auto", "chat", CHAT),
        ("auto", "responses", RESPONSES),
        ("chat", "responses", CHAT),
        ("responses", "chat", RESPONSES),
    ],
)
async def test_a_prompt_is_asked_in_the_dialect_of_its_caller_or_of_the_setting(
    api: Api, spoken: Literal["chat", "responses"], path: str
) -> None:
    async with provider(BOTH, api) as (asked, server):
        assert await text_of(asked, prompt(spoken)) == WORDS

        assert server.paths == [path]


async def test_a_whole_body_is_read_in_both_dialects() -> None:
    chat = {"choices": [{"message": {"content": "by chat"}, "finish_reason": "stop"}]}
    responses = recorded_responses.response("completed", [recorded_responses.message("by responses")])
    answers = {CHAT: [(200, json.dumps(chat).encode())], RESPONSES: [(200, json.dumps(responses).encode())]}

    async with provider(answers) as (asked, server):
        assert await text_of(asked, prompt("chat", stream=False)) == "by chat"
        assert await text_of(asked, prompt("responses", stream=False)) == "by responses"

    assert ["stream" in body for _, body in server.asked] == [False, False]
    assert server.asked[1][1]["store"] is False


NO_SUCH_PATH: dict[str, tuple[int, bytes]] = {
    "a page": (404, b"<html>nothing here</html>"),
    "nothing": (404, b""),
    "not allowed": (405, error_body(code="method_not_allowed")),
    "not implemented": (501, b"<html>nothing here</html>"),
    "detail": (404, b'{"detail":"Not Found"}'),
    "words": (404, b'{"error":"Unexpected endpoint or method. (POST /v1/responses)"}'),
    "invalid url": (404, error_body(message="Invalid URL (POST /v1/responses)", code=None)),
    "empty fields": (404, error_body(message="Invalid URL (POST /v1/responses)", code="", param="")),
    "unknown url": (404, error_body(message="Unknown request URL: POST /v1/responses.", code="unknown_url")),
    "a number": (404, error_body(message="File Not Found", type="not_found_error", code=404)),
}


@pytest.mark.parametrize("name", NO_SUCH_PATH)
async def test_a_server_without_responses_is_asked_by_chat_from_then_on(name: str) -> None:
    answers = {CHAT: [(200, recorded.TEXT)], RESPONSES: [NO_SUCH_PATH[name]]}

    async with provider(answers) as (asked, server):
        assert await text_of(asked, prompt("responses")) == WORDS
        assert await text_of(asked, prompt("responses")) == WORDS

    assert server.paths == [RESPONSES, CHAT, CHAT]


async def test_what_was_learned_of_a_missing_path_is_forgotten() -> None:
    """A load balancer's 404 while servers are exchanged says nothing of tomorrow."""
    clock = HandClock()
    answers = {CHAT: [(200, recorded.TEXT)], RESPONSES: [NO_SUCH_PATH["a page"], BOTH[RESPONSES][0]]}

    async with provider(answers, clock=clock) as (asked, server):
        for moved_s in (0, 299, 1):
            clock.move(moved_s)
            assert await text_of(asked, prompt("responses")) == WORDS

    assert server.paths == [RESPONSES, CHAT, CHAT, RESPONSES]


@pytest.mark.parametrize("name", NO_SUCH_PATH)
async def test_a_server_that_has_answered_by_responses_is_not_asked_by_chat(name: str) -> None:
    answers = {CHAT: [(200, recorded.TEXT)], RESPONSES: [BOTH[RESPONSES][0], NO_SUCH_PATH[name], BOTH[RESPONSES][0]]}

    async with provider(answers) as (asked, server):
        assert await text_of(asked, prompt("responses")) == WORDS
        with pytest.raises(ProviderError):
            await text_of(asked, prompt("responses"))
        assert await text_of(asked, prompt("responses")) == WORDS

    assert server.paths == [RESPONSES] * 3


async def test_a_page_of_any_size_says_that_there_is_no_such_path() -> None:
    answers = {CHAT: [(200, recorded.TEXT)], RESPONSES: [(404, b"<html>" + b"x" * 200_000)]}

    async with provider(answers) as (asked, _):
        assert await text_of(asked, prompt("responses")) == WORDS


NO_SUCH_THING: dict[str, bytes] = {
    "model": error_body(code="model_not_found"),
    "item": error_body(message="Item with id 'rs_0a' not found. Items are not persisted.", param="input", code=None),
    "item without a name of a field": error_body(message="Item with id 'rs_0a' not found.", code=None),
    "item by its id alone": error_body(message="no fc_0a1b here", code=404),
    "response": error_body(message="Response with id 'x' not found.", code="not_found"),
    "field": error_body(message="Not found", param="previous_response_id", code=None),
    "field of a strange shape": error_body(message="Not found", param=["input", 0], code=None),
}


@pytest.mark.parametrize("name", NO_SUCH_THING)
async def test_a_missing_thing_does_not_prove_that_responses_is_missing(name: str) -> None:
    """Else one caller's stale item would be dropped in silence, and everybody's reasoning after it."""
    missing = (404, NO_SUCH_THING[name])
    answers = {CHAT: [(200, recorded.TEXT)], RESPONSES: [missing, (200, recorded_responses.TEXT)]}

    async with provider(answers) as (asked, server):
        with pytest.raises(ProviderError) as caught:
            await text_of(asked, prompt("responses"))
        assert await text_of(asked, prompt("responses")) == WORDS

    assert caught.value.upstream_status == 404
    assert server.paths == [RESPONSES, RESPONSES]


@pytest.mark.parametrize("status", [404, 401, 500])
async def test_what_neither_path_answers_proves_nothing(status: int) -> None:
    """Not every server gives a missing model its code; the next request may name another model."""
    answers = {CHAT: [(status, error_body(code=None))], RESPONSES: [(404, error_body(code=None)), BOTH[RESPONSES][0]]}

    async with provider(answers) as (asked, server):
        with pytest.raises(ProviderError):
            await text_of(asked, prompt("responses"))
        assert await text_of(asked, prompt("responses")) == WORDS

    assert server.paths == [RESPONSES, CHAT, RESPONSES]


async def test_a_server_that_was_told_to_have_responses_is_not_asked_by_chat() -> None:
    async with provider({CHAT: [(200, recorded.TEXT)]}, "responses") as (asked, server):
        with pytest.raises(ProviderError):
            await text_of(asked, prompt("responses"))

    assert server.paths == [RESPONSES]


async def test_what_chat_cannot_say_is_refused_where_a_server_has_nothing_else() -> None:
    async with provider({CHAT: [(200, recorded.TEXT)]}) as (asked, server):
        with pytest.raises(BadRequest) as caught:
            await text_of(asked, prompt("responses", reasoning_summary="auto"))

    assert caught.value.param == "reasoning.summary"
    assert server.paths == [RESPONSES]


async def failure(answers: dict[str, list[tuple[int, bytes]]], request: Request) -> FrontdeskError:
    async with provider(answers) as (asked, _):
        with pytest.raises(FrontdeskError) as caught:
            await events_of(asked, request)
    return caught.value


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, (400, "bad_thing")),
        (413, (413, "bad_thing")),
        (422, (422, "bad_thing")),
        (401, (502, "provider_error")),
        (403, (502, "provider_error")),
        (429, (503, "provider_busy")),
        (500, (502, "provider_error")),
        (503, (502, "provider_error")),
    ],
)
async def test_a_refusal_is_the_callers_matter_or_the_providers(path: str, status: int, told: tuple[int, str]) -> None:
    spoken = "chat" if path == CHAT else "responses"

    error = await failure({path: [(status, error_body(code="bad_thing"))]}, prompt(spoken))

    assert (error.status, error.code) == told


@pytest.mark.parametrize("stream", [True, False])
async def test_neither_key_nor_address_is_told(stream: bool) -> None:
    """A refusal inside the answer says no more than one before it."""
    words = f"Flagged: {KEY} at http://127.0.0.1:1/v1"
    failed = recorded_responses.response("failed", error={"code": "invalid_prompt", "message": words})
    body = json.dumps(failed).encode()
    if stream:
        body = recorded_responses.stream(recorded_responses.event("response.failed", response=failed))

    inside = await failure({RESPONSES: [(200, body)]}, prompt("responses", stream=stream))
    before = await failure({RESPONSES: [(400, error_body(message=words))]}, prompt("responses", stream=stream))

    for error in (inside, before):
        assert error.status == 400
        assert error.message.startswith("Flagged: ")
        assert KEY not in error.message
        assert "127.0.0.1" not in error.message


@pytest.mark.parametrize("stream", [True, False])
async def test_the_param_of_a_refusal_is_redacted_and_cut(stream: bool) -> None:
    said: dict[str, Any] = {"code": "invalid_prompt", "message": "m", "param": f"input at {KEY} " + "p" * 5000}
    failed = recorded_responses.response("failed", error=said)
    body = json.dumps(failed).encode()
    if stream:
        body = recorded_responses.stream(recorded_responses.event("response.failed", response=failed))

    inside = await failure({RESPONSES: [(200, body)]}, prompt("responses", stream=stream))
    before = await failure({RESPONSES: [(400, error_body(**said))]}, prompt("responses", stream=stream))

    for error in (inside, before):
        assert isinstance(error, BadRequest)
        assert error.param is not None
        assert error.param.startswith("input at … ppp")
        assert len(error.param) == 200


@pytest.mark.parametrize("padding", [0, 70])  # 70: the key lies across the place where a code is cut
@pytest.mark.parametrize("status", [200, 400, 429, 500])
async def test_the_code_of_a_failure_is_redacted_and_cut(status: int, padding: int) -> None:
    code = f"{'c' * padding}{KEY} at http://127.0.0.1:1/v1 " + "c" * 5000
    said = {"message": "m", "code": code}
    body = recorded_responses.stream({"type": "error", "error": said}) if status == 200 else error_body(**said)
    whole = json.dumps(recorded_responses.response("failed", error=said)).encode() if status == 200 else body

    streamed = await failure({RESPONSES: [(status, body)]}, prompt("responses"))
    at_once = await failure({RESPONSES: [(status, whole)]}, prompt("responses", stream=False))

    for error in (streamed, at_once):
        told = error.reason if isinstance(error, ProviderError) else error.code
        assert "c" * padding + "…" in told
        assert KEY[:6] not in told + error.code
        assert "127.0.0.1" not in told
        assert len(told) <= 300
        assert len(error.code) <= 80


@pytest.mark.parametrize("status", [404, 405])
async def test_a_refusal_that_never_ends_is_taken_by_its_status(status: int) -> None:
    answers = {CHAT: [(200, recorded.TEXT)], RESPONSES: [(status, b"<html>")]}

    async with provider(answers, lost_bytes=9) as (asked, server):
        assert await text_of(asked, prompt("responses")) == WORDS

    assert server.paths == [RESPONSES, CHAT]


@pytest.mark.parametrize(("status", "told"), [(400, 400), (429, 503), (500, 502)])
async def test_a_failure_that_never_ends_is_told_by_its_status(status: int, told: int) -> None:
    async with provider({CHAT: [(status, b"{")]}, lost_bytes=9) as (asked, _):
        with pytest.raises(FrontdeskError) as caught:
            await events_of(asked, prompt("chat"))

    assert caught.value.status == told


async def test_a_stream_that_breaks_is_an_error_after_its_words() -> None:
    sent = recorded_responses.stream(*recorded_responses.HALF)
    told: list[Event] = []

    async with provider({RESPONSES: [(200, sent)]}) as (asked, _):
        with pytest.raises(ProviderError):
            await collect(asked, prompt("responses"), told)

    assert [event.text for event in told if isinstance(event, TextDelta)] == ["Half", " an"]


async def test_embeddings_pass_their_parameters() -> None:
    body = b'{"data":[{"index":0,"embedding":"AACAPw=="}],"usage":{"prompt_tokens":1,"total_tokens":1}}'

    async with provider({"/v1/embeddings": [(200, body)]}) as (asked, server):
        events = await events_of(asked, EmbeddingRequest(["x"], dimensions=1, parameters={"user": "u1"}))

    assert isinstance(events[0], EmbeddingsProduced)
    assert isinstance(events[-1], TurnCompleted)
    assert server.asked[0][1] == {
        "user": "u1",
        "model": "m",
        "input": ["x"],
        "encoding_format": "base64",
        "dimensions": 1,
    }


# --- what was charged -----------------------------------------------------------------------------

COSTLY_CHAT = {
    "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25},
}
COSTLY_RESPONSE = recorded_responses.response(
    "completed",
    [recorded_responses.message("x")],
    usage={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": 0.25},
)
COSTLY: dict[str, tuple[str, bytes, Request]] = {
    "chat": (CHAT, json.dumps(COSTLY_CHAT).encode(), prompt("chat", stream=False)),
    "chat stream": (
        CHAT,
        recorded.raw(
            {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]},
            {"choices": [], "usage": COSTLY_CHAT["usage"]},
        )
        + recorded.DONE,
        prompt("chat"),
    ),
    "responses": (RESPONSES, json.dumps(COSTLY_RESPONSE).encode(), prompt("responses", stream=False)),
    "responses stream": (
        RESPONSES,
        recorded_responses.stream(recorded_responses.event("response.completed", response=COSTLY_RESPONSE)),
        prompt("responses"),
    ),
    "embeddings": (
        "/v1/embeddings",
        b'{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1,"total_tokens":1,"cost":0.25}}',
        EmbeddingRequest(["x"]),
    ),
}


@pytest.mark.parametrize(("reports_cost", "micros"), [(True, 250_000), (False, None), (None, None)])
@pytest.mark.parametrize(("path", "body", "request_"), COSTLY.values(), ids=COSTLY)
async def test_what_was_charged_is_told_where_the_providers_word_counts(
    path: str, body: bytes, request_: Request, reports_cost: bool | None, micros: int | None
) -> None:
    async with provider({path: [(200, body)]}, reports_cost=reports_cost) as (asked, _):
        events = await events_of(asked, request_)

    assert [event.usage.cost_micros for event in events if isinstance(event, UsageReported)] == [micros]


@pytest.mark.parametrize(
    ("base_url", "reports_cost", "does"),
    [
        ("https://openrouter.ai/api/v1", None, True),
        ("https://openrouter.ai/api/v1", False, False),
        ("https://openrouter.ai.example/v1", None, False),
        ("https://api.openai.com/v1", None, False),
    ],
)
async def test_openrouters_word_counts_unless_it_is_said_otherwise(
    base_url: str, reports_cost: bool | None, does: bool
) -> None:
    asked = OpenAIProvider(base_url, KEY, OPENAI, "chat", idle_timeout_s=1, reports_cost=reports_cost)
    try:
        assert asked._reports_cost is does
    finally:
        await asked.close()


async def test_embeddings_are_asked_for_in_the_vendors_words() -> None:
    body = json.dumps({"data": [{"index": 0, "embedding": [0.5]}]}).encode()
    request = EmbeddingRequest(["x"], dimensions=1, parameters={"user": "u", "own": 1})

    async with provider({"/v1/embeddings": [(200, body)]}, profile=profile_of("mistral", "")) as (asked, server):
        await events_of(asked, request)

    assert server.asked[0][1] == {
        "own": 1,
        "model": "m",
        "input": ["x"],
        "encoding_format": "base64",
        "output_dimension": 1,
    }


# --- structured output --------------------------------------------------------------------------

STAY = Format(
    "json_schema",
    {
        "name": "stay",
        "schema": {
            "type": "object",
            "properties": {"nights": {"type": "integer"}},
            "required": ["nights"],
            "additionalProperties": False,
        },
    },
)
LACKING = error_body(message="This model does not support response format `json_schema`.")


def said(text: str) -> bytes:
    return recorded.chunk({"content": text}) + recorded.chunk({}, "stop", usage=recorded.TOTALS) + recorded.DONE


async def test_a_model_is_bound_to_a_schema_where_it_can_be() -> None:
    async with provider({CHAT: [(200, said("{}"))]}) as (asked, server):
        assert await text_of(asked, prompt("chat", format=STAY)) == "{}"

    assert server.asked[0][1]["response_format"]["type"] == "json_schema"


async def test_a_model_without_schemas_is_asked_in_words_from_then_on() -> None:
    clock = HandClock()
    answers = {CHAT: [(400, LACKING), (200, said('Sure: {"nights": 2}'))]}

    async with provider(answers, clock=clock) as (asked, server):
        for _ in range(2):
            assert await text_of(asked, prompt("chat", format=STAY)) == '{"nights": 2}'
        clock.move(301)
        await text_of(asked, prompt("chat", format=STAY))

    assert ["response_format" in body for _, body in server.asked] == [True, False, False, True]
    assert '"nights"' in server.asked[1][1]["messages"][0]["content"]


async def test_words_are_no_way_around_a_bad_schema() -> None:
    refused = error_body(message="Invalid schema for response_format 'stay'.", param="response_format")

    async with provider({CHAT: [(400, refused)]}) as (asked, server):
        with pytest.raises(BadRequest, match="Invalid schema"):
            await events_of(asked, prompt("chat", format=STAY))

    assert len(server.asked) == 1


async def test_an_answer_that_does_not_fit_is_the_providers_failure_and_paid_for() -> None:
    events: list[Event] = []

    async with provider({CHAT: [(400, LACKING), (200, said("Two nights."))]}) as (asked, _):
        with pytest.raises(ProviderError) as caught:
            await collect(asked, prompt("chat", format=STAY), events)

    assert caught.value.code == "invalid_structured_output"
    assert [type(event) for event in events] == [AnswerDescribed, MessageStarted, UsageReported]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_vendor_without_schemas_is_asked_for_json_and_told_the_schema(stream: bool) -> None:
    whole = json.dumps({"choices": [{"message": {"content": '{"nights": 2,}'}, "finish_reason": "stop"}]}).encode()
    answers = {CHAT: [(200, said('```json\n{"nights": 2}\n```') if stream else whole)]}

    async with provider(answers, profile=profile_of("deepseek", "")) as (asked, server):
        assert await text_of(asked, prompt("chat", format=STAY, stream=stream)) == '{"nights": 2}'

    ((_, body),) = server.asked
    assert body["response_format"] == {"type": "json_object"}
    assert '"nights"' in body["messages"][0]["content"]


async def test_what_is_no_schema_is_refused_before_anything_is_asked() -> None:
    bad = Format("json_schema", {"name": "a", "schema": {"type": "text"}})

    async with provider({}, profile=profile_of("deepseek", "")) as (asked, server):
        with pytest.raises(BadRequest, match="JSON schema"):
            await events_of(asked, prompt("chat", format=bad))

    assert server.asked == []


async def test_a_model_that_failed_to_write_json_is_the_providers_failure() -> None:
    """Groq says so with a 400, as if the request were at fault."""
    refused = error_body(code="json_validate_failed", failed_generation='{"nights":')

    async with provider({CHAT: [(400, refused)]}) as (asked, _):
        with pytest.raises(ProviderError) as caught:
            await events_of(asked, prompt("chat", format=STAY))

    assert (caught.value.code, caught.value.upstream_status) == ("invalid_structured_output", 400)
