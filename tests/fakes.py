"""Fakes that many tests share: a clock that is turned by hand, providers that play lists, policies
that keep a diary.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    TextDelta,
    TurnCompleted,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Message, Prompt, Request
from frontdesk.turn.turn import Caller, Door, Turn


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += seconds


class PlayedProvider:
    """Plays batches of events; an exception among them is raised, an awaitable moment passes between."""

    def __init__(self, batches: Sequence[list[Event] | Exception]) -> None:
        self._batches = batches
        self.asked: list[tuple[Request, str]] = []
        self.open_answers = 0

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        self.asked.append((request, model))
        self.open_answers += 1
        try:
            for batch in self._batches:
                await asyncio.sleep(0)
                if isinstance(batch, Exception):
                    raise batch
                yield batch
            await asyncio.sleep(0)
        finally:
            self.open_answers -= 1


class ListSink:
    """Keeps all events."""

    __slots__ = ("error", "events", "has_written", "is_complete", "keep_alives")
    renderer = None

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: FrontdeskError | None = None
        self.has_written = False
        self.is_complete = False
        self.keep_alives = 0

    def keep_alive(self) -> None:
        self.keep_alives += 1

    async def write(self, events: list[Event]) -> None:
        self.has_written = True
        self.events.extend(events)
        if events and type(events[-1]) in TERMINAL_TYPES:
            self.is_complete = True

    async def fail(self, error: FrontdeskError) -> None:
        self.error = error
        self.is_complete = True

    def leave(self) -> None:
        """Nothing to forget: the list is its own reader."""


class DiaryPolicy:
    """Writes down what happens to it; waits a moment where it is told to."""

    def __init__(
        self, name: str, diary: list[str], *, waits: bool = False, refusal: FrontdeskError | None = None
    ) -> None:
        self._name = name
        self._diary = diary
        self._waits = waits
        self._refusal = refusal
        self.borrowed = 0

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        if self._waits:
            return self._admit_slowly()
        self._take()
        return None

    def settle(self, turn: Turn) -> None:
        self.borrowed -= 1
        self._diary.append(f"settle {self._name} {turn.status}")

    async def _admit_slowly(self) -> None:
        await asyncio.sleep(0)
        self._take()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.borrowed -= 1
            raise

    def _take(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        self.borrowed += 1
        self._diary.append(f"admit {self._name}")


def answer_events(*words: str) -> list[list[Event]]:
    """An answer in one batch a word, as a provider would give it."""
    return [
        [MessageStarted(0, "msg_1")],
        *([TextDelta(0, word)] for word in words),
        [
            ItemFinished(0),
            ChoiceFinished(0, "stop"),
            UsageReported(Usage(input_tokens=3, output_tokens=len(words))),
            TurnCompleted(),
        ],
    ]


def make_turn(
    clock: HandClock | None = None,
    *,
    text: str = "hello",
    door: Door = "responses",
    model: str = "fast",
    caller: Caller | None = None,
) -> Turn:
    """A turn of one message."""
    return Turn(
        door,
        caller or Caller("user", "sess_1", "u1", "free"),
        model,
        Prompt([Message("user", text)], stream=True),
        clock or HandClock(),
    )
