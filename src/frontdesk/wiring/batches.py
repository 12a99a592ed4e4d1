"""Batches wired up: their lines pass the doors that requests pass, and the same line behind them."""

from __future__ import annotations

from frontdesk.accounts.absent import Absent
from frontdesk.batches.room import OwnLimits
from frontdesk.batches.routes import BatchRoutes
from frontdesk.batches.runner import BatchRunner
from frontdesk.batches.service import Batches
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import Config
from frontdesk.doors.absent import AbsentDesk, Asker
from frontdesk.doors.chat import ChatDoor
from frontdesk.doors.embeddings import EmbeddingsDoor
from frontdesk.doors.moderations import ModerationsDoor
from frontdesk.doors.responses import ResponsesDoor
from frontdesk.files.service import Files
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.http.once import Idempotency
from frontdesk.policies.access import Access
from frontdesk.policies.limits import Limits
from frontdesk.storage.database import Database
from frontdesk.turn.live import LiveTurns

_MEGABYTE = 1024 * 1024
_DEAD_AFTER_S = 30.0


class Batching:
    """The batches of one process, which is known as `process`."""

    def __init__(
        self,
        config: Config,
        database: Database,
        process: str,
        files: Files,
        callers: Callers,
        live: LiveTurns,
        access: Access,
        limits: Limits,
        absent: Absent,
    ) -> None:
        clock = SystemClock()
        max_line_bytes = int(config.limits.body_mb * _MEGABYTE)
        desk = AbsentDesk(callers, live, clock, access, max_line_bytes)
        self._asker = Asker(
            {
                "/v1/chat/completions": ChatDoor(desk).serve,
                "/v1/responses": ResponsesDoor(desk).serve,
                "/v1/embeddings": EmbeddingsDoor(desk).serve,
                "/v1/moderations": ModerationsDoor(desk).serve,
            },
            "batch",
        )
        self.runner = BatchRunner(
            database,
            process,
            files,
            self._asker,
            absent,
            OwnLimits(limits),
            clock,
            config.batches,
            max_line_bytes,
            _DEAD_AFTER_S,
        )
        self._batches = Batches(database, clock, files, self.runner, config.batches)

    def routes(self, callers: Callers, access: Access, idempotency: Idempotency | None = None) -> list[GuardedRoute]:
        """The routes of batches."""
        return BatchRoutes(self._batches, callers, access, self._asker.endpoints, idempotency).routes()
