"""Rows that are on their way are waited for, and nothing else is."""

from __future__ import annotations

import pytest

from frontdesk.usage.arriving import Patience, arrived

NOW_MS = 1_800_000_000_000
AT_ONCE = Patience(looks=3, every_s=0.0)


def an_id(made_at_ms: int, prefix: str = "resp_") -> str:
    return f"{prefix}{made_at_ms:012x}7{'0' * 19}"


class Store:
    """Has the row from the so-manieth look on."""

    def __init__(self, arrives_at: int | None = None) -> None:
        self.looks = 0
        self._arrives_at = arrives_at

    async def find(self) -> str | None:
        self.looks += 1
        return "row" if self._arrives_at is not None and self.looks >= self._arrives_at else None


@pytest.mark.parametrize(
    ("turn_id", "looks"),
    [
        (an_id(NOW_MS), 3),
        (an_id(NOW_MS - 9_999, "chatcmpl-"), 3),
        (an_id(NOW_MS + 9_999), 3),  # by another process's clock
        (an_id(NOW_MS - 10_000), 1),
        (an_id(NOW_MS).upper(), 1),
        ("resp_1", 1),
        ("", 0),
        ("..", 0),
        ("resp_\0", 0),
        ("x" * 10_000, 0),
    ],
)
async def test_what_may_have_begun_this_moment_is_looked_for_again(turn_id: str, looks: int) -> None:
    store = Store()

    assert await arrived(turn_id, NOW_MS, AT_ONCE, store.find) is None
    assert store.looks == looks


async def test_it_is_told_as_soon_as_it_is_there() -> None:
    store = Store(arrives_at=2)

    assert await arrived(an_id(NOW_MS), NOW_MS, AT_ONCE, store.find) == "row"
    assert store.looks == 2
