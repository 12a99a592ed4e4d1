"""What may be asked of reports, and how it is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.reports.question import NARROWINGS, Question, moment_ms, read_question, single_values

NOW = "2026-07-15T12:30:00Z"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def read(**given: str) -> Question:
    return read_question({name.rstrip("_"): value for name, value in given.items()}, ms(NOW.rstrip("Z")))


@pytest.mark.parametrize(
    ("given", "since", "until"),
    [
        ({}, "2026-07-01", "2026-08-01"),
        ({"from_": "2026-07-10"}, "2026-07-10", "2026-08-01"),
        ({"from_": "2026-05-10"}, "2026-05-10", "2026-08-01"),
        ({"to": "2026-07-10"}, "2026-07-01", "2026-07-10"),
        ({"to": "2026-07-01"}, "2026-06-01", "2026-07-01"),
        ({"to": "2024-03-01"}, "2024-02-01", "2024-03-01"),
        ({"from_": "2026-07-10", "to": "2026-07-11"}, "2026-07-10", "2026-07-11"),
        ({"from_": "2026-07-10T06:00", "to": "2026-07-10T06:00:01Z"}, "2026-07-10T06:00", "2026-07-10T06:00:01"),
        ({"from_": "2026-07-10T00:00:00+02:00", "to": "2026-07-10"}, "2026-07-09T22:00", "2026-07-10"),
        ({"from_": "2024-01-01", "to": "2025-01-01"}, "2024-01-01", "2025-01-01"),
        ({"from_": "1970-01-01", "to": "1970-01-02"}, "1970-01-01", "1970-01-02"),
        ({"from_": "2999-12-31", "to": "2999-12-31T23:59:59.999"}, "2999-12-31", "2999-12-31T23:59:59.999"),
    ],
)
def test_a_range_is_utc_and_else_of_this_month(given: dict[str, str], since: str, until: str) -> None:
    question = read(**given)

    assert (question.from_ms, question.to_ms) == (ms(since), ms(until))


@pytest.mark.parametrize(
    ("given", "param", "says"),
    [
        ({"from_": "soon"}, "from", "'from' is 'soon'. It must be a date or a time since 1970, as 2026-07-01"),
        ({"from_": "2026-07-10T00:00:00 02:00"}, "from", "a '+' is written %2B"),
        ({"to": "2026-02-30"}, "to", "'to' is '2026-02-30'"),
        ({"to": "0001-01-01T00:00+14:00"}, "to", "since 1970"),
        ({"from_": "9999-12-31T23:59:59-14:00"}, "from", "since 1970"),
        ({"from_": "1969-12-31", "to": "1970-01-02"}, "from", "since 1970"),
        ({"to": "3000-01-01"}, "to", "since 1970"),
        ({"from_": "2026-07-10", "to": "2026-07-10"}, "from", "'from' must be before 'to'"),
        ({"from_": "2026-09-01"}, "from", "'from' must be before 'to'"),
        ({"from_": "2025-01-01", "to": "2026-01-03"}, "from", "are 367 days. Ask for 366 at most"),
        ({"group_by": "colour"}, "group_by", "'group_by' has 'colour'. Known: user, feature"),
        ({"group_by": "user,"}, "group_by", "'group_by' has ''"),
        ({"group_by": "user, user"}, "group_by", "'group_by' has 'user' twice"),
        ({"group_by": "user,day,model,tier"}, "group_by", "'group_by' has 4 names. It can have 3 at most"),
        ({"user": ""}, "user", "'user' is ''. It must have 1 to 200 printable characters"),
        ({"feature": "a\0b"}, "feature", "printable"),
        ({"model": "x" * 201}, "model", "1 to 200"),
        ({"provider": "\ud800"}, "provider", "printable"),
        ({"status": "done"}, "status", "'status' is 'done'. Known: running, completed,"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name_and_value(given: dict[str, str], param: str, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**given)

    assert (caught.value.code, caught.value.param) == ("invalid_value", param)
    assert says in caught.value.message


@example(time_ms=2_182_464_000_002)  # of floating seconds there is a little less
@given(time_ms=st.integers(0, 32_503_679_999_999))
def test_a_time_is_exact_to_the_millisecond(time_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)

    assert moment_ms(moment.isoformat(), "from") == time_ms


def test_groups_keep_their_order_and_every_value_narrows() -> None:
    only = {name: f"a {name}" for name in NARROWINGS} | {"status": "completed"}

    question = read(group_by=" day , user,model", **only)

    assert question.group_by == ("day", "user", "model")
    assert question.only == only


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("until", "x")], "Unknown parameter: 'until'. Known: from, to."),
        ([("from", "a"), ("from", "a")], "'from' is there twice. Name it once."),
    ],
)
def test_a_name_counts_once_and_only_where_it_is_known(pairs: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        single_values(pairs, ("from", "to"))

    assert single_values([("to", "b"), ("from", "a")], ("from", "to")) == {"from": "a", "to": "b"}
