"""Spare slots: learned from who had to wait, within bounds; a number that was set stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.scheduling.spare import Spare


@pytest.mark.parametrize(
    ("concurrent", "begins", "least", "most"),
    [(1, 0, 0, 0), (2, 1, 1, 1), (3, 1, 1, 1), (4, 1, 1, 2), (8, 2, 1, 4), (16, 4, 2, 8), (100, 25, 12, 50)],
)
def test_it_begins_with_a_quarter_and_stays_between_an_eighth_and_a_half(
    concurrent: int, begins: int, least: int, most: int
) -> None:
    spare = Spare(concurrent, None, 0)
    assert spare.amount(0) == begins

    for _ in range(200):
        spare.missed(1)
    assert spare.amount(1) == most
    for _ in range(20_000):
        spare.found(1)
    assert spare.amount(1) == least


def test_four_hundred_that_found_a_slot_are_worth_one_that_did_not() -> None:
    spare = Spare(16, None, 0)
    for _ in range(199):
        spare.found(0)
    assert spare.amount(0) == 4
    spare.missed(0)
    assert spare.amount(0) == 6
    for _ in range(199):
        spare.found(0)
    assert spare.amount(0) == 6
    spare.found(0)
    assert spare.amount(0) == 5
    for _ in range(200):
        spare.found(0)

    assert spare.amount(0) == 4


def test_silence_gives_back_one_a_minute() -> None:
    spare = Spare(16, None, 0)
    spare.missed(10)

    assert [spare.amount(now) for now in (69, 70, 129, 130, 1000)] == [6, 5, 5, 4, 2]


def test_after_a_long_silence_the_next_one_counts_from_what_is_left() -> None:
    spare = Spare(16, None, 0)

    spare.missed(10_000)

    assert spare.amount(10_000) == 4


@given(st.integers(0, 20), st.lists(st.sampled_from(["found", "missed", "silence"]), max_size=300))
def test_a_number_that_was_set_stays(fixed: int, story: list[str]) -> None:
    spare, now = Spare(21, fixed, 0), 0.0
    for each in story:
        if each == "silence":
            now += 61
        elif each == "found":
            spare.found(now)
        else:
            spare.missed(now)
        assert spare.amount(now) == fixed
