"""One key, one turn: whoever comes with it, however often, to whichever process."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from tests.edges.kept_client import (
    CHAT,
    RESPONSES,
    Answer,
    Stream,
    Told,
    ToldChat,
    ask,
    begin,
    get,
    read_frame,
    read_on,
    request,
    text_of,
)
from tests.edges.kept_serving import Mortal, Site

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("close_connections")]

DOORS = (CHAT, RESPONSES)
EMBEDDINGS = "/v1/embeddings"
WORDS = "one two three four five six seven eight nine ten"
_numbers = itertools.count()


class Asked:
    """A request that nobody has made before, and its key."""

    def __init__(self, path: str, model: str = "paced", **fields: Any) -> None:
        number = next(_numbers)
        self.path = path
        self.key = f"key-{number}"
        self.question = f"question {number} of {WORDS}"
        said = {"messages": [{"role": "user", "content": self.question}]} if path == CHAT else {"input": self.question}
        self.fields = {"model": model, **said, **fields}

    def bytes(self, token: str | None = None, **fields: Any) -> bytes:
        body = json.dumps({**self.fields, **fields}).encode()
        more = {} if token is None else {"token": token}
        return request("POST", self.path, body, Idempotency_Key=self.key, **more)

    def streamed(self) -> bytes:
        return self.bytes(stream=True)


async def whole(served: Mortal, asked: bytes) -> tuple[Stream, bytes]:
    """An answer's head, and all of its body."""
    async with asyncio.timeout(60):
        stream = await begin(served, asked)
        return stream, b"".join([piece async for piece in stream.pieces()])


def id_in(stream: Stream) -> str:
    return stream.headers["x-request-id"]


def text_in(path: str, body: bytes) -> str:
    answer = json.loads(body)
    return answer["choices"][0]["message"]["content"] if path == CHAT else text_of(answer)


def streamed_text(path: str, body: bytes) -> str:
    told = ToldChat() if path == CHAT else Told()
    for frame in body.removesuffix(b"\n\n").split(b"\n\n"):
        if not frame.startswith(b":"):
            told.take(read_frame(frame))  # type: ignore[arg-type]
    assert told.end is not None
    assert told.end["status"] == "completed"
    return told.text


@pytest.mark.parametrize("path", DOORS)
async def test_fifty_at_once_are_one(site: Site, path: str) -> None:
    asked = Asked(path)

    answers = await asyncio.gather(
        *(whole(site.servers[n % len(site.servers)], asked.bytes(stream=n % 4 < 2)) for n in range(50))
    )

    assert site.asked()[asked.question] == 1
    assert {stream.status for stream, _ in answers} == {200}
    assert len({id_in(stream) for stream, _ in answers}) == 1
    bodies = {body for stream, body in answers if not stream.is_events}
    streams = {body for stream, body in answers if stream.is_events}
    assert [text_in(path, body) for body in bodies] == [asked.question]
    assert {streamed_text(path, body) for body in streams} == {asked.question}
    # One had no reader in its way: all but that one say so.
    assert sum("idempotent-replayed" not in stream.headers for stream, _ in answers) == 1
    assert len(await site.rows(f"select 1 from response where id = '{id_in(answers[0][0])}'")) == 1


@pytest.mark.parametrize("path", DOORS)
async def test_it_is_told_again_after_its_end_in_any_form(site: Site, path: str) -> None:
    first, last = site.servers[0], site.servers[-1]
    for was_streamed in (True, False):
        asked = Asked(path, "quick")
        begun, said = await whole(first, asked.bytes(stream=was_streamed))

        again, body = await whole(last, asked.bytes(stream=False))
        streamed, events = await whole(last, asked.bytes(stream=True))

        assert id_in(begun) == id_in(again) == id_in(streamed)
        assert again.headers["idempotent-replayed"] == streamed.headers["idempotent-replayed"] == "true"
        assert text_in(path, body) == streamed_text(path, events) == asked.question
        assert said == (events if was_streamed else body)
        assert site.asked()[asked.question] == 1


async def test_a_key_is_its_bodys_its_routes_and_its_callers(site: Site) -> None:
    first, last = site.servers[0], site.servers[-1]
    asked, running = Asked(CHAT, "quick"), Asked(CHAT, "slow")
    token = (await ask(first, request("POST", "/api/sessions", b'{"user": "somebody"}'))).json["token"]
    done = await ask(first, asked.bytes())
    under_way = await begin(first, running.streamed())

    others = [await ask(served, each.bytes(temperature=0.5)) for each in (asked, running) for served in (first, last)]
    elsewhere = Asked(RESPONSES, "quick")
    elsewhere.key = asked.key
    of_another_route = await ask(last, elsewhere.bytes())
    of_another_caller = await ask(last, asked.bytes(token=token))
    spelled_otherwise = await ask(last, asked.bytes(stream=False, stream_options=None))

    assert [(answer.status, answer.code) for answer in others] == [(422, "idempotency_key_reused")] * 4
    assert of_another_route.status == of_another_caller.status == 200
    assert "idempotent-replayed" not in of_another_route.headers
    assert "idempotent-replayed" not in of_another_caller.headers
    assert spelled_otherwise.body == done.body
    assert site.asked()[asked.question] == 2
    assert b"".join([piece async for piece in under_way.pieces()]).endswith(b"data: [DONE]\n\n")
    assert site.asked()[running.question] == 1


async def test_refusals_release_it(site: Site) -> None:
    """400: the request is wrong. 429: something else of this person is under way, and soon is not any more."""
    first, last = site.servers[0], site.servers[-1]
    body = b'{"user": "narrow-one", "tier": "narrow"}'
    token = (await ask(first, request("POST", "/api/sessions", body))).json["token"]
    wrong = Asked(RESPONSES, "quick")
    busy, refused = Asked(CHAT, "crawling", max_tokens=8), Asked(CHAT, "quick")

    bad = await ask(first, wrong.bytes(temperature="hot"))
    good = await ask(last, wrong.bytes())
    under_way = await begin(first, busy.bytes(token=token, stream=True))
    at_once = await ask(first, refused.bytes(token=token))
    under_way.hang_up()
    while (later := await ask(first, refused.bytes(token=token))).status == 429:
        await asyncio.sleep(0.05)

    assert (bad.status, good.status, text_in(RESPONSES, good.body)) == (400, 200, wrong.question)
    assert (at_once.status, later.status) == (429, 200)
    assert text_in(CHAT, later.body) == refused.question
    assert "idempotent-replayed" not in later.headers
    assert site.asked()[refused.question] == 1


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_provider_that_has_done_nothing_releases_it(site: Site, path: str, stream: bool) -> None:
    """It is not reached at first, and then busy. The key is free after each: so is the body."""
    asked = Asked(path, "quick")
    site.up.play({"script": "fault=429", "times": 1, "contains": asked.question})

    unreached = await ask(site.servers[-1], asked.bytes(stream=stream, model="gone"))
    busy = await ask(site.servers[0], asked.bytes(stream=stream))
    again = await ask(site.servers[-1], asked.bytes())

    assert (unreached.status // 100, busy.status, again.status) == (5, 503, 200)
    assert busy.headers.get("x-should-retry") != "false"
    assert unreached.headers.get("x-should-retry") != "false"
    assert text_in(path, again.body) == asked.question
    assert "idempotent-replayed" not in again.headers
    assert site.asked()[asked.question] == 2
    quote = "', '"
    ids = [answer.headers["x-request-id"] for answer in (busy, unreached, again)]
    kept = await site.rows(f"select id, status from response where id in ('{quote.join(ids)}')")
    assert [tuple(row) for row in kept] == [(ids[2], "completed")]


@pytest.mark.parametrize("fault", ["fault=503", "fault=cut@400"])
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("stream", [True, False])
async def test_one_that_may_have_done_something_keeps_it(site: Site, path: str, stream: bool, fault: str) -> None:
    asked = Asked(path, "quick")
    site.up.play({"script": fault, "times": 1, "contains": asked.question})

    first, failed = await whole(site.servers[0], asked.bytes(stream=stream))
    begun, same = await whole(site.servers[-1], asked.bytes(stream=stream))
    _, other = await whole(site.servers[-1], asked.bytes(stream=not stream))

    assert (same, begun.status) == (failed, first.status)
    assert begun.headers["idempotent-replayed"] == "true"
    if first.status != 200:
        assert first.headers["x-should-retry"] == begun.headers["x-should-retry"] == "false"
    for said in (failed, other):
        assert b"provider_error" in said or b"server_error" in said, said
    assert site.asked()[asked.question] == 1
    assert await site.rows(f"select status from response where id = '{id_in(begun)}'") == [("failed",)]


@pytest.mark.parametrize("path", DOORS)
async def test_of_a_secret_answer_only_who_comes_in_time_hears(single: Site, path: str) -> None:
    asked = Asked(path, "slow", store=False)
    served = single.served
    first = await begin(served, asked.streamed())

    attached = await asyncio.gather(*(whole(served, asked.bytes(stream=n % 2 == 0)) for n in range(6)))
    said = b"".join([piece async for piece in first.pieces()])
    while (late := await ask(served, asked.bytes())).status == 200:  # its memory is gone in a moment
        await asyncio.sleep(0.01)
    late_stream = await ask(served, asked.streamed())

    assert streamed_text(path, said) == asked.question
    for stream, body in attached:
        assert id_in(stream) == id_in(first)
        assert (streamed_text if stream.is_events else text_in)(path, body) == asked.question
    for answer in (late, late_stream):
        assert (answer.status, answer.code) == (409, "idempotency_answer_not_kept")
        assert answer.headers["x-should-retry"] == "false"
    assert single.asked()[asked.question] == 1


@pytest.mark.parametrize("path", DOORS)
async def test_of_a_secret_answer_another_process_says_that_it_is_under_way(double: Site, path: str) -> None:
    """It was stored nowhere where the other process could read it. A later try finds it ended."""
    asked = Asked(path, "slow", store=False)
    first = await begin(double.servers[0], asked.streamed())

    early = await ask(double.servers[1], asked.bytes())
    async for _ in first.pieces():
        pass
    late = await ask(double.servers[1], asked.bytes())

    assert (early.status, early.code) == (409, "idempotency_key_in_use")
    assert early.headers["retry-after"] == "1"
    assert (late.status, late.code) == (409, "idempotency_answer_not_kept")
    assert double.asked()[asked.question] == 1


async def test_fifty_in_the_background_are_one(site: Site) -> None:
    asked = Asked(RESPONSES, background=True)

    answers: list[Answer] = await asyncio.gather(
        *(ask(site.servers[n % len(site.servers)], asked.bytes()) for n in range(50))
    )

    assert {answer.status for answer in answers} == {200}
    (response_id,) = {answer.json["id"] for answer in answers}
    assert {answer.json["status"] for answer in answers} <= {"queued", "in_progress", "completed"}
    await site.until_rows(f"select status from response where id = '{response_id}'", [("completed",)])
    after = await ask(site.servers[-1], asked.bytes())
    assert (after.json["id"], text_in(RESPONSES, after.body)) == (response_id, asked.question)
    assert site.asked()[asked.question] == 1
    told = Told()
    assert await read_on(site.servers[0], asked.streamed(), told) is None
    assert (told.response, told.text) == (response_id, asked.question)


async def test_in_the_background_streams_and_bodies_are_one_as_well(site: Site) -> None:
    asked = Asked(RESPONSES, background=True)

    answers = await asyncio.gather(
        *(whole(site.servers[n % len(site.servers)], asked.bytes(stream=n % 4 < 2)) for n in range(24))
    )

    assert {id_in(stream) for stream, _ in answers} == {id_in(answers[0][0])}
    assert {streamed_text(RESPONSES, body) for stream, body in answers if stream.is_events} == {asked.question}
    assert site.asked()[asked.question] == 1
    final = await get(site.served, id_in(answers[0][0]))
    assert (final["status"], text_of(final)) == ("completed", asked.question)


async def test_what_is_no_turn_of_words_is_done_once_too(site: Site) -> None:
    asked = Asked(EMBEDDINGS, "embed")

    answers = await asyncio.gather(*(whole(site.servers[n % len(site.servers)], asked.bytes()) for n in range(20)))
    after = await ask(site.servers[-1], asked.bytes())

    assert {body for _, body in answers} == {after.body}
    assert after.headers["idempotent-replayed"] == "true"
    assert len([record for record in site.up.journal() if asked.question.encode() in bytes(record.body or b"")]) == 1  # type: ignore[arg-type]
