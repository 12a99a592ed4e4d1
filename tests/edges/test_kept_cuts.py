"""Streams that are cut anywhere, resumed, read by many and from elsewhere: all have every event once, in order."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.edges.kept_client import (
    CHAT,
    LOST,
    RESPONSES,
    Told,
    ToldChat,
    ask,
    attach,
    begin,
    get,
    read_frame,
    read_on,
    request,
    resume,
    text_of,
)
from tests.edges.kept_serving import Mortal, Site

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("close_connections")]

MODELS: dict[str, Any] = {
    "models": {
        "quick": {"route": ["mock/echo"]},
        "brief": {"route": ["mock/echo:pace=30"]},
        "paced": {"route": ["mock/echo:pace=15,jitter=10"]},
        "late": {"route": ["mock/echo:ttft=400,pace=5"]},
        "thinking": {"route": ["mock/thinking:pace=5"]},
        "tools": {"route": ["mock/tools-all:pace=5"]},
    }
}
TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
}
WORDS = " ".join(f"word{n}" for n in range(24))
_numbers = itertools.count()
_AT_ONCE = 200


async def begun(served: Mortal, model: str, text: str = WORDS, **fields: Any) -> str:
    """Ask, and hang up as soon as it is known under which id the answer goes on."""
    body = json.dumps({"model": model, "input": text, "stream": True, **fields}).encode()
    stream = await begin(served, request("POST", RESPONSES, body))
    assert stream.status == 200
    stream.hang_up()
    return stream.headers["x-request-id"]


async def read_some(served: Mortal, asked: bytes, told: Told | ToldChat, most_bytes: int) -> int:
    """Take whole events out of the first bytes of a stream's body, and hang up; returns how many bytes came."""
    stream = await begin(served, asked)
    assert stream.is_events, await stream.answer()
    read = b""
    try:
        async with asyncio.timeout(60):
            async for piece in stream.pieces():
                read += piece
                if len(read) >= most_bytes:
                    break
    finally:
        stream.hang_up()
    *whole, _ = read[:most_bytes].split(b"\n\n")
    for frame in whole:
        if not frame.startswith(b":"):
            told.take(read_frame(frame))  # type: ignore[arg-type]
    return len(read)


async def whole_of(served: Mortal, response_id: str) -> list[dict[str, Any]]:
    """All events of a response, read in one go once it has ended."""
    async with asyncio.timeout(60):
        while (await get(served, response_id))["status"] in ("queued", "in_progress"):
            await asyncio.sleep(0.02)
    told = Told(response_id)
    assert await read_on(served, resume(told), told) is None
    return told.events


async def test_cut_at_every_byte_while_it_is_told(single: Site) -> None:
    """Two hundred readers at a time on one turn under way, each of which loses its connection one byte further on."""
    served, text = single.served, "one two three four"
    recorded = Told(await begun(served, "brief", text))
    size = await read_some(served, resume(recorded), recorded, 1 << 20)
    assert recorded.text == text
    assert size > 4_000

    async def read(response_id: str, cut: int) -> Told:
        told = Told(response_id)
        await read_some(served, resume(told), told, cut)
        await attach(served, told)
        return told

    for first in range(0, size + 1, _AT_ONCE):
        response_id = await begun(served, "brief", text)
        cuts = range(first, min(size + 1, first + _AT_ONCE))
        readers = await asyncio.gather(*(read(response_id, cut) for cut in cuts))
        whole = await whole_of(served, response_id)
        for told in readers:
            assert told.events == whole
            assert told.text == text


async def test_a_chat_cut_at_every_byte(single: Site) -> None:
    """Asked again with its key and the number of the last chunk that came."""
    served = single.served
    body = json.dumps(
        {"model": "quick", "stream": True, "messages": [{"role": "user", "content": "a bc def"}]}
    ).encode()
    key = f"chat-{next(_numbers)}"
    asked = request("POST", CHAT, body, Idempotency_Key=key)
    size = await read_some(served, asked, ToldChat(), 1 << 20)

    async def read(cut: int) -> None:
        told = ToldChat()
        await read_some(served, asked, told, cut)
        if told.end is None:
            after = {} if told.last < 0 else {"Last_Event_ID": str(told.last)}
            assert await read_on(served, request("POST", CHAT, body, Idempotency_Key=key, **after), told) is None
        assert (told.text, told.end) == ("a bc def", {"status": "completed"})

    for first in range(0, size + 1, _AT_ONCE):
        await asyncio.gather(*(read(cut) for cut in range(first, min(size + 1, first + _AT_ONCE))))
    assert single.asked()["a bc def"] == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readers=st.lists(st.lists(st.integers(0, 3_000), max_size=8), min_size=1, max_size=12), seed=st.integers(0, 999))
async def test_cut_again_and_again(site: Site, readers: list[list[int]], seed: int) -> None:
    """Each reader's connections break after so many bytes, one after the other, whichever process they are to."""
    chance = random.Random(seed)
    response_id = await begun(site.served, "paced")

    async def read(cuts: Sequence[int]) -> Told:
        told = Told(response_id)
        for cut in cuts:
            if told.end is None:
                await read_some(chance.choice(site.servers), resume(told), told, cut)
        await attach(chance.choice(site.servers), told)
        return told

    everybody = await asyncio.gather(*(read(cuts) for cuts in readers))

    whole = await whole_of(site.served, response_id)
    for told in everybody:
        assert told.events == whole
        assert told.text == WORDS


@pytest.mark.parametrize(
    ("model", "fields"),
    [("paced", {}), ("thinking", {}), ("tools", {"tools": [TOOL]}), ("quick", {"background": True})],
)
async def test_from_every_place_in_any_order(site: Site, model: str, fields: dict[str, Any]) -> None:
    """Old cursors after new ones, each of them twice, at once, while it is told and afterwards."""
    response_id = await begun(site.served, model, **fields)
    told = Told(response_id)
    await attach(site.served, told)
    again = await begun(site.served, model, **fields)

    async def read(response: str, after: int, served: Mortal) -> tuple[int, list[dict[str, Any]]]:
        reader = Told(response, after)
        async with asyncio.timeout(60):
            await attach(served, reader)
        return after, reader.events

    places = [place for place in range(-1, told.last) for _ in range(2)]
    random.Random(1).shuffle(places)
    for response in (again, response_id):
        found = await asyncio.gather(
            *(read(response, place, site.servers[n % len(site.servers)]) for n, place in enumerate(places))
        )
        whole = await whole_of(site.served, response)
        for after, events in found:
            assert events == whole[after + 1 :]
    assert told.events == await whole_of(site.servers[-1], response_id)
    assert text_of(await get(site.servers[-1], response_id)) == told.text


async def test_who_has_all_is_told_nothing_more(site: Site) -> None:
    told = Told(await begun(site.served, "quick", "hello there"))
    await attach(site.served, told)

    stream = await begin(site.servers[-1], resume(told))

    assert (stream.status, b"".join([frame async for frame in stream.frames()])) == (200, b"")


async def test_before_the_first_event_and_after_the_last(site: Site) -> None:
    body = {"model": "late", "input": WORDS, "background": True}
    streamed = json.dumps({**body, "stream": True}).encode()
    first = await begin(site.served, request("POST", RESPONSES, streamed))
    told = Told()
    accepted = await ask(site.served, request("POST", RESPONSES, json.dumps(body).encode()))
    assert accepted.json["status"] == "queued"

    early = [Told(accepted.json["id"]) for _ in range(10)]
    await asyncio.gather(*(attach(site.servers[n % len(site.servers)], each) for n, each in enumerate(early)))
    async for frame in first.frames():
        told.take(read_frame(frame))  # type: ignore[arg-type]
    late = [Told(accepted.json["id"]) for _ in range(4)]
    await asyncio.gather(*(attach(site.servers[n % len(site.servers)], each) for n, each in enumerate(late)))

    assert told.text == WORDS
    assert [event["type"] for event in told.events[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    for each in (*early, *late):
        assert each.text == WORDS


@pytest.mark.parametrize("joins", ["at once", "one after the other"])
async def test_fifty_readers(site: Site, joins: str) -> None:
    """Some take their time. None of them waits for another, nor does the turn."""
    response_id = await begun(site.served, "paced")
    chance = random.Random(7)

    async def read(number: int) -> Told:
        told = Told(response_id)
        if joins != "at once":
            await asyncio.sleep(number * 0.01)
        stream = await begin(site.servers[number % len(site.servers)], resume(told))
        async for frame in stream.frames():
            told.take(read_frame(frame))  # type: ignore[arg-type]
            if number % 5 == 0:
                await asyncio.sleep(chance.uniform(0, 0.02))
        return told

    readers = await asyncio.gather(*(read(number) for number in range(50)))

    whole = await whole_of(site.served, response_id)
    assert all(told.events == whole for told in readers)


@pytest.mark.parametrize("after_s", [0.0, 0.15])
async def test_valkey_goes_and_comes_back_while_others_read(double: Site, after_s: float) -> None:
    """Readers at the other process, some of whom lose their connections as well."""
    assert double.valkey is not None
    text = " ".join(f"word{n}" for n in range(60))
    response_id = await begun(double.served, "paced", text)
    chance = random.Random(3)

    async def read() -> Told:
        told = Told(response_id)
        while told.end is None:
            try:
                await read_some(double.servers[1], resume(told), told, chance.randrange(500, 9_000))
            except LOST:
                continue
        return told

    reading = asyncio.gather(*(read() for _ in range(20)))
    await asyncio.sleep(after_s)
    await asyncio.to_thread(double.valkey.kill)
    during = await begun(double.servers[1], "quick", "while it is away")
    other = Told(during)
    await attach(double.servers[0], other)
    await asyncio.to_thread(double.valkey.start)
    readers = await reading

    whole = await whole_of(double.servers[0], response_id)
    for told in readers:
        assert told.events == whole
        assert told.text == text
    assert other.text == "while it is away"
    assert all("Traceback" not in served.log for served in double.servers)
