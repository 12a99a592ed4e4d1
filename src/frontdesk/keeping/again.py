"""Turns that entered the store and were asked of nobody when their process died are asked now, as by who asked then."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from frontdesk.accounts.absent import CallerThen
from frontdesk.core.errors import FrontdeskError, Unavailable
from frontdesk.doors.desk import Visit
from frontdesk.http.requests import Head
from frontdesk.keeping.rows import ResponseRow
from frontdesk.keeping.store.responses import Texts
from frontdesk.turn.turn import Caller

_log = logging.getLogger("frontdesk.keeping")


class Callers(Protocol):
    """Tells who absent callers are now."""

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        """See `Absent.caller_now`."""
        ...


class Again:
    """Asks them at the doors where they were asked, by their paths."""

    def __init__(self, doors: Mapping[str, Callable[[Visit], Awaitable[None]]], callers: Callers, texts: Texts) -> None:
        self._doors = doors
        self._callers = callers
        self._texts = texts

    async def run(self, row: ResponseRow) -> bool:
        """Carry a turn on; False where its caller may not ask any more, or nothing is kept of what was asked.

        Raises Unavailable where this process is going down.
        """
        caller = await self._callers.caller_now(row.tenant, row.person, row.caller_then(), row.created_at_ms)
        asked = await self._texts.asked(row.tenant, row.id)
        if caller is None or asked is None or asked.path not in self._doors:
            return False
        headers = [
            (name, value.encode("latin-1"))
            for name, value in (
                (b"content-type", asked.content_type),
                (b"frontdesk-context", asked.context),
                (b"frontdesk-feature", asked.feature),
                (b"frontdesk-priority", asked.priority),
            )
            if value is not None
        ]
        scope: dict[str, Any] = {"type": "http", "method": "POST", "scheme": "http", "path": asked.path}
        scope |= {"headers": headers, "client": (asked.address, 0) if asked.address else None}
        visit = Visit(caller, Head(scope), asked.body, scope, _nothing_comes, _nobody_reads, adopts=row)
        try:
            await self._doors[asked.path](visit)
        except Unavailable:
            raise
        except FrontdeskError as error:  # it was let in then: the configuration has changed since
            _log.warning("response_refused_again response=%s code=%s", row.id, error.code)
            return False
        return True


async def _nothing_comes() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def _nobody_reads(_: dict[str, Any]) -> None:
    pass
