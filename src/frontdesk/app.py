"""The composition root: a configuration becomes services, and services become one ASGI application.

Everything that is chosen is chosen here, once; nothing else in Frontdesk knows its whole.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp

from frontdesk import __version__
from frontdesk.accounts.anonymous import AnonymousLimit, ExchangeLimit
from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.gate import Gate
from frontdesk.accounts.issuers import Issuers
from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.accounts.routes.allowances import Allowances
from frontdesk.accounts.routes.keys import KeyRoutes
from frontdesk.accounts.routes.people import PeopleRoutes
from frontdesk.accounts.routes.sessions import SessionRoutes
from frontdesk.accounts.service import Accounts
from frontdesk.alerts.deliveries import Deliveries
from frontdesk.alerts.routes import AlertRoutes
from frontdesk.alerts.store import AlertStore
from frontdesk.alerts.watch import BudgetWatch
from frontdesk.alerts.webhook import Webhook
from frontdesk.core.clock import Clock, SystemClock
from frontdesk.core.config import Config, Environment
from frontdesk.core.config import Provider as ProviderConfig
from frontdesk.core.config.addresses import is_loopback
from frontdesk.core.ids import new_id
from frontdesk.core.tasks import Tasks
from frontdesk.doors.bootstrap import BootstrapRoutes
from frontdesk.doors.chat import ChatDoor
from frontdesk.doors.desk import Desk
from frontdesk.doors.embeddings import EmbeddingsDoor
from frontdesk.doors.responses import ResponsesDoor
from frontdesk.doors.routes import GatewayRoutes
from frontdesk.guards.credentials import CredentialGuard
from frontdesk.guards.instructions import InstructionsGuard
from frontdesk.http.callers import GuardedRoute
from frontdesk.http.edge import Edge
from frontdesk.http.pages import pages
from frontdesk.http.proxies import TrustedProxies
from frontdesk.http.requests import Head
from frontdesk.http.starlette import Routes
from frontdesk.ledger.ledger import Ledger
from frontdesk.limits.counters import Counters, open_counters
from frontdesk.limits.in_process import InProcessCounters
from frontdesk.limits.telling import HEADERS
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets
from frontdesk.policies.features import Features
from frontdesk.policies.limits import Limits
from frontdesk.policies.tracing import Tracing
from frontdesk.prices.book import PriceBook
from frontdesk.prices.history import PriceHistory
from frontdesk.prices.routes import PriceRoutes
from frontdesk.prices.store import PriceStore
from frontdesk.providers.local import LocalProvider
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.providers.profiles import COMPATIBLE, OPENAI
from frontdesk.providers.router import FallbackRouter, Route
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.reports.report import Reports
from frontdesk.reports.routes import UsageRoutes
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageError
from frontdesk.tokens.counter import TokenCounter
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.seams import Guard, Policy, Provider
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.usage.store import TurnStore, crash_rows

_log = logging.getLogger("frontdesk.app")
_MEGABYTE = 1024 * 1024
_REFRESH_EVERY_S = 1.0
_HEARTBEAT_EVERY_S = 10.0
_DEAD_AFTER_S = 30.0
_WATCH_EVERY_S = 2.0
_BEHIND = 1_000
_OPENAI_URL = "https://api.openai.com/v1"


Every = Callable[[str, float, Callable[[], Awaitable[object]]], Coroutine[Any, Any, None]]


class Frontdesk:
    """One process's services. `asgi` serves; `drain`, then `close`, end them."""

    def __init__(
        self,
        config: Config,
        environment: Environment,
        database: Database,
        counters: Counters | None = None,
        *,
        is_development: bool,
    ) -> None:
        self.config = config
        self.first_key: str | None = None
        self.is_development = is_development
        self._environment = environment
        self._database = database
        self._clock = SystemClock()
        self._counters = counters or InProcessCounters(self._clock)
        self._limits = Limits(config, self._counters, self._clock)
        self._tasks = Tasks("app")
        self._providers = _Providers(config, environment)
        owner = new_id("proc_")
        self._turns = TurnStore(database, owner=owner, clock=self._clock)
        auth = config.auth
        self._issuers = Issuers(auth.jwt, auth.apps, self._clock)
        issuers = self._issuers if auth.jwt else None
        self.accounts = Accounts(database, self._clock, environment.admin_key, auth, issuers)
        attestations = Attestations(self._issuers, auth.apps, self._clock)
        self._gate = Gate(self.accounts, attestations, takes_cookies=auth.cookies, origins=config.cors.origins)
        access = Access(config)
        self._money = _Money(config, database, owner, access, self._clock)
        self.live = LiveTurns(
            self._line(access),
            TurnTimes(config.limits.turn_timeout_s, config.limits.keep_alive_s, config.hangup_drain_s),
        )
        self.asgi: ASGIApp = self._application(access)

    def allows_anonymous(self, request: Request) -> bool:
        """Whether this request may begin a session without a credential.

        The development configuration means this machine's own pages by it: the peer and the name
        that it asked for must both be loopback, which keeps a page of another site out that had
        its name resolved to here.
        """
        if not self.config.auth.anonymous:
            return False
        if not self.is_development:
            return True
        peer = "" if request.client is None else request.client.host
        return is_loopback(peer) and _names_loopback(Head(request.scope).host)

    async def start(self) -> None:
        """Read what is stored, settle what a dead process left behind, begin the background work."""
        self._issuers.start()
        await self.accounts.load()
        await self._turns.register_process()
        await self._sweep()
        await self._money.start(self._tasks, self._every)
        if self._environment.admin_key is None and not await self.accounts.has_keys():
            _, self.first_key = await self.accounts.create_key(DEFAULT_TENANT, "first", "operator", None, None)
        self._tasks.start("refresh", self._every("refresh", _REFRESH_EVERY_S, self.accounts.refresh))
        self._tasks.start("heartbeat", self._every("heartbeat", _HEARTBEAT_EVERY_S, self._heartbeat))
        self._providers.warm()
        # What lives now lives for ever: the collector need not look at it, and need not look so
        # often (p99 56 -> 8 ms under load).
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 50)

    async def drain(self) -> None:
        """Take no more turns; return when all have ended."""
        await self.live.close(self.config.shutdown_grace_s)

    async def close(self) -> None:
        """Close providers and the store; what was enqueued is written first."""
        await self._tasks.close()
        await self._issuers.close()
        await self._providers.close()
        self._turns.close()
        await self._money.close()
        await self._counters.close()
        await self._database.close()

    def _line(self, access: Access) -> Line:
        policies: list[Policy] = [
            Tracing(TurnRecorder(self._turns, self._database, self._money.book, self._money.ledger)),
            access,
            *([Features(self.config.features)] if self.config.features else []),
            self._limits,
            self._money.budgets,
        ]
        guards: list[Guard] = []
        if self.config.guards.credentials != "off":
            guards.append(CredentialGuard(self.config.guards.credentials))
        has_instructions = any(feature.instructions for feature in self.config.features.values())
        answer_guards: list[Guard] = [InstructionsGuard()] if has_instructions else []
        return Line(policies, guards, FallbackRouter(self._providers.routes()), answer_guards)

    def _application(self, access: Access) -> ASGIApp:
        desk = Desk(
            self._gate,
            self.live,
            self._clock,
            access,
            body_limit_bytes=int(self.config.limits.body_mb * _MEGABYTE),
        )
        doors = {
            "/v1/chat/completions": desk.door(ChatDoor(desk).serve),
            "/v1/responses": desk.door(ResponsesDoor(desk).serve),
            "/v1/embeddings": desk.door(EmbeddingsDoor(desk).serve),
        }
        application: ASGIApp = Edge(doors, self._routes(access))  # type: ignore[assignment]
        if self.config.cors.origins:
            application = CORSMiddleware(
                application,
                allow_origins=self.config.cors.origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["*"],  # says back what was asked for: "*" itself means nothing beside credentials
                allow_credentials=self.config.auth.cookies,
                expose_headers=["x-request-id", "retry-after", "x-should-retry", "frontdesk-notice", *HEADERS],
                max_age=7200,
            )
        if self.config.trusted_proxies:
            application = TrustedProxies(application, self.config.trusted_proxies)  # type: ignore[arg-type, assignment]
        return application

    def _routes(self, access: Access) -> Routes:
        auth = self.config.auth
        limit = AnonymousLimit(auth.anonymous_sessions_per_hour, auth.anonymous_sessions_per_device, self._counters)
        accounts = [
            *SessionRoutes(
                self.accounts,
                self._gate,
                self.config,
                self._clock,
                self.allows_anonymous,
                None if self.is_development else limit,
                ExchangeLimit(self._counters),
            ).routes(),
            *PeopleRoutes(self.accounts, self._gate, self.config, access, self._allowances()).routes(),
            *KeyRoutes(self.accounts, self._gate, self._clock).routes(),
            *UsageRoutes(self._gate, Reports(self._database, self._clock), self._clock).routes(),
            *self._money.routes(self._gate),
        ]
        started_at = int(self._clock.now())
        gateway = GatewayRoutes(self._gate, access, started_at, self.live)
        bootstrap = BootstrapRoutes(
            self.config, __version__, access, self.allows_anonymous, self._health, is_development=self.is_development
        )
        return Routes([*accounts, *gateway.routes(), *bootstrap.routes()], pages(_PAGES / "chat"))

    def _health(self) -> dict[str, str]:
        store = "failing" if self._database.failure else "ok"
        return {
            "store": store,
            "ledger": self._money.state,
            "limits": self._counters.sharing,
            **self._providers.states(),
        }

    def _allowances(self) -> Allowances:
        return Allowances(self._limits, self._money.budgets, self._money.is_free)

    async def _sweep(self) -> None:
        """End what dead processes left under way: first what they had put aside, for its rows tell more."""
        held = await self._money.ledger.sweep(_DEAD_AFTER_S)
        orphans = await self._turns.sweep_orphans(_DEAD_AFTER_S)
        if held or orphans:
            _log.warning("turns_orphaned holds=%d others=%d", held, orphans)

    async def _heartbeat(self) -> None:
        await self._turns.heartbeat()
        await self._sweep()
        await self._money.history.record()
        await self.accounts.sweep_upgrades()
        await self.accounts.sweep_sessions()

    async def _every(self, name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do some work for ever. A failure ends it never, and is told once for as long as it stays the same."""
        failure: type[Exception] | None = None
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - revocations of other processes count by this work
                if type(error) is failure:
                    continue
                failure = type(error)
                if isinstance(error, StorageError):
                    _log.warning("store_unavailable work=%s reason=%s", name, error)
                else:
                    _log.exception("work_failed work=%s", name)
                continue
            if failure is not None:
                _log.info("work_recovered work=%s", name)
                failure = None


class _Money:
    """What things cost, and who pays: prices, the ledger, budgets, alerts."""

    def __init__(self, config: Config, database: Database, owner: str, access: Access, clock: Clock) -> None:
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
        self._counter = TokenCounter(clock)
        found_spent = None if self._watch is None else self._watch.found_spent
        self.budgets = Budgets(config, self.book, self.ledger, access, clock, self._counter, found_spent)

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
        prices = [self.book.price_of(route, now) for route in self._models[model].route]
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
        await self._counter.close()
        await self.ledger.close()


class _Providers:
    """All providers of a configuration, by name."""

    def __init__(self, config: Config, environment: Environment) -> None:
        self._models = config.models
        self._remotes: list[OpenAIProvider] = []
        self._locals: dict[str, LocalProvider] = {}
        self._by_name: dict[str, Provider] = {
            name: self._open(name, settings, environment) for name, settings in config.providers.items()
        }

    def routes(self) -> dict[str, list[Route]]:
        """The routes of each model, in order."""
        return {name: [self._route(step) for step in model.route] for name, model in self._models.items()}

    def warm(self) -> None:
        """Start what takes a while to start."""
        for local in self._locals.values():
            local.warm()

    def states(self) -> dict[str, str]:
        """How each local model is."""
        return {
            f"model:{provider}/{model}": state.kind
            for provider, local in self._locals.items()
            for model, state in local.states().items()
        }

    async def close(self) -> None:
        """Close connections and end local models."""
        for remote in self._remotes:
            await remote.close()
        for local in self._locals.values():
            await local.close()

    def _route(self, step: str) -> Route:
        provider, _, model = step.partition("/")
        return Route(provider, self._by_name[provider], model)

    def _open(self, name: str, settings: ProviderConfig, environment: Environment) -> Provider:
        match settings.kind:
            case "openai" | "openai-compatible":
                remote = OpenAIProvider(
                    settings.base_url or _OPENAI_URL,
                    settings.api_key,
                    OPENAI if settings.kind == "openai" else COMPATIBLE,
                    settings.api or "auto",
                    settings.idle_timeout_s,
                    reports_cost=settings.reports_cost,
                )
                self._remotes.append(remote)
                return remote
            case "scripted":
                return ScriptedProvider()
            case "local":
                local = self._locals[name] = LocalProvider(
                    environment.home,
                    SystemClock(),
                    model=settings.model or name,
                    path=None if settings.path is None else Path(settings.path),
                    threads=settings.threads,
                    context_tokens=settings.context_tokens,
                )
                return local


_PAGES = Path(__file__).parent / "web"


async def open_frontdesk(config: Config, environment: Environment, *, is_development: bool) -> Frontdesk:
    """Open everything that a configuration names, and start. The database must be migrated."""
    database = await open_database(config.database)
    counters: Counters | None = None
    frontdesk: Frontdesk | None = None
    try:
        counters = await open_counters(config.valkey, SystemClock())
        frontdesk = Frontdesk(config, environment, database, counters, is_development=is_development)
        await frontdesk.start()
    except BaseException:
        for opened in (database, counters) if frontdesk is None else (frontdesk,):
            if opened is not None:
                await opened.close()
        raise
    return frontdesk


# RFC 9110 §7.2, for names of this machine alone: nothing is made of what else may stand there.
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:]+)\]|(?P<name>[0-9A-Za-z.]+))(?::[0-9]{1,5})?")


def _names_loopback(host: bytes | None) -> bool:
    match = _HOST.fullmatch((host or b"").decode("latin-1"))
    return match is not None and is_loopback(match["ipv6"] or match["name"])
