from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.periods import PERIODS, Period, window_end_ms, window_start_ms

# From 1970 to the year 2200.
TIMES = st.integers(0, 7_258_118_400_000)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("day", "2026-11-23T03:49:18", "2026-11-23", "2026-11-24"),
        ("day", "2028-02-28T23:59:59.999", "2028-02-28", "2028-02-29"),
        ("day", "2028-02-29T00:00:00", "2028-02-29", "2028-03-01"),
        ("month", "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
        ("month", "2027-02-28T23:59:59.999", "2027-02-01", "2027-03-01"),
        ("month", "2026-12-31T23:59:59.999", "2026-12-01", "2027-01-01"),
        ("month", "2027-01-01T00:00:00", "2027-01-01", "2027-02-01"),
        ("month", "2026-04-30T00:00:00", "2026-04-01", "2026-05-01"),
        ("month", "2100-02-28T12:00:00", "2100-02-01", "2100-03-01"),
    ],
)
def test_windows_follow_the_calendar_of_utc(period: Period, now: str, start: str, end: str) -> None:
    found = window_start_ms(period, ms(now))

    assert (found, window_end_ms(period, found)) == (ms(start), ms(end))


def test_all_time_began_at_0_and_never_ends() -> None:
    assert window_start_ms("total", ms("2026-11-23")) == 0
    assert window_end_ms("total", 0) is None


@given(st.sampled_from(PERIODS), TIMES)
def test_every_time_lies_in_its_window(period: Period, now_ms: int) -> None:
    start = window_start_ms(period, now_ms)
    end = window_end_ms(period, start)

    assert start <= now_ms
    assert end is None or now_ms < end
    assert window_start_ms(period, start) == start


@given(st.sampled_from(PERIODS), TIMES)
def test_the_next_window_begins_where_one_ends(period: Period, now_ms: int) -> None:
    start = window_start_ms(period, now_ms)
    end = window_end_ms(period, start)

    if end is not None:
        assert window_start_ms(period, end) == end
        assert window_start_ms(period, end - 1) == start


@given(st.sampled_from(PERIODS), TIMES, TIMES)
def test_windows_never_go_back_as_time_goes_on(period: Period, one: int, other: int) -> None:
    earlier, later = sorted((one, other))

    assert window_start_ms(period, earlier) <= window_start_ms(period, later)
