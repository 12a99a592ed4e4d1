"""What somebody has left, and what works as it stands: told by /api/me as limits and budgets say it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from frontdesk.accounts.routes.allowances import Allowances
from frontdesk.turn.turn import Caller

USER = Caller("user", "sess_1", "u1")
MODELS = ["fast", "best", "local"]
BUDGET: dict[str, object] = {"scope": "user", "per": "day", "state": "ok"}


def left_of(kind: str, per: str | None, limit: int, remaining: int, resets_at: int | None = None) -> dict[str, object]:
    """What is left of a limit."""
    return {"kind": kind, "per": per, "limit": limit, "remaining": remaining, "resets_at": resets_at}


class HeldLimits:
    """Says the same to everybody, and notes who asked."""

    def __init__(self, *left: dict[str, object]) -> None:
        self._left = left
        self.asked: list[Caller] = []

    async def standing(self, caller: Caller) -> list[dict[str, object]]:
        self.asked.append(caller)
        return list(self._left)


class Stands(NamedTuple):
    """How budgets stand."""

    budgets: list[dict[str, object]]
    answering: list[str]


class HeldBudgets:
    """Says the same to everybody, and notes who asked."""

    def __init__(self, *answering: str) -> None:
        self._stands = Stands([BUDGET], list(answering))
        self.asked: list[Caller] = []

    async def standing(self, caller: Caller) -> Stands:
        self.asked.append(caller)
        return self._stands


async def left(limits: Any = None, budgets: Any = None, *free: str) -> dict[str, Any]:
    return await Allowances(limits, budgets, free.__contains__).left(USER, MODELS)


async def test_where_nothing_is_limited_everything_works() -> None:
    assert await Allowances().left(USER, MODELS) == {
        "limits": [],
        "budgets": [],
        "works": {"models": MODELS, "free_models": []},
    }


async def test_limits_and_budgets_are_told_of_who_asks() -> None:
    limits, budgets = HeldLimits(left_of("requests", "minute", 20, 3, 1_800_000_007)), HeldBudgets("local", "fast")

    told = await left(limits, budgets, "local")

    assert told == {
        "limits": [{"kind": "requests", "per": "minute", "limit": 20, "remaining": 3, "resets_at": 1_800_000_007}],
        "budgets": [BUDGET],
        "works": {"models": ["fast", "local"], "free_models": ["local"]},
    }
    assert limits.asked == budgets.asked == [USER]


async def test_a_model_that_is_not_theirs_does_not_work_for_them() -> None:
    assert (await left(None, HeldBudgets("fast", "secret"), "secret"))["works"] == {
        "models": ["fast"],
        "free_models": [],
    }


@pytest.mark.parametrize(
    ("used_up", "works"),
    [
        (left_of("requests", "minute", 20, 0, 1_800_000_007), []),
        (left_of("tokens", "day", 1_000, 0, 1_800_000_007), []),
        (left_of("tokens", "minute", 1_000, -5, 1_800_000_007), []),
        (left_of("concurrent", None, 2, 0), []),
        (left_of("concurrent_streams", None, 2, 0), MODELS),
        (left_of("requests", "minute", 20, 1), MODELS),
    ],
)
async def test_nothing_works_before_a_limit_that_is_used_up_has_more(
    used_up: dict[str, object], works: list[str]
) -> None:
    """But for streams: another answer can come in one piece."""
    told = await left(HeldLimits(left_of("requests", "day", 9, 9), used_up), HeldBudgets(*MODELS), "local")

    assert told["works"] == {"models": works, "free_models": ["local"] if works else []}
