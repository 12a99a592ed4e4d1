"""/api/feedback and /api/admin/feedback: what they take, what they tell, and whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frontdesk.feedback.routes import MOST_COMMENT_CHARS, MOST_CORRECTION_CHARS
from frontdesk.feedback.rows import REASONS, Rated
from frontdesk.feedback.service import Terms
from frontdesk.storage.database import Database
from tests.accounts.routes.desk import ADMIN_KEY, Desk
from tests.feedback.desk import a_feedback, feedback_desk, keep_feedback, token_of


async def say(desk: Desk, bearer: str, body: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    answer = await desk.ask("POST", "/api/feedback", body, bearer=bearer, **headers)
    assert answer.status == status, answer.body
    return answer.body


async def get(desk: Desk, path: str, bearer: str = ADMIN_KEY, status: int = 200) -> dict[str, Any]:
    answer = await desk.ask("GET", path, bearer=bearer)
    assert answer.status == status, answer.body
    assert status != 200 or answer.headers["cache-control"] == "no-store"
    return answer.body


async def key_of(desk: Desk, role: Any, scopes: frozenset[str] | None = None, tenant: str = "default") -> str:
    return (await desk.accounts.create_key(tenant, "test", role, scopes, None))[1]


# --- one's own ----------------------------------------------------------------------------------


async def test_it_is_said_listed_and_taken_back(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        token = await token_of(desk)
        asked = {
            "response_id": "resp_1",
            "rating": "down",
            "reason": "wrong",
            "comment": " Pluto\nis none. ",
            "correction": "Eight.",
        }

        said = await say(desk, token, asked)
        await say(desk, token, {"response_id": "resp_2", "rating": "up"})
        listed = await get(desk, "/api/feedback?limit=1", token)
        of_one = await get(desk, "/api/feedback?response_id=resp_1", token)
        taken = await desk.ask("DELETE", "/api/feedback/resp_1", bearer=token)
        again = await desk.ask("DELETE", "/api/feedback/resp_1", bearer=token)
        rest = await get(desk, "/api/feedback", token)

    now = int(desk.clock.now())
    assert said == {
        "id": said["id"],
        "object": "feedback",
        **asked,
        "feature": "chat",
        "model": "fast",
        "created_at": now,
        "changed_at": now,
        "expires_at": None,
    }
    assert (listed["data"][0]["response_id"], listed["has_more"]) == ("resp_2", True)
    assert (of_one["data"], of_one["has_more"]) == ([said], False)
    assert (taken.status, taken.body) == (200, {"id": said["id"], "object": "feedback", "deleted": True})
    assert (again.status, again.body["error"]["code"]) == (404, "feedback_not_found")
    assert [each["response_id"] for each in rest["data"]] == ["resp_2"]


@pytest.mark.parametrize("reason", [None, *REASONS])
async def test_every_reason_is_taken(database: Database, tmp_path: Path, reason: str | None) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        said = await say(desk, await token_of(desk), {"response_id": "resp_1", "rating": "down", "reason": reason})

    assert said["reason"] == reason


async def test_texts_may_be_long_and_say_nothing_where_they_are_empty(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        token = await token_of(desk)
        long = {"comment": "é" * MOST_COMMENT_CHARS, "correction": "字" * MOST_CORRECTION_CHARS}
        kept = await say(desk, token, {"response_id": "resp_1", "rating": "down", **long})
        empty = await say(desk, token, {"response_id": "resp_1", "rating": "up", "comment": "", "correction": " \n"})

    assert {name: kept[name] for name in long} == long
    assert (empty["comment"], empty["correction"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "response_id"),
        ({"response_id": "resp_1"}, "missing_required_parameter", "rating"),
        ({"response_id": 1, "rating": "up"}, "invalid_type", "response_id"),
        ({"response_id": "", "rating": "up"}, "invalid_value", "response_id"),
        ({"response_id": "x" * 129, "rating": "up"}, "invalid_value", "response_id"),
        ({"response_id": "resp_1", "rating": "sideways"}, "invalid_value", "rating"),
        ({"response_id": "resp_1", "rating": None}, "invalid_type", "rating"),
        ({"response_id": "resp_1", "rating": "up", "reason": "boredom"}, "invalid_value", "reason"),
        ({"response_id": "resp_1", "rating": "up", "comment": "x" * 2_001}, "invalid_value", "comment"),
        ({"response_id": "resp_1", "rating": "up", "correction": "x" * 32_001}, "invalid_value", "correction"),
        ({"response_id": "resp_1", "rating": "up", "comment": "a\0b"}, "invalid_value", "comment"),
        ({"response_id": "resp_1", "rating": "up", "correction": "\0"}, "invalid_value", "correction"),
        ({"response_id": "resp_1", "rating": "up", "mood": "fine"}, "unsupported_parameter", "mood"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_cannot_be_is_refused_by_its_name(
    database: Database, tmp_path: Path, body: dict[str, Any], code: str, param: str
) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        token = await token_of(desk)
        error = (await say(desk, token, body, 400))["error"]
        listed = await get(desk, "/api/feedback", token)

    assert (error["code"], error["param"], listed["data"]) == (code, param, [])


async def test_a_response_of_others_is_told_of_as_one_that_never_was(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        mine, other = await token_of(desk), await token_of(desk, "u2")
        await say(desk, mine, {"response_id": "resp_1", "rating": "up"})
        answers = [
            (
                await say(desk, other, {"response_id": response_id, "rating": "up"}, 404),
                (await desk.ask("DELETE", f"/api/feedback/{response_id}", bearer=other)).body,
                await get(desk, f"/api/feedback?response_id={response_id}", other),
            )
            for response_id in ("resp_1", "resp_9")
        ]

    theirs, nobodys = (str(answer).replace("resp_9", "resp_1") for answer in answers)
    assert theirs == nobodys
    assert [each["error"]["code"] for each in answers[0][:2]] == ["response_not_found", "feedback_not_found"]
    assert answers[0][2]["data"] == []


async def test_with_a_key_it_is_said_once(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        token = await token_of(desk)
        body = {"response_id": "resp_1", "rating": "up"}
        first = await say(desk, token, body, idempotency_key="one")
        await say(desk, token, {**body, "rating": "down"})
        again = await say(desk, token, body, idempotency_key="one")
        other = await say(desk, token, {**body, "reason": "slow"}, 422, idempotency_key="one")
        (kept,) = (await get(desk, "/api/feedback", token))["data"]

    assert (again, kept["rating"]) == (first, "down")
    assert other["error"]["code"] == "idempotency_key_reused"


async def test_where_no_texts_are_kept_none_is_taken(database: Database, tmp_path: Path) -> None:
    def no_texts(_: Rated, now_ms: int) -> Terms:
        return Terms(keeps_texts=False, until_ms=now_ms + 1_000)

    async with feedback_desk(database, tmp_path, no_texts) as desk:
        token = await token_of(desk)
        body = {"response_id": "resp_1", "rating": "down", "reason": "wrong"}
        refused = await say(desk, token, {**body, "comment": "No."}, 400)
        said = await say(desk, token, {**body, "comment": ""})

    assert (refused["error"]["code"], refused["error"]["param"]) == ("nothing_is_stored", "comment")
    assert said["expires_at"] == said["changed_at"] + 1


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=%00", "user=u2"])
async def test_pages_that_cannot_be_are_refused(database: Database, tmp_path: Path, query: str) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        for path in ("/api/feedback", "/api/admin/feedback"):
            error = (await get(desk, f"{path}?{query}", ADMIN_KEY, 400))["error"]
            assert error["param"] == query.split("=", maxsplit=1)[0]


# --- everybody's --------------------------------------------------------------------------------


async def test_operators_are_told_whose_it_is_and_reviewers_are_not(database: Database, tmp_path: Path) -> None:
    rows = [
        a_feedback(1, comment="Thanks.", prompt="0123456789ab"),
        a_feedback(2, person="", credential="key_1"),
    ]
    async with feedback_desk(database, tmp_path) as desk:
        await keep_feedback(database, *rows)
        seen = await get(desk, "/api/admin/feedback")
        reviewed = await get(desk, "/api/admin/feedback", await key_of(desk, "reviewer"))

    assert [each["user"] for each in seen["data"]] == [None, "u1"]
    assert reviewed["data"] == [
        {name: value for name, value in each.items() if name != "user"} for each in seen["data"]
    ]
    assert (seen["data"][1]["comment"], seen["data"][1]["prompt"]) == ("Thanks.", "0123456789ab")


async def test_pages_are_narrowed(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        await keep_feedback(
            database, *(a_feedback(number, rating="down" if number % 2 else "up") for number in range(1, 8))
        )
        pages: list[dict[str, Any]] = [await get(desk, "/api/admin/feedback?rating=down&limit=3")]
        while pages[-1]["has_more"]:
            after = pages[-1]["last_id"]
            pages.append(await get(desk, f"/api/admin/feedback?rating=down&limit=3&after={after}"))
        before = await get(desk, "/api/admin/feedback?to=2027-01-15")
        twice = await get(desk, "/api/admin/feedback?rating=up&rating=down", status=400)

    ids = [each["id"] for page in pages for each in page["data"]]
    assert ids == [a_feedback(number).id for number in (7, 5, 3, 1)]
    assert [len(page["data"]) for page in pages] == [3, 1]
    assert before["data"] == []
    assert twice["error"]["param"] == "rating"


async def test_sums_are_told_with_how_sure_they_are(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        rows = [a_feedback(number, rating="down" if number < 2 else "up") for number in range(10)]
        await keep_feedback(database, *rows, a_feedback(10, prompt="0123456789ab"))
        query = "from=2027-01-15&to=2027-01-16&group_by=prompt"
        told = await get(desk, f"/api/admin/feedback/sums?{query}")
        nothing = await get(desk, f"/api/admin/feedback/sums?{query}&feature=unheard_of")

    assert told["data"] == [
        {
            "value": "",
            "object": "feedback.sum",
            "up": 8,
            "down": 2,
            "share": 0.8,
            "low": 0.490162,
            "high": 0.943318,
        },
        {
            "value": "0123456789ab",
            "object": "feedback.sum",
            "up": 1,
            "down": 0,
            "share": 1.0,
            "low": 0.206549,
            "high": 1.0,
        },
    ]
    assert (told["totals"]["up"], told["totals"]["down"]) == (9, 2)
    assert (told["group_by"], told["to"] - told["from"]) == ("prompt", 86_400)
    assert nothing["data"] == []
    assert nothing["totals"] == {"up": 0, "down": 0, "share": None, "low": None, "high": None}


async def test_a_tenant_sees_its_own(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        await keep_feedback(database, a_feedback(1, tenant="acme"))
        theirs = await key_of(desk, "reviewer", tenant="acme")
        sums = "/api/admin/feedback/sums?from=2027-01-01&to=2027-02-01"

        assert len((await get(desk, "/api/admin/feedback", theirs))["data"]) == 1
        assert (await get(desk, "/api/admin/feedback"))["data"] == []
        assert (await get(desk, sums, theirs))["totals"]["up"] == 1
        assert (await get(desk, sums))["totals"]["up"] == 0


@pytest.mark.parametrize("path", ["/api/admin/feedback", "/api/admin/feedback/sums"])
@pytest.mark.parametrize(
    ("role", "scopes", "code"),
    [
        ("server", None, "forbidden"),
        ("operator", {"usage", "turns"}, "missing_scope"),
        ("reviewer", {"usage"}, "missing_scope"),
        ("reviewer", {"feedback"}, None),
        ("operator", {"feedback"}, None),
    ],
)
async def test_who_may_read_what_people_say(
    database: Database, tmp_path: Path, path: str, role: Any, scopes: set[str] | None, code: str | None
) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        key = await key_of(desk, role, None if scopes is None else frozenset(scopes))
        answer = await desk.ask("GET", path, bearer=key)
        of_user = await desk.ask("GET", path, bearer=await token_of(desk))

    assert (answer.status, None if code is None else answer.body["error"]["code"]) == (403 if code else 200, code)
    assert of_user.status == 403


async def test_reviewers_say_nothing_themselves(database: Database, tmp_path: Path) -> None:
    async with feedback_desk(database, tmp_path) as desk:
        key = await key_of(desk, "reviewer")

        assert (await say(desk, key, {"response_id": "resp_1", "rating": "up"}, 403))["error"]["code"] == "forbidden"
