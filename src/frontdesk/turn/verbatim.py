r"""Verbatim runs of a text inside others: what of a server's own instructions stands elsewhere, word for word.

Texts are compared folded: letters small, white space one space, escapes as JSON has them (`\n`, `\"`,
`\u00e9`, up to 8 backslashes) as what they stand for, so that instructions are found in the arguments of
tools as well. A run is a piece of the folded text: 32 characters, or all of it where it is shorter.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container
from typing import NamedTuple

RUN_CHARS = 32
LEAST_CHARS = 12
"""Less of a text is no secret."""
_SHORT_CHARS = 4096  # up to here it costs less to look into a text than to make a set of its pieces


class Verbatim:
    """A text whose runs are looked for. `run_chars` is how long a run is; 0 where the text is too short for any."""

    __slots__ = ("_text", "run_chars")

    def __init__(self, text: str) -> None:
        self._text = fold(text).text.strip()
        size = len(self._text)
        self.run_chars = min(size, RUN_CHARS) if size >= LEAST_CHARS else 0

    def occurs_in(self, text: str) -> bool:
        """Whether a run stands in a text."""
        return bool(self.runs_in(fold(text).text))

    def runs_in(self, folded: str) -> list[tuple[int, int]]:
        """Where runs stand in a folded text: (start, end) in order; those that overlap or touch are one.

        Cut a text into blocks of half a run: each run holds a whole block. So most texts are passed over
        in blocks; a character that may be in a run costs a look into the text.
        """
        size = self.run_chars
        if not size or len(folded) < size:
            return []
        half = (size + 1) // 2
        blocks, pieces = self._pieces(half, folded), None
        runs: list[tuple[int, int]] = []
        first = 0
        for block in range(0, len(folded) - half + 1, half):
            if folded[block : block + half] not in blocks:
                continue
            pieces = pieces or self._pieces(size, folded)
            for start in range(max(first, block + half - size), min(block, len(folded) - size) + 1):
                if folded[start : start + size] not in pieces:
                    continue
                begin = runs.pop()[0] if runs and start <= runs[-1][1] else start
                runs.append((begin, start + size))
            first = block + 1
        return runs

    def reach(self, folded: str) -> int:
        """How many characters at the end of a folded text may still become a run: fewer than a run has.

        The text is looked through once: where one character more stands, it stands no earlier.
        """
        size = place = 0
        most = min(len(folded), self.run_chars - 1)
        while size < most:
            place = self._text.find(folded[-size - 1 :], max(place - 1, 0))
            if place < 0:
                break
            size += 1
        return size

    def _pieces(self, size: int, folded: str) -> Container[str]:
        """What tells whether a text of `size` characters is a piece of this one."""
        if len(folded) <= _SHORT_CHARS:
            return self._text
        return {self._text[start : start + size] for start in range(len(self._text) - size + 1)}


# --- folding ------------------------------------------------------------------------------------

_WHITE = r"(?:\\{0,8}\s|\\{1,8}[nrt])"
_ODD = re.compile(r"\\|  |[^\S ]")
_UNIT = re.compile(rf"{_WHITE}{{2,}}|[^\S ]|\\{{1,8}}(?:[\snrt]|u(?P<code>[0-9A-Fa-f]{{4}})|(?P<char>[^\\]))")
_OPEN_UNIT = re.compile(r"\\{1,8}(?:u[0-9A-Fa-f]{0,3})?\Z")
_OPEN_CHARS = 12
_WHITE_START = re.compile(rf"{_WHITE}+")
# The only letters whose small one is not a single character, or depends on what stands beside it.
_SMALL = {ord("\u0130"): "i", ord("\u03a3"): "\u03c3", ord("\u03c2"): "\u03c3"}


class Folded(NamedTuple):
    """A folded text; `ends` are where its units of several characters end in it, `raw_ends` where in the raw text."""

    text: str
    ends: list[int]
    raw_ends: list[int]

    def raw_place(self, place: int) -> int:
        """Where a character of the folded text begins in the raw one."""
        before = bisect_right(self.ends, place) - 1
        return place if before < 0 else self.raw_ends[before] + place - self.ends[before]


def fold(text: str) -> Folded:
    """Fold a text. Each unit of it becomes one character."""
    if _ODD.search(text) is None:
        return Folded(_small(text), [], [])
    pieces: list[str] = []
    ends: list[int] = []
    raw_ends: list[int] = []
    size = end = 0
    for unit in _UNIT.finditer(text):
        pieces += [text[end : unit.start()], _told(unit)]
        size += unit.start() - end + 1
        end = unit.end()
        ends.append(size)
        raw_ends.append(end)
    return Folded(_small("".join([*pieces, text[end:]])), ends, raw_ends)


def open_unit(text: str) -> int:
    """Where an escape begins that the text does not end; the text's length where there is none."""
    found = _OPEN_UNIT.search(text, max(len(text) - _OPEN_CHARS, 0)) if "\\" in text else None
    return len(text) if found is None else found.start()


def white_start(text: str) -> int:
    """How many characters of white space a text begins with."""
    found = _WHITE_START.match(text)
    return 0 if found is None else found.end()


def _told(unit: re.Match[str]) -> str:
    char = unit["char"] or (chr(int(unit["code"], 16)) if unit["code"] else " ")
    return " " if char.isspace() else char


def _small(text: str) -> str:
    return (text if text.isascii() else text.translate(_SMALL)).lower()
