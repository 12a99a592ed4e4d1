"""Instructions: what the server tells the model does not come back in its answers, word for word.

A run of the turn's instructions (see `turn.verbatim`) is replaced by a mask; runs that overlap or touch are
one. Of a text, as it comes, there is

    gone                    released, or swallowed behind its mask
    context                 the end of what was swallowed: a run may go on from there
    held                    what may still become a run, with the context before it

so that the same goes out however the text is cut.
"""

from __future__ import annotations

from functools import lru_cache

from frontdesk.turn.turn import Turn
from frontdesk.turn.verbatim import Verbatim, fold, open_unit, white_start

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

    __slots__ = ("_context", "_held", "_instructions", "_is_masked")

    def __init__(self, instructions: Verbatim) -> None:
        self._instructions = instructions
        self._context = ""  # folded
        self._held = ""
        self._is_masked = False  # whether the mask is the last that went out

    def feed(self, text: str) -> str:
        """Return what may go out now."""
        text = self._held + text
        return self._pass(text, open_unit(text))

    def flush(self) -> str:
        """Return what was held: the text has ended."""
        rest = self._pass(self._held, len(self._held), is_last=True)
        self._context = self._held = ""
        self._is_masked = False
        return rest

    def _pass(self, text: str, end: int, *, is_last: bool = False) -> str:
        """Look at a text up to `end`, where an escape begins that nobody can read yet."""
        start = white_start(text) if self._context.endswith(" ") else 0
        folded = fold(text[start:end])
        stream = self._context + folded.text
        gone = known = len(self._context)
        undecided = len(stream) - (0 if is_last else self._instructions.reach(stream))

        def raw(place: int) -> int:
            return start + folded.raw_place(place - known)

        released: list[str] = []
        for first, last in (*self._instructions.runs_in(stream), (undecided, undecided)):
            if first > gone:
                released.append(text[raw(gone) : raw(first)])
                self._is_masked = False
            if first < last and not self._is_masked:
                released.append(MASK)
                self._is_masked = True
            gone = max(gone, last)
        self._held = text[raw(gone) :]
        self._context = stream[undecided:gone]
        return "".join(released)
