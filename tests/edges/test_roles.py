"""Every route of the application, asked as everybody: who gets in is whom its signature names."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from frontdesk.accounts.service import NewSession
from frontdesk.accounts.store import AccountStore
from frontdesk.accounts.tokens import hash_key, new_secret_key
from frontdesk.app import Frontdesk
from frontdesk.core.config import Config, parse_config, read_environment
from frontdesk.doors.desk import GuardedDoor
from frontdesk.http.callers import GuardedRoute, May
from frontdesk.http.sockets import SocketDoor
from frontdesk.storage.database import Database, open_database
from frontdesk.turn.turn import Role
from tests.accounts.rows import a_key
from tests.http.asgi import Answer, ask

SETTINGS = """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo]}, embed: {route: [scripted/embed], kind: embeddings}}
default_model: fast
auth: {anonymous: true}
"""
SCOPES = frozenset({"turns", "sessions", "users", "keys", "usage", "feedback"})
# All that answers without a credential. What joins this list is seen by everybody on the internet.
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/bootstrap"),
    ("GET", "/openapi.json"),
    ("POST", "/api/sessions/refresh"),  # its credential is the refresh token
    ("GET", "/api/sessions/refresh"),
}
OPEN_TO_NOBODY_TOO = {("POST", "/api/sessions")}
# Handlers that refuse some of those whom their signature lets in.
REFUSED_WITHIN = {("POST", "/api/sessions/upgrade", "anonymous")}


@dataclass(frozen=True)
class Place:
    """One method of one path, and who may ask there."""

    method: str
    path: str
    may: May | None
    is_socket: bool = False

    def __str__(self) -> str:
        return f"{'WebSocket' if self.is_socket else self.method} {self.path}"


def places_of(app: Frontdesk) -> list[Place]:
    """All that the application serves, but for its pages."""
    edge: Any = app.asgi
    found = []
    for path, door in edge._doors.items():
        assert isinstance(door, GuardedDoor), path
        found.append(Place("POST", path, door.may))
    for path, door in edge._sockets.items():
        assert isinstance(door, SocketDoor), path
        found.append(Place("GET", path, door.may, is_socket=True))
    for route in edge._rest._router.routes:
        assert isinstance(route, GuardedRoute), route
        found += [Place(method, route.path, route.may) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


PLACES = places_of(Frontdesk(Config(), read_environment({}), cast("Database", None), is_development=False))
ROLES: list[Role] = ["reviewer", "server", "operator"]


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[Frontdesk]:
    opened = Frontdesk(
        parse_config(SETTINGS, {}), read_environment({}), await open_database(sqlite_url), is_development=False
    )
    await opened.accounts.load()
    yield opened
    await opened.close()


async def asked(app: Frontdesk, place: Place, token: str | None) -> Answer:
    """Ask there, for things that are not there."""
    path = re.sub(r"\{\w+(:path)?\}", "unheard_of", place.path)
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    coming = [{"type": "http.request", "body": b"{}"}]
    return await ask(app.asgi, place.method, path, headers=headers, messages=coming, offers_socket=place.is_socket)


async def session_of(app: Frontdesk, user: str | None) -> str:
    new = NewSession("default", user, None, (), None, None, 60, is_refreshable=False, is_anonymous=user is None)
    return (await app.accounts.begin_session(new)).token


async def key_of(app: Frontdesk, role: Role, scopes: frozenset[str] | None = None) -> str:
    return (await app.accounts.create_key("default", "test", role, scopes, None))[1]


def outcome(answer: Answer) -> tuple[int, str | None]:
    """How somebody was refused; admitted where they were let in, whatever happened then."""
    if answer.status not in (401, 403):
        return ADMITTED
    return answer.status, answer.code


ADMITTED = (200, None)
NOBODY, ANOTHERS, TOO_NARROW = (401, "missing_credential"), (403, "forbidden"), (403, "missing_scope")


GUARDED = {place: place.may for place in PLACES if place.may is not None}


def test_what_is_open_to_everybody_is_written_down() -> None:
    assert {(place.method, place.path) for place in PLACES if place.may is None} == OPEN
    both = {(place.method, place.path) for place in PLACES if place.may is not None and place.may.or_nobody}
    assert both == OPEN_TO_NOBODY_TOO
    assert len(PLACES) > 20


async def test_nobody(app: Frontdesk) -> None:
    seen = {place: outcome(await asked(app, place, None)) for place in GUARDED}

    assert seen == {place: ADMITTED if may.or_nobody else NOBODY for place, may in GUARDED.items()}


@pytest.mark.parametrize("kind", ["user", "anonymous"])
async def test_a_user(app: Frontdesk, kind: str) -> None:
    """Another one each time, for some of these end their sessions."""
    seen: dict[Place, Any] = {}
    for place in GUARDED:
        token = await session_of(app, None if kind == "anonymous" else f"u{len(seen)}")
        seen[place] = outcome(await asked(app, place, token))

    assert seen == {
        place: ADMITTED if "user" in may.roles and (place.method, place.path, kind) not in REFUSED_WITHIN else ANOTHERS
        for place, may in GUARDED.items()
    }


@pytest.mark.parametrize("role", ROLES)
async def test_a_key(app: Frontdesk, role: Role) -> None:
    seen = {place: outcome(await asked(app, place, await key_of(app, role))) for place in GUARDED}

    assert seen == {place: ADMITTED if role in may.roles else ANOTHERS for place, may in GUARDED.items()}


@pytest.mark.parametrize("role", ROLES)
async def test_a_key_that_was_narrowed(app: Frontdesk, role: Role) -> None:
    """To all scopes but that of the place, and to that alone."""
    seen: dict[Place, Any] = {}
    for place, may in GUARDED.items():
        wanted = frozenset[str]() if may.scope is None else frozenset({may.scope})
        others = outcome(await asked(app, place, await key_of(app, role, SCOPES - wanted)))
        seen[place] = others, outcome(await asked(app, place, await key_of(app, role, wanted or SCOPES)))

    assert seen == {
        place: (ADMITTED if may.scope is None else TOO_NARROW, ADMITTED) if role in may.roles else (ANOTHERS, ANOTHERS)
        for place, may in GUARDED.items()
    }


async def test_who_is_nobody_any_more(app: Frontdesk) -> None:
    """An ended credential is refused everywhere, also where none is needed."""
    expired = new_secret_key()
    row = a_key("key_expired", role="operator", expires_at_ms=2_000)
    await AccountStore(app._database).create_key(row, hash_key(expired))
    revoked = await session_of(app, "u1")
    await app.accounts.end_sessions_of("default", "u1")

    for credential, code in ((expired, "key_expired"), (revoked, "token_revoked"), ("fd_sk_wrong", "invalid_api_key")):
        seen = {place: outcome(await asked(app, place, credential)) for place in GUARDED}
        assert seen == dict.fromkeys(GUARDED, (401, code))


@pytest.mark.parametrize("place", [pytest.param(each, id=str(each)) for each in PLACES if each.may is None])
async def test_what_is_open_looks_at_no_credential(app: Frontdesk, place: Place) -> None:
    alone = await asked(app, place, None)

    for token in (await key_of(app, "operator"), await session_of(app, "u1"), "fd_sk_wrong"):
        answer = await asked(app, place, token)
        assert (answer.status, answer.body) == (alone.status, alone.body)


async def test_pages_and_what_is_not_there_are_open(app: Frontdesk) -> None:
    for path in ("/", "/unheard_of", "/api/unheard_of", "/v1/unheard_of", "/api/admin"):
        alone = await asked(app, Place("GET", path, None), None)
        wrong = await asked(app, Place("GET", path, None), "fd_sk_wrong")
        assert alone.status == wrong.status
        assert alone.status in (200, 404)
