"""Speech: what is read of a request, and how sound is sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, ProviderError, Unprocessable
from frontdesk.turn.events import (
    AudioProduced,
    AudioStarted,
    Event,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import SpeechRequest
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_speech import SpeechSound, SpeechStream, read_speech
from tests.fakes import HandClock


def read(**fields: Any) -> SpeechRequest:
    return read_speech(json.dumps({"input": "say it", "voice": "alloy", **fields}).encode()).request


def a_turn() -> Turn:
    return Turn("speech", Caller("server", "k"), "voice", SpeechRequest("say it", "alloy"), HandClock())


def test_the_least() -> None:
    assert read() == SpeechRequest("say it", "alloy")


def test_everything_that_openai_knows() -> None:
    asked = read(
        model="m",
        voice={"id": "voice_1"},
        instructions="softly",
        response_format="pcm",
        speed=1.5,
        stream_format="sse",
        vendor=1,
    )

    assert asked == SpeechRequest(
        "say it",
        {"id": "voice_1"},
        format="pcm",
        instructions="softly",
        stream=True,
        parameters={"speed": 1.5, "vendor": 1},
    )


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": None}, "input", "invalid_type"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": "x" * 4097}, "input", "invalid_value"),
        ({"voice": 1}, "voice", "invalid_type"),
        ({"voice": {"id": "x", "name": "y"}}, "voice.name", "unsupported_parameter"),
        ({"response_format": "midi"}, "response_format", "invalid_value"),
        ({"speed": 5}, "speed", "invalid_value"),
        ({"stream_format": "ws"}, "stream_format", "invalid_value"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**fields)

    assert (refused.value.param, refused.value.code) == (param, code)


def test_sound_is_what_the_provider_says_and_goes_through_byte_by_byte() -> None:
    sound = SpeechSound()

    sent = sound.render([AudioStarted("audio/mpeg"), AudioProduced(b"\xff"), AudioProduced(b"\xfb")])

    assert (sent, sound.content_type) == (b"\xff\xfb", "audio/mpeg")
    assert sound.render([TurnCompleted()]) == b""


def events(*batches: list[Event]) -> list[dict[str, Any]]:
    stream = SpeechStream(a_turn())
    frames = b"".join(stream.render(batch) for batch in batches).decode()
    return [json.loads(frame.removeprefix("data: ")) for frame in frames.removesuffix("\n\n").split("\n\n")]


def test_pieces_of_sound_then_what_they_took() -> None:
    seen = events(
        [AudioStarted("audio/mpeg"), AudioProduced(b"one")],
        [AudioProduced(b"two"), UsageReported(Usage(3, 40)), TurnCompleted()],
    )

    assert [base64.b64decode(event["audio"]) for event in seen[:2]] == [b"one", b"two"]
    assert seen[2] == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43},
    }


def test_the_last_event_always_tells_what_it_took() -> None:
    (done,) = events([TurnCompleted()])

    assert done["usage"]["output_tokens"] == 9  # 1.5 for each of 6 characters
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + 9


def test_what_a_rule_withholds_is_an_error() -> None:
    last: list[Event] = [TurnIncomplete("content_filter")]

    for renderer in (SpeechSound(), SpeechStream(a_turn())):
        with pytest.raises(Unprocessable):
            renderer.render(last)


def test_an_error_inside_of_a_stream_is_one_that_clients_raise() -> None:
    said = json.loads(SpeechStream(a_turn()).render_error(ProviderError("x")).removeprefix(b"data: "))

    assert said["error"]["code"] == "provider_error"
