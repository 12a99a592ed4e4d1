from __future__ import annotations

import msgspec
import pytest

from frontdesk.local.frames import (
    Answer,
    Broken,
    Cancel,
    Chat,
    Chunk,
    Done,
    Embed,
    Failed,
    FrameReader,
    Order,
    Ready,
    Vectors,
    decode_answer,
    decode_order,
    encode_frame,
)

ORDERS: list[Order] = [
    Chat(1, {"messages": [{"role": "user", "content": "Grüße 🎉"}]}, b"{}"),
    Embed(2, ["a", ""]),
    Cancel(1),
]
ANSWERS: list[Answer] = [
    Ready(),
    Broken("no"),
    Chunk(1, b"{}"),
    Vectors(2, [b"\x00" * 8], 3),
    Done(1),
    Failed(2, is_refusal=True, code="context_length_exceeded", message="too long"),
]


def test_what_the_server_says_is_read_as_it_was_written() -> None:
    payloads = FrameReader().feed(b"".join(encode_frame(order) for order in ORDERS))

    assert [decode_order(payload) for payload in payloads] == ORDERS


def test_answers_are_the_same_however_their_bytes_are_cut() -> None:
    sent = b"".join(encode_frame(answer) for answer in ANSWERS)

    for size in range(1, len(sent) + 1):
        reader = FrameReader()
        read = [
            decode_answer(payload)
            for start in range(0, len(sent), size)
            for payload in reader.feed(sent[start : start + size])
        ]
        assert read == ANSWERS


def test_what_is_no_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="a frame of 4,294,967,295 bytes"):
        FrameReader().feed(b"\xff" * 8)
    with pytest.raises(msgspec.MsgspecError):
        decode_answer(b"\x01")
