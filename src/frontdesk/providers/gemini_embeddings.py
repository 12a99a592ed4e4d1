"""Gemini's embeddings: texts become bodies of batchEmbedContents, its vectors become 32-bit floats."""

from __future__ import annotations

import math
import sys
from array import array
from typing import Any

import msgspec

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.gemini_usage import read_gemini_usage
from frontdesk.turn.events import Usage
from frontdesk.turn.items import EmbeddingRequest

MOST_TEXTS = 100
"""Of one request (Gemini API reference, models.batchEmbedContents)."""
_HINTS = frozenset({"user", "safety_identifier"})
_CARRIED = {"taskType": "taskType", "task_type": "taskType", "title": "title"}


def encode_texts(request: EmbeddingRequest, model: str) -> list[dict[str, Any]]:
    """Return the bodies that ask for all vectors, in order. Raises BadRequest for what Gemini cannot be asked."""
    texts = [each for each in request.inputs if isinstance(each, str)]
    if len(texts) < len(request.inputs):
        raise _refused("input", "Token ids are those of another model. Send the texts.")
    options: dict[str, Any] = {}
    for name, value in request.parameters.items():
        if name in _CARRIED:
            options[_CARRIED[name]] = value
        elif name not in _HINTS and value is not None:
            raise _refused(name, "Leave it out.")
    if request.dimensions is not None:
        options["outputDimensionality"] = request.dimensions
    asked = [{"model": model, "content": {"parts": [{"text": text}]}, **options} for text in texts]
    return [{"requests": asked[start : start + MOST_TEXTS]} for start in range(0, len(asked), MOST_TEXTS)]


def _refused(param: str, remedy: str) -> BadRequest:
    return BadRequest(f"{param!r} is not supported by this model. {remedy}", code="unsupported_parameter", param=param)


class _Embedding(msgspec.Struct):
    values: list[float]


class _Embeddings(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding] = []
    usage_metadata: dict[str, Any] | None = None


_decode_body = msgspec.json.Decoder(_Embeddings).decode


def decode_vectors(body: bytes, expected: int, *, is_shortened: bool) -> tuple[list[bytes], Usage | None]:
    """Return the vectors of a body, and its usage where it says one. Raises ProviderError.

    Those that were shortened are made as long as 1 again, as OpenAI's are: Gemini only cuts them off.
    """
    try:
        decoded = _decode_body(body)
        vectors = [_vector(each.values, is_shortened=is_shortened) for each in decoded.embeddings]
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise ProviderError(f"the embeddings cannot be read: {type(error).__name__}") from None
    if len(vectors) != expected:
        raise ProviderError(f"{len(vectors)} embeddings came for {expected} inputs")
    return vectors, None if decoded.usage_metadata is None else read_gemini_usage(decoded.usage_metadata)


def added(usages: list[Usage | None]) -> Usage | None:
    """The usage of several bodies together; None where one of them said none."""
    told = [usage for usage in usages if usage is not None]
    if not told or len(told) < len(usages):
        return None
    if len(told) == 1:
        return told[0]
    return Usage(
        sum(usage.input_tokens for usage in told),
        sum(usage.output_tokens for usage in told),
        raw={"batches": [usage.raw for usage in told]},
    )


def _vector(values: list[float], *, is_shortened: bool) -> bytes:
    length = math.hypot(*values)
    if not values or not length <= _MOST_LENGTH:
        raise ValueError("no vector of 32-bit floats")
    vector = array("f", [value / length for value in values] if is_shortened and length else values)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tobytes()


_MOST_LENGTH = 3.4e38  # what a 32-bit float holds
