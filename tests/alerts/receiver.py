"""Who alerts are sent to: a server on a loopback port that verifies them as docs/alerts.md says, or fails."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def documented_verify() -> Any:
    """The function that the page gives receivers."""
    code = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)  # our own page
    return names


class Receiver:
    """Answers with `statuses` in turn, the last one for ever; `respond` does anything else instead."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._names = documented_verify()
        self._names["time"] = type("time", (), {"time": staticmethod(now)})
        self.secret = SECRET
        self.statuses = [200]
        self.respond: Respond | None = None
        self.ids: list[str] = []
        self.messages: list[dict[str, Any]] = []
        """Those that were taken and are ours."""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.came = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/hidden?token=hidden"

    @property
    def told(self) -> list[tuple[str, float]]:
        """What was taken, as type and threshold."""
        return [(each["type"], each["data"]["threshold"]) for each in self.messages]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who sends may go when it likes
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.paths.append(first)
        self.headers.append(headers)
        self.ids.append(headers["webhook-id"])
        self.came.set()
        if self.respond is not None:
            await self.respond(reader, writer)
            return
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not self._names["verify"](self.secret, headers, body):
            status = 401
        if status < 300:
            self.messages.append(json.loads(body))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\nLocation: /other\r\n\r\nno".encode())
        await writer.drain()


@asynccontextmanager
async def receiving(now: Callable[[], float]) -> AsyncIterator[Receiver]:
    """A receiver that listens meanwhile."""
    receiver = Receiver(now)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until who sends has gone."""
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say headers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-A: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say something else."""
    writer.write(b"220 smtp.example ESMTP\r\n")
