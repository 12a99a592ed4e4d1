"""Budgets that are spent, watched and told of, over a real ledger and with a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from frontdesk.alerts.store import AlertRow, AlertStore
from frontdesk.alerts.watch import BudgetWatch
from frontdesk.core.clock import unix_ms
from frontdesk.core.config import Budget
from frontdesk.core.ids import new_id
from frontdesk.core.money import micros_of
from frontdesk.core.periods import Period, window_start_ms
from frontdesk.ledger.holds import Choose, Facts, Reservation, Settlement, Window
from frontdesk.ledger.ledger import Ledger
from frontdesk.storage.database import Database
from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.lanes import Lane, Results
from frontdesk.storage.query import Step
from tests.fakes import HandClock

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC


class FailingDatabase:
    """A database that writes so many times more, where `writes_left` says so, and then fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writes_left: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise StorageFailed("The disk is full.")
            self.writes_left -= 1
        return await self._database.write(*steps, lane=lane)


class AlertDesk:
    """One process that spends, watches and keeps alerts."""

    def __init__(
        self,
        database: Database | FailingDatabase,
        budgets: Sequence[Budget],
        clock: HandClock,
        *,
        has_webhook: bool = True,
    ) -> None:
        self.clock = clock
        database = cast("Database", database)
        self.ledger = Ledger(database, new_id("proc_"), clock, lambda *_: ())
        self.store = AlertStore(database)
        self.watch = BudgetWatch(budgets, self.ledger, self.store, clock, has_webhook=has_webhook)

    def window(self, budget: Budget) -> Window:
        """The window of a budget that counts now."""
        return Window(budget.scope, budget.per, window_start_ms(budget.per, unix_ms(self.clock)))

    async def spend(self, usd: float, *windows: Window, tenant: str = "default") -> None:
        """Spend so much from each of some windows."""
        self.ledger.settle(Settlement(self._reservation(tenant, windows), micros_of(usd), ()))
        await self.ledger.flush()

    async def hold(self, usd: float, *windows: Window) -> None:
        """Put so much aside in each of some windows."""
        choose: Choose[Any] = lambda _: _Held(micros_of(usd))  # noqa: E731
        await self.ledger.reserve(self._reservation("default", windows), choose)

    async def alerts(self, tenant: str = "default") -> list[AlertRow]:
        """What was raised, the oldest first."""
        return (await self.store.list_of(tenant, "", 1000))[::-1]

    async def kinds(self, tenant: str = "default") -> list[str]:
        """What was raised, by its kinds."""
        return [row.kind for row in await self.alerts(tenant)]

    def _reservation(self, tenant: str, windows: Sequence[Window]) -> Reservation:
        facts = Facts("chat", "user", "sess_1", "u1", "chat", "free", "fast", False, unix_ms(self.clock), "p/m")
        return Reservation(tenant, new_id("turn_"), tuple(windows), facts, unix_ms(self.clock) + 60_000)


class _Held:
    def __init__(self, micros: int) -> None:
        self.micros = micros


@asynccontextmanager
async def alert_desk(
    database: Database | FailingDatabase, *budgets: Budget, clock: HandClock | None = None, has_webhook: bool = True
) -> AsyncIterator[AlertDesk]:
    """A desk that is open meanwhile."""
    desk = AlertDesk(database, budgets, clock or HandClock(NOON), has_webhook=has_webhook)
    try:
        yield desk
    finally:
        await desk.ledger.close()


def app(usd: float = 10.0, per: Period = "month", **settings: Any) -> Budget:
    """A budget of everybody's."""
    return Budget(scope="app", usd=usd, per=per, **settings)
