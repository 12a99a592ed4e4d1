"""How many tokens a request has, where the model's vocabulary is known.

Exactly counted are texts. What a provider writes around them and around tools, and what it makes of pictures, is
estimated (`turn.sizes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from frontdesk.core.config import Config
from frontdesk.tokens.encodings import encoding_of
from frontdesk.turn.items import Request
from frontdesk.turn.sizes import BYTES_PER_TOKEN, measure, texts_in, utf8_bytes

# What OpenAI's models are told before they answer.
_PRIMER = 3


class Counter(Protocol):
    """Counts the tokens of texts."""

    async def count(self, texts: Sequence[str], encoding: str) -> int | None:
        """The tokens of these texts together; None where they cannot be counted now."""
        ...


class RequestTokens:
    """Counts requests. Of a model with several routes it is the first one's vocabulary that counts."""

    def __init__(self, config: Config, counter: Counter) -> None:
        self._counter = counter
        self._encodings = {name: _encoding(config, model.routes) for name, model in config.models.items()}

    async def counted(self, model: str, request: Request) -> int | None:
        """The tokens of a request as it goes to a configured model; None where its texts cannot be counted."""
        encoding = self._encodings[model]
        if encoding is None:
            return None
        texts, _ = texts_in(request)
        tokens = await self._counter.count(texts, encoding)
        if tokens is None:
            return None
        rest = measure(request).estimate - sum(-(-utf8_bytes(text) // BYTES_PER_TOKEN) for text in texts)
        return tokens + _PRIMER + rest


def _encoding(config: Config, routes: Sequence[str]) -> str | None:
    """A model of another server may have the name of one of OpenAI's, and a tokenizer of its own."""
    provider, _, model = routes[0].partition("/")
    settings = config.providers.get(provider)
    return encoding_of(model) if settings is not None and settings.kind == "openai" else None
