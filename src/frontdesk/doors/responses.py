"""POST /v1/responses."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesStream
from frontdesk.wire.refusing import unsupported


class ResponsesDoor:
    """Answers Responses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        asked = read_responses(visit.take_body())
        if asked.prompt_id is not None and not self._desk.has_features:
            raise unsupported("prompt", "It names a feature, and none is configured. Use 'instructions' or 'input'.")
        features = {"metadata.feature": asked.feature, "prompt.id": asked.prompt_id}
        turn = self._desk.begin("responses", visit, asked.model, asked.prompt, features)
        if asked.prompt.stream:
            await self._desk.stream(turn, ResponsesStream(turn, asked.echo, obfuscates=asked.obfuscates), visit)
        else:
            await self._desk.collect(turn, ResponsesBody(turn, asked.echo), visit)
