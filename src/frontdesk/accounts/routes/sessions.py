"""/api/sessions: how people's sessions begin, go on and end.

who asks                  what begins
a secret key              a session of any user, with the tier, groups, features and app that it names
nobody, where allowed     one of somebody new, who can become a known user later (upgrade)
a token of an identity    one of the same user, which ends with that token and is no more than it; so many
provider                  an hour
a user's session          none: it goes into a cookie, where it came in a header and that is asked. Another one
                          would outlive what ends the first, such as the reuse of its refresh token
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts import cookies
from frontdesk.accounts.anonymous import AnonymousLimit, ExchangeLimit
from frontdesk.accounts.gate import Gate
from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.accounts.people import NAME_RULE, is_name
from frontdesk.accounts.routes.answers import check_names, missing, secret
from frontdesk.accounts.service import Accounts, NewSession, Session, missing_credential
from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.core.errors import BadRequest, Forbidden, Unauthenticated
from frontdesk.http.callers import GuardedRoute, May, guarded, open_to_all
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.requests import Head
from frontdesk.http.starlette import read_json
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.turn import Caller

_DEFAULT_EXPIRES_IN_S = 3600
_MOST_NAMES = 64
_DEVICE_CHARS = range(16, 129)
_SESSION_ID = "sess_"


class SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    """A session that shall begin. `expires_in` is in seconds. With `cookie` its tokens go into cookies."""

    # Limits are told here for the OpenAPI document; they are checked in words of ours.
    user: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 128})] | None = None
    tier: str | None = None
    groups: Annotated[list[str], Meta(extra_json_schema={"maxItems": _MOST_NAMES})] | None = None
    features: Annotated[list[str], Meta(extra_json_schema={"maxItems": _MOST_NAMES})] | None = None
    app: str | None = None
    expires_in: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 31_622_400})] = _DEFAULT_EXPIRES_IN_S
    refreshable: bool | None = None
    device: Annotated[str, Meta(extra_json_schema={"minLength": 16, "maxLength": 128})] | None = None
    cookie: bool = False


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """A session that shall go on. Without a refresh token that of the cookie is meant."""

    refresh_token: str | None = None


class UpgradeBody(msgspec.Struct, forbid_unknown_fields=True):
    """An anonymous person whose things become a user's. Without a token that of the session's cookie is meant.

    `user` is for secret keys; a user's own token means that user.
    """

    anonymous_token: str | None = None
    user: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 128})] | None = None


class SessionRoutes:
    """The routes of sessions.

    `allows_anonymous` decides by the request whether it needs no credential; `anonymous_limit` is None
    where such sessions are not limited.
    """

    def __init__(
        self,
        accounts: Accounts,
        gate: Gate,
        config: Config,
        clock: Clock,
        allows_anonymous: Callable[[Request], bool],
        anonymous_limit: AnonymousLimit | None,
        exchange_limit: ExchangeLimit,
        idempotency: Idempotency | None = None,
    ) -> None:
        self._accounts = accounts
        self._gate = gate
        self._config = config
        self._clock = clock
        self._allows_anonymous = allows_anonymous
        self._anonymous_limit = anonymous_limit
        self._exchange_limit = exchange_limit
        self._idempotency = idempotency

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        # A session that nobody was told of ends by itself, and an upgrade is refused the second time.
        begun_once = Once(self._idempotency, may_repeat=True, is_secret=True)
        upgraded_once = Once(self._idempotency, may_repeat=True)
        return [
            guarded("/api/sessions", "POST", self.begin, self._gate, begun_once),
            guarded("/api/sessions", "DELETE", self.end_all, self._gate),
            open_to_all("/api/sessions/refresh", "POST", self.refresh),
            open_to_all("/api/sessions/refresh", "GET", self.csrf_token),
            guarded("/api/sessions/upgrade", "POST", self.upgrade, self._gate, upgraded_once),
            guarded("/api/sessions/current", "GET", self.current, self._gate),
            guarded("/api/sessions/{session_id}", "DELETE", self.end, self._gate),
        ]

    async def begin(
        self,
        request: Request,
        caller: Annotated[Caller | None, May("user", "server", "operator", scope="sessions", or_nobody=True)],
    ) -> Response:
        """Begin a session."""
        if caller is None and not self._allows_anonymous(request):
            raise missing_credential()
        head = Head(request.scope)
        asked = await read_json(request, SessionBody)
        if asked.cookie:
            self._check_cookies(head)
        if caller is None:
            session = await self._begin_of_somebody_new(request, head, asked)
        elif caller.role != "user":
            session = await self._begin_of_user(asked, caller)
        elif _is_session(caller):
            return self._told(_for_cookie(asked, caller, head), head, in_cookies=True)
        else:
            session = await self._begin_of_issuers_user(asked, caller)
        if asked.cookie and not cookies.fit(session):
            await self._accounts.end_session(DEFAULT_TENANT if caller is None else caller.tenant, session.id)
            raise _too_long()
        return self._told(session, head, in_cookies=asked.cookie)

    async def refresh(self, request: Request) -> Response:
        """Let a session go on: its refresh token is the credential."""
        head = Head(request.scope)
        asked = await read_json(request, RefreshBody)
        token = asked.refresh_token
        if token is None:
            token = self._refresh_token_of_cookie(head)
            self._gate.check_csrf(head, self._accounts.session_of_refresh_token(token))

        async def admit(app: str | None) -> None:
            await self._gate.check_attestation(head, app)

        session = await self._accounts.refresh_session(token, admit)
        return self._told(session, head, in_cookies=asked.refresh_token is None)

    async def csrf_token(self, request: Request) -> Response:
        """The CSRF token of the session in the refresh cookie, for a page that was away until its token ended."""
        session_id = self._accounts.session_of_refresh_token(self._refresh_token_of_cookie(Head(request.scope)))
        return secret({"id": session_id, "csrf_token": self._accounts.csrf_token(session_id)})

    async def upgrade(
        self,
        request: Request,
        caller: Annotated[Caller, May("user", "server", "operator", scope="sessions")],
    ) -> Response:
        """Give all that an anonymous person has to a user who signed in; the anonymous sessions end."""
        head = Head(request.scope)
        asked = await read_json(request, UpgradeBody)
        user = _user_of_upgrade(asked, caller)
        token = asked.anonymous_token
        if token is None:
            token = await self._anonymous_token_of_cookie(head)
        was = await self._accounts.upgrade(token, caller.tenant, user)
        response = secret({"user": user, "was": was, "object": "upgrade"})
        if asked.anonymous_token is None:
            _clear_cookies(response, head)
        return response

    async def current(self, request: Request, caller: Annotated[Caller, May("user")]) -> Response:
        """Who calls, and until when; for a page whose session is in a cookie the CSRF token as well."""
        head = Head(request.scope)
        told: dict[str, Any] = {
            "id": caller.credential_id,
            "user": caller.person,
            "tier": tier_of(caller, self._config.tiers, self._config.default_tier) or None,
            "expires_at": int(caller.expires_at),
        }
        if head.authorization is None:
            told["csrf_token"] = self._accounts.csrf_token(caller.credential_id)
        return secret(told)

    async def end(
        self, request: Request, caller: Annotated[Caller, May("user", "server", "operator", scope="sessions")]
    ) -> Response:
        """End a session: any by a key, one of their own by a user, 'current' for the one that asks."""
        session_id = request.path_params["session_id"]
        is_current = caller.role == "user" and session_id in ("current", caller.credential_id)
        if is_current:
            session_id = _session_of(caller)
        await self._accounts.end_session(caller.tenant, session_id, caller.person)
        response = secret({"id": session_id, "object": "session", "deleted": True})
        head = Head(request.scope)
        if is_current and head.authorization is None:
            _clear_cookies(response, head)
        return response

    async def end_all(
        self,
        _: Request,
        caller: Annotated[Caller, May("server", "operator", scope="sessions")],
    ) -> Response:
        """End all sessions of the tenant, and all tokens of identity providers issued until now."""
        await self._accounts.end_all_sessions(caller.tenant)
        return secret({"object": "sessions", "deleted": True})

    # --- how sessions begin -----------------------------------------------------------------

    async def _begin_of_user(self, asked: SessionBody, caller: Caller) -> Session:
        _refuse(asked, ("device",), "'device' is for anonymous sessions; a secret key needs none.")
        if asked.user is None:
            raise missing("user")
        _check_each("groups", asked.groups or ())
        _check_each("features", asked.features or ())
        if asked.tier is not None:
            check_names([asked.tier], self._config.tiers, code="unknown_tier", param="tier")
        if asked.features is not None:
            check_names(asked.features, self._config.features, code="unknown_feature", param="features")
        if asked.app is not None:
            check_names([asked.app], self._config.auth.apps, code="unknown_app", param="app")
        return await self._accounts.begin_session(
            NewSession(
                caller.tenant,
                asked.user,
                tier=asked.tier,
                groups=tuple(dict.fromkeys(asked.groups or ())),
                features=None if asked.features is None else frozenset(asked.features),
                app=asked.app,
                expires_in_s=asked.expires_in,
                is_refreshable=bool(asked.refreshable),
                is_anonymous=False,
            )
        )

    async def _begin_of_issuers_user(self, asked: SessionBody, caller: Caller) -> Session:
        _refuse_choices(asked)
        assert caller.person is not None
        await self._exchange_limit.admit(caller.tenant, caller.person)
        return await self._accounts.begin_session(
            NewSession(
                caller.tenant,
                caller.person,
                tier=None,
                groups=caller.groups,
                features=caller.features,
                app=caller.app,
                expires_in_s=asked.expires_in,
                is_refreshable=False,
                is_anonymous=caller.is_anonymous,
                not_after=caller.expires_at,
                claimed_tier=caller.claimed_tier,
            )
        )

    async def _begin_of_somebody_new(self, request: Request, head: Head, asked: SessionBody) -> Session:
        _refuse(
            asked,
            ("user", "tier", "groups", "features", "app"),
            "An anonymous session is of somebody new. Send a secret key.",
        )
        _check_device(asked.device)
        app = await self._gate.check_attestation(head, None)
        if self._anonymous_limit is not None:
            await self._anonymous_limit.admit("" if request.client is None else request.client.host, asked.device)
        return await self._accounts.begin_session(
            NewSession(
                DEFAULT_TENANT,
                None,
                tier=self._config.auth.anonymous_tier,
                groups=(),
                features=None,
                app=app,
                expires_in_s=min(asked.expires_in, _DEFAULT_EXPIRES_IN_S),
                is_refreshable=True,
                is_anonymous=True,
            )
        )

    # --- cookies ----------------------------------------------------------------------------

    def _check_cookies(self, head: Head) -> None:
        """Refuse to set cookies where they are not taken, and for a page that may not use them: it could
        make a person somebody else.
        """
        if not self._config.auth.cookies:
            raise BadRequest(
                "This server takes no cookies. Leave 'cookie' out, or set auth.cookies.",
                code="unsupported_parameter",
                param="cookie",
            )
        self._gate.check_origin(head)

    def _refresh_token_of_cookie(self, head: Head) -> str:
        token = None
        if self._config.auth.cookies and head.cookie is not None:
            token = cookies.refresh_token(head.cookie, is_secure=head.is_secure)
        if token is None:
            raise Unauthenticated(
                "No refresh token was sent. Send 'refresh_token', or the cookie that it is in.",
                code="missing_credential",
            )
        return token.decode("latin-1")

    async def _anonymous_token_of_cookie(self, head: Head) -> str:
        """The token of the cookie that a user's own token stands beside."""
        token = None
        if self._config.auth.cookies and head.authorization is not None and head.cookie is not None:
            token = cookies.session_token(head.cookie, is_secure=head.is_secure)
        if token is None:
            raise missing("anonymous_token")
        try:
            caller = await self._accounts.identify(b"Bearer " + token)
        except Unauthenticated as error:
            # Not 401: the user's own token is good.
            raise BadRequest(
                f"The session in the cookie cannot be upgraded: {error.message}",
                code="invalid_value",
                param="anonymous_token",
            ) from None
        self._gate.check_csrf(head, caller.credential_id)
        return token.decode("latin-1")

    def _told(self, session: Session, head: Head, *, in_cookies: bool) -> Response:
        told: dict[str, Any] = {"id": session.id, "user": session.person, "expires_at": session.expires_at}
        if session.refresh_expires_at is not None:
            told["refresh_expires_at"] = session.refresh_expires_at
        if not in_cookies:
            told["token"] = session.token
            if session.refresh_token is not None:
                told["refresh_token"] = session.refresh_token
            return secret(told)
        response = secret({**told, "csrf_token": self._accounts.csrf_token(session.id)})
        for cookie in cookies.keeping(session, self._clock.now(), is_secure=head.is_secure):
            response.headers.append("set-cookie", cookie)
        return response


def _clear_cookies(response: Response, head: Head) -> None:
    for cookie in cookies.clearing(is_secure=head.is_secure):
        response.headers.append("set-cookie", cookie)


def _refuse(asked: SessionBody, fields: Iterable[str], reason: str) -> None:
    for field in fields:
        if getattr(asked, field) is not None:
            raise Forbidden(f"{field!r} cannot be chosen here. {reason}")


def _refuse_choices(asked: SessionBody) -> None:
    _refuse(
        asked,
        ("user", "tier", "groups", "features", "app", "device", "refreshable"),
        "A session that begins with a user's token is that user's, as the token says. Send a secret key.",
    )


def _for_cookie(asked: SessionBody, caller: Caller, head: Head) -> Session:
    """The session that asks, to be kept in a cookie from now on. What came by cookie is never told."""
    _refuse_choices(asked)
    if head.authorization is None or not asked.cookie:
        raise BadRequest(
            f"This is a session already, {caller.credential_id!r}, and begins no other. Go on with it: "
            "POST /api/sessions/refresh where it has a refresh token, GET /api/sessions/current to learn of it.",
            code="session_exists",
        )
    assert caller.person is not None
    session = Session(
        id=caller.credential_id,
        token=head.authorization.decode("latin-1").partition(" ")[2].strip(),
        person=caller.person,
        expires_at=int(caller.expires_at),
        refresh_token=None,  # it stays with who has it: in two hands it would be reused
        refresh_expires_at=None,
        is_anonymous=caller.is_anonymous,
    )
    if not cookies.fit(session):
        raise _too_long()
    return session


def _too_long() -> BadRequest:
    return BadRequest(
        "This session is too long for a cookie. Name fewer groups and features.",
        code="session_too_long",
        param="cookie",
    )


def _check_each(param: str, names: Collection[str]) -> None:
    if len(names) > _MOST_NAMES:
        raise BadRequest(
            f"{param!r} has {len(names)} names. It can have {_MOST_NAMES} at most.", code="invalid_value", param=param
        )
    for name in names:
        if not is_name(name):
            raise BadRequest(
                f"{param!r} has {name!r}. Each must be {NAME_RULE}.",
                code="invalid_value",
                param=param,
            )


def _check_device(device: str | None) -> None:
    if device is not None and not (len(device) in _DEVICE_CHARS and device.isprintable()):
        raise BadRequest(
            f"'device' must have {_DEVICE_CHARS[0]} to {_DEVICE_CHARS[-1]} printable characters: make it once at "
            "random, and keep it.",
            code="invalid_value",
            param="device",
        )


def _user_of_upgrade(asked: UpgradeBody, caller: Caller) -> str:
    if caller.person is None:
        if asked.user is None:
            raise missing("user")
        return asked.user
    if asked.user is not None:
        raise Forbidden("'user' cannot be chosen here: a user's own token upgrades to that user. Send a secret key.")
    if caller.is_anonymous:
        raise Forbidden("An anonymous session cannot upgrade to itself. Send the token of the user who signed in.")
    return caller.person


def _is_session(caller: Caller) -> bool:
    return caller.credential_id.startswith(_SESSION_ID)


def _session_of(caller: Caller) -> str:
    if not _is_session(caller):
        raise BadRequest(
            "This token is an identity provider's, and no session of this server: sign out there. "
            "DELETE /api/users/{user}/sessions ends all that was issued to you until now.",
            code="not_a_session",
        )
    return caller.credential_id
