"""Responses: events rendered as OpenAI's Responses events, or as one Response object.

Each answer item lives through

    output_item.added  (part.added  (delta | annotation.added)*  done  part.done)*  output_item.done

where a part is one of the item's content, or of the summary of what the model thought. The sequence
number counts every event of the stream from 0; it depends on the answer's events alone, and not on how they were cut
into batches: so who reads a stored answer again finds the same numbers.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    UsageReported,
)
from frontdesk.turn.facts import Facts, ResponseFacts, ToldTurn
from frontdesk.turn.log import Entry, Failure
from frontdesk.wire.cursors import cursor_at, with_id
from frontdesk.wire.logprobs import event_logprobs
from frontdesk.wire.obfuscation import obfuscated
from frontdesk.wire.openai_responses_answer import (
    SEALED,
    Answer,
    AnswerItem,
    ItemStatus,
    ResponseStatus,
    part_body,
    summary_body,
    text_name,
    text_of,
)

_encode = msgspec.json.Encoder().encode


class ResponsesStream:
    """Renders events as the server-sent events of a Response.

    Those that the reader has, up to the sequence number `after`, are left out. `carries_ids` puts its number on each;
    `is_background` tells that the Response waited before it began.
    """

    __slots__ = ("_answer", "_cursor", "_has_started", "_is_background", "_obfuscates", "_sequence")

    def __init__(
        self,
        facts: ResponseFacts,
        *,
        obfuscates: bool = False,
        after: int | None = None,
        carries_ids: bool = False,
        is_background: bool = False,
    ) -> None:
        self._answer = Answer(facts)
        self._obfuscates = obfuscates
        self._cursor = cursor_at(after, carries_ids=carries_ids)
        self._is_background = is_background
        self._has_started = False
        self._sequence = 0

    def render(self, events: list[Event]) -> bytes:
        """Return the bytes of these events."""
        return b"".join(self.frames(events))

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the bytes of the events that end a broken answer; what came before stands."""
        return b"".join(self.error_frames(error))

    def frames(self, events: list[Event]) -> list[bytes]:
        """Return the server-sent events of these, one by one."""
        frames: list[bytes] = []
        answer = self._answer
        if not self._has_started:
            self._start(events, frames)
        for event in events:
            if type(event) is TextDelta and event.logprobs is None:
                item = answer.items[event.output]
                if item.part_kind != "output_text":
                    self._open_part(item, "output_text", frames)
                item.texts.append(event.text)
                text = _encode(event.text)
                frame = b"%b%d%b%b%b" % (item.delta_head, self._sequence, item.delta_middle, text, item.delta_tail)
                frames.append(obfuscated(frame, text) if self._obfuscates else frame)
                self._sequence += 1
            else:
                self._render_rare(event, frames)
        return frames if self._cursor is None else self._cursor.pass_on(frames)

    def error_frames(self, error: FrontdeskError) -> list[bytes]:
        """Return the server-sent events that end a broken answer, one by one."""
        frames: list[bytes] = []
        if not self._has_started:
            self._start([], frames)
        for item in self._answer.items.values():
            self._finish_item(item, "incomplete", frames)
        self._answer.fail(error)
        self._frame("response.failed", {"response": self._answer.response()}, frames)
        return frames if self._cursor is None else self._cursor.pass_on(frames)

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        return self._answer.response()

    def _start(self, events: list[Event], frames: list[bytes]) -> None:
        self._has_started = True
        if events and type(events[0]) is AnswerDescribed:
            self._answer.describe(events[0])
        if self._is_background:
            queued = self._answer.response("queued")
            self._frame("response.created", {"response": queued}, frames)
            self._frame("response.queued", {"response": queued}, frames)
        response = self._answer.response()
        if not self._is_background:
            self._frame("response.created", {"response": response}, frames)
        self._frame("response.in_progress", {"response": response}, frames)

    def _render_rare(self, event: Event, frames: list[bytes]) -> None:
        answer = self._answer
        match event:
            case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                item = answer.start(event)
                added = {"output_index": item.index, "item": item.body()}
                self._frame("response.output_item.added", added, frames)
            case TextDelta():
                self._delta(event.output, "output_text", event.text, frames, event.logprobs)
            case RefusalDelta():
                self._delta(event.output, "refusal", event.text, frames)
            case ReasoningDelta():
                self._delta(event.output, "reasoning_text", event.text, frames)
            case ReasoningSummaryStarted():
                self._open_summary(answer.items[event.output], frames)
            case ReasoningSummaryDelta():
                self._summary_delta(event, frames)
            case ReasoningEncrypted():
                answer.items[event.output].sealed = event.content
            case ToolArgumentsDelta():
                self._arguments(event, frames)
            case AnnotationAdded():
                self._annotation(event, frames)
            case ItemFinished():
                self._finish_item(answer.items[event.output], "completed", frames)
            case AnswerDescribed():
                answer.describe(event)
            case UsageReported():
                answer.usage = event.usage
            case TurnCompleted():
                self._finish("completed", None, frames)
            case TurnIncomplete():
                self._finish("incomplete", event.reason, frames)
            case TurnCancelled():
                self._finish("cancelled", None, frames)
            case _:
                pass  # ChoiceFinished has no twin in Responses

    def _arguments(self, event: ToolArgumentsDelta, frames: list[bytes]) -> None:
        item = self._answer.items[event.output]
        item.texts.append(event.text)
        fields = {"item_id": item.item_id, "output_index": item.index, "delta": event.text}
        self._delta_frame(f"response.{item.arguments_name}.delta", fields, frames)

    def _annotation(self, event: AnnotationAdded, frames: list[bytes]) -> None:
        item = self._answer.items[event.output]
        if item.part_kind != "output_text":
            self._open_part(item, "output_text", frames)
        fields = {
            **item.place(),
            "annotation_index": len(item.annotations),
            "annotation": item.annotate(event.annotation),
        }
        self._frame("response.output_text.annotation.added", fields, frames)

    def _delta(self, output: int, part: str, text: str, frames: list[bytes], logprobs: list[Any] | None = None) -> None:
        item = self._answer.items[output]
        if item.part_kind != part:
            self._open_part(item, part, frames)
        item.texts.append(text)
        fields: dict[str, Any] = {**item.place(), "delta": text}
        if part == "output_text":
            fields["logprobs"] = event_logprobs(logprobs or [])
            item.logprobs += logprobs or ()
        self._delta_frame(f"response.{part}.delta", fields, frames)

    def _open_part(self, item: AnswerItem, part: str, frames: list[bytes]) -> None:
        self._close_part(item, frames)
        item.open_part(part)
        self._frame("response.content_part.added", {**item.place(), "part": part_body(part, "")}, frames)

    def _close_part(self, item: AnswerItem, frames: list[bytes]) -> None:
        part = item.part_kind
        if part is None:
            return
        logprobs = item.logprobs
        body = item.close_part()
        fields: dict[str, Any] = {**item.place(), "refusal" if part == "refusal" else "text": text_of(body)}
        if part == "output_text":
            fields["logprobs"] = event_logprobs(logprobs)
        self._frame(f"response.{part}.done", fields, frames)
        self._frame("response.content_part.done", {**item.place(), "part": body}, frames)

    def _open_summary(self, item: AnswerItem, frames: list[bytes]) -> None:
        self._close_summary(item, frames)
        item.open_summary()
        fields = {**item.summary_place(), "part": summary_body("")}
        self._frame("response.reasoning_summary_part.added", fields, frames)

    def _summary_delta(self, event: ReasoningSummaryDelta, frames: list[bytes]) -> None:
        item = self._answer.items[event.output]
        if item.summary_texts is None:
            self._open_summary(item, frames)
        item.add_summary(event.text)
        fields = {**item.summary_place(), "delta": event.text}
        self._delta_frame("response.reasoning_summary_text.delta", fields, frames)

    def _close_summary(self, item: AnswerItem, frames: list[bytes]) -> None:
        if item.summary_texts is None:
            return
        place = item.summary_place()
        body = item.close_summary()
        self._frame("response.reasoning_summary_text.done", {**place, "text": body["text"]}, frames)
        self._frame("response.reasoning_summary_part.done", {**place, "part": body}, frames)

    def _finish_item(self, item: AnswerItem, status: ItemStatus, frames: list[bytes]) -> None:
        if item.status != "in_progress":
            return
        if item.is_empty_message():
            self._open_part(item, "output_text", frames)
        self._close_summary(item, frames)
        self._close_part(item, frames)
        item.status = status
        if item.call is not None and status == "completed":
            fields: dict[str, Any] = {
                "item_id": item.item_id,
                "output_index": item.index,
                text_name(item.call): "".join(item.texts),
            }
            if item.call.kind == "function":
                fields["name"] = item.call.name
            self._frame(f"response.{item.arguments_name}.done", fields, frames)
        self._frame("response.output_item.done", {"output_index": item.index, "item": item.body()}, frames)

    def _finish(self, status: ResponseStatus, reason: str | None, frames: list[bytes]) -> None:
        item_status: ItemStatus = "completed" if status == "completed" else "incomplete"
        for item in self._answer.items.values():
            self._finish_item(item, item_status, frames)
        self._answer.end(status, reason)
        self._frame(_LAST[status], {"response": self._answer.response()}, frames)

    def _delta_frame(self, name: str, fields: dict[str, Any], frames: list[bytes]) -> None:
        self._frame(name, fields, frames)
        if self._obfuscates:
            frames[-1] = obfuscated(frames[-1], _encode(fields["delta"]))

    def _frame(self, name: str, fields: dict[str, Any], frames: list[bytes]) -> None:
        frames.append(_framed(name, {"type": name, "sequence_number": self._sequence, **fields}))
        self._sequence += 1


class ResponsesMessages:
    """Renders events as those of a Response, each as JSON of its own: the messages of a WebSocket.

    All else is as in ResponsesStream.
    """

    __slots__ = ("_stream",)

    def __init__(
        self,
        facts: ResponseFacts,
        *,
        obfuscates: bool = False,
        after: int | None = None,
        is_background: bool = False,
    ) -> None:
        self._stream = ResponsesStream(facts, obfuscates=obfuscates, after=after, is_background=is_background)

    def render(self, events: list[Event]) -> list[bytes]:
        """Return the messages of these events."""
        return [_message_of(frame) for frame in self._stream.frames(events)]

    def render_error(self, error: FrontdeskError) -> list[bytes]:
        """Return the messages that end a broken answer; what came before stands."""
        return [_message_of(frame) for frame in self._stream.error_frames(error)]

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        return self._stream.response()


def _message_of(frame: bytes) -> bytes:
    """What a server-sent event holds: JSON has no line ends of its own."""
    return frame[frame.index(b"\ndata: ") + len(b"\ndata: ") : -len(b"\n\n")]


class ResponsesBody:
    """Renders events as one Response object."""

    __slots__ = ("_answer",)

    def __init__(self, facts: ResponseFacts) -> None:
        self._answer = Answer(facts)

    @classmethod
    def of(cls, facts: ResponseFacts, entries: list[Entry]) -> ResponsesBody:
        """Make that of an answer which is kept, as far as it came."""
        body = cls(facts)
        if entries and isinstance(entries[-1], Failure):
            body.add(cast("list[Event]", entries[:-1]))  # a failure is the last entry
            body.fail(entries[-1].error())
        else:
            body.add(cast("list[Event]", entries))
        return body

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        answer = self._answer
        for event in events:
            match event:
                case TextDelta():
                    self._add_text(event.output, "output_text", event.text, event.logprobs)
                case RefusalDelta():
                    self._add_text(event.output, "refusal", event.text)
                case ReasoningDelta():
                    self._add_text(event.output, "reasoning_text", event.text)
                case ReasoningSummaryStarted():
                    answer.items[event.output].open_summary()
                case ReasoningSummaryDelta():
                    answer.items[event.output].add_summary(event.text)
                case ReasoningEncrypted():
                    answer.items[event.output].sealed = event.content
                case ToolArgumentsDelta():
                    answer.items[event.output].texts.append(event.text)
                case AnnotationAdded():
                    self._open(event.output, "output_text").annotate(event.annotation)
                case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                    answer.start(event)
                case ItemFinished():
                    answer.items[event.output].finish("completed")
                case AnswerDescribed():
                    answer.describe(event)
                case UsageReported():
                    answer.usage = event.usage
                case TurnCompleted():
                    answer.end("completed")
                case TurnIncomplete():
                    answer.end("incomplete", event.reason)
                case TurnCancelled():
                    answer.end("cancelled")
                case _:
                    pass

    def fail(self, error: FrontdeskError) -> None:
        """End the Response as failed; what came of it stands, and is incomplete."""
        self._answer.fail(error)

    def body(self) -> bytes:
        """Return the Response as JSON."""
        return _encode(self.response())

    def accepted(self) -> bytes:
        """Return the Response as JSON, as it is before anything was done for it."""
        return _encode(self._answer.response("queued"))

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        return self._answer.response()

    def output(self) -> list[dict[str, Any]]:
        """Return the Response's items as far as they came."""
        return self._answer.output()

    def _add_text(self, output: int, part: str, text: str, logprobs: list[Any] | None = None) -> None:
        item = self._open(output, part)
        item.texts.append(text)
        item.logprobs += logprobs or ()

    def _open(self, output: int, part: str) -> AnswerItem:
        item = self._answer.items[output]
        if item.part_kind != part:
            item.close_part()
            item.open_part(part)
        return item


def last_word(facts: ResponseFacts, entries: list[Entry], after: int | None, *, carries_ids: bool = False) -> bytes:
    """Return the event that ends a Response, with all of it, for a reader whose place is not known any more.

    `entries` are those of an answer that has ended, possibly put together. It is numbered as the next one that the
    reader waits for.
    """
    response = ResponsesBody.of(facts, entries).response()
    name = _LAST[response["status"]]
    number = 0 if after is None else after + 1
    frame = _framed(name, {"type": name, "sequence_number": number, "response": response})
    return with_id(frame, number) if carries_ids else frame


def last_message(facts: ResponseFacts, entries: list[Entry], after: int | None) -> bytes:
    """The same as JSON of its own."""
    return _message_of(last_word(facts, entries, after))


def output_items(facts: Facts, entries: list[Entry]) -> list[dict[str, Any]]:
    """Return the items of an answer as a Response lists them, whatever door it came by, to go on with them.

    So with all that was sealed: who shows them leaves out what nobody asked for.
    """
    told = ToldTurn(facts.id, facts.model, facts.started_at, facts.finished_at, include=frozenset({SEALED}))
    return ResponsesBody.of(told, entries).output()


# OpenAI has no event named for cancellation: a cancelled Response ends its stream as an incomplete one does, and its
# status says the rest.
_LAST: dict[ResponseStatus, str] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "cancelled": "response.incomplete",
    "failed": "response.failed",
}


def _framed(name: str, event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(event))
