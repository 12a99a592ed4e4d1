"""Counted usage: about as much as it was, and never above what was bounded before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import ProviderError
from frontdesk.turn.counting import counted_usage
from frontdesk.turn.events import Usage
from frontdesk.turn.items import EmbeddingRequest, Message, Prompt
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Attempt, Status, Turn
from tests.fakes import make_turn


def answered(chars: int, **fields: object) -> Turn:
    turn = make_turn()
    turn.request = Prompt([Message("user", "how much is this?")], **fields)  # type: ignore[arg-type]
    turn.attempts.append(Attempt("p", "m", turn.clock.now()))
    turn.first_event_at = turn.clock.now()
    turn.answered_chars = chars
    return turn


def test_what_was_read_is_the_size_and_what_was_written_its_characters() -> None:
    turn = answered(41)

    assert counted_usage(turn) == Usage(measure(turn.request).estimate, 11, source="counted")


@given(st.integers(0, 100_000), st.integers(1, 5_000), st.integers(1, 4))
def test_it_is_never_above_what_was_bounded(chars: int, most: int, choices: int) -> None:
    turn = answered(chars, max_output_tokens=most, choices=choices)
    usage = counted_usage(turn)

    assert usage is not None
    assert usage.input_tokens <= measure(turn.request).bound
    assert usage.output_tokens == min(-(-chars // 4), most * choices)


def test_embeddings_write_nothing() -> None:
    turn = answered(0)
    turn.request = EmbeddingRequest(["one text"])

    assert counted_usage(turn) == Usage(3, 0, source="counted")


@pytest.mark.parametrize("has_begun", [True, False])
def test_nothing_is_counted_where_nobody_answered(has_begun: bool) -> None:
    turn = answered(0)
    if not has_begun:
        turn.first_event_at = None
    turn.attempts[-1].status = "failed"
    turn.attempts[-1].error = ProviderError("broke")

    assert (counted_usage(turn) is None) is not has_begun
    turn.attempts.clear()
    assert counted_usage(turn) is None


def left(
    after_s: float, *, seen_after_s: float | None = None, stream: bool = False, chars: int = 0, **asked: int
) -> Turn:
    """A turn whose reader went while its provider was at work."""
    turn = answered(chars, stream=stream, **asked)
    attempt = turn.attempts[-1]
    attempt.first_event_at = None if seen_after_s is None else attempt.started_at + seen_after_s
    turn.first_event_at = attempt.first_event_at
    turn.finished_at = attempt.started_at + after_s
    return turn


@pytest.mark.parametrize(
    ("turn", "tokens"),
    [
        (left(10), 1_000),  # in one piece: nobody has seen any of it
        (left(10, choices=3), 3_000),
        (left(10, max_output_tokens=250, choices=2), 500),
        (left(0.004), 0),
        (left(-5), 0),
        (left(10**9), 60_000),
        (left(10, stream=True), 800),  # it thinks
        (left(1.5, stream=True), 0),  # it reads
        (left(30, seen_after_s=12, stream=True, chars=400), 1_100),  # it thought before it spoke
        (left(30, seen_after_s=1, stream=True, chars=400), 100),
    ],
)
def test_what_nobody_saw_of_an_answer_that_was_left_is_as_long_as_it_took(turn: Turn, tokens: int) -> None:
    usage = counted_usage(turn)

    assert usage is not None
    assert usage.output_tokens == tokens


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_what_an_answer_took_that_ended_by_itself_says_nothing(status: Status) -> None:
    turn = left(30, seen_after_s=12, stream=True, chars=400)
    turn.attempts[-1].status = status

    usage = counted_usage(turn)

    assert usage is not None
    assert usage.output_tokens == 100


def test_an_attempt_that_was_overtaken_is_counted_as_long_as_it_took_and_none_of_the_words_are_its() -> None:
    turn = answered(41, stream=True)
    turn.answering = turn.attempts[0]
    overtaken = Attempt("q", "m", turn.clock.now(), "hedge")
    overtaken.status, overtaken.finished_at = "cancelled", overtaken.started_at + 10
    turn.attempts.append(overtaken)

    counted = counted_usage(turn, overtaken)

    assert counted is not None
    assert counted.output_tokens == 800
    assert counted_usage(turn) == counted_usage(turn, turn.attempts[0])
    assert counted_usage(turn) == Usage(measure(turn.request).estimate, 11, source="counted")


@pytest.mark.parametrize(("code", "tokens"), [("provider_timeout", 800), (None, None)])
def test_an_attempt_that_took_too_long_was_at_work_all_the_time(code: str | None, tokens: int | None) -> None:
    """Who asks for much in little time would have it for nothing."""
    turn = left(60, stream=True)
    cut = turn.attempts[0]
    cut.status, cut.error = "failed", ProviderError("too slow", status=504, code=code)
    cut.finished_at = cut.started_at + 10

    counted = counted_usage(turn, cut)

    assert (None if counted is None else counted.output_tokens) == tokens
