r"""Verbatim runs of a text inside others: what of a server's own instructions stands elsewhere, word for word.

Texts are compared folded, so that instructions are found in the arguments of tools and in a typographer's
hands as well. Each unit of a text becomes one character:

    white space, dots, dashes in a row     one of them; each 64 of more than 64
    escapes as JSON has them               what they stand for: `\n`, `\"`, `\u00e9`, up to 8 backslashes; a pair
                                           of surrogates is one character
    typographic quotes, dashes, ellipses   plain ones
    letters                                small ones

A run is a piece of the folded text: 32 characters, or all of it where it is shorter. Three of eight must
be letters or digits: rules, tables and fences are nobody's secret.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Iterator
from itertools import accumulate, groupby
from typing import NamedTuple

RUN_CHARS = 32
LEAST_CHARS = 12
"""Less of a text is no secret."""
GAP = "\0"
"""Divides a text: no run goes across it."""
_LEAST_WORDY = 3 / 8
_SHORT_CHARS = 4096  # up to here it costs less to look into a text than to make a set of its pieces


class Verbatim:
    """A text whose runs are looked for. `run_chars` is how long a run is; 0 where the text has none."""

    __slots__ = ("_text", "run_chars")

    def __init__(self, text: str) -> None:
        folded = GAP.join(fold(part).text for part in text.split(GAP)).strip()
        size = min(len(folded), RUN_CHARS)
        self._text = GAP.join(_telling_parts(folded, size)) if size >= LEAST_CHARS else ""
        self.run_chars = size if self._text else 0

    def occurs_in(self, text: str) -> bool:
        """Whether a run stands in a text."""
        return bool(self.runs_in(fold(text).text))

    def runs_in(self, folded: str) -> list[tuple[int, int]]:
        """Where runs stand in a folded text, without a space at their ends: (start, end) in order.

        Those that overlap or touch are one. Cut a text into blocks of half a run: each run holds a whole
        block. So most texts are passed over in blocks; a character that may be in a run costs a look into the text.
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
                begin = start + (folded[start] == " ")
                end = start + size - (folded[start + size - 1] == " ")
                begin = runs.pop()[0] if runs and begin <= runs[-1][1] else begin
                runs.append((begin, end))
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


def _telling_parts(folded: str, size: int) -> Iterator[str]:
    """The parts of a text whose pieces all have enough letters and digits, and which have all such pieces."""
    least = size * _LEAST_WORDY
    for part in folded.split(GAP):
        counts = [0, *accumulate(map(str.isalnum, part))]
        tells = [after - before >= least for before, after in zip(counts, counts[size:], strict=False)]
        start = 0
        for is_telling, group in groupby(tells):
            end = start + len(list(group))
            if is_telling:
                yield part[start : end + size - 1]
            start = end


# --- folding ------------------------------------------------------------------------------------

_MOST_IN_ROW = 64  # bounds what a filter keeps


def _row_of(raw: str, escaped: str) -> str:
    """The pattern of two or more in a row: of `raw`, which backslashes may precede, and `escaped`, which they must."""
    return rf"(?:\\{{0,8}}+{raw}|\\{{1,8}}+(?:{escaped})){{2,{_MOST_IN_ROW}}}"


_DOT, _DASH = ".\u2026", "\u2010-\u2015\u2212-"
_WHITE_CODES = "00(?:0[9A-Da-d]|1[C-Fc-f]|20|85|[Aa]0)|1680|20(?:0[0-9Aa]|2[89Ff]|5[Ff])|3000"
_WHITES = _row_of(r"\s", f"[nrtf]|u(?:{_WHITE_CODES})")
_DOTS = _row_of(f"[{_DOT}]", "u(?:002[Ee]|2026)")
_DASHES = _row_of(f"[{_DASH}]", "u(?:002[Dd]|201[0-5]|2212)")
_HIGH, _LOW = "[Dd][89ABab][0-9A-Fa-f]{2}", "[Dd][C-Fc-f][0-9A-Fa-f]{2}"
_ODD = re.compile(rf"[\\{GAP}]|[^\S ]|  |[{_DOT}]{{2}}|[{_DASH}]{{2}}")
_UNIT = re.compile(
    rf"(?=[\\{GAP}]|[^\S ]|[ {_DOT}{_DASH}][\\\s{_DOT}{_DASH}])(?:"  # most of a text is none: the rest is slow
    rf"(?P<white>{_WHITES})|(?P<dots>{_DOTS})|(?P<dashes>{_DASHES})"
    rf"|[^\S ]|{GAP}"
    rf"|\\{{1,8}}+(?:u(?P<high>{_HIGH})\\{{1,8}}+u(?P<low>{_LOW})"
    r"|u(?P<code>[0-9A-Fa-f]{4})|(?P<break>[nrtf])|(?P<char>[^\\])))"
)
_TOLD = {"white": " ", "dots": ".", "dashes": "-", "break": " "}
_OPEN_UNIT = re.compile(
    rf"\\{{1,8}}+u{_HIGH}(?:\\{{1,8}}+(?:u[0-9A-Fa-f]{{0,3}})?)?\Z|\\{{1,8}}+(?:u[0-9A-Fa-f]{{0,3}})?\Z"
)
_OPEN_CHARS = 25
_PLAIN = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u02bc"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"), '"'),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    0x2026: ".",
    # The only letters whose small one is not a single character, or depends on what stands beside it.
    0x0130: "i",
    0x03A3: "\u03c3",
    0x03C2: "\u03c3",
}


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
    """Fold a text. Each unit of it becomes one character, never a GAP."""
    if _ODD.search(text) is None:
        return Folded(_plain(text), [], [])
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
    return Folded(_plain("".join([*pieces, text[end:]])), ends, raw_ends)


def open_unit(text: str) -> int:
    """Where an escape begins that the text does not end, or half of a pair; the text's length where there is none.

    More text may also lengthen the last row before this place, and changes nothing else.
    """
    found = _OPEN_UNIT.search(text, max(len(text) - _OPEN_CHARS, 0)) if "\\" in text else None
    return len(text) if found is None else found.start()


def _told(unit: re.Match[str]) -> str:
    kind = unit.lastgroup
    if kind in _TOLD:
        return _TOLD[kind]
    if kind == "low":
        return chr(0x10000 + ((int(unit["high"], 16) & 0x3FF) << 10) + (int(unit["low"], 16) & 0x3FF))
    char = chr(int(unit["code"], 16)) if kind == "code" else unit["char"] or unit[0]
    return " " if char.isspace() else "\ufffd" if char == GAP else char


def _plain(text: str) -> str:
    return (text if text.isascii() else text.translate(_PLAIN)).lower()
