"""OpenAI and servers that speak its dialects: Chat Completions, Responses and Embeddings."""

from __future__ import annotations

import asyncio
import base64
import re
from array import array
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
from yarl import URL

from frontdesk.core.clock import Clock, SystemClock
from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError, TooLarge, Unprocessable
from frontdesk.providers.chat_dialect import ChatStreamDecoder, decode_chat, encode_chat
from frontdesk.providers.profiles import Profile
from frontdesk.providers.responses_dialect import ResponsesStreamDecoder, decode_responses, encode_responses
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.providers.usage import read_chat_usage
from frontdesk.turn.events import EmbeddingsProduced, Event, TurnCompleted, UsageReported
from frontdesk.turn.items import EmbeddingRequest, Prompt, Request

_encode = msgspec.json.Encoder().encode
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_LACKING_S = 300.0


class _StreamDecoder(Protocol):
    @property
    def is_done(self) -> bool: ...
    @property
    def error(self) -> FrontdeskError | None: ...
    def feed(self, chunk: bytes) -> list[Event]: ...
    def finish(self) -> list[Event]: ...


@dataclass(frozen=True, slots=True)
class _Dialect:
    """One way to ask for an answer. What takes `choices` is told how many were asked for."""

    path: str
    encode: Callable[[Prompt, str, Profile], dict[str, Any]]
    open_stream: Callable[[int], _StreamDecoder]
    decode_body: Callable[[bytes, int], list[Event]]


class OpenAIProvider:
    """A provider that speaks OpenAI's dialects at `base_url`, which ends in /v1.

    With `api` "auto" a prompt is asked in the dialect that its caller spoke, so that nothing is lost
    between the two, and in Chat Completions where the server turns out to have nothing else: it does not
    know the path, and never answered there. That is believed for five minutes, for a load balancer may say
    so while its servers are exchanged.

    `reports_cost`: whether its usage says what was charged; by default OpenRouter's does.
    `error_timeout_s` is for the body of a refusal: its status says enough to go on.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        profile: Profile,
        api: Literal["auto", "chat", "responses"],
        idle_timeout_s: float,
        error_timeout_s: float = 3.0,
        clock: Clock | None = None,
        *,
        reports_cost: bool | None = None,
    ) -> None:
        self._profile = profile
        self._api = api
        self._clock = clock or SystemClock()
        self._has_responses = False
        self._lacks_responses_until = 0.0
        self._error_timeout_s = error_timeout_s
        host = URL(base_url).host
        self._secrets = tuple(secret for secret in (api_key, base_url, host) if secret)
        self._reports_cost = host in _TELL_THEIR_COST if reports_cost is None else reports_cost
        costs = self._reports_cost
        self._chat = _Dialect(
            "chat/completions",
            encode_chat,
            lambda choices: ChatStreamDecoder(choices, reports_cost=costs),
            lambda body, choices: decode_chat(body, choices, reports_cost=costs),
        )
        self._responses = _Dialect(
            "responses",
            encode_responses,
            lambda _choices: ResponsesStreamDecoder(reports_cost=costs),
            lambda body, _choices: decode_responses(body, reports_cost=costs),
        )
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "frontdesk"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._upstream = Upstream(base_url, headers, idle_timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time."""
        if isinstance(request, EmbeddingRequest):
            return self._embed(request, model)
        return self._answer(request, model)

    async def _answer(self, prompt: Prompt, model: str) -> AsyncGenerator[list[Event], None]:
        dialect, response = await self._ask(prompt, model)
        with response:
            if response.status != _OK:
                raise self._error_of(response, await self._read_error(response))
            if not prompt.stream:
                body = await response.read_all(_MAX_BODY_BYTES)
                try:
                    events = dialect.decode_body(body, prompt.choices)
                except (BadRequest, ProviderError) as error:
                    raise self._redacted(error) from None
                yield events
                return
            decoder = dialect.open_stream(prompt.choices)
            while not decoder.is_done:
                chunk = await response.read()
                events = decoder.feed(chunk) if chunk else decoder.finish()
                if events:
                    yield events
                if decoder.error is not None:
                    raise self._redacted(decoder.error)
            response.skip_rest()

    async def _ask(self, prompt: Prompt, model: str) -> tuple[_Dialect, UpstreamResponse]:
        """Send a prompt; returns the dialect that it is answered in."""
        dialect = self._dialect_of(prompt)
        response = await self._post(dialect, prompt, model)
        if dialect is self._chat:
            return dialect, response
        if response.status == _OK:
            self._has_responses = True
        if self._api != "auto" or response.status not in _NO_SUCH_PATH:
            return dialect, response
        with response:
            said = await self._read_error(response)
        if self._has_responses or (response.status == _NOT_FOUND and said.misses_a_thing):
            raise self._error_of(response, said)
        response = await self._post(self._chat, prompt, model)
        # Remembered only where Chat Completions has an answer: not every server gives a missing model its code.
        if response.status == _OK:
            self._lacks_responses_until = self._clock.monotonic() + _LACKING_S
        return self._chat, response

    def _dialect_of(self, prompt: Prompt) -> _Dialect:
        api = prompt.dialect if self._api == "auto" else self._api
        if api == "chat":
            return self._chat
        lacks_responses = not self._has_responses and self._clock.monotonic() < self._lacks_responses_until
        return self._chat if lacks_responses else self._responses

    async def _post(self, dialect: _Dialect, prompt: Prompt, model: str) -> UpstreamResponse:
        # Nothing keeps the encoded body while the answer streams: it may be large.
        return await self._upstream.post(dialect.path, _encode(dialect.encode(prompt, model, self._profile)))

    async def _embed(self, request: EmbeddingRequest, model: str) -> AsyncGenerator[list[Event], None]:
        fields: dict[str, Any] = {
            **request.parameters,
            "model": model,
            "input": request.inputs,
            "encoding_format": "base64",
        }
        if request.dimensions is not None:
            fields["dimensions"] = request.dimensions
        with await self._upstream.post("embeddings", _encode(fields)) as response:
            if response.status != _OK:
                raise self._error_of(response, await self._read_error(response))
            body = await response.read_all(_MAX_BODY_BYTES)
            yield _decode_embeddings(body, len(request.inputs), reports_cost=self._reports_cost)

    def _error_of(self, response: UpstreamResponse, error: _UpstreamError) -> FrontdeskError:
        status = response.status
        if status in _CALLERS_MATTER:
            kind = _CALLERS_MATTER[status]
            return kind(
                error.message or f"The model's provider refused the request with status {status}.",
                code=error.code or kind.code,
                param=error.param,
            )
        reason = f"status {status}, code {error.code!r}"
        if status == _TOO_MANY:
            return ProviderError(
                reason,
                status=503,
                code="provider_busy",
                upstream_status=status,
                retry_after_s=_seconds(response.header("Retry-After")),
            )
        return ProviderError(reason, upstream_status=status)

    async def _read_error(self, response: UpstreamResponse) -> _UpstreamError:
        """What the body of a refusal says, redacted; nothing where it cannot be read, for its status says enough."""
        try:
            async with asyncio.timeout(self._error_timeout_s):
                said = _parsed_error(await response.read_all(_MAX_ERROR_BYTES))
        except (ProviderError, TimeoutError):
            return _UpstreamError()
        return _UpstreamError(
            said.message and self._told(said.message, _MAX_MESSAGE),
            said.code and self._told(said.code, _MAX_CODE),
            said.param and self._told(said.param, _MAX_PARAM),
        )

    def _redacted(self, error: FrontdeskError) -> FrontdeskError:
        """An error that was found inside an answer, and may be told in the provider's words."""
        if isinstance(error, ProviderError):
            error.reason = self._told(error.reason, _MAX_REASON)
            return error
        return BadRequest(
            self._told(error.message, _MAX_MESSAGE),
            code=self._told(error.code, _MAX_CODE),
            param=error.param and self._told(error.param, _MAX_PARAM),
        )

    def _told(self, text: str, limit: int) -> str:
        """Return a provider's words without our key and its address; cut only then, for half a key is not found."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:limit]


_TELL_THEIR_COST = frozenset({"openrouter.ai", "api.openrouter.ai"})
_OK = 200
_NOT_FOUND = 404
_TOO_MANY = 429
_NO_SUCH_PATH = frozenset({_NOT_FOUND, 405, 501})
# What a message calls by its id is no path: "Item with id 'rs_…' not found."
_AN_ID = re.compile(r"\bwith id\b|\b(?:rs|msg|fc|ctc|resp|conv)_\w", re.IGNORECASE)
_MAX_MESSAGE = 2000
_MAX_CODE = 80
_MAX_PARAM = 200
_MAX_REASON = 300
_CALLERS_MATTER: dict[int, type[BadRequest | TooLarge | Unprocessable]] = {
    400: BadRequest,
    413: TooLarge,
    422: Unprocessable,
}


class _ErrorFields(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None
    param: Any = None


class _UpstreamError(msgspec.Struct, frozen=True):
    message: str | None = None
    code: str | None = None
    param: str | None = None

    @property
    def misses_a_thing(self) -> bool:
        """Whether a 404 is for what a request names, and not for its path. Some servers name "" for nothing."""
        return bool(self.param) or self.code == "model_not_found" or _AN_ID.search(self.message or "") is not None


def _parsed_error(body: bytes) -> _UpstreamError:
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any]).get("error")
        error = msgspec.convert({"message": fields} if isinstance(fields, str) else fields, _ErrorFields)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _UpstreamError()
    return _UpstreamError(error.message, *(None if each is None else str(each) for each in (error.code, error.param)))


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdigit() and len(header) < 6 else None


class _Embedding(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]
    usage: dict[str, Any] | None = None


_decode_body = msgspec.json.Decoder(_Embeddings).decode


def _decode_embeddings(body: bytes, expected: int, *, reports_cost: bool) -> list[Event]:
    try:
        decoded = _decode_body(body)
        vectors = {each.index: _vector(each.embedding) for each in decoded.data}
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProviderError(f"the embeddings cannot be read: {type(error).__name__}") from None
    if sorted(vectors) != list(range(expected)):
        raise ProviderError(f"{len(vectors)} embeddings came for {expected} inputs")
    events: list[Event] = [EmbeddingsProduced([vectors[index] for index in range(expected)])]
    usage = None if decoded.usage is None else read_chat_usage(decoded.usage, reports_cost=reports_cost)
    if usage is not None:
        events.append(UsageReported(usage))
    events.append(TurnCompleted())
    return events


def _vector(embedding: str | list[float]) -> bytes:
    """Vectors travel as base64 of 32-bit floats; servers that do not know that send numbers."""
    if isinstance(embedding, str):
        vector = base64.b64decode(embedding, validate=True)
        if not vector or len(vector) % 4:
            raise ValueError("no list of 32-bit floats")
        return vector
    return array("f", embedding).tobytes()
