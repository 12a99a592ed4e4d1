"""What of a configuration becomes of its routes, and what operators are told of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.core.config import parse_config, read_environment
from frontdesk.wiring.providers import Providers
from frontdesk.wiring.routing import Routing
from tests.edges.raw import RawConnection, ask, post
from tests.fakes import HandClock
from tests.serving import ADMIN_KEY, serving
from tests.upstreams import ScriptedUpstream, scripted_upstream

SETTINGS = """
providers:
  up: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", retries: {most: 1, budget: 0.5}, first_event_s: 3,
       attempt_s: 9, slots: {concurrent: 4}}
  here: {kind: local, model: smollm2-135m}
  play: {kind: scripted}
models:
  one: {route: [up/a, {up/b: 1, here/smollm2-135m: 3}], shadow: {to: play/echo}}
  two: {route: [up/a, play/echo]}
default_model: one
"""


async def test_a_route_is_one_thing_however_many_models_have_it() -> None:
    config, clock = parse_config(SETTINGS, {}), HandClock()
    providers = Providers(config, read_environment({}), clock)
    try:
        routing = Routing(config, providers, clock)
        routes = routing._routes

        assert [each.name for each in routing.routes] == ["up/a", "here/smollm2-135m", "up/b", "play/echo"]
        up_a, up_b, here, play = (routes[name] for name in ("up/a", "up/b", "here/smollm2-135m", "play/echo"))
        assert routing.router()._routes["one"][0] is routing.router()._routes["two"][0] is up_a
        assert up_a.breaker is not up_b.breaker
        assert up_a.slots is up_b.slots is not None
        assert up_a.budget is up_b.budget
        assert (up_a.retries.most, up_a.first_event_s, up_a.attempt_s) == (1, 3, 9)
        assert (here.retries.most, here.breaker, here.slots) == (0, None, None)
        assert (play.retries.most, play.slots) == (2, None)
        assert play.breaker is not None
    finally:
        await providers.close()


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


async def test_operators_see_how_routes_are(tmp_path: Path, up: ScriptedUpstream) -> None:
    fields = {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-routes"}
    breaker = {"least": 3, "open_s": 60}
    settings: dict[str, Any] = {
        "providers": {
            "bad": {**fields, "retries": {"most": 0}, "breaker": breaker},
            "good": {**fields, "slots": {"concurrent": 4, "spare": 1}},
        },
        "models": {"fast": {"route": ["bad/echo:fault=500", "good/echo"]}},
        "default_model": "fast",
    }
    with serving(tmp_path, settings) as served:
        body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
        answers = [await ask(served, post("/v1/chat/completions", body)) for _ in range(5)]
        _, told = await ask(served, _get("/api/admin/routes", ADMIN_KEY))
        _, health = await ask(served, _get("/readyz"))
        await RawConnection.close_all()
        log = served.log

    assert [status for status, _ in answers] == [200] * 5
    assert len(up.journal()) == 3 + 5
    bad, good = told["data"]
    assert (bad["route"], bad["provider"], bad["model"]) == ("bad/echo:fault=500", "bad", "echo:fault=500")
    assert (bad["health"], bad["state"], bad["failures"], bad["attempts"]) == ("resting", "open", 3, 3)
    assert 55 < bad["rests_s"] <= 60
    assert bad["first_event_s"] == {"count": 0, "p50": None, "p99": None}
    assert (good["health"], good["state"], good["failures"], good["attempts"]) == ("ok", "closed", 0, 5)
    assert good["slots"] == {"concurrent": 4, "spare": 1, "in_use": 0, "waiting": 0, "shed": 0}
    assert good["first_event_s"]["count"] == 5
    assert 0 < good["first_event_s"]["p50"] <= good["first_event_s"]["p99"]
    assert health == {
        "status": "ok",
        "store": "ok",
        "ledger": "ok",
        "limits": "alone",
        "routes": {"ok": 1, "resting": 1},
        "local_models": {},
    }
    assert log.count("route_resting") == 1


async def test_where_every_route_rests_the_caller_is_told_when_to_come_back(
    tmp_path: Path, up: ScriptedUpstream
) -> None:
    fields = {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-routes"}
    provider = {**fields, "retries": {"most": 0}, "breaker": {"least": 2, "open_s": 40}}
    settings: dict[str, Any] = {
        "providers": {"bad": provider},
        "models": {"fast": {"route": ["bad/echo:fault=503"]}},
        "default_model": "fast",
    }
    with serving(tmp_path, settings) as served:
        body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
        connection = await RawConnection.open(served)
        seen: list[tuple[int, str]] = []
        headers: dict[str, str] = {}
        for _ in range(3):
            connection.send(post("/v1/chat/completions", body))
            status, headers, answer = await connection.answer()
            seen.append((status, json.loads(answer)["error"]["code"]))
        await served.until_rows("select count(*) from turn where status = 'failed'", [(3,)])
        await served.until_rows("select count(*) from attempt", [(2,)])
        await RawConnection.close_all()

    assert seen == [(502, "provider_error"), (502, "provider_error"), (503, "provider_unavailable")]
    assert 30 < int(headers["retry-after"]) <= 40
    assert len(up.journal()) == 2


def _get(path: str, key: str | None = None) -> bytes:
    authorization = "" if key is None else f"authorization: Bearer {key}\r\n"
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}\r\n".encode()


async def test_who_is_slow_is_given_up_and_let_go(tmp_path: Path, up: ScriptedUpstream) -> None:
    fields = {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-routes"}
    settings: dict[str, Any] = {
        "providers": {
            "silent": {**fields, "first_event_s": 0.2},
            "endless": {**fields, "attempt_s": 0.6},
            "good": fields,
        },
        "models": {
            "late": {"route": ["silent/words-3:ttft=60000", "good/words-2"]},
            "long": {"route": ["endless/words-200:pace=200", "good/words-2"]},
        },
        "default_model": "late",
    }
    with serving(tmp_path, settings) as served:
        connection = await RawConnection.open(served)
        told: list[bytes] = []
        for model in ("late", "long"):
            body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
            connection.send(post("/v1/chat/completions", json.dumps(body).encode()))
            status, _, answer = await connection.answer()
            assert status == 200
            told.append(answer)
        await served.until_rows("select count(*) from turn where status <> 'running'", [(2,)])
        rows = served.rows(
            "select provider, purpose, status, error_code, usage_source from attempt order by started_at_ms, number"
        )
        await RawConnection.close_all()
    await up.until_idle()

    late, long = told
    assert b"word1" in late
    assert b"word2" not in late
    assert late.endswith(b"data: [DONE]\n\n")
    assert b"word0" in long
    assert json.loads(long.rstrip().rpartition(b"data: ")[2])["error"]["code"] == "provider_timeout"
    assert rows == [
        ("silent", "first", "failed", "provider_timeout", "counted"),
        ("good", "fallback", "completed", None, "reported"),
        ("endless", "first", "failed", "provider_timeout", "counted"),
    ]
    assert [record.ended for record in up.journal()] == ["hung_up", "whole", "hung_up"]
