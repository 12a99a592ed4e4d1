"""Lines of a batch: the same wherever the pieces end; what is wrong with one is told with its number."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.batches.lines import (
    Asked,
    Line,
    LineCutter,
    Problem,
    Validator,
    answered,
    cut_lines,
    read_line,
    response_of,
    unanswered,
)

CHAT = "/v1/chat/completions"
GOOD: dict[str, Any] = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "fast", "messages": []}}


def lines_of(content: bytes, cuts: list[int], max_bytes: int = 1 << 20) -> list[Line]:
    cutter = LineCutter(max_bytes)
    places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    found = [line for start, end in itertools.pairwise(places) for line in cutter.feed(content[start:end])]
    return [*found, *cutter.finish()]


def line_of(value: Any, number: int = 1) -> Line:
    return Line(number, value if isinstance(value, bytes) else json.dumps(value).encode())


def problems_of(*values: Any, max_lines: int = 100) -> list[Problem]:
    validator = Validator(CHAT, max_lines)
    for number, value in enumerate(values, start=1):
        if not validator.take(line_of(value, number)):
            break
    validator.finish()
    return validator.problems


# --- cutting ------------------------------------------------------------------------------------

_CONTENT = st.lists(
    st.binary(max_size=20) | st.sampled_from([b"\n", b"\r\n", b"\n\n", b"{}", b" ", "ü".encode()]), max_size=12
).map(b"".join)


@given(content=_CONTENT, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_lines_are_the_same_wherever_the_pieces_end(content: bytes, cuts: list[int]) -> None:
    expected = [
        Line(number, text)
        for number, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        if text.strip()
    ]

    assert lines_of(content, cuts) == expected


@given(content=_CONTENT, cuts=st.lists(st.integers(0, 200), max_size=8), most=st.integers(1, 10))
def test_a_line_that_is_too_long_is_known_by_its_number_and_costs_no_memory(
    content: bytes, cuts: list[int], most: int
) -> None:
    found = {line.number: line.content for line in lines_of(content, cuts, most)}

    for number, text in enumerate(content.split(b"\n"), start=1):
        if len(text) > most:
            assert found[number] is None
        else:
            assert found.get(number) in (None, text, text.removeprefix(b"\xef\xbb\xbf"))


async def test_the_loop_goes_on_while_lines_are_cut() -> None:
    """A file of nothing but line ends is a million lines, and nobody waits for all of them."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def pieces() -> AsyncGenerator[bytes, None]:
        for _ in range(4):
            yield b"\n" * 250_000

    going = asyncio.create_task(others())
    async with aclosing(cut_lines(pieces(), 100)) as cut:
        assert [line async for line in cut] == []
    going.cancel()

    assert turns >= 100


# --- checking -----------------------------------------------------------------------------------


@given(content=st.binary(max_size=80) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*GOOD, "stream"]) | st.text(max_size=3), inner, max_size=5),
    max_leaves=10,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_a_line_says_it_is_asked_or_told_of(content: bytes) -> None:
    found = read_line(Line(7, content), CHAT)

    if isinstance(found, Asked):
        said = json.loads(content)
        assert (said["method"], said["url"], json.loads(found.body)) == ("POST", CHAT, said["body"])
        assert not said["body"].get("stream")
    else:
        assert found.line == 7
        assert found.code
        assert found.message


@given(
    ids=st.lists(
        st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text and text.isprintable()), max_size=9
    )
)
def test_each_id_may_stand_once(ids: list[str]) -> None:
    problems = problems_of(*({**GOOD, "custom_id": each} for each in ids))

    repeated = [number for number, each in enumerate(ids, start=1) if each in ids[: number - 1]]
    if not ids:
        assert [problem.code for problem in problems] == ["empty_file"]
    else:
        assert [(problem.code, problem.line) for problem in problems] == [("duplicate_custom_id", n) for n in repeated]


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (b"\xff", "invalid_json_line", None),
        (b'{"custom_id": "\xff"}', "invalid_json_line", None),
        (b'{"body": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json_line", None),
        ({}, "missing_required_parameter", "custom_id"),
        ({**GOOD, "body": None}, "missing_required_parameter", "body"),
        ({name: GOOD[name] for name in ("custom_id", "url", "body")}, "missing_required_parameter", "method"),
        ({**GOOD, "custom_id": ""}, "invalid_value", "custom_id"),
        ({**GOOD, "custom_id": 1}, "invalid_value", "custom_id"),
        ({**GOOD, "custom_id": "x" * 513}, "invalid_value", "custom_id"),
        ({**GOOD, "custom_id": "a\0b"}, "invalid_value", "custom_id"),
        ({**GOOD, "method": "GET"}, "invalid_method", "method"),
        ({**GOOD, "url": "/v1/embeddings"}, "invalid_url", "url"),
        ({**GOOD, "url": ["x"]}, "invalid_url", "url"),
        ({**GOOD, "body": []}, "invalid_type", "body"),
        ({**GOOD, "body": "x"}, "invalid_type", "body"),
        ({**GOOD, "body": {"stream": True}}, "unsupported_parameter", "body.stream"),
        ({**GOOD, "body": {"stream": "yes"}}, "unsupported_parameter", "body.stream"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(value: Any, code: str, param: str | None) -> None:
    found = read_line(line_of(value, 3), CHAT)

    assert isinstance(found, Problem)
    assert (found.code, found.param, found.line) == (code, param, 3)


def test_what_is_right_is_asked_as_it_stands() -> None:
    body = b'{"model":"fast" ,"stream":false,  "messages":[{"role":"user","content":"\\u0000"}]}'
    raw = b'{"custom_id":"\xc3\xbc","method":"POST","url":"%b","body":%b}' % (CHAT.encode(), body)

    assert read_line(Line(1, raw), CHAT) == Asked("ü", body, "fast")


def test_a_line_that_was_too_long_is_told_of() -> None:
    found = read_line(Line(9, None), CHAT)

    assert isinstance(found, Problem)
    assert (found.code, found.line) == ("line_too_long", 9)


def test_a_batch_has_so_many_lines_and_tells_so_many_problems() -> None:
    assert [problem.code for problem in problems_of(*[GOOD] * 1, max_lines=1)] == []
    too_many = problems_of(GOOD, {**GOOD, "custom_id": "b"}, max_lines=1)
    assert [(problem.code, problem.line) for problem in too_many] == [("too_many_requests", 2)]
    assert len(problems_of(*[b"{"] * 1000, max_lines=5000)) == 100


# --- answers ------------------------------------------------------------------------------------


def test_answers_have_the_shape_of_openais_files() -> None:
    response = response_of(200, "chatcmpl-1", '{"id":"chatcmpl-1","é":"\\u0000"}'.encode())

    line = answered("batch_req_1", 'a"b', response)

    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "id": "batch_req_1",
        "custom_id": 'a"b',
        "response": {
            "status_code": 200,
            "request_id": "chatcmpl-1",
            "body": {"id": "chatcmpl-1", "é": "\0"},
        },
        "error": None,
    }


def test_what_has_no_answer_says_why() -> None:
    line = json.loads(unanswered("batch_req_1", "a", "interrupted"))

    assert (line["id"], line["custom_id"], line["response"], line["error"]["code"]) == (
        "batch_req_1",
        "a",
        None,
        "interrupted",
    )
    assert "not sent again" in line["error"]["message"]
