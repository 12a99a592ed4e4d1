"""The local provider writes down what is said, asked for real: Whisper tiny.en of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import BadRequest
from frontdesk.core.money import Units
from frontdesk.providers.local import LocalProvider
from frontdesk.turn.events import Event, TextDelta, TranscriptProduced, TurnCompleted, Usage, UsageReported
from frontdesk.turn.items import Prompt, Request, TranscriptionRequest, Upload
from frontdesk.wire.openai_transcripts import TranscriptText
from tests.local.machine import CHAT, SPEECH, home_with

RECORDING = Path(__file__).parent.parent / "local" / "lighthouse.ogg"
CLIP = Upload(RECORDING.read_bytes(), "lighthouse.ogg", "audio/ogg")


@pytest.fixture
async def provider() -> AsyncIterator[LocalProvider]:
    opened = LocalProvider(home_with(SPEECH, CHAT), SystemClock(), model=SPEECH, threads=1)
    try:
        yield opened
    finally:
        await opened.close()


async def events_of(provider: LocalProvider, request: Request, model: str = SPEECH) -> list[Event]:
    events: list[Event] = []
    async with aclosing(provider.answer(request, model)) as batches:
        async for batch in batches:
            events.extend(batch)
    return events


async def test_a_recording_becomes_a_transcript(provider: LocalProvider) -> None:
    request = TranscriptionRequest(CLIP, format="verbose_json", granularities=("word", "segment"))

    told, used, end = await events_of(provider, request)

    assert isinstance(told, TranscriptProduced)
    transcript = told.transcript
    assert (transcript["task"], transcript["language"]) == ("transcribe", "english")
    assert transcript["text"].endswith("ships before breakfast.")
    assert transcript["duration"] == pytest.approx(3.73, abs=0.05)
    assert " ".join(word["word"] for word in transcript["words"]) == transcript["text"]
    assert "".join(segment["text"] for segment in transcript["segments"]).strip() == transcript["text"]
    assert used == UsageReported(Usage(0, 0, units=Units(audio_seconds=4)))
    assert end == TurnCompleted()


async def test_a_stream_has_the_same_text_in_pieces(provider: LocalProvider) -> None:
    events = await events_of(provider, TranscriptionRequest(CLIP, stream=True))

    (told,) = [event for event in events if isinstance(event, TranscriptProduced)]
    pieces = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert pieces.strip() == told.transcript["text"] != ""


async def test_subtitles_have_their_times(provider: LocalProvider) -> None:
    events = await events_of(provider, TranscriptionRequest(CLIP, format="srt"))

    first, times, text, *_ = TranscriptText("srt").render(events).decode().split("\n")
    assert first == "1"
    assert times.startswith("00:00:00,")
    assert text.endswith("ships before breakfast.")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"format": "diarized_json"}, "response_format"),
        ({"include": ("logprobs",)}, "include"),
        ({"parameters": {"known_speaker_names": ["Ann"]}}, "known_speaker_names"),
        ({"parameters": {"odd": 1}}, "odd"),
        ({"language": "no"}, "language"),
        ({"task": "translate"}, "language"),
        ({"audio": Upload(b"no sound", "x.wav", "audio/wav")}, "file"),
    ],
)
async def test_what_the_model_cannot_do_is_refused_by_name(
    provider: LocalProvider, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        await events_of(provider, TranscriptionRequest(**{"audio": CLIP, **fields}))

    assert caught.value.param == param


async def test_hints_are_passed_over(provider: LocalProvider) -> None:
    request = TranscriptionRequest(CLIP, parameters={"chunking_strategy": "auto", "temperature": 0.0})

    assert isinstance((await events_of(provider, request))[-1], TurnCompleted)


@pytest.mark.parametrize(
    ("request_", "model", "told"),
    [
        (Prompt([]), SPEECH, "writes down what is said in recordings"),
        (TranscriptionRequest(CLIP), CHAT, "answers in words"),
    ],
)
async def test_each_model_has_its_own_work(provider: LocalProvider, request_: Request, model: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        await events_of(provider, request_, model)
