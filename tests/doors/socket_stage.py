"""/api/socket before a server, with feeds, outboxes and stored responses of the tests' own making."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from frontdesk.core.config import Config, Model
from frontdesk.core.errors import NotFound
from frontdesk.doors.api_socket import ApiSocketDoor, SocketServices
from frontdesk.doors.desk import Desk
from frontdesk.doors.kept.turns import no_response
from frontdesk.doors.present import Presence
from frontdesk.doors.socket_asking import SocketAsking
from frontdesk.feeds.rounds import Room, Rounds
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner
from frontdesk.policies.access import Access
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.sync.shapes import Page, Result
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.turn import Caller
from tests.doors.test_desk import OneCaller
from tests.doors.test_responses_socket import Echo
from tests.fakes import HandClock
from tests.feeds.fakes import Net, Process, Store
from tests.http.test_sockets import TOKEN, serving

REVISION = "0123456789abcdef"
OWNER = Owner("default", "u1", "")


class Changes(Store):
    """The changes of everybody; what is asked of it may break."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Exception | None = None
        self.padding = ""

    @property
    def length(self) -> int:
        """How many changes there are."""
        return len(self.changes[OWNER.tenant, OWNER.person])

    async def pull(self, owner: Owner, cursor: str | None, limit: int = 200) -> Page:
        if self.broken is not None:
            raise self.broken
        page = await super().pull(owner, cursor, limit)
        for change in page.changes:
            change.code = self.padding or None  # type: ignore[union-attr]
        return page


class SomeConversations:
    """Conversation "conv_none" is nobody's, all others are the caller's."""

    async def find(self, owner: Owner, conversation_id: str) -> Any:
        assert owner == OWNER
        if conversation_id == "conv_none":
            raise NotFound("There is no conversation 'conv_none'.", code="conversation_not_found")


@dataclass
class Outbox:
    """Does entries one by one, where it may."""

    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    pushed: list[list[Any]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def push(self, presence: Presence, entries: Sequence[Any]) -> Sequence[Any]:
        assert presence.caller.person == "u1"
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.pushed.append(list(entries))
        await self.may_go_on.wait()
        self.at_once -= 1
        return [Result(id=str(entry.get("id")), status="done") for entry in entries]


class Ended:
    """Ends responses, and says which."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def end(self, caller: Caller, response_id: str) -> bytes:
        self.ended.append(response_id)
        return b'{"id":"%b","status":"cancelled"}' % response_id.encode()


class NothingKept:
    """Whoever asks, there is no response."""

    async def response(self, caller: Caller, response_id: str) -> Any:
        raise no_response(response_id)


class SocketStage:
    """The door, its provider, and a server that both are behind."""

    def __init__(self, *, beat_every_s: float = 1000, room: Room = Room(20, 100)) -> None:  # noqa: B008 - frozen
        access = Access(Config(models={"fast": Model(["p/m"])}))
        self.echo = Echo()
        self.changes, self.outbox, self.ending = Changes(), Outbox(), Ended()
        self.outbox.may_go_on.set()
        self.process = Process(Net(), self.changes, "one", is_alone=True)
        rounds = Rounds(OneCaller(), room)
        rounds._call_every_s = beat_every_s / len(rounds._groups)
        self.feeds = Feeds(self.process.hub, self.changes, rounds)
        self.live = LiveTurns(
            Line([access], [], FallbackRouter({"fast": [Route("p", self.echo, "m")]})), TurnTimes(60, 60, 0)
        )
        desk = Desk(OneCaller(), self.live, HandClock(), access, 1_000_000)
        services = SocketServices(
            lambda socket: SocketAsking(desk, [access], socket, 90_000),
            NothingKept(),  # type: ignore[arg-type]
            self.ending,  # type: ignore[arg-type]
            self.feeds,
            SomeConversations(),
            self.outbox,
        )
        self.served = serving(ApiSocketDoor(services, REVISION, 90_000).serve)

    @property
    def listeners(self) -> int:
        """How many feeds listen."""
        known = self.process.hub._known.get((OWNER.tenant, OWNER.person))
        return 0 if known is None else len(known.ears)

    def commit(self, *conversations: str) -> None:
        """Change something in each of these, one after the other."""
        for conversation in conversations:
            self.process.commit(OWNER, conversation)

    async def __aenter__(self) -> Self:
        await self.served.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.echo.may_speak.set()
        self.outbox.may_go_on.set()
        await self.served.__aexit__()
        await self.live.close(1)
        await self.feeds.close()

    def connect(self) -> connect:
        return self.served.connect(token=TOKEN)


async def send(client: ClientConnection, kind: str, **fields: Any) -> None:
    """Send a frame."""
    await client.send(json.dumps({"type": kind, **fields}))


async def create(client: ClientConnection, frame_id: str, words: str, **fields: Any) -> None:
    """Ask for a response."""
    await send(client, "create", id=frame_id, request={"model": "fast", "input": words, **fields})


async def receive(client: ClientConnection) -> dict[str, Any]:
    """The next frame."""
    return json.loads(await asyncio.wait_for(client.recv(), 10))


async def greeted(client: ClientConnection) -> ClientConnection:
    """A connection whose first frame has come."""
    assert await receive(client) == {"type": "hello", "protocol": 1, "heartbeat_s": 10.0, "bootstrap": REVISION}
    return client


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.005)
