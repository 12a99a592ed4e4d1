"""What a failure says: no caller can make a route rest, and nothing is asked again that cannot be otherwise."""

from __future__ import annotations

import pytest

from frontdesk.core.errors import BadRequest, ProviderError, Unprocessable
from frontdesk.routing.deadlines import deadline_passed
from frontdesk.routing.verdicts import Mark, is_inability, is_quicker_elsewhere, mark_of, may_repeat


def of_status(status: int) -> ProviderError:
    """A refusal by a provider, as it becomes an error."""
    if status in (429, 529):
        return ProviderError("busy", status=503, code="provider_busy", upstream_status=status, retry_after_s=1)
    return ProviderError("refused", upstream_status=status)


def timed_out() -> ProviderError:
    return ProviderError("silent", status=504, code="provider_timeout")


@pytest.mark.parametrize(
    ("error", "again", "elsewhere", "mark"),
    [
        (ProviderError("cut"), True, False, "failure"),
        (ProviderError("nobody there", is_sent=False), True, False, "failure"),
        (ProviderError("no JSON", code="invalid_structured_output"), True, False, "nothing"),
        (timed_out(), True, True, "failure"),
        (deadline_passed(), True, True, "nothing"),
        (of_status(301), False, False, "nothing"),
        (of_status(401), False, False, "failure"),
        (of_status(402), False, False, "failure"),
        (of_status(403), False, False, "nothing"),
        (of_status(404), False, False, "nothing"),
        (of_status(408), True, False, "nothing"),
        (of_status(409), True, False, "nothing"),
        (of_status(425), True, False, "nothing"),
        (of_status(429), True, True, "busy"),
        (of_status(500), True, False, "failure"),
        (of_status(501), False, False, "failure"),
        (of_status(502), True, False, "failure"),
        (of_status(503), True, False, "failure"),
        (of_status(505), False, False, "failure"),
        (of_status(529), True, True, "failure"),
    ],
    ids=str,
)
def test_each_failure_has_its_consequences(error: ProviderError, again: bool, elsewhere: bool, mark: Mark) -> None:
    assert (may_repeat(error), is_quicker_elsewhere(error), mark_of(error)) == (again, elsewhere, mark)


@pytest.mark.parametrize("status", range(400, 500))
def test_of_the_statuses_that_a_request_can_bring_about_only_those_of_our_account_count(status: int) -> None:
    assert (mark_of(of_status(status)) == "failure") is (status in (401, 402))


def test_a_refusal_that_only_says_what_a_route_cannot_do_is_known_by_its_code() -> None:
    for what in ("parameter", "part", "tool", "item", "request", "language"):
        assert is_inability(BadRequest("not here", code=f"unsupported_{what}"))
    assert is_inability(BadRequest("too long", code="context_length_exceeded"))
    assert is_inability(BadRequest("it answers in words", code="wrong_model"))
    assert not is_inability(BadRequest("nonsense"))
    assert not is_inability(Unprocessable("declined", code="content_policy_violation"))
