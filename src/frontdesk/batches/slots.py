"""Places for lines under way: so many in a process, fairly among those whose lines they are, and as many for each as
their money covers at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable


class FairSlots:
    """Some places. One that gets free goes to who has the fewest, and among those to who waits longest."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._taken: Counter[Hashable] = Counter()
        self._waiting: list[tuple[Hashable, asyncio.Future[None]]] = []

    async def take(self, owner: Hashable) -> None:
        """Take a place, as soon as there is one."""
        if self._free and not self._waiting:
            self._give(owner)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = owner, turn
        self._waiting.append(waiter)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free(owner)
            else:
                self._waiting.remove(waiter)
            raise

    def free(self, owner: Hashable) -> None:
        """Give a place back."""
        self._free += 1
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]
        if self._waiting:
            waiter = min(self._waiting, key=lambda each: self._taken[each[0]])
            self._waiting.remove(waiter)
            next_owner, turn = waiter
            self._give(next_owner)
            turn.set_result(None)

    def _give(self, owner: Hashable) -> None:
        self._free -= 1
        self._taken[owner] += 1


class FundedLines:
    """How many lines of each owner are under way, and how many of them their money covered at once.

    What a budget covers is learnt as it refuses: no more are asked then than were under way, until one is answered.
    """

    def __init__(self) -> None:
        self._under_way: Counter[Hashable] = Counter()
        self._covered: dict[Hashable, int] = {}

    def may_begin(self, owner: Hashable) -> bool:
        """Whether another line of this owner may be asked by now."""
        covered = self._covered.get(owner)
        return covered is None or self._under_way[owner] < covered

    def begin(self, owner: Hashable) -> None:
        """A line is asked; `end` it once."""
        self._under_way[owner] += 1

    def end(self, owner: Hashable) -> None:
        """A line is not under way any more."""
        self._under_way[owner] -= 1
        if not self._under_way[owner]:
            del self._under_way[owner]

    def refused(self, owner: Hashable) -> int:
        """There was no money for a line that has ended; returns how many others are under way, which hold some."""
        others = self._under_way[owner]
        self._covered[owner] = max(1, others)
        return others

    def answered(self, owner: Hashable) -> None:
        """There was money for one: there may be for one more."""
        if owner in self._covered:
            self._covered[owner] += 1

    def forget(self, owner: Hashable) -> None:
        """Nothing of this owner is carried any more: whoever comes anew is asked as if nothing had been refused."""
        self._covered.pop(owner, None)
