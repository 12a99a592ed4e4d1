"""Stored chat completions: listed, retrieved, their metadata changed, deleted, and the messages that they answer."""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.accounts.people import is_name
from frontdesk.conversations.routes.pages import after_of, check_parameters, limit_of
from frontdesk.core.errors import NotFound
from frontdesk.doors.desk import ASKING
from frontdesk.doors.kept.asking import chats_page_of, is_ascending_in
from frontdesk.doors.kept.lists import page_of_all
from frontdesk.doors.kept.turns import KeptTurns
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.http.starlette import with_body
from frontdesk.keeping.rows import ResponseRow
from frontdesk.turn.events import Event
from frontdesk.turn.log import Entry
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_chat_render import ChatBody
from frontdesk.wire.openai_chat_shapes import StoredChatChanges
from frontdesk.wire.openai_listed_messages import listed_messages
from frontdesk.wire.reading import read_object, view

_NO_STORE = {"cache-control": "no-store"}
_ANSWERED = frozenset({"completed", "incomplete"})
_MAX_TOLD_CHARS = 128


class KeptChatRoutes:
    """The routes of stored chat completions. One that failed or was ended is none."""

    def __init__(self, kept: KeptTurns, callers: Callers) -> None:
        self._kept = kept
        self._callers = callers

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        one = "/v1/chat/completions/{completion_id}"
        return [
            guarded("/v1/chat/completions", "GET", self.list_all, self._callers),
            guarded(one, "GET", self.retrieve, self._callers),
            guarded(one, "POST", self.change, self._callers),
            guarded(one, "DELETE", self.delete, self._callers),
            guarded(f"{one}/messages", "GET", self.list_messages, self._callers),
        ]

    async def list_all(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The caller's own."""
        asked = chats_page_of(request)
        limit = asked.limit - 1
        found = await self._kept.store_of(caller, "chat").list_answered(asked)
        told = found[:limit]
        body = {
            "object": "list",
            "data": [msgspec.Raw(_told(row, entries)) for row, entries in told],
            "first_id": told[0][0].id if told else None,
            "last_id": told[-1][0].id if told else None,
            "has_more": len(found) > limit,
        }
        return Response(msgspec.json.encode(body), media_type="application/json", headers=_NO_STORE)

    async def retrieve(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of them."""
        return await self._one(await self._find(request, caller))

    async def change(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Give it other metadata."""
        asked = view(read_object(await (await with_body(request)).body() or b"{}"), StoredChatChanges)
        row = await self._find(request, caller)
        metadata = msgspec.json.encode(asked.metadata).decode() if asked.metadata else None
        if not await self._kept.store_of(caller, "chat").change_metadata(row.id, metadata):
            raise _no_chat(row.id)
        return await self._one(msgspec.structs.replace(row, metadata=metadata))

    async def delete(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Remove one with all that is kept of it."""
        row = await self._find(request, caller)
        if not await self._kept.store_of(caller, "chat").delete(row.id):
            raise _no_chat(row.id)
        return JSONResponse({"id": row.id, "object": "chat.completion.deleted", "deleted": True}, headers=_NO_STORE)

    async def list_messages(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The messages of its request, the first one first."""
        check_parameters(request, ("after", "limit", "order"))
        after, limit, is_ascending = after_of(request), limit_of(request), is_ascending_in(request, "asc")
        row = await self._find(request, caller)
        asked = await self._kept.texts.asked(row.tenant, row.id)
        if asked is None:
            raise _no_chat(row.id)
        messages = listed_messages(msgspec.json.decode(asked.body)["messages"], row.id)
        return JSONResponse(page_of_all(messages, after, limit, is_ascending=is_ascending), headers=_NO_STORE)

    async def _find(self, request: Request, caller: Caller) -> ResponseRow:
        completion_id: str = request.path_params["completion_id"]
        row = await self._kept.store_of(caller, "chat").find(completion_id) if is_name(completion_id) else None
        if row is None or row.status not in _ANSWERED:
            raise _no_chat(completion_id)
        return row

    async def _one(self, row: ResponseRow) -> Response:
        entries = await self._kept.texts.answer(row.tenant, row.id)
        if entries is None:
            raise _no_chat(row.id)
        return Response(_told(row, entries), media_type="application/json", headers=_NO_STORE)


def _told(row: ResponseRow, entries: list[Entry]) -> bytes:
    metadata: dict[str, Any] = {} if row.metadata is None else msgspec.json.decode(row.metadata)
    body = ChatBody(row.told(None), metadata)
    body.add(cast("list[Event]", entries))  # what has an answer did not fail
    return body.body()


def _no_chat(completion_id: str) -> NotFound:
    return NotFound(
        f"There is no stored chat completion {completion_id[:_MAX_TOLD_CHARS]!r}.", code="chat_completion_not_found"
    )
