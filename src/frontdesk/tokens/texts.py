"""The tokens of single texts, as a model reads them: exactly where its vocabulary is known, else about.

    known here already ─► at once          counted by the vocabulary, or remembered from when it was
    not yet            ─► counted in a process of its own, all texts of a request together
    vocabulary unknown ─► by bytes, times what providers told so far of earlier requests to the model

A text is remembered with its count: the same one is nearly always a text of a conversation that goes on, and the very
object that was counted before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from math import ceil
from typing import Protocol

from frontdesk.core.clock import Clock
from frontdesk.tokens.encodings import PUBLISHED
from frontdesk.tokens.vocabularies import UNKNOWN, Counts, Vocabulary
from frontdesk.turn.items import Prompt
from frontdesk.turn.sizes import BYTES_PER_TOKEN, size_of, utf8_bytes
from frontdesk.turn.turn import Turn

_MOST_BYTES = 32 * 1024 * 1024
_A_COUNT_BYTES = 150  # of memory, besides the text
_LARGEST_PART = 16  # of all that is remembered
_ASKED_CHARS = 512 * 1024
_ASKED_TEXTS = 2_000
_AGAIN_S = 30.0
_LEAST_RATIO, _MOST_RATIO = 0.25, 4.0
_WEIGHT = 4_000.0  # in tokens: what an estimate stands for before anybody told better
_FORGETS = 0.95


class EachCounter(Protocol):
    """Counts tokens exactly, elsewhere than on the loop."""

    async def count_each(self, texts: Sequence[str], encoding: str) -> list[int] | None:
        """The tokens of each of these texts, in order; None where they cannot be counted now."""
        ...


class TextTokens:
    """Counts texts for the configured models."""

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        counter: EachCounter,
        clock: Clock,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._vocabularies = vocabularies
        self._counter = counter
        self._clock = clock
        self._most_bytes = most_bytes
        self._known: dict[str, dict[str, int]] = {}  # by vocabulary and text
        self._size_bytes: dict[str, int] = {}
        self._ratios: dict[str, _Ratio] = {}
        self._not_before: dict[str, float] = {}

    def vocabulary_of(self, model: str) -> Vocabulary:
        """How a model reads."""
        return self._vocabularies.get(model, UNKNOWN)

    def is_exact(self, model: str) -> bool:
        """Whether the model's texts can be counted, as far as it turned out."""
        vocabulary = self.vocabulary_of(model)
        return vocabulary.is_known and not self._rests(vocabulary)

    @property
    def size_bytes(self) -> int:
        """How much memory what is remembered takes, about."""
        return sum(self._size_bytes.values())

    # --- counting -------------------------------------------------------------------------------

    def count(self, model: str, texts: Sequence[str]) -> list[int] | Awaitable[list[int]]:
        """The tokens of each of these texts, in order: at once where nobody need be asked, else to be awaited."""
        vocabulary = self.vocabulary_of(model)
        if not vocabulary.is_known:
            ratio = self.ratio_of(model)
            return [ceil(about(text) * ratio) for text in texts]
        known = self._known.get(vocabulary.name)
        if known is None:
            known = self._known[vocabulary.name] = {}
        found = [known.get(text) for text in texts]
        if None not in found:
            return found  # pyright: ignore[reportReturnType] - the line before looked
        if vocabulary.here is not None:
            return self._counted_here(vocabulary, vocabulary.here, texts, found)
        return self._counted(vocabulary, texts, found, self.ratio_of(model))

    def _counted_here(
        self, vocabulary: Vocabulary, here: Counts, texts: Sequence[str], found: Sequence[int | None]
    ) -> list[int]:
        counts: list[int] = []
        for text, tokens in zip(texts, found, strict=True):
            if tokens is None:
                tokens = here(text)  # noqa: PLW2901 - it was none
                self.know(vocabulary.name, text, tokens)
            counts.append(tokens)
        return counts

    async def _counted(
        self, vocabulary: Vocabulary, texts: Sequence[str], found: Sequence[int | None], ratio: float
    ) -> list[int]:
        missing = list(dict.fromkeys(text for text, tokens in zip(texts, found, strict=True) if tokens is None))
        new: dict[str, int] = {}
        if not self._rests(vocabulary):
            for some in _portions(missing):
                counted = await self._counter.count_each([_whole(text) for text in some], vocabulary.name)
                if counted is None:  # others would wait as long, for as little
                    self._not_before[vocabulary.name] = self._clock.monotonic() + _AGAIN_S
                    break
                for text, tokens in zip(some, counted, strict=True):
                    new[text] = tokens
                    self.know(vocabulary.name, text, tokens)
        return [
            tokens if tokens is not None else new[text] if text in new else ceil(about(text) * ratio)
            for text, tokens in zip(texts, found, strict=True)
        ]

    def _rests(self, vocabulary: Vocabulary) -> bool:
        """Whether it could not be counted by just now, so that nobody waits for it."""
        return self._clock.monotonic() < self._not_before.get(vocabulary.name, 0.0)

    # --- what is known --------------------------------------------------------------------------

    def known_in(self, vocabulary: Vocabulary) -> Mapping[str, int]:
        """The texts that were counted by a vocabulary, with their tokens."""
        return self._known.get(vocabulary.name, _NOTHING)

    def know(self, vocabulary: str, text: str, tokens: int) -> None:
        """Remember how many tokens a text has in the vocabulary of this name."""
        size = _size_of(text)
        if size * _LARGEST_PART > self._most_bytes:
            return
        known = self._known.setdefault(vocabulary, {})
        if text not in known:
            self._size_bytes[vocabulary] = self._size_bytes.get(vocabulary, 0) + size
        known[text] = tokens
        while self.size_bytes > self._most_bytes:
            self._forget_oldest()

    def counted(self, text: str) -> tuple[str, int] | None:
        """In which vocabulary a text was counted, and how many tokens it has; None where that is soon done again, or
        says nothing elsewhere.
        """
        for vocabulary in PUBLISHED:
            tokens = self._known.get(vocabulary, _NOTHING).get(text)
            if tokens is not None:
                return vocabulary, tokens
        return None

    def _forget_oldest(self) -> None:
        """Let go of the text that was counted first, in the vocabulary that takes most."""
        largest = max(self._size_bytes, key=self._size_bytes.__getitem__)
        oldest = next(iter(self._known[largest]))
        del self._known[largest][oldest]
        self._size_bytes[largest] -= _size_of(oldest)

    # --- estimates ------------------------------------------------------------------------------

    def ratio_of(self, model: str) -> float:
        """How many tokens of a model one of `turn.sizes` is, as its providers told; 1 before they did."""
        ratio = self._ratios.get(model)
        return 1.0 if ratio is None else ratio.value

    def hear(self, turn: Turn) -> None:
        """Learn from what was reported of a turn that has ended, where that is of words alone."""
        usage = turn.usage
        if usage is None or usage.source != "reported" or type(turn.request) is not Prompt or self.is_exact(turn.model):
            return
        if not (usage.image_input_tokens or usage.audio_input_tokens or usage.tool_tokens):
            self.learn(turn.model, size_of(turn).estimate, usage.input_tokens)

    def learn(self, model: str, estimated: int, reported: int) -> None:
        """Note how many tokens a provider found in a request that `turn.sizes` took for so many.

        Of models whose texts can be counted there is nothing to learn.
        """
        if estimated <= 0 or reported <= 0 or model not in self._vocabularies or self.is_exact(model):
            return
        ratio = self._ratios.get(model)
        if ratio is None:
            ratio = self._ratios[model] = _Ratio()
        ratio.note(estimated, reported)


_NOTHING: Mapping[str, int] = {}


def about(text: str) -> int:
    """About how many tokens a text has, whoever reads it."""
    return -(-utf8_bytes(text) // BYTES_PER_TOKEN)


class _Ratio:
    """What was reported, to what was estimated. Later requests count for more, and large ones for what they are."""

    __slots__ = ("_estimated", "_reported", "value")

    def __init__(self) -> None:
        self._estimated = self._reported = _WEIGHT
        self.value = 1.0

    def note(self, estimated: int, reported: int) -> None:
        # One odd report (a picture, a cache that a provider does not count) moves it no further than one bound does.
        heard = min(max(reported, estimated * _LEAST_RATIO), estimated * _MOST_RATIO)
        self._estimated = self._estimated * _FORGETS + estimated
        self._reported = self._reported * _FORGETS + heard
        self.value = self._reported / self._estimated


def _portions(texts: Sequence[str]) -> Iterator[list[str]]:
    """Some of the texts at a time, so that no question is too long."""
    some: list[str] = []
    chars = 0
    for text in texts:
        if some and (chars + len(text) > _ASKED_CHARS or len(some) == _ASKED_TEXTS):
            yield some
            some, chars = [], 0
        some.append(text)
        chars += len(text)
    if some:
        yield some


def _whole(text: str) -> str:
    """The text as it can be sent: half a surrogate pair is nothing that a tokenizer reads."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _size_of(text: str) -> int:
    return len(text) + _A_COUNT_BYTES
