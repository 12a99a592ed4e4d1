"""Who may call a route stands in its handler's signature, and every request is held to it."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Annotated, Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.core.errors import Forbidden, FrontdeskError, Unauthenticated
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded, open_to_all
from frontdesk.http.edge import Edge
from frontdesk.http.requests import Head
from frontdesk.http.starlette import Routes, read_json
from frontdesk.turn.turn import Caller, Role
from tests.http.asgi import Answer, ask


class OneCaller:
    """Everybody is this caller, or this error."""

    def __init__(self, caller: Caller | FrontdeskError, *, is_known: bool = False) -> None:
        self._caller = caller
        self._is_known = is_known
        self.identified = 0

    def known(self, head: Head) -> Caller | None:
        return self._caller if self._is_known and isinstance(self._caller, Caller) else None

    def identify(self, head: Head) -> Awaitable[Caller]:
        return self._identify()

    async def _identify(self) -> Caller:
        self.identified += 1
        if isinstance(self._caller, FrontdeskError):
            raise self._caller
        return self._caller


async def tell(_: Request, caller: Annotated[Caller, May("server", "operator", scope="keys")]) -> Response:
    return JSONResponse(caller.role)


async def greet(_: Request, caller: Annotated[Caller | None, May("server", or_nobody=True)]) -> Response:
    return JSONResponse("nobody" if caller is None else caller.role)


async def asked(callers: Callers, handler: Any = tell, **request: Any) -> Answer:
    routes = Routes([guarded("/here", "GET", handler, callers)], Routes([], None))  # type: ignore[arg-type]
    return await ask(Edge({}, routes), "GET", "/here", **request)


@pytest.mark.parametrize("is_known", [True, False])
async def test_who_may_call_is_asked_in(is_known: bool) -> None:
    callers = OneCaller(Caller("operator", "key_1"), is_known=is_known)

    assert (await asked(callers)).body == "operator"
    assert callers.identified == (0 if is_known else 2), "before the body and behind it"


@pytest.mark.parametrize("role", ["user", "reviewer"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_other_roles_are_refused(role: Role, is_known: bool) -> None:
    answer = await asked(OneCaller(Caller(role, "x"), is_known=is_known))

    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(None, 200), (frozenset({"keys"}), 200), (frozenset({"keys", "turns"}), 200), (frozenset({"turns"}), 403),
     (frozenset[str](), 403)],
)  # fmt: skip
async def test_a_narrowed_key_needs_the_scope(scopes: frozenset[str] | None, status: int) -> None:
    answer = await asked(OneCaller(Caller("server", "key_1", scopes=scopes)))

    assert answer.status == status
    assert status == 200 or answer.code == "missing_scope"


def test_refusals_name_what_the_key_is_and_what_it_takes() -> None:
    may = May("server", "operator", scope="keys")

    with pytest.raises(Forbidden, match=r"role 'reviewer'. Only these may do it: operator, server\."):
        may.check(Caller("reviewer", "key_1"))
    with pytest.raises(Forbidden, match=r"scopes are sessions, turns; this needs 'keys'\."):
        may.check(Caller("server", "key_1", scopes=frozenset({"turns", "sessions"})))
    with pytest.raises(Forbidden, match="needs a secret key"):
        may.check(Caller("user", "sess_1"))


AUTHORIZED = [(b"authorization", b"Bearer x")]
COOKIE = [(b"cookie", b"_ga=1")]


@pytest.mark.parametrize("headers", [[], COOKIE])
async def test_nobody_is_let_in_where_nobody_may(headers: list[tuple[bytes, bytes]]) -> None:
    nobody = OneCaller(Unauthenticated("No.", code="missing_credential"))

    assert (await asked(nobody, greet, headers=headers)).body == "nobody"
    assert (await asked(nobody, tell, headers=headers)).status == 401


async def test_a_wrong_credential_is_not_nobody_but_an_ended_cookie_is() -> None:
    ended = OneCaller(Unauthenticated("No.", code="token_revoked"))

    assert (await asked(ended, greet, headers=AUTHORIZED)).code == "token_revoked"
    assert (await asked(ended, greet, headers=COOKIE)).body == "nobody"


async def test_a_forged_request_is_refused_even_where_nobody_may_ask() -> None:
    forged = OneCaller(Forbidden("No.", code="csrf_failed"))

    assert (await asked(forged, greet, headers=COOKIE)).code == "csrf_failed"


async def test_somebody_who_may_not_is_refused_where_nobody_may() -> None:
    answer = await asked(OneCaller(Caller("user", "sess_1")), greet)

    assert answer.status == 403


class Revocable(OneCaller):
    """Everybody is this caller until `revoke`."""

    def revoke(self, instead: Caller | FrontdeskError) -> None:
        self._caller = instead


REVOKED = Unauthenticated("No.", code="token_revoked")
OPERATOR = Caller("operator", "key_1")


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    ("instead", "code"),
    [(REVOKED, "token_revoked"), (Caller("operator", "key_1", scopes=frozenset()), "missing_scope")],
)
async def test_who_may_no_longer_when_the_body_is_whole_did_nothing(
    is_known: bool, instead: Caller | FrontdeskError, code: str
) -> None:
    callers = Revocable(OPERATOR, is_known=is_known)
    done: list[Caller] = []

    async def act(_: Request, caller: Annotated[Caller, May("operator", scope="keys")]) -> Response:
        done.append(caller)
        return JSONResponse("done")

    def body() -> Iterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"{", "more_body": True}
        callers.revoke(instead)
        yield {"type": "http.request", "body": b"}"}

    answer = await asked(callers, act, messages=body())

    assert (answer.code, done) == (code, [])


async def test_a_cookie_that_ended_when_the_body_is_whole_is_nobodys() -> None:
    callers = Revocable(Caller("server", "key_1"))

    def body() -> Iterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"", "more_body": True}
        callers.revoke(REVOKED)
        yield {"type": "http.request", "body": b""}

    assert (await asked(callers, greet, headers=COOKIE, messages=body())).body == "nobody"


async def test_no_body_is_read_for_who_may_not_call() -> None:
    def body() -> Iterator[dict[str, Any]]:
        pytest.fail("It was asked for.")
        yield {}

    assert (await asked(OneCaller(REVOKED), messages=body())).code == "token_revoked"
    assert (await asked(OneCaller(Caller("user", "sess_1")), messages=body())).code == "forbidden"


class _Name(msgspec.Struct):
    name: str


async def test_a_handler_reads_the_body_that_came_and_then_hears_of_a_hang_up() -> None:
    async def act(request: Request, caller: Annotated[Caller, May("operator")]) -> Response:
        name = (await read_json(request, _Name)).name
        return JSONResponse([name, (await request.receive())["type"]])

    parts = [
        {"type": "http.request", "body": b'{"name": ', "more_body": True},
        {"type": "http.request", "body": b'"Ann"}'},
        {"type": "http.disconnect"},
    ]

    assert (await asked(OneCaller(OPERATOR), act, messages=parts)).body == ["Ann", "http.disconnect"]


async def test_a_body_that_is_too_large_is_refused_before_anything_is_done() -> None:
    answer = await asked(OneCaller(OPERATOR), messages=[{"type": "http.request", "body": b" " * 1_048_577}])

    assert (answer.status, answer.code) == (413, "request_too_large")


def test_a_handler_that_does_not_say_who_may_is_no_route() -> None:
    async def silent(request: Request, caller: Caller) -> Response: ...

    async def without(request: Request) -> Response: ...

    for handler in (silent, without):
        with pytest.raises(TypeError, match=r"does not say who may call it: annotate 'caller' with May\(\.\.\.\)"):
            guarded("/here", "GET", handler, OneCaller(Caller("server", "key_1")))  # type: ignore[arg-type]


def test_routes_tell_who_may() -> None:
    async def everybody(request: Request) -> Response: ...

    route = guarded("/here", "GET", tell, OneCaller(Caller("server", "key_1")))

    assert isinstance(route, GuardedRoute)
    assert route.may is not None
    assert (route.may.roles, route.may.scope, route.may.or_nobody) == ({"server", "operator"}, "keys", False)
    assert open_to_all("/here", "GET", everybody).may is None
