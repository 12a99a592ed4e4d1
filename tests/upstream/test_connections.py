"""The server and its connections: kept, pipelined, slow, hostile, and ended."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys

import pytest

from frontdesk.upstream.server import UpstreamServer
from tests.upstream.raw import CHAT, asking, chat, exchange, played
from tests.upstreams import ScriptedUpstream


def kept(body: bytes, method: str = "POST", path: str = CHAT) -> bytes:
    """A request that keeps its connection."""
    return f"{method} {path} HTTP/1.1\r\nhost: u\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def test_connections_are_kept_and_requests_may_be_pipelined(upstream: ScriptedUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    for count in (1, 3, 40):
        requests = [kept(json.dumps(chat(f"words-{place + 1}:pace=1")).encode()) for place in range(count)]
        writer.write(b"".join(requests))
        for place in range(count):
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.count(b'"content":"word') == place + 1
    writer.close()
    await upstream.until_idle()

    assert {record.connection for record in upstream.journal()} == {1}
    assert {record.ended for record in upstream.journal()} == {"whole"}


async def test_a_request_may_come_byte_by_byte(upstream: ScriptedUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    for byte in asking(CHAT, chat("echo")):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)

    assert b"[DONE]" in await reader.read(-1)
    writer.close()


async def test_a_chunked_request_is_read(upstream: ScriptedUpstream) -> None:
    body = json.dumps(chat("echo")).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: u\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    seen = await exchange(upstream, head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")

    assert seen.text == "one two"


async def test_a_client_that_expects_to_be_told_is_told(upstream: ScriptedUpstream) -> None:
    body = json.dumps(chat("echo", stream=False)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    request = kept(body).replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n", 1)
    writer.write(request[: -len(body)])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)

    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_an_old_client_gets_an_answer_without_chunks(upstream: ScriptedUpstream) -> None:
    body = json.dumps(chat("echo")).encode()
    seen = await exchange(upstream, kept(body).replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert "transfer-encoding" not in seen.headers
    assert (seen.text, seen.ended) == ("one two", "eof")


async def test_what_is_no_http_is_refused(upstream: ScriptedUpstream) -> None:
    for data, status in (
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
    ):
        seen = await exchange(upstream, data)
        assert (seen.status, seen.ended) == (status, "eof")
    assert upstream.journal() == []


async def test_a_body_that_grows_too_large_is_refused(upstream: ScriptedUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(b"POST / HTTP/1.1\r\nhost: u\r\ntransfer-encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    for _ in range(66):
        writer.write(piece)
        await asyncio.sleep(0)

    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
    writer.transport.abort()


async def test_head_has_no_body(upstream: ScriptedUpstream) -> None:
    for path, status in (("/healthz", b"200"), ("/v1/nothing", b"404")):
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(kept(b"", "HEAD", path).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        answer = await reader.read(-1)
        writer.close()

        assert answer.split()[1] == status
        assert answer.endswith(b"\r\n\r\n")
        assert b"\r\n\r\n" not in answer[:-4]


async def test_nothing_is_made_for_a_reader_that_does_not_read(upstream: ScriptedUpstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port, limit=1024)
    writer.write(asking(CHAT, chat("words-100000")))
    await reader.readexactly(1)
    made = -1
    while made != upstream.journal()[0].chunks:
        made = upstream.journal()[0].chunks
        for _ in range(500):
            await asyncio.sleep(0)
    assert made < 100_000

    rest = await reader.read(-1)

    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert upstream.journal()[0].chunks == 100_000
    writer.close()


async def test_a_long_answer_does_not_keep_the_others_waiting(upstream: ScriptedUpstream) -> None:
    _, greedy = await asyncio.open_connection("127.0.0.1", upstream.port)
    greedy.write(asking(CHAT, chat("words-5000000", stream=True)))
    await upstream.until(lambda: len(upstream.journal()) == 1)

    assert (await played(upstream, "echo")).text == "one two"

    assert upstream.journal()[0].ended == "open"
    greedy.transport.abort()


async def test_many_streams_at_once(upstream: ScriptedUpstream) -> None:
    seen = await asyncio.gather(*(played(upstream, "words-20:pace=2,jitter=2") for _ in range(200)))

    assert {each.text for each in seen} == {"".join(f"word{place} " for place in range(20))}
    await upstream.until_idle()
    assert upstream.stats.open_streams == 0


async def test_the_tests_run_as_the_command_does() -> None:
    assert type(asyncio.get_running_loop()).__module__ == "uvloop"


async def test_who_waits_in_vain_is_let_go_when_the_server_ends() -> None:
    """At once: there is nothing to wait for. Answers that are under way have the time of grace."""
    server = UpstreamServer()
    await server.start()
    upstream = ScriptedUpstream(server)
    waiting = [asyncio.ensure_future(played(upstream, model)) for model in ("silent", "words-9:fault=silence@2")]
    answered = asyncio.ensure_future(played(upstream, "words-9:pace=5"))
    await upstream.until(lambda: len(upstream.journal()) == 3)

    await server.stop(grace_s=20)

    assert [(await each).ended for each in waiting] == ["eof", "eof"]
    assert (await answered).events[-1] == "[DONE]"
    assert upstream.stats.open_connections == 0
    with pytest.raises(ConnectionRefusedError):
        await played(upstream, "echo")


async def test_answers_that_outlast_the_grace_are_cut_off() -> None:
    server = UpstreamServer()
    await server.start()
    upstream = ScriptedUpstream(server)
    answered = asyncio.ensure_future(played(upstream, "words-100000:pace=5"))
    await upstream.until(lambda: bool(upstream.journal()) and upstream.journal()[0].chunks > 2)

    await server.stop()

    assert b"[DONE]" not in (await answered).data
    assert upstream.journal()[0].ended == "shut_down"


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "frontdesk", "upstream", "--port", "0", "--api-key", "sk-u"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
        port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
        said = asyncio.run(_last_words(process, port))
        rest = process.stdout.read()

    assert process.wait(20) == 0
    assert line.startswith("The scripted upstream is ready: base_url http://127.0.0.1:")
    assert rest == ""
    assert said.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def _last_words(process: subprocess.Popen[str], port: int) -> bytes:
    """An answer that is under way when the server is told to end is given to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asking(CHAT, chat("words-20:pace=10"), authorization="Bearer sk-u"))
    said = await reader.readuntil(b"word0 ")
    process.send_signal(signal.SIGTERM)
    said += await reader.read(-1)
    writer.close()
    return said


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--script", "wrods"], ["--host", "no.such.host.invalid"]])
def test_the_command_says_what_it_cannot(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "frontdesk", "upstream", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert arguments[1] in done.stderr
