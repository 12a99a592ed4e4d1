"""Requests and responses as bytes, and how a connection ended."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Literal

from tests.upstreams import ScriptedUpstream

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"


@dataclass
class Seen:
    """All that came on a connection until it ended."""

    data: bytes
    ended: Literal["eof", "reset", "open"]

    @property
    def head(self) -> str:
        return self.data.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def headers(self) -> dict[str, str]:
        return dict(line.lower().split(": ", 1) for line in self.head.split("\r\n")[1:])

    @property
    def after_head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def pieces(self) -> list[bytes]:
        """The pieces of a chunked body, the last one perhaps not whole; an empty one where it ends well."""
        pieces: list[bytes] = []
        rest = self.after_head
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            pieces.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        return pieces

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces) if "transfer-encoding" in self.headers else self.after_head

    @property
    def events(self) -> list[Any]:
        """The payloads of the server-sent events, parsed where they are JSON."""
        lines = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [json.loads(line) if line.startswith(b"{") else line.decode() for line in lines]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The text of a stream's deltas."""
        return "".join(
            event["choices"][0]["delta"].get("content") or "" if event.get("choices") else event.get("delta") or ""
            for event in self.events
            if isinstance(event, dict) and (event.get("choices") or isinstance(event.get("delta"), str))
        )


def asking(path: str, fields: dict[str, Any], **headers: str) -> bytes:
    """A POST as bytes; the connection ends with its answer."""
    body = json.dumps(fields).encode()
    lines = [f"POST {path} HTTP/1.1", "host: upstream", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chat(model: str, *, stream: bool = True, text: str = "one two", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    options = {"stream_options": {"include_usage": True}} if stream else {}
    return {"model": model, "messages": messages, "stream": stream, **options, **fields}


def responses(model: str, *, stream: bool = True, text: str = "one two", **fields: Any) -> dict[str, Any]:
    return {"model": model, "input": text, "stream": stream, **fields}


async def exchange(upstream: ScriptedUpstream, request: bytes, *, patience_s: float | None = None) -> Seen:
    """Send a request and read until the connection ends; `open` where it does not within the patience."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    data = bytearray()
    try:
        writer.write(request)
        async with asyncio.timeout(patience_s or 20):
            while piece := await reader.read(1 << 16):
                data += piece
        return Seen(bytes(data), "eof")
    except ConnectionResetError:
        return Seen(bytes(data), "reset")
    except TimeoutError:
        assert patience_s is not None, f"the connection did not end: {bytes(data)!r}"
        return Seen(bytes(data), "open")
    finally:
        writer.transport.abort()


async def played(upstream: ScriptedUpstream, model: str, path: str = CHAT, **fields: Any) -> Seen:
    """What a model of this name answers."""
    make = chat if path == CHAT else responses
    return await exchange(upstream, asking(path, make(model, **fields)))


async def control(upstream: ScriptedUpstream, method: str, path: str, body: Any = None) -> Seen:
    """Ask the server's own paths."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: u\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    return await exchange(upstream, head.encode() + data)
