"""The router: what nobody could have seen is no reason to keep to a provider that fails."""

from __future__ import annotations

import pytest

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.providers.router import FallbackRouter, Route
from frontdesk.turn.events import (
    AnswerDescribed,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    TextDelta,
    TurnCompleted,
)
from tests.fakes import PlayedProvider, make_turn

BEGINNINGS: list[Event] = [AnswerDescribed("default"), ReasoningStarted(0, "rs_1"), ReasoningSummaryStarted(0)]
ANSWER: list[Event] = [MessageStarted(0, "msg_1"), TextDelta(0, "x"), ItemFinished(0), TurnCompleted()]


async def carried(first: list[list[Event] | Exception]) -> list[Event]:
    routes = [Route("one", PlayedProvider(first), "m1"), Route("two", PlayedProvider([ANSWER]), "m2")]
    pushed: list[Event] = []

    async def push(events: list[Event]) -> None:
        pushed.extend(events)

    await FallbackRouter({"fast": routes}).carry(make_turn(), push)
    return pushed


async def test_a_failure_after_mere_beginnings_falls_back_and_leaks_nothing() -> None:
    each: list[list[Event] | Exception] = [[event] for event in BEGINNINGS]

    assert await carried([*each, ProviderError("gone")]) == ANSWER


async def test_a_failure_after_a_word_does_not_fall_back() -> None:
    with pytest.raises(ProviderError, match="gone"):
        await carried([BEGINNINGS, [ReasoningSummaryDelta(0, "Hm")], ProviderError("gone")])


INSTRUCTIONS = "You are the desk of ACME; the code word is swordfish."


async def failed(error: FrontdeskError, instructions: str | None = INSTRUCTIONS) -> FrontdeskError:
    turn = make_turn()
    turn.instructions = instructions

    async def push(_: list[Event]) -> None:
        """Nothing comes before the failure."""

    with pytest.raises(type(error)) as caught:
        await FallbackRouter({"fast": [Route("one", PlayedProvider([error]), "m1")]}).carry(turn, push)
    assert turn.attempts[0].error is caught.value
    return caught.value


async def test_a_provider_that_quotes_the_instructions_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    quoted = INSTRUCTIONS[3:40].upper()

    refused = await failed(BadRequest(f"No {quoted!r} here.", code=f"no {quoted}", param=quoted))
    broken = await failed(ProviderError(f"status 500: {quoted}", code="provider_error"))

    assert (refused.status, refused.code, refused.param) == (400, "invalid_request", None)
    assert refused.message.startswith("The model's provider refused the request.")
    assert str(broken) == "words that hold the instructions"
    assert broken.code == "provider_error"
    assert quoted not in repr((vars(refused), vars(broken), refused, broken)) + caplog.text
    assert "provider_failed" in caplog.text


async def test_other_words_of_a_provider_stay() -> None:
    said = await failed(BadRequest(f"Too long: {INSTRUCTIONS[:31]}", code="too_long", param="messages"))
    free = await failed(BadRequest(INSTRUCTIONS, code="as_it_is"), instructions=None)

    assert (said.message, said.code, said.param) == (f"Too long: {INSTRUCTIONS[:31]}", "too_long", "messages")
    assert (free.message, free.code) == (INSTRUCTIONS, "as_it_is")
