"""Anthropic's Messages API: prompts become its bodies, its bytes become events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.providers.anthropic_answer import MessagesStreamDecoder, decode_message
from frontdesk.providers.anthropic_dialect import Encoded, encode_messages
from frontdesk.providers.anthropic_errors import is_accounts_matter, parsed_error
from frontdesk.providers.anthropic_names import param_of
from frontdesk.providers.bodies import BodyDecoder, Decoder, read_events
from frontdesk.providers.refusals import Refusals, Said, account_refused
from frontdesk.providers.seal_box import SealBox
from frontdesk.providers.structured import held_to, schema_of_format
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.turn.events import Event
from frontdesk.turn.items import Prompt, Request

_VERSION = "2023-06-01"  # the newest that takes temperature and top_p; all newer models answer to it as well
_PATH = "v1/messages"
_OK = 200
_BAD_REQUEST = 400

_encode = msgspec.json.Encoder().encode


class AnthropicProvider:
    """A provider that speaks Anthropic's Messages API at `base_url`, a bare origin.

    `marks_cache`: mark the ends of long prompts for the provider's cache where a request has no marks of its own.
    Earlier thoughts that the provider does not take back, such as those of a conversation that its client has
    shortened, are left out, and the request is sent once more.
    """

    def __init__(
        self, base_url: str, api_key: str, idle_timeout_s: float, clock: Clock, *, marks_cache: bool = True
    ) -> None:
        self._marks_cache = marks_cache
        self._seals = SealBox("anthropic.1:", api_key)
        self._refusals = Refusals(base_url, api_key, clock, parsed_error)
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "frontdesk",
            "anthropic-version": _VERSION,
            "x-api-key": api_key,
        }
        self._upstream = Upstream(base_url, headers, idle_timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time."""
        if not isinstance(request, Prompt):
            words = "The model behind this name answers in words alone; ask another one."
            raise BadRequest(words, code="unsupported_request", param="model")
        request = self._seals.opened(request)
        encoded = encode_messages(request, model, marks_cache=self._marks_cache)
        batches = read_events(partial(self._begin, request, model, encoded), self._refusals)
        if encoded.held_to is not None:
            batches = held_to(schema_of_format(encoded.held_to), batches)
        async with aclosing(batches):
            async for batch in batches:
                yield self._seals.locked(batch)

    async def _begin(self, prompt: Prompt, model: str, encoded: Encoded) -> tuple[UpstreamResponse, Decoder]:
        encoded, response = await self._ask(prompt, model, encoded)
        if prompt.stream:
            return response, MessagesStreamDecoder(encoded.reading)
        return response, BodyDecoder(partial(decode_message, reading=encoded.reading))

    async def _ask(self, prompt: Prompt, model: str, encoded: Encoded) -> tuple[Encoded, UpstreamResponse]:
        """Send a prompt; returns the beginning of its answer, and what it must be read with."""
        response = await self._upstream.post(_PATH, _encode(encoded.body))
        if response.status == _OK:
            return encoded, response
        with response:
            said = await self._refusals.read(response)
            if not (response.status == _BAD_REQUEST and encoded.has_thinking and _is_of_thoughts(said)):
                raise self._error_for(response, said, prompt)
        encoded = encode_messages(prompt, model, marks_cache=self._marks_cache, gives_back=False)
        response = await self._upstream.post(_PATH, _encode(encoded.body))
        if response.status == _OK:
            return encoded, response
        with response:
            raise self._error_for(response, await self._refusals.read(response), prompt)

    def _error_for(self, response: UpstreamResponse, said: Said, prompt: Prompt) -> FrontdeskError:
        if response.status == _BAD_REQUEST and is_accounts_matter(said.message or ""):
            return account_refused("status 400, for the account that asks", _BAD_REQUEST)
        param = None if said.param is None else param_of(said.param, prompt)
        return self._refusals.error_for(response, msgspec.structs.replace(said, param=param))


_OF_THOUGHTS = re.compile(r"thinking.{0,200}block|signature.{0,40}thinking", re.IGNORECASE | re.DOTALL)


def _is_of_thoughts(said: Said) -> bool:
    return _OF_THOUGHTS.search(said.message or "") is not None
