"""Stored responses: retrieved, told again from any place, cancelled, deleted, and what was asked for them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.conversations.items import shown
from frontdesk.conversations.routes.pages import INCLUDE, include_of, items_page_of
from frontdesk.doors.desk import ASKING
from frontdesk.doors.kept.asking import RetrievalAsked
from frontdesk.doors.kept.ending import Ending
from frontdesk.doors.kept.lists import page_of_all
from frontdesk.doors.kept.streaming import LogStream, frames_at_once
from frontdesk.doors.kept.turns import KeptTurns, no_response
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.keeping.rows import ResponseRow
from frontdesk.turn.turn import Caller
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.openai_responses_render import ResponsesStream, last_word

_NO_STORE = {"cache-control": "no-store"}


class KeptResponseRoutes:
    """The routes of stored responses."""

    def __init__(self, kept: KeptTurns, ending: Ending, callers: Callers) -> None:
        self._kept = kept
        self._ending = ending
        self._callers = callers

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        one = "/v1/responses/{response_id}"
        return [
            guarded(one, "GET", self.retrieve, self._callers),
            guarded(one, "DELETE", self.delete, self._callers),
            guarded(f"{one}/cancel", "POST", self.cancel, self._callers),
            guarded(f"{one}/input_items", "GET", self.list_input, self._callers),
        ]

    async def retrieve(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of the caller's own, as far as it came; or its events, from the first one or from behind a cursor."""
        asked = RetrievalAsked(request)
        row = await self._kept.response(caller, _id_in(request))
        if asked.is_stream and request.method == "GET":
            return await self._stream(row, asked)
        return _json(await self._kept.told(row, asked.include))

    async def delete(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Remove one with all that is kept of it; one that is under way is ended first."""
        row = await self._kept.response(caller, _id_in(request))
        await self._kept.delete(row)
        return JSONResponse({"id": row.id, "object": "response", "deleted": True}, headers=_NO_STORE)

    async def cancel(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """End one that is being made, and return it as far as it came; one that has ended, as it is."""
        return _json(await self._ending.end(caller, _id_in(request)))

    async def list_input(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """What was asked for one: the items that its own request brought, the last one first."""
        page = items_page_of(request, *INCLUDE)
        include = include_of(request)
        row = await self._kept.response(caller, _id_in(request))
        asked = await self._kept.texts.asked(row.tenant, row.id)
        if asked is None:
            raise no_response(row.id)
        items = listed_input(msgspec.json.decode(asked.body).get("input"), row.id)
        told = [shown(item, include) for item in items]
        return JSONResponse(
            page_of_all(told, page.after, page.limit, is_ascending=page.order == "asc"), headers=_NO_STORE
        )

    async def _stream(self, row: ResponseRow, asked: RetrievalAsked) -> Response:
        reading = await self._kept.reading(row, asked.include)
        facts = reading.facts
        if asked.after is not None and not reading.has_places:
            return frames_at_once(last_word(facts, reading.log.entries, asked.after, carries_ids=True))
        renderer = ResponsesStream(
            facts,
            obfuscates=asked.obfuscates,
            after=asked.after,
            carries_ids=True,
            is_background=row.is_background,
        )
        return LogStream(reading.log, renderer)


def _id_in(request: Request) -> str:
    return request.path_params["response_id"]


def _json(body: bytes) -> Response:
    response: Any = Response(body, media_type="application/json", headers=_NO_STORE)
    return response
