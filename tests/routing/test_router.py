"""The router: what nobody could have seen is no reason to keep to a provider that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from frontdesk.core.errors import (
    BadRequest,
    FrontdeskError,
    ProviderError,
    QuotaSpent,
    Unavailable,
    store_unavailable,
)
from frontdesk.routing.router import FallbackRouter, Route
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
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Request
from tests.fakes import PlayedProvider, make_turn
from tests.funds import PlayedFunds

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


# --- which routes, and at whose expense ---------------------------------------------------------


class Carried:
    """Three routes, the providers behind them, and what came of a turn."""

    def __init__(self, *played: list[list[Event] | Exception]) -> None:
        self.providers = [PlayedProvider(batches) for batches in played]
        names = ["one", "two", "three"]
        routes = [Route(name, provider, "m") for name, provider in zip(names, self.providers, strict=False)]
        self._router = FallbackRouter({"fast": routes})
        self.turn = make_turn()
        self.pushed: list[Event] = []

    async def carry(self) -> None:
        async def push(events: list[Event]) -> None:
            self.pushed.extend(events)

        await self._router.carry(self.turn, push)

    @property
    def asked(self) -> list[int]:
        return [len(provider.asked) for provider in self.providers]

    @property
    def attempts(self) -> list[tuple[str, str]]:
        return [(attempt.provider, attempt.status) for attempt in self.turn.attempts]


async def test_the_turns_own_routes_are_tried_in_its_order() -> None:
    carried = Carried([ANSWER], [ProviderError("down")], [ProviderError("down")])
    carried.turn.routes = ("three/m", "one/m")

    await carried.carry()

    assert carried.attempts == [("three", "failed"), ("one", "completed")]
    assert carried.asked == [1, 0, 1]


async def test_a_route_that_is_named_twice_is_tried_twice() -> None:
    provider = PlayedProvider([ProviderError("down")])
    router = FallbackRouter({"fast": [Route("one", provider, "m"), Route("one", provider, "m")]})

    with pytest.raises(ProviderError):
        await router.carry(make_turn(), nothing)

    assert len(provider.asked) == 2


@pytest.mark.parametrize("slow", [[], ["one/m", "two/m", "three/m"]], ids=["at once", "waiting"])
async def test_a_route_that_is_not_covered_is_skipped(slow: list[str], caplog: pytest.LogCaptureFixture) -> None:
    carried = Carried([ProviderError("down")], [ANSWER], [ANSWER])
    carried.turn.funds = funds = PlayedFunds(carried.turn, uncovered=["two/m"], slow=slow)

    await carried.carry()

    assert carried.attempts == [("one", "failed"), ("three", "completed")]
    assert funds.asked == ["one/m", "two/m", "three/m"]
    assert "route_not_covered" in caplog.text
    assert carried.pushed == ANSWER


async def test_what_a_provider_said_stands_where_no_substitute_is_covered() -> None:
    carried = Carried([ProviderError("down", status=504)], [ANSWER])
    carried.turn.funds = PlayedFunds(carried.turn, uncovered=["two/m"])

    with pytest.raises(ProviderError, match="down"):
        await carried.carry()

    assert carried.asked == [1, 0]


async def test_where_no_route_is_covered_the_money_is_spent() -> None:
    carried = Carried([ANSWER], [ANSWER])
    carried.turn.funds = PlayedFunds(carried.turn, uncovered=["one/m", "two/m"])

    with pytest.raises(QuotaSpent, match="'fast'") as caught:
        await carried.carry()

    assert (caught.value.status, caught.value.code, caught.value.should_retry) == (429, "insufficient_quota", False)
    assert carried.attempts == []
    assert carried.asked == [0, 0]


async def test_who_cannot_put_more_aside_asks_no_further_provider() -> None:
    class Broken(PlayedFunds):
        def cover(self, route: str) -> bool:
            if route == "two/m":
                raise store_unavailable()
            return True

    carried = Carried([ProviderError("down")], [ANSWER])
    carried.turn.funds = Broken(carried.turn)

    with pytest.raises(Unavailable):
        await carried.carry()

    assert carried.asked == [1, 0]


# --- what attempts used -------------------------------------------------------------------------

EARLY, LATER = Usage(100, 1), Usage(100, 7, raw={"prompt": 100, "note": "words", "more": [{"so": "on"}, 3]})


async def test_a_failed_attempt_keeps_what_it_said_it_used_and_nothing_of_it_leaks() -> None:
    """Its figures alone: no guard has read the words that came with them."""
    carried = Carried([[BEGINNINGS[0], UsageReported(EARLY)], [UsageReported(LATER)], ProviderError("cut")], [ANSWER])

    await carried.carry()

    first, second = carried.turn.attempts
    assert first.usage == Usage(100, 7, raw={"prompt": 100, "note": "", "more": [{"so": ""}, 3]})
    assert first.first_event_at is None
    assert second.usage is None
    assert (carried.turn.usage, carried.turn.answered_chars) == (None, 0)
    assert carried.pushed == ANSWER


async def test_usage_that_comes_early_is_no_answer() -> None:
    """A provider that reports what it read before it writes can still be replaced."""
    carried = Carried([[UsageReported(EARLY)]], [ANSWER])

    await carried.carry()

    assert carried.attempts == [("one", "failed"), ("two", "completed")]


async def test_usage_that_comes_early_goes_on_with_the_answer() -> None:
    carried = Carried([[UsageReported(EARLY)], ANSWER])

    await carried.carry()

    assert carried.pushed == [UsageReported(EARLY), *ANSWER]


async def test_what_an_attempt_used_that_was_left_stays_with_it() -> None:
    class Waiting:
        async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
            yield [UsageReported(EARLY)]
            await asyncio.Event().wait()

    turn = make_turn()
    router = FallbackRouter({"fast": [Route("one", Waiting(), "m")]})
    task = asyncio.ensure_future(router.carry(turn, nothing))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [(attempt.status, attempt.usage) for attempt in turn.attempts] == [("running", EARLY)]


async def nothing(_: list[Event]) -> None:
    """Take what comes."""


# --- a provider's words -------------------------------------------------------------------------

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
