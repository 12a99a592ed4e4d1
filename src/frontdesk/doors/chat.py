"""POST /v1/chat/completions."""

from __future__ import annotations

from frontdesk.doors.desk import Desk
from frontdesk.http.requests import Receive, Scope, Send
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_chat_render import ChatBody, ChatStream


class ChatDoor:
    """Answers Chat Completions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        visit = await self._desk.open(scope, receive, send)
        chat = read_chat(visit.take_body())
        turn = self._desk.begin("chat", visit, chat.model, chat.prompt, chat.feature)
        if chat.prompt.stream:
            await self._desk.stream(
                turn, ChatStream(turn, includes_usage=chat.includes_usage, obfuscates=chat.obfuscates), visit
            )
        else:
            await self._desk.collect(turn, ChatBody(turn), visit)
