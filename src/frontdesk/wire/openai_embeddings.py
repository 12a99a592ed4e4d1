"""Embeddings: the caller's request, and vectors rendered as numbers or base64."""

from __future__ import annotations

import base64
from array import array
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from frontdesk.turn.events import EmbeddingsProduced, Event, Usage, UsageReported
from frontdesk.turn.facts import Facts
from frontdesk.turn.items import EmbeddingRequest
from frontdesk.wire.reading import names_of, read_object, view
from frontdesk.wire.refusing import wrong

_encode = msgspec.json.Encoder().encode
_MAX_INPUTS = 2048  # OpenAI's own limit
_Text = Annotated[str, Meta(min_length=1)]
_Token = Annotated[int, Meta(ge=0)]
_Tokens = Annotated[list[_Token], Meta(min_length=1)]
# What `_read_inputs` checks: msgspec has no union of lists.
_ONE_KIND: dict[str, Any] = {
    "anyOf": [
        {"items": {"type": "string", "minLength": 1}},
        {"items": {"type": "integer", "minimum": 0}},
        {"items": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}},
    ]
}
_Inputs = Annotated[list[Any], Meta(min_length=1, max_length=_MAX_INPUTS, extra_json_schema=_ONE_KIND)]


class EmbeddingsPassed(msgspec.Struct):
    """What embeddings pass on."""

    user: Annotated[str, Meta(max_length=512)] | None = None


class EmbeddingsAsked(EmbeddingsPassed, kw_only=True):
    """A request for embeddings: of a text, of texts, of token ids, or of lists of them."""

    input: _Text | _Inputs
    model: str | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None


_READ = names_of(EmbeddingsAsked) - names_of(EmbeddingsPassed)


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """An embeddings request: the inputs, and how the vectors are to be written."""

    request: EmbeddingRequest
    model: str | None
    is_base64: bool


def read_embeddings(body: bytes) -> EmbeddingsRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    fields = view(raw, EmbeddingsAsked)
    parameters = {name: value for name, value in raw.items() if name not in _READ and value is not None}
    return EmbeddingsRequest(
        EmbeddingRequest(_read_inputs(fields.input), fields.dimensions, parameters=parameters),
        fields.model,
        fields.encoding_format == "base64",
    )


def _read_inputs(given: str | list[Any]) -> list[str] | list[list[int]]:
    if isinstance(given, str):
        return [given]
    if type(given[0]) is int:
        given = [given]
    try:
        return msgspec.convert(given, list[_Text] if isinstance(given[0], str) else list[_Tokens])
    except msgspec.ValidationError:
        words = "'input' must be a text, a list of texts, or lists of token ids, none of them empty."
        raise wrong("input", words) from None


class EmbeddingsBody:
    """Renders events as one list of embeddings."""

    __slots__ = ("_facts", "_is_base64", "_usage", "_vectors")

    def __init__(self, facts: Facts, *, is_base64: bool) -> None:
        self._facts = facts
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
                "model": self._facts.model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    def _written(self, vector: bytes) -> str | list[float]:
        return base64.b64encode(vector).decode() if self._is_base64 else array("f", vector).tolist()
