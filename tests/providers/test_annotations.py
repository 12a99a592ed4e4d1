"""What answers rest on, in both of OpenAI's spellings, whatever else servers say there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.annotations import Annotations, read_annotation

URL = "https://example.test/a"
PAGE = {"type": "url_citation", "url": URL, "title": "A", "start_index": 1, "end_index": 4}
FILE = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 3}


def test_both_spellings_of_a_page_are_one() -> None:
    nested = {name: value for name, value in PAGE.items() if name != "type"}

    assert read_annotation(PAGE) == PAGE
    assert read_annotation({"type": "url_citation", "url_citation": {**nested, "content": "left out"}}) == PAGE


def test_a_file_is_told() -> None:
    assert read_annotation(FILE) == FILE


def test_what_is_not_said_is_empty() -> None:
    empty = {"title": "", "start_index": 0, "end_index": 0}

    assert read_annotation({"type": "url_citation", "url": URL, "start_index": -1, "end_index": True}) == {
        "type": "url_citation",
        "url": URL,
        **empty,
    }


def test_indexes_count_from_the_beginning_of_the_message() -> None:
    assert read_annotation(PAGE, shift=10) == {**PAGE, "start_index": 11, "end_index": 14}
    assert read_annotation(FILE, shift=10) == {**FILE, "index": 13}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "https://example.test",
        {"url": URL},
        {"type": "url_citation"},
        {"type": "url_citation", "url": ""},
        {"type": "url_citation", "url": "javascript:alert(1)"},
        {"type": "url_citation", "url": "file:///etc/hosts"},
        {"type": "url_citation", "url_citation": {"url": "data:text/html,x"}},
        {"type": "file_citation", "filename": "a.pdf"},
        {"type": "file_path", "file_id": "file-1", "index": 0},
        {"type": "container_file_citation", "container_id": "c", "file_id": "f"},
        {"type": ["url_citation"], "url": URL},
    ],
)
def test_what_is_none_is_passed_over(said: Any) -> None:
    assert read_annotation(said) is None


def test_each_is_told_once() -> None:
    annotations = Annotations()

    assert annotations.new_in([PAGE, FILE, PAGE]) == [PAGE, FILE]
    assert annotations.new_in([FILE, {**PAGE, "title": "B"}]) == [{**PAGE, "title": "B"}]
    assert annotations.new_in({"type": "url_citation"}) == []


def test_how_many_are_told_has_a_bound() -> None:
    annotations = Annotations()

    told = annotations.new_in([{**PAGE, "title": str(number)} for number in range(5_000)])

    assert len(told) == 1_000


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(URL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PAGE, *FILE]), inner, max_size=6),
    max_leaves=8,
)


@given(_anything, st.sampled_from(["url_citation", "file_citation"]))
def test_nonsense_is_read_without_a_failure(said: Any, kind: str) -> None:
    read = read_annotation({**said, "type": kind} if isinstance(said, dict) else said)

    assert read is None or set(read) in (set(PAGE), set(FILE))
