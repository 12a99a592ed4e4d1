"""Proxies that are trusted: for whom they forward, and whether that one came by https.

Each proxy appends to X-Forwarded-For whom it was asked by. So the list is true from its right end
as far as those who wrote it are trusted, and the first address there that is no trusted proxy is the
client; what stands left of it anybody may have invented. The host is never changed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from frontdesk.http.edge import Door
from frontdesk.http.requests import Receive, Scope, Send

_MOST_KNOWN = 4096
_MOST_CHARS = 64  # the longest spelling of an address and its port has 53


@dataclass(frozen=True, slots=True)
class _Hop:
    """An entry of X-Forwarded-For: who was forwarded for."""

    host: str
    port: int
    is_trusted: bool


class TrustedProxies:
    """An ASGI layer: where the connection is a trusted proxy's, the scope tells of its client instead.

    `trusted` are addresses and networks, as "10.0.0.0/8". What others send in these headers is not read.
    """

    def __init__(self, application: Door, trusted: Iterable[str]) -> None:
        self._application = application
        self._networks = [ipaddress.ip_network(each, strict=False) for each in trusted]
        self._known: dict[str, _Hop | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        peer = scope["client"]
        if peer is not None and (hop := self._hop(peer[0])) is not None and hop.is_trusted:
            self._rewrite(scope)
        await self._application(scope, receive, send)

    def _rewrite(self, scope: Scope) -> None:
        forwarded_for: list[str] = []
        scheme = None
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                forwarded_for += value.decode("latin-1").split(",")
            elif name == b"x-forwarded-proto":
                scheme = value.rpartition(b",")[2].strip()
        client = self._client(forwarded_for)
        if client is not None:
            scope["client"] = (client.host, client.port)
        if scheme in (b"http", b"https"):
            scope["scheme"] = scheme.decode()

    def _client(self, forwarded_for: list[str]) -> _Hop | None:
        """The last that is no proxy of ours; where all are, the first. What no address is ends the search:
        the proxy right of it could not tell for whom it asked, so it counts itself.
        """
        client = None
        for entry in reversed(forwarded_for):
            hop = self._hop(entry.strip(" \t"))
            if hop is None:
                break
            client = hop
            if not hop.is_trusted:
                break
        return client

    def _hop(self, entry: str) -> _Hop | None:
        try:
            return self._known[entry]
        except KeyError:
            hop = self._read(entry)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        if len(entry) <= _MOST_CHARS:
            self._known[entry] = hop
        return hop

    def _read(self, entry: str) -> _Hop | None:
        if len(entry) > _MOST_CHARS:
            return None
        match = _WITH_PORT.fullmatch(entry)
        host, port = (entry, None) if match is None else (match["ipv6"] or match["ipv4"], match["port"])
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address):
            # Without a zone, which may be any text; and where IPv4 is inside, as that.
            address = address.ipv4_mapped or ipaddress.IPv6Address(int(address))
        is_trusted = any(address in network for network in self._networks)
        return _Hop(str(address), min(int(port or 0), _LAST_PORT), is_trusted)


_WITH_PORT = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<ipv4>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?")
_LAST_PORT = 65_535
