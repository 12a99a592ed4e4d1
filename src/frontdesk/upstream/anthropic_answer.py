"""An answer of Anthropic's Messages API: events made into its blocks and deltas, as a stream or one body.

    message_start  (content_block_start  ping?  content_block_delta*  content_block_stop)*  message_delta+  message_stop

One block is open at a time. A body is what a client puts together from the same events.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from frontdesk.core.ids import new_id
from frontdesk.providers.scripts import Outcome
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    ChoiceFinished,
    Event,
    ItemFinished,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
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
from frontdesk.turn.items import Request
from frontdesk.upstream.anthropic_request import MessagesRequest
from frontdesk.upstream.frames import named_frame
from frontdesk.upstream.prompt_cache import Cached

_encode = msgspec.json.Encoder().encode
_Payload = dict[str, Any]


class MessagesAnswer:
    """The answer to one request; `charge` asks the cache what it has of the prompt, once."""

    def __init__(self, asked: MessagesRequest, charge: Callable[[], Cached]) -> None:
        self.request: Request = asked.prompt
        self.model = asked.model
        self.is_streaming = asked.stream
        self.content_type = "text/event-stream; charset=utf-8" if asked.stream else "application/json"
        self.tells_usage: Literal["first and last"] = "first and last"
        self._asked = asked
        self._charge = charge
        self._cached: Cached | None = None
        self._script = ""
        self._outcome = Outcome()
        self._usage: Usage | None = None
        self._is_started = False
        self._has_pinged = False
        self._index = -1
        self._open: str | None = None
        self._declines = False
        self._stop_reason: str | None = None

    def begin(self, script: str, outcome: Outcome) -> None:
        """Be told where it will stand which stop sequence was met."""
        self._script = script
        self._outcome = outcome

    def counted(self, usage: Usage) -> Usage:
        """Return the usage with what the cache read and wrote of this prompt."""
        if self._cached is None:
            self._cached = self._charge()
        cached = self._cached
        return msgspec.structs.replace(
            usage,
            cached_tokens=cached.read_tokens,
            cache_write_tokens=cached.written_5m_tokens + cached.written_1h_tokens,
        )

    def render(self, events: list[Event]) -> bytes:
        """Return the server-sent events of these."""
        return b"".join(named_frame(payload) for payload in self._payloads(events))

    def in_transit(self, frames: bytes) -> bytes:
        """Return the events as they are."""
        return frames

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole message."""
        message = _put_together(self._payloads(events))
        usage = next((event.usage for event in events if isinstance(event, UsageReported)), None)
        return _encode(message if usage is None else {**message, "usage": self._usage_body(usage)})

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:
        """Return the error: too much to do, or one of the provider's own."""
        error = {"type": "overloaded_error", "message": "Overloaded"}
        if kind == "failed":
            error = {"type": "api_error", "message": message}
        told = {"type": "error", "error": error, "request_id": new_id("req_")}
        return named_frame(told) if self.is_streaming else _encode(told)

    def without_finish(self, payload: _Payload) -> _Payload | None:
        """Return the payload without its `stop_reason`."""
        if payload["type"] != "message_delta":
            return payload
        return {**payload, "delta": {**payload["delta"], "stop_reason": None, "stop_sequence": None}}

    # --- events ---------------------------------------------------------------------------------

    def _payloads(self, events: list[Event]) -> Iterator[_Payload]:
        for place, event in enumerate(events):
            if isinstance(event, UsageReported):
                self._usage = event.usage
                ends = place + 1 < len(events) and type(events[place + 1]) in TERMINAL_TYPES
                if self._is_started and not ends:
                    yield self._delta_of_message()
                continue
            if not self._is_started:
                self._is_started = True
                yield {"type": "message_start", "message": self._begun()}
            yield from self._payloads_of(event)

    def _payloads_of(self, event: Event) -> Iterator[_Payload]:
        match event:
            case TextDelta() | RefusalDelta():
                self._declines = self._declines or isinstance(event, RefusalDelta)
                if self._open is None:
                    begun: _Payload = {"type": "text", "text": ""}
                    yield from self._start({**begun, "citations": []} if self._asked.cited else begun)
                yield self._delta({"type": "text_delta", "text": event.text})
            case ReasoningStarted():
                yield from self._start(self._thinking_begun())
            case ReasoningDelta() | ReasoningSummaryDelta():
                if self._open == "thinking" and self._asked.thinks == "summarized":
                    yield self._delta({"type": "thinking_delta", "thinking": event.text})
            case ReasoningEncrypted():
                if self._open == "thinking":
                    yield self._delta({"type": "signature_delta", "signature": event.content})
            case ToolCallStarted():
                call_id = event.call_id.replace("call_", "toolu_", 1)
                call: _Payload = {"type": "tool_use", "id": call_id, "name": event.name, "input": {}}
                yield from self._start({**call, "caller": {"type": "direct"}})
                yield self._delta({"type": "input_json_delta", "partial_json": ""})
            case ToolArgumentsDelta():
                yield self._delta({"type": "input_json_delta", "partial_json": event.text})
            case ItemFinished():
                yield from self._stop()
            case ChoiceFinished():
                yield from self._stop()
                self._stop_reason = self._reason(event)
            case TurnCompleted() | TurnIncomplete() | TurnCancelled():
                yield self._delta_of_message()
                yield {"type": "message_stop"}
            case _:
                return  # as MessageStarted: a block of text begins with its first word

    def _begun(self) -> _Payload:
        message: _Payload = {
            "id": new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
        }
        usage, self._usage = self._usage, None
        return message if usage is None else {**message, "usage": self._usage_body(usage)}

    def _start(self, block: _Payload) -> Iterator[_Payload]:
        self._index += 1
        self._open = block["type"]
        yield {"type": "content_block_start", "index": self._index, "content_block": block}
        if not self._has_pinged:
            self._has_pinged = True
            yield {"type": "ping"}

    def _delta(self, delta: _Payload) -> _Payload:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self) -> Iterator[_Payload]:
        if self._open is None:
            return
        if self._open == "text":
            for cited in self._asked.cited:
                yield self._delta({"type": "citations_delta", "citation": cited.location})
        self._open = None
        yield {"type": "content_block_stop", "index": self._index}

    def _thinking_begun(self) -> _Payload:
        if self._asked.is_redacted:
            return {"type": "redacted_thinking", "data": base64.b64encode(b"thoughts behind a curtain").decode()}
        return {"type": "thinking", "thinking": "", "signature": ""}

    def _reason(self, event: ChoiceFinished) -> str:
        if self._declines or event.reason == "content_filter":
            return "refusal"
        match event.reason:
            case "length":
                is_paused = self._asked.has_hosted_tools and self._script.startswith("length")
                return "pause_turn" if is_paused else "max_tokens"
            case "tool_calls":
                return "tool_use"
            case "stop":
                return "end_turn" if self._outcome.stop_sequence is None else "stop_sequence"

    def _delta_of_message(self) -> _Payload:
        reason = self._stop_reason
        delta: _Payload = {
            "stop_reason": reason,
            "stop_sequence": self._outcome.stop_sequence if reason == "stop_sequence" else None,
            "stop_details": None,
        }
        if reason == "refusal":
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
        payload: _Payload = {"type": "message_delta", "delta": delta}
        if self._usage is None:
            return payload
        usage = self._usage_body(self._usage)
        self._usage = None
        return {**payload, "usage": {name: usage[name] for name in _IN_DELTA if name in usage}}

    # --- usage ----------------------------------------------------------------------------------

    def _usage_body(self, usage: Usage) -> _Payload:
        """The usage as this provider tells it: what the cache read and wrote stands beside the input."""
        read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        cached = self._cached or Cached()
        body: _Payload = {
            "input_tokens": usage.input_tokens - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": cached.written_5m_tokens if written else 0,
                "ephemeral_1h_input_tokens": cached.written_1h_tokens if written else 0,
            },
            "output_tokens": usage.output_tokens,
            "service_tier": "standard",
            "inference_geo": "not_available",
        }
        if usage.reasoning_tokens:
            body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
        return body


_IN_DELTA = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
)


def _put_together(payloads: Iterator[_Payload]) -> _Payload:
    """Return the message that a client makes of a stream, but for its usage."""
    message: _Payload = {}
    inputs: dict[int, list[str]] = {}
    for payload in payloads:
        match payload["type"]:
            case "message_start":
                message = payload["message"]
            case "content_block_start":
                message["content"].append(dict(payload["content_block"]))
            case "content_block_delta":
                _add_delta(message["content"][-1], payload["delta"], inputs.setdefault(payload["index"], []))
            case "content_block_stop":
                if inputs.get(payload["index"]):
                    message["content"][-1]["input"] = msgspec.json.decode("".join(inputs[payload["index"]]))
            case "message_delta":
                message.update(payload["delta"])
            case _:
                pass
    return message


def _add_delta(block: _Payload, delta: _Payload, pieces: list[str]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"].append(delta["citation"])
        case _:
            pieces.append(delta["partial_json"])
