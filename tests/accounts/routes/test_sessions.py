"""Sessions begin for who may begin them, go on by refresh tokens, and end; in a cookie as in a bearer's hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk, attestation, cookies_of, desk_of, signed_in
from tests.http.asgi import Answer

DEVICE = "device-0123456789"
COOKIE = "frontdesk_session"
REFRESH_COOKIE = "frontdesk_refresh"


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def with_issuer(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(database, tmp_path, has_issuer=True) as opened:
        yield opened


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


# --- by a secret key ----------------------------------------------------------------------------


async def test_a_key_begins_a_session_of_anybody(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"user": "u1"}, bearer=ADMIN_KEY)

    assert answer.status == 200
    assert answer.body == {
        "id": answer.body["id"],
        "token": answer.body["token"],
        "user": "u1",
        "expires_at": int(desk.clock.now()) + 3600,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.all("set-cookie") == []


async def test_a_key_says_what_the_session_may(desk: Desk) -> None:
    session = await desk.begin(
        user="u1", tier="paid", groups=["b", "a", "b"], features=["chat", "drafts"], app="phone", expires_in=60
    )

    assert session["expires_at"] == int(desk.clock.now()) + 60
    assert await desk.me(session["token"]) == {
        "role": "user",
        "id": session["id"],
        "expires_at": session["expires_at"],
        "models": ["fast", "best"],
        "user": "u1",
        "anonymous": False,
        "tier": "paid",
        "groups": ["b", "a"],
        "features": ["chat", "drafts"],
        "app": "phone",
        "limits": [],
        "budgets": [],
        "works": {"models": ["fast", "best"], "free_models": []},
    }


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({}, "missing_required_parameter", "'user'"),
        ({"user": ""}, "invalid_value", "1 to 128"),
        ({"user": "u" * 129}, "invalid_value", "1 to 128"),
        ({"user": "a\nb"}, "invalid_value", "printable"),
        ({"user": "u1", "tier": "gold"}, "unknown_tier", "Known: free, guest, paid."),
        ({"user": "u1", "features": ["chat", "sing"]}, "unknown_feature", "Known: chat, drafts, summaries."),
        ({"user": "u1", "app": "watch"}, "unknown_app", "Known: phone, web."),
        ({"user": "u1", "groups": [f"g{n}" for n in range(65)]}, "invalid_value", "64 at most"),
        ({"user": "u1", "groups": [""]}, "invalid_value", "1 to 128"),
        ({"user": "u1", "groups": ["g" * 129]}, "invalid_value", "1 to 128"),
        ({"user": "u1", "groups": ["a\x00"]}, "invalid_value", "printable"),
        ({"user": "u1", "features": ["chat"] * 65}, "invalid_value", "64 at most"),
        ({"user": "u1", "expires_in": 0}, "invalid_value", "from 1 to"),
        ({"user": "u1", "expires_in": 31_622_401}, "invalid_value", "from 1 to"),
        ({"user": "u1", "expires_in": "1h"}, "invalid_value", "expires_in"),
        ({"user": "u1", "surprise": 1}, "invalid_value", "`surprise`"),
        ({"user": 1}, "invalid_value", "user"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(desk: Desk, asked: dict[str, Any], code: str, says: str) -> None:
    answer = await desk.ask("POST", "/api/sessions", asked, bearer=ADMIN_KEY)

    assert refused(answer) == (400, code)
    assert says in answer.body["error"]["message"]


async def test_a_device_means_nothing_to_a_key(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"user": "u1", "device": DEVICE}, bearer=ADMIN_KEY)

    assert refused(answer) == (403, "forbidden")


# --- by nobody ----------------------------------------------------------------------------------


async def test_somebody_new_begins(desk: Desk) -> None:
    first, second = await desk.begin(bearer=None), await desk.begin(bearer=None, expires_in=60)

    now = int(desk.clock.now())
    assert first["user"] != second["user"]
    assert (first["expires_at"], second["expires_at"]) == (now + 3600, now + 60)
    assert first["refresh_expires_at"] == now + 2_592_000
    assert (await desk.me(first["token"]))["anonymous"] is True
    assert (await desk.me(first["token"]))["tier"] == "guest"
    assert (await desk.begin(bearer=None, expires_in=86_400))["expires_at"] == now + 3600  # it can be refreshed


@pytest.mark.parametrize("field", ["user", "tier", "groups", "features", "app"])
async def test_somebody_new_chooses_nothing(desk: Desk, field: str) -> None:
    value = ["x"] if field in ("groups", "features") else "x"

    answer = await desk.ask("POST", "/api/sessions", {field: value})

    assert refused(answer) == (403, "forbidden")
    assert answer.body["error"]["message"].startswith(f"'{field}' cannot be chosen here.")


async def test_nobody_begins_where_it_is_not_allowed(desk: Desk) -> None:
    desk.config.auth.anonymous = False

    for body in ({}, {"surprise": 1}):
        assert refused(await desk.ask("POST", "/api/sessions", body)) == (401, "missing_credential")


async def test_a_wrong_credential_begins_nothing(desk: Desk) -> None:
    assert refused(await desk.ask("POST", "/api/sessions", {}, bearer="fd_sk_wrong")) == (401, "invalid_api_key")


@pytest.mark.parametrize("device", ["short", "d" * 129, "device-0123456\n89"])
async def test_a_device_has_a_name_that_nobody_guesses(desk: Desk, device: str) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"device": device})

    assert refused(answer) == (400, "invalid_value")
    assert "16 to 128 printable characters" in answer.body["error"]["message"]


async def test_so_many_begin_from_an_address_and_from_a_device(desk: Desk) -> None:
    of_device = [await desk.ask("POST", "/api/sessions", {"device": DEVICE}, address=f"192.0.2.{n}") for n in range(3)]
    of_address = [await desk.ask("POST", "/api/sessions", {}, address="192.0.2.9") for _ in range(6)]

    assert [answer.status for answer in of_device] == [200, 200, 429]
    assert [answer.status for answer in of_address] == [200] * 5 + [429]
    assert of_device[-1].headers["retry-after"] == "1800"
    assert (
        await desk.ask("POST", "/api/sessions", {"user": "u1"}, bearer=ADMIN_KEY, address="192.0.2.9")
    ).status == 200


async def test_somebody_new_needs_the_attestation_of_an_app_and_is_bound_to_it(
    database: Database, tmp_path: Path
) -> None:
    async with desk_of(database, tmp_path, attested=("phone",)) as desk:
        token = attestation(desk, "phone")

        without = await desk.ask("POST", "/api/sessions", {})
        wrong = await desk.ask("POST", "/api/sessions", {}, frontdesk_attestation="ey.not.one")
        good = await desk.ask("POST", "/api/sessions", {}, x_firebase_appcheck=token)
        begun = good.body["token"]
        me = await desk.ask("GET", "/api/me", bearer=begun, frontdesk_attestation=token)

        assert refused(without) == (401, "attestation_required")
        assert refused(wrong) == (401, "attestation_invalid")
        assert (good.status, me.body["app"]) == (200, "phone")
        assert refused(await desk.ask("GET", "/api/me", bearer=begun)) == (401, "attestation_required")


# --- by a user's own token ----------------------------------------------------------------------


async def test_a_session_begins_no_other(desk: Desk) -> None:
    """It would outlive what ends the first one: the reuse of its refresh token, its end, its expiry."""
    session, anonymous = await desk.begin(user="u1", refreshable=True), await desk.begin(bearer=None)

    for token in (session["token"], anonymous["token"]):
        for asked in ({}, {"cookie": False}, {"expires_in": 30}):
            answer = await desk.ask("POST", "/api/sessions", asked, bearer=token)
            assert refused(answer) == (400, "session_exists")
            assert "POST /api/sessions/refresh" in answer.body["error"]["message"]
    rows = (await desk.ask("GET", "/api/users/u1/sessions", bearer=ADMIN_KEY)).body["data"]
    assert [row["id"] for row in rows] == [session["id"]]


async def test_what_came_by_cookie_is_told_to_no_script(desk: Desk) -> None:
    begun = await desk.ask("POST", "/api/sessions", {"cookie": True})
    cookie, csrf = f"{COOKIE}={cookies_of(begun)[COOKIE]}", begun.body["csrf_token"]

    for asked in ({}, {"cookie": True}):
        answer = await desk.ask("POST", "/api/sessions", asked, cookie=cookie, frontdesk_csrf=csrf)
        assert refused(answer) == (400, "session_exists")
        assert answer.all("set-cookie") == []
        assert "fd_st_" not in str(answer.body)


async def test_a_session_goes_into_a_cookie_as_it_is(desk: Desk) -> None:
    """Its refresh token stays with who has it: in two hands it would soon be reused."""
    session = await desk.begin(user="u1", tier="paid", groups=["g"], app="phone", refreshable=True, expires_in=600)
    desk.clock.move(60)

    answer = await desk.ask("POST", "/api/sessions", {"cookie": True, "expires_in": 9000}, bearer=session["token"])

    csrf = answer.body["csrf_token"]
    assert answer.body == {
        "id": session["id"],
        "user": "u1",
        "expires_at": session["expires_at"],
        "csrf_token": csrf,
    }
    assert cookies_of(answer) == {COOKIE: session["token"], REFRESH_COOKIE: ""}
    assert "; Max-Age=540;" in answer.all("set-cookie")[0]
    cookie = f"{COOKIE}={session['token']}"
    ended = await desk.ask("DELETE", "/api/sessions/current", cookie=cookie, frontdesk_csrf=csrf)
    assert ended.body["id"] == session["id"]
    assert refused(await desk.ask("GET", "/api/me", bearer=session["token"])) == (401, "token_revoked")


async def test_a_session_that_is_too_long_for_a_cookie_holds_on(desk: Desk) -> None:
    session = await desk.begin(user="u1", groups=[f"{'g' * 100}{number}" for number in range(60)])

    answer = await desk.ask("POST", "/api/sessions", {"cookie": True}, bearer=session["token"])

    assert refused(answer) == (400, "session_too_long")
    assert (await desk.me(session["token"]))["id"] == session["id"]


@pytest.mark.parametrize("field", ["user", "tier", "groups", "features", "app", "refreshable", "device"])
async def test_a_users_token_chooses_nothing(with_issuer: Desk, field: str) -> None:
    session = await with_issuer.begin(user="u1")
    value: Any = {"groups": ["x"], "features": ["chat"], "refreshable": True}.get(field, "x")

    for token in (session["token"], signed_in(with_issuer)):
        answer = await with_issuer.ask("POST", "/api/sessions", {field: value, "cookie": True}, bearer=token)
        assert refused(answer) == (403, "forbidden")


async def test_sixty_sessions_an_hour_begin_with_tokens_of_one_user(with_issuer: Desk) -> None:
    desk = with_issuer
    tokens = [signed_in(desk, "u1"), signed_in(desk, "u1", jti="another")]
    for number in range(60):
        await desk.begin(bearer=tokens[number % 2])

    answer = await desk.ask("POST", "/api/sessions", {}, bearer=tokens[0])

    assert refused(answer) == (429, "rate_limit_exceeded")
    assert answer.headers["retry-after"] == "60"
    assert "60 sessions an hour" in answer.body["error"]["message"]
    await desk.begin(bearer=signed_in(desk, "u2"))
    await desk.begin(user="u1")
    desk.clock.move(60)
    await desk.begin(bearer=tokens[0])


async def test_a_session_carries_all_groups_of_the_token_that_begins_it(with_issuer: Desk) -> None:
    desk = with_issuer
    token = signed_in(desk, groups=[f"group-{number}" for number in range(100)])

    session = await desk.begin(bearer=token)

    assert (await desk.me(session["token"]))["groups"] == (await desk.me(token))["groups"]
    assert len((await desk.me(session["token"]))["groups"]) == 100
    too_long = signed_in(desk, groups=[f"{'g' * 60}{number}" for number in range(60)])
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True}, bearer=too_long)
    assert refused(answer) == (400, "session_too_long")


async def test_a_token_of_an_identity_provider_becomes_a_session(with_issuer: Desk) -> None:
    desk = with_issuer
    token = signed_in(desk, "u1", plan="paid", groups=["g"], scope="chat drafts")

    session = await desk.begin(bearer=token)

    assert session["expires_at"] == int(desk.clock.now()) + 300
    assert await desk.me(session["token"]) == {**(await desk.me(token)), "id": session["id"]}


async def test_the_tier_that_a_token_claims_is_the_sessions_alone(with_issuer: Desk) -> None:
    """Who was premium once would be so for ever, if it became the person's."""
    desk = with_issuer
    session = await desk.begin(bearer=signed_in(desk, "u1", plan="paid"))

    assert (await desk.me(session["token"]))["tier"] == "paid"
    assert (await desk.me(signed_in(desk, "u1")))["tier"] == "free"
    assert (await desk.me((await desk.begin(user="u1"))["token"]))["tier"] == "free"


async def test_an_operators_tier_counts_more_than_a_claim_and_is_not_kept_in_a_session(with_issuer: Desk) -> None:
    desk = with_issuer
    await desk.ask("PATCH", "/api/admin/users/u1", {"tier": "paid"}, bearer=ADMIN_KEY)
    session = await desk.begin(bearer=signed_in(desk, "u1", plan="guest"))

    assert (await desk.me(session["token"]))["tier"] == "paid"
    await desk.ask("PATCH", "/api/admin/users/u1", {"tier": None}, bearer=ADMIN_KEY)
    assert (await desk.me(session["token"]))["tier"] == "guest"


# --- refreshing ---------------------------------------------------------------------------------


async def test_a_refresh_token_brings_the_next_pair(desk: Desk) -> None:
    first = await desk.begin(user="u1", refreshable=True, expires_in=600, groups=["g"])
    desk.clock.move(700)

    answer = await desk.ask("POST", "/api/sessions/refresh", {"refresh_token": first["refresh_token"]})

    assert answer.status == 200
    now = int(desk.clock.now())
    second = answer.body
    assert {**second, "token": "", "refresh_token": ""} == {
        "id": first["id"],
        "user": "u1",
        "expires_at": now + 600,
        "refresh_expires_at": now + 2_592_000,
        "token": "",
        "refresh_token": "",
    }
    assert second["refresh_token"] != first["refresh_token"]
    assert (await desk.me(second["token"]))["groups"] == ["g"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_lost_reply_is_given_again_and_a_stolen_token_ends_the_session(desk: Desk) -> None:
    first = await desk.begin(user="u1", refreshable=True)
    refresh = {"refresh_token": first["refresh_token"]}
    answers = [await desk.ask("POST", "/api/sessions/refresh", refresh) for _ in range(3)]
    assert [answer.body for answer in answers] == [answers[0].body] * 3
    assert (await desk.ask("GET", "/api/me", bearer=answers[0].body["token"])).status == 200
    await desk.accounts.refresh()
    await desk.database.flush()
    desk.clock.move(61)

    assert refused(await desk.ask("POST", "/api/sessions/refresh", refresh)) == (401, "refresh_token_reused")

    newest = {"refresh_token": answers[0].body["refresh_token"]}
    assert refused(await desk.ask("POST", "/api/sessions/refresh", newest)) == (401, "token_revoked")
    assert refused(await desk.ask("GET", "/api/me", bearer=answers[0].body["token"])) == (401, "token_revoked")


async def test_who_loses_the_reply_for_a_day_goes_on_as_the_same_person(desk: Desk) -> None:
    first = (await desk.ask("POST", "/api/sessions", {})).body
    refresh = {"refresh_token": first["refresh_token"]}
    await desk.ask("POST", "/api/sessions/refresh", refresh)  # and the phone is in a tunnel
    desk.clock.move(24 * 3600)

    told = (await desk.ask("POST", "/api/sessions/refresh", refresh)).body

    assert (await desk.ask("GET", "/api/me", bearer=told["token"])).body["user"] == first["user"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_credential"),
        ({"refresh_token": ""}, "invalid_token"),
        ({"refresh_token": "fd_rt_x.y"}, "invalid_token"),
        ({"refresh_token": "x" * 1000}, "invalid_token"),
    ],
)
async def test_what_is_no_refresh_token(desk: Desk, body: dict[str, str], code: str) -> None:
    assert refused(await desk.ask("POST", "/api/sessions/refresh", body)) == (401, code)


async def test_no_other_token_refreshes_and_a_refresh_token_opens_nothing_else(desk: Desk) -> None:
    session = await desk.begin(user="u1", refreshable=True)

    for token in (session["token"], ADMIN_KEY):
        answer = await desk.ask("POST", "/api/sessions/refresh", {"refresh_token": token})
        assert refused(answer) == (401, "invalid_token")
    assert (await desk.ask("GET", "/api/me", bearer=session["refresh_token"])).status == 401


async def test_refreshing_needs_the_attestation_of_the_sessions_app(database: Database, tmp_path: Path) -> None:
    async with desk_of(database, tmp_path, attested=("phone", "web")) as desk:
        session = await desk.begin(user="u1", refreshable=True, app="phone")
        refresh = {"refresh_token": session["refresh_token"]}

        without = await desk.ask("POST", "/api/sessions/refresh", refresh)
        others = await desk.ask(
            "POST", "/api/sessions/refresh", refresh, frontdesk_attestation=attestation(desk, "web")
        )
        desk.clock.move(3600)  # nothing of this was counted: the token is the current one still
        good = await desk.ask(
            "POST", "/api/sessions/refresh", refresh, frontdesk_attestation=attestation(desk, "phone")
        )

        assert refused(without) == (401, "attestation_required")
        assert refused(others) == (401, "attestation_invalid")
        assert good.status == 200


# --- upgrading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "refresh_token"])
async def test_a_user_takes_over_what_was_theirs_before_they_signed_in(desk: Desk, kind: str) -> None:
    anonymous = await desk.begin(bearer=None)
    user = await desk.begin(user="u1")
    body = {"anonymous_token": anonymous[kind]}

    answer = await desk.ask("POST", "/api/sessions/upgrade", body, bearer=user["token"])

    expected = {"user": "u1", "was": anonymous["user"], "object": "upgrade"}
    assert (answer.status, answer.body) == (200, expected)
    assert refused(await desk.ask("GET", "/api/me", bearer=anonymous["token"])) == (401, "token_revoked")
    again = await desk.ask("POST", "/api/sessions/upgrade", body, bearer=user["token"])
    assert (again.status, again.body) == (200, expected)


async def test_a_key_upgrades_for_a_user(desk: Desk) -> None:
    anonymous = await desk.begin(bearer=None)
    body = {"anonymous_token": anonymous["token"]}

    without = await desk.ask("POST", "/api/sessions/upgrade", body, bearer=ADMIN_KEY)
    answer = await desk.ask("POST", "/api/sessions/upgrade", {**body, "user": "u1"}, bearer=ADMIN_KEY)

    assert refused(without) == (400, "missing_required_parameter")
    assert (answer.status, answer.body["user"]) == (200, "u1")


async def test_who_cannot_upgrade(desk: Desk) -> None:
    anonymous, other = await desk.begin(bearer=None), await desk.begin(bearer=None)
    user, second = await desk.begin(user="u1"), await desk.begin(user="u2")
    body = {"anonymous_token": anonymous["token"]}

    async def upgrade(bearer: str | None, body: dict[str, str]) -> tuple[int, str]:
        return refused(await desk.ask("POST", "/api/sessions/upgrade", body, bearer=bearer))

    assert await upgrade(None, body) == (401, "missing_credential")
    assert await upgrade(other["token"], body) == (403, "forbidden")
    assert await upgrade(user["token"], {**body, "user": "u2"}) == (403, "forbidden")
    assert await upgrade(user["token"], {}) == (400, "missing_required_parameter")
    assert await upgrade(user["token"], {"anonymous_token": "fd_st_x.y"}) == (400, "invalid_value")
    assert await upgrade(user["token"], {"anonymous_token": second["token"]}) == (400, "not_anonymous")
    assert (await desk.me(anonymous["token"]))["anonymous"] is True
    assert (await desk.ask("POST", "/api/sessions/upgrade", body, bearer=user["token"])).status == 200
    assert await upgrade(second["token"], body) == (400, "not_anonymous")


# --- in a cookie --------------------------------------------------------------------------------


async def test_a_session_in_a_cookie(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True}, origin="http://desk.example")

    session = answer.body
    assert set(session) == {"id", "user", "expires_at", "refresh_expires_at", "csrf_token"}
    kept = cookies_of(answer)
    assert set(kept) == {COOKIE, REFRESH_COOKIE}
    by_cookie = {"cookie": f"{COOKIE}={kept[COOKIE]}"}
    current = await desk.ask("GET", "/api/sessions/current", **by_cookie)
    assert current.body == {
        "id": session["id"],
        "user": session["user"],
        "tier": "guest",
        "expires_at": session["expires_at"],
        "csrf_token": session["csrf_token"],
    }
    assert current.headers["cache-control"] == "no-store"


async def test_over_https_it_has_the_names_that_browsers_protect(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True}, scheme="https", origin="https://desk.example")

    kept = cookies_of(answer)
    assert set(kept) == {"__Host-frontdesk_session", "__Host-frontdesk_refresh"}
    assert all(cookie.endswith("; Secure") for cookie in answer.all("set-cookie"))
    cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
    assert (await desk.ask("GET", "/api/me", scheme="https", cookie=cookie)).status == 200
    assert (await desk.ask("GET", "/api/me", scheme="http", cookie=cookie)).status == 401


async def test_no_page_of_another_site_sets_it(desk: Desk) -> None:
    """It could make a person somebody else, who then writes what that somebody may read."""
    for origin in ("https://evil.example", "null", "https://desk.example"):
        for bearer in (None, ADMIN_KEY):
            asked = {"cookie": True} if bearer is None else {"cookie": True, "user": "u1"}
            answer = await desk.ask("POST", "/api/sessions", asked, bearer=bearer, origin=origin)
            assert refused(answer) == (403, "csrf_failed")
            assert answer.all("set-cookie") == []
    assert (await desk.ask("POST", "/api/sessions", {"cookie": True}, origin="https://app.example")).status == 200


async def test_there_are_none_where_they_are_not_taken(database: Database, tmp_path: Path) -> None:
    async with desk_of(database, tmp_path, cookies=False) as desk:
        session = await desk.begin(user="u1", refreshable=True)
        cookie = f"{COOKIE}={session['token']}; {REFRESH_COOKIE}={session['refresh_token']}"

        assert refused(await desk.ask("POST", "/api/sessions", {"cookie": True})) == (400, "unsupported_parameter")
        assert refused(await desk.ask("GET", "/api/me", cookie=cookie)) == (401, "missing_credential")
        for method in ("POST", "GET"):
            answer = await desk.ask(method, "/api/sessions/refresh", cookie=cookie)
            assert refused(answer) == (401, "missing_credential")


async def test_a_cookie_is_exchanged_for_a_session_that_cannot_be_refreshed(with_issuer: Desk) -> None:
    """What an earlier session left is taken back with it: its refresh token would bring that one back."""
    answer = await with_issuer.ask("POST", "/api/sessions", {"cookie": True}, bearer=signed_in(with_issuer))

    assert cookies_of(answer)[COOKIE].startswith("fd_st_")
    assert any(cookie.startswith(f"{REFRESH_COOKIE}=; Max-Age=0;") for cookie in answer.all("set-cookie"))


async def test_it_is_refreshed_by_its_cookie_with_the_csrf_token(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True})
    cookie, csrf = f"{REFRESH_COOKIE}={cookies_of(answer)[REFRESH_COOKIE]}", answer.body["csrf_token"]
    desk.clock.move(3601)

    for wrong in ({}, {"frontdesk_csrf": "x"}, {"frontdesk_csrf": csrf, "origin": "https://evil.example"}):
        assert refused(await desk.ask("POST", "/api/sessions/refresh", cookie=cookie, **wrong)) == (403, "csrf_failed")
    refreshed = await desk.ask("POST", "/api/sessions/refresh", cookie=cookie, frontdesk_csrf=csrf)

    assert refreshed.body == {**answer.body, **times(desk)}
    assert set(cookies_of(refreshed)) == {COOKIE, REFRESH_COOKIE}
    assert cookies_of(refreshed)[REFRESH_COOKIE] != cookies_of(answer)[REFRESH_COOKIE]
    by_cookie = f"{COOKIE}={cookies_of(refreshed)[COOKIE]}"
    assert (await desk.ask("GET", "/api/me", cookie=by_cookie)).status == 200


def times(desk: Desk) -> dict[str, int]:
    now = int(desk.clock.now())
    return {"expires_at": now + 3600, "refresh_expires_at": now + 2_592_000}


async def test_a_page_that_was_away_learns_the_csrf_token_by_its_refresh_cookie(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True})
    cookie = f"{REFRESH_COOKIE}={cookies_of(answer)[REFRESH_COOKIE]}"
    desk.clock.move(86_400)

    told = await desk.ask("GET", "/api/sessions/refresh", cookie=cookie)

    assert told.body == {"id": answer.body["id"], "csrf_token": answer.body["csrf_token"]}
    assert told.headers["cache-control"] == "no-store"
    forged = await desk.ask("GET", "/api/sessions/refresh", cookie=f"{REFRESH_COOKIE}=fd_rt_x.y")
    assert refused(forged) == (401, "invalid_token")


async def test_a_refresh_token_in_the_body_is_answered_in_the_body(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True})
    in_cookie = cookies_of(answer)[REFRESH_COOKIE]

    refreshed = await desk.ask("POST", "/api/sessions/refresh", {"refresh_token": in_cookie})

    assert "token" in refreshed.body
    assert refreshed.all("set-cookie") == []


async def test_an_ended_cookie_is_no_reason_not_to_begin_anew(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True})
    cookie, csrf = f"{COOKIE}={cookies_of(answer)[COOKIE]}", answer.body["csrf_token"]
    await desk.ask("DELETE", f"/api/sessions/{answer.body['id']}", bearer=ADMIN_KEY)

    anew = await desk.ask("POST", "/api/sessions", {"cookie": True}, cookie=cookie, frontdesk_csrf=csrf)

    assert anew.status == 200
    assert anew.body["user"] != answer.body["user"]


async def test_a_session_in_a_cookie_is_ended_and_its_cookies_taken_back(desk: Desk) -> None:
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True})
    cookie, csrf = f"{COOKIE}={cookies_of(answer)[COOKIE]}", answer.body["csrf_token"]

    assert refused(await desk.ask("DELETE", "/api/sessions/current", cookie=cookie)) == (403, "csrf_failed")
    ended = await desk.ask("DELETE", "/api/sessions/current", cookie=cookie, frontdesk_csrf=csrf)

    assert ended.body == {"id": answer.body["id"], "object": "session", "deleted": True}
    assert cookies_of(ended) == {COOKIE: "", REFRESH_COOKIE: ""}
    assert refused(await desk.ask("GET", "/api/me", cookie=cookie)) == (401, "token_revoked")


async def test_an_anonymous_person_in_a_cookie_is_upgraded_by_the_token_beside_it(with_issuer: Desk) -> None:
    desk = with_issuer
    answer = await desk.ask("POST", "/api/sessions", {"cookie": True})
    cookie, csrf = f"{COOKIE}={cookies_of(answer)[COOKIE]}", answer.body["csrf_token"]
    token = signed_in(desk, "u1")

    forged = await desk.ask("POST", "/api/sessions/upgrade", {}, bearer=token, cookie=cookie)
    good = await desk.ask("POST", "/api/sessions/upgrade", {}, bearer=token, cookie=cookie, frontdesk_csrf=csrf)

    assert refused(forged) == (403, "csrf_failed")
    assert good.body == {"user": "u1", "was": answer.body["user"], "object": "upgrade"}
    assert cookies_of(good) == {COOKIE: "", REFRESH_COOKIE: ""}
    ended = await desk.ask("POST", "/api/sessions/upgrade", {}, bearer=token, cookie=cookie, frontdesk_csrf=csrf)
    assert refused(ended) == (400, "invalid_value")  # no 401: the token is good
    own = await desk.ask("POST", "/api/sessions/upgrade", {}, cookie=cookie)
    assert refused(own) == (401, "token_revoked")


async def test_what_no_browser_would_keep_is_refused_and_does_not_begin(desk: Desk) -> None:
    groups = [f"{'g' * 100}{number}" for number in range(60)]

    answer = await desk.ask("POST", "/api/sessions", {"cookie": True, "user": "u1", "groups": groups}, bearer=ADMIN_KEY)

    assert refused(answer) == (400, "session_too_long")
    listed = await desk.ask("GET", "/api/users/u1/sessions", bearer=ADMIN_KEY)
    assert listed.body["data"] == []


# --- ending -------------------------------------------------------------------------------------


async def test_users_end_their_own_sessions_alone(desk: Desk) -> None:
    mine, also_mine = await desk.begin(user="u1"), await desk.begin(user="u1")
    others = await desk.begin(user="u2")

    async def end(session_id: str) -> Answer:
        return await desk.ask("DELETE", f"/api/sessions/{session_id}", bearer=mine["token"])

    not_mine, unheard_of = await end(others["id"]), await end("sess_unheard_of")
    assert refused(not_mine) == (404, "session_not_found")
    assert not_mine.body["error"]["message"] == f"There is no session {others['id']!r}."
    assert unheard_of.body["error"]["message"] == "There is no session 'sess_unheard_of'."
    assert (await end(also_mine["id"])).status == 200
    assert (await end("current")).body["id"] == mine["id"]
    assert (await desk.me(others["token"]))["user"] == "u2"
    for token in (mine["token"], also_mine["token"]):
        assert refused(await desk.ask("GET", "/api/me", bearer=token)) == (401, "token_revoked")


async def test_a_key_ends_any_session_and_all(desk: Desk) -> None:
    first, second = await desk.begin(user="u1"), await desk.begin(user="u2", refreshable=True)

    ended = await desk.ask("DELETE", f"/api/sessions/{first['id']}", bearer=ADMIN_KEY)
    again = await desk.ask("DELETE", f"/api/sessions/{first['id']}", bearer=ADMIN_KEY)
    current = await desk.ask("DELETE", "/api/sessions/current", bearer=ADMIN_KEY)
    everybody = await desk.ask("DELETE", "/api/sessions", bearer=ADMIN_KEY)

    assert (ended.status, refused(again)) == (200, (404, "session_not_found"))
    assert refused(current) == (404, "session_not_found")
    assert (everybody.status, everybody.body) == (200, {"object": "sessions", "deleted": True})
    assert refused(await desk.ask("GET", "/api/me", bearer=second["token"])) == (401, "token_revoked")
    refresh = await desk.ask("POST", "/api/sessions/refresh", {"refresh_token": second["refresh_token"]})
    assert refused(refresh) == (401, "token_revoked")
    assert (await desk.me((await desk.begin(user="u2"))["token"]))["user"] == "u2"


async def test_a_token_of_an_identity_provider_is_no_session_to_end(with_issuer: Desk) -> None:
    answer = await with_issuer.ask("DELETE", "/api/sessions/current", bearer=signed_in(with_issuer))

    assert refused(answer) == (400, "not_a_session")
    assert "sign out there" in answer.body["error"]["message"]
