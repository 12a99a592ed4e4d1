"""Who one is (/api/me), a user's sessions (/api/users), and the people that an operator sees (/api/admin/users)."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.allowances import Allowances
from frontdesk.accounts.routes.answers import check_names, listed, missing, page_of, seconds, secret
from frontdesk.accounts.service import Accounts
from frontdesk.accounts.store import PersonRow, SessionRow
from frontdesk.core.config import Config
from frontdesk.core.errors import NotFound
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.http.starlette import read_json
from frontdesk.policies.access import Access
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.turn import Caller


class UserBody(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator says of a user: a tier over all others, or null to take it back."""

    tier: str | msgspec.UnsetType | None = msgspec.UNSET


class PeopleRoutes:
    """The routes of people."""

    def __init__(
        self, accounts: Accounts, callers: Callers, config: Config, access: Access, allowances: Allowances | None = None
    ) -> None:
        self._accounts = accounts
        self._callers = callers
        self._config = config
        self._access = access
        self._allowances = allowances or Allowances()

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/me", "GET", self.me, self._callers),
            guarded("/api/users/{user:path}/sessions", "GET", self.sessions, self._callers),
            guarded("/api/users/{user:path}/sessions", "DELETE", self.end_sessions, self._callers),
            guarded("/api/admin/users", "GET", self.list_users, self._callers),
            guarded("/api/admin/users/{user:path}", "GET", self.find_user, self._callers),
            guarded("/api/admin/users/{user:path}", "PATCH", self.change_user, self._callers),
        ]

    async def me(
        self, _: Request, caller: Annotated[Caller, May("user", "server", "operator", "reviewer")]
    ) -> Response:
        """Who calls, what they may, and how much of it is left."""
        models = self._access.models_of(caller)
        told: dict[str, Any] = {
            "role": caller.role,
            "id": caller.credential_id,
            "expires_at": None if math.isinf(caller.expires_at) else int(caller.expires_at),
            "models": models,
            **await self._allowances.left(caller, models),
        }
        if caller.role == "user":
            told |= {
                "user": caller.person,
                "anonymous": caller.is_anonymous,
                "tier": tier_of(caller, self._config.tiers, self._config.default_tier) or None,
                "groups": list(caller.groups),
                "features": self._access.features_of(caller) if self._access.has_features else None,
                "app": caller.app,
            }
        else:
            told["scopes"] = None if caller.scopes is None else sorted(caller.scopes)
        return secret(told)

    async def sessions(
        self, request: Request, caller: Annotated[Caller, May("user", "server", "operator", scope="sessions")]
    ) -> Response:
        """A user's sessions that hold, the latest first: of anybody by a key, their own by a user."""
        after, limit = page_of(request)
        rows = await self._accounts.sessions_of(caller.tenant, _user(request, caller), after, limit + 1)
        return secret(listed(rows, _session, limit))

    async def end_sessions(
        self, request: Request, caller: Annotated[Caller, May("user", "server", "operator", scope="sessions")]
    ) -> Response:
        """End all sessions of a user, and what their identity provider issued to them until now."""
        user = _user(request, caller)
        ended = await self._accounts.end_sessions_of(caller.tenant, user)
        return secret({"user": user, "sessions_ended": ended})

    async def list_users(self, request: Request, caller: Annotated[Caller, May("operator", scope="users")]) -> Response:
        """The users of the tenant, in order of their ids."""
        after, limit = page_of(request)
        rows = await self._accounts.list_persons(caller.tenant, after, limit + 1)
        return secret(listed(rows, self._person, limit))

    async def find_user(self, request: Request, caller: Annotated[Caller, May("operator", scope="users")]) -> Response:
        """One of them."""
        return secret(self._person(await self._accounts.find_person(caller.tenant, request.path_params["user"])))

    async def change_user(
        self, request: Request, caller: Annotated[Caller, May("operator", scope="users")]
    ) -> Response:
        """Give a user a tier over all that others say of them, or take it back. It counts for their next request."""
        asked = await read_json(request, UserBody)
        if asked.tier is msgspec.UNSET:
            raise missing("tier")
        if asked.tier is not None:
            check_names([asked.tier], self._config.tiers, code="unknown_tier", param="tier")
        return secret(
            self._person(await self._accounts.assign_tier(caller.tenant, request.path_params["user"], asked.tier))
        )

    def _person(self, row: PersonRow) -> dict[str, Any]:
        told = row.assigned_tier or row.tier
        return {
            "id": row.id,
            "object": "user",
            "tier": told if told in self._config.tiers else self._config.default_tier,
            "assigned_tier": row.assigned_tier,
            "became": row.became,
            "created_at": seconds(row.created_at_ms),
        }


def _user(request: Request, caller: Caller) -> str:
    """Whose sessions are meant. Another's are as good as not there: users see only themselves."""
    user: str = request.path_params["user"]
    if caller.person is not None and user != caller.person:
        raise NotFound(f"There is no user {user!r}.", code="user_not_found")
    return user


def _session(row: SessionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "session",
        "user": row.person,
        "anonymous": row.is_anonymous,
        "app": row.app,
        "refreshable": row.refresh_number is not None,
        "created_at": seconds(row.created_at_ms),
        "expires_at": seconds(row.expires_at_ms),
    }
