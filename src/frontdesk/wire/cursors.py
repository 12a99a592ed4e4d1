"""Where in an event stream a reader is: what it has had is left out, and each event may carry its number.

Renderers are always given an answer from its beginning, so that they know all that an event stands on. What a reader
has is left out of their frames, of which each is one event.
"""

from __future__ import annotations


class Cursor:
    """A reader's place among the frames of one stream, which are numbered from 0."""

    __slots__ = ("_after", "_carries_ids", "_next")

    def __init__(self, after: int, *, carries_ids: bool) -> None:
        self._after = after
        self._carries_ids = carries_ids
        self._next = 0

    def pass_on(self, frames: list[bytes]) -> list[bytes]:
        """Return those of the next frames that the reader does not have."""
        first = self._next
        self._next += len(frames)
        if first <= self._after:
            frames = frames[self._after + 1 - first :]
            first = self._next - len(frames)
        if not self._carries_ids:
            return frames
        return [with_id(frame, number) for number, frame in enumerate(frames, first)]


def cursor_at(after: int | None, *, carries_ids: bool) -> Cursor | None:
    """Where a reader is who has all up to the frame `after`; None where it takes all of them as they are."""
    if after is None and not carries_ids:
        return None
    return Cursor(-1 if after is None else after, carries_ids=carries_ids)


def with_id(frame: bytes, number: int) -> bytes:
    """Return an event that says its number, which a browser's EventSource sends back (WHATWG HTML §9.2.4)."""
    return b"id: %d\n%b" % (number, frame)
