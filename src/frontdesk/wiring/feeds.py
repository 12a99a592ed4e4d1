"""Feeds wired up: what the database hears goes to who listens, here and by post elsewhere."""

from __future__ import annotations

from frontdesk.changes.store import ChangeStore
from frontdesk.core import config
from frontdesk.core.clock import Clock
from frontdesk.feeds.hub import Hub
from frontdesk.feeds.rounds import Room, Rounds
from frontdesk.feeds.routes.events import Conversations, EventRoutes
from frontdesk.feeds.service import Feeds
from frontdesk.feeds.store import Carriers
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.sharing.post import Post
from frontdesk.storage.database import Database
from frontdesk.sync.pull import Pulling

_DEAD_AFTER_S = 12.0


def make_feeds(settings: config.Live, database: Database, post: Post, callers: Callers, clock: Clock) -> Feeds:
    """Make the feeds of this process."""
    pulling = Pulling(database, clock)
    others = Carriers(database, clock, _DEAD_AFTER_S).living
    hub = Hub(ChangeStore(database), pulling, post, others)
    return Feeds(hub, pulling, Rounds(callers, Room(settings.per_user, settings.total)))


def feed_routes(feeds: Feeds, conversations: Conversations, callers: Callers, revision: str) -> list[GuardedRoute]:
    """The routes of feeds. `revision` is the bootstrap's."""
    return EventRoutes(feeds, conversations, callers, revision).routes()
