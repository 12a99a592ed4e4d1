"""The feeds of one process: opened by whoever carries them to a device, ended together."""

from __future__ import annotations

from frontdesk.core.tasks import Tasks
from frontdesk.feeds.feed import Feed, Pulls, Reader
from frontdesk.feeds.hub import Hub
from frontdesk.feeds.rounds import Rounds
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database

POLL_AFTER_S = 15.0
"""After how long who finds nothing new and does not wait for it is to ask again, where there is room enough."""
_CROWDED_POLL_AFTER_S = 60.0


class Feeds:
    """All feeds. Whoever opens one joins the `rounds` first, and leaves them when it closed it."""

    def __init__(self, hub: Hub, pulls: Pulls, rounds: Rounds) -> None:
        self.rounds = rounds
        self._hub = hub
        self._pulls = pulls
        self._tasks = Tasks("feeds")

    def start(self, database: Database) -> None:
        """Begin to hear of what is changed: here, and by other processes."""
        database.heard = self._hub.heard
        self._hub.start(is_alone=database.is_alone)

    def feed(self, owner: Owner, conversation: str | None, reader: Reader) -> Feed:
        """Make a feed of all of somebody's changes, or of those of one conversation; it is not open yet."""
        return Feed(self._hub, self._pulls, self._tasks, owner, conversation, reader)

    @property
    def tasks(self) -> Tasks:
        """Where the last words of those who listen are said."""
        return self._tasks

    def poll_after_s(self, wait_s: float) -> float:
        """After how many seconds who found nothing new is to ask again; who has waited for it, at once."""
        if wait_s > 0:
            return 0.0
        return round(POLL_AFTER_S + (_CROWDED_POLL_AFTER_S - POLL_AFTER_S) * self.rounds.share)

    def drain(self) -> None:
        """Let nobody begin to listen any more, and end all who do: they come again, elsewhere."""
        self.rounds.end_all()

    async def close(self) -> None:
        """End what goes on in the background."""
        await self.rounds.close()
        await self._tasks.close()
        await self._hub.close()
