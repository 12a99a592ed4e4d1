"""What processes left behind that have died: their kept turns are ended here, or carried on.

a provider was being asked     it ends as failed, with the text that was told. It is never run again by itself:
                               nobody knows what the provider did, and doing it twice costs twice
somebody wants it to end       it ends as cancelled
none was                       it runs, as if it had been asked just now; it is forgotten, and its key with it, where
                               nothing is kept of what was asked
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

from frontdesk.conversations.entering import leave, withdraw
from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import FrontdeskError, Unavailable
from frontdesk.keeping.kept import Home, kept_until_ms
from frontdesk.keeping.rows import ResponseRow, state_of
from frontdesk.keeping.store.carriers import put_events, take_some, wanted_cancels
from frontdesk.keeping.store.responses import End, Texts, carried, end, forget, give_key_back, hand_over
from frontdesk.storage.errors import StorageError
from frontdesk.storage.lanes import Lane
from frontdesk.storage.processes import CRASHED, of_dead
from frontdesk.storage.query import Row, Step
from frontdesk.turn.events import TurnCancelled
from frontdesk.turn.log import Entry, Failure, encode_entries, put_together

_log = logging.getLogger("frontdesk.keeping")
_AT_ONCE = 100
_MOST_S = 2.0  # of one sweep: a process that does nothing else for long is taken for dead itself

RunAgain = Callable[[ResponseRow], Awaitable[bool]]
"""Carries a turn on; False where its caller may not ask any more."""
Says = Callable[[ResponseRow, list[Entry]], Awaitable[list[dict[str, Any]]]]
"""The items that an answer puts into its conversation."""


class Recovery:
    """Takes over what nobody carries."""

    def __init__(self, home: Home, texts: Texts, run_again: RunAgain, says: Says, dead_after_s: float) -> None:
        self._home = home
        self._texts = texts
        self._run_again = run_again
        self._says = says
        self._dead_after_s = dead_after_s
        self._taken: dict[tuple[str, str], ResponseRow] = {}  # and nothing was done about them by now
        self._is_going_down = False

    async def sweep(self) -> int:
        """Take over what was left, for a short while, and return how many turns were taken.

        Raises StorageError. The next time it goes on where it was.
        """
        home = self._home
        loop = asyncio.get_running_loop()
        until = loop.time() + _MOST_S
        swept = 0
        while True:
            for key, row in list(self._taken.items()):
                if loop.time() >= until:
                    return swept
                try:
                    await self._recover(row)
                except StorageError:
                    raise
                except Exception:  # noqa: BLE001 - a bug in one must not keep all others waiting
                    _log.exception("response_not_recovered response=%s", row.id)
                self._taken.pop(key, None)
            if self._is_going_down:
                return swept
            now_ms = unix_ms(home.clock)
            dead = of_dead(home.database, home.lease.carrier, now_ms, self._dead_after_s)
            taken = await home.database.transact(
                partial(take_some, dead, home.lease.carrier, now_ms, _AT_ONCE), Lane.EVENTS
            )
            self._taken.update({(row.tenant, row.id): row for row in taken})
            swept += len(taken)
            if not taken:
                return swept

    async def wanted_cancels(self) -> list[str]:
        """The ids of this process's turns that somebody asked another process to end."""
        query, values = wanted_cancels(self._home.lease.carrier)
        return [response_id for _, response_id in await self._home.database.read(query, values)]

    async def _recover(self, row: ResponseRow) -> None:
        if row.wants_cancel:
            await self._end(row, TurnCancelled())
        elif row.is_dispatched:
            await self._end(row, Failure.of(_crashed(row.id)))
        elif await self._texts.asked(row.tenant, row.id) is None:
            await self._home.database.transact(partial(self._forget, row), Lane.EVENTS)
        else:
            try:
                if not await self._runs_again(row):
                    await self._end(row, Failure.of(_not_allowed_any_more()))
            except Unavailable:  # this process is going down as well
                self._is_going_down = True
                await self._home.database.write(hand_over(row.tenant, row.id, self._home.lease.carrier))
                return
        _log.warning("response_recovered response=%s was_dispatched=%s", row.id, row.is_dispatched)

    async def _runs_again(self, row: ResponseRow) -> bool:
        try:
            return await self._run_again(row)
        except (StorageError, Unavailable):
            raise
        except Exception:  # noqa: BLE001 - a bug ends this turn alone
            _log.exception("response_not_run_again response=%s", row.id)
            return False

    def _forget(self, row: ResponseRow) -> Generator[Step, list[Row], None]:
        if not (yield carried(row.tenant, row.id, self._home.lease.carrier)):
            return
        yield give_key_back(row.owner, row.id)
        if row.conversation is not None:
            yield from withdraw(row.tenant, row.conversation, row.id, unix_ms(self._home.clock))
        yield from forget(row.tenant, row.id)

    async def _end(self, row: ResponseRow, last: TurnCancelled | Failure) -> None:
        home = self._home
        batches = await self._texts.entries_from(row.tenant, row.id, 0)
        entries = [entry for _, batch in batches for entry in batch]
        whole = put_together([*entries, last])
        keeps_texts = await self._texts.asked(row.tenant, row.id) is not None
        said = await self._says(row, whole) if row.conversation is not None else []
        now_ms = unix_ms(home.clock)
        kept = home.retention.of(row.caller_then().tier, row.feature)
        expires_at_ms, events_until_ms = kept_until_ms(
            home.retention,
            now_ms,
            kept.response_until_ms(now_ms) if keeps_texts else None,
            stores=row.is_stored,
            has_key=not row.is_stored,
        )
        ended = End(
            "cancelled" if isinstance(last, TurnCancelled) else "failed",
            now_ms,
            events_until_ms if entries else None,
            expires_at_ms,
            encode_entries(whole) if keeps_texts else None,
        )
        place = batches[-1][0] + len(batches[-1][1]) if batches else 0
        rest: dict[str, object] = {
            "tenant": row.tenant,
            "response": row.id,
            "first": place,
            "last": place,
            "content": encode_entries([last]),
        }

        def close() -> Generator[Step, list[Row], None]:
            if not (yield from end(row.tenant, row.id, home.lease.carrier, ended)):
                return
            if entries:
                yield put_events([rest])
            if row.conversation is not None:
                yield from leave(row.tenant, row.conversation, row.id, said, now_ms, state_of(last, said))

        await home.database.transact(close, Lane.EVENTS)


def _crashed(response_id: str) -> FrontdeskError:
    return FrontdeskError(
        f"The server went down while {response_id} was being answered. What had been said by then is kept; ask again "
        "for the rest.",
        code=CRASHED,
        should_retry=False,
    )


def _not_allowed_any_more() -> FrontdeskError:
    return FrontdeskError(
        "Before this could be answered the server went down, and its caller's session or key was ended.",
        code="caller_gone",
        should_retry=False,
    )
