"""POST /v1/audio/transcriptions, /v1/audio/translations and /v1/audio/speech."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
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


class TranscriptionsDoor:
    """Answers what is said in recordings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        await _serve(self._desk, visit, read_transcription(visit.take_body(), visit.content_type))


class TranslationsDoor:
    """Answers what is said in recordings, in English."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        await _serve(self._desk, visit, read_translation(visit.take_body(), visit.content_type))


async def _serve(desk: Desk, visit: Visit, asked: TranscriptionsRequest) -> None:
    request = asked.request
    turn = desk.begin("transcriptions", visit, asked.model, request, {})
    if request.stream:
        await desk.stream(turn, visit, lambda _: TranscriptStream())
    elif is_text(request.format):
        await desk.deliver(turn, visit, lambda _: TranscriptText(request.format))
    else:
        await desk.collect(turn, visit, lambda _: TranscriptBody(request))


class SpeechDoor:
    """Answers with sound."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        asked = read_speech(visit.take_body())
        turn = self._desk.begin("speech", visit, asked.model, asked.request, {})
        if asked.request.stream:
            await self._desk.stream(turn, visit, lambda _: SpeechStream(turn))
        else:
            await self._desk.deliver(turn, visit, lambda _: SpeechSound())
