"""Server-sent events: any line ends, any cuts, the same data."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import ProviderError
from frontdesk.providers.sse import SseDecoder

LINES = st.sampled_from(
    [
        "data: one",
        "data:two",
        "data:  three",
        'data: {"a": "ü"}',
        "data",
        "data:",
        "event: x",
        ": comment",
        "id: 7",
        "retry: 1",
    ]
)
EVENTS = st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6)


def expected_of(events: list[list[str]]) -> list[bytes]:
    expected: list[bytes] = []
    for lines in events:
        data = [line[4:].removeprefix(":").removeprefix(" ") for line in lines if line.startswith("data")]
        if data:
            expected.append("\n".join(data).encode())
    return expected


def fed(*pieces: bytes) -> list[bytes]:
    decoder = SseDecoder()
    return [data for piece in pieces for data in decoder.feed(piece)] + decoder.flush()


@given(EVENTS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.data())
def test_any_line_ends_and_any_cuts(events: list[list[str]], end: str, has_mark: bool, data: st.DataObject) -> None:
    text = "".join("".join(line + end for line in lines) + end for lines in events)
    sent = (b"\xef\xbb\xbf" if has_mark else b"") + text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))

    pieces = [sent[start:stop] for start, stop in pairwise([0, *cuts, len(sent)])]

    assert fed(*pieces) == expected_of(events)


def test_many_events_in_one_piece() -> None:
    assert fed(b"data: a\n\ndata: b\n\ndata: c\n\n") == [b"a", b"b", b"c"]


def test_an_event_without_an_end_is_bounded() -> None:
    with pytest.raises(ProviderError, match="16 MB"):
        fed(*[b"data: " + b"x" * 1_000_000] * 20)


@given(
    st.lists(st.tuples(LINES | st.just(""), st.sampled_from(["\n", "\r\n", "\r"])), max_size=16),
    st.booleans(),
    st.data(),
)
def test_mixed_line_ends_and_any_cuts(lines: list[tuple[str, str]], has_mark: bool, data: st.DataObject) -> None:
    text = "".join(line + end for line, end in lines)
    sent = (b"\xef\xbb\xbf" if has_mark else b"") + text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=20)))

    pieces = [sent[start:stop] for start, stop in pairwise([0, *cuts, len(sent)])]

    events = re.sub(r"\r\n?", "\n", text).split("\n\n")
    assert fed(*pieces) == expected_of([event.split("\n") for event in events])


def test_a_byte_at_a_time_with_a_mark_and_crlf() -> None:
    sent = b"\xef\xbb\xbfdata: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n"

    assert fed(*[bytes([byte]) for byte in sent]) == [b"a\nb", b"c"]


def test_a_mark_is_one_at_the_very_start_only() -> None:
    mark = b"\xef\xbb\xbf"

    assert fed(b"data: a\n\n", mark + b"data: b\n\n", b"data: c\n\n") == [b"a", b"c"]
    assert fed(b"\n\n", mark + b"data: b\n\n") == []


def test_an_empty_piece_between_cr_and_lf_changes_nothing() -> None:
    assert fed(b"data: a\r", b"", b"\ndata: b\r", b"", b"\n\r\n") == [b"a\nb"]


@pytest.mark.timeout(30)
def test_a_long_event_in_small_pieces_is_read_in_linear_time() -> None:
    """15 MB in 0.05 s; it took 70 s while every piece was added to a copy of all before."""
    sent = b"data: " + b"x" * 15_000_000 + b"\n\n"
    pieces = [sent[start : start + 1448] for start in range(0, len(sent), 1448)]

    assert fed(*pieces) == [sent[6:-2]]
