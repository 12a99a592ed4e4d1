"""Which provider answers: the routes of a model in order, the next one where one fails.

A fallback happens only before the first event that a reader could have seen. The beginnings of
items are held until a first delta or an end comes, so an error right after them still falls back
and nothing of the failed attempt leaks into the next one. What such an attempt said it used stays
with it: its provider bills it.

Where money was put aside for the turn, each attempt must be covered by it before it begins.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from frontdesk.core.errors import FrontdeskError, NotFound, ProviderError, QuotaSpent, Refused
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    AnswerDescribed,
    Event,
    MessageStarted,
    ReasoningStarted,
    ReasoningSummaryStarted,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from frontdesk.turn.screening import screened_value
from frontdesk.turn.seams import Provider, Push
from frontdesk.turn.turn import Attempt, Turn
from frontdesk.turn.verbatim import Verbatim

_log = logging.getLogger("frontdesk.providers")
_UNSEEN = frozenset(
    {AnswerDescribed, MessageStarted, ReasoningStarted, ReasoningSummaryStarted, ToolCallStarted, UsageReported}
)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to an answer: a provider and its own name of the model."""

    provider_name: str
    provider: Provider
    model: str

    @property
    def name(self) -> str:
        """As configurations and prices call it: "provider/model"."""
        return f"{self.provider_name}/{self.model}"


class FallbackRouter:
    """Tries the routes of a model in order, or those that the turn names, in its order."""

    def __init__(self, routes: Mapping[str, Sequence[Route]]) -> None:
        self._routes = routes

    async def carry(self, turn: Turn, push: Push) -> None:
        """Push the events of the first route that answers; raises what the last one raised.

        Raises NotFound for a model that has no routes, QuotaSpent where none could even be tried for want of money.
        """
        failure: ProviderError | None = None
        for route in self._routes_of(turn):
            if not await _is_covered(route, turn):
                continue
            attempt = Attempt(route.provider_name, route.model, turn.clock.now())
            turn.attempts.append(attempt)
            try:
                await _carry_on(route, attempt, turn, push)
            except ProviderError as error:
                _log.warning(
                    "provider_failed turn_id=%s provider=%s model=%s reason=%s",
                    turn.id,
                    route.provider_name,
                    route.model,
                    error.reason,
                )
                if attempt.first_event_at is not None:
                    raise
                failure = error
            except Refused:
                if failure is not None:  # what only a substitute cannot do is no fault of the caller
                    raise failure from None
                raise
            else:
                return
        raise failure or _nothing_covered(turn)

    def _routes_of(self, turn: Turn) -> Sequence[Route]:
        routes = self._routes.get(turn.model)
        if not routes:
            raise NotFound(f"The model {turn.model!r} does not exist.", code="model_not_found", param="model")
        if turn.routes is None:
            return routes
        by_name = {route.name: route for route in routes}
        return [by_name[name] for name in turn.routes]


async def _is_covered(route: Route, turn: Turn) -> bool:
    if turn.funds is None:
        return True
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


async def _carry_on(route: Route, attempt: Attempt, turn: Turn, push: Push) -> None:
    held: list[Event] = []
    try:
        async with aclosing(route.provider.answer(turn.request, route.model)) as batches:
            async for batch in batches:
                events = batch
                if attempt.first_event_at is None:
                    held.extend(batch)
                    if all(type(event) in _UNSEEN for event in held):
                        continue
                    events = held
                    attempt.first_event_at = turn.clock.now()
                is_last = type(events[-1]) in TERMINAL_TYPES
                if is_last:
                    attempt.finished_at = turn.clock.now()
                    attempt.status = "completed"
                await push(events)
        if attempt.status != "completed":
            raise ProviderError("the answer ended without saying so")
    except FrontdeskError as error:
        if turn.instructions is not None:
            _withhold(error, Verbatim(turn.instructions))
        attempt.status = "failed"
        attempt.error = error
        attempt.finished_at = turn.clock.now()
        raise
    finally:
        if attempt.first_event_at is None:
            attempt.usage = _reported(held)


def _reported(held: list[Event]) -> Usage | None:
    """What an attempt used that nobody saw anything of. No guard has read the provider's words: its figures stay."""
    usage: Usage | None = None
    for event in held:
        if isinstance(event, UsageReported):
            usage = event.usage
    if usage is None or usage.raw is None:
        return usage
    return msgspec.structs.replace(usage, raw=screened_value(usage.raw, lambda _: ""))


def _withhold(error: FrontdeskError, instructions: Verbatim) -> None:
    """Take the server's own instructions out of a provider's words: callers read them, rows and logs keep them."""
    instead = {
        "message": _UNTOLD,
        "reason": "words that hold the instructions",
        "code": type(error).code,
        "param": None,
    }
    for name, words in instead.items():
        told = getattr(error, name, None)
        if isinstance(told, str) and instructions.occurs_in(told):
            setattr(error, name, words)
            error.args = (_UNTOLD,)


_UNTOLD = "The model's provider refused the request. It said why in words that are not for callers."
