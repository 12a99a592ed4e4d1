"""Where key sets come from: an address of the identity provider's, or a file."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path

from yarl import URL

from frontdesk.accounts.jwks import SourceFailed
from frontdesk.core.config.addresses import is_loopback
from frontdesk.providers.connection import Connection
from frontdesk.providers.seldom import SeldomAsked, Unreachable

_MAX_BYTES = 512 * 1024
_TIMEOUT_S = 5.0
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
        self._server = SeldomAsked(self._url, self._told, timeout_s=timeout_s, tls=tls)

    async def read(self) -> tuple[bytes, float | None]:
        """Fetch it, in `timeout_s` from the first look at its name to the last byte. Raises SourceFailed."""
        try:
            return await self._server.ask(_request(self._url), self._read)
        except Unreachable as failure:
            raise SourceFailed(str(failure)) from None

    async def _read(self, connection: Connection) -> tuple[bytes, float | None]:
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
