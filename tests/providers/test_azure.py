"""Azure's addresses and keys, and what it says beside answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import pytest

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.azure import azure_endpoints, open_azure
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.turn.events import EmbeddingsProduced, Event, TextDelta
from frontdesk.turn.items import EmbeddingRequest, Message, Prompt, Request
from tests.fakes import HandClock
from tests.providers import recorded, recorded_responses

KEY = "azure-test-secret"
DATED = "2025-04-01-preview"
WORDS = "Grüße, 世界 🛎️\n"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://r.openai.azure.com",
        "https://r.openai.azure.com/",
        "https://r.openai.azure.com/openai",
        "https://r.openai.azure.com/openai/v1",
        "https://r.openai.azure.com/openai/v1/",
        "https://r.openai.azure.com/openai/deployments/d",
    ],
)
def test_an_address_may_be_any_that_the_portal_shows(base_url: str) -> None:
    v1 = azure_endpoints(base_url, None)
    dated = azure_endpoints(base_url, DATED)

    assert v1.base_url == "https://r.openai.azure.com/openai/v1"
    assert dated.base_url == "https://r.openai.azure.com/openai"


@pytest.mark.parametrize("version", [None, "v1", "latest"])
def test_v1_has_openais_paths(version: str | None) -> None:
    endpoints = azure_endpoints("https://r.openai.azure.com", version)

    assert endpoints.of_model("chat/completions", "d") == "chat/completions"
    assert endpoints.of_server("responses") == "responses"


def test_previews_of_v1_are_asked_for_by_a_query() -> None:
    endpoints = azure_endpoints("https://r.openai.azure.com", "preview")

    assert endpoints.of_model("embeddings", "d") == "embeddings?api-version=preview"


def test_a_dated_version_has_the_deployment_in_its_paths() -> None:
    endpoints = azure_endpoints("https://r.openai.azure.com", DATED)

    assert endpoints.of_model("chat/completions", "a b/c") == (
        f"deployments/a%20b%2Fc/chat/completions?api-version={DATED}"
    )
    assert endpoints.of_server("responses") == f"responses?api-version={DATED}"


class Resource:
    """A resource of Azure's on a socket: what each path answers, and what was asked."""

    def __init__(self, answers: dict[str, tuple[int, bytes]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.heads: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        path = head.split(b" ")[1].decode()
        self.heads.append(head.decode())
        self.asked.append((path, json.loads(await reader.readexactly(length))))
        status, body = self._answers.get(path, (404, b'{"error":{"code":"404","message":"Resource not found"}}'))
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def resource(
    answers: dict[str, tuple[int, bytes]],
    version: str | None = None,
    api: Literal["auto", "chat", "responses"] = "auto",
) -> AsyncIterator[tuple[OpenAIProvider, Resource]]:
    served = Resource(answers)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = open_azure(f"http://127.0.0.1:{port}/", KEY, version, 5, HandClock(), api=api)
    try:
        yield asked, served
    finally:
        await asked.close()
        server.close()


async def events_of(asked: OpenAIProvider, request: Request) -> list[Event]:
    events: list[Event] = []
    async with aclosing(asked.answer(request, "my-deployment")) as batches:
        async for batch in batches:
            events.extend(batch)
    return events


def words_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def prompt(dialect: Literal["chat", "responses"] = "chat", **more: Any) -> Prompt:
    return Prompt([Message("developer", "Be brief."), Message("user", "x")], stream=True, dialect=dialect, **more)


async def test_v1_is_asked_as_openai_with_a_key_of_its_own() -> None:
    path = "/openai/v1/chat/completions"

    async with resource({path: (200, recorded.AZURE)}) as (asked, served):
        assert words_of(await events_of(asked, prompt(max_output_tokens=9))) == "Hi."

    ((_, body),) = served.asked
    assert (body["model"], body["max_completion_tokens"]) == ("my-deployment", 9)
    assert f"api-key: {KEY}\r\n" in served.heads[0]
    assert "authorization" not in served.heads[0].lower()


async def test_v1_speaks_the_callers_dialect() -> None:
    answers = {"/openai/v1/responses": (200, recorded_responses.TEXT)}

    async with resource(answers) as (asked, _):
        assert words_of(await events_of(asked, prompt("responses"))) == WORDS


async def test_a_model_without_responses_is_asked_by_chat_and_others_are_not() -> None:
    refused = b'{"error":{"code":"OperationNotSupported","message":"The requested operation is unsupported."}}'
    answers = {"/openai/v1/responses": (400, refused), "/openai/v1/chat/completions": (200, recorded.TEXT)}

    async with resource(answers) as (asked, served):
        for _ in range(2):
            assert words_of(await events_of(asked, prompt("responses"))) == WORDS

    assert [path for path, _ in served.asked] == ["/openai/v1/responses", "/openai/v1/chat/completions"] * 2


async def test_another_400_is_the_callers_matter() -> None:
    body = b'{"error":{"code":"content_filter","message":"Filtered.","param":"prompt","innererror":{"code":"X"}}}'

    async with resource({"/openai/v1/responses": (400, body)}) as (asked, served):
        with pytest.raises(BadRequest) as caught:
            await events_of(asked, prompt("responses"))

    assert (caught.value.code, caught.value.message) == ("content_filter", "Filtered.")
    assert len(served.asked) == 1


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_a_dated_version_is_asked_by_chat(dialect: Literal["chat", "responses"]) -> None:
    path = f"/openai/deployments/my-deployment/chat/completions?api-version={DATED}"

    async with resource({path: (200, recorded.AZURE)}, DATED) as (asked, served):
        assert words_of(await events_of(asked, prompt(dialect))) == "Hi."

    ((_, body),) = served.asked
    assert [message["role"] for message in body["messages"]] == ["developer", "user"]


async def test_a_dated_version_has_responses_where_it_is_told_so() -> None:
    path = f"/openai/responses?api-version={DATED}"

    async with resource({path: (200, recorded_responses.TEXT)}, DATED, "responses") as (asked, _):
        assert words_of(await events_of(asked, prompt())) == WORDS


@pytest.mark.parametrize(
    ("version", "role", "limit", "has_options"),
    [
        ("2024-06-01", "system", "max_tokens", False),
        ("2024-10-21", "system", "max_completion_tokens", True),
        ("2024-12-01-preview", "developer", "max_completion_tokens", True),
    ],
)
async def test_an_old_version_is_not_asked_for_what_came_later(
    version: str, role: str, limit: str, has_options: bool
) -> None:
    path = f"/openai/deployments/my-deployment/chat/completions?api-version={version}"

    async with resource({path: (200, recorded.TEXT)}, version) as (asked, served):
        await events_of(asked, prompt(max_output_tokens=9))

    ((_, body),) = served.asked
    assert body["messages"][0]["role"] == role
    assert body[limit] == 9
    assert ("stream_options" in body) is has_options


async def test_embeddings_of_a_dated_version_are_below_the_deployment() -> None:
    path = f"/openai/deployments/my-deployment/embeddings?api-version={DATED}"
    body = json.dumps({"data": [{"index": 0, "embedding": [0.5]}], "usage": recorded.TOTALS}).encode()

    async with resource({path: (200, body)}, DATED) as (asked, _):
        (produced, *_) = await events_of(asked, EmbeddingRequest(["x"]))

    assert isinstance(produced, EmbeddingsProduced)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"statusCode": 401, "message": "Unauthorized. Access token is missing, invalid or expired."}'),
        (404, b'{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}'),
        (429, b'{"error":{"code":"429","message":"Requests have exceeded call rate limit."}}'),
    ],
)
@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_what_an_operator_must_settle_is_the_providers_matter(
    status: int, body: bytes, dialect: Literal["chat", "responses"]
) -> None:
    paths = ("/openai/v1/chat/completions", "/openai/v1/responses")

    async with resource(dict.fromkeys(paths, (status, body))) as (asked, served):
        with pytest.raises(ProviderError) as caught:
            await events_of(asked, prompt(dialect))

    assert caught.value.upstream_status == status
    assert len(served.asked) == 1
