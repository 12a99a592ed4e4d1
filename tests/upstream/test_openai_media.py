"""The scripted upstream judges, hears, speaks and draws, fails on the way, and bills what it made."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import pytest

from frontdesk.turn.items import Upload
from tests.turn.test_recordings import wav
from tests.upstream.raw import Seen, exchange
from tests.upstreams import ScriptedUpstream
from tests.wire.forms import a_form

RECORDING = Upload(wav(9), "a.wav", "audio/wav")
SPEECH = {"model": "tts-1", "voice": "v", "input": "one two three", "response_format": "wav"}
DRAWN = {"model": "gpt-image-2", "prompt": "a cat"}


def asking(path: str, fields: dict[str, Any], script: str = "") -> bytes:
    if any(isinstance(value, Upload) for value in fields.values()):
        body, content_type = a_form(**fields)
    else:
        body, content_type = json.dumps(fields).encode(), b"application/json"
    lines = [f"POST /v1/{path} HTTP/1.1", "host: x", f"content-length: {len(body)}", "connection: close"]
    lines += [f"content-type: {content_type.decode()}", *([f"x-upstream-script: {script}"] if script else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def asked(path: str, upstream: ScriptedUpstream, script: str = "", **fields: Any) -> Seen:
    return await exchange(upstream, asking(path, fields, script))


def types_of(seen: Seen) -> list[str]:
    return [event["type"] for event in seen.events]


async def test_judgements(upstream: ScriptedUpstream) -> None:
    seen = await asked("moderations", upstream, input=["kill", "fine"])

    assert [each["flagged"] for each in seen.json["results"]] == [True, False]
    assert seen.json["model"] == "omni-moderation-latest"


@pytest.mark.parametrize(
    ("form", "content_type", "begins"),
    [
        ("json", "application/json", b'{"text":"This recording lasts 9 seconds.'),
        ("text", "text/plain; charset=utf-8", b"This recording lasts 9 seconds."),
        ("srt", "text/plain; charset=utf-8", b"1\n00:00:00,000 --> 00:00:04,500\nThis"),
        ("vtt", "text/vtt; charset=utf-8", b"WEBVTT\n\n00:00:00.000 --> "),
        ("verbose_json", "application/json", b'{"task":"transcribe","language":"english","duration":9'),
        ("diarized_json", "application/json", b'{"task":"transcribe","duration":9'),
    ],
)
async def test_transcripts(upstream: ScriptedUpstream, form: str, content_type: str, begins: bytes) -> None:
    seen = await asked("audio/transcriptions", upstream, model="whisper-1", file=RECORDING, response_format=form)

    assert seen.headers["content-type"] == content_type
    assert seen.body.startswith(begins)


async def test_a_transcript_in_events(upstream: ScriptedUpstream) -> None:
    seen = await asked("audio/transcriptions", upstream, model="gpt-4o-transcribe", file=RECORDING, stream="true")

    assert types_of(seen) == ["transcript.text.delta"] * 11 + ["transcript.text.done"]


async def test_a_translation(upstream: ScriptedUpstream) -> None:
    assert (await asked("audio/translations", upstream, model="whisper-1", file=RECORDING)).json["text"]


async def test_speech_comes_word_by_word(upstream: ScriptedUpstream) -> None:
    seen = await asked("audio/speech", upstream, **SPEECH)

    assert seen.headers["content-type"] == "audio/wav"
    assert len([piece for piece in seen.pieces if piece]) == 3
    with wave.open(io.BytesIO(seen.body)) as opened:
        assert opened.getnframes() == 3 * 2_400


async def test_speech_in_events(upstream: ScriptedUpstream) -> None:
    seen = await asked("audio/speech", upstream, **SPEECH, stream_format="sse")

    assert types_of(seen) == ["speech.audio.delta"] * 3 + ["speech.audio.done"]


async def test_pictures(upstream: ScriptedUpstream) -> None:
    whole = await asked("images/generations", upstream, **DRAWN, n=2)
    steps = await asked("images/generations", upstream, **DRAWN, stream=True, partial_images=2)
    edited = await asked("images/edits", upstream, **DRAWN, image=Upload(b"x", "a.png", "image/png"))
    varied = await asked("images/variations", upstream, model="m", image=Upload(b"x", "a.png", "image/png"))

    assert len(whole.json["data"]) == 2
    assert types_of(steps) == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert edited.json["usage"]["input_tokens_details"]["image_tokens"] == 85
    assert len(varied.json["data"]) == 1


async def test_the_journal_has_what_a_provider_would_bill(upstream: ScriptedUpstream) -> None:
    await asked("audio/transcriptions", upstream, model="whisper-1", file=RECORDING)
    await asked("audio/speech", upstream, **SPEECH)
    await asked("images/generations", upstream, **DRAWN, n=2)

    heard, spoken, drawn = (each.billed for each in upstream.journal())
    assert (heard.audio_seconds, heard.input_tokens, heard.output_tokens) == (9, 90, 11)
    assert (spoken.characters, spoken.input_tokens, spoken.output_tokens) == (13, 3, 3)
    assert (drawn.images, drawn.input_tokens, drawn.output_tokens) == (2, 2, 2)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("moderations", {"input": "x"}),
        ("audio/transcriptions", {"model": "m", "file": RECORDING}),
        ("audio/speech", SPEECH),
        ("images/generations", DRAWN),
    ],
)
async def test_faults_befall_them_as_they_do_chats(
    upstream: ScriptedUpstream, path: str, fields: dict[str, Any]
) -> None:
    refused = await asked(path, upstream, "echo:fault=429,retry-after=7", **fields)
    cut = await asked(path, upstream, "echo:fault=cut@20", **fields)
    reset = await asked(path, upstream, "echo:fault=reset@20", **fields)

    assert (refused.status, refused.headers["retry-after"]) == (429, "7")
    assert refused.json["error"]["code"] == "rate_limit_exceeded"
    assert cut.status == 200
    assert len(cut.body) == 20
    assert reset.ended == "reset"
    assert [each.ended for each in upstream.journal()] == ["whole", "fault", "fault"]


@pytest.mark.parametrize(
    ("fault", "path", "fields"),
    [
        ("end@1", "audio/transcriptions", {"model": "m", "file": RECORDING, "stream": "true"}),
        ("no-finish", "audio/transcriptions", {"model": "m", "file": RECORDING, "stream": "true"}),
        ("no-finish", "audio/speech", {**SPEECH, "stream_format": "sse"}),
        ("no-finish", "images/generations", {**DRAWN, "stream": True, "partial_images": 1}),
    ],
)
async def test_streams_that_do_not_say_that_they_are_whole(
    upstream: ScriptedUpstream, fault: str, path: str, fields: dict[str, Any]
) -> None:
    seen = await asked(path, upstream, f"echo:fault={fault}", **fields)

    assert seen.events
    assert not [event for event in types_of(seen) if event.endswith((".done", ".completed"))]


async def test_an_error_inside_of_a_stream(upstream: ScriptedUpstream) -> None:
    seen = await asked("audio/speech", upstream, "echo:fault=error@1", **SPEECH, stream_format="sse")

    assert [event.get("type", "error") for event in seen.events] == ["speech.audio.delta", "error"]


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("audio/transcriptions", {"model": "m"}, None),
        ("audio/transcriptions", {"file": RECORDING}, "model"),
        ("audio/speech", {"model": "m", "input": "x"}, "voice"),
        ("images/generations", {"prompt": "x"}, "model"),
    ],
)
async def test_wrong_requests(upstream: ScriptedUpstream, path: str, fields: dict[str, Any], param: str | None) -> None:
    seen = await asked(path, upstream, **fields)

    assert (seen.status, seen.json["error"]["param"]) == (400, param)
