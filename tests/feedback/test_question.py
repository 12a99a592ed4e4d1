"""What reviewers may ask: known names, known values, a range that is one."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.feedback.question import GROUPINGS, Question, read_page_question, read_sums_question
from tests.reports.rows import DAY_MS, JULY_MS

NOON_MS = JULY_MS + 13 * DAY_MS + DAY_MS // 2


def test_a_page_is_of_all_times_unless_it_says_which() -> None:
    everything = read_page_question({"limit": "5"})
    since = read_page_question({"from": "2026-07-01", "rating": "down", "prompt": ""})

    assert (everything.from_ms, everything.only) == (0, {})
    assert everything.to_ms > 2**47
    assert since == Question(JULY_MS, everything.to_ms, {"rating": "down", "prompt": ""})


def test_sums_are_of_this_month_by_feature_unless_they_say_otherwise() -> None:
    usual, group_by = read_sums_question({}, NOON_MS)
    asked = read_sums_question({"to": "2026-07-03", "group_by": "day", "reason": "wrong"}, NOON_MS)

    assert (usual, group_by) == (Question(JULY_MS, JULY_MS + 31 * DAY_MS), "feature")
    assert asked == (Question(JULY_MS, JULY_MS + 2 * DAY_MS, {"reason": "wrong"}), "day")


@pytest.mark.parametrize("name", GROUPINGS)
def test_each_grouping_is_known(name: str) -> None:
    assert read_sums_question({"group_by": name}, NOON_MS)[1] == name


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"from": "2026-07-02", "to": "2026-07-01"}, "from"),
        ({"from": "2026-07-01", "to": "2026-07-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "-1"}, "to"),
        ({"rating": "sideways"}, "rating"),
        ({"rating": ""}, "rating"),
        ({"reason": "no reason"}, "reason"),
        ({"feature": ""}, "feature"),
        ({"model": "a\0b"}, "model"),
        ({"prompt": "x" * 201}, "prompt"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_its_name(given: dict[str, str], param: str) -> None:
    reads: list[Any] = [read_page_question, lambda given: read_sums_question(given, NOON_MS)]
    for read in reads:
        with pytest.raises(BadRequest) as refusal:
            read(given)

        assert (refusal.value.code, refusal.value.param) == ("invalid_value", param)


@pytest.mark.parametrize(
    ("given", "param"),
    [({"group_by": "user"}, "group_by"), ({"from": "2025-01-01", "to": "2026-07-01"}, "from")],
    ids=str,
)
def test_sums_of_a_person_or_of_years_are_refused(given: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_sums_question(given, NOON_MS)

    assert refusal.value.param == param
