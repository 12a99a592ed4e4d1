"""OpenAI's dialect: Chat Completions, Responses, Embeddings and Models.

Shapes: OpenAI API reference (2026-08-21). The wire's own readers and renderers do the work. A provider
takes more than Frontdesk's doors do, so what no script heeds is put aside before they read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, Protocol, cast
from urllib.parse import unquote

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, NotFound, ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.scripts import Outcome, script_names
from frontdesk.turn.events import TERMINAL_TYPES, AnswerDescribed, Event, Usage, UsageReported
from frontdesk.turn.items import EmbeddingRequest, Prompt, Request
from frontdesk.turn.turn import Caller, Door, Turn
from frontdesk.upstream.dialects import Answer, Asked, Reply
from frontdesk.upstream.frames import each_payload, frame, named_frame
from frontdesk.upstream.openai_media import read_media
from frontdesk.wire import openai_chat_render, openai_responses_answer
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_chat_render import ChatBody, ChatStream
from frontdesk.wire.openai_embeddings import EmbeddingsBody, read_embeddings
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesStream
from frontdesk.wire.reading import read_object

_encode = msgspec.json.Encoder().encode
_MAX_CHOICES = 128
_MODELS = "/v1/models"
_FINGERPRINT = "fp_scripted"


class OpenAIDialect:
    """What OpenAI and the servers that follow it understand, under /v1."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def claims(self, asked: Asked) -> bool:  # noqa: ARG002 - the same for all
        """Whether a request is OpenAI's: what is nobody else's is."""
        return True

    def read(self, asked: Asked) -> Answer | Reply:
        """Return what is asked; raises NotFound where the path is not ours."""
        path = asked.path
        media = read_media(asked, self._clock)
        if media is not None:
            return media
        match asked.method, path:
            case "POST", "/v1/chat/completions":
                return self.read_chat(read_object(asked.body))
            case "POST", "/v1/responses":
                return self.read_responses(read_object(asked.body))
            case "POST", "/v1/embeddings":
                return self.read_embeddings(read_object(asked.body))
            case "GET", "/v1/models":
                return self._told({"object": "list", "data": [_model(name) for name in script_names()]})
            case "GET", _ if path.startswith(f"{_MODELS}/"):
                return self._told(_model(unquote(path.removeprefix(f"{_MODELS}/"))))
            case _:
                raise NotFound(f"Invalid URL ({asked.method} {path})")

    def refusal(
        self, status: int, message: str, code: str | None, param: str | None, retry_after_s: float | None = None
    ) -> Reply:
        """Return OpenAI's error."""
        error = {"message": message, "type": _error_type(status), "param": param, "code": code}
        headers = dict(self.headers(status))
        if retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(retry_after_s))
        return Reply(status, _encode({"error": error}), headers)

    def headers(self, status: int) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Return what OpenAI tells with every answer."""
        return {"x-request-id": new_id("req_"), "openai-version": "2020-10-01", "openai-processing-ms": "1"}

    def key_of(self, asked: Asked) -> str | None:
        """Return the bearer's token."""
        return bearer(asked.headers)

    def unauthenticated(self, key: str | None) -> Reply:
        """Return what OpenAI answers to a missing or wrong key."""
        if not key:
            return self.refusal(
                401, "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.", None, None
            )
        shown = f"{key[:3]}***{key[-4:]}" if len(key) > 12 else "***"
        return self.refusal(401, f"Incorrect API key provided: {shown}.", "invalid_api_key", None)

    def read_chat(self, raw: dict[str, Any]) -> OpenAIAnswer:
        """Return what a body of Chat Completions asks."""
        heeded = _heeded(raw, _CHAT_FIELDS)
        if "messages" in heeded:
            heeded["messages"] = _with_sounds(heeded["messages"])
        read = read_chat(_encode(heeded))
        prompt = msgspec.structs.replace(read.prompt, choices=_choices(raw))
        turn = self._turn("chat", raw, prompt)
        stream = (
            ChatStream(turn, includes_usage=read.includes_usage, obfuscates=_obfuscates(raw)) if prompt.stream else None
        )
        return OpenAIAnswer("chat", turn.model, prompt, stream, ChatBody(turn))

    def read_responses(self, raw: dict[str, Any]) -> OpenAIAnswer:
        """Return what a body of Responses asks."""
        heeded = _heeded(raw, _RESPONSES_FIELDS)
        if not heeded.get("input") and any(raw.get(name) for name in _EARLIER):
            heeded["input"] = ""  # what is meant lies with the provider
        if isinstance(items := heeded.get("input"), list):
            heeded["input"] = [item for item in cast("list[Any]", items) if not _is_reference(item)]
        reasoning = _object(raw, "reasoning")
        heeded["reasoning"] = {"effort": reasoning.get("effort")}
        include = frozenset(str(name) for name in cast("list[Any]", raw.get("include") or ()))
        read = read_responses(_encode(heeded))
        prompt = msgspec.structs.replace(
            read.prompt,
            include=include,
            reasoning_summary=reasoning.get("summary") or reasoning.get("generate_summary"),
            parameters={**read.prompt.parameters, "top_logprobs": raw.get("top_logprobs")},
        )
        turn = self._turn("responses", raw, prompt)
        echo = {**read.echo, "store": True, **{name: raw[name] for name in _ECHOED if raw.get(name) is not None}}
        if reasoning:
            echo["reasoning"] = {"effort": reasoning.get("effort"), "summary": prompt.reasoning_summary}
        facts = ResponseTurnFacts(turn, echo)
        stream = ResponsesStream(facts, obfuscates=_obfuscates(raw)) if prompt.stream else None
        return OpenAIAnswer("responses", turn.model, prompt, stream, ResponsesBody(facts))

    def read_embeddings(self, raw: dict[str, Any]) -> OpenAIAnswer:
        """Return what a body of Embeddings asks."""
        heeded = _heeded(raw, _EMBEDDINGS_FIELDS)
        if raw.get("output_dimension") is not None:
            heeded["dimensions"] = raw["output_dimension"]  # as Mistral calls it
        read = read_embeddings(_encode(heeded))
        turn = self._turn("embeddings", raw, read.request)
        return OpenAIAnswer(
            "embeddings", turn.model, read.request, None, EmbeddingsBody(turn, is_base64=read.is_base64)
        )

    def _told(self, body: Any) -> Reply:
        return Reply(200, _encode(body), self.headers(200))

    def _turn(self, door: Door, raw: dict[str, Any], request: Request) -> Turn:
        model = raw.get("model")
        if not isinstance(model, str) or not model:
            raise BadRequest("you must provide a model parameter", code="missing_required_parameter", param="model")
        turn = Turn(door, Caller("server", "upstream", None, None), model, request, self._clock)
        turn.finished_at = turn.started_at  # as far as anybody is told
        return turn


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of an `Authorization: Bearer`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


# --- what is read -------------------------------------------------------------------------------

_COMMON = ("model", "stream", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p", "top_logprobs")
_CHAT_FIELDS = (
    *_COMMON,
    "messages",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "stop",
    "seed",
    "logprobs",
)
_RESPONSES_FIELDS = (*_COMMON, "input", "instructions", "max_output_tokens", "text")
_EMBEDDINGS_FIELDS = ("input", "model", "dimensions", "encoding_format")
_EARLIER = ("previous_response_id", "conversation", "prompt")
# Repeated in a Response as they came, though no script heeds them.
_ECHOED = (
    "background",
    "max_tool_calls",
    "metadata",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "safety_identifier",
    "store",
    "tool_choice",
    "tools",
    "truncation",
    "user",
)
_CALLED_TOOLS = frozenset({"function", "custom"})
_CALLED_CHOICES = frozenset({"function", "custom", "allowed_tools"})


def _heeded(raw: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    fields = {name: raw[name] for name in names if raw.get(name) is not None}
    if isinstance(tools := fields.get("tools"), list):
        fields["tools"] = [tool for tool in cast("list[Any]", tools) if _kind(tool) in _CALLED_TOOLS]
    if isinstance(fields.get("tool_choice"), dict) and _kind(fields["tool_choice"]) not in _CALLED_CHOICES:
        del fields["tool_choice"]  # a tool that the provider runs: none of ours
    return fields


def _with_sounds(messages: Any) -> Any:
    """Messages with their sounds as OpenAI spells them: Mistral's are the base64 alone."""
    if isinstance(messages, list):
        return [_with_sounds(each) for each in cast("list[Any]", messages)]
    if not isinstance(messages, dict):
        return messages
    fields = cast("dict[str, Any]", messages)
    if fields.get("type") == "input_audio" and isinstance(sound := fields.get("input_audio"), str):
        return {**fields, "input_audio": {"data": sound, "format": "wav"}}
    return {**fields, "content": _with_sounds(fields["content"])} if "content" in fields else fields


def _kind(value: Any) -> Any:
    """The `type` of an object; what is no object is left for its reader to refuse."""
    return cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else "function"


def _is_reference(item: Any) -> bool:
    return isinstance(item, dict) and cast("dict[str, Any]", item).get("type") == "item_reference"


def _object(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _obfuscates(raw: dict[str, Any]) -> bool:
    return _object(raw, "stream_options").get("include_obfuscation") is True


def _choices(raw: dict[str, Any]) -> int:
    count = 1 if raw.get("n") is None else raw["n"]
    if type(count) is not int or not 1 <= count <= _MAX_CHOICES:
        raise BadRequest(f"'n' is {count!r}. It must be from 1 to {_MAX_CHOICES}.", code="invalid_value", param="n")
    return count


def _model(name: str) -> dict[str, Any]:
    if not name:
        raise NotFound("The model '' does not exist.", code="model_not_found", param="model")
    return {"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "frontdesk-upstream"}


def _error_type(status: int) -> str:
    if status == 429:
        return "requests"
    return "server_error" if status >= 500 else "invalid_request_error"


# --- what is answered ---------------------------------------------------------------------------


class _Stream(Protocol):
    def render(self, events: list[Event]) -> bytes: ...
    def render_error(self, error: ProviderError) -> bytes: ...


class _Body(Protocol):
    def add(self, events: list[Event]) -> None: ...
    def body(self) -> bytes: ...


class OpenAIAnswer:
    """An answer in the shape that its path asks for."""

    __slots__ = (
        "_body",
        "_events",
        "_is_described",
        "_stream",
        "content_type",
        "door",
        "is_streaming",
        "model",
        "request",
        "tells_usage",
    )

    def __init__(
        self, door: Door, model: str, request: Prompt | EmbeddingRequest, stream: _Stream | None, body: _Body
    ) -> None:
        self.request: Request = request
        self.model = model
        self.is_streaming = stream is not None
        self.content_type = "application/json" if stream is None else "text/event-stream; charset=utf-8"
        self.tells_usage: Literal["last"] = "last"
        self.door: Door = door
        self._stream = stream
        self._body = body
        self._events = 0
        self._is_described = False

    def begin(self, script: str, outcome: Outcome) -> None:
        """Nothing depends on it."""

    def counted(self, usage: Usage) -> Usage:
        """Return the usage as it is."""
        return usage

    def render(self, events: list[Event]) -> bytes:
        """Return the server-sent events of these."""
        if UsageReported not in map(type, events):
            return self._rendered(events, None)
        frames: list[bytes] = []
        part: list[Event] = []
        usage: Usage | None = None
        for event, following in pairwise([*events, None]):
            assert event is not None
            if isinstance(event, UsageReported) and type(following) not in TERMINAL_TYPES:
                frames.append(self._rendered(part, usage))
                part, usage = [], event.usage
            else:
                part.append(event)
        frames.append(self._rendered(part, usage))
        return b"".join(frames)

    def in_transit(self, frames: bytes) -> bytes:
        """Return the events as they are."""
        return frames

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole body."""
        self._body.add([*self._description(), *events])
        return self._body.body()

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:
        """Return an error inside a 200: as an event of its own, or as a Response that failed."""
        told: dict[str, Any] = {"message": message, "type": "server_error", "param": None, "code": "server_error"}
        if self._stream is None:
            return _encode({"error": told})
        if self.door == "chat":
            return frame({"error": told})
        if kind == "failed":
            return self._stream.render_error(ProviderError(message))
        event = {"type": "error", "code": told["code"], "message": message, "param": None}
        return named_frame({**event, "sequence_number": self._events})

    def without_finish(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Return the payload without `finish_reason`, or without the status that ends a Response."""
        if payload.get("type") in ("response.completed", "response.incomplete"):
            return {**payload, "response": {**payload["response"], "status": "in_progress"}}
        choices = payload.get("choices") or ()
        return None if any(choice.get("finish_reason") for choice in choices) else payload

    def _rendered(self, events: list[Event], usage: Usage | None) -> bytes:
        if not events:
            return b""
        assert self._stream is not None
        frames = self._stream.render([*self._description(), *events])
        self._events += frames.count(b"\n\n")
        if usage is None:
            return frames
        return each_payload(frames, lambda payload: self._with_usage(payload, usage), most=1)

    def _with_usage(self, payload: dict[str, Any], usage: Usage) -> dict[str, Any]:
        """Put the usage in its place, where that is empty."""
        if self.door == "chat":
            return payload if payload.get("usage") else {**payload, "usage": openai_chat_render.usage_body(usage)}
        response = payload.get("response")
        if response is None or response["usage"]:
            return payload
        return {**payload, "response": {**response, "usage": openai_responses_answer.usage_body(usage)}}

    def _description(self) -> list[Event]:
        if self._is_described:
            return []
        self._is_described = True
        return [AnswerDescribed("default", _FINGERPRINT)]
