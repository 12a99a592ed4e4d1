"""Which provider answers: the routes of a model in order, each as often as is worth it, until one has a word.

    route ──► rests? covered by the money? a slot? ──► asked ──► a first word: it answers, whatever happens then
      │                │                                 │
      │                └── no: the next route            └── failed: again after a pause, or the next route
      └── none left: what went wrong is told

A fallback happens only before the first event that a reader could have seen. Where money was put aside for the turn,
each attempt must be covered by it before it begins. No slot is held during a pause.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from frontdesk.core.errors import (
    Conflict,
    FrontdeskError,
    NotFound,
    ProviderError,
    ProviderFull,
    ProviderResting,
    QuotaSpent,
    Refused,
)
from frontdesk.core.tasks import Tasks
from frontdesk.routing.asking import Asking
from frontdesk.routing.breakers import Chance
from frontdesk.routing.deadlines import DeadlinePassed, Deadlines
from frontdesk.routing.hedging import first_to_begin
from frontdesk.routing.plans import Plans
from frontdesk.routing.retries import RetryBudget, pause_s
from frontdesk.routing.route import Route
from frontdesk.routing.verdicts import is_inability, is_quicker_elsewhere, may_repeat
from frontdesk.turn.seams import Push
from frontdesk.turn.turn import Purpose, Turn

__all__ = ["FallbackRouter", "Route"]

_log = logging.getLogger("frontdesk.providers")


class Copies(Protocol):
    """Sends copies of requests elsewhere (`Shadows`)."""

    def copy(self, turn: Turn) -> None:
        """Take a copy of a turn whose answer begins, where it is to be taken."""
        ...


class FallbackRouter:
    """Tries the routes of a model in order: in the turn's own where it has one, else as `plans` draws it.

    `hedge_after_s` are the models whose slow first words are hedged, and when. `purpose` is what a turn's first
    attempt is for. `chance` and `sleep` are what pauses are drawn and waited with.
    """

    def __init__(
        self,
        routes: Mapping[str, Sequence[Route]],
        plans: Plans | None = None,
        *,
        hedge_after_s: Mapping[str, float] | None = None,
        copies: Copies | None = None,
        purpose: Purpose = "first",
        chance: Chance = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._routes = routes
        self._by_name = {model: {route.name: route for route in of_model} for model, of_model in routes.items()}
        self._plans = plans
        self._hedge_after_s = hedge_after_s or {}
        self._copies = copies
        self._purpose: Purpose = purpose
        self._chance = chance
        self._sleep = sleep
        self._deadlines = Deadlines()
        self._tasks = Tasks("hedging")

    async def carry(self, turn: Turn, push: Push) -> None:
        """Push the events of the first route that answers.

        Raises NotFound for a model that has no routes, QuotaSpent where none could even be tried for want of money,
        the first refusal where all refused, else what the last provider raised.
        """
        routes = self._routes_of(turn)
        troubles: _Troubles | None = None
        for place, route in enumerate(routes):
            if place and _is_too_late(turn):
                break
            if place and _was_hedge(route, turn):
                continue
            purpose: Purpose = "fallback" if place else self._purpose
            retries = 0
            while True:
                try:
                    if place == retries == 0 and turn.model in self._hedge_after_s:
                        asking = await self._begun_or_hedged(routes, turn)
                    else:
                        asking = await self._begun(route, turn, purpose)
                except ProviderError as error:
                    troubles = troubles or _Troubles()
                    troubles.note(error)
                    retries += 1
                    pause = self._pause_s(route, turn, error, retries, routes[place + 1 :])
                    if pause is None:
                        break
                    await self._sleep(pause)
                    if _is_too_late(turn):
                        break
                    purpose = "retry"
                    continue
                except Refused as refusal:
                    troubles = troubles or _Troubles()
                    troubles.refuse(refusal)
                    break
                if asking is None:
                    break
                await self._tell(asking, turn, push)
                return
        raise _nothing_covered(turn) if troubles is None else troubles.verdict()

    def _routes_of(self, turn: Turn) -> Sequence[Route]:
        routes = self._routes.get(turn.model)
        if not routes:
            raise NotFound(f"The model {turn.model!r} does not exist.", code="model_not_found", param="model")
        names = turn.routes
        if names is None:
            if self._plans is None or len(routes) == 1:
                return routes
            names = self._plans.of(turn)
        by_name = self._by_name[turn.model]
        return [by_name[name] for name in names]

    async def _begun(self, route: Route, turn: Turn, purpose: Purpose) -> Asking | None:
        """Ask a route and read until its first word; None where no money covers it. Raises what went wrong."""
        slots = route.slots
        route.check(turn)
        if turn.funds is not None and not await _is_covered(route, turn):
            return None
        if slots is not None and (waiting := slots.enter(turn)) is not None:
            await waiting
        try:
            if turn.entrance is not None and not turn.entrance.is_dispatched:
                await turn.entrance.dispatch()
            asking = Asking(route, turn, purpose, self._deadlines)
        except BaseException:
            if slots is not None:
                slots.leave(turn)
            raise
        if route.budget is not None and purpose not in _OF_THE_BUDGET:
            route.budget.earn()
        try:
            await asking.begin()
        except BaseException:
            await asking.close()
            raise
        return asking

    async def _tell(self, asking: Asking, turn: Turn, push: Push) -> None:
        turn.answering = asking.attempt
        if self._copies is not None:
            self._copies.copy(turn)
        try:
            await asking.tell(push)
        finally:
            await asking.close()

    # --- again ----------------------------------------------------------------------------------

    def _pause_s(
        self, route: Route, turn: Turn, error: ProviderError, number: int, others: Sequence[Route]
    ) -> float | None:
        """How long to wait before the same route is asked for the n-th time again; None where it is not."""
        if isinstance(error, ProviderFull | ProviderResting) or not may_repeat(error) or not turn.has_reader:
            return None
        if is_quicker_elsewhere(error) and not all(other.is_resting for other in others):
            return None
        pause = pause_s(route.retries, number, error.retry_after_s, self._chance())
        if pause is None or turn.clock.monotonic() + pause >= turn.deadline_at:
            return None
        if route.budget is not None and not route.budget.take():
            _log.warning("retry_budget_spent provider=%s", route.provider_name)
            return None
        return pause

    # --- hedging --------------------------------------------------------------------------------

    async def _begun_or_hedged(self, routes: Sequence[Route], turn: Turn) -> Asking | None:
        first, others = routes[0], routes[1:]
        if not others:
            return await self._begun(first, turn, self._purpose)
        return await first_to_begin(
            self._tasks,
            turn,
            lambda: self._begun(first, turn, self._purpose),
            lambda: self._hedge(others, turn, first.budget),
            self._hedge_after_s[turn.model],
        )

    async def _hedge(self, others: Sequence[Route], turn: Turn, budget: RetryBudget | None) -> Asking | None:
        """Ask the next route that is well and has room; None where there is none, or too many were asked besides.

        `budget` is the slow one's, whose requests earn it: the other one may be asked for nothing else.
        """
        if not turn.attempts or _is_too_late(turn):  # where the first one still waits for its slot, so may others
            return None
        route = next((each for each in others if each.is_well and each.has_room(turn)), None)
        if route is None:
            return None
        if budget is not None and not budget.take():
            return None
        asked = len(turn.attempts)
        try:
            return await self._begun(route, turn, "hedge")
        finally:
            if budget is not None and len(turn.attempts) == asked:
                budget.give_back()


_OF_THE_BUDGET: frozenset[Purpose] = frozenset({"retry", "hedge"})


def _is_too_late(turn: Turn) -> bool:
    """Whether nobody waits for an answer any more: one that had begun is read to its end, but none is begun."""
    return not turn.has_reader or turn.clock.monotonic() >= turn.deadline_at


def _was_hedge(route: Route, turn: Turn) -> bool:
    return any(
        each.purpose == "hedge" and (each.provider, each.model) == (route.provider_name, route.model)
        for each in turn.attempts
    )


class _Troubles:
    """What went wrong with the routes of a turn before any of them answered."""

    __slots__ = ("_away", "_failure", "_refusal")

    def __init__(self) -> None:
        self._failure: ProviderError | None = None  # the last one that may pass by itself, else the first
        self._away: ProviderError | None = None  # rests or is full: the one that is back first
        self._refusal: Refused | None = None  # the first one

    def note(self, error: ProviderError) -> None:
        """A provider failed, or could not be asked. Raises where nothing more is of use."""
        if isinstance(error, DeadlinePassed):
            raise error
        if not isinstance(error, ProviderFull | ProviderResting):
            if self._failure is None or error.should_retry is not False:  # what may pass by itself is told
                self._failure = error
        elif self._away is None or (error.retry_after_s or 0) < (self._away.retry_after_s or 0):
            self._away = error

    def refuse(self, refusal: Refused) -> None:
        """A route refused the request. Raises where that is the caller's matter: the first of all routes says so,
        and not only that it cannot do what is asked. What a substitute cannot do is no fault of the caller. That
        the turn may not enter the store is no matter of routes at all.
        """
        if isinstance(refusal, Conflict):
            raise refusal
        is_first = self._failure is None and self._away is None and self._refusal is None
        if is_first and not is_inability(refusal):
            raise refusal
        self._refusal = self._refusal or refusal

    def verdict(self) -> FrontdeskError:
        """What the caller is told."""
        told = self._failure or self._away or self._refusal
        if self._away is not None and told is not None and told.should_retry is False:
            told = self._away  # it comes back, and the failure does not pass by itself
        assert told is not None
        return told


async def _is_covered(route: Route, turn: Turn) -> bool:
    assert turn.funds is not None
    covered = turn.funds.cover(route.name)
    if not isinstance(covered, bool):
        covered = await covered
    if not covered:
        _log.warning("route_not_covered turn_id=%s provider=%s model=%s", turn.id, route.provider_name, route.model)
    return covered


def _nothing_covered(turn: Turn) -> QuotaSpent:
    return QuotaSpent(
        f"What is left of the budget does not cover an answer of the model {turn.model!r} to this request. "
        "Ask for less at once, or again when the budget's period ends."
    )
