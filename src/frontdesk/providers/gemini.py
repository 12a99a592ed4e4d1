"""Google's Gemini API: prompts become its bodies, its bytes become events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.providers.bodies import MAX_BODY_BYTES, BodyDecoder, Decoder, read_events
from frontdesk.providers.gemini_answer import Asked, GeminiStreamDecoder, decode_gemini
from frontdesk.providers.gemini_contents import is_signed, unsigned
from frontdesk.providers.gemini_dialect import custom_tools, encode_gemini, renamed_tools
from frontdesk.providers.gemini_embeddings import added, decode_vectors, encode_texts
from frontdesk.providers.gemini_errors import OUR_MATTER, param_of, parsed_gemini_error
from frontdesk.providers.gemini_profiles import gemini_profile
from frontdesk.providers.refusals import Refusals, Said, account_refused
from frontdesk.providers.seal_box import SealBox
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.turn.events import (
    EmbeddingsProduced,
    Event,
    TurnCompleted,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import EmbeddingRequest, MediaRequest, Prompt, Request

_encode = msgspec.json.Encoder().encode
_OK = 200
_BAD_REQUEST = 400


class GeminiProvider:
    """A provider that speaks Google's Gemini API at `base_url`, a bare origin.

    Models are named with or without their collection: "gemini-3.8-flash", "tunedModels/ours". Signatures of earlier
    thoughts that the provider does not take back are left out, and the request is sent once more.
    """

    def __init__(self, base_url: str, api_key: str, idle_timeout_s: float, clock: Clock) -> None:
        self._refusals = Refusals(base_url, api_key, clock, parsed_gemini_error)
        self._seals = SealBox("gemini.1:", api_key)
        headers = {"Accept-Encoding": "identity", "User-Agent": "frontdesk", "x-goog-api-key": api_key}
        self._upstream = Upstream(base_url, headers, idle_timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time."""
        if isinstance(request, EmbeddingRequest):
            return self._embed(request, _full_name(model))
        return self._answer(request, model)

    async def _answer(self, prompt: Prompt | MediaRequest, model: str) -> AsyncGenerator[list[Event], None]:
        if not isinstance(prompt, Prompt):  # judgements, recordings, sounds and pictures
            words = "The model behind this name answers in words or makes vectors of texts; ask another one."
            raise BadRequest(words, code="unsupported_request", param="model")
        prompt = self._seals.opened(prompt)
        async with aclosing(read_events(partial(self._begin, prompt, model), self._refusals)) as batches:
            async for batch in batches:
                yield self._seals.locked(batch)

    async def _begin(self, prompt: Prompt, model: str) -> tuple[UpstreamResponse, Decoder]:
        response = await self._ask(prompt, model)
        seals = "reasoning.encrypted_content" in prompt.include
        asked = Asked(model, prompt.choices, custom_tools(prompt), renamed_tools(prompt), seals, _tier_of(response))
        if prompt.stream:
            return response, GeminiStreamDecoder(asked)
        return response, BodyDecoder(partial(decode_gemini, asked=asked))

    async def _ask(self, prompt: Prompt, model: str) -> UpstreamResponse:
        """Send a prompt; returns the beginning of its answer, and keeps nothing of the body, which may be large."""
        method = "streamGenerateContent?alt=sse" if prompt.stream else "generateContent"
        path = f"v1beta/{_full_name(model)}:{method}"
        profile = gemini_profile(model)
        body = encode_gemini(prompt, model, profile)
        response = await self._upstream.post(path, _encode(body))
        if response.status == _OK:
            return response
        with response:
            said = await self._refusals.read(response)
            is_of_signatures = response.status == _BAD_REQUEST and _OF_SIGNATURES.search(said.message or "") is not None
            if not (is_of_signatures and is_signed(body)):
                raise self._error_for(response, said, prompt)
        response = await self._upstream.post(path, _encode(unsigned(body, profile)))
        if response.status == _OK:
            return response
        with response:
            raise self._error_for(response, await self._refusals.read(response), prompt)

    async def _embed(self, request: EmbeddingRequest, model: str) -> AsyncGenerator[list[Event], None]:
        vectors: list[bytes] = []
        usages: list[Usage | None] = []
        for asked in encode_texts(request, model):
            with await self._upstream.post(f"v1beta/{model}:batchEmbedContents", _encode(asked)) as response:
                if response.status != _OK:
                    raise self._error_for(response, await self._refusals.read(response))
                body = await response.read_all(MAX_BODY_BYTES)
            expected = len(asked["requests"])
            some, usage = decode_vectors(body, expected, is_shortened=request.dimensions is not None)
            vectors += some
            usages.append(usage)
        usage = added(usages)
        reported = [] if usage is None else [UsageReported(usage)]
        yield [EmbeddingsProduced(vectors), *reported, TurnCompleted()]

    def _error_for(self, response: UpstreamResponse, said: Said, prompt: Prompt | None = None) -> FrontdeskError:
        """The error for a refusal: in the caller's words where it is the caller's matter."""
        if response.status == _BAD_REQUEST and said.code in OUR_MATTER:
            return account_refused(f"status {_BAD_REQUEST}, code {said.code!r}", _BAD_REQUEST)
        param = None if said.param is None or prompt is None else param_of(said.param, prompt.dialect)
        return self._refusals.error_for(response, msgspec.structs.replace(said, param=param))


_OF_SIGNATURES = re.compile(r"thought[ _]?signature", re.IGNORECASE)


def _full_name(model: str) -> str:
    return model if "/" in model else f"models/{model}"


_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}


def _tier_of(response: UpstreamResponse) -> str | None:
    """What a header says of the tier that served; a request for another one may be served as a plain one."""
    return _TIERS.get((response.header("x-gemini-service-tier") or "").lower())
