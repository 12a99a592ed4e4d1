"""What an attempt used and cost, and how that is known."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.core.money import Price, Rates, Units
from frontdesk.turn.buckets import buckets_of
from frontdesk.turn.events import Usage
from frontdesk.turn.items import (
    ImageRequest,
    MediaRequest,
    ModerationRequest,
    SpeechRequest,
    TranscriptionRequest,
    Upload,
)
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Attempt, Status, Turn
from frontdesk.usage.costs import Cost, cost_of, usage_of
from tests.fakes import make_turn
from tests.funds import PricesByRoute
from tests.turn.test_recordings import wav

PRICES = PricesByRoute({"one/m1": Price(Rates(input=1_000_000, cached=100_000, output=5_000_000), book="of today")})
TEXT = "x" * 30
COUNTED_INPUT = measure(make_turn(text=TEXT).request).estimate


def attempted(
    *,
    status: Status = "completed",
    usage: Usage | None = None,
    error: FrontdeskError | None = None,
    answered: int | None = None,
) -> tuple[Turn, Attempt]:
    """A turn whose one attempt ended so, after so many characters that a reader saw."""
    turn = make_turn(text=TEXT)
    attempt = Attempt("one", "m1", turn.started_at)
    attempt.status = status
    attempt.error = error
    turn.attempts.append(attempt)
    if answered is None:
        attempt.usage = usage
    else:
        attempt.first_event_at = turn.first_event_at = turn.started_at
        turn.answered_chars = answered
        turn.usage = usage
    return turn, attempt


def cost(turn: Turn, attempt: Attempt, prices: PricesByRoute = PRICES) -> Cost:
    usage = usage_of(turn, attempt)
    return cost_of(turn, attempt, usage, buckets_of(usage or Usage(0, 0)), prices)


def test_what_the_provider_says_it_charged_is_believed() -> None:
    usage = Usage(1_000_000, 1_000_000, cost_micros=17)

    assert cost(*attempted(usage=usage, answered=9)) == Cost(17, "provider", None)


def test_reported_usage_is_priced() -> None:
    usage = Usage(input_tokens=100, output_tokens=10, cached_tokens=40)

    assert cost(*attempted(usage=usage, answered=9)) == Cost(60 + 4 + 50, "usage", "of today")


# --- what is paid besides tokens ----------------------------------------------------------------

BY_UNITS = PricesByRoute(
    {"one/m1": Price(Rates(audio_minute=6_000_000_000, character=15_000_000, image=40_000_000_000), book="of today")}
)
MINUTE = Upload(wav(60), "a.wav", "audio/wav")


def asked(request: MediaRequest, usage: Usage | None, answered: int = 0) -> tuple[Turn, Attempt]:
    turn, attempt = attempted(answered=answered, usage=usage)
    turn.request = request
    return turn, attempt


def test_seconds_that_the_provider_tells_count() -> None:
    told = Usage(0, 0, units=Units(audio_seconds=30))

    assert cost(*asked(TranscriptionRequest(MINUTE), told), BY_UNITS) == Cost(3_000, "usage", "of today")


@pytest.mark.parametrize(
    ("request_", "micros"),
    [
        (TranscriptionRequest(MINUTE), 6_000),
        (SpeechRequest("x" * 100, "v"), 1_500),
        (ImageRequest("generate", "x", n=2), 80_000),
        (ModerationRequest(["x"]), 0),
    ],
)
def test_what_nobody_tells_is_as_much_as_was_asked_for(request_: MediaRequest, micros: int) -> None:
    assert cost(*asked(request_, None), BY_UNITS) == Cost(micros, "estimate", "of today")


def test_tokens_that_are_told_do_not_hide_what_is_paid_besides() -> None:
    """A provider that tells tokens of what is paid by the minute."""
    assert cost(*asked(TranscriptionRequest(MINUTE), Usage(600, 20)), BY_UNITS).micros == 6_000


def test_seconds_that_are_told_do_not_make_a_model_free_that_is_paid_by_tokens() -> None:
    told = Usage(0, 0, units=Units(audio_seconds=60))

    assert cost(*asked(TranscriptionRequest(MINUTE), told, answered=40)) == Cost(600 + 50, "estimate", "of today")


def test_an_answer_that_was_left_costs_what_was_asked_for() -> None:
    turn, attempt = attempted(status="running")
    turn.request = ImageRequest("generate", "x")

    assert cost(turn, attempt, BY_UNITS) == Cost(40_000, "estimate", "of today")


def test_what_was_refused_costs_nothing_whatever_it_is_paid_by() -> None:
    turn, attempt = attempted(status="failed", error=ProviderError("no", upstream_status=500))
    turn.request = ImageRequest("generate", "x")

    assert cost(turn, attempt, BY_UNITS) == Cost(0, "estimate", None)


def test_an_answer_without_usage_is_counted() -> None:
    turn, attempt = attempted(answered=41)

    assert usage_of(turn, attempt) == Usage(COUNTED_INPUT, 11, source="counted")
    assert cost(turn, attempt) == Cost(COUNTED_INPUT + 55, "estimate", "of today")


def test_an_answer_that_was_left_is_counted() -> None:
    assert cost(*attempted(status="running", answered=40)) == Cost(COUNTED_INPUT + 50, "estimate", "of today")


def test_what_was_reported_before_an_answer_broke_off_counts_as_far_as_it_goes() -> None:
    """Some providers report as they go: what came after the last report was written all the same."""
    early = Usage(input_tokens=100, output_tokens=1, cost_micros=3)
    turn, attempt = attempted(status="failed", usage=early, error=ProviderError("cut"), answered=40)
    assert usage_of(turn, attempt) == Usage(100, 10, source="counted")
    assert cost(turn, attempt) == Cost(150, "estimate", "of today")

    late = Usage(input_tokens=100, output_tokens=20)
    assert cost(*attempted(status="failed", usage=late, error=ProviderError("cut"), answered=40)) == Cost(
        200, "usage", "of today"
    )


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("status 500", upstream_status=500),
        ProviderError("status 429", status=503, upstream_status=429),
        ProviderError("nobody there", is_sent=False),
        BadRequest("too long"),
    ],
)
def test_a_provider_that_refused_or_was_not_reached_bills_nothing(error: FrontdeskError) -> None:
    turn, attempt = attempted(status="failed", error=error)

    assert usage_of(turn, attempt) is None
    assert cost(turn, attempt) == Cost(0, "estimate", None)
    assert cost(turn, attempt, PricesByRoute({})) == Cost(0, "estimate", None)


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_provider_that_may_have_worked_on_the_request_bills_what_it_read(status: Status) -> None:
    error = ProviderError("no answer within the time-out", status=504) if status == "failed" else None
    turn, attempt = attempted(status=status, error=error)

    assert usage_of(turn, attempt) == Usage(COUNTED_INPUT, 0, source="counted")
    assert cost(turn, attempt) == Cost(COUNTED_INPUT, "estimate", "of today")


def test_what_a_failed_attempt_reported_is_billed() -> None:
    error = ProviderError("broke", upstream_status=500)

    assert cost(*attempted(status="failed", usage=Usage(7, 0), error=error)) == Cost(7, "usage", "of today")


def test_without_a_price_nobody_knows() -> None:
    assert cost(*attempted(usage=Usage(7, 1), answered=9), PricesByRoute({})) == Cost(None, None, None)
    assert cost(*attempted(answered=9), PricesByRoute({})) == Cost(None, None, None)


@pytest.mark.parametrize(
    ("asked", "served", "micros"),
    [
        (None, None, 1),
        ("priority", None, 2),
        ("priority", "priority", 2),
        ("priority", "flex", 3),  # it had no room there
        ("auto", "priority", 2),
        ("priority", "auto", 2),
        (None, "a tier that nobody priced", 1),
        (7, None, 1),  # no tier, whatever it is
    ],
)
def test_the_service_tier_that_served_says_the_price(asked: object, served: str | None, micros: int) -> None:
    rates = {"one/m1": 1, "one/m1 auto": 9, "one/m1 priority": 2, "one/m1 flex": 3}
    prices = PricesByRoute({name: Price(Rates(input=rate * 1_000_000)) for name, rate in rates.items()})
    turn, attempt = attempted(usage=Usage(1, 0), answered=1)
    turn.request = msgspec.structs.replace(turn.request, parameters={} if asked is None else {"service_tier": asked})
    turn.served_tier = served

    assert cost(turn, attempt, prices).micros == micros


def test_the_price_is_that_of_when_the_turn_began() -> None:
    """So was its money put aside, however long its attempts have taken since."""
    turn, attempt = attempted(usage=Usage(1, 0), answered=1)
    attempt.started_at += 60
    one = Price(Rates(input=1_000_000))

    assert cost(turn, attempt, PricesByRoute({"one/m1": one}, until=turn.started_at + 30)).micros == 1


def test_an_earlier_attempt_has_nothing_of_the_answer() -> None:
    turn, last = attempted(usage=Usage(100, 10), answered=400)
    first = Attempt("one", "m1", turn.started_at)
    first.status, first.error = "failed", ProviderError("silent", status=504)
    turn.attempts.insert(0, first)

    assert usage_of(turn, first) == Usage(COUNTED_INPUT, 0, source="counted")
    assert usage_of(turn, last) == Usage(100, 10)


counts = st.one_of(st.integers(0, 10_000), st.integers(0, 10**30))


@given(read=counts, written=counts, charged=st.none() | st.integers(-(10**30), 10**30), answered=st.integers(0, 10**6))
def test_a_cost_is_never_negative_nor_more_than_a_column_holds(
    read: int, written: int, charged: int | None, answered: int
) -> None:
    for status in ("completed", "failed", "running"):
        found = cost(*attempted(status=status, usage=Usage(read, written, cost_micros=charged), answered=answered))
        assert found.micros is not None
        assert 0 <= found.micros <= 10**12
