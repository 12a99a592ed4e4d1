"""Every malformed, oversized, forged or slow request gets its own clear error, and the server goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from frontdesk.accounts.tokens import Claims, TokenSigner
from tests.edges.raw import RawConnection, ask, post
from tests.serving import Served, chat_body

DOORS = ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"]


def request_of(door: str, **fields: Any) -> bytes:
    """A good request for a door, with some fields replaced."""
    good: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"model": "fast", "messages": [{"role": "user", "content": "x"}]},
        "/v1/responses": {"model": "fast", "input": "x"},
        "/v1/embeddings": {"model": "embed", "input": "x"},
    }
    return json.dumps({**good[door], **fields}).encode()


@pytest.fixture(autouse=True)
async def server_goes_on(served: Served) -> Any:
    """Whatever a test sent, the next request works."""
    yield
    status, body = await ask(served, post("/v1/chat/completions", chat_body()))
    assert (status, body["choices"][0]["message"]["content"]) == (200, "hello there")
    assert "route_broke" not in served.log
    await RawConnection.close_all()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'"text"', "invalid_json"),
        (b'{"model": "fast", "input": \xff\xfe}', "invalid_json"),
        (b'{"model": "\xed\xa0\x80"}', "invalid_json"),
        (b'{"input":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "invalid_json"),
        (b'{"messages":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "invalid_json"),
        (b'{"input":' + b"[" * 600 + b"]" * 600 + b"}", "invalid_json"),
        (b'{"messages":' + b'{"a":' * 900 + b"1" + b"}" * 901, "invalid_json"),
        (b'{"input": [' + b"{}," * 200_000 + b"{}]}", "too_complex"),
        (b"{}", "missing_required_parameter"),
    ],
)
async def test_malformed_bodies(served: Served, door: str, body: bytes, code: str) -> None:
    status, answer = await ask(served, post(door, body))

    assert status == 400
    assert answer["error"]["code"] == code
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("door", "fields", "param"),
    [
        ("/v1/chat/completions", {"messages": "hello"}, "messages"),
        ("/v1/chat/completions", {"messages": []}, "messages"),
        ("/v1/chat/completions", {"messages": [7]}, "messages[0]"),
        ("/v1/chat/completions", {"messages": [{"content": "x"}]}, "messages[0].role"),
        ("/v1/chat/completions", {"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}, "messages[0].content"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        ("/v1/chat/completions", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ("/v1/chat/completions", {"model": 7}, "model"),
        ("/v1/chat/completions", {"model": "x\n2026-01-01 ERROR forged"}, "model"),
        ("/v1/chat/completions", {"model": "x" * 201}, "model"),
        ("/v1/chat/completions", {"stream": "yes"}, "stream"),
        ("/v1/chat/completions", {"n": 0}, "n"),
        ("/v1/chat/completions", {"max_tokens": 0}, "max_tokens"),
        ("/v1/chat/completions", {"max_tokens": "many"}, "max_tokens"),
        ("/v1/chat/completions", {"tools": [{"type": "function"}]}, "tools[0].function"),
        ("/v1/chat/completions", {"tool_choice": "perhaps"}, "tool_choice"),
        ("/v1/chat/completions", {"response_format": {"type": "xml"}}, "response_format.type"),
        ("/v1/chat/completions", {"metadata": {"feature": "a b"}}, "metadata.feature"),
        ("/v1/responses", {"input": 7}, "input"),
        ("/v1/responses", {"input": []}, "input"),
        ("/v1/responses", {"input": [{"role": "king", "content": "x"}]}, "input[0].role"),
        ("/v1/responses", {"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ("/v1/responses", {"background": True, "store": False}, "background"),
        ("/v1/responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("/v1/responses", {"truncation": "some"}, "truncation"),
        ("/v1/responses", {"include": ["everything"]}, "include[0]"),
        ("/v1/responses", {"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ("/v1/embeddings", {"input": []}, "input"),
        ("/v1/embeddings", {"input": ["x", ""]}, "input"),
        ("/v1/embeddings", {"input": [1, "x"]}, "input"),
        ("/v1/embeddings", {"encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"dimensions": 0}, "dimensions"),
        ("/v1/embeddings", {"dimensions": 1_000_000_000}, "dimensions"),
    ],
)
async def test_wrong_fields_are_named(served: Served, door: str, fields: dict[str, Any], param: str) -> None:
    status, answer = await ask(served, post(door, request_of(door, **fields)))

    assert (status, answer["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"$ref": 5}, "invalid_schema"),
        ({"properties": [1]}, "invalid_schema"),
        ({"type": "array", "minItems": 1_000_000_000}, "too_complex"),
    ],
)
async def test_schemas_that_nothing_can_be_made_for(served: Served, schema: dict[str, Any], code: str) -> None:
    fields = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}

    status, answer = await ask(served, post(DOORS[0], request_of(DOORS[0], **fields)))

    assert (status, answer["error"]["code"]) == (400, code)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_of_40_mb_is_told_so(served: Served, is_chunked: bool) -> None:
    connection = await RawConnection.open(served)
    megabyte = b"x" * 1_048_576
    if is_chunked:
        head = post("/v1/responses", b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
        connection.send(head)
        for _ in range(40):
            connection.send(b"100000\r\n" + megabyte + b"\r\n")
        connection.send(b"0\r\n\r\n")
    else:
        connection.send(post("/v1/responses", megabyte * 40))

    status, _, body = await connection.answer()

    assert status == 413
    assert json.loads(body)["error"]["code"] == "request_too_large"
    assert "20 MB" in json.loads(body)["error"]["message"]
    connection.hang_up()


@pytest.mark.parametrize("door", DOORS)
async def test_credentials_are_needed(served: Served, door: str) -> None:
    status, answer = await ask(served, post(door, request_of(door), token=None))

    assert (status, answer["error"]["code"]) == (401, "missing_credential")


async def test_expired_ended_and_forged_tokens(served: Served) -> None:
    session = await ask(served, post("/api/sessions", b'{"user": "u1", "expires_in": 1}'))
    short = session[1]["token"]
    ended = (await ask(served, post("/api/sessions", b'{"user": "u2"}')))[1]
    forged = TokenSigner(b"another secret").sign(Claims("sess_x", "u1", None, 1 << 40))
    payload, _, mac = ended["token"].partition(".")
    tampered = payload[:-2] + ("AA" if payload[-2:] != "AA" else "BB") + "." + mac
    body = chat_body()
    assert (await ask(served, post("/v1/chat/completions", body, short)))[0] == 200
    assert (await ask(served, post("/v1/chat/completions", body, ended["token"])))[0] == 200

    revocation = post("/api/sessions/current", b"", ended["token"]).replace(b"POST", b"DELETE", 1)
    assert (await ask(served, revocation))[0] == 200
    async with asyncio.timeout(5):
        while (await ask(served, post("/v1/chat/completions", body, short)))[0] == 200:
            await asyncio.sleep(0.05)

    for token, code in (
        (short, "token_expired"),
        (ended["token"], "token_revoked"),
        (forged, "invalid_token"),
        (tampered, "invalid_token"),
        ("fd_st_", "invalid_token"),
        ("fd_st_%00.%00", "invalid_token"),
        ("ÿþ", "invalid_api_key"),
    ):
        status, answer = await ask(served, post("/v1/chat/completions", body, token))
        assert (status, answer["error"]["code"]) == (401, code), token


async def test_a_session_may_not_do_what_a_key_may(served: Served) -> None:
    token = (await ask(served, post("/api/sessions", b'{"user": "u1"}')))[1]["token"]

    for request, expected in (
        (post("/api/sessions", b'{"user": "u2"}', token), (403, "forbidden")),
        (post("/api/sessions", b"", token).replace(b"POST", b"DELETE", 1), (403, "forbidden")),
        (post("/api/admin/keys", b'{"name": "mine"}', token), (403, "forbidden")),
        (post("/api/sessions/sess_other", b"", token).replace(b"POST", b"DELETE", 1), (404, "session_not_found")),
        (post("/api/users/u2/sessions", b"", token).replace(b"POST", b"DELETE", 1), (404, "user_not_found")),
    ):
        status, answer = await ask(served, request)
        assert (status, answer["error"]["code"]) == expected


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"user": "u1", "tier": "gold"}', 400, "unknown_tier"),
        (b"{}", 400, "missing_required_parameter"),
        (b'{"user": ""}', 400, "invalid_value"),
        (b'{"user": "a\\nb"}', 400, "invalid_value"),
        (b'{"user": "u1", "expires_in": 0}', 400, "invalid_value"),
        (b'{"user": "u1", "expires_in": "long"}', 400, "invalid_value"),
        (b'{"user": "u1", "admin": true}', 400, "invalid_value"),
        (b"{", 400, "invalid_json"),
        (b'"' + b"x" * 2_000_000 + b'"', 413, "request_too_large"),
    ],
)
async def test_bad_sessions(served: Served, body: bytes, status: int, code: str) -> None:
    answer = await ask(served, post("/api/sessions", body))

    assert (answer[0], answer[1]["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n", 404, "unknown_url"),
        (b"GET /v1/embeddings HTTP/1.1\r\nhost: x\r\n\r\n", 405, "method_not_allowed"),
        (b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 405, "method_not_allowed"),
        (b"NONSENSE\r\n\r\n", 400, "invalid_http"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_http"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 200_000 + b"\r\n\r\n", 431, "headers_too_large"),
    ],
)
async def test_what_is_no_request(served: Served, request_line: bytes, status: int, code: str) -> None:
    answer = await ask(served, request_line)

    assert (answer[0], answer[1]["error"]["code"]) == (status, code)


# --- slow clients -------------------------------------------------------------------------------


async def test_one_byte_a_moment_in_the_headers_ends_with_408(served: Served) -> None:
    connection = await RawConnection.open(served)
    trickle = asyncio.ensure_future(_trickle(connection, post("/v1/responses", b"{}")))

    status, _, body = await connection.answer(timeout_s=5)

    trickle.cancel()
    assert status == 408
    assert json.loads(body)["error"]["code"] == "request_timeout"
    assert "headers" in json.loads(body)["error"]["message"]


async def test_one_byte_a_moment_in_the_body_ends_with_408(served: Served) -> None:
    connection = await RawConnection.open(served)
    request = post("/v1/responses", request_of("/v1/responses", input="x" * 5000))
    head, blank, body = request.partition(b"\r\n\r\n")
    connection.send(head + blank)
    trickle = asyncio.ensure_future(_trickle(connection, body))

    status, _, answer = await connection.answer(timeout_s=5)

    trickle.cancel()
    assert status == 408
    assert "body" in json.loads(answer)["error"]["message"]


async def _trickle(connection: RawConnection, data: bytes) -> None:
    for byte in data:
        connection.send(bytes([byte]))
        await asyncio.sleep(0.1)


async def test_a_connection_that_says_nothing_is_closed(served: Served) -> None:
    connection = await RawConnection.open(served)

    assert await connection.rest(timeout_s=5) == b""


async def test_a_kept_alive_connection_may_rest(served: Served) -> None:
    """Patience is for requests that have begun; between two of them uvicorn's own time counts."""
    connection = await RawConnection.open(served)
    connection.send(post("/v1/chat/completions", chat_body()))
    assert (await connection.answer())[0] == 200

    await asyncio.sleep(2)  # longer than header_timeout_s: the rest itself is what is tested

    connection.send(post("/v1/chat/completions", chat_body("again")))
    assert (await connection.answer())[0] == 200
