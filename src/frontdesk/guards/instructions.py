"""Instructions: what the server tells the model does not come back in its answers, word for word.

A run of the turn's instructions (see `turn.verbatim`) is replaced by a mask; runs that overlap or touch are
one. Of a text, as it comes, there is

    gone      released, or swallowed behind its mask
    context   the end of what has gone, folded: a run may go on from there
    held      what may still become a run, with the context before it

so that the same goes out however the text is cut. The last unit of what has gone is kept as it came while a
run may go on from it: a row of spaces, dots or dashes may be longer than what has come of it. What is kept is bounded,
and with it the work a piece of text costs: less than a run, of rows and escapes with a most of their own.
"""

from __future__ import annotations

from functools import lru_cache

from frontdesk.turn.turn import Turn
from frontdesk.turn.verbatim import Verbatim, fold, open_unit

MASK = "[withheld]"
_KEPT_TEXTS = 64


class InstructionsGuard:
    """Withholds runs of the instructions that a turn was given by its feature. For answers only."""

    def __init__(self) -> None:
        self._verbatim = lru_cache(_KEPT_TEXTS)(Verbatim)

    def open(self, turn: Turn) -> InstructionsFilter | None:
        """Start a text; None for a turn whose instructions are none, or too short to tell."""
        if turn.instructions is None:
            return None
        instructions = self._verbatim(turn.instructions)
        return InstructionsFilter(instructions) if instructions.run_chars else None


class InstructionsFilter:
    """One text."""

    __slots__ = ("_context", "_gone", "_instructions", "_is_masked", "_text")

    def __init__(self, instructions: Verbatim) -> None:
        self._instructions = instructions
        self._context = ""
        self._text = ""  # the last unit that has gone, if a run may go on from it, and what is held
        self._gone = 0  # how much of that has gone
        self._is_masked = False  # whether the mask is the last that went out

    def feed(self, text: str) -> str:
        """Return what may go out now."""
        text = self._text + text
        return self._pass(text, open_unit(text))

    def flush(self) -> str:
        """Return what was held: the text has ended."""
        rest = self._pass(self._text, len(self._text), is_last=True)
        self._is_masked = False
        return rest

    def _pass(self, text: str, end: int, *, is_last: bool = False) -> str:
        """Look at a text up to `end`, where an escape begins that nobody can read yet."""
        folded = fold(text[:end])
        stream = self._context + folded.text
        known = len(self._context)

        def raw(place: int) -> int:
            return folded.raw_place(max(place - known, 0))

        undecided = len(stream) - (0 if is_last else self._instructions.reach(stream))
        # No run begins with a space: where one may begin, it goes out either way.
        settled = undecided + stream.startswith(" ", undecided)
        place, gone = known, self._gone
        if gone:
            place += 1
            gone = max(gone, raw(place)) if self._is_masked else gone
        released: list[str] = []
        for first, last in (*self._instructions.runs_in(stream), (settled, settled)):
            if raw(first) > gone:
                released.append(text[gone : raw(first)])
                self._is_masked = False
            if first < last and not self._is_masked:
                released.append(MASK)
                self._is_masked = True
            place, gone = max(place, last), max(gone, raw(last))
        kept = max(undecided, min(place, len(stream) - 1))
        self._context = stream[undecided:kept]
        self._text = text[raw(kept) :]
        self._gone = gone - raw(kept)
        return "".join(released)
