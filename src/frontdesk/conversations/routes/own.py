"""/api/conversations: an app's list of them, searched, named and pinned, and their branches."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import listed, seconds, secret
from frontdesk.conversations.items import shown, title_line
from frontdesk.conversations.routes.pages import (
    INCLUDE,
    after_of,
    check_parameters,
    include_of,
    items_page_of,
    limit_of,
)
from frontdesk.conversations.rows import ConversationRow
from frontdesk.conversations.service import Around, Changes, Conversations, KeptItem, ToldBranch
from frontdesk.doors.desk import ASKING
from frontdesk.files.owner import owner_of
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.http.starlette import with_body
from frontdesk.turn.turn import Caller
from frontdesk.wire.reading import read_object, view
from frontdesk.wire.refusing import wrong

MOST_TITLE_CHARS = 200
MOST_WORDS_CHARS = 200
_ALL = "all"


class ConversationBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to become of a conversation: `title` null takes its name away, `branch` is the one that is chosen."""

    title: Annotated[str, Meta(min_length=1, max_length=MOST_TITLE_CHARS)] | UnsetType | None = UNSET
    pinned: bool | UnsetType = UNSET
    branch: Annotated[int, Meta(ge=0, le=2**31 - 1)] | UnsetType = UNSET


class ItemBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to become of an item: one that is `pinned` is told to every model."""

    pinned: bool


class OwnConversationRoutes:
    """The routes that OpenAI has not."""

    def __init__(self, conversations: Conversations, callers: Callers) -> None:
        self._conversations = conversations
        self._callers = callers

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        one = "/api/conversations/{conversation_id}"
        return [
            guarded("/api/conversations", "GET", self.list_conversations, self._callers),
            guarded(one, "GET", self.retrieve, self._callers),
            guarded(one, "PATCH", self.change, self._callers),
            guarded(f"{one}/branches", "GET", self.branches, self._callers),
            guarded(f"{one}/items", "GET", self.items, self._callers),
            guarded(f"{one}/items/{{item_id}}", "PATCH", self.change_item, self._callers),
            guarded(f"{one}/follow_ups", "GET", self.follow_ups, self._callers),
        ]

    async def list_conversations(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The caller's own conversations, or those in which some words stand."""
        check_parameters(request, ("after", "limit", "q"))
        words = request.query_params.get("q", "")
        if len(words) > MOST_WORDS_CHARS:
            raise wrong("q", f"'q' has {len(words)} characters. It may have {MOST_WORDS_CHARS}.")
        limit = limit_of(request)
        rows = await self._conversations.list(owner_of(caller), after_of(request), limit + 1, words)
        return secret(listed(rows, told_of, limit))

    async def retrieve(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of them."""
        return secret(told_of(await self._conversations.find(owner_of(caller), _id_in(request))))

    async def change(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Name one of them, pin it, or choose a branch."""
        body = await (await with_body(request)).body()
        asked = view(read_object(body or b"{}"), ConversationBody)
        title = UNSET if asked.title is UNSET else title_line(asked.title)
        changes = Changes(title=title, is_pinned=asked.pinned, branch=asked.branch)
        return secret(told_of(await self._conversations.change(owner_of(caller), _id_in(request), changes)))

    async def branches(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Its branches. There are at most 100, so there are no pages."""
        check_parameters(request, ())
        owner = owner_of(caller)
        seen = await self._conversations.see(owner, _id_in(request))
        branches = await self._conversations.branches(owner, seen)
        return secret({"object": "list", "data": [_branch(each, seen.row) for each in branches]})

    async def items(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Items of the chosen branch, of another or of all, and what is around each."""
        page = items_page_of(request, "branch", *INCLUDE)
        include = include_of(request)
        owner = owner_of(caller)
        seen = await self._conversations.see(owner, _id_in(request))
        branch = _asked_branch(request, seen.row)
        found = await self._conversations.page(owner, seen, page.after, page.limit, page.order, branch)
        around = await self._conversations.around(owner, seen, [each.head for each in found.items])
        told = [_item(kept, its, include) for kept, its in zip(found.items, around, strict=True)]
        return secret(
            {
                "object": "list",
                "data": told,
                "first_id": told[0]["id"] if told else None,
                "last_id": told[-1]["id"] if told else None,
                "has_more": found.has_more,
            }
        )

    async def change_item(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Pin an item, so that every model is told it, or not any more."""
        body = await (await with_body(request)).body()
        asked = view(read_object(body or b"{}"), ItemBody)
        owner, item_id = owner_of(caller), request.path_params["item_id"]
        await self._conversations.pin_item(owner, _id_in(request), item_id, is_pinned=asked.pinned)
        return secret({"id": item_id, "object": "conversation.item", "pinned": asked.pinned})

    async def follow_ups(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """What may be asked next, behind its last response or the one that is named."""
        check_parameters(request, ("response_id",))
        found = await self._conversations.follow_ups(owner_of(caller), _id_in(request))
        named = request.query_params.get("response_id")
        if found is None or named not in (None, found.response):
            return secret({"object": "conversation.follow_ups", "response_id": None, "data": []})
        told = {"response_id": found.response, "data": found.questions}
        return secret({"object": "conversation.follow_ups", **told})


def told_of(row: ConversationRow) -> dict[str, Any]:
    """A conversation as an app lists it."""
    return {
        "id": row.id,
        "object": "conversation",
        "created_at": seconds(row.created_at_ms),
        "metadata": msgspec.json.decode(row.metadata) if row.metadata else {},
        "title": row.title,
        "pinned": row.pinned_at_ms is not None,
        "changed_at": seconds(row.changed_at_ms),
        "expires_at": seconds(row.expires_at_ms),
        "branch": row.branch,
        "branches": row.branches,
        "response_id": row.response,
    }


def _branch(told: ToldBranch, row: ConversationRow) -> dict[str, Any]:
    branch = told.branch
    return {
        "number": branch.number,
        "object": "conversation.branch",
        "parent": branch.parent,
        "fork": branch.fork,
        "length": branch.length,
        "first_words": told.first_words,
        "chosen": branch.number == row.branch,
    }


def _item(kept: KeptItem, around: Around, include: frozenset[str]) -> dict[str, Any]:
    head = kept.head
    return {
        "id": head.id,
        "object": "conversation.item",
        "item": shown(kept.item, include),
        "branch": head.branch,
        "position": head.position,
        "parent": around.parent,
        "siblings": [{"id": item_id, "branch": branch} for branch, item_id in around.siblings],
        "response_id": head.response,
        "created_at": seconds(head.created_at_ms),
        "pinned": head.pinned_at_ms is not None,
    }


def _asked_branch(request: Request, row: ConversationRow) -> int | None:
    asked = request.query_params.get("branch", str(row.branch))
    if asked == _ALL:
        return None
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 9):
        raise wrong("branch", f"'branch' must be the number of a branch, or {_ALL!r}.")
    return int(asked)


def _id_in(request: Request) -> str:
    return request.path_params["conversation_id"]
