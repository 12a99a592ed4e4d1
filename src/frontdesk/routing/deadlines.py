"""Ends waits that take too long: one look at all of them, some times a second, instead of a timer for each.

A wait is of the task that is in it. Where its time is over the task is cancelled, and who waits learns from the
`Wait` that it was its own time, and not the turn's end: the same care that `asyncio.timeout` takes, which counts how
often a task was asked to end. A turn may be interrupted at the same moment; then that stands.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from frontdesk.core.clock import Clock
from frontdesk.core.errors import ProviderError

TIMEOUT_CODE = "provider_timeout"
_LOOK_EVERY_S = 0.05


class Deadlines:
    """All waits that have an end."""

    def __init__(self) -> None:
        self._waits: dict[Wait, None] = {}
        self._next_look: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waits)

    def wait(self, clock: Clock, due_at: float, deadline_at: float) -> Wait:
        """A wait for a provider, by the clock's `monotonic`: until `due_at` for its own sake, and in any case until
        `deadline_at`. It begins as a context, in the task that waits.
        """
        return Wait(self, clock, due_at, deadline_at)

    def look(self) -> None:
        """Cancel those whose time is over."""
        for wait in list(self._waits):
            wait.look(_LOOK_EVERY_S)
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(_LOOK_EVERY_S, self.look) if self._waits else None

    def begin(self, wait: Wait) -> None:
        """Look at a wait from now on."""
        self._waits[wait] = None
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self.look)

    def end(self, wait: Wait) -> None:
        """Look at it no more."""
        self._waits.pop(wait, None)


class Wait:
    """One wait. Its exit raises ProviderError (504) instead of CancelledError where its time was over.

    While `is_elsewhere` is set the task waits for something else, such as a slow reader: that time does not count
    against the provider.
    """

    __slots__ = ("_cancelling", "_clock", "_deadline_at", "_deadlines", "_due_at", "_task", "is_elsewhere", "was_cut")

    def __init__(self, deadlines: Deadlines, clock: Clock, due_at: float, deadline_at: float) -> None:
        self._deadlines = deadlines
        self._clock = clock
        self._due_at = due_at
        self._deadline_at = deadline_at
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.is_elsewhere = False
        self.was_cut: ProviderError | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._deadlines.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.end(self)
        task = self._task
        if self.was_cut is None or task is None:
            return
        is_ours = task.uncancel() <= self._cancelling
        if is_ours and kind is asyncio.CancelledError:
            raise self.was_cut from None

    def stop(self) -> None:
        """It is over in good time, though its context goes on."""
        self._deadlines.end(self)

    def look(self, since_s: float) -> None:
        """Cancel the task where the time is over. `since_s` is how long ago the last look was."""
        if self.was_cut is not None or self._task is None:
            return
        now = self._clock.monotonic()
        if self.is_elsewhere:
            self._due_at += since_s
        if now >= self._deadline_at:
            self.was_cut = deadline_passed()
        elif now >= self._due_at:
            self.was_cut = TooSlow("no answer within the time that was set", status=504, code=TIMEOUT_CODE)
        else:
            return
        self._task.cancel()


class TooSlow(ProviderError):
    """The time was over that the provider was given: for its first word, or for all of its answer."""


class DeadlinePassed(ProviderError):
    """The time was over that the caller gave the answer: nothing is said of the provider."""


def deadline_passed() -> DeadlinePassed:
    """The error for a turn whose deadline has passed."""
    error = DeadlinePassed("the turn's deadline passed", status=504, code=TIMEOUT_CODE)
    error.message = "This answer took longer than its deadline allows. Give it more time, or ask for less at once."
    return error
