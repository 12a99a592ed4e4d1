"""OpenAI's endpoints that are no chat: moderations, transcriptions, speech and pictures.

Transcripts are asked for in JSON, whatever shape the caller wants: `wire` writes texts and subtitles itself, and only
JSON says what was used.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Literal, Protocol, cast

import msgspec

from frontdesk.core.errors import ProviderError
from frontdesk.core.money import Units
from frontdesk.providers.forms import FormWriter
from frontdesk.providers.refusals import Refusals
from frontdesk.providers.sse import SseDecoder
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.providers.usage import read_chat_usage, read_responses_usage
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
    TranscriptFormat,
    TranscriptionRequest,
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_SOUND_BYTES = 256 * 1024 * 1024
_MOST_SECONDS = 10**7
_OK = 200
_Events = AsyncGenerator[list[Event], None]
Address = Callable[[str, str], str]
"""Where a path of OpenAI's is, of a model."""


class _StreamDecoder(Protocol):
    @property
    def is_done(self) -> bool: ...
    def feed(self, chunk: bytes) -> list[Event]: ...


class MediaEndpoints:
    """The endpoints of one provider."""

    def __init__(self, upstream: Upstream, refusals: Refusals, address: Address | None = None) -> None:
        self._upstream = upstream
        self._refusals = refusals
        self._address: Address = address or _as_it_is
        self._forms = FormWriter()

    def answer(self, request: MediaRequest, model: str) -> _Events:
        """Yield the events of one upstream read at a time."""
        match request:
            case ModerationRequest():
                return self._moderate(request, model)
            case TranscriptionRequest():
                return self._transcribe(request, model)
            case SpeechRequest():
                return self._speak(request, model)
            case ImageRequest():
                return self._draw(request, model)

    async def _moderate(self, request: ModerationRequest, model: str) -> _Events:
        fields = {**request.parameters, "model": model, "input": _moderation_input(request)}
        with await self._post_json("moderations", fields, model) as response:
            body = await self._body_of(response)
        expected = len(request.inputs) if isinstance(request.inputs[0], str) else 1
        yield decode_moderations(body, expected)

    async def _transcribe(self, request: TranscriptionRequest, model: str) -> _Events:
        path = "audio/transcriptions" if request.task == "transcribe" else "audio/translations"
        form = self._forms.pieces(_transcription_fields(request, model))
        with await self._upstream.post(self._address(path, model), form, self._forms.content_type) as response:
            if request.stream and response.status == _OK and _is_event_stream(response):
                async with aclosing(self._decoded(response, TranscriptStreamDecoder())) as batches:
                    async for events in batches:
                        yield events
                return
            # What streams nothing, as whisper-1, answers with one body all the same.
            yield decode_transcript(await self._body_of(response))

    async def _speak(self, request: SpeechRequest, model: str) -> _Events:
        with await self._post_json("audio/speech", _speech_fields(request, model), model) as response:
            await self._check(response)
            if _is_event_stream(response):
                async with aclosing(self._decoded(response, SpeechStreamDecoder(request))) as batches:
                    async for events in batches:
                        yield events
                return
            said = response.header("Content-Type")
            if _NO_SOUND.match(said or ""):
                raise ProviderError(f"the provider answered {said!r} instead of sound")
            media_type = media_type_of(said, request)
            size_bytes = 0
            while chunk := await response.read():
                events: list[Event] = [] if size_bytes else [AudioStarted(media_type)]
                size_bytes += len(chunk)
                if size_bytes > _MAX_SOUND_BYTES:
                    raise ProviderError(f"the provider's sound is larger than {_MAX_SOUND_BYTES} bytes")
                yield [*events, AudioProduced(chunk)]
            if not size_bytes:
                raise ProviderError("the provider answered no sound")
            yield [TurnCompleted()]

    async def _draw(self, request: ImageRequest, model: str) -> _Events:
        with await self._post_images(request, model) as response:
            if request.stream and response.status == _OK and _is_event_stream(response):
                async with aclosing(self._decoded(response, ImageStreamDecoder(request.n))) as batches:
                    async for events in batches:
                        yield events
                return
            yield decode_images(await self._body_of(response))

    async def _post_images(self, request: ImageRequest, model: str) -> UpstreamResponse:
        if request.operation == "generate":
            return await self._post_json("images/generations", _image_fields(request, model), model)
        fields = [*_image_fields(request, model).items(), *_image_files(request)]
        path = "images/edits" if request.operation == "edit" else "images/variations"
        return await self._upstream.post(
            self._address(path, model), self._forms.pieces(fields), self._forms.content_type
        )

    async def _post_json(self, path: str, fields: dict[str, Any], model: str) -> UpstreamResponse:
        return await self._upstream.post(self._address(path, model), _encode(fields))

    async def _check(self, response: UpstreamResponse) -> None:
        if response.status != _OK:
            raise await self._refusals.error_of(response)

    async def _body_of(self, response: UpstreamResponse) -> bytes:
        await self._check(response)
        return await response.read_all(_MAX_BODY_BYTES)

    async def _decoded(self, response: UpstreamResponse, decoder: _StreamDecoder) -> _Events:
        """What a stream says, to the event that ends it; a stream that ends before has broken off."""
        while not decoder.is_done:
            chunk = await response.read()
            if not chunk:
                raise ProviderError("the stream ended before its answer did")
            try:
                events = decoder.feed(chunk)
            except ProviderError as error:
                raise self._refusals.redacted(error) from None
            if events:
                yield events
        response.skip_rest()


def _as_it_is(path: str, model: str) -> str:  # noqa: ARG001 - other servers have paths of their own for each model
    return path


def _is_event_stream(response: UpstreamResponse) -> bool:
    return (response.header("Content-Type") or "").lower().startswith("text/event-stream")


# --- what is asked ------------------------------------------------------------------------------


def _moderation_input(request: ModerationRequest) -> Any:
    if isinstance(request.inputs[0], str):
        return request.inputs
    return [_moderation_part(cast("Text | Image", each)) for each in request.inputs]


def _moderation_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url}}
    return {"type": "text", "text": part.text}


_ASKED_IN: dict[TranscriptFormat, Literal["json", "verbose_json", "diarized_json"]] = {
    "json": "json",
    "text": "json",
    "srt": "verbose_json",
    "vtt": "verbose_json",
    "verbose_json": "verbose_json",
    "diarized_json": "diarized_json",
}


def _transcription_fields(request: TranscriptionRequest, model: str) -> list[tuple[str, Any]]:
    fields: dict[str, Any] = {
        **request.parameters,
        "model": model,
        "response_format": _ASKED_IN[request.format],
        "language": request.language,
        "prompt": request.prompt,
        "timestamp_granularities": request.granularities or None,
        "include": request.include or None,
        "stream": request.stream or None,
    }
    # The file comes last: who reads a form piece by piece knows then what is to be done with it.
    return [*((name, value) for name, value in fields.items() if value is not None), ("file", request.audio)]


def _speech_fields(request: SpeechRequest, model: str) -> dict[str, Any]:
    fields = {**request.parameters, "model": model, "input": request.text, "voice": request.voice}
    fields["response_format"] = request.format
    if request.instructions is not None:
        fields["instructions"] = request.instructions
    if request.stream:
        fields["stream_format"] = "sse"
    return fields


def _image_fields(request: ImageRequest, model: str) -> dict[str, Any]:
    fields: dict[str, Any] = {**request.parameters, "model": model}
    said = {"prompt": request.prompt, "size": request.size, "quality": request.quality}
    fields |= {name: value for name, value in said.items() if value is not None}
    if request.n != 1:
        fields["n"] = request.n
    if request.stream:
        fields |= {"stream": True, "partial_images": request.partial_images}
    return fields


def _image_files(request: ImageRequest) -> list[tuple[str, Any]]:
    image = request.images[0] if len(request.images) == 1 else list(request.images)
    named = {"image": image, "mask": request.mask, "markup": request.markup}
    return [(name, value) for name, value in named.items() if value is not None]


# --- what is answered ---------------------------------------------------------------------------


def decode_moderations(body: bytes, expected: int) -> list[Event]:
    """Return the events of an answer to `expected` inputs. Raises ProviderError."""
    raw = _object(body, "judgement")
    results = raw.get("results")
    if not isinstance(results, list) or len(cast("list[Any]", results)) != expected:
        raise ProviderError(f"no list of {expected} judgements came")
    for each in cast("list[Any]", results):
        if not isinstance(each, dict) or type(cast("dict[str, Any]", each).get("flagged")) is not bool:
            raise ProviderError("a judgement does not say whether it objects")
    usage = _object_in(raw, "usage")
    read = None if usage is None else read_chat_usage(usage)
    told = [] if read is None else [UsageReported(read)]
    return [ModerationsProduced(cast("list[dict[str, Any]]", results)), *told, TurnCompleted()]


def decode_transcript(body: bytes) -> list[Event]:
    """Return the events of a transcript in JSON. Raises ProviderError."""
    raw = _object(body, "transcript")
    if not isinstance(raw.get("text"), str):
        raise ProviderError("the transcript has no text")
    transcript = {name: value for name, value in raw.items() if name != "usage"}
    return [TranscriptProduced(transcript), *_heard(raw), TurnCompleted()]


def decode_images(body: bytes) -> list[Event]:
    """Return the events of pictures in one body. Raises ProviderError."""
    raw = _object(body, "list of pictures")
    data = [_picture(each) for each in cast("list[Any]", raw.get("data") or [])]
    if not data:
        raise ProviderError("no picture came")
    return [ImagesProduced(data, _only(raw, _ABOUT)), *_drawn(raw, len(data)), TurnCompleted()]


class TranscriptStreamDecoder:
    """Reads a transcript that comes in pieces."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes. Raises ProviderError for an error inside the stream."""
        return [event for payload in self._sse.feed(chunk) if not self.is_done for event in self._read(payload)]

    def _read(self, payload: bytes) -> list[Event]:
        raw = _event(payload)
        match raw.get("type"):
            case "transcript.text.delta" if isinstance(raw.get("delta"), str):
                return [TextDelta(0, raw["delta"], raw.get("logprobs"))]
            case "transcript.text.segment" if isinstance(raw.get("text"), str):
                return [SegmentProduced({name: value for name, value in raw.items() if name != "type"})]
            case "transcript.text.done" if isinstance(raw.get("text"), str):
                self.is_done = True
                transcript = {name: value for name, value in raw.items() if name not in ("type", "usage")}
                return [ItemFinished(0), TranscriptProduced(transcript), *_heard(raw), TurnCompleted()]
            case _:
                return []


class SpeechStreamDecoder:
    """Reads sound that comes in events."""

    def __init__(self, request: SpeechRequest) -> None:
        self._sse = SseDecoder()
        self._request = request
        self._has_begun = False
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes. Raises ProviderError for an error inside the stream."""
        return [event for payload in self._sse.feed(chunk) if not self.is_done for event in self._read(payload)]

    def _read(self, payload: bytes) -> list[Event]:
        raw = _event(payload)
        match raw.get("type"):
            case "speech.audio.delta" if isinstance(raw.get("audio"), str):
                content = _decoded_base64(raw["audio"])
                begun: list[Event] = [] if self._has_begun else [AudioStarted(media_type_of(None, self._request))]
                self._has_begun = True
                return [*begun, AudioProduced(content)]
            case "speech.audio.done":
                if not self._has_begun:
                    raise ProviderError("the provider answered no sound")
                self.is_done = True
                return [*_spoken(raw, len(self._request.text)), TurnCompleted()]
            case _:
                return []


class ImageStreamDecoder:
    """Reads pictures that come in events, as many as were asked for."""

    def __init__(self, expected: int) -> None:
        self._sse = SseDecoder()
        self._expected = expected
        self._came: list[dict[str, Any]] = []
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes. Raises ProviderError for an error inside the stream."""
        return [event for payload in self._sse.feed(chunk) if not self.is_done for event in self._read(payload)]

    def _read(self, payload: bytes) -> list[Event]:
        raw = _event(payload)
        _, _, what = str(raw.get("type")).partition(".")
        match what:
            case "partial_image" if isinstance(raw.get("b64_json"), str):
                return [PartialImageProduced({name: value for name, value in raw.items() if name != "type"})]
            case "completed":
                self._came.append(_picture(raw))
                if len(self._came) < self._expected:
                    return []
                self.is_done = True
                produced = ImagesProduced([_only(each, _PICTURE) for each in self._came], _only(raw, _ABOUT))
                return [produced, *_drawn(raw, len(self._came)), TurnCompleted()]
            case _:
                return []


_PICTURE = frozenset({"b64_json", "url", "revised_prompt"})
_ABOUT = frozenset({"background", "output_format", "size", "quality"})


def _event(payload: bytes) -> dict[str, Any]:
    """What an event says; an error is raised. `[DONE]` says nothing."""
    if payload == b"[DONE]":
        return {}
    raw = _object(payload, "event")
    error = raw.get("error")
    if error or raw.get("type") == "error":
        words = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error or raw.get("message")
        raise ProviderError(f"an error inside the stream: {words}")
    return raw


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"the {what} cannot be read: {type(error).__name__}") from None


def _object_in(raw: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = raw.get(name)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _only(raw: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name in names and value is not None}


def _picture(raw: Any) -> dict[str, Any]:
    fields = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    if not isinstance(fields.get("b64_json"), str) and not isinstance(fields.get("url"), str):
        raise ProviderError("a picture has neither bytes nor an address")
    return fields


def _decoded_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProviderError("the sound of an event is not base64") from None


_SOUND = re.compile(r"audio/[\w.+-]+", re.ASCII)
_NO_SOUND = re.compile(r"application/(?:[\w.-]+\+)?json|text/", re.ASCII | re.IGNORECASE)


def media_type_of(said: str | None, request: SpeechRequest) -> str:
    """What sound is: what the provider says if it is sound, else what was asked for. No page is made of it."""
    told = (said or "").partition(";")[0].strip().lower()
    return told if _SOUND.fullmatch(told) else _MEDIA_TYPES[request.format]


_MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


# --- what was used ------------------------------------------------------------------------------


def _heard(raw: dict[str, Any]) -> list[Event]:
    """Tokens, or seconds; what `verbose_json` says of the recording's length where it says neither."""
    usage = _object_in(raw, "usage") or {}
    if usage.get("type") != "duration" and "input_tokens" in usage:
        return _of_tokens(usage, heard_as_sound=True)
    seconds: Any = usage.get("seconds", raw.get("duration"))
    if type(seconds) not in (int, float) or not 0 <= seconds <= _MOST_SECONDS:
        return []
    return [UsageReported(Usage(0, 0, raw=usage or None, units=Units(audio_seconds=-int(-seconds // 1))))]


def _spoken(raw: dict[str, Any], characters: int) -> list[Event]:
    usage = _object_in(raw, "usage")
    return (
        [] if usage is None else _of_tokens(usage, units=Units(characters=characters), written_as="audio_output_tokens")
    )


def _drawn(raw: dict[str, Any], images: int) -> list[Event]:
    usage, units = _object_in(raw, "usage"), Units(images=images)
    if usage is None:
        return [UsageReported(Usage(0, 0, units=units))]
    return _of_tokens(usage, units=units, written_as="image_output_tokens")


def _of_tokens(
    usage: dict[str, Any],
    *,
    units: Units | None = None,
    heard_as_sound: bool = False,
    written_as: Literal["audio_output_tokens", "image_output_tokens"] | None = None,
) -> list[Event]:
    """Usage in tokens. Where the parts are not told apart, all of it is what the endpoint is for, which costs more."""
    details = usage.get("input_token_details", usage.get("input_tokens_details"))
    read = read_responses_usage({**usage, "input_tokens_details": details})
    if read is None:
        return []
    changes: dict[str, Any] = {"raw": usage, "units": units}
    if heard_as_sound and read.audio_input_tokens is None:
        changes["audio_input_tokens"] = read.input_tokens
    if written_as is not None and getattr(read, written_as) is None:
        changes[written_as] = read.output_tokens
    return [UsageReported(msgspec.structs.replace(read, **changes))]
