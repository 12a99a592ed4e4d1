"""Attachments: a request may name a file that its caller uploaded; the file goes along in its place.

Providers know nothing of the files that are kept here, so what one reads is the content. People name their own files
alone. What a secret key names that is none of ours is its provider's, and goes on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Image, Item, Message, Part, Prompt, ToolOutput, Unknown
from frontdesk.turn.turn import Caller, Turn

_OURS = re.compile(r"file-[0-9a-f]{32}")
_MOST_FILES = 100
_MEGABYTE = 1024 * 1024
_FIELDS = {"chat": "messages", "responses": "input"}
_IMAGE_FIELDS = frozenset({"type", "file_id", "detail"})


class Attachment(NamedTuple):
    """A file that a caller may attach."""

    id: str
    filename: str
    media_type: str
    size_bytes: int


class Library(Protocol):
    """Knows the files of callers."""

    async def find(self, caller: Caller, file_id: str) -> Attachment | None:
        """The caller's own file of this id."""
        ...

    async def in_base64(self, caller: Caller, attachment: Attachment) -> str:
        """All of it. Raises NotFound where it was deleted meanwhile."""
        ...


class Attachments:
    """Puts files into the requests that name them, up to so many bytes. After `Features`, which says who may."""

    def __init__(self, library: Library, max_bytes: int) -> None:
        self._library = library
        self._max_bytes = max_bytes

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Replace what names a file by the file. Raises BadRequest for one that is not the caller's."""
        prompt = turn.request
        if type(prompt) is not Prompt:
            return None
        named = list(_named_in(prompt))
        return self._attach(turn, prompt, named) if named else None

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""

    async def _attach(self, turn: Turn, prompt: Prompt, named: list[str]) -> None:
        param = _FIELDS[prompt.dialect]
        found = await self._find(turn.caller, dict.fromkeys(named), param)
        size_bytes = sum(found[file_id].size_bytes for file_id in named if file_id in found)
        if size_bytes > self._max_bytes:
            raise BadRequest(
                f"The files that this request names have {size_bytes / _MEGABYTE:.1f} MB together, and it may bring "
                f"{self._max_bytes / _MEGABYTE:g} MB. Name fewer or smaller ones.",
                code="files_too_large",
                param=param,
            )
        urls = {
            file_id: f"data:{each.media_type};base64,{await self._library.in_base64(turn.caller, each)}"
            for file_id, each in found.items()
        }
        turn.request = _with_files(prompt, found, urls)

    async def _find(self, caller: Caller, named: Mapping[str, None], param: str) -> dict[str, Attachment]:
        if len(named) > _MOST_FILES:
            words = f"The request names {len(named)} files. It may name {_MOST_FILES}."
            raise BadRequest(words, code="too_many_files", param=param)
        found: dict[str, Attachment] = {}
        for file_id in named:
            if caller.role != "user" and _OURS.fullmatch(file_id) is None:
                continue
            attachment = await self._library.find(caller, file_id)
            if attachment is None:
                words = f"There is no file {file_id[:64]!r}. Upload it to /v1/files first."
                raise BadRequest(words, code="file_not_found", param=param)
            found[file_id] = attachment
        return found


# --- where a prompt names files -----------------------------------------------------------------


def _named_in(prompt: Prompt) -> Iterator[str]:
    for item in prompt.items:
        if type(item) is Message and type(item.content) is str:
            continue  # nearly all are
        for raw in _raw_parts(item):
            named = _named_by(raw)
            if named is not None:
                yield named


def _raw_parts(item: Item) -> Iterator[dict[str, Any]]:
    """The parts of an item that were not looked into."""
    match item:
        case Message(content=list() as parts) | ToolOutput(output=list() as parts):
            yield from (part.raw for part in parts if isinstance(part, Unknown))
        case Unknown():
            for field in ("content", "output"):
                if isinstance(parts := item.raw.get(field), list):
                    yield from (part for part in cast("list[Any]", parts) if isinstance(part, dict))
        case _:
            pass


def _named_by(raw: dict[str, Any]) -> str | None:
    """The id of the file that a part names."""
    inner = raw.get("file") if raw.get("type") == "file" else raw if raw.get("type") in _NAMING else None
    named = cast("dict[str, Any]", inner).get("file_id") if isinstance(inner, dict) else None
    return named if isinstance(named, str) else None


_NAMING = frozenset({"input_file", "input_image"})


# --- files in their place -----------------------------------------------------------------------


def _with_files(prompt: Prompt, found: Mapping[str, Attachment], urls: Mapping[str, str]) -> Prompt:
    param = _FIELDS[prompt.dialect]

    def replaced(raw: dict[str, Any]) -> dict[str, Any]:
        named = _named_by(raw)
        return raw if named is None or named not in found else _filled(raw, found[named], urls[named], param)

    return msgspec.structs.replace(prompt, items=[_replaced_in(item, replaced) for item in prompt.items])


_Replace = Callable[[dict[str, Any]], dict[str, Any]]


def _replaced_in(item: Item, replaced: _Replace) -> Item:
    match item:
        case Message(content=list() as parts):
            return msgspec.structs.replace(item, content=[_replaced_part(part, replaced) for part in parts])
        case ToolOutput(output=list() as parts):
            return msgspec.structs.replace(item, output=[_replaced_part(part, replaced) for part in parts])
        case Unknown():
            raw = dict(item.raw)
            for field in ("content", "output"):
                if isinstance(parts := raw.get(field), list):
                    raw[field] = [replaced(each) if isinstance(each, dict) else each for each in parts]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON that nobody has read
            return msgspec.structs.replace(item, raw=raw)
        case _:
            return item


def _replaced_part(part: Part, replaced: _Replace) -> Part:
    if not isinstance(part, Unknown):
        return part
    raw = replaced(part.raw)
    if raw is part.raw:
        return part
    if raw["type"] == "input_image" and part.raw.keys() <= _IMAGE_FIELDS:
        return Image(raw["image_url"], raw.get("detail"))
    return Unknown(raw, part.dialect)


def _filled(raw: dict[str, Any], attachment: Attachment, url: str, param: str) -> dict[str, Any]:
    """A part with the file that it named."""
    if raw["type"] == "file":
        return {**raw, "file": _with_content(raw["file"], attachment, url, param)}
    if raw["type"] == "input_file":
        return _with_content(raw, attachment, url, param)
    if not attachment.media_type.startswith("image/"):
        raise BadRequest(
            f"The file {attachment.id!r} is no picture but {attachment.media_type}. Send it as a file.",
            code="invalid_value",
            param=param,
        )
    if raw.get("image_url") is not None:
        raise _twofold(attachment.id, param)
    return {**{name: value for name, value in raw.items() if name != "file_id"}, "image_url": url}


def _with_content(raw: dict[str, Any], attachment: Attachment, url: str, param: str) -> dict[str, Any]:
    if raw.get("file_data") is not None or raw.get("file_url") is not None:
        raise _twofold(attachment.id, param)
    kept = {name: value for name, value in raw.items() if name != "file_id"}
    return {**kept, "filename": kept.get("filename") or attachment.filename, "file_data": url}


def _twofold(file_id: str, param: str) -> BadRequest:
    return BadRequest(
        f"A part names the file {file_id!r} and brings a content of its own. Send one of them.",
        code="invalid_value",
        param=param,
    )
