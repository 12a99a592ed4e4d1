"""Chat Completions: events rendered as chunks, or as one body.

Deltas are the hot path: everything in a chunk but the text is put together once per item. What a
model thinks, and the summary of it, both go out as `reasoning_content`, which OpenAI's document does
not have and most clients know. Of what an answer rests on only pages have a shape here; files are told
in Responses alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    MessageStarted,
    ReasoningDelta,
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
from frontdesk.turn.facts import Facts
from frontdesk.wire.cursors import cursor_at
from frontdesk.wire.logprobs import chat_logprobs
from frontdesk.wire.obfuscation import obfuscated

_encode = msgspec.json.Encoder().encode
_SUMMARY_BREAK = "\n\n"  # between two parts of a summary, which have no parts here


class ChatStream:
    """Renders events as `chat.completion.chunk`s.

    Each frame has its place in the stream, counted from 0: those up to `after` are left out, for the reader has them,
    and `carries_ids` puts it on each.
    """

    __slots__ = (
        "_cursor",
        "_facts",
        "_head",
        "_includes_usage",
        "_obfuscates",
        "_outputs",
        "_roles",
        "_tail",
        "_thought",
        "_tool_counts",
        "_usage",
    )

    def __init__(
        self,
        facts: Facts,
        *,
        includes_usage: bool,
        obfuscates: bool = False,
        after: int | None = None,
        carries_ids: bool = False,
    ) -> None:
        self._facts = facts
        self._cursor = cursor_at(after, carries_ids=carries_ids)
        self._includes_usage = includes_usage
        self._obfuscates = obfuscates
        self._tail = b',"usage":null}\n\n' if includes_usage else b"}\n\n"
        self._outputs: dict[int, _Output] = {}
        self._roles: set[int] = set()
        self._thought: set[int] = set()
        self._tool_counts: dict[int, int] = {}
        self._usage: Usage | None = None
        self._describe(AnswerDescribed())

    def render(self, events: list[Event]) -> bytes:
        """Return the chunks of these events."""
        chunks: list[bytes] = []
        add = chunks.append
        for event in events:
            kind = type(event)
            if (kind is TextDelta and event.logprobs is None) or kind is ToolArgumentsDelta:  # type: ignore[union-attr]
                add(self._text(self._outputs[event.output], event.text))  # type: ignore[union-attr]
            else:
                self._render_rare(event, add)
        return b"".join(chunks if self._cursor is None else self._cursor.pass_on(chunks))

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the error as an event of its own. There is no `[DONE]`: the answer is not whole."""
        chunks = [b"data: " + _encode(error.body()) + b"\n\n"]
        return b"".join(chunks if self._cursor is None else self._cursor.pass_on(chunks))

    def _render_rare(self, event: Event, add: Callable[[bytes], None]) -> None:
        match event:
            case MessageStarted():
                self._open(event.output, event.choice, b'{"content":', add)
            case ReasoningStarted():
                self._open(event.output, event.choice, b'{"reasoning_content":', add)
            case ReasoningDelta() | ReasoningSummaryDelta():
                output = self._outputs[event.output]
                self._thought.add(output.choice)
                add(self._text(output, event.text))
            case ReasoningSummaryStarted():
                output = self._outputs[event.output]
                if output.choice in self._thought:
                    add(self._text(output, _SUMMARY_BREAK))
            case TextDelta():
                add(self._with_logprobs(event, b"content", b'{"content":%b,"refusal":null}'))
            case RefusalDelta():
                add(self._with_logprobs(event, b"refusal", b'{"content":null,"refusal":%b}'))
            case ToolCallStarted():
                self._start_tool_call(event, add)
            case AnnotationAdded():
                if (citation := _citation(event)) is not None:
                    choice = self._outputs[event.output].choice
                    add(self._chunk(choice, b'{"annotations":[' + _encode(citation) + b"]}"))
            case ChoiceFinished():
                self._start_role(event.choice, add)
                add(self._chunk(event.choice, b"{}", b'"%s"' % event.reason.encode()))
            case AnswerDescribed():
                self._describe(event)
            case UsageReported():
                self._usage = event.usage
            case TurnCancelled():
                add(b"data: " + _encode(_CANCELLED) + b"\n\n")
            case TurnCompleted() | TurnIncomplete():
                if self._includes_usage:
                    add(self._head + b'"choices":[],"usage":' + _encode(usage_body(self._usage)) + b"}\n\n")
                add(b"data: [DONE]\n\n")
            case _:
                pass  # ItemFinished has no twin in chunks, nor has what a provider sealed

    def _describe(self, described: AnswerDescribed) -> None:
        """Put together what every chunk begins with."""
        facts = self._facts
        fields: dict[str, Any] = {
            "id": facts.id,
            "object": "chat.completion.chunk",
            "created": int(facts.started_at),
            "model": facts.model,
            "service_tier": described.service_tier,
        }
        if described.system_fingerprint is not None:
            fields["system_fingerprint"] = described.system_fingerprint
        self._head = b"data: " + _encode(fields)[:-1] + b","
        for output in self._outputs.values():
            self._frame(output)

    def _open(self, place: int, choice: int, delta_head: bytes, add: Callable[[bytes], None]) -> None:
        self._start_role(choice, add)
        self._outputs[place] = self._frame(_Output(choice, delta_head, b"}"))

    def _start_role(self, choice: int, add: Callable[[bytes], None]) -> None:
        if choice not in self._roles:
            self._roles.add(choice)
            add(self._chunk(choice, b'{"role":"assistant","content":"","refusal":null}'))

    def _start_tool_call(self, event: ToolCallStarted, add: Callable[[bytes], None]) -> None:
        self._start_role(event.choice, add)
        place = self._tool_counts.get(event.choice, 0)
        self._tool_counts[event.choice] = place + 1
        call = {"index": place, **_call_body(event, "")}
        add(self._chunk(event.choice, b'{"tool_calls":[' + _encode(call) + b"]}"))
        head = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (place, event.kind.encode(), _text_name(event).encode())
        self._outputs[event.output] = self._frame(_Output(event.choice, head, b"}}]}"))

    def _frame(self, output: _Output) -> _Output:
        """Put together what stands around a text of this output."""
        output.text_head = self._head + b'"choices":[{"index":%d,"delta":' % output.choice + output.delta_head
        output.text_tail = output.delta_tail + b',"logprobs":null,"finish_reason":null}]' + self._tail
        return output

    def _text(self, output: _Output, text: str) -> bytes:
        encoded = _encode(text)
        chunk = output.text_head + encoded + output.text_tail
        return obfuscated(chunk, encoded) if self._obfuscates else chunk

    def _with_logprobs(self, event: TextDelta | RefusalDelta, name: bytes, shape: bytes) -> bytes:
        encoded = _encode(event.text)
        logprobs = b"null" if event.logprobs is None else shape % _encode(chat_logprobs(event.logprobs))
        delta = b'{"%b":%b}' % (name, encoded)
        chunk = self._chunk(self._outputs[event.output].choice, delta, logprobs=logprobs)
        return obfuscated(chunk, encoded) if self._obfuscates else chunk

    def _chunk(self, choice: int, delta: bytes, reason: bytes = b"null", logprobs: bytes = b"null") -> bytes:
        choices = b'"choices":[{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]'
        return self._head + choices % (choice, delta, logprobs, reason) + self._tail


class _Output:
    """An output item's place in the chunks: everything of a delta but its text."""

    __slots__ = ("choice", "delta_head", "delta_tail", "text_head", "text_tail")

    def __init__(self, choice: int, delta_head: bytes, delta_tail: bytes) -> None:
        self.choice = choice
        self.delta_head = delta_head
        self.delta_tail = delta_tail
        self.text_head = self.text_tail = b""


class ChatBody:
    """Renders events as one `chat.completion`; `metadata` is that of one that is stored."""

    __slots__ = ("_choices", "_described", "_facts", "_metadata", "_outputs", "_usage")

    def __init__(self, facts: Facts, metadata: Mapping[str, str] | None = None) -> None:
        self._facts = facts
        self._metadata = metadata
        self._choices: dict[int, _Choice] = {}
        self._outputs: dict[int, tuple[_Choice, list[str]]] = {}
        self._described = AnswerDescribed()
        self._usage: Usage | None = None

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        for event in events:
            match event:
                case TextDelta():
                    choice, text = self._outputs[event.output]
                    text.append(event.text)
                    choice.logprobs += event.logprobs or ()
                case RefusalDelta():
                    choice, _ = self._outputs[event.output]
                    choice.refusal.append(event.text)
                    choice.refusal_logprobs += event.logprobs or ()
                case ReasoningDelta() | ReasoningSummaryDelta() | ToolArgumentsDelta():
                    self._outputs[event.output][1].append(event.text)
                case ReasoningSummaryStarted():
                    text = self._outputs[event.output][1]
                    if text:
                        text.append(_SUMMARY_BREAK)
                case MessageStarted():
                    choice = self._choice(event.choice)
                    self._outputs[event.output] = (choice, choice.text)
                case ReasoningStarted():
                    choice = self._choice(event.choice)
                    self._outputs[event.output] = (choice, choice.reasoning)
                case ToolCallStarted():
                    choice = self._choice(event.choice)
                    self._outputs[event.output] = (choice, choice.start_call(event))
                case AnnotationAdded():
                    if (citation := _citation(event)) is not None:
                        self._outputs[event.output][0].annotations.append(citation)
                case ChoiceFinished():
                    self._choice(event.choice).finish_reason = event.reason
                case AnswerDescribed():
                    self._described = event
                case UsageReported():
                    self._usage = event.usage
                case _:
                    pass

    def body(self) -> bytes:
        """Return the completion as JSON."""
        facts = self._facts
        body: dict[str, Any] = {
            "id": facts.id,
            "object": "chat.completion",
            "created": int(facts.started_at),
            "model": facts.model,
            "choices": [self._choices[index].body(index) for index in sorted(self._choices)],
            "service_tier": self._described.service_tier,
        }
        if self._usage is not None:
            body["usage"] = usage_body(self._usage)
        if self._described.system_fingerprint is not None:
            body["system_fingerprint"] = self._described.system_fingerprint
        if self._metadata is not None:
            body["metadata"] = self._metadata
        return _encode(body)

    def _choice(self, choice: int) -> _Choice:
        found = self._choices.get(choice)
        if found is None:
            found = self._choices[choice] = _Choice()
        return found


class _Choice:
    """One choice as it comes together."""

    __slots__ = (
        "annotations",
        "calls",
        "finish_reason",
        "logprobs",
        "reasoning",
        "refusal",
        "refusal_logprobs",
        "text",
    )

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.annotations: list[dict[str, Any]] = []
        self.calls: list[tuple[ToolCallStarted, list[str]]] = []
        self.logprobs: list[Any] = []
        self.refusal_logprobs: list[Any] = []
        self.finish_reason = "stop"

    def start_call(self, event: ToolCallStarted) -> list[str]:
        arguments: list[str] = []
        self.calls.append((event, arguments))
        return arguments

    def body(self, index: int) -> dict[str, Any]:
        text = "".join(self.text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not (self.calls or self.refusal) else None,
            "refusal": "".join(self.refusal) or None,
            "annotations": self.annotations,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [_call_body(event, "".join(arguments)) for event, arguments in self.calls]
        return {"index": index, "message": message, "logprobs": self._logprobs(), "finish_reason": self.finish_reason}

    def _logprobs(self) -> dict[str, Any] | None:
        if not (self.logprobs or self.refusal_logprobs):
            return None
        return {
            "content": chat_logprobs(self.logprobs) if self.logprobs else None,
            "refusal": chat_logprobs(self.refusal_logprobs) if self.refusal_logprobs else None,
        }


def _citation(event: AnnotationAdded) -> dict[str, Any] | None:
    """A page that an answer rests on, as Chat Completions nests it; None for a file."""
    annotation = event.annotation
    if annotation["type"] != "url_citation":
        return None
    return {"type": "url_citation", "url_citation": {name: annotation[name] for name in _PAGE}}


_PAGE = ("url", "title", "start_index", "end_index")


def _text_name(event: ToolCallStarted) -> str:
    return "arguments" if event.kind == "function" else "input"


def _call_body(event: ToolCallStarted, text: str) -> dict[str, Any]:
    return {"id": event.call_id, "type": event.kind, event.kind: {"name": event.name, _text_name(event): text}}


def usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """Return usage as Chat Completions spells it; None where no provider reported any."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": usage.accepted_prediction_tokens or 0,
            "rejected_prediction_tokens": usage.rejected_prediction_tokens or 0,
        },
    }


_CANCELLED = FrontdeskError("This answer was cancelled.", code="cancelled").body()
