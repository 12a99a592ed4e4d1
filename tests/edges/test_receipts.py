"""Receipts and figures of limits over a real server: what a budget's measure and a model's end make of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

OPERATOR = {"Authorization": f"Bearer {ADMIN_KEY}"}
FIGURES = ("turns", "given_max", "used_max", "cut_turns", "cut_share", "suggested")
FEATURES: dict[str, Any] = {"notes": {"max_output_tokens": 40}, "essays": {}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {
        **SCRIPTED,
        "features": FEATURES,
        "prices": {"scripted/*": {"input": 1, "output": 2}},
        "budgets": [{"scope": "app", "usd": 100, "per": "day"}],
    }
    with serving(tmp_path_factory.mktemp("receipts"), settings) as running:
        yield running


def token_of(served: Served, user: str) -> dict[str, str]:
    session = httpx2.post(f"{served.url}/api/sessions", headers=OPERATOR, json={"user": user}).json()
    return {"Authorization": f"Bearer {session['token']}"}


def answer_of(served: Served, model: str, bearer: dict[str, str], feature: str = "notes", **fields: Any) -> str:
    """Ask; returns the response's id."""
    body = {"model": model, "input": "hello there", "metadata": {"feature": feature}, **fields}
    answer = httpx2.post(f"{served.url}/v1/responses", headers=bearer, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def receipt_of(served: Served, response_id: str, bearer: dict[str, str]) -> dict[str, Any]:
    answer = httpx2.get(f"{served.url}/api/receipts/{response_id}", headers=bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_receipt_is_there_as_soon_as_the_answer_is(served: Served) -> None:
    mine = token_of(served, "anna")
    response_id = answer_of(served, "fast", mine, max_output_tokens=5000)

    told = receipt_of(served, response_id, mine)

    assert (told["status"], told["feature"], told["model"]) == ("completed", "notes", "fast")
    assert told["max_output_tokens"] == 40  # as its feature lowered it
    assert told["usage"]["output_tokens"] > 0
    assert "attempts" not in told
    assert "cost_usd" not in told


@pytest.mark.parametrize(("feature", "given"), [("notes", 40), ("essays", 4096)])
def test_what_nobody_asked_for_is_what_was_put_in(served: Served, feature: str, given: int) -> None:
    """By the feature; else by the budget, which must know how long an answer may get."""
    mine = token_of(served, "bea")

    assert receipt_of(served, answer_of(served, "fast", mine, feature), mine)["max_output_tokens"] == given


def test_an_operator_reads_any_with_how_it_was_answered(served: Served) -> None:
    told = receipt_of(served, answer_of(served, "rescued", token_of(served, "carl")), OPERATOR)

    assert [(each["provider_model"], each["purpose"], each["status"]) for each in told["attempts"]] == [
        ("error-500", "first", "failed"),
        ("echo", "fallback", "completed"),
    ]
    assert told["cost_usd"] > 0


def test_answers_that_reach_their_limit_are_counted(served: Served) -> None:
    """And none that a provider ends below it, whose own that was."""
    mine = token_of(served, "dora")
    for model in ("short", "short", "many"):
        answer_of(served, model, mine, "essays", max_output_tokens=20)

    query = f"{served.url}/api/usage/output_limits?feature=essays"
    groups = {each["model"]: each for each in httpx2.get(query, headers=OPERATOR).json()["data"]}

    figures = {name: tuple(groups[name][each] for each in FIGURES) for name in ("many", "short")}
    assert figures == {"many": (1, 20, 20, 1, 1.0, None), "short": (2, 20, 4, 0, 0.0, None)}
