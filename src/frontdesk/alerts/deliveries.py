"""Delivers alerts to a webhook, again and again with growing pauses, for a day.

A try is counted, and the next one set, before it is made: so of several processes one makes it, and of one that
dies in the middle another makes the next. What was taken just before a process died is sent again: at least
once, by the same id.
"""

from __future__ import annotations

import logging

from frontdesk.alerts.store import NEVER_MS, AlertRow, AlertStore
from frontdesk.alerts.webhook import NotTaken, Webhook
from frontdesk.core.clock import Clock, unix_ms

_log = logging.getLogger("frontdesk.alerts")

# The first is longer than a try may take: until it is over, nobody else makes one.
_PAUSES_MS = (15_000, 60_000, 300_000, 900_000, 3_600_000)
_LIFETIME_MS = 86_400_000


class Deliveries:
    """The alerts that a webhook has yet to take."""

    def __init__(self, store: AlertStore, webhook: Webhook, clock: Clock) -> None:
        self._store = store
        self._webhook = webhook
        self._clock = clock

    async def deliver(self) -> None:
        """Send what is due, in order, until one is not taken: then the others wait as well. Raises StorageError."""
        for row in await self._store.due(unix_ms(self._clock)):
            if not await self._try(row):
                return

    async def _try(self, row: AlertRow) -> bool:
        """Whether the next one may be tried now. Where another process is at it, it goes on with that one too."""
        next_try_at_ms = _next_try_ms(row, unix_ms(self._clock))
        if not await self._store.claim(row, next_try_at_ms):
            return False
        try:
            await self._webhook.send(row.id, row.body.encode())
        except NotTaken as failure:
            is_last = failure.is_gone or next_try_at_ms == NEVER_MS
            if failure.is_gone:
                await self._store.give_up(row)
            event = "alert_given_up" if is_last else "alert_not_taken"
            _log.warning("%s id=%s tries=%d reason=%s", event, row.id, row.tries + 1, failure)
            return failure.is_gone
        await self._store.delivered(row, unix_ms(self._clock))
        _log.info("alert_delivered id=%s tries=%d", row.id, row.tries + 1)
        return True


def _next_try_ms(row: AlertRow, now_ms: int) -> int:
    """When it is tried next, if this try fails: never, where that is more than a day after it was raised."""
    then_ms = now_ms + _PAUSES_MS[min(row.tries, len(_PAUSES_MS) - 1)]
    return then_ms if then_ms - row.raised_at_ms <= _LIFETIME_MS else NEVER_MS
