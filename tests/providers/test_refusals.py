"""What providers answer instead of an answer: whose matter it is, what is told of it, and when to come back."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any, cast

import pytest

from frontdesk.core.errors import BadRequest, ProviderError, TooLarge, Unprocessable
from frontdesk.providers.openai_errors import read_error
from frontdesk.providers.refusals import Refusals
from frontdesk.providers.upstream import UpstreamResponse
from frontdesk.routing.verdicts import is_quicker_elsewhere, mark_of, may_repeat
from tests.fakes import HandClock

NOW = 1_800_000_000.0


class Answered:
    """A response whose headers and body are known."""

    def __init__(self, status: int, body: bytes = b"{}", is_endless: bool = False, **headers: str) -> None:
        self.status = status
        self._body = body
        self._is_endless = is_endless
        self._headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower())

    async def read_all(self, limit_bytes: int) -> bytes:
        if self._is_endless:
            await asyncio.Event().wait()
        if len(self._body) > limit_bytes:
            raise ProviderError("too large")
        return self._body


def refusals(error_timeout_s: float = 3.0) -> Refusals:
    return Refusals("https://api.example/v1", "sk-test-secret", HandClock(NOW), read_error, error_timeout_s)


async def error_of(answered: Answered) -> Any:
    return await refusals().error_of(cast("UpstreamResponse", answered))


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequest), (413, TooLarge), (422, Unprocessable)])
async def test_a_request_at_fault_is_told_in_the_providers_words(status: int, kind: type[Exception]) -> None:
    error = await error_of(Answered(status, b'{"error": {"message": "No.", "code": "odd", "param": "x"}}'))

    assert (type(error), error.status, error.message, error.code, error.param) == (kind, status, "No.", "odd", "x")


@pytest.mark.parametrize("status", [401, 403, 404, 402, 409, 500, 502, 503])
async def test_all_else_is_the_providers_matter(status: int) -> None:
    error = await error_of(Answered(status, b'{"error": {"message": "key sk-test-secret", "code": "odd"}}'))

    assert (type(error), error.status, error.upstream_status) == (ProviderError, 502, status)
    assert "secret" not in f"{error.message} {error.reason}"


@pytest.mark.parametrize("status", [429, 529])
async def test_a_provider_that_is_busy_says_when_to_come_back(status: int) -> None:
    error = await error_of(Answered(status, Retry_After="7"))

    assert (error.status, error.code, error.upstream_status, error.retry_after_s) == (503, "provider_busy", status, 7)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "12"}, 12),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After_Ms": "250"}, 0.25),
        ({"Retry_After_Ms": "250", "Retry_After": "9"}, 0.25),
        ({"Retry_After": formatdate(NOW + 30, usegmt=True)}, 30),
        ({"Retry_After": formatdate(NOW - 30, usegmt=True)}, 0),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-1"}, None),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "inf"}, None),
        ({"Retry_After": "Mon, 99 Nov 2026 99:99:99 GMT"}, None),
        ({}, None),
    ],
)
async def test_when_to_come_back_is_read_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    error = await error_of(Answered(503, b"{}", False, **headers))

    assert error.retry_after_s == seconds


async def test_key_and_address_are_taken_out_of_a_providers_words_before_they_are_cut() -> None:
    padding = "x" * 1990
    body = b'{"error": {"message": "%s sk-test-secret at https://api.example/v1"}}' % padding.encode()

    error = await error_of(Answered(400, body))

    assert "sk-test" not in error.message
    assert "api.example" not in error.message
    assert len(error.message) <= 2000


@pytest.mark.parametrize(
    "answered",
    [
        Answered(400, b"not json"),
        Answered(400, b"[]"),
        Answered(400, b'{"error": 7}'),
        Answered(400, b"\xff\xfe"),
        Answered(400, b"x" * 100_000),
        Answered(400, b"[" * 60_000),
    ],
)
async def test_a_body_that_says_nothing_leaves_what_its_status_says(answered: Answered) -> None:
    error = await error_of(answered)

    assert (type(error), error.code) == (BadRequest, "invalid_request")
    assert error.message == "The model's provider refused the request with status 400."


async def test_a_body_that_never_ends_is_waited_for_a_moment_only() -> None:
    error = await refusals(0.01).error_of(cast("UpstreamResponse", Answered(500, is_endless=True)))

    assert isinstance(error, ProviderError)
    assert error.upstream_status == 500


async def test_who_knows_better_is_asked_first() -> None:
    busy = ProviderError("busy", status=503)
    told = Refusals(
        "https://api.example/v1",
        None,
        HandClock(NOW),
        read_error,
        judge=lambda status, said: busy if status == 400 else None,
    )

    assert await told.error_of(cast("UpstreamResponse", Answered(400))) is busy
    assert isinstance(await told.error_of(cast("UpstreamResponse", Answered(422))), Unprocessable)


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"])
async def test_an_account_without_money_is_not_busy(code: str) -> None:
    error = await error_of(
        Answered(429, b'{"error": {"message": "Pay.", "code": "%s"}}' % code.encode(), Retry_After="7")
    )

    assert (error.status, error.code, error.upstream_status, error.retry_after_s) == (502, "provider_error", 429, None)
    assert (may_repeat(error), is_quicker_elsewhere(error), mark_of(error)) == (False, False, "failure")


@pytest.mark.parametrize(("status", "code"), [(401, "odd"), (402, "odd"), (403, "odd"), (429, "insufficient_quota")])
async def test_nobody_is_told_to_try_again_what_only_the_operator_can_mend(status: int, code: str) -> None:
    error = await error_of(Answered(status, b'{"error": {"message": "No.", "code": "%s"}}' % code.encode()))

    assert "again in a moment" not in error.message
    assert "Try again" not in error.message
    assert error.should_retry is False


@pytest.mark.parametrize("status", [404, 409, 500, 503, 429])
async def test_what_may_pass_by_itself_may_be_tried_again(status: int) -> None:
    error = await error_of(Answered(status))

    assert "Try again" in error.message
    assert error.should_retry is None
