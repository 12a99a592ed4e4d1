"""Every batch of events passes here on its way out: guards, counts, settlement, then the sink.

Guards see each text of an item as one stream, so what they hold back at the end of a batch is
released by the next one, by the item's end, or by the answer's. Settlement comes before the last
write: who has read the end of an answer finds its row, and a slow reader holds no slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Never

from frontdesk.core.errors import FrontdeskError, Refused
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    ChoiceFinished,
    Delta,
    Event,
    ItemFinished,
    ReasoningDelta,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    UsageReported,
)
from frontdesk.turn.items import Request
from frontdesk.turn.screening import screened_request
from frontdesk.turn.seams import Filter, Guard, Sink
from frontdesk.turn.turn import Status, Turn

_DELTA_TYPES = frozenset({TextDelta, RefusalDelta, ReasoningDelta, ReasoningSummaryDelta, ToolArgumentsDelta})
# Where a text ends and what was held of it is due.
_TEXT_ENDS = frozenset({ItemFinished, ReasoningSummaryStarted})
_STATUS: dict[type[Event], Status] = {
    TurnCompleted: "completed",
    TurnIncomplete: "incomplete",
    TurnCancelled: "cancelled",
}


class AnswerWithheld(Exception):
    """A guard ended the answer, and its reader was told: there is nothing more to ask the provider for."""


class Outgoing:
    """The way out of one turn. `settle` is called once, before the last write."""

    __slots__ = ("_guards", "_screens", "_settle", "_sink", "_turn", "has_ended")

    def __init__(self, turn: Turn, guards: Sequence[Guard], sink: Sink, settle: Callable[[], None]) -> None:
        self._turn = turn
        self._guards = guards
        self._sink = sink
        self._settle = settle
        self._screens: dict[tuple[int, type[Delta]], _Screen] = {}
        self.has_ended = False

    def screen_input(self, request: Request) -> Request:
        """Return the request as the guards leave it."""
        if not self._guards:
            return request
        return screened_request(request, self._screen_text)

    async def push(self, events: list[Event]) -> None:
        """Send a batch. Nothing may be pushed after a batch that ends with a terminal event."""
        turn = self._turn
        if self._guards:
            try:
                events = self._screened(events)
            except Refused as refusal:
                await self._withhold(refusal)
        if turn.first_event_at is None:
            turn.first_event_at = turn.clock.now()
        for event in events:
            kind = type(event)
            if kind in _DELTA_TYPES:
                turn.answered_chars += len(event.text)  # type: ignore[union-attr]
            elif kind is UsageReported:
                turn.usage = event.usage  # type: ignore[union-attr]
        if events and type(events[-1]) in TERMINAL_TYPES:
            self._end(_STATUS[type(events[-1])])
        await self._sink.write(events)

    async def fail(self, error: FrontdeskError, status: Status) -> None:
        """End with an error; what the guards still hold is released first where it may be.

        Where the answer had ended and only its last write went wrong, its status stands, and the
        reader is told if it can be.
        """
        if self.has_ended:
            if not self._sink.is_complete:
                await self._sink.fail(error)
            return
        try:
            held = self._flush_all()
        except FrontdeskError:
            held = []  # a guard that objects to what it held keeps it; the first error stands
        self._turn.error = error
        self._end(status)
        if held:
            await self._sink.write(held)
        await self._sink.fail(error)

    async def _withhold(self, refusal: Refused) -> Never:
        """End an answer that a guard does not let pass, in the words that the wire has for it."""
        self._turn.error = refusal
        self._end("incomplete")
        await self._sink.write([ChoiceFinished(0, "content_filter"), TurnIncomplete("content_filter")])
        raise AnswerWithheld from None

    def _end(self, status: Status) -> None:
        self.has_ended = True
        self._turn.status = status
        self._settle()

    def _screened(self, events: list[Event]) -> list[Event]:
        released: list[Event] = []
        for event in events:
            kind = type(event)
            if kind in _DELTA_TYPES:
                text = self._screen_of(event).feed(event.text)  # type: ignore[union-attr,arg-type]
                if text:
                    released.append(kind(event.output, text))  # type: ignore[union-attr,call-arg]
                continue
            if kind in _TEXT_ENDS:
                released.extend(self._flush_item(event.output))  # type: ignore[union-attr]
            elif kind in TERMINAL_TYPES:
                released.extend(self._flush_all())
            released.append(event)
        return released

    def _screen_of(self, event: Delta) -> _Screen:
        key = (event.output, type(event))
        screen = self._screens.get(key)
        if screen is None:
            screen = self._screens[key] = _Screen(self._guards, self._turn)
        return screen

    def _flush_item(self, output: int) -> list[Event]:
        return self._flush([key for key in self._screens if key[0] == output])

    def _flush_all(self) -> list[Event]:
        return self._flush(list(self._screens))

    def _flush(self, keys: list[tuple[int, type[Delta]]]) -> list[Event]:
        flushed: list[Event] = []
        for key in keys:
            text = self._screens.pop(key).flush()
            if text:
                output, kind = key
                flushed.append(kind(output, text))
        return flushed

    def _screen_text(self, text: str) -> str:
        screen = _Screen(self._guards, self._turn)
        return screen.feed(text) + screen.flush()


class _Screen:
    """All guards on one text, one behind the other."""

    __slots__ = ("_filters",)

    def __init__(self, guards: Sequence[Guard], turn: Turn) -> None:
        self._filters: list[Filter] = [opened for guard in guards if (opened := guard.open(turn)) is not None]

    def feed(self, text: str) -> str:
        for each in self._filters:
            text = each.feed(text)
        return text

    def flush(self) -> str:
        rest = ""
        for each in self._filters:
            rest = (each.feed(rest) if rest else "") + each.flush()
        return rest
