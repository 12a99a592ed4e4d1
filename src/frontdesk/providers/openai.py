"""OpenAI and servers that speak its dialects: Chat Completions, Responses and Embeddings."""

from __future__ import annotations

import base64
import re
from array import array
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec
from yarl import URL

from frontdesk.core.clock import Clock, SystemClock
from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.bodies import BodyDecoder, Decoder, read_events
from frontdesk.providers.chat_dialect import ChatStreamDecoder, decode_chat, encode_chat
from frontdesk.providers.endpoints import Endpoints
from frontdesk.providers.openai_errors import judged, lacks_schemas, read_error
from frontdesk.providers.openai_media import MediaEndpoints
from frontdesk.providers.profiles import HINTS, Profile
from frontdesk.providers.refusals import Refusals, Said
from frontdesk.providers.responses_dialect import ResponsesStreamDecoder, decode_responses, encode_responses
from frontdesk.providers.structured import held_to, schema_of_format, told_prompt
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.providers.usage import read_chat_usage
from frontdesk.turn.events import EmbeddingsProduced, Event, TurnCompleted, UsageReported
from frontdesk.turn.items import EmbeddingRequest, Format, Prompt, Request

_encode = msgspec.json.Encoder().encode
_LACKING_S = 300.0


@dataclass(frozen=True, slots=True)
class _Dialect:
    """One way to ask for an answer. What takes `choices` is told how many were asked for."""

    path: Callable[[str], str]
    encode: Callable[[Prompt, str, Profile], dict[str, Any]]
    open_stream: Callable[[int], Decoder]
    decode_body: Callable[[bytes, int], list[Event]]


class OpenAIProvider:
    """A provider that speaks OpenAI's dialects at `base_url`, which ends in /v1.

    With `api` "auto" a prompt is asked in the dialect that its caller spoke, so that nothing is lost
    between the two, and in Chat Completions where the server turns out to have nothing else: it does not
    know the path, and never answered there. That is believed for five minutes, for a load balancer may say
    so while its servers are exchanged.

    A model that turns out to be bound to no schema is asked for one in words from then on, as long.

    `reports_cost`: whether its usage says what was charged; by default OpenRouter's does.
    `error_timeout_s` is for the body of a refusal: its status says enough to go on.
    `endpoints` are for a server whose paths or headers are not as OpenAI's.
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
        endpoints: Endpoints | None = None,
    ) -> None:
        self._endpoints = endpoints = endpoints or Endpoints(base_url)
        self._profile = profile
        self._api = api
        self._clock = clock or SystemClock()
        self._has_responses = False
        self._lacks_responses_until = 0.0
        self._lacks_schemas_until: dict[str, float] = {}  # by model
        self._refusals = Refusals(base_url, api_key, self._clock, read_error, error_timeout_s, judged)
        self._reports_cost = URL(base_url).host in _TELL_THEIR_COST if reports_cost is None else reports_cost
        costs = self._reports_cost
        self._chat = _Dialect(
            lambda model: endpoints.of_model("chat/completions", model),
            encode_chat,
            lambda choices: ChatStreamDecoder(choices, reports_cost=costs),
            lambda body, choices: decode_chat(body, choices, reports_cost=costs),
        )
        self._responses = _Dialect(
            lambda _model: endpoints.of_server("responses"),
            encode_responses,
            lambda _choices: ResponsesStreamDecoder(reports_cost=costs),
            lambda body, _choices: decode_responses(body, reports_cost=costs),
        )
        self._upstream = Upstream(base_url, endpoints.headers(api_key), idle_timeout_s)
        self._media = MediaEndpoints(self._upstream, self._refusals, endpoints.of_model)

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time."""
        if isinstance(request, Prompt):
            if request.format is not None and request.format.kind == "json_schema":
                return self._answer_in_shape(request, request.format, model)
            return self._answer(request, model)
        if isinstance(request, EmbeddingRequest):
            return read_events(partial(self._embed, request, model), self._refusals)
        return self._media.answer(request, model)

    async def _answer_in_shape(self, prompt: Prompt, form: Format, model: str) -> AsyncGenerator[list[Event], None]:
        """An answer that is bound to a schema, or is asked for one in words and held to it."""
        if self._profile.json_schema == "told":
            answer = self._answer_held(prompt, form, Format("json_object", {}), model)
        elif self._clock.monotonic() < self._lacks_schemas_until.get(model, 0.0):
            answer = self._answer_held(prompt, form, None, model)
        else:
            answer = self._answer_bound(prompt, form, model)
        async with aclosing(answer) as batches:
            async for batch in batches:
                yield batch

    async def _answer_bound(self, prompt: Prompt, form: Format, model: str) -> AsyncGenerator[list[Event], None]:
        has_begun = False
        try:
            async with aclosing(self._answer(prompt, model)) as batches:
                async for batch in batches:
                    has_begun = True
                    yield batch
        except BadRequest as error:
            if has_begun or not lacks_schemas(error):
                raise
        else:
            return
        # Without even a JSON mode: who has no schemas may not have that either.
        async with aclosing(self._answer_held(prompt, form, None, model)) as batches:
            async for batch in batches:
                self._lacks_schemas_until[model] = self._clock.monotonic() + _LACKING_S
                yield batch

    def _answer_held(
        self, prompt: Prompt, form: Format, native: Format | None, model: str
    ) -> AsyncGenerator[list[Event], None]:
        return held_to(schema_of_format(form), self._answer(told_prompt(prompt, form, native=native), model))

    def _answer(self, prompt: Prompt, model: str) -> AsyncGenerator[list[Event], None]:
        return read_events(partial(self._begin, prompt, model), self._refusals)

    async def _begin(self, prompt: Prompt, model: str) -> tuple[UpstreamResponse, Decoder]:
        dialect, response = await self._ask(prompt, model)
        response = await self._refusals.accepted(response)
        if prompt.stream:
            return response, dialect.open_stream(prompt.choices)
        return response, BodyDecoder(lambda body: dialect.decode_body(body, prompt.choices))

    async def _ask(self, prompt: Prompt, model: str) -> tuple[_Dialect, UpstreamResponse]:
        """Send a prompt; returns the dialect that it is answered in."""
        dialect = self._dialect_of(prompt)
        response = await self._post(dialect, prompt, model)
        if dialect is self._chat:
            return dialect, response
        if response.status == _OK:
            self._has_responses = True
        if self._api != "auto" or response.status not in _MAY_LACK_RESPONSES:
            return dialect, response
        with response:
            said = await self._refusals.read(response)
            is_of_model = response.status == _BAD_REQUEST
            if not (said.code == _NOT_OF_THIS_MODEL if is_of_model else self._may_lack_responses(response, said)):
                raise self._refusals.error_for(response, said)
        response = await self._post(self._chat, prompt, model)
        # Remembered only where Chat Completions has an answer: not every server gives a missing model its code.
        if response.status == _OK and not is_of_model:
            self._lacks_responses_until = self._clock.monotonic() + _LACKING_S
        return self._chat, response

    def _may_lack_responses(self, response: UpstreamResponse, said: Said) -> bool:
        return not self._has_responses and not (response.status == _NOT_FOUND and _misses_a_thing(said))

    def _dialect_of(self, prompt: Prompt) -> _Dialect:
        api = prompt.dialect if self._api == "auto" else self._api
        if api == "chat":
            return self._chat
        lacks_responses = not self._has_responses and self._clock.monotonic() < self._lacks_responses_until
        return self._chat if lacks_responses else self._responses

    async def _post(self, dialect: _Dialect, prompt: Prompt, model: str) -> UpstreamResponse:
        # Nothing keeps the encoded body while the answer streams: it may be large.
        return await self._upstream.post(dialect.path(model), _encode(dialect.encode(prompt, model, self._profile)))

    async def _embed(self, request: EmbeddingRequest, model: str) -> tuple[UpstreamResponse, Decoder]:
        said = request.parameters.items()
        fields: dict[str, Any] = {
            **{name: value for name, value in said if name not in HINTS or name in self._profile.hints},
            "model": model,
            "input": request.inputs,
            "encoding_format": "base64",
        }
        if request.dimensions is not None:
            fields[self._profile.dimensions_name] = request.dimensions
        response = await self._upstream.post(self._endpoints.of_model("embeddings", model), _encode(fields))
        decode = partial(_decode_embeddings, expected=len(request.inputs), reports_cost=self._reports_cost)
        return await self._refusals.accepted(response), BodyDecoder(decode)


_TELL_THEIR_COST = frozenset({"openrouter.ai", "api.openrouter.ai"})
_OK = 200
_BAD_REQUEST = 400
_NOT_FOUND = 404
_MAY_LACK_RESPONSES = frozenset({_BAD_REQUEST, _NOT_FOUND, 405, 501})
_NOT_OF_THIS_MODEL = "OperationNotSupported"  # Azure, where only some models have Responses
_NO_SUCH_MODEL = frozenset({"model_not_found", "DeploymentNotFound"})
# What a message calls by its id is no path: "Item with id 'rs_…' not found."
_AN_ID = re.compile(r"\bwith id\b|\b(?:rs|msg|fc|ctc|resp|conv)_\w", re.IGNORECASE)


def _misses_a_thing(said: Said) -> bool:
    """Whether a 404 is for what a request names, and not for its path. Some servers name "" for nothing."""
    return bool(said.param) or said.code in _NO_SUCH_MODEL or _AN_ID.search(said.message or "") is not None


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
