"""Responses: events rendered as OpenAI's Responses events, or as one Response object.

Each answer item lives through

    output_item.added  (content_part.added  delta*  done  content_part.done)?  output_item.done

and the sequence number counts every event of the stream from 0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import (
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
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
from frontdesk.turn.turn import Turn

_encode = msgspec.json.Encoder().encode


class ResponsesStream:
    """Renders events as the server-sent events of a Response."""

    __slots__ = ("_answer", "_has_started", "_sequence")

    def __init__(self, turn: Turn, echo: dict[str, Any]) -> None:
        self._answer = _Answer(turn, echo)
        self._has_started = False
        self._sequence = 0

    def render(self, events: list[Event]) -> bytes:
        """Return the bytes of these events."""
        frames: list[bytes] = []
        if not self._has_started:
            self._start(frames)
        for event in events:
            if type(event) is TextDelta and event.logprobs is None:
                item = self._answer.items[event.output]
                if item.part_kind != "output_text":
                    self._open_part(item, "output_text", frames)
                item.texts.append(event.text)
                frames.append(
                    item.delta_head + b"%d" % self._sequence + item.delta_middle + _encode(event.text) + item.delta_tail
                )
                self._sequence += 1
            else:
                self._render_rare(event, frames)
        return b"".join(frames)

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the events that end a broken answer; what came before stands."""
        frames: list[bytes] = []
        self._fail(_error_code(error), error.message, frames)
        return b"".join(frames)

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        return self._answer.response()

    def _start(self, frames: list[bytes]) -> None:
        self._has_started = True
        response = self._answer.response()
        self._frame("response.created", {"response": response}, frames)
        self._frame("response.in_progress", {"response": response}, frames)

    def _render_rare(self, event: Event, frames: list[bytes]) -> None:
        match event:
            case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                item = self._answer.start(event)
                self._frame(
                    "response.output_item.added",
                    {"output_index": item.index, "item": item.body("in_progress")},
                    frames,
                )
            case TextDelta():
                self._delta(event.output, "output_text", event.text, frames, event.logprobs)
            case RefusalDelta():
                self._delta(event.output, "refusal", event.text, frames)
            case ReasoningDelta():
                self._delta(event.output, "reasoning_text", event.text, frames)
            case ToolArgumentsDelta():
                self._arguments(event, frames)
            case ItemFinished():
                self._finish_item(self._answer.items[event.output], "completed", frames)
            case UsageReported():
                self._answer.usage = event.usage
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
        self._frame(
            f"response.{item.arguments_name}.delta",
            {"item_id": item.item_id, "output_index": item.index, "delta": event.text},
            frames,
        )

    def _delta(self, output: int, part: str, text: str, frames: list[bytes], logprobs: list[Any] | None = None) -> None:
        item = self._answer.items[output]
        if item.part_kind != part:
            self._open_part(item, part, frames)
        item.texts.append(text)
        fields: dict[str, Any] = {**item.place(), "delta": text}
        if part == "output_text":
            fields["logprobs"] = _event_logprobs(logprobs)
            item.logprobs.extend(logprobs or ())
        self._frame(f"response.{part}.delta", fields, frames)

    def _open_part(self, item: _AnswerItem, part: str, frames: list[bytes]) -> None:
        self._close_part(item, frames)
        item.open_part(part)
        self._frame("response.content_part.added", {**item.place(), "part": _part_body(part, "", [])}, frames)

    def _close_part(self, item: _AnswerItem, frames: list[bytes]) -> None:
        part = item.part_kind
        if part is None:
            return
        body = item.close_part()
        fields: dict[str, Any] = {**item.place(), "refusal" if part == "refusal" else "text": _text_of(body)}
        if part == "output_text":
            fields["logprobs"] = _event_logprobs(body["logprobs"])
        self._frame(f"response.{part}.done", fields, frames)
        self._frame("response.content_part.done", {**item.place(), "part": body}, frames)

    def _finish_item(self, item: _AnswerItem, status: _ItemStatus, frames: list[bytes]) -> None:
        if item.status != "in_progress":
            return
        if item.kind == "message" and not item.parts and item.part_kind is None:
            self._open_part(item, "output_text", frames)
        self._close_part(item, frames)
        item.status = status
        if item.call is not None and status == "completed":
            text_name = "arguments" if item.call.kind == "function" else "input"
            fields: dict[str, Any] = {
                "item_id": item.item_id,
                "output_index": item.index,
                text_name: "".join(item.texts),
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

    def _fail(self, code: str, message: str, frames: list[bytes]) -> None:
        for item in self._answer.items.values():
            self._finish_item(item, "incomplete", frames)
        self._answer.end("failed")
        response = self._answer.response()
        response["error"] = {"code": code, "message": message}
        self._frame("response.failed", {"response": response}, frames)

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
        for event in events:
            match event:
                case TextDelta():
                    self._add_text(event.output, "output_text", event.text, event.logprobs)
                case RefusalDelta():
                    self._add_text(event.output, "refusal", event.text)
                case ReasoningDelta():
                    self._add_text(event.output, "reasoning_text", event.text)
                case ToolArgumentsDelta():
                    self._answer.items[event.output].texts.append(event.text)
                case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                    self._answer.start(event)
                case ItemFinished():
                    self._finish_item(self._answer.items[event.output], "completed")
                case UsageReported():
                    self._answer.usage = event.usage
                case TurnCompleted():
                    self._answer.end("completed")
                case TurnIncomplete():
                    self._answer.end("incomplete", event.reason)
                case TurnCancelled():
                    self._answer.end("cancelled")
                case _:
                    pass

    def body(self) -> bytes:
        """Return the Response as JSON."""
        return _encode(self.response())

    def response(self) -> dict[str, Any]:
        """Return the Response as far as it came."""
        for item in self._answer.items.values():
            self._finish_item(item, "incomplete")
        return self._answer.response()

    def _add_text(self, output: int, part: str, text: str, logprobs: list[Any] | None = None) -> None:
        item = self._answer.items[output]
        if item.part_kind != part:
            item.close_part()
            item.open_part(part)
        item.texts.append(text)
        item.logprobs.extend(logprobs or ())

    def _finish_item(self, item: _AnswerItem, status: _ItemStatus) -> None:
        if item.status == "in_progress":
            if item.kind == "message" and not item.parts and item.part_kind is None:
                item.open_part("output_text")
            item.close_part()
            item.status = status


_ItemStatus = Literal["in_progress", "completed", "incomplete"]
_ResponseStatus = Literal["in_progress", "completed", "incomplete", "cancelled", "failed"]


class _Answer:
    """The Response as it comes together."""

    __slots__ = ("_echo", "_turn", "items", "reason", "status", "usage")

    def __init__(self, turn: Turn, echo: dict[str, Any]) -> None:
        self._turn = turn
        self._echo = echo
        self.items: dict[int, _AnswerItem] = {}
        self.usage: Usage | None = None
        self.status: _ResponseStatus = "in_progress"
        self.reason: str | None = None

    def start(self, event: MessageStarted | ReasoningStarted | ToolCallStarted) -> _AnswerItem:
        item = self.items[event.output] = _AnswerItem(event, len(self.items))
        return item

    def end(self, status: _ResponseStatus, reason: str | None = None) -> None:
        """Note how it ended; `reason` says why it is incomplete."""
        self.status = status
        self.reason = reason

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
            "error": None,
            "incomplete_details": None if self.reason is None else {"reason": self.reason},
            "model": turn.model,
            "output": [item.body() for item in self.items.values() if item.status != "in_progress"],
            "usage": usage_body(self.usage),
            **self._echo,
        }


class _AnswerItem:
    """One item as it comes together: a message, what the model thinks, or a tool call."""

    __slots__ = (
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
        "status",
        "texts",
    )

    def __init__(self, event: MessageStarted | ReasoningStarted | ToolCallStarted, index: int) -> None:
        self.index = index
        self.item_id = event.item_id
        self.status: _ItemStatus = "in_progress"
        self.texts: list[str] = []
        self.logprobs: list[Any] = []
        self.parts: list[dict[str, Any]] = []
        self.part_kind: str | None = None
        self.call: ToolCallStarted | None = event if isinstance(event, ToolCallStarted) else None
        self.kind = "message" if isinstance(event, MessageStarted) else "reasoning"
        self.arguments_name = ""
        if self.call is not None:
            self.kind = "function_call" if self.call.kind == "function" else "custom_tool_call"
            self.arguments_name = (
                "function_call_arguments" if self.call.kind == "function" else "custom_tool_call_input"
            )

    def place(self) -> dict[str, Any]:
        return {"item_id": self.item_id, "output_index": self.index, "content_index": self._content_index()}

    def open_part(self, part: str) -> None:
        self.part_kind = part
        self.delta_head = b'event: response.%b.delta\ndata: {"type":"response.%b.delta","sequence_number":' % (
            part.encode(),
            part.encode(),
        )
        self.delta_middle = b',"item_id":"%b","output_index":%d,"content_index":%d,"delta":' % (
            self.item_id.encode(),
            self.index,
            self._content_index(),
        )
        self.delta_tail = b',"logprobs":[]}\n\n'

    def close_part(self) -> dict[str, Any]:
        """End the open part and return its body; an empty dict where none is open."""
        if self.part_kind is None:
            return {}
        body = _part_body(self.part_kind, "".join(self.texts), self.logprobs)
        self.parts.append(body)
        self.texts = []
        self.logprobs = []
        self.part_kind = None
        return body

    def body(self, status: _ItemStatus | None = None) -> dict[str, Any]:
        shown = status or self.status
        if self.call is not None:
            text_name = "arguments" if self.call.kind == "function" else "input"
            return {
                "id": self.item_id,
                "type": self.kind,
                "status": shown,
                "call_id": self.call.call_id,
                "name": self.call.name,
                text_name: "".join(self.texts),
            }
        if self.kind == "reasoning":
            return {
                "id": self.item_id,
                "type": "reasoning",
                "status": shown,
                "summary": [],
                "content": self.parts,
                "encrypted_content": None,
            }
        return {"id": self.item_id, "type": "message", "role": "assistant", "status": shown, "content": self.parts}

    def _content_index(self) -> int:
        return len(self.parts) if self.part_kind is not None else max(0, len(self.parts) - 1)


def _part_body(part: str, text: str, logprobs: list[Any]) -> dict[str, Any]:
    if part == "refusal":
        return {"type": "refusal", "refusal": text}
    if part == "reasoning_text":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _text_of(part_body: dict[str, Any]) -> str:
    return part_body["refusal"] if part_body["type"] == "refusal" else part_body["text"]


def _event_logprobs(logprobs: list[Any] | None) -> list[Any]:
    """Logprobs as events spell them: without the bytes that part bodies have."""
    return [
        {
            "token": each["token"],
            "logprob": each["logprob"],
            "top_logprobs": [
                {"token": top["token"], "logprob": top["logprob"]} for top in each.get("top_logprobs") or ()
            ],
        }
        for each in logprobs or ()
    ]


def _error_code(error: FrontdeskError) -> str:
    return "rate_limit_exceeded" if error.status == 429 else "server_error"


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
