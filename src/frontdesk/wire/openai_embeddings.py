"""Embeddings: the caller's request, and vectors rendered as numbers or base64."""

from __future__ import annotations

import base64
from array import array
from typing import Any

import msgspec

from frontdesk.turn.events import EmbeddingsProduced, Event, Usage, UsageReported
from frontdesk.turn.items import EmbeddingRequest
from frontdesk.turn.turn import Turn
from frontdesk.wire.reading import read_object, view, wrong

_encode = msgspec.json.Encoder().encode
_MAX_INPUTS = 2048  # OpenAI's own limit


class _EmbeddingsBody(msgspec.Struct):
    input: str | list[Any]
    model: str | None = None
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """An embeddings request: the inputs, and how the vectors are to be written."""

    request: EmbeddingRequest
    model: str | None
    is_base64: bool


def read_embeddings(body: bytes) -> EmbeddingsRequest:
    """Read a request body; raises BadRequest naming the field."""
    fields = view(read_object(body), _EmbeddingsBody)
    if fields.encoding_format not in (None, "float", "base64"):
        raise wrong("encoding_format", f"'encoding_format' is {fields.encoding_format!r}. It must be float or base64.")
    if fields.dimensions is not None and fields.dimensions < 1:
        raise wrong("dimensions", f"'dimensions' is {fields.dimensions}. It must be at least 1.")
    return EmbeddingsRequest(
        EmbeddingRequest(_read_inputs(fields.input), fields.dimensions),
        fields.model,
        fields.encoding_format == "base64",
    )


def _read_inputs(given: str | list[Any]) -> list[str] | list[list[int]]:
    if isinstance(given, str) or (given and all(type(each) is int for each in given)):
        given = [given]
    if not 1 <= len(given) <= _MAX_INPUTS:
        raise wrong("input", f"'input' has {len(given)} entries. It must have 1 to {_MAX_INPUTS}.")
    if all(isinstance(each, str) and each for each in given):
        return given
    try:
        tokens = msgspec.convert(given, list[list[int]])
    except msgspec.ValidationError:
        tokens = []
    if not tokens or not all(tokens):
        raise wrong("input", "'input' must be a text, a list of texts, or lists of token ids, none of them empty.")
    return tokens


class EmbeddingsBody:
    """Renders events as one list of embeddings."""

    __slots__ = ("_is_base64", "_turn", "_usage", "_vectors")

    def __init__(self, turn: Turn, *, is_base64: bool) -> None:
        self._turn = turn
        self._is_base64 = is_base64
        self._vectors: list[bytes] = []
        self._usage: Usage | None = None

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        for event in events:
            match event:
                case EmbeddingsProduced():
                    self._vectors.extend(event.vectors)
                case UsageReported():
                    self._usage = event.usage
                case _:
                    pass

    def body(self) -> bytes:
        """Return the list as JSON."""
        tokens = 0 if self._usage is None else self._usage.input_tokens
        return _encode(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": self._written(vector)}
                    for index, vector in enumerate(self._vectors)
                ],
                "model": self._turn.model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    def _written(self, vector: bytes) -> str | list[float]:
        return base64.b64encode(vector).decode() if self._is_base64 else array("f", vector).tolist()
