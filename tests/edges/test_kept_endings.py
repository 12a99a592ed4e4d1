"""Hang-ups, cancels, and a server that goes down: what becomes of turns that are kept, and of those that are not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.edges.kept_client import (
    CHAT,
    LOST,
    RESPONSES,
    Answer,
    Told,
    ToldChat,
    ask,
    attach,
    begin,
    get,
    read_on,
    request,
    text_of,
)
from tests.edges.kept_serving import Mortal, Site, alone, pair, question_in
from tests.edges.raw import RawConnection

WORDS = " ".join(f"word{n}" for n in range(12))
PRICED: dict[str, Any] = {
    "prices": {"mock/*": {"input": 2, "output": 8}},
    "budgets": [{"scope": "app", "usd": 1000, "per": "total"}],
}


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    yield
    await RawConnection.close_all()


def response(text: str = WORDS, key: str | None = None, **fields: Any) -> bytes:
    """A request for a response, at a pace of 40 ms a word."""
    headers = {} if key is None else {"Idempotency_Key": key}
    body = {"model": "slow", "input": text, **fields}
    return request("POST", RESPONSES, json.dumps(body).encode(), **headers)


def chat(text: str = WORDS, key: str | None = None, **fields: Any) -> bytes:
    """The same as a chat."""
    headers = {} if key is None else {"Idempotency_Key": key}
    messages = [{"role": "user", "content": text}]
    body = {"model": "slow", "messages": messages, **fields}
    return request("POST", CHAT, json.dumps(body).encode(), **headers)


async def left_at(served: Mortal, asked: bytes, words: int) -> str:
    """Hang up after some deltas; returns the turn's id."""
    stream = await begin(served, asked)
    frames = stream.frames()
    deltas = 0
    async for frame in frames:
        deltas += b"delta" in frame
        if deltas == words:
            break
    await frames.aclose()  # type: ignore[attr-defined]
    stream.hang_up()
    return stream.headers["x-request-id"]


async def ended(served: Mortal, response_id: str) -> dict[str, Any]:
    """A response once it has ended."""
    async with asyncio.timeout(60):
        while (found := await get(served, response_id))["status"] in ("queued", "in_progress"):
            await asyncio.sleep(0.02)
    return found


async def cancel(served: Mortal, response_id: str) -> Answer:
    return await ask(served, request("POST", f"{RESPONSES}/{response_id}/cancel"))


async def until_asked(site: Site, text: str) -> None:
    await site.up.until(lambda: site.asked()[text] == 1)


def ended_upstream(site: Site) -> dict[str, str]:
    """How each question's answer ended at the provider."""
    return {question_in(record): record.ended for record in site.up.journal()}


# --- hanging up -----------------------------------------------------------------------------------


async def test_what_is_kept_goes_on_without_its_reader_and_what_is_not_does_not(
    tmp_path: Path, sqlite_template: Path
) -> None:
    async with alone(tmp_path, sqlite_template, hangup_drain_s=0) as site:
        served = site.served
        stored = await left_at(served, response("stored " + WORDS, stream=True), 3)
        secret = await left_at(served, response("secret " + WORDS, "k1", stream=True, store=False), 3)
        keyed = await left_at(served, chat("keyed " + WORDS, "k2", stream=True), 3)
        plain = await left_at(served, chat("plain " + WORDS, stream=True), 3)
        unstored = await left_at(served, response("unstored " + WORDS, stream=True, store=False), 3)
        body = await begin_and_leave(site, response("body " + WORDS), "body " + WORDS)

        found = await ended(served, stored)
        await site.until_rows("select count(*) from turn where status = 'running' or finished_at_ms is null", [(0,)])

        assert (found["status"], text_of(found)) == ("completed", "stored " + WORDS)
        again = await ask(served, chat("keyed " + WORDS, "k2"))
        assert again.json["choices"][0]["message"]["content"] == "keyed " + WORDS
        assert again.headers["x-request-id"] == keyed
        kept = {row[0]: row[1] for row in await site.rows("select id, status from response")}
        assert kept == {stored: "completed", secret: "completed", keyed: "completed", body: "completed"}
        settled = {row[0]: row[1] for row in await site.rows("select id, status from turn")}
        assert (settled[plain], settled[unstored]) == ("abandoned", "abandoned")
        how = ended_upstream(site)
        assert {text.split()[0]: end for text, end in how.items()} == {
            "stored": "whole",
            "secret": "whole",
            "keyed": "whole",
            "body": "whole",
            "plain": "hung_up",
            "unstored": "hung_up",
        }


async def begin_and_leave(site: Site, asked: bytes, text: str) -> str:
    """Hang up before anything came; returns the id of its row."""
    connection = await RawConnection.open(site.served)
    connection.send(asked)
    await until_asked(site, text)
    before = {row[0] for row in await site.rows("select id from response where finished_at_ms is null")}
    connection.hang_up()
    rows = await site.rows("select response, content from response_text where part = 'asked'")
    (found,) = [row[0] for row in rows if text.encode() in row[1] and row[0] in before]
    return found


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"stream": True}, {}, {"background": True}, {"background": True, "stream": True}])
async def test_cancel_ends_a_turn_and_its_upstream(
    tmp_path: Path, sqlite_template: Path, fields: dict[str, Any]
) -> None:
    async with alone(tmp_path, sqlite_template) as site:
        await _check_cancel(site, site.served, fields)


async def test_cancel_from_another_process(tmp_path: Path, postgresql_url: str) -> None:
    async with pair(tmp_path, postgresql_url) as site:
        for fields in ({"stream": True}, {"background": True}):
            await _check_cancel(site, site.servers[1], fields)
        assert site.valkey is not None
        await asyncio.to_thread(site.valkey.kill)
        await _check_cancel(site, site.servers[1], {"stream": True})


async def _check_cancel(site: Site, other: Mortal, fields: dict[str, Any]) -> None:
    served, text = site.served, f"{len(site.up.journal())} cancelled " + " ".join([WORDS] * 25)
    asked = response(text, f"key {len(site.up.journal())}", **fields)
    answering = asyncio.ensure_future(_read(served, asked))
    await until_asked(site, text)
    ((response_id,),) = await site.rows("select id from response where finished_at_ms is null")
    reader = Told(response_id)
    reading = asyncio.ensure_future(attach(other, reader))
    if "stream" in fields:
        async with asyncio.timeout(10):
            while not reader.text:
                await asyncio.sleep(0.01)

    answers = [await cancel(other, response_id) for _ in range(3)]

    await site.up.until(lambda: ended_upstream(site)[text] == "hung_up")
    first = answers[0].json
    assert [answer.status for answer in answers] == [200] * 3
    assert first["status"] == "cancelled"
    assert text.startswith(text_of(first))
    assert [answer.json for answer in answers[1:]] == [first] * 2
    assert await get(served, response_id) == await get(other, response_id) == first
    await reading
    await answering
    assert reader.text == text_of(first)
    assert reader.end is not None
    assert reader.end["status"] == "cancelled"
    again = await _read(other, asked)
    assert site.asked()[text] == 1
    assert b'"cancelled"' in again


async def _read(served: Mortal, asked: bytes) -> bytes:
    stream = await begin(served, asked)
    return b"".join([piece async for piece in stream.pieces()])


async def test_cancel_before_anybody_was_asked(tmp_path: Path, sqlite_template: Path) -> None:
    async with alone(tmp_path, sqlite_template, slots=1) as site:
        first = await ask(site.served, response("first", background=True))
        await until_asked(site, "first")
        second = await ask(site.served, response("second", "its key", background=True))

        cancelled = await cancel(site.served, second.json["id"])

        assert (cancelled.status, cancelled.json["status"], cancelled.json["output"]) == (200, "cancelled", [])
        assert (await ended(site.served, first.json["id"]))["status"] == "completed"
        assert site.asked() == {"first": 1}
        assert (await ask(site.served, response("second", "its key", background=True))).json == cancelled.json


async def test_what_has_ended_stays_as_it_is(tmp_path: Path, sqlite_template: Path) -> None:
    async with alone(tmp_path, sqlite_template) as site:
        done = await ask(site.served, response("done", model="quick"))

        answer = await cancel(site.served, done.json["id"])

        assert (answer.status, answer.json) == (200, done.json)


# --- going down -----------------------------------------------------------------------------------


async def test_a_server_that_goes_down_lets_turns_end(tmp_path: Path, sqlite_template: Path) -> None:
    async with alone(tmp_path, sqlite_template, shutdown_grace_s=20) as site:
        told, told_chat = Told(), ToldChat()
        reading = asyncio.gather(
            read_on(site.served, response("one " + WORDS, stream=True), told),
            read_on(site.served, chat("two " + WORDS, "k", stream=True), told_chat),
            ask(site.served, response("three " + WORDS)),
        )
        background = await ask(site.served, response("four " + WORDS, background=True))
        await site.up.until(lambda: len(site.asked()) == 4)

        status = await asyncio.to_thread(site.served.stop)

        _, _, body = await reading
        assert status == 0
        assert (told.text, told_chat.text, text_of(body.json)) == (f"one {WORDS}", f"two {WORDS}", f"three {WORDS}")
        await asyncio.to_thread(site.served.start)
        for response_id in (told.response, background.json["id"], body.json["id"]):
            assert (await get(site.served, response_id or ""))["status"] == "completed"
        assert set(site.asked().values()) == {1}


async def test_those_it_cannot_wait_for_end_with_what_was_said(tmp_path: Path, sqlite_template: Path) -> None:
    async with alone(tmp_path, sqlite_template, shutdown_grace_s=0.2) as site:
        long = " ".join([WORDS] * 20)
        told = Told()
        asked = response("streamed " + long, "k1", stream=True)
        reading = asyncio.ensure_future(read_on(site.served, asked, told))
        keyed = asyncio.ensure_future(ask(site.served, response("body " + long, "k2")))
        background = await ask(site.served, response("background " + long, background=True))
        await site.up.until(lambda: len(site.asked()) == 3)
        async with asyncio.timeout(10):
            while len(told.text) < len("streamed word0 word1"):
                await asyncio.sleep(0.01)

        status = await asyncio.to_thread(site.served.stop)

        await reading
        failed = await keyed
        assert status == 0
        assert told.end is not None
        assert told.end["status"] == "failed"
        assert (failed.status, failed.code) == (503, "server_shutting_down")
        assert failed.headers["x-should-retry"] == "false"
        await asyncio.to_thread(site.served.start)
        for response_id, name in ((told.response, "streamed"), (background.json["id"], "background")):
            kept = await ended(site.served, response_id or "")
            assert kept["status"] == "failed"
            assert f"{name} {long}".startswith(text_of(kept))
        whole = Told(told.response)
        await attach(site.served, whole)
        assert whole.events == told.events
        assert text_of(await get(site.served, told.response or "")) == told.text
        again = await ask(site.served, response("body " + long, "k2"))
        assert (again.status, again.code) == (503, "server_shutting_down")
        assert set(site.asked().values()) == {1}


@pytest.mark.parametrize("more", [{}, PRICED], ids=["free", "budgets"])
async def test_what_nobody_was_asked_is_asked_by_the_next_process(
    tmp_path: Path, sqlite_template: Path, more: dict[str, Any]
) -> None:
    """One is being answered, the others wait for its place; then the server goes down, or dies. Twice."""
    async with alone(tmp_path, sqlite_template, slots=1, shutdown_grace_s=0.1, **more) as site:
        for number, end in enumerate((site.served.stop, site.served.kill, site.served.kill)):
            await _check_handing_over(site, f"round {number}", end)
        await site.until_rows("select count(*) from turn where status = 'running'", [(0,)])
        await site.until_rows("select count(*) from hold where swept_at_ms is null", [(0,)])
        for spent, held in await site.rows("select spent_micros, held_micros from budget_window"):
            assert held == 0
            assert spent == (await site.rows("select coalesce(sum(cost_micros), 0) from attempt"))[0][0]


async def _check_handing_over(site: Site, name: str, end: Any) -> None:
    long = f"{name} long " + " ".join([WORDS] * 3)
    first = await ask(site.served, response(long, background=True))
    await until_asked(site, long)
    background = [
        await ask(site.served, response(f"{name} background {n}", f"{name} b{n}", background=True)) for n in range(3)
    ]
    told, told_chat = Told(), ToldChat()
    asked = [
        response(f"{name} streamed", f"{name} k1", stream=True),
        chat(f"{name} chat", f"{name} k2", stream=True),
        response(f"{name} body", f"{name} k3"),
    ]
    waiting = asyncio.gather(
        *(_until_answered(site, each, sink) for each, sink in zip(asked, (told, told_chat, None), strict=True))
    )
    await site.until_rows("select count(*) from response where finished_at_ms is null", [(7,)])

    await asyncio.to_thread(end)
    await site.up.until_idle()
    await asyncio.to_thread(site.served.start)
    # In the middle of the first of those that were handed over it dies again.
    await site.up.until(lambda: sum(text.startswith(name) for text in site.asked()) == 2)
    await asyncio.to_thread(site.served.kill)
    await site.up.until_idle()
    await asyncio.to_thread(site.served.start)

    *_, body = await waiting
    assert (await ended(site.served, first.json["id"]))["status"] == "failed"
    kept = [await ended(site.served, each.json["id"]) for each in background]
    # That one is said to have failed, and never asked again; all others were done once.
    said = [text_of(each) for each in kept] + [told.text, told_chat.text]
    said.append(text_of(body.json) if body is not None and body.status == 200 else "")
    asks = ("background 0", "background 1", "background 2", "streamed", "chat", "body")
    expected = [f"{name} {what}" for what in asks]
    cut = [text for text, came in zip(expected, said, strict=True) if came != text]
    assert len(cut) <= 1, (expected, said)
    asked_for = {text: count for text, count in site.asked().items() if text.startswith(name)}
    # It may have died between the note that somebody is asked and the asking.
    assert dict.fromkeys([long, *expected], 1) == dict.fromkeys(cut, 1) | asked_for


async def _until_answered(site: Site, asked: bytes, told: Told | ToldChat | None) -> Answer | None:
    """Ask again with the same key until there is an end."""
    sink: Told | ToldChat = Told() if told is None else told
    while True:
        try:
            after = b"" if sink.last < 0 else b"\r\nlast-event-id: %d" % sink.last
            head, _, body = asked.partition(b"\r\n\r\n")
            answer = await read_on(site.served, head + after + b"\r\n\r\n" + body, sink)
        except LOST:
            await asyncio.sleep(0.02)
            continue
        if answer is None or answer.status == 200 or answer.code == "server_crashed":
            return answer
        assert answer.status in (409, 503), answer
        await asyncio.sleep(0.05)


async def test_another_process_takes_over_at_once(tmp_path: Path, postgresql_url: str) -> None:
    """A server that ends says so: nobody waits until it is taken for dead. Its readers come to the other one."""
    async with pair(tmp_path, postgresql_url, slots=1, shutdown_grace_s=0.1) as site:
        leaving, staying = site.servers
        await ask(leaving, response("first " + " ".join([WORDS] * 3), background=True))
        await site.up.until(lambda: len(site.asked()) == 1)
        second = await ask(leaving, response("second", background=True))
        told = Told(second.json["id"])
        reading = asyncio.ensure_future(attach(staying, told))
        await site.until_rows("select count(*) from response where finished_at_ms is null", [(2,)])

        await asyncio.to_thread(leaving.stop)

        async with asyncio.timeout(10):  # it would be taken for dead after 12
            await reading
        assert told.text == "second"
        assert site.asked()["second"] == 1
        await asyncio.to_thread(leaving.start)
