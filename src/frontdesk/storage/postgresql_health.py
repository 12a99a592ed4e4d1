"""Whether PostgreSQL can be reached, and what was lost because it could not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from frontdesk.core.tasks import Tasks
from frontdesk.storage.lanes import Entry
from frontdesk.storage.postgresql_connection import Pool

_log = logging.getLogger(__name__)

_PROBE_S = 1.0


class Health:
    """What the parts of a PostgreSQL database report, and what the operator is told."""

    def __init__(self, pool: Pool, tasks: Tasks, connect_timeout_s: float) -> None:
        self._pool = pool
        self._tasks = tasks
        self._connect_timeout_s = connect_timeout_s
        self.failure: str | None = None
        self.lost_writes = 0
        self.dropped_writes = 0

    def worked(self) -> None:
        """The server did as it was asked."""
        if self.failure is not None:
            _log.warning("postgresql_recovered")
            self.failure = None

    def failed(self, reason: str) -> None:
        """The server is away or in trouble. It is asked every second until it answers."""
        if self.failure is None:
            _log.error("postgresql_failed reason=%s", reason)
            self._tasks.start("probe", self._probe())
        self.failure = reason

    def lost(self, entries: Sequence[Entry], reason: str) -> None:
        """Entries that nobody waits for will never be stored."""
        if entries:
            self.lost_writes += len(entries)
            _log.error("enqueued_writes_lost entries=%d reason=%s", len(entries), reason)

    async def _probe(self) -> None:
        while self.failure is not None:
            await asyncio.sleep(_PROBE_S)
            with contextlib.suppress(Exception):  # the failure is told already
                async with self._pool.acquire(timeout=self._connect_timeout_s) as connection:
                    await connection.execute("SELECT 1")
                self.worked()
