"""The turns under way in this process: the server owns their tasks, not the connections.

    start ──► running ──► ended
                │  ▲
       hang_up  │  │ the answer may still come: it is read, counted and thrown away
                ▼  │ (while it only waits for a slot none will: it is interrupted at once)
             draining ──(hangup_drain_s, or the tokens put aside)──► interrupted: the upstream is closed

A hang-up is the connection's matter and only starts a bounded drain. `cancel` ends a turn at
once, `shutdown` ends all that are left after the grace time, each with an error that the caller
can read. One look at all of them, about once a second, ends those that take too long and keeps the
silent ones' connections alive. A turn whose caller said how long it may take ends by a timer of its own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from frontdesk.core.errors import Unavailable
from frontdesk.core.tasks import Tasks
from frontdesk.turn.ceilings import most_chars
from frontdesk.turn.run import Line, run_turn
from frontdesk.turn.seams import Sink
from frontdesk.turn.turn import Interruption, Turn

Receive = Callable[[], Awaitable[Any]]


async def until_gone(receive: Receive) -> None:
    """Return once a request's answer was sent, or its client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """How long a turn may take in all, how long its stream may be silent, and its rest be read after a hang-up."""

    turn_timeout_s: float
    keep_alive_s: float
    hangup_drain_s: float


class LiveTurns:
    """All turns that this process carries now."""

    def __init__(self, line: Line, times: TurnTimes) -> None:
        self._line = line
        self._times = times
        self._look_every_s = min(_LOOK_EVERY_S, times.keep_alive_s / 4, times.turn_timeout_s / 4)
        self._next_look: asyncio.TimerHandle | None = None
        self._tasks = Tasks("turn")
        self._running: dict[str, Running] = {}
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._running)

    @property
    def longest_s(self) -> float:
        """How long any turn may take in all."""
        return self._times.turn_timeout_s

    async def carry(self, turn: Turn, sink: Sink, receive: Receive, abort: Callable[[], None] | None = None) -> None:
        """Run a turn and return when its answer was sent or its reader has gone.

        `receive` is ASGI's, after the body was read. A turn whose reader has gone drains on.
        `abort` closes the connection; it is called where a turn ends without an end for its reader.
        """
        running = self.start(turn, sink, abort)
        await until_gone(receive)
        if not sink.is_complete and not running.task.done():
            self._hang_up(running)

    def find(self, turn_id: str) -> Running | None:
        """The turn of this id and its sink, while it runs here."""
        return self._running.get(turn_id)

    async def cancel(self, turn_id: str) -> None:
        """End a turn now and wait until it has settled. Does nothing where it has already.

        Its last write may still wait for its reader.
        """
        running = self._running.get(turn_id)
        if running is not None and running.interrupt(Interruption.CANCEL):
            while running.turn.status == "running" and not running.task.done():
                await asyncio.wait([running.task], timeout=_MOMENT_S)

    async def close(self, grace_s: float) -> None:
        """Take no more turns, let the running ones end for `grace_s`, then end them.

        Every turn has settled when this returns.
        """
        self._is_closing = True
        if await self._tasks.wait(grace_s):
            return
        for running in list(self._running.values()):
            running.interrupt(Interruption.SHUTDOWN)
        await self._tasks.wait(_LAST_WORDS_S)
        await self._tasks.close()

    def start(self, turn: Turn, sink: Sink, abort: Callable[[], None] | None = None) -> Running:
        """Run a turn, whoever reads it. `abort` is called where it ends without an end for its sink.

        Raises Unavailable where the process is going down.
        """
        if self._is_closing:
            raise Unavailable(
                "The server is restarting. Try again in a moment.", code="server_shutting_down", retry_after_s=1
            )
        task = self._tasks.start(turn.id, run_turn(turn, self._line, sink))
        running = self._running[turn.id] = Running(turn, sink, task)
        running.abort = abort
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(self._look_every_s, self._look_at_all)
        if turn.deadline_at < math.inf:
            left_s = turn.deadline_at - turn.clock.monotonic()
            running.deadline = asyncio.get_running_loop().call_later(left_s, running.interrupt, Interruption.TIMEOUT)
        task.add_done_callback(lambda _: self._forget(turn.id))
        return running

    def _hang_up(self, running: Running) -> None:
        turn = running.turn
        running.sink.leave()
        turn.has_reader = False
        turn.most_chars = most_chars(turn)
        only_waits = turn.slots_awaited > 0 and not turn.is_asking
        if only_waits or self._times.hangup_drain_s <= 0 or turn.answered_chars > turn.most_chars:
            running.interrupt(Interruption.HANGUP)
            return
        running.drain = asyncio.get_running_loop().call_later(
            self._times.hangup_drain_s, running.interrupt, Interruption.HANGUP
        )

    def _look_at_all(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for running in list(self._running.values()):
            if now - running.since > self._times.turn_timeout_s:
                running.interrupt(Interruption.TIMEOUT)
            elif running.sink.has_written:
                running.sink.has_written = False
                running.quiet_since = now
            elif now - running.quiet_since >= self._times.keep_alive_s - self._look_every_s:
                running.quiet_since = now
                running.sink.keep_alive()
        self._next_look = loop.call_later(self._look_every_s, self._look_at_all) if self._running else None

    def _forget(self, turn_id: str) -> None:
        running = self._running.pop(turn_id)
        for timer in (running.drain, running.deadline):
            if timer is not None:
                timer.cancel()
        if running.abort is not None and not running.sink.is_complete:
            running.abort()  # after a hang-up there is nothing left to close


_LAST_WORDS_S = 2.0
_MOMENT_S = 0.02
_LOOK_EVERY_S = 1.0


class Running:
    """A turn under way."""

    __slots__ = ("abort", "deadline", "drain", "quiet_since", "since", "sink", "task", "turn")

    def __init__(self, turn: Turn, sink: Sink, task: asyncio.Task[None]) -> None:
        self.turn = turn
        self.sink = sink
        self.task = task
        self.drain: asyncio.TimerHandle | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.abort: Callable[[], None] | None = None
        self.since = self.quiet_since = task.get_loop().time()

    def interrupt(self, why: Interruption) -> bool:
        """End it before its answer does; False where that has ended, if only its last write waits."""
        turn = self.turn
        if turn.interruption is None and turn.status == "running" and not self.task.done():
            turn.interruption = why
            self.task.cancel()
        return turn.interruption is not None
