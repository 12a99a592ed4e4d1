"""What the scripted provider judges, hears, speaks and draws: deterministic, and made of what was asked.

    judgements      a word of `_OBJECTED` is objected to by its category
    transcripts     how long the recording lasts, and two words that its bytes choose
    speech          a WAV file (or its samples, as pcm) of a tone for each word, 0.1 s each; no other format is spoken
    pictures        a PNG file of 16 x 16 pixels in a colour that the description chooses, with one step more each

A word is a token, a second that is heard are 10, a picture and each step on the way to it one.
"""

from __future__ import annotations

import base64
import itertools
import math
import re
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import Any

from frontdesk.core.money import Units
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
    TranscriptionRequest,
)
from frontdesk.turn.recordings import duration_of

_HEARD_PER_S = 10
_PICTURE_TOKENS = 85


def media_batches(request: MediaRequest) -> Iterator[list[Event]]:
    """Yield the events of an answer, a token each."""
    match request:
        case ModerationRequest():
            return _judge(request)
        case TranscriptionRequest():
            return _hear(request)
        case SpeechRequest():
            return _speak(request)
        case ImageRequest():
            return _draw(request)


def media_tokens(request: MediaRequest) -> int:
    """The tokens of what is asked."""
    match request:
        case ModerationRequest():
            return sum(_PICTURE_TOKENS if isinstance(each, Image) else _words(each) for each in request.inputs)
        case TranscriptionRequest():
            return _HEARD_PER_S * duration_of(request.audio.content).estimate + _words(request.prompt)
        case SpeechRequest():
            return _words(request.text) + _words(request.instructions)
        case ImageRequest():
            return _words(request.prompt) + _PICTURE_TOKENS * _pictures_in(request)


def written_tokens(batch: list[Event]) -> int:
    """The tokens that a batch of such an answer brings, besides the deltas of a text."""
    return sum(map(_written, batch)) if not any(isinstance(event, ItemFinished) for event in batch) else 0


def _written(event: Event) -> int:
    match event:
        case AudioProduced() | PartialImageProduced():
            return 1
        case ImagesProduced():
            return len(event.data)
        case TranscriptProduced():
            return len(event.transcript["text"].split())
        case _:
            return 0


def _words(said: object) -> int:
    return 0 if said is None else len(str(getattr(said, "text", said)).split())


# --- judgements ---------------------------------------------------------------------------------

_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_OBJECTED = {"kill": "violence", "hate": "hate", "insult": "harassment", "steal": "illicit"}
_SEES_PICTURES = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)


def _judge(request: ModerationRequest) -> Iterator[list[Event]]:
    texts = [each for each in request.inputs if isinstance(each, str)]
    if len(texts) == len(request.inputs):
        results = [_judgement([text], has_picture=False) for text in texts]
    else:
        words = [getattr(each, "text", "") for each in request.inputs]
        has_picture = any(isinstance(each, Image) for each in request.inputs)
        results = [_judgement(words, has_picture=has_picture)]
    yield [ModerationsProduced(results), TurnCompleted()]


def _judgement(texts: list[str], *, has_picture: bool) -> dict[str, Any]:
    said = " ".join(texts).lower()
    found = {category for word, category in _OBJECTED.items() if re.search(rf"\b{word}\b", said)}
    seed = zlib.crc32(said.encode("utf-8", "replace"))
    scores = {
        category: 0.98 if category in found else (seed >> place) % 100 / 10_000
        for place, category in enumerate(_CATEGORIES)
    }
    return {
        "flagged": bool(found),
        "categories": {category: category in found for category in _CATEGORIES},
        "category_scores": scores,
        "category_applied_input_types": {
            category: ["text", "image"] if has_picture and category in _SEES_PICTURES else ["text"]
            for category in _CATEGORIES
        },
    }


# --- transcripts --------------------------------------------------------------------------------

_SOUNDS = ("amber", "brook", "cedar", "delta", "ember", "fjord", "grove", "haven")


def transcript_words(request: TranscriptionRequest) -> list[str]:
    """What is heard in a recording."""
    seed = zlib.crc32(request.audio.content)
    seconds = duration_of(request.audio.content).estimate
    sounds = f"{_SOUNDS[seed % 8]} and {_SOUNDS[(seed >> 8) % 8]}"
    return f"This recording lasts {seconds} seconds. It sounds like {sounds}.".split()


def _hear(request: TranscriptionRequest) -> Iterator[list[Event]]:
    words = transcript_words(request)
    seconds = duration_of(request.audio.content).estimate
    heard = _HEARD_PER_S * seconds
    usage = Usage(media_tokens(request), len(words), audio_input_tokens=heard, units=Units(audio_seconds=seconds))
    text = " ".join(words)
    if request.stream:
        for place, word in enumerate(words):
            yield [TextDelta(0, word if place == 0 else f" {word}")]
        if request.format == "diarized_json":
            yield [SegmentProduced(each) for each in _speakers(text, seconds)]
        yield [ItemFinished(0), TranscriptProduced({"text": text}), UsageReported(usage), TurnCompleted()]
        return
    if request.format in ("verbose_json", "srt", "vtt"):  # of which OpenAI tells seconds, and no tokens
        usage = Usage(0, 0, units=usage.units)
    yield [TranscriptProduced(_transcript(request, text, seconds)), UsageReported(usage), TurnCompleted()]


def _transcript(request: TranscriptionRequest, text: str, seconds: int) -> dict[str, Any]:
    match request.format:
        case "json" | "text":
            return {"text": text}
        case "diarized_json":
            return {"task": "transcribe", "duration": seconds, "text": text, "segments": _speakers(text, seconds)}
        case _:
            told: dict[str, Any] = {
                "task": request.task,
                "language": "english",
                "duration": seconds,
                "text": text,
                "segments": _segments(text, seconds),
            }
            if "word" in request.granularities:
                spans = _spans(text.split(), seconds)
                told["words"] = [{"word": word, "start": start, "end": end} for word, start, end in spans]
            return told


def _sentences(text: str) -> list[str]:
    return re.findall(r"[^.]+\.", text)


def _spans(pieces: list[str], seconds: float) -> list[tuple[str, float, float]]:
    """Pieces of speech, each of the same length."""
    return [
        (piece, round(seconds * place / len(pieces), 3), round(seconds * (place + 1) / len(pieces), 3))
        for place, piece in enumerate(pieces)
    ]


def _segments(text: str, seconds: float) -> list[dict[str, Any]]:
    return [
        {
            "id": place,
            "seek": 0,
            "start": start,
            "end": end,
            "text": piece,
            "tokens": list(range(len(piece.split()))),
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.01,
        }
        for place, (piece, start, end) in enumerate(_spans(_sentences(text), seconds))
    ]


def _speakers(text: str, seconds: float) -> list[dict[str, Any]]:
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{place:03}",
            "start": start,
            "end": end,
            "text": piece.strip(),
            "speaker": "AB"[place % 2],
        }
        for place, (piece, start, end) in enumerate(_spans(_sentences(text), seconds))
    ]


# --- speech -------------------------------------------------------------------------------------

SAMPLES_PER_S = 24_000  # OpenAI's
_SAMPLES_A_WORD = SAMPLES_PER_S // 10


def _speak(request: SpeechRequest) -> Iterator[list[Event]]:
    words = request.text.split() or [""]
    is_plain = request.format == "pcm"
    begin: list[Event] = [AudioStarted("audio/pcm" if is_plain else "audio/wav")]
    head = b"" if is_plain else wav_head(2 * _SAMPLES_A_WORD * len(words))
    for word in words:
        yield [*begin, AudioProduced(head + _tone(word))]
        begin, head = [], b""
    usage = Usage(
        media_tokens(request),
        len(words),
        audio_output_tokens=len(words),
        units=Units(characters=len(request.text)),
    )
    told: list[Event] = [UsageReported(usage)] if request.stream else []
    yield [*told, TurnCompleted()]


def wav_head(size_bytes: int) -> bytes:
    """The head of a WAV file of one channel of 16-bit samples."""
    fmt = struct.pack("<HHIIHH", 1, 1, SAMPLES_PER_S, 2 * SAMPLES_PER_S, 2, 16)
    return b"RIFF%bWAVEfmt %b%bdata%b" % (
        struct.pack("<I", 36 + size_bytes),
        struct.pack("<I", len(fmt)),
        fmt,
        struct.pack("<I", size_bytes),
    )


def _tone(word: str) -> bytes:
    pitch_hz = 200 + zlib.crc32(word.encode("utf-8", "replace")) % 600
    step = 2 * math.pi * pitch_hz / SAMPLES_PER_S
    return array("h", (int(8_000 * math.sin(step * place)) for place in range(_SAMPLES_A_WORD))).tobytes()


# --- pictures -----------------------------------------------------------------------------------

_PIXELS = 16


def _draw(request: ImageRequest) -> Iterator[list[Event]]:
    seed = zlib.crc32((request.prompt or "").encode("utf-8", "replace"))
    for each in request.images:
        seed = zlib.crc32(each.content, seed)
    about = {"size": request.size, "quality": request.quality}
    about = {name: value for name, value in about.items() if value not in (None, "auto", "standard", "hd")}
    if request.stream:
        for step in range(request.partial_images):
            partial = {"b64_json": _encoded(seed, step), "partial_image_index": step}
            yield [PartialImageProduced({**about, **partial})]
    data = [_picture(request, seed, place) for place in range(request.n)]
    tokens = request.n + (request.partial_images if request.stream else 0)
    pictures = _PICTURE_TOKENS * _pictures_in(request)
    usage = Usage(
        media_tokens(request),
        tokens,
        image_input_tokens=pictures,
        image_output_tokens=tokens,
        units=Units(images=request.n),
    )
    yield [ImagesProduced(data, about), UsageReported(usage), TurnCompleted()]


def _pictures_in(request: ImageRequest) -> int:
    return sum(each is not None for each in (*request.images, request.mask, request.markup))


def _picture(request: ImageRequest, seed: int, place: int) -> dict[str, Any]:
    if request.parameters.get("response_format") == "url":
        return {"url": f"https://pictures.invalid/{seed:08x}-{place}.png"}
    return {"b64_json": _encoded(seed, place)}


def _encoded(seed: int, place: int) -> str:
    return base64.b64encode(png(bytes((seed + 31 * place >> shift) & 0xFF for shift in (0, 8, 16)))).decode()


def png(colour: bytes) -> bytes:
    """A picture of one colour (red, green and blue)."""
    lines = (b"\0" + colour * _PIXELS) * _PIXELS
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", _PIXELS, _PIXELS, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        itertools.chain.from_iterable(
            (struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(kind + body)))
            for kind, body in chunks
        )
    )
