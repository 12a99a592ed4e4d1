"""Removes what is kept no longer, of all tenants, in slices that let all else come between.

What has a time of its own in its row goes once that is over. Turns go by their age, and so do the windows of budgets,
a few pages of which are looked at each time. What was stored while the configuration kept things for longer is
shortened once, when the process has begun: nobody should find what the operator no longer keeps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from frontdesk.core import config
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.keeping.store.sweeping import Page, Place, SweepStore
from frontdesk.storage.database import Database

_DAY_MS = 86_400_000
_PAGES_AT_ONCE = 5


class Sweeper:
    """Sweeps for one process. Several may at the same time: they share the work."""

    def __init__(self, database: Database, clock: Clock, settings: config.Retention) -> None:
        self._store = store = SweepStore(database)
        self._clock = clock
        self._turns_days = settings.turns_days
        self._shortening: list[_Walk] = []
        if settings.responses_days is not None:
            # A repeated request is told what came of the first one for as long as its key is kept.
            days = max(settings.responses_days, settings.keys_hours / 24)
            self._shortening.append(_Walk(partial(store.shorten_responses, round(days * _DAY_MS))))
        if settings.conversations_days is not None:
            kept_ms = round(settings.conversations_days * _DAY_MS)
            self._shortening.append(_Walk(partial(store.shorten_conversations, kept_ms)))
            self._shortening.append(_Walk(partial(store.shorten_feedback, kept_ms)))
        self._windows = [
            _Walk(partial(self._remove_older, remove, days))
            for remove in (store.remove_windows, store.remove_alerts)
            if (days := settings.alerts_days) is not None
        ]

    async def sweep(self) -> int:
        """Remove what is over; returns how many things it was about: responses, conversations, keys, turns, whatever.

        It takes as long as there is something, a slice of each kind in turn. Raises StorageError; what was removed
        until then stays so.
        """
        for walk in self._shortening:
            await walk.to_end()
        self._shortening.clear()
        now_ms = unix_ms(self._clock)
        removals = [
            partial(self._store.remove_events, now_ms),
            partial(self._store.remove_responses, now_ms),
            partial(self._store.remove_keys, now_ms),
            partial(self._store.remove_conversations, now_ms),
            partial(self._store.remove_feedback, now_ms),
            *await self._of_turns(now_ms),
        ]
        removed = await _in_turn(removals)
        for walk in self._windows:
            removed += await walk.go_on()
        return removed

    async def _of_turns(self, now_ms: int) -> list[_Removal]:
        if self._turns_days is None:
            return []
        before_ms = now_ms - round(self._turns_days * _DAY_MS)
        return [
            partial(self._store.remove_turns, tenant, before_ms) for tenant in await self._store.tenants_with_turns()
        ]

    async def _remove_older(
        self, remove: Callable[[int, Place | None], Awaitable[Page]], days: float, after: Place | None
    ) -> Page:
        return await remove(unix_ms(self._clock) - round(days * _DAY_MS), after)


_Removal = Callable[[], Awaitable[int]]


async def _in_turn(removals: Iterable[_Removal]) -> int:
    """Do a slice of each, again and again, until none of them finds anything; returns how much they found."""
    found = 0
    left = list(removals)
    while left:
        again: list[_Removal] = []
        for remove in left:
            removed = await remove()
            found += removed
            if removed:
                again.append(remove)
        left = again
    return found


class _Walk:
    """Goes through a table from one end to the other, a page at a time."""

    def __init__(self, turn_page: Callable[[Place | None], Awaitable[Page]]) -> None:
        self._turn_page = turn_page
        self._place: Place | None = None

    async def go_on(self) -> int:
        """Turn some pages, from where it is to the end at most; at the end it begins anew next time."""
        changed = 0
        for _ in range(_PAGES_AT_ONCE):
            page = await self._turn_page(self._place)
            changed += page.changed
            self._place = page.next
            if page.next is None:
                break
        return changed

    async def to_end(self) -> None:
        """Turn all pages that are left."""
        while (await self._turn_and_keep()).next is not None:
            pass

    async def _turn_and_keep(self) -> Page:
        page = await self._turn_page(self._place)
        self._place = page.next
        return page
