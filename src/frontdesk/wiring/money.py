"""Money, put together: what things cost, and who pays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from frontdesk.accounts.gate import Gate
from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.alerts.deliveries import Deliveries
from frontdesk.alerts.routes import AlertRoutes
from frontdesk.alerts.store import AlertStore
from frontdesk.alerts.watch import BudgetWatch
from frontdesk.alerts.webhook import Webhook
from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.core.tasks import Tasks
from frontdesk.http.callers import GuardedRoute
from frontdesk.ledger.ledger import Ledger
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets, Planned
from frontdesk.prices.book import PriceBook
from frontdesk.prices.history import PriceHistory
from frontdesk.prices.routes import PriceRoutes
from frontdesk.prices.store import PriceStore
from frontdesk.storage.database import Database
from frontdesk.tokens.counter import TokenCounter
from frontdesk.usage.store import crash_rows

_WATCH_EVERY_S = 2.0
_BEHIND = 1_000

Every = Callable[[str, float, Callable[[], Awaitable[object]]], Coroutine[Any, Any, None]]


class Money:
    """What things cost, and who pays: prices, the ledger, budgets, alerts."""

    def __init__(
        self,
        config: Config,
        database: Database,
        owner: str,
        access: Access,
        clock: Clock,
        planned: Planned | None = None,
    ) -> None:
        self.book = PriceBook.open(config)
        self.history = PriceHistory(PriceStore(database, DEFAULT_TENANT), self.book, clock)
        self.ledger = Ledger(database, owner, clock, crash_rows)
        self._models = config.models
        self._database = database
        self._clock = clock
        self._alerts = AlertStore(database)
        webhook, secret = config.alerts.webhook, config.alerts.secret
        self._watch: BudgetWatch | None = None
        if config.budgets:
            self._watch = BudgetWatch(config.budgets, self.ledger, self._alerts, clock, has_webhook=webhook is not None)
        self._deliveries: Deliveries | None = None
        if webhook is not None and secret is not None:
            self._deliveries = Deliveries(self._alerts, Webhook(webhook, secret, clock), clock)
        self.counter = TokenCounter(clock)
        self._access = access
        self.budgets = self.budgets_of(config, planned)

    def budgets_of(self, config: Config, planned: Planned | None = None) -> Budgets:
        """The budgets of a configuration, in the same books."""
        found_spent = None if self._watch is None else self._watch.found_spent
        return Budgets(config, self.book, self.ledger, self._access, self._clock, self.counter, found_spent, planned)

    @property
    def state(self) -> str:
        """How the books are: ok, behind where much waits to be written, lossy where something never could be."""
        if self.ledger.lost_settlements:
            return "lossy"
        return "behind" if self.ledger.waiting_settlements > _BEHIND else "ok"

    def routes(self, gate: Gate) -> list[GuardedRoute]:
        """The routes of prices and alerts."""
        prices = PriceRoutes(self.book, self._database, gate, self._clock)
        return [*prices.routes(), *AlertRoutes(self._alerts, gate).routes()]

    def is_free(self, model: str) -> bool:
        """Whether one of a model's routes costs nothing now."""
        now = self._clock.now()
        prices = [self.book.price_of(route, now) for route in self._models[model].routes]
        return any(price is not None and price.is_free for price in prices)

    async def start(self, tasks: Tasks, every: Every) -> None:
        """Write down which prices hold, and begin to watch."""
        await self.history.record()
        if self._watch is not None:
            tasks.start("watch", every("watch", _WATCH_EVERY_S, self._watch.watch))
        if self._deliveries is not None:
            tasks.start("deliveries", every("deliveries", _WATCH_EVERY_S, self._deliveries.deliver))

    async def close(self) -> None:
        """Write what was settled."""
        await self.counter.close()
        await self.ledger.close()
