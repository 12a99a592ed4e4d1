"""POST /v1/moderations."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.wire.openai_moderations import ModerationsBody, read_moderations


class ModerationsDoor:
    """Answers judgements."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        asked = read_moderations(visit.take_body())
        turn = self._desk.begin("moderations", visit, asked.model, asked.request, {})
        await self._desk.collect(turn, visit, lambda _: ModerationsBody(turn))
