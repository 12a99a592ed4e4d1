"""GET /api/usage/output_limits: pages, CSV, and who sees what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.reports.output_limits import OutputLimits
from frontdesk.reports.report import Reports
from frontdesk.reports.routes import UsageRoutes
from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk, desk_of
from tests.feedback.desk import token_of
from tests.http.asgi import Answer
from tests.reports.rows import JULY_MS, a_turn, keep

JULY = "from=2026-07-01&to=2026-08-01"
PATH = "/api/usage/output_limits"


@asynccontextmanager
async def limits_desk(database: Database, folder: Path) -> AsyncIterator[Desk]:
    """The routes of usage, and nothing else but accounts behind them."""
    async with desk_of(database, folder) as desk:
        reports, limits = Reports(database, desk.clock), OutputLimits(database, desk.clock)
        routes = UsageRoutes(desk.gate, reports, limits, desk.clock).routes()
        desk.application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]
        ended = [a_turn(f"t{n}", output_tokens=n, max_output_tokens=200) for n in range(98)]
        cut = [a_turn(f"c{n}", status="incomplete", output_tokens=200, max_output_tokens=200) for n in range(2)]
        others = [
            a_turn("t98", feature="=drafts", output_tokens=7),
            a_turn("t99", feature=None, model="best", output_tokens=8, max_output_tokens=9),
            a_turn("t1", tenant="acme", output_tokens=5),
        ]
        await keep(database, [*ended, *cut, *others])
        yield desk


async def limits(desk: Desk, query: str = JULY, bearer: str = ADMIN_KEY, **headers: str) -> Answer:
    return await desk.ask("GET", f"{PATH}?{query}", bearer=bearer, **headers)


def text_of(answer: Answer) -> str:
    return b"".join(message.get("body", b"") for message in answer.messages[1:]).decode()


async def test_features_and_models_are_told_with_a_limit_that_would_do(database: Database, tmp_path: Path) -> None:
    async with limits_desk(database, tmp_path) as desk:
        answer = await limits(desk, f"{JULY}&feature=chat")

    assert answer.headers["cache-control"] == "no-store"
    body = answer.body
    (told,) = body.pop("data")
    assert told == {
        "id": body["first_id"],
        "object": "usage.output_limit",
        "feature": "chat",
        "model": "fast",
        "turns": 100,
        "limited_turns": 100,
        "given_p50": 200,
        "given_max": 200,
        "used_p50": 49,
        "used_p90": 89,
        "used_p99": 200,
        "used_max": 200,
        "cut_turns": 2,
        "cut_share": 0.02,
        "suggested": 400,
    }
    assert body == {
        "object": "list",
        "first_id": body["last_id"],
        "last_id": body["first_id"],
        "has_more": False,
        "from": JULY_MS // 1000,
        "to": JULY_MS // 1000 + 31 * 86_400,
    }


async def test_pages_go_on_where_the_one_before_ended(database: Database, tmp_path: Path) -> None:
    async with limits_desk(database, tmp_path) as desk:
        pages: list[Any] = []
        after = ""
        while not pages or pages[-1]["has_more"]:
            pages.append((await limits(desk, f"{JULY}&limit=2{after}")).body)
            after = f"&after={pages[-1]['last_id']}"

    names = [[(each["feature"], each["model"]) for each in page["data"]] for page in pages]
    assert names == [[(None, "best"), ("=drafts", "fast")], [("chat", "fast")]]


async def test_a_table_has_all_of_them_and_no_formulas(database: Database, tmp_path: Path) -> None:
    async with limits_desk(database, tmp_path) as desk:
        answer = await limits(desk, f"{JULY}&format=csv")
        accepted = await limits(desk, JULY, accept="text/csv")

    assert text_of(answer) == text_of(accepted)
    assert answer.headers["content-disposition"] == 'attachment; filename="output_limits.csv"'
    assert text_of(answer).split("\r\n") == [
        (
            "feature,model,turns,limited_turns,given_p50,given_max,used_p50,used_p90,used_p99,used_max,cut_turns,cut_share,"
            "suggested"
        ),
        ",best,1,1,9,9,8,8,8,8,0,0.0,",
        "'=drafts,fast,1,0,,,7,7,7,7,0,,",
        "chat,fast,100,100,200,200,49,89,200,200,2,0.02,400",
        "",
    ]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("user=u1", "user"),
        ("group_by=model", "group_by"),
        ("feature=a&feature=b", "feature"),
        ("model=", "model"),
        ("from=2020-01-01", "from"),
        ("limit=0", "limit"),
        ("format=csv&limit=5", "limit"),
        ("format=xml", "format"),
        ("after=WyJhIl0", "after"),
        ("after=!!", "after"),
    ],
)
async def test_what_it_cannot_answer_is_400_by_name(database: Database, tmp_path: Path, query: str, param: str) -> None:
    async with limits_desk(database, tmp_path) as desk:
        answer = await limits(desk, query)

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, "invalid_value", param)


async def test_keys_see_their_tenant_and_users_nothing(database: Database, tmp_path: Path) -> None:
    async with limits_desk(database, tmp_path) as desk:
        _, server = await desk.accounts.create_key("default", "web", "server", frozenset({"usage"}), None)
        _, theirs = await desk.accounts.create_key("acme", "web", "operator", None, None)
        _, narrowed = await desk.accounts.create_key("default", "web", "server", frozenset({"turns"}), None)
        _, reviewer = await desk.accounts.create_key("default", "eyes", "reviewer", None, None)
        answers = [
            await limits(desk, bearer=bearer) for bearer in (server, theirs, narrowed, reviewer, await token_of(desk))
        ]

    assert [len(answer.body["data"]) for answer in answers[:2]] == [3, 1]
    assert [(answer.status, answer.code) for answer in answers[2:]] == [
        (403, "missing_scope"),
        (403, "forbidden"),
        (403, "forbidden"),
    ]
