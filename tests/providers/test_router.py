"""The router: what nobody could have seen is no reason to keep to a provider that fails."""

from __future__ import annotations

import pytest

from frontdesk.core.errors import ProviderError
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
