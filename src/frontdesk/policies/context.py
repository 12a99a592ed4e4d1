"""Context: what a feature's model is told of what was said before, by the feature's strategy.

    all        all of it
    window     as much of it as there is room for, the latest first (`context.assembly`)
    summary    the same, behind a summary of the older part where there is one by now

Where the feature says so, facts that the person wants to be remembered stand behind the instructions, the newest ones
that a share of the room holds; nothing is refused for their sake, nor for a summary's. Counted is as the model reads.
What was done is noted with the turn. What the server asks by itself (`Turn.is_aside`), such as for a summary, says all
that it means to, and no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from frontdesk.context.assembly import Assembly, Outline, Saving, assemble, outline, tokens_of
from frontdesk.context.blocks import is_instructing, new_from
from frontdesk.context.facts import Facts
from frontdesk.context.record import left_out
from frontdesk.context.shortening import output_texts, shortened, shown, with_parts
from frontdesk.context.wording import told_fact, told_facts, told_summary
from frontdesk.core.config import Context, Feature, Model
from frontdesk.core.errors import BadRequest, store_unavailable
from frontdesk.policies.truncation import answer_tokens
from frontdesk.storage.errors import StorageError
from frontdesk.turn.context import ContextRecord, Past, SummaryTold
from frontdesk.turn.items import Item, Message, Part, Prompt
from frontdesk.turn.turn import Turn

_FIELDS = {"chat": "messages", "responses": "input"}
_MOST_UTF8_BYTES = 4  # of a character; no token has fewer than one
_MOST_CHARS = 8  # of a token, on average: hardly a text has more
_TRIES = 4
_NOTE_CHARS = 64
_SURELY = 0.9
_FACTS_SHARE = 4  # a quarter of the room
_USUAL_ROOM = 8_192  # where nobody says how much there is


class Tokens(Protocol):
    """Counts prompts in parts: their items and all else add up."""

    def count(self, model: str, items: Sequence[Item]) -> list[int] | Awaitable[list[int]]:
        """The tokens of each of these items, in order, for a configured model."""
        ...

    def known_sum(self, model: str, messages: Sequence[Message]) -> int | None:
        """The tokens of plain messages together, where all were counted before."""
        ...

    def around(self, model: str, prompt: Prompt) -> int | Awaitable[int]:
        """The tokens of all that goes along with a prompt's items."""
        ...


class Summary(Protocol):
    """What is left of so many items: all that was said up to an anchor (`turn.context.Past`)."""

    @property
    def anchor(self) -> str:
        """Up to where, the last item that has it included."""
        ...

    @property
    def items(self) -> int:
        """How many it is made of."""
        ...

    @property
    def content(self) -> str:
        """What it says."""
        ...


class Recollection(Protocol):
    """What a turn is told beside what was said last."""

    @property
    def facts(self) -> Sequence[str]:
        """What the person wants to be remembered, in the order in which it is told: the newest words last."""
        ...

    @property
    def summary(self) -> Summary | None:
        """The latest summary of what the turn goes on with."""
        ...

    @property
    def pinned(self) -> Set[str]:
        """The ids of the items that are told in any case."""
        ...


class Memory(Protocol):
    """Knows what is to be told beside what was said last."""

    async def recall(self, turn: Turn, past: Past, *, has_facts: bool) -> Recollection:
        """What there is for this turn; facts where it `has_facts`. Raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class _Counts:
    """The tokens of each item, of a summary that takes the place of some, and of all else before the answer."""

    items: list[int]
    summary: int
    others: int


class _Wanted(NamedTuple):
    """What is to be told of the past, and in how many tokens; None of `known` is not looked up by now."""

    context: Context
    budget: int
    known: Recollection | None
    summary: Summary | None
    facts: Facts


class Contexts:
    """Has models told what their feature's strategy says. Behind all that puts something into requests."""

    def __init__(
        self, features: Mapping[str, Feature], models: Mapping[str, Model], tokens: Tokens, memory: Memory
    ) -> None:
        self._contexts = {name: feature.context for name, feature in features.items() if feature.context is not None}
        self._models = models
        self._tokens = tokens
        self._memory = memory

    def reach(self, turn: Turn) -> int | None:
        """See `policies.history.Reach`. It errs: who counts has all of it in the end, where that was too little."""
        context = self._contexts.get(turn.feature)
        if context is None or context.strategy == "all" or turn.is_aside:
            return None
        model = self._models.get(turn.model)
        limits = [each for each in (context.tokens, model and model.context_tokens) if each is not None]
        return min(limits) * _MOST_CHARS if limits else None

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Make of a request what is told. Raises BadRequest where what must be told does not fit; Unavailable."""
        context = self._contexts.get(turn.feature)
        prompt = turn.request
        if context is None or type(prompt) is not Prompt or turn.is_aside:
            return None
        return self._tell(turn, prompt, context)

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""

    async def _tell(self, turn: Turn, prompt: Prompt, context: Context) -> None:
        past = turn.past or _NO_PAST
        sums_up = context.strategy == "summary" and bool(past.ids)
        known = await self._recall(turn, past, context) if context.facts or sums_up else None
        facts = await self._facts(turn.model, prompt, known.facts if known is not None and context.facts else ())
        budget = self._budget(turn.model, prompt, context)
        if budget is None:
            facts = await self._facts_beside_all(turn.model, prompt, facts)
            record = ContextRecord(context.strategy, len(prompt.items), left_out=facts.left_out, facts=len(facts.told))
            _note(turn, _with_facts(prompt, facts.told), record)
            return
        facts = facts.within(budget // _FACTS_SHARE)
        wanted = _Wanted(context, budget, known, known.summary if known is not None and sums_up else None, facts)
        fitted = await self._fitted(turn, prompt, past, wanted)
        if fitted is None:
            fitted = await self._fitted(turn, *_with_far(prompt, past), wanted)
        assert fitted is not None  # nothing is far any more
        _note(turn, *fitted)

    async def _fitted(
        self, turn: Turn, prompt: Prompt, past: Past, wanted: _Wanted
    ) -> tuple[Prompt, ContextRecord] | None:
        """What is told, and the record of it. None where what is far must be looked at for that after all."""
        context, budget, known, summary, facts = wanted
        bare, prompt = prompt, _with_facts(prompt, facts.told)
        counts = await self._counts(turn.model, prompt, summary)
        tokens = counts.others + sum(counts.items)
        if summary is None and tokens <= budget:
            record = ContextRecord(
                context.strategy, len(prompt.items), budget, tokens, facts.left_out, facts=len(facts.told)
            )
            return None if past.far else (msgspec.structs.replace(prompt, truncation=None), record)
        if known is None and past.ids:
            known = await self._recall(turn, past, context)
        far = len(past.far)
        far_tokens = self._tokens.known_sum(turn.model, past.far) if far else 0
        pinned, stands_for = _pinned_places(past, known), _stands_for(summary, past)
        if far_tokens is None or any(place < far for place in pinned) or 0 < stands_for <= far:
            return None
        pinned = {place - far for place in pinned}
        found = outline(prompt.items, new_from(prompt.items, len(past.ids) - far), pinned, max(stands_for - far, 0))
        told = summary if found.stood_for else None
        others = counts.others + (counts.summary if told is not None else 0)
        assembly = await self._assembled(turn.model, prompt.items, counts.items, found, budget - others, context)
        if assembly is None:
            tokens = others + sum(map(counts.items.__getitem__, found.held))
            fewer = _fewer(wanted, tokens - budget, has_summary=told is not None)
            if fewer is None:
                raise _too_much(turn, prompt, tokens, budget)
            return await self._fitted(turn, bare, past, fewer)
        if far and not (found.stood_for if summary is not None else assembly.dropped):
            return None
        record = ContextRecord(
            context.strategy,
            len(assembly.kept),
            budget,
            others + assembly.tokens,
            (*left_out(assembly, found, counts.items, past, far_tokens), *facts.left_out),
            None if told is None else SummaryTold(told.anchor, told.items, counts.summary),
            len(facts.told),
            len(pinned),
        )
        return _assembled_prompt(prompt, assembly, told), record

    async def _recall(self, turn: Turn, past: Past, context: Context) -> Recollection:
        try:
            return await self._memory.recall(turn, past, has_facts=context.facts)
        except StorageError:
            raise store_unavailable() from None

    def _budget(self, name: str, prompt: Prompt, context: Context) -> int | None:
        """How many tokens there may be before the answer; None where nobody says."""
        if context.strategy == "all":
            return None
        room = self._room(name, prompt)
        if room is None or context.tokens is None:
            return context.tokens if room is None else room
        return min(room, context.tokens)

    def _room(self, name: str, prompt: Prompt) -> int | None:
        """How many tokens the model reads before its answer; None where nobody says."""
        model = self._models[name]
        window = model.context_tokens
        return None if window is None else window - answer_tokens(model, window, prompt)

    # --- facts ----------------------------------------------------------------------------------

    async def _facts(self, model: str, prompt: Prompt, facts: Sequence[str]) -> Facts:
        """All of them, counted."""
        if not facts:
            return Facts()
        sizes = await self._count_texts(model, [told_fact(fact) for fact in facts])
        opened = msgspec.structs.replace(prompt, instructions=_words_with_facts(prompt, ()))
        return Facts(facts, sizes, await self._around(model, opened) - await self._around(model, prompt))

    async def _facts_beside_all(self, model: str, prompt: Prompt, facts: Facts) -> Facts:
        """Those that are told where all else is."""
        room = self._room(model, prompt)
        facts = facts.within((_USUAL_ROOM if room is None else room) // _FACTS_SHARE)
        if room is None or not facts.told:
            return facts
        tokens = await self._count(model, prompt.items)
        least = sum(tokens)
        if prompt.truncation == "auto":  # what may go then goes before they do
            least = sum(map(tokens.__getitem__, outline(prompt.items, new_from(prompt.items)).held))
        while facts.told:
            over = await self._around(model, _with_facts(prompt, facts.told)) + least - room
            if over <= 0:
                break
            facts = facts.within(facts.tokens - over)
        return facts

    # --- counting -------------------------------------------------------------------------------

    async def _counts(self, model: str, prompt: Prompt, summary: Summary | None) -> _Counts:
        others = await self._around(model, prompt)
        items = await self._count(model, prompt.items)
        told = 0 if summary is None else sum(await self._count(model, [told_summary(summary.content)]))
        return _Counts(items, told, others)

    async def _around(self, model: str, prompt: Prompt) -> int:
        around = self._tokens.around(model, prompt)
        return around if isinstance(around, int) else await around

    async def _count(self, model: str, items: Sequence[Item]) -> list[int]:
        counts = self._tokens.count(model, items)
        return counts if isinstance(counts, list) else await counts

    async def _count_texts(self, model: str, texts: Sequence[str]) -> list[int]:
        """The tokens of texts by themselves."""
        *counts, around = await self._count(model, [*(Message("user", text) for text in texts), Message("user", "")])
        return [tokens - around for tokens in counts]

    # --- assembling -----------------------------------------------------------------------------

    async def _assembled(
        self, model: str, items: Sequence[Item], tokens: Sequence[int], found: Outline, room: int, context: Context
    ) -> Assembly | None:
        savings: list[Saving] = []
        if tokens_of(found, tokens) > room:
            places = _within_reach(found, items, tokens, room, context.tool_output_tokens)
            savings += await self._shorter_outputs(model, items, places, context.tool_output_tokens)
            savings += await self._notes(model, items, tokens, places)
        return assemble(found, tokens, room, savings)

    async def _shorter_outputs(
        self, model: str, items: Sequence[Item], places: Sequence[int], most: int
    ) -> list[Saving]:
        """What outputs of tools may be told as, in at most so many tokens each."""
        outputs = [
            (place, part, text)
            for place in places
            for part, text in output_texts(items[place])
            if len(text) * _MOST_UTF8_BYTES > most
        ]
        counts = await self._count_texts(model, [text for _, _, text in outputs])
        long = [(*output, tokens) for output, tokens in zip(outputs, counts, strict=True) if tokens > most]
        told = await self._shortened(model, [(text, tokens) for _, _, text, tokens in long], most)
        return [
            Saving(place, part, "shortened", instead, tokens - fewer)
            for (place, part, _, tokens), (instead, fewer) in zip(long, told, strict=True)
            if fewer < tokens
        ]

    async def _shortened(self, model: str, texts: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
        """Each text of so many tokens in at most `most`, and in how many that is."""
        chars = [int(len(text) * most / tokens) - _NOTE_CHARS for text, tokens in texts]
        told = [shortened(text, kept) for (text, _), kept in zip(texts, chars, strict=True)]
        counts = await self._count_texts(model, told)
        for _ in range(_TRIES):
            over = [place for place, tokens in enumerate(counts) if tokens > most and chars[place] > 0]
            if not over:
                break
            for place in over:
                chars[place] = int(chars[place] * _SURELY * most / counts[place])
                told[place] = shortened(texts[place][0], chars[place])
            again = await self._count_texts(model, [told[place] for place in over])
            for place, tokens in zip(over, again, strict=True):
                counts[place] = tokens
        return list(zip(told, counts, strict=True))

    async def _notes(
        self, model: str, items: Sequence[Item], tokens: Sequence[int], places: Sequence[int]
    ) -> list[Saving]:
        """What pictures and files may be told as."""
        found = [(place, part, note) for place in places for part, note in shown(items[place])]
        noted = [with_parts(items[place], {part: note}) for place, part, note in found]
        counts = await self._count(model, noted)
        return [
            Saving(place, part, "image", note, tokens[place] - fewer)
            for (place, part, note), fewer in zip(found, counts, strict=True)
            if fewer < tokens[place]
        ]


_NO_PAST = Past()


def _with_far(prompt: Prompt, past: Past) -> tuple[Prompt, Past]:
    """The same with all that came before in the prompt."""
    answered = frozenset([place + len(past.far) for place in prompt.answered])
    return msgspec.structs.replace(prompt, items=[*past.far, *prompt.items], answered=answered), past._replace(far=())


def _fewer(wanted: _Wanted, over: int, *, has_summary: bool) -> _Wanted | None:
    """The same without facts, or else without the summary, that are in the way of so many tokens; None for neither."""
    facts = wanted.facts
    if facts.told and (over <= facts.tokens or not has_summary):
        return wanted._replace(facts=facts.within(facts.tokens - over))
    return wanted._replace(summary=None) if has_summary else None


def _pinned_places(past: Past, known: Recollection | None) -> Set[int]:
    if known is None or not known.pinned:
        return frozenset()
    return {place for place, item_id in enumerate(past.ids) if item_id in known.pinned}


def _stands_for(summary: Summary | None, past: Past) -> int:
    """Of how many items of the past a summary is."""
    if summary is None:
        return 0
    return next((place + 1 for place in reversed(range(len(past.anchors))) if past.anchors[place] == summary.anchor), 0)


def _within_reach(found: Outline, items: Sequence[Item], tokens: Sequence[int], room: int, of_output: int) -> list[int]:
    """The places, in order, of items that might be told in part: of blocks that could stay then. Others go anyway."""
    places: list[int] = []
    least = sum(map(tokens.__getitem__, found.held))
    for block in reversed(found.old):
        if least > room:
            break
        for place in block:
            item = items[place]
            if type(item) is Message and type(item.content) is str:
                least += tokens[place]
            else:
                least += min(tokens[place], of_output // 2)
                places.append(place)
    return sorted(places)


# --- what is told -------------------------------------------------------------------------------


def _with_facts(prompt: Prompt, facts: Sequence[str]) -> Prompt:
    return msgspec.structs.replace(prompt, instructions=_words_with_facts(prompt, facts)) if facts else prompt


def _words_with_facts(prompt: Prompt, facts: Sequence[str]) -> str:
    told = told_facts(facts)
    return f"{prompt.instructions}\n\n{told}" if prompt.instructions else told


def _assembled_prompt(prompt: Prompt, assembly: Assembly, summary: Summary | None) -> Prompt:
    """The prompt with what is told, a summary behind the instructions that open the conversation."""
    parts: dict[int, dict[int, str | Part]] = {}
    for saving in assembly.savings:
        parts.setdefault(saving.place, {})[saving.part] = saving.instead
    items = [
        with_parts(prompt.items[place], parts[place]) if place in parts else prompt.items[place]
        for place in assembly.kept
    ]
    if summary is not None:
        place = next((place for place, item in enumerate(items) if not is_instructing(item)), len(items))
        items.insert(place, told_summary(summary.content))
    return msgspec.structs.replace(prompt, items=items, answered=frozenset(), truncation=None)


def _note(turn: Turn, prompt: Prompt, record: ContextRecord) -> None:
    turn.request, turn.size, turn.context = prompt, None, record


def _too_much(turn: Turn, prompt: Prompt, tokens: int, budget: int) -> BadRequest:
    asked = prompt.max_output_tokens
    answer = "" if asked is None else f", beside an answer of up to {asked:,}"
    return BadRequest(
        f"The feature {turn.feature!r} has room for {budget:,} tokens before the answer of {turn.model!r}{answer}. "
        f"What is new, with the instructions and what is pinned, has {tokens:,}. Send less, ask for less, or take out "
        "what is pinned.",
        code="context_length_exceeded",
        param=_FIELDS[prompt.dialect],
    )
