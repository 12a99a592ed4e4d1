"""Providers that play something else each time, or wait until the test lets them go on; and what watches over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from frontdesk.core.config import Breaker as BreakerRules
from frontdesk.core.config import Retries
from frontdesk.core.errors import ProviderFull
from frontdesk.routing.breakers import Breaker
from frontdesk.routing.retries import RetryBudget
from frontdesk.routing.route import Route
from frontdesk.scheduling.slots import Standing
from frontdesk.turn.events import Event, ItemFinished, MessageStarted, TextDelta, TurnCompleted
from frontdesk.turn.items import Request
from frontdesk.turn.seams import Provider
from frontdesk.turn.turn import Turn
from tests.fakes import HandClock

Step = list[Event] | asyncio.Event | Callable[[], Exception]
WHO = ("default", "u1")
Play = Sequence[Step]
"""Batches; moments that are waited for; failures, made anew each time that they are raised."""


def answer(text: str) -> list[Event]:
    """A whole answer in one batch."""
    return [MessageStarted(0, "msg_1"), TextDelta(0, text), ItemFinished(0), TurnCompleted()]


class Plays:
    """Plays one after the other, each time it is asked; the last one for ever."""

    def __init__(self, *plays: Play) -> None:
        self._plays = plays
        self.asked = 0
        self.open_answers = 0

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        play = self._plays[min(self.asked, len(self._plays) - 1)]
        self.asked += 1
        self.open_answers += 1
        try:
            for step in play:
                await asyncio.sleep(0)
                if isinstance(step, list):
                    yield step
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    raise step()
        finally:
            self.open_answers -= 1


class CountedSlots:
    """So many slots, and nobody waits for one."""

    def __init__(self, concurrent: int) -> None:
        self._concurrent = concurrent
        self.in_use = 0
        self.most = 0

    def enter(self, turn: Turn) -> None:
        if self.in_use >= self._concurrent:
            raise ProviderFull("no slot", retry_after_s=7)
        self.in_use += 1
        self.most = max(self.most, self.in_use)

    def leave(self, turn: Turn) -> None:
        assert self.in_use > 0
        self.in_use -= 1

    def standing(self) -> Standing:
        return Standing(self._concurrent, 0, self.in_use, {}, 0.0, 0, None)


def route(name: str, provider: Provider, clock: HandClock, **more: Any) -> Route:
    """A route with a breaker that opens at its third failure, and two retries."""
    usual: dict[str, Any] = {
        "retries": Retries(most=2, base_s=1, longest_s=8),
        "budget": RetryBudget(1),
        "breaker": Breaker(f"{name}/m", BreakerRules(share=0.5, least=3, open_s=5), clock, lambda: 0.0),
    }
    return Route(name, provider, "m", **(usual | more))
