"""One attempt under way: a route is asked, read until its first word, told, and let go.

    (a slot is held) ──► begin ──► tell ──► close
                           │         │        ▲
                           └─────────┴────────┘  whatever goes wrong

The beginnings of items are held until a first delta or an end comes, so an error right after them is nothing that
a reader could have seen, and nothing of a failed attempt leaks into the next one. What it said it used stays with
it: its provider bills it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator
from contextlib import nullcontext

import msgspec

from frontdesk.core.errors import FrontdeskError, ProviderError
from frontdesk.routing.breakers import NO_PROBE, Breaker
from frontdesk.routing.deadlines import Deadlines, TooSlow, Wait
from frontdesk.routing.route import Route
from frontdesk.routing.verdicts import Mark, mark_of
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
from frontdesk.turn.seams import Push
from frontdesk.turn.turn import Attempt, Purpose, Turn
from frontdesk.turn.verbatim import Verbatim

_log = logging.getLogger("frontdesk.providers")
_UNSEEN = frozenset(
    {AnswerDescribed, MessageStarted, ReasoningStarted, ReasoningSummaryStarted, ToolCallStarted, UsageReported}
)
_UNWATCHED = nullcontext()


class Asking:
    """An attempt, and what it holds: a connection, a slot, the right to be a probe. `close` it, whatever happened."""

    __slots__ = ("_batches", "_began_at", "_breaker", "_deadlines", "_held", "_probe", "_route", "_turn", "attempt")

    def __init__(self, route: Route, turn: Turn, purpose: Purpose, deadlines: Deadlines) -> None:
        """Begin an attempt. Raises ProviderResting, and then there is none."""
        self._breaker: Breaker | None = route.breaker  # until it was told what came of the attempt
        route.check(turn)  # again: it may have waited for a slot
        self._probe = NO_PROBE if route.breaker is None else route.breaker.begin()
        self._route = route
        self._turn = turn
        self._deadlines = deadlines
        self._began_at = 0.0
        self._held: list[Event] = []
        self._batches: AsyncGenerator[list[Event], None] | None = None
        self.attempt = Attempt(route.provider_name, route.model, turn.clock.now(), purpose)
        turn.attempts.append(self.attempt)

    async def begin(self) -> None:
        """Ask, and read until something came that a reader could see. Raises what went wrong."""
        turn, route, held = self._turn, self._route, self._held
        try:
            with self._watched(min(route.first_event_s, route.attempt_s)) or _UNWATCHED:
                self._batches = batches = route.provider.answer(turn.request, route.model)
                async for batch in batches:
                    held += batch
                    if _is_seen(batch):
                        self._note_first_event()
                        return
            raise _unfinished()
        except FrontdeskError as error:
            self._note_failure(error)
            raise

    async def tell(self, push: Push) -> None:
        """Push all that it says: what was read until now, and what still comes. Raises what went wrong."""
        batches, events = self._batches, self._held
        assert batches is not None, "it has begun"
        self._held = []
        wait = self._watched(self._route.attempt_s)
        try:
            with wait or _UNWATCHED:
                if wait is not None:
                    push = _elsewhere(wait, push)
                if type(events[-1]) in TERMINAL_TYPES:
                    self._note_end(wait)
                await push(events)
                async for events in batches:
                    if type(events[-1]) in TERMINAL_TYPES:
                        self._note_end(wait)
                    await push(events)
            if self.attempt.status != "completed":
                raise _unfinished()
        except FrontdeskError as error:
            self._note_failure(error)
            raise

    async def close(self) -> None:
        """Let go of the provider and give back what was held. Once."""
        if self._held:
            self.attempt.usage = _reported(self._held)
        if self._breaker is not None:
            self._breaker.left(self._probe)
        try:
            if self._batches is not None:
                await self._batches.aclose()
        finally:
            if self._route.slots is not None:
                self._route.slots.leave(self._turn)

    def _watched(self, most_s: float) -> Wait | None:
        """A wait that ends so long after the attempt began, and with the turn's deadline; None where neither is set."""
        turn = self._turn
        if most_s == math.inf and turn.deadline_at == math.inf:
            return None
        self._began_at = self._began_at or turn.clock.monotonic()
        return self._deadlines.wait(turn.clock, self._began_at + most_s, turn.deadline_at)

    def _note_first_event(self) -> None:
        attempt = self.attempt
        attempt.first_event_at = now = self._turn.clock.now()
        self._route.latencies.note(now - attempt.started_at)
        self._route.our_key.taken(attempt.provider, attempt.model)
        if self._probe and self._breaker is not None:
            self._breaker.answered(self._probe)

    def _note_end(self, wait: Wait | None) -> None:
        """The provider has said all; whether its reader takes it is no longer its matter."""
        self.attempt.finished_at = self._turn.clock.now()
        self.attempt.status = "completed"
        if wait is not None:
            wait.stop()
        if self._breaker is not None:
            self._breaker.worked(self._probe, self._turn.caller.who)
            self._breaker = None

    def _note_failure(self, error: FrontdeskError) -> None:
        turn, attempt = self._turn, self.attempt
        if turn.instructions is not None:
            _withhold(error, Verbatim(turn.instructions))
        attempt.status = "failed"
        attempt.error = error
        attempt.finished_at = turn.clock.now()
        if not isinstance(error, ProviderError):
            return
        _log.warning(
            "provider_failed turn_id=%s provider=%s model=%s purpose=%s status=%s reason=%s",
            turn.id,
            attempt.provider,
            attempt.model,
            attempt.purpose,
            error.upstream_status,
            error.reason,
        )
        self._route.our_key.refused(attempt.provider, attempt.model, error)
        if self._breaker is None:
            return
        match self._mark_of(error):
            case "failure":
                lasting = error.message if error.should_retry is False else None
                self._breaker.failed(self._probe, turn.caller.who, lasting)
            case "busy":
                self._breaker.busy(self._probe, error.retry_after_s)
            case "nothing":
                self._breaker.left(self._probe)
        self._breaker = None

    def _mark_of(self, error: ProviderError) -> Mark:
        """What this attempt tells of its route: nothing that one of the same turn has told."""
        if isinstance(error, TooSlow) and self.attempt.first_event_at is not None:
            return "nothing"
        mark = mark_of(error)
        if mark == "failure" and not self._probe and self._has_failed_before():
            return "nothing"
        return mark

    def _has_failed_before(self) -> bool:
        this = self.attempt
        return any(
            each is not this
            and (each.provider, each.model) == (this.provider, this.model)
            and isinstance(each.error, ProviderError)
            and mark_of(each.error) == "failure"
            for each in self._turn.attempts
        )


def _is_seen(batch: list[Event]) -> bool:
    for event in batch:  # noqa: SIM110 - a generator costs half a microsecond
        if type(event) not in _UNSEEN:
            return True
    return False


def _elsewhere(wait: Wait, push: Push) -> Push:
    async def pushed(events: list[Event]) -> None:
        wait.is_elsewhere = True
        try:
            await push(events)
        finally:
            wait.is_elsewhere = False

    return pushed


def _unfinished() -> ProviderError:
    return ProviderError("the answer ended without saying so")


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
