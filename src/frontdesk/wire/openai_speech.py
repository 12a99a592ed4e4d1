"""Speech: the caller's request, and sound as it is or in events."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from frontdesk.turn.events import (
    TERMINAL_TYPES,
    AudioProduced,
    AudioStarted,
    Event,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import SpeechFormat, SpeechRequest
from frontdesk.turn.media_sizes import written_about
from frontdesk.turn.sizes import size_of
from frontdesk.turn.turn import Turn
from frontdesk.wire.media import check_whole, data_frame
from frontdesk.wire.media_stream import MediaStream
from frontdesk.wire.reading import names_of, read_object, view

_MAX_CHARS = 4096  # OpenAI's own limit


class SpeechPassed(msgspec.Struct):
    """What speech passes on."""

    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None


class CustomVoice(msgspec.Struct, forbid_unknown_fields=True):
    """A voice of one's own, by its id."""

    id: str


class SpeechAsked(SpeechPassed, kw_only=True):
    """A request to speak a text."""

    input: Annotated[str, Meta(min_length=1, max_length=_MAX_CHARS)]
    voice: str | CustomVoice
    model: str | None = None
    instructions: Annotated[str, Meta(max_length=_MAX_CHARS)] | None = None
    response_format: SpeechFormat | None = None
    stream_format: Literal["audio", "sse"] | None = None


_READ = names_of(SpeechAsked) - names_of(SpeechPassed)


class SpokenRequest(msgspec.Struct, frozen=True):
    """A request to speak, and the model that it names."""

    request: SpeechRequest
    model: str | None


def read_speech(body: bytes) -> SpokenRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    fields = view(raw, SpeechAsked)
    voice = fields.voice
    request = SpeechRequest(
        fields.input,
        {"id": voice.id} if isinstance(voice, CustomVoice) else voice,
        format=fields.response_format or "mp3",
        instructions=fields.instructions,
        stream=fields.stream_format == "sse",
        parameters={name: value for name, value in raw.items() if name not in _READ and value is not None},
    )
    return SpokenRequest(request, fields.model)


class SpeechSound:
    """Renders events as the sound itself."""

    __slots__ = ("content_type",)

    def __init__(self) -> None:
        self.content_type = "application/octet-stream"

    def render(self, events: list[Event]) -> bytes:
        """Return more of the sound; what it is, is known with its first bytes."""
        check_whole(events)
        for event in events:
            if isinstance(event, AudioStarted):
                self.content_type = event.media_type
        return b"".join(event.content for event in events if isinstance(event, AudioProduced))


class SpeechStream(MediaStream):
    """Renders events as server-sent events: pieces of sound, then what they took."""

    __slots__ = ("_turn", "_usage")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._usage: Usage | None = None

    def _frames(self, event: Event) -> Iterator[bytes]:
        if isinstance(event, AudioProduced):
            yield data_frame({"type": "speech.audio.delta", "audio": base64.b64encode(event.content).decode()})
        elif isinstance(event, UsageReported):
            self._usage = event.usage
        elif type(event) in TERMINAL_TYPES:
            yield data_frame({"type": "speech.audio.done", "usage": self._told()})

    def _told(self) -> dict[str, Any]:
        """What it took; where the provider did not say, about that: this event always says it."""
        if self._usage is not None:
            read, written = self._usage.input_tokens, self._usage.output_tokens
        else:
            request = self._turn.request
            assert isinstance(request, SpeechRequest)
            read, written = size_of(self._turn).estimate, written_about(request, 0)
        return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
