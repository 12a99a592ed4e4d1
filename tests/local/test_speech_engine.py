"""Whisper hears a real recording, a part at a time, and says what is wrong with what is none."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from frontdesk.local import speech_engine
from frontdesk.local.frames import Answer, Done, Failed, Heard, Listening, Transcribe
from frontdesk.local.models import find_model
from frontdesk.local.options import WorkerOptions
from frontdesk.local.speech_engine import SpeechEngine
from frontdesk.local.worker import Ticket
from tests.local.machine import SPEECH, home_with

# "The lighthouse keeper counts seven ships before breakfast.", spoken by espeak-ng.
CLIP = Path(__file__).with_name("lighthouse.ogg").read_bytes()


@pytest.fixture(scope="module")
def engine() -> SpeechEngine:
    model = find_model(SPEECH, home_with(SPEECH), threads=1)
    assert model is not None
    files = [str(path) for path in model.files]
    return speech_engine.load(WorkerOptions("transcription", files, model.context_tokens, 1, 1, os.getpid()))


def heard_of(engine: SpeechEngine, job: Transcribe, ticket: Ticket | None = None) -> list[Answer]:
    answers: list[Answer] = []
    work = engine.begin(job, ticket or Ticket(), answers.append)
    while not work.step():
        pass
    return answers


def silence(seconds: float, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        recording.writeframes(bytes(2 * int(seconds * rate)))
    return file.getvalue()


def test_what_is_said_is_written_down(engine: SpeechEngine) -> None:
    first, *parts, last = heard_of(engine, Transcribe(7, CLIP, wants_words=True))

    assert isinstance(first, Listening)
    assert (first.language, round(first.duration_s, 1)) == ("en", 3.7)
    assert last == Done(7)
    segments = [part.segment for part in parts if isinstance(part, Heard)]
    text = "".join(segment.text for segment in segments).lower()
    assert "ships before breakfast" in text
    words = [word for segment in segments for word in segment.words]
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)
    assert "".join(word.word for word in words).strip() == "".join(each.text for each in segments).strip()


@pytest.mark.parametrize("audio", [b"", b"no recording", CLIP[:100], b"RIFF\x00\x00\x00\x00WAVE", silence(0)])
def test_what_is_no_recording_is_the_callers_matter(engine: SpeechEngine, audio: bytes) -> None:
    (refusal,) = heard_of(engine, Transcribe(1, audio))

    assert isinstance(refusal, Failed)
    assert (refusal.is_refusal, refusal.code) == (True, "invalid_audio")
    assert refusal.message.startswith("The file ")


def test_a_recording_that_was_cut_is_heard_as_far_as_it_goes(engine: SpeechEngine) -> None:
    first, *_, last = heard_of(engine, Transcribe(1, CLIP[: len(CLIP) // 2]))

    assert isinstance(first, Listening)
    assert 0.5 < first.duration_s < 3.7
    assert last == Done(1)


def test_a_damaged_frame_costs_no_other(engine: SpeechEngine) -> None:
    recording = bytearray(spoken_as_aac(seconds=20))
    for place in (0.3, 0.4, 0.5):
        start = int(len(recording) * place)
        recording[start : start + 8] = bytes(8)

    samples = engine.samples(bytes(recording), Ticket())

    assert samples is not None
    assert 18 < samples.size / 16_000 < 20.5
    assert (samples.dtype, samples.ndim) == (np.float32, 1)
    assert 0.1 < np.abs(samples).max() <= 1.0


def test_what_nobody_waits_for_any_more_is_not_even_decoded(engine: SpeechEngine) -> None:
    ticket = Ticket()
    ticket.is_cancelled = True

    assert engine.samples(silence(60), ticket) is None
    assert heard_of(engine, Transcribe(1, silence(60)), ticket) == []


def spoken_as_aac(seconds: int) -> bytes:
    """A tone, as phones record it."""
    file = io.BytesIO()
    samples = (np.sin(np.arange(16_000 * seconds) * 0.05) * 8_000).astype(np.int16)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        encoder = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
        for start in range(0, samples.size, 1_600):
            frame = av.AudioFrame.from_ndarray(
                samples[start : start + 1_600].reshape(1, -1), format="s16", layout="mono"
            )
            frame.rate, frame.pts = 16_000, start
            for each in encoder.resample(frame):
                container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_a_small_file_of_many_hours_is_refused(engine: SpeechEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_engine, "_LONGEST_S", 3600)

    (refusal,) = heard_of(engine, Transcribe(1, silence(3700, rate=1000)))

    assert isinstance(refusal, Failed)
    assert refusal.message == "The file is longer than 60 minutes. Cut it into shorter ones."


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (Transcribe(1, CLIP, language="no"), "This model does not hear the language 'no'. It hears: en."),
        (Transcribe(1, CLIP, translates=True), "This model hears English alone and translates nothing."),
    ],
)
def test_a_model_of_english_refuses_all_else(engine: SpeechEngine, job: Transcribe, told: str) -> None:
    (refusal,) = heard_of(engine, job)

    assert isinstance(refusal, Failed)
    assert refusal.code == "unsupported_language"
    assert refusal.message.startswith(told)


def test_a_job_that_is_given_up_ends_with_the_part_under_way(engine: SpeechEngine) -> None:
    ticket = Ticket()
    answers: list[Answer] = []
    work = engine.begin(Transcribe(1, CLIP), ticket, answers.append)
    assert not work.step()

    ticket.is_cancelled = True

    assert work.step()
    assert [type(answer) for answer in answers] == [Listening]
