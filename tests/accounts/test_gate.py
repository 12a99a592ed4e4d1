"""The gate takes one credential of a request, and asks of cookies and persons what else they need."""

from __future__ import annotations

import hashlib

import pytest

from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.gate import Gate
from frontdesk.core.config import App, Attestation
from frontdesk.core.errors import BadRequest, Forbidden, FrontdeskError, Unauthenticated, Unavailable
from frontdesk.http.requests import Head
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock

SERVER = Caller("server", "key_1")
PERSON = Caller("user", "sess_1", "u1")
PHONE = Caller("user", "sess_2", "u2", app="phone")
WEB = Caller("user", "sess_3", "u3", app="web")
CREDENTIALS = {
    b"Bearer fd_sk_1": SERVER,
    b"Bearer fd_st_1": PERSON,
    b"Bearer fd_st_2": PHONE,
    b"Bearer fd_st_3": WEB,
    b"Bearer fd_st_4": Caller("user", "sess_4", "u4", app="an app of yesterday"),
}


class FakeCredentials:
    """Accounts of the callers above, which are known where the test says so."""

    def __init__(self, *, are_known: bool = False) -> None:
        self.are_known = are_known
        self.asked: list[bytes | None] = []

    def known(self, authorization: bytes | None) -> Caller | None:
        assert authorization is not None
        self.asked.append(authorization)
        return CREDENTIALS.get(authorization) if self.are_known else None

    async def identify(self, authorization: bytes | None) -> Caller:
        assert authorization is not None
        self.asked.append(authorization)
        if authorization not in CREDENTIALS:
            raise Unauthenticated("Unheard of.", code="invalid_token")
        return CREDENTIALS[authorization]

    def csrf_token(self, session_id: str) -> str:
        return f"csrf of {session_id}"


class FakeAttestor:
    """Attests what a token says: "app:expiry"."""

    def __init__(self) -> None:
        self.checked = 0
        self.is_reachable = True
        self.generation = 0

    async def attested_app(self, token: str) -> tuple[str, float]:
        self.checked += 1
        if not self.is_reachable:
            raise Unavailable("The keys of the issuer cannot be read.")
        app, colon, expires_at = token.partition(":")
        if not colon:
            raise Unauthenticated("It is not signed by a known key.", code="invalid_token")
        return app, float(expires_at)


ATTESTED = App(attestation=Attestation(issuer="https://attest.example", audience="projects/1"))
APPS = {"phone": ATTESTED, "tablet": ATTESTED, "web": App()}


class World:
    """A gate and all that it asks."""

    def __init__(
        self, *, are_known: bool = False, takes_cookies: bool = True, apps: dict[str, App] | None = None
    ) -> None:
        self.clock = HandClock()
        self.credentials = FakeCredentials(are_known=are_known)
        self.attestor = FakeAttestor()
        self.attestations = Attestations(self.attestor, apps or {}, self.clock)
        self.gate = Gate(
            self.credentials, self.attestations, takes_cookies=takes_cookies, origins=["https://app.example"]
        )

    async def caller(self, head: Head) -> Caller:
        return self.gate.known(head) or await self.gate.identify(head)

    async def refusal(self, head: Head) -> tuple[int, str]:
        assert self.gate.known(head) is None
        with pytest.raises(FrontdeskError) as refusal:
            await self.gate.identify(head)
        return refusal.value.status, refusal.value.code


@pytest.fixture(params=[True, False], ids=["known", "new"])
def world(request: pytest.FixtureRequest) -> World:
    """A gate whose callers were seen before, and one whose were not: both must answer alike."""
    return World(are_known=request.param)


@pytest.fixture(params=[True, False], ids=["known", "new"])
def attesting(request: pytest.FixtureRequest) -> World:
    return World(are_known=request.param, apps=APPS)


def head(*, method: str = "POST", scheme: str = "http", **headers: str) -> Head:
    """A request's head; `_` in a header's name is `-`."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Head({"method": method, "scheme": scheme, "headers": [(b"host", b"desk.example"), *pairs]})


# --- one credential -----------------------------------------------------------------------------


async def test_an_authorization_counts_and_a_cookie_beside_it_does_not(world: World) -> None:
    for cookie in (
        "frontdesk_session=fd_st_1",
        "frontdesk_session=nonsense",
        "frontdesk_session=1; frontdesk_session=2",
    ):
        assert await world.caller(head(authorization="Bearer fd_st_2", cookie=cookie)) is PHONE

    assert set(world.credentials.asked) == {b"Bearer fd_st_2"}
    assert await world.refusal(head(authorization="Bearer x", cookie="frontdesk_session=fd_st_1")) == (
        401,
        "invalid_token",
    )


@pytest.mark.parametrize(
    "cookie", [None, "", "other=1", "__Host-frontdesk_session=fd_st_1", "frontdesk_refresh=fd_st_1"]
)
async def test_nothing_is_no_credential(world: World, cookie: str | None) -> None:
    asking = head() if cookie is None else head(cookie=cookie)

    assert await world.refusal(asking) == (401, "missing_credential")
    assert world.credentials.asked == []


async def test_cookies_count_only_where_they_are_taken() -> None:
    world = World(are_known=True, takes_cookies=False)

    asking = head(method="GET", cookie="frontdesk_session=fd_st_1; frontdesk_session=fd_st_1")

    assert await world.refusal(asking) == (401, "missing_credential")
    assert world.credentials.asked == []


@pytest.mark.parametrize(("scheme", "name"), [("http", "frontdesk_session"), ("https", "__Host-frontdesk_session")])
async def test_a_cookie_of_the_schemes_own_name(world: World, scheme: str, name: str) -> None:
    assert await world.caller(head(method="GET", scheme=scheme, cookie=f"a=1; {name}=fd_st_1")) is PERSON


@pytest.mark.parametrize("token", ["fd_sk_1", "eyJ.a.b", "", "x"])
async def test_a_cookie_holds_nothing_but_a_session_token(world: World, token: str) -> None:
    assert await world.refusal(head(method="GET", cookie=f"frontdesk_session={token}")) == (401, "invalid_token")
    assert world.credentials.asked == []


async def test_two_cookies_of_its_name_are_refused(world: World) -> None:
    asking = head(method="GET", cookie="frontdesk_session=fd_st_1; frontdesk_session=fd_st_1")

    for ask in (world.gate.known, world.gate.identify):
        with pytest.raises(BadRequest, match="came 2 times"):
            await ask(asking)  # type: ignore[misc]


# --- requests that others forge -----------------------------------------------------------------

COOKIE = "frontdesk_session=fd_st_1"
CSRF = "csrf of sess_1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY", "get"])
async def test_what_may_change_something_needs_the_sessions_csrf_token(world: World, method: str) -> None:
    assert await world.caller(head(method=method, cookie=COOKIE, frontdesk_csrf=CSRF)) is PERSON

    for wrong in ({}, {"frontdesk_csrf": "csrf of sess_2"}, {"frontdesk_csrf": ""}, {"frontdesk_csrf": "\xff"}):
        assert await world.refusal(head(method=method, cookie=COOKIE, **wrong)) == (403, "csrf_failed")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_only_reads_needs_none(world: World, method: str) -> None:
    for origin in ({}, {"origin": "https://evil.example"}):
        assert await world.caller(head(method=method, cookie=COOKIE, **origin)) is PERSON


async def test_an_authorization_needs_none(world: World) -> None:
    """No browser sends one by itself."""
    assert await world.caller(head(authorization="Bearer fd_st_1", origin="https://evil.example")) is PERSON


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "desk.example", "http://desk.example"),
        ("http", "DESK.example", "http://desk.example"),
        ("http", "desk.example:80", "http://desk.example"),
        ("http", "desk.example:8000", "http://desk.example:8000"),
        ("https", "desk.example", "https://desk.example"),
        ("https", "desk.example:443", "https://desk.example"),
        ("http", "[::1]:8000", "http://[::1]:8000"),
        ("http", "desk.example", "https://app.example"),
        ("https", "desk.example", "https://app.example"),
    ],
)
async def test_pages_of_its_own_and_configured_origins_may(world: World, scheme: str, host: str, origin: str) -> None:
    assert await world.caller(by_cookie(scheme, host, origin)) is PERSON


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "desk.example", "http://evil.example"),
        ("http", "desk.example", "https://desk.example"),
        ("https", "desk.example", "http://desk.example"),
        ("http", "desk.example", "http://desk.example:8000"),
        ("http", "desk.example:443", "http://desk.example"),
        ("http", "desk.example", "http://desk.example.evil.example"),
        ("http", "desk.example", "http://desk.example/"),
        ("http", "desk.example", "http://app.example"),
        ("http", "desk.example", "null"),
        ("http", "desk.example", ""),
    ],
)
async def test_pages_of_other_origins_may_not(world: World, scheme: str, host: str, origin: str) -> None:
    assert await world.refusal(by_cookie(scheme, host, origin)) == (403, "csrf_failed")


def by_cookie(scheme: str, host: str, origin: str) -> Head:
    """A request with all that a cookie needs, of a page of this origin."""
    name = b"__Host-frontdesk_session" if scheme == "https" else b"frontdesk_session"
    pairs = [(b"host", host.encode()), (b"origin", origin.encode()), (b"frontdesk-csrf", CSRF.encode())]
    return Head({"method": "POST", "scheme": scheme, "headers": [*pairs, (b"cookie", name + b"=fd_st_1")]})


async def test_refusals_say_what_to_do(world: World) -> None:
    with pytest.raises(Forbidden, match=r"needs the header Frontdesk-CSRF .* GET /api/sessions/current tells it"):
        await world.gate.identify(head(cookie=COOKIE))
    with pytest.raises(
        Forbidden, match=r"'https://desk.example'.*'http://desk.example'.*cors.origins.*trusted_proxies"
    ):
        await world.gate.identify(by_cookie("http", "desk.example", "https://desk.example"))


# --- attestation --------------------------------------------------------------------------------


async def test_where_no_app_has_attestation_none_is_needed_nor_looked_at() -> None:
    world = World(apps={"web": App()})

    for token in ({}, {"frontdesk_attestation": "nonsense"}):
        assert await world.caller(head(authorization="Bearer fd_st_2", **token)) is PHONE
    assert world.attestor.checked == 0


@pytest.mark.parametrize("header", ["frontdesk_attestation", "x_firebase_appcheck"])
async def test_a_credential_of_an_app_needs_that_apps(attesting: World, header: str) -> None:
    assert await attesting.caller(head(authorization="Bearer fd_st_2", **{header: good(attesting, "phone")})) is PHONE
    assert await attesting.refusal(head(authorization="Bearer fd_st_2")) == (401, "attestation_required")
    other = head(authorization="Bearer fd_st_2", **{header: good(attesting, "tablet")})
    assert await attesting.refusal(other) == (401, "attestation_invalid")


async def test_a_credential_of_an_app_without_needs_none(attesting: World) -> None:
    assert await attesting.caller(head(authorization="Bearer fd_st_3")) is WEB


@pytest.mark.parametrize("token", ["fd_st_1", "fd_st_4"])
async def test_a_credential_of_no_app_needs_any(attesting: World, token: str) -> None:
    for app in ("phone", "tablet"):
        asking = head(authorization=f"Bearer {token}", frontdesk_attestation=good(attesting, app))
        assert (await attesting.caller(asking)).role == "user"
    assert await attesting.refusal(head(authorization=f"Bearer {token}")) == (401, "attestation_required")


async def test_a_cookie_needs_it_as_well(attesting: World) -> None:
    assert await attesting.refusal(head(method="GET", cookie=COOKIE)) == (401, "attestation_required")


async def test_a_key_needs_none(attesting: World) -> None:
    for token in ({}, {"frontdesk_attestation": "nonsense"}):
        assert await attesting.caller(head(authorization="Bearer fd_sk_1", **token)) is SERVER
    assert attesting.attestor.checked == 0


async def test_the_refusal_says_which_token_is_bad(attesting: World) -> None:
    with pytest.raises(Unauthenticated, match="attestation token, not the user's, is refused: It is not signed") as bad:
        await attesting.gate.identify(head(authorization="Bearer fd_st_2", frontdesk_attestation="nonsense"))
    assert bad.value.code == "attestation_invalid"
    with pytest.raises(Unauthenticated, match=r"^Unheard of"):
        await attesting.gate.identify(head(authorization="Bearer x", frontdesk_attestation=good(attesting, "phone")))


async def test_an_issuer_that_cannot_be_asked_is_no_bad_token(attesting: World) -> None:
    attesting.attestor.is_reachable = False

    asking = head(authorization="Bearer fd_st_2", frontdesk_attestation=good(attesting, "phone"))

    assert await attesting.refusal(asking) == (503, "server_overloaded")


async def test_a_token_is_verified_once_and_holds_until_it_expires() -> None:
    world = World(are_known=True, apps=APPS)
    token = good(world, "phone")
    asking = head(authorization="Bearer fd_st_2", frontdesk_attestation=token)

    assert world.gate.known(asking) is None
    assert [await world.gate.identify(asking) for _ in range(3)] == [PHONE] * 3
    assert world.gate.known(asking) is PHONE
    assert world.attestor.checked == 1
    world.clock.move(60)
    assert world.gate.known(asking) is None
    assert list(world.attestations._known) == [hashlib.sha256(token.encode()).digest()]


async def test_a_token_that_is_known_attests_its_own_app_alone() -> None:
    world = World(are_known=True, apps=APPS)
    token = good(world, "tablet")
    assert await world.caller(head(authorization="Bearer fd_st_1", frontdesk_attestation=token)) is PERSON

    of_phone = head(authorization="Bearer fd_st_2", frontdesk_attestation=token)

    assert await world.refusal(of_phone) == (401, "attestation_invalid")
    assert world.attestor.checked == 1


async def test_what_is_known_ends_with_the_keys_that_it_was_verified_by() -> None:
    world = World(are_known=True, apps=APPS)
    asking = head(authorization="Bearer fd_st_2", frontdesk_attestation=good(world, "phone"))
    await world.gate.identify(asking)
    world.attestor.generation += 1

    assert world.gate.known(asking) is None
    assert await world.gate.identify(asking) is PHONE
    assert world.gate.known(asking) is PHONE
    assert world.attestor.checked == 2


async def test_so_many_tokens_are_remembered_and_no_more() -> None:
    world = World(apps=APPS)

    for number in range(20_010):
        await world.attestations.check("phone", f"phone:{world.clock.now() + number + 1}".encode())

    assert len(world.attestations._known) <= 20_000


def good(world: World, app: str) -> str:
    return f"{app}:{world.clock.now() + 60}"
