"""The one seam to providers over HTTP: post a body, get status, headers and a reader.

aiohttp stands behind it. It is told to time out by silence, never by total length (an answer may
take minutes), to follow no redirect (it would carry the key elsewhere), and to read no proxy or
netrc from the environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from frontdesk.core.errors import ProviderError

_CONNECT_TIMEOUT_S = 10.0
_END_OF_STREAM_WAIT_S = 0.25


class Upstream:
    """A pool of connections to one provider. `close()` it when the server ends."""

    def __init__(self, idle_timeout_s: float) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes) -> UpstreamResponse:
        """Send a request and return when the response's headers are here.

        Raises ProviderError for all that goes wrong before: 504 for a time-out, else 502.
        """
        session = self._session or self._open()
        try:
            return UpstreamResponse(await self._send(session, url, headers, body))
        except TimeoutError:
            raise ProviderError("no answer within the time-out", status=504, code="provider_timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError(f"the provider cannot be reached: {type(error).__name__}") from None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(
            total=None, connect=_CONNECT_TIMEOUT_S, sock_connect=_CONNECT_TIMEOUT_S, sock_read=self._idle_timeout_s
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=60),
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self._session

    async def _send(
        self, session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        try:
            return await session.post(url, headers=headers, data=body, allow_redirects=False)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
            # A kept-alive connection that the provider had closed meanwhile: not a byte of an
            # answer came. Once more, on a connection that is new or closed likewise.
            return await session.post(url, headers=headers, data=body, allow_redirects=False)


class UpstreamResponse:
    """A response whose body is read piece by piece. Used as a context: its exit frees the connection."""

    __slots__ = ("_response", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # close() drops the connection unless the body was read to its end, where it went back
        # to the pool by itself.
        self._response.close()

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        """Return what has arrived, at least a byte; empty at the end. Raises ProviderError."""
        try:
            return await self._response.content.readany()
        except TimeoutError:
            raise ProviderError("the provider fell silent", status=504, code="provider_timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError(f"the provider's answer broke off: {type(error).__name__}") from None

    async def read_all(self, limit_bytes: int) -> bytes:
        """Return the rest of the body. Raises ProviderError, also where it is longer than the limit."""
        pieces: list[bytes] = []
        size_bytes = 0
        while piece := await self.read():
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise ProviderError(f"the provider's answer is larger than {limit_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def skip_rest(self) -> None:
        """Wait a moment for the end of a body whose last event was read, so that its connection
        can be used again.
        """
        content = self._response.content
        if content.at_eof():
            return
        try:
            async with asyncio.timeout(_END_OF_STREAM_WAIT_S):
                while await self.read():
                    pass
        except (TimeoutError, ProviderError):
            return
