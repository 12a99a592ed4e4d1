"""Feedback over a real store, with a clock that is turned by hand, and turns that it can be about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from frontdesk.accounts.service import NewSession
from frontdesk.feedback.routes import FeedbackRoutes
from frontdesk.feedback.rows import FeedbackRow, Rated
from frontdesk.feedback.service import Feedback, Terms, TermsOf
from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import feedback
from frontdesk.usage.arriving import Patience
from tests.accounts.routes.desk import Desk, desk_of
from tests.reports.rows import a_turn, keep

NOW_MS = 1_800_000_000_000
AT_ONCE = Patience(looks=1)
"""For what is written before it is asked for."""


def for_ever(rated: Rated, now_ms: int) -> Terms:
    """Everything is kept."""
    return Terms(keeps_texts=True, until_ms=None)


def a_feedback(number: int, **values: Any) -> FeedbackRow:
    """Feedback of u1, as it is kept. A greater number is later."""
    usual: dict[str, Any] = {
        "tenant": "default",
        "person": "u1",
        "credential": "",
        "response": f"resp_{number:04}",
        "id": f"fb_{number:032x}",
        "rating": "up",
        "reason": None,
        "comment": None,
        "correction": None,
        "feature": "chat",
        "model": "fast",
        "prompt": "",
        "created_at_ms": NOW_MS + number,
        "changed_at_ms": NOW_MS + number,
        "expires_at_ms": None,
    }
    return FeedbackRow(**{**usual, **values})


async def keep_feedback(database: Database, *rows: FeedbackRow) -> None:
    """Write them as they are."""
    columns = FeedbackRow.__struct_fields__
    values = [{name: getattr(row, name) for name in columns} for row in rows]
    await database.write(Step(Query(insert(feedback)), values))


@asynccontextmanager
async def feedback_desk(
    database: Database, folder: Path, terms_of: TermsOf = for_ever, **auth: Any
) -> AsyncIterator[Desk]:
    """The routes of feedback, and nothing else but accounts behind them; u1 has the turns resp_1 to resp_3."""
    async with desk_of(database, folder, **auth) as desk:
        service = Feedback(database, desk.clock, terms_of, AT_ONCE)
        routes = FeedbackRoutes(service, desk.gate, desk.clock, desk.idempotency).routes()
        desk.application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]
        await keep(database, [a_turn(f"resp_{number}", prompt="0123456789ab") for number in range(1, 4)])
        yield desk


async def token_of(desk: Desk, user: str = "u1") -> str:
    """A session's."""
    new = NewSession("default", user, None, (), None, None, 3600, is_refreshable=False, is_anonymous=False)
    return (await desk.accounts.begin_session(new)).token
