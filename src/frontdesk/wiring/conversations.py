"""Conversations wired up: how long they are kept is a matter of who keeps them."""

from __future__ import annotations

from frontdesk.conversations.routes.openai import OpenAIConversationRoutes
from frontdesk.conversations.routes.own import OwnConversationRoutes
from frontdesk.conversations.service import Conversations, Until
from frontdesk.core.clock import SystemClock
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.idempotency.service import IdempotencyKeys
from frontdesk.keeping.retention import Retention
from frontdesk.policies.access import Access
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller


class Conversing:
    """The conversations of one process."""

    def __init__(self, database: Database, retention: Retention, access: Access) -> None:
        self._retention = retention
        self._access = access
        self.conversations = Conversations(database, SystemClock())

    def routes(self, callers: Callers, idempotency: IdempotencyKeys) -> list[GuardedRoute]:
        """The routes of conversations."""
        return [
            *OpenAIConversationRoutes(self.conversations, callers, self.until_for, idempotency).routes(),
            *OwnConversationRoutes(self.conversations, callers).routes(),
        ]

    def until_for(self, caller: Caller) -> Until | None:
        """How long a caller's conversations are kept; None where they are not kept at all."""
        kept = self._retention.of(self._access.tier_of(caller), None)
        return kept.conversation_until_ms if kept.has_conversations else None
