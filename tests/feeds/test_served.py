"""Feeds of a real server: another device knows at once, whatever befalls its connection or its server."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.feeds.test_frames import events_of
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

EVENTS, CONVERSATIONS = "/api/events", "/v1/conversations"
SETTINGS: dict[str, Any] = {**SCRIPTED, "limits": {"slow_reader_s": 1}, "live": {"per_user": 3}}


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    yield
    await RawConnection.close_all()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("feeds"), SETTINGS) as server:
        yield server
        assert "_broke" not in server.log


class Device:
    """Somebody's device: a stream of its own, and requests over other connections."""

    def __init__(self, served: Served, token: str) -> None:
        self.served = served
        self.token = token
        self.told: list[dict[str, Any]] = []
        self.places: list[str] = []  # of what it was told
        self.cursor: str | None = None
        self.status = 0

    async def listen(self, path: str = EVENTS) -> None:
        """Open a stream behind what it was told before."""
        more = {} if self.cursor is None else {"last-event-id": self.cursor}
        self._stream = await RawConnection.open(self.served)
        self._stream.send(self.get(path, accept="text/event-stream", **more))
        self.status, _ = await self._stream.head()

    async def next(self, name: str) -> dict[str, Any]:
        """The next event of this name; those before it, and what came with it, are taken."""
        while not (found := [event for event in await self._some() if event["event"] == name]):
            pass
        return found[0]

    async def _some(self) -> list[dict[str, Any]]:
        """The events of the next write."""
        size = int(await self._stream.until(b"\r\n"), 16)
        chunk = await self._stream.reader.readexactly(size + 2)
        events = [event for event in events_of(chunk[:-2]) if "event" in event]
        for event in events:
            self._take(event)
        return events

    async def until(self, **fields: Any) -> dict[str, Any]:
        """Take events until a change has these fields."""
        while not (found := [each for each in self.told if fields.items() <= each.items()]):
            await self._some()
        return found[-1]

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        request = post(path, content, self.token).replace(b"POST", method.encode(), 1)
        status, answer = await ask(self.served, request)
        assert status == 200, answer
        return answer

    async def begin(self, title: str = "one") -> str:
        """Begin a conversation, with a name."""
        conversation = (await self.ask("POST", CONVERSATIONS, {}))["id"]
        await self.ask("PATCH", f"/api/conversations/{conversation}", {"title": title})
        return conversation

    async def last_chunk(self) -> bytes:
        """What ends the stream, on a connection that goes on."""
        return await self._stream.until(b"\r\n\r\n")

    def stop_reading(self) -> None:
        """Leave what is sent where it is."""
        transport = self._stream.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

    async def end_of_stream(self) -> bytes:
        """Read to the end of the connection."""
        return await self._stream.rest()

    def hang_up(self) -> None:
        self._stream.hang_up()

    def _take(self, event: dict[str, str]) -> None:
        self.cursor = event.get("id", self.cursor)
        if event["event"] not in ("ready", "reset", "heartbeat", "bye"):
            self.told.append(json.loads(event["data"]))
            self.places.append(event["id"])

    def get(self, path: str, **headers: str) -> bytes:
        lines = [f"GET {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {self.token}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def session_of(served: Served, user: str) -> dict[str, Any]:
    status, session = await ask(served, post("/api/sessions", json.dumps({"user": user}).encode()))
    assert status == 200
    return session


async def device_of(served: Served, user: str) -> Device:
    return Device(served, (await session_of(served, user))["token"])


async def test_another_device_is_told_of_a_whole_turn(served: Served) -> None:
    one, two = await device_of(served, "ann"), await device_of(served, "ann")
    await two.listen()
    await two.next("ready")
    conversation = await one.begin("a name")
    answer = await one.ask("POST", "/v1/responses", {"conversation": conversation, "input": "hello there"})
    await two.until(type="turn", id=answer["id"], state="answered")

    said = [each["item"]["role"] for each in two.told if each["type"] == "item"]
    assert said == ["user", "assistant"]
    assert (await two.until(type="conversation", title="a name"))["id"] == conversation


async def test_who_lost_the_connection_is_told_the_rest_and_no_change_twice(served: Served) -> None:
    one, two = await device_of(served, "bea"), await device_of(served, "bea")
    await two.listen()
    await two.next("ready")
    titles = [f"number {number}" for number in range(30)]
    conversations = [await one.begin(title) for title in titles[:10]]
    await two.until(title=titles[3])
    two.hang_up()
    conversations += [await one.begin(title) for title in titles[10:]]
    await two.listen()
    await two.until(title=titles[-1])
    last = await one.begin("the last")
    await two.until(title="the last")

    named = [each["id"] for each in two.told if "title" in each]
    assert set(named) == {*conversations, last}
    numbers = [int(place.rpartition(".")[2]) for place in two.places if place.count(".") == 1]
    assert numbers == sorted(set(numbers))


async def test_of_a_conversation_that_is_deleted_its_stream_tells(served: Served) -> None:
    one, two = await device_of(served, "cem"), await device_of(served, "cem")
    conversation, other = await one.begin(), await one.begin()
    await two.listen(f"/api/conversations/{conversation}/events")
    await two.next("ready")
    await one.ask("DELETE", f"{CONVERSATIONS}/{other}")
    await one.ask("DELETE", f"{CONVERSATIONS}/{conversation}")

    await two.until(deleted=True)

    assert two.told == [{"type": "conversation", "id": conversation, "deleted": True}]


async def test_a_poll_and_a_stream_tell_the_same(served: Served) -> None:
    one, two = await device_of(served, "dan"), await device_of(served, "dan")
    begun = (await two.ask("GET", EVENTS))["cursor"]
    two.cursor = begun
    await one.begin("first")
    polled = await two.ask("GET", f"{EVENTS}?cursor={begun}&wait=30")
    await two.listen()
    await two.next("ready")

    assert two.told == polled["changes"]
    assert two.cursor == polled["cursor"]


async def test_who_listens_too_often_is_told_to_come_later(served: Served) -> None:
    device = await device_of(served, "eve")
    for _ in range(3):
        await device.listen()
        assert device.status == 200
    await device.listen()

    assert device.status == 429


@pytest.mark.parametrize("by", ["themselves", "an operator"])
async def test_an_ended_session_ends_its_streams_and_its_polls(served: Served, by: str) -> None:
    session = await session_of(served, "fay")
    device, other = Device(served, session["token"]), await device_of(served, "fay")
    await device.listen()
    await device.next("ready")
    await other.listen()
    cursor = (await other.ask("GET", EVENTS))["cursor"]
    poll = asyncio.ensure_future(ask(served, device.get(f"{EVENTS}?cursor={cursor}&wait=55")))
    whose = device if by == "themselves" else Device(served, ADMIN_KEY)
    await whose.ask("DELETE", f"/api/sessions/{session['id']}")

    bye = await device.next("bye")
    status, refusal = await poll
    await other.begin("still there")
    await other.until(title="still there")

    assert json.loads(bye["data"])["error"]["code"] == "token_revoked"
    assert (status, refusal["error"]["code"]) == (401, "token_revoked")
    assert await device.last_chunk() == b"0\r\n\r\n"


async def test_a_reader_who_takes_nothing_is_let_go_and_finds_the_rest_later(served: Served) -> None:
    one, two = await device_of(served, "gus"), await device_of(served, "gus")
    conversation = (await one.ask("POST", CONVERSATIONS, {}))["id"]
    two.cursor = (await two.ask("GET", EVENTS))["cursor"]
    await two.listen()
    two.stop_reading()
    others = [await device_of(served, "gus") for _ in range(2)]
    for other in others:
        await other.listen()
    items = [{"type": "message", "role": "user", "content": "x" * 200_000}]
    for _ in range(80):  # more than the buffers of a connection hold
        await one.ask("POST", f"{CONVERSATIONS}/{conversation}/items", {"items": items})

    while (await ask(served, one.get(EVENTS)))[0] == 429:  # three listen, until one of them is let go
        await asyncio.sleep(0.1)

    before = two.cursor
    for other in others:
        other.hang_up()
    assert before is not None
    await two.listen()
    await two.next("ready")
    assert len({each["id"] for each in two.told if each["type"] == "item"}) == 80


async def test_at_the_end_of_a_server_its_streams_end_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("ending"), {**SETTINGS, "live": {"per_user": 2}}) as server:
        device = await device_of(server, "hal")
        await device.listen()
        await device.next("ready")
        polling = asyncio.ensure_future(ask(server, device.get(f"{EVENTS}?cursor=.0&wait=55")))
        while (await ask(server, device.get(EVENTS)))[0] != 429:  # both listen
            await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        bye = await device.next("bye")
        status, answer = await polling

        assert float(bye["retry"]) >= 500
        assert await device.end_of_stream() == b"0\r\n\r\n"
        assert (status, answer["changes"]) == (200, [])
        assert answer["poll_after_s"] > 0
        assert await asyncio.to_thread(server.wait) == 0
