"""OpenAI's endpoints that are no chat: moderations, transcriptions, speech and pictures.

Transcripts are asked for in JSON, whatever shape the caller wants: `wire` writes texts and subtitles itself, and only
JSON says what was used.
"""

from __future__ import annotations

import base64
import binascii
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, Literal, cast

import msgspec

from frontdesk.core.errors import ProviderError
from frontdesk.core.money import Units
from frontdesk.providers.bodies import BodyDecoder, Decoder, StreamDecoder, read_events
from frontdesk.providers.forms import FormWriter
from frontdesk.providers.refusals import Refusals
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
_MAX_SOUND_BYTES = 256 * 1024 * 1024
_MOST_SECONDS = 10**7
Address = Callable[[str, str], str]
"""Where a path of OpenAI's is, of a model."""


class MediaEndpoints:
    """The endpoints of one provider."""

    def __init__(self, upstream: Upstream, refusals: Refusals, address: Address | None = None) -> None:
        self._upstream = upstream
        self._refusals = refusals
        self._address: Address = address or _as_it_is
        self._forms = FormWriter()

    def answer(self, request: MediaRequest, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time."""
        return read_events(partial(self._begin, request, model), self._refusals)

    async def _begin(self, request: MediaRequest, model: str) -> tuple[UpstreamResponse, Decoder]:
        response = await self._refusals.accepted(await self._ask(request, model))
        content_type = response.header("Content-Type") or ""
        if isinstance(request, SpeechRequest) and _is_no_sound(content_type):
            with response:
                raise ProviderError(f"the provider answered {content_type!r} instead of sound")
        return response, _decoder_of(request, content_type)

    async def _ask(self, request: MediaRequest, model: str) -> UpstreamResponse:
        match request:
            case ModerationRequest():
                fields = {**request.parameters, "model": model, "input": _moderation_input(request)}
                return await self._post_json("moderations", fields, model)
            case TranscriptionRequest():
                path = "audio/transcriptions" if request.task == "transcribe" else "audio/translations"
                return await self._post_form(path, _transcription_fields(request, model), model)
            case SpeechRequest():
                return await self._post_json("audio/speech", _speech_fields(request, model), model)
            case ImageRequest():
                return await self._post_images(request, model)

    async def _post_images(self, request: ImageRequest, model: str) -> UpstreamResponse:
        if request.operation == "generate":
            return await self._post_json("images/generations", _image_fields(request, model), model)
        fields = [*_image_fields(request, model).items(), *_image_files(request)]
        path = "images/edits" if request.operation == "edit" else "images/variations"
        return await self._post_form(path, fields, model)

    async def _post_form(self, path: str, fields: list[tuple[str, Any]], model: str) -> UpstreamResponse:
        form = self._forms.pieces(fields)
        return await self._upstream.post(self._address(path, model), form, self._forms.content_type)

    async def _post_json(self, path: str, fields: dict[str, Any], model: str) -> UpstreamResponse:
        return await self._upstream.post(self._address(path, model), _encode(fields))


def _as_it_is(path: str, model: str) -> str:  # noqa: ARG001 - other servers have paths of their own for each model
    return path


def _decoder_of(request: MediaRequest, content_type: str) -> Decoder:
    is_stream = _is_event_stream(content_type)
    match request:
        case ModerationRequest():
            expected = len(request.inputs) if isinstance(request.inputs[0], str) else 1
            return BodyDecoder(partial(decode_moderations, expected=expected))
        case TranscriptionRequest():
            # What streams nothing, as whisper-1, answers with one body all the same.
            return TranscriptStreamDecoder() if request.stream and is_stream else BodyDecoder(decode_transcript)
        case SpeechRequest():
            return SpeechStreamDecoder(request) if is_stream else _SoundDecoder(media_type_of(content_type, request))
        case ImageRequest():
            return ImageStreamDecoder(request.n) if request.stream and is_stream else BodyDecoder(decode_images)


def _is_event_stream(content_type: str) -> bool:
    return content_type.lower().startswith("text/event-stream")


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


class _MediaStreamDecoder(StreamDecoder):
    """Reads events that are objects. One that no blank line ended is none: it may have been cut."""

    __slots__ = ()

    def finish(self) -> list[Event]:
        self.error = ProviderError("the stream ended before its answer did")
        return []

    def _take(self, payload: bytes, events: list[Event]) -> None:
        events += self._read(_event(payload))

    @abstractmethod
    def _read(self, raw: dict[str, Any]) -> list[Event]: ...


class TranscriptStreamDecoder(_MediaStreamDecoder):
    """Reads a transcript that comes in pieces."""

    __slots__ = ()

    def _read(self, raw: dict[str, Any]) -> list[Event]:
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


class SpeechStreamDecoder(_MediaStreamDecoder):
    """Reads sound that comes in events."""

    __slots__ = ("_has_begun", "_request")

    def __init__(self, request: SpeechRequest) -> None:
        super().__init__()
        self._request = request
        self._has_begun = False

    def _read(self, raw: dict[str, Any]) -> list[Event]:
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


class ImageStreamDecoder(_MediaStreamDecoder):
    """Reads pictures that come in events, as many as were asked for."""

    __slots__ = ("_came", "_expected")

    def __init__(self, expected: int) -> None:
        super().__init__()
        self._expected = expected
        self._came: list[dict[str, Any]] = []

    def _read(self, raw: dict[str, Any]) -> list[Event]:
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


class _SoundDecoder:
    """Passes sound on as it comes."""

    __slots__ = ("_media_type", "_size_bytes", "error", "is_done")

    def __init__(self, media_type: str) -> None:
        self._media_type = media_type
        self._size_bytes = 0
        self.error: ProviderError | None = None
        self.is_done = False

    def feed(self, chunk: bytes) -> list[Event]:
        begun: list[Event] = [] if self._size_bytes else [AudioStarted(self._media_type)]
        self._size_bytes += len(chunk)
        if self._size_bytes > _MAX_SOUND_BYTES:
            self.error = ProviderError(f"the provider's sound is larger than {_MAX_SOUND_BYTES} bytes")
            return []
        return [*begun, AudioProduced(chunk)]

    def finish(self) -> list[Event]:
        if not self._size_bytes:
            self.error = ProviderError("the provider answered no sound")
            return []
        self.is_done = True
        return [TurnCompleted()]


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


def _is_no_sound(content_type: str) -> bool:
    return _NO_SOUND.match(content_type) is not None and not _is_event_stream(content_type)


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
