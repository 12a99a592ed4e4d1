"""Responses: events rendered as OpenAI's Responses events, or as one Response object.

Each answer item lives through

    output_item.added  (part.added  (delta | annotation.added)*  done  part.done)*  output_item.done

where a part is one of the item's content, or of the summary of what the model thought. The sequence
number counts every event of the stream from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from frontdesk.core.errors import FrontdeskError, Refused
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
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Prompt
from frontdesk.turn.turn import Turn
from frontdesk.wire.logprobs import event_logprobs, part_logprobs
from frontdesk.wire.obfuscation import obfuscated

_encode = msgspec.json.Encoder().encode


class ResponsesStream:
    """Renders events as the server-sent events of a Response."""

    __slots__ = ("_answer", "_has_started", "_obfuscates", "_sequence")

    def __init__(self, turn: Turn, echo: dict[str, Any], *, obfuscates: bool = False) -> None:
        self._answer = _Answer(turn, echo)
        self._obfuscates = obfuscates
        self._has_started = False
        self._sequence = 0

    def render(self, events: list[Event]) -> bytes:
        """Return the bytes of these events."""
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
                frame = item.delta_head + b"%d" % self._sequence + item.delta_middle + text + item.delta_tail
                frames.append(obfuscated(frame, text) if self._obfuscates else frame)
                self._sequence += 1
            else:
                self._render_rare(event, frames)
        return b"".join(frames)

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the events that end a broken answer; what came before stands."""
        frames: list[bytes] = []
        if not self._has_started:
            self._start([], frames)
        for item in self._answer.items.values():
            self._finish_item(item, "incomplete", frames)
        self._answer.fail(error)
        self._frame("response.failed", {"response": self._answer.response()}, frames)
        return b"".join(frames)

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        return self._answer.response()

    def _start(self, events: list[Event], frames: list[bytes]) -> None:
        self._has_started = True
        for event in events:
            if type(event) is not AnswerDescribed:
                break  # what comes later is told later, however the provider's bytes arrive
            self._answer.describe(event)
        response = self._answer.response()
        self._frame("response.created", {"response": response}, frames)
        self._frame("response.in_progress", {"response": response}, frames)

    def _render_rare(self, event: Event, frames: list[bytes]) -> None:
        answer = self._answer
        match event:
            case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                item = answer.start(event)
                added = {"output_index": item.index, "item": item.body("in_progress")}
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

    def _open_part(self, item: _AnswerItem, part: str, frames: list[bytes]) -> None:
        self._close_part(item, frames)
        item.open_part(part)
        self._frame("response.content_part.added", {**item.place(), "part": _part_body(part, "")}, frames)

    def _close_part(self, item: _AnswerItem, frames: list[bytes]) -> None:
        part = item.part_kind
        if part is None:
            return
        logprobs = item.logprobs
        body = item.close_part()
        fields: dict[str, Any] = {**item.place(), "refusal" if part == "refusal" else "text": _text_of(body)}
        if part == "output_text":
            fields["logprobs"] = event_logprobs(logprobs)
        self._frame(f"response.{part}.done", fields, frames)
        self._frame("response.content_part.done", {**item.place(), "part": body}, frames)

    def _open_summary(self, item: _AnswerItem, frames: list[bytes]) -> None:
        self._close_summary(item, frames)
        item.open_summary()
        fields = {**item.summary_place(), "part": _summary_body("")}
        self._frame("response.reasoning_summary_part.added", fields, frames)

    def _summary_delta(self, event: ReasoningSummaryDelta, frames: list[bytes]) -> None:
        item = self._answer.items[event.output]
        if item.summary_texts is None:
            self._open_summary(item, frames)
        item.add_summary(event.text)
        fields = {**item.summary_place(), "delta": event.text}
        self._delta_frame("response.reasoning_summary_text.delta", fields, frames)

    def _close_summary(self, item: _AnswerItem, frames: list[bytes]) -> None:
        if item.summary_texts is None:
            return
        place = item.summary_place()
        body = item.close_summary()
        self._frame("response.reasoning_summary_text.done", {**place, "text": body["text"]}, frames)
        self._frame("response.reasoning_summary_part.done", {**place, "part": body}, frames)

    def _finish_item(self, item: _AnswerItem, status: _ItemStatus, frames: list[bytes]) -> None:
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
                _text_name(item.call): "".join(item.texts),
            }
            if item.call.kind == "function":
                fields["name"] = item.call.name
            self._frame(f"response.{item.arguments_name}.done", fields, frames)
        self._frame("response.output_item.done", {"output_index": item.index, "item": item.body()}, frames)

    def _finish(self, status: _ResponseStatus, reason: str | None, frames: list[bytes]) -> None:
        item_status: _ItemStatus = "completed" if status == "completed" else "incomplete"
        for item in self._answer.items.values():
            self._finish_item(item, item_status, frames)
        # OpenAI has no event named for cancellation: a cancelled Response ends its stream as an
        # incomplete one does, and its status says the rest.
        name = "response.completed" if status == "completed" else "response.incomplete"
        self._answer.end(status, reason)
        self._frame(name, {"response": self._answer.response()}, frames)

    def _delta_frame(self, name: str, fields: dict[str, Any], frames: list[bytes]) -> None:
        self._frame(name, fields, frames)
        if self._obfuscates:
            frames[-1] = obfuscated(frames[-1], _encode(fields["delta"]))

    def _frame(self, name: str, fields: dict[str, Any], frames: list[bytes]) -> None:
        body = _encode({"type": name, "sequence_number": self._sequence, **fields})
        frames.append(b"event: %b\ndata: %b\n\n" % (name.encode(), body))
        self._sequence += 1


class ResponsesBody:
    """Renders events as one Response object."""

    __slots__ = ("_answer",)

    def __init__(self, turn: Turn, echo: dict[str, Any]) -> None:
        self._answer = _Answer(turn, echo)

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

    def body(self) -> bytes:
        """Return the Response as JSON."""
        return _encode(self.response())

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        for item in self._answer.items.values():
            item.finish("incomplete")
        return self._answer.response()

    def _add_text(self, output: int, part: str, text: str, logprobs: list[Any] | None = None) -> None:
        item = self._open(output, part)
        item.texts.append(text)
        item.logprobs += logprobs or ()

    def _open(self, output: int, part: str) -> _AnswerItem:
        item = self._answer.items[output]
        if item.part_kind != part:
            item.close_part()
            item.open_part(part)
        return item


_ItemStatus = Literal["in_progress", "completed", "incomplete"]
_ResponseStatus = Literal["in_progress", "completed", "incomplete", "cancelled", "failed"]


class _Answer:
    """The Response as it comes together."""

    __slots__ = ("_asked", "_echo", "_error", "_shows_sealed", "_turn", "items", "reason", "status", "usage")

    def __init__(self, turn: Turn, echo: dict[str, Any]) -> None:
        self._turn = turn
        self._echo: dict[str, Any] = echo
        asked = self._asked = turn.request  # as the caller put it
        self._shows_sealed = isinstance(asked, Prompt) and "reasoning.encrypted_content" in asked.include
        self._error: dict[str, str] | None = None
        self.items: dict[int, _AnswerItem] = {}
        self.usage: Usage | None = None
        self.status: _ResponseStatus = "in_progress"
        self.reason: str | None = None

    def start(self, event: MessageStarted | ReasoningStarted | ToolCallStarted) -> _AnswerItem:
        item = self.items[event.output] = _AnswerItem(event, len(self.items), shows_sealed=self._shows_sealed)
        return item

    def describe(self, event: AnswerDescribed) -> None:
        """Tell the tier that served in place of the one that was asked for."""
        if event.service_tier is not None:
            self._echo = {**self._echo, "service_tier": event.service_tier}

    def end(self, status: _ResponseStatus, reason: str | None = None) -> None:
        """Note how it ended; `reason` says why it is incomplete."""
        self.status = status
        self.reason = reason

    def fail(self, error: FrontdeskError) -> None:
        """Note that it broke off."""
        self.end("failed")
        self._error = {"code": _error_code(error), "message": error.message}

    def response(self) -> dict[str, Any]:
        """The Response object."""
        turn = self._turn
        is_whole = self.status == "completed"
        return {
            "id": turn.id,
            "object": "response",
            "created_at": int(turn.started_at),
            "completed_at": int(turn.clock.now()) if is_whole else None,
            "status": self.status,
            "error": self._error,
            "incomplete_details": None if self.reason is None else {"reason": self.reason},
            "model": turn.model,
            "output": [item.body() for item in self.items.values() if item.status != "in_progress"],
            "usage": usage_body(self.usage),
            **self._echo,
            **self._decided(),
        }

    def _decided(self) -> dict[str, Any]:
        """What the request did not say and a feature did, or limited. Never its instructions, nor its schemas."""
        asked = self._turn.request
        if asked is self._asked or not isinstance(asked, Prompt):
            return {}
        said: dict[str, Any] = {name: asked.parameters[name] for name in _ECHOED if name in asked.parameters}
        said["max_output_tokens"] = asked.max_output_tokens
        said["reasoning"] = {**self._echo["reasoning"], "effort": asked.reasoning_effort}
        said["text"] = {**self._echo["text"], "verbosity": asked.verbosity or "medium"}
        return said


_ECHOED = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "parallel_tool_calls", "top_logprobs")


class _AnswerItem:
    """One item as it comes together: a message, what the model thinks, or a tool call."""

    __slots__ = (
        "_phase",
        "_shows_sealed",
        "_summary",
        "_text_chars",
        "annotations",
        "arguments_name",
        "call",
        "delta_head",
        "delta_middle",
        "delta_tail",
        "index",
        "item_id",
        "kind",
        "logprobs",
        "part_kind",
        "parts",
        "sealed",
        "status",
        "summary_texts",
        "texts",
    )

    def __init__(
        self, event: MessageStarted | ReasoningStarted | ToolCallStarted, index: int, *, shows_sealed: bool
    ) -> None:
        self.index = index
        self.item_id = event.item_id
        self.status: _ItemStatus = "in_progress"
        self.texts: list[str] = []
        self.logprobs: list[Any] = []
        self.annotations: list[dict[str, Any]] = []  # of the open part
        self._text_chars = 0  # in the parts of words before it
        self.parts: list[dict[str, Any]] = []
        self.part_kind: str | None = None
        self.sealed: str | None = None
        self.summary_texts: list[str] | None = None
        self._summary: list[dict[str, Any]] = []
        self._shows_sealed = shows_sealed
        self._phase = event.phase if isinstance(event, MessageStarted) else None
        self.call: ToolCallStarted | None = event if isinstance(event, ToolCallStarted) else None
        self.kind = "message" if isinstance(event, MessageStarted) else "reasoning"
        self.arguments_name = ""
        if self.call is not None:
            self.kind = "function_call" if self.call.kind == "function" else "custom_tool_call"
            self.arguments_name = (
                "function_call_arguments" if self.call.kind == "function" else "custom_tool_call_input"
            )

    def place(self) -> dict[str, Any]:
        """Where the content's newest part is."""
        return {"item_id": self.item_id, "output_index": self.index, "content_index": self._content_index()}

    def summary_place(self) -> dict[str, Any]:
        """Where the summary's open part is."""
        return {"item_id": self.item_id, "output_index": self.index, "summary_index": len(self._summary)}

    def is_empty_message(self) -> bool:
        """Whether it is a message in which nothing was said."""
        return self.kind == "message" and not self.parts and self.part_kind is None

    def open_part(self, part: str) -> None:
        """Begin a part of the content."""
        self.part_kind = part
        self.delta_head = b'event: response.%b.delta\ndata: {"type":"response.%b.delta","sequence_number":' % (
            part.encode(),
            part.encode(),
        )
        self.delta_middle = b',"item_id":%b,"output_index":%d,"content_index":%d,"delta":' % (
            _encode(self.item_id),
            self.index,
            self._content_index(),
        )
        self.delta_tail = b',"logprobs":[]}\n\n'

    def close_part(self) -> dict[str, Any]:
        """End the open part and return its body; an empty dict where none is open."""
        if self.part_kind is None:
            return {}
        text = "".join(self.texts)
        body = _part_body(self.part_kind, text, part_logprobs(self.logprobs), self.annotations)
        if self.part_kind == "output_text":
            self._text_chars += len(text)
        self.parts.append(body)
        self.texts = []
        self.logprobs = []
        self.annotations = []
        self.part_kind = None
        return body

    def annotate(self, annotation: dict[str, Any]) -> dict[str, Any]:
        """Add what the open part rests on, and return it with the indexes that it has there."""
        if self._text_chars:
            moved = {name: max(0, annotation[name] - self._text_chars) for name in _INDEXES if name in annotation}
            annotation = {**annotation, **moved}
        self.annotations.append(annotation)
        return annotation

    def open_summary(self) -> None:
        """Begin a part of the summary; one before it ends."""
        self.close_summary()
        self.summary_texts = []

    def add_summary(self, text: str) -> None:
        """Take more of the summary, with or without its part's beginning."""
        if self.summary_texts is None:
            self.summary_texts = []
        self.summary_texts.append(text)

    def close_summary(self) -> dict[str, Any]:
        """End the summary's open part and return its body; an empty dict where none is open."""
        if self.summary_texts is None:
            return {}
        body = _summary_body("".join(self.summary_texts))
        self._summary.append(body)
        self.summary_texts = None
        return body

    def finish(self, status: _ItemStatus) -> None:
        """End the item, if it has not ended."""
        if self.status != "in_progress":
            return
        if self.is_empty_message():
            self.open_part("output_text")
        self.close_summary()
        self.close_part()
        self.status = status

    def body(self, status: _ItemStatus | None = None) -> dict[str, Any]:
        """The item as it is now."""
        head = {"id": self.item_id, "type": self.kind, "status": status or self.status}
        if self.call is not None:
            text = "".join(self.texts)
            return {**head, "call_id": self.call.call_id, "name": self.call.name, _text_name(self.call): text}
        if self.kind == "reasoning":
            sealed = {} if self.sealed is None or not self._shows_sealed else {"encrypted_content": self.sealed}
            return {**head, "summary": self._summary, "content": self.parts, **sealed}
        phase = {} if self._phase is None else {"phase": self._phase}
        return {**head, "role": "assistant", **phase, "content": self.parts}

    def _content_index(self) -> int:
        return len(self.parts) if self.part_kind is not None else max(0, len(self.parts) - 1)


_INDEXES = ("start_index", "end_index", "index")


def _part_body(
    part: str, text: str, logprobs: Sequence[Any] = (), annotations: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    if part == "refusal":
        return {"type": "refusal", "refusal": text}
    if part == "reasoning_text":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def _summary_body(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def _text_of(part_body: dict[str, Any]) -> str:
    return part_body["refusal"] if part_body["type"] == "refusal" else part_body["text"]


def _text_name(call: ToolCallStarted) -> str:
    return "arguments" if call.kind == "function" else "input"


# OpenAI's ResponseErrorCode, without those that only its own tools have.
_ERROR_CODES = frozenset(
    {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "bio_policy",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)


def _error_code(error: FrontdeskError) -> str:
    """An error in the words that a Response has for it."""
    if error.code in _ERROR_CODES:
        return error.code
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, Refused) else "server_error"


def usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """Return usage as Responses spells it; None where no provider reported any."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
