"""Judgements, transcripts, speech and pictures as the OpenAPI document describes them, like `openai_answers` all else.

Imported only to make that document. What a provider says of them beside OpenAI's fields goes through as it is.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

_Count = Annotated[int, Meta(ge=0)]
_Seconds = Annotated[float, Meta(ge=0)]
_UnixTime = Annotated[int, Meta(ge=0, description="Seconds since 1970.")]
_Base64 = Annotated[str, Meta(description="Bytes, in base64.")]

# --- judgements ---------------------------------------------------------------------------------


class Judgement(msgspec.Struct):
    """What is objected to in an input, by category."""

    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]] | UnsetType = UNSET


class JudgementList(msgspec.Struct):
    """Judgements in the order of the inputs."""

    id: str
    model: str
    results: list[Judgement]


# --- transcripts --------------------------------------------------------------------------------


class TranscriptTokenParts(msgspec.Struct):
    """Of the tokens read, which were words and which sound."""

    text_tokens: _Count
    audio_tokens: _Count


class TranscriptTokens(msgspec.Struct, tag_field="type", tag="tokens"):
    """What a transcript took, in tokens."""

    input_tokens: _Count
    output_tokens: _Count
    total_tokens: _Count
    input_token_details: TranscriptTokenParts | UnsetType = UNSET


class TranscriptSeconds(msgspec.Struct, tag_field="type", tag="duration"):
    """What a transcript took, in begun seconds of sound."""

    seconds: _Count


class TranscriptSegment(msgspec.Struct):
    """A part of what is said."""

    id: _Count
    start: _Seconds
    end: _Seconds
    text: str
    seek: int | UnsetType = UNSET
    tokens: list[int] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    avg_logprob: float | UnsetType = UNSET
    compression_ratio: float | UnsetType = UNSET
    no_speech_prob: float | UnsetType = UNSET


class TranscriptWord(msgspec.Struct):
    """A word, and when it is said."""

    word: str
    start: _Seconds
    end: _Seconds


class SpokenSegment(msgspec.Struct, tag_field="type", tag="transcript.text.segment"):
    """What one person says."""

    id: str
    start: _Seconds
    end: _Seconds
    text: str
    speaker: str


class Transcript(msgspec.Struct):
    """What is said."""

    text: str
    logprobs: list[dict[str, Any]] | UnsetType = UNSET
    usage: TranscriptTokens | TranscriptSeconds | UnsetType = UNSET


class VerboseTranscript(msgspec.Struct):
    """What is said, and when."""

    language: str
    duration: _Seconds
    text: str
    task: str | UnsetType = UNSET
    segments: list[TranscriptSegment] | UnsetType = UNSET
    words: list[TranscriptWord] | UnsetType = UNSET
    usage: TranscriptTokens | TranscriptSeconds | UnsetType = UNSET


class DiarizedTranscript(msgspec.Struct):
    """What is said, and by whom."""

    task: str
    duration: _Seconds
    text: str
    segments: list[SpokenSegment]
    usage: TranscriptTokens | TranscriptSeconds | UnsetType = UNSET


class TranscriptDelta(msgspec.Struct, tag_field="type", tag="transcript.text.delta"):
    """More of the text."""

    delta: str
    logprobs: list[dict[str, Any]] | UnsetType = UNSET


class TranscriptDone(msgspec.Struct, tag_field="type", tag="transcript.text.done"):
    """All of the text."""

    text: str
    logprobs: list[dict[str, Any]] | UnsetType = UNSET
    usage: TranscriptTokens | UnsetType = UNSET


TranscriptEvent = TranscriptDelta | SpokenSegment | TranscriptDone

# --- speech -------------------------------------------------------------------------------------


class SpeechUsage(msgspec.Struct):
    """What speech took, in tokens."""

    input_tokens: _Count
    output_tokens: _Count
    total_tokens: _Count


class SpeechDelta(msgspec.Struct, tag_field="type", tag="speech.audio.delta"):
    """More of the sound."""

    audio: _Base64


class SpeechDone(msgspec.Struct, tag_field="type", tag="speech.audio.done"):
    """The sound is whole."""

    usage: SpeechUsage


SpeechEvent = SpeechDelta | SpeechDone

# --- pictures -----------------------------------------------------------------------------------


class ImageTokenParts(msgspec.Struct):
    """Of the tokens read, which were words and which pictures."""

    text_tokens: _Count
    image_tokens: _Count


class ImageUsage(msgspec.Struct):
    """What pictures took, in tokens."""

    input_tokens: _Count
    output_tokens: _Count
    total_tokens: _Count
    input_tokens_details: ImageTokenParts


class Picture(msgspec.Struct):
    """A picture: its bytes, or where it is."""

    b64_json: _Base64 | UnsetType = UNSET
    url: str | UnsetType = UNSET
    revised_prompt: str | UnsetType = UNSET


class PictureList(msgspec.Struct):
    """Pictures, and what holds of all of them."""

    created: _UnixTime
    data: list[Picture]
    background: str | UnsetType = UNSET
    output_format: str | UnsetType = UNSET
    size: str | UnsetType = UNSET
    quality: str | UnsetType = UNSET
    usage: ImageUsage | UnsetType = UNSET


class _PictureEvent(msgspec.Struct, kw_only=True):
    b64_json: _Base64
    created_at: _UnixTime
    size: str
    quality: str
    background: str
    output_format: str


class GenerationStep(_PictureEvent, tag_field="type", tag="image_generation.partial_image", kw_only=True):
    """A picture on the way."""

    partial_image_index: _Count


class GenerationDone(_PictureEvent, tag_field="type", tag="image_generation.completed", kw_only=True):
    """A picture."""

    usage: ImageUsage
    revised_prompt: str | UnsetType = UNSET


class EditStep(_PictureEvent, tag_field="type", tag="image_edit.partial_image", kw_only=True):
    """A picture on the way."""

    partial_image_index: _Count


class EditDone(_PictureEvent, tag_field="type", tag="image_edit.completed", kw_only=True):
    """A picture."""

    usage: ImageUsage
    revised_prompt: str | UnsetType = UNSET


GenerationEvent = GenerationStep | GenerationDone
EditEvent = EditStep | EditDone
