"""The tap hands on what it hears, and tells it."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.peers.document import Answer
from tests.peers.tap import tapped

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n6\r\ndata: \r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"


@pytest.fixture
def told() -> queue.Queue[Answer]:
    return queue.Queue()


@asynccontextmanager
async def calling(
    told: queue.Queue[Answer], *replies: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through the tap, to a server that gives these replies, one for each read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await reader.read(65536)
            writer.write(reply)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        has_ended.set()

    has_ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with tapped(server.sockets[0].getsockname()[1], told.put) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
        await writer.wait_closed()
        await has_ended.wait()
    server.close()
    await server.wait_closed()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, expected: bytes) -> None:
    writer.write(request)
    assert await reader.readexactly(len(expected)) == expected


async def test_answers_of_a_connection_are_told_in_turn_and_their_bytes_left_alone(told: queue.Queue[Answer]) -> None:
    first, second = ANSWER + b"2\r\n{}\r\n0\r\n\r\n", ANSWER + b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n"

    async with calling(told, first, second) as (reader, writer):
        await ask(reader, writer, b"GET /one HTTP/1.1\r\nhost: a\r\n\r\n", first)
        await ask(reader, writer, b"POST /two?x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}", second)

    assert [told.get_nowait(), told.get_nowait()] == [
        Answer("GET", "/one", 200, "application/json", b"{}"),
        Answer("POST", "/two?x", 200, "application/json", b"[]"),
    ]


async def test_answer_that_a_client_leaves_is_told_as_far_as_it_came(told: queue.Queue[Answer]) -> None:
    async with calling(told, STREAM) as (reader, writer):
        await ask(reader, writer, b"POST /one HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", STREAM)
        writer.close()
        left = await asyncio.to_thread(told.get, timeout=15)

    assert left == Answer("POST", "/one", 200, "text/event-stream", b"data: ", is_whole=False)


async def test_websocket_passes_and_is_not_read(told: queue.Queue[Answer]) -> None:
    request = b"GET /one HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

    async with calling(told, SWITCH, b"\x81\x02hi") as (reader, writer):
        await ask(reader, writer, request, SWITCH)
        await ask(reader, writer, b"\x81\x80\x00\x00\x00\x00", b"\x81\x02hi")

    assert told.empty()
