"""An answer is read alike however it is cut, and what is wrong with it is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.answer import Answer, BadAnswer, check_body, check_stream
from bench.script import Script
from bench.upstream import http_chunk, stream_pieces, unary_body

_SCRIPT = Script(3)
_NUMBER = 41
_CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _stream() -> bytes:
    first, *rest = stream_pieces(_SCRIPT)
    return _CHUNKED + http_chunk(first.replace(b"NUMBER", b"41")) + b"".join(rest)


def _unary() -> bytes:
    body = unary_body(_SCRIPT).replace(b"NUMBER", b"41")
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _read(*pieces: bytes) -> Answer:
    answer = Answer()
    for now, piece in enumerate(pieces):
        assert not answer.is_whole
        answer.feed(piece, now)
    return answer


@pytest.mark.parametrize(("whole", "check"), [(_stream(), check_stream), (_unary(), check_body)])
def test_an_answer_cut_anywhere_is_the_same(whole: bytes, check: Callable[[Answer, Script, int], None]):
    expected = _read(whole).body()

    for cut in range(1, len(whole)):
        answer = _read(whole[:cut], whole[cut:])
        assert answer.is_whole
        assert answer.body() == expected
        check(answer, _SCRIPT, _NUMBER)


@pytest.mark.parametrize(("whole", "check"), [(_stream(), check_stream), (_unary(), check_body)])
def test_an_answer_may_come_byte_by_byte(whole: bytes, check: Callable[[Answer, Script, int], None]):
    answer = _read(*(whole[place : place + 1] for place in range(len(whole))))

    assert answer.is_whole
    check(answer, _SCRIPT, _NUMBER)


def test_a_word_is_seen_when_its_chunk_is_whole():
    first, second, third = (http_chunk(b"data: {%b}\n\n" % text) for text in (b'"answer 41"', b'" word1"', b'" word2"'))

    answer = _read(_CHUNKED + first, second[:-1], second[-1:] + third)

    assert list(answer.word_times) == [0, 2, 2]


def test_a_role_without_a_word_is_no_first_word():
    answer = _read(_CHUNKED, http_chunk(b'data: {"role":"assistant","content":""}\n\n'), http_chunk(b'"answer 41"'))

    assert list(answer.word_times) == [2]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b" word1", b" wort1", "the text is"),
        (b"answer 41", b"answer 42", "the text is"),
        (b'"stop"', b"null  ", "finish_reason is None"),
        (b'"total_tokens":15', b'"total_tokens":16', "usage is"),
        (b"[DONE]", b"[GONE]", "ends without"),
    ],
)
def test_a_stream_that_differs_is_found(old: bytes, new: bytes, reason: str):
    answer = _read(_stream().replace(old, new))

    with pytest.raises(BadAnswer, match=reason):
        check_stream(answer, _SCRIPT, _NUMBER)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [(b" word1", b" wort1", "the text is"), (b'"total_tokens":15', b'"total_tokens":16', "usage is")],
)
def test_a_body_that_differs_is_found(old: bytes, new: bytes, reason: str):
    answer = _read(_unary().replace(old, new))

    with pytest.raises(BadAnswer, match=reason):
        check_body(answer, _SCRIPT, _NUMBER)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}",
        _stream() + b"HTTP/1.1",
        _unary() + b"HTTP/1.1",
    ],
)
def test_what_is_no_answer_is_found(data: bytes):
    with pytest.raises(BadAnswer):
        _read(data)


def test_comments_of_a_stream_are_passed_over():
    first, *rest = stream_pieces(_SCRIPT)
    said = http_chunk(first.replace(b"NUMBER", b"41"))

    check_stream(_read(_CHUNKED + http_chunk(b": still here\n\n") + said + b"".join(rest)), _SCRIPT, _NUMBER)
