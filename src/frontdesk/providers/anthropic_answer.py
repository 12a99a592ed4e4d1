"""Answers of Anthropic's Messages API, streamed or whole, as events.

    message_start ──► block* ──► message_delta* ──► message_stop
    block:  content_block_start ──► content_block_delta* ──► content_block_stop

Blocks come one after the other; a delta for another one than the last is an error, for a call must not be made with
what belongs to its neighbour. What becomes of them:

    text                        a message; neighbours are one, for what is cited stands in a block of its own
    thinking                    reasoning: its words as a part of a summary, where those were asked for, then its seal
    redacted_thinking           reasoning of which only the seal is told
    tool_use                    a call; of the tool that stands for a format, the message itself
    any other, and its deltas   left out, as Anthropic asks of its clients

An item ends where the next begins, or with the answer, and so does a block that nobody stopped. A block that was cut
off is stopped as well, and only the reason behind it tells. A `message_stop` is the only end. Pings and events that
nobody knows mean nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, cast

import msgspec

from frontdesk.core.errors import ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.anthropic_errors import failure_of
from frontdesk.providers.anthropic_turns import CUSTOM_INPUT
from frontdesk.providers.anthropic_usage import read_messages_usage
from frontdesk.providers.bodies import StreamDecoder
from frontdesk.providers.endings import Reason, turn_end
from frontdesk.providers.seals import sealed
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)


class Reading(msgspec.Struct, frozen=True):
    """What an answer must be read with: what was asked in its stead."""

    model: str
    custom_tools: frozenset[str] = frozenset()
    answer_tool: str | None = None
    shows_thinking: bool = False


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_details: dict[str, Any] | None = None


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    content: list[dict[str, Any]] | None = None
    stop_reason: str | None = None
    stop_details: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _StreamEvent(msgspec.Struct, gc=False):
    type: str
    index: int | None = None
    message: _Message | None = None
    content_block: dict[str, Any] | None = None
    delta: _Delta | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _Named(msgspec.Struct, gc=False):
    type: str = ""


class _NamedEvent(msgspec.Struct, gc=False):
    type: str
    delta: _Named | None = None


_decode_event = msgspec.json.Decoder(_StreamEvent).decode
_decode_named = msgspec.json.Decoder(_NamedEvent).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.encode

_EVENTS = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "error",
        "message_delta",
        "message_start",
        "message_stop",
    }
)
_DELTAS = frozenset({"", "citations_delta", "input_json_delta", "signature_delta", "text_delta", "thinking_delta"})


class MessagesStreamDecoder(StreamDecoder):
    """Decodes a stream of Messages events."""

    __slots__ = ("_answer",)

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._answer = _Answer(reading)

    def _take(self, payload: bytes, events: list[Event]) -> None:
        event = _read_event(payload)
        if event is not None:
            self._answer.take(event, events)
            self.is_done = self._answer.is_done


def decode_message(body: bytes, reading: Reading) -> list[Event]:
    """Return the events of a whole message. Raises ProviderError, or BadRequest where it blames the prompt."""
    events: list[Event] = []
    answer = _Answer(reading)
    try:
        message = _decode_message(body)
        answer.take_whole(message, events)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"the body cannot be read: {type(error).__name__}") from None
    return events


def _read_event(payload: bytes) -> _StreamEvent | None:
    """Return an event; None where it is of a kind that nobody knows here, whatever it is made of."""
    try:
        event = _decode_event(payload)
    except msgspec.ValidationError:
        named = _decode_named(payload)
        if named.type in _EVENTS and (named.delta is None or named.delta.type in _DELTAS):
            raise
        return None
    return event if event.type in _EVENTS else None


# --- the answer ---------------------------------------------------------------------------------

_REASONS: dict[str, Reason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}
_TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}


class _Answer:
    """One answer as it comes together. At most one item is open."""

    __slots__ = (
        "_block",
        "_has_calls",
        "_held",
        "_index",
        "_is_answered",
        "_message_chars",
        "_open",
        "_outputs",
        "_reading",
        "_reason",
        "_stop_details",
        "_usage",
        "is_done",
    )

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._block: _Block | None = None  # that deltas are for
        self._index: int | None = None  # of the newest block
        self._open: _Block | None = None  # whose item has not ended
        self._message_chars = 0
        self._outputs = 0
        self._held: list[str] = []  # words beside an answer that a format binds
        self._is_answered = False
        self._has_calls = False
        self._reason: str | None = None
        self._stop_details: dict[str, Any] | None = None
        self._usage: dict[str, Any] = {}
        self.is_done = False

    def take(self, event: _StreamEvent, events: list[Event]) -> None:
        match event.type:
            case "content_block_delta":
                if event.delta is not None and event.delta.type in _DELTAS:
                    self._take_delta(self._block_of(event.index), event.delta, events)
            case "content_block_start":
                self._start(event.content_block or {}, events)
                self._index = event.index
            case "content_block_stop":
                self._stop(events)
            case "message_start":
                if event.message is not None:
                    self._describe(event.message.usage, events)
            case "message_delta":
                if event.delta is not None and event.delta.stop_reason is not None:
                    self._reason, self._stop_details = event.delta.stop_reason, event.delta.stop_details
                self._add_usage(event.usage)
            case "message_stop":
                self._end(events)
            case _:
                raise failure_of(event.error)

    def take_whole(self, message: _Message, events: list[Event]) -> None:
        if message.error is not None:
            raise failure_of(message.error)
        if message.content is None:
            raise ProviderError("the body is no message")
        self._describe(message.usage, events)
        for block in message.content:
            self._start(block, events)
            self._stop(events)
        self._reason, self._stop_details = message.stop_reason, message.stop_details
        self._end(events)

    def _describe(self, usage: dict[str, Any] | None, events: list[Event]) -> None:
        self._add_usage(usage)
        tier = _TIERS.get(str(self._usage.get("service_tier")))
        if tier is not None:
            events.append(AnswerDescribed(tier))

    def _add_usage(self, usage: dict[str, Any] | None) -> None:
        """Counts grow: a later one stands for an earlier one, and what is not said again still holds."""
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}

    # --- blocks ---------------------------------------------------------------------------------

    def _block_of(self, index: int | None) -> _Block:
        if self._block is None or index not in (None, self._index):
            raise ProviderError("a piece of the answer belongs to no block that is open")
        return self._block

    def _start(self, said: dict[str, Any], events: list[Event]) -> None:
        """Begin a block, and tell what it already holds: all of it in a body, mostly nothing in a stream."""
        self._stop(events)
        match said.get("type"):
            case "text":
                block = self._block = _Block("text")
                block.start = self._message_chars if self._open is not None and self._open.is_message else 0
                block.citations += _objects(said.get("citations"))
                self._tell(block, _words(said.get("text")), events)
            case "thinking":
                block = self._start_reasoning(events)
                block.signature = _words(said.get("signature"))
                self._think(block, _words(said.get("thinking")), events)
            case "redacted_thinking":
                block = self._start_reasoning(events)
                held = {"type": "redacted_thinking", "data": _words(said.get("data"))}
                self._seal(block, held, events)
            case "tool_use":
                block = self._start_call(said, events)
                if said.get("input"):
                    self._take_json(block, _encode(said["input"]).decode(), events)
            case _:
                self._block = _Block("unknown")

    def _start_reasoning(self, events: list[Event]) -> _Block:
        block = self._block = _Block("thinking")
        self._open_item(block, events)
        events.append(ReasoningStarted(block.output, new_id("rs_")))
        return block

    def _start_call(self, said: dict[str, Any], events: list[Event]) -> _Block:
        name = _words(said.get("name"))
        if not name:
            raise ProviderError("a tool call of the answer has no name")
        if name == self._reading.answer_tool and not self._is_answered:
            self._is_answered = True
            block = self._block = _Block("answer")
            self._open_item(block, events)
            events.append(MessageStarted(block.output, new_id("msg_")))
            return block
        self._has_calls = True
        is_custom = name in self._reading.custom_tools
        block = self._block = _Block("custom" if is_custom else "function")
        self._open_item(block, events)
        call_id = _words(said.get("id")) or new_id("call_")
        if is_custom:
            events.append(ToolCallStarted(block.output, new_id("ctc_"), call_id, name, "custom"))
        else:
            events.append(ToolCallStarted(block.output, new_id("fc_"), call_id, name))
        return block

    def _take_delta(self, block: _Block, delta: _Delta, events: list[Event]) -> None:
        match delta.type:
            case "text_delta":
                self._tell(block, delta.text or "", events)
            case "input_json_delta":
                self._take_json(block, delta.partial_json or "", events)
            case "thinking_delta":
                self._think(block, delta.thinking or "", events)
            case "signature_delta":
                block.signature += delta.signature or ""
            case "citations_delta" if delta.citation is not None:
                block.citations.append(delta.citation)
            case _:
                pass

    def _tell(self, block: _Block, text: str, events: list[Event]) -> None:
        if not text or block.kind != "text":
            return
        if self._reading.answer_tool is not None:
            self._held.append(text)
            return
        if block.output < 0:
            self._open_message(block, events)
        self._message_chars += len(text)
        events.append(TextDelta(block.output, text))

    def _take_json(self, block: _Block, text: str, events: list[Event]) -> None:
        if not text:
            return
        match block.kind:
            case "function":
                block.has_told = True
                events.append(ToolArgumentsDelta(block.output, text))
            case "answer":
                block.has_told = True
                events.append(TextDelta(block.output, text))
            case "custom":  # its text is one value of the JSON, and Anthropic sends values whole
                block.pieces.append(text)
            case _:
                pass

    def _think(self, block: _Block, text: str, events: list[Event]) -> None:
        if not text or block.kind != "thinking":
            return
        block.pieces.append(text)
        if not self._reading.shows_thinking:
            return
        if not block.has_told:
            block.has_told = True
            events.append(ReasoningSummaryStarted(block.output))
        events.append(ReasoningSummaryDelta(block.output, text))

    def _stop(self, events: list[Event]) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        match block.kind:
            case "text" if block.output >= 0:
                for citation in block.citations:
                    annotation = _annotation(citation, block.start, self._message_chars)
                    if annotation is not None:
                        events.append(AnnotationAdded(block.output, annotation))
            case "thinking" if block.signature:
                held = {"type": "thinking", "thinking": "".join(block.pieces), "signature": block.signature}
                self._seal(block, held, events)
            case "custom":
                text = _custom_text("".join(block.pieces))
                if text:
                    events.append(ToolArgumentsDelta(block.output, text))
            case _:
                pass

    def _seal(self, block: _Block, held: dict[str, Any], events: list[Event]) -> None:
        seal = sealed("anthropic.1:", {"model": self._reading.model, "block": held})
        events.append(ReasoningEncrypted(block.output, seal))

    # --- items ----------------------------------------------------------------------------------

    def _open_message(self, block: _Block, events: list[Event]) -> None:
        """Go on with the message that is open, or begin one."""
        if self._open is not None and self._open.is_message:
            block.output = self._open.output
            self._open = block
            return
        self._open_item(block, events)
        self._message_chars = 0
        events.append(MessageStarted(block.output, new_id("msg_")))

    def _open_item(self, block: _Block, events: list[Event]) -> None:
        self._close(events)
        block.output = self._outputs
        self._outputs += 1
        self._open = block

    def _close(self, events: list[Event]) -> None:
        block, self._open = self._open, None
        if block is None:
            return
        if not block.has_told and block.kind == "function":
            events.append(ToolArgumentsDelta(block.output, "{}"))
        elif not block.has_told and block.kind == "answer":
            events.append(TextDelta(block.output, "{}"))
        events.append(ItemFinished(block.output))

    # --- the end --------------------------------------------------------------------------------

    def _end(self, events: list[Event]) -> None:
        if self._reason is None:
            raise ProviderError("the answer ended without a reason")
        self._stop(events)
        if self._held and not self._is_answered:
            self._tell_held(events)
        reason = _REASONS.get(self._reason, "stop")
        if reason == "tool_calls" and not self._has_calls:
            reason = "stop"
        if reason == "content_filter":
            self._decline(events)
        elif reason != "length":  # what was cut short stays open: it is not whole
            self._close(events)
        events.append(ChoiceFinished(0, reason))
        usage = read_messages_usage(self._usage)
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(turn_end([reason]))
        self.is_done = True

    def _tell_held(self, events: list[Event]) -> None:
        """Where the format's tool was not called, the words beside it are all that there is."""
        block = _Block("text")
        self._open_message(block, events)
        events.append(TextDelta(block.output, "".join(self._held)))

    def _decline(self, events: list[Event]) -> None:
        explanation = _words((self._stop_details or {}).get("explanation"))
        if explanation:
            block = _Block("text")
            self._open_message(block, events)
            events.append(RefusalDelta(block.output, explanation))


class _Block:
    __slots__ = ("citations", "has_told", "kind", "output", "pieces", "signature", "start")

    def __init__(self, kind: Literal["text", "thinking", "function", "custom", "answer", "unknown"]) -> None:
        self.kind = kind
        self.output = -1  # until it is an item, or a part of one
        self.pieces: list[str] = []
        self.signature = ""
        self.citations: list[dict[str, Any]] = []
        self.start = 0  # in the message's text, in characters
        self.has_told = False

    @property
    def is_message(self) -> bool:
        return self.kind in ("text", "answer")


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[dict[str, Any]]:
    found = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", each) for each in found if isinstance(each, dict)]


_CUT_TEXT = re.compile(r'\s*\{\s*"' + CUSTOM_INPUT + r'"\s*:\s*("(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')


def _custom_text(arguments: str) -> str:
    """The text that a custom tool is called with; of a call that was cut off, what came of it."""
    try:
        given: Any = msgspec.json.decode(arguments) if arguments else {}
    except (msgspec.DecodeError, RecursionError):
        found = _CUT_TEXT.match(arguments)
        return _cut_text(found[1]) if found else ""
    text: Any = cast("dict[str, Any]", given).get(CUSTOM_INPUT) if isinstance(given, dict) else None
    return text if isinstance(text, str) else arguments


def _cut_text(quoted: str) -> str:
    try:
        return str(json.loads(f'{quoted}"', strict=False)).encode("utf-8", "ignore").decode()
    except ValueError:
        return ""


# --- what it rests on ---------------------------------------------------------------------------


def _annotation(citation: dict[str, Any], start: int, end: int) -> dict[str, Any] | None:
    """A source, in OpenAI's words: what has an address, or a file by its title; None where it is neither."""
    source = _words(citation.get("url")) or _words(citation.get("source"))
    title = _words(citation.get("title")) or _words(citation.get("document_title"))
    if source.startswith(("https://", "http://")):
        return {"type": "url_citation", "url": source, "title": title, "start_index": start, "end_index": end}
    name = title or source
    place = citation.get("document_index", citation.get("search_result_index"))
    if not name and place is None:
        return None
    return {
        "type": "file_citation",
        "file_id": _words(citation.get("file_id")),
        "filename": name,
        "index": place if isinstance(place, int) else 0,
    }
