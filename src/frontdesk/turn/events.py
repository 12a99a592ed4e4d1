"""What is answered: events in the vocabulary of OpenAI's Responses items.

A provider yields lists of these, one list an upstream read. An answer is

    AnswerDescribed?  (ItemStarted Delta* ItemFinished)*  ChoiceFinished*  UsageReported?  Terminal

where items may overlap (parallel tool calls) and are told apart by `output`, their place in the
answer, counted from 0. Exactly one terminal event ends it. A failure is no event but an error: a
provider raises it, and an end without a terminal event is one.
`choice` is OpenAI's `n`: 0 unless the caller asked for several answers.

What is kept of an answer are these, as arrays behind their tags (`turn.log`). So a tag is never given to another one,
and fields are only added, at the end, with a default: what older versions wrote must be read for as long as it is kept.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from frontdesk.core.money import Units


class AnswerDescribed(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """What the provider says of the answer as a whole; a later one replaces it."""

    service_tier: str | None = None
    system_fingerprint: str | None = None


class MessageStarted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """A message of the assistant begins. `phase` is OpenAI's: commentary, final_answer or absent."""

    output: int
    item_id: str
    choice: int = 0
    phase: str | None = None


class TextDelta(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """More text of a message. `logprobs` are carried as the provider sent them, for these tokens."""

    output: int
    text: str
    logprobs: list[Any] | None = None


class AnnotationAdded(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """What a part of a message's text rests on: a source that the provider names.

    `annotation` is OpenAI's of Responses, whole: a `url_citation` (url, title, start_index, end_index: characters of
    the item's text) or a `file_citation` (file_id, filename, index).
    """

    output: int
    annotation: dict[str, Any]


class RefusalDelta(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """More of the words with which the model declines. `logprobs` as in TextDelta."""

    output: int
    text: str
    logprobs: list[Any] | None = None


class ReasoningStarted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """The model begins to think aloud."""

    output: int
    item_id: str
    choice: int = 0


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    """More of what the model thinks."""

    output: int
    text: str


class ReasoningSummaryStarted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=8):
    """A part of the summary of what the model thinks begins; a part before it ends there."""

    output: int


class ReasoningSummaryDelta(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=9):
    """More of the summary's newest part."""

    output: int
    text: str


class ReasoningEncrypted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=10):
    """What the model thinks, sealed by its provider, to be sent back with the next request."""

    output: int
    content: str


class ToolCallStarted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=11):
    """The model begins to call a tool."""

    output: int
    item_id: str
    call_id: str
    name: str
    kind: Literal["function", "custom"] = "function"
    choice: int = 0


class ToolArgumentsDelta(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=12):
    """More of a call's arguments; JSON only when put together."""

    output: int
    text: str


class ItemFinished(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=13):
    """An item is whole."""

    output: int


class ChoiceFinished(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=14):
    """One answer of `n` has ended, for this reason."""

    choice: int
    reason: Literal["stop", "length", "tool_calls", "content_filter"]


class EmbeddingsProduced(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Vectors in the order of the inputs, each as little-endian 32-bit floats."""

    vectors: list[bytes]


class ModerationsProduced(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """The judgements, in the order of the inputs, each as OpenAI spells it."""

    results: list[dict[str, Any]]


class TranscriptProduced(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """What is said, as OpenAI's JSON of a transcription has it: `text`, and where asked for `segments` or `words`.

    Where the text came in pieces before (TextDelta of the output 0), they count and not this one's.
    """

    transcript: dict[str, Any]


class SegmentProduced(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """A part of a recording that one person says, as OpenAI's stream tells it."""

    segment: dict[str, Any]


class AudioStarted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=19):
    """Sound begins; `media_type` is what its bytes are."""

    media_type: str


class AudioProduced(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=20):
    """More of the sound."""

    content: bytes


class PartialImageProduced(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """A picture on the way, as OpenAI's stream tells it, without `type`."""

    image: dict[str, Any]


class ImagesProduced(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """Pictures: `data` as OpenAI lists them, `about` what is said of all of them (size, quality, ...)."""

    data: list[dict[str, Any]]
    about: dict[str, Any] = {}


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What an attempt used, in tokens. None means that the provider did not say.

    Cached, written to a cache, heard, seen, and read by hosted tools are parts of `input_tokens`; thought,
    spoken, drawn, and the two of a prediction are parts of `output_tokens`; what stays in a cache for an hour is a part
    of what is written to it. `source` tells a provider's figure from our own count. `cost_micros` is what the provider
    itself says it charged. `raw` is what came. `units` is what is used besides tokens, by what is no chat.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_hour_tokens: int | None = None
    reasoning_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    tool_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    cost_micros: int | None = None
    source: Literal["reported", "counted"] = "reported"
    raw: dict[str, Any] | None = None
    units: Units | None = None


class UsageReported(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """The provider says what it used; the last one counts."""

    usage: Usage


class TurnCompleted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=25):
    """The answer is whole."""


class TurnIncomplete(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=26):
    """The answer stops early, for a reason that is no failure."""

    reason: Literal["max_output_tokens", "content_filter"]


class TurnCancelled(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=27):
    """Somebody who may asked to stop."""


Terminal = TurnCompleted | TurnIncomplete | TurnCancelled
Started = MessageStarted | ReasoningStarted | ToolCallStarted
Delta = TextDelta | RefusalDelta | ReasoningDelta | ReasoningSummaryDelta | ToolArgumentsDelta
Telling = ModerationsProduced | TranscriptProduced | SegmentProduced | PartialImageProduced | ImagesProduced
"""What tells more than one text at once."""
Event = (
    AnswerDescribed
    | Started
    | Delta
    | ReasoningSummaryStarted
    | ReasoningEncrypted
    | AnnotationAdded
    | ItemFinished
    | ChoiceFinished
    | EmbeddingsProduced
    | Telling
    | AudioStarted
    | AudioProduced
    | UsageReported
    | Terminal
)

TERMINAL_TYPES = frozenset({TurnCompleted, TurnIncomplete, TurnCancelled})
