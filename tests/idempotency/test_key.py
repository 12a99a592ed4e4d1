"""Keys are what a header can hold; fingerprints are the same for what asks for the same, and for nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.idempotency.key import FINGERPRINT_BYTES, FormDigest, check_key, fingerprint_at, fingerprint_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abcdé\n"', max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
OBJECT = st.dictionaries(st.text("abcd", min_size=1, max_size=3), JSON, max_size=5)


def form(boundary: bytes, content: bytes = b"one\r\n--two", name: bytes = b"a.txt") -> bytes:
    return b"\r\n".join(
        [
            b"--" + boundary,
            b'Content-Disposition: form-data; name="file"; filename="' + name + b'"',
            b"",
            content,
            b"--" + boundary + b"--",
            b"",
        ]
    )


def type_of(boundary: bytes) -> bytes:
    return b"multipart/form-data; boundary=" + boundary


@pytest.mark.parametrize("key", ["k", "a" * 255, "with blanks", '"quoted"', "~!"])
def test_keys_are_printable_and_short(key: str) -> None:
    assert check_key(key.encode()) == key


def test_no_header_is_no_key() -> None:
    assert check_key(None) is None


@pytest.mark.parametrize(
    ("header", "told"),
    [(b"", "empty"), (b"a" * 256, "256 characters"), (b"a\tb", r"'a\\tb'"), (b"caf\xe9", "'caf"), (b"\x7f", r"\\x7f")],
)
def test_what_is_no_key_is_named(header: bytes, told: str) -> None:
    with pytest.raises(BadRequest, match=f"(?s)Idempotency-Key is .*{told}.*1 to 255 printable ASCII") as refused:
        check_key(header)

    assert refused.value.code == "invalid_idempotency_key"


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(each) for each in value] if isinstance(value, list) else value


@given(asked=OBJECT, stream=st.booleans(), indent=st.sampled_from([None, 2]))
def test_neither_spelling_nor_order_nor_how_it_comes_counts(asked: dict[str, Any], stream: bool, indent: int) -> None:
    plain = {name: value for name, value in asked.items() if name not in ("stream", "stream_options")}
    other = {"stream": stream, **shuffled(plain), "stream_options": {"include_usage": True}}

    one = fingerprint_of(json.dumps(plain, ensure_ascii=False).encode())

    assert one == fingerprint_of(json.dumps(other, indent=indent).encode())
    assert len(one) == FINGERPRINT_BYTES


@given(one=JSON, other=JSON)
def test_other_values_are_another_request(one: Any, other: Any) -> None:
    is_same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (fingerprint_of(json.dumps({"a": one}).encode()) == fingerprint_of(json.dumps({"a": other}).encode())) == (
        is_same
    )


def test_stream_counts_where_it_is_not_the_requests_own() -> None:
    assert fingerprint_of(b'{"metadata": {"stream": "a"}}') != fingerprint_of(b'{"metadata": {"stream": "b"}}')


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": 1e999}', b"[" * 100_000, b'{"a": "\\ud800"}'])
def test_of_what_is_no_json_each_byte_counts(body: bytes) -> None:
    assert fingerprint_of(body) == fingerprint_of(body)
    assert fingerprint_of(body) != fingerprint_of(body + b" ")


def test_a_form_is_the_same_behind_another_boundary() -> None:
    one = fingerprint_of(form(b"first"), type_of(b"first"))

    assert one == fingerprint_of(form(b"another-one"), b" Multipart/Form-Data; boundary=another-one")
    assert one != fingerprint_of(form(b"first", content=b"one\r\n--twO"), type_of(b"first"))
    assert one != fingerprint_of(form(b"first", name=b"b.txt"), type_of(b"first"))


@pytest.mark.parametrize("boundary", [b"b", b"aa", b"ab-ab-ab"])
def test_a_form_is_the_same_however_it_is_cut(boundary: bytes) -> None:
    body = form(boundary, content=b"ab-ab-a" + boundary[:-1] + b"ab-ab-ab")
    whole = fingerprint_of(body, type_of(boundary))

    for cut in range(len(body) + 1):
        digest = FormDigest(type_of(boundary))
        digest.feed(body[:cut])
        digest.feed(body[cut:])
        assert digest.finish() == whole, f"cut at {cut}"
    bytewise = FormDigest(type_of(boundary))
    for byte in body:
        bytewise.feed(bytes([byte]))
    assert bytewise.finish() == whole


def test_path_and_query_count() -> None:
    body = fingerprint_of(b"{}")
    told = [fingerprint_at("/a", b"", body), fingerprint_at("/b", b"", body), fingerprint_at("/a", b"b", body)]

    assert len(set(told)) == 3
    assert fingerprint_at("/a", b"", fingerprint_of(b" {}")) == told[0]
