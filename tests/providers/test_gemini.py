"""Gemini's provider: what it asks at which address, what becomes of refusals, and vectors.

Against recorded answers, and against the scripted upstream, whose Gemini is written from Google's own types.
"""

from __future__ import annotations

import asyncio
import json
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.gemini import GeminiProvider
from frontdesk.providers.gemini_errors import param_of, parsed_gemini_error
from frontdesk.providers.gemini_seals import UNSIGNED
from frontdesk.providers.refusals import Said
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    EmbeddingsProduced,
    Event,
    ReasoningEncrypted,
    ReasoningSummaryDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import (
    EmbeddingRequest,
    Format,
    Image,
    Item,
    Message,
    ModerationRequest,
    Prompt,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from tests.fakes import HandClock
from tests.providers import recorded_gemini as recorded
from tests.upstreams import ScriptedUpstream, scripted_upstream

KEY = "AIza-test-very-secret"
HELLO = Message("user", "Hello there")
WEATHER = Tool(
    "function",
    {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
)


class Server:
    """A provider on a socket: it gives its answers in order, the last one for ever."""

    def __init__(self, *answers: tuple[int, bytes], **headers: str) -> None:
        self._answers = list(answers)
        self._headers = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()).encode()
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.asked.append((first, headers, body))
        status, answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        head = b"HTTP/1.1 %d X\r\nconnection: close\r\n%bcontent-length: %d\r\n\r\n" % (
            status,
            self._headers,
            len(answer),
        )
        writer.write(head + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def provider(*answers: tuple[int, bytes], **headers: str) -> AsyncIterator[tuple[GeminiProvider, Server]]:
    served = Server(*answers, **headers)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = GeminiProvider(f"http://127.0.0.1:{port}", KEY, 5, HandClock())
    try:
        yield asked, served
    finally:
        await asked.close()
        server.close()


async def events_of(
    asked: GeminiProvider, request: Request, model: str = "gemini-3.8-flash", into: list[Event] | None = None
) -> list[Event]:
    events: list[Event] = [] if into is None else into
    async with aclosing(asked.answer(request, model)) as batches:
        async for batch in batches:
            events.extend(batch)
    return events


async def error_of(status: int, fields: dict[str, Any] | bytes, request: Request | None = None) -> FrontdeskError:
    body = fields if isinstance(fields, bytes) else recorded.body(fields)
    async with provider((status, body)) as (asked, _):
        with pytest.raises(FrontdeskError) as caught:
            await events_of(asked, request or Prompt([HELLO]))
    return caught.value


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# --- what is asked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "is_streaming", "target"),
    [
        ("gemini-3.8-flash", False, "/v1beta/models/gemini-3.8-flash:generateContent"),
        ("gemini-3.8-flash", True, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-3.8-flash", True, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"),
        ("tunedModels/our-1", False, "/v1beta/tunedModels/our-1:generateContent"),
        ("odd name%#", False, "/v1beta/models/odd%20name%25%23:generateContent"),
    ],
)
async def test_a_model_is_asked_at_its_own_address(model: str, is_streaming: bool, target: str) -> None:
    answer = recorded.TEXT if is_streaming else recorded.body(recorded.answer({"text": "Hi"}, reason="STOP"))
    async with provider((200, answer)) as (asked, served):
        await events_of(asked, Prompt([HELLO], stream=is_streaming), model)

    first, headers, body = served.asked[0]
    assert first == f"POST {target} HTTP/1.1"
    assert headers["x-goog-api-key"] == KEY
    assert "authorization" not in headers
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}


@pytest.mark.parametrize(("said", "told"), [("standard", "default"), ("priority", "priority"), ("flex", "flex")])
async def test_the_tier_that_served_is_told(said: str, told: str) -> None:
    async with provider((200, recorded.TEXT), x_gemini_service_tier=said) as (asked, _):
        events = await events_of(asked, Prompt([HELLO], stream=True))

    assert events[0] == AnswerDescribed(service_tier=told)
    assert sum(isinstance(event, AnswerDescribed) for event in events) == 1


async def test_what_gemini_does_not_do_is_refused_without_asking() -> None:
    async with provider((200, b"{}")) as (asked, served):
        with pytest.raises(BadRequest) as caught:
            await events_of(asked, ModerationRequest(["x"]))

    assert (caught.value.code, caught.value.param) == ("unsupported_request", "model")
    assert served.asked == []


# --- refusals -------------------------------------------------------------------------------------


async def test_a_request_at_fault_is_told_in_googles_words_and_the_callers_names() -> None:
    error = await error_of(400, recorded.WRONG_FIELD)

    assert isinstance(error, BadRequest)
    assert (error.code, error.param) == ("invalid_request", "temperature")
    assert "must be in the range" in error.message


async def test_a_prompt_that_is_too_long_has_openais_code() -> None:
    error = await error_of(400, recorded.TOO_LONG)

    assert isinstance(error, BadRequest)
    assert error.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "fields",
    [
        recorded.WRONG_KEY,
        recorded.error(400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT"),
        recorded.error(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"),
    ],
)
async def test_a_400_that_no_caller_can_help_is_the_providers(fields: dict[str, Any]) -> None:
    error = await error_of(400, fields)

    assert isinstance(error, ProviderError)
    assert (error.status, error.upstream_status, error.should_retry) == (502, 400, False)
    assert "Try again" not in error.message


@pytest.mark.parametrize("is_list", [False, True])
async def test_a_quota_says_when_to_come_back(is_list: bool) -> None:
    body = recorded.body(recorded.TOO_MANY)

    error = await error_of(429, b"[" + body + b"]" if is_list else body)

    assert isinstance(error, ProviderError)
    assert (error.status, error.code, error.upstream_status, error.retry_after_s) == (503, "provider_busy", 429, 17.5)


async def test_a_header_says_better_than_a_body_when_to_come_back() -> None:
    async with provider((429, recorded.body(recorded.TOO_MANY)), retry_after="3") as (asked, _):
        with pytest.raises(ProviderError) as caught:
            await events_of(asked, Prompt([HELLO]))

    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize(
    ("status", "said"), [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"), (503, "UNAVAILABLE")]
)
async def test_all_else_is_the_providers_matter(status: int, said: str) -> None:
    error = await error_of(status, recorded.error(status, f"for {KEY}", said))

    assert isinstance(error, ProviderError)
    assert (error.status, error.upstream_status) == (502, status)
    assert KEY not in f"{error.message} {error.reason}"


async def test_no_error_tells_the_key_or_the_address() -> None:
    error = await error_of(400, recorded.error(400, f"{KEY} at 127.0.0.1", "INVALID_ARGUMENT"))

    assert isinstance(error, BadRequest)
    assert error.message == "… at …"


async def test_an_error_inside_a_stream_tells_no_key() -> None:
    wrong = recorded.event(recorded.error(400, f"no such thing for {KEY}", "INVALID_ARGUMENT"))
    async with provider((200, recorded.chunk({"text": "So"}) + wrong)) as (asked, _):
        events: list[Event] = []
        with pytest.raises(BadRequest) as caught:
            await events_of(asked, Prompt([HELLO], stream=True), into=events)

    assert text_of(events) == "So"
    assert caught.value.message == "no such thing for …"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"nonsense", b'{"error": "text"}', b'{"error": {"details": 5}}', b"\xff", b"[" * 10_000],
)
def test_an_error_that_says_nothing_is_read_as_one(body: bytes) -> None:
    assert parsed_gemini_error(body) == Said()


@pytest.mark.parametrize(
    ("delay", "seconds"), [("17s", 17.0), ("0.25s", 0.25), ("soon", None), ("-1s", None), ("nans", None), (5, None)]
)
def test_a_delay_is_read_as_protobuf_writes_it(delay: Any, seconds: float | None) -> None:
    body = recorded.body(recorded.error(429, "Later.", "RESOURCE_EXHAUSTED", {"retryDelay": delay}))

    assert parsed_gemini_error(body).retry_after_s == seconds


@pytest.mark.parametrize(
    ("field", "chat", "responses"),
    [
        ("contents[2].parts[0].inline_data", "messages", "input"),
        ("GenerateContentRequest.contents", None, None),
        ("systemInstruction", "messages", "input"),
        ("tools[0].function_declarations[1].name", "tools", "tools"),
        ("generation_config.max_output_tokens", "max_completion_tokens", "max_output_tokens"),
        ("generationConfig.responseJsonSchema", "response_format", "text.format"),
        ("generation_config.thinking_config.thinking_budget", "reasoning_effort", "reasoning.effort"),
        ("generation_config", None, None),
        ("new_field", None, None),
    ],
)
def test_a_field_is_told_as_the_caller_calls_it(field: str, chat: str | None, responses: str | None) -> None:
    assert (param_of(field, "chat"), param_of(field, "responses")) == (chat, responses)


# --- vectors --------------------------------------------------------------------------------------


def vectors_body(*vectors: list[float], usage: dict[str, Any] | None = None) -> bytes:
    told = {} if usage is None else {"usageMetadata": usage}
    return recorded.body({"embeddings": [{"values": vector} for vector in vectors], **told})


def floats(*values: float) -> bytes:
    return array("f", values).tobytes()


async def test_texts_become_vectors() -> None:
    usage = {"promptTokenCount": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]}
    async with provider((200, vectors_body([0.5, -2.0], [3.0, 4.0], usage=usage))) as (asked, served):
        events = await events_of(
            asked, EmbeddingRequest(["a", "b"], parameters={"user": "ada"}), "gemini-embedding-001"
        )

    assert events == [
        EmbeddingsProduced([floats(0.5, -2.0), floats(3.0, 4.0)]),
        UsageReported(Usage(7, 0, raw=usage)),
        TurnCompleted(),
    ]
    first, _, body = served.asked[0]
    assert first == "POST /v1beta/models/gemini-embedding-001:batchEmbedContents HTTP/1.1"
    assert body == {
        "requests": [
            {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}} for text in ("a", "b")
        ]
    }


async def test_vectors_that_were_shortened_are_as_long_as_one_again() -> None:
    async with provider((200, vectors_body([3.0, 4.0], [0.0, 0.0]))) as (asked, served):
        events = await events_of(
            asked, EmbeddingRequest(["a", "b"], 2, parameters={"taskType": "CLUSTERING"}), "gemini-embedding-001"
        )

    assert events == [EmbeddingsProduced([floats(0.6, 0.8), floats(0.0, 0.0)]), TurnCompleted()]
    assert [each["outputDimensionality"] for each in served.asked[0][2]["requests"]] == [2, 2]
    assert [each["taskType"] for each in served.asked[0][2]["requests"]] == ["CLUSTERING", "CLUSTERING"]


async def test_many_texts_are_asked_for_in_pieces() -> None:
    usage = {"promptTokenCount": 100}
    answers = [
        (200, vectors_body(*[[float(place)] for place in range(100)], usage=usage)),
        (200, vectors_body(*[[100.0 + place] for place in range(50)], usage={"promptTokenCount": 50})),
    ]
    async with provider(*answers) as (asked, served):
        events = await events_of(asked, EmbeddingRequest([str(place) for place in range(150)]), "e")

    assert events[0] == EmbeddingsProduced([floats(float(place)) for place in range(150)])
    raw = {"batches": [usage, {"promptTokenCount": 50}]}
    assert events[1] == UsageReported(Usage(150, 0, raw=raw))
    said = [each["content"]["parts"][0]["text"] for _, _, body in served.asked for each in body["requests"]]
    assert said == [str(place) for place in range(150)]


async def test_usage_that_one_piece_does_not_tell_is_not_told() -> None:
    answers = [
        (200, vectors_body(*[[1.0]] * 100, usage={"promptTokenCount": 100})),
        (200, vectors_body([1.0])),
    ]
    async with provider(*answers) as (asked, _):
        events = await events_of(asked, EmbeddingRequest(["x"] * 101), "e")

    assert [type(event) for event in events] == [EmbeddingsProduced, TurnCompleted]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (EmbeddingRequest([[1, 2]]), "input"),
        (EmbeddingRequest(["a"], parameters={"odd": 1}), "odd"),
    ],
)
async def test_what_cannot_be_embedded_is_refused(request_: EmbeddingRequest, param: str) -> None:
    async with provider((200, b"{}")) as (asked, served):
        with pytest.raises(BadRequest) as caught:
            await events_of(asked, request_, "e")

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    assert served.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"nonsense",
        vectors_body([1.0]),
        vectors_body([1.0], []),
        vectors_body([1.0], [1e300]),
        b'{"embeddings": [{}]}',
    ],
)
async def test_vectors_that_are_not_there_are_the_providers_failure(body: bytes) -> None:
    async with provider((200, body)) as (asked, _):
        with pytest.raises(ProviderError):
            await events_of(asked, EmbeddingRequest(["a", "b"], 1), "e")


async def test_a_refusal_of_vectors_is_read_as_any_other() -> None:
    error = await error_of(429, recorded.TOO_MANY, EmbeddingRequest(["a"]))

    assert isinstance(error, ProviderError)
    assert error.retry_after_s == 17.5


# --- signatures that are not taken back ---------------------------------------------------------------


async def sealed_turn(asked: GeminiProvider) -> list[Item]:
    """What a client of Responses sends back: a call and words, each behind the seal that it was told."""
    prompt = Prompt([HELLO], tools=[WEATHER], include=frozenset({"reasoning.encrypted_content"}), dialect="responses")
    seals = [each.content for each in await events_of(asked, prompt) if isinstance(each, ReasoningEncrypted)]
    of_words, of_call = (Unknown({"type": "reasoning", "encrypted_content": seal}, "responses") for seal in seals)
    call = ToolCall("a", "weather", "{}")
    return [HELLO, Message("assistant", "Hm."), of_words, of_call, call, ToolOutput("a", "Sun")]


SIGNED = recorded.body(
    recorded.answer(
        {"text": "Hm.", "thoughtSignature": "b25l"},
        {**recorded.call("weather", {}, "a"), "thoughtSignature": "dHdv"},
        reason="STOP",
    )
)
STALE = recorded.body(recorded.error(400, "Corrupted thought signature.", "INVALID_ARGUMENT"))
ANSWER = recorded.body(recorded.answer({"text": "Sunny."}, reason="STOP"))


def signatures(body: dict[str, Any]) -> list[str]:
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]


async def test_signatures_that_are_not_taken_back_are_left_out() -> None:
    async with provider((200, SIGNED), (400, STALE), (200, ANSWER)) as (asked, server):
        items = await sealed_turn(asked)
        events = await events_of(asked, Prompt(items, tools=[WEATHER], dialect="responses"))

    assert text_of(events) == "Sunny."
    assert [signatures(body) for _, _, body in server.asked[1:]] == [["b25l", "dHdv"], [UNSIGNED]]
    assert [content["role"] for content in server.asked[2][2]["contents"]] == ["user", "model", "user"]


async def test_signatures_are_left_out_once_and_only_where_some_were_sent() -> None:
    async with provider((200, SIGNED), (400, STALE)) as (asked, server):
        items = await sealed_turn(asked)
        with pytest.raises(BadRequest):
            await events_of(asked, Prompt(items, tools=[WEATHER], dialect="responses"))
        with pytest.raises(BadRequest):
            await events_of(asked, Prompt([HELLO]))

    assert len(server.asked) == 4


# --- against the scripted upstream ------------------------------------------------------------------


@asynccontextmanager
async def scripted(script: str = "echo") -> AsyncIterator[tuple[GeminiProvider, ScriptedUpstream]]:
    async with scripted_upstream(api_key=KEY, script=script) as served:
        asked = GeminiProvider(served.url, KEY, 5, HandClock())
        try:
            yield asked, served
        finally:
            await asked.close()


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_words_come_back_from_a_server(is_streaming: bool) -> None:
    async with scripted() as (asked, _):
        prompt = Prompt([Message("system", "Repeat."), HELLO], stream=is_streaming, max_output_tokens=50)
        events = await events_of(asked, prompt, "echo")

    assert text_of(events) == "Hello there"
    assert ChoiceFinished(0, "stop") in events
    assert isinstance(events[-1], TurnCompleted)
    usage = events[-2]
    assert isinstance(usage, UsageReported)
    assert usage.usage.input_tokens > 0


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_everything_that_a_prompt_may_hold_is_taken_by_a_server(is_streaming: bool) -> None:
    items: list[Item] = [
        Message("developer", "Be brief."),
        Message("user", [Text("Look:"), Image("data:image/png;base64,iVBORw0KGgo=", "low")]),
        Message(
            "user", [Unknown({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, "chat")]
        ),
        ToolCall("a", "weather", '{"city": "Köln"}'),
        ToolCall("b", "note", "free", "custom"),
        ToolOutput("b", "kept"),
        ToolOutput("a", [Text("Sun"), Image("data:image/png;base64,iVBORw0KGgo=")]),
        Message("assistant", "It is sunny."),
        Message("system", "Now say it again."),
        HELLO,
    ]
    prompt = Prompt(
        items,
        instructions="You are a clerk.",
        tools=[WEATHER, Tool("custom", {"name": "note"})],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
        format=Format("json_schema", {"name": "x", "schema": {"type": "object"}}),
        reasoning_effort="low",
        reasoning_summary="auto",
        stream=is_streaming,
        parameters={"temperature": 0.5, "top_p": 1, "top_k": 3, "stop": ["END"], "seed": -1, "service_tier": "flex"},
    )
    async with scripted() as (asked, _):
        events = await events_of(asked, prompt, "gemini-3.5-flash")

    assert isinstance(events[-1], TurnCompleted)


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_server_gives_several_answers(is_streaming: bool) -> None:
    async with scripted() as (asked, _):
        events = await events_of(asked, Prompt([HELLO], choices=2, stream=is_streaming), "gemini-2.5-flash")

    assert {event.choice for event in events if isinstance(event, ChoiceFinished)} == {0, 1}


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_calls_come_from_a_server_and_their_outputs_go_back_signed(is_streaming: bool) -> None:
    """As a client of Responses does it, that sends back what it was told;
    the server refuses calls without a signature.
    """
    include = frozenset({"reasoning.encrypted_content"})
    async with scripted() as (asked, _):
        first = Prompt([HELLO], tools=[WEATHER], stream=is_streaming, include=include, dialect="responses")
        events = await events_of(asked, first, "thinking")

        seals = [event.content for event in events if isinstance(event, ReasoningEncrypted)]
        call = next(event for event in events if isinstance(event, ToolCallStarted))
        arguments = "".join(event.text for event in events if isinstance(event, ToolArgumentsDelta))
        assert ChoiceFinished(0, "tool_calls") in events
        assert call.name == "weather"
        assert "city" in json.loads(arguments)
        assert len(seals) == 1
        items = [
            HELLO,
            Unknown({"type": "reasoning", "summary": [], "encrypted_content": seals[0]}, "responses"),
            ToolCall(call.call_id, call.name, arguments),
            ToolOutput(call.call_id, "Sun"),
        ]
        again = await events_of(asked, Prompt(items, tools=[WEATHER], dialect="responses"), "thinking")
        unsigned = await events_of(asked, Prompt([HELLO, *items[2:]], tools=[WEATHER]), "thinking")

    for answered in (again, unsigned):
        assert ChoiceFinished(0, "stop") in answered


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_thoughts_come_from_a_server_where_a_summary_is_asked_for(is_streaming: bool) -> None:
    async with scripted() as (asked, _):
        plain = await events_of(asked, Prompt([HELLO], stream=is_streaming), "thinking")
        summed = await events_of(asked, Prompt([HELLO], stream=is_streaming, reasoning_summary="auto"), "thinking")

    assert not any(isinstance(event, ReasoningSummaryDelta) for event in plain)
    assert any(isinstance(event, ReasoningSummaryDelta) for event in summed)
    usage = next(event.usage for event in summed if isinstance(event, UsageReported))
    assert usage.reasoning_tokens
    assert usage.output_tokens > usage.reasoning_tokens


@pytest.mark.parametrize(("script", "reason"), [("length", "max_output_tokens"), ("filtered", "content_filter")])
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_an_answer_that_stops_early_says_why(is_streaming: bool, script: str, reason: Any) -> None:
    async with scripted() as (asked, _):
        events = await events_of(asked, Prompt([HELLO], stream=is_streaming), script)

    assert events[-1] == TurnIncomplete(reason)


async def test_vectors_come_from_a_server() -> None:
    async with scripted() as (asked, _):
        events = await events_of(asked, EmbeddingRequest(["one", "two words"], 8), "gemini-embedding-001")

    assert isinstance(events[0], EmbeddingsProduced)
    for vector in events[0].vectors:
        assert math.isclose(math.hypot(*array("f", vector)), 1.0, rel_tol=1e-5)
    assert [len(vector) for vector in events[0].vectors] == [32, 32]


@pytest.mark.parametrize("status", [500, 503, 429, 401, 403, 404])
async def test_a_servers_failure_is_the_providers(status: int) -> None:
    async with scripted() as (asked, served):
        served.play({"script": f"fault={status}"})
        with pytest.raises(ProviderError) as caught:
            await events_of(asked, Prompt([HELLO], stream=True), "echo")

    assert caught.value.upstream_status == status


async def test_a_server_that_does_not_know_the_key_is_a_provider_that_fails() -> None:
    async with scripted_upstream(api_key="another-key") as served:
        asked = GeminiProvider(served.url, KEY, 5, HandClock())
        with pytest.raises(ProviderError) as caught:
            await events_of(asked, Prompt([HELLO]), "echo")
        await asked.close()

    assert caught.value.upstream_status == 400


@pytest.mark.parametrize(
    "fault",
    ["cut@300", "reset@300", "end@3", "no-finish", "error@3", "failed@3", "bad-json@3", "bad-utf8@3"],
)
async def test_a_stream_that_goes_wrong_is_never_whole(fault: str) -> None:
    async with scripted() as (asked, served):
        served.play({"script": f"words-20:fault={fault}"})
        events: list[Event] = []
        with pytest.raises(ProviderError):
            await events_of(asked, Prompt([HELLO], stream=True), "echo", into=events)

    assert not any(isinstance(event, TurnCompleted | TurnIncomplete) for event in events)


@pytest.mark.parametrize("manner", ["cutsize=1", "crlf", "comments", "usage=each", "usage=missing", "usage=early"])
async def test_how_a_stream_is_sent_changes_nothing_of_what_it_says(manner: str) -> None:
    async with scripted() as (asked, served):
        served.play({"script": f"words-20:{manner}"})
        events = await events_of(asked, Prompt([HELLO], stream=True), "echo")

    assert len(text_of(events).split()) == 20
    assert isinstance(events[-1], TurnCompleted)
    assert any(isinstance(event, UsageReported) for event in events) == (manner != "usage=missing")
    assert not any(isinstance(event, AnnotationAdded) for event in events)
