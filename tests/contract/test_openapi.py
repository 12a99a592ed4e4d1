"""The OpenAPI document: committed as the code makes it, served, complete, and true of every answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any, cast

import httpx2
import jsonschema_rs
import pytest
from starlette.routing import Route

from frontdesk.app import Frontdesk
from frontdesk.core.config import Config, read_environment
from frontdesk.doors.openapi import FAILURES, STREAM_CODES, document
from frontdesk.limits.telling import HEADERS
from frontdesk.storage.database import Database
from frontdesk.wire.openai_answers import ResponseEvent
from frontdesk.wire.openai_chat_shapes import CHAT_REFUSED, ChatCompletionRequest
from frontdesk.wire.openai_embeddings import EmbeddingsAsked
from frontdesk.wire.openai_responses_shapes import (
    CALL_REFUSED,
    ITEMS,
    RESPONSES_REFUSED,
    TOOL_REFUSED,
    TOOLS,
    ResponseRequest,
)
from frontdesk.wire.reading import names_of
from tests.contract.own_document import COMMITTED, OwnDocument
from tests.peers.document import Answer
from tests.serving import ADMIN_KEY, Served
from tools.openapi import PAGE, ROOT, document_text, is_current, main

SOURCES = ROOT / "src" / "frontdesk"


def test_committed_documents_are_what_the_code_makes_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main([]), capsys.readouterr().out) == (0, "")


def test_the_page_has_every_field_event_and_code() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    tables = (CHAT_REFUSED, RESPONSES_REFUSED, CALL_REFUSED, TOOL_REFUSED, TOOLS.refused, ITEMS.refused)
    names = {name for table in tables for name in table}
    names |= names_of(ChatCompletionRequest) | names_of(ResponseRequest) | names_of(EmbeddingsAsked)
    names |= {event.__struct_config__.tag for event in typing.get_args(ResponseEvent)}
    names |= {code for failure in FAILURES.values() for code in failure.codes}

    assert {name for name in names if f"`{name}`" not in page and f"`{name}." not in page} == set()


def test_stale_document_is_found(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(document_text().replace("3.1.0", "3.0.0"))

    assert is_current(COMMITTED, document_text())
    assert not is_current(tmp_path / "openapi.json", document_text())
    assert not is_current(tmp_path / "nothing.json", document_text())


def test_it_is_served_without_a_credential(served: Served) -> None:
    answer = httpx2.get(f"{served.url}/openapi.json")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == json.loads(COMMITTED.read_text())


def test_server_starts_without_making_it() -> None:
    """What only the document needs is not imported by an application that waits for requests."""
    imported = subprocess.run(
        [sys.executable, "-c", "import sys, frontdesk.app; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert "frontdesk.doors.bootstrap" in imported
    assert not {"frontdesk.doors.openapi", "frontdesk.wire.openai_answers"} & set(imported)


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere() -> None:
    content = document()

    assert content["openapi"] == "3.1.0"
    for schema in content["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(content))):
        found: Any = content
        for step in reference.split("/"):
            found = found[step]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"])
def test_what_is_told_of_limits_and_budgets_is_in_it(path: str) -> None:
    content = document()

    responses = content["paths"][path]["post"]["responses"]
    for described in (responses["200"], content["components"]["responses"]["Failure429"]):
        assert {*HEADERS, "frontdesk-notice"} <= set(described["headers"])
        assert not any(described["headers"][name]["required"] for name in HEADERS)


def test_the_notice_of_the_guide_is_one_of_the_document() -> None:
    guide = (ROOT / "docs" / "budgets.md").read_text(encoding="utf-8")
    (notice,) = re.findall(r'```json\n(\{"type": "frontdesk.budget".*?\})\n```', guide, re.DOTALL)
    content = document()
    schema = {"$ref": "#/components/schemas/BudgetNotice", "components": content["components"]}

    assert jsonschema_rs.is_valid(schema, json.loads(notice))
    for path in ("/v1/chat/completions", "/v1/responses"):
        events = content["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]["anyOf"]
        assert {"$ref": "#/components/schemas/BudgetNotice"} in events


@pytest.mark.parametrize(("kind", "schema"), [("waiting", "WaitingNotice"), ("started", "StartedNotice")])
def test_what_those_who_wait_are_told_is_in_the_document(kind: str, schema: str) -> None:
    guide = (ROOT / "docs" / "priority.md").read_text(encoding="utf-8")
    (notice,) = re.findall(rf'```json\n(\{{"type": "frontdesk.{kind}".*?\}})\n```', guide)
    content = document()
    reference = {"$ref": f"#/components/schemas/{schema}"}

    assert jsonschema_rs.is_valid({**reference, "components": content["components"]}, json.loads(notice))
    for path in ("/v1/chat/completions", "/v1/responses"):
        events = content["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]["anyOf"]
        assert reference in events


def test_every_schema_is_used() -> None:
    content = document()

    reached = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(content)))

    assert set(content["components"]["schemas"]) == reached


def test_every_route_is_in_it_and_nothing_else() -> None:
    app = Frontdesk(Config(), read_environment({}), cast("Database", None), is_development=True)
    edge: Any = app.asgi
    routes: list[Route] = edge._rest._router.routes
    there = {("post", path) for path in edge._doors} | {
        (method.lower(), re.sub(r":path}", "}", route.path))
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }

    described = {(method, path) for path, operations in document()["paths"].items() for method in operations}

    assert described == there


def test_every_code_of_an_error_is_told() -> None:
    told = {code for failure in FAILURES.values() for code in failure.codes} | set(STREAM_CODES)
    sources = [path for path in SOURCES.rglob("*.py") if path.parent.name != "upstream"]

    raised = {
        code
        for path in sources
        for code in re.findall(r"""\bcode(?:: str)? ?= ?"([a-z_]+)\"""", path.read_text(encoding="utf-8"))
    }

    assert raised - told == set()


def test_what_is_not_described_is_found() -> None:
    """The check that all contract tests run through finds a field too much, one too few, and an event unheard of."""
    model = {"id": "fast", "object": "model", "created": 1, "owned_by": "frontdesk"}
    part_added = {"type": "response.content_part.added", "sequence_number": 1, "item_id": "msg_1", "output_index": 0}
    own = OwnDocument()

    assert own.check(answer("GET", "/v1/models/fast", model)) == []
    assert len(own.check(answer("GET", "/v1/models/fast", {**model, "surprise": 1}))) == 1
    assert len(own.check(answer("GET", "/v1/models/fast", {"id": "fast"}))) == 3
    assert own.check(answer("GET", "/v1/models/fast", model, 201)) == [
        "GET /v1/models/{model} 201: this status is not described"
    ]
    assert len(own.check(stream("/v1/responses", {**part_added, "content_index": 0}))) == 1
    assert len(own.check(stream("/v1/responses", {"type": "response.surprise", "sequence_number": 0}))) == 1
    assert len(own.check(stream("/v1/chat/completions", {"error": {"message": "no"}}))) == 3


def answer(method: str, path: str, body: Any, status: int = 200) -> Answer:
    return Answer(method, path, status, "application/json", json.dumps(body).encode())


def stream(path: str, event: Any) -> Answer:
    return Answer("POST", path, 200, "text/event-stream; charset=utf-8", f"data: {json.dumps(event)}\n\n".encode())


def test_routes_beside_openais_answer_as_described(served: Served) -> None:
    own = OwnDocument()
    secret = {"Authorization": f"Bearer {ADMIN_KEY}"}

    def ask(method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
        said = httpx2.request(method, served.url + path, headers=headers or {}, **options)
        seen = Answer(method, path, said.status_code, said.headers["content-type"], said.content)
        assert own.check(seen) == []
        return said.status_code, said.json()

    asked = {"user": "openapi", "tier": "free", "refreshable": True}
    status, session = ask("POST", "/api/sessions", secret, json=asked)
    assert status == 200
    mine = {"Authorization": f"Bearer {session['token']}"}
    status, chat = ask("POST", "/v1/chat/completions", mine, json={"messages": [{"role": "user", "content": "Hi"}]})
    assert status == 200
    assert ask("GET", f"/api/receipts/{chat['id']}", mine)[0] == 200
    assert ask("GET", "/api/receipts/resp_none", mine)[0] == 404
    status, key = ask("POST", "/api/admin/keys", secret, json={"name": "openapi", "scopes": ["turns"]})
    assert status == 200
    for path in ("/api/me", "/api/sessions/current", "/api/users/openapi/sessions", "/api/usage?group_by=user,day"):
        assert ask("GET", path, mine)[0] == 200
    for path in (
        "/api/me",
        "/api/usage",
        "/api/usage?group_by=provider,hour,role",
        "/api/usage/output_limits",
        f"/api/receipts/{chat['id']}",
        "/api/admin/prices",
        "/api/admin/prices/scripted/echo",
        "/api/admin/routes",
        "/api/admin/alerts",
        "/api/admin/users?limit=1",
        "/api/admin/users/openapi",
        "/api/admin/keys",
    ):
        assert ask("GET", path, secret)[0] == 200
    assert ask("POST", "/api/sessions/refresh", json={"refresh_token": session["refresh_token"]})[0] == 200
    assert ask("POST", "/api/sessions/refresh", json={})[0] == ask("GET", "/api/sessions/refresh")[0] == 401
    assert ask("POST", "/api/sessions/upgrade", mine, json={"anonymous_token": session["token"]})[0] == 400
    assert ask("PATCH", "/api/admin/users/openapi", secret, json={"tier": None})[0] == 200
    assert ask("DELETE", f"/api/admin/keys/{key['id']}", secret)[0] == 200
    assert ask("GET", "/api/admin/keys", mine)[0] == 403
    assert ask("GET", "/healthz")[0] == ask("GET", "/readyz")[0] == ask("GET", "/api/bootstrap")[0] == 200
    assert ask("DELETE", f"/api/sessions/{session['id']}", secret)[0] == 200
    assert ask("DELETE", "/api/users/openapi/sessions", secret)[0] == 200
    assert ask("DELETE", "/api/sessions", secret)[0] == 200
    assert ask("DELETE", "/api/sessions/none", secret)[0] == 404
    assert ask("POST", "/api/sessions", secret, json={"tier": "free"})[0] == 400
    assert ask("POST", "/api/sessions", json={})[0] == 401
    assert ask("GET", "/v1/nowhere", secret)[0] == 404
    assert ask("PUT", "/v1/responses", secret)[0] == 405
    assert len(own.checked) >= 16
