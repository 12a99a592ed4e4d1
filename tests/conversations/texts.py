"""What the tests of conversations say, and how they say it without HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from frontdesk.conversations.entering import enter, leave, withdraw
from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.service import Conversations, KeptItem, Seen
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import FrontdeskError
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.turn.items import ConversationNamed
from frontdesk.wire.openai_listed_items import listed_input

OWNER, OTHER = Owner("default", "u1", ""), Owner("default", "u2", "")
KEY, NAMESAKE = Owner("default", "", "key_1"), Owner("other", "u1", "")


def for_ever(_: int) -> int | None:
    return None


def said(*ids: str) -> list[dict[str, Any]]:
    """Messages of these ids, which say the same."""
    return listed_input([{"role": "user", "content": each, "id": each} for each in ids], "")


async def items_for(
    conversations: Conversations, owner: Owner, named: ConversationNamed
) -> tuple[int, list[dict[str, Any]]]:
    """The version that was read, and what comes before a new input, all of it read anew."""
    seen = await conversations.see(owner, named.id)
    told = await conversations.told(owner, seen, await conversations.path_for(owner, seen, named))
    return seen.row.version, [msgspec.json.decode(item.content) for item in told]


class Desk:
    """Somebody's conversations, as routes and turns work on them."""

    def __init__(self, database: Database, clock: Clock, owner: Owner = OWNER) -> None:
        self.database = database
        self.clock = clock
        self.owner = owner
        self.conversations = Conversations(database, clock)

    async def begin(self, *ids: str) -> str:
        row = await self.conversations.create(self.owner, said(*ids), None, for_ever)
        return row.id

    async def find(self, conversation: str) -> ConversationRow:
        return await self.conversations.find(self.owner, conversation)

    async def see(self, conversation: str) -> Seen:
        return await self.conversations.see(self.owner, conversation)

    async def enter(
        self,
        conversation: str,
        response: str,
        *ids: str,
        after: str | UnsetType | None = UNSET,
        seen: int | None = None,
        expires_at_ms: int | None = None,
    ) -> FrontdeskError | None:
        named, now_ms = ConversationNamed(conversation, after), unix_ms(self.clock)
        return await self.database.transact(
            lambda: enter(self.owner, named, seen, response, said(*ids), now_ms, expires_at_ms)
        )

    async def leave(self, conversation: str, response: str, *ids: str) -> None:
        now_ms = unix_ms(self.clock)
        await self.database.transact(
            lambda: leave(self.owner.tenant, conversation, response, said(*ids), now_ms, "answered")
        )

    async def withdraw(self, conversation: str, response: str) -> None:
        now_ms = unix_ms(self.clock)
        await self.database.transact(lambda: withdraw(self.owner.tenant, conversation, response, now_ms))

    async def turn(
        self, conversation: str, question: Sequence[str], answer: Sequence[str], **options: Any
    ) -> FrontdeskError | None:
        """A whole turn; its response is called as the first item that it brings, if any."""
        response = f"resp_{next(iter((*question, *answer)), 'nothing')}"
        refusal = await self.enter(conversation, response, *question, **options)
        if refusal is None:
            await self.leave(conversation, response, *answer)
        return refusal

    async def told(self, conversation: str, after: str | UnsetType | None = UNSET) -> list[str]:
        """The ids of what a model is told before a new input."""
        _, items = await items_for(self.conversations, self.owner, ConversationNamed(conversation, after))
        return [item["id"] for item in items]

    async def listed(self, conversation: str, branch: int | None = None, **asked: Any) -> list[str]:
        """The ids of a branch, read two at a time; None is the chosen one."""
        seen = await self.see(conversation)
        number = seen.row.branch if branch is None else branch
        return [each.head.id for each in await self.pages(seen, number, **asked)]

    async def pages(self, seen: Seen, branch: int | None, limit: int = 2, order: Any = "asc") -> list[KeptItem]:
        found: list[KeptItem] = []
        while True:
            after = found[-1].head.id if found else ""
            page = await self.conversations.page(self.owner, seen, after, limit, order, branch)
            assert len(page.items) <= limit
            found += page.items
            if not page.has_more:
                return found
