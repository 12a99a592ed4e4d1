"""Connections that carry more than one request, or something else: none breaks another's answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.providers import recorded
from tests.serving import SCRIPTED, Served, chat_body, serving
from tests.upstreams import STREAM_HEAD, endless, piece, upstream

CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    connection = await RawConnection.open(served)
    connection.send(b"".join(post(CHAT, chat_body(f"number {number}")) for number in range(5)))

    answers = [json.loads((await connection.answer())[2])["choices"][0]["message"]["content"] for _ in range(5)]

    assert answers == [f"number {number}" for number in range(5)]


async def test_a_hang_up_behind_a_pipelined_request_is_noticed(tmp_path: Path) -> None:
    async with upstream(endless) as up:
        with serving(tmp_path, {**up.settings, "hangup_drain_s": 0}) as served:
            connection = await RawConnection.open(served)
            connection.send(post(CHAT, chat_body(stream=True)) + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            await connection.until(b"word ")

            connection.hang_up()

            await up.until(lambda: up.open_connections == 0, timeout_s=5)
            await served.until_rows("select status from turn", [("abandoned",)])


@pytest.mark.parametrize(
    "second",
    [
        post("/v1/responses", b"x" * 100)[:-60],
        b"POST /v1/responses HTTP/1.1\r\nhost: x\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nlong: " + b"x" * 100_000,
    ],
    ids=["half a body", "half a head", "nonsense", "a huge head"],
)
async def test_a_bad_second_request_does_not_break_the_first_answer(served: Served, second: bytes) -> None:
    connection = await RawConnection.open(served)
    words = " ".join(f"w{number}" for number in range(100))
    connection.send(post(CHAT, chat_body(words, stream=True, model="slow")))
    await connection.until(b" w3")

    connection.send(second)

    rest = await connection.until(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert b"HTTP/1.1" not in rest


async def test_a_body_that_comes_after_its_refusal_is_answered_once(served: Served) -> None:
    connection = await RawConnection.open(served)
    request = post("/v1/responses", b"x" * 1000, token="fd_sk_unknown")
    connection.send(request[:-900])

    everything = await connection.rest(timeout_s=10)

    assert everything.count(b"HTTP/1.1 ") == 1
    assert everything.startswith(b"HTTP/1.1 401")


async def test_an_offer_of_http_2_is_passed_over(served: Served) -> None:
    request = post(CHAT, chat_body()).replace(
        b"host: 127.0.0.1\r\n",
        b"host: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    )

    status, answer = await ask(served, request)

    assert (status, answer["choices"][0]["message"]["content"]) == (200, "hello there")


async def test_a_steady_reader_may_take_longer_than_the_patience(tmp_path: Path) -> None:
    """`slow_reader_s` counts from the last byte that was taken, not from the first that was not."""
    megabyte = "x" * 1_000_000

    async def much(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for _number in range(30):
            writer.write(piece(recorded.chunk({"content": megabyte})))
            await writer.drain()
        writer.write(piece(recorded.TEXT) + b"0\r\n\r\n")

    async with upstream(much) as up:
        with serving(tmp_path, {**up.settings, "limits": {"slow_reader_s": 1}}) as served:
            connection = await RawConnection.open(served)
            connection.send(post(CHAT, chat_body(stream=True)))
            taken = b""
            while b"[DONE]" not in taken[-2000:]:
                data = await connection.reader.read(1 << 20)
                assert data, "the connection ended"
                taken = (taken + data)[-4000:]
                await asyncio.sleep(0.1)  # a reader of some 10 MB/s


async def test_a_cancel_while_the_last_write_waits_leaves_the_answer_whole(tmp_path: Path) -> None:
    with serving(tmp_path, SCRIPTED) as served:
        connection = await RawConnection.open(served)
        text = "x" * 3_000_000
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection.send(post("/v1/responses", json.dumps({"input": text, "stream": True}).encode()))
        await served.until_rows("select status from turn", [("completed",)])
        response_id = served.rows("select id from turn")[0][0]

        status, _ = await ask(served, post(f"/v1/responses/{response_id}/cancel", b""))
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]

        assert status in (200, 404)
        everything = b""
        while not everything.endswith(b"0\r\n\r\n"):
            data = await asyncio.wait_for(connection.reader.read(1 << 20), 10)
            assert data
            everything = everything[-4_000_000:] + data
        assert b"event: response.completed" in everything


async def test_vectors_that_are_none_are_a_provider_error(tmp_path: Path) -> None:
    async def odd(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        body = b'{"data":[{"index":0,"embedding":"AAAA"}]}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with upstream(odd) as up:
        settings = {
            **up.settings,
            "models": {"embed": {"route": ["up/e"], "kind": "embeddings"}},
            "default_model": None,
        }
        with serving(tmp_path, settings) as served:
            status, answer = await ask(served, post("/v1/embeddings", b'{"model": "embed", "input": "x"}'))

            assert (status, answer["error"]["code"]) == (502, "provider_error")
