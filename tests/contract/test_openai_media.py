"""The official OpenAI client, strict, finds nothing to object to in what is no chat."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.contract.conftest import begin_session, strict_client
from tests.serving import ADMIN_KEY, Served
from tests.turn.test_recordings import wav

RECORDING = ("a.wav", wav(4), "audio/wav")
TEXT = "This recording lasts 4 seconds. It sounds like "
PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
async def asynchronous(served: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{served.url}/v1", api_key=ADMIN_KEY, max_retries=0, _strict_response_validation=True, timeout=30
    ) as opened:
        yield opened


# --- judgements -----------------------------------------------------------------------------------


def test_judgements_one_by_one(client: OpenAI) -> None:
    answer = client.moderations.create(model="judge", input=["I hate this", "fine"])

    assert [each.flagged for each in answer.results] == [True, False]
    assert answer.results[0].categories.hate
    assert answer.model == "judge"


def test_judgements_of_words_and_pictures_together(client: OpenAI) -> None:
    answer = client.moderations.create(
        model="judge",
        input=[{"type": "text", "text": "kill it"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
    )

    assert [each.categories.violence for each in answer.results] == [True]


def test_without_a_model_the_first_of_the_kind_answers(client: OpenAI) -> None:
    assert client.moderations.create(input="x").model == "judge"
    assert client.images.generate(prompt="x").data


async def test_judgements_asynchronously(asynchronous: AsyncOpenAI) -> None:
    assert not (await asynchronous.moderations.create(model="judge", input="fine")).results[0].flagged


# --- recordings -------------------------------------------------------------------------------------


def test_a_transcript(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(model="ears", file=RECORDING, language="en", prompt="names")

    assert answer.text.startswith(TEXT)
    assert answer.usage is not None
    assert answer.usage.type == "tokens"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_a_transcript_with_times(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        model="ears", file=RECORDING, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )

    assert answer.duration == 4
    assert answer.segments is not None
    assert answer.words is not None
    assert answer.segments[-1].end == answer.words[-1].end == 4
    assert answer.usage is not None
    assert answer.usage.seconds == 4


def test_a_transcript_with_speakers(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        model="ears", file=RECORDING, response_format="diarized_json", chunking_strategy="auto"
    )

    assert [each.speaker for each in answer.segments] == ["A", "B"]


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("text", TEXT),
        ("srt", "1\n00:00:00,000 --> 00:00:02,000\nThis"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n"),
    ],
)
def test_a_transcript_as_text(client: OpenAI, form: Any, begins: str) -> None:
    assert client.audio.transcriptions.create(model="ears", file=RECORDING, response_format=form).startswith(begins)


def test_a_transcript_streamed_equals_one_that_is_not(client: OpenAI) -> None:
    whole = client.audio.transcriptions.create(model="ears", file=RECORDING)
    events: list[Any] = list(client.audio.transcriptions.create(model="ears", file=RECORDING, stream=True))

    assert "".join(event.delta for event in events[:-1]) == events[-1].text == whole.text
    assert events[-1].usage.total_tokens == whole.usage.total_tokens  # type: ignore[union-attr]


def test_speakers_streamed(client: OpenAI) -> None:
    events = client.audio.transcriptions.create(
        model="ears", file=RECORDING, response_format="diarized_json", stream=True
    )

    assert [event.speaker for event in events if event.type == "transcript.text.segment"] == ["A", "B"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # by OpenAI; other servers have it
def test_a_translation(client: OpenAI) -> None:
    assert client.audio.translations.create(model="ears", file=RECORDING).text.startswith(TEXT)
    verbose = client.audio.translations.create(model="ears", file=RECORDING, response_format="verbose_json")
    assert verbose.duration == 4


async def test_a_transcript_asynchronously(asynchronous: AsyncOpenAI) -> None:
    whole = await asynchronous.audio.transcriptions.create(model="ears", file=RECORDING)
    stream = await asynchronous.audio.transcriptions.create(model="ears", file=RECORDING, stream=True)

    assert [event async for event in stream][-1].text == whole.text  # type: ignore[union-attr]


# --- speech -----------------------------------------------------------------------------------------


def test_speech_is_a_file_that_plays(client: OpenAI) -> None:
    answer = client.audio.speech.create(model="voice", voice="alloy", input="one two three", response_format="wav")

    with wave.open(io.BytesIO(answer.content)) as opened:
        assert opened.getnframes() == 3 * 2_400


def test_speech_as_it_comes(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="voice", voice={"id": "voice_1"}, input="one two", response_format="pcm", speed=1.25
    ) as answer:
        sound = b"".join(answer.iter_bytes())

    assert answer.headers["content-type"] == "audio/pcm"
    assert len(sound) == 2 * 2 * 2_400


def test_speech_in_events(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="voice", voice="alloy", input="one two", stream_format="sse", instructions="softly"
    ) as answer:
        lines = [line for line in answer.iter_lines() if line]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(lines) == 3
    assert '"speech.audio.done"' in lines[-1]


async def test_speech_asynchronously(asynchronous: AsyncOpenAI) -> None:
    answer = await asynchronous.audio.speech.create(model="voice", voice="alloy", input="one", response_format="pcm")

    assert len(answer.content) == 2 * 2_400


# --- pictures ---------------------------------------------------------------------------------------------


def png(data: Any) -> bytes:
    return base64.b64decode(data.b64_json)


def test_pictures(client: OpenAI) -> None:
    answer = client.images.generate(model="brush", prompt="a cat", n=2, size="1024x1024", quality="high")

    assert answer.data is not None
    assert [png(each)[:4] for each in answer.data] == [b"\x89PNG"] * 2
    assert (answer.size, answer.quality) == ("1024x1024", "high")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 2


def test_pictures_by_their_address(client: OpenAI) -> None:
    answer = client.images.generate(model="brush", prompt="a cat", response_format="url")

    assert answer.data is not None
    assert answer.data[0].url is not None


def test_pictures_with_steps_on_the_way(client: OpenAI) -> None:
    events = list(client.images.generate(model="brush", prompt="a cat", stream=True, partial_images=2))

    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert png(events[-1])[:4] == b"\x89PNG"


def test_pictures_out_of_others(client: OpenAI) -> None:
    picture = ("a.png", b"\x89PNG-some", "image/png")

    answer = client.images.edit(model="brush", prompt="a hat", image=[picture, picture], mask=picture, n=1)
    events = list(client.images.edit(model="brush", prompt="a hat", image=picture, stream=True, partial_images=1))

    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 3 * 85
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # by OpenAI; other servers have it
def test_pictures_like_one(client: OpenAI) -> None:
    like = client.images.create_variation(model="brush", image=("a.png", b"\x89PNG-some", "image/png"), n=2)

    assert like.data is not None
    assert len(like.data) == 2


async def test_pictures_asynchronously(asynchronous: AsyncOpenAI) -> None:
    stream = await asynchronous.images.generate(model="brush", prompt="a cat", stream=True, partial_images=1)

    assert [event.type async for event in stream][-1] == "image_generation.completed"


# --- refusals ---------------------------------------------------------------------------------------------


def test_a_model_of_another_kind(client: OpenAI) -> None:
    for ask in (
        lambda: client.moderations.create(model="fast", input="x"),
        lambda: client.audio.speech.create(model="ears", voice="alloy", input="x"),
        lambda: client.audio.transcriptions.create(model="voice", file=RECORDING),
        lambda: client.images.generate(model="judge", prompt="x"),
        lambda: client.chat.completions.create(model="brush", messages=[{"role": "user", "content": "x"}]),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        assert refused.value.code == "wrong_model_kind"


def test_a_form_without_its_file(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model="ears", file=("a.wav", b"", "audio/wav"))

    assert refused.value.param == "file"


def test_a_person_has_the_models_of_their_tier_alone(served: Served) -> None:
    free = strict_client(served, begin_session(served, user="listener", tier="free")["token"])
    paid = strict_client(served, begin_session(served, user="listener2", tier="paid")["token"])

    with free, pytest.raises(openai.NotFoundError):
        free.audio.transcriptions.create(model="ears", file=RECORDING)
    with paid:
        assert paid.audio.transcriptions.create(model="ears", file=RECORDING).text.startswith(TEXT)
