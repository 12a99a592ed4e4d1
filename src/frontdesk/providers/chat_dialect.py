"""The Chat Completions dialect: prompts become its bodies, its bytes become events.

The decoder is a state per choice:

    nothing ──► reasoning? ──► message? ──► tool calls* ──► finished
                  an item ends where the next begins

A `[DONE]` or the end of bytes is the end, once every choice gave its finish_reason; before that it is
a broken answer. An error object inside a 200 is an error; what was decoded before it stands.
"""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import msgspec

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.annotations import Annotations
from frontdesk.providers.bodies import StreamDecoder
from frontdesk.providers.chat_messages import written_messages
from frontdesk.providers.chat_parameters import add_parameters, carried_parameters
from frontdesk.providers.endings import Reason, turn_end
from frontdesk.providers.profiles import Profile
from frontdesk.providers.usage import read_chat_usage
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Prompt

# --- encoding -----------------------------------------------------------------------------------


def encode_chat(prompt: Prompt, model: str, profile: Profile) -> dict[str, Any]:
    """Return the body of a Chat Completions request. Raises BadRequest for what it cannot say."""
    if prompt.dialect == "responses":
        _refuse_what_only_responses_says(prompt)
    body: dict[str, Any] = {
        **carried_parameters(prompt, profile),
        "model": model,
        "messages": written_messages(prompt, profile),
    }
    if prompt.stream:
        body["stream"] = True
        if profile.has_stream_options:
            body["stream_options"] = {"include_usage": True}
    add_parameters(body, prompt, model, profile)
    return body


def _refuse_what_only_responses_says(prompt: Prompt) -> None:
    """Refuse what would be lost. What `include` may ask for besides log probabilities exists in no answer here."""
    asked = {
        "reasoning.summary": prompt.reasoning_summary,
        "truncation": None if prompt.truncation == "disabled" else prompt.truncation,
        "reasoning": prompt.parameters.get("reasoning"),  # how, and with what of it before
        "image": prompt.parameters.get("image"),
    }
    for name, value in asked.items():
        if value is not None:
            raise BadRequest(
                f"{name!r} is not supported by this model. Leave it out.", code="unsupported_parameter", param=name
            )


# --- decoding -----------------------------------------------------------------------------------


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _CallDelta(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    """Mistral's reasoning models send their content in parts."""

    type: str = ""
    text: str | None = None
    thinking: list[_Part] | None = None


class _Words(msgspec.Struct, gc=False):
    """A delta, or a whole message: they have the same fields."""

    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    annotations: Any = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Words | None = None
    message: _Words | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None
    error: Any = None


class _Groq(msgspec.Struct, gc=False):
    usage: dict[str, Any] | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    x_groq: _Groq | None = None
    error: Any = None


class _DescribedChunk(_Chunk, gc=False):
    """A chunk with what every chunk repeats, read until the first choice. Also a whole body."""

    service_tier: Any = None
    system_fingerprint: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_described = msgspec.json.Decoder(_DescribedChunk).decode


class ChatStreamDecoder(StreamDecoder):
    """Decodes a stream of Chat Completions chunks."""

    __slots__ = ("_answer", "_is_described")

    def __init__(self, choices: int = 1, *, reports_cost: bool = False) -> None:
        super().__init__()
        self._answer = _Answer(choices, reports_cost=reports_cost)
        self._is_described = False

    def _take(self, payload: bytes, events: list[Event]) -> None:
        if payload == b"[DONE]":
            self._close(events)
        elif self._is_described:
            self._answer.take(_decode_chunk(payload), events)
        else:
            chunk = _decode_described(payload)
            self._is_described = _describe(chunk, events) or bool(chunk.choices)
            self._answer.take(chunk, events)

    def _end(self, events: list[Event]) -> None:
        if not self._answer.is_finished:
            raise ProviderError("the stream ended before its answer did")
        self._close(events)

    def _close(self, events: list[Event]) -> None:
        events.extend(self._answer.end())
        self.is_done = True


def decode_chat(body: bytes, choices: int = 1, *, reports_cost: bool = False) -> list[Event]:
    """Return the events of a whole Chat Completions body. Raises ProviderError."""
    answer = _Answer(choices, reports_cost=reports_cost)
    events: list[Event] = []
    try:
        chunk = _decode_described(body)
        _describe(chunk, events)
        answer.take(chunk, events)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"the body cannot be read: {type(error).__name__}") from None
    events.extend(answer.end())
    return events


def _describe(chunk: _DescribedChunk, events: list[Event]) -> bool:
    """Tell what the chunk says of the whole answer, and whether it said anything."""
    tier, fingerprint = (
        said if isinstance(said, str) else None for said in (chunk.service_tier, chunk.system_fingerprint)
    )
    if tier is None and fingerprint is None:
        return False
    events.append(AnswerDescribed(tier, fingerprint))
    return True


_REASONS: dict[str, Reason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",  # Mistral's, for its window
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


# What servers say where an answer broke off: vLLM, OpenRouter and Mistral, DeepSeek.
_FAILURES = frozenset({"abort", "error", "insufficient_system_resource"})


class _Answer:
    """All choices of one answer."""

    __slots__ = ("_choices", "_expected", "_outputs", "_reports_cost", "_usage")

    def __init__(self, choices: int, *, reports_cost: bool) -> None:
        self._reports_cost = reports_cost
        self._expected = choices
        self._choices: dict[int, _ChoiceState] = {}
        self._outputs = 0
        self._usage: Usage | None = None

    @property
    def is_finished(self) -> bool:
        return len(self._choices) >= self._expected and all(
            choice.reason is not None for choice in self._choices.values()
        )

    def take(self, chunk: _Chunk, events: list[Event]) -> None:
        if chunk.error is not None:
            raise _failure("the provider reports an error inside its answer", chunk.error)
        if chunk.usage is not None:
            self._usage = read_chat_usage(chunk.usage, reports_cost=self._reports_cost) or self._usage
        for choice in chunk.choices or ():
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = _ChoiceState(choice.index)
            words = choice.delta or choice.message
            if words is not None and state.reason is None:
                self._take_words(state, words, choice.logprobs, events)
            if choice.finish_reason is not None and state.reason is None:
                if chunk.x_groq is not None and chunk.x_groq.usage is not None:
                    said = chunk.x_groq.usage
                    self._usage = read_chat_usage(said, reports_cost=self._reports_cost) or self._usage
                if choice.error is not None:  # OpenRouter's
                    raise _failure("the provider reports an error with its answer", choice.error)
                self._finish(state, choice.finish_reason, events)

    def end(self) -> list[Event]:
        if not self.is_finished:
            raise ProviderError("the answer ended before all of its choices did")
        events: list[Event] = []
        if self._usage is not None:
            events.append(UsageReported(self._usage))
        events.append(turn_end([state.reason for state in self._choices.values()]))
        return events

    def _take_words(
        self, state: _ChoiceState, words: _Words, logprobs: dict[str, Any] | None, events: list[Event]
    ) -> None:
        thought = words.reasoning_content or words.reasoning
        if thought and isinstance(thought, str):
            self._think(state, thought, events)
        content = words.content
        if content:
            if not isinstance(content, str):
                content = self._take_parts(state, content, events)
            if content:
                if state.open_kind != "message":
                    self._open_message(state, events)
                tokens = None if logprobs is None else cast("list[Any] | None", logprobs.get("content"))
                events.append(TextDelta(state.open_output, content, tokens))
        if words.refusal:
            if state.open_kind != "message":
                self._open_message(state, events)
            tokens = None if logprobs is None else cast("list[Any] | None", logprobs.get("refusal"))
            events.append(RefusalDelta(state.open_output, words.refusal, tokens))
        if words.annotations:
            self._annotate(state, words.annotations, events)
        for position, call in enumerate(words.tool_calls or ()):
            self._take_call(state, call, position if call.index is None else call.index, events)

    def _annotate(self, state: _ChoiceState, said: Any, events: list[Event]) -> None:
        """Tell what the message rests on. What comes after its end comes too late: its words are whole without it."""
        new = state.annotations.new_in(said)
        if new and state.open_kind != "message" and not state.calls:
            self._open_message(state, events)
        if state.open_kind == "message":
            events.extend(AnnotationAdded(state.open_output, each) for each in new)

    def _take_parts(self, state: _ChoiceState, parts: list[_Part], events: list[Event]) -> str:
        """Tell the thoughts among parts, and return their words."""
        words: list[str] = []
        for part in parts:
            if part.type == "text":
                words.append(part.text or "")
            elif part.type == "thinking":
                thought = "".join(each.text or "" for each in part.thinking or ())
                if thought:
                    self._think(state, thought, events)
            elif part.type != "reference":  # a citation: the words are whole without it
                raise ProviderError(f"the answer has a part of a type that cannot be told: {part.type[:1000]!r}")
        return "".join(words)

    def _think(self, state: _ChoiceState, thought: str, events: list[Event]) -> None:
        if state.open_kind != "reasoning":
            self._close(state, events)
            state.open_kind, state.open_output = "reasoning", self._next_output()
            events.append(ReasoningStarted(state.open_output, new_id("rs_"), state.index))
        events.append(ReasoningDelta(state.open_output, thought))

    def _open_message(self, state: _ChoiceState, events: list[Event]) -> None:
        self._close(state, events)
        state.open_kind, state.open_output = "message", self._next_output()
        events.append(MessageStarted(state.open_output, new_id("msg_"), state.index))

    def _take_call(self, state: _ChoiceState, call: _CallDelta, index: int, events: list[Event]) -> None:
        inner = call.function or call.custom or _Function()
        output = state.calls.get(index)
        if output is None:
            if not inner.name:
                raise ProviderError("a tool call of the answer has no name")
            self._close(state, events)
            output = state.calls[index] = self._next_output()
            kind = "custom" if call.custom is not None else "function"
            prefix = "fc_" if kind == "function" else "ctc_"
            call_id = call.id or new_id("call_")
            events.append(ToolCallStarted(output, new_id(prefix), call_id, inner.name, kind, state.index))
        text = inner.arguments or inner.input
        if text:
            events.append(ToolArgumentsDelta(output, text))

    def _finish(self, state: _ChoiceState, said: str, events: list[Event]) -> None:
        if said in _FAILURES:
            raise ProviderError(f"the provider broke its answer off: {said}")
        reason = _REASONS.get(said, "stop")
        if reason in ("stop", "tool_calls"):  # what was cut short stays open: it is not whole
            self._close(state, events)
            events.extend(ItemFinished(output) for output in state.calls.values())
        state.reason = "tool_calls" if state.calls and reason == "stop" else reason
        events.append(ChoiceFinished(state.index, state.reason))

    def _close(self, state: _ChoiceState, events: list[Event]) -> None:
        if state.open_kind is not None:
            events.append(ItemFinished(state.open_output))
            state.open_kind = None

    def _next_output(self) -> int:
        self._outputs += 1
        return self._outputs - 1


class _ChoiceState:
    __slots__ = ("annotations", "calls", "index", "open_kind", "open_output", "reason")

    def __init__(self, index: int) -> None:
        self.index = index
        self.open_kind: Literal["reasoning", "message"] | None = None
        self.open_output = 0
        self.annotations = Annotations()
        self.calls: dict[int, int] = {}
        self.reason: Reason | None = None


# What a server would have said with a 429 or a 503 before its answer began; OpenRouter's codes are statuses.
_BUSY = frozenset(
    {429, 503, 529, "429", "503", "overloaded", "overloaded_error", "rate_limit_exceeded", "server_overloaded"}
)


def _failure(what: str, error: Any) -> ProviderError:
    """The error's code or type is told, cut short: its message may quote the caller's text."""
    if not isinstance(error, dict):
        return ProviderError(f"{what}: {type(error).__name__}")
    fields = cast("dict[str, Any]", error)
    code: Any = fields.get("code") or fields.get("type")
    reason = f"{what}: {json.dumps(code)[:1000]}"
    if isinstance(code, str | int) and code in _BUSY:
        return ProviderError(reason, status=503, code="provider_busy")
    return ProviderError(reason)
