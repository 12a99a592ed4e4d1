"""Embeddings: inputs of every kind, and vectors as numbers or base64."""

from __future__ import annotations

import base64
import json
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.turn.events import EmbeddingsProduced, TurnCompleted, Usage, UsageReported
from frontdesk.wire.openai_embeddings import EmbeddingsBody, read_embeddings
from tests.contract.own_document import OwnDocument
from tests.peers.document import Answer
from tests.wire.answers import turn_at
from tests.wire.test_openai_chat import JSON, refusal_of

OWN = OwnDocument()


def read(**fields: Any) -> Any:
    return read_embeddings(json.dumps({"input": "x", **fields}).encode())


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [
        ("one", ["one"]),
        (["one", "two"], ["one", "two"]),
        ([1, 2, 3], [[1, 2, 3]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        (["x"] * 2048, ["x"] * 2048),
    ],
)
def test_inputs(given_input: Any, inputs: Any) -> None:
    assert read(input=given_input).request.inputs == inputs


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["x"] * 2049}, "input", "invalid_value"),
        ({"input": ["x", ""]}, "input", "invalid_value"),
        ({"input": ["x", 1]}, "input", "invalid_value"),
        ({"input": [1, "x"]}, "input", "invalid_value"),
        ({"input": [[1], []]}, "input", "invalid_value"),
        ({"input": [-1]}, "input", "invalid_value"),
        ({"input": [True]}, "input", "invalid_value"),
        ({"input": [{}]}, "input", "invalid_value"),
        ({"input": 7}, "input", "invalid_type"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"dimensions": "few"}, "dimensions", "invalid_type"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"user": 7}, "user", "invalid_type"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)

    assert (caught.value.param, caught.value.code) == (param, code)


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), max_size=4))
def test_numbers_and_base64_say_the_same(vectors: list[list[float]]) -> None:
    events: list[Any] = [
        EmbeddingsProduced([array("f", vector).tobytes() for vector in vectors]),
        UsageReported(Usage(7, 0)),
        TurnCompleted(),
    ]
    numbers, encoded = (EmbeddingsBody(turn_at("embeddings"), is_base64=is_base64) for is_base64 in (False, True))
    numbers.add(events)
    encoded.add(events)

    told, hidden = json.loads(numbers.body()), json.loads(encoded.body())
    assert [entry["embedding"] for entry in told["data"]] == vectors
    assert [array("f", base64.b64decode(entry["embedding"])).tolist() for entry in hidden["data"]] == vectors
    assert [entry["index"] for entry in told["data"]] == list(range(len(vectors)))
    assert told["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    for body in (numbers.body(), encoded.body()):
        assert OWN.check(Answer("POST", "/v1/embeddings", 200, "application/json", body)) == []


@given(st.dictionaries(st.sampled_from(["input", "dimensions", "encoding_format", "user", "model"]), JSON))
def test_whatever_comes_is_read_or_refused(fields: dict[str, Any]) -> None:
    refusal = refusal_of(lambda: read(**fields))

    assert refusal is None or refusal.param in fields
