"""What an operator reads in the log when a budget passes a step, and who else is told when it is used up: once for
each window.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from frontdesk.core.money import Micros, usd
from frontdesk.ledger.holds import Balance, Window
from frontdesk.policies.applied import Applied
from frontdesk.policies.spending import Call, Grant, Refusal, is_used_up

_log = logging.getLogger("frontdesk.budgets")
_MOST_TOLD = 10_000

FoundSpent: TypeAlias = Callable[[str, Window, Micros], None]
"""Takes note of a tenant's window whose budget, of this amount, is used up, though maybe not to its last cent."""


class StepLog:
    """Says that a budget has passed a step, or is used up. What many share is a warning."""

    def __init__(self, found_spent: FoundSpent | None = None) -> None:
        self._found_spent = found_spent
        self._steps: OrderedDict[tuple[str, Window, Micros], int] = OrderedDict()

    def tell(self, tenant: str, applied: Iterable[Applied], outcome: Grant | Refusal, call: Call) -> None:
        """Say what this call has found that was not said yet."""
        has_room = isinstance(outcome, Grant) and "free_models" not in outcome.measures
        for budget, balance in zip(applied, outcome.balances, strict=True):
            cap = budget.cap
            is_spent = not has_room and is_used_up(balance, cap, call)
            step = len(cap.steps) + 1 if is_spent else cap.step(balance)
            if step and step > self._steps.get((tenant, budget.window, cap.micros), 0):
                self._note((tenant, budget.window, cap.micros), step)
                _tell_operator(tenant, budget, balance, "spent" if is_spent else str(step))
                if is_spent and self._found_spent is not None:
                    self._found_spent(tenant, budget.window, cap.micros)

    def _note(self, key: tuple[str, Window, Micros], step: int) -> None:
        self._steps[key] = step
        self._steps.move_to_end(key)
        if len(self._steps) > _MOST_TOLD:
            self._steps.popitem(last=False)


def _tell_operator(tenant: str, budget: Applied, balance: Balance, step: str) -> None:
    _log.log(
        logging.INFO if budget.is_own else logging.WARNING,
        "budget_step tenant=%s scope=%s per=%s step=%s spent_usd=%.6f usd=%.6f",
        tenant,
        budget.window.scope,
        budget.per,
        step,
        usd(balance.spent),
        usd(budget.cap.micros),
    )
