"""Places for lines under way: so many in a process, and fairly among those whose lines they are."""

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
