"""Hang-ups, cancels, slow readers, SIGTERM: turns end, rows settle, nothing is left open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.providers import recorded
from tests.serving import Served, chat_body, serving
from tests.upstreams import STREAM_HEAD, brief, endless, piece, upstream

STREAM = chat_body(stream=True)
CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


async def begin_stream(served: Served, path: str = CHAT, body: bytes = STREAM) -> RawConnection:
    """Ask for a stream and read its first word."""
    connection = await RawConnection.open(served)
    connection.send(post(path, body))
    await connection.until(b"word ")
    return connection


async def test_a_hang_up_drains_and_then_closes_upstream(tmp_path: Path) -> None:
    async with upstream(endless) as up:
        with serving(tmp_path, {**up.settings, "hangup_drain_s": 1}) as served:
            connection = await begin_stream(served)
            assert up.open_connections == 1

            connection.hang_up()

            await up.until(lambda: up.open_connections == 0, timeout_s=5)
            await served.until_rows(
                "select status, usage_source is null or usage_source = 'counted' from turn", [("abandoned", 1)]
            )
            await served.until_rows("select status from attempt", [("abandoned",)])


async def test_an_answer_that_ends_while_draining_is_settled_as_completed(tmp_path: Path) -> None:
    may_end = asyncio.Event()

    async def pausing(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + piece(recorded.chunk({"content": "word "})))
        await may_end.wait()
        writer.write(piece(recorded.TEXT) + b"0\r\n\r\n")

    async with upstream(pausing) as up:
        with serving(tmp_path, {**up.settings, "hangup_drain_s": 20}) as served:
            connection = await begin_stream(served)
            connection.hang_up()
            may_end.set()

            await served.until_rows(
                "select status, input_tokens, output_tokens, usage_source from turn",
                [("completed", 19, 10, "reported")],
            )


async def test_a_hang_up_before_the_answer_of_a_whole_body(tmp_path: Path) -> None:
    async def never(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with upstream(never) as up:
        with serving(tmp_path, {**up.settings, "hangup_drain_s": 0}) as served:
            connection = await RawConnection.open(served)
            connection.send(post(CHAT, chat_body()))
            await up.until(lambda: len(up.requests) == 1)

            connection.hang_up()

            await up.until(lambda: up.open_connections == 0, timeout_s=5)
            await served.until_rows("select status from turn", [("abandoned",)])


async def test_cancel_closes_upstream_at_once(tmp_path: Path) -> None:
    async with upstream(endless) as up:
        with serving(tmp_path, {**up.settings, "hangup_drain_s": 60}) as served:
            body = json.dumps({"input": "x", "stream": True}).encode()
            connection = await RawConnection.open(served)
            connection.send(post("/v1/responses", body))
            created = await connection.until(b"\n\n")
            response_id = json.loads(created.partition(b"data: ")[2].partition(b"\n")[0])["response"]["id"]
            await connection.until(b"word ")

            status, answer = await ask(served, post(f"/v1/responses/{response_id}/cancel", b""))

            assert (status, answer["status"]) == (200, "cancelled")
            assert answer["output"][0]["content"][0]["text"].startswith("word ")
            await connection.until(b"event: response.incomplete")
            await up.until(lambda: up.open_connections == 0, timeout_s=5)
            await served.until_rows("select status from turn", [("cancelled",)])
            assert await ask(served, post(f"/v1/responses/{response_id}/cancel", b"")) == (200, answer)


async def test_a_reader_that_stops_reading_is_thrown_out(tmp_path: Path) -> None:
    async def flood(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        while True:
            writer.write(piece(recorded.chunk({"content": "word " * 2000})))
            await writer.drain()

    async with upstream(flood) as up:
        settings = {**up.settings, "hangup_drain_s": 0, "limits": {"slow_reader_s": 1}}
        with serving(tmp_path, settings) as served:
            connection = await RawConnection.open(served)
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            connection.send(post(CHAT, STREAM))

            await up.until(lambda: len(up.requests) == 1)
            await up.until(lambda: up.open_connections == 0, timeout_s=10)

            await served.until_rows("select status from turn", [("abandoned",)])


async def test_upstream_connections_are_used_again(tmp_path: Path) -> None:
    async with upstream(brief) as up:
        with serving(tmp_path, up.settings) as served:
            for body in (STREAM, chat_body()) * 10:
                connection = await RawConnection.open(served)
                connection.send(post(CHAT, body))
                assert (await connection.answer())[0] == 200
                connection.hang_up()

            assert len(up.requests) == 20
            assert up.open_connections == 1


async def test_a_kept_connection_that_the_provider_closed_is_no_error(tmp_path: Path) -> None:
    async def once(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await brief(request, writer)
        await writer.drain()
        writer.close()

    async with upstream(once) as up:
        with serving(tmp_path, up.settings) as served:
            for _ in range(20):
                assert (await ask(served, post(CHAT, chat_body())))[0] == 200


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_silent_provider_times_out(tmp_path: Path, is_streaming: bool) -> None:
    async def silent(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with upstream(silent) as up:
        settings = up.settings
        settings["providers"]["up"]["idle_timeout_s"] = 0.5
        with serving(tmp_path, settings) as served:
            status, answer = await ask(served, post(CHAT, chat_body(stream=is_streaming)))

            assert (status, answer["error"]["code"]) == (504, "provider_timeout")
            await up.until(lambda: up.open_connections == 0, timeout_s=5)


async def test_the_providers_key_and_address_are_never_told(tmp_path: Path) -> None:
    statuses = iter([400, 401, 403, 404, 429, 500, 302])

    async def telling(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        host = f"127.0.0.1:{up.port}"
        error = {"error": {"message": f"key sk-test-upstream at http://{host}/v1 is bad", "code": "bad", "param": None}}
        body = json.dumps(error).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: %d\r\n\r\n%b"
            % (next(statuses), len(body), body)
        )

    async with upstream(telling) as up:
        with serving(tmp_path, up.settings) as served:
            seen: list[int] = []
            for _ in range(7):
                status, answer = await ask(served, post(CHAT, chat_body()))
                seen.append(status)
                assert "sk-test-upstream" not in json.dumps(answer)
                assert "127.0.0.1" not in json.dumps(answer)

            assert seen == [400, 502, 502, 502, 503, 502, 502]
            assert "sk-test-upstream" not in served.log


# --- SIGTERM ------------------------------------------------------------------------------------


async def test_sigterm_lets_turns_end(tmp_path: Path) -> None:
    may_end = asyncio.Event()

    async def pausing(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + piece(recorded.chunk({"content": "word "})))
        await may_end.wait()
        writer.write(piece(recorded.TEXT) + b"0\r\n\r\n")

    async with upstream(pausing) as up:
        with serving(tmp_path, {**up.settings, "shutdown_grace_s": 20}) as served:
            connections = [await begin_stream(served) for _ in range(5)]
            served.process.send_signal(signal.SIGTERM)
            may_end.set()

            for connection in connections:
                assert b"data: [DONE]" in await connection.rest()
            assert await asyncio.to_thread(served.wait) == 0
            assert served.rows("select status, count(*) from turn group by status") == [("completed", 5)]


async def test_sigterm_under_load_ends_every_stream_with_an_error(tmp_path: Path) -> None:
    async with upstream(endless) as up:
        with serving(tmp_path, {**up.settings, "shutdown_grace_s": 0.5}) as served:
            responses = json.dumps({"input": "x", "stream": True}).encode()
            chats = [await begin_stream(served) for _ in range(20)]
            streams = [await begin_stream(served, "/v1/responses", responses) for _ in range(20)]

            served.process.send_signal(signal.SIGTERM)

            for connection in chats:
                assert b'"code":"server_shutting_down"' in await connection.rest()
            for connection in streams:
                end = await connection.rest()
                assert b"event: response.failed" in end
                assert end.endswith(b"0\r\n\r\n")
            assert await asyncio.to_thread(served.wait) == 0
            await up.until(lambda: up.open_connections == 0)
            assert served.rows("select status, error_code, count(*) from turn group by 1, 2") == [
                ("failed", "server_shutting_down", 40)
            ]
            assert "Task was destroyed" not in served.log
            assert "Traceback" not in served.log


async def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        second = Served(tmp_path, {"providers": {}, "models": {}})
        with pytest.raises(AssertionError, match="did not start"):
            second.start()

        assert str(first.process.pid) in second.log
        assert "frontdesk.db" in second.log
        assert (await ask(first, post(CHAT, chat_body())))[0] == 200
        with contextlib.suppress(ProcessLookupError):
            second.process.kill()
