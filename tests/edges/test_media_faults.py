"""Every endpoint that is no chat, under every fault of a wire: no answer is taken for whole that is not, all settle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.turn.items import Upload
from tests.edges.raw import RawConnection, post
from tests.serving import ASKED_ONCE, Served, serving
from tests.turn.test_recordings import wav
from tests.upstreams import ScriptedUpstream, scripted_upstream
from tests.wire.forms import a_form

RECORDING = Upload(wav(9), "a.wav", "audio/wav")
PICTURE = Upload(b"\x89PNG-some-picture", "a.png", "image/png")
KINDS = {"ears": "transcription", "voice": "speech", "brush": "image", "judge": "moderation"}


def a_json(path: str, **fields: Any) -> bytes:
    return post(f"/v1/{path}", json.dumps(fields).encode())


def form(path: str, **fields: Any) -> bytes:
    body, content_type = a_form(**fields)
    return post(f"/v1/{path}", body, **{"content-type": content_type.decode()})


ENDPOINTS = {
    "judgements": a_json("moderations", model="judge", input=["x", "y"]),
    "transcript": form("audio/transcriptions", model="ears", file=RECORDING),
    "subtitles": form("audio/transcriptions", model="ears", file=RECORDING, response_format="srt"),
    "translation": form("audio/translations", model="ears", file=RECORDING),
    "pictures": a_json("images/generations", model="brush", prompt="a cat", n=2),
    "edit": form("images/edits", model="brush", prompt="a cat", image=PICTURE),
    "variation": form("images/variations", model="brush", image=PICTURE),
}
STREAMS = {
    "sound": a_json("audio/speech", model="voice", voice="v", input="one two three", response_format="wav"),
    "sound in events": a_json("audio/speech", model="voice", voice="v", input="one two", stream_format="sse"),
    "transcript in events": form("audio/transcriptions", model="ears", file=RECORDING, stream="true"),
    "pictures in events": a_json("images/generations", model="brush", prompt="a cat", stream=True, partial_images=2),
}
BEFORE_AN_ANSWER = [
    "302",
    "401",
    "404",
    "408",
    "429",
    "500",
    "503",
    "529",
    "cut",
    "reset",
    "cut@headers",
    "reset@headers",
]
WITHIN_A_BODY = ["cut@20", "reset@20", "end", "bad-json@0", "error@0"]
WITHIN_A_STREAM = ["cut@300", "reset@300"]
WITHIN_EVENTS = ["end@1", "no-finish", "error@1", "bad-json@1", "content-type"]


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest.fixture
async def served(up: ScriptedUpstream, tmp_path: Path) -> AsyncIterator[Served]:
    one = {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-mock", **ASKED_ONCE}
    settings = {
        "providers": {"one": one},
        "models": {name: {"route": [f"one/{name}"], "kind": kind} for name, kind in KINDS.items()},
        "prices": {"one/*": {"input": 1, "output": 2, "character": 15, "audio_minute": 0.006, "image": 0.04}},
        "budgets": [{"scope": "app", "usd": 1_000_000, "per": "month"}],
    }
    with serving(tmp_path, settings) as server:
        yield server
        await RawConnection.close_all()


async def received(served: Served, request: bytes) -> bytes:
    """All that comes of an answer: to its end, or to that of its connection."""
    connection = await RawConnection.open(served)
    connection.send(request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
    return await connection.rest()


def is_whole(answer: bytes) -> bool:
    """Whether a client takes it for an answer as it was asked for."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return False
    if b"transfer-encoding: chunked" not in head.lower():
        return True
    return body.endswith(b"0\r\n\r\n") and b'"error"' not in body


async def assert_all_break(served: Served, up: ScriptedUpstream, fault: str, asked: dict[str, bytes]) -> None:
    up.play({"script": f"echo:fault={fault}"})

    answers = await asyncio.gather(*(received(served, request) for request in asked.values()))

    assert [name for name, answer in zip(asked, answers, strict=True) if is_whole(answer)] == []
    assert [name for name, answer in zip(asked, answers, strict=True) if not answer] == []
    await served.until_rows("select status, count(*) from turn group by status", [("failed", len(asked))])
    await served.until_rows("select count(*) from hold", [(0,)])
    await served.until_rows(
        "select spent_micros - (select sum(cost_micros) from attempt), held_micros from budget_window", [(0, 0)]
    )


@pytest.mark.parametrize("fault", BEFORE_AN_ANSWER)
async def test_what_fails_before_an_answer(served: Served, up: ScriptedUpstream, fault: str) -> None:
    await assert_all_break(served, up, fault, ENDPOINTS | STREAMS)


@pytest.mark.parametrize("fault", WITHIN_A_BODY)
async def test_a_body_that_is_none(served: Served, up: ScriptedUpstream, fault: str) -> None:
    await assert_all_break(served, up, fault, ENDPOINTS)


@pytest.mark.parametrize("fault", WITHIN_A_STREAM)
async def test_a_stream_that_breaks_off(served: Served, up: ScriptedUpstream, fault: str) -> None:
    await assert_all_break(served, up, fault, STREAMS)


@pytest.mark.parametrize("fault", WITHIN_EVENTS)
async def test_events_that_do_not_end_as_they_should(served: Served, up: ScriptedUpstream, fault: str) -> None:
    await assert_all_break(served, up, fault, {name: each for name, each in STREAMS.items() if name != "sound"})
