"""Transcriptions and translations: the caller's form, and what is said rendered as JSON, text, subtitles or events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

from frontdesk.turn.events import (
    TERMINAL_TYPES,
    Event,
    SegmentProduced,
    TextDelta,
    TranscriptProduced,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import TranscriptFormat, TranscriptionRequest
from frontdesk.wire.forms import check_files, one_file, read_form, view_form
from frontdesk.wire.media import FILE, check_whole, data_frame
from frontdesk.wire.media_stream import MediaStream
from frontdesk.wire.reading import names_of

_encode = msgspec.json.Encoder().encode
_FILES = frozenset({"file"})
_LISTS = frozenset(
    {
        "include",
        "keywords",
        "known_speaker_names",
        "known_speaker_references",
        "languages",
        "timestamp_granularities",
    }
)
Granularity = Literal["word", "segment"]


class TranslationPassed(msgspec.Struct):
    """What translations pass on."""

    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None


class TranscriptionPassed(TranslationPassed):
    """What transcriptions pass on."""

    chunking_strategy: str | dict[str, Any] | None = None
    keywords: list[str] | None = None
    languages: list[str] | None = None
    known_speaker_names: Annotated[list[str], Meta(max_length=4)] | None = None
    known_speaker_references: Annotated[list[str], Meta(max_length=4)] | None = None


class TranslationAsked(TranslationPassed, kw_only=True):
    """A request for what is said in a recording, in English."""

    file: FILE
    model: str | None = None
    prompt: str | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"


class TranscriptionAsked(TranscriptionPassed, kw_only=True):
    """A request for what is said in a recording."""

    file: FILE
    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    response_format: TranscriptFormat = "json"
    timestamp_granularities: list[Granularity] | None = None
    include: list[Literal["logprobs"]] | None = None
    stream: bool = False


class TranscriptionsRequest(msgspec.Struct, frozen=True):
    """A request for a transcript, and the model that it names."""

    request: TranscriptionRequest
    model: str | None


def read_transcription(body: bytes, content_type: bytes | None) -> TranscriptionsRequest:
    """Read a form; raises BadRequest naming the field."""
    form = read_form(body, content_type, _LISTS)
    check_files(form, _FILES)
    audio = one_file(form, "file")
    fields = view_form({**form.fields, "file": audio}, TranscriptionAsked)
    request = TranscriptionRequest(
        audio,
        format=fields.response_format,
        language=fields.language,
        prompt=fields.prompt,
        granularities=tuple(fields.timestamp_granularities or ()),
        include=tuple(fields.include or ()),
        stream=fields.stream,
        parameters=_parameters(form.fields, fields, TranscriptionPassed),
    )
    return TranscriptionsRequest(request, fields.model)


def read_translation(body: bytes, content_type: bytes | None) -> TranscriptionsRequest:
    """Read a form; raises BadRequest naming the field."""
    form = read_form(body, content_type, frozenset())
    check_files(form, _FILES)
    audio = one_file(form, "file")
    fields = view_form({**form.fields, "file": audio}, TranslationAsked)
    request = TranscriptionRequest(
        audio,
        task="translate",
        format=fields.response_format,
        prompt=fields.prompt,
        parameters=_parameters(form.fields, fields, TranslationPassed),
    )
    return TranscriptionsRequest(request, fields.model)


def _parameters(raw: dict[str, Any], fields: msgspec.Struct, passed: type[msgspec.Struct]) -> dict[str, Any]:
    """What is passed on, typed; and what is not OpenAI's, as it came."""
    return {
        **{name: value for name, value in raw.items() if name not in names_of(type(fields)) and value != ""},
        **{name: value for name in names_of(passed) if (value := getattr(fields, name)) is not None},
    }


# --- answers ------------------------------------------------------------------------------------

_SHOWN_IN_JSON = frozenset({"text", "logprobs"})
_TEXTS: dict[TranscriptFormat, str] = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def is_text(form: TranscriptFormat) -> bool:
    """Whether a transcript of this format is a text, and no JSON."""
    return form in _TEXTS


class TranscriptBody:
    """Renders events as one transcript in JSON."""

    __slots__ = ("_request", "_transcript", "_usage")

    def __init__(self, request: TranscriptionRequest) -> None:
        self._request = request
        self._transcript: dict[str, Any] = {"text": ""}
        self._usage: Usage | None = None

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        check_whole(events)
        for event in events:
            if isinstance(event, TranscriptProduced):
                self._transcript = event.transcript
            elif isinstance(event, UsageReported):
                self._usage = event.usage

    def body(self) -> bytes:
        """Return the transcript as JSON, with what was used where that is known."""
        told = self._transcript
        if self._request.format == "json":
            told = {name: value for name, value in told.items() if name in _SHOWN_IN_JSON}
        usage = usage_body(self._usage)
        return _encode(told if usage is None else {**told, "usage": usage})


class TranscriptText:
    """Renders events as one text, or as subtitles."""

    __slots__ = ("_format", "content_type")

    def __init__(self, form: TranscriptFormat) -> None:
        self._format: TranscriptFormat = form
        self.content_type = _TEXTS[form]

    def render(self, events: list[Event]) -> bytes:
        """Return the text, which comes all at once."""
        check_whole(events)
        return b"".join(
            self._written(event.transcript).encode() for event in events if isinstance(event, TranscriptProduced)
        )

    def _written(self, transcript: dict[str, Any]) -> str:
        match self._format:
            case "srt":
                cues = enumerate(_cues(transcript), 1)
                return "".join(
                    f"{n}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n" for n, (start, end, text) in cues
                )
            case "vtt":
                cues = _cues(transcript)
                return "WEBVTT\n\n" + "".join(
                    f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n" for start, end, text in cues
                )
            case _:
                return f"{transcript['text']}\n"


def _cues(transcript: dict[str, Any]) -> Iterator[tuple[float, float, str]]:
    """When what is said: by segments, or all of it as one where there are none."""
    segments = transcript.get("segments")
    told: list[Any] = cast("list[Any]", segments) if isinstance(segments, list) and segments else [transcript]
    for each in told:
        fields = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
        start, end = _seconds(fields.get("start")), _seconds(fields.get("end", transcript.get("duration")))
        # An arrow would end the line of times, a blank line the cue (W3C WebVTT §4.1).
        text = " ".join(str(fields.get("text", "")).split()).replace("-->", "->")
        yield start, max(start, end), text


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < 360_000 else 0.0


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, left = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{left // 1000:02}{point}{left % 1000:03}"


class TranscriptStream(MediaStream):
    """Renders events as server-sent events: deltas and segments, then all of the text."""

    __slots__ = ("_text", "_transcript", "_usage")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._transcript: dict[str, Any] = {}
        self._usage: Usage | None = None

    def _frames(self, event: Event) -> Iterator[bytes]:
        match event:
            case TextDelta():
                yield self._delta(event)
            case SegmentProduced():
                yield data_frame({"type": "transcript.text.segment", **event.segment})
            case TranscriptProduced():
                self._transcript = event.transcript
                if not self._text and event.transcript.get("text"):
                    yield self._delta(TextDelta(0, event.transcript["text"]))
            case UsageReported():
                self._usage = event.usage
            case _ if type(event) in TERMINAL_TYPES:
                yield data_frame(self._done())
            case _:
                pass

    def _delta(self, event: TextDelta) -> bytes:
        self._text.append(event.text)
        told = {} if event.logprobs is None else {"logprobs": event.logprobs}
        return data_frame({"type": "transcript.text.delta", "delta": event.text, **told})

    def _done(self) -> dict[str, Any]:
        done: dict[str, Any] = {"type": "transcript.text.done", "text": "".join(self._text)}
        if (logprobs := self._transcript.get("logprobs")) is not None:
            done["logprobs"] = logprobs
        usage = usage_body(self._usage)
        if usage is not None and usage["type"] == "tokens":  # of seconds this event has no place
            done["usage"] = usage
        return done


def usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """What a transcript took, in tokens or in seconds, as OpenAI says it; None where nobody did."""
    if usage is None:
        return None
    if not usage.input_tokens and not usage.output_tokens:
        return None if usage.units is None else {"type": "duration", "seconds": usage.units.audio_seconds}
    told: dict[str, Any] = {
        "type": "tokens",
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if (heard := usage.audio_input_tokens) is not None:
        told["input_token_details"] = {"text_tokens": usage.input_tokens - heard, "audio_tokens": heard}
    return told
