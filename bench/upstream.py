"""A provider that costs next to nothing: prepared bytes over plain sockets.

The model's name says how many words and at what pace (script.py), the question's number comes back in
the first one. `"stream":true` gets a chunk a word, each sent by itself, the first with the role and
the last with the rest; all else gets one body. Run as `python -m bench.upstream PORT`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import cast

import uvloop

from bench.script import Script

_BACKLOG = 4096
_MODEL = re.compile(rb'"model":\s*"([^"]+)"')
_NUMBER = re.compile(rb"Question number (\d+)")
_IS_STREAMING = re.compile(rb'"stream":\s*true')
_MARK = b"NUMBER"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_UNARY_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Provider(asyncio.Protocol):
    """Answers each request as soon as its body is whole."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._next: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's word
        """Say no more."""
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in what has arrived."""
        self._received += data
        while True:
            head, blank, rest = self._received.partition(b"\r\n\r\n")
            if not blank:
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            body, self._received = rest[:length], rest[length:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        model, number = _MODEL.search(body), _NUMBER.search(body)
        if model is None or number is None:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return
        script = Script.of(model[1].decode())
        if _IS_STREAMING.search(body) is None:
            answer = unary_body(script).replace(_MARK, number[1])
            self._transport.write(_UNARY_HEAD % (len(answer), answer))
            return
        first, *rest = stream_pieces(script)
        self._transport.write(_STREAM_HEAD + http_chunk(first.replace(_MARK, number[1])))
        self._continue(rest, 0, script.pace_ms / 1000, self._loop.time())

    def _continue(self, pieces: list[bytes], place: int, pace_s: float, began: float) -> None:
        """Send the next piece when it is due, or in the next round of the loop: a system call each."""
        if place == len(pieces):
            self._next = None
        elif pace_s:
            due = began + (place + 1) * pace_s
            self._next = self._loop.call_at(due, self._send, pieces, place, pace_s, began)
        else:
            self._next = self._loop.call_soon(self._send, pieces, place, pace_s, began)

    def _send(self, pieces: list[bytes], place: int, pace_s: float, began: float) -> None:
        self._transport.write(pieces[place])
        self._continue(pieces, place + 1, pace_s, began)


@cache
def stream_pieces(script: Script) -> tuple[bytes, ...]:
    """Return what is written at a time: first the event with the number's place, then whole HTTP chunks."""
    words = script.words(0)
    events = [_event(_choice({"content": word})) for word in words]
    events[0] = _event(_choice({"role": "assistant", "content": ""})) + events[0].replace(
        b"answer 0", b"answer " + _MARK
    )
    events[-1] += _event(_choice({}, "stop")) + _event([], usage(script)) + b"data: [DONE]\n\n"
    first, *rest = events
    end = b"0\r\n\r\n"
    return (first, *map(http_chunk, rest[:-1]), http_chunk(rest[-1]) + end)


@cache
def unary_body(script: Script) -> bytes:
    """Return the body, with the number's place in it."""
    text = "".join(script.words(0)).replace("answer 0", "answer " + _MARK.decode())
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return _encode({**_OPENING, "object": "chat.completion", "choices": [choice], "usage": usage(script)})


def usage(script: Script) -> dict[str, int]:
    """Return what the answer says it cost."""
    return {"prompt_tokens": 12, "completion_tokens": script.chunks, "total_tokens": 12 + script.chunks}


def http_chunk(data: bytes) -> bytes:
    """Frame data as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_OPENING = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": "bench", "system_fingerprint": "fp_bench"}


def _event(choices: Iterable[object], usage: object = None) -> bytes:
    chunk = {**_OPENING, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return b"data: %b\n\n" % _encode(chunk)


def _choice(delta: dict[str, str], reason: str | None = None) -> list[object]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=_BACKLOG)
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
