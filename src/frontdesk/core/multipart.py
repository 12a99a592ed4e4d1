"""multipart/form-data (RFC 7578), read as it comes: forms with files, of which none need be in memory whole.

    preamble ──boundary──► head of a part ──blank line──► its bytes ──boundary──► the next head, or the end

A boundary is looked for with the line break before it, which belongs to it (RFC 2046 §5.1.1). It may be cut
anywhere, so as many bytes as it has are held back until it is known that they are none.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import unquote

from frontdesk.core.errors import BadRequest

_MAX_HEAD_BYTES = 8 * 1024
_MAX_NAME_CHARS = 200
_MAX_PARTS = 64
_MAX_BOUNDARY_BYTES = 70  # RFC 2046 §5.1.1
_BOUNDARY = re.compile(rb"""boundary=(?:"([^"]+)"|([^\s;,"]+))""", re.IGNORECASE)
_PARAMETER = re.compile(r""";\s*([A-Za-z*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))""")
# What browsers write for what would end a name (RFC 7578 §2), and curl's way to do it.
_ESCAPED = re.compile(r"%22|%0[DAda]|\\[\"\\]")
_UNESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_CONTROL = re.compile("[\0-\x08\n-\x1f\x7f-\x9f]")  # blanks of all kinds are in names that people give
_AS_THEY_ARE = ("7bit", "8bit", "binary")


class PartBegan(NamedTuple):
    """A part begins: a field's name; a file has a name of its own, which may be "", and perhaps a type."""

    name: str
    filename: str | None
    media_type: str | None


class PartEnded(NamedTuple):
    """A part is whole."""


Piece = PartBegan | bytes | PartEnded
"""What comes of a form: a part begins, some of its bytes, it ends."""


def boundary_of(content_type: bytes | None) -> bytes:
    """The boundary that a Content-Type names. Raises BadRequest where it is no form's."""
    kind = (content_type or b"").partition(b";")[0].strip().lower()
    if kind != b"multipart/form-data":
        told = kind.decode("latin-1")[:64] or "none"
        words = f"The body must be multipart/form-data, a form with the file in it. The Content-Type is {told!r}."
        raise BadRequest(words, code="invalid_content_type")
    found = _BOUNDARY.search(content_type or b"")
    boundary = b"" if found is None else found[1] or found[2]
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise _wrong("The Content-Type names no boundary. Let your HTTP client write the header.")
    return boundary


class MultipartReader:
    """Reads one form. `feed` it what comes, then `finish`."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._unread = b"\r\n"  # the first boundary may have no line before it
        self._state: Literal["preamble", "boundary", "head", "bytes", "end"] = "preamble"
        self._parts = 0

    def feed(self, data: bytes) -> list[Piece]:
        """Take some bytes; returns what they brought, in order. Raises BadRequest for what is no form."""
        self._unread += data
        found: list[Piece] = []
        while self._step(found):
            pass
        return found

    def finish(self) -> None:
        """The body has ended. Raises BadRequest where the form has not."""
        if self._state != "end":
            raise _wrong("The form ends before its last boundary.")

    def _step(self, found: list[Piece]) -> bool:
        """Go as far as the next state; False where more bytes are needed."""
        match self._state:
            case "preamble":
                return self._read_until_boundary(None)
            case "boundary":
                return self._read_boundary()
            case "head":
                return self._read_head(found)
            case "bytes":
                return self._read_until_boundary(found)
            case "end":
                self._unread = b""
                return False

    def _read_until_boundary(self, found: list[Piece] | None) -> bool:
        """Pass on what stands before the next boundary; before the first one it means nothing."""
        unread = self._unread
        place = unread.find(self._delimiter)
        end = place if place >= 0 else max(0, len(unread) - len(self._delimiter) + 1)
        if found is not None and end:
            found.append(unread[:end])
        if place < 0:
            self._unread = unread[end:]
            return False
        if found is not None:
            found.append(PartEnded())
        self._unread = unread[place + len(self._delimiter) :]
        self._state = "boundary"
        return True

    def _read_boundary(self) -> bool:
        """Learn whether a part follows, or nothing more."""
        unread = self._unread.lstrip(b" \t")
        if len(unread) < 2:
            if len(self._unread) > _MAX_HEAD_BYTES:
                raise _wrong("A boundary of the form has no end.")
            return False
        if unread.startswith(b"--"):
            self._state = "end"
        elif unread.startswith(b"\r\n"):
            self._state = "head"
            self._unread = unread  # with the line break: a head without any header is nothing but two of them
            self._parts += 1
            if self._parts > _MAX_PARTS:
                raise _wrong(f"The form has more than {_MAX_PARTS} parts.")
        else:
            raise _wrong("A boundary of the form is followed by something else than a line break.")
        return True

    def _read_head(self, found: list[Piece]) -> bool:
        end = self._unread.find(b"\r\n\r\n", 0, _MAX_HEAD_BYTES)
        if end < 0:
            if len(self._unread) >= _MAX_HEAD_BYTES:
                raise _wrong("The headers of a part are too long.")
            return False
        found.append(_part_of(self._unread[:end]))
        self._unread = self._unread[end + 4 :]
        self._state = "bytes"
        return True


def _part_of(head: bytes) -> PartBegan:
    headers = _headers_of(head)
    kind, semicolon, rest = headers.get("content-disposition", "").partition(";")
    said = {name.lower(): _text_of(quoted, bare) for name, quoted, bare in _PARAMETER.findall(semicolon + rest)}
    name = said.get("name", "")
    if kind.strip().lower() != "form-data" or not name:
        raise _wrong('A part of the form has no name: its Content-Disposition must be form-data; name="…".')
    if len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise _wrong("The name of a part is too long, or has characters that no name has.")
    encoding = headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in _AS_THEY_ARE:  # RFC 7578 §4.7
        raise _wrong(f"The part {name!r} is encoded as {encoding[:64]!r}. Send its bytes as they are.")
    return PartBegan(name, _filename_in(said), headers.get("content-type") or None)


def _headers_of(head: bytes) -> dict[str, str]:
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise _wrong("The headers of a part are not UTF-8.") from None
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or _CONTROL.search(line):
            raise _wrong("A part has a header without a colon, or with characters that no header has.")
        if name in headers:
            raise _wrong(f"A part has the header {name[:64]!r} twice. Readers do not agree on which one counts.")
        headers[name] = value.strip()
    return headers


def _filename_in(said: dict[str, str]) -> str | None:
    """A file's name; None where a part is none. Beside the spelling of mails (RFC 8187) the plain one is a remnant."""
    charset, quotes, spelled = said.get("filename*", "").partition("'")
    if quotes and charset.lower() == "utf-8":
        return unquote(spelled.partition("'")[2])
    return said.get("filename")


def _text_of(quoted: str, bare: str) -> str:
    return _ESCAPED.sub(lambda found: _UNESCAPED.get(found[0].upper(), found[0][-1]), quoted or bare)


def _wrong(message: str) -> BadRequest:
    return BadRequest(message, code="invalid_form")
