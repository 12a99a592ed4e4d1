"""POST /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_chat_render import ChatBody, ChatStream


class ChatDoor:
    """Answers Chat Completions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        chat = read_chat(visit.take_body())
        turn = self._desk.begin("chat", visit, chat.model, chat.prompt, {"metadata.feature": chat.feature})
        if chat.prompt.stream:
            await self._desk.stream(
                turn, ChatStream(turn, includes_usage=chat.includes_usage, obfuscates=chat.obfuscates), visit
            )
        else:
            await self._desk.collect(turn, ChatBody(turn), visit)
