"""Tokens are read in one way only; whatever could be read in two is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.accounts.jwt import MAX_TOKEN_CHARS, Token, cut, find_claim, looks_like_jwt, read_token
from frontdesk.core.errors import Unauthenticated
from tests.accounts.identity_provider import b64, part

HEAD = {"alg": "ES256", "kid": "k", "typ": "JWT"}
CLAIMS = {"iss": "i", "sub": "u", "n": [1, {"a": "b"}], "t": True, "none": None}


def token(header: Any = HEAD, claims: Any = CLAIMS, signature: bytes = b"s") -> str:
    return f"{part(header)}.{part(claims)}.{b64(signature)}"


def refusal(text: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        read_token(text)
    assert (caught.value.code, caught.value.status) == ("invalid_token", 401)
    return caught.value.message


def test_a_token_is_read() -> None:
    read = read_token(token())

    assert (read.algorithm, read.kid, read.claims, read.signature) == ("ES256", "k", CLAIMS, b"s")
    assert read.signed.decode() == f"{part(HEAD)}.{part(CLAIMS)}"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", None])
def test_the_types_that_are_taken(typ: str | None) -> None:
    header = {"alg": "ES256"} if typ is None else {"alg": "ES256", "typ": typ}

    assert read_token(token(header)).kid is None


WRITTEN_OTHERWISE = {
    "nothing": "",
    "one part": part(HEAD),
    "two parts": f"{part(HEAD)}.{part(CLAIMS)}",
    "four parts": f"{token()}.{b64(b's')}",
    "no header": f".{part(CLAIMS)}.{b64(b's')}",
    "no claims": f"{part(HEAD)}..{b64(b's')}",
    "no signature": f"{part(HEAD)}.{part(CLAIMS)}.",
    "padding": token() + "=",
    "padding as it would be": f"{part(HEAD)}.{part(CLAIMS)}.cw==",
    "white space at the end": token() + "\n",
    "white space before": " " + token(),
    "white space within": token().replace(".", ". ", 1),
    "letters of base64": f"{part(HEAD)}.{part(CLAIMS)}.+/+/",
    "a length that cannot be": f"{part(HEAD)}.{part(CLAIMS)}.cwAAA",
    "last bits that mean nothing": f"{part(HEAD)}.{part(CLAIMS)}.cx",
    "other letters": f"{part(HEAD)}.{part(CLAIMS)}.c!",
    "not ASCII": token() + "é",
    "a lone surrogate": token() + "\ud800",
    "NUL": token() + "\0",
}


@pytest.mark.parametrize("text", WRITTEN_OTHERWISE.values(), ids=WRITTEN_OTHERWISE)
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    refusal(text)


def test_last_bits_are_checked_in_every_part() -> None:
    good = token({"alg": "ES256"}, '{"a":1}')
    head, claims, _ = good.split(".")
    for place, written in ((0, head), (1, claims)):
        assert len(written) % 4, "there are bits that mean nothing"
        parts = good.split(".")
        parts[place] = written[:-1] + chr(ord(written[-1]) + 1)
        assert "base64url" in refusal(".".join(parts))


def test_how_long_a_token_may_be_is_told() -> None:
    claims = {"a": "x" * 6000}
    assert len(token(claims=claims)) <= MAX_TOKEN_CHARS

    assert read_token(token(claims=claims)).claims == claims
    assert f"at most {MAX_TOKEN_CHARS}" in refusal(token(claims={"a": "x" * 7000}))


def test_an_encrypted_token_is_told_apart() -> None:
    assert "encrypted" in refusal("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn")


NOT_AN_OBJECT = {
    "a list": "[]",
    "a string": '"a"',
    "null": "null",
    "nothing": " ",
    "no JSON": "{a:1}",
    "two objects": "{}{}",
    "NaN": '{"a":NaN}',
    "infinity": '{"a":Infinity}',
    "a number that is none": '{"a":1e999}',
    "a number without end": '{"a":' + "9" * 5000 + "}",
    "a comma too many": '{"a":1,}',
    "a comment": '{"a":1/**/}',
    "a control character": '{"a":"\n"}',
    "half a surrogate": r'{"a":"\ud800"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "no UTF-8": b'{"a":"\xff"}',
    "surrogates in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "depth": '{"a":' * 17 + "1" + "}" * 17,
    "great depth": '{"a":' * 900 + "1" + "}" * 900,
    "lists without end": '{"a":' + "[" * 5000,
    "a name twice": '{"a":1,"a":2}',
    "a name twice, apart": '{"a":1,"b":[{"c":"d"}],"a":1}',
    "a name twice within": '{"a":{"b":"x","b":"y"}}',
    "a name twice in a list": '{"a":[[{"b":1,"b":2}]]}',
    "a name twice, once escaped": r'{"iss":"a","i\u0073s":"b"}',
    "a name twice, beside escapes": r'{"a":"\"\\\"","b":1,"b":2,"c":"\u0022"}',
    "the empty name twice": '{"":1,"":2}',
}


@pytest.mark.parametrize("text", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT)
def test_what_is_no_plain_json_object_is_refused(text: str | bytes) -> None:
    assert "Its claims" in refusal(token(claims=text))
    assert "Its header" in refusal(token(header=text))


@pytest.mark.parametrize(
    "text",
    [
        r'{"a":"\"","b":"\\","c":"\\\"\\","\"":{"d":"}{"},"e\\":"\u0022"}',
        '{"a":":,\'{}[]","":"","b":[],"c":{},"d":[[],{}]}',
        ' { "a" : [ { "a" : "a" } , { "a" : "a" } ] } ',
        r'{"iss":"https:\/\/id.example\/"}',
        '{"a":' * 16 + "1" + "}" * 16,
        '{"ü":"😀"}',
    ],
)
def test_plain_json_is_not_taken_for_twice_the_same(text: str) -> None:
    assert read_token(token(claims=text)).claims == json.loads(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=4), _json, max_size=6), st.booleans())
@example({"\\": '"'}, True)
def test_any_object_without_a_name_twice_is_read(claims: dict[str, Any], escapes: bool) -> None:
    text = json.dumps(claims, ensure_ascii=escapes)

    assert read_token(token(claims=text)).claims == claims


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "\\u0061", '\\"']), _json), max_size=6))
def test_names_that_come_twice_are_always_found(members: list[tuple[str, Any]]) -> None:
    inner = ",".join(f'"{name}":{json.dumps(value)}' for name, value in members)
    text = f'{{"x":[{{{inner}}}]}}'
    names = [json.loads(f'"{name}"') for name, _ in members]

    if len(set(names)) < len(names):
        refusal(token(claims=text))
    else:
        assert read_token(token(claims=text)).claims == json.loads(text)


HEADERS = {
    "crit": {"crit": ["exp"], "exp": 1},
    "empty crit": {"crit": []},
    "b64": {"b64": True},
    "jku": {"jku": "https://evil.example/keys"},
    "jwk": {"jwk": {"kty": "oct", "k": "AA"}},
    "x5u": {"x5u": "https://evil.example/cert"},
    "x5c": {"x5c": ["MII"]},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "a token in a token": {"cty": "JWT"},
    "no alg": {"alg": None},
    "alg that is no string": {"alg": 256},
    "alg in a list": {"alg": ["ES256"]},
    "another typ": {"typ": "JOSE"},
    "a typ of events": {"typ": "secevent+jwt"},
    "a typ of logout": {"typ": "logout+jwt"},
    "an empty typ": {"typ": ""},
    "typ that is no string": {"typ": ["JWT"]},
    "a number as kid": {"kid": 1},
    "null as kid": '{"alg":"ES256","kid":null}',
    "a list as kid": {"kid": ["k"]},
    "an object as kid": {"kid": {"k": "k"}},
    "a long kid": {"kid": "k" * 257},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_headers_that_are_refused(header: Any) -> None:
    refusal(token(header if isinstance(header, str) else {**HEAD, **header}))


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_is_refused_without_a_stumble(text: str) -> None:
    refusal(text)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(min_size=1, max_size=10))
def test_any_bytes_are_refused_without_a_stumble(header: bytes, claims: bytes, signature: bytes) -> None:
    refusal(f"{b64(header)}.{b64(claims)}.{b64(signature)}")


@pytest.mark.parametrize("value", [True, "1800000000", -1, 1e300, 10**30, 1_800_000_000_000, [1], None, {}])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(Unauthenticated):
        Token("ES256", None, {"exp": value}, b"", b"").time("exp")


@pytest.mark.parametrize("value", [0, 1_800_000_000, 1.5, 253_402_300_799])
def test_times(value: float) -> None:
    read = Token("ES256", None, {"exp": value}, b"", b"")

    assert read.time("exp") == value
    assert read.time("nbf") is None


def test_claims_are_found_by_name_and_by_path() -> None:
    claims = {
        "https://app.example/plan": "dots",
        "a.b": "name",
        "a": {"b": "path", "c": {"d": 1}, "e.f": {"g": 2}, "n": None},
        "l": [{"m": 1}],
    }

    names = ["https://app.example/plan", "a.b", "a.c.d", "a.e.f.g", "a.x", "a.c.d.e", "l.m", "a.n", "x", "", ".", "a."]
    found = [find_claim(claims, name) for name in names]

    assert found == ["dots", "name", 1, 2, None, None, None, None, None, None, None, None]


def test_what_looks_like_a_token() -> None:
    assert looks_like_jwt(token())
    assert looks_like_jwt(token('{ "alg":"ES256"}'))
    assert looks_like_jwt(token("{\n}"))
    assert looks_like_jwt(token("{}"))
    assert not looks_like_jwt("fd_st_abc.def")
    assert not looks_like_jwt("fd_sk_abcdef")
    assert not looks_like_jwt("eyJhbGciOiJub25lIn0")
    assert not looks_like_jwt("")


def test_foreign_text_in_a_message_is_short_and_harmless() -> None:
    assert cut("a\n\x1b[31m") == r"'a\n\x1b[31m'"
    assert len(cut("x" * 5000)) < 100
