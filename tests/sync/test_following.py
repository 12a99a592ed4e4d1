"""The answer to what was pushed is followed while it is made, from any process, and behind a crash."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.edges.kept_client import Told, ask, attach, begin, get, read_frame, request, resume, text_of
from tests.edges.kept_serving import Mortal, Site, alone
from tests.sync.desk import entry, new_conversation

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("close_connections")]

WORDS = " ".join(f"word{number}" for number in range(30))
_OPEN = ("queued", "in_progress")


async def somebody(site: Site, **fields: Any) -> str:
    asked = request("POST", "/api/sessions", json.dumps({"user": f"u-{uuid.uuid4().hex[:12]}", **fields}).encode())
    return (await ask(site.served, asked)).json["token"]


async def pushed(served: Mortal, token: str, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    body = json.dumps({"push": entries}).encode()
    answer = await ask(served, request("POST", "/api/sync", body, token))
    assert answer.status == 200, answer.body
    return answer.json["results"]


def message(words: str, model: str, conversation: str | None = None) -> dict[str, Any]:
    conversation = conversation or new_conversation()
    return entry("message", conversation=conversation, content=words, request={"model": model})


async def read_some(served: Mortal, told: Told, token: str, deltas: int) -> None:
    """Follow until so many more pieces of text have come, then hang up."""
    stream = await begin(served, resume(told, token))
    assert stream.is_events, await stream.answer()
    try:
        async for frame in stream.frames():
            event = read_frame(frame)
            assert event is not None
            told.take(event)
            deltas -= event["type"] == "response.output_text.delta"
            if not deltas:
                return
    finally:
        stream.hang_up()


async def test_an_answer_is_followed_while_it_is_made(site: Site):
    token = await somebody(site)
    (result,) = await pushed(site.served, token, message(WORDS, "slow"))
    told = Told(result["response"])

    for number in range(4):
        await read_some(site.servers[-1 if number % 2 else 0], told, token, deltas=3)
        assert (await get(site.served, result["response"], token))["status"] in _OPEN
    again = Told(result["response"])
    await asyncio.gather(attach(site.servers[-1], told, token), attach(site.served, again, token))

    assert told.text == WORDS
    assert told.end is not None
    assert (told.end["status"], text_of(told.end)) == ("completed", WORDS)
    assert again.events == told.events


async def test_it_is_retrieved_as_far_as_it_came(site: Site):
    token = await somebody(site)
    (result,) = await pushed(site.served, token, message(WORDS, "slow"))
    told = Told(result["response"])

    await read_some(site.served, told, token, deltas=5)
    so_far = await get(site.served, result["response"], token)

    assert so_far["status"] == "in_progress"
    assert text_of(so_far).startswith(told.text)
    assert WORDS.startswith(text_of(so_far))


async def test_it_is_cancelled_in_the_middle_and_says_what_it_has_said(site: Site):
    token = await somebody(site)
    (result,) = await pushed(site.served, token, message(WORDS, "slow"))
    told = Told(result["response"])

    await read_some(site.servers[-1], told, token, deltas=5)
    await pushed(site.servers[-1], token, entry("cancel", response=result["response"]))
    await attach(site.servers[-1], told, token)

    assert told.end is not None
    assert told.end["status"] == "cancelled"
    assert told.text
    assert WORDS.startswith(told.text)
    assert told.text != WORDS


async def test_what_was_said_before_a_crash_is_told_behind_it(single: Site):
    token = await somebody(single)
    asked = message(WORDS, "slow")
    (result,) = await pushed(single.served, token, asked)
    told = Told(result["response"])

    await read_some(single.served, told, token, deltas=8)
    await asyncio.to_thread(single.served.kill)
    await asyncio.to_thread(single.served.start)
    (again,) = await pushed(single.served, token, asked)
    await attach(single.served, told, token)

    assert again == result
    assert told.end is not None
    assert (told.end["status"], told.end["error"]["code"]) == ("failed", "server_error")
    assert text_of(told.end) == told.text
    assert len(told.text.split()) >= 7


async def test_another_answer_and_an_edit_are_followed_too(site: Site):
    token, conversation = await somebody(site), new_conversation()
    (first,) = await pushed(site.served, token, message(WORDS, "quick", conversation))
    await attach(site.served, Told(first["response"]), token)
    slow = {"request": {"model": "slow"}, "conversation": conversation}

    for asked in (
        entry("answer", after=first["item"], **slow),
        entry("edit", item=first["item"], content=WORDS, **slow),
    ):
        (result,) = await pushed(site.served, token, asked)
        told = Told(result["response"])
        await read_some(site.servers[-1], told, token, deltas=2)
        assert (await get(site.served, result["response"], token))["status"] in _OPEN
        await attach(site.servers[-1], told, token)
        assert told.text == WORDS


async def test_one_that_waits_counts_as_a_stream_and_is_one_after_a_crash(tmp_path: Path, sqlite_template: Path):
    tiers = {"free": {}, "narrow": {"concurrent_streams": 1}}
    async with alone(tmp_path, sqlite_template, slots=1, tiers=tiers) as site:
        token, busy = await somebody(site, tier="narrow"), await somebody(site)
        (before,) = await pushed(site.served, busy, message("before", "slow"))
        asked = message(WORDS, "paced")
        first, second = await pushed(site.served, token, asked, message("another", "quick"))
        # Nobody was asked for it yet: it is found again, and made by who comes next.
        await asyncio.to_thread(site.served.kill)
        await asyncio.to_thread(site.served.start)
        told = Told(first["response"])
        await attach(site.served, told, token)
        await attach(site.served, Told(before["response"]), busy)

        assert [first["status"], second["status"]] == ["done", "waiting"]
        assert second["error"]["code"] == "rate_limit_exceeded"
        assert told.end is not None
        assert (told.end["status"], told.text) == ("completed", WORDS)
        assert sum(event["type"] == "response.output_text.delta" for event in told.events) > len(WORDS.split()) / 2
        assert site.asked()[WORDS] == 1
