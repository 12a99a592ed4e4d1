"""/api/admin/keys: secret keys, made, listed and revoked by an operator."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import listed, missing, page_of, seconds, secret
from frontdesk.accounts.service import Accounts
from frontdesk.accounts.store import KeyRow
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Forbidden
from frontdesk.http.callers import Callers, GuardedRoute, KeyScope, May, guarded
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.starlette import read_json
from frontdesk.turn.turn import Caller


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A key that shall be made. Scopes and seconds that are left out are those of the key that makes it."""

    name: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 128})] | None = None
    role: Literal["server", "operator", "reviewer"] = "server"
    scopes: Annotated[list[KeyScope], Meta(extra_json_schema={"minItems": 1})] | None = None
    expires_in: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 316_224_000})] | None = None


class KeyRoutes:
    """The routes of keys."""

    def __init__(
        self, accounts: Accounts, callers: Callers, clock: Clock, idempotency: Idempotency | None = None
    ) -> None:
        self._accounts = accounts
        self._callers = callers
        self._clock = clock
        self._made_once = Once(idempotency, is_secret=True)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/admin/keys", "GET", self.list_keys, self._callers),
            guarded("/api/admin/keys", "POST", self.create, self._callers, self._made_once),
            guarded("/api/admin/keys/{key_id}", "DELETE", self.revoke, self._callers),
        ]

    async def list_keys(self, request: Request, caller: Annotated[Caller, May("operator", scope="keys")]) -> Response:
        """The tenant's keys that were not revoked, the newest first."""
        after, limit = page_of(request)
        rows = await self._accounts.list_keys(caller.tenant, after, limit + 1)
        return secret(listed(rows, _key, limit))

    async def create(self, request: Request, caller: Annotated[Caller, May("operator", scope="keys")]) -> Response:
        """Make a key of the same tenant, which may no more than the one that makes it. It is shown only here."""
        asked = await read_json(request, KeyBody)
        if asked.name is None:
            raise missing("name")
        scopes = _scopes(caller, asked.scopes)
        expires_in_s = self._expires_in_s(caller, asked.expires_in)
        row, key = await self._accounts.create_key(caller.tenant, asked.name, asked.role, scopes, expires_in_s)
        return secret({**_key(row), "key": key})

    async def revoke(self, request: Request, caller: Annotated[Caller, May("operator", scope="keys")]) -> Response:
        """End a key now."""
        key_id = request.path_params["key_id"]
        await self._accounts.revoke_key(caller.tenant, key_id)
        return secret({"id": key_id, "object": "key", "deleted": True})

    def _expires_in_s(self, caller: Caller, asked: int | None) -> int | None:
        """A key outlives none that it was made with: else who found one for an hour had it for ever."""
        if math.isinf(caller.expires_at):
            return asked
        left_s = int(caller.expires_at - self._clock.now())
        if asked is not None and asked > left_s:
            raise Forbidden(f"This key holds for {left_s} s more, so it can make none that holds for {asked} s.")
        return max(1, left_s) if asked is None else asked


def _scopes(caller: Caller, asked: list[KeyScope] | None) -> frozenset[str] | None:
    if asked is None:
        return caller.scopes
    beyond = set(asked) - (set(asked) if caller.scopes is None else caller.scopes)
    if beyond:
        raise Forbidden(
            f"This key has not the scope {min(beyond)!r} itself, so it can make none that has it.", code="missing_scope"
        )
    return frozenset(asked)


def _key(row: KeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "key",
        "name": row.name,
        "role": row.role,
        "scopes": None if row.scopes is None else sorted(row.scopes),
        "hint": row.hint,
        "created_at": seconds(row.created_at_ms),
        "expires_at": seconds(row.expires_at_ms),
        "last_used_at": seconds(row.last_used_at_ms),
    }
