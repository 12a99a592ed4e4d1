"""Forms with files in them (multipart/form-data, RFC 7578): the parts of a body that is wholly here.

Nothing is written to a disk.
"""

from __future__ import annotations

from typing import NamedTuple

from frontdesk.core.errors import BadRequest
from frontdesk.core.multipart import MultipartReader, PartBegan, PartEnded, boundary_of
from frontdesk.turn.items import Upload

_READ_AT_ONCE_BYTES = 64 * 1024
_MAX_FILENAME_CHARS = 200


class Part(NamedTuple):
    """A part of a form: a text, or a file."""

    name: str
    value: str | Upload


def read_parts(body: bytes, content_type: bytes | None) -> list[Part]:
    """Return the parts of a form in their order; raises BadRequest (`invalid_form`, `invalid_content_type`)."""
    reader = MultipartReader(boundary_of(content_type))
    parts: list[Part] = []
    head = PartBegan("", None, None)
    pieces: list[bytes] = []
    for start in range(0, len(body), _READ_AT_ONCE_BYTES):  # the reader copies what it has not read yet
        for piece in reader.feed(body[start : start + _READ_AT_ONCE_BYTES]):
            match piece:
                case PartBegan():
                    head = piece
                case PartEnded():
                    parts.append(_part_of(head, b"".join(pieces)))
                    pieces.clear()
                case _:
                    pieces.append(piece)
    reader.finish()
    return parts


def _part_of(head: PartBegan, content: bytes) -> Part:
    if head.filename is not None:
        kind = head.media_type or "application/octet-stream"
        return Part(head.name, Upload(content, head.filename[-_MAX_FILENAME_CHARS:], kind))  # its end says what it is
    try:
        return Part(head.name, content.decode())
    except UnicodeDecodeError:
        raise BadRequest(f"The part {head.name!r} of the form is not UTF-8.", code="invalid_form") from None
