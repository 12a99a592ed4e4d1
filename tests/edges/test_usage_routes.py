"""GET /api/usage over a real server: what its turns used, seen by operators, users, spreadsheets and `reconcile`."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

# The second would run a program in some spreadsheets.
USERS = ("plain", "=cmd|' /C calc'!A0", 'a, "quoted" name')
# Whatever midnight, or end of a month, passes meanwhile.
TODAY = datetime.now(UTC).date()
RANGE = f"from={TODAY - timedelta(1)}&to={TODAY + timedelta(2)}"
OPERATOR = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose users asked once each, and one of them once more of a model that fails over."""
    settings = {
        **SCRIPTED,
        "prices": {"scripted/echo": {"input": 3.0, "output": 15.0, "request": 0.01}},
        "tiers": {**SCRIPTED["tiers"], "paid": {"requests_per_minute": 30, "budget": {"usd": 1.0, "per": "total"}}},
    }
    with serving(tmp_path_factory.mktemp("usage"), settings) as served:
        for user in USERS:
            ask(served, token_of(served, user), "fast")
        ask(served, token_of(served, "plain"), "rescued")
        ask(served, {"Authorization": "Bearer fd_sk_wrong"}, "fast", status=401)
        served.wait_for_rows("SELECT count(*) FROM turn WHERE status = 'completed'", [(4,)])
        yield served


def token_of(served: Served, user: str) -> dict[str, str]:
    answer = httpx2.post(f"{served.url}/api/sessions", headers=OPERATOR, json={"user": user})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def ask(served: Served, headers: dict[str, str], model: str, status: int = 200) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "one two three"}]}
    answer = httpx2.post(f"{served.url}/v1/chat/completions", headers=headers, json=body)
    assert answer.status_code == status, answer.text


def usage(served: Served, query: str = "", headers: dict[str, str] = OPERATOR) -> Any:
    answer = httpx2.get(f"{served.url}/api/usage?{RANGE}&{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def by(name: str, body: Any, measure: str) -> dict[str | None, Any]:
    return {group[name]: group[measure] for group in body["data"]}


def test_an_operator_sees_what_every_turn_used(used: Served) -> None:
    body = usage(used, "group_by=user")

    assert by("user", body, "turns") == {USERS[1]: 1, USERS[2]: 1, "plain": 2}
    (row,) = used.rows(
        "SELECT count(*), sum(input_tokens), sum(output_tokens), coalesce(sum(cost_micros), 0) FROM attempt"
    )
    totals = body["totals"]
    assert (
        totals["attempts"],
        totals["input_tokens"],
        totals["output_tokens"],
        round(totals["cost_usd"] * 10**6),
    ) == row
    assert (totals["turns"], totals["attempts"], totals["failed_attempts"]) == (4, 5, 1)
    assert totals["plain_input_tokens"] == totals["input_tokens"] > 0
    assert totals["cost_usd"] == totals["usage_cost_usd"] > 0.04


def test_however_it_is_grouped_it_adds_up(used: Served) -> None:
    totals = usage(used)["totals"]

    for group_by in (
        "model",
        "provider,status",
        "provider_model",
        "feature,tier,role",
        "hour,user",
        "day",
        "month,model",
    ):
        body = usage(used, f"group_by={group_by}")
        assert body["totals"] == totals
        for measure in ("attempts", "input_tokens", "output_tokens"):
            assert sum(group[measure] for group in body["data"]) == totals[measure]
    assert by("model", usage(used, "group_by=model"), "turns") == {"fast": 3, "rescued": 1}
    assert by("provider_model", usage(used, "group_by=provider_model"), "turns") == {"echo": 4, "error-500": 1}


def test_a_user_sees_their_own_alone(used: Served) -> None:
    theirs = token_of(used, USERS[1])

    body = usage(used, "group_by=user,model", theirs)

    assert [(group["user"], group["model"], group["turns"]) for group in body["data"]] == [(USERS[1], "fast", 1)]
    assert body["totals"]["turns"] == 1
    answer = httpx2.get(f"{used.url}/api/usage?user=plain", headers=theirs)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "user_not_found")


def test_a_users_budget_has_spent_what_their_usage_says(used: Served) -> None:
    theirs = token_of(used, "plain")

    me = httpx2.get(f"{used.url}/api/me", headers=theirs).json()

    (budget,) = me["budgets"]
    assert (budget["scope"], budget["state"], budget["held_usd"]) == ("user", "ok", 0.0)
    assert budget["spent_usd"] == usage(used, headers=theirs)["totals"]["cost_usd"]
    assert budget["left_usd"] == pytest.approx(1 - budget["spent_usd"], abs=1e-9)
    assert {"kind": "requests", "per": "minute", "limit": 30}.items() <= me["limits"][0].items()
    assert {"fast", "rescued"} <= set(me["works"]["models"])
    assert "fast" not in me["works"]["free_models"]
    assert "slow" in me["works"]["free_models"]


def test_a_spreadsheet_gets_names_and_no_formulas(used: Served) -> None:
    answer = httpx2.get(f"{used.url}/api/usage?{RANGE}&group_by=user", headers={**OPERATOR, "Accept": "text/csv"})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["user"] for row in rows] == [f"'{name}" if name[0] == "=" else name for name in sorted(USERS)]
    assert sum(int(row["attempts"]) for row in rows) == 5


def test_what_is_asked_wrongly_is_400_in_openais_shape(used: Served) -> None:
    answer = httpx2.get(f"{used.url}/api/usage?group_by=colour", headers=OPERATOR)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "group_by")


def test_reconcile_works_beside_the_server(used: Served) -> None:
    groups = usage(used, "group_by=day&provider=scripted")["data"]
    invoice = used.folder / "invoice.csv"

    def reconcile(more: float) -> subprocess.CompletedProcess[str]:
        lines = [f"{group['day']},echo,{group['cost_usd']:.6f}\n" for group in groups]
        invoice.write_text("".join(["day,model,cost\n", *lines, f"{groups[-1]['day']},echo,{more}\n"]))
        command = [sys.executable, "-m", "frontdesk", "reconcile", str(invoice), "--config", str(used.config)]
        options = ["--provider", "scripted", "--columns", "date=day,model=model,cost=cost", "--tolerance", "0.000001"]
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)

    same, dearer = reconcile(0), reconcile(0.02)

    assert (same.returncode, dearer.returncode) == (0, 1), same.stdout + same.stderr
    assert "They agree within $0.000001." in same.stdout
    assert "-0.020000" in dearer.stdout
    assert used.process.poll() is None
