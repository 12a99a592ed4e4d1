"""POST /v1/responses."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesStream


class ResponsesDoor:
    """Answers Responses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        asked = read_responses(visit.take_body())
        turn = self._desk.begin("responses", visit, asked.model, asked.prompt, asked.feature)
        if asked.prompt.stream:
            await self._desk.stream(turn, ResponsesStream(turn, asked.echo, obfuscates=asked.obfuscates), visit)
        else:
            await self._desk.collect(turn, ResponsesBody(turn, asked.echo), visit)
