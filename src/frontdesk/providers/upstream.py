"""The one seam to providers over HTTP: post a body, get status, headers and a reader.

Our own client on httptools, since a general one cost more than all else of a turn. It speaks HTTP/1.1
over TCP or TLS to one server, follows no redirect (it would carry the key elsewhere), reads no proxy or
netrc from the environment, asks for no compression, and keeps connections that were read to their end.
One sweep for all connections watches over silence, so no read sets a timer of its own.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from yarl import URL

from frontdesk.core.errors import ProviderError
from frontdesk.providers.connection import Connection, ConnectionFailed, ConnectionSilent, ConnectionStale

_CONNECT_TIMEOUT_S = 8.0  # before a silent stream is kept alive, which settles its status
_KEEP_ALIVE_S = 15.0  # below what servers grant: some close after 20 s without a word
_SWEEP_EVERY_S = 1.0
_LAST_BYTES_S = 1.0  # for the end of a body whose last event was read


class Upstream:
    """A pool of connections to one server. `close()` it when the server ends.

    `headers` go with every request. `idle_timeout_s` is how long the server may be silent, before
    its answer and within it.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], idle_timeout_s: float) -> None:
        self._base = URL(base_url.rstrip("/"), encoded=True)
        self._host, self._port = self._base.host or "", self._base.port or 80
        self._idle_timeout_s = idle_timeout_s
        self._heads: dict[tuple[str, str], bytes] = {}  # by path and content type
        self._headers = _head_lines(self._base, headers)
        self._tls = _tls_context() if self._base.scheme == "https" else None
        self._connections: set[Connection] = set()
        self._free: dict[Connection, None] = {}  # the one that was used last comes last
        self._ending: dict[Connection, float] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def post(
        self, path: str, body: bytes | Sequence[bytes], content_type: str = "application/json"
    ) -> UpstreamResponse:
        """Send a request to `path` below the base, return when the headers of its answer are here.

        `path` may have a query; both are of the configuration's making, not a caller's. A content type with a boundary
        has the same one each time (`providers.forms`). A body that comes in pieces is sent without being put together.
        Raises ProviderError for all that goes wrong before: 504 for a time-out, else 502.
        """
        head = self._heads.get((path, content_type)) or self._head(path, content_type)
        request: bytes | Sequence[bytes]
        if isinstance(body, bytes):
            request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        else:
            request = (b"%b%d\r\n\r\n" % (head, sum(map(len, body))), *body)
        try:
            return UpstreamResponse(await self._send(request), self)
        except (ConnectionFailed, OSError) as error:
            raise _unanswered(error, is_sent=True) from None

    async def close(self) -> None:
        """Close all connections."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._connections):
            connection.close()
        if self._connections:
            await asyncio.sleep(0)  # transports tell their end in the loop's next round

    def give_back(self, connection: Connection) -> None:
        """Take a connection back after its answer; one that still sends the end of it, when that has come."""
        self._ending.pop(connection, None)
        if connection.is_whole:
            if connection.give_back() and not self._is_closed:
                self._free[connection] = None
        else:
            connection.close()

    def give_back_soon(self, connection: Connection) -> None:
        """Take a connection back whose answer's last event was read, and whose last bytes may be on their way."""
        if connection.is_whole:
            self.give_back(connection)
        else:
            connection.on_whole = self.give_back
            self._ending[connection] = asyncio.get_running_loop().time()

    async def _send(self, request: bytes | Sequence[bytes]) -> Connection:
        connection = self._take_free()
        if connection is not None:
            try:
                return await self._try(connection, request)
            except ConnectionStale:
                pass  # the server had closed it meanwhile, and answered nothing: once more, on a new one
        try:
            connection = await self._connect()
        except (ConnectionFailed, OSError) as error:
            raise _unanswered(error, is_sent=False) from None
        return await self._try(connection, request)

    async def _try(self, connection: Connection, request: bytes | Sequence[bytes]) -> Connection:
        try:
            await connection.send(request)
        except BaseException:  # a cancelled request is under way on it: it is of no use to another
            connection.close()
            raise
        return connection

    def _take_free(self) -> Connection | None:
        while self._free:
            connection, _ = self._free.popitem()
            if connection.is_alive:
                return connection
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        connection = await self._connect_to_one(loop)
        if self._is_closed:
            connection.close()
            raise ConnectionFailed("closed here")
        self._connections.add(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._sweep_every_s(), self._look_at_all)
        return connection

    async def _connect_to_one(self, loop: asyncio.AbstractEventLoop) -> Connection:
        """Try the host's addresses in order, each for its share of the time: one that is dead costs no other."""
        ends_at = loop.time() + _CONNECT_TIMEOUT_S
        async with asyncio.timeout_at(ends_at):
            addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        failure: Exception = ConnectionFailed("its name has no address")
        for place, (family, _, _, _, address) in enumerate(addresses):
            share_s = (ends_at - loop.time()) / (len(addresses) - place)
            try:
                async with asyncio.timeout(share_s):
                    _, connection = await loop.create_connection(
                        lambda: Connection(loop, self._forget),
                        str(address[0]),
                        self._port,
                        family=family,
                        ssl=self._tls,
                        server_hostname=self._host if self._tls else None,
                    )
            except (OSError, TimeoutError) as error:
                failure = error
            else:
                return connection
        raise failure

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._ending.pop(connection, None)
        self._free.pop(connection, None)

    def _look_at_all(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._connections):
            connection.check(now, self._idle_timeout_s)
        for connection in [each for each in self._free if now - (each.free_since or now) > _KEEP_ALIVE_S]:
            connection.close()
        for connection in [each for each, since in self._ending.items() if now - since > _LAST_BYTES_S]:
            self.give_back(connection)
        self._sweep = loop.call_later(self._sweep_every_s(), self._look_at_all) if self._connections else None

    def _sweep_every_s(self) -> float:
        return min(_SWEEP_EVERY_S, self._idle_timeout_s / 4)

    def _head(self, path: str, content_type: str) -> bytes:
        segments, _, query = path.partition("?")
        url = self._base.joinpath(*segments.strip("/").split("/"))
        target = f"{url.raw_path}?{query}" if query else url.raw_path_qs
        head = self._heads[path, content_type] = b"POST %b HTTP/1.1\r\n%bContent-Type: %b\r\nContent-Length: " % (
            target.encode("ascii"),
            self._headers,
            content_type.encode("ascii"),
        )
        return head


class UpstreamResponse:
    """A response whose body is read piece by piece. Used as a context: its exit frees the connection."""

    __slots__ = ("_connection", "_upstream", "status")

    def __init__(self, connection: Connection, upstream: Upstream) -> None:
        self._connection: Connection | None = connection
        self._upstream = upstream
        self.status = connection.status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._upstream.give_back(self._connection)
            self._connection = None

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        value = self._held().header(name.lower().encode())
        return None if value is None else value.decode("latin-1")

    async def read(self) -> bytes:
        """Return what has arrived, at least a byte; empty at the end. Raises ProviderError."""
        try:
            return await self._held().read()
        except ConnectionSilent:
            raise ProviderError("the provider fell silent", status=504, code="provider_timeout") from None
        except ConnectionFailed as failure:
            raise ProviderError(f"the provider's answer broke off: {failure}") from None

    async def read_all(self, limit_bytes: int) -> bytes:
        """Return the rest of the body. Raises ProviderError, also where it is longer than the limit."""
        pieces: list[bytes] = []
        size_bytes = 0
        while piece := await self.read():
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise ProviderError(f"the provider's answer is larger than {limit_bytes} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip_rest(self) -> None:
        """Read no more: the last event was read. The connection can be used again once its body has ended."""
        self._upstream.give_back_soon(self._held())
        self._connection = None

    def _held(self) -> Connection:
        assert self._connection is not None, "the response was given back"
        return self._connection


def _unanswered(error: Exception, *, is_sent: bool) -> ProviderError:
    if isinstance(error, ConnectionSilent | TimeoutError):
        return ProviderError("no answer within the time-out", status=504, code="provider_timeout", is_sent=is_sent)
    reason = str(error) if isinstance(error, ConnectionFailed) else type(error).__name__
    return ProviderError(f"the provider cannot be reached: {reason}", is_sent=is_sent)


def _head_lines(base: URL, headers: Mapping[str, str]) -> bytes:
    lines = {"Host": base.host_port_subcomponent or "", **headers}
    if base.user is not None:
        credential = f"{base.user}:{base.password or ''}".encode()
        lines["Authorization"] = f"Basic {base64.b64encode(credential).decode()}"
    for name, value in lines.items():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the header {name} has a character that no header has")
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("ascii")


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
