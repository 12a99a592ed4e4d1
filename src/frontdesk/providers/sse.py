"""Server-sent events as providers send them, cut anywhere (WHATWG HTML §9.2.6).

Only the data of each event is of interest: no dialect here needs the event's name or id.
"""

from __future__ import annotations

from frontdesk.core.errors import ProviderError

_MAX_EVENT_BYTES = 16 * 1024 * 1024


class SseDecoder:
    """Collects bytes until events are whole."""

    __slots__ = ("_ends_in_cr", "_is_first", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._ends_in_cr = False
        self._is_first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that this chunk completes; those without data are left out.

        Raises ProviderError where one event grows beyond 16 MB.
        """
        if not self._rest and not self._ends_in_cr and chunk[:6] == b"data: " and chunk[-2:] == b"\n\n":
            # Nearly always: whole events of one line each. A quarter of what the general way costs.
            payload = chunk[6:-2]
            if b"\n" not in payload and b"\r" not in payload:
                return [payload]
            payloads = payload.split(b"\n\ndata: ")
            if payload.count(b"\n") == 2 * (len(payloads) - 1) and b"\r" not in payload:
                return payloads
        data = self._rest + chunk
        if self._is_first and len(data) >= _BOM_BYTES:
            data = data.removeprefix(b"\xef\xbb\xbf")
            self._is_first = False
        if b"\r" in data or self._ends_in_cr:
            data = self._with_lf(data, len(self._rest))
        if b"\n\n" not in data:
            if len(data) > _MAX_EVENT_BYTES:
                raise ProviderError("one event of the stream is larger than 16 MB")
            self._rest = data
            return []
        blocks = data.split(b"\n\n")
        self._rest = blocks.pop()
        return [payload for block in blocks if (payload := _data_of(block)) is not None]

    def flush(self) -> list[bytes]:
        """Return the data of a last event that no blank line followed."""
        payload = _data_of(self._rest)
        self._rest = b""
        return [] if payload is None else [payload]

    def _with_lf(self, data: bytes, new_from: int) -> bytes:
        # A CR at the end of the last chunk was already turned into a LF: its own LF is dropped.
        if self._ends_in_cr and data[new_from : new_from + 1] == b"\n":
            data = data[:new_from] + data[new_from + 1 :]
        self._ends_in_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


_BOM_BYTES = 3


def _data_of(block: bytes) -> bytes | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return block[6:]
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(lines) if lines else None
