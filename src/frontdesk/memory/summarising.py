"""Summaries: what of a long conversation, or chain, does not fit any more is summed up, behind an answer.

    a turn ends whose model was not told all, or nearly ─► job ─► what was said since the last summary, in pieces
                                                                    └─► asked of a model ─► a summary, up to its anchor

No turn waits for it: until it is there, the next ones are told what fits. It is kept only where all that was read is
still there. Where a model gives no usable one, all stays as it was; that it was in vain is kept, so that it is asked
again only once a good deal more has been said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from frontdesk.accounts.absent import CallerThen, caller_then
from frontdesk.asides.asking import AbsentCallers, Aside, Question
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.config import Config
from frontdesk.core.config.shapes import Context
from frontdesk.core.errors import FrontdeskError
from frontdesk.files.owner import owner_of
from frontdesk.jobs.plan import Done, Job, NewJob, Progress, Retry
from frontdesk.memory import folding
from frontdesk.memory.rows import SummaryRow
from frontdesk.memory.store import summaries
from frontdesk.memory.store.told import ToldStore, ToldSummary
from frontdesk.policies.history import Recalled, sound
from frontdesk.storage.database import Database
from frontdesk.storage.query import Row, Step
from frontdesk.turn.items import ConversationNamed, Item
from frontdesk.turn.turn import Caller, Turn

SUMMARY = "summary"
"""The name of the kind of jobs."""
LOW = -10
"""The priority of such jobs: below all that somebody waits for."""

_DUE = 0.7  # of what there is room for
_KEPT = 0.5  # of it, of the newest
_GROWN = 1.25  # what nobody could sum up is tried again as so many times as many items
_MOST_PIECES = 16
_USUAL_WINDOW = 8_192  # of a model that nobody says more of
_LARGEST_PIECE = 8_000
_ASKING_TOKENS = 400  # the question around the material
_TOKENS_PER_WORD = 3  # in most languages it is less than two
_LEAST_WORDS = 20
_OF_BUDGET = 2  # half of it is the most that one may take
_THINKING_TOKENS = 500  # a model that thinks does so first


class SummaryWanted(msgspec.Struct, frozen=True):
    """The payload of such a job: of which conversation, "" for the chain up to `response`; what for, and who asked.

    The `budget` is that of the turn, in tokens of its `model`; `left_out` is the last item that it did not tell.
    """

    conversation: str
    response: str
    feature: str
    model: str
    budget: int
    left_out: str
    caller: CallerThen


def summary_job(turn: Turn) -> NewJob | None:
    """The job behind a turn that was answered; None where nothing needs to be summed up."""
    past, record = turn.past, turn.context
    if past is None or record is None or record.budget is None or record.tokens is None or not past.anchors:
        return None
    left_out = [each.last or "" for each in record.left_out if each.why == "window"]
    told = record.tokens - (0 if record.summary is None else record.summary.tokens)
    whole = past.conversation or past.anchors[0]
    if not whole or not (left_out or told > record.budget * _DUE):
        return None
    wanted = SummaryWanted(
        past.conversation,
        turn.id,
        turn.feature,
        turn.model,
        record.budget,
        left_out[-1] if left_out else "",
        caller_then(turn.caller),
    )
    return NewJob(SUMMARY, msgspec.msgpack.encode(wanted), turn.caller.person or "", LOW, dedupe=whole)


# --- what the job needs to know -------------------------------------------------------------------


class Library(Protocol):
    """Knows what was said (`keeping.history`)."""

    async def chain(self, caller: Caller, response_id: str) -> Sequence[Recalled]:
        """What was said up to the end of the caller's own response of this id. Raises BadRequest."""
        ...

    async def conversation(
        self, caller: Caller, named: ConversationNamed, brought_by: str | None
    ) -> tuple[int, Sequence[Recalled]]:
        """The version of the caller's own conversation, and its items. Raises NotFound, BadRequest."""
        ...


class TextCounts(Protocol):
    """Counts texts as a model reads them."""

    def count(self, model: str, texts: Sequence[str]) -> list[int] | Awaitable[list[int]]:
        """The tokens of each, in order."""
        ...


class ItemCounts(Protocol):
    """Counts items as a model reads them."""

    def count(self, model: str, items: Sequence[Item]) -> list[int] | Awaitable[list[int]]:
        """The tokens of each, in order."""
        ...


class Chosen(NamedTuple):
    """Which model is asked, as which feature."""

    model: str
    feature: str


class Writers(Protocol):
    """Knows who sums up."""

    def writer_for(self, caller: Caller, feature: str, named: str | None) -> Chosen | None:
        """The model for what a feature's turns said, the one that is `named` or else the cheapest; None for none."""
        ...


class Counts(NamedTuple):
    """What counts tokens."""

    texts: TextCounts
    items: ItemCounts


# --- the job --------------------------------------------------------------------------------------


class Summaries:
    """Does these jobs."""

    def __init__(
        self,
        config: Config,
        database: Database,
        library: Library,
        aside: Aside,
        callers: AbsentCallers,
        writers: Writers,
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._contexts: Mapping[str, Context] = {
            name: feature.context for name, feature in config.features.items() if feature.context is not None
        }
        self._windows = {name: model.context_tokens for name, model in config.models.items()}
        self._store = ToldStore(database)
        self._library = library
        self._aside = aside
        self._callers = callers
        self._writers = writers
        self._counts = counts
        self._clock = clock

    async def run(self, job: Job, progress: Progress) -> Done | None:
        """See `jobs.plan.Handler`."""
        wanted = _decode(job.payload)
        context = self._contexts.get(wanted.feature)
        caller = await self._callers.caller_now(job.tenant, job.person, wanted.caller, job.created_at_ms)
        if context is None or caller is None:
            return None
        writer = self._writers.writer_for(caller, wanted.feature, context.summary.model)
        said = await self._said(caller, wanted)
        if writer is None or not said:
            return None
        whole = await self._whole(caller, wanted, said)
        until = folding.folded_until(
            whole.items, whole.anchors, whole.tokens, whole.first, int(wanted.budget * _KEPT), whole.least
        )
        if until == whole.first or len(said) - whole.first < (whole.vain - whole.first) * _GROWN:
            return None
        words = min(context.summary.words, max(wanted.budget // (_OF_BUDGET * _TOKENS_PER_WORD), _LEAST_WORDS))
        folded = await self._folded(job, wanted, whole, until, words, writer, progress)
        return partial(self._keep, job.tenant, wanted, whole, folded or _Folded("", len(said)), writer.model)

    async def _said(self, caller: Caller, wanted: SummaryWanted) -> Sequence[Recalled]:
        """What was said so far; nothing where it is not there any more, or not all of it is of a chain."""
        try:
            if wanted.conversation:
                _, said = await self._library.conversation(caller, ConversationNamed(wanted.conversation), None)
                return sound(said, ())  # as turns are told it: its anchor is among what they find
            said = await self._library.chain(caller, wanted.response)
        except FrontdeskError:
            return ()
        # What a conversation said that it has left can be deleted there, and the summary would not know.
        return sound(said, ()) if all(each.response for each in said) else ()

    async def _whole(self, caller: Caller, wanted: SummaryWanted, said: Sequence[Recalled]) -> _Whole:
        items = [each.item for each in said]
        anchors = [each.id if wanted.conversation else each.response for each in said]
        owner = owner_of(caller)
        if wanted.conversation:
            told = await self._store.of_conversation(owner, wanted.conversation, "")
        else:
            told = await self._store.of_chain(owner, dict.fromkeys(anchors), "")
        before, first = None, 0
        known = {each.anchor: each for each in told.summaries}
        for place in range(len(anchors) if known else 0, 0, -1):
            if (before := known.get(anchors[place - 1])) is not None:
                first = place
                break
        counts = self._counts.items.count(wanted.model, items)
        tokens = counts if isinstance(counts, list) else await counts
        vain = next((place for place in range(len(anchors), first, -1) if anchors[place - 1] in told.vain), first)
        least = next((place + 1 for place, each in enumerate(said) if each.id == wanted.left_out), 0)
        return _Whole(items, anchors, tokens, before, first, vain, least)

    async def _folded(
        self,
        job: Job,
        wanted: SummaryWanted,
        whole: _Whole,
        until: int,
        words: int,
        writer: Chosen,
        progress: Progress,
    ) -> _Folded | None:
        """What is left of all up to `until`, or up to where nobody gave a summary any more."""
        read = folding.lines(whole.items, whole.first, until)
        counts = self._counts.texts.count(writer.model, [line.text for line in read])
        tokens = counts if isinstance(counts, list) else await counts
        answer_tokens = words * _TOKENS_PER_WORD + _THINKING_TOKENS
        room = (self._windows.get(writer.model) or _USUAL_WINDOW) - answer_tokens - words * _TOKENS_PER_WORD
        size = min(max(room - _ASKING_TOKENS, _ASKING_TOKENS), _LARGEST_PIECE)
        pieces = folding.pieces(read, tokens, size, until)[:_MOST_PIECES]
        ends = frozenset(folding.ends_of(whole.items, whole.anchors, whole.first))
        content, found = "" if whole.before is None else whole.before.content, None
        for number, piece in enumerate(pieces):
            text, mark = folding.question_of(content, piece.text, words)
            try:
                said = await self._aside.ask_at_length(
                    job, wanted.caller, Question(writer.feature, writer.model, text, answer_tokens)
                )
            except Retry:
                if found is None:
                    raise
                break
            summary = None if said is None else folding.summary_in(said, mark, content, words)
            if summary is None:
                break
            content = summary
            if piece.until is not None and piece.until in ends:
                found = _Folded(content, piece.until)
            progress.tell(number + 1, len(pieces))
        return found

    def _keep(
        self, tenant: str, wanted: SummaryWanted, whole: _Whole, folded: _Folded, model: str
    ) -> Generator[Step, list[Row], None]:
        before = "" if whole.before is None else whole.before.anchor
        read = list(dict.fromkeys(whole.anchors[whole.first : folded.until]))
        owner = yield from summaries.owner_of_all(tenant, wanted.conversation, before, read)
        if owner is None:
            return
        earlier = 0 if whole.before is None else whole.before.items
        yield from summaries.put(
            SummaryRow(
                tenant=tenant,
                conversation=wanted.conversation,
                anchor=read[-1],
                person=owner.person,
                credential=owner.credential,
                content=folded.content,
                items=earlier + folded.until - whole.first,
                model=model,
                created_at_ms=unix_ms(self._clock),
            )
        )


_decode = msgspec.msgpack.Decoder(SummaryWanted).decode


class _Whole(NamedTuple):
    """All that was said. The summary `before` stands for the items before the place `first`.

    Nobody could sum up those before the place `vain`. Those before the place `least` are in no prompt any more.
    """

    items: Sequence[Item]
    anchors: Sequence[str]
    tokens: Sequence[int]
    before: ToldSummary | None
    first: int
    vain: int
    least: int


class _Folded(NamedTuple):
    """What is left of all before the place `until`; "" where nobody could sum it up."""

    content: str
    until: int
