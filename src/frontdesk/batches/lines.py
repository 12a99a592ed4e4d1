"""The lines of a batch's file: cut from pieces, checked before anybody is asked, and answered as OpenAI's files are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Literal

import msgspec

Ended = Literal["batch_expired", "batch_cancelled", "interrupted"]
"""Why a line has no answer."""

_MAX_ID_CHARS = 512
_CUT_AT_ONCE_BYTES = 8 * 1024
_BLANK_BYTES = 64  # longer blank lines are cut as others are
_MOST_PROBLEMS = 100
_WORDS: dict[Ended, str] = {
    "batch_expired": "The batch's completion window was over before this request was sent.",
    "batch_cancelled": "The batch was cancelled before this request was sent.",
    "interrupted": "The server stopped while this request was under way. What became of it is not known: it may have "
    "cost something, so it was not sent again.",
}
_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, frozen=True):
    """A line of a file: its place, from 1, and its bytes; None where it has more than a line may."""

    number: int
    content: bytes | None


class Asked(msgspec.Struct, frozen=True):
    """What a good line asks. `model` is the one that it names."""

    custom_id: str
    body: bytes
    model: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a line, in the shape of OpenAI's batch errors."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class LineCutter:
    """Cuts bytes into lines, wherever the pieces end. Blank lines are counted and left out."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._blank = re.compile(rb"(?:[ \t\r\f\v]{0,%d}+\n)++" % min(max_bytes, _BLANK_BYTES))
        self._rest = bytearray()
        self._is_too_long = False
        self._number = 0

    def feed(self, data: bytes) -> Iterator[Line]:
        """Yield the lines that end in these bytes."""
        start = self._behind_blank_lines(data, 0)
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            yield from self._cut()
            start = self._behind_blank_lines(data, end + 1)
        self._keep(data[start:])

    def finish(self) -> Iterator[Line]:
        """Yield the last line, where nothing ends it."""
        yield from self._cut()

    def _behind_blank_lines(self, data: bytes, start: int) -> int:
        """Pass over the blank lines here, all at once: a file may be a hundred million of them."""
        if self._rest or self._is_too_long:
            return start
        found = self._blank.match(data, start)
        if found is None:
            return start
        self._number += data.count(b"\n", start, found.end())
        return found.end()

    def _keep(self, part: bytes) -> None:
        if self._is_too_long or len(self._rest) + len(part) > self._max_bytes:
            self._is_too_long = True
            self._rest.clear()
        else:
            self._rest += part

    def _cut(self) -> Iterator[Line]:
        self._number += 1
        content, is_too_long = bytes(self._rest), self._is_too_long
        self._rest.clear()
        self._is_too_long = False
        if self._number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        if is_too_long:
            yield Line(self._number, None)
        elif content.strip():
            yield Line(self._number, content)


async def cut_lines(pieces: AsyncGenerator[bytes, None], max_bytes: int) -> AsyncGenerator[Line, None]:
    """Yield the lines of a file. It lets others go on every few kilobytes, for a line may be a single byte."""
    cutter = LineCutter(max_bytes)
    async with aclosing(pieces):
        async for piece in pieces:
            for start in range(0, len(piece), _CUT_AT_ONCE_BYTES):
                for line in cutter.feed(piece[start : start + _CUT_AT_ONCE_BYTES]):
                    yield line
                await asyncio.sleep(0)
    for line in cutter.finish():
        yield line


class Validator:
    """Looks at all lines of a batch, in order, before any of them is asked."""

    def __init__(self, endpoint: str, max_lines: int) -> None:
        self._endpoint = endpoint
        self._max_lines = max_lines
        self._ids: set[str] = set()
        self._models: set[str | None] = set()
        self.lines = 0
        self.problems: list[Problem] = []

    def take(self, line: Line) -> bool:
        """Look at a line; False where no more need be looked at."""
        self.lines += 1
        if self.lines > self._max_lines:
            words = f"A batch may have {self._max_lines:,} requests. Split the file."
            self.problems.append(Problem("too_many_requests", words, line=line.number))
            return False
        found = read_line(line, self._endpoint)
        if isinstance(found, Asked) and found.custom_id in self._ids:
            words = f"The custom_id {found.custom_id!r} stands in an earlier line. Each needs one of its own."
            found = Problem("duplicate_custom_id", words, "custom_id", line.number)
        if isinstance(found, Problem):
            self.problems.append(found)
        else:
            self._ids.add(found.custom_id)
            self._models.add(found.model)
        return len(self.problems) < _MOST_PROBLEMS

    @property
    def model(self) -> str | None:
        """The model that all lines name; None where they do not name the same."""
        return next(iter(self._models)) if len(self._models) == 1 else None

    def finish(self) -> None:
        """All lines were looked at."""
        if self.lines == 0:
            self.problems.append(Problem("empty_file", "The file has no requests in it."))


_NOTHING = msgspec.Raw(b"null")


class _Raw(msgspec.Struct):
    custom_id: Any = None
    method: Any = None
    url: Any = None
    body: msgspec.Raw = _NOTHING


class _Body(msgspec.Struct):
    model: Any = None
    stream: Any = None


_decode_line = msgspec.json.Decoder(_Raw).decode
_decode_body = msgspec.json.Decoder(_Body).decode


def read_line(line: Line, endpoint: str) -> Asked | Problem:
    """What a line asks of this endpoint, or what is wrong with it. Of the body only that is read which concerns all."""

    def wrong(code: str, message: str, param: str | None = None) -> Problem:
        return Problem(code, message, param, line.number)

    if line.content is None:
        return wrong("line_too_long", "This line is larger than a request may be. Send less in it.")
    try:
        raw = _decode_line(line.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return wrong("invalid_json_line", "This line is no JSON object.")
    asked = bytes(raw.body)
    for name in ("custom_id", "method", "url", "body"):
        if getattr(raw, name) is None or (name == "body" and asked == b"null"):
            return wrong("missing_required_parameter", f"Missing required parameter: {name!r}.", name)
    if not isinstance(raw.custom_id, str) or not 0 < len(raw.custom_id) <= _MAX_ID_CHARS or "\0" in raw.custom_id:
        return wrong("invalid_value", f"'custom_id' must be a text of 1 to {_MAX_ID_CHARS} characters.", "custom_id")
    if raw.method != "POST":
        return wrong("invalid_method", "'method' must be 'POST'.", "method")
    if raw.url != endpoint:
        return wrong("invalid_url", f"'url' must be the batch's endpoint, {endpoint!r}.", "url")
    try:
        body = _decode_body(asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return wrong("invalid_type", "'body' must be an object.", "body")
    if body.stream:
        return wrong("unsupported_parameter", "Batches do not stream: leave 'stream' out.", "body.stream")
    is_named = isinstance(body.model, str) and len(body.model) <= _MAX_ID_CHARS and "\0" not in body.model
    return Asked(raw.custom_id, asked, body.model if is_named else None)


# --- answers ------------------------------------------------------------------------------------


def response_of(status: int, request_id: str, body: bytes) -> str:
    """An answer as the files of a batch have it; `body` is JSON."""
    return _encode({"status_code": status, "request_id": request_id, "body": msgspec.Raw(body)}).decode()


def answered(line_id: str, custom_id: str, response: str) -> bytes:
    """A line of a result, of what `response_of` made."""
    raw = msgspec.Raw(response.encode())
    return _encode({"id": line_id, "custom_id": custom_id, "response": raw, "error": None}) + b"\n"


def unanswered(line_id: str, custom_id: str, why: Ended) -> bytes:
    """A line of a result that has no answer."""
    error = {"code": why, "message": _WORDS[why]}
    return _encode({"id": line_id, "custom_id": custom_id, "response": None, "error": error}) + b"\n"
