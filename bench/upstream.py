"""A provider that costs next to nothing: fixed bytes for every request, over plain sockets.

`"stream":true` in the body gets 100 chunks, each sent by itself as fast as they go, all else one
body. Run as `python -m bench.upstream PORT`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

CHUNKS = 100
WORDS = 40
_ANSWER = " ".join(f"word{place}" for place in range(WORDS))


def _chunk(choices: list[object], usage: object = None) -> bytes:
    return (
        b"data: "
        + json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000,
                "model": "bench",
                "system_fingerprint": "fp_bench",
                "choices": choices,
                "usage": usage,
            },
            separators=(",", ":"),
        ).encode()
        + b"\n\n"
    )


def _delta(delta: dict[str, str], reason: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])


_USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}
_STREAM = [
    _delta({"role": "assistant", "content": ""}),
    *(_delta({"content": f" word{place}"}) for place in range(CHUNKS)),
    _delta({}, "stop"),
    _chunk([], _USAGE),
    b"data: [DONE]\n\n",
]
_BODY = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _ANSWER, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": WORDS, "total_tokens": 12 + WORDS},
    },
    separators=(",", ":"),
).encode()
_UNARY_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_STREAM_PIECES = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in _STREAM]
_STREAM_PIECES[0] = _STREAM_HEAD + _STREAM_PIECES[0]
_STREAM_PIECES[-1] += b"0\r\n\r\n"


class FixedAnswers(asyncio.Protocol):
    """Answers each request as soon as its body is whole."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

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
            if b'"stream":true' in body.replace(b" ", b""):
                self._send(0)
            else:
                self._transport.write(_UNARY_RESPONSE)

    def _send(self, place: int) -> None:
        """Send a piece, and the next one in the next round of the loop: a system call each."""
        self._transport.write(_STREAM_PIECES[place])
        if place + 1 < len(_STREAM_PIECES):
            asyncio.get_running_loop().call_soon(self._send, place + 1)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(FixedAnswers, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
