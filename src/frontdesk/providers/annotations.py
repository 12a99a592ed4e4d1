"""What an answer's words rest on, as servers of OpenAI's dialects say it, read into the shape that events carry."""

from __future__ import annotations

from typing import Any, cast

_MOST = 1_000  # of one message
_MOST_CHARS = 10_000  # of one text in it
_MOST_INDEX = 2**31


class Annotations:
    """The annotations of one message; each is told once, however often it is said."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: set[tuple[Any, ...]] = set()

    def new_in(self, said: Any, shift: int = 0) -> list[dict[str, Any]]:
        """Return those of a list that were not told yet, in Responses' shape; what is none is passed over.

        `shift` is where in the message's text the part begins that their indexes count from.
        """
        new: list[dict[str, Any]] = []
        for each in cast("list[Any]", said) if isinstance(said, list) else ():
            annotation = read_annotation(each, shift)
            if annotation is None or len(self._told) >= _MOST:
                continue
            key = tuple(annotation.values())
            if key not in self._told:
                self._told.add(key)
                new.append(annotation)
        return new


def read_annotation(said: Any, shift: int = 0) -> dict[str, Any] | None:
    """Return a `url_citation` or a `file_citation` in Responses' shape, whole; None for all else.

    Chat Completions says one level deeper what it is. An address that no page has (a script, a file of somebody's
    machine) is none: what is told may become a link.
    """
    fields = _fields(said)
    kind = fields.get("type")
    fields = _fields(fields[kind]) if isinstance(kind, str) and isinstance(fields.get(kind), dict) else fields
    match kind:
        case "url_citation":
            url = _words(fields.get("url"))
            if url is None or not url.lower().startswith(("https://", "http://")):
                return None
            start, end = (_index(fields.get(name)) for name in ("start_index", "end_index"))
            title = _words(fields.get("title")) or ""
            return {
                "type": "url_citation",
                "url": url,
                "title": title,
                "start_index": start + shift,
                "end_index": max(start, end) + shift,
            }
        case "file_citation":
            file_id = _words(fields.get("file_id"))
            if file_id is None:
                return None
            index, filename = _index(fields.get("index")) + shift, _words(fields.get("filename")) or ""
            return {"type": "file_citation", "file_id": file_id, "filename": filename, "index": index}
        case _:
            return None


def _fields(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _words(value: Any) -> str | None:
    return value[:_MOST_CHARS] if isinstance(value, str) and value else None


def _index(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= _MOST_INDEX else 0
