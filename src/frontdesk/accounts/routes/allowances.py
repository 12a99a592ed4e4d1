"""What a caller has left of limits and budgets, and what works as they stand: for GET /api/me."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from frontdesk.turn.turn import Caller


class LimitStandings(Protocol):
    """Knows what is left of the limits of a caller."""

    def standing(self, caller: Caller) -> Awaitable[Sequence[Mapping[str, object]]]:
        """Each limit of this caller's own, for JSON: kind, per, limit, remaining, resets_at. Looking takes nothing."""
        ...


class BudgetStanding(Protocol):
    """The budgets of a caller, for JSON, and the models that would answer a small question now."""

    @property
    def budgets(self) -> Sequence[Mapping[str, object]]:
        """Each budget that counts for this caller, with amounts where they are the caller's to know."""
        ...

    @property
    def answering(self) -> Sequence[str]:
        """Of the caller's models those that no budget keeps from answering."""
        ...


class BudgetStandings(Protocol):
    """Knows how the budgets of a caller stand."""

    def standing(self, caller: Caller) -> Awaitable[BudgetStanding]:
        """How they stand now. Raises Unavailable where that cannot be read."""
        ...


class Allowances:
    """Knows what callers have left; where nothing is limited, it is made of nothing.

    `is_free` says of a model's name whether one of its routes costs nothing now.
    """

    def __init__(
        self,
        limits: LimitStandings | None = None,
        budgets: BudgetStandings | None = None,
        is_free: Callable[[str], bool] | None = None,
    ) -> None:
        self._limits = limits
        self._budgets = budgets
        self._is_free = is_free

    async def left(self, caller: Caller, models: Sequence[str]) -> dict[str, Any]:
        """Limits, budgets and what of these models works now, as JSON has them. Raises Unavailable."""
        limits: Sequence[Mapping[str, object]] = []
        if self._limits is not None:
            limits = await self._limits.standing(caller)
        budgets = None if self._budgets is None else await self._budgets.standing(caller)
        works = [name for name in models if budgets is None or name in budgets.answering]
        if any(_stops_all(each) for each in limits):
            works = []
        return {
            "limits": limits,
            "budgets": [] if budgets is None else budgets.budgets,
            "works": {
                "models": works,
                "free_models": [name for name in works if self._is_free is not None and self._is_free(name)],
            },
        }


def _stops_all(limit: Mapping[str, object]) -> bool:
    """Whether nothing answers before more of this limit is left: what it counts, every request has."""
    remaining = limit["remaining"]
    return isinstance(remaining, int) and remaining <= 0 and limit["kind"] != "concurrent_streams"
