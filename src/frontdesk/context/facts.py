"""Which of a person's facts a model is told: those that got their words last, in the room that there is for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from frontdesk.turn.context import LeftOut


class Facts(NamedTuple):
    """Facts, the newest last, and in how many tokens each is told. Those from the place `first` on are.

    `around` are the tokens of the block that they stand in.
    """

    words: Sequence[str] = ()
    sizes: Sequence[int] = ()
    around: int = 0
    first: int = 0

    @property
    def told(self) -> Sequence[str]:
        """Those that are told."""
        return self.words[self.first :]

    @property
    def tokens(self) -> int:
        """Those of all that is told of them."""
        return self.around + sum(self.sizes[self.first :]) if self.told else 0

    def within(self, room: int) -> Self:
        """As many of those that are told as there is room for, the newest."""
        left = room - self.around
        first = len(self.words)
        while first > self.first and self.sizes[first - 1] <= left:
            first -= 1
            left -= self.sizes[first]
        return self._replace(first=first)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Those that are not told, for the record."""
        return (LeftOut("facts", self.first, sum(self.sizes[: self.first])),) if self.first else ()
