"""What a batch leaves of its owner's limits: half, so that they can go on asking meanwhile."""

from __future__ import annotations

from typing import Protocol

from frontdesk.turn.turn import Caller

# What comes back while a batch runs. Of a day's tokens it may use all, as whoever asks.
_LEFT_OF = (None, "minute")


class Standings(Protocol):
    """Knows what is left of callers' own limits (`policies.limits`)."""

    async def standing(self, caller: Caller) -> list[dict[str, object]]:
        """`limit` and `remaining` of each, and `per`, None for what counts while it is under way."""
        ...


class OwnLimits:
    """Leaves half of each of a person's own limits; see `carrying.Room`."""

    def __init__(self, limits: Standings) -> None:
        self._limits = limits

    async def has_room(self, caller: Caller) -> bool:
        """Whether more than half of each is left, or all of it."""
        for each in await self._limits.standing(caller):
            remaining, limit = each["remaining"], each["limit"]
            assert isinstance(remaining, int)
            assert isinstance(limit, int)
            if each["per"] in _LEFT_OF and remaining < limit and 2 * remaining <= limit:
                return False
        return True
