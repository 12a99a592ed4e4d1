"""/v1/conversations: kept, read, changed and deleted by who they belong to, as OpenAI's clients ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import seconds, secret
from frontdesk.conversations.items import Json, shown
from frontdesk.conversations.routes.pages import INCLUDE, check_parameters, include_of, items_page_of
from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.service import Changes, Conversations, Until
from frontdesk.core.errors import BadRequest
from frontdesk.core.ids import new_id
from frontdesk.doors.desk import ASKING
from frontdesk.files.owner import owner_of
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.starlette import with_body
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_conversation_shapes import ConversationAsked, ConversationChanges, ItemsAsked
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.openai_responses import read_items
from frontdesk.wire.reading import read_object, view

UntilFor = Callable[[Caller], Until | None]
"""How long a caller's conversations are kept; None where they are not kept at all."""


class OpenAIConversationRoutes:
    """The routes that OpenAI has."""

    def __init__(
        self,
        conversations: Conversations,
        callers: Callers,
        until_for: UntilFor,
        idempotency: Idempotency | None = None,
    ) -> None:
        self._conversations = conversations
        self._callers = callers
        self._until_for = until_for
        self._added_once = Once(idempotency)
        self._changed_once = Once(idempotency, may_repeat=True)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        one = "/v1/conversations/{conversation_id}"
        return [
            guarded("/v1/conversations", "POST", self.create, self._callers, self._added_once),
            guarded(one, "GET", self.retrieve, self._callers),
            guarded(one, "POST", self.change, self._callers, self._changed_once),
            guarded(one, "DELETE", self.delete, self._callers),
            guarded(f"{one}/items", "POST", self.create_items, self._callers, self._added_once),
            guarded(f"{one}/items", "GET", self.list_items, self._callers),
            guarded(f"{one}/items/{{item_id}}", "GET", self.retrieve_item, self._callers),
            guarded(f"{one}/items/{{item_id}}", "DELETE", self.delete_item, self._callers),
        ]

    async def create(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Keep a conversation, with some items or none."""
        asked = view(await _object_in(request), ConversationAsked)
        until_ms = self._until_for(caller)
        if until_ms is None:
            raise BadRequest(
                "This server keeps no conversations of yours. Send the earlier messages with each request.",
                code="conversations_not_kept",
            )
        items = _items(asked.items or [])
        return secret(told_of(await self._conversations.create(owner_of(caller), items, asked.metadata, until_ms)))

    async def retrieve(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of the caller's own."""
        return secret(told_of(await self._conversations.find(owner_of(caller), _id_in(request))))

    async def change(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Give it other metadata."""
        asked = view(await _object_in(request), ConversationChanges)
        changes = Changes(metadata=asked.metadata)
        return secret(told_of(await self._conversations.change(owner_of(caller), _id_in(request), changes)))

    async def delete(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Remove it with its items. Responses that were made in it stay."""
        conversation_id = _id_in(request)
        await self._conversations.delete(owner_of(caller), conversation_id)
        return secret({"id": conversation_id, "object": "conversation.deleted", "deleted": True})

    async def create_items(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Put items behind those that are there."""
        check_parameters(request, INCLUDE)
        include = include_of(request)
        items = _items(view(await _object_in(request), ItemsAsked).items)
        await self._conversations.add(owner_of(caller), _id_in(request), items)
        return secret(_listed(items, include, has_more=False))

    async def list_items(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The items of the chosen branch."""
        page = items_page_of(request, *INCLUDE)
        include = include_of(request)
        owner = owner_of(caller)
        seen = await self._conversations.see(owner, _id_in(request))
        found = await self._conversations.page(owner, seen, page.after, page.limit, page.order, seen.row.branch)
        return secret(_listed([each.item for each in found.items], include, has_more=found.has_more))

    async def retrieve_item(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One item, of whatever branch."""
        check_parameters(request, INCLUDE)
        include = include_of(request)
        item = await self._conversations.item(owner_of(caller), _id_in(request), request.path_params["item_id"])
        return secret(shown(item, include))

    async def delete_item(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Remove one item. What follows on it stays."""
        item_id = request.path_params["item_id"]
        return secret(told_of(await self._conversations.delete_item(owner_of(caller), _id_in(request), item_id)))


def told_of(row: ConversationRow) -> Json:
    """A conversation as OpenAI tells it."""
    return {
        "id": row.id,
        "object": "conversation",
        "created_at": seconds(row.created_at_ms),
        "metadata": msgspec.json.decode(row.metadata) if row.metadata else {},
    }


def _listed(items: list[Json], include: frozenset[str], *, has_more: bool) -> Json:
    return {
        "object": "list",
        "data": [shown(item, include) for item in items],
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def _items(asked: list[Json]) -> list[Json]:
    """Items that were checked, as they are listed, each with an id."""
    read_items(asked, "items")
    return listed_input(asked, new_id(""))


async def _object_in(request: Request) -> dict[str, Any]:
    return read_object(await (await with_body(request)).body() or b"{}")


def _id_in(request: Request) -> str:
    return request.path_params["conversation_id"]
