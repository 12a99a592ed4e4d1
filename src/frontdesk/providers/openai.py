"""OpenAI and servers that speak its dialect, through Chat Completions and Embeddings."""

from __future__ import annotations

import base64
from array import array
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from yarl import URL

from frontdesk.core.errors import BadRequest, ProviderError, TooLarge, Unprocessable
from frontdesk.providers.chat_dialect import ChatStreamDecoder, decode_chat, encode_chat, read_usage
from frontdesk.providers.profiles import ChatProfile
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.turn.events import EmbeddingsProduced, Event, TurnCompleted, UsageReported
from frontdesk.turn.items import EmbeddingRequest, Prompt, Request

_encode = msgspec.json.Encoder().encode
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024


class OpenAIProvider:
    """A provider that speaks OpenAI's dialect at `base_url`, which ends in /v1."""

    def __init__(self, upstream: Upstream, base_url: str, api_key: str | None, profile: ChatProfile) -> None:
        self._upstream = upstream
        self._profile = profile
        self._secrets = tuple(secret for secret in (api_key, base_url, URL(base_url).host) if secret)
        base = URL(base_url.rstrip("/"), encoded=True)
        self._chat_url = base / "chat" / "completions"
        self._embeddings_url = base / "embeddings"
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "frontdesk"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time."""
        if isinstance(request, EmbeddingRequest):
            return self._embed(request, model)
        return self._chat(request, model)

    async def _chat(self, prompt: Prompt, model: str) -> AsyncGenerator[list[Event], None]:
        body = _encode(encode_chat(prompt, model, self._profile))
        with await self._upstream.post(self._chat_url, self._headers, body) as response:
            if response.status != _OK:
                raise await self._error_of(response)
            if not prompt.stream:
                yield decode_chat(await response.read_all(_MAX_BODY_BYTES), prompt.choices)
                return
            decoder = ChatStreamDecoder(prompt.choices)
            while not decoder.is_done:
                chunk = await response.read()
                events = decoder.feed(chunk) if chunk else decoder.finish()
                if events:
                    yield events
                if decoder.error is not None:
                    raise decoder.error
            await response.skip_rest()

    async def _embed(self, request: EmbeddingRequest, model: str) -> AsyncGenerator[list[Event], None]:
        fields: dict[str, Any] = {"model": model, "input": request.inputs, "encoding_format": "base64"}
        if request.dimensions is not None:
            fields["dimensions"] = request.dimensions
        with await self._upstream.post(self._embeddings_url, self._headers, _encode(fields)) as response:
            if response.status != _OK:
                raise await self._error_of(response)
            yield _decode_embeddings(await response.read_all(_MAX_BODY_BYTES), len(request.inputs))

    async def _error_of(self, response: UpstreamResponse) -> Exception:
        status = response.status
        error = _read_error(await response.read_all(_MAX_ERROR_BYTES))
        if status in _CALLERS_MATTER:
            kind = _CALLERS_MATTER[status]
            return kind(
                self._told(error.message or f"The model's provider refused the request with status {status}."),
                code=self._told(error.code or kind.code),
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

    def _told(self, text: str) -> str:
        """Return a provider's words without our key and without its address."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:2000]


_OK = 200
_TOO_MANY = 429
_CALLERS_MATTER: dict[int, type[BadRequest | TooLarge | Unprocessable]] = {
    400: BadRequest,
    413: TooLarge,
    422: Unprocessable,
}


class _ErrorFields(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None
    param: str | None = None


class _UpstreamError(msgspec.Struct, frozen=True):
    message: str | None = None
    code: str | None = None
    param: str | None = None


def _read_error(body: bytes) -> _UpstreamError:
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any]).get("error")
        error = msgspec.convert({"message": fields} if isinstance(fields, str) else fields, _ErrorFields)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _UpstreamError()
    return _UpstreamError(error.message, None if error.code is None else str(error.code)[:80], error.param)


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdigit() and len(header) < 6 else None


class _Embedding(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]
    usage: dict[str, Any] | None = None


_decode_body = msgspec.json.Decoder(_Embeddings).decode


def _decode_embeddings(body: bytes, expected: int) -> list[Event]:
    try:
        decoded = _decode_body(body)
        vectors = {each.index: _vector(each.embedding) for each in decoded.data}
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProviderError(f"the embeddings cannot be read: {type(error).__name__}") from None
    if sorted(vectors) != list(range(expected)):
        raise ProviderError(f"{len(vectors)} embeddings came for {expected} inputs")
    events: list[Event] = [EmbeddingsProduced([vectors[index] for index in range(expected)])]
    usage = None if decoded.usage is None else read_usage(decoded.usage)
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
