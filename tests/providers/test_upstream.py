"""Our HTTP client against real sockets: whatever a server does, the exact bytes or a clear failure."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import ProviderError
from frontdesk.providers.connection import Connection
from frontdesk.providers.upstream import Upstream

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Reads whole requests and answers each by a script; counts connections."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self.tasks.discard(task)


@asynccontextmanager
async def server(
    answer: Answer, idle_timeout_s: float = 5, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, Upstream]]:
    served = Server(answer)
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = listening.sockets[0].getsockname()[1]
    scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
    upstream = Upstream(f"{scheme}://{host}:{served.port}/v1", {"Authorization": "Bearer k"}, idle_timeout_s)
    try:
        yield served, upstream
    finally:
        await upstream.close()
        listening.close()
        for task in list(served.tasks):
            task.cancel()
        await asyncio.gather(*served.tasks, return_exceptions=True)
        await asyncio.sleep(0)


def saying(*pieces: bytes, then_closes: bool = False) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in pieces:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)
        if then_closes:
            writer.close()

    return answer


async def ask(upstream: Upstream, body: bytes = b"{}") -> tuple[int, bytes]:
    with await upstream.post("chat/completions", body) as response:
        return response.status, await response.read_all(1 << 24)


async def read_into(received: bytearray, upstream: Upstream) -> None:
    with await upstream.post("x", b"") as response:
        while piece := await response.read():
            received += piece


SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED


async def test_a_request_says_what_was_asked() -> None:
    async with server(saying(SIZED)) as (served, upstream):
        with await upstream.post("chat/completions", b'{"a":1}') as response:
            assert response.header("content-TYPE") == "text/plain"
            assert response.header("x") is None
            assert await response.read_all(100) == b"hello world"

        assert served.requests == [
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer k\r\n"
            b'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}' % served.port
        ]


@pytest.mark.parametrize("answer", [SIZED, CHUNKED, INTERIM], ids=["sized", "chunked", "after interim answers"])
async def test_an_answer_cut_anywhere_is_the_same_and_its_connection_is_used_again(answer: bytes) -> None:
    cuts = iter(range(len(answer)))

    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = next(cuts)
        await saying(answer[:at], answer[at:])(_, writer)

    async with server(cut) as (served, upstream):
        for _ in range(len(answer)):
            assert await ask(upstream) == (200, b"hello world")

        assert served.connections == 1


@pytest.mark.parametrize("answer", [SIZED, CHUNKED], ids=["sized", "chunked"])
async def test_an_answer_that_breaks_off_anywhere_is_a_failure_after_its_exact_prefix(answer: bytes) -> None:
    lengths = iter(range(len(answer)))

    async def broken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(answer[: next(lengths)], then_closes=True)(_, writer)

    async with server(broken) as (_, upstream):
        for _ in range(len(answer)):
            received = bytearray()
            with pytest.raises(ProviderError) as failure:
                await read_into(received, upstream)
            assert b"hello world".startswith(received)
            assert failure.value.status == 502


async def test_without_a_length_the_connections_end_is_the_answers() -> None:
    async with server(saying(b"HTTP/1.1 200 OK\r\n\r\nhello", b" world", then_closes=True)) as (served, upstream):
        assert await ask(upstream) == (200, b"hello world")
        assert await ask(upstream) == (200, b"hello world")

        assert served.connections == 2


async def test_without_a_length_a_reset_is_a_failure() -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await writer.drain()
        opened = writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with server(reset) as (_, upstream):
        with pytest.raises(ProviderError):
            await ask(upstream)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"NONSENSE\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 1000) * 80 + b"\r\n",
        b"",
    ],
    ids=["no HTTP", "two lengths", "no chunk", "another protocol", "huge headers", "nothing"],
)
async def test_nonsense_is_a_failure(nonsense: bytes) -> None:
    async with server(saying(nonsense, then_closes=True)) as (_, upstream):
        with pytest.raises(ProviderError) as failure:
            await ask(upstream)

        assert failure.value.status == 502


@pytest.mark.parametrize(
    "ambiguous",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"Content-Length: +5\r\n\r\nhello",
        b"Content-Length : 5\r\n\r\nhello",
        b"Content-Length: 5, 5\r\n\r\nhello",
        b"X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
    ],
    ids=["length and chunks", "chunks and length", "a sign", "a space", "a list", "a folded line", "bare line ends"],
)
async def test_an_answer_whose_end_is_ambiguous_is_a_failure_and_costs_its_connection(ambiguous: bytes) -> None:
    async with server(saying(b"HTTP/1.1 200 OK\r\n" + ambiguous)) as (served, upstream):
        for _ in range(2):
            with pytest.raises(ProviderError):
                await ask(upstream)

        assert served.connections == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (
            SIZED.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\nConnection: Upgrade, Keep-Alive\r\n\r\n"),
            (200, b"hello world"),
        ),
        (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + SIZED, (200, b"hello world")),
        (SIZED + b"\r\n\r\n", (200, b"hello world")),
        (CHUNKED.replace(b"6;x=y", b"6;" + b"x" * 200_000), (200, b"hello world")),
    ],
    ids=["no content", "an upgrade offered", "a length of nothing", "blank lines behind", "a long extension"],
)
async def test_an_unusual_answer_with_a_clear_end_keeps_its_connection(
    answer: bytes, expected: tuple[int, bytes]
) -> None:
    async with server(saying(answer)) as (served, upstream):
        for _ in range(3):
            assert await ask(upstream) == expected

        assert served.connections == 1


async def test_bytes_behind_an_answer_are_no_part_of_the_next_one() -> None:
    async with server(saying(SIZED + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as (served, upstream):
        assert await ask(upstream) == (200, b"hello world")
        assert await ask(upstream) == (200, b"hello world")

        assert served.connections == 2


async def test_a_server_that_closes_after_each_answer_costs_no_request() -> None:
    async with server(saying(SIZED, then_closes=True)) as (served, upstream):
        for _ in range(50):
            assert await ask(upstream) == (200, b"hello world")

        assert len(served.requests) == 50


async def test_a_new_connection_that_closes_without_an_answer_is_not_tried_again() -> None:
    """What was sent may have been understood and billed."""
    async with server(saying(then_closes=True)) as (served, upstream):
        with pytest.raises(ProviderError) as failure:
            await ask(upstream)

        assert len(served.requests) == 1
        assert failure.value.is_sent


async def test_a_request_that_was_worked_on_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A used connection may end before a request came, but not long after: the answer may be paid for."""
    monkeypatch.setattr("frontdesk.providers.connection._STALE_WITHIN_S", 0.02)

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(served.requests) == 1:
            writer.write(SIZED)
        else:
            await asyncio.sleep(0.1)
            writer.close()

    async with server(dies) as (served, upstream):
        await ask(upstream)
        with pytest.raises(ProviderError):
            await ask(upstream)

        assert len(served.requests) == 2


@pytest.mark.parametrize(
    "endless",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nx", CHUNKED[:-16] + b"0\r\nX: ", CHUNKED[:-16] + b"5;x="],
    ids=["a header", "a header's name", "a trailer", "a chunk's extension"],
)
async def test_what_is_no_body_cannot_go_on_for_ever(endless: bytes) -> None:
    sent_bytes = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        writer.write(endless)
        while True:
            writer.write(b"x" * 50_000)
            sent_bytes += 50_000
            await writer.drain()

    async with server(flood) as (_, upstream):
        with pytest.raises(ProviderError):
            await ask(upstream)

        assert not upstream._connections or sent_bytes < 20_000_000


async def test_a_request_in_pieces_arrives_as_one_and_again_on_a_new_connection() -> None:
    pieces = [b"a", b"", b"x" * 600_000, b"yz"]
    async with server(saying(SIZED, then_closes=True)) as (served, upstream):
        for _ in range(2):  # the second is tried on a connection that has been closed
            with await upstream.post("audio/transcriptions", pieces, "multipart/form-data; boundary=b") as response:
                assert await response.read_all(100) == b"hello world"

    heads, bodies = zip(*(request.split(b"\r\n\r\n", 1) for request in served.requests), strict=True)
    assert [b"Content-Length: 600003" in head for head in heads] == [True, True]
    assert bodies == (b"".join(pieces),) * 2


async def test_an_early_refusal_ends_the_upload_and_the_connection() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await gone.wait()
        writer.transport.abort()

    gone = asyncio.Event()
    listening = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=4096)
    upstream = Upstream(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", {}, 5)
    assert await ask(upstream, b"x" * 30_000_000) == (413, b"")
    assert upstream._free == {}
    gone.set()
    await upstream.close()
    listening.close()


async def test_a_dead_address_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontdesk.providers.upstream._CONNECT_TIMEOUT_S", 0.4)
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def two(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        family, kind = socket.AF_INET, socket.SOCK_STREAM
        return [(family, kind, 6, "", (each, port)) for each in ("127.0.0.9", host)]

    async def dropping(factory: object, host: str, *given: object, **named: object) -> object:
        if host == "127.0.0.9":
            await asyncio.Event().wait()
        return await connect(factory, host, *given, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(loop, "getaddrinfo", two)
    monkeypatch.setattr(loop, "create_connection", dropping)
    async with server(saying(SIZED)) as (_, upstream):
        assert await ask(upstream) == (200, b"hello world")


async def test_connection_close_is_obeyed() -> None:
    closing = SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with server(saying(closing)) as (served, upstream):
        for _ in range(3):
            assert await ask(upstream) == (200, b"hello world")

        assert served.connections == 3


async def test_an_unread_answer_costs_its_connection() -> None:
    async with server(saying(SIZED[:-3])) as (served, upstream):
        with await upstream.post("x", b"") as response:
            assert await response.read() == b"hello wo"
        with await upstream.post("x", b"") as response:
            assert response.status == 200

        assert served.connections == 2


async def test_an_end_that_comes_late_is_awaited_by_nobody_and_keeps_the_connection() -> None:
    may_end = asyncio.Event()

    async def late(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED[:-20])
        await may_end.wait()
        writer.write(CHUNKED[-20:])

    async with server(late) as (served, upstream):
        with await upstream.post("x", b"") as response:
            await response.read()
            response.skip_rest()
        may_end.set()
        while not upstream._free:
            await asyncio.sleep(0.001)
        assert (await ask(upstream))[0] == 200

        assert served.connections == 1


async def test_an_end_that_never_comes_costs_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontdesk.providers.upstream._LAST_BYTES_S", 0.01)
    async with server(saying(CHUNKED[:-20]), idle_timeout_s=0.1) as (_, upstream):
        with await upstream.post("x", b"") as response:
            await response.read()
            response.skip_rest()
        while upstream._connections:
            await asyncio.sleep(0.01)

        assert upstream._free == {}


@pytest.mark.parametrize("before", [b"", SIZED[:20], SIZED[:-3]], ids=["all", "the headers' end", "the body's end"])
async def test_silence_times_out(before: bytes) -> None:
    async with server(saying(before), idle_timeout_s=0.1) as (_, upstream):

        async def stuck() -> None:
            with await upstream.post("x", b"") as response:
                await response.read_all(1000)

        served_once = asyncio.ensure_future(stuck())
        with pytest.raises(ProviderError) as failure:
            await served_once

        assert (failure.value.status, failure.value.code) == (504, "provider_timeout")
        assert failure.value.is_sent
        assert not upstream._free


async def test_a_slow_but_steady_answer_does_not_time_out() -> None:
    async def steady(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in SIZED:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.005)

    async with server(steady, idle_timeout_s=0.2) as (_, upstream):
        assert await ask(upstream) == (200, b"hello world")


async def test_a_long_request_on_its_way_is_no_silence() -> None:
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while received < len(body):
            received += len(await reader.read(65536))
            await asyncio.sleep(0.002)
        writer.write(SIZED)
        await writer.drain()
        writer.close()

    body = b"x" * 40_000_000
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4096)
    upstream = Upstream(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", {}, 0.5)
    assert await ask(upstream, body) == (200, b"hello world")
    await upstream.close()
    listening.close()


async def test_a_reader_that_does_not_read_holds_the_server_back() -> None:
    sent_bytes = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
        for _times in range(4000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent_bytes += 100_000

    async with server(flood) as (_, upstream):
        with await upstream.post("x", b"") as response:
            seen = -1
            while seen != sent_bytes:
                seen = sent_bytes
                await asyncio.sleep(0.2)
            assert seen < 40_000_000
            assert len(await response.read()) < 2_000_000

            size_bytes = 0
            while size_bytes < 50_000_000:  # and reading lets it go on
                size_bytes += len(await response.read())


async def test_an_answer_beyond_the_limit_is_a_failure() -> None:
    async with server(saying(SIZED)) as (_, upstream):
        with await upstream.post("x", b"") as response, pytest.raises(ProviderError):
            await response.read_all(10)


async def test_nobody_listening_is_a_failure_that_tells_no_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    upstream = Upstream(f"http://127.0.0.1:{port}/v1", {}, 5)

    with pytest.raises(ProviderError) as failure:
        await ask(upstream)

    assert failure.value.reason == "the provider cannot be reached: ConnectionRefusedError"
    assert not failure.value.is_sent
    await upstream.close()


async def test_a_cancelled_request_leaves_no_connection() -> None:
    async with server(saying()) as (served, upstream):
        asking = asyncio.ensure_future(ask(upstream))
        while not served.requests:
            await asyncio.sleep(0.001)

        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        while upstream._connections:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("steps", range(24))
async def test_a_request_cancelled_at_any_step_holds_no_connection(steps: int) -> None:
    async with server(saying(SIZED[:20], SIZED[20:])) as (served, upstream):
        asking = asyncio.ensure_future(ask(upstream))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        assert await ask(upstream) == (200, b"hello world")
        while len(upstream._connections) > 1 or len(served.tasks) > 1:  # what was closed says so a moment later
            await asyncio.sleep(0.001)
        assert set(upstream._free) == upstream._connections


@pytest.mark.parametrize("steps", range(24))
async def test_a_pool_closed_at_any_step_of_a_request_keeps_nothing(steps: int) -> None:
    async with server(saying(SIZED[:20], SIZED[20:])) as (served, upstream):
        asking = asyncio.ensure_future(ask(upstream))
        for _ in range(steps):
            await asyncio.sleep(0)
        await upstream.close()
        (end,) = await asyncio.gather(asking, return_exceptions=True)

        assert end == (200, b"hello world") or isinstance(end, ProviderError)
        while upstream._connections or served.tasks:
            await asyncio.sleep(0.001)
        assert upstream._free == {}


async def test_connections_that_nobody_uses_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontdesk.providers.upstream._KEEP_ALIVE_S", 0.01)
    async with server(saying(SIZED), idle_timeout_s=0.1) as (_, upstream):
        await ask(upstream)
        assert len(upstream._free) == 1
        while upstream._connections:
            await asyncio.sleep(0.01)

        assert upstream._free == {}


async def test_small_writes_leave_at_once() -> None:
    async with server(saying(SIZED)) as (_, upstream):
        await ask(upstream)
        (connection,) = upstream._connections
        opened = connection._transport.get_extra_info("socket")

        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_an_address_may_carry_a_user() -> None:
    assert b"Authorization: Basic dXM6cHc=\r\n" in Upstream("http://us:pw@h.example/v1", {}, 5)._head("x", "text/plain")


def test_a_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="X-Evil"):
        Upstream("http://h.example", {"X-Evil": "a\r\nb: c"}, 5)


class NoTransport(asyncio.Transport):
    """Takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=2000), max_size=8), st.randoms(use_true_random=False))
def test_any_body_in_any_pieces_is_the_same(body: list[bytes], random: object) -> None:
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire += b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in body) + b"0\r\n\r\n"

    async def play() -> bytes:
        connection = Connection(asyncio.get_running_loop(), lambda _: None)
        connection.connection_made(NoTransport())
        sending = asyncio.ensure_future(connection.send(b"x"))
        await asyncio.sleep(0)
        rest = wire
        while rest:
            size = random.randint(1, len(rest))  # type: ignore[attr-defined]
            connection.data_received(rest[:size])
            rest = rest[size:]
        await sending
        received = b""
        while piece := await connection.read():
            received += piece
        assert connection.give_back()
        return received

    assert asyncio.run(play()) == b"".join(body)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    named = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *asked.split(), *named], check=True, capture_output=True)
    return key, certificate


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with the openssl command")
async def test_tls_is_spoken_to_who_can_prove_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    async with server(saying(CHUNKED), tls=tls) as (_, upstream):
        with pytest.raises(ProviderError) as failure:
            await ask(upstream)
        assert failure.value.reason == "the provider cannot be reached: SSLCertVerificationError"

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with server(saying(CHUNKED), tls=tls) as (served, upstream):
        assert await ask(upstream) == (200, b"hello world")
        assert await ask(upstream, b"x" * 3_000_000) == (200, b"hello world")

        assert served.connections == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with the openssl command")
async def test_a_long_upload_over_tls_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    body = b"x" * 20_000_000

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = 0
        while received < len(body):
            received += len(await reader.read(65536))
            await asyncio.sleep(0.001)
        writer.write(SIZED)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(slowly, "127.0.0.1", 0, limit=4096, ssl=tls)
    upstream = Upstream(f"https://localhost:{listening.sockets[0].getsockname()[1]}", {}, 0.7)
    assert await ask(upstream, body) == (200, b"hello world")
    await upstream.close()
    listening.close()
