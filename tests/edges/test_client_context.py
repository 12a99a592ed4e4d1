"""Frontdesk-Context on a real server: the model is told of it, and nothing else keeps it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.edges.raw import RawConnection, ask, post
from tests.serving import Served, serving
from tests.upstreams import ScriptedUpstream, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = "https://app.example.com"
CONTEXT = 'locale="de-CH", time_zone="Asia/Kathmandu", location="47.376812,8.541694";consent, screen="checkout-7"'
EXACT = ("47.3768", "8.5416")
SAID = ("de-CH", "Asia/Kathmandu", "47.4,8.5", "checkout-7")
FEATURE: dict[str, Any] = {
    "instructions": "They speak {{language}}, it is {{zone.now}} in {{zone}}, near {{place}}, on {{where}}.",
    "variables": {
        "language": {"type": "locale", "default": "en"},
        "zone": {"type": "time_zone", "default": "UTC"},
        "place": {"type": "location", "default": "an unknown place"},
        "where": {"type": "screen", "default": "the start"},
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    settings = {
        "providers": {"up": {"kind": "openai", "base_url": f"{upstream.url}/v1", "api_key": "sk-upstream-secret"}},
        "models": {"fast": {"route": ["up/echo"]}, "vectors": {"route": ["up/embed"], "kind": "embeddings"}},
        "default_model": "fast",
        "features": {"desk": FEATURE, "plain": {}},
        "default_feature": "plain",
        "cors": {"origins": [APP]},
    }
    with serving(tmp_path_factory.mktemp("context"), settings) as running:
        yield running
        await RawConnection.close_all()
        assert await asyncio.to_thread(running.stop) == 0
        assert "Traceback" not in running.log
        assert [each for each in SAID if each in running.log] == []
        kept = "".join(file.read_bytes().decode("latin-1") for file in running.folder.glob("frontdesk.db*"))
        assert [each for each in EXACT if each in kept + running.log] == []


async def answer_of(
    served: Served, upstream: ScriptedUpstream, body: dict[str, Any], context: str | None, path: str = "/v1/responses"
) -> tuple[int, dict[str, Any], str]:
    """What is answered to a person, and what the provider was told last."""
    _, session = await ask(served, post("/api/sessions", b'{"user": "u1"}'))
    headers = {} if context is None else {"frontdesk-context": context}
    since = max((record.id for record in upstream.journal()), default=0)
    status, answered = await ask(served, post(path, json.dumps(body).encode(), session["token"], **headers))
    told = [bytes(record.body).decode() for record in upstream.journal(since) if record.body]  # type: ignore[arg-type]
    return status, answered, told[-1] if told else ""


@pytest.mark.parametrize("store", [False, True])
async def test_the_model_is_told_and_the_exact_place_is_not(
    served: Served, upstream: ScriptedUpstream, store: bool
) -> None:
    body = {"input": "Hi", "store": store, "metadata": {"feature": "desk"}}
    status, answered, told = await answer_of(served, upstream, body, CONTEXT)

    assert status == 200, answered
    assert "They speak de-CH, it is" in told
    assert "(UTC+05:45) in Asia/Kathmandu, near 47.4,8.5, on checkout-7." in told
    assert [each for each in SAID if each in json.dumps(answered)] == []
    await served.until_rows(f"select status from turn where id = '{answered['id']}'", [("completed",)])
    rows = served.rows("select * from turn") + served.rows("select * from attempt")
    assert [each for each in SAID if each in str(rows)] == []


async def test_chats_are_told_as_well(served: Served, upstream: ScriptedUpstream) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"feature": "desk"}}
    status, answered, told = await answer_of(served, upstream, body, CONTEXT, "/v1/chat/completions")

    assert status == 200, answered
    assert "near 47.4,8.5, on checkout-7." in told


async def test_without_consent_nobody_is_told_where_they_are(served: Served, upstream: ScriptedUpstream) -> None:
    body = {"input": "Hi", "metadata": {"feature": "desk"}}
    status, _, told = await answer_of(served, upstream, body, CONTEXT.replace(";consent", ""))

    assert status == 200
    assert "near an unknown place, on checkout-7." in told


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/embeddings", {"input": "Hi", "model": "vectors"}),
    ],
)
async def test_an_app_may_send_it_to_everything(
    served: Served, upstream: ScriptedUpstream, path: str, body: dict[str, Any]
) -> None:
    context = f"{CONTEXT}, battery=0.8, tags=(a b)"
    status, answered, told = await answer_of(served, upstream, body, context, path)

    assert status == 200, answered
    assert [each for each in SAID if each in told] == []


async def test_what_is_wrong_is_named(served: Served, upstream: ScriptedUpstream) -> None:
    body = {"input": "Hi", "metadata": {"feature": "desk"}}
    malformed = await answer_of(served, upstream, body, "locale=de, time_zone=")
    unknown = await answer_of(served, upstream, body, 'time_zone="Mars/Olympus"')

    assert [(status, answered["error"]["code"], told) for status, answered, told in (malformed, unknown)] == [
        (400, "invalid_context", ""),
        (400, "invalid_variable", ""),
    ]
    assert "Frontdesk-Context" in malformed[1]["error"]["message"]
    assert unknown[1]["error"]["param"] == "variables.zone"


async def test_a_page_of_the_app_may_send_it(served: Served) -> None:
    connection = await RawConnection.open(served)
    connection.send(
        b"OPTIONS /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: https://app.example.com\r\n"
        b"access-control-request-method: POST\r\naccess-control-request-headers: frontdesk-context\r\n\r\n"
    )
    status, headers, _ = await connection.answer()

    assert (status, headers["access-control-allow-headers"]) == (200, "frontdesk-context")
