"""An answer of Gemini's API: events made into responses, each with more parts, as a stream or put together to one.

A stream is server-sent events, or one JSON list where these were not asked for. Texts leave as they come. A call
of a function leaves whole, and the first one is signed; so is the end of a text that was thought about.
"""

from __future__ import annotations

import base64
import re
from array import array
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.core.ids import new_id
from frontdesk.providers.scripts import Outcome
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    ChoiceFinished,
    EmbeddingsProduced,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Image, Message, Prompt, Request
from frontdesk.upstream.frames import frame
from frontdesk.upstream.gemini_request import EmbedRequest, GenerateRequest

_encode = msgspec.json.Encoder().encode
_IMAGE_TOKENS = 85
_LINE_END = re.compile(rb"\r?\n")
_Payload = dict[str, Any]
_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
_BLOCKED = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}


class GeminiAnswer:
    """The answer to one request for content."""

    def __init__(self, asked: GenerateRequest, model: str, framing: Literal["events", "list", "body"]) -> None:
        self.request: Request = asked.prompt
        self.model = model
        self.is_streaming = framing != "body"
        self.content_type = "text/event-stream" if framing == "events" else "application/json; charset=UTF-8"
        self.tells_usage: Literal["always"] = "always"
        self._asked = asked
        self._is_list = framing == "list"
        self._has_begun = False
        self._is_over = False
        self._usage: Usage | None = None
        self._choices = [_Candidate(index, asked) for index in range(asked.prompt.choices)]
        self._outputs: dict[int, _Candidate] = {}
        self._response_id = base64.urlsafe_b64encode(new_id("").encode()[-18:]).decode()

    def begin(self, script: str, outcome: Outcome) -> None:  # noqa: ARG002 - nothing depends on what it came to
        """Be told which script plays: one that thinks wants its signatures back, as Gemini 3 does."""
        if script.startswith("thinking") and self._asked.unsigned is not None:
            raise BadRequest(
                f"Function call is missing a thought_signature in functionCall parts: `{self._asked.unsigned}`. Send"
                " the part back as it was received.",
                param="contents",
            )

    def counted(self, usage: Usage) -> Usage:
        """Return the usage as it is: nothing is cached."""
        return usage

    def render(self, events: list[Event]) -> bytes:
        """Return the server-sent event of these, if there is anything to say."""
        payload = self._payload(events)
        return b"" if payload is None else frame(payload)

    def in_transit(self, frames: bytes) -> bytes:
        """Return the events with Google's ends of lines, or as elements of the list that was asked for."""
        if not self._is_list:
            return _LINE_END.sub(b"\r\n", frames)
        elements = [
            line.removeprefix(b"data: ") for line in _LINE_END.split(frames) if line and not line.startswith(b":")
        ]
        opened = b"" if self._has_begun or not elements else b"["
        between = b",\r\n" if self._has_begun and elements else b""
        self._has_begun = self._has_begun or bool(elements)
        closed = b"]" if self._is_over else b""
        return between + opened + b",\r\n".join(elements) + closed

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole response."""
        return _encode(self._payload(events))

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:
        """Return the error, or a candidate that came to nothing."""
        self._is_over = True
        payload: _Payload = {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}
        if kind == "failed":
            prompt = self._asked.prompt
            reason = "MALFORMED_FUNCTION_CALL" if prompt.tools else "OTHER"
            failed: _Payload = {"content": {}, "finishReason": reason, "finishMessage": message, "index": 0}
            payload = self._response([failed])
        return frame(payload) if self.is_streaming else _encode(payload)

    def without_finish(self, payload: _Payload) -> _Payload | None:
        """Return the payload without any `finishReason`."""
        candidates = [
            {name: value for name, value in candidate.items() if name != "finishReason"}
            for candidate in payload.get("candidates", [])
        ]
        return {**payload, "candidates": candidates}

    # --- events ---------------------------------------------------------------------------------

    def _payload(self, events: list[Event]) -> _Payload | None:
        for event in events:
            self._take(event)
        candidates = [told for candidate in self._choices for told in candidate.told()]
        blocked = [candidate for candidate in self._choices if candidate.is_blocked]
        if blocked and not candidates:
            blocked[0].is_blocked = False
            return self._response(None)
        return self._response(candidates) if candidates else None

    def _take(self, event: Event) -> None:
        match event:
            case MessageStarted() | ReasoningStarted() | ToolCallStarted():
                candidate = self._outputs[event.output] = self._choices[event.choice]
                if isinstance(event, ToolCallStarted):
                    candidate.call(event.call_id, event.name)
            case TextDelta():
                self._outputs[event.output].say(event.text, event.logprobs)
            case RefusalDelta():
                self._outputs[event.output].say(event.text, None)
            case ReasoningDelta() | ReasoningSummaryDelta():
                self._outputs[event.output].think(event.text)
            case ReasoningEncrypted():
                self._outputs[event.output].seal(event.content)
            case ToolArgumentsDelta():
                self._outputs[event.output].argue(event.text)
            case ItemFinished():
                self._outputs[event.output].finish_item()
            case ChoiceFinished():
                self._choices[event.choice].finish(event.reason)
            case UsageReported():
                self._usage = event.usage
            case _:
                self._is_over = self._is_over or type(event) in TERMINAL_TYPES

    def _response(self, candidates: list[_Payload] | None) -> _Payload:
        payload: _Payload = {}
        if candidates is None:
            payload["promptFeedback"] = {"blockReason": "SAFETY", "safetyRatings": [_BLOCKED]}
        else:
            payload["candidates"] = candidates
        if self._usage is not None:
            payload["usageMetadata"] = self._usage_metadata(self._usage)
            self._usage = None
        return {**payload, "modelVersion": self.model, "responseId": self._response_id}

    def _usage_metadata(self, usage: Usage) -> _Payload:
        """The usage as Google tells it: thoughts stand beside the output, and what is nothing is left out."""
        thought, cached = usage.reasoning_tokens or 0, usage.cached_tokens or 0
        metadata: _Payload = {
            "promptTokenCount": usage.input_tokens,
            "candidatesTokenCount": usage.output_tokens - thought,
            "totalTokenCount": usage.input_tokens + usage.output_tokens,
            "promptTokensDetails": modalities(self._asked.prompt, usage.input_tokens),
        }
        if cached:
            metadata["cachedContentTokenCount"] = cached
            metadata["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
        if thought:
            metadata["thoughtsTokenCount"] = thought
        return metadata


class _Candidate:
    """One answer of those asked for: what it has said since it was last told."""

    def __init__(self, index: int, asked: GenerateRequest) -> None:
        self._index = index
        self._asked = asked
        self._parts: list[_Payload] = []
        self._call: _Payload | None = None
        self._arguments: list[str] = []
        self._signature: str | None = None
        self._has_called = False
        self._has_said = False
        self._text: list[str] = []
        self._chosen: list[_Payload] = []
        self._tops: list[_Payload] = []
        self._logprobs: list[float] = []
        self._reason: str | None = None
        self.is_blocked = False

    def say(self, text: str, logprobs: list[Any] | None) -> None:
        self._has_said = True
        text = text.replace('"', "") if self._asked.is_plain else text
        self._text.append(text)
        self._add("text", text)
        for logprob in logprobs or ():
            self._chosen.append(_logprob(logprob))
            self._logprobs.append(logprob["logprob"])
            if logprob["top_logprobs"]:
                self._tops.append({"candidates": [_logprob(each) for each in logprob["top_logprobs"]]})

    def think(self, text: str) -> None:
        self._has_said = True
        if self._asked.shows_thoughts:
            self._add("thought", text)

    def seal(self, signature: str) -> None:
        self._signature = signature

    def call(self, call_id: str, name: str) -> None:
        self._call = {"name": name, "args": {}, "id": call_id}
        self._arguments = []

    def argue(self, text: str) -> None:
        self._has_said = True
        self._arguments.append(text)

    def finish_item(self) -> None:
        if self._call is None:
            return
        part: _Payload = {"functionCall": {**self._call, "args": msgspec.json.decode("".join(self._arguments))}}
        if not self._has_called:
            part["thoughtSignature"] = self._signature or base64.b64encode(self._call["name"].encode()).decode()
            self._signature = None
        self._has_called = True
        self._parts.append(part)
        self._call = None

    def finish(self, reason: str) -> None:
        self._reason = _REASONS.get(reason, "STOP")
        self.is_blocked = self._reason == "SAFETY" and not self._has_said
        if self._signature is not None and not self.is_blocked:
            self._parts.append({"text": "", "thoughtSignature": self._signature})

    def told(self) -> Iterator[_Payload]:
        """Yield what is to be told now, if anything."""
        if self.is_blocked or not (self._parts or self._reason):
            return
        parts = self._parts or ([{"text": ""}] if self._reason == "STOP" else [])
        candidate: _Payload = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}}
        if self._reason is not None:
            candidate["finishReason"] = self._reason
            if self._reason == "SAFETY":
                candidate["safetyRatings"] = [_BLOCKED]
            if self._logprobs:
                candidate["avgLogprobs"] = sum(self._logprobs) / len(self._logprobs)
            if self._asked.searches and self._text:
                candidate["groundingMetadata"] = _grounding(self._asked.prompt, "".join(self._text))
        if self._chosen:
            result: _Payload = {"chosenCandidates": self._chosen}
            candidate["logprobsResult"] = {"topCandidates": self._tops, **result} if self._tops else result
        self._parts, self._reason, self._chosen, self._tops = [], None, [], []
        yield {**candidate, "index": self._index}

    def _add(self, kind: Literal["text", "thought"], text: str) -> None:
        """Add to the text that is being said, or begin one."""
        is_thought = kind == "thought"
        last = self._parts[-1] if self._parts else {}
        if "text" in last and last.get("thought", False) == is_thought:
            last["text"] += text
        else:
            self._parts.append({"text": text, "thought": True} if is_thought else {"text": text})


class EmbedAnswer:
    """The answer to a request for vectors."""

    def __init__(self, asked: EmbedRequest, model: str) -> None:
        self.request: Request = asked.request
        self.model = model
        self.is_streaming = False
        self.content_type = "application/json; charset=UTF-8"
        self.tells_usage: Literal["last"] = "last"
        self._is_batch = asked.is_batch

    def begin(self, script: str, outcome: Outcome) -> None:
        """Nothing depends on it."""

    def counted(self, usage: Usage) -> Usage:
        """Return the usage as it is."""
        return usage

    def render(self, events: list[Event]) -> bytes:
        """Never asked for: vectors do not stream."""
        raise AssertionError(events)

    def in_transit(self, frames: bytes) -> bytes:
        """Never asked for."""
        raise AssertionError(frames)

    def render_body(self, events: list[Event]) -> bytes:
        """Return the vectors."""
        body: _Payload = {}
        for event in events:
            if isinstance(event, EmbeddingsProduced):
                vectors = [{"values": array("f", vector).tolist()} for vector in event.vectors]
                body["embeddings" if self._is_batch else "embedding"] = vectors if self._is_batch else vectors[0]
            elif isinstance(event, UsageReported):
                tokens = event.usage.input_tokens
                details = [{"modality": "TEXT", "tokenCount": tokens}]
                body["usageMetadata"] = {"promptTokenCount": tokens, "promptTokensDetails": details}
        return _encode(body)

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:  # noqa: ARG002 - it has one way
        """Return the error."""
        return _encode({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}})

    def without_finish(self, payload: _Payload) -> _Payload | None:
        """Return the payload: it has no such word."""
        return payload


def modalities(prompt: Prompt, tokens: int) -> list[_Payload]:
    """Return what tokens of a prompt are pictures, and what texts."""
    contents = [item.content for item in prompt.items if isinstance(item, Message)]
    pictures = sum(isinstance(part, Image) for content in contents for part in content)
    seen = min(max(0, tokens), pictures * _IMAGE_TOKENS)
    details = [{"modality": "TEXT", "tokenCount": tokens - seen}]
    return [*details, {"modality": "IMAGE", "tokenCount": seen}] if seen else details


def _logprob(logprob: _Payload) -> _Payload:
    return {"token": logprob["token"], "logProbability": logprob["logprob"]}


def _grounding(prompt: Prompt, text: str) -> _Payload:
    """What a search found that never took place; places in a text are counted in its bytes."""
    asked = [item.content for item in prompt.items if isinstance(item, Message) and isinstance(item.content, str)]
    return {
        "webSearchQueries": asked[-1:],
        "searchEntryPoint": {"renderedContent": "<div></div>"},
        "groundingChunks": [{"web": {"uri": "https://example.com/found", "title": "example.com"}}],
        "groundingSupports": [
            {"segment": {"endIndex": len(text.encode()), "text": text}, "groundingChunkIndices": [0]},
        ],
    }
