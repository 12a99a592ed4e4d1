"""Shadows: copies of requests that go to another route as well, to see how it does. Nobody is told what it answers.

    a turn's answer begins ──► drawn by its share? ──► room for one more? ──► a turn of its own, in its own task
                                                         no: dropped

A copy is what the provider was asked, after the feature's instructions and the guards. It is the server's own turn: no
person's limits and budgets know of it, those of the app and the feature pay for it, and its rows show it. Nothing of it
reaches the turn that it was copied from, which does not wait for it either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from frontdesk.core.clock import Clock
from frontdesk.core.config import Shadow
from frontdesk.core.errors import FrontdeskError
from frontdesk.core.tasks import Tasks
from frontdesk.routing.breakers import Chance
from frontdesk.turn.events import TERMINAL_TYPES, Event
from frontdesk.turn.seams import Sink
from frontdesk.turn.turn import Caller, Interruption, Turn

_log = logging.getLogger("frontdesk.routing")
_MOST_AT_ONCE = 16
CREDENTIAL = "shadow"

Carry = Callable[[Turn, Sink], Coroutine[Any, Any, None]]
"""Carries a turn to its end."""


class Shadows:
    """Takes copies and carries them. `close` it before what carries them."""

    def __init__(
        self,
        shadows: Mapping[str, Shadow],
        carry: Carry,
        clock: Clock,
        chance: Chance,
        timeout_s: float,
        most_at_once: int = _MOST_AT_ONCE,
    ) -> None:
        self._shadows = shadows
        self._carry = carry
        self._clock = clock
        self._chance = chance
        self._timeout_s = timeout_s
        self._most_at_once = most_at_once
        self._tasks = Tasks("shadows")
        self._running: set[Turn] = set()
        self._dropped = 0
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """How many were not sent because too many were under way."""
        return self._dropped

    def copy(self, turn: Turn) -> None:
        """Take a copy of a turn, where it is drawn and there is room. Never raises, and waits for nothing."""
        shadow = self._shadows.get(turn.model)
        if shadow is None or self._is_closed or self._chance() >= shadow.share:
            return
        if len(self._running) >= self._most_at_once:
            self._dropped += 1
            if self._dropped & (self._dropped - 1) == 0:  # 1, 2, 4, 8: a storm of these is one line, doubling
                _log.warning(
                    "shadow_dropped model=%s under_way=%d dropped=%d", turn.model, len(self._running), self._dropped
                )
            return
        copied = self._copied(turn)
        self._running.add(copied)
        self._tasks.start(copied.id, self._follow(copied))

    async def close(self) -> None:
        """End those under way; each settles."""
        self._is_closed = True
        for turn in self._running:
            turn.interruption = Interruption.SHUTDOWN
        await self._tasks.close()

    def _copied(self, turn: Turn) -> Turn:
        caller = Caller("server", CREDENTIAL, tenant=turn.caller.tenant)
        copied = Turn(turn.door, caller, turn.model, turn.request, self._clock, turn.feature)
        copied.priority = "background"
        copied.instructions = turn.instructions
        copied.prompt = turn.prompt
        copied.deadline_at = self._clock.monotonic() + self._timeout_s
        return copied

    async def _follow(self, turn: Turn) -> None:
        try:
            await self._carry(turn, _Nowhere())
        finally:
            self._running.discard(turn)


class _Nowhere:
    """A sink that forgets."""

    __slots__ = ("has_written", "is_complete")
    renderer = None

    def __init__(self) -> None:
        self.has_written = False
        self.is_complete = False

    async def write(self, events: list[Event]) -> None:
        if events and type(events[-1]) in TERMINAL_TYPES:
            self.is_complete = True

    def keep_alive(self) -> None:
        """There is no connection."""

    async def fail(self, error: FrontdeskError) -> None:  # noqa: ARG002 - its row tells
        self.is_complete = True

    def leave(self) -> None:
        """Nobody was there."""
