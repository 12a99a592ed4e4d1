"""What tests of kept turns share: a process that keeps turns, a provider that says when, clients that read or leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from frontdesk.accounts.absent import CallerThen
from frontdesk.core.clock import Clock
from frontdesk.core.config import Config, Retention, Tier
from frontdesk.core.errors import FrontdeskError
from frontdesk.files.owner import owner_of
from frontdesk.keeping import retention
from frontdesk.keeping.following import Following
from frontdesk.keeping.journal import Journal
from frontdesk.keeping.keeper import Keeper
from frontdesk.keeping.kept import Home, KeptTurn
from frontdesk.keeping.lease import Lease
from frontdesk.keeping.plan import ClaimedKey, Plan
from frontdesk.keeping.rows import Asked, ResponseRow
from frontdesk.keeping.store.responses import Texts
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.sharing.post import Alone
from frontdesk.storage.query import Query
from frontdesk.storage.tables import idempotency_key, process, response, response_event, response_text
from frontdesk.turn.events import Event
from frontdesk.turn.facts import Facts
from frontdesk.turn.items import Request
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.seams import Policy, Provider
from frontdesk.turn.sinks import Headers
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock, ListSink, answer_events, make_turn

DAY_MS = 86_400_000
CONFIG = Config(
    retention=Retention(responses_days=30, events_hours=24, keys_hours=48),
    tiers={"free": Tier(), "brief": Tier(keep_days=1), "secret": Tier(keep_days=0)},
)
ANSWER: list[Event] = [event for batch in answer_events("Hello", " there") for event in batch]
PATH = "/v1/responses"


class Speaker:
    """A provider. It says its batches when `may_speak` is set, an exception among them is raised."""

    def __init__(
        self, batches: Sequence[list[Event] | Exception] | None = None, *, waits_at: int | None = None
    ) -> None:
        said = answer_events("Hello", " there") if batches is None else batches
        self.batches: Sequence[list[Event] | Exception] = said
        self.asked = 0
        self.may_speak = asyncio.Event()
        self._waits_at = waits_at
        if waits_at is None:
            self.may_speak.set()

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        self.asked += 1
        for place, batch in enumerate(self.batches):
            if place == self._waits_at:
                await self.may_speak.wait()
            await asyncio.sleep(0)
            if isinstance(batch, Exception):
                raise batch
            yield batch
        if self._waits_at == len(self.batches):
            await self.may_speak.wait()


class ClientSink(ListSink):
    """Hangs up when it has all, as a server's connection does."""

    __slots__ = ("_client", "facts", "headers", "is_stuck")

    def __init__(self, client: Client, facts: Facts, headers: Headers) -> None:
        super().__init__()
        self._client = client
        self.facts = facts
        self.headers = headers

    async def write(self, events: list[Event]) -> None:
        await self._client.may_take.wait()
        await super().write(events)
        if self.is_complete:
            self._client.gone.set()

    async def fail(self, error: FrontdeskError) -> None:
        await self._client.may_take.wait()
        await super().fail(error)
        self._client.gone.set()


class Client:
    """Who asks. `sink` is what it was answered with, the last one where it was another's answer in the end."""

    def __init__(self, *, takes: bool = True) -> None:
        self.sinks: list[ClientSink] = []
        self.gone = asyncio.Event()
        self.may_take = asyncio.Event()
        self.was_cut = False
        self.visit: asyncio.Future[Any] | None = None
        if takes:
            self.may_take.set()

    @property
    def sink(self) -> ClientSink:
        return self.sinks[-1]

    @property
    def events(self) -> list[Event]:
        return self.sink.events if self.sinks else []

    @property
    def code(self) -> str | None:
        """What it was refused with."""
        return None if self.sink.error is None else self.sink.error.code

    @property
    def is_replayed(self) -> bool:
        return (b"idempotent-replayed", b"true") in self.sink.headers

    def form(self, facts: Facts, headers: Headers) -> ClientSink:
        self.sinks.append(ClientSink(self, facts, headers))
        return self.sink

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        self.was_cut = True
        self.gone.set()


class Process:
    """A process that keeps turns."""

    def __init__(
        self,
        database: Any,
        provider: Provider,
        *others: Provider,
        name: str = "one",
        clock: Clock | None = None,
        policies: Sequence[Policy] = (),
        hedge_after_s: dict[str, float] | None = None,
    ) -> None:
        self.database = database
        self.clock = clock or HandClock()
        self.lease = Lease(database, name, self.clock)
        self.journal = Journal(database, self.lease, lambda *_: None)
        self.home = Home(database, self.journal, self.lease, retention.Retention(CONFIG), self.clock)
        routes = [Route(f"p{number}", each, "m") for number, each in enumerate((provider, *others))]
        router = FallbackRouter({"fast": routes}, hedge_after_s=hedge_after_s or {})
        self.live = LiveTurns(Line(list(policies), [], router), TurnTimes(600, 600, 60))
        self.texts = Texts(database)
        self.following = Following(Alone(name), self.texts, self.clock, 600)
        self.keeper = Keeper(self.home, self.live, self.texts, self.following)
        self.lease.lost = self.keeper.drop_all

    def turn(self, *, tier: str = "free", person: str = "u1", text: str = "hello", stream: bool = True) -> Turn:
        turn = make_turn(text=text, caller=Caller("user", "sess_1", person, tier))  # the clock of its own stands still
        turn.clock, turn.started_at, turn.tier = self.clock, self.clock.now(), tier
        turn.request = msgspec.structs.replace(turn.request, stream=stream)
        return turn

    def plan(self, turn: Turn, key: str | None = None, *, body: bytes = b"one", **options: Any) -> Plan:
        claim = None if key is None else ClaimedKey(PATH, key, body)
        asked = Asked(b"{}", path=PATH)
        return Plan(
            owner_of(turn.caller), asked, turn, None, **{"stores": True, "keeps_texts": True, **options}, claim=claim
        )

    def ask(self, client: Client, key: str | None = None, *, turn: Turn | None = None, **options: Any) -> Turn:
        """Ask something that is kept, under a key where there is one."""
        turn = turn or self.turn()
        plan = self.plan(turn, key, **options)
        client.visit = asyncio.ensure_future(self.keeper.carry(turn, plan, client.form, client.receive, client.abort))
        return turn

    async def answer(self, key: str | None = None, **options: Any) -> Client:
        """Ask, and wait for the answer."""
        client = Client()
        self.ask(client, key, **options)
        await done(client)
        return client

    async def until_idle(self) -> None:
        """Wait until all has ended."""
        async with asyncio.timeout(8):
            while len(self.live) or self.journal._is_running:
                await asyncio.sleep(0.005)

    def holds_nothing(self) -> bool:
        """Whether nothing is left of any turn."""
        keeper, journal = self.keeper, self.journal
        dicts = (keeper._under_way, keeper._by_key, keeper._again, journal._dirty, journal._storing)
        return not any(dicts) and len(keeper._readers) == len(self.live) == 0

    async def crash(self) -> None:
        """Die: nothing more is done or stored."""
        self.journal.drop_all()
        await self.journal.close()
        await self.live._tasks.close()
        await self.keeper.close()

    async def close(self) -> None:
        await self.live.close(0)
        await self.following.close()
        await self.keeper.close()
        await self.journal.close()


async def done(*clients: Client) -> None:
    """Wait until all have their answers."""
    async with asyncio.timeout(8):
        for client in clients:
            assert client.visit is not None
            await client.visit


async def until(holds: Any) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(8):
        while not holds():
            await asyncio.sleep(0.002)


# --- what is stored -----------------------------------------------------------------------------

_ROWS = Query(sa.select(response.c.id, response.c.status, response.c.is_dispatched, response.c.owner))
_KEYS = Query(sa.select(idempotency_key.c.response))
_EVENTS = Query(sa.select(response_event.c.response, response_event.c.first).order_by(response_event.c.first))
_PARTS = Query(sa.select(response_text.c.response, response_text.c.part))
FENCE = Query(sa.update(process).where(process.c.id == sa.bindparam("of_id")).values(fenced_at_ms=1))
KILL = Query(sa.update(process).where(process.c.id == sa.bindparam("of_id")).values(heartbeat_at_ms=1))


async def statuses(database: Any) -> dict[str, str]:
    return {row[0]: row[1] for row in await database.read(_ROWS)}


async def rows(database: Any) -> list[tuple[Any, ...]]:
    """The id, status, whether it is dispatched, and the carrier of each."""
    return [(row[0], row[1], bool(row[2]), row[3]) for row in await database.read(_ROWS)]


async def keys(database: Any) -> list[str | None]:
    """The responses that keys are claimed for."""
    return [row[0] for row in await database.read(_KEYS)]


async def is_empty(database: Any) -> bool:
    """Whether nothing at all is kept of any turn."""
    return not any([await database.read(query) for query in (_ROWS, _KEYS, _EVENTS, _PARTS)])


async def row_of(process: Process, turn: Turn) -> ResponseRow:
    found = await process.texts.find(turn.caller.tenant, turn.id)
    assert found is not None
    return found


def then(row: ResponseRow) -> CallerThen:
    return row.caller_then()


def kept_of(process: Process, turn: Turn) -> KeptTurn:
    kept = process.keeper.find(turn.id)
    assert kept is not None
    return kept
