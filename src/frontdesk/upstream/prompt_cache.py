"""Which beginnings of prompts a provider has in its cache: known by what they are, kept for a while.

Theory: a prompt is a row of pieces, some of them marked. What begins at the first piece and ends at a mark is kept
for the mark's time. A later prompt reads the longest beginning that is kept and ends at a mark of its own, or at
most 20 pieces before one; the rest up to its last mark is written. Unlike the provider's, the cache takes
beginnings of any size.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from frontdesk.core.clock import Clock
from frontdesk.upstream.anthropic_request import Piece

_MAX_KEPT = 1024
_LOOK_BACK = 20
_TIMES_S = {"5m": 300.0, "1h": 3600.0}


class Cached(NamedTuple):
    """What of a prompt the cache had, and what was written to it, in tokens."""

    read_tokens: int = 0
    written_5m_tokens: int = 0
    written_1h_tokens: int = 0


class PromptCache:
    """Remembers the newest 1,024 beginnings of prompts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # until when, and for how long at a time

    def charge(self, model: str, pieces: Sequence[Piece]) -> Cached:
        """Read what is kept of a prompt, write what it marks, and return the tokens of both."""
        marks = [place for place, piece in enumerate(pieces) if piece.kept is not None]
        if not marks:
            return Cached()
        beginnings, tokens = _beginnings(model, pieces[: marks[-1] + 1])
        read = self._longest_read(beginnings, marks)
        read_tokens = tokens[read] if read >= 0 else 0
        written = {"5m": 0, "1h": 0}
        counted = read_tokens
        for place in marks:
            kept = pieces[place].kept or "5m"
            if place > read:
                written[kept] += tokens[place] - counted
                counted = tokens[place]
            self._keep(beginnings[place], _TIMES_S[kept])
        return Cached(read_tokens, written["5m"], written["1h"])

    def _longest_read(self, beginnings: list[bytes], marks: list[int]) -> int:
        now = self._clock.now()
        for mark in reversed(marks):
            for place in range(mark, max(-1, mark - _LOOK_BACK - 1), -1):
                until, time_s = self._kept.get(beginnings[place], (0.0, 0.0))
                if until > now:
                    self._keep(beginnings[place], time_s)
                    return place
        return -1

    def _keep(self, beginning: bytes, time_s: float) -> None:
        self._kept[beginning] = (self._clock.now() + time_s, time_s)
        self._kept.move_to_end(beginning)
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)


def _beginnings(model: str, pieces: Sequence[Piece]) -> tuple[list[bytes], list[int]]:
    """What is known of the beginning that ends at each piece: its name, and its tokens."""
    so_far = hashlib.sha256(model.encode())
    names: list[bytes] = []
    tokens: list[int] = []
    total = 0
    for piece in pieces:
        so_far.update(hashlib.sha256(piece.key).digest())
        names.append(so_far.digest())
        total += piece.tokens
        tokens.append(total)
    return names, tokens
