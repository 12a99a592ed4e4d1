"""The client: sends chat requests over kept-alive connections and checks every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from bench.upstream import CHUNKS, WORDS


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `requests` in all, `at_once` at a time."""

    port: int
    token: str
    is_streaming: bool
    requests: int
    at_once: int


class WrongAnswer(Exception):
    """An answer that is not the upstream's."""


async def send(load: Load) -> None:
    """Send a load; raises WrongAnswer at the first answer that is not whole."""
    left = iter(range(load.requests))
    await asyncio.gather(*(_client(load, left) for _ in range(load.at_once)))


async def _client(load: Load, left: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port, limit=1 << 20)
    for number in left:
        writer.write(_request(load, number))
        _check(load, await _read_answer(reader))
    writer.close()


def _request(load: Load, number: int) -> bytes:
    """Bodies differ, so that nothing can be answered from memory."""
    body = (
        b'{"model":"bench","messages":[{"role":"system","content":"You are brief."},'
        b'{"role":"user","content":"Question number %d: what is a desk bell for?"}],"temperature":0.5%b}'
        % (number, b',"stream":true,"stream_options":{"include_usage":true}' if load.is_streaming else b"")
    )
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n"
        b"content-type: application/json\r\naccept: application/json\r\nuser-agent: OpenAI/Python\r\n"
        b"x-stainless-lang: python\r\ncontent-length: %d\r\n\r\n%b" % (load.token.encode(), len(body), body)
    )


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise WrongAnswer(head)
    if b"transfer-encoding: chunked" not in head:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return await reader.readexactly(length)
    pieces: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(pieces)


def _check(load: Load, answer: bytes) -> None:
    is_whole = (
        answer.count(b'"content":" word') == CHUNKS and answer.endswith(b"data: [DONE]\n\n")
        if load.is_streaming
        else b"word%d" % (WORDS - 1) in answer
    )
    if not is_whole:
        raise WrongAnswer(answer[-500:])
