"""What a text of Gemini's rests on, as OpenAI's url_citation: characters of the text instead of bytes of it.

    groundingMetadata      chunks (a source each), and supports: which bytes rest on which chunks
    citationMetadata       what was taken from a source, byte for byte
    urlContextMetadata     addresses that were read

An address that no page has is none: what is told may become a link. A source that stands on no piece of the text, or
on one that is not there, stands on all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, cast

_Fields: TypeAlias = dict[str, Any]


def sources_in(text: str, said: Sequence[_Fields]) -> list[_Fields]:
    """Return the citations that these metadata hold, each once, in their order. Chunks of a stream may say it again."""
    measure = _Measure(text)
    found: dict[tuple[str, int, int], _Fields] = {}
    for metadata in said:
        for url, title, start, end in _sources(metadata, measure):
            if not url.lower().startswith(("https://", "http://")):
                continue
            citation = {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}
            found.setdefault((url, start, end), citation)
    exact = {url for url, start, end in found if (start, end) != (0, len(text))}
    return [each for (url, start, end), each in found.items() if (start, end) != (0, len(text)) or url not in exact]


_Source: TypeAlias = tuple[str, str, int, int]


def _sources(metadata: _Fields, measure: _Measure) -> Iterator[_Source]:
    chunks = [_place_of(chunk) for chunk in _list(metadata.get("groundingChunks"))]
    for support in _list(metadata.get("groundingSupports")):
        span = measure.span(_fields(support.get("segment")))
        for index in _indices(support.get("groundingChunkIndices")):
            if 0 <= index < len(chunks) and (place := chunks[index]) is not None:
                yield (*place, *span)
    for place in chunks:
        if place is not None:
            yield (*place, *measure.whole)
    for source in (*_list(metadata.get("citationSources")), *_list(metadata.get("citations"))):
        if isinstance(url := source.get("uri"), str):
            title = source.get("title")
            yield url, title if isinstance(title, str) else url, *measure.span(source)
    for read in _list(metadata.get("urlMetadata")):
        if isinstance(url := read.get("retrievedUrl"), str) and str(read.get("urlRetrievalStatus")).endswith("SUCCESS"):
            yield url, url, *measure.whole


def _place_of(chunk: _Fields) -> tuple[str, str] | None:
    """The address and title of a chunk: of the web, a map, a picture; None where it has no address."""
    for kind in chunk.values():
        fields = _fields(kind)
        url = fields.get("uri") or fields.get("sourceUri")
        if isinstance(url, str) and url:
            title = fields.get("title")
            return url, title if isinstance(title, str) else url
    return None


class _Measure:
    """Turns bytes of a text into characters, in a time that does not grow with the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._bytes = text.encode("utf-8", "surrogatepass")
        self.whole = (0, len(text))
        self._before = [0]  # characters that begin before each block
        for start in range(0, len(self._bytes), _BLOCK_BYTES):
            self._before.append(self._before[-1] + _begun(self._bytes[start : start + _BLOCK_BYTES]))
        self._spans: dict[tuple[Any, Any, Any], tuple[int, int]] = {}  # chunks of a stream say them again and again

    def span(self, segment: _Fields) -> tuple[int, int]:
        """The characters that a segment means."""
        start, end, words = segment.get("startIndex") or 0, segment.get("endIndex"), segment.get("text")
        key = (start, end, words)
        if not all(each is None or isinstance(each, int | str) for each in key):
            return self.whole
        if key not in self._spans:
            self._spans[key] = self._measured(*key)
        return self._spans[key]

    def _measured(self, start: int | str, end: int | str | None, words: int | str | None) -> tuple[int, int]:
        """Where the bytes of a segment are not the words that it says they are, its words are looked for: in a
        stream, nobody says what the bytes are counted from.
        """
        if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(self._bytes):
            first, last = self._place(start), self._place(end)
            if not isinstance(words, str) or self._text[first:last] == words:
                return first, last
        if isinstance(words, str) and words and (first := self._text.find(words)) >= 0:
            return first, first + len(words)
        return self.whole

    def _place(self, index: int) -> int:
        """How many characters begin before a byte."""
        block = index // _BLOCK_BYTES
        return self._before[block] + _begun(self._bytes[block * _BLOCK_BYTES : index])


_BLOCK_BYTES = 4096
_GOES_ON = bytes(range(0x80, 0xC0))  # the bytes of UTF-8 that begin no character


def _begun(piece: bytes) -> int:
    return len(piece.translate(None, _GOES_ON))


def _indices(value: Any) -> list[int]:
    return [each for each in cast("list[Any]", value) if isinstance(each, int)] if isinstance(value, list) else []


def _list(value: Any) -> list[_Fields]:
    if not isinstance(value, list):
        return []
    return [cast("_Fields", each) for each in cast("list[Any]", value) if isinstance(each, dict)]


def _fields(value: Any) -> _Fields:
    return cast("_Fields", value) if isinstance(value, dict) else {}
