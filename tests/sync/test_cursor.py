"""Cursors come back as they went, and what is none of ours is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.sync.cursor import MOST_CURSOR_CHARS, NOTHING, Cursor, read_cursor

SEQS = st.integers(0, 10**17)
CURSORS = st.builds(Cursor, st.text("0123456789abcdef", max_size=8), SEQS, st.none() | SEQS)


@given(CURSORS)
def test_a_cursor_comes_back_as_it_went(cursor: Cursor):
    assert read_cursor(str(cursor)) == cursor
    assert len(str(cursor)) <= MOST_CURSOR_CHARS


@given(st.text())
def test_any_text_is_a_cursor_or_none(text: str):
    cursor = read_cursor(text)

    assert cursor is None or str(cursor) == text


@pytest.mark.parametrize(
    "text", ["", ".", "a1", "a1.", "a1.01", "a1.-1", "a1.1.", "a1.1.2.3", "A.1", "a1.1\n", "a.1e3"]
)
def test_what_is_no_cursor(text: str):
    assert read_cursor(text) is None


def test_where_there_is_nothing_yet():
    assert read_cursor(str(NOTHING)) == NOTHING
