"""What was asked and what really went out: a record a request, the newest ones, and totals."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

_MAX_RECORDS = 10_000
_MAX_BYTES = 64 * 1024 * 1024
_MAX_BODY_BYTES = 1024 * 1024
_RECORD_BYTES = 1500  # about, besides its body
_SECRETS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"})

Ended = Literal["open", "whole", "fault", "hung_up", "shut_down"]


class Billed(msgspec.Struct):
    """What a provider would charge for: what was made until the client left, sent or not.

    Seconds of sound, characters and pictures are of what is no chat, and all of them once anything was made.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    audio_seconds: int = 0
    characters: int = 0
    images: int = 0


class Record(msgspec.Struct):
    """One request. Times are seconds since 1970."""

    id: int
    connection: int
    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: msgspec.Raw | str | None
    model: str | None = None
    stream: bool = False
    script: str | None = None
    directives: str = ""
    status: int | None = None
    chunks: int = 0
    bytes_written: int = 0
    billed: Billed = msgspec.field(default_factory=Billed)
    ended: Ended = "open"
    hung_up_after_chunk: int | None = None
    first_byte_at: float | None = None
    ended_at: float | None = None


class Totals(msgspec.Struct):
    """Counts since the start."""

    open_connections: int = 0
    open_streams: int = 0
    connections: int = 0
    requests: int = 0
    chunks: int = 0
    bytes_written: int = 0
    hung_up: int = 0
    faults: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Journal:
    """The newest records: 10,000 at most, and 64 MB."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._size_bytes = 0
        self._last_id = 0
        self.totals = Totals()

    def open(
        self, connection: int, at: float, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Record:
        """Begin a record."""
        self._last_id += 1
        record = Record(
            self._last_id, connection, at, method, path, _without_secrets(headers), _kept(body) if body else None
        )
        self._records.append(record)
        self._size_bytes += _size_of(record)
        while len(self._records) > _MAX_RECORDS or self._size_bytes > _MAX_BYTES:
            self._size_bytes -= _size_of(self._records.popleft())
        self.totals.requests += 1
        return record

    def close(self, record: Record, ended: Ended, at: float) -> None:
        """End a record; only the first end counts."""
        if record.ended != "open":
            return
        record.ended = ended
        record.ended_at = at
        if record.first_byte_at is None:
            record.status = None
        totals = self.totals
        totals.chunks += record.chunks
        totals.bytes_written += record.bytes_written
        totals.input_tokens += record.billed.input_tokens
        totals.output_tokens += record.billed.output_tokens
        totals.faults += ended == "fault"
        if ended == "hung_up":
            record.hung_up_after_chunk = record.chunks
            totals.hung_up += 1

    def since(self, record_id: int = 0) -> Iterator[Record]:
        """Yield the records that began after this one, the oldest first."""
        return (record for record in self._records if record.id > record_id)

    def clear(self) -> None:
        """Forget all records; numbers go on, and so do the totals."""
        self._records.clear()
        self._size_bytes = 0


def _without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"sha256:{hashlib.sha256(value.encode()).hexdigest()[:12]}" if name in _SECRETS else value
        for name, value in headers.items()
    }


def _kept(body: bytes) -> msgspec.Raw | str:
    """The body as JSON where it is that, else as a text; of a large one only its size."""
    if len(body) > _MAX_BODY_BYTES:
        return f"({len(body)} bytes, not kept)"
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(body)))  # in one line, whatever it was
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def _size_of(record: Record) -> int:
    body: Any = record.body
    return _RECORD_BYTES + (0 if body is None else len(bytes(body, "utf-8")) if isinstance(body, str) else len(body))
