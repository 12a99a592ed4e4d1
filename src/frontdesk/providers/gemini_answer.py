"""The Gemini dialect's answers: bytes of generateContent and streamGenerateContent become events.

A stream is a list of the same objects that a whole body is one of. The decoder is a state per candidate:

    nothing ──► thoughts? ──► words? ──► calls* ──► …  any of them again
                  an item ends where the next begins, or where a signature stands on it

Nothing but a `finishReason` says that a candidate is whole. Some models send one with every chunk, so the end of the
bytes is the end of the answer, once every candidate gave one; before that it is a broken answer. Parts that cannot
be told (pictures, code that ran) are an error, never left out.
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeAlias, cast

import msgspec

from frontdesk.core.errors import ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.bodies import StreamDecoder
from frontdesk.providers.endings import Reason, turn_end
from frontdesk.providers.gemini_errors import failure_of
from frontdesk.providers.gemini_seals import Signature, sealed
from frontdesk.providers.gemini_sources import sources_in
from frontdesk.providers.gemini_usage import read_gemini_usage
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
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)

_Fields: TypeAlias = dict[str, Any]


class Asked(msgspec.Struct, frozen=True):
    """What an answer is read with. `custom` are tools whose calls are told as text; `names` those that tools have where
    Gemini calls them otherwise; `seals` whether to tell signatures, which `model` alone reads; `tier` what its head
    says of the service.
    """

    model: str
    choices: int = 1
    custom: frozenset[str] = frozenset()
    names: dict[str, str] = {}
    seals: bool = False
    tier: str | None = None


# --- what is read -------------------------------------------------------------------------------


class _Content(msgspec.Struct, gc=False):
    parts: list[_Fields] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: int | None = None
    content: _Content | None = None
    finish_reason: str | None = None
    logprobs_result: Any = None
    grounding_metadata: Any = None
    citation_metadata: Any = None
    url_context_metadata: Any = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: _Fields | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class GeminiStreamDecoder(StreamDecoder):
    """Decodes a stream of streamGenerateContent with `alt=sse`."""

    __slots__ = ("_answer",)

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._answer = _Answer(asked)

    def _take(self, payload: bytes, events: list[Event]) -> None:
        self._answer.take(_decode_chunk(payload), events)

    def _end(self, events: list[Event]) -> None:
        self._answer.end(events)
        self.is_done = True


def decode_gemini(body: bytes, asked: Asked) -> list[Event]:
    """Return the events of a whole body. Raises ProviderError, or BadRequest where it blames the prompt."""
    answer = _Answer(asked)
    events: list[Event] = []
    try:
        answer.take(_decode_chunk(body), events)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"the body cannot be read: {type(error).__name__}") from None
    answer.end(events)
    return events


# --- what becomes of it -------------------------------------------------------------------------

_REASONS: dict[str, Reason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the most that one request may be; what goes on from there is another
    **dict.fromkeys(
        (
            "BLOCKLIST",
            "ESCALATION",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "IMAGE_SAFETY",
            "LANGUAGE",
            "MODEL_ARMOR",
            "PROHIBITED_CONTENT",
            "RECITATION",
            "SAFETY",
            "SPII",
        ),
        "content_filter",
    ),
}
"""All other reasons say that the model failed, and another may not: MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL,
MISSING_THOUGHT_SIGNATURE, OTHER, …
"""


class _Answer:
    """All candidates of one answer."""

    __slots__ = ("_asked", "_is_blocked", "_outputs", "_states", "_tier", "_usage")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._states: dict[int, _State] = {}
        self._outputs = 0
        self._usage: _Fields = {}
        self._is_blocked = False
        self._tier = asked.tier  # until it was told

    def take(self, chunk: _Chunk, events: list[Event]) -> None:
        """Add what a chunk says. Raises ProviderError or BadRequest; what was added stands."""
        if chunk.error is not None:
            raise failure_of(chunk.error)
        if self._tier is not None:
            events.append(AnswerDescribed(service_tier=self._tier))
            self._tier = None
        if chunk.usage_metadata:
            self._usage = chunk.usage_metadata  # of all so far: only the last one is read
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None:
            self._is_blocked = True
        for candidate in chunk.candidates or ():
            index = candidate.index or 0
            state = self._states.get(index)
            if state is None:
                state = self._states[index] = _State(index)
            self._take_candidate(state, candidate, events)

    def end(self, events: list[Event]) -> None:
        """Add the end. Raises ProviderError where the answer is not whole."""
        states = self._states
        if self._is_blocked:
            for index in range(self._asked.choices):
                states.setdefault(index, _State(index))
        has_all = states.keys() >= set(range(self._asked.choices))
        if not has_all or not all(state.reason or self._is_blocked for state in states.values()):
            raise ProviderError("the answer ended before all of its candidates did")
        reasons: list[Reason] = [self._end_candidate(states[index], events) for index in sorted(states)]
        usage = read_gemini_usage(self._usage)
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(turn_end(reasons))

    def _take_candidate(self, state: _State, candidate: _Candidate, events: list[Event]) -> None:
        said = (candidate.grounding_metadata, candidate.citation_metadata, candidate.url_context_metadata)
        state.sources += [metadata for metadata in said if isinstance(metadata, dict)]
        logprobs = None if candidate.logprobs_result is None else _logprobs(candidate.logprobs_result)
        for part in (candidate.content and candidate.content.parts) or ():
            told = len(events)
            self._take_part(state, part, logprobs, events)
            if logprobs is not None and any(type(event) is TextDelta for event in events[told:]):
                logprobs = None  # of the chunk's words, which are one part
        if candidate.finish_reason not in (None, "FINISH_REASON_UNSPECIFIED"):
            reason = _REASONS.get(candidate.finish_reason)
            if reason is None:
                raise ProviderError(f"the provider broke its answer off: {candidate.finish_reason[:80]}")
            state.reason = reason

    def _take_part(self, state: _State, part: _Fields, logprobs: list[_Fields] | None, events: list[Event]) -> None:
        kinds = [name for name, value in part.items() if value is not None and name not in _BESIDE]
        seal = part.get("thoughtSignature")
        signature = seal if isinstance(seal, str) and seal and self._asked.seals else None
        match kinds, part:
            case ["functionCall"], {"functionCall": dict()}:
                self._take_call(state, cast("_Fields", part["functionCall"]), signature, events)
            case ["text"], {"text": str() as text, "thought": True}:
                self._think(state, text, events)
            case ["text"], {"text": str() as text}:
                self._say(state, text, signature, logprobs, events)
            case [], _:
                self._say(state, "", signature, None, events)
            case _:
                raise ProviderError(f"the answer has a part that cannot be told: {', '.join(kinds)[:80]}")

    def _think(self, state: _State, text: str, events: list[Event]) -> None:
        if not text:
            return
        if state.open_kind != "thoughts":
            self._open(state, "thoughts", events)
            events.append(ReasoningStarted(state.open_output, new_id("rs_"), state.index))
            events.append(ReasoningSummaryStarted(state.open_output))
        events.append(ReasoningSummaryDelta(state.open_output, text))

    def _say(
        self, state: _State, text: str, signature: str | None, logprobs: list[_Fields] | None, events: list[Event]
    ) -> None:
        if text:
            if state.open_kind != "message":
                self._open(state, "message", events)
                events.append(MessageStarted(state.open_output, new_id("msg_"), state.index))
            state.texts.append(text)
            events.append(TextDelta(state.open_output, text, logprobs))
        if signature is not None:
            self._close(state, events)
            self._seal(state, Signature(signature, self._asked.model, "text", len(text)), events)

    def _take_call(self, state: _State, call: _Fields, signature: str | None, events: list[Event]) -> None:
        name, arguments = call.get("name"), call.get("args")
        if not isinstance(name, str) or not name:
            raise ProviderError("a call of the answer has no name")
        if call.get("partialArgs") or call.get("willContinue"):
            raise ProviderError("a call of the answer comes in pieces, which was not asked for")
        if signature is not None:
            self._seal(state, Signature(signature, self._asked.model), events)
        self._close(state, events)
        name = self._asked.names.get(name, name)
        is_custom = name in self._asked.custom
        output, call_id = self._next_output(), call.get("id")
        item_id = new_id("ctc_" if is_custom else "fc_")
        kind = "custom" if is_custom else "function"
        called = call_id if isinstance(call_id, str) and call_id else new_id("call_")
        events.append(ToolCallStarted(output, item_id, called, name, kind, state.index))
        text = _text_of(arguments, is_custom=is_custom)
        if text:
            events.append(ToolArgumentsDelta(output, text))
        events.append(ItemFinished(output))
        state.has_calls = True

    def _seal(self, state: _State, signature: Signature, events: list[Event]) -> None:
        """Tell a signature as the seal of the thoughts before it; those that were not told have an item for it."""
        if state.open_kind != "thoughts":
            self._open(state, "thoughts", events)
            events.append(ReasoningStarted(state.open_output, new_id("rs_"), state.index))
        events.append(ReasoningEncrypted(state.open_output, sealed(signature)))
        self._close(state, events)

    def _open(self, state: _State, kind: Literal["thoughts", "message"], events: list[Event]) -> None:
        self._close(state, events)
        state.open_kind, state.open_output = kind, self._next_output()

    def _close(self, state: _State, events: list[Event]) -> None:
        if state.open_kind == "message":
            self._tell_sources(state, events)
        if state.open_kind is not None:
            events.append(ItemFinished(state.open_output))
            state.open_kind = None

    def _tell_sources(self, state: _State, events: list[Event]) -> None:
        """Tell what a message rests on. What comes when it has ended is left out: the text is whole without."""
        if state.sources:
            sources = sources_in("".join(state.texts), state.sources)
            events.extend(AnnotationAdded(state.open_output, source) for source in sources)
        state.sources, state.texts = [], []

    def _end_candidate(self, state: _State, events: list[Event]) -> Reason:
        reason = state.reason or "content_filter"
        if reason == "stop":
            self._close(state, events)
            reason = "tool_calls" if state.has_calls else reason
        elif state.open_kind == "message":  # what was cut short stays open: it is not whole
            self._tell_sources(state, events)
        events.append(ChoiceFinished(state.index, reason))
        return reason

    def _next_output(self) -> int:
        self._outputs += 1
        return self._outputs - 1


# What a part says of another thing than what it holds.
_BESIDE = frozenset({"mediaProcessing", "mediaResolution", "partMetadata", "thought", "thoughtSignature"})


class _State:
    __slots__ = ("has_calls", "index", "open_kind", "open_output", "reason", "sources", "texts")

    def __init__(self, index: int) -> None:
        self.index = index
        self.open_kind: Literal["thoughts", "message"] | None = None
        self.open_output = 0
        self.texts: list[str] = []  # of the open message
        self.sources: list[_Fields] = []
        self.has_calls = False
        self.reason: Reason | None = None


def _text_of(arguments: Any, *, is_custom: bool) -> str:
    """A call's arguments as text. A whole number may be longer than msgspec writes."""
    match arguments:
        case {"input": str() as text} if is_custom and len(cast("_Fields", arguments)) == 1:
            return text
        case _:
            return json.dumps({} if arguments is None else arguments, ensure_ascii=False, separators=(",", ":"))


# --- log probabilities --------------------------------------------------------------------------


class _Likely(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Candidates(msgspec.Struct):
    candidates: list[_Likely] = []


class _LogprobsResult(msgspec.Struct, rename="camel"):
    chosen_candidates: list[_Likely] = []
    top_candidates: list[_Candidates] = []


def _logprobs(said: Any) -> list[_Fields] | None:
    """Log probabilities in OpenAI's shape; None where they cannot be read: an answer does not fail for statistics."""
    try:
        result = msgspec.convert(said, _LogprobsResult)
    except msgspec.ValidationError:
        return None
    tops = [[_likely(each) for each in step.candidates] for step in result.top_candidates]
    return [
        {**_likely(chosen), "top_logprobs": tops[place] if place < len(tops) else []}
        for place, chosen in enumerate(result.chosen_candidates)
    ]


def _likely(token: _Likely) -> _Fields:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}
