"""Streams and polls as their clients see them, over ASGI: what is sent, when, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from frontdesk.conversations.rows import ConversationRow
from frontdesk.core.errors import NotFound, Unauthenticated
from frontdesk.feeds.hub import Hub
from frontdesk.feeds.rounds import BEAT_EVERY_S, Room, Rounds
from frontdesk.feeds.routes.events import EventRoutes
from frontdesk.feeds.service import Feeds
from frontdesk.files.owner import Owner
from frontdesk.http.callers import Callers
from frontdesk.http.edge import Edge
from frontdesk.http.pages import pages
from frontdesk.http.requests import Head
from frontdesk.http.starlette import Routes
from frontdesk.turn.turn import Caller
from tests.feeds.fakes import ANN, BOB, EPOCH, Net, Process, Store, jumping
from tests.feeds.test_frames import events_of

EVENTS = "/api/events"
STREAM = (b"accept", b"text/event-stream")


class Gate:
    """Everybody is who they say, until they were ended."""

    def __init__(self) -> None:
        self.ended: set[bytes] = set()

    def known(self, head: Head) -> Caller | None:
        assert head.authorization is not None
        if head.authorization in self.ended:
            return None
        person = head.authorization.decode()
        return Caller("server", person) if person == "key" else Caller("user", "s", person, tenant="acme")

    async def identify(self, head: Head) -> Caller:
        raise Unauthenticated("This session was ended.", code="token_revoked")


class Conversations:
    async def find(self, owner: Owner, conversation_id: str) -> ConversationRow:
        if conversation_id != "conv_2":
            raise NotFound("There is none.", code="conversation_not_found")
        return cast("ConversationRow", type("Row", (), {"id": conversation_id}))


class Visit:
    """A request that is under way. `does_read` false: its client takes nothing, so what is sent waits."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_ended = False
        self.is_aborted = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._gone = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def events(self) -> list[dict[str, str]]:
        return [each for each in events_of(self.body) if set(each) != {"retry"}]

    @property
    def names(self) -> list[str]:
        return [each["event"] for each in self.events]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def hang_up(self) -> None:
        self.reads.set()
        self._gone.set()

    def abort(self) -> None:
        self.is_aborted = True
        self.hang_up()

    async def receive(self) -> dict[str, Any]:
        if self.status == 0 and not self._gone.is_set() and not hasattr(self, "_asked"):
            self._asked = True
            return {"type": "http.request", "body": b""}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if not self.reads.is_set():
            await self.reads.wait()
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message.get("body", b"")
        if not message.get("more_body", False):
            self.has_ended = True
            self._gone.set()


class Served:
    """The routes of feeds, of one process."""

    def __init__(self, room: Room) -> None:
        self.store = Store()
        self.process = Process(Net(), self.store, "one", is_alone=True)
        self.gate = Gate()
        callers = cast("Callers", self.gate)
        self.rounds = Rounds(callers, room)
        hub: Hub = self.process.hub
        self.feeds = Feeds(hub, self.store, self.rounds)
        routes = EventRoutes(self.feeds, Conversations(), callers, "r1").routes()
        self._edge = Edge({}, Routes(routes, pages(Path("/nowhere"))))
        self._visits: list[Visit] = []

    async def ask(
        self, path: str = EVENTS, *headers: tuple[bytes, bytes], person: str = "ann", method: str = "GET"
    ) -> Visit:
        """Send a request, and let it get where it waits."""
        visit = Visit()
        self._visits.append(visit)
        place, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": place,
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(b"authorization", person.encode()), *headers],
            "client": None,
            "server": None,
            "frontdesk.abort": visit.abort,
        }
        visit.task = asyncio.ensure_future(self._edge(scope, visit.receive, visit.send))
        await asyncio.sleep(0.05)
        return visit

    async def close(self) -> None:
        for visit in self._visits:
            visit.hang_up()
            assert visit.task is not None
            await visit.task
        assert len(self.rounds) == 0
        await self.feeds.close()


@contextlib.asynccontextmanager
async def serving(room: Room | None = None) -> AsyncIterator[Served]:
    served = Served(room or Room(per_user=20, total=100))
    yield served
    await served.close()


# --- streams ------------------------------------------------------------------------------------


@jumping
async def test_a_stream_begins_with_where_it_is_and_tells_what_comes() -> None:
    async with serving() as served:
        served.process.commit(ANN)
        stream = await served.ask(EVENTS, STREAM)
        served.process.commit(ANN)
        served.process.commit(BOB)
        await asyncio.sleep(0.05)

        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["x-accel-buffering"] == "no"
        assert [(each["event"], each["id"]) for each in stream.events] == [("ready", "e1.1"), ("turn", "e1.2")]
        assert json.loads(stream.events[1]["data"]) == {
            "type": "turn",
            "conversation": "conv_1",
            "id": "resp_2",
            "state": "answered",
        }


@jumping
@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_who_comes_again_is_told_what_came_meanwhile_then_that_this_is_all(way: str) -> None:
    async with serving() as served:
        for _ in range(3):
            served.process.commit(ANN)
        query = {"header": "", "query": f"?cursor={EPOCH}.1", "both": "?cursor=other.9"}[way]
        headers = [] if way == "query" else [(b"last-event-id", b"e1.1")]

        stream = await served.ask(EVENTS + query, STREAM, *headers)

        assert [(each["event"], each["id"]) for each in stream.events] == [
            ("turn", "e1.2"),
            ("turn", "e1.3"),
            ("ready", "e1.3"),
        ]


@jumping
async def test_a_stale_cursor_is_told_so_and_then_all_there_is() -> None:
    async with serving() as served:
        for _ in range(250):
            served.process.commit(ANN)

        stream = await served.ask(f"{EVENTS}?cursor=other.9", STREAM)

        assert stream.names == ["reset", *["turn"] * 250, "ready"]


@jumping
async def test_a_silent_stream_gets_a_heartbeat_every_ten_seconds_with_its_cursor() -> None:
    async with serving() as served:
        stream = await served.ask(EVENTS, STREAM)
        await asyncio.sleep(BEAT_EVERY_S)
        served.process.commit(ANN)
        await asyncio.sleep(BEAT_EVERY_S)

        assert [(each["event"], each["id"]) for each in stream.events] == [
            ("ready", ".0"),
            ("heartbeat", ".0"),
            ("turn", "e1.1"),
            ("heartbeat", "e1.1"),
        ]


@jumping
async def test_the_stream_of_a_conversation_tells_of_it_alone_and_its_heartbeat_goes_on() -> None:
    async with serving() as served:
        stream = await served.ask("/api/conversations/conv_2/events", STREAM)
        served.process.commit(ANN, "conv_2")
        served.process.commit(ANN, "conv_1")
        await asyncio.sleep(BEAT_EVERY_S)
        nobodys = await served.ask("/api/conversations/conv_3/events", STREAM)

        assert [(each["event"], each["id"]) for each in stream.events] == [
            ("ready", ".0"),
            ("turn", "e1.1"),
            ("heartbeat", "e1.2"),
        ]
        assert (nobodys.status, nobodys.json["error"]["code"]) == (404, "conversation_not_found")


@jumping
async def test_to_a_reader_that_waits_nothing_is_sent_between_and_nothing_is_lost() -> None:
    async with serving() as served:
        stream = await served.ask(EVENTS, STREAM)
        stream.reads.clear()
        for _ in range(500):
            served.process.commit(ANN)
        await asyncio.sleep(BEAT_EVERY_S * 3)
        assert (stream.names, len(served.store.pulled)) == (["ready"], 1)

        stream.reads.set()
        await asyncio.sleep(1)

        assert stream.names == ["ready", *["turn"] * 500]


@jumping
async def test_a_stream_whose_session_was_ended_says_so_within_two_seconds() -> None:
    async with serving() as served:
        stream, other = await served.ask(EVENTS, STREAM), await served.ask(EVENTS, STREAM, person="bob")
        served.gate.ended.add(b"ann")
        await asyncio.sleep(2.01)

        assert (stream.has_ended, stream.names) == (True, ["ready", "bye"])
        assert json.loads(stream.events[1]["data"])["error"]["code"] == "token_revoked"
        assert other.names == ["ready"]


@jumping
async def test_a_slow_readers_connection_is_closed_when_its_session_was_ended() -> None:
    async with serving() as served:
        stream = await served.ask(EVENTS, STREAM)
        stream.reads.clear()
        served.process.commit(ANN)
        await asyncio.sleep(0.1)
        served.gate.ended.add(b"ann")
        await asyncio.sleep(2.01)

        assert (stream.is_aborted, stream.names) == (True, ["ready"])


@jumping
async def test_a_server_that_ends_says_when_to_come_again() -> None:
    async with serving() as served:
        streams = [await served.ask(EVENTS, STREAM) for _ in range(3)]
        served.feeds.drain()
        await asyncio.sleep(0.05)
        late = await served.ask(EVENTS, STREAM)

        for stream in streams:
            assert (stream.has_ended, stream.names) == (True, ["ready", "bye"])
        assert len({stream.events[1]["retry"] for stream in streams}) == 3
        assert (late.status, late.json["error"]["code"]) == (503, "server_shutting_down")


@jumping
async def test_who_has_gone_is_told_nothing_and_takes_no_room() -> None:
    async with serving(Room(per_user=1, total=100)) as served:
        stream = await served.ask(EVENTS, STREAM)
        refused = await served.ask(EVENTS, STREAM)
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert refused.json["error"]["code"] == "too_many_streams"

        stream.hang_up()
        await asyncio.sleep(0.05)
        again = await served.ask(EVENTS, STREAM)

        assert again.status == 200


@jumping
async def test_where_the_store_fails_it_is_said_and_no_room_is_taken() -> None:
    async with serving() as served:
        served.store.is_away = True
        streams = [await served.ask(EVENTS, STREAM), await served.ask()]

        assert [stream.status for stream in streams] == [503, 503]
        assert len(served.rounds) == 0


@jumping
async def test_who_asks_for_the_head_alone_gets_it() -> None:
    async with serving() as served:
        stream = await served.ask(EVENTS, STREAM, method="HEAD")
        poll = await served.ask(EVENTS, method="HEAD")

        assert (stream.has_ended, stream.headers["content-type"]) == (True, "text/event-stream; charset=utf-8")
        assert (poll.has_ended, poll.headers["content-type"]) == (True, "application/json")


@jumping
async def test_keys_have_nothing_to_listen_to() -> None:
    async with serving() as served:
        assert (await served.ask(person="key")).status == 403


# --- polls --------------------------------------------------------------------------------------


@jumping
async def test_the_first_poll_is_told_where_it_is_at_once() -> None:
    async with serving() as served:
        served.process.commit(ANN)
        poll = await served.ask()

        assert poll.json == {"cursor": "e1.1", "changes": [], "has_more": False, "poll_after_s": 15, "bootstrap": "r1"}
        assert poll.headers["cache-control"] == "no-store"


@jumping
async def test_a_poll_waits_for_what_comes() -> None:
    async with serving() as served:
        served.process.commit(ANN)
        poll = await served.ask(f"{EVENTS}?cursor=e1.1&wait=55")
        await asyncio.sleep(30)
        assert not poll.has_ended
        served.process.commit(ANN)
        await asyncio.sleep(0.05)

        turn = {"type": "turn", "conversation": "conv_1", "id": "resp_2", "state": "answered"}
        assert poll.json == {
            "cursor": "e1.2",
            "changes": [turn],
            "has_more": False,
            "poll_after_s": 0,
            "bootstrap": "r1",
        }


@jumping
async def test_a_poll_in_vain_is_answered_after_its_time_and_costs_no_look_into_the_store() -> None:
    async with serving() as served:
        served.process.commit(ANN)
        await served.ask()
        looked_up = served.store.looked_up
        for _ in range(5):
            poll = await served.ask(f"{EVENTS}?cursor=e1.1&wait=20")
            await asyncio.sleep(20)
            assert poll.json == {
                "cursor": "e1.1",
                "changes": [],
                "has_more": False,
                "poll_after_s": 0,
                "bootstrap": "r1",
            }

        assert (served.store.looked_up - looked_up, served.store.pulled) == (0, [])


@jumping
async def test_a_poll_tells_a_page_and_that_there_is_more() -> None:
    async with serving() as served:
        for _ in range(250):
            served.process.commit(ANN)
        first = (await served.ask(f"{EVENTS}?cursor=e1.0&wait=0")).json
        second = (await served.ask(f"{EVENTS}?cursor={first['cursor']}&wait=0")).json
        third = (await served.ask(f"{EVENTS}?cursor={second['cursor']}&wait=0")).json
        stale = (await served.ask(f"{EVENTS}?cursor=nonsense")).json

        assert [len(each["changes"]) for each in (first, second, third)] == [200, 50, 0]
        assert [each.get("has_more") for each in (first, second, third)] == [True, False, False]
        assert [each["poll_after_s"] for each in (first, second, third)] == [0, 0, 15]
        assert (stale["reset"], stale["has_more"], len(stale["changes"])) == (True, True, 200)


@jumping
async def test_the_poll_of_a_conversation_waits_until_something_of_it_comes() -> None:
    async with serving() as served:
        poll = await served.ask("/api/conversations/conv_2/events?cursor=.0&wait=50")
        served.process.commit(ANN, "conv_1")
        await asyncio.sleep(10)
        assert not poll.has_ended
        served.process.commit(ANN, "conv_2")
        await asyncio.sleep(0.05)

        assert [each["id"] for each in poll.json["changes"]] == ["resp_2"]


@jumping
async def test_a_poll_whose_session_was_ended_is_refused_within_two_seconds() -> None:
    async with serving() as served:
        poll = await served.ask(f"{EVENTS}?cursor=.0&wait=55")
        served.gate.ended.add(b"ann")
        await asyncio.sleep(2.01)

        assert (poll.status, poll.json["error"]["code"]) == (401, "token_revoked")


@jumping
async def test_a_server_that_ends_answers_its_polls_and_says_when_to_come_again() -> None:
    async with serving() as served:
        poll = await served.ask(f"{EVENTS}?cursor=.0&wait=55")
        served.feeds.drain()
        await asyncio.sleep(0.05)

        assert (poll.status, poll.json) == (
            200,
            {"cursor": ".0", "changes": [], "has_more": False, "poll_after_s": 0.5, "bootstrap": "r1"},
        )


@jumping
async def test_a_client_that_does_not_wait_for_its_poll_leaves_nothing() -> None:
    async with serving() as served:
        poll = await served.ask(f"{EVENTS}?cursor=.0&wait=55")
        poll.hang_up()
        await asyncio.sleep(0.05)
        served.process.commit(ANN)
        await asyncio.sleep(60)

        assert (poll.body, len(served.rounds), served.store.pulled) == (b"", 0, [])


@jumping
async def test_a_store_that_fails_while_a_poll_waits_is_asked_again() -> None:
    async with serving() as served:
        poll = await served.ask(f"{EVENTS}?cursor=.0&wait=55")
        served.store.is_away = True
        served.process.commit(ANN)
        await asyncio.sleep(5)
        served.store.is_away = False
        await asyncio.sleep(1.1)

        assert [each["id"] for each in poll.json["changes"]] == ["resp_1"]


@jumping
@pytest.mark.parametrize("query", ["wait=56", "wait=-1", "wait=1.5", "wait=%D9%A1", "limit=5", "wait="])
async def test_what_is_asked_wrongly_is_refused(query: str) -> None:
    async with serving() as served:
        poll = await served.ask(f"{EVENTS}?{query}")

        assert (poll.status, poll.json["error"]["code"]) == (400, "invalid_value")


@jumping
async def test_who_polls_without_waiting_is_told_to_come_seldom_where_it_is_crowded() -> None:
    async with serving(Room(per_user=100, total=11)) as served:
        for _ in range(10):
            await served.ask(EVENTS, STREAM)

        assert (await served.ask()).json["poll_after_s"] == 60


@jumping
@pytest.mark.parametrize("headers", [[STREAM], []])
async def test_a_server_that_ends_before_an_answer_begins_refuses_it_and_keeps_no_room(
    headers: list[tuple[bytes, bytes]],
) -> None:
    async with serving() as served:
        opening = asyncio.ensure_future(served.ask(f"{EVENTS}?cursor=e1.5", *headers))
        while not len(served.rounds):
            await asyncio.sleep(0)
        served.feeds.drain()

        visit = await opening

        assert (visit.status, visit.json["error"]["code"]) == (503, "server_shutting_down")
        assert len(served.rounds) == 0
