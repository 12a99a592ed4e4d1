"""Versions are in the order that Semantic Versioning gives them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.versions import read_version

# Semantic Versioning 2.0.0 §11, and what stands around it.
IN_ORDER = [
    "0.9.12",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-11",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0-x-y.7",
    "2",
    "10.0",
]


def test_a_later_version_is_the_greater_one() -> None:
    for earlier, later in itertools.combinations(IN_ORDER, 2):
        first, second = read_version(earlier), read_version(later)
        assert first is not None
        assert second is not None
        assert first < second, (earlier, later)


@pytest.mark.parametrize(("one", "other"), [("1", "1.0.0"), ("1.4", "1.4.0"), ("1.4.0+build.7", "1.4.0")])
def test_what_is_left_out_is_nothing(one: str, other: str) -> None:
    assert read_version(one) == read_version(other) is not None


@pytest.mark.parametrize(
    "text",
    ["", "v1.0", "1.", ".1", "1.2.3.4", "01.0", "1.0.0-", "1.0.0-a..b", "1.0 ", "one", "1.0.0-é", "1" * 65, "-1"],
)
def test_all_else_is_no_version(text: str) -> None:
    assert read_version(text) is None


@given(st.text(max_size=70))
def test_any_text_is_a_version_or_none(text: str) -> None:
    found = read_version(text)

    assert found is None or found >= read_version("0.0.0-0")  # type: ignore[operator]
