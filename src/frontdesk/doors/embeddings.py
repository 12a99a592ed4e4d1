"""POST /v1/embeddings."""

from __future__ import annotations

from frontdesk.doors.desk import Desk
from frontdesk.http.requests import Receive, Scope, Send
from frontdesk.wire.openai_embeddings import EmbeddingsBody, read_embeddings


class EmbeddingsDoor:
    """Answers embeddings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        visit = await self._desk.open(scope, receive, send)
        asked = read_embeddings(visit.take_body())
        turn = self._desk.begin("embeddings", visit, asked.model, asked.request, None)
        await self._desk.collect(turn, EmbeddingsBody(turn, is_base64=asked.is_base64), visit)
