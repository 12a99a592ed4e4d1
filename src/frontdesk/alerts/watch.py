"""Watches the budgets of the configuration and raises what they have come to, each thing once.

Every process looks; who writes the row first has told it. A window that has ended is looked at for an hour
more: turns that were under way at its end are still spent from it, and a process may have been down. What is
crossed later than that nobody hears of: what was spent is in the reports of usage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from frontdesk.alerts.crossings import Crossing, crossings, fraction
from frontdesk.alerts.store import NEVER_MS, AlertRow, AlertStore
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.config import Budget
from frontdesk.core.ids import new_id
from frontdesk.core.money import Micros, micros_of, usd
from frontdesk.core.periods import window_end_ms, window_start_ms
from frontdesk.ledger.holds import Balance, Treasury, Window

_log = logging.getLogger("frontdesk.alerts")
_LOOK_BACK_MS = 3_600_000


class BudgetWatch:
    """Looks at the windows of some budgets, of all tenants."""

    def __init__(
        self, budgets: Sequence[Budget], treasury: Treasury, store: AlertStore, clock: Clock, *, has_webhook: bool
    ) -> None:
        self._budgets = budgets
        self._treasury = treasury
        self._store = store
        self._clock = clock
        self._has_webhook = has_webhook
        self._told: set[tuple[str, Window, str]] = set()
        self._found_spent: set[tuple[str, Window, Micros]] = set()
        self._caps = {(budget.scope, budget.per, micros_of(budget.usd)) for budget in budgets}

    def found_spent(self, tenant: str, window: Window, cap: Micros) -> None:
        """Take note that what is left of a budget buys nothing, though its last micro-dollar is not spent.

        Of one that is not watched it is passed over: a person's own may have the window of another, and its own `cap`.
        """
        if (window.scope, window.period, cap) in self._caps:
            self._found_spent.add((tenant, window, cap))

    async def watch(self) -> None:
        """Look at the windows now, and tell what is new. Raises StorageError; what was not told is told next time."""
        now_ms = unix_ms(self._clock)
        watched = [(budget, window) for budget in self._budgets for window in _windows(budget, now_ms)]
        windows = [window for _, window in watched]
        for tenant in await self._store.tenants():
            balances = await self._treasury.balances(tenant, windows)
            for (budget, window), balance in zip(watched, balances, strict=True):
                await self._tell(tenant, budget, window, balance)
        still = set(windows)
        self._told = {told for told in self._told if told[1] in still}
        self._found_spent = {found for found in self._found_spent if found[1] in still}

    async def _tell(self, tenant: str, budget: Budget, window: Window, balance: Balance) -> None:
        is_found_spent = (tenant, window, micros_of(budget.usd)) in self._found_spent
        crossed = crossings(budget, balance.spent, is_found_spent=is_found_spent)
        new = [crossing for crossing in crossed if (tenant, window, crossing.kind) not in self._told]
        if not new:
            return
        now_ms = unix_ms(self._clock)
        ids = sorted(new_id("alert_") for _ in new)  # so that they are delivered in their order
        rows = [
            AlertRow(
                tenant=tenant,
                scope=window.scope,
                period=window.period,
                starts_at_ms=window.starts_at_ms,
                kind=crossing.kind,
                id=alert_id,
                body=msgspec.json.encode(_body(tenant, budget, window, balance, crossing, now_ms)).decode(),
                raised_at_ms=now_ms,
                tries=0,
                next_try_at_ms=now_ms if self._has_webhook else NEVER_MS,
                delivered_at_ms=None,
            )
            for crossing, alert_id in zip(new, ids, strict=True)
        ]
        raised = {row.id for row in await self._store.raise_new(rows)}
        for row, crossing in zip(rows, new, strict=True):
            self._told.add((tenant, window, crossing.kind))
            if row.id in raised:
                _log_it(row, budget, balance, crossing)


def _windows(budget: Budget, now_ms: int) -> Iterator[Window]:
    """The window of now, and the one before it where it has ended lately."""
    start_ms = window_start_ms(budget.per, now_ms)
    yield Window(budget.scope, budget.per, start_ms)
    if start_ms > 0 and now_ms - start_ms < _LOOK_BACK_MS:
        yield Window(budget.scope, budget.per, window_start_ms(budget.per, start_ms - 1))


def _body(
    tenant: str, budget: Budget, window: Window, balance: Balance, crossing: Crossing, now_ms: int
) -> dict[str, Any]:
    """What a webhook is sent: a type, a time and the facts, as Standard Webhooks has it."""
    end_ms = window_end_ms(window.period, window.starts_at_ms)
    return {
        "type": crossing.type,
        "timestamp": _told(now_ms),
        "data": {
            "tenant": tenant,
            "scope": window.scope,
            "period": window.period,
            "starts_at": None if end_ms is None else _told(window.starts_at_ms),
            "ends_at": None if end_ms is None else _told(end_ms),
            "usd": budget.usd,
            "spent_usd": usd(balance.spent),
            "held_usd": usd(balance.held),
            "fraction": fraction(balance.spent, micros_of(budget.usd)),
            "threshold": crossing.threshold,
            "when_spent": budget.when_spent,
        },
    }


def _told(time_ms: int) -> str:
    """A time as RFC 3339 has it: 2026-12-01T00:00:00.000Z."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _log_it(row: AlertRow, budget: Budget, balance: Balance, crossing: Crossing) -> None:
    _log.warning(
        "budget_alert type=%s id=%s tenant=%s scope=%r period=%s usd=%.6f spent_usd=%.6f held_usd=%.6f threshold=%g"
        " when_spent=%s",
        crossing.type,
        row.id,
        row.tenant,
        row.scope,
        row.period,
        budget.usd,
        usd(balance.spent),
        usd(balance.held),
        crossing.threshold,
        budget.when_spent,
    )
