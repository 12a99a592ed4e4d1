"""Where key sets come from: an address of the identity provider's, or a file."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from pathlib import Path

from yarl import URL

from frontdesk.accounts.jwks import SourceFailed
from frontdesk.core.config.addresses import is_loopback
from frontdesk.providers.connection import Connection, ConnectionFailed

_MAX_BYTES = 512 * 1024
_TIMEOUT_S = 5.0
_CONNECT_S = 1.5  # at least, for each address
_MAX_AGE = re.compile(rb"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,;])", re.IGNORECASE)


class FileSource:
    """A file. The configuration has made its path whole; another is relative to the process's folder."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def read(self) -> tuple[bytes, None]:
        """Read it anew. Raises SourceFailed."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                text = await asyncio.to_thread(_read_file, self._path)
        except OSError as error:
            reason = "it took too long" if isinstance(error, TimeoutError) else error.strerror
            raise SourceFailed(f"{str(self._path)!r} cannot be read: {reason}") from None
        if len(text) > _MAX_BYTES:
            raise SourceFailed(f"{str(self._path)!r} is larger than {_MAX_BYTES // 1024} kB")
        return text, None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1)


class UrlSource:
    """An address: https, or plain http on this machine. Redirects are not followed."""

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S, tls: ssl.SSLContext | None = None) -> None:
        self._url = _checked(url)
        self._told = _told(self._url)
        self._timeout_s = timeout_s
        self._tls = tls

    async def read(self) -> tuple[bytes, float | None]:
        """Fetch it, in `timeout_s` from the first look at its name to the last byte. Raises SourceFailed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._get()
        except TimeoutError:
            raise SourceFailed(f"{self._told} did not answer within {self._timeout_s:g} s") from None
        except ConnectionFailed as failure:
            raise SourceFailed(f"{self._told} did not answer properly: {failure}") from None
        except ssl.SSLCertVerificationError as error:
            raise SourceFailed(f"the certificate of {self._told} does not hold: {error.verify_message}") from None
        except (OSError, UnicodeError) as error:  # the latter of names that cannot be
            raise SourceFailed(f"{self._told} cannot be reached: {error}") from None

    async def _get(self) -> tuple[bytes, float | None]:
        connection = await self._connect()
        try:
            await connection.send(_request(self._url))
            if connection.status != 200:
                raise SourceFailed(f"{self._told} answered with status {connection.status}, where 200 is needed")
            pieces: list[bytes] = []
            size_bytes = 0
            while piece := await connection.read():
                pieces.append(piece)
                size_bytes += len(piece)
                if size_bytes > _MAX_BYTES:
                    raise SourceFailed(f"{self._told} answers with more than {_MAX_BYTES // 1024} kB")
            told = _MAX_AGE.search(connection.header(b"cache-control") or b"")
            return b"".join(pieces), None if told is None else float(told[1])
        finally:
            connection.close()

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


def _request(url: URL) -> bytes:
    return (
        f"GET {url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n"
        "Accept: application/json\r\nUser-Agent: frontdesk\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _checked(text: str) -> URL:
    url = URL(text)
    if not url.raw_host or url.raw_user is not None:
        raise ValueError("A jwks_url must name a host, and no user.")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.raw_host)):
        raise ValueError(
            f"jwks_url is {_told(url)!r}. Keys are fetched by https://; http:// is for this machine alone."
        )
    return url


def _told(url: URL) -> str:
    """An address for logs and people: its query may be a key."""
    return str(url.with_query(None).with_fragment(None))
