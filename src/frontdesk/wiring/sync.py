"""Syncs wired up: who tells what has changed, who does what was done on devices, and what forgets the deleted."""

from __future__ import annotations

from frontdesk.changes.store import ChangeStore
from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.doors.desk import Desk
from frontdesk.doors.kept.turns import KeptTurns
from frontdesk.doors.present import PresentAsker
from frontdesk.feedback.service import Feedback
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.jobs.plan import Kind
from frontdesk.storage.database import Database
from frontdesk.sync.pull import Pulling
from frontdesk.sync.push import Pushing, Terms
from frontdesk.sync.routes import SyncRoutes
from frontdesk.sync.sweeping import FORGETTING, Forgetting
from frontdesk.wiring.conversations import Conversing

_MEGABYTE = 1024 * 1024
_DAY_MS = 86_400_000


class Syncing:
    """The syncs of one process, which is known as `process`."""

    def __init__(self, config: Config, database: Database, process: str, clock: Clock) -> None:
        self._config = config
        self._database = database
        self._process = process
        self._clock = clock
        self.pulling = Pulling(database, clock)

    @property
    def kind(self) -> Kind:
        """The job that forgets what was deleted; `FORGETTING` is when."""
        forgetting = Forgetting(ChangeStore(self._database), self._clock, self._config.sync.keep_deleted_days)
        return Kind(FORGETTING.kind, forgetting, together=1)

    def pushing(self, desk: Desk, conversing: Conversing, feedback: Feedback, kept: KeptTurns) -> Pushing:
        """What does what was done on devices. An entry is known for as long as what was deleted is."""
        terms = Terms(self._process, round(self._config.sync.keep_deleted_days * _DAY_MS), conversing.until_for)
        return Pushing(self._database, self._clock, conversing.conversations, feedback, kept, PresentAsker(desk), terms)

    def routes(self, pushing: Pushing, callers: Callers) -> list[GuardedRoute]:
        """The routes of syncs."""
        limit_bytes = int(self._config.limits.body_mb * _MEGABYTE)
        return SyncRoutes(self.pulling, pushing, callers, limit_bytes).routes()
