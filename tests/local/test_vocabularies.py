"""The vocabulary of a model's file: what is read out of it, and that it counts as the model itself does."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.local.models import installed
from frontdesk.local.vocabularies import BytePairs, read_vocabulary
from tests.local.machine import CHAT, home_with

TOKENS = ["h", "e", "l", "o", "Ġ", "Ċ", "1", "2", "he", "ll", "hell", "hello", "Ġhello", "12"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ hello", "1 2"]


# --- files --------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def described(*entries: tuple[str, bytes], magic: bytes = b"GGUF") -> bytes:
    """A model's file that has no more than its descriptions."""
    head = magic + struct.pack("<IQQ", 3, 0, len(entries))
    return head + b"".join(text(name) + value for name, value in entries)


def a_text(value: str) -> bytes:
    return struct.pack("<I", 8) + text(value)


def texts(values: list[str]) -> bytes:
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


def model(splits: str = "gpt-2", kind: str = "gpt2") -> bytes:
    numbers = [(f"number.{of}", struct.pack(f"<I{code}", of, 1)) for of, code in enumerate("BbHhIif?") if code != "f"]
    return described(
        *numbers,
        ("general.scale", struct.pack("<If", 6, 0.5)),
        ("general.large", struct.pack("<IQ", 10, 2**40)),
        ("tokenizer.ggml.model", a_text(kind)),
        ("tokenizer.ggml.scores", struct.pack("<IIQ", 9, 6, 3) + struct.pack("<3f", 1, 2, 3)),
        ("tokenizer.ggml.nested", struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 4, 2) + struct.pack("<2I", 7, 8)),
        ("tokenizer.ggml.pre", a_text(splits)),
        ("tokenizer.ggml.tokens", texts(TOKENS)),
        ("tokenizer.ggml.merges", texts(MERGES)),
    )


def read(folder: Path, content: bytes) -> BytePairs:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return read_vocabulary(path)


def test_texts_are_counted_as_the_merges_say(tmp_path: Path) -> None:
    vocabulary = read(tmp_path, model())

    assert [vocabulary.count(each) for each in ("", "hello", "hello hello", "hell", "hel", "\n")] == [0, 1, 2, 1, 2, 1]


@pytest.mark.parametrize(("splits", "tokens"), [("gpt-2", 1), ("smollm", 2), ("qwen2", 2), ("llama-bpe", 1)])
def test_digits_are_split_as_the_model_does(tmp_path: Path, splits: str, tokens: int) -> None:
    assert read(tmp_path, model(splits)).count("12") == tokens


@pytest.mark.parametrize(("kind", "splits"), [("llama", "default"), ("gpt2", "tekken"), ("gpt2", "")])
def test_what_is_not_known_is_not_guessed(tmp_path: Path, kind: str, splits: str) -> None:
    with pytest.raises(ValueError, match="is not known"):
        read(tmp_path, model(splits, kind))


def test_a_file_without_a_vocabulary_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not known"):
        read(tmp_path, described(("general.name", a_text("a name"))))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"GGU", b"PK\x03\x04 and more", described(("a", struct.pack("<I", 99)))):
        with pytest.raises(ValueError, match=r"no GGUF|broken"):
            read(tmp_path, content)
    with pytest.raises(OSError, match="model"):
        read_vocabulary(tmp_path / "no model")


def test_a_file_that_breaks_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = model()
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r"broken|not known|no GGUF"):
            read(tmp_path, whole[:end])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(model()) - 1), byte=st.integers(0, 255))
def test_a_damaged_file_never_does_worse(tmp_path: Path, place: int, byte: int) -> None:
    content = bytearray(model())
    content[place] = byte
    with contextlib.suppress(ValueError):
        assert 0 <= read(tmp_path, bytes(content)).count("hello") <= 5


# --- a real one ---------------------------------------------------------------------------------


def test_a_real_vocabulary_is_read() -> None:
    path = installed(CHAT, home_with(CHAT))
    assert path is not None
    vocabulary: Any = read_vocabulary(path)

    counts = [vocabulary.count(each) for each in ("hello world", "What is 12345?", "\n", "system", "assistant\n")]
    assert counts == [2, 9, 1, 1, 3]
