"""What sounds, files and pictures of a request are, in whichever of OpenAI's spellings they came.

A dialect that is none of OpenAI's asks here what an `Unknown` part is, and says it its own way. What nobody
knows is None, and stays the dialect's to refuse. Data URLs (RFC 2397) are taken apart here and nowhere else.
"""

from __future__ import annotations

import base64
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import msgspec

from frontdesk.turn.items import Image, Part, Text, Unknown

CACHE_MARK = "prompt_cache_breakpoint"


class Sound(msgspec.Struct, frozen=True):
    """Something to hear. `format` is OpenAI's word, lower case: wav, mp3."""

    data_base64: str
    format: str


class Document(msgspec.Struct, frozen=True):
    """Something to read, by exactly one of: its bytes, an address, its provider's id of it.

    `media_type` is lower case, without parameters; None where neither a data URL nor the file's name tells it.
    """

    filename: str | None = None
    media_type: str | None = None
    data_base64: str | None = None
    url: str | None = None
    file_id: str | None = None

    @property
    def text(self) -> str | None:
        """Its words, where it has its bytes and they are text in UTF-8."""
        if self.data_base64 is None or not is_text_type(self.media_type):
            return None
        try:
            return base64.b64decode(self.data_base64).decode("utf-8-sig")
        except ValueError:
            return None


class PictureFile(msgspec.Struct, frozen=True):
    """A picture by its provider's id of it. `detail` is as an image's."""

    file_id: str
    detail: str | None = None


class Declined(msgspec.Struct, frozen=True):
    """The words with which an earlier answer declined."""

    text: str


Read = Sound | Document | PictureFile | Image | Declined


def read_part(part: Unknown) -> Read | None:
    """Return what a part is; None where nobody knows, or where it lacks what it should hold.

    A picture comes as one where its part says more than ours can hold, such as a mark for a cache.
    """
    raw = part.raw
    match raw.get("type"):
        case "input_audio":
            return _sound(raw.get("input_audio"))
        case "file":
            return _document(raw.get("file"))
        case "input_file":
            return _document(raw)
        case "image_url":
            return _picture(raw.get("image_url"))
        case "input_image":
            return _input_picture(raw)
        case "refusal":
            words = raw.get("refusal")
            return Declined(words) if isinstance(words, str) else None
        case _:
            return None


def has_cache_mark(part: Part) -> bool:
    """Whether its caller marks a part as the end of what a provider's cache should keep."""
    match part:
        case Text():
            return part.extra is not None and part.extra.get(CACHE_MARK) is not None
        case Image():
            return False
        case Unknown():
            return part.raw.get(CACHE_MARK) is not None


def split_data_url(url: str) -> tuple[str, str] | None:
    """Return the media type of a data URL (lower case, without parameters) and its bytes as base64.

    None where it is no data URL. Whether the base64 is well-formed is for its reader to say.
    """
    if url[:5].lower() != "data:":
        return None
    head, comma, body = url[5:].partition(",")
    if not comma:
        return None
    media_type, *parameters = (each.strip().lower() for each in head.split(";"))
    if "base64" not in parameters:
        return media_type or "text/plain", base64.b64encode(unquote_to_bytes(body)).decode()
    if "%" in body:
        body = unquote_to_bytes(body).decode("latin-1")
    return media_type or "text/plain", "".join(body.split())


def is_text_type(media_type: str | None) -> bool:
    """Whether a media type is of text that people read."""
    return media_type is not None and (media_type.startswith("text/") or media_type in _TEXT_TYPES)


_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/x-yaml", "application/yaml"})
# Of OpenAI's "Supported file types" (2026-11); the standard library's table differs from machine to machine.
_TYPE_OF_ENDING = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "html": "text/html",
    "htm": "text/html",
    "xml": "application/xml",
    "json": "application/json",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "rtf": "application/rtf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "epub": "application/epub+zip",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_PDF_BASE64 = "JVBERi"  # %PDF


def _fields(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _words(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _sound(value: Any) -> Sound | None:
    fields = _fields(value)
    said, form = _words(fields.get("data")), _words(fields.get("format"))
    if said is None or form is None:
        return None
    split = split_data_url(said)
    return Sound(said if split is None else split[1], form.lower())


def _document(value: Any) -> Document | None:
    fields = _fields(value)
    filename = _words(fields.get("filename"))
    data, url, file_id = (_words(fields.get(name)) for name in ("file_data", "file_url", "file_id"))
    if sum(each is not None for each in (data, url, file_id)) != 1:
        return None
    if data is None:
        split = None if url is None else split_data_url(url)
        if split is None:
            return Document(filename, _type_of_name(filename or url), url=url, file_id=file_id)
    else:
        split = split_data_url(data)
    media_type, encoded = split or (None, data or "")
    if media_type is None or media_type == "application/octet-stream":
        is_pdf = encoded.startswith(_PDF_BASE64)
        media_type = _type_of_name(filename) or ("application/pdf" if is_pdf else media_type)
    return Document(filename, media_type, data_base64=encoded)


def _picture(value: Any) -> Image | None:
    fields = _fields(value)
    url = _words(fields.get("url"))
    return None if url is None else Image(url, _words(fields.get("detail")))


def _input_picture(raw: dict[str, Any]) -> Image | PictureFile | None:
    url, file_id, detail = (_words(raw.get(name)) for name in ("image_url", "file_id", "detail"))
    if url is not None:
        return Image(url, detail)
    return None if file_id is None else PictureFile(file_id, detail)


def _type_of_name(name: str | None) -> str | None:
    """The media type that a file's name, or an address's path, tells by its ending."""
    path = (name or "").partition("?")[0].partition("#")[0]
    return _TYPE_OF_ENDING.get(path.rpartition(".")[2].lower())
