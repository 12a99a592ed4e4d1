"""Silence and slowness: streams are kept alive, end in time, and wait for their readers."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import uvloop
from openai import OpenAI

from frontdesk.http.protocol import Patience
from frontdesk.http.server import PatientServer, listen
from tests.edges.raw import RawConnection, ask, post
from tests.providers import recorded
from tests.serving import ADMIN_KEY, SCRIPTED, chat_body, serving
from tests.upstreams import STREAM_HEAD, piece, upstream

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


def impatient(**limits: float) -> dict[str, Any]:
    return {**SCRIPTED, "limits": limits}


async def test_a_silent_chat_stream_is_kept_alive_and_ends_in_time(tmp_path: Path) -> None:
    with serving(tmp_path, impatient(keep_alive_s=0.2, turn_timeout_s=1.2)) as served:
        connection = await RawConnection.open(served)
        connection.send(post(CHAT, chat_body(model="silent", stream=True)))

        status, headers, body = await connection.answer()

        assert (status, headers["x-accel-buffering"]) == (200, "no")
        *comments, last, empty = body.split(b"\n\n")
        assert comments[:2] == [b": keep-alive"] * 2
        assert set(comments) == {b": keep-alive"}
        assert (json.loads(last.removeprefix(b"data: "))["error"]["code"], empty) == ("turn_timeout", b"")
        await served.until_rows("select status, error_code from turn", [("failed", "turn_timeout")])


async def test_a_silent_response_that_ends_late_is_whole_in_its_shape(tmp_path: Path) -> None:
    with serving(tmp_path, impatient(keep_alive_s=0.2, turn_timeout_s=0.8)) as served:
        connection = await RawConnection.open(served)
        connection.send(post(RESPONSES, json.dumps({"model": "silent", "input": "x", "stream": True}).encode()))

        _, _, body = await connection.answer()

        names = [line.removeprefix(b"event: ") for line in body.split(b"\n") if line.startswith(b"event: ")]
        assert names == [b"response.created", b"response.in_progress", b"response.failed"]


async def test_without_a_stream_a_late_answer_keeps_its_status(tmp_path: Path) -> None:
    with serving(tmp_path, impatient(keep_alive_s=0.1, turn_timeout_s=0.5)) as served:
        status, answer = await ask(served, post(CHAT, chat_body(model="silent")))

        assert (status, answer["error"]["code"]) == (504, "turn_timeout")


async def test_who_was_silent_while_they_were_answered_has_no_more_patience_afterwards(tmp_path: Path) -> None:
    """A connection that nobody looks at, since it is being answered, is looked at again."""
    with serving(tmp_path, impatient(keep_alive_s=0.2, turn_timeout_s=1.5, header_timeout_s=0.5)) as served:
        connection = await RawConnection.open(served)
        connection.send(post(CHAT, chat_body(model="silent", stream=True)))
        status, _, _ = await connection.answer()
        connection.send(b"GET /healthz HTTP/1.1\r\nhost: ")

        ended = await connection.rest()

        assert (status, ended) == (200, b"")


def test_the_official_client_passes_over_comments(tmp_path: Path) -> None:
    with serving(tmp_path, impatient(keep_alive_s=0.1)) as served:
        client = OpenAI(base_url=f"{served.url}/v1", api_key=ADMIN_KEY, _strict_response_validation=True)
        words = "one two three"
        with client:
            chunks = client.chat.completions.create(
                model="crawling", messages=[{"role": "user", "content": words}], stream=True
            )
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            with client.responses.stream(model="crawling", input=words) as stream:
                answer = stream.get_final_response().output_text

    assert (text, answer) == (words, words)


async def test_a_reader_that_stops_reading_stops_the_provider(tmp_path: Path) -> None:
    """What is under way stays bounded by the buffers on the way, however much the provider has to say."""
    sent_bytes = 0

    async def flood(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        writer.write(STREAM_HEAD)
        words = piece(recorded.chunk({"content": "word " * 2000}))
        while True:
            writer.write(words)
            sent_bytes += len(words)
            await writer.drain()

    async with upstream(flood) as up:
        with serving(tmp_path, {**up.settings, "hangup_drain_s": 0}) as served:
            connection = await RawConnection.open(served)
            small = connection.writer.get_extra_info("socket")
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            connection.send(post(CHAT, chat_body(stream=True)))
            await connection.until(b"word ")
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]

            seen = -1
            while seen != sent_bytes:  # until nothing moves any more
                seen = sent_bytes
                await asyncio.sleep(0.7)

            assert seen < 40_000_000
            connection.hang_up()
            await up.until(lambda: up.open_connections == 0)


def test_the_server_sends_small_writes_at_once() -> None:
    """Nagle's algorithm would hold them back for 40 ms (RFC 896)."""
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        (connection,) = server.server_state.connections
        opened = connection.transport.get_extra_info("socket")
        seen.append(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        server.should_exit = True

    async def drained() -> None:
        return

    opened = listen("127.0.0.1", 0)
    server = PatientServer(app, Patience(5, 5, 5), drained, lambda: None)

    async def main() -> None:
        async def visit() -> None:
            reader, writer = await asyncio.open_connection(*opened.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            await reader.read()
            writer.close()

        server._ready = lambda: visits.append(asyncio.ensure_future(visit()))
        visits: list[asyncio.Task[None]] = []
        await server.serve([opened])
        await visits[0]

    uvloop.run(main())

    assert seen == [1]
