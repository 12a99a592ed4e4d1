"""Truncation: what a request brings and what is answered must fit together into what its model reads at once.

Only where the configuration says how much that is (`models.NAME.context_tokens`). With `truncation: auto` the oldest
items go until it fits; else what does not fit is refused, before anybody pays for it. Instructions and summaries stay,
and so does what is new: all behind the model's last words. Calls go with their outputs, thoughts with what they led to.
What a feature's `context` has made fit is let pass (`policies.context`).

Tokens are counted where the model's vocabulary is known and it is close. Where it is not, both estimates err to the
side that does no harm: 3 bytes a token for what must fit, 4 for what is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

import msgspec

from frontdesk.context.blocks import begins_with_answer, cuts, new_from, stays
from frontdesk.core.config import Model
from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Item, Prompt, Request
from frontdesk.turn.sizes import BYTES_PER_TOKEN, measure, size_of
from frontdesk.turn.turn import Turn

_FEWEST_BYTES_PER_TOKEN = 4  # of what is refused: English, with all that is not words
# Room for an answer of which nobody said how long it may be.
_ANSWER_TOKENS = 4096
_ANSWERS_SHARE = 4
# Below this part of what fits nothing is counted: an estimate is nowhere so far off.
_SURELY = 0.75
_FIELDS = {"chat": "messages", "responses": "input"}


class Tokens(Protocol):
    """Counts requests exactly."""

    def counted(self, model: str, request: Request) -> Awaitable[int | None]:
        """The tokens of a request as it goes to a configured model; None where they cannot be counted."""
        ...


class Truncation:
    """Sees to it that requests fit. Behind all that puts something into them; before what reckons with their size."""

    def __init__(self, models: Mapping[str, Model], tokens: Tokens) -> None:
        self._windows = {name: model.context_tokens for name, model in models.items() if model.context_tokens}
        self._models = models
        self._tokens = tokens

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Let what fits pass, make it shorter, or raise BadRequest."""
        window = self._windows.get(turn.model)
        prompt = turn.request
        if (
            window is None
            or type(prompt) is not Prompt
            or (turn.context is not None and turn.context.budget is not None)
        ):
            return None
        room = window - self._answer_tokens(turn.model, window, prompt)
        if size_of(turn).estimate > room * _SURELY:
            return self._fit(turn, prompt, room, window)
        if prompt.truncation == "auto":
            turn.request = _done(prompt)
        return None

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""

    def _answer_tokens(self, model: str, window: int, prompt: Prompt) -> int:
        if prompt.max_output_tokens is None and prompt.truncation != "auto":
            return 0
        return answer_tokens(self._models[model], window, prompt)

    async def _fit(self, turn: Turn, prompt: Prompt, room: int, window: int) -> None:
        size = size_of(turn)
        counted = await self._tokens.counted(turn.model, prompt)
        if prompt.truncation != "auto":
            tokens = size.estimate * BYTES_PER_TOKEN // _FEWEST_BYTES_PER_TOKEN if counted is None else counted
            if tokens > room:
                raise _too_long(turn, prompt, tokens, window)
            return
        tokens = size.estimate if counted is None else counted
        while tokens > room:
            excess = (tokens - room) * size.estimate / max(tokens, 1)  # in the estimate's own tokens
            items = shortened(prompt.items, excess)
            if items is None:
                raise _too_long(turn, prompt, tokens, window)
            prompt = msgspec.structs.replace(prompt, items=items, answered=frozenset())
            size = measure(prompt)
            counted = None if counted is None else await self._tokens.counted(turn.model, prompt)
            tokens = size.estimate if counted is None else counted
        turn.request, turn.size = _done(prompt), size


def answer_tokens(model: Model, window: int, prompt: Prompt) -> int:
    """How many tokens of so many that a model reads and writes together are for the answer."""
    if prompt.max_output_tokens is not None:
        return prompt.max_output_tokens
    return min(model.max_output_tokens or _ANSWER_TOKENS, window // _ANSWERS_SHARE)


def _done(prompt: Prompt) -> Prompt:
    """The prompt as providers are asked: few of them know of truncation, and nothing is left of it to do."""
    return msgspec.structs.replace(prompt, truncation=None)


def shortened(items: Sequence[Item], excess: float) -> list[Item] | None:
    """The items without the oldest, which have so many tokens together; more where they end in the middle of what
    belongs together, or leave an answer without its question; fewer where all goes that may. None where nothing may.
    """
    cut = gone = 0
    for place in cuts(items, new_from(items)):
        gone += sum(_estimate(item) for item in items[cut:place] if not stays(item))
        cut = place
        if gone >= excess and not begins_with_answer(items, place):
            break
    kept = [*filter(stays, items[:cut]), *items[cut:]]
    return kept if len(kept) < len(items) else None


def _estimate(item: Item) -> int:
    return measure(Prompt([item], dialect="responses")).estimate


def _too_long(turn: Turn, prompt: Prompt, tokens: int, window: int) -> BadRequest:
    asked = prompt.max_output_tokens
    answer = "" if asked is None else f" and asks for an answer of up to {asked:,}"
    remedy = "Send less" if asked is None else "Send less, or ask for less"
    if prompt.truncation != "auto" and prompt.dialect == "responses":
        remedy += ", or let 'truncation': 'auto' leave out the oldest items"
    return BadRequest(
        f"The model {turn.model!r} reads and writes {window:,} tokens together. This request has about {tokens:,}"
        f"{answer}. {remedy}.",
        code="context_length_exceeded",
        param=_FIELDS[prompt.dialect],
    )
