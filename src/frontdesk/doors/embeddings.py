"""POST /v1/embeddings."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.wire.openai_embeddings import EmbeddingsBody, read_embeddings


class EmbeddingsDoor:
    """Answers embeddings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        asked = read_embeddings(visit.take_body())
        turn = self._desk.begin("embeddings", visit, asked.model, asked.request, {})
        await self._desk.collect(turn, visit, lambda _: EmbeddingsBody(turn, is_base64=asked.is_base64))
