"""What leaves a connection, write by write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from frontdesk.http.protocol import Patience, PatientProtocol, Signal


class Wire(asyncio.Transport):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.writes: list[bytes] = []
        self.is_closed = False
        self.was_closed = False  # by the server, before the client hung up

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


Messages = list[dict[str, Any]]


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def written(messages: Messages, *parts: bytes) -> Wire:
    """What an application's messages become; one that has none left to send fails there."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            await send(message)

    return await received(app, *(parts or [b"POST / HTTP/1.1\r\nhost: x\r\n\r\n"]))


async def received(app: Any, *parts: bytes) -> Wire:
    """What leaves when an application is asked by bytes that come in these parts."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", date_header=False, server_header=False)
    config.load()
    state, wire = ServerState(), Wire()
    protocol = PatientProtocol(config=config, server_state=state, app_state={}, patience=Patience(5, 5, 5))
    protocol.connection_made(wire)
    for part in parts:
        protocol.data_received(part)
        await asyncio.sleep(0)
    while state.tasks:
        await asyncio.sleep(0)
    wire.was_closed = wire.is_closed
    protocol.connection_lost(None)
    return wire


Asked = tuple[str, str, list[tuple[bytes, bytes]], bytes]


async def asked(*parts: bytes) -> list[Asked]:
    """What an application is asked by bytes that come in these parts, when each was answered and none refused."""
    seen: list[Asked] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        content, more = b"", True
        while more:
            message = await receive()
            content, more = content + message["body"], message["more_body"]
        seen.append((scope["method"], scope["raw_path"].decode(), scope["headers"], content))
        await send(start((b"content-length", b"0")))
        await send(body(b""))

    wire = await received(app, *parts)

    assert b"".join(wire.writes) == (HEAD + b"content-length: 0\r\n\r\n") * len(seen)
    assert not wire.was_closed
    return seen


SIZED = (b"content-length", b"5")
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("messages", "writes"),
    [
        ([start(SIZED), body(b"hello")], [HEAD + b"content-length: 5\r\n\r\nhello"]),
        (
            [start(), body(b"a", more=True), body(b"b", more=True), body(b"")],
            [HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n", b"1\r\nb\r\n", b"0\r\n\r\n"],
        ),
        ([start((b"content-length", b"0")), body(b"")], [HEAD + b"content-length: 0\r\n\r\n"]),
        ([start(status=204), body(b"")], [b"HTTP/1.1 204 No Content\r\n\r\n"]),
    ],
    ids=["a whole body", "a stream", "an empty body", "no body"],
)
async def test_a_head_leaves_with_the_first_bytes_of_its_body(messages: Messages, writes: list[bytes]) -> None:
    assert (await written(messages)).writes == writes


async def test_the_answer_to_head_is_a_head() -> None:
    wire = await written([start(SIZED), body(b"hello")], b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")

    assert wire.writes == [HEAD + b"content-length: 5\r\n\r\n"]


async def test_an_interim_answer_is_not_kept() -> None:
    asked = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 0\r\n\r\n"
    wire = await written([start(SIZED), body(b"hello")], asked)

    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"content-length: 5\r\n\r\nhello"]


@pytest.mark.parametrize(
    "messages",
    [
        [start(SIZED)],
        [start()],
        [start((b"x", b"a\r\nset-cookie: b"))],
        [start(SIZED), body(b"hell")],
        [start(SIZED), body(b"hello!")],
        [body(b"x")],
        [start(SIZED), start(SIZED)],
    ],
    ids=["sized", "chunked", "a line break", "too short", "too long", "no start", "two starts"],
)
async def test_what_is_no_whole_answer_is_never_sent_as_one(messages: Messages) -> None:
    wire = await written(messages)

    assert not any(b"200 OK" in write for write in wire.writes)
    assert wire.was_closed or wire.writes[0].startswith(b"HTTP/1.1 500 ")


async def test_a_connection_that_is_to_close_says_so_once() -> None:
    wire = await written([start(SIZED), body(b"hello")], b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

    assert wire.writes == [HEAD + b"content-length: 5\r\nconnection: close\r\n\r\nhello"]
    assert wire.was_closed


async def test_a_signal_lets_all_go_on_and_the_next_wait() -> None:
    signal = Signal()
    waiting = [asyncio.ensure_future(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()

    signal.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await signal.wait()
    signal.clear()
    again = asyncio.ensure_future(signal.wait())
    await asyncio.sleep(0)

    assert [each.cancelled() for each in waiting] == [False, True, False]
    assert not again.done()
    signal.set()
    await again
    assert signal.is_set()


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nuPGRADE:h2c\r\nHTTP2-Settings: AAMA\r\n"
OFFERED = [(b"connection", b"Upgrade, HTTP2-Settings"), (b"http2-settings", b"AAMA")]
SIZED_OFFER = b"POST /sized HTTP/1.1\r\nempty:\r\n" + OFFER + b"Content-Length: 14\r\n\r\n\r\nUpgrade: h2c"
CHUNKED_OFFER = (
    b"PUT /chunked HTTP/1.1\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n"
)
SIZED_ASKED: Asked = (
    "POST",
    "/sized",
    [(b"empty", b""), *OFFERED, (b"content-length", b"14")],
    b"\r\nUpgrade: h2c",
)
CHUNKED_ASKED: Asked = ("PUT", "/chunked", [*OFFERED, (b"transfer-encoding", b"chunked")], b"one two")


async def test_offers_of_another_protocol_are_passed_over_wherever_the_bytes_are_cut() -> None:
    both = SIZED_OFFER + CHUNKED_OFFER
    for cut in range(1, len(both) + 1):
        assert await asked(both[:cut], both[cut:]) == [SIZED_ASKED, CHUNKED_ASKED], f"cut at {cut}"


async def test_offers_are_passed_over_byte_by_byte() -> None:
    each = [bytes([byte]) for byte in CHUNKED_OFFER + SIZED_OFFER]

    assert await asked(*each) == [CHUNKED_ASKED, SIZED_ASKED]


async def test_offers_without_a_body_are_passed_over_however_many_come_at_once() -> None:
    bare = b"GET /bare HTTP/1.1\r\n" + OFFER + b"\r\n"

    assert await asked(bare * 2000 + SIZED_OFFER) == [*[("GET", "/bare", OFFERED, b"")] * 2000, SIZED_ASKED]


HANDSHAKE = b"GET /socket HTTP/1.1\r\nhost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
ANSWER = HEAD + b"content-length: 0\r\n\r\n"


async def told_of_sockets(*parts: bytes) -> list[tuple[str, bool]]:
    """The requests that come, and whether each may become a WebSocket; all are answered as requests."""
    seen: list[tuple[str, bool]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["path"], "frontdesk.upgrade" in scope))
        await send(start((b"content-length", b"0")))
        await send(body(b""))

    wire = await received(app, *parts)

    assert b"".join(wire.writes) == ANSWER * len(seen)
    return seen


async def test_the_offer_of_a_socket_is_told_wherever_the_bytes_are_cut_and_of_its_request_alone() -> None:
    several = b"GET /before HTTP/1.1\r\nhost: x\r\n\r\n" + HANDSHAKE + SIZED_OFFER + HANDSHAKE
    expected = [("/before", False), ("/socket", True), ("/sized", False), ("/socket", True)]
    for cut in range(1, len(several) + 1):
        assert await told_of_sockets(several[:cut], several[cut:]) == expected, f"cut at {cut}"


@pytest.mark.parametrize(
    "other",
    [
        HANDSHAKE.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ncontent-length: 0\r\n\r\n"),
        HANDSHAKE.replace(b"WebSocket", b"h2c"),
        HANDSHAKE.replace(b"WebSocket", b"h2c, websocket"),
        HANDSHAKE.replace(b"Upgrade: WebSocket", b"Upgrade: websocket\r\nUpgrade: websocket"),
        HANDSHAKE.replace(b"Connection: Upgrade\r\n", b""),
    ],
    ids=["a POST", "h2c", "a choice", "twice", "no connection header"],
)
async def test_what_offers_something_else_is_a_request_as_any_other(other: bytes) -> None:
    assert await told_of_sockets(other, HANDSHAKE) == [("/socket", False), ("/socket", True)]


async def test_a_client_that_offers_and_waits_to_continue_is_told_to() -> None:
    head, content = SIZED_OFFER.replace(b"empty:", b"expect: 100-continue").split(b"\r\n\r\n", 1)
    wire = await written([start(SIZED), body(b"hello")], head + b"\r\n\r\n" + content)

    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"content-length: 5\r\n\r\nhello"]


async def test_nothing_is_offered_by_either_header_alone() -> None:
    alone = b"POST / HTTP/1.1\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi"

    assert await asked(alone) == [("POST", "/", [(b"upgrade", b"h2c"), (b"content-length", b"2")], b"hi")]


async def test_headers_that_offer_are_bounded_too() -> None:
    head = b"GET / HTTP/1.1\r\n" + OFFER + b"long: "
    wire = await written([], head, b"x" * 65_000, b"x" * 65_000 + b"\r\n\r\n")

    assert [write[:12] for write in wire.writes] == [b"HTTP/1.1 431"]
    assert wire.was_closed


async def test_a_tunnel_is_refused_and_what_was_sent_into_it_is_no_request() -> None:
    wire = await written(
        [start(SIZED), body(b"hello")], b"CONNECT http://x/y HTTP/1.1\r\nhost: x\r\n\r\n" + SIZED_OFFER
    )

    assert [write[:12] for write in wire.writes] == [b"HTTP/1.1 400"]
    assert wire.was_closed


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["first", "pipelined"])
async def test_huge_headers_that_come_in_one_read_are_refused(before: bytes) -> None:
    huge = b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 150_000 + b"\r\n\r\n"

    wire = await written([start(SIZED), body(b"hello")], before + huge)

    assert b"".join(wire.writes).count(b"hello") == (1 if before else 0)
    assert wire.was_closed
    assert before or wire.writes[0].startswith(b"HTTP/1.1 431 ")
