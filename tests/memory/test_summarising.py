"""The job that sums up: when it is due, what it asks, what it keeps. What it asks of are fakes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from frontdesk.accounts.absent import caller_then
from frontdesk.asides.asking import Aside
from frontdesk.core.config import parse_config
from frontdesk.doors.absent import Answered, Outcome, Postponed
from frontdesk.jobs.plan import Retry
from frontdesk.memory.rows import SummaryRow
from frontdesk.memory.store.told import ToldStore
from frontdesk.memory.summarising import LOW, SUMMARY, Chosen, Counts, Summaries, SummaryWanted, summary_job
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import summary
from frontdesk.turn.context import ContextRecord, LeftOut, Past, SummaryTold
from frontdesk.turn.items import Item, Message
from frontdesk.turn.turn import Caller, Turn
from tests.asides.asked import Asks, Callers, Limits, Silent, answer, job
from tests.conversations.texts import for_ever
from tests.fakes import HandClock, make_turn
from tests.keeping.said_before import ANN, Shelf, owner

CONFIG = parse_config(
    """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo], context_tokens: 4000}}
features: {chat: {context: {strategy: summary, tokens: 1000, summary: {words: 50}}}}
""",
    {},
)
_ROWS = Query(select(*(summary.c[name] for name in SummaryRow.__struct_fields__)))
SAID = "Anna likes tea and lives in Rome."


# --- when it is due -------------------------------------------------------------------------------


def turn_of(record: ContextRecord | None, past: Past | None) -> Turn:
    turn = make_turn()
    turn.context, turn.past = record, past
    return turn


CONVERSATION, CHAIN = Past("conv_1", ["a", "b"], ["a", "b"]), Past("", ["resp_1", "resp_1"], ["a", "b"])
WINDOW = LeftOut("window", 1, 10, "a", "b")


@pytest.mark.parametrize(
    ("record", "past", "dedupe"),
    [
        (ContextRecord("summary", 2, 100, 80), CONVERSATION, "conv_1"),
        (ContextRecord("summary", 2, 100, 80), CHAIN, "resp_1"),
        (ContextRecord("summary", 2, 100, 20, (WINDOW,)), CHAIN, "resp_1"),
        (ContextRecord("summary", 2, 100, 70), CHAIN, None),
        (ContextRecord("summary", 2, 100, 80, summary=SummaryTold("resp_0", 4, 20)), CHAIN, None),
        (ContextRecord("summary", 2, 100, 95, summary=SummaryTold("resp_0", 4, 20)), CHAIN, "resp_1"),
        (ContextRecord("summary", 2, 100, 60, (LeftOut("summarised", 9, 90),)), CHAIN, None),
        (ContextRecord("summary", 2), CHAIN, None),
        (ContextRecord("summary", 2, 100, 80), Past(), None),
        (ContextRecord("summary", 2, 100, 80), None, None),
        (ContextRecord("summary", 2, 100, 80), Past("", ["", "resp_1"], ["a", "b"]), None),
        (None, CHAIN, None),
    ],
)
def test_when_it_is_due(record: ContextRecord | None, past: Past | None, dedupe: str | None) -> None:
    found = summary_job(turn_of(record, past))

    assert (None if found is None else found.dedupe) == dedupe
    if found is not None:
        assert (found.kind, found.person, found.priority) == (SUMMARY, "u1", LOW)
        wanted = msgspec.msgpack.decode(found.payload, type=SummaryWanted)
        assert wanted.left_out == ("b" if record is not None and record.left_out else "")


# --- what is asked and kept -----------------------------------------------------------------------


class WordsOfTexts:
    def count(self, model: str, texts: Sequence[str]) -> list[int]:
        assert model == "fast"
        return [len(text.split()) for text in texts]


class WordsOfItems:
    def count(self, model: str, items: Sequence[Item]) -> list[int]:
        assert model == "fast"
        return [len(str(item.content if isinstance(item, Message) else item).split()) for item in items]


class Writers:
    def __init__(self) -> None:
        self.chosen: Chosen | None = Chosen("fast", "summaries")

    def writer_for(self, caller: Caller, feature: str, named: str | None) -> Chosen | None:
        assert (caller.person, feature, named) == ("ann", "chat", None)
        return self.chosen


class Desk:
    """A process that sums up."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = HandClock()
        self.shelf = Shelf(database, self.clock)
        self.asks, self.callers, self.writers = Asks(), Callers(), Writers()
        aside = Aside(self.asks, self.callers, Limits(), self.clock)
        counts = Counts(WordsOfTexts(), WordsOfItems())
        self.handler = Summaries(
            CONFIG, database, self.shelf.library, aside, self.callers, self.writers, counts, self.clock
        )
        self.left_out = ""

    async def chain(self, *texts: str, previous: str | None = None) -> list[str]:
        made: list[str] = []
        for text in texts:
            previous = await self.shelf.ask(text, "yes " * 9 + "indeed.", previous=previous)
            made.append(previous)
        return made

    async def conversation(self, *texts: str) -> str:
        items: list[dict[str, Any]] = []
        for number, text in enumerate(texts):
            items.append({"type": "message", "role": "user", "id": f"q{number}", "content": text})
            part = {"type": "output_text", "text": "yes " * 9 + "indeed.", "annotations": []}
            said = {"type": "message", "role": "assistant", "id": f"a{number}", "status": "completed"}
            items.append({**said, "content": [part]})
        return (await self.shelf.conversations.create(owner(ANN), items, None, for_ever)).id

    async def run(self, conversation: str, response: str, *outcomes: Outcome) -> bool:
        """Do a job that asks for all of these; returns whether it kept anything."""
        has_kept = await self.do(conversation, response, *outcomes)
        assert not self.asks.outcomes
        return has_kept

    async def do(self, conversation: str, response: str, *outcomes: Outcome) -> bool:
        """Do a job; returns whether it kept anything."""
        wanted = SummaryWanted(conversation, response, "chat", "fast", 60, self.left_out, caller_then(ANN))
        self.asks.outcomes = outcomes
        done = await self.handler.run(
            job(self.clock, msgspec.msgpack.encode(wanted), person="ann", kind=SUMMARY), Silent()
        )
        if done is not None:
            self.clock.move(1)
            await self.database.transact(done)
        return done is not None

    async def told(self, conversation: str) -> list[str]:
        """The summaries that a turn is told one of."""
        told = await ToldStore(self.database).of_conversation(owner(ANN), conversation, "")
        return [each.content for each in told.summaries]

    async def rows(self) -> list[SummaryRow]:
        rows = await self.database.read(_ROWS)
        found = [SummaryRow(**dict(zip(SummaryRow.__struct_fields__, row, strict=True))) for row in rows]
        return sorted(found, key=lambda row: row.items)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


async def test_a_chain_is_summed_up_and_later_folded(desk: Desk) -> None:
    made = await desk.chain(*(f"I say number {number}." for number in range(5)))

    assert await desk.run("", made[-1], answer(SAID))

    (row,) = await desk.rows()
    assert (row.conversation, row.anchor, row.items, row.model) == ("", made[2], 6, "fast")
    assert (row.person, row.credential, row.content) == ("ann", "", SAID)
    (asked,) = desk.asks.texts
    assert "The person: I say number 0." in asked
    assert "The person: I say number 2." in asked
    assert "number 3" not in asked
    _, caller, feature, _, body = desk.asks.asked[0]
    assert (caller.person, feature, json.loads(body)["model"]) == ("ann", "summaries", "fast")

    more = await desk.chain("I say number 5.", "I say number 6.", previous=made[-1])
    assert await desk.run("", more[-1], answer("Anna likes tea, lives in Rome and counts."))

    assert [(row.anchor, row.items) for row in await desk.rows()] == [(made[2], 6), (made[4], 10)]
    assert f"\n{SAID}\n</summary" in desk.asks.texts[1]
    assert "number 2" not in desk.asks.texts[1]
    assert "number 4" in desk.asks.texts[1]


async def test_a_conversation_is_summed_up(desk: Desk) -> None:
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))

    assert await desk.run(conversation, "resp_x", answer(SAID))

    (row,) = await desk.rows()
    assert (row.conversation, row.anchor, row.items) == (conversation, "a2", 6)


async def test_what_a_prompt_left_out_is_folded_though_more_might_stay(desk: Desk) -> None:
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    desk.left_out = "a3"

    assert await desk.run(conversation, "resp_x", answer(SAID))

    assert [row.anchor for row in await desk.rows()] == ["a3"]


async def test_a_long_history_is_read_in_pieces(desk: Desk) -> None:
    long = "word " * 800
    conversation = await desk.conversation(*(f"{long} number {number}." for number in range(6)))

    assert await desk.run(conversation, "resp_x", answer(SAID), answer("Anna likes tea, lives in Rome and counts."))

    (row,) = await desk.rows()
    assert (row.content, row.anchor, row.items) == ("Anna likes tea, lives in Rome and counts.", "a4", 10)
    first, second = desk.asks.texts
    assert [number for number in range(6) if f"number {number}." in first] == [0, 1, 2]
    assert [number for number in range(6) if f"number {number}." in second] == [3, 4]
    assert f"\n{SAID}\n</summary" in second
    assert all(len(text.split()) < 2_900 for text in (first, second))


@pytest.mark.parametrize(
    "bad", [answer(None, "I won't."), answer("I'm sorry, I can't do that."), Answered(400, "r", b"{}")]
)
async def test_where_no_usable_one_comes_all_stays_as_it_was(desk: Desk, bad: Outcome) -> None:
    long = "word " * 800
    conversation = await desk.conversation(*(f"{long} number {number}." for number in range(6)))

    assert await desk.run(conversation, "resp_x", bad)
    assert [(row.content, row.anchor, row.items) for row in await desk.rows()] == [("", "a5", 12)]
    assert await desk.told(conversation) == []


async def test_what_was_folded_before_no_usable_one_came_is_kept(desk: Desk) -> None:
    long = "word " * 800
    conversation = await desk.conversation(*(f"{long} number {number}." for number in range(6)))

    assert await desk.run(conversation, "resp_x", answer(SAID), answer(None, "I won't."))

    assert [(row.content, row.anchor) for row in await desk.rows()] == [(SAID, "a2")]


class Talk:
    """A chain or a conversation that grows, and is to be summed up behind each answer."""

    def __init__(self, desk: Desk, conversation: str) -> None:
        self._desk = desk
        self._conversation = conversation
        self._previous: str | None = None

    async def goes_on(self, outcome: Outcome) -> bool:
        """Say something; returns whether a model was asked for a summary, and answered so."""
        self._previous = await self._desk.shelf.ask(
            "I say more.",
            "yes " * 9 + "indeed.",
            conversation=self._conversation or None,
            previous=None if self._conversation else self._previous,
        )
        await self._desk.do(self._conversation, self._previous, outcome)
        return not self._desk.asks.outcomes


@pytest.mark.parametrize("is_chain", [True, False], ids=["chain", "conversation"])
async def test_who_gives_no_usable_one_is_asked_less_and_less_often(desk: Desk, *, is_chain: bool) -> None:
    talk = Talk(desk, "" if is_chain else await desk.conversation())

    asked_at = [number for number in range(60) if await talk.goes_on(answer("I'm sorry, I can't."))]

    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert asked_at[0] < 6
    assert gaps == sorted(gaps)
    assert gaps[-1] > 8
    while not await talk.goes_on(answer(SAID)):
        pass
    assert [row.content for row in await desk.rows() if row.content] == [SAID]
    assert [await talk.goes_on(answer("Anna likes tea and talks.")) for _ in range(12)].count(True) > 1


async def test_what_was_tried_in_vain_takes_no_summary_away(desk: Desk) -> None:
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    assert await desk.run(conversation, "resp_x", answer(SAID))
    talk = Talk(desk, conversation)

    tried = [await talk.goes_on(answer("I'm sorry, I can't.")) for _ in range(90)].count(True)

    assert tried > 8
    assert len(await desk.rows()) == 1 + 8
    assert await desk.told(conversation) == [SAID]


async def test_one_that_broke_off_ends_with_its_last_whole_sentence(desk: Desk) -> None:
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    said = "Anna likes tea and lives in Rome. She has counted up to four by now."

    assert await desk.run(conversation, "resp_x", answer(f"{said} And then she", finish_reason="length"))

    assert await desk.told(conversation) == [said]


async def test_what_is_put_off_begins_where_it_was(desk: Desk) -> None:
    long = "word " * 800
    conversation = await desk.conversation(*(f"{long} number {number}." for number in range(6)))

    with pytest.raises(Retry):
        await desk.run(conversation, "resp_x", Postponed(3.0))
    assert await desk.run(conversation, "resp_x", answer(SAID), Postponed(3.0))
    assert await desk.run(conversation, "resp_x", answer("Anna likes tea, and Rome."))

    assert [(row.anchor, row.items) for row in await desk.rows()] == [("a2", 6), ("a4", 10)]


async def test_nothing_is_asked_where_it_is_of_no_use(desk: Desk) -> None:
    made = await desk.chain("I say number 0.", "I say number 1.")
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    other = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    in_conversation = await desk.shelf.ask("hello", "yes", conversation=other)
    (goes_on,) = await desk.chain("I say more.", previous=in_conversation)

    assert not await desk.run("", made[-1])  # all of it may stay
    assert not await desk.run("", "resp_gone")
    assert not await desk.run("conv_gone", "resp_x")
    assert not await desk.run("", goes_on)  # a conversation's items may be deleted there
    desk.writers.chosen = None
    assert not await desk.run(conversation, "resp_x")
    desk.callers.are_gone = True
    assert not await desk.run(conversation, "resp_x")


async def test_what_was_deleted_meanwhile_is_in_no_summary(desk: Desk) -> None:
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    wanted = SummaryWanted(conversation, "resp_x", "chat", "fast", 60, "", caller_then(ANN))
    desk.asks.outcomes = [answer(SAID)]
    done = await desk.handler.run(job(desk.clock, msgspec.msgpack.encode(wanted), person="ann"), Silent())
    assert done is not None

    await desk.shelf.conversations.delete_item(owner(ANN), conversation, "q1")
    await desk.database.transact(done)

    assert await desk.rows() == []


async def test_an_answer_that_comes_meanwhile_takes_nothing_away(desk: Desk) -> None:
    conversation = await desk.conversation(*(f"I say number {number}." for number in range(5)))
    wanted = SummaryWanted(conversation, "resp_x", "chat", "fast", 60, "", caller_then(ANN))
    desk.asks.outcomes = [answer(SAID)]
    done = await desk.handler.run(job(desk.clock, msgspec.msgpack.encode(wanted), person="ann"), Silent())
    assert done is not None

    await desk.shelf.ask("I say more.", "yes", conversation=conversation)
    await desk.database.transact(done)
    await desk.database.transact(done)  # as after a commit whose outcome nobody heard

    assert [row.anchor for row in await desk.rows()] == ["a2"]
