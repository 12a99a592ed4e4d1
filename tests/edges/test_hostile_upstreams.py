"""A served Frontdesk in front of providers that break in every way.

Whatever a provider does, a client gets the exact beginning of the text and then a proper error, or a
whole answer: never a clean end of a broken answer, never a broken shape. What fails before its first
word falls back, and its client sees nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
import pytest_asyncio
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from tests.edges.raw import RawConnection, post
from tests.serving import ASKED_ONCE, Served, serving
from tests.upstream.raw import asking, exchange
from tests.upstreams import ScriptedUpstream, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

Door = Literal["chat", "responses"]
Api = Literal["chat", "responses"]
DOORS: dict[Door, str] = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
WORDS = ["word0 ", "word1 ", "word2 ", "word3 "]
WORKERS = 48
AT_ONCE = 480  # places: the upstream looks at all rules for each request

EACH_API = pytest.mark.parametrize("api", get_args(Api))
EACH_DOOR = pytest.mark.parametrize("door", get_args(Door))
EACH_WAY = pytest.mark.parametrize("stream", [True, False], ids=["stream", "body"])


def settings(upstream: ScriptedUpstream, gone: ScriptedUpstream) -> dict[str, Any]:
    """A model that asks an upstream once, and one that has a second route, for each of its dialects."""
    providers: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for api in get_args(Api):
        kind = "openai-compatible" if api == "chat" else "openai"
        fields = {"kind": kind, "api": api, "api_key": "sk-upstream-secret", "idle_timeout_s": 1, **ASKED_ONCE}
        providers[api] = {**fields, "base_url": f"{upstream.url}/v1"}
        providers[f"{api}-gone"] = {**fields, "base_url": f"{gone.url}/v1"}
        models[api] = {"route": [f"{api}/words-4"]}
        models[f"{api}-rescued"] = {"route": [f"{api}/words-4", f"{api}/echo"]}
        models[f"{api}-gone"] = {"route": [f"{api}-gone/echo"]}
        models[f"{api}-gone-rescued"] = {"route": [f"{api}-gone/echo", f"{api}/echo"]}
    return {"providers": providers, "models": models, "default_model": "chat", "hangup_drain_s": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gone() -> AsyncIterator[ScriptedUpstream]:
    """Another, which will not listen."""
    async with scripted_upstream() as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    upstream: ScriptedUpstream, gone: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with serving(folder, settings(upstream, gone)) as running:
        yield running
        await upstream.until(lambda: upstream.stats.open_streams == 0)
        await running.until_rows("select count(*) from turn where status = 'running'", [(0,)])
        await running.until_rows("select count(*) from attempt where status = 'running'", [(0,)])
        await RawConnection.close_all()
        assert await asyncio.to_thread(running.stop) == 0
        await upstream.until_idle()
        assert "Traceback" not in running.log
        assert "sk-upstream-secret" not in running.log


# --- what a client sees -------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """An answer as its client understands it, and the id of its turn."""

    text: str
    end: Literal["whole", "error"]
    status: int
    code: str | None = None
    turn: str = field(default="", compare=False)


async def ask(connection: RawConnection, door: Door, model: str, words: str, *, stream: bool) -> Outcome:
    """Ask on a kept connection, and check the shape of all that comes."""
    fields: dict[str, Any] = {"model": model, "stream": stream}
    if door == "chat":
        fields["messages"] = [{"role": "user", "content": words}]
    else:
        fields["input"] = words
    connection.send(post(DOORS[door], json.dumps(fields).encode()))
    status, headers, body = await connection.answer()
    return replace(_understood(door, status, headers, body, stream=stream), turn=headers["x-request-id"])


def _understood(door: Door, status: int, headers: dict[str, str], body: bytes, *, stream: bool) -> Outcome:
    if status != 200:
        error = json.loads(body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert headers["content-type"] == "application/json"
        return Outcome("", "error", status, error["code"])
    if stream:
        assert headers["content-type"].startswith("text/event-stream")
        return _read_chat_stream(body) if door == "chat" else _read_responses_stream(body)
    return _read_chat_body(body) if door == "chat" else _read_responses_body(body)


def _payloads(body: bytes) -> list[bytes]:
    frames = body.split(b"\n\n")
    assert frames.pop() == b""
    return [frame.rpartition(b"data: ")[2] for frame in frames]


def _read_chat_stream(body: bytes) -> Outcome:
    *payloads, last = _payloads(body)
    chunks = [ChatCompletionChunk.model_validate_json(payload, strict=True) for payload in payloads]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    if last != b"[DONE]":
        error = json.loads(last)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return Outcome(text, "error", 200, error["code"])
    assert reasons[-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    return Outcome(text, "whole", 200)


_EVENTS: dict[str, Any] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ResponseStreamEvent)[0])
}


def _read_responses_stream(body: bytes) -> Outcome:
    events = [_EVENTS[json.loads(payload)["type"]].model_validate_json(payload) for payload in _payloads(body)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.response.output_text == text
    if last.type == "response.failed":
        assert last.response.status == "failed"
        return Outcome(text, "error", 200, last.response.error.code)
    assert (last.type, last.response.status) == ("response.completed", "completed")
    return Outcome(text, "whole", 200)


def _read_chat_body(body: bytes) -> Outcome:
    answer = ChatCompletion.model_validate_json(body, strict=True)
    assert answer.choices[0].finish_reason == "stop"
    return Outcome(answer.choices[0].message.content or "", "whole", 200)


def _read_responses_body(body: bytes) -> Outcome:
    response = Response.model_validate_json(body)
    assert response.status == "completed"
    return Outcome(response.output_text, "whole", 200)


async def ask_all(served: Served, door: Door, model: str, asked: list[str], *, stream: bool) -> dict[str, Outcome]:
    """Ask for many things, many at the same time."""
    left = iter(asked)
    outcomes: dict[str, Outcome] = {}

    async def work() -> None:
        connection = await RawConnection.open(served)
        for words in left:
            outcomes[words] = await ask(connection, door, model, words, stream=stream)

    try:
        await asyncio.gather(*(work() for _ in range(min(WORKERS, len(asked)))))
    finally:
        await RawConnection.close_all()
    return outcomes


# --- cut at every byte --------------------------------------------------------------------------


async def whole_body(served: Served, upstream: ScriptedUpstream, door: Door, api: Api, *, stream: bool) -> bytes:
    """What the upstream answers when nothing is broken; ids have one length, so places hold for the next."""
    upstream.play({"script": "words-2"})
    await ask_all(served, door, api, ["at 0."], stream=stream)
    asked = upstream.journal()[-1]
    seen = await exchange(upstream, asking(asked.path, json.loads(bytes(asked.body or b""))))  # type: ignore[arg-type]
    assert words_within(seen.body) == (2 if stream else 0)
    return seen.body


def words_within(body: bytes) -> int:
    """How many words' events lie whole in these bytes."""
    whole = body.rpartition(b"\n\n")[0]
    return len(re.findall(rb'"(?:content|delta)":"word\d ', whole))


async def cut_everywhere(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api, *, stream: bool, step: int
) -> None:
    """Cut and reset the upstream's answer at many places, and look at what comes of it."""
    whole = await whole_body(served, upstream, door, api, stream=stream)
    for fault, places in (("cut", range(0, len(whole), step)), ("reset", range(0, len(whole), 9 * step))):
        for begin in range(0, len(places), AT_ONCE):
            chosen = places[begin : begin + AT_ONCE]
            upstream.play(*({"script": f"words-2:fault={fault}@{at}", "contains": f"at {at}."} for at in chosen))
            outcomes = await ask_all(served, door, api, [f"at {at}." for at in chosen], stream=stream)
            for at in chosen:
                count = words_within(whole[:at]) if stream else 0
                expected = Outcome("".join(WORDS[:count]), "error", 200 if count else 502, outcomes[f"at {at}."].code)
                assert outcomes[f"at {at}."] == expected, (fault, at)


@EACH_API
@EACH_DOOR
@EACH_WAY
async def test_an_answer_cut_at_any_byte_is_its_beginning_and_an_error(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api, stream: bool
) -> None:
    """At any seventh, where one stream has 5 kB and not much in it; `slow` takes them all."""
    await cut_everywhere(served, upstream, door, api, stream=stream, step=7 if stream and api == "responses" else 1)


@EACH_DOOR
@pytest.mark.slow
async def test_a_long_stream_cut_at_every_byte_is_its_beginning_and_an_error(
    served: Served, upstream: ScriptedUpstream, door: Door
) -> None:
    await cut_everywhere(served, upstream, door, "responses", stream=True, step=1)


@EACH_API
@EACH_DOOR
async def test_a_cut_behind_the_terminal_event_takes_nothing_from_the_answer(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api
) -> None:
    whole = await whole_body(served, upstream, door, api, stream=True)
    upstream.play({"script": f"words-2:fault=cut@{len(whole)}"})

    outcomes = await ask_all(served, door, api, ["at 0."], stream=True)

    assert outcomes == {"at 0.": Outcome("word0 word1 ", "whole", 200)}


# --- every fault --------------------------------------------------------------------------------

ALL = len(WORDS)
# What goes wrong, how many words come before it in a stream, and whether a whole body breaks of it as well.
# None: it harms nothing. What is not here, `trailing`, comes behind a whole answer and may spoil it or come too late.
FAULTS: dict[str, tuple[int | None, bool]] = {
    "fault=302": (0, True),
    "fault=401": (0, True),
    "fault=403": (0, True),
    "fault=404": (0, True),
    "fault=408": (0, True),
    "fault=429": (0, True),
    "fault=429,retry-after-ms=5": (0, True),
    "fault=429,retry-after-date=5": (0, True),
    "fault=500": (0, True),
    "fault=503": (0, True),
    "fault=529": (0, True),
    "fault=timeout": (0, True),
    "fault=silence@0": (0, True),
    "fault=silence@2": (2, True),
    "fault=silence@4": (ALL, True),
    "fault=reset": (0, True),
    "fault=reset@headers": (0, True),
    "fault=cut": (0, True),
    "fault=cut@headers": (0, True),
    "fault=end": (ALL, True),
    "fault=end@0": (0, True),
    "fault=end@2": (2, True),
    "fault=no-finish": (ALL, True),
    "fault=error@0": (0, True),
    "fault=error@2": (2, True),
    "fault=error@4": (ALL, True),
    "fault=failed@0": (0, True),
    "fault=failed@2": (2, True),
    "fault=bad-json@0": (0, True),
    "fault=bad-json@2": (2, True),
    "fault=bad-utf8@0": (0, True),
    "fault=bad-utf8@2": (2, True),
    "fault=bad-json@1,dribble": (1, True),
    "fault=end@1,cutsize=5": (1, True),
    "fault=end@2,framing=close": (2, True),
    "fault=end@2,framing=length": (2, True),
    "fault=garbage": (None, True),
    "fault=garbage,framing=close": (None, True),
    "length=+10": (None, True),
    "fault=content-type": (None, False),
    "usage=missing": (None, False),
    "usage=early": (None, False),
    "usage=each": (None, False),
    "usage=negative": (None, False),
    "usage=huge": (None, False),
    "usage=0/0": (None, False),
    "dribble": (None, False),
    "cutsize=3": (None, False),
    "crlf": (None, False),
    "comments": (None, False),
    "crlf,comments,dribble": (None, False),
    "framing=close": (None, False),
    "framing=length": (None, False),
    "header-pace=0": (None, False),
    "ttft=50,pace=5,jitter=5": (None, False),
}


def play_all(upstream: ScriptedUpstream) -> list[str]:
    """Let each fault befall the requests that name it, on a first route; returns what to ask."""
    asked = {name: f"fault {place}." for place, name in enumerate(FAULTS)}
    upstream.play(*({"script": name, "contains": words, "model": "words-4"} for name, words in asked.items()))
    return list(asked.values())


@EACH_API
@EACH_DOOR
@EACH_WAY
async def test_a_broken_answer_is_its_beginning_and_an_error(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api, stream: bool
) -> None:
    asked = play_all(upstream)

    outcomes = await ask_all(served, door, api, asked, stream=stream)

    told = dict(zip(FAULTS, (outcomes[words] for words in asked), strict=True))
    expected = {name: expected_of(name, api, told[name], stream=stream) for name in FAULTS}
    assert told == expected


def words_before(name: str, api: Api) -> tuple[int | None, bool]:
    """As FAULTS says; in Responses it is the terminal event's name that ends an answer, whatever else it says."""
    return (None, True) if (name, api) == ("fault=no-finish", "responses") else FAULTS[name]


def expected_of(name: str, api: Api, told: Outcome, *, stream: bool) -> Outcome:
    words, breaks_bodies = words_before(name, api)
    if words is None and (stream or not breaks_bodies):
        return Outcome("".join(WORDS), "whole", 200)
    if stream and words:
        return Outcome("".join(WORDS[:words]), "error", 200, told.code)
    status = 504 if "silence" in name or "timeout" in name else 503 if "429" in name or "529" in name else 502
    return Outcome("", "error", status, told.code)


@EACH_API
@EACH_DOOR
@EACH_WAY
async def test_what_fails_before_its_first_word_falls_back(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api, stream: bool
) -> None:
    asked = play_all(upstream)

    outcomes = await ask_all(served, door, f"{api}-rescued", asked, stream=stream)

    for name, said in zip(FAULTS, asked, strict=True):
        words, breaks_bodies = words_before(name, api)
        is_harmless = words is None and (stream or not breaks_bodies)
        if stream and words:  # its client has read something: it is too late for another
            assert outcomes[said] == Outcome("".join(WORDS[:words]), "error", 200, outcomes[said].code), name
        else:
            assert outcomes[said] == Outcome("".join(WORDS) if is_harmless else said, "whole", 200), name


@EACH_API
@EACH_DOOR
@EACH_WAY
async def test_garbage_behind_a_response_spoils_no_other(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api, stream: bool
) -> None:
    upstream.play({"script": "fault=trailing", "model": "words-4"})

    outcomes = await ask_all(served, door, f"{api}-rescued", [f"after {n}." for n in range(30)], stream=stream)

    for said, outcome in outcomes.items():
        assert outcome.end == "whole"
        assert outcome.text in ("".join(WORDS), said)


@EACH_API
@EACH_DOOR
@EACH_WAY
async def test_what_a_provider_finds_wrong_with_a_request_is_told_and_not_tried_again(
    served: Served, upstream: ScriptedUpstream, door: Door, api: Api, stream: bool
) -> None:
    upstream.play({"script": "fault=400", "model": "words-4"})
    before = upstream.stats.requests

    outcomes = await ask_all(served, door, f"{api}-rescued", ["x"], stream=stream)

    assert (outcomes["x"].end, outcomes["x"].status) == ("error", 400)
    assert upstream.stats.requests == before + 1


@EACH_API
@EACH_DOOR
@EACH_WAY
async def test_refused_connections_fall_back_or_are_an_error(
    served: Served, gone: ScriptedUpstream, door: Door, api: Api, stream: bool
) -> None:
    gone.refuse()
    refused = await ask_all(served, door, f"{api}-gone", ["x"], stream=stream)
    rescued = await ask_all(served, door, f"{api}-gone-rescued", ["x"], stream=stream)
    await gone.listen()
    served_again = await ask_all(served, door, f"{api}-gone", ["x"], stream=stream)
    while gone.stats.open_connections:  # what is kept would be served though nobody listens
        gone.play({"script": "fault=cut"})
        await ask_all(served, door, f"{api}-gone", ["x"], stream=stream)
    gone.play()

    assert refused["x"] == Outcome("", "error", 502, "provider_error")
    assert rescued["x"] == served_again["x"] == Outcome("x", "whole", 200)


# --- what is written down -----------------------------------------------------------------------


@EACH_API
async def test_rows_say_what_was_used_or_that_it_was_counted(
    served: Served, upstream: ScriptedUpstream, api: Api
) -> None:
    """A provider's figures are taken where they can be; where not, or where none came, our own count is."""
    expected: dict[str, tuple[str, int | None, int | None, str | None]] = {
        "pace=0": ("completed", 1, 4, "reported"),
        "usage=0/0": ("completed", 0, 0, "reported"),
        "usage=missing": ("completed", None, None, "counted"),
        "usage=11/22": ("completed", 11, 22, "reported"),
        "usage=negative": ("completed", None, None, "counted"),
        "usage=huge": ("completed", None, None, "counted"),
        "fault=end@2": ("failed", None, None, "counted"),
        "fault=500": ("failed", None, None, None),
    }
    for script, row in expected.items():
        upstream.play({"script": script, "model": "words-4"})
        await ask_all(served, "chat", api, ["x"], stream=True)

        await served.until_rows(_NEWEST, [row])


_NEWEST = """
    select status, case usage_source when 'reported' then input_tokens end,
        case usage_source when 'reported' then output_tokens end, usage_source
    from turn order by started_at_ms desc, id desc limit 1
"""


@EACH_API
@EACH_DOOR
async def test_a_hang_up_reaches_the_provider(served: Served, upstream: ScriptedUpstream, door: Door, api: Api) -> None:
    """And it charges for what it had made until then, and no more."""
    upstream.play({"script": "words-100000:pace=2"})
    connection = await RawConnection.open(served)
    fields = {"messages": [{"role": "user", "content": "x"}]} if door == "chat" else {"input": "x"}
    # What is stored goes on.
    connection.send(post(DOORS[door], json.dumps({"model": api, "stream": True, "store": False, **fields}).encode()))
    await connection.until(b"word9 ")

    connection.hang_up()

    await upstream.until(lambda: upstream.stats.open_streams == 0)
    record = upstream.journal()[-1]
    assert record.ended == "hung_up"
    assert 10 <= record.billed.output_tokens < 100_000
