"""The tokens of a prompt's items, each with what its provider writes around it, and of all else that a prompt brings.

They are whole prompts in parts: the parts of one add up to what its provider counts, exactly for messages of a model
whose vocabulary is known. What is no text (pictures, thoughts, what we cannot look into) is estimated in either case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from math import ceil
from typing import Any, NamedTuple, cast

import msgspec

from frontdesk.tokens.texts import TextTokens
from frontdesk.tokens.vocabularies import Framing
from frontdesk.turn.items import Compaction, Image, Item, Message, Part, Prompt, Reference, Text, ToolCall, ToolOutput
from frontdesk.turn.sizes import BYTES_PER_TOKEN, measure

_encode = msgspec.json.Encoder().encode

_INSTRUCTING = frozenset({"system", "developer"})


class ItemTokens:
    """Counts items for the configured models. As quick as the texts are known: 0.2 µs for a message."""

    def __init__(self, texts: TextTokens) -> None:
        self._texts = texts

    def is_exact(self, model: str) -> bool:
        """Whether the model's vocabulary is known."""
        return self._texts.is_exact(model)

    def count(self, model: str, items: Sequence[Item]) -> list[int] | Awaitable[list[int]]:
        """The tokens of each of these items, in order: at once where nobody need be asked, else to be awaited."""
        vocabulary = self._texts.vocabulary_of(model)
        if not vocabulary.is_known:
            return self._anew(model, vocabulary.framing, items, self._texts.ratio_of(model))
        known, framing = self._texts.known_in(vocabulary), vocabulary.framing
        # Nearly all are plain messages that were counted before.
        found: list[int | None] = [
            known.get(item.content) if type(item) is Message and type(item.content) is str else None for item in items
        ]
        missing = [place for place, tokens in enumerate(found) if tokens is None]
        counts = [
            0 if tokens is None else tokens + (framing.answer if item.role == "assistant" else framing.message)
            for tokens, item in zip(found, cast("Sequence[Message]", items), strict=True)  # or none was found
        ]
        if not missing:
            return counts
        new = self._anew(model, framing, [items[place] for place in missing])
        return _put_in(counts, missing, new) if isinstance(new, list) else _awaited(counts, missing, new)

    def known_sum(self, model: str, messages: Sequence[Message]) -> int | None:
        """The tokens of plain messages together, where all were counted before; None where not."""
        vocabulary = self._texts.vocabulary_of(model)
        if not vocabulary.is_known:
            counts = self.count(model, messages)
            return sum(counts) if isinstance(counts, list) else None
        known, framing = self._texts.known_in(vocabulary), vocabulary.framing
        try:
            texts = sum([known[cast("str", each.content)] for each in messages])
        except KeyError:
            return None
        answers = sum([each.role == "assistant" for each in messages])
        return texts + answers * framing.answer + (len(messages) - answers) * framing.message

    def _anew(
        self, model: str, framing: Framing, items: Sequence[Item], scale: float = 1.0
    ) -> list[int] | Awaitable[list[int]]:
        """The tokens of each, text by text. `scale` is of what is not counted anyway."""
        texts: list[str] = []
        parts: list[_Parts] = []
        a_message, an_answer = _Parts(1, ceil(framing.message * scale)), _Parts(1, ceil(framing.answer * scale))
        for item in items:
            if type(item) is Message and type(item.content) is str:
                texts.append(item.content)
                parts.append(an_answer if item.role == "assistant" else a_message)
                continue
            own, rest = _taken_apart(item, framing)
            texts += own
            parts.append(_Parts(len(own), ceil(rest * scale)))
        counts = self._texts.count(model, texts)
        return _together(parts, counts) if isinstance(counts, list) else _gathered(parts, counts)

    def around(self, model: str, prompt: Prompt) -> int | Awaitable[int]:
        """The tokens of what goes along with a prompt's items: instructions, tools, the shape of the answer."""
        vocabulary = self._texts.vocabulary_of(model)
        rest = _around(prompt, vocabulary.framing)
        if not vocabulary.is_known:
            rest = ceil(rest * self._texts.ratio_of(model))
        if not prompt.instructions:
            return rest
        counts = self._texts.count(model, [prompt.instructions])
        return rest + counts[0] if isinstance(counts, list) else _sum(rest, counts)

    async def whole(self, model: str, prompt: Prompt) -> int:
        """The tokens of a prompt."""
        around = self.around(model, prompt)
        items = self.count(model, prompt.items)
        return (around if isinstance(around, int) else await around) + sum(
            items if isinstance(items, list) else await items
        )


class _Parts(NamedTuple):
    """What an item is made of: so many texts, and so many tokens of all else."""

    texts: int
    rest: int


def _together(parts: Sequence[_Parts], counts: Sequence[int]) -> list[int]:
    """The tokens of each item, from those of all of their texts."""
    found: list[int] = []
    place = 0
    for texts, rest in parts:
        found.append(rest + (counts[place] if texts == 1 else sum(counts[place : place + texts])))
        place += texts
    return found


async def _gathered(parts: Sequence[_Parts], counts: Awaitable[list[int]]) -> list[int]:
    return _together(parts, await counts)


def _put_in(counts: list[int], places: Sequence[int], new: Sequence[int]) -> list[int]:
    for place, tokens in zip(places, new, strict=True):
        counts[place] = tokens
    return counts


async def _awaited(counts: list[int], places: Sequence[int], new: Awaitable[list[int]]) -> list[int]:
    return _put_in(counts, places, await new)


async def _sum(rest: int, counts: Awaitable[list[int]]) -> int:
    return rest + sum(await counts)


# --- what items are made of ---------------------------------------------------------------------


def _taken_apart(item: Item, framing: Framing) -> tuple[list[str], int]:
    """The texts of an item, and the tokens of all else."""
    match item:
        case Message():
            texts, rest = _content(item.content, framing)
            return texts, rest + (framing.answer if item.role == "assistant" else framing.message)
        case ToolCall():
            return [item.name, item.arguments] if framing.names_calls else [item.arguments], framing.call
        case ToolOutput():
            texts, rest = _content(item.output, framing)
            return texts, rest + framing.output
        case Reference() | Compaction():
            return [], 0  # what it stands for is counted in its place
        case _:
            return [], measure(Prompt([item], dialect=item.dialect)).estimate if framing.reads_raw else 0


def _content(content: str | list[Part], framing: Framing) -> tuple[list[str], int]:
    if isinstance(content, str):
        return [content], 0
    texts: list[str] = []
    rest = 0
    for part in content:
        match part:
            case Text():
                texts.append(part.text)
            case Image():
                rest += framing.small_picture if part.detail == "low" else framing.picture
            case _:
                rest += measure(Prompt([Message("user", [part])])).estimate if framing.reads_raw else 1
    return texts, rest


def _around(prompt: Prompt, framing: Framing) -> int:
    rest = framing.request
    if prompt.instructions:
        rest += framing.message
    elif not (prompt.items and type(prompt.items[0]) is Message and prompt.items[0].role in _INSTRUCTING):
        rest += framing.uninstructed
    if prompt.tools:
        rest += framing.tools
    if framing.reads_raw:
        rest += sum(_json_tokens(tool.definition) for tool in prompt.tools)
        rest += 0 if prompt.format is None else _json_tokens(prompt.format.definition)
    return rest


def _json_tokens(value: dict[str, Any]) -> int:
    return -(-len(_encode(value)) // BYTES_PER_TOKEN)
