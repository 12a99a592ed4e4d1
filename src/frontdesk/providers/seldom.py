"""Requests that come seldom, as for key sets or of webhooks: each has a connection of its own, and a time to end in."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from yarl import URL

from frontdesk.providers.connection import Connection, ConnectionFailed

T = TypeVar("T")
_CONNECT_S = 1.5  # at least, for each address


class Unreachable(Exception):
    """There was no proper answer; the message says why, and names the address as it may be told."""


class SeldomAsked:
    """A server at an address. `told` is the address for logs and people."""

    def __init__(self, url: URL, told: str, *, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._told = told
        self._timeout_s = timeout_s
        self._tls = tls

    async def ask(self, request: bytes, read: Callable[[Connection], Awaitable[T]]) -> T:
        """Send a request and return what `read` makes of its answer, whose headers are here; then close.

        All of it within the time-out, from the first look at the server's name. Raises Unreachable.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connect()
                try:
                    await connection.send(request)
                    return await read(connection)
                finally:
                    connection.close()
        except TimeoutError:
            raise Unreachable(f"{self._told} did not answer within {self._timeout_s:g} s") from None
        except ConnectionFailed as failure:
            raise Unreachable(f"{self._told} did not answer properly: {failure}") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"the certificate of {self._told} does not hold: {error.verify_message}") from None
        except (OSError, UnicodeError) as error:  # the latter of names that cannot be
            raise Unreachable(f"{self._told} cannot be reached: {error}") from None

    async def _connect(self) -> Connection:
        """Try the host's addresses in order, each for its share of the time: one that is dead costs no other."""
        loop = asyncio.get_running_loop()
        host, port = self._url.raw_host or "", self._url.port or 443
        is_secure = self._url.scheme == "https"
        if is_secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = OSError("its name has no address")
        for family, _, _, _, address in addresses:
            try:
                async with asyncio.timeout(max(_CONNECT_S, self._timeout_s / (len(addresses) + 1))):
                    _, connection = await loop.create_connection(
                        lambda: Connection(loop, _forget),
                        str(address[0]),
                        port,
                        family=family,
                        ssl=self._tls if is_secure else None,
                        server_hostname=host if is_secure else None,
                    )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure


def _forget(_: Connection) -> None:
    """There is no pool that it would leave."""
