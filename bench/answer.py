"""An answer as it arrives: HTTP/1.1 responses parsed piece by piece, then checked whole.

Not a general parser: it reads what the servers of the benchmarks send, at a microsecond a chunk, and
takes all else for a failure.
"""

from __future__ import annotations

from array import array

import msgspec

from bench.script import Script
from bench.upstream import usage

_FIRST_WORD = b"answer "
_WORD = b" word"
_DONE = b"data: [DONE]\n\n"


class BadAnswer(Exception):
    """Bytes that are no answer, or not the one that was asked for."""


class Answer:
    """One response. Feed it what arrives until it is whole."""

    __slots__ = ("_body", "_has_head", "_is_chunked", "_left", "_rest", "is_whole", "word_times")

    def __init__(self) -> None:
        self.is_whole = False
        self.word_times = array("d")  # of a stream: when each word was here
        self._rest = b""  # arrived and not read: part of the head, or of a chunk
        self._body: list[bytes] = []
        self._has_head = False
        self._is_chunked = False
        self._left = 0  # without chunks: bytes of the body that are still to come

    def feed(self, data: bytes, now: float) -> None:
        """Read on. Raises BadAnswer."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not self._has_head:
            data = self._read_head(data)
        if self._has_head:
            if self._is_chunked:
                self._read_chunks(data, now)
            else:
                self._read_body(data)

    def body(self) -> bytes:
        """Return what has come of the body."""
        return b"".join(self._body)

    def _read_head(self, data: bytes) -> bytes:
        head, blank, body = data.partition(b"\r\n\r\n")
        if not blank:
            self._rest = data
            return b""
        if not head.startswith(b"HTTP/1.1 200"):
            raise BadAnswer(data[:500].decode(errors="replace"))
        fields = head.lower()
        self._has_head = True
        self._is_chunked = b"transfer-encoding: chunked" in fields
        if not self._is_chunked:
            self._left = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return body

    def _read_body(self, data: bytes) -> None:
        self._body.append(data)
        self._left -= len(data)
        self.is_whole = self._left == 0
        if self._left < 0:
            raise BadAnswer("more came than content-length said")

    def _read_chunks(self, data: bytes, now: float) -> None:
        place = 0
        while True:
            line_end = data.find(b"\r\n", place)
            if line_end < 0:
                break
            size = int(data[place:line_end], 16)
            start = line_end + 2
            end = start + size
            if len(data) < end + 2:
                break
            if not size:
                self.is_whole = True
                if len(data) > end + 2:
                    raise BadAnswer("more came behind the last chunk")
                return
            chunk = data[start:end]
            self._body.append(chunk)
            self._count_words(chunk, now)
            place = end + 2
        self._rest = data[place:]

    def _count_words(self, chunk: bytes, now: float) -> None:
        times = self.word_times
        words = chunk.count(_WORD)
        if not times:
            if _FIRST_WORD not in chunk:
                return
            words += 1
        for _ in range(words):
            times.append(now)


def check_stream(answer: Answer, script: Script, number: int) -> None:
    """Compare a stream with what was asked for: every word, how it ended, what it cost. Raises BadAnswer."""
    body = answer.body()
    if not body.endswith(_DONE):
        raise BadAnswer(f"the stream ends without [DONE]: {body[-200:]!r}")
    text: list[str] = []
    reason, cost = None, None
    for event in body[: -len(_DONE)].split(b"\n\n"):
        if not event.startswith(b"data: "):
            if event and not event.startswith(b":"):
                raise BadAnswer(f"no event: {event!r}")
            continue
        chunk = _chunk_decoder.decode(event[6:])
        cost = chunk.usage or cost
        for choice in chunk.choices:
            text.append(choice.delta.content or "")
            reason = choice.finish_reason or reason
    _compare("".join(text), reason, cost, script, number)
    if len(answer.word_times) != script.chunks:
        raise BadAnswer(f"{len(answer.word_times)} words were seen of {script.chunks}")


def check_body(answer: Answer, script: Script, number: int) -> None:
    """Compare a body with what was asked for. Raises BadAnswer."""
    body = _body_decoder.decode(answer.body())
    [choice] = body.choices
    _compare(choice.message.content, choice.finish_reason, body.usage, script, number)


def _compare(text: str, reason: str | None, cost: _Usage | None, script: Script, number: int) -> None:
    wanted = "".join(script.words(number))
    if text != wanted:
        raise BadAnswer(f"the text is {text[:100]!r}..., not {wanted[:100]!r}...")
    if reason != "stop":
        raise BadAnswer(f"finish_reason is {reason!r}")
    if cost is None or cost != _Usage(**usage(script)):
        raise BadAnswer(f"usage is {cost!r}")


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _Delta(msgspec.Struct):
    content: str | None = None


class _ChunkChoice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_ChunkChoice]
    usage: _Usage | None = None


class _Message(msgspec.Struct):
    content: str


class _BodyChoice(msgspec.Struct):
    message: _Message
    finish_reason: str


class _Body(msgspec.Struct):
    choices: list[_BodyChoice]
    usage: _Usage


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_body_decoder = msgspec.json.Decoder(_Body)
