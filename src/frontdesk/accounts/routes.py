"""/api/sessions: an app's server begins sessions for its users; where it is allowed, anybody does."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Set
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.accounts.service import Accounts, missing_credential
from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, Forbidden, RateLimited
from frontdesk.core.gcra import ArrivalTimes
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.http.starlette import read_json
from frontdesk.turn.turn import Caller

_DEFAULT_EXPIRES_IN_S = 3600
_HOUR_S = 3600.0


class SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    """A session that shall begin. `expires_in` is in seconds."""

    # The store's own limits, told here for the OpenAPI document; `Accounts` checks them in its own words.
    user: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 128})] | None = None
    tier: str | None = None
    expires_in: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 31_622_400})] = _DEFAULT_EXPIRES_IN_S


class AnonymousLimit:
    """How many anonymous sessions may begin from one address in an hour.

    Each brings a new person with a new allowance: without it the limits of a tier limit nobody.
    """

    def __init__(self, sessions_per_hour: int, clock: Clock) -> None:
        self._limit = sessions_per_hour
        self._taken: ArrivalTimes[str] = ArrivalTimes(clock, _HOUR_S)

    def admit(self, request: Request) -> None:
        """Take one session, or raise RateLimited with the time until the next may begin."""
        wait_s = self._taken.take(_neighbourhood("" if request.client is None else request.client.host), self._limit)
        if wait_s is not None:
            raise RateLimited(
                f"{self._limit} sessions an hour may begin without a credential from your network, and have. "
                f"Try again in {math.ceil(wait_s)} s.",
                retry_after_s=wait_s,
            )


class SessionRoutes:
    """The routes of sessions.

    `allows_anonymous` decides by the request whether it needs no key; `anonymous_limit` is None
    where such sessions are not limited.
    """

    def __init__(
        self,
        accounts: Accounts,
        callers: Callers,
        tiers: Set[str],
        allows_anonymous: Callable[[Request], bool],
        anonymous_limit: AnonymousLimit | None,
    ) -> None:
        self._accounts = accounts
        self._callers = callers
        self._tiers = tiers
        self._allows_anonymous = allows_anonymous
        self._anonymous_limit = anonymous_limit

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/sessions", "POST", self.create, self._callers),
            guarded("/api/sessions/{session_id}", "DELETE", self.revoke, self._callers),
            guarded("/api/users/{person:path}/sessions", "DELETE", self.revoke_all, self._callers),
        ]

    async def create(
        self,
        request: Request,
        caller: Annotated[Caller | None, May("server", "operator", scope="sessions", or_nobody=True)],
    ) -> Response:
        """Begin a session."""
        asked = await read_json(request, SessionBody)
        if caller is None:
            if not self._allows_anonymous(request):
                raise missing_credential()
            if asked.user is not None or asked.tier is not None:
                raise Forbidden("An anonymous session cannot choose its user or tier. Send a secret key.")
            if self._anonymous_limit is not None:
                self._anonymous_limit.admit(request)
            session = await self._accounts.create_session(None, None, _DEFAULT_EXPIRES_IN_S, is_anonymous=True)
        else:
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

    async def revoke(
        self, request: Request, caller: Annotated[Caller, May("user", "server", "operator", scope="sessions")]
    ) -> Response:
        """End a session: any by a server, one's own ('current') by its person."""
        session_id = request.path_params["session_id"]
        if caller.role == "user":
            if session_id not in ("current", caller.credential_id):
                raise Forbidden("A session may end only itself. Send 'current', or a secret key.")
            session_id = caller.credential_id
        await self._accounts.revoke_session(session_id)
        return JSONResponse({"id": session_id, "object": "session", "deleted": True})

    async def revoke_all(
        self,
        request: Request,
        caller: Annotated[Caller, May("server", "operator", scope="sessions")],  # noqa: ARG002 - any of them
    ) -> Response:
        """End all sessions of a person."""
        person = request.path_params["person"]
        ended = await self._accounts.revoke_sessions_of(person)
        return JSONResponse({"user": person, "sessions_ended": ended})


def _neighbourhood(host: str) -> str:
    """What counts as one address: of IPv6 the /64, which is what one subscriber has at least."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
