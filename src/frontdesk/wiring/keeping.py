"""What is kept of turns, put together: the journal, the keeper, what follows other processes, what takes over from
dead ones.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.core.ids import new_id
from frontdesk.core.tasks import Tasks
from frontdesk.doors.desk import Visit
from frontdesk.keeping.again import Again, Callers
from frontdesk.keeping.compactions import Compactions
from frontdesk.keeping.following import Following, Watched, listen
from frontdesk.keeping.journal import Journal
from frontdesk.keeping.keeper import Keeper
from frontdesk.keeping.kept import Beginning, Home
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.recovery import Recovery
from frontdesk.keeping.retention import Retention
from frontdesk.keeping.rows import ResponseRow
from frontdesk.keeping.store.responses import Texts
from frontdesk.keeping.store.secrets import compaction_secret
from frontdesk.keeping.sweeping import Sweeper
from frontdesk.policies.entering import Entering
from frontdesk.sharing.post import make_post
from frontdesk.storage.database import Database
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.log import Entry
from frontdesk.turn.turn import Turn
from frontdesk.wire.openai_responses_render import output_items

_log = logging.getLogger("frontdesk.keeping")

BEAT_EVERY_S = 3.0
_DEAD_AFTER_S = 12.0


class Keeping:
    """What is kept of the turns of one process. `begin` once all of it is wired, `close` before the database."""

    def __init__(
        self,
        config: Config,
        database: Database,
        process: str,
        clock: Clock,
        beginning: Callable[[Turn], Beginning | None] | None = None,
        beginning_apart: Callable[[Turn], Beginning | None] | None = None,
    ) -> None:
        self.retention = Retention(config)
        self.texts = Texts(database)
        self.compactions = Compactions()
        self.entering = Entering(config)
        self.sweeper = Sweeper(database, clock, config.retention)
        self.lease = Lease(database, process, clock)
        self.post = make_post(config.valkey, self.lease.carrier, clock)
        self._watched = Watched(self.post)
        self.following = Following(self.post, self.texts, clock, config.limits.keep_alive_s)
        self.journal = Journal(database, self.lease, self._watched.published)
        self._home = Home(database, self.journal, self.lease, self.retention, clock, beginning, beginning_apart)
        self._recovery: Recovery | None = None
        self._tasks = Tasks("keeping")

    def keeper(self, live: LiveTurns) -> Keeper:
        """The keeper, which runs its turns among these."""
        keeper = self._keeper = Keeper(self._home, live, self.texts, self.following)
        self.lease.lost = self._lost
        listen(self.post, self.following, self._watched, keeper, self._tasks)
        return keeper

    def recover(self, doors: Mapping[str, Callable[[Visit], Awaitable[None]]], callers: Callers) -> None:
        """Say at which doors turns are asked again that others have left."""
        again = Again(doors, callers, self.texts)
        self._recovery = Recovery(self._home, self.texts, again.run, self._says, _DEAD_AFTER_S)

    async def begin(self) -> None:
        """Begin to carry turns, and take over what was left."""
        if not self._home.database.is_alone:
            # It can be fenced, and then its row must not come back by the beats of the process it belongs to.
            self.lease.carrier = new_id("carrier_")
            self.post.move(self.lease.carrier)
        self.compactions.use(await compaction_secret(self._home.database))
        await self.lease.begin()
        await self.post.start()
        await self._sweep()

    async def beat(self) -> None:
        """Say that this process lives, and look after what dead ones left. Raises StorageError."""
        await self.lease.beat()
        await self._sweep()

    async def drain(self) -> None:
        """Let go of those who read what other processes carry: they come again, elsewhere."""
        await self.following.close()

    async def close(self) -> None:
        """End the work in the background."""
        await self._tasks.close()
        await self.following.close()
        await self._keeper.close()
        await self.journal.close()
        await self.post.close()

    async def _sweep(self) -> None:
        if self._recovery is None:
            return
        await self._recovery.sweep()
        for response_id in await self._recovery.wanted_cancels():
            await self._keeper.cancel(response_id)

    def _lost(self, carrier: str) -> None:
        self._keeper.drop_all(carrier)
        self.post.move(self.lease.carrier)

    async def _says(self, row: ResponseRow, entries: list[Entry]) -> list[dict[str, Any]]:
        asked = await self.texts.asked(row.tenant, row.id)
        return [] if row.door != "responses" else output_items(row.told(asked), entries)
