"""GET /api/usage: pages, CSV, and who sees what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from frontdesk.accounts.service import NewSession
from frontdesk.app import Frontdesk
from frontdesk.core.config import parse_config, read_environment
from frontdesk.storage.database import Database
from tests.http.asgi import Answer, ask
from tests.reports.rows import DAY_MS, JULY_MS, a_turn, an_attempt, keep

ADMIN_KEY = "fd_sk_test-admin-key-that-opens-nothing-real"
SETTINGS = """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo]}}
default_model: fast
"""
JULY = "from=2026-07-01&to=2026-08-01"


@pytest.fixture
async def app(database: Database) -> AsyncIterator[Frontdesk]:
    environment = read_environment({"FRONTDESK_ADMIN_KEY": ADMIN_KEY})
    opened = Frontdesk(parse_config(SETTINGS, {}), environment, database, is_development=False)
    await opened.accounts.load()
    await keep(
        database,
        [
            *(a_turn(f"t{number}", person=f"u{number % 3}") for number in range(6)),
            a_turn("t6", person=None, caller="server", started_at_ms=JULY_MS + DAY_MS),
            a_turn("t1", tenant="acme", person="u1"),
        ],
        [
            *(an_attempt(f"t{number}", cost_micros=10**number, input_tokens=number) for number in range(7)),
            an_attempt("t1", tenant="acme", cost_micros=5),
        ],
    )
    yield opened
    await opened.close()


async def usage(app: Frontdesk, query: str, bearer: str = ADMIN_KEY, accept: str | None = None) -> Answer:
    headers = [(b"authorization", f"Bearer {bearer}".encode())]
    if accept is not None:
        headers.append((b"accept", accept.encode()))
    return await ask(app.asgi, "GET", f"/api/usage?{query}", headers=headers)


async def session_of(app: Frontdesk, user: str, tenant: str = "default") -> str:
    new = NewSession(tenant, user, None, (), None, None, 60, is_refreshable=False, is_anonymous=False)
    return (await app.accounts.begin_session(new)).token


def text_of(answer: Answer) -> str:
    return b"".join(message.get("body", b"") for message in answer.messages[1:]).decode()


def costs(answer: Answer, name: str = "user") -> dict[str | None, float]:
    assert answer.status == 200, answer.body
    return {group[name]: group["cost_usd"] for group in answer.body["data"]}


# --- JSON ---------------------------------------------------------------------------------------


async def test_groups_and_totals_are_told_and_no_cache_keeps_them(app: Frontdesk) -> None:
    answer = await usage(app, f"{JULY}&group_by=user,day")

    assert answer.headers["cache-control"] == "no-store"
    body = answer.body
    assert {name: body[name] for name in ("object", "from", "to", "group_by", "has_more")} == {
        "object": "list",
        "from": JULY_MS // 1000,
        "to": JULY_MS // 1000 + 31 * 86_400,
        "group_by": ["user", "day"],
        "has_more": False,
    }
    assert [(group["user"], group["day"], group["turns"], group["cost_usd"]) for group in body["data"]] == [
        (None, "2026-07-02", 1, 1.0),
        ("u0", "2026-07-01", 2, 0.001001),
        ("u1", "2026-07-01", 2, 0.01001),
        ("u2", "2026-07-01", 2, 0.1001),
    ]
    assert (body["totals"]["turns"], body["totals"]["cost_usd"]) == (7, 1.111111)
    assert {"id", "object", "user", "day", *body["totals"]} == set(body["data"][0])


async def test_pages_go_on_where_the_one_before_ended(app: Frontdesk) -> None:
    pages: list[Any] = []
    after = ""
    while not pages or pages[-1]["has_more"]:
        pages.append((await usage(app, f"{JULY}&group_by=user&limit=3{after}")).body)
        after = f"&after={pages[-1]['last_id']}"

    assert [[group["user"] for group in page["data"]] for page in pages] == [[None, "u0", "u1"], ["u2"]]
    assert pages[0]["totals"] == pages[1]["totals"]
    assert pages[1]["first_id"] == pages[1]["last_id"] == pages[1]["data"][0]["id"]


async def test_without_a_range_it_is_this_month(app: Frontdesk) -> None:
    answer = await usage(app, "group_by=user")

    assert (answer.status, answer.body["data"], answer.body["last_id"]) == (200, [], None)
    assert answer.body["from"] > JULY_MS / 1000 or answer.body["to"] <= JULY_MS / 1000 + 31 * 86_400


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("group_by=colour", "invalid_value", "group_by"),
        ("since=2026-01-01", "invalid_value", "since"),
        ("user=a&user=b", "invalid_value", "user"),
        ("from=2020-01-01", "invalid_value", "from"),
        ("limit=0", "invalid_value", "limit"),
        ("limit=501", "invalid_value", "limit"),
        ("limit=٣", "invalid_value", "limit"),
        ("format=xml", "invalid_value", "format"),
        ("format=csv&limit=5", "invalid_value", "limit"),
        ("format=csv&after=WyJhIl0", "invalid_value", "after"),
        ("after=WyJhIl0", "invalid_value", "after"),
        ("group_by=user&after=!!", "invalid_value", "after"),
        ("group_by=user&after=WzFd", "invalid_value", "after"),
        ("group_by=user&after=" + "W" * 10_001, "invalid_value", "after"),
        ("group_by=user&after=", "invalid_value", "after"),
    ],
)
async def test_what_it_cannot_answer_is_400_by_name(app: Frontdesk, query: str, code: str, param: str) -> None:
    answer = await usage(app, query)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, code, param)


# --- CSV ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "accept", "is_csv"),
    [
        ("format=csv", None, True),
        ("format=csv", "application/json", True),
        ("format=json", "text/csv", False),
        ("", None, False),
        ("", "*/*", False),
        ("", "text/csv", True),
        ("", "Text/CSV; charset=utf-8", True),
        ("", "application/json, text/csv;q=0.5", False),
        ("", "application/json;q=0.5, text/csv", True),
        ("", "text/csv;q=0", False),
        ("", "text/csv;q=nonsense", False),
    ],
)
async def test_a_table_is_for_who_asks_for_it(app: Frontdesk, query: str, accept: str | None, is_csv: bool) -> None:
    answer = await usage(app, f"{JULY}&{query}", accept=accept)

    assert answer.status == 200
    kind = "text/csv; charset=utf-8" if is_csv else "application/json"
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (kind, "no-store")


async def test_a_table_has_all_groups(app: Frontdesk) -> None:
    answer = await usage(app, f"{JULY}&group_by=user&format=csv")

    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    header, *lines = text_of(answer).split("\r\n")
    place = header.split(",").index("cost_usd")
    assert [(line.split(",")[0], line.split(",")[place]) for line in lines if line] == [
        ("", "1.000000"),
        ("u0", "0.001001"),
        ("u1", "0.010010"),
        ("u2", "0.100100"),
    ]


# --- who sees what ------------------------------------------------------------------------------


async def test_a_user_sees_their_own_and_nobody_elses(app: Frontdesk) -> None:
    token = await session_of(app, "u1")

    for query in ("group_by=user", "group_by=user&user=u1"):
        answer = await usage(app, f"{JULY}&{query}", token)
        assert costs(answer) == {"u1": 0.01001}
        assert answer.body["totals"]["cost_usd"] == 0.01001
    assert (await usage(app, JULY, token)).body["totals"]["turns"] == 2
    assert "u2" not in text_of(await usage(app, f"{JULY}&group_by=user&format=csv", token))


async def test_another_user_is_answered_as_one_who_never_was(app: Frontdesk) -> None:
    token = await session_of(app, "u1")

    another, nobody = [await usage(app, f"{JULY}&user={user}", token) for user in ("u2", "unheard_of")]

    assert (another.status, another.code) == (nobody.status, nobody.code) == (404, "user_not_found")
    assert another.body["error"]["message"].replace("u2", "unheard_of") == nobody.body["error"]["message"]


@pytest.mark.parametrize(
    "query", ["group_by=provider", "group_by=day,provider_model", "group_by=purpose", "provider=openai"]
)
async def test_a_user_does_not_see_who_answers_behind_a_model(app: Frontdesk, query: str) -> None:
    answer = await usage(app, f"{JULY}&{query}", await session_of(app, "u1"))

    assert (answer.status, answer.code) == (403, "forbidden")
    assert "Use 'model'" in answer.body["error"]["message"]
    assert (await usage(app, f"{JULY}&{query}")).status == 200


async def test_attempts_are_told_apart_by_what_they_were_for(app: Frontdesk) -> None:
    page = await usage(app, f"{JULY}&group_by=purpose")
    table = await usage(app, f"{JULY}&group_by=purpose&format=csv")

    assert {group["purpose"] for group in page.body["data"]} >= {"first"}
    assert text_of(table).startswith("purpose,turns,")
    assert "\r\nfirst," in text_of(table)


async def test_keys_see_their_tenant(app: Frontdesk) -> None:
    _, ours = await app.accounts.create_key("default", "web", "server", frozenset({"usage"}), 60)
    _, theirs = await app.accounts.create_key("acme", "web", "operator", None, 60)

    assert costs(await usage(app, f"{JULY}&group_by=user&user=u1", ours)) == {"u1": 0.01001}
    assert costs(await usage(app, f"{JULY}&group_by=user", theirs)) == {"u1": 0.000005}
    user_of_theirs = await session_of(app, "u1", "acme")
    assert costs(await usage(app, f"{JULY}&group_by=user", user_of_theirs)) == {"u1": 0.000005}


async def test_a_key_needs_the_scope(app: Frontdesk) -> None:
    _, narrowed = await app.accounts.create_key("default", "web", "server", frozenset({"turns", "users"}), 60)

    answer = await usage(app, JULY, narrowed)

    assert (answer.status, answer.code) == (403, "missing_scope")
