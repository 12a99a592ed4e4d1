"""OpenAI's endpoints that are no chat, as the scripted upstream answers them: moderations, audio, pictures.

The wire's own readers and renderers do the work, as in `openai`. What a provider would not know is no matter here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest
from frontdesk.providers.scripts import Outcome
from frontdesk.turn.events import AudioStarted, Event, Usage
from frontdesk.turn.items import MediaRequest, Request
from frontdesk.turn.turn import Caller, Door, Turn
from frontdesk.upstream.dialects import Asked
from frontdesk.upstream.frames import frame
from frontdesk.wire.openai_images import (
    ImagesBody,
    ImagesStream,
    read_image_edit,
    read_image_generation,
    read_image_variation,
)
from frontdesk.wire.openai_moderations import ModerationsBody, read_moderations
from frontdesk.wire.openai_speech import SpeechSound, SpeechStream, read_speech
from frontdesk.wire.openai_transcripts import (
    TranscriptBody,
    TranscriptionsRequest,
    TranscriptStream,
    TranscriptText,
    is_text,
    read_transcription,
    read_translation,
)

_encode = msgspec.json.Encoder().encode
_EVENTS = "text/event-stream; charset=utf-8"


def read_media(asked: Asked, clock: Clock) -> MediaAnswer | None:
    """Return what a request asks; None where its path is none of these."""
    read = _READERS.get(asked.path) if asked.method == "POST" else None
    return None if read is None else read(asked, clock)


class _Pieces(Protocol):
    def render(self, events: list[Event]) -> bytes: ...


class _Body(Protocol):
    def add(self, events: list[Event]) -> None: ...
    def body(self) -> bytes: ...


class MediaAnswer:
    """An answer in the shape that its path asks for: one body, events, or sound as it comes."""

    __slots__ = ("_body", "_pieces", "content_type", "is_streaming", "model", "request", "tells_usage")

    def __init__(
        self, turn: Turn, content_type: str, *, pieces: _Pieces | None = None, body: _Body | None = None
    ) -> None:
        self.request: Request = turn.request
        self.model = turn.model
        self.content_type = content_type
        self.is_streaming = isinstance(pieces, _STREAMS)
        self.tells_usage: Literal["last"] = "last"
        self._pieces = pieces
        self._body = body

    def begin(self, script: str, outcome: Outcome) -> None:
        """Nothing depends on it."""

    def counted(self, usage: Usage) -> Usage:
        """Return the usage as it is."""
        return usage

    def render(self, events: list[Event]) -> bytes:
        """Return the bytes of these."""
        assert self._pieces is not None
        return self._pieces.render(events)

    def in_transit(self, frames: bytes) -> bytes:
        """Return the bytes as they are."""
        return frames

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole body."""
        if self._body is None:
            return self.render(events)
        self._body.add(events)
        return self._body.body()

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:  # noqa: ARG002 - it has one way
        """Return an error inside a 200."""
        error = {"error": {"message": message, "type": "server_error", "param": None, "code": "server_error"}}
        return frame(error) if self.content_type == _EVENTS else _encode(error)

    def without_finish(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Return None for the event that says that all is there."""
        is_last = str(payload.get("type")).endswith((".done", ".completed"))
        return None if is_last else payload


_STREAMS = (TranscriptStream, SpeechSound, SpeechStream, ImagesStream)


def _turn(door: Door, model: str | None, request: MediaRequest, clock: Clock) -> Turn:
    if not model:
        raise BadRequest("you must provide a model parameter", code="missing_required_parameter", param="model")
    return Turn(door, Caller("server", "upstream", None, None), model, request, clock)


def _moderations(asked: Asked, clock: Clock) -> MediaAnswer:
    read = read_moderations(asked.body)
    turn = _turn("moderations", read.model or "omni-moderation-latest", read.request, clock)
    return MediaAnswer(turn, "application/json", body=ModerationsBody(turn))


def _transcription(asked: Asked, clock: Clock) -> MediaAnswer:
    return _transcript(read_transcription(asked.body, _content_type(asked)), clock)


def _translation(asked: Asked, clock: Clock) -> MediaAnswer:
    return _transcript(read_translation(asked.body, _content_type(asked)), clock)


def _transcript(read: TranscriptionsRequest, clock: Clock) -> MediaAnswer:
    request = read.request
    turn = _turn("transcriptions", read.model, request, clock)
    if request.stream:
        return MediaAnswer(turn, _EVENTS, pieces=TranscriptStream())
    if is_text(request.format):
        text = TranscriptText(request.format)
        return MediaAnswer(turn, text.content_type, pieces=text)
    return MediaAnswer(turn, "application/json", body=TranscriptBody(request))


def _speech(asked: Asked, clock: Clock) -> MediaAnswer:
    read = read_speech(asked.body)
    turn = _turn("speech", read.model, read.request, clock)
    if read.request.stream:
        return MediaAnswer(turn, _EVENTS, pieces=SpeechStream(turn))
    sound = SpeechSound()
    sound.render([AudioStarted("audio/pcm" if read.request.format == "pcm" else "audio/wav")])
    return MediaAnswer(turn, sound.content_type, pieces=sound)


def _generation(asked: Asked, clock: Clock) -> MediaAnswer:
    read = read_image_generation(asked.body)
    return _images(_turn("images", read.model, read.request, clock))


def _edit(asked: Asked, clock: Clock) -> MediaAnswer:
    read = read_image_edit(asked.body, _content_type(asked))
    return _images(_turn("images", read.model, read.request, clock))


def _variation(asked: Asked, clock: Clock) -> MediaAnswer:
    read = read_image_variation(asked.body, _content_type(asked))
    return _images(_turn("images", read.model, read.request, clock))


def _images(turn: Turn) -> MediaAnswer:
    if turn.request.stream:
        return MediaAnswer(turn, _EVENTS, pieces=ImagesStream(turn))
    return MediaAnswer(turn, "application/json", body=ImagesBody(turn))


def _content_type(asked: Asked) -> bytes | None:
    said = asked.headers.get("content-type")
    return None if said is None else said.encode("latin-1")


_READERS: dict[str, Callable[[Asked, Clock], MediaAnswer]] = {
    "/v1/moderations": _moderations,
    "/v1/audio/transcriptions": _transcription,
    "/v1/audio/translations": _translation,
    "/v1/audio/speech": _speech,
    "/v1/images/generations": _generation,
    "/v1/images/edits": _edit,
    "/v1/images/variations": _variation,
}
