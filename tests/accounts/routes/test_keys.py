"""Operators make keys that may no more than their own, see them without their secret, and revoke them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk, desk_of
from tests.http.asgi import Answer


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(database, tmp_path) as opened:
        yield opened


async def make(desk: Desk, bearer: str = ADMIN_KEY, **asked: Any) -> Answer:
    return await desk.ask("POST", "/api/admin/keys", {"name": "web", **asked}, bearer=bearer)


async def narrow(desk: Desk, *scopes: str, expires_in_s: int | None = None, tenant: str = "default") -> str:
    """An operator's key of these scopes."""
    return (await desk.accounts.create_key(tenant, "narrow", "operator", frozenset(scopes) or None, expires_in_s))[1]


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


async def test_a_key_is_shown_once(desk: Desk) -> None:
    made = await make(desk)

    key, row = made.body["key"], {name: value for name, value in made.body.items() if name != "key"}
    assert row == {
        "id": row["id"],
        "object": "key",
        "name": "web",
        "role": "server",
        "scopes": None,
        "hint": key[-4:],
        "created_at": int(desk.clock.now()),
        "expires_at": None,
        "last_used_at": None,
    }
    assert made.headers["cache-control"] == "no-store"
    assert (await desk.me(key))["role"] == "server"
    listed = await desk.ask("GET", "/api/admin/keys", bearer=ADMIN_KEY)
    assert listed.body == {
        "object": "list",
        "data": [row],
        "first_id": row["id"],
        "last_id": row["id"],
        "has_more": False,
    }
    assert key not in str(listed.body)


async def test_a_key_has_the_role_the_scopes_and_the_time_that_were_asked_for(desk: Desk) -> None:
    made = await make(desk, role="reviewer", scopes=["turns", "sessions"], expires_in=60)

    assert made.body["expires_at"] == int(desk.clock.now()) + 60
    me = await desk.me(made.body["key"])
    assert (me["role"], me["scopes"]) == ("reviewer", ["sessions", "turns"])
    desk.clock.move(60)
    assert refused(await desk.ask("GET", "/api/me", bearer=made.body["key"])) == (401, "key_expired")


async def test_keys_are_listed_a_page_at_a_time_the_newest_first(desk: Desk) -> None:
    made = []
    for _ in range(3):
        made.insert(0, (await make(desk)).body["id"])
        desk.clock.move(1)

    first = await desk.ask("GET", "/api/admin/keys?limit=2", bearer=ADMIN_KEY)
    rest = await desk.ask("GET", f"/api/admin/keys?limit=2&after={made[1]}", bearer=ADMIN_KEY)

    assert ([each["id"] for each in first.body["data"]], first.body["has_more"]) == (made[:2], True)
    assert ([each["id"] for each in rest.body["data"]], rest.body["has_more"]) == (made[2:], False)


async def test_a_narrowed_key_makes_no_wider_one(desk: Desk) -> None:
    key = await narrow(desk, "keys", "turns")

    assert (await make(desk, key)).body["scopes"] == ["keys", "turns"]
    assert (await make(desk, key, scopes=["turns"])).body["scopes"] == ["turns"]
    wider = await make(desk, key, scopes=["turns", "users"])
    assert refused(wider) == (403, "missing_scope")
    assert "'users'" in wider.body["error"]["message"]
    assert refused(await make(desk, await narrow(desk, "users"))) == (403, "missing_scope")


async def test_a_key_that_ends_makes_none_that_does_not(desk: Desk) -> None:
    key = await narrow(desk, expires_in_s=600)
    desk.clock.move(100)
    ends_at = int(desk.clock.now()) + 500

    assert (await make(desk, key)).body["expires_at"] == ends_at
    assert (await make(desk, key, expires_in=500)).body["expires_at"] == ends_at
    assert (await make(desk, key, expires_in=60)).body["expires_at"] == ends_at - 440
    longer = await make(desk, key, expires_in=501)
    assert refused(longer) == (403, "forbidden")
    assert "500 s" in longer.body["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"name": None}, "missing_required_parameter"),
        ({"name": ""}, "invalid_value"),
        ({"name": "n" * 129}, "invalid_value"),
        ({"role": "user"}, "invalid_value"),
        ({"role": "admin"}, "invalid_value"),
        ({"scopes": []}, "invalid_value"),
        ({"scopes": ["everything"]}, "invalid_value"),
        ({"expires_in": 0}, "invalid_value"),
        ({"expires_in": -5}, "invalid_value"),
        ({"tenant": "other"}, "invalid_value"),
        ({"key": "fd_sk_mine"}, "invalid_value"),
    ],
)
async def test_what_is_no_key(desk: Desk, asked: dict[str, Any], code: str) -> None:
    assert refused(await make(desk, **asked)) == (400, code)
    assert await desk.accounts.list_keys("default") == []


async def test_a_revoked_key_ends_at_once(desk: Desk) -> None:
    made = (await make(desk)).body
    assert (await desk.me(made["key"]))["role"] == "server"

    revoked = await desk.ask("DELETE", f"/api/admin/keys/{made['id']}", bearer=ADMIN_KEY)

    assert revoked.body == {"id": made["id"], "object": "key", "deleted": True}
    assert refused(await desk.ask("GET", "/api/me", bearer=made["key"])) == (401, "invalid_api_key")
    again = await desk.ask("DELETE", f"/api/admin/keys/{made['id']}", bearer=ADMIN_KEY)
    assert refused(again) == (404, "key_not_found")
    assert (await desk.ask("GET", "/api/admin/keys", bearer=ADMIN_KEY)).body["data"] == []


async def test_keys_stay_in_their_tenant(desk: Desk) -> None:
    theirs = await narrow(desk, tenant="other")
    made = (await make(desk, theirs)).body

    listed = await desk.ask("GET", "/api/admin/keys", bearer=ADMIN_KEY)
    revoked = await desk.ask("DELETE", f"/api/admin/keys/{made['id']}", bearer=ADMIN_KEY)
    unheard_of = await desk.ask("DELETE", "/api/admin/keys/key_unheard_of", bearer=ADMIN_KEY)

    assert listed.body["data"] == []
    assert refused(revoked) == refused(unheard_of) == (404, "key_not_found")
    assert {row.tenant for row in await desk.accounts.list_keys("other")} == {"other"}
    assert (await desk.me(made["key"]))["id"] == made["id"]
