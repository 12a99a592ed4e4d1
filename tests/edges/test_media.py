"""Recordings, speech and pictures over real connections: what breaks off, falls back, is too large or left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.turn.items import Upload
from tests.edges.raw import RawConnection, ask, post
from tests.serving import Served, serving
from tests.turn.test_recordings import wav
from tests.upstreams import ScriptedUpstream, scripted_upstream
from tests.wire.forms import a_form

RECORDING = Upload(wav(9), "a.wav", "audio/wav")
SPEECH = "/v1/audio/speech"
TRANSCRIPT = "/v1/audio/transcriptions"
PICTURES = "/v1/images/generations"
WORDS = {"model": "voice", "voice": "v", "input": "one two three", "response_format": "wav"}
KINDS = {"ears": "transcription", "voice": "speech", "brush": "image", "judge": "moderation"}


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest.fixture
def served(up: ScriptedUpstream, tmp_path: Path) -> Iterator[Served]:
    settings = {
        "providers": {
            "one": {
                "kind": "openai-compatible",
                "base_url": f"{up.url}/v1",
                "api_key": "sk-test-mock",
                "retries": {"most": 0},
            },
            "words": {"kind": "anthropic", "base_url": up.url, "api_key": "sk-test-mock"},
        },
        "models": {
            **{name: {"route": [f"one/{name}"], "kind": kind} for name, kind in KINDS.items()},
            "rescued": {"route": ["one/other:fault=500", "one/voice"], "kind": "speech"},
            "passed on": {"route": ["words/none", "one/voice"], "kind": "speech"},
            "lost": {"route": ["words/none"], "kind": "speech"},
        },
        "prices": {"one/*": {"character": 15, "audio_minute": 0.006, "image": 0.04}},
        "limits": {"body_mb": 0.5},
        "hangup_drain_s": 0.2,
    }
    with serving(tmp_path, settings) as server:
        yield server


def speaking(**fields: Any) -> bytes:
    return post(SPEECH, json.dumps({**WORDS, **fields}).encode())


def hearing(**fields: Any) -> bytes:
    body, content_type = a_form(**{"model": "ears", "file": RECORDING, **fields})
    return post(TRANSCRIPT, body, **{"content-type": content_type.decode()})


async def test_sound_that_breaks_off_has_no_end(served: Served, up: ScriptedUpstream) -> None:
    """Whoever hears it must not take it for whole: the last chunk, of no length, does not come."""
    up.play({"script": "echo:fault=cut@9000"})
    connection = await RawConnection.open(served)

    connection.send(speaking())
    received = await connection.rest()

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"content-type: audio/wav" in received.lower()
    assert b"RIFF" in received
    assert not received.endswith(b"0\r\n\r\n")
    await served.until_rows("select status, cost_micros from turn", [("failed", 15 * 13)])


async def test_sound_that_fails_before_its_first_byte_is_an_error(served: Served, up: ScriptedUpstream) -> None:
    up.play({"script": "echo:fault=503"})

    status, body = await ask(served, speaking())

    assert (status, body["error"]["code"]) == (502, "provider_error")


async def test_the_next_route_answers_where_one_cannot(served: Served, up: ScriptedUpstream) -> None:
    connection = await RawConnection.open(served)
    connection.send(speaking(model="rescued"))

    status, headers, body = await connection.answer()

    assert (status, headers["content-type"], body[:4]) == (200, "audio/wav", b"RIFF")
    assert [each.model for each in up.journal()] == ["other:fault=500", "voice"]


async def test_a_provider_that_only_chats_is_passed_by(served: Served, up: ScriptedUpstream) -> None:
    connection = await RawConnection.open(served)
    connection.send(speaking(model="passed on"))

    status, headers, body = await connection.answer()

    assert (status, headers["content-type"], body[:4]) == (200, "audio/wav", b"RIFF")
    assert [each.model for each in up.journal()] == ["voice"]


async def test_a_provider_that_only_chats_says_so(served: Served) -> None:
    status, body = await ask(served, speaking(model="lost"))

    assert status == 400
    assert body["error"]["param"] == "model"


@pytest.mark.parametrize("fault", ["cut@30", "end@1", "no-finish", "error@1", "bad-json@0"])
async def test_a_transcript_that_breaks_off_ends_with_an_error(
    served: Served, up: ScriptedUpstream, fault: str
) -> None:
    up.play({"script": f"echo:fault={fault}"})
    connection = await RawConnection.open(served)
    connection.send(hearing(stream="true"))

    status, _, body = await connection.answer()

    assert b"transcript.text.done" not in body
    assert b'"error"' in body
    assert status in (200, 502)
    await served.until_rows("select status from turn", [("failed",)])


async def test_who_leaves_a_sound_pays_for_all_of_it(served: Served, up: ScriptedUpstream) -> None:
    up.play({"script": "echo:pace=2000"})
    connection = await RawConnection.open(served)
    connection.send(speaking())
    await up.until(lambda: bool(up.journal()))

    connection.hang_up()

    await served.until_rows("select status, cost_micros from turn", [("abandoned", 15 * 13)])
    await up.until(lambda: up.journal()[0].ended == "hung_up")


async def test_a_recording_larger_than_a_body_may_be(served: Served, up: ScriptedUpstream) -> None:
    status, body = await ask(served, hearing(file=Upload(bytes(600_000), "a.wav", "audio/wav")))

    assert (status, body["error"]["code"]) == (413, "request_too_large")
    assert up.journal() == []


@pytest.mark.parametrize("body", [b"", b"{}", b"--x", b"\xff" * 100])
@pytest.mark.parametrize("path", [TRANSCRIPT, "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations"])
async def test_what_is_no_form_is_the_callers_matter(served: Served, path: str, body: bytes) -> None:
    as_json = await ask(served, post(path, body, **{"content-type": "application/json"}))
    as_form = await ask(served, post(path, body, **{"content-type": "multipart/form-data; boundary=x"}))

    assert (as_json[0], as_json[1]["error"]["code"]) == (400, "invalid_content_type")
    assert (as_form[0], as_form[1]["error"]["code"]) == (400, "invalid_form")


async def test_rows_say_what_was_asked_for_and_what_it_cost(served: Served) -> None:
    await ask(served, hearing())
    await ask(served, hearing(response_format="verbose_json"))
    await ask(served, post(PICTURES, b'{"model": "brush", "prompt": "a cat", "n": 2}'))
    await ask(served, post("/v1/moderations", b'{"model": "judge", "input": "x"}'))

    await served.until_rows(
        "select door, status, is_streaming, usage_source, cost_micros from turn order by door",
        [
            ("images", "completed", 0, "reported", 80_000),
            ("moderations", "completed", 0, "counted", 0),
            ("transcriptions", "completed", 0, "reported", 900),
            ("transcriptions", "completed", 0, "reported", 900),
        ],
    )


async def test_many_at_once_are_told_apart(served: Served) -> None:
    async def heard(seconds: int) -> str:
        answered = await ask(served, hearing(file=Upload(wav(seconds, per_s=8_000, width=1), "a.wav", "audio/wav")))
        return answered[1]["text"]

    texts = await asyncio.gather(*map(heard, range(1, 9)))

    assert [text.split()[3] for text in texts] == [str(seconds) for seconds in range(1, 9)]
