"""POST /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.doors.responses import last_event_id
from frontdesk.doors.shelf import Wish
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_chat_render import ChatBody, ChatStream


class ChatDoor:
    """Answers Chat Completions. They are stored where the request says so, other than Responses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        body = visit.take_body()
        chat = read_chat(body)
        turn = self._desk.begin("chat", visit, chat.model, chat.prompt, {"metadata.feature": chat.feature})
        wish: Wish | None = None
        if chat.store is not None:
            metadata = msgspec.json.encode(chat.metadata).decode() if chat.metadata else None
            wish = Wish(stores=chat.store, is_secret=not chat.store, metadata=metadata)
            if chat.store:
                visit.asked = body
        if chat.prompt.stream:
            seen = last_event_id(visit)
            await self._desk.stream(
                turn,
                visit,
                lambda facts: ChatStream(
                    facts,
                    includes_usage=chat.includes_usage,
                    obfuscates=chat.obfuscates,
                    after=None if facts.id == turn.id else seen,  # of one that begins now nobody has seen anything
                ),
                wish,
            )
        else:
            await self._desk.collect(turn, visit, ChatBody, wish)
