"""A batch leaves half of its owner's limits to them; the rest is in tests/doors/test_absent.py."""

from __future__ import annotations

import pytest

from frontdesk.batches.room import OwnLimits
from frontdesk.turn.turn import Caller


class Standings:
    """Limits that stand as they are told to."""

    def __init__(self, *standings: dict[str, object]) -> None:
        self._standings = [*standings]

    async def standing(self, caller: Caller) -> list[dict[str, object]]:
        return self._standings


@pytest.mark.parametrize(
    ("per", "limit", "remaining", "has_room"),
    [("minute", 10, 10, True), ("minute", 10, 6, True), ("minute", 10, 5, False), ("minute", 10, 0, False),
     (None, 1, 1, True), (None, 1, 0, False), (None, 2, 2, True), (None, 2, 1, False), ("day", 100, 1, True)],
)  # fmt: skip
async def test_room_by_figures(per: str | None, limit: int, remaining: int, has_room: bool) -> None:
    standings = Standings({"per": per, "limit": limit, "remaining": remaining})

    assert await OwnLimits(standings).has_room(Caller("user", "sess_1", "u1", "all")) is has_room
