"""Waiting for a slot, over real sockets: who is told what, who is refused how, and that who left keeps no place."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.edges.raw import RawConnection, ask, post
from tests.serving import ADMIN_KEY, Served, chat_body, serving
from tests.upstreams import SocketUpstream, brief, upstream

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
RESPONSE = json.dumps({"input": "x", "stream": True}).encode()
STATUS = {"frontdesk-events": "status"}
BACKGROUND = {"frontdesk-priority": "background"}


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


class Provider:
    """Answers when it may, and a server before it that sends it so many requests at a time."""

    def __init__(self, up: SocketUpstream, served: Served, may_answer: asyncio.Semaphore) -> None:
        self.up = up
        self.served = served
        self._may_answer = may_answer

    async def begin(self, path: str = CHAT, body: bytes | None = None, **headers: str) -> RawConnection:
        """Send a request, a stream if nothing else is said, and do not wait for anything."""
        connection = await RawConnection.open(self.served)
        default = RESPONSE if path == RESPONSES else chat_body(stream=True)
        connection.send(post(path, default if body is None else body, **headers))
        return connection

    async def occupy(self, slots: int = 1) -> list[RawConnection]:
        """Take all slots."""
        taken = [await self.begin() for _ in range(slots)]
        await self.up.until(lambda: len(self.up.requests) == slots)
        return taken

    async def wait(self, path: str = CHAT, body: bytes | None = None, **headers: str) -> RawConnection:
        """A stream that waits and has been told so."""
        connection = await self.begin(path, body, **STATUS, **headers)
        await connection.until(b"event: frontdesk.waiting\n")
        return connection

    def answer(self, count: int = 1) -> None:
        """Let so many answers go on."""
        for _ in range(count):
            self._may_answer.release()

    async def until_slots(self, is_so: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the slots are so, as operators are told."""
        async with asyncio.timeout(15):
            while True:
                request = (
                    f"GET /api/admin/routes HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {ADMIN_KEY}\r\n\r\n"
                )
                _, answer = await ask(self.served, request.encode())
                if is_so(answer["data"][0]["slots"]):
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def provider(folder: Path, slots: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Provider]:
    may_answer = asyncio.Semaphore(0)

    async def script(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await may_answer.acquire()
        await brief(request, writer)

    async with upstream(script) as up:
        configured = {"shutdown_grace_s": 0.2, **up.settings, **settings}  # many tests end with what nobody answers
        configured["providers"]["scripted"] = {"kind": "scripted"}
        configured["providers"]["up"] |= {
            "idle_timeout_s": 60,
            "retries": {"most": 0},
            "slots": {"concurrent": 1, **(slots or {})},
        }
        with serving(folder, configured) as served:
            yield Provider(up, served, may_answer)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_stream_that_waits_is_told_its_place_and_then_that_it_began(tmp_path: Path, path: str) -> None:
    async with provider(tmp_path) as up:
        (first,) = await up.occupy()
        second = await up.wait(path)
        third = await up.begin(path, None, **STATUS, **BACKGROUND)
        told = json.loads((await third.until(b"}\n")).partition(b"data: ")[2])
        assert told == {
            "type": "frontdesk.waiting",
            "place": 2,
            "waiting": 2,
            "priority": "background",
            "expected_s": None,
        }

        up.answer()
        await first.answer()
        moved = json.loads((await third.until(b"}\n")).partition(b"data: ")[2])
        assert (moved["place"], moved["waiting"], moved["expected_s"] is None) == (1, 1, False)
        up.answer(2)
        rest = await third.until(b"0\r\n\r\n")

        began = rest.index(b"response.created" if path == RESPONSES else b'"role":"assistant"')
        assert 0 <= rest.index(b"event: frontdesk.started\ndata: ") < began
        assert rest.count(b"frontdesk.started") == 2  # its name, and its type
        assert b"frontdesk.started" in await second.until(b"0\r\n\r\n")
        await up.served.until_rows("select status, count(*) from turn group by 1", [("completed", 3)])


async def test_who_did_not_ask_is_told_nothing_and_their_connection_is_kept_alive(tmp_path: Path) -> None:
    async with provider(tmp_path, limits={"keep_alive_s": 0.1}) as up:
        await up.occupy()
        silent = await up.begin()
        await silent.until(b": keep-alive\n\n")

        up.answer(2)

        assert b"frontdesk" not in await silent.until(b"0\r\n\r\n")


async def test_a_whole_body_waits_in_silence(tmp_path: Path) -> None:
    async with provider(tmp_path) as up:
        await up.occupy()
        body = await up.begin(CHAT, chat_body(), **STATUS)
        await up.until_slots(lambda slots: slots["waiting"] == 1)

        up.answer(2)

        status, headers, answer = await body.answer()
        assert (status, "frontdesk-notice" in headers) == (200, False)
        assert json.loads(answer)["choices"][0]["message"]["content"] == "brief"


# --- leaving the line ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_up_while_waiting_frees_the_place_at_once(tmp_path: Path, stream: bool) -> None:
    async with provider(tmp_path, hangup_drain_s=60) as up:
        await up.occupy()
        leaving = await up.begin(CHAT, chat_body(stream=stream))
        await up.until_slots(lambda slots: slots["waiting"] == 1)

        leaving.hang_up()

        await up.until_slots(lambda slots: slots["waiting"] == 0)
        await up.served.until_rows(
            "select status, count(*) from turn where status != 'running' group by 1", [("abandoned", 1)]
        )
        up.answer()
        await up.until_slots(lambda slots: slots["in_use"] == 0)
        assert len(up.up.requests) == 1
        await up.served.until_rows("select count(*) from attempt", [(1,)])


async def test_a_cancel_while_waiting_ends_the_stream_and_frees_the_place(tmp_path: Path) -> None:
    async with provider(tmp_path) as up:
        await up.occupy()
        connection = await up.begin(RESPONSES, None, **STATUS)
        head = await connection.until(b"\r\n\r\n")
        response_id = head.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()
        await connection.until(b"frontdesk.waiting")

        status, answer = await ask(up.served, post(f"/v1/responses/{response_id}/cancel", b""))

        assert (status, answer["status"]) == (200, "cancelled")
        await connection.until(b"event: response.incomplete")
        await up.until_slots(lambda slots: (slots["waiting"], slots["in_use"]) == (0, 1))
        await up.served.until_rows("select status from turn where status != 'running'", [("cancelled",)])


async def test_sigterm_ends_those_who_wait(tmp_path: Path) -> None:
    async with provider(tmp_path, shutdown_grace_s=0.3) as up:
        await up.occupy()
        waiting = [await up.wait(), await up.wait(RESPONSES)]
        body = await up.begin(CHAT, chat_body())
        await up.until_slots(lambda slots: slots["waiting"] == 3)

        up.served.process.send_signal(signal.SIGTERM)

        assert b'"code":"server_shutting_down"' in await waiting[0].rest()
        assert b"event: response.failed" in await waiting[1].rest()
        assert (await body.answer())[0] == 503
        assert await asyncio.to_thread(up.served.wait) == 0
        assert "Traceback" not in up.served.log
        assert up.served.rows("select error_code, count(*) from turn group by 1") == [("server_shutting_down", 4)]
        assert len(up.up.requests) == 1


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_who_finds_no_place_is_refused_before_anything_is_sent(tmp_path: Path, stream: bool) -> None:
    async with provider(tmp_path, {"waiting": 0}) as up:
        await up.occupy()

        connection = await up.begin(CHAT, chat_body(stream=stream), **STATUS)
        status, headers, body = await connection.answer()

        assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/json")
        assert json.loads(body)["error"]["code"] == "server_overloaded"
        assert len(up.up.requests) == 1
        await up.served.until_rows("select error_code from turn where status = 'failed'", [("server_overloaded",)])


async def test_who_is_pushed_out_is_told_inside_the_stream_that_has_begun(tmp_path: Path) -> None:
    async with provider(tmp_path, {"waiting": 1}) as up:
        await up.occupy()
        chat = await up.wait(CHAT, None, **BACKGROUND)
        await up.begin()

        end = await chat.until(b"0\r\n\r\n")

        assert b'"code":"server_overloaded"' in end
        assert b"frontdesk.started" not in end


async def test_who_waited_too_long_is_refused_then(tmp_path: Path) -> None:
    async with provider(tmp_path, {"longest_wait_s": 0.2}) as up:
        await up.occupy()
        body, response = await up.begin(CHAT, chat_body()), await up.wait(RESPONSES)

        status, headers, refusal = await body.answer()
        assert (status, json.loads(refusal)["error"]["code"]) == (503, "server_overloaded")
        assert int(headers["retry-after"]) >= 1
        assert b"event: response.failed" in await response.until(b"0\r\n\r\n")


async def test_a_full_provider_falls_back(tmp_path: Path) -> None:
    models = {"fast": {"route": ["up/m", "scripted/echo"]}}
    async with provider(tmp_path, {"waiting": 0}, models=models) as up:
        # The first of the two providers has one slot, the other has none to wait for.
        await up.occupy()
        status, answer = await ask(up.served, post(CHAT, chat_body("hello there")))

        assert (status, answer["choices"][0]["message"]["content"]) == (200, "hello there")


# --- priority and deadline ----------------------------------------------------------------------


async def test_the_interactive_request_goes_before_those_who_came_before_it(tmp_path: Path) -> None:
    async with provider(tmp_path) as up:
        await up.occupy()
        background = await up.wait(CHAT, chat_body("later", stream=True), **BACKGROUND)
        await up.begin(CHAT, chat_body("now", stream=True))
        await up.until_slots(lambda slots: slots["waiting"] == 2)

        up.answer(3)
        await background.until(b"[DONE]")

        assert [request["messages"][0]["content"] for request in up.up.requests[1:]] == ["now", "later"]


@pytest.mark.parametrize("said", ["0", "0.04", "1801", "-1", "1e3", "nan", "2,5", "", "1 s"])
async def test_a_timeout_that_is_none_is_refused(served: Served, said: str) -> None:
    status, answer = await ask(served, post(CHAT, chat_body(), **{"frontdesk-timeout": said}))

    assert (status, answer["error"]["code"]) == (400, "invalid_value")
    assert "0.05 to 1800" in answer["error"]["message"]


@pytest.mark.parametrize("priority", ["urgent", "Interactive", "", "batch,draft"])
async def test_a_priority_that_is_none_is_refused(served: Served, priority: str) -> None:
    status, answer = await ask(served, post(CHAT, chat_body(), **{"frontdesk-priority": priority}))

    assert (status, answer["error"]["code"]) == (400, "invalid_value")
    assert "interactive, draft, prefetch, background, batch" in answer["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_late_for_its_caller_ends(served: Served, stream: bool) -> None:
    body = chat_body(model="silent", stream=stream)

    status, answer = await ask(served, post(CHAT, body, **{"frontdesk-timeout": "0.2"}))

    assert (status, answer["error"]["code"]) == (504, "turn_timeout")


async def test_a_stream_that_has_begun_is_told_that_its_time_is_over(served: Served) -> None:
    connection = await RawConnection.open(served)
    body = chat_body("one two three four five", model="crawling", stream=True)
    connection.send(post(CHAT, body, **{"frontdesk-timeout": "1.3"}))

    status, _, answer = await connection.answer()

    assert status == 200
    assert b'"content":"one' in answer
    assert b'"code":"turn_timeout"' in answer
    assert b"[DONE]" not in answer


async def test_an_answer_in_time_is_not_ended(served: Served) -> None:
    status, _ = await ask(served, post(CHAT, chat_body(), **{"frontdesk-timeout": "30.5"}))

    assert status == 200


async def test_who_gets_no_slot_in_its_time_is_told_that(tmp_path: Path) -> None:
    async with provider(tmp_path) as up:
        await up.occupy()
        body = await up.begin(CHAT, chat_body(), **{"frontdesk-timeout": "0.3"})
        stream = await up.wait(CHAT, None, **{"frontdesk-timeout": "0.3"})

        status, _, refusal = await body.answer()

        assert (status, json.loads(refusal)["error"]["code"]) == (503, "server_overloaded")
        assert b'"code":"server_overloaded"' in await stream.until(b"0\r\n\r\n")
        await up.until_slots(lambda slots: slots["waiting"] == 0)


# --- the official client ------------------------------------------------------------------------


async def test_plain_streams_of_the_official_client_hand_our_events_on(tmp_path: Path) -> None:
    async with provider(tmp_path) as up:
        await up.occupy()
        async with openai_client(up) as client:
            chat = asyncio.ensure_future(_chat(client, STATUS))
            await up.until_slots(lambda slots: slots["waiting"] == 1)
            responses = asyncio.ensure_future(_responses(client, STATUS))
            await up.until_slots(lambda slots: slots["waiting"] == 2)
            up.answer(3)

            assert [each for each in await chat if each] == ["frontdesk.waiting", "frontdesk.started"]
            told = [each for each in await responses if each.startswith("frontdesk.")]
            assert (told[0], told[-1]) == ("frontdesk.waiting", "frontdesk.started")


async def test_the_official_clients_helper_fails_with_what_comes_before_the_answer(tmp_path: Path) -> None:
    """As docs/priority.md says: where that changes, so may the document."""
    async with provider(tmp_path) as up:
        await up.occupy()
        async with openai_client(up) as client:
            with pytest.raises(RuntimeError, match=r"response\.created"):
                await _helped(client, STATUS)

            # The package leaves the connection of what failed so open.
            unaware = asyncio.ensure_future(_helped(client, {}))
            await up.until_slots(lambda slots: slots["waiting"] == 2)
            up.answer(3)
            assert (await unaware)[0] == "response.created"


def openai_client(up: Provider) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{up.served.url}/v1", api_key=ADMIN_KEY, max_retries=0)


async def _chat(client: AsyncOpenAI, headers: dict[str, str]) -> list[str]:
    chunks = await client.chat.completions.create(
        model="fast", messages=[{"role": "user", "content": "x"}], stream=True, extra_headers=headers
    )
    return [getattr(chunk, "type", "") async for chunk in chunks]


async def _responses(client: AsyncOpenAI, headers: dict[str, str]) -> list[str]:
    events = await client.responses.create(model="fast", input="x", stream=True, extra_headers=headers)
    return [event.type async for event in events]


async def _helped(client: AsyncOpenAI, headers: dict[str, str]) -> list[str]:
    async with client.responses.stream(model="fast", input="x", extra_headers=headers) as events:
        return [event.type async for event in events]
