"""The form of an upload: its fields, and its file, which is written on as it comes."""

from __future__ import annotations

import re

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.core.multipart import MultipartReader, PartBegan, PartEnded, Piece
from frontdesk.files.service import Files, Upload

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
"""What files may be for, in OpenAI's words. Here batches alone ask for theirs, "batch"."""

MADE_FOR_BATCHES = "batch_output"
"""What the files are for that batches make; none is uploaded for it."""

OVERHEAD_BYTES = 64 * 1024
"""What a form may be larger than its file."""

_MAX_FIELD_BYTES = 1024
_MAX_NAME_CHARS = 255
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_KNOWN = ("file", "purpose", _ANCHOR, _SECONDS)
_LEAST_S, _MOST_S = 3600, 2_592_000
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_ANYTHING = "application/octet-stream"
_TYPES = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class Asked(msgspec.Struct, frozen=True):
    """What a form says of its file."""

    purpose: str
    filename: str
    media_type: str
    expires_after_s: int | None


class UploadForm:
    """Reads a form into an upload. `feed` it the body, then `finish`."""

    def __init__(self, boundary: bytes, upload: Upload, files: Files) -> None:
        self._reader = MultipartReader(boundary)
        self._upload = upload
        self._files = files
        self._fields: dict[str, bytes] = {}
        self._name = ""
        self._filename: str | None = None
        self._media_type: str | None = None

    async def feed(self, data: bytes) -> None:
        """Take some of the body. Raises BadRequest, TooLarge, Unavailable."""
        for piece in self._reader.feed(data):
            await self._take(piece)

    def finish(self) -> Asked:
        """The body is whole: what it said. Raises BadRequest."""
        self._reader.finish()
        if self._filename is None:
            raise _missing("file")
        if self._upload.size_bytes == 0:
            raise BadRequest("The file is empty.", code="empty_file", param="file")
        if "purpose" not in self._fields:
            raise _missing("purpose")
        return Asked(
            self._fields["purpose"].decode(),
            self._filename,
            _media_type(self._media_type, self._filename),
            self._expires_after_s(),
        )

    async def _take(self, piece: Piece) -> None:
        match piece:
            case PartBegan():
                self._begin(piece)
            case PartEnded():
                self._check()
            case _ if self._name == "file":
                await self._upload.write(piece)
                self._files.check_size(self._upload.size_bytes)
            case _:
                self._fields[self._name] += piece
                if len(self._fields[self._name]) > _MAX_FIELD_BYTES:
                    raise _wrong(self._name, f"It is longer than {_MAX_FIELD_BYTES} bytes.")

    def _begin(self, part: PartBegan) -> None:
        if part.name not in _KNOWN:
            words = f"Unknown parameter: {part.name[:64]!r}. Known: {', '.join(_KNOWN)}."
            raise BadRequest(words, code="unsupported_parameter", param=part.name[:64])
        if part.name in self._fields or (part.name == "file" and self._filename is not None):
            raise _wrong(part.name, "It came twice. Send it once.")
        self._name = part.name
        if part.name != "file":
            self._fields[part.name] = b""
        elif part.filename is None:
            raise _wrong("file", "It must be a file: the part needs a filename.")
        else:
            self._filename = plain_name(part.filename)
            self._media_type = part.media_type

    def _check(self) -> None:
        """A field that comes before the file is checked before the file is read."""
        if self._name == "purpose" and self._fields["purpose"].decode("latin-1") not in PURPOSES:
            raise _wrong("purpose", f"It must be one of {', '.join(map(repr, PURPOSES))}.")

    def _expires_after_s(self) -> int | None:
        anchor, seconds = self._fields.get(_ANCHOR), self._fields.get(_SECONDS)
        if anchor is None and seconds is None:
            return None
        if anchor != b"created_at":
            raise _wrong(_ANCHOR, "It must be 'created_at'.")
        if seconds is None:
            raise _missing(_SECONDS)
        if not (seconds.isdigit() and len(seconds) <= 9 and _LEAST_S <= int(seconds) <= _MOST_S):
            raise _wrong(_SECONDS, f"It must be from {_LEAST_S} to {_MOST_S} seconds.")
        return int(seconds)


def plain_name(filename: str) -> str:
    """A file's name without folders and without what no name can show; never empty."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(char if char.isprintable() else "_" for char in name)[-_MAX_NAME_CHARS:] or "file"


def _media_type(told: str | None, filename: str) -> str:
    """What kind of file it is: as its sender says, else by how its name ends."""
    kind = (told or "").partition(";")[0].strip().lower()
    if _MEDIA_TYPE.fullmatch(kind) and kind != _ANYTHING:
        return kind
    return _TYPES.get(filename.rpartition(".")[2].lower(), _ANYTHING)


def _wrong(param: str, why: str) -> BadRequest:
    return BadRequest(f"Invalid value for {param!r}. {why}", code="invalid_value", param=param)


def _missing(param: str) -> BadRequest:
    return BadRequest(f"Missing required parameter: {param!r}.", code="missing_required_parameter", param=param)
