"""Reading a body: what is too deep or holds too much is refused, whatever its texts contain."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.wire.reading import read_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"\\[]{},:\n', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a"\\[{', max_size=3), inner, max_size=4),
    max_leaves=20,
)
PADDING = b" " * 70_000  # above the size from which a body is counted


def refusal_of(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        read_object(body)
    return f"{caught.value.code}: {caught.value.message}"


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """An object that holds lists or objects, `depth` in all."""
    return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


@pytest.mark.parametrize("padding", [b"", PADDING])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_64_within_each_other_pass_and_65_do_not(opening: bytes, closing: bytes, padding: bytes) -> None:
    assert "a" in read_object(nested(64, opening, closing) + padding)

    for depth in (65, 600, 980, 20_000):
        assert "invalid_json: The body's JSON is nested too deeply" in refusal_of(
            nested(depth, opening, closing) + padding
        )


@pytest.mark.parametrize(
    "text",
    [
        "{" * 50_001 + "x" * 20_000,
        "[" * 600_000,
        '{"a":1},' * 300_000,
        "\\" * 200_001 + '"' * 500_000 + "," * 600_000,
        '\\"[{,' * 200_000,
    ],
)
def test_what_stands_in_a_text_is_not_counted(text: str) -> None:
    assert read_object(json.dumps({"a": text}).encode()) == {"a": text}


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"a":[' + b"{}," * 60_000 + b"{}]}", "objects and lists"),
        (b'{"a":["\\"",' + b"{}," * 60_000 + b"{}]}", "objects and lists"),
        (b'{"a":[' + b"1," * 600_000 + b"1]}", "values"),
        (b'{"a":["\\\\",' + b"1," * 600_000 + b"1]}", "values"),
        (b'{"a":[' + b'"",' * 250_000 + b"1]}", "keys and texts"),
        (b"{" + b",".join(b'"k%d":1' % place for place in range(250_000)) + b"}", "keys and texts"),
    ],
)
def test_too_many_are_refused_before_they_are_parsed(body: bytes, what: str) -> None:
    refusal = refusal_of(body)

    assert refusal.startswith("too_complex: The body has more than ")
    assert what in refusal


def test_300_000_token_ids_are_fine() -> None:
    body = json.dumps({"input": [list(range(1000))] * 300}).encode()

    assert len(read_object(body)["input"]) == 300


@given(JSON, st.booleans())
def test_good_json_is_read_as_it_is(value: Any, is_long: bool) -> None:
    body = json.dumps({"a": value}).encode() + (PADDING if is_long else b"")

    assert read_object(body) == {"a": value}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"' + b"Q" * 20_000_000 + b'"}',
        b'{"a":"' + b"\\\\" * 10_000_000 + b'"}',
        b'{"a":"' + b'\\"' * 10_000_000 + b'"}',
        b'{"a":["' + b'"' * 20_000_000 + b'"}',
        b"{" + b",".join(b'"k%07d":1' % place for place in range(1_500_000)) + b"}",
    ],
    ids=["picture", "backslashes", "escaped quotes", "quotes", "keys"],
)
def test_20_mb_of_anything_hold_the_loop_for_a_moment(body: bytes) -> None:
    """A tenth of a second at most: it is read or refused, and never ends in a time-out."""
    with contextlib.suppress(BadRequest):
        read_object(body)
