"""Forms with files in them, written (multipart/form-data, RFC 7578)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any, cast

from frontdesk.turn.items import Upload

_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:;[ \w.+=-]*)?", re.ASCII)


class FormWriter:
    """Writes forms with one boundary, so that their content type is the same each time: heads are kept by it.

    128 random bits, which no caller learns, stand in no file.
    """

    def __init__(self) -> None:
        self._boundary = f"frontdesk-{secrets.token_hex(16)}".encode()
        self.content_type = f"multipart/form-data; boundary={self._boundary.decode()}"

    def pieces(self, fields: Iterable[tuple[str, Any]]) -> list[bytes]:
        """Return a form in pieces, of which one each is a file as it is: uncopied, for it may be large.

        A list becomes a field `name[]` for each, an object a field `name[inner]` for each.
        """
        pieces: list[bytes] = []
        for name, value in fields:
            for spelled, each in _flat(name, value):
                pieces += self._part(spelled, each)
        return [*pieces, b"--%b--\r\n" % self._boundary]

    def _part(self, name: str, value: str | Upload) -> tuple[bytes, bytes, bytes]:
        head = f'Content-Disposition: form-data; name="{_escaped(name)}"'
        content = value.content if isinstance(value, Upload) else value.encode("utf-8", "replace")
        if isinstance(value, Upload):
            kind = value.media_type if _MEDIA_TYPE.fullmatch(value.media_type) else "application/octet-stream"
            head = f'{head}; filename="{_escaped(value.filename) or "file"}"\r\nContent-Type: {kind}'
        return b"--%b\r\n%b\r\n\r\n" % (self._boundary, head.encode("utf-8", "replace")), content, b"\r\n"


def _flat(name: str, value: Any) -> Iterable[tuple[str, str | Upload]]:
    if isinstance(value, list | tuple):
        return [(f"{name}[]", _text(each)) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return [(f"{name}[{inner}]", _text(each)) for inner, each in cast("dict[str, Any]", value).items()]
    return [(name, _text(value))]


def _text(value: Any) -> str | Upload:
    if isinstance(value, str | Upload):
        return value
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _escaped(text: str) -> str:
    """A name as browsers write it (WHATWG HTML, form submission)."""
    return _CONTROL.sub("", text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A"))
