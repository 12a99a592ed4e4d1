"""What the server and a model's process say to each other: MessagePack in frames, over its standard input and output.

    frame   length (4 bytes, big-endian), then one message as a MessagePack array [kind, fields...]

    server to process       process to server
    Chat, Embed, Count      Ready | Broken      once, at the start
    Transcribe, Cancel      Chunk*, Vectors*    of the job with this id, several jobs at a time
                            Listening, Heard*   the same
                            Counted             the same
                            Done | Failed       ends a job; nothing is said of a cancelled one

Pipes, because the event loop then tells of bytes and of the process's end through one object, and
because the end of its input is how the process learns that the server is gone.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

_LENGTH = struct.Struct(">I")
_MOST_BYTES = 64 * 1024 * 1024


class Chat(msgspec.Struct, frozen=True, array_like=True, tag="chat"):
    """Answer a conversation. `body` is llama.cpp's Chat Completions body; `schema`, in JSON, binds the answer."""

    job_id: int
    body: dict[str, Any]
    schema: bytes | None = None


class Embed(msgspec.Struct, frozen=True, array_like=True, tag="embed"):
    """Make a vector of each text."""

    job_id: int
    texts: list[str]


class Count(msgspec.Struct, frozen=True, array_like=True, tag="count"):
    """Count the tokens of texts, in UTF-8, by the vocabulary of this name."""

    job_id: int
    texts: list[bytes]
    encoding: str


class Transcribe(msgspec.Struct, frozen=True, array_like=True, tag="transcribe"):
    """Write down what is said in a recording, a whole file of any kind that ffmpeg reads.

    `language` is ISO 639-1; None lets the model find out. `prompt` are words as they may occur. `translates` says it in
    English.
    """

    job_id: int
    audio: bytes
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    wants_words: bool = False
    translates: bool = False


class Cancel(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="cancel"):
    """Stop a job; nothing more is said of it."""

    job_id: int


class Ready(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="ready"):
    """The model is loaded."""


class Broken(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="broken"):
    """The model cannot be loaded, for this reason; the process ends."""

    reason: str


class Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="chunk"):
    """A piece of an answer: the JSON of a Chat Completions chunk."""

    job_id: int
    data: bytes


class Vectors(msgspec.Struct, frozen=True, array_like=True, tag="vectors"):
    """The next vectors of a job, each as little-endian 32-bit floats, and the tokens of their texts."""

    job_id: int
    vectors: list[bytes]
    tokens: int


class Listening(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="listening"):
    """A recording was read: how long it is, and the language that is spoken in it."""

    job_id: int
    duration_s: float
    language: str


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A word and when it is said."""

    word: str
    start_s: float
    end_s: float


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """What is said from one time to another, and how sure the model is of it."""

    start_s: float
    end_s: float
    text: str
    tokens: list[int]
    temperature: float
    average_logprob: float
    compression_ratio: float
    no_speech_probability: float
    words: list[Word] = []


class Heard(msgspec.Struct, frozen=True, array_like=True, tag="heard"):
    """The next part of what is said."""

    job_id: int
    segment: Segment


class Counted(msgspec.Struct, frozen=True, array_like=True, tag="counted"):
    """The tokens of each text, in order."""

    job_id: int
    tokens: list[int]


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="done"):
    """A job has ended well."""

    job_id: int


class Failed(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="failed"):
    """A job has failed. A refusal is the caller's matter and its message is told, else it is for logs."""

    job_id: int
    is_refusal: bool
    code: Literal[
        "context_length_exceeded",
        "unsupported_schema",
        "invalid_request",
        "invalid_audio",
        "unsupported_language",
        "model_failed",
    ]
    message: str


Job = Chat | Embed | Count | Transcribe
Order = Job | Cancel
JobAnswer = Chunk | Vectors | Listening | Heard | Counted | Done | Failed
Answer = Ready | Broken | JobAnswer

_encoder = msgspec.msgpack.Encoder()
_order_decoder = msgspec.msgpack.Decoder(Order)
_answer_decoder = msgspec.msgpack.Decoder(Answer)


def encode_frame(message: Order | Answer) -> bytes:
    """Return the message as a frame."""
    payload = _encoder.encode(message)
    return _LENGTH.pack(len(payload)) + payload


def decode_order(payload: bytes) -> Order:
    """Read what the server says. Raises msgspec.MsgspecError."""
    return _order_decoder.decode(payload)


def decode_answer(payload: bytes) -> Answer:
    """Read what the process says. Raises msgspec.MsgspecError."""
    return _answer_decoder.decode(payload)


class FrameReader:
    """Cuts bytes, as they come, into the payloads of frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are whole now. Raises ValueError where it is no frame."""
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > _MOST_BYTES:
                raise ValueError(f"a frame of {length:,} bytes is larger than any should be")
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            payloads.append(bytes(buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return payloads
