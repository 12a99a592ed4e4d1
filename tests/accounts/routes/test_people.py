"""Everybody learns who they are; users see their own sessions, operators all people of their tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk, desk_of, signed_in
from tests.http.asgi import Answer


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(database, tmp_path, has_issuer=True) as opened:
        yield opened


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


async def key_of(desk: Desk, tenant: str, role: Any, scopes: frozenset[str] | None = None) -> str:
    return (await desk.accounts.create_key(tenant, "test", role, scopes, 600))[1]


# Where nothing is limited.
UNLIMITED = {"limits": [], "budgets": [], "works": {"models": ["fast", "best"], "free_models": []}}

# --- me -----------------------------------------------------------------------------------------


async def test_a_key_learns_what_it_may(desk: Desk) -> None:
    row, key = await desk.accounts.create_key("default", "web", "reviewer", frozenset({"turns", "keys"}), 600)

    assert await desk.me(key) == {
        "role": "reviewer",
        "id": row.id,
        "expires_at": int(desk.clock.now()) + 600,
        "models": ["fast", "best"],
        "scopes": ["keys", "turns"],
        **UNLIMITED,
    }
    assert await desk.me(ADMIN_KEY) == {
        "role": "operator",
        "id": "key_environment",
        "expires_at": None,
        "models": ["fast", "best"],
        "scopes": None,
        **UNLIMITED,
    }


@pytest.mark.parametrize(
    ("asked", "models", "features"),
    [
        ({}, ["fast"], ["chat", "drafts"]),
        ({"tier": "paid"}, ["fast", "best"], ["chat", "summaries", "drafts"]),
        ({"features": ["chat", "summaries"]}, ["fast"], ["chat"]),
        ({"tier": "paid", "features": []}, [], []),
    ],
)
async def test_a_user_learns_what_tier_and_session_leave(
    desk: Desk, asked: dict[str, Any], models: list[str], features: list[str]
) -> None:
    me = await desk.me((await desk.begin(user="u1", **asked))["token"])

    assert (me["models"], me["features"]) == (models, features)


async def test_features_are_not_told_where_they_only_label(database: Database, tmp_path: Path) -> None:
    async with desk_of(database, tmp_path) as desk:
        desk.config.features.clear()

        assert (await desk.me((await desk.begin(user="u1"))["token"]))["features"] is None


async def test_a_user_of_an_identity_provider_learns_the_same(desk: Desk) -> None:
    me = await desk.me(signed_in(desk, "u1", plan="paid", groups=["g"], scope="drafts"))

    assert me["id"].startswith("jwt_")
    assert {**me, "id": ""} == {
        "role": "user",
        "id": "",
        "expires_at": int(desk.clock.now()) + 300,
        "models": ["fast", "best"],
        "user": "u1",
        "anonymous": False,
        "tier": "paid",
        "groups": ["g"],
        "features": ["drafts"],
        "app": None,
        **UNLIMITED,
    }


async def test_no_copy_is_kept_of_what_is_said_of_people(desk: Desk) -> None:
    user, anonymous = await desk.begin(user="u1"), await desk.begin(bearer=None)
    upgrade = {"user": "u1", "anonymous_token": anonymous["token"]}

    answers = [
        await desk.ask(method, path, body, bearer=bearer)
        for method, path, body, bearer in (
            ("GET", "/api/me", None, ADMIN_KEY),
            ("GET", "/api/sessions/current", None, user["token"]),
            ("POST", "/api/sessions/upgrade", upgrade, ADMIN_KEY),
            ("GET", "/api/users/u1/sessions", None, ADMIN_KEY),
            ("GET", "/api/admin/users", None, ADMIN_KEY),
            ("GET", "/api/admin/users/u1", None, ADMIN_KEY),
            ("PATCH", "/api/admin/users/u1", {"tier": "paid"}, ADMIN_KEY),
            ("GET", "/api/admin/keys", None, ADMIN_KEY),
            ("DELETE", "/api/sessions/current", None, user["token"]),
            ("DELETE", "/api/users/u1/sessions", None, ADMIN_KEY),
        )
    ]

    assert [answer.status for answer in answers] == [200] * 10
    assert [answer.headers.get("cache-control") for answer in answers] == ["no-store"] * 10


# --- a user's sessions --------------------------------------------------------------------------


async def test_sessions_of_a_user_are_listed_until_they_end(desk: Desk) -> None:
    first = await desk.begin(user="u1", refreshable=True, app="phone")
    desk.clock.move(1)
    second = await desk.begin(user="u1", expires_in=60)
    await desk.begin(user="u2")

    listed = await desk.ask("GET", "/api/users/u1/sessions", bearer=ADMIN_KEY)

    assert listed.body["data"] == [
        {
            "id": second["id"],
            "object": "session",
            "user": "u1",
            "anonymous": False,
            "app": None,
            "refreshable": False,
            "created_at": int(desk.clock.now()),
            "expires_at": second["expires_at"],
        },
        {
            "id": first["id"],
            "object": "session",
            "user": "u1",
            "anonymous": False,
            "app": "phone",
            "refreshable": True,
            "created_at": int(desk.clock.now()) - 1,
            "expires_at": first["refresh_expires_at"],
        },
    ]
    assert {**listed.body, "data": None} == {
        "object": "list",
        "data": None,
        "first_id": second["id"],
        "last_id": first["id"],
        "has_more": False,
    }
    desk.clock.move(60)
    assert [each["id"] for each in (await sessions(desk, "u1"))] == [first["id"]]
    assert await sessions(desk, "nobody") == []


async def test_sessions_of_a_user_are_listed_a_page_at_a_time(desk: Desk) -> None:
    begun = []
    for _ in range(5):
        begun.insert(0, (await desk.begin(user="u1"))["id"])
        desk.clock.move(1)

    first = await desk.ask("GET", "/api/users/u1/sessions?limit=3", bearer=ADMIN_KEY)
    rest = await desk.ask("GET", f"/api/users/u1/sessions?limit=3&after={begun[2]}", bearer=ADMIN_KEY)
    wrong = await desk.ask("GET", "/api/users/u1/sessions?after=a%00", bearer=ADMIN_KEY)

    assert ([each["id"] for each in first.body["data"]], first.body["has_more"]) == (begun[:3], True)
    assert ([each["id"] for each in rest.body["data"]], rest.body["has_more"]) == (begun[3:], False)
    assert refused(wrong) == (400, "invalid_value")


async def sessions(desk: Desk, user: str) -> list[dict[str, Any]]:
    return (await desk.ask("GET", f"/api/users/{user}/sessions", bearer=ADMIN_KEY)).body["data"]


async def test_users_see_and_end_their_own_and_not_even_whether_there_are_others(desk: Desk) -> None:
    mine, others = await desk.begin(user="org/u1"), await desk.begin(user="u2")

    for method in ("GET", "DELETE"):
        for user in ("u2", "nobody"):
            answer = await desk.ask(method, f"/api/users/{user}/sessions", bearer=mine["token"])
            assert refused(answer) == (404, "user_not_found")
            assert answer.body["error"]["message"] == f"There is no user {user!r}."
    own = await desk.ask("GET", "/api/users/org/u1/sessions", bearer=mine["token"])
    assert [each["id"] for each in own.body["data"]] == [mine["id"]]
    ended = await desk.ask("DELETE", "/api/users/org/u1/sessions", bearer=mine["token"])
    assert ended.body == {"user": "org/u1", "sessions_ended": 1}
    assert refused(await desk.ask("GET", "/api/me", bearer=mine["token"])) == (401, "token_revoked")
    assert (await desk.me(others["token"]))["user"] == "u2"


async def test_all_that_was_issued_to_a_user_ends_whoever_issued_it(desk: Desk) -> None:
    token = signed_in(desk, "u1")
    session = await desk.begin(bearer=token)
    desk.clock.move(1)

    await desk.ask("DELETE", "/api/users/u1/sessions", bearer=token)

    for each in (token, session["token"]):
        assert refused(await desk.ask("GET", "/api/me", bearer=each)) == (401, "token_revoked")
    desk.clock.move(1)
    assert (await desk.me(signed_in(desk, "u1")))["user"] == "u1"


# --- what operators see -------------------------------------------------------------------------


async def test_people_are_listed_a_page_at_a_time(desk: Desk) -> None:
    for user in ("c", "a", "b", "org/d"):
        await desk.begin(user=user, tier="paid" if user == "b" else None)

    first = await desk.ask("GET", "/api/admin/users?limit=3", bearer=ADMIN_KEY)
    second = await desk.ask("GET", "/api/admin/users?limit=3&after=c", bearer=ADMIN_KEY)

    assert {**first.body, "data": [each["id"] for each in first.body["data"]]} == {
        "object": "list",
        "data": ["a", "b", "c"],
        "first_id": "a",
        "last_id": "c",
        "has_more": True,
    }
    assert first.body["data"][1] == {
        "id": "b",
        "object": "user",
        "tier": "paid",
        "assigned_tier": None,
        "became": None,
        "created_at": int(desk.clock.now()),
    }
    assert ([each["id"] for each in second.body["data"]], second.body["has_more"]) == (["org/d"], False)
    assert (await desk.ask("GET", "/api/admin/users?after=z", bearer=ADMIN_KEY)).body["last_id"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1e1", "limit=²", "before=a", "after=%0A"]
)
async def test_what_is_no_page(desk: Desk, query: str) -> None:
    assert refused(await desk.ask("GET", f"/api/admin/users?{query}", bearer=ADMIN_KEY)) == (400, "invalid_value")


async def test_an_operators_tier_counts_for_the_next_request_and_is_taken_back(desk: Desk) -> None:
    session, token = await desk.begin(user="u1", tier="guest"), signed_in(desk, "u1", plan="free")

    async def tiers() -> list[str]:
        return [(await desk.me(each))["tier"] for each in (session["token"], token)]

    async def assign(tier: str | None) -> Answer:
        return await desk.ask("PATCH", "/api/admin/users/u1", {"tier": tier}, bearer=ADMIN_KEY)

    assert await tiers() == ["guest", "free"]
    assigned = await assign("paid")
    assert (assigned.body["tier"], assigned.body["assigned_tier"]) == ("paid", "paid")
    assert await tiers() == ["paid", "paid"]
    taken_back = await assign(None)
    assert (taken_back.body["tier"], taken_back.body["assigned_tier"]) == ("guest", None)
    assert await tiers() == ["guest", "free"]
    assert (await desk.ask("GET", "/api/admin/users/u1", bearer=ADMIN_KEY)).body == taken_back.body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"tier": "gold"}, "unknown_tier"),
        ({"tier": 1}, "invalid_value"),
        ({"tier": "free", "name": "x"}, "invalid_value"),
    ],
)
async def test_what_cannot_be_said_of_a_user(desk: Desk, body: dict[str, Any], code: str) -> None:
    answer = await desk.ask("PATCH", "/api/admin/users/u1", body, bearer=ADMIN_KEY)

    assert refused(answer) == (400, code)
    assert refused(await desk.ask("GET", "/api/admin/users/u1", bearer=ADMIN_KEY)) == (404, "user_not_found")


async def test_an_operator_sees_no_other_tenant(desk: Desk) -> None:
    """Another tenant's user is told of in the same words as one whom nobody ever heard of."""
    theirs, ours = await key_of(desk, "other", "operator"), ADMIN_KEY
    session = await desk.begin(bearer=theirs, user="u1", tier="paid")
    assert (await desk.me(session["token"]))["user"] == "u1"

    assert (await desk.ask("GET", "/api/admin/users", bearer=ours)).body["data"] == []
    assert refused(await desk.ask("GET", "/api/admin/users/u1", bearer=ours)) == (404, "user_not_found")
    assert await sessions(desk, "u1") == []
    assert (await desk.ask("DELETE", "/api/users/u1/sessions", bearer=ours)).body["sessions_ended"] == 0
    assert refused(await desk.ask("DELETE", f"/api/sessions/{session['id']}", bearer=ours)) == (
        404,
        "session_not_found",
    )
    await desk.ask("PATCH", "/api/admin/users/u1", {"tier": "guest"}, bearer=ours)
    await desk.ask("DELETE", "/api/sessions", bearer=ours)
    assert (await desk.me(session["token"]))["tier"] == "paid"
    assert (await desk.ask("GET", "/api/admin/users/u1", bearer=theirs)).body["assigned_tier"] is None
