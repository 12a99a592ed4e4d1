"""Which versions of apps are still served.

An app says which it is: `Frontdesk-Client: web/1.4.0`, or with a WebSocket's handshake, where a browser sets no
header, as a subprotocol, `frontdesk.client.web.1.4.0`. One below its least version is refused where it would speak
our own protocol, with 426 and what to do. Not on `/v1`: that is OpenAI's, and stays as it is whatever we change here,
so an old app goes on answering its person there while it says that it wants an update. And not at `/api/bootstrap`,
where it learns of that. Who says nothing is never refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from frontdesk.core.errors import BadRequest
from frontdesk.core.versions import Version, read_version
from frontdesk.http.requests import ClientTooOld, Scope

PROTOCOL_VERSION = 1
"""Of what apps speak at these paths."""
_OURS = frozenset({"/api/sync", "/api/events", "/api/socket"})
_EVENTS_OF_ONE = re.compile(r"/api/conversations/[^/]+/events")
_HEADER = b"frontdesk-client"
_SUBPROTOCOLS = b"sec-websocket-protocol"
_SUBPROTOCOL = b"frontdesk.client."
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]{0,31})/(?P<version>[0-9A-Za-z.+-]{1,64})")
_MAX_TOLD_CHARS = 100


class Clients:
    """Refuses apps below their least versions, which are `minimum` by the apps' names."""

    def __init__(self, minimum: Mapping[str, str]) -> None:
        self._minimum: dict[str, tuple[str, Version]] = {}
        for name, text in minimum.items():
            version = read_version(text)
            assert version is not None, text  # as the configuration's check says
            self._minimum[name] = text, version

    def check(self, scope: Scope) -> None:
        """Raise ClientTooOld for one that is; BadRequest where it says what nobody can read, or several things."""
        if not self._minimum or not _speaks_our_protocol(scope["path"]):
            return
        said = _said(scope)
        if said is None:
            return
        match = _NAMED.fullmatch(said)
        version = None if match is None else read_version(match["version"])
        if match is None or version is None:
            raise BadRequest(
                f"The header Frontdesk-Client says {said[:_MAX_TOLD_CHARS]!r}. It is a name and a version, as "
                "'web/1.4.0', or left out.",
                code="invalid_value",
            )
        least = self._minimum.get(match["name"])
        if least is not None and version < least[1]:
            raise ClientTooOld(
                f"Version {match['version']} of {match['name']!r} is too old for this server, which serves {least[0]} "
                "and later. Update the app, or reload the page."
            )


def _speaks_our_protocol(path: str) -> bool:
    return path in _OURS or _EVENTS_OF_ONE.fullmatch(path) is not None


def _said(scope: Scope) -> str | None:
    """What a request says of its app, as `name/version`. Raises BadRequest where that is said twice."""
    said: list[str] = []
    for header, value in scope["headers"]:
        if header == _HEADER:
            said.append(value.decode("latin-1"))
        elif header == _SUBPROTOCOLS:
            offers = [offer.strip() for offer in value.split(b",")]
            said += [_of_offer(offer) for offer in offers if offer.startswith(_SUBPROTOCOL)]
    if len(said) > 1:
        raise BadRequest(
            "The request says twice which app it comes from, in Frontdesk-Client or among its subprotocols. Say it "
            "once.",
            code="duplicate_header",
        )
    return said[0] if said else None


def _of_offer(offer: bytes) -> str:
    """The same in a subprotocol, where no slash may be (RFC 9110 §5.6.2): names have no dot."""
    return offer.removeprefix(_SUBPROTOCOL).decode("latin-1").replace(".", "/", 1)
