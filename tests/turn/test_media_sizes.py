"""What requests that are no chat can come to: what is counted is never more than what was put aside."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.money import Units
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
from frontdesk.turn.media_sizes import units_about, units_at_most, written_about, written_at_most
from frontdesk.turn.sizes import measure
from tests.turn.test_recordings import wav

FILES = st.builds(Upload, st.binary(max_size=5000), st.just("f"), st.just("audio/x-any"))
REQUESTS: st.SearchStrategy[MediaRequest] = st.one_of(
    st.builds(ModerationRequest, st.lists(st.text(), min_size=1)),
    st.builds(TranscriptionRequest, FILES, prompt=st.none() | st.text()),
    st.builds(SpeechRequest, st.text(min_size=1), st.just("v"), instructions=st.none() | st.text()),
    st.builds(
        ImageRequest,
        st.just("generate"),
        st.text(),
        n=st.integers(1, 10),
        quality=st.sampled_from([None, "low", "medium", "high", "hd", "auto", "xhigh", "max"]),
        size=st.sampled_from([None, "auto", "1024x1024", "3840x2160", "99999x99999", "0x0", "huge"]),
        partial_images=st.integers(0, 3),
    ),
)


@given(REQUESTS, st.integers(0, 10**7))
def test_what_is_counted_lies_within_the_bound(asked: MediaRequest, answered_chars: int) -> None:
    about, most = units_about(asked), units_at_most(asked)
    size = measure(asked)

    assert written_about(asked, answered_chars) <= written_at_most(asked)
    assert all(getattr(about, name) <= getattr(most, name) for name in Units.__struct_fields__)
    assert size.estimate <= size.bound


def recording(seconds: int) -> Upload:
    return Upload(wav(seconds), "a.wav", "audio/wav")


@pytest.mark.parametrize(
    ("asked", "units", "written"),
    [
        (ModerationRequest(["x"]), Units(), 0),
        (TranscriptionRequest(recording(9)), Units(audio_seconds=9), 256 + 16 * 9),
        (SpeechRequest("x" * 100, "v"), Units(characters=100), 1_024 + 800),
        (ImageRequest("generate", "x", n=3), Units(images=3), 3 * 16_384),
        (ImageRequest("generate", "x", n=2, partial_images=1), Units(images=2), 2 * (16_384 + 1_024)),
        (ImageRequest("generate", "x", size="2048x2048", quality="high"), Units(images=1), 2 * 4 * 4_160),
        (ImageRequest("generate", "x", size="1024x1024", quality="max"), Units(images=1), 2 * 16_640),
        (ImageRequest("generate", "x", parameters={"output_format": "gif"}), Units(images=1), 9 * 16_384),
        (ImageRequest("generate", "x", parameters={"frame_count": 16}), Units(images=1), 16 * 16_384),
    ],
    ids=["judgement", "transcript", "speech", "pictures", "steps", "large", "fine", "moving", "many frames"],
)
def test_the_most_that_they_come_to(asked: MediaRequest, units: Units, written: int) -> None:
    assert (units_at_most(asked), written_at_most(asked)) == (units, written)


@pytest.mark.parametrize(
    ("more", "least"),
    [
        ({"audio": recording(10)}, 10 * 32),
        ({"prompt": "x" * 500}, 500),
        ({"parameters": {"known_speaker_names": ["x" * 700]}}, 700),
    ],
)
def test_all_of_a_recordings_request_is_bounded(more: dict[str, Any], least: int) -> None:
    plain = TranscriptionRequest(recording(0))

    assert measure(TranscriptionRequest(**{"audio": plain.audio, **more})).bound >= measure(plain).bound + least


def test_texts_and_pictures_are_measured_as_those_of_chats() -> None:
    assert measure(ModerationRequest(["x" * 300])).estimate == 100
    assert measure(ModerationRequest([Text("x"), Image("data:image/png;base64,AA==")])).bound > 40_000
    assert measure(ImageRequest("edit", "x", (recording(0), recording(0)))).bound > 2 * 40_000
    assert measure(SpeechRequest("x" * 30, "v", instructions="y" * 30)).estimate == 20
