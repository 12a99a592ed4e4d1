"""The key of a request that is to be done once, and the fingerprint by which two requests are the same."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.core.multipart import boundary_of

MOST_KEY_CHARS = 255
FINGERPRINT_BYTES = 16

_FORM = b"multipart/form-data"
# How an answer comes says nothing of what is asked.
_NOT_ASKED = ("stream", "stream_options")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="deterministic").encode


def check_key(header: bytes | None) -> str | None:
    """The key that a header names; None where there is none. Raises BadRequest for what is no key."""
    if header is None:
        return None
    key = header.decode("latin-1")
    if not (0 < len(key) <= MOST_KEY_CHARS and key.isascii() and key.isprintable()):
        told = f"{key[:64]!r}, {len(key)} characters long" if key else "empty"
        raise BadRequest(
            f"The header Idempotency-Key is {told}. It must have 1 to {MOST_KEY_CHARS} printable ASCII characters: "
            "make a UUID for each request, and send the same one when you try it again.",
            code="invalid_idempotency_key",
        )
    return key


def fingerprint_of(body: bytes, content_type: bytes | None = None) -> bytes:
    """What is the same of two bodies that ask for the same; 16 bytes.

    Of JSON neither spelling nor order counts, nor how the answer comes (`stream`). Of a form its boundary does not
    count, which clients make anew for each try. Of all else each byte does.
    """
    if content_type is not None and content_type.lstrip()[: len(_FORM)].lower() == _FORM:
        digest = FormDigest(content_type)
        digest.feed(body)
        return digest.finish()
    try:
        asked: Any = _decode(body)
        if isinstance(asked, dict):
            asked = cast("dict[str, Any]", asked)  # JSON's keys are text
            for name in _NOT_ASKED:
                asked.pop(name, None)
        spelled = _encode(asked)
    except (ValueError, RecursionError):  # of msgspec's errors too
        return _digest(b"bytes\0" + body)
    return _digest(b"json\0" + spelled)


def fingerprint_at(path: str, query: bytes, fingerprint: bytes) -> bytes:
    """The fingerprint of a body that is sent to a path with a query: what a route's path leaves open counts too."""
    return _digest(b"\0".join((path.encode(), query, fingerprint)))


class FormDigest:
    """The fingerprint of a form, fed as it comes. Raises BadRequest where the Content-Type names no boundary."""

    __slots__ = ("_boundary", "_hash", "_unread")

    def __init__(self, content_type: bytes | None) -> None:
        self._boundary = boundary_of(content_type)
        self._hash = hashlib.blake2b(b"form\0", digest_size=FINGERPRINT_BYTES)
        self._unread = b""

    def feed(self, data: bytes) -> None:
        """Take some bytes."""
        *whole, rest = (self._unread + data).split(self._boundary)
        for piece in whole:
            self._hash.update(piece)
            self._hash.update(_INSTEAD)
        # What may be the beginning of a boundary waits for what follows.
        cut = max(0, len(rest) - len(self._boundary) + 1)
        self._hash.update(rest[:cut])
        self._unread = rest[cut:]

    def finish(self) -> bytes:
        """The body has ended: returns its fingerprint."""
        self._hash.update(self._unread)
        self._unread = b""
        return self._hash.digest()


# No boundary has such a byte (RFC 2046 §5.1.1), and text seldom.
_INSTEAD = b"\0boundary\0"


def _digest(spelled: bytes) -> bytes:
    return hashlib.blake2b(spelled, digest_size=FINGERPRINT_BYTES).digest()
