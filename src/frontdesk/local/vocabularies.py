"""The vocabulary of a language model, read out of its file (GGUF): for counting, without the model.

Only byte-level BPE, and only where it is known how the model splits a text before that: a guess would count wrongly.
The layout of the file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (2026-11-23).
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

FROM_FILE = "gguf:"
"""How the name of a vocabulary begins that is read from a model's file; its path follows."""

_MAGIC = b"GGUF"
_MOST_ENTRIES = 100_000_000
_STRING, _ARRAY = 8, 9
_NUMBERS: Mapping[int, struct.Struct] = {
    kind: struct.Struct(f"<{code}") for kind, code in {**dict(enumerate("BbHhIif?")), 10: "Q", 11: "q", 12: "d"}.items()
}
_WANTED = frozenset({"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"})


class BytePairs(Protocol):
    """What is used of a tokenizer."""

    def count(self, text: str) -> int:
        """The tokens of a text, all of it taken for text."""
        ...


def read_vocabulary(path: Path) -> BytePairs:
    """Read the vocabulary of a model's file.

    Raises OSError, ImportError, and ValueError where it is no GGUF, or of a kind that is not known here.
    """
    described = _read_descriptions(path)
    kind, splits = described.get("tokenizer.ggml.model"), described.get("tokenizer.ggml.pre")
    if kind != "gpt2" or not isinstance(splits, str) or splits not in _SPLITS:
        raise ValueError(f"a vocabulary of kind {kind!r}, split as {splits!r}, is not known")
    tokens = cast("list[bytes]", described.get("tokenizer.ggml.tokens") or [])
    merges = cast("list[bytes]", described.get("tokenizer.ggml.merges") or [])
    return _Tokenizer(
        {token.decode("utf-8", "replace"): number for number, token in enumerate(tokens)},
        [_pair(merge.decode()) for merge in merges],
        splits,
    )


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


class _Tokenizer:
    def __init__(self, tokens: dict[str, int], merges: list[tuple[str, str]], splits: str) -> None:
        package: Any = importlib.import_module("tokenizers")  # its types are its own business
        pieces: Any = importlib.import_module("tokenizers.pre_tokenizers")
        models: Any = importlib.import_module("tokenizers.models")
        try:
            pairs = models.BPE(tokens, merges, ignore_merges=splits == "llama-bpe")
        except Exception as error:  # the package has no type of its own
            raise ValueError("the GGUF is broken: its vocabulary does not hold together") from error
        self._tokenizer = package.Tokenizer(pairs)
        self._tokenizer.pre_tokenizer = _SPLITS[splits](package, pieces)

    def count(self, text: str) -> int:
        """The tokens of a text."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


# --- how texts are split ------------------------------------------------------------------------


def _as_gpt2(_: Any, pieces: Any) -> Any:
    return pieces.ByteLevel(add_prefix_space=False)


def _as_smollm(_: Any, pieces: Any) -> Any:
    return pieces.Sequence([pieces.Digits(individual_digits=True), pieces.ByteLevel(add_prefix_space=False)])


def _by(digits: str) -> Callable[[Any, Any], Any]:
    """As Llama 3 and those after it do: so many digits together."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+"
    )

    def split(package: Any, pieces: Any) -> Any:
        by_pattern = pieces.Split(package.Regex(pattern), behavior="isolated")
        return pieces.Sequence([by_pattern, pieces.ByteLevel(add_prefix_space=False, use_regex=False)])

    return split


_SPLITS: Mapping[str, Callable[[Any, Any], Any]] = {
    "gpt-2": _as_gpt2,
    "smollm": _as_smollm,
    "llama-bpe": _by(r"\p{N}{1,3}"),
    "qwen2": _by(r"\p{N}"),
}


# --- the file -----------------------------------------------------------------------------------


def _read_descriptions(path: Path) -> dict[str, Any]:
    """What a file says of its model, of that which is wanted here."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is no GGUF")
        try:
            _number(file, 4)  # the version
            _number(file, 10)  # of tensors
            return _read_entries(file, _number(file, 10))
        except (struct.error, KeyError, UnicodeDecodeError) as error:
            raise ValueError("the GGUF is broken") from error


def _read_entries(file: BinaryIO, entries: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(_bounded(entries)):
        name = _text(file).decode()
        value = _value(file, _number(file, 4))
        if name in _WANTED:
            found[name] = value.decode() if isinstance(value, bytes) else value
            if len(found) == len(_WANTED):
                break
    return found


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        return _number(file, kind)
    of = _number(file, 4)
    length = _bounded(_number(file, 10))
    if of in _NUMBERS:
        file.seek(_NUMBERS[of].size * length, 1)
        return None
    return [_value(file, of) for _ in range(length)]


def _number(file: BinaryIO, kind: int) -> int:
    form = _NUMBERS[kind]
    return form.unpack(file.read(form.size))[0]


def _text(file: BinaryIO) -> bytes:
    length = _bounded(_number(file, 10))
    text = file.read(length)
    if len(text) < length:
        raise ValueError("the GGUF is broken")
    return text


def _bounded(number: int) -> int:
    if number > _MOST_ENTRIES:
        raise ValueError("the GGUF is broken")
    return number
