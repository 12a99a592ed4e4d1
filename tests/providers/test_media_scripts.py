"""What the scripted provider judges, hears, speaks and draws is real, and the same each time."""

from __future__ import annotations

import base64
import io
import wave
import zlib
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.core.money import Units
from frontdesk.providers.media_scripts import media_batches, media_tokens, written_tokens
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.turn.events import (
    AudioProduced,
    AudioStarted,
    Event,
    ImagesProduced,
    ModerationsProduced,
    PartialImageProduced,
    SegmentProduced,
    TextDelta,
    TranscriptProduced,
    TurnCompleted,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import (
    Image,
    ImageRequest,
    MediaRequest,
    ModerationRequest,
    SpeechRequest,
    Text,
    TranscriptionRequest,
    Upload,
)
from tests.turn.test_recordings import wav

RECORDING = Upload(wav(3), "a.wav", "audio/wav")


def played(request: MediaRequest) -> list[Event]:
    return [event for batch in media_batches(request) for event in batch]


def usage_of(request: MediaRequest) -> Usage | None:
    return next((event.usage for event in played(request) if isinstance(event, UsageReported)), None)


def only(kind: type[Any], request: MediaRequest) -> Any:
    (found,) = [event for event in played(request) if isinstance(event, kind)]
    return found


REQUESTS: list[MediaRequest] = [
    ModerationRequest(["x"]),
    TranscriptionRequest(RECORDING),
    TranscriptionRequest(RECORDING, stream=True),
    SpeechRequest("one two three", "v"),
    SpeechRequest("one two three", "v", stream=True),
    ImageRequest("generate", "a cat", n=2),
    ImageRequest("generate", "a cat", stream=True, partial_images=2),
]


@pytest.mark.parametrize("asked", REQUESTS)
def test_an_answer_is_the_same_each_time_and_whole(asked: MediaRequest) -> None:
    assert played(asked) == played(asked)
    assert played(asked)[-1] == TurnCompleted()


@pytest.mark.parametrize("asked", [each for each in REQUESTS if usage_of(each) is not None])
def test_what_is_told_is_what_is_billed(asked: MediaRequest) -> None:
    told = usage_of(asked)
    assert told is not None

    assert told.input_tokens == media_tokens(asked)
    assert told.output_tokens == sum(
        written_tokens(batch) + sum(isinstance(event, TextDelta) for event in batch) for batch in media_batches(asked)
    )


def test_words_are_objected_to_by_their_category() -> None:
    judged = only(ModerationsProduced, ModerationRequest(["I hate it", "skilled", ""])).results

    assert [each["flagged"] for each in judged] == [True, False, False]
    assert [name for name, found in judged[0]["categories"].items() if found] == ["hate"]
    assert judged[0]["category_scores"]["hate"] > 0.9
    assert judged[0]["category_scores"]["violence"] < 0.1


def test_words_and_pictures_are_judged_together() -> None:
    (judged,) = only(ModerationsProduced, ModerationRequest([Text("kill"), Image("data:,")])).results

    assert judged["categories"]["violence"]
    assert judged["category_applied_input_types"]["violence"] == ["text", "image"]
    assert judged["category_applied_input_types"]["hate"] == ["text"]


def test_a_transcript_depends_on_the_recording() -> None:
    text = only(TranscriptProduced, TranscriptionRequest(RECORDING)).transcript["text"]
    other = only(TranscriptProduced, TranscriptionRequest(Upload(wav(5), "a", "audio/wav"))).transcript["text"]

    assert text.startswith("This recording lasts 3 seconds.")
    assert other.startswith("This recording lasts 5 seconds.")


def test_what_is_streamed_is_what_is_not() -> None:
    deltas = [
        event.text for event in played(TranscriptionRequest(RECORDING, stream=True)) if isinstance(event, TextDelta)
    ]

    assert "".join(deltas) == only(TranscriptProduced, TranscriptionRequest(RECORDING)).transcript["text"]


def test_transcripts_with_times_and_speakers() -> None:
    verbose = TranscriptionRequest(RECORDING, format="verbose_json", granularities=("word",))
    transcript = only(TranscriptProduced, verbose).transcript

    assert transcript["duration"] == transcript["segments"][-1]["end"] == transcript["words"][-1]["end"] == 3
    assert "".join(each["text"] for each in transcript["segments"]) == transcript["text"]
    assert usage_of(verbose) == Usage(0, 0, units=Units(audio_seconds=3))

    spoken = played(TranscriptionRequest(RECORDING, format="diarized_json", stream=True))
    assert [event.segment["speaker"] for event in spoken if isinstance(event, SegmentProduced)] == ["A", "B"]


def sound_of(request: SpeechRequest) -> bytes:
    return b"".join(event.content for event in played(request) if isinstance(event, AudioProduced))


def test_speech_is_a_file_whose_length_follows_the_words() -> None:
    with wave.open(io.BytesIO(sound_of(SpeechRequest("one two three", "v")))) as opened:
        assert opened.getframerate() == 24_000
        assert opened.getnframes() == 3 * 2_400
        samples = opened.readframes(7_200)

    assert samples == sound_of(SpeechRequest("one two three", "v", format="pcm"))
    assert len(set(samples)) > 50  # no silence


def test_speech_says_what_it_is() -> None:
    assert only(AudioStarted, SpeechRequest("x", "v")).media_type == "audio/wav"
    assert only(AudioStarted, SpeechRequest("x", "v", format="pcm")).media_type == "audio/pcm"


def test_pictures_are_files_of_a_colour_that_the_description_chooses() -> None:
    one, two = only(ImagesProduced, ImageRequest("generate", "a cat", n=2)).data
    other = only(ImagesProduced, ImageRequest("generate", "a dog")).data[0]

    picture = base64.b64decode(one["b64_json"])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    start = picture.index(b"IDAT")
    assert len(zlib.decompress(picture[start + 4 : -16])) == 16 * (1 + 3 * 16)
    assert len({each["b64_json"] for each in (one, two, other)}) == 3


def test_pictures_by_their_address() -> None:
    (data,) = only(ImagesProduced, ImageRequest("generate", "x", parameters={"response_format": "url"})).data

    assert data["url"].startswith("https://pictures.invalid/")


def test_steps_come_only_in_streams() -> None:
    def steps(**fields: Any) -> int:
        asked = ImageRequest("generate", "x", partial_images=2, **fields)
        return sum(isinstance(event, PartialImageProduced) for event in played(asked))

    assert (steps(stream=True), steps()) == (2, 0)


# --- in process ---------------------------------------------------------------------------------------


async def answered(model: str, request: MediaRequest) -> list[Event]:
    return [event async for batch in ScriptedProvider().answer(request, model) for event in batch]


async def test_models_may_have_any_name() -> None:
    assert await answered("whisper-1", TranscriptionRequest(RECORDING)) == played(TranscriptionRequest(RECORDING))


@pytest.mark.parametrize("asked", REQUESTS)
async def test_they_fail_as_chats_do(asked: MediaRequest) -> None:
    with pytest.raises(ProviderError) as failed:
        await answered("error-503", asked)
    with pytest.raises(BadRequest):
        await answered("error-400", asked)
    with pytest.raises(ProviderError):
        await answered("break-1", asked)

    assert failed.value.upstream_status == 503


async def test_a_break_comes_after_as_many_pieces() -> None:
    seen: list[Event] = []

    async def listen() -> None:
        async for batch in ScriptedProvider().answer(SpeechRequest("one two three", "v"), "break-2"):
            seen.extend(batch)

    with pytest.raises(ProviderError):
        await listen()

    assert sum(isinstance(event, AudioProduced) for event in seen) == 2
