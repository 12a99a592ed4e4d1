"""What is no chat passes the same guards, on its way out and on its way back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from frontdesk.core.errors import BadRequest, Unprocessable
from frontdesk.guards.credentials import MASK, CredentialGuard
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import (
    AudioProduced,
    AudioStarted,
    Event,
    ImagesProduced,
    ItemFinished,
    ModerationsProduced,
    PartialImageProduced,
    SegmentProduced,
    TextDelta,
    TranscriptProduced,
    TurnCompleted,
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
from frontdesk.turn.outgoing import Outgoing
from frontdesk.turn.run import Line, run_turn
from frontdesk.turn.screening import screened_request
from frontdesk.turn.sinks import BodySink, StreamSink
from frontdesk.turn.turn import Caller, Door, Turn
from frontdesk.wire.openai_transcripts import TranscriptBody, TranscriptStream
from tests.fakes import HandClock, ListSink, PlayedProvider
from tests.wire.forms import WAV

KEY = "sk-proj-" + "Ab1_" * 10
SECRET = msgspec.structs.replace(WAV, filename=f"{KEY}.wav")


def a_turn(request: MediaRequest, door: Door = "transcriptions") -> Turn:
    return Turn(door, Caller("server", "k"), "m", request, HandClock())


async def sent(*events: Event, request: MediaRequest | None = None) -> list[Event]:
    """What a reader gets of an answer."""
    sink = ListSink()
    turn = a_turn(TranscriptionRequest(WAV) if request is None else request)
    await Outgoing(turn, [CredentialGuard("mask")], sink, lambda: None).push([*events])
    return sink.events


# --- on its way out -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        ModerationRequest([f"my key {KEY}"]),
        ModerationRequest([Text(f"my key {KEY}"), Image("data:image/png;base64,AA==")]),
        ModerationRequest(["x"], parameters={"vendor": {"deep": [KEY]}}),
        TranscriptionRequest(SECRET),
        TranscriptionRequest(WAV, prompt=KEY, parameters={"known_speaker_names": [KEY]}),
        SpeechRequest(KEY, "v"),
        SpeechRequest("x", "v", instructions=KEY),
        ImageRequest("generate", KEY),
        ImageRequest("edit", "x", (SECRET,), SECRET),
        ImageRequest("vary", images=(SECRET,), parameters={"user": KEY}),
        ImageRequest("vary", images=(msgspec.structs.replace(WAV, media_type=f"audio/{KEY}"),)),
        ImageRequest("generate", "x", size=KEY),
        ImageRequest("generate", "x", quality=KEY),
        ImageRequest("generate", "x", parameters={"user": f"data: {KEY}"}),
        TranscriptionRequest(WAV, language=KEY),
        SpeechRequest("x", KEY),
        SpeechRequest("x", {"id": KEY}),
    ],
)
def test_every_text_of_a_request_is_seen(asked: MediaRequest) -> None:
    screened = screened_request(asked, lambda text: text.replace(KEY, MASK))

    assert KEY in repr(asked)
    assert KEY not in repr(screened)
    assert MASK in repr(screened)


@pytest.mark.parametrize(
    "asked",
    [
        TranscriptionRequest(Upload(KEY.encode(), "a.wav", "audio/wav")),
        ImageRequest("vary", images=(Upload(KEY.encode(), "a.png", "image/png"),)),
        ModerationRequest([Image(f"data:text/plain,{KEY}")]),
        TranscriptionRequest(WAV, parameters={"known_speaker_references": [f"data:audio/wav;base64,{KEY}"]}),
    ],
)
def test_sound_and_pictures_pass(asked: MediaRequest) -> None:
    assert screened_request(asked, lambda text: text.replace(KEY, MASK)) == asked


async def test_what_is_refused_reaches_no_provider() -> None:
    provider, sink = PlayedProvider([[TurnCompleted()]]), ListSink()
    turn = a_turn(SpeechRequest(KEY, "v"), "speech")

    await run_turn(
        turn, Line([], [CredentialGuard("refuse")], FallbackRouter({"m": [Route("one", provider, "m")]})), sink
    )

    assert isinstance(sink.error, BadRequest)
    assert provider.asked == []


# --- on its way back ------------------------------------------------------------------------------------


async def test_texts_that_are_told_at_once_are_masked() -> None:
    (judged, _) = await sent(ModerationsProduced([{"flagged": True, "why": KEY}]), TurnCompleted())
    (drawn, _) = await sent(ImagesProduced([{"b64_json": KEY, "revised_prompt": KEY}], {"size": KEY}), TurnCompleted())
    (spoken, _, _) = await sent(
        SegmentProduced({"text": KEY, "speaker": KEY}), TranscriptProduced({"text": "x"}), TurnCompleted()
    )

    assert judged == ModerationsProduced([{"flagged": True, "why": MASK}])
    assert drawn == ImagesProduced([{"b64_json": KEY, "revised_prompt": MASK}], {"size": MASK})  # bytes are no text
    assert spoken == SegmentProduced({"text": MASK, "speaker": MASK})


async def test_no_text_of_an_answer_is_taken_for_a_file() -> None:
    said = f"data:audio/wav;base64,{KEY}"
    (heard, _) = await sent(TranscriptProduced({"text": said}), TurnCompleted())
    (judged, _) = await sent(ModerationsProduced([{"flagged": True, "why": said}]), TurnCompleted())

    assert KEY not in repr((heard, judged))


async def test_what_is_told_of_a_picture_on_the_way_is_masked() -> None:
    (step, _) = await sent(PartialImageProduced({"b64_json": KEY, "revised_prompt": KEY}), TurnCompleted())

    assert step == PartialImageProduced({"b64_json": KEY, "revised_prompt": MASK})


async def test_segments_wait_for_the_text_that_they_are_of() -> None:
    """A piece alone may look harmless, and what has left cannot be called back."""
    pieces = [SegmentProduced({"text": "the key sk-proj-"}), SegmentProduced({"text": "Ab1_" * 10})]

    masked = await sent(*pieces, TranscriptProduced({"text": f"the key {KEY}"}), TurnCompleted())
    harmless = await sent(*pieces, TranscriptProduced({"text": "no key"}), TurnCompleted())
    unsaid = await sent(*pieces, TurnCompleted())

    assert masked == [TranscriptProduced({"text": f"the key {MASK}"}), TurnCompleted()]
    assert harmless == [*pieces, TranscriptProduced({"text": "no key"}), TurnCompleted()]
    assert unsaid == [TurnCompleted()]


async def test_what_tells_a_masked_transcript_in_pieces_is_left_out() -> None:
    pieces = [{"word": piece, "start": 0, "end": 1} for piece in ("sk-proj-", "Ab1_" * 10)]
    transcript = {"text": f"the key {KEY}", "duration": 1, "words": pieces, "logprobs": [{"token": "sk-proj-"}]}

    (told, _) = await sent(
        TranscriptProduced({**transcript, "segments": [{"text": "the key sk-proj-"}]}), TurnCompleted()
    )

    assert told == TranscriptProduced({"text": f"the key {MASK}", "duration": 1})


async def test_a_harmless_transcript_is_told_whole() -> None:
    transcript = {"text": "no key", "words": [{"word": "no", "start": 0, "end": 1}], "logprobs": [{"token": "no"}]}

    assert await sent(TranscriptProduced(transcript), TurnCompleted()) == [
        TranscriptProduced(transcript),
        TurnCompleted(),
    ]


@pytest.mark.parametrize("cut", range(1, len(KEY)))
async def test_a_key_over_two_deltas_is_masked(cut: int) -> None:
    events = await sent(
        TextDelta(0, KEY[:cut]),
        TextDelta(0, f"{KEY[cut:]} end"),
        ItemFinished(0),
        TranscriptProduced({"text": f"{KEY} end"}),
    )

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == f"{MASK} end"
    assert KEY not in repr(events)


async def test_sound_passes_byte_by_byte() -> None:
    events: list[Event] = [AudioStarted("audio/mpeg"), AudioProduced(KEY.encode()), TurnCompleted()]

    assert await sent(*events, request=SpeechRequest("x", "v")) == events


async def test_an_answer_that_is_withheld_is_an_error_and_settled() -> None:
    sent_: list[dict[str, Any]] = []
    settled: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        sent_.append(message)

    request = TranscriptionRequest(WAV)
    turn = a_turn(request)
    outgoing = Outgoing(
        turn,
        [CredentialGuard("refuse")],
        BodySink(TranscriptBody(request), send, []),
        lambda: settled.append(turn.status),
    )
    with pytest.raises(Unprocessable) as withheld:
        await outgoing.push([TranscriptProduced({"text": KEY}), TurnCompleted()])
    await outgoing.fail(withheld.value, "refused")

    assert settled == ["incomplete"]
    assert sent_[0]["status"] == 422
    assert json.loads(sent_[1]["body"])["error"]["code"] == "content_filter"


async def test_a_transcript_longer_than_any_could_be_is_ended() -> None:
    class Plenty:
        def cover(self, route: str) -> bool:
            return True

    async def ignore(message: dict[str, Any]) -> None:
        pass

    provider = PlayedProvider([[TextDelta(0, "x" * 5_000)] for _ in range(10)])
    turn = a_turn(TranscriptionRequest(WAV, stream=True))
    turn.funds = Plenty()

    await run_turn(
        turn,
        Line([], [], FallbackRouter({"m": [Route("one", provider, "m")]})),
        StreamSink(TranscriptStream(), ignore, []),
    )

    assert turn.status == "incomplete"
    assert turn.answered_chars < 15_000  # 16 tokens for its second and 256, of 8 characters, and some slack
    assert provider.open_answers == 0


async def test_the_characters_of_a_transcript_are_counted_once() -> None:
    whole, pieces = a_turn(TranscriptionRequest(WAV)), a_turn(TranscriptionRequest(WAV))

    await Outgoing(whole, [], ListSink(), lambda: None).push([TranscriptProduced({"text": "12345"}), TurnCompleted()])
    await Outgoing(pieces, [], ListSink(), lambda: None).push(
        [TextDelta(0, "12345"), TranscriptProduced({"text": "12345"}), TurnCompleted()]
    )

    assert (whole.answered_chars, pieces.answered_chars) == (5, 5)
