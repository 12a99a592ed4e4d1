"""What is told of an item that takes too much room: a tool's output in part, a note where a picture or a file was.

An item's places are those of its parts; a text that has no parts is at `WHOLE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from frontdesk.turn.items import Image, Item, Message, Part, Text, ToolOutput, Unknown

WHOLE = -1
_HEAD = 2 / 3  # of what is left of a text; the rest is its end
_MOST_NAME_CHARS = 80
_PICTURES = frozenset({"image_url", "input_image"})
_FILES = frozenset({"file", "input_file"})


def output_texts(item: Item) -> Iterator[tuple[int, str]]:
    """The texts of a tool's output, by their places; of other items none."""
    if type(item) is not ToolOutput:
        return
    if isinstance(item.output, str):
        yield WHOLE, item.output
        return
    for place, part in enumerate(item.output):
        if type(part) is Text and part.extra is None:
            yield place, part.text


def shown(item: Item) -> Iterator[tuple[int, Text]]:
    """The pictures, files and recordings of a message or an output, by their places, and what takes their place."""
    if type(item) is Message:
        parts = item.content
    elif type(item) is ToolOutput:
        parts = item.output
    else:
        return
    if isinstance(parts, str):
        return
    for place, part in enumerate(parts):
        if (note := _note(part)) is not None:
            yield place, Text(note)


def shortened(text: str, chars: int) -> str:
    """A text in so many characters of its own, from its beginning and its end, with a note between them."""
    chars = max(chars, 0)
    head = round(chars * _HEAD)
    tail = chars - head
    left = f"[... {len(text) - chars:,} characters are left out here to save room ...]"
    return "\n".join(part for part in (text[:head], left, text[len(text) - tail :] if tail else "") if part)


def with_parts(item: Item, parts: Mapping[int, str | Part]) -> Item:
    """The item with other parts at these places."""
    if type(item) is ToolOutput:
        return msgspec.structs.replace(item, output=_replaced(item.output, parts))
    assert type(item) is Message  # no other has parts that change
    return msgspec.structs.replace(item, content=_replaced(item.content, parts))


def _replaced(content: str | list[Part], parts: Mapping[int, str | Part]) -> str | list[Part]:
    if isinstance(content, str):
        whole = parts[WHOLE]
        assert isinstance(whole, str)
        return whole
    return [_as_part(parts[place]) if place in parts else part for place, part in enumerate(content)]


def _as_part(part: str | Part) -> Part:
    return Text(part) if isinstance(part, str) else part


def _note(part: Part) -> str | None:
    if type(part) is Image:
        return _told("A picture")
    if type(part) is not Unknown:
        return None
    kind = part.raw.get("type")
    if kind in _PICTURES:
        return _told("A picture")
    if kind == "input_audio":
        return _told("A recording")
    return _told(f"The file{_name_of(part.raw)}") if kind in _FILES else None


def _told(what: str) -> str:
    return f"[{what} was here. It is left out to save room.]"


def _name_of(raw: dict[str, Any]) -> str:
    """The name of a file, on one line and without what would close the note."""
    inner = raw.get("file")
    fields = cast("dict[str, Any]", inner) if isinstance(inner, dict) else raw
    name = fields.get("filename")
    if not isinstance(name, str):
        return ""
    words = "".join(char for char in name[:_MOST_NAME_CHARS] if char.isprintable() and char not in '[]"').strip()
    return f' "{words}"' if words else ""
