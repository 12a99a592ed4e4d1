"""Speech on this machine: a request for a transcript becomes a job of Whisper, and what it hears becomes events.

What the model cannot do is refused by name. How the recording is cut into parts is its own matter.
"""

from __future__ import annotations

import math
from typing import Any

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.core.money import Units
from frontdesk.local.frames import Failed, Heard, JobAnswer, Listening, Segment, Transcribe, Word
from frontdesk.turn.events import Event, TextDelta, TranscriptProduced, TurnCompleted, Usage, UsageReported
from frontdesk.turn.items import TranscriptionRequest

_HINTS = frozenset({"chunking_strategy"})


def transcription_job(request: TranscriptionRequest, job_id: int) -> Transcribe:
    """The job of a request. Raises BadRequest for what the model cannot do."""
    if request.format == "diarized_json":
        raise _unsupported("response_format", "The local model does not tell people apart. Ask for another format.")
    if request.include:
        raise _unsupported("include", "The local model tells no log probabilities. Leave it out.")
    for name in request.parameters:
        if name != "temperature" and name not in _HINTS:
            raise _unsupported(name, "The local model cannot do that. Leave it out.")
    return Transcribe(
        job_id,
        request.audio.content,
        request.language,
        request.prompt,
        request.parameters.get("temperature"),
        wants_words="word" in request.granularities,
        translates=request.task == "translate",
    )


class TranscriptReader:
    """Makes events of what the model's process hears. Where `error` is set, it has refused or failed."""

    def __init__(self, request: TranscriptionRequest) -> None:
        self._request = request
        self._sound: Listening | None = None
        self._segments: list[Segment] = []
        self.error: FrontdeskError | None = None
        self.is_done = False

    def take(self, answer: JobAnswer, events: list[Event]) -> None:
        """Take one answer; what is to be told joins `events`."""
        match answer:
            case Listening():
                self._sound = answer
            case Heard():
                text = answer.segment.text if self._segments else answer.segment.text.lstrip()
                self._segments.append(answer.segment)
                if self._request.stream and text:
                    events.append(TextDelta(0, text))
            case Failed():
                self.error = _error_of(answer)
            case _:
                self.is_done = True
                events.extend(self._end())

    def _end(self) -> list[Event]:
        seconds = 0.0 if self._sound is None else self._sound.duration_s
        usage = Usage(0, 0, units=Units(audio_seconds=math.ceil(seconds)))
        return [TranscriptProduced(self._transcript(seconds)), UsageReported(usage), TurnCompleted()]

    def _transcript(self, seconds: float) -> dict[str, Any]:
        """As `verbose_json` has it; what another format leaves out is left out where it is rendered."""
        transcript: dict[str, Any] = {
            "task": self._request.task,
            "language": "" if self._sound is None else _LANGUAGES.get(self._sound.language, self._sound.language),
            "duration": round(seconds, 3),
            "text": "".join(segment.text for segment in self._segments).strip(),
        }
        granularities = self._request.granularities or ("segment",)
        if "word" in granularities:
            transcript["words"] = [_word(word) for segment in self._segments for word in segment.words]
        if "segment" in granularities or self._request.format in _SUBTITLES:
            transcript["segments"] = [_segment(place, segment) for place, segment in enumerate(self._segments)]
        return transcript


_SUBTITLES = frozenset({"srt", "vtt"})
# OpenAI names a language in English; of Whisper's hundred those that most people speak.
_LANGUAGES = {
    "ar": "arabic",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "hi": "hindi",
    "it": "italian",
    "ja": "japanese",
    "ko": "korean",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
    "uk": "ukrainian",
    "zh": "chinese",
}


def _segment(place: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": place,
        "seek": 0,
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": segment.text,
        "tokens": segment.tokens,
        "temperature": segment.temperature,
        "avg_logprob": segment.average_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_probability,
    }


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.word.strip(), "start": round(word.start_s, 3), "end": round(word.end_s, 3)}


def _error_of(answer: Failed) -> FrontdeskError:
    if not answer.is_refusal:
        return ProviderError(f"local model failed: {answer.message}")
    param = "language" if answer.code == "unsupported_language" else "file"
    return BadRequest(answer.message, code=answer.code, param=param)


def _unsupported(param: str, remedy: str) -> BadRequest:
    return BadRequest(f"{param!r} is not supported here. {remedy}", code="unsupported_parameter", param=param)
