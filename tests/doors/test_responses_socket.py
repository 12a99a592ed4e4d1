"""Responses over WebSockets, at their door: lanes, ends, and what goes wrong, over real connections."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Self

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from frontdesk.core.config import Config, Model
from frontdesk.core.errors import QuotaSpent
from frontdesk.doors.desk import Desk, Visit
from frontdesk.doors.responses_socket import ResponsesSocketDoor
from frontdesk.doors.shelf import Wish
from frontdesk.keeping.plan import Form
from frontdesk.policies.access import Access
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.events import Event
from frontdesk.turn.items import Message, Prompt, Request
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.seams import Policy
from frontdesk.turn.turn import Turn
from tests.doors.test_desk import NOTICE, OneCaller, Telling
from tests.fakes import HandClock, answer_events
from tests.http.test_sockets import KEY, Served, serving

ENDS = {"response.completed", "response.incomplete", "response.failed", "error"}


class Echo:
    """Says the last message again, word by word, and before each word waits until `may_speak`."""

    def __init__(self) -> None:
        self.may_speak = asyncio.Event()
        self.may_speak.set()
        self.is_asked = asyncio.Event()
        self.asked: list[Prompt] = []
        self.open_answers = 0

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        assert isinstance(request, Prompt)
        self.asked.append(request)
        self.is_asked.set()
        self.open_answers += 1
        last = request.items[-1]
        assert isinstance(last, Message)
        assert isinstance(last.content, str)
        try:
            for batch in answer_events(*last.content.split()):
                await self.may_speak.wait()
                yield batch
                await asyncio.sleep(0)
        finally:
            self.open_answers -= 1


class Stage:
    """A door, its provider, and a server that both are behind."""

    def __init__(
        self, *policies: Policy, life_s: float = 3600, make: Callable[..., Desk] = Desk, limit_bytes: int = 90_000
    ) -> None:
        access = Access(Config(models={"fast": Model(["p/m"])}))
        self.echo = Echo()
        router = FallbackRouter({"fast": [Route("p", self.echo, "m")]})
        self.live = LiveTurns(Line([access, *policies], [], router), TurnTimes(60, 60, 0))
        desk = make(OneCaller(), self.live, HandClock(), access, 1_000_000)
        door = ResponsesSocketDoor(desk, [access, *policies], limit_bytes, life_s=life_s)
        self.served = serving(door.serve)

    async def __aenter__(self) -> Self:
        await self.served.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.echo.may_speak.set()
        await self.served.__aexit__()
        await self.live.close(1)


async def send(client: ClientConnection, words: str, **fields: Any) -> None:
    await client.send(json.dumps({"type": "response.create", "model": "fast", "input": words, **fields}))


async def receive(client: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(client.recv(), 10))


async def answer(client: ClientConnection) -> list[dict[str, Any]]:
    messages = [await receive(client)]
    while messages[-1]["type"] not in ENDS:
        messages.append(await receive(client))
    return messages


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(client.recv(), 10)
    return client.close_code, client.close_reason


def said(messages: list[dict[str, Any]]) -> list[str]:
    return [message["delta"] for message in messages if message["type"] == "response.output_text.delta"]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.005)


# --- messages in pieces -------------------------------------------------------------------------


class RawClient:
    """A client that sends its bytes as it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader = reader
        self.writer = writer
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/socket"), max_size=None)

    async def shake_hands(self) -> None:
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {KEY}"
        self._protocol.send_request(request)
        self.writer.write(b"".join(self._protocol.data_to_send()))
        assert isinstance(await self._event(), Response)

    async def answer(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        while not messages or messages[-1]["type"] not in ENDS:
            frame = await self._event()
            assert isinstance(frame, Frame)
            messages.append(json.loads(bytes(frame.data)))
        return messages

    async def _event(self) -> Any:
        if not hasattr(self, "_events"):
            self._events: list[Any] = []
        while not self._events:
            self._protocol.receive_data(await asyncio.wait_for(self._reader.read(65536), 10))
            self._events += self._protocol.events_received()
        return self._events.pop(0)


def frames_of(text: bytes, cut: int) -> bytes:
    """A message in two frames, as a client masks them."""
    return Frame(Opcode.TEXT, text[:cut], fin=False).serialize(mask=True) + Frame(Opcode.CONT, text[cut:]).serialize(
        mask=True
    )


async def test_a_message_may_be_cut_into_frames_and_bytes_anywhere() -> None:
    text = json.dumps({"type": "response.create", "input": "é 👋", "model": "fast"}, ensure_ascii=False).encode()
    async with Stage() as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.served.port)
        client = RawClient(reader, writer, stage.served.port)
        await client.shake_hands()
        for cut in range(len(text) + 1):
            sent = frames_of(text, cut)
            # Each byte of the message is once the last of a frame, and once the last that comes at a time.
            at = (cut * 7) % len(sent)
            writer.write(sent[:at])
            await asyncio.sleep(0)
            writer.write(sent[at:])
            assert said(await client.answer()) == ["é", "👋"]
        writer.close()


# --- lanes and sockets --------------------------------------------------------------------------


async def test_two_sockets_get_each_their_own() -> None:
    async with Stage() as stage, stage.served.connect() as one, stage.served.connect() as two:
        stage.echo.may_speak.clear()
        await send(one, "a b c d", store=False)
        await send(two, "e f g h", store=False)
        await until(lambda: stage.echo.open_answers == 2)
        stage.echo.may_speak.set()

        first, second = await asyncio.gather(answer(one), answer(two))

    assert said(first) == ["a", "b", "c", "d"]
    assert said(second) == ["e", "f", "g", "h"]
    assert {message["response"]["id"] for message in first if "response" in message}.isdisjoint(
        message["response"]["id"] for message in second if "response" in message
    )


async def test_a_lane_asks_one_thing_at_a_time() -> None:
    async with Stage() as stage, stage.served.connect() as client:
        stage.echo.may_speak.clear()
        await send(client, "a", stream_id="x")
        await send(client, "b", stream_id="x")
        await send(client, "c", stream_id="y")
        await until(lambda: stage.echo.open_answers == 2)
        await client.ping()

        assert [prompt.items for prompt in stage.echo.asked] == [[Message("user", "a")], [Message("user", "c")]]
        stage.echo.may_speak.set()
        ended = [await answer_of(client) for _ in range(3)]

    assert sorted(ended) == [("x", "a"), ("x", "b"), ("y", "c")]
    assert ended.index(("x", "a")) < ended.index(("x", "b"))


async def answer_of(client: ClientConnection) -> tuple[str, str]:
    while (message := await receive(client))["type"] not in ENDS:
        pass
    return message["stream_id"], message["response"]["output"][0]["content"][0]["text"]


async def test_what_waits_has_so_many_bytes_and_no_more() -> None:
    async with Stage(limit_bytes=3000) as stage, stage.served.connect() as client:
        stage.echo.may_speak.clear()
        await send(client, "a")
        await until(lambda: stage.echo.open_answers == 1)
        await send(client, "b", metadata={"x": "y" * 500})
        for _ in range(5):
            await send(client, "c", metadata={"x": "y" * 500})
        refused = await receive(client)

    assert (refused["status"], refused["error"]["code"]) == (429, "too_many_waiting")


async def test_what_goes_on_is_told_to_the_provider_in_order() -> None:
    async with Stage() as stage, stage.served.connect() as client:
        previous = None
        for words in ("one", "two", "three"):
            await send(client, words, previous_response_id=previous)
            previous = (await answer(client))[-1]["response"]["id"]

    told = [(item.role, item.content) for item in stage.echo.asked[-1].items if isinstance(item, Message)]
    assert [role for role, _ in told] == ["user", "assistant", "user", "assistant", "user"]
    assert told[-1] == ("user", "three")
    assert stage.echo.asked[-1].answered == {1, 3}


async def test_what_is_too_long_to_be_remembered_is_not() -> None:
    async with Stage(limit_bytes=4000) as stage, stage.served.connect() as client:
        await send(client, "word " * 2000)
        first = (await answer(client))[-1]["response"]
        await send(client, "more", previous_response_id=first["id"])
        messages = await answer(client)

    # Nothing is stored here that it could be found by, and the line of this stage has no history: it goes on alone.
    assert said(messages) == ["more"]
    assert stage.echo.asked[-1].previous == first["id"]
    assert len(stage.echo.asked[-1].items) == 1


# --- ends ---------------------------------------------------------------------------------------


async def test_an_idle_connection_is_told_of_its_end() -> None:
    async with Stage(life_s=0.05) as stage, stage.served.connect() as client:
        told = await receive(client)

        assert (told["type"], told["status"]) == ("error", 400)
        assert told["error"]["code"] == "websocket_connection_limit_reached"
        assert await closed(client) == (1000, "websocket_connection_limit_reached")


async def test_what_is_under_way_is_finished_before_the_end_and_what_waits_is_told() -> None:
    async with Stage(life_s=0.2) as stage, stage.served.connect() as client:
        stage.echo.may_speak.clear()
        await send(client, "a b", stream_id="x")
        await send(client, "never", stream_id="x")
        await until(lambda: stage.echo.open_answers == 1)
        await asyncio.sleep(0.3)  # longer than it lives
        stage.echo.may_speak.set()

        assert said(await answer(client)) == ["a", "b"]
        waited, last = await receive(client), await receive(client)
        assert waited["error"]["code"] == last["error"]["code"] == "websocket_connection_limit_reached"
        assert (waited["stream_id"], "stream_id" in last) == ("x", False)
        assert (await closed(client))[0] == 1000

    assert len(stage.echo.asked) == 1


async def test_where_the_server_ends_what_is_under_way_is_finished() -> None:
    async with Stage() as stage, stage.served.connect() as client:
        stage.served.drained.clear()
        stage.echo.may_speak.clear()
        await send(client, "a b")
        await send(client, "never")
        await until(lambda: stage.echo.open_answers == 1)
        stage.served.server.should_exit = True
        await until(lambda: stage.served.server.should_exit and _is_ending(stage.served))
        stage.echo.may_speak.set()

        assert said(await answer(client)) == ["a", "b"]
        refused = await receive(client)
        assert (refused["status"], refused["error"]["code"]) == (503, "server_shutting_down")
        assert (await closed(client))[0] == 1012
        stage.served.drained.set()


def _is_ending(served: Served) -> bool:
    return all(socket.is_ending for socket in served.sockets._open)


async def test_at_a_hang_up_the_provider_is_asked_no_longer() -> None:
    async with Stage() as stage:
        async with stage.served.connect() as client:
            stage.echo.may_speak.clear()
            await send(client, "a b c", stream_id="x")
            await send(client, "never", stream_id="x")
            await until(lambda: stage.echo.open_answers == 1)
            client.transport.abort()
        await until(lambda: stage.echo.open_answers == 0 and len(stage.live) == 0)
        await stage.served.until_quiet()

        assert len(stage.echo.asked) == 1


# --- what goes wrong ----------------------------------------------------------------------------


class Failing:
    """Raises what it is given, at the words "fail"."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        assert isinstance(turn.request, Prompt)
        if turn.request.items == [Message("user", "fail")]:
            raise self._error
        return None

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""


@pytest.mark.parametrize(
    ("generate", "error", "status", "code"),
    [
        (True, RuntimeError("a bug"), 500, "internal_error"),
        (False, RuntimeError("a bug"), 500, "internal_error"),
        (False, StorageFailed("the disk is full"), 503, "store_unavailable"),
    ],
)
async def test_what_is_nobody_s_fault_is_told_and_the_connection_stays(
    generate: bool, error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        async with Stage(Failing(error)) as stage, stage.served.connect() as client:
            await send(client, "fail", generate=generate)
            [told] = await answer(client)
            await send(client, "again")
            after = await answer(client)

    assert (told["status"], told["error"]["code"]) == (status, code)
    assert "disk" not in told["error"]["message"]
    assert said(after) == ["again"]


class Losing(Desk):
    """Begins each answer, and then knows nothing more of it."""

    async def answer(self, turn: Turn, visit: Visit, form: Form, wish: Wish | None) -> None:
        sink = form(wish.response_facts or turn, turn.headers) if wish is not None else None
        assert sink is not None
        await sink.write(answer_events("half")[0])
        sink.leave()
        visit.scope["frontdesk.abort"]()
        await visit.receive()


async def test_an_answer_that_is_lost_here_is_told_so() -> None:
    async with Stage(make=Losing) as stage, stage.served.connect() as client:
        await send(client, "x")
        messages = await answer(client)

    assert messages[0]["type"] == "response.created"
    assert (messages[-1]["status"], messages[-1]["error"]["code"]) == (503, "answer_interrupted")
    assert messages[0]["response"]["id"] in messages[-1]["error"]["message"]


# --- notices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", [True, False])
async def test_notices_are_messages_for_who_asks(asks: bool) -> None:
    headers = {"Frontdesk-Events": "status"} if asks else {}
    async with Stage(Telling([NOTICE])) as stage, stage.served.connect(headers=headers) as client:
        await send(client, "x", stream_id="l")
        messages = await answer(client)

    assert [message["type"] for message in messages[:2]] == [
        "response.created",
        NOTICE["type"] if asks else "response.in_progress",
    ]
    assert ({**NOTICE, "stream_id": "l"} in messages) == asks


@pytest.mark.parametrize("asks", [True, False])
async def test_a_refusal_has_its_notices_before_it(asks: bool) -> None:
    headers = {"Frontdesk-Events": "status"} if asks else {}
    spent = QuotaSpent("It is spent.")
    async with Stage(Telling([NOTICE], spent)) as stage, stage.served.connect(headers=headers) as client:
        await send(client, "x")
        messages = await answer(client)

    assert messages[:-1] == ([NOTICE] if asks else [])
    told = messages[-1]["error"]
    assert (messages[-1]["status"], told["code"]) == (429, "insufficient_quota")
    assert told["headers"]["x-ratelimit-remaining-requests"] == "19"
    assert told["headers"]["x-should-retry"] == "false"
