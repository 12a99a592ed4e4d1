"""GET /api/events and GET /api/conversations/{id}/events: a person's changes, as a stream or as an answer to polls."""

from __future__ import annotations

from typing import Annotated, Protocol

from starlette.requests import Request
from starlette.responses import Response

from frontdesk.conversations.routes.pages import check_parameters
from frontdesk.conversations.rows import ConversationRow
from frontdesk.feeds.routes.polls import MOST_WAIT_S, Poll
from frontdesk.feeds.routes.streams import EventStream
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner, owner_of
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.http.requests import Head
from frontdesk.turn.turn import Caller
from frontdesk.wire.refusing import wrong

LISTENING = May("user")
"""Who may listen: people, for things of keys are not told."""
USUAL_WAIT_S = 25
_STREAM = "text/event-stream"


class Conversations(Protocol):
    """Knows whose conversations are."""

    async def find(self, owner: Owner, conversation_id: str, /) -> ConversationRow:
        """One of somebody's. Raises NotFound."""
        ...


class EventRoutes:
    """The routes of feeds. `revision` is the bootstrap's."""

    def __init__(self, feeds: Feeds, conversations: Conversations, callers: Callers, revision: str) -> None:
        self._feeds = feeds
        self._conversations = conversations
        self._callers = callers
        self._revision = revision

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/events", "GET", self.all, self._callers),
            guarded("/api/conversations/{conversation_id}/events", "GET", self.of_conversation, self._callers),
        ]

    async def all(self, request: Request, caller: Annotated[Caller, LISTENING]) -> Response:
        """All that changes of the caller's things."""
        return await self._answer(request, owner_of(caller), None)

    async def of_conversation(self, request: Request, caller: Annotated[Caller, LISTENING]) -> Response:
        """What changes of one conversation of theirs."""
        owner = owner_of(caller)
        row = await self._conversations.find(owner, request.path_params["conversation_id"])
        return await self._answer(request, owner, row.id)

    async def _answer(self, request: Request, owner: Owner, conversation: str | None) -> Response:
        check_parameters(request, ("cursor", "wait"))
        wait_s = _wait_s(request)
        head = Head(request.scope)
        cursor = request.query_params.get("cursor")
        if head.last_event_id is not None:
            cursor = head.last_event_id.decode("latin-1")
        is_stream = _STREAM in request.headers.get("accept", "")
        if request.method != "GET":
            return Response(media_type=_STREAM if is_stream else "application/json")
        if is_stream:
            answer = EventStream(self._feeds, owner, conversation, head, self._revision)
        else:
            answer = Poll(self._feeds, owner, conversation, head, self._revision, wait_s)
        await answer.open(cursor or None)
        return answer


def _wait_s(request: Request) -> float:
    asked = request.query_params.get("wait", str(USUAL_WAIT_S))
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 2 and int(asked) <= MOST_WAIT_S):
        raise wrong("wait", f"'wait' must be whole seconds from 0 to {MOST_WAIT_S}.")
    return float(asked)
