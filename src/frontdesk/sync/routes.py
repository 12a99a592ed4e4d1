"""POST /api/sync: what was done on a device, and what has changed since it last asked, in one round trip."""

from __future__ import annotations

from typing import Annotated, Any, cast

from starlette.requests import Request
from starlette.responses import Response

from frontdesk.doors.present import Presence
from frontdesk.files.owner import owner_of
from frontdesk.http.callers import Admission, Callers, GuardedRoute, May, guarded_upload
from frontdesk.http.requests import Head, read_body
from frontdesk.sync.packing import Sent, read_sent, wanted_by, write_answer
from frontdesk.sync.pull import Pulling
from frontdesk.sync.push import ROUTE, Pushing
from frontdesk.sync.shapes import Page, SyncAnswer, SyncBody
from frontdesk.turn.turn import Caller
from frontdesk.wire.reading import view
from frontdesk.wire.refusing import wrong

SYNCING = May("user")
"""Who syncs: people. What is a secret key's is on no device."""


class SyncRoutes:
    """The route of syncs. A body has so many bytes at most, packed or unpacked."""

    def __init__(self, pulling: Pulling, pushing: Pushing, callers: Callers, body_limit_bytes: int) -> None:
        self._pulling = pulling
        self._pushing = pushing
        self._callers = callers
        self._body_limit_bytes = body_limit_bytes

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [guarded_upload(ROUTE, self.sync, self._callers)]

    async def sync(self, request: Request, caller: Annotated[Caller, SYNCING], admitted: Admission) -> Response:
        """Do what was done on a device, then tell what has changed, that included."""
        head = Head(request.scope)
        body = await read_body(cast("Any", request.receive), head, self._body_limit_bytes)
        # Again: a body may take a minute to come, and the credential be revoked meanwhile.
        caller = await admitted()
        given = request.headers
        content_type = given.get("content-type", "")
        sent = Sent(body, content_type, given.get("content-encoding", ""))
        asked = view(await read_sent(sent, self._body_limit_bytes), SyncBody)
        _check(asked)
        results = await self._pushing.push(Presence(caller, request.scope), asked.push) if asked.push else []
        page = await self._page(caller, asked)
        answer = SyncAnswer(cursor=page.cursor, has_more=page.has_more, reset=page.is_reset, changes=page.changes)
        if results:
            answer.results = results
        wanted = wanted_by(given.get("accept", ""), given.get("accept-encoding", ""), content_type)
        written, headers = await write_answer(answer, wanted)
        return Response(written, headers={"cache-control": "no-store", **headers})

    async def _page(self, caller: Caller, asked: SyncBody) -> Page:
        """What is told of what has changed; nothing to who only brings something."""
        if asked.limit == 0 and asked.cursor is not None:
            return Page(cursor=asked.cursor)
        return await self._pulling.pull(owner_of(caller), asked.cursor, asked.limit)


def _check(asked: SyncBody) -> None:
    """Raise BadRequest for who is to be told nothing, and does not say where they are."""
    if asked.limit == 0 and asked.cursor is None:
        raise wrong(
            "cursor",
            "With 'limit': 0 no changes are told, and the cursor comes back as it was sent. Send the one that you were "
            "told last, or a limit from 1 on to begin.",
            "missing_required_parameter",
        )
