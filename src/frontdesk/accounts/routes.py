"""/api/sessions: an app's server begins sessions for its users; where it is allowed, anybody does."""

from __future__ import annotations

from collections.abc import Callable, Set

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from frontdesk.accounts.service import Accounts
from frontdesk.core.errors import BadRequest, Forbidden
from frontdesk.http.callers import caller_of, server_of
from frontdesk.http.starlette import read_json

_DEFAULT_EXPIRES_IN_S = 3600


class _SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    user: str | None = None
    tier: str | None = None
    expires_in: int = _DEFAULT_EXPIRES_IN_S


class SessionRoutes:
    """The routes of sessions. `allows_anonymous` decides by the request whether it needs no key."""

    def __init__(self, accounts: Accounts, tiers: Set[str], allows_anonymous: Callable[[Request], bool]) -> None:
        self._accounts = accounts
        self._tiers = tiers
        self._allows_anonymous = allows_anonymous

    def routes(self) -> list[Route]:
        """The routes, for Starlette."""
        return [
            Route("/api/sessions", self.create, methods=["POST"]),
            Route("/api/sessions/{session_id}", self.revoke, methods=["DELETE"]),
            Route("/api/users/{person}/sessions", self.revoke_all, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """Begin a session."""
        asked = await read_json(request, _SessionBody)
        authorization = request.headers.get("authorization")
        if authorization is None and self._allows_anonymous(request):
            if asked.user is not None or asked.tier is not None:
                raise Forbidden("An anonymous session cannot choose its user or tier. Send a secret key.")
            session = await self._accounts.create_session(None, None, _DEFAULT_EXPIRES_IN_S, is_anonymous=True)
        else:
            await server_of(request, self._accounts)
            if asked.user is None:
                raise BadRequest("Missing required parameter: 'user'.", code="missing_required_parameter", param="user")
            if asked.tier is not None and asked.tier not in self._tiers:
                raise BadRequest(
                    f"The tier {asked.tier!r} is not configured. Known: {', '.join(sorted(self._tiers)) or 'none'}.",
                    code="unknown_tier",
                    param="tier",
                )
            session = await self._accounts.create_session(asked.user, asked.tier, asked.expires_in, is_anonymous=False)
        return JSONResponse(
            {"id": session.id, "token": session.token, "user": session.person, "expires_at": session.expires_at},
            headers={"cache-control": "no-store"},
        )

    async def revoke(self, request: Request) -> Response:
        """End a session: any by a server, one's own ('current') by its person."""
        caller = await caller_of(request, self._accounts)
        session_id = request.path_params["session_id"]
        if caller.kind == "user":
            if session_id not in ("current", caller.credential_id):
                raise Forbidden("A session may end only itself. Send 'current', or a secret key.")
            session_id = caller.credential_id
        await self._accounts.revoke_session(session_id)
        return JSONResponse({"id": session_id, "object": "session", "deleted": True})

    async def revoke_all(self, request: Request) -> Response:
        """End all sessions of a person."""
        await server_of(request, self._accounts)
        person = request.path_params["person"]
        ended = await self._accounts.revoke_sessions_of(person)
        return JSONResponse({"user": person, "sessions_ended": ended})
