"""Rows of turns that are on their way: whoever is told an answer can ask for what became of it at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from frontdesk.accounts.people import is_name

T = TypeVar("T")
# Rows are written within milliseconds; clocks of processes differ by seconds.
_ON_ITS_WAY_MS = 10_000
_ID = re.compile(r"[-_]([0-9a-f]{12})7[0-9a-f]{19}\Z")


class Patience(NamedTuple):
    """How often a turn's row is looked for, and how long is waited between."""

    looks: int = 5
    every_s: float = 0.1


async def arrived(turn_id: str, now_ms: int, patience: Patience, find: Callable[[], Awaitable[T | None]]) -> T | None:
    """What `find` finds of a turn, which it is asked for again where that may have begun this moment.

    Ids tell when by the millisecond. What cannot be one is not looked for.
    """
    if not is_name(turn_id):
        return None
    is_new = abs(now_ms - _made_at_ms(turn_id)) < _ON_ITS_WAY_MS
    for look in range(patience.looks if is_new else 1):
        if look:
            await asyncio.sleep(patience.every_s)
        found = await find()
        if found is not None:
            return found
    return None


def _made_at_ms(turn_id: str) -> int:
    """When an id of ours was made (RFC 9562 §5.7); 0 for what is none."""
    made = _ID.search(turn_id)
    return 0 if made is None else int(made[1], 16)
