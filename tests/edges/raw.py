"""HTTP by hand: what no client library would send, and hang-ups at a chosen moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, ClassVar

from tests.serving import ADMIN_KEY, Served


class RawConnection:
    """One connection to a server. All that a test opened are closed by `close_all`."""

    _opened: ClassVar[list[RawConnection]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, served: Served) -> RawConnection:
        connection = cls(*await asyncio.open_connection("127.0.0.1", served.port, limit=1 << 22))
        cls._opened.append(connection)
        return connection

    @classmethod
    async def close_all(cls) -> None:
        while cls._opened:
            writer = cls._opened.pop().writer
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, timeout_s: float = 30) -> tuple[int, dict[str, str], bytes]:
        """Read one whole response."""
        async with asyncio.timeout(timeout_s):
            status, headers = await self.head()
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return status, headers, body

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a response's status and headers."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers

    async def until(self, text: bytes, timeout_s: float = 30) -> bytes:
        """Read until a text has come."""
        async with asyncio.timeout(timeout_s):
            return await self.reader.readuntil(text)

    async def rest(self, timeout_s: float = 30) -> bytes:
        """Read to the end of the connection."""
        async with asyncio.timeout(timeout_s):
            return await self.reader.read()

    def hang_up(self) -> None:
        """Close at once, with a reset where data is unread."""
        self.writer.transport.abort()


def post(path: str, body: bytes, token: str | None = ADMIN_KEY, **headers: str) -> bytes:
    """A POST as bytes."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    if token is not None:
        lines.append(f"authorization: Bearer {token}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def ask(served: Served, request: bytes) -> tuple[int, dict[str, Any]]:
    """Send one request on a connection of its own; returns its status and JSON body."""
    connection = await RawConnection.open(served)
    connection.send(request)
    status, _, body = await connection.answer()
    connection.hang_up()
    return status, json.loads(body)
