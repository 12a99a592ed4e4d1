"""A device's WebSocket as the bench needs it: subscribed, silent, and alive to its server."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import cast

_PONG = b"\x8a\x80" + bytes(4)
_PING = b"\x89\x00"
_SUBSCRIBE = b'{"type":"subscribe"}'
_READY = b'"type":"ready"'
_MORE = f"user-agent: {'x' * 110}\r\naccept-language: en-GB,en;q=0.9\r\norigin: https://app.example"
"""What a browser sends beside, in length."""


class SocketDevice(asyncio.Protocol):
    """A connection to /api/socket that answers pings and throws away what else it is told."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._last = b""
        self._wanted = b""
        self._came: asyncio.Future[None] | None = None
        self.is_lost = False

    @classmethod
    async def subscribed(cls, port: int, token: str) -> SocketDevice:
        """Open one, and return when it is told all there is."""
        loop = asyncio.get_running_loop()
        _, device = await loop.create_connection(cls, "127.0.0.1", port)
        await device.say(_handshake(token), b"HTTP/1.1 101 ")
        await device.say(_frame(_SUBSCRIBE), _READY)
        return device

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer a ping; see whether what is waited for has come."""
        if _PING in data:
            self._transport.write(_PONG)
        self._last = self._last[-1000:] + data
        if self._came is not None and self._wanted in self._last and not self._came.done():
            self._came.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Note that it is over."""
        self.is_lost = True
        if self._came is not None and not self._came.done():
            self._came.set_exception(RuntimeError(f"The socket was closed: {self._last!r}"))

    async def say(self, message: bytes, wanted: bytes) -> None:
        """Send something, and return when this has come."""
        self._last, self._wanted = b"", wanted
        self._came = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        await self._came

    def hang_up(self) -> None:
        """Close the connection."""
        self._transport.abort()


def _handshake(token: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /api/socket HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\nauthorization: Bearer {token}\r\n{_MORE}\r\n\r\n"
    ).encode()


def _frame(text: bytes) -> bytes:
    """A short text, masked with nothing."""
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text
