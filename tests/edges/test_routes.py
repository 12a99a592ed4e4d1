"""The routes beside the doors, over a socket: who leaves early, who asks twice, and what is not there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving


@pytest.fixture(autouse=True)
async def nothing_stays_open() -> Any:
    yield
    await RawConnection.close_all()


def bare(method: str, path: str, *authorizations: str) -> bytes:
    """A request without a body, with as many credentials as one likes."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "content-length: 0"]
    lines += [f"authorization: Bearer {token}" for token in authorizations]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("path", ["/api/sessions", "/v1/chat/completions"])
async def test_a_client_that_leaves_within_a_body_leaves_no_trace(served: Served, path: str) -> None:
    before = len(served.lines)
    connection = await RawConnection.open(served)
    connection.send(post(path, b"x" * 100)[:-50])
    await asyncio.sleep(0.2)

    connection.hang_up()
    await asyncio.sleep(0.2)

    assert await ask(served, bare("GET", "/healthz")) == (200, {"status": "ok"})
    assert [line for line in served.lines[before:] if "frontdesk.http" in line or "Traceback" in line] == []


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/api/sessions", "/api/users/u/sessions"])
async def test_two_credentials_are_refused(served: Served, path: str) -> None:
    method = {"/v1/models": "GET", "/api/users/u/sessions": "DELETE"}.get(path, "POST")

    for tokens in ((ADMIN_KEY, "x"), ("x", ADMIN_KEY), (ADMIN_KEY, ADMIN_KEY)):
        status, body = await ask(served, bare(method, path, *tokens))
        assert (status, body["error"]["code"]) == (400, "duplicate_header")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("POST", "/v1/videos", 404, "unknown_url", None),
        ("GET", "/v1/nothing", 404, "unknown_url", None),
        ("GET", "/v1/chat/completions/", 404, "unknown_url", None),
        ("POST", "/api/sessions/", 404, "unknown_url", None),
        ("GET", "/nothing.html", 404, "unknown_url", None),
        ("GET", "/v1/embeddings", 405, "method_not_allowed", "POST"),
        ("DELETE", "/v1/responses", 405, "method_not_allowed", "POST"),
        ("OPTIONS", "/v1/embeddings", 405, "method_not_allowed", "POST"),
        ("GET", "/api/sessions", 405, "method_not_allowed", "DELETE, POST"),
        ("POST", "/v1/models", 405, "method_not_allowed", "GET, HEAD"),
    ],
)
async def test_what_is_not_there_and_what_answers_otherwise(
    served: Served, method: str, path: str, status: int, code: str, allow: str | None
) -> None:
    connection = await RawConnection.open(served)
    connection.send(bare(method, path, ADMIN_KEY))

    answered, headers, body = await connection.answer()

    assert (answered, json.loads(body)["error"]["code"], headers.get("allow")) == (
        status,
        code,
        None if allow is None else allow.lower(),  # the helper writes whole lines small
    )


async def test_a_user_with_a_slash_can_be_logged_out(served: Served) -> None:
    status, session = await ask(served, post("/api/sessions", b'{"user": "org/u1"}'))
    assert status == 200

    status, body = await ask(served, bare("DELETE", "/api/users/org%2Fu1/sessions", ADMIN_KEY))

    assert (status, body) == (200, {"user": "org/u1", "sessions_ended": 1})
    status, body = await ask(served, bare("GET", "/v1/models", session["token"]))
    assert (status, body["error"]["code"]) == (401, "token_revoked")


async def test_an_address_begins_only_so_many_anonymous_sessions(tmp_path: Path) -> None:
    auth = {"anonymous": True, "anonymous_sessions_per_hour": 2}
    with serving(tmp_path, {**SCRIPTED, "auth": auth}) as server:
        statuses = [(await ask(server, post("/api/sessions", b"{}", token=None)))[0] for _ in range(2)]
        connection = await RawConnection.open(server)
        connection.send(post("/api/sessions", b"{}", token=None))
        status, headers, body = await connection.answer()
        of_server, _ = await ask(server, post("/api/sessions", b'{"user": "u1"}'))
        await RawConnection.close_all()

    assert statuses == [200, 200]
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1795 <= int(headers["retry-after"]) <= 1800
    assert of_server == 200
