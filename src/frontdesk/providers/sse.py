"""Server-sent events as providers send them, cut anywhere (WHATWG HTML §9.2.6).

Only the data of each event is of interest: no dialect here needs the event's name or id.
"""

from __future__ import annotations

import codecs

from frontdesk.core.errors import ProviderError

_MAX_EVENT_BYTES = 16 * 1024 * 1024
_LF, _CR = b"\n\r"  # as numbers: to find one in bytes takes an eighth of the time


class SseDecoder:
    """Collects bytes until events are whole. Every byte is looked at once, however they come."""

    __slots__ = ("_ends_in_cr", "_is_between", "_is_first", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()  # of an event that is not whole, its line ends made LF
        self._ends_in_cr = False
        self._is_first = True
        self._is_between = False  # nothing is awaited but the next event

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that this chunk completes; those without data are left out.

        Raises ProviderError where one event grows beyond 16 MB.
        """
        if self._is_between and chunk[-2:] == b"\n\n" and _CR not in chunk:
            return _whole_events(chunk)
        if self._is_first:
            chunk = self._without_mark(chunk)
        if not chunk:
            return []
        if self._ends_in_cr or _CR in chunk:
            chunk = self._with_lf(chunk)
        events = self._feed_lines(chunk)
        self._is_between = not self._rest and not self._ends_in_cr
        return events

    def flush(self) -> list[bytes]:
        """Return the data of a last event that no blank line followed."""
        payload = _data_of(bytes(self._rest))
        self._rest.clear()
        return [] if payload is None else [payload]

    def _feed_lines(self, data: bytes) -> list[bytes]:
        rest = self._rest
        if rest:
            # What is there holds no blank line, but its last byte may begin one.
            searched = len(rest) - 1
            rest += data
            if rest.find(b"\n\n", searched) < 0:
                return self._not_yet()
            data = bytes(rest)
            rest.clear()
        *blocks, last = data.split(b"\n\n")
        rest += last
        if not blocks:
            return self._not_yet()
        return [payload for block in blocks if (payload := _data_of(block)) is not None]

    def _not_yet(self) -> list[bytes]:
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise ProviderError("one event of the stream is larger than 16 MB")
        return []

    def _without_mark(self, chunk: bytes) -> bytes:
        """Drop a byte order mark at the very start, waiting for the rest of what may be one."""
        start = bytes(self._rest) + chunk
        self._rest.clear()
        if len(start) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(start):
            self._rest += start
            return b""
        self._is_first = False
        return start.removeprefix(codecs.BOM_UTF8)

    def _with_lf(self, data: bytes) -> bytes:
        # A CR at the end of the last chunk was already turned into a LF: its own LF is dropped.
        if self._ends_in_cr and data[:1] == b"\n":
            data = data[1:]
        self._ends_in_cr = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _whole_events(chunk: bytes) -> list[bytes]:
    """The data of a chunk of nothing but whole events: nearly every one. A quarter of what the general way costs."""
    if chunk[:6] == b"data: ":  # as of Chat Completions
        payload = chunk[6:-2]
        if _LF not in payload:
            return [payload]
        payloads = payload.split(b"\n\ndata: ")
        if payload.count(b"\n") == 2 * (len(payloads) - 1):
            return payloads
    else:  # with a name before it, as of Responses
        end = chunk.find(_LF)
        payload = chunk[end + 7 : -2]
        if chunk[end : end + 7] == b"\ndata: " and chunk[:6] == b"event:" and _LF not in payload:
            return [payload]
    return [payload for block in chunk[:-2].split(b"\n\n") if (payload := _data_of(block)) is not None]


def _data_of(block: bytes) -> bytes | None:
    if block[:6] == b"event:":  # no dialect here needs it
        block = block[block.find(_LF) + 1 :]
    if block[:6] == b"data: " and _LF not in block:
        return block[6:]
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(lines) if lines else None
