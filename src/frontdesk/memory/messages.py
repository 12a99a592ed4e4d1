"""What people asked, read again for those who work behind an answer."""

from __future__ import annotations

from collections.abc import Sequence

from frontdesk.conversations.service import Conversations
from frontdesk.files.owner import owner_of
from frontdesk.memory.summarising import Library
from frontdesk.turn.items import Item
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_responses import read_items

_LOOKED_AT = 100  # items, of which the last ones are the answer


class OwnMessages:
    """The messages of everybody, each asked for by their own (`memory.remembering.Messages`)."""

    def __init__(self, conversations: Conversations, library: Library) -> None:
        self._conversations = conversations
        self._library = library

    async def asked(self, caller: Caller, conversation: str, response_id: str) -> Sequence[Item]:
        """What a response's request brought. Raises NotFound, BadRequest for what is not there any more."""
        if not conversation:
            said = await self._library.chain(caller, response_id)
            return [each.item for each in said if each.response == response_id and not each.is_answer]
        owner = owner_of(caller)
        seen = await self._conversations.see(owner, conversation)
        page = await self._conversations.page(owner, seen, "", _LOOKED_AT, "desc", seen.row.branch)
        brought = [
            kept.item
            for kept in reversed(page.items)
            if kept.head.response == response_id and kept.item.get("role") == "user"
        ]
        return read_items(brought, "conversation")
