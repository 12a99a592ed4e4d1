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


async def written(messages: Messages, request: bytes = b"POST / HTTP/1.1\r\nhost: x\r\n\r\n") -> Wire:
    """What an application's messages become; one that has none left to send fails there."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            await send(message)

    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", date_header=False, server_header=False)
    config.load()
    state, wire = ServerState(), Wire()
    protocol = PatientProtocol(config=config, server_state=state, app_state={}, patience=Patience(5, 5, 5))
    protocol.connection_made(wire)
    protocol.data_received(request)
    while state.tasks:
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return wire


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


@pytest.mark.parametrize("messages", [[start(SIZED)], [start()]], ids=["sized", "chunked"])
async def test_a_head_without_the_body_that_it_told_of_leaves_before_the_connection_closes(messages: Messages) -> None:
    wire = await written(messages)

    assert [write[:15] for write in wire.writes] == [b"HTTP/1.1 200 OK"]
    assert wire.is_closed


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
