"""What becomes of a job by how its attempt ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.jobs.endings import Again, End, after_crash, after_failure, after_interruption
from frontdesk.jobs.plan import Done, GiveUp, Job, Kind, Progress, Retry

SECRET = "the words of a person"


class Nobody:
    async def run(self, job: Job, progress: Progress) -> Done | None:
        raise AssertionError("Nothing is done here.")


KIND = Kind("work", Nobody(), most_attempts=3, timeout_s=7.5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_double_from_a_second_to_ten_minutes(attempt: int, jitter: float) -> None:
    kind = KIND._replace(most_attempts=10_001)

    again = after_failure(ValueError(SECRET), kind, attempt, jitter)

    assert isinstance(again, Again)
    longest_s = min(600.0, 2.0 ** min(attempt, 20))
    assert 1.0 <= longest_s / 2 <= again.after_s <= longest_s
    assert not again.is_free


def test_chance_spreads_them() -> None:
    pauses = [after_failure(ValueError(), KIND, 2, jitter) for jitter in (0.0, 0.5, 1.0)]

    assert [pause.after_s for pause in pauses if isinstance(pause, Again)] == [2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError(SECRET), "job_failed"),
        (BadRequest(f"Invalid value: {SECRET!r}.", code="invalid_value"), "invalid_value"),
        (ProviderError(SECRET), "provider_error"),
        (Retry(5.0), "job_postponed"),
    ],
)
def test_the_last_attempt_fails_and_tells_no_texts(error: Exception, code: str) -> None:
    assert isinstance(after_failure(error, KIND, 2, 0.0), Again)

    end = after_failure(error, KIND, 3, 0.0)

    assert isinstance(end, End)
    assert (end.status, end.done, end.error_code) == ("failed", None, code)
    assert end.error is not None
    assert end.error.endswith("in attempt 3 of 3.")
    assert SECRET not in end.error


@pytest.mark.parametrize("attempt", [1, 3, 50])
def test_what_is_free_never_fails(attempt: int) -> None:
    assert after_failure(Retry(40.0, is_free=True), KIND, attempt, 0.0) == Again(40.0, is_free=True)


def test_a_time_is_kept_and_none_lies_behind() -> None:
    given = [after_failure(Retry(after_s), KIND, 1, 1.0) for after_s in (90.0, 0.0, -3.0, None)]

    assert [again.after_s for again in given if isinstance(again, Again)] == [90.0, 0.0, 0.0, 2.0]


def test_who_gives_up_fails_at_once_in_its_own_words() -> None:
    assert after_failure(GiveUp("conversation_gone", "It is gone."), KIND, 1, 0.0) == End(
        "failed", error_code="conversation_gone", error="It is gone."
    )


def test_what_is_ended_from_outside() -> None:
    assert after_interruption("cancelled", KIND, 3, 0.0) == End("cancelled")
    assert after_interruption("left", KIND, 3, 0.0) == Again(0.0, is_free=True)
    assert after_interruption("timed_out", KIND, 1, 0.0) == Again(
        1.0, error_code="job_timeout", error="It took longer than its 7.5 seconds, in attempt 1 of 3."
    )
    late = after_interruption("timed_out", KIND, 3, 0.0)
    assert isinstance(late, End)
    assert (late.status, late.error_code) == ("failed", "job_timeout")


def test_a_crash_counts_and_who_does_not_know_the_kind_decides_nothing() -> None:
    last = after_crash(KIND, 3, 0.0)

    assert isinstance(last, End)
    assert (last.status, last.error_code) == ("failed", "server_crashed")
    assert isinstance(after_crash(KIND, 2, 0.0), Again)
    assert isinstance(after_crash(None, 99, 0.0), Again)
