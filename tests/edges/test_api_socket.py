"""Devices on /api/socket, whose connections break: nothing is lost, nothing comes twice, on one process and on two."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.edges.kept_client import Told, text_of
from tests.edges.kept_serving import Mortal, Site, alone
from tests.edges.raw import ask, post

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("close_connections")]

MODELS: dict[str, Any] = {
    "models": {
        "quick": {"route": ["mock/echo"]},
        "paced": {"route": ["mock/echo:pace=15,jitter=10"]},
        "crawling": {"route": ["mock/echo:pace=300"]},
    },
    "clients": {"minimum": {"web": "1.4.0"}, "switches": {"voice": True}},
}
WORDS = " ".join(f"word{n}" for n in range(24))
HEARD = ("heartbeat", "hello")


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def close_devices() -> AsyncIterator[None]:
    yield
    while Device.opened:
        client = Device.opened.pop()
        client.transport.abort()
        await client.wait_closed()


class Device:
    """A device of somebody's, on one connection at a time, to whichever server."""

    opened: ClassVar[list[ClientConnection]] = []

    def __init__(self, token: str) -> None:
        self.token = token
        self._client: ClientConnection | None = None

    async def connect(self, served: Mortal) -> None:
        """Open a connection; its first frame is thrown away."""
        headers = {"authorization": f"Bearer {self.token}"}
        self._client = await connect(
            f"ws://127.0.0.1:{served.port}/api/socket", additional_headers=headers, proxy=None, max_size=None
        )
        self.opened.append(self._client)
        assert json.loads(await self._client.recv())["type"] == "hello"

    @property
    def client(self) -> ClientConnection:
        assert self._client is not None
        return self._client

    async def send(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        await self.client.send(json.dumps({"type": kind, **fields}))

    async def receive(self) -> dict[str, Any]:
        """The next frame that is no heartbeat."""
        while (frame := json.loads(await asyncio.wait_for(self.client.recv(), 30)))["type"] in HEARD:
            pass
        return frame

    async def until(self, kind: str) -> dict[str, Any]:
        """The next frame of this type."""
        while (frame := await self.receive())["type"] != kind:
            pass
        return frame

    def vanish(self) -> None:
        """Lose the connection, with all that is in it."""
        self.client.transport.abort()


async def somebody(site: Site) -> str:
    """The token of a new person."""
    user = f"u-{uuid.uuid4().hex[:12]}"
    _, session = await ask(site.served, post("/api/sessions", json.dumps({"user": user}).encode()))
    return session["token"]


async def test_answers_on_one_connection_that_breaks_again_and_again_are_told_whole(site: Site) -> None:
    """Four answers at once; the connection is lost at any frame, and all are followed on, from either server."""
    chance = random.Random(7)
    device = Device(await somebody(site))
    told = {f"c{number}": Told() for number in range(4)}
    await device.connect(site.served)
    for frame_id in told:
        request = {"model": "paced", "input": f"{frame_id} {WORDS}"}
        await device.send("create", id=frame_id, request=request)
    while not all(each.response for each in told.values()):
        frame = await device.receive()
        told[frame["id"]].take(frame["event"])

    breaks = 0
    while any(each.end is None for each in told.values()):
        for _ in range(chance.randrange(30)):
            frame = await device.receive()
            assert frame["type"] == "event", frame
            told[frame["id"]].take(frame["event"])
            if all(each.end is not None for each in told.values()):
                break
        device.vanish()
        breaks += 1
        await device.connect(chance.choice(site.servers))
        for frame_id, each in told.items():
            if each.end is None:
                await device.send("follow", id=frame_id, response=each.response, starting_after=each.last)

    assert breaks > 3
    for frame_id, each in told.items():
        assert each.text == f"{frame_id} {WORDS}"
        assert each.end is not None
        assert text_of(each.end) == each.text
        assert site.asked()[f"{frame_id} {WORDS}"] == 1


async def test_who_has_all_of_an_answer_is_told_that_there_is_no_more(site: Site) -> None:
    device = Device(await somebody(site))
    await device.connect(site.served)
    await device.send("create", id="c", request={"model": "quick", "input": "one two"})
    told = Told()
    while told.end is None:
        told.take((await device.receive())["event"])
    await device.connect(site.servers[-1])
    await device.send("follow", id="all", response=told.response, starting_after=told.last)
    await device.send("follow", id="again", response=told.response)
    frames = [await device.receive()]
    while len(frames) < told.last + 2:
        frames.append(await device.receive())

    assert {"type": "end", "id": "all"} in frames
    again = Told()
    for frame in frames:
        if frame["id"] == "again":
            again.take(frame["event"])
    assert (again.text, again.end) == (told.text, told.end)


async def test_who_unfollows_gives_the_places_back_and_the_answers_are_made_all_the_same(site: Site) -> None:
    device = Device(await somebody(site))
    await device.connect(site.served)
    await device.send("create", id="c", request={"model": "crawling", "input": WORDS})
    told = Told()
    while not told.text:
        told.take((await device.receive())["event"])
    follows = [f"f{number}" for number in range(15)]  # with what was asked for: as many as there may be
    for frame_id in follows:
        await device.send("follow", id=frame_id, response=told.response)
    for frame_id in [*follows, "c", "unheard of"]:  # the last two follow nothing
        await device.send("unfollow", id=frame_id)
    ended: list[str] = []
    while len(ended) < len(follows):
        frame = await device.receive()
        if frame["type"] == "end":
            ended.append(frame["id"])
        else:
            assert frame["id"] not in ended
    assert sorted(ended) == sorted(follows)

    await device.send("follow", id="f0", response=told.response)
    while (frame := await device.receive())["id"] != "f0":
        told.take(frame["event"])
    assert frame["event"]["type"] == "response.created"
    await device.send("unfollow", id="f0")
    await device.send("cancel", id="k", response=told.response)
    while told.end is None:
        frame = await device.receive()
        if frame["id"] == "c":
            told.take(frame["event"])
    assert told.end["status"] == "cancelled"


async def test_a_request_whose_first_word_was_lost_is_asked_once(site: Site) -> None:
    device = Device(await somebody(site))
    asked = {"id": "c", "request": {"model": "paced", "input": f"once {WORDS}"}, "idempotency_key": str(uuid.uuid4())}
    for server in site.servers * 2:
        await device.connect(server)
        await device.send("create", **asked)
        while not site.asked()[f"once {WORDS}"]:
            await asyncio.sleep(0.01)
        device.vanish()
    await device.connect(site.servers[-1])
    await device.send("create", **asked)
    told = Told()
    while told.end is None:
        told.take((await device.receive())["event"])

    assert told.text == f"once {WORDS}"
    assert site.asked()[f"once {WORDS}"] == 1


async def test_an_answer_is_ended_from_another_connection(site: Site) -> None:
    token = await somebody(site)
    one, other = Device(token), Device(token)
    await one.connect(site.served)
    await other.connect(site.servers[-1])
    await one.send("create", id="c", request={"model": "crawling", "input": WORDS})
    told = Told()
    while not told.text:
        told.take((await one.receive())["event"])
    await other.send("cancel", id="k", response=told.response)
    ended = await other.receive()
    while told.end is None:
        told.take((await one.receive())["event"])

    assert (ended["type"], ended["id"], ended["response"]["status"]) == ("response", "k", "cancelled")
    assert told.end["status"] == "cancelled"
    stranger = Device(await somebody(site))
    await stranger.connect(site.served)
    for kind in ("cancel", "follow"):
        await stranger.send(kind, id="x", response=told.response)
        assert (await stranger.receive())["error"]["code"] == "response_not_found"


async def test_what_one_device_brings_another_is_told_and_can_follow(site: Site) -> None:
    token = await somebody(site)
    phone, laptop = Device(token), Device(token)
    await phone.connect(site.served)
    await laptop.connect(site.servers[-1])
    await laptop.send("subscribe", id="s")
    assert (await laptop.receive())["type"] == "ready"
    conversation = f"conv_{uuid.uuid4().hex}"
    message = str(uuid.uuid4())
    entries = [
        {"id": str(uuid.uuid4()), "type": "conversation", "conversation": conversation, "title": "Trip"},
        {"id": message, "type": "message", "conversation": conversation, "content": WORDS},
    ]
    await phone.send("push", id="p", entries=entries)
    await phone.send("push", id="again", entries=entries)  # the reply may have been lost; done is done
    results, again = [(await phone.receive())["results"] for _ in range(2)]
    assert [result["status"] for result in results] == ["done", "done"]
    assert again == results
    response = results[1]["response"]

    seen: dict[str, Any] = {}
    while seen.get("state") != "answered" or "text" not in seen:
        frame = await laptop.until("changes")
        assert frame["id"] == "s"
        for change in frame["changes"]:
            if change["type"] == "turn":
                seen["state"] = change["state"]
            elif change["type"] == "item" and change["item"].get("role") == "assistant":
                seen["text"] = change["item"]["content"][0]["text"]
            elif change["type"] == "item":
                seen["asked"] = change["id"]
            elif change["type"] == "conversation":
                seen["title"] = change["title"]
    assert seen == {
        "state": "answered",
        "text": WORDS,
        "asked": f"msg_{message.replace('-', '')}",
        "title": "Trip",
    }

    await laptop.send("follow", id="f", response=response)
    told = Told(response)
    while told.end is None:
        frame = await laptop.receive()
        if frame["type"] == "event":
            told.take(frame["event"])
    assert told.text == WORDS


async def test_the_answers_to_what_is_brought_are_told_while_they_are_made(site: Site) -> None:
    """One round trip: what became of each entry, then the events of each answer under its entry's id."""
    token = await somebody(site)
    phone, laptop = Device(token), Device(token)
    await phone.connect(site.served)
    await laptop.connect(site.servers[-1])
    words = {str(uuid.uuid4()): f"{number} {WORDS}" for number in range(2)}
    entries: list[dict[str, Any]] = [
        {"id": entry_id, "type": "message", "conversation": f"conv_{uuid.uuid4().hex}", "content": said,
         "request": {"model": "paced"}}
        for entry_id, said in words.items()
    ]  # fmt: skip
    entries.append({"id": str(uuid.uuid4()), "type": "fact", "fact": f"fact_{uuid.uuid4().hex}", "words": "x"})
    await phone.send("push", id="p", entries=entries, follow=True)
    results = await phone.receive()
    assert (results["type"], results["id"]) == ("results", "p")
    responses = {result["id"]: result.get("response") for result in results["results"]}
    told = {entry_id: Told(responses[entry_id]) for entry_id in words}

    first, *_ = words
    while not told[first].text:
        frame = await phone.receive()
        told[frame["id"]].take(frame["event"])
    # It has only begun; elsewhere it is followed from there, where its first half is not told again.
    await laptop.send("follow", id="f", response=responses[first], starting_after=told[first].last)
    elsewhere = Told(responses[first], told[first].last, told[first].text)
    while not elsewhere.end:
        elsewhere.take((await laptop.receive())["event"])
    while not all(each.end for each in told.values()):
        frame = await phone.receive()
        told[frame["id"]].take(frame["event"])

    assert {entry_id: each.text for entry_id, each in told.items()} == words
    assert elsewhere.text == words[first]
    assert len([event for event in elsewhere.events if event["type"] == "response.output_text.delta"]) > 4
    again = {"id": "again", "entries": entries[:1]}
    await phone.send("push", **again, follow=True)
    await phone.send("push", **again)
    frames = [await phone.receive() for _ in range(2 + told[first].last + 1)]
    assert [frame["results"][0]["response"] for frame in frames if frame["type"] == "results"] == [responses[first]] * 2
    assert [frame["event"] for frame in frames if frame["type"] == "event"] == told[first].events


async def test_an_answer_that_has_no_place_is_told_so_and_is_made_all_the_same(single: Site) -> None:
    device = Device(await somebody(single))
    await device.connect(single.served)
    entries = [
        {"id": str(uuid.uuid4()), "type": "message", "conversation": f"conv_{uuid.uuid4().hex}", "content": "x",
         "request": {"model": "crawling"}}
        for _ in range(17)
    ]  # fmt: skip

    await device.send("push", id="p", entries=entries, follow=True)
    results = (await device.receive())["results"]
    error = await device.until("error")
    for result in results:
        await device.send("cancel", id="c", response=result["response"])

    assert [result["status"] for result in results] == ["done"] * 17
    assert error["id"] == results[-1]["id"]
    assert (error["status"], error["error"]["code"]) == (429, "websocket_stream_limit_reached")
    assert (await device.until("response"))["response"]["id"] == results[0]["response"]


async def test_a_device_that_was_away_is_told_what_it_missed_and_nothing_else(site: Site) -> None:
    """While it is away another one renames; each cursor that it ever had goes on without a gap."""
    chance = random.Random(3)
    token = await somebody(site)
    phone, laptop = Device(token), Device(token)
    await phone.connect(site.served)
    conversation = f"conv_{uuid.uuid4().hex}"

    async def rename(title: str) -> None:
        entry = {"id": str(uuid.uuid4()), "type": "rename", "conversation": conversation, "title": title}
        await phone.send("push", id="p", entries=[entry])
        assert (await phone.receive())["results"][0]["status"] == "done"

    entry = {"id": str(uuid.uuid4()), "type": "conversation", "conversation": conversation}
    await phone.send("push", id="p", entries=[entry])
    await phone.receive()
    await laptop.connect(site.servers[-1])
    await laptop.send("subscribe")
    cursor = (await laptop.receive())["cursor"]
    titles: list[str] = []
    for number in range(12):
        laptop.vanish()
        for step in range(chance.randrange(1, 4)):
            await rename(f"{number}.{step}")
            titles.append(f"{number}.{step}")
        await laptop.connect(chance.choice(site.servers))
        await laptop.send("subscribe", cursor=cursor)
        # As it is now, once; where another process has changed it just now, that may be behind `ready`.
        frames = [await laptop.receive() for _ in range(2)]
        assert sorted(frame["type"] for frame in frames) == ["changes", "ready"]
        assert [change["title"] for frame in frames for change in frame.get("changes", ())] == [titles[-1]]
        await rename(f"{number} live")
        titles.append(f"{number} live")
        live = await laptop.receive()
        assert [change["title"] for change in live["changes"]] == [titles[-1]]
        cursor = live["cursor"]


async def test_a_session_that_ended_ends_its_sockets_everywhere(site: Site) -> None:
    token = await somebody(site)
    devices = [Device(token) for _ in site.servers]
    for device, served in zip(devices, site.servers, strict=True):
        await device.connect(served)
        await device.send("subscribe")
        await device.until("ready")
    request = f"DELETE /api/sessions/current HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    assert (await ask(site.served, request))[0] == 200

    for device in devices:
        with pytest.raises(ConnectionClosed):
            await device.until("never")
        assert (device.client.close_code, device.client.close_reason) == (4401, "token_revoked")


async def test_a_page_brings_its_token_as_a_subprotocol_and_says_which_app_it_is(single: Site) -> None:
    token = await somebody(single)
    url = f"ws://127.0.0.1:{single.served.port}/api/socket"

    def offering(version: str) -> list[Subprotocol]:
        offers = ("frontdesk", f"frontdesk.token.{token}", f"frontdesk.client.web.{version}")
        return [Subprotocol(offer) for offer in offers]

    async with connect(url, subprotocols=offering("1.4.0"), proxy=None) as client:
        hello = json.loads(await client.recv())
        assert client.subprotocol == "frontdesk"
    with pytest.raises(InvalidStatus) as refusal:
        await connect(url, subprotocols=offering("1.3.9"), proxy=None)
    response = refusal.value.response
    assert (response.status_code, response.headers["upgrade"]) == (426, "frontdesk/1")
    assert json.loads(response.body or b"")["error"]["code"] == "client_too_old"

    head = "GET /api/bootstrap HTTP/1.1\r\nhost: x\r\nfrontdesk-client: web/1.0\r\n\r\n"
    status, bootstrap = await ask(single.served, head.encode())
    assert (status, bootstrap["minimum_client"], bootstrap["switches"]) == (200, {"web": "1.4.0"}, {"voice": True})
    assert bootstrap["revision"] == hello["bootstrap"]


async def test_where_a_server_ends_its_devices_are_told_and_go_on_behind_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    async with alone(tmp_path, sqlite_template, **{**MODELS, "shutdown_grace_s": 10}) as site:
        device = Device(await somebody(site))
        await device.connect(site.served)
        await device.send("subscribe")
        cursor = (await device.until("ready"))["cursor"]
        await device.send("create", id="c", request={"model": "paced", "input": WORDS})
        told = Told()
        while not told.text:
            frame = await device.receive()
            told.take(frame["event"])
        stopping = asyncio.create_task(asyncio.to_thread(site.served.stop))
        bye: dict[str, Any] = {}
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await device.receive()
                if frame["type"] == "bye":
                    bye = frame
                else:
                    told.take(frame["event"])
        close_code = device.client.close_code
        await stopping
        await asyncio.to_thread(site.served.start)
        await device.connect(site.served)
        await device.send("subscribe", cursor=cursor)
        ready = await device.until("ready")

    assert bye["error"]["code"] == "server_shutting_down"
    assert 0.5 <= bye["retry_after_s"] <= 3
    assert close_code == 1012
    assert told.text == WORDS
    assert ready["cursor"] == cursor
