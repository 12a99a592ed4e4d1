"""GET /api/receipts/{response_id}: what it tells, and whom."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.receipts.routes import ReceiptRoutes
from frontdesk.receipts.service import Receipts
from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk, desk_of
from tests.feedback.desk import token_of
from tests.reports.rows import JULY_MS, a_turn, an_attempt, keep

CONTEXT = {"strategy": "window", "items": 2, "budget": 900, "left_out": [{"why": "window", "items": 4, "tokens": 70}]}
TURN: dict[str, Any] = {
    "credential": "sess_1",
    "status": "incomplete",
    "first_event_at_ms": JULY_MS + 1_500,
    "finished_at_ms": JULY_MS + 3_999,
    "input_tokens": 100,
    "output_tokens": 64,
    "cached_tokens": 40,
    "reasoning_tokens": 0,
    "usage_source": "reported",
    "cost_micros": 1_234,
    "prompt": "0123456789ab",
    "max_output_tokens": 64,
    "context": json.dumps(CONTEXT),
}
TOLD = {
    "id": "resp_1",
    "object": "receipt",
    "feature": "chat",
    "model": "fast",
    "status": "incomplete",
    "error_code": None,
    "started_at": JULY_MS // 1000,
    "first_event_at": JULY_MS // 1000 + 1,
    "finished_at": JULY_MS // 1000 + 3,
    "usage": {
        "input_tokens": 100,
        "cached_tokens": 40,
        "cache_write_tokens": None,
        "output_tokens": 64,
        "reasoning_tokens": 0,
    },
    "usage_source": "reported",
    "max_output_tokens": 64,
    "context": CONTEXT,
}
FAILED = {"status": "failed", "error_code": "provider_overloaded", "http_status": 529, "cost_source": None}
ANSWERED = {
    "number": 2,
    "provider": "local",
    "model": "smol",
    "purpose": "fallback",
    "status": "incomplete",
    "first_event_at_ms": JULY_MS + 1_500,
    "finished_at_ms": JULY_MS + 3_999,
    "input_tokens": 100,
    "output_tokens": 64,
    "cached_tokens": 40,
    "audio_input_tokens": 3,
    "usage_source": "reported",
    "raw_usage": '{"secret": 1}',
    "cost_micros": 1_234,
    "price": "operator's",
}


@asynccontextmanager
async def receipt_desk(database: Database, folder: Path) -> AsyncIterator[Desk]:
    """The route of receipts, and nothing else but accounts behind it; u1 has the turn resp_1."""
    async with desk_of(database, folder) as desk:
        routes = ReceiptRoutes(Receipts(database, desk.clock), desk.gate).routes()
        desk.application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]
        attempts = [an_attempt("resp_1", **FAILED), an_attempt("resp_1", **ANSWERED)]
        await keep(database, [a_turn("resp_1", **TURN), a_turn("resp_2", tenant="acme")], attempts)
        yield desk


async def test_a_person_is_told_what_became_of_their_own(database: Database, tmp_path: Path) -> None:
    async with receipt_desk(database, tmp_path) as desk:
        answer = await desk.ask("GET", "/api/receipts/resp_1", bearer=await token_of(desk))

    assert (answer.status, answer.body) == (200, TOLD)
    assert answer.headers["cache-control"] == "no-store"


async def test_an_operator_is_told_how_it_was_answered_as_well(database: Database, tmp_path: Path) -> None:
    async with receipt_desk(database, tmp_path) as desk:
        answer = await desk.ask("GET", "/api/receipts/resp_1", bearer=ADMIN_KEY)

    told = answer.body
    failed, answered = told.pop("attempts")
    assert told == {**TOLD, "cost_usd": 0.001234}
    assert answered == {
        "number": 2,
        "provider": "local",
        "provider_model": "smol",
        "purpose": "fallback",
        "status": "incomplete",
        "error_code": None,
        "started_at": JULY_MS // 1000,
        "first_event_at": JULY_MS // 1000 + 1,
        "finished_at": JULY_MS // 1000 + 3,
        "http_status": None,
        "usage": {
            "input_tokens": 100,
            "cached_tokens": 40,
            "cache_write_tokens": None,
            "output_tokens": 64,
            "reasoning_tokens": None,
            "audio_input_tokens": 3,
            "image_input_tokens": None,
            "tool_tokens": None,
            "audio_output_tokens": None,
            "image_output_tokens": None,
        },
        "usage_source": "reported",
        "cost_usd": 0.001234,
        "cost_source": "usage",
    }
    assert (failed["error_code"], failed["http_status"], failed["cost_usd"]) == ("provider_overloaded", 529, None)


async def test_what_says_nothing_is_null(database: Database, tmp_path: Path) -> None:
    """As of a turn that runs, and of rows that are older than what they might say."""
    async with receipt_desk(database, tmp_path) as desk:
        await keep(database, [a_turn("resp_3", status="running", feature=None, model=None)])
        told = (await desk.ask("GET", "/api/receipts/resp_3", bearer=ADMIN_KEY)).body

    assert (told["status"], told["attempts"]) == ("running", [])
    for name in ("feature", "model", "first_event_at", "finished_at", "usage_source", "max_output_tokens", "context"):
        assert told[name] is None
    assert set(told["usage"].values()) == {None}


async def test_anothers_is_told_of_as_one_that_never_was(database: Database, tmp_path: Path) -> None:
    async with receipt_desk(database, tmp_path) as desk:
        server = (await desk.accounts.create_key("default", "test", "server", None, None))[1]
        for bearer in (await token_of(desk, "u2"), server):
            theirs, nobodys = [
                (await desk.ask("GET", f"/api/receipts/{response_id}", bearer=bearer)).body["error"]
                for response_id in ("resp_1", "resp_9")
            ]
            assert theirs["code"] == "response_not_found"
            assert str(nobodys).replace("resp_9", "resp_1") == str(theirs)
        of_tenant = await desk.ask("GET", "/api/receipts/resp_2", bearer=ADMIN_KEY)

    assert (of_tenant.status, of_tenant.body["error"]["code"]) == (404, "response_not_found")


@pytest.mark.parametrize(
    ("role", "scopes", "code"),
    [("reviewer", None, "forbidden"), ("operator", {"usage"}, "missing_scope"), ("operator", {"turns"}, None)],
)
async def test_who_may_ask(
    database: Database, tmp_path: Path, role: Any, scopes: set[str] | None, code: str | None
) -> None:
    async with receipt_desk(database, tmp_path) as desk:
        given = None if scopes is None else frozenset(scopes)
        key = (await desk.accounts.create_key("default", "test", role, given, None))[1]
        answer = await desk.ask("GET", "/api/receipts/resp_1", bearer=key)
        of_nobody = await desk.ask("GET", "/api/receipts/resp_1")

    assert (answer.status, None if code is None else answer.body["error"]["code"]) == (403 if code else 200, code)
    assert of_nobody.status == 401
