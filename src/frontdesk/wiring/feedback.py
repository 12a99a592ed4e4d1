"""Feedback wired up: it is kept as long as a conversation about the same would be."""

from __future__ import annotations

from functools import partial

from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.feedback.routes import FeedbackRoutes
from frontdesk.feedback.rows import Rated
from frontdesk.feedback.service import Feedback, Terms
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.http.once import Idempotency
from frontdesk.keeping.retention import Retention
from frontdesk.storage.database import Database

_DAY_MS = 86_400_000


def feedback_routes(
    config: Config,
    database: Database,
    clock: Clock,
    retention: Retention,
    callers: Callers,
    idempotency: Idempotency | None = None,
) -> list[GuardedRoute]:
    """The routes of feedback."""
    return FeedbackRoutes(make_feedback(config, database, clock, retention), callers, clock, idempotency).routes()


def make_feedback(config: Config, database: Database, clock: Clock, retention: Retention) -> Feedback:
    """The feedback of everybody."""
    return Feedback(database, clock, partial(terms_of, retention, config.retention.turns_days))


def terms_of(retention: Retention, turns_days: float | None, rated: Rated, now_ms: int) -> Terms:
    """How what is said of a turn is kept: where no texts may be, the rest of it as long as the rows of turns."""
    kept = retention.of(rated.tier, rated.feature)
    if kept.has_conversations:
        return Terms(keeps_texts=True, until_ms=kept.conversation_until_ms(now_ms))
    return Terms(keeps_texts=False, until_ms=None if turns_days is None else now_ms + round(turns_days * _DAY_MS))
