"""The composition root: a configuration becomes services, and services become one ASGI application.

Everything that is chosen is chosen here, once; nothing else in Frontdesk knows its whole.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

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
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import Config, Environment
from frontdesk.core.config.addresses import is_loopback
from frontdesk.core.ids import new_id
from frontdesk.core.tasks import Tasks
from frontdesk.doors.audio import SpeechDoor, TranscriptionsDoor, TranslationsDoor
from frontdesk.doors.bootstrap import BootstrapRoutes
from frontdesk.doors.chat import ChatDoor
from frontdesk.doors.desk import Desk, Visit
from frontdesk.doors.embeddings import EmbeddingsDoor
from frontdesk.doors.health import HealthRoutes
from frontdesk.doors.images import ImageEditsDoor, ImageGenerationsDoor, ImageVariationsDoor
from frontdesk.doors.moderations import ModerationsDoor
from frontdesk.doors.responses import ResponsesDoor
from frontdesk.doors.routes import GatewayRoutes
from frontdesk.doors.shelf import Shelf
from frontdesk.files.library import OwnFiles
from frontdesk.files.routes import FileRoutes
from frontdesk.files.service import Files
from frontdesk.guards.credentials import CredentialGuard
from frontdesk.guards.instructions import InstructionsGuard
from frontdesk.http.clients import Clients
from frontdesk.http.edge import Edge
from frontdesk.http.pages import pages
from frontdesk.http.proxies import TrustedProxies
from frontdesk.http.requests import Head
from frontdesk.http.sockets import Sockets
from frontdesk.http.starlette import Routes
from frontdesk.idempotency.service import IdempotencyKeys, IdempotencyTimes
from frontdesk.keeping.history import OwnHistory
from frontdesk.limits.counters import Counters, open_counters
from frontdesk.limits.in_process import InProcessCounters
from frontdesk.limits.telling import HEADERS
from frontdesk.memory.summarising import Counts
from frontdesk.policies.access import Access
from frontdesk.policies.attachments import Attachments
from frontdesk.policies.context import Contexts
from frontdesk.policies.features import Features
from frontdesk.policies.history import History
from frontdesk.policies.limits import Limits
from frontdesk.policies.tracing import Tracing
from frontdesk.policies.truncation import Truncation
from frontdesk.receipts.routes import ReceiptRoutes
from frontdesk.receipts.service import Receipts
from frontdesk.reports.output_limits import OutputLimits
from frontdesk.reports.report import Reports
from frontdesk.reports.routes import UsageRoutes
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageError
from frontdesk.sync.push import Pushing
from frontdesk.sync.sweeping import FORGETTING
from frontdesk.tokens.items import ItemTokens
from frontdesk.tokens.requests import RequestTokens
from frontdesk.tokens.texts import TextTokens
from frontdesk.tokens.vocabularies import vocabularies_of
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.seams import Guard, Policy
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.usage.store import TurnStore
from frontdesk.wiring.asides import Asides
from frontdesk.wiring.batches import Batching
from frontdesk.wiring.conversations import Conversing
from frontdesk.wiring.feedback import feedback_routes, make_feedback
from frontdesk.wiring.feeds import feed_routes, make_feeds
from frontdesk.wiring.jobs import Jobs
from frontdesk.wiring.keeping import BEAT_EVERY_S, Keeping
from frontdesk.wiring.kept import LISTED, KeptDoors
from frontdesk.wiring.memory import Memory
from frontdesk.wiring.money import Money
from frontdesk.wiring.providers import Providers
from frontdesk.wiring.routing import Routing
from frontdesk.wiring.sockets import SocketDoors, sync_terms
from frontdesk.wiring.sync import Syncing

_log = logging.getLogger("frontdesk.app")
_MEGABYTE = 1024 * 1024
_REFRESH_EVERY_S = 1.0
_HEARTBEAT_EVERY_S = 10.0
_DEAD_AFTER_S = 30.0
_IDEMPOTENCY_CLOSE_S = 5.0


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
        self._providers = Providers(config, environment, self._clock)
        self._routing = Routing(config, self._providers, self._clock)
        owner = new_id("proc_")
        self._turns = TurnStore(database, owner=owner, clock=self._clock)
        auth = config.auth
        self._issuers = Issuers(auth.jwt, auth.apps, self._clock)
        issuers = self._issuers if auth.jwt else None
        self.accounts = Accounts(database, self._clock, environment.admin_key, auth, issuers)
        attestations = Attestations(self._issuers, auth.apps, self._clock)
        self._gate = Gate(self.accounts, attestations, takes_cookies=auth.cookies, origins=config.cors.origins)
        access = Access(config)
        self._money = Money(config, database, owner, access, self._clock, self._routing.plans.of)
        self._texts = TextTokens(vocabularies_of(config, environment.home), self._money.counter, self._clock)
        self._tokens = ItemTokens(self._texts)
        counts = Counts(self._texts, self._tokens)
        self._files = Files(database, self._clock, config.files)
        self._memory = Memory(config, database, access, self._clock)
        self._asides = Asides(config, access, self._memory)
        begins = self._asides.beginning, self._asides.beginning_apart
        self._keeping = Keeping(config, database, owner, self._clock, *begins)
        self._conversing = Conversing(database, self._keeping.retention, access)
        conversations, compactions = self._conversing.conversations, self._keeping.compactions
        self._history = OwnHistory(database, conversations, compactions, self._clock, self._texts)
        self.live = LiveTurns(
            self._line(access),
            TurnTimes(config.limits.turn_timeout_s, config.limits.keep_alive_s, config.hangup_drain_s),
        )
        keeper = self._keeping.keeper(self.live)
        self._shelf = Shelf(keeper, self._keeping.retention, access)
        key_until_ms = self._keeping.retention.key_until_ms
        times = IdempotencyTimes(_DEAD_AFTER_S)
        self._idempotency = IdempotencyKeys(database, owner, self._clock, key_until_ms, times)
        self._kept = KeptDoors(database, self._keeping, keeper, self._history)
        self._batching = Batching(
            config, database, owner, self._files, self._gate, self.live, access, self._limits, self.accounts.absent
        )
        absent = self.accounts.absent
        aside = self._asides.aside(self._gate, self.live, self._limits, absent)
        self._syncing = Syncing(config, database, owner, self._clock)
        kinds = [
            *self._asides.kinds(aside, conversations),
            *self._memory.kinds(aside, absent, conversations, self._history, self._money.book, counts),
            self._syncing.kind,
        ]
        self._jobs = Jobs(config.jobs, database, owner, self._clock, kinds, [FORGETTING])
        self._asides.wake = self._jobs.runner.wake
        self._feeds = make_feeds(config.live, database, self._keeping.post, self._gate, self._clock)
        self._sockets = Sockets(self._gate, int(self.config.limits.body_mb * _MEGABYTE))
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
        self._tasks.start("files", self._every("files", _HEARTBEAT_EVERY_S, self._sweep_files))
        self._batching.runner.start()
        await self._keeping.begin()
        self._jobs.runner.start()
        self._feeds.start(self._database)
        self._tasks.start("carrier", self._every("carrier", BEAT_EVERY_S, self._keeping.beat))
        self._providers.warm()
        # What lives now lives for ever: the collector need not look at it, and need not look so
        # often (p99 56 -> 8 ms under load).
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 50)

    async def drain(self) -> None:
        """Take no more turns; return when all have ended."""
        self._batching.runner.stop()
        self._jobs.runner.stop()
        self._feeds.drain()
        until = self._clock.monotonic() + self.config.shutdown_grace_s
        await self.live.close(self.config.shutdown_grace_s)
        await self._batching.runner.close()
        await self._jobs.runner.close(max(0.0, until - self._clock.monotonic()))
        await self._keeping.drain()

    async def close(self) -> None:
        """Close providers and the store; what was enqueued is written first."""
        await self._batching.runner.close()
        await self._jobs.runner.close()
        await self._tasks.close()
        if self._shadows is not None:
            await self._shadows.close()
        await self._issuers.close()
        await self._sockets.close()
        await self._feeds.close()
        await self._keeping.close()
        await self._idempotency.close(_IDEMPOTENCY_CLOSE_S)
        await self._providers.close()
        self._turns.close()
        await self._money.close()
        await self._counters.close()
        await self._database.close()

    def _line(self, access: Access) -> Line:
        tracing = Tracing(
            TurnRecorder(self._turns, self._database, self._money.book, self._money.ledger, self._texts.hear)
        )
        policies: list[Policy] = [
            tracing,
            *self._shaping(access),
            Truncation(self.config.models, RequestTokens(self.config, self._money.counter)),
            self._limits,
            self._money.budgets,
            self._keeping.entering,
        ]
        guards: list[Guard] = []
        if self.config.guards.credentials != "off":
            guards.append(CredentialGuard(self.config.guards.credentials))
        has_instructions = any(feature.instructions for feature in self.config.features.values())
        answer_guards: list[Guard] = [InstructionsGuard()] if has_instructions else []
        self._shadows = self._routing.shadows(tracing, self._money)
        return Line(policies, guards, self._routing.router(self._shadows), answer_guards)

    def _shaping(self, access: Access) -> list[Policy]:
        """The policies that say who may ask what, and make of a request what is sent of it."""
        contexts = Contexts(self.config.features, self.config.models, self._tokens, self._memory.recall)
        return [
            access,
            History(self._history, contexts.reach),
            *([Features(self.config.features)] if self.config.features else []),
            Attachments(OwnFiles(self._files), int(self.config.limits.body_mb * _MEGABYTE)),
            contexts,
        ]

    def _application(self, access: Access) -> ASGIApp:
        desk = Desk(
            self._gate,
            self.live,
            self._clock,
            access,
            body_limit_bytes=int(self.config.limits.body_mb * _MEGABYTE),
            shelf=self._shelf,
        )
        serving: dict[str, Callable[[Visit], Awaitable[None]]] = {
            "/v1/chat/completions": ChatDoor(desk).serve,
            "/v1/responses": ResponsesDoor(desk).serve,
            "/v1/embeddings": EmbeddingsDoor(desk).serve,
            "/v1/moderations": ModerationsDoor(desk).serve,
            "/v1/audio/transcriptions": TranscriptionsDoor(desk).serve,
            "/v1/audio/translations": TranslationsDoor(desk).serve,
            "/v1/audio/speech": SpeechDoor(desk).serve,
            "/v1/images/generations": ImageGenerationsDoor(desk).serve,
            "/v1/images/edits": ImageEditsDoor(desk).serve,
            "/v1/images/variations": ImageVariationsDoor(desk).serve,
            **self._kept.serving(desk, self._shaping(access), self._tokens),
        }
        self._keeping.recover(serving, self.accounts.absent)
        doors = {path: desk.door(serve) for path, serve in serving.items()}
        pushing = self._syncing.pushing(
            desk,
            self._conversing,
            make_feedback(self.config, self._database, self._clock, self._keeping.retention),
            self._kept.kept,
        )
        bootstrap = BootstrapRoutes(
            self.config,
            __version__,
            access,
            self.allows_anonymous,
            sync_terms(self.config),
            is_development=self.is_development,
        )
        sockets = SocketDoors(self.config, self._sockets, desk, self._shaping(access)).doors(
            self._kept, self.live, self._feeds, self._conversing.conversations, pushing, bootstrap.revision
        )
        routes = self._routes(access, pushing, bootstrap)
        clients = Clients(self.config.clients.minimum)
        application: ASGIApp = Edge(doors, routes, sockets, LISTED, clients)  # type: ignore[assignment]
        if self.config.cors.origins:
            application = CORSMiddleware(
                application,
                allow_origins=self.config.cors.origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["*"],  # says back what was asked for: "*" itself means nothing beside credentials
                allow_credentials=self.config.auth.cookies,
                expose_headers=[
                    "date",
                    "x-request-id",
                    "content-disposition",
                    "retry-after",
                    "x-should-retry",
                    "frontdesk-notice",
                    "idempotent-replayed",
                    *HEADERS,
                ],
                max_age=7200,
            )
        if self.config.trusted_proxies:
            application = TrustedProxies(application, self.config.trusted_proxies)  # type: ignore[arg-type, assignment]
        return application

    def _routes(self, access: Access, pushing: Pushing, bootstrap: BootstrapRoutes) -> Routes:
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
                self._idempotency,
            ).routes(),
            *PeopleRoutes(self.accounts, self._gate, self.config, access, self._allowances()).routes(),
            *KeyRoutes(self.accounts, self._gate, self._clock, self._idempotency).routes(),
            *UsageRoutes(
                self._gate,
                Reports(self._database, self._clock),
                OutputLimits(self._database, self._clock),
                self._clock,
            ).routes(),
            *ReceiptRoutes(Receipts(self._database, self._clock), self._gate).routes(),
            *self._money.routes(self._gate),
            *FileRoutes(self._files, self._gate, self._idempotency).routes(),
            *self._batching.routes(self._gate, access, self._idempotency),
            *self._jobs.routes(self._gate, self._idempotency),
        ]
        started_at = int(self._clock.now())
        gateway = GatewayRoutes(self._gate, access, started_at)
        health = HealthRoutes(self._routing.routes, self._health, self._providers.states, self._gate)
        every = [
            *feed_routes(self._feeds, self._conversing.conversations, self._gate, bootstrap.revision),
            *accounts,
            *gateway.routes(),
            *self._kept.routes(self._gate, self.live),
            *self._conversing.routes(self._gate, self._idempotency),
            *self._syncing.routes(pushing, self._gate),
            *self._memory.routes(self._gate, self._idempotency),
            *feedback_routes(
                self.config, self._database, self._clock, self._keeping.retention, self._gate, self._idempotency
            ),
            *bootstrap.routes(),
            *health.routes(),
        ]
        return Routes(every, pages(_PAGES / "chat"))

    def _health(self) -> dict[str, str]:
        store = "failing" if self._database.failure else "ok"
        return {"store": store, "ledger": self._money.state, "limits": self._counters.sharing}

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

    async def _sweep_files(self) -> None:
        """Remove what has expired. Apart from the heartbeat, for it may take a while."""
        await self._files.sweep()
        await self._batching.runner.sweep()
        await self._keeping.sweeper.sweep()

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
