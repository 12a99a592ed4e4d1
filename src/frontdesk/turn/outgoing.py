"""Every batch of events passes here on its way out: guards, counts, settlement, then the sink.

Guards see each text of an item as one stream, so what they hold back at the end of a batch is
released by the next one, by the item's end, or by the answer's; what else a provider words as it likes
(names, ids, what it says of itself and its usage) they see whole. What tells a transcript again in pieces waits for
the whole, and is left out where they change that. Settlement comes before the last write:
who has read the end of an answer finds its row, and a slow reader holds no slot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Never, TypeVar

import msgspec

from frontdesk.core.errors import FrontdeskError, Refused
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Delta,
    Event,
    ImagesProduced,
    ItemFinished,
    MessageStarted,
    ModerationsProduced,
    PartialImageProduced,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    SegmentProduced,
    Telling,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TranscriptProduced,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    UsageReported,
)
from frontdesk.turn.items import Prompt, Request
from frontdesk.turn.screening import screened_request, screened_telling, screened_value
from frontdesk.turn.seams import Filter, Guard, Sink
from frontdesk.turn.turn import Interruption, Status, Turn

_log = logging.getLogger("frontdesk.turn")
_DELTA_TYPES = frozenset({TextDelta, RefusalDelta, ReasoningDelta, ReasoningSummaryDelta, ToolArgumentsDelta})
# Where a text ends and what was held of it is due.
_TEXT_ENDS = frozenset({ItemFinished, ReasoningSummaryStarted})
_NAMING_TYPES = frozenset({AnswerDescribed, MessageStarted, ReasoningStarted, ReasoningEncrypted, ToolCallStarted})
_TELLING_TYPES = frozenset(
    {ModerationsProduced, TranscriptProduced, SegmentProduced, PartialImageProduced, ImagesProduced}
)
_Naming = TypeVar("_Naming", bound=msgspec.Struct)
_STATUS: dict[type[Event], Status] = {
    TurnCompleted: "completed",
    TurnIncomplete: "incomplete",
    TurnCancelled: "cancelled",
}


class AnswerEnded(Exception):
    """The answer was ended here, and whoever reads it was told: there is nothing more to ask the provider for."""


class Outgoing:
    """The way out of one turn. `settle` is called once, before the last write.

    `guards` screen the input and the answer, `answer_guards` come after them and see only the answer.
    """

    __slots__ = (
        "_answer_guards",
        "_finished",
        "_guards",
        "_screens",
        "_segments",
        "_settle",
        "_sink",
        "_turn",
        "has_ended",
    )

    def __init__(
        self,
        turn: Turn,
        guards: Sequence[Guard],
        sink: Sink,
        settle: Callable[[], None],
        answer_guards: Sequence[Guard] = (),
    ) -> None:
        self._turn = turn
        self._guards = guards
        self._answer_guards = (*guards, *answer_guards)
        self._sink = sink
        self._settle = settle
        self._screens: dict[tuple[int, type[Delta]], _Screen] = {}
        self._segments: list[Event] = []  # of a transcript whose text is not known yet
        self._finished: set[int] = set()  # choices
        self.has_ended = False

    def screen_input(self, request: Request) -> Request:
        """Return the request as the guards leave it."""
        if not self._guards:
            return request
        return screened_request(request, self._screen_text)

    async def push(self, events: list[Event]) -> None:
        """Send a batch. Nothing may be pushed after a batch that ends with a terminal event."""
        turn = self._turn
        if turn.first_event_at is None:
            turn.first_event_at = turn.clock.now()
            self._answer_guards = tuple(guard for guard in self._answer_guards if guard.open(turn) is not None)
        if self._answer_guards:
            try:
                events = self._screened(events)
            except Refused as refusal:
                await self._withhold(refusal)
        for event in events:
            kind = type(event)
            if kind in _DELTA_TYPES:
                turn.answered_chars += len(event.text)  # type: ignore[union-attr]
            elif kind is UsageReported:
                turn.usage = event.usage  # type: ignore[union-attr]
            elif kind is ChoiceFinished:
                self._finished.add(event.choice)  # type: ignore[union-attr]
            elif kind is AnswerDescribed:
                turn.served_tier = event.service_tier or turn.served_tier  # type: ignore[union-attr]
            elif kind is TranscriptProduced and not turn.answered_chars:
                turn.answered_chars = len(event.transcript.get("text") or "")  # type: ignore[union-attr]
        if events and type(events[-1]) in TERMINAL_TYPES:
            self._end(_STATUS[type(events[-1])])
        elif turn.answered_chars > turn.most_chars:
            await self._cut_short(events)
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
        held = self._flush_what_may_be()
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
        raise AnswerEnded from None

    async def _cut_short(self, events: list[Event]) -> Never:
        """End an answer that is longer than what was put aside for it; where nobody reads it, without a word."""
        turn = self._turn
        _log.warning(
            "answer_cut turn_id=%s model=%s chars=%d has_reader=%s",
            turn.id,
            turn.model,
            turn.answered_chars,
            turn.has_reader,
        )
        if not turn.has_reader:
            turn.interruption = Interruption.HANGUP
            raise AnswerEnded
        last = [*events, *self._flush_what_may_be()]
        self._end("incomplete")
        choices = turn.request.choices if isinstance(turn.request, Prompt) else 1
        last += [ChoiceFinished(choice, "length") for choice in range(choices) if choice not in self._finished]
        await self._sink.write([*last, TurnIncomplete("max_output_tokens")])
        raise AnswerEnded

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
            elif kind in _NAMING_TYPES:
                event = self._screened_names(event)  # noqa: PLW2901 - what goes on is what the guards leave of it
            elif kind is UsageReported:
                event = self._screened_usage(event)  # type: ignore[arg-type]  # noqa: PLW2901 - the same
            elif kind is AnnotationAdded:
                event = self._screened_annotation(event)  # type: ignore[arg-type]  # noqa: PLW2901 - the same
            elif kind in _TELLING_TYPES:
                released.extend(self._screened_telling(event))  # type: ignore[arg-type]
                continue
            released.append(event)
        return released

    def _screened_names(self, event: _Naming) -> _Naming:
        texts = {name: value for name in event.__struct_fields__ if isinstance(value := getattr(event, name), str)}
        if isinstance(event, ToolCallStarted) and _offers(self._turn.request, event.name):
            del texts["name"]  # the caller's own word
        screened = {name: self._screen_answer(text) for name, text in texts.items()}
        return event if screened == texts else msgspec.structs.replace(event, **screened)

    def _screened_usage(self, event: UsageReported) -> UsageReported:
        usage = event.usage
        if usage.raw is None:
            return event
        return UsageReported(msgspec.structs.replace(usage, raw=screened_value(usage.raw, self._screen_answer)))

    def _screened_telling(self, event: Telling) -> list[Event]:
        screened = screened_telling(event, self._screen_answer)
        if isinstance(screened, SegmentProduced):
            self._segments.append(screened)
            return []
        if not isinstance(event, TranscriptProduced) or not isinstance(screened, TranscriptProduced):
            return [screened]
        is_unchanged = screened.transcript.get("text") == event.transcript.get("text")
        segments, self._segments = self._segments, []
        return [*segments, screened] if is_unchanged else [screened]

    def _screened_annotation(self, event: AnnotationAdded) -> AnnotationAdded:
        said = screened_value(event.annotation, self._screen_answer)
        return AnnotationAdded(event.output, {**said, "type": event.annotation["type"]})

    def _screen_of(self, event: Delta) -> _Screen:
        key = (event.output, type(event))
        screen = self._screens.get(key)
        if screen is None:
            screen = self._screens[key] = _Screen(self._answer_guards, self._turn)
        return screen

    def _flush_item(self, output: int) -> list[Event]:
        return self._flush([key for key in self._screens if key[0] == output])

    def _flush_what_may_be(self) -> list[Event]:
        try:
            return self._flush_all()
        except FrontdeskError:
            return []  # a guard that objects to what it held keeps it; how the answer ends stands

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
        return _Screen(self._guards, self._turn).screen(text)

    def _screen_answer(self, text: str) -> str:
        return _Screen(self._answer_guards, self._turn).screen(text)


def _offers(request: Request, tool: str) -> bool:
    return isinstance(request, Prompt) and any(each.definition.get("name") == tool for each in request.tools)


class _Screen:
    """All guards on one text, one behind the other."""

    __slots__ = ("_filters",)

    def __init__(self, guards: Sequence[Guard], turn: Turn) -> None:
        self._filters: list[Filter] = [opened for guard in guards if (opened := guard.open(turn)) is not None]

    def screen(self, text: str) -> str:
        return self.feed(text) + self.flush()

    def feed(self, text: str) -> str:
        for each in self._filters:
            text = each.feed(text)
        return text

    def flush(self) -> str:
        rest = ""
        for each in self._filters:
            rest = (each.feed(rest) if rest else "") + each.flush()
        return rest
