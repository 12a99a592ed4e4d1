"""Actions, put together and changed on their way."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from frontdesk.upstream.delivery import (
    Action,
    Ending,
    broken_off,
    chunked,
    dribbled,
    in_pieces,
    measured,
    until_close,
    with_slow_head,
)

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def data(actions: Iterable[Action]) -> bytes:
    return b"".join(action for action in actions if isinstance(action, bytes))


def test_chunks_are_framed_and_the_head_leaves_with_the_first() -> None:
    assert list(chunked(b"H", [0.5, b"abc", 0.5, b"de"])) == [0.5, b"H3\r\nabc\r\n", 0.5, b"2\r\nde\r\n", b"0\r\n\r\n"]
    assert list(chunked(b"H", [])) == [b"H0\r\n\r\n"]


@pytest.mark.parametrize("frame", [chunked, measured])
def test_a_broken_body_has_a_head_and_no_end(frame: type) -> None:
    assert list(frame(b"H", [Ending.RESET, b"never"]))[:2] == [b"H", Ending.RESET]


def test_a_body_that_ends_with_its_connection() -> None:
    assert list(until_close(b"H", [b"a", b"b"])) == [b"Ha", b"b", Ending.DONE]
    assert list(until_close(b"H", [])) == [b"H", Ending.DONE]


@pytest.mark.parametrize("at", range(8))
def test_a_body_is_broken_off_at_a_byte(at: int) -> None:
    broken = list(broken_off([b"abc", 0.5, b"defg"], at, Ending.CLOSE))

    assert data(broken) == b"abcdefg"[:at]
    assert broken[-1] is Ending.CLOSE


def test_a_shorter_body_goes_through_whole() -> None:
    assert list(broken_off([b"abc"], 4, Ending.CLOSE)) == [b"abc"]


def test_nothing_is_made_that_is_not_wanted() -> None:
    def endless() -> Iterable[Action]:
        yield b"abc"
        raise AssertionError("asked for more")

    assert data(broken_off(endless(), 2, Ending.CLOSE)) == b"ab"


def test_pieces_are_those_of_the_seed() -> None:
    text = bytes(range(200))
    first, again, other = (list(in_pieces([text], 9, seed)) for seed in (1, 1, 2))

    assert first == again != other
    assert data(first) == text
    assert {len(piece) for piece in first if isinstance(piece, bytes)} <= set(range(1, 10))


def test_bytes_are_dribbled() -> None:
    assert list(dribbled([b"ab", Ending.CLOSE], 0.25)) == [b"a", 0.25, b"b", 0.25, Ending.CLOSE]


def test_only_the_head_is_slow() -> None:
    actions = list(with_slow_head([0.5, HEAD + b"body", b"\r\n\r\nmore"], 0.0))

    assert actions[-2:] == [b"body", b"\r\n\r\nmore"]
    assert len(actions) == 1 + 2 * len(HEAD) + 2
