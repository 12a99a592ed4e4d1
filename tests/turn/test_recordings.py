"""How long a recording lasts: exact for plain samples, never too little for what lies about itself."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.turn.recordings import Duration, duration_of


def wav(seconds: float, *, channels: int = 1, per_s: int = 16_000, width: int = 2) -> bytes:
    """A file as the standard library writes it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(width)
        opened.setframerate(per_s)
        opened.writeframes(bytes(int(seconds * per_s) * channels * width))
    return file.getvalue()


@pytest.mark.parametrize(
    ("recording", "seconds"),
    [
        (wav(0), 0),
        (wav(3), 3),
        (wav(3.001), 4),
        (wav(2, channels=2, per_s=44_100), 2),
        (wav(7, per_s=8_000, width=1), 7),
        (wav(5, per_s=48_000, width=3), 5),
    ],
)
def test_plain_samples_say_it_exactly(recording: bytes, seconds: int) -> None:
    assert duration_of(recording) == Duration(seconds, seconds)


def test_what_stands_before_and_behind_the_samples_is_no_sound() -> None:
    plain = wav(3)
    listed = plain[:12] + b"LIST" + struct.pack("<I", 5) + b"odd. \0" + plain[12:] + b"id3 " + bytes(200)

    assert duration_of(listed) == Duration(3, 3)


def test_a_file_that_was_streamed_says_nothing_of_its_length() -> None:
    plain = bytearray(wav(3))
    plain[plain.index(b"data") + 4 : plain.index(b"data") + 8] = b"\xff\xff\xff\xff"

    assert duration_of(bytes(plain)) == Duration(3, 3)


def test_a_head_that_says_too_little_is_not_believed() -> None:
    plain = bytearray(wav(60))
    plain[plain.index(b"data") + 4 : plain.index(b"data") + 8] = struct.pack("<I", 2)

    assert duration_of(bytes(plain)).most >= 59


def test_of_compressed_samples_only_the_size_is_known() -> None:
    packed = bytearray(wav(3))
    packed[20:22] = struct.pack("<H", 0x11)  # ADPCM

    assert duration_of(bytes(packed)) == Duration(-(-len(packed) // 750), -(-len(packed) // 4_000))


def test_of_all_else_the_size_bounds_it() -> None:
    assert duration_of(bytes(7_500)) == Duration(10, 2)
    assert duration_of(b"") == Duration(0, 0)


@given(st.binary(max_size=200), st.integers(0, 80))
def test_no_bytes_break_it(noise: bytes, place: int) -> None:
    plain = wav(0.01)

    found = duration_of(plain[:place] + noise + plain[place:])

    assert 0 <= found.estimate <= found.most
