"""Which provider answers: the routes of a model in order, the next one where one fails.

A fallback happens only before the first event that a reader could have seen. The beginnings of
items are held until a first delta or an end comes, so an error right after them still falls back
and nothing of the failed attempt leaks into the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from frontdesk.core.errors import FrontdeskError, NotFound, ProviderError, Refused
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    AnswerDescribed,
    Event,
    MessageStarted,
    ReasoningStarted,
    ReasoningSummaryStarted,
    ToolCallStarted,
)
from frontdesk.turn.seams import Provider, Push
from frontdesk.turn.turn import Attempt, Turn
from frontdesk.turn.verbatim import Verbatim

_log = logging.getLogger("frontdesk.providers")
_BEGINNINGS = frozenset({AnswerDescribed, MessageStarted, ReasoningStarted, ReasoningSummaryStarted, ToolCallStarted})


@dataclass(frozen=True, slots=True)
class Route:
    """One way to an answer: a provider and its own name of the model."""

    provider_name: str
    provider: Provider
    model: str


class FallbackRouter:
    """Tries the routes of a model in order."""

    def __init__(self, routes: Mapping[str, Sequence[Route]]) -> None:
        self._routes = routes

    async def carry(self, turn: Turn, push: Push) -> None:
        """Push the events of the first route that answers; raises what the last one raised."""
        routes = self._routes.get(turn.model)
        if not routes:
            raise NotFound(f"The model {turn.model!r} does not exist.", code="model_not_found", param="model")
        failure: ProviderError | None = None
        for route in routes:
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
        if failure is not None:
            raise failure


async def _carry_on(route: Route, attempt: Attempt, turn: Turn, push: Push) -> None:
    held: list[Event] = []
    try:
        async with aclosing(route.provider.answer(turn.request, route.model)) as batches:
            async for batch in batches:
                events = batch
                if attempt.first_event_at is None:
                    held.extend(batch)
                    if all(type(event) in _BEGINNINGS for event in held):
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
