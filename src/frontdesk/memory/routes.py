"""/api/facts: what a person wants to have remembered of them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import listed, page_of, seconds, secret
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.starlette import with_body
from frontdesk.memory.facts import Facts
from frontdesk.memory.rows import FactRow
from frontdesk.turn.turn import Caller
from frontdesk.wire.reading import read_object, view

_MOST_SENT_CHARS = 2_000  # with what nobody sees of it


class FactBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be remembered."""

    words: Annotated[str, Meta(min_length=1, max_length=_MOST_SENT_CHARS)]


class FactRoutes:
    """The routes of facts. They are people's: a key has none."""

    def __init__(self, facts: Facts, callers: Callers, idempotency: Idempotency | None = None) -> None:
        self._facts = facts
        self._callers = callers
        self._added_once = Once(idempotency)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        one = "/api/facts/{fact_id}"
        return [
            guarded("/api/facts", "GET", self.list_facts, self._callers),
            guarded("/api/facts", "POST", self.add, self._callers, self._added_once),
            guarded(one, "GET", self.retrieve, self._callers),
            guarded(one, "PATCH", self.change, self._callers),
            guarded(one, "DELETE", self.erase, self._callers),
        ]

    async def list_facts(self, request: Request, caller: Annotated[Caller, May("user")]) -> Response:
        """The caller's facts, the latest first."""
        after, limit = page_of(request)
        rows = await self._facts.page(caller.tenant, _person(caller), after, limit + 1)
        return secret(listed(rows, told_of, limit))

    async def add(self, request: Request, caller: Annotated[Caller, May("user")]) -> Response:
        """Have something remembered."""
        return secret(told_of(await self._facts.add(caller.tenant, _person(caller), await _words(request))))

    async def retrieve(self, request: Request, caller: Annotated[Caller, May("user")]) -> Response:
        """One of them."""
        return secret(told_of(await self._facts.find(caller.tenant, _person(caller), _id_in(request))))

    async def change(self, request: Request, caller: Annotated[Caller, May("user")]) -> Response:
        """Say one in other words."""
        words = await _words(request)
        return secret(told_of(await self._facts.change(caller.tenant, _person(caller), _id_in(request), words)))

    async def erase(self, request: Request, caller: Annotated[Caller, May("user")]) -> Response:
        """Have one forgotten."""
        await self._facts.erase(caller.tenant, _person(caller), _id_in(request))
        return secret({"id": _id_in(request), "object": "fact", "deleted": True})


def told_of(row: FactRow) -> dict[str, Any]:
    """A fact as its person is told of it."""
    return {
        "id": row.id,
        "object": "fact",
        "words": row.words,
        "response_id": row.response,
        "created_at": seconds(row.created_at_ms),
        "changed_at": seconds(row.changed_at_ms),
    }


async def _words(request: Request) -> str:
    body = await (await with_body(request)).body()
    return view(read_object(body or b"{}"), FactBody).words


def _person(caller: Caller) -> str:
    assert caller.person is not None  # as `May` says
    return caller.person


def _id_in(request: Request) -> str:
    return request.path_params["fact_id"]
