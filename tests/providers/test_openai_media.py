"""OpenAI's endpoints that are no chat: what is asked of a provider, and what its bytes become."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.core.money import Units
from frontdesk.providers.azure import open_azure
from frontdesk.providers.bodies import Decoder
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.providers.openai_media import (
    ImageStreamDecoder,
    SpeechStreamDecoder,
    TranscriptStreamDecoder,
    decode_images,
    decode_moderations,
    decode_transcript,
    media_type_of,
)
from frontdesk.providers.profiles import OPENAI
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
from frontdesk.wire.multipart import read_parts
from tests.fakes import HandClock
from tests.providers import recorded_media as recorded
from tests.wire.forms import PNG, WAV

KEY = "sk-test-very-secret"
SPEECH = SpeechRequest("Hello there", "alloy")


# --- streams, cut anywhere --------------------------------------------------------------------------


HEARD = Usage(14, 31, audio_input_tokens=10, raw=recorded.HEARD)
SPOKEN = Usage(14, 101, audio_output_tokens=101, raw=recorded.SPOKEN, units=Units(characters=11))
DRAWN = Usage(50, 272, image_input_tokens=40, image_output_tokens=272, raw=recorded.DRAWN, units=Units(images=1))
SEGMENT = {"id": "s1", "start": 0, "end": 1.5, "text": "Grüße", "speaker": "A"}
STREAMS: list[Any] = [
    pytest.param(
        recorded.TRANSCRIPT,
        TranscriptStreamDecoder,
        [
            TextDelta(0, "Grüße", [{"token": "Gr", "logprob": -0.1}]),
            SegmentProduced(SEGMENT),
            TextDelta(0, ", 世界 🛎️"),
            ItemFinished(0),
            TranscriptProduced({"text": "Grüße, 世界 🛎️", "logprobs": []}),
            UsageReported(HEARD),
            TurnCompleted(),
        ],
        id="transcript",
    ),
    pytest.param(
        recorded.SPEECH,
        lambda: SpeechStreamDecoder(SPEECH),
        [
            AudioStarted("audio/mpeg"),
            *(AudioProduced(each) for each in recorded.SOUND),
            UsageReported(SPOKEN),
            TurnCompleted(),
        ],
        id="speech",
    ),
    pytest.param(
        recorded.PICTURES,
        lambda: ImageStreamDecoder(1),
        [
            PartialImageProduced(recorded.STEP),
            ImagesProduced([{"b64_json": "AQID"}], recorded.ABOUT),
            UsageReported(DRAWN),
            TurnCompleted(),
        ],
        id="pictures",
    ),
]


@pytest.mark.parametrize(("stream", "opened", "expected"), STREAMS)
def test_a_stream_cut_at_every_byte_says_the_same(
    stream: bytes, opened: Callable[[], Decoder], expected: list[Event]
) -> None:
    for cut in range(len(stream) + 1):
        decoder = opened()

        events = decoder.feed(stream[:cut]) + decoder.feed(stream[cut:])

        assert events == expected
        assert decoder.is_done


@pytest.mark.parametrize(("stream", "opened", "expected"), STREAMS)
def test_a_stream_is_done_with_its_last_event_and_not_before(
    stream: bytes, opened: Callable[[], Decoder], expected: list[Event]
) -> None:
    decoder = opened()

    events = decoder.feed(stream[:-1])

    assert not decoder.is_done
    assert TurnCompleted() not in events
    assert decoder.feed(stream[-1:])[-1] == expected[-1]


@pytest.mark.parametrize(("stream", "opened", "expected"), STREAMS)
@pytest.mark.parametrize(
    "wrong",
    [
        b'data: {"type":"error","error":{"message":"it broke","code":"server_error"}}\n\n',
        b'data: {"error":{"message":"it broke"}}\n\n',
        b'data: {"error":"it broke"}\n\n',
        b"data: {nonsense\n\n",
        b"data: [1]\n\n",
        b'data: {"type":"\xff"}\n\n',
    ],
)
def test_an_error_inside_of_a_stream_is_the_providers(
    stream: bytes, opened: Callable[[], Decoder], expected: list[Event], wrong: bytes
) -> None:
    first, end, _ = stream.partition(b"\n\n")
    decoder = opened()

    begun = decoder.feed(first + end + b": comment\n\ndata: [DONE]\n\n")
    assert begun == expected[: len(begun)] != []
    assert decoder.feed(wrong) == []
    assert isinstance(decoder.error, ProviderError)


def test_as_many_pictures_as_were_asked_for_end_their_stream() -> None:
    decoder = ImageStreamDecoder(2)

    assert decoder.feed(recorded.PICTURES) == [PartialImageProduced(recorded.STEP)]
    assert not decoder.is_done
    produced = decoder.feed(recorded.PICTURES)[1]
    assert produced == ImagesProduced([{"b64_json": "AQID"}] * 2, recorded.ABOUT)


@pytest.mark.parametrize(
    "stream",
    [
        recorded.event({"type": "speech.audio.delta", "audio": "not base64!"}),
        recorded.event({"type": "speech.audio.done", "usage": recorded.SPOKEN}),  # and no sound before
    ],
)
def test_sound_that_is_none(stream: bytes) -> None:
    decoder = SpeechStreamDecoder(SPEECH)

    assert decoder.feed(stream) == []
    assert isinstance(decoder.error, ProviderError)


# --- bodies -----------------------------------------------------------------------------------------


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_judgements() -> None:
    assert decode_moderations(encoded(recorded.JUDGED), 1) == [
        ModerationsProduced(recorded.JUDGED["results"]),
        TurnCompleted(),
    ]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"results": None},
        {"results": []},
        {"results": recorded.JUDGED["results"] * 2},
        {"results": [{}]},
        {"results": [{"flagged": "no"}]},
        {"results": [None]},
    ],
)
def test_judgements_that_do_not_say_what_was_asked(said: Any) -> None:
    with pytest.raises(ProviderError):
        decode_moderations(encoded(said), 1)


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"usage": recorded.HEARD}, HEARD),
        (
            {"usage": {"type": "duration", "seconds": 9}},
            Usage(0, 0, raw={"type": "duration", "seconds": 9}, units=Units(9)),
        ),
        (
            {"usage": {"type": "duration", "seconds": 8.2}},
            Usage(0, 0, raw={"type": "duration", "seconds": 8.2}, units=Units(9)),
        ),
        ({"duration": 8.47}, Usage(0, 0, units=Units(9))),
        (
            {"usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 2, "total_tokens": 7}},
            Usage(
                5,
                2,
                audio_input_tokens=5,  # the dearer of the two
                raw={"type": "tokens", "input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
            ),
        ),
        ({}, None),
        ({"usage": None}, None),
        ({"usage": {"type": "duration", "seconds": -1}}, None),
        ({"usage": {"type": "duration", "seconds": 1e12}}, None),
        ({"usage": {"type": "duration", "seconds": "9"}}, None),
        ({"usage": {"type": "tokens", "input_tokens": -5, "output_tokens": 2}}, None),
    ],
)
def test_what_a_transcript_took_is_told_in_tokens_or_seconds(more: dict[str, Any], usage: Usage | None) -> None:
    said = {"text": "Hello", "language": "english", **more}
    told = [] if usage is None else [UsageReported(usage)]
    transcript = {name: value for name, value in said.items() if name != "usage"}

    assert decode_transcript(encoded(said)) == [TranscriptProduced(transcript), *told, TurnCompleted()]


@pytest.mark.parametrize("body", [b"Hello", b"{}", b'{"text": null}', b"[]", b"\xff", b"[" * 10_000])
def test_transcripts_that_are_none(body: bytes) -> None:
    with pytest.raises(ProviderError):
        decode_transcript(body)


def test_pictures() -> None:
    said = {"created": 1, "data": [{"b64_json": "AQID"}], **recorded.ABOUT, "usage": recorded.DRAWN}

    assert decode_images(encoded(said)) == [
        ImagesProduced([{"b64_json": "AQID"}], recorded.ABOUT),
        UsageReported(DRAWN),
        TurnCompleted(),
    ]


def test_pictures_whose_tokens_nobody_tells_are_counted() -> None:
    said = {
        "created": 1,
        "data": [{"url": "https://x.example/1"}, {"url": "https://x.example/2", "revised_prompt": "p"}],
    }

    _, told, _ = decode_images(encoded(said))

    assert told == UsageReported(Usage(0, 0, units=Units(images=2)))


@pytest.mark.parametrize("said", [{}, {"data": []}, {"data": [{}]}, {"data": [None]}, {"data": [{"url": 1}]}])
def test_pictures_that_are_none(said: Any) -> None:
    with pytest.raises(ProviderError):
        decode_images(encoded(said))


@pytest.mark.parametrize(
    ("said", "media_type"),
    [
        ("audio/mpeg", "audio/mpeg"),
        ("Audio/X-Any; codecs=1", "audio/x-any"),
        ("text/html", "audio/mpeg"),
        ("application/octet-stream", "audio/mpeg"),
        ("audio/<script>", "audio/mpeg"),
        (None, "audio/mpeg"),
    ],
)
def test_sound_is_never_called_a_page(said: str | None, media_type: str) -> None:
    assert media_type_of(said, SPEECH) == media_type


# --- over HTTP ------------------------------------------------------------------------------------------


class Server:
    """Answers every POST with the same bytes, and keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.path = ""
        self.content_type = b""
        self.body = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.path = head.split(b" ")[1].decode()
        self.content_type = head.partition(b"Content-Type: ")[2].partition(b"\r\n")[0]
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        self.body = await reader.readexactly(length)
        writer.write(self._answer)
        await writer.drain()
        writer.close()


def response(body: bytes, content_type: str = "application/json", *, status: int = 200, lost_bytes: int = 0) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body) + lost_bytes}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def provider(answer: bytes) -> AsyncIterator[tuple[OpenAIProvider, Server]]:
    served = Server(answer)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    asked = OpenAIProvider(url, KEY, OPENAI, "auto", 5, clock=HandClock())
    try:
        yield asked, served
    finally:
        await asked.close()
        server.close()


async def answered(asked: OpenAIProvider, request: MediaRequest) -> list[Event]:
    async with aclosing(asked.answer(request, "m")) as batches:
        return [event async for batch in batches for event in batch]


@pytest.mark.parametrize(
    ("request_", "path", "expected"),
    [
        (
            ModerationRequest(["x", "y"], parameters={"v": 1}),
            "moderations",
            {"v": 1, "model": "m", "input": ["x", "y"]},
        ),
        (
            ModerationRequest([Text("x"), Image("https://x.example/a.png")]),
            "moderations",
            {
                "model": "m",
                "input": [
                    {"type": "text", "text": "x"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                ],
            },
        ),
        (
            SpeechRequest("x", {"id": "v"}, format="wav", instructions="i", stream=True, parameters={"speed": 2}),
            "audio/speech",
            {
                "model": "m",
                "input": "x",
                "voice": {"id": "v"},
                "response_format": "wav",
                "instructions": "i",
                "stream_format": "sse",
                "speed": 2,
            },
        ),
        (SPEECH, "audio/speech", {"model": "m", "input": "Hello there", "voice": "alloy", "response_format": "mp3"}),
        (ImageRequest("generate", "x"), "images/generations", {"model": "m", "prompt": "x"}),
        (
            ImageRequest(
                "generate",
                "x",
                n=2,
                size="auto",
                quality="low",
                partial_images=1,
                stream=True,
                parameters={"user": "u"},
            ),
            "images/generations",
            {
                "model": "m",
                "prompt": "x",
                "n": 2,
                "size": "auto",
                "quality": "low",
                "partial_images": 1,
                "stream": True,
                "user": "u",
            },
        ),
    ],
)
async def test_what_is_asked_in_json(request_: MediaRequest, path: str, expected: dict[str, Any]) -> None:
    async with provider(response(b"{}")) as (asked, server):
        with pytest.raises(ProviderError):
            await answered(asked, request_)

        assert server.path == f"/v1/{path}"
        assert server.content_type == b"application/json"
        assert json.loads(server.body) == expected


@pytest.mark.parametrize(
    ("request_", "path", "expected"),
    [
        (
            TranscriptionRequest(
                WAV,
                format="srt",
                language="de",
                prompt="p",
                granularities=("word",),
                include=("logprobs",),
                stream=True,
                parameters={
                    "temperature": 0.5,
                    "chunking_strategy": {"type": "server_vad"},
                    "known_speaker_names": ["a"],
                },
            ),
            "audio/transcriptions",
            [
                ("temperature", "0.5"),
                ("chunking_strategy[type]", "server_vad"),
                ("known_speaker_names[]", "a"),
                ("model", "m"),
                ("response_format", "verbose_json"),
                ("language", "de"),
                ("prompt", "p"),
                ("timestamp_granularities[]", "word"),
                ("include[]", "logprobs"),
                ("stream", "true"),
                ("file", WAV),
            ],
        ),
        (
            TranscriptionRequest(WAV, task="translate", format="text"),
            "audio/translations",
            [("model", "m"), ("response_format", "json"), ("file", WAV)],
        ),
        (
            ImageRequest("edit", "x", (PNG, PNG), PNG, n=2, parameters={"input_fidelity": "high"}),
            "images/edits",
            [
                ("input_fidelity", "high"),
                ("model", "m"),
                ("prompt", "x"),
                ("n", "2"),
                ("image[]", PNG),
                ("image[]", PNG),
                ("mask", PNG),
            ],
        ),
        (ImageRequest("vary", images=(PNG,)), "images/variations", [("model", "m"), ("image", PNG)]),
    ],
)
async def test_what_is_asked_in_a_form(
    request_: MediaRequest, path: str, expected: list[tuple[str, str | Upload]]
) -> None:
    async with provider(response(b"{}")) as (asked, server):
        with pytest.raises(ProviderError):
            await answered(asked, request_)

        assert server.path == f"/v1/{path}"
        assert read_parts(server.body, server.content_type) == expected


async def test_azures_dated_paths_have_the_deployment() -> None:
    served = Server(response(b'{"text": "Hello"}'))
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    asked = open_azure(url, KEY, "2024-10-21", 5, HandClock())

    await answered(asked, TranscriptionRequest(WAV))
    await asked.close()
    server.close()

    assert served.path == "/openai/deployments/m/audio/transcriptions?api-version=2024-10-21"


async def test_sound_comes_through_as_it_is() -> None:
    sound = bytes(range(256)) * 500

    async with provider(response(sound, "audio/mpeg")) as (asked, _):
        events = await answered(asked, SPEECH)

    assert events[0] == AudioStarted("audio/mpeg")
    assert b"".join(event.content for event in events if isinstance(event, AudioProduced)) == sound
    assert events[-1] == TurnCompleted()


@pytest.mark.parametrize(
    ("answer", "request_"),
    [
        (response(b"sound", "audio/mpeg", lost_bytes=5), SPEECH),
        (response(b"", "audio/mpeg"), SPEECH),
        (response(recorded.SPEECH[:-1], "text/event-stream"), SpeechRequest("x", "v", stream=True)),
        (response(recorded.TRANSCRIPT[:-1], "text/event-stream"), TranscriptionRequest(WAV, stream=True)),
        (response(recorded.PICTURES[:-1], "text/event-stream"), ImageRequest("generate", "x", stream=True)),
        (response(b'{"text": "Hel', lost_bytes=3), TranscriptionRequest(WAV)),
    ],
    ids=["sound cut", "no sound", "speech cut", "transcript cut", "pictures cut", "body cut"],
)
async def test_what_breaks_off_is_never_taken_for_whole(answer: bytes, request_: MediaRequest) -> None:
    async with provider(answer) as (asked, _):
        with pytest.raises(ProviderError):
            await answered(asked, request_)


async def test_an_error_that_comes_as_json_instead_of_sound_is_none_that_plays() -> None:
    async with provider(response(b'{"error": {"message": "no"}}')) as (asked, _):
        with pytest.raises(ProviderError):
            await answered(asked, SPEECH)


async def test_a_provider_that_streams_no_transcripts_is_heard_all_the_same() -> None:
    async with provider(response(b'{"text": "Hello", "usage": {"type": "duration", "seconds": 3}}')) as (asked, _):
        events = await answered(asked, TranscriptionRequest(WAV, stream=True))

    assert events[0] == TranscriptProduced({"text": "Hello"})


@pytest.mark.parametrize(
    "request_", [ModerationRequest(["x"]), TranscriptionRequest(WAV), SPEECH, ImageRequest("generate", "x")]
)
async def test_refusals_are_whose_matter_they_are(request_: MediaRequest) -> None:
    refused = b'{"error": {"message": "The key sk-test-very-secret cannot.", "code": "bad", "param": "voice"}}'

    async with provider(response(refused, status=400)) as (asked, _):
        with pytest.raises(BadRequest) as raised:
            await answered(asked, request_)
    async with provider(response(b"{}", status=503)) as (asked, _):
        with pytest.raises(ProviderError) as failed:
            await answered(asked, request_)

    assert (raised.value.code, raised.value.param) == ("bad", "voice")
    assert KEY not in raised.value.message
    assert failed.value.upstream_status == 503


async def test_errors_inside_of_streams_do_not_tell_the_key() -> None:
    stream = b'data: {"error": {"message": "bad key sk-test-very-secret"}}\n\n'

    async with provider(response(stream, "text/event-stream")) as (asked, _):
        with pytest.raises(ProviderError) as failed:
            await answered(asked, TranscriptionRequest(WAV, stream=True))

    assert KEY not in failed.value.reason
