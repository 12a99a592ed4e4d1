"""Providers on real sockets, inside the test, which know what became of their connections: one that says
what the test tells it to, and the scripted upstream as `frontdesk upstream` serves it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from frontdesk.upstream.journal import Record, Totals
from frontdesk.upstream.server import UpstreamServer
from tests.providers import recorded

Script = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


class SocketUpstream:
    """Answers POSTs by a script, which writes the raw HTTP response."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.open_connections = 0
        self.requests: list[dict[str, Any]] = []
        self.changed = asyncio.Condition()
        self.port = 0
        self.tasks: set[asyncio.Task[Any]] = set()

    @property
    def settings(self) -> dict[str, Any]:
        """A configuration that asks this upstream."""
        return {
            "providers": {
                "up": {
                    "kind": "openai-compatible",
                    "base_url": f"http://127.0.0.1:{self.port}/v1",
                    "api_key": "sk-test-upstream",
                    "idle_timeout_s": 5,
                    "retries": {"most": 0},
                }
            },
            "models": {"fast": {"route": ["up/m"]}},
            "default_model": "fast",
        }

    async def until(self, is_so: Callable[[], bool], timeout_s: float = 15) -> None:
        """Wait until something is so here."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(is_so)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        await self._count(1)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                self.requests.append(json.loads(await reader.readexactly(length)))
                async with self.changed:
                    self.changed.notify_all()
                answering = asyncio.ensure_future(self._script(self.requests[-1], writer))
                watching = asyncio.ensure_future(reader.read(1))
                done, _ = await asyncio.wait([answering, watching], return_when=asyncio.FIRST_COMPLETED)
                answering.cancel()
                watching.cancel()
                await asyncio.gather(answering, watching, return_exceptions=True)
                if watching in done:  # the other side hung up
                    break
                await writer.drain()
                if writer.is_closing():
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the stream's own callback stumbles over a cancelled task: this is where one ends
        finally:
            writer.close()
            await self._count(-1)

    async def _count(self, by: int) -> None:
        async with self.changed:
            self.open_connections += by
            self.changed.notify_all()


@asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[SocketUpstream]:
    """An upstream for the length of a block."""
    served = SocketUpstream(script)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in list(served.tasks):
            task.cancel()
        await asyncio.gather(*served.tasks, return_exceptions=True)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def piece(data: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def endless(_: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Words for as long as somebody listens."""
    writer.write(STREAM_HEAD)
    while True:
        writer.write(piece(recorded.chunk({"content": "word "})))
        await writer.drain()
        await asyncio.sleep(0.01)


async def brief(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A short answer, streamed or not."""
    if request.get("stream"):
        writer.write(STREAM_HEAD + piece(recorded.TEXT) + b"0\r\n\r\n")
        return
    body = json.dumps(
        {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "brief"}, "finish_reason": "stop"}],
            "usage": recorded.USAGE,
        }
    ).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )


class ScriptedUpstream:
    """The scripted provider as a server, in the test's own loop."""

    def __init__(self, server: UpstreamServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """Where it listens, without /v1."""
        return self._server.url

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    @property
    def stats(self) -> Totals:
        """What it counts."""
        return self._server.journal.totals

    def play(self, *rules: dict[str, Any]) -> None:
        """Let these rules hold, as `PUT /upstream/faults` does."""
        self._server.rules.replace(json.dumps(rules).encode())

    def refuse(self) -> None:
        """Refuse connections until it listens again."""
        self._server.stop_listening()

    async def listen(self) -> None:
        """Take connections again, on the same port."""
        await self._server.start()

    def journal(self, since: int = 0) -> list[Record]:
        """What it was asked, the oldest first."""
        return list(self._server.journal.since(since))

    async def until(self, is_so: Callable[[], bool], timeout_s: float = 15) -> None:
        """Wait until something is so here."""
        async with asyncio.timeout(timeout_s):
            while not is_so():
                await asyncio.sleep(0.001)

    async def until_idle(self, timeout_s: float = 15) -> None:
        """Wait until no connection is open any more."""
        await self.until(lambda: self.stats.open_connections == 0, timeout_s)


@asynccontextmanager
async def scripted_upstream(
    *, api_key: str | None = None, script: str | None = "echo"
) -> AsyncIterator[ScriptedUpstream]:
    """The scripted upstream for the length of a block, on a free port."""
    server = UpstreamServer(api_key=api_key, script=script)
    await server.start()
    try:
        yield ScriptedUpstream(server)
    finally:
        await server.stop()
