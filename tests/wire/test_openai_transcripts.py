"""Transcriptions and translations: what is read of a form, and what is answered in which shape."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from frontdesk.core.errors import BadRequest, ProviderError, Unprocessable
from frontdesk.core.money import Units
from frontdesk.turn.events import (
    Event,
    ItemFinished,
    SegmentProduced,
    TextDelta,
    TranscriptProduced,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import TranscriptFormat, TranscriptionRequest
from frontdesk.wire.openai_transcripts import (
    TranscriptBody,
    TranscriptStream,
    TranscriptText,
    read_transcription,
    read_translation,
)
from tests.wire.forms import WAV, a_form

TOKENS = UsageReported(Usage(20, 4, audio_input_tokens=14))
SECONDS = UsageReported(Usage(0, 0, units=Units(audio_seconds=7)))
SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 3.32, "text": " One two."},
    {"id": 1, "start": 3.32, "end": 3661.5, "text": " three\n\n--> four"},
]
VERBOSE: dict[str, Any] = {"text": "One two. three", "language": "english", "duration": 3661.5, "segments": SEGMENTS}


# --- requests -------------------------------------------------------------------------------------


def test_a_recording_alone() -> None:
    asked = read_transcription(*a_form(file=WAV, model="ears"))

    assert asked.model == "ears"
    assert asked.request == TranscriptionRequest(WAV)


def test_everything_that_openai_knows() -> None:
    asked = read_transcription(
        *a_form(
            file=WAV,
            language="de",
            prompt="Namen",
            response_format="verbose_json",
            temperature="0.2",
            timestamp_granularities=["word", "segment"],
            include=["logprobs"],
            stream="true",
            chunking_strategy={"type": "server_vad", "threshold": "0.5"},
            known_speaker_names=["a", "b"],
            known_speaker_references=["data:audio/wav;base64,AA==", "data:audio/wav;base64,AA=="],
            vendor_says="x",
        )
    )

    assert asked.model is None
    assert asked.request == TranscriptionRequest(
        WAV,
        format="verbose_json",
        language="de",
        prompt="Namen",
        granularities=("word", "segment"),
        include=("logprobs",),
        stream=True,
        parameters={
            "temperature": 0.2,
            "chunking_strategy": {"type": "server_vad", "threshold": "0.5"},
            "known_speaker_names": ["a", "b"],
            "known_speaker_references": ["data:audio/wav;base64,AA==", "data:audio/wav;base64,AA=="],
            "vendor_says": "x",
        },
    )


def test_a_translation() -> None:
    asked = read_translation(*a_form(file=WAV, prompt="p", response_format="vtt", temperature="1", language="de"))

    assert asked.request == TranscriptionRequest(
        WAV, task="translate", format="vtt", prompt="p", parameters={"temperature": 1.0, "language": "de"}
    )


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "file", "missing_required_parameter"),
        ({"file": WAV, "response_format": "xml"}, "response_format", "invalid_value"),
        ({"file": WAV, "temperature": "2"}, "temperature", "invalid_value"),
        ({"file": WAV, "temperature": "warm"}, "temperature", "invalid_type"),
        ({"file": WAV, "timestamp_granularities": ["letter"]}, "timestamp_granularities[0]", "invalid_value"),
        ({"file": WAV, "include": ["thoughts"]}, "include[0]", "invalid_value"),
        ({"file": WAV, "known_speaker_names": list("abcde")}, "known_speaker_names", "invalid_value"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_transcription(*a_form(**fields))

    assert (refused.value.param, refused.value.code) == (param, code)


def test_translations_know_no_speakers() -> None:
    with pytest.raises(BadRequest) as refused:
        read_translation(*a_form(file=WAV, response_format="diarized_json"))

    assert refused.value.param == "response_format"


# --- answers in one piece -----------------------------------------------------------------------------


def body(form: TranscriptFormat, *events: Event) -> dict[str, Any]:
    rendered = TranscriptBody(TranscriptionRequest(WAV, format=form))
    rendered.add([*events, TurnCompleted()])
    return msgspec.json.decode(rendered.body())


def text(form: TranscriptFormat, transcript: dict[str, Any]) -> str:
    return TranscriptText(form).render([TranscriptProduced(transcript), SECONDS, TurnCompleted()]).decode()


def test_json_has_the_text_and_what_it_took() -> None:
    said = {**VERBOSE, "logprobs": []}

    assert body("json", TranscriptProduced(said), TOKENS) == {
        "text": "One two. three",
        "logprobs": [],
        "usage": {
            "type": "tokens",
            "input_tokens": 20,
            "output_tokens": 4,
            "total_tokens": 24,
            "input_token_details": {"text_tokens": 6, "audio_tokens": 14},
        },
    }


def test_verbose_json_has_all_that_the_provider_said() -> None:
    assert body("verbose_json", TranscriptProduced(VERBOSE), SECONDS) == {
        **VERBOSE,
        "usage": {"type": "duration", "seconds": 7},
    }


def test_usage_that_nobody_told_is_not_made_up() -> None:
    assert body("json", TranscriptProduced({"text": "x"})) == {"text": "x"}


def test_plain_text() -> None:
    assert text("text", VERBOSE) == "One two. three\n"


def test_subtitles() -> None:
    assert text("srt", VERBOSE) == (
        "1\n00:00:00,000 --> 00:00:03,320\nOne two.\n\n2\n00:00:03,320 --> 01:01:01,500\nthree -> four\n\n"
    )
    assert text("vtt", VERBOSE) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.320\nOne two.\n\n00:00:03.320 --> 01:01:01.500\nthree -> four\n\n"
    )


def test_subtitles_without_segments_are_one() -> None:
    assert text("srt", {"text": "x", "duration": 2}) == "1\n00:00:00,000 --> 00:00:02,000\nx\n\n"
    assert text("vtt", {"text": "x"}) == "WEBVTT\n\n00:00:00.000 --> 00:00:00.000\nx\n\n"


@pytest.mark.parametrize("odd", [None, "x", -1, float("inf"), float("nan"), True])
def test_times_that_are_none_are_nothing(odd: Any) -> None:
    segments = [{"start": odd, "end": odd, "text": "x"}, odd]

    assert text("srt", {"text": "x", "segments": segments}).startswith("1\n00:00:0")


# --- answers in events ------------------------------------------------------------------------------------


def events(*batches: list[Event]) -> list[dict[str, Any]]:
    stream = TranscriptStream()
    frames = b"".join(stream.render(batch) for batch in batches).decode()
    assert frames.endswith("\n\n")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames.removesuffix("\n\n").split("\n\n")]


def test_deltas_then_all_of_the_text() -> None:
    seen = events(
        [TextDelta(0, "One"), TextDelta(0, " two", [{"token": " two"}])],
        [ItemFinished(0), TranscriptProduced({"text": "not this", "logprobs": [1]}), TOKENS, TurnCompleted()],
    )

    assert [event["type"] for event in seen] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert seen[1] == {"type": "transcript.text.delta", "delta": " two", "logprobs": [{"token": " two"}]}
    assert (seen[2]["text"], seen[2]["logprobs"]) == ("One two", [1])
    assert seen[2]["usage"]["type"] == "tokens"


def test_an_answer_in_one_piece_is_streamed_all_the_same() -> None:
    seen = events([TranscriptProduced({"text": "One two"}), SECONDS, TurnCompleted()])

    assert seen == [
        {"type": "transcript.text.delta", "delta": "One two"},
        {"type": "transcript.text.done", "text": "One two"},  # OpenAI's has no place for seconds
    ]


def test_who_says_what() -> None:
    segment = {"id": "seg_1", "start": 0.0, "end": 1.0, "text": "x", "speaker": "A"}

    assert events([SegmentProduced(segment)]) == [{"type": "transcript.text.segment", **segment}]


def test_an_error_inside_of_a_stream_is_one_that_clients_raise() -> None:
    said = json.loads(TranscriptStream().render_error(ProviderError("x")).removeprefix(b"data: "))

    assert said["error"]["code"] == "provider_error"


def test_what_a_rule_withholds_is_an_error() -> None:
    last: list[Event] = [TurnIncomplete("content_filter")]

    for withheld in (
        lambda: TranscriptBody(TranscriptionRequest(WAV)).add(last),
        lambda: TranscriptText("srt").render(last),
        lambda: TranscriptStream().render(last),
    ):
        with pytest.raises(Unprocessable):
            withheld()
