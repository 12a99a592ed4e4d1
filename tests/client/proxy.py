"""A proxy between devices and a server that does what networks do: it cuts, delays, stalls, holds back, and counts.

It forwards bytes, and reads along which requests are made. What becomes of each connection a `Fate` says.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"(GET|POST|DELETE) (/\S*) HTTP/1\.1\r\n")
_STREAM = b"content-type: text/event-stream"
_CHUNKS_END = b"0\r\n\r\n"
_LONGEST_LINE_BYTES = 4096
_AT_ONCE = struct.pack("ii", 1, 0)  # closed without a word: that is a reset


@dataclass
class Fate:
    """What becomes of a connection.

    It is cut, both ways at once, when so many bytes have come down, or gone up. What comes down waits for `delay_s`
    each time, and from `stalls_at` bytes on for ever, without an end. With `loses` the answer to a request in whose
    first line that is gets lost, and the connection with it. With `buffers` event streams are held back to their end.
    A cut is a reset, as of a middlebox, or with `resets` false an end that comes too early, as of a process that died.
    """

    cut_down: int | None = None
    cut_up: int | None = None
    delay_s: float = 0
    stalls_at: int | None = None
    loses: bytes | None = None
    buffers: bool = False
    resets: bool = True


@dataclass
class Counts:
    """What went through."""

    up: int = 0
    down: int = 0
    connections: int = 0
    cuts: int = 0
    requests: list[str] = field(default_factory=list)


Fates = Callable[[], Fate]


class Proxy:
    """Forwards connections to a port, which may change. `fates` makes what becomes of each."""

    def __init__(self, port: Callable[[], int]) -> None:
        self.fates: Fates = Fate
        self.counts = Counts()
        self.port = 0
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def restart_counts(self) -> Counts:
        """Count from nothing; returns what was counted."""
        counts, self.counts = self.counts, Counts()
        return counts

    def cut_all(self) -> None:
        """Lose all connections that there are."""
        for writer in self._open:
            writer.transport.abort()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection to its end."""
        fate = self.fates()
        self.counts.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target())
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, up_writer}
        self._open |= ends
        line = _Line(fate, self, ends)
        try:
            ways = (line.up(reader, up_writer), line.down(up_reader, writer))
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()


class _Line:
    """One connection, both ways."""

    def __init__(self, fate: Fate, proxy: Proxy, ends: set[asyncio.StreamWriter]) -> None:
        self._fate = fate
        self._proxy = proxy
        self._ends = ends
        self._is_losing = False

    def _cut(self) -> None:
        self._proxy.counts.cuts += 1
        for end in self._ends:
            if self._fate.resets:
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            end.transport.abort()

    async def up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward what a device sends."""
        sent, unread = 0, b""
        while data := await reader.read(65536):
            unread += data
            end = 0
            for found in _REQUEST.finditer(unread):
                said = f"{found[1].decode()} {found[2].decode()}"
                self._proxy.counts.requests.append(said)
                self._is_losing |= self._fate.loses is not None and self._fate.loses in found[0]
                end = found.end()
            unread = unread[max(end, len(unread) - _LONGEST_LINE_BYTES) :]
            if self._fate.cut_up is not None and sent + len(data) >= self._fate.cut_up:
                writer.write(data[: max(self._fate.cut_up - sent, 0)])
                await writer.drain()
                self._cut()
                return
            sent += len(data)
            self._proxy.counts.up += len(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward what a server sends."""
        fate, told, held = self._fate, 0, b""
        while data := await reader.read(65536):
            if fate.delay_s:
                await asyncio.sleep(fate.delay_s)
            if self._is_losing:
                self._cut()
                return
            if fate.stalls_at is not None and told + len(data) >= fate.stalls_at:
                await asyncio.Event().wait()
            if fate.cut_down is not None and told + len(data) >= fate.cut_down:
                writer.write(data[: max(fate.cut_down - told, 0)])
                await writer.drain()
                self._cut()
                return
            told += len(data)
            if fate.buffers and (held or _STREAM in data):
                held += data
                if not held.endswith(_CHUNKS_END):
                    continue
                data, held = held, b""
            self._proxy.counts.down += len(data)
            writer.write(data)
            await writer.drain()
        writer.write(held)
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def proxied(port: Callable[[], int]) -> AsyncIterator[Proxy]:
    """A proxy to this port of this machine."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut_all()
        await asyncio.sleep(0)
