"""Context: what a model is told fits, whole and in order; what must be told is; what was left out is noted."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.context.assembly import Outline, outline
from frontdesk.context.blocks import new_from
from frontdesk.context.shortening import shown
from frontdesk.context.wording import told_facts, told_summary
from frontdesk.core.config import Context, ContextStrategy, Feature, Model
from frontdesk.core.errors import BadRequest, Unavailable
from frontdesk.policies import history
from frontdesk.policies.context import Contexts
from frontdesk.policies.history import History, Reach, Recalled
from frontdesk.policies.truncation import Truncation
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.context import ContextRecord, LeftOut, Past, SummaryTold
from frontdesk.turn.items import (
    ConversationNamed,
    EmbeddingRequest,
    Image,
    Item,
    Message,
    Prompt,
    Request,
    Text,
    ToolCall,
    ToolOutput,
)
from frontdesk.turn.pairs import is_models, is_thought
from frontdesk.turn.turn import Caller, Turn
from tests.context.histories import (
    CharTokens,
    WaitingTokens,
    histories,
    name_of,
    recalled,
    said,
    size_of,
    whole_size,
)
from tests.fakes import HandClock

USER = Caller("user", "sess_1", "u1")
OTHERS = 3  # tokens besides items


class Summary(NamedTuple):
    anchor: str
    items: int
    content: str


class Recollection(NamedTuple):
    facts: Sequence[str] = ()
    summary: Summary | None = None
    pinned: Set[str] = frozenset()


class Remembering:
    """A memory of what it is told to remember."""

    def __init__(self, recollection: Recollection | None = None) -> None:
        self.recollection = recollection or Recollection()
        self.asked: list[tuple[Past, bool]] = []
        self.is_away = False

    async def recall(self, turn: Turn, past: Past, *, has_facts: bool) -> Recollection:
        self.asked.append((past, has_facts))
        if self.is_away:
            raise StorageFailed("gone")
        return self.recollection


class Shelf:
    """A library that has one history, as a chain and as a conversation."""

    def __init__(self, before: Sequence[Recalled]) -> None:
        self._before = before

    async def chain(self, caller: Caller, response_id: str) -> Sequence[Recalled]:
        return self._before

    async def conversation(
        self, caller: Caller, named: ConversationNamed, brought_by: str | None
    ) -> tuple[int, Sequence[Recalled]]:
        return 1, self._before

    async def items(self, caller: Caller, ids: Sequence[str]) -> dict[str, Recalled]:
        return {}

    async def summary(self, caller: Caller, sealed: str) -> str | None:
        return None


class NoTokens:
    """Counts no requests."""

    async def counted(self, model: str, request: Request) -> int | None:
        raise AssertionError("it was counted before")


def turn_of(items: list[Item], feature: str = "talk", before: Sequence[Item] | None = None, **fields: Any) -> Turn:
    """A turn of these items. Those of `before` are among the first of them."""
    turn = Turn("responses", USER, "fast", Prompt(items, dialect="responses", **fields), HandClock(), feature)
    if before is not None:
        ids = [name_of(item) for item in before]
        turn.past = Past("conv_1", ids, ids)
    return turn


def contexts(
    context: Context | None, memory: Remembering | None = None, tokens: CharTokens | None = None, **model: Any
) -> Contexts:
    features = {"talk": Feature(context=context), "other": Feature()}
    models = {"fast": Model(["scripted/echo"], **model)}
    return Contexts(features, models, tokens or CharTokens(), memory or Remembering())


async def told(turn: Turn, policy: Contexts) -> Prompt:
    waiting = policy.admit(turn)
    assert waiting is not None
    await waiting
    assert isinstance(turn.request, Prompt)
    return turn.request


def window(tokens: int, **settings: Any) -> Context:
    return Context("window", tokens, **settings)


# --- single rules ---------------------------------------------------------------------------------


async def test_the_latest_is_told_and_what_was_left_out_is_noted() -> None:
    items = said("q", "a", "q", "a", "q")
    turn = turn_of(items, before=items[:4], instructions="Be kind.")

    prompt = await told(turn, contexts(window(150)))

    assert prompt == Prompt(items[2:], "Be kind.", dialect="responses")
    assert turn.size is None
    assert turn.context == ContextRecord("window", 3, 150, 143, (LeftOut("window", 2, 88, "q#0", "a#1"),))


async def test_what_fits_is_told_as_it_is_and_nobody_is_asked_for_more() -> None:
    memory = Remembering()
    items = said("q", "a", "q")
    turn = turn_of(items, before=items[:2], truncation="auto", answered=frozenset({1}))

    prompt = await told(turn, contexts(window(135), memory))

    assert prompt == Prompt(items, dialect="responses", answered=frozenset({1}))
    assert turn.context == ContextRecord("window", 3, 135, 135)
    assert memory.asked == []


def test_nothing_is_done_for_who_has_no_strategy_or_asks_for_no_words() -> None:
    policy = contexts(window(10))

    assert policy.admit(turn_of(said("q"), "other")) is None
    assert policy.admit(turn_of(said("q"), "unheard-of")) is None
    assert policy.admit(Turn("embeddings", USER, "fast", EmbeddingRequest(["x"]), HandClock(), "talk")) is None
    assert contexts(None).admit(turn_of(said("q"))) is None
    aside = turn_of(said("q"))
    aside.is_aside = True
    assert policy.admit(aside) is None


async def test_the_budget_is_what_the_model_reads_less_its_answer_and_no_more_than_is_set() -> None:
    async def budget(context: Context, most: int | None = None, **model: Any) -> int | None:
        turn = turn_of(said("q"), max_output_tokens=most)
        await told(turn, contexts(context, **model))
        assert turn.context is not None
        return turn.context.budget

    whole = Context("window")
    assert await budget(whole, context_tokens=1000) == 750
    assert await budget(whole, context_tokens=1000, max_output_tokens=100) == 900
    assert await budget(whole, 400, context_tokens=1000, max_output_tokens=100) == 600
    assert await budget(window(500), 400, context_tokens=1000) == 500
    assert await budget(window(700), 400, context_tokens=1000) == 600
    assert await budget(window(700), 400) == 700
    assert await budget(Context("all", facts=True), context_tokens=1000) is None


async def test_what_tools_returned_is_told_in_part_before_anything_goes() -> None:
    items = said("q", "c1", "o1:900", "a", "q", "c2", "o2:900", "a", "q", "c3", "o3:900")
    turn = turn_of(items, before=items[:10])

    prompt = await told(turn, contexts(window(2900, tool_output_tokens=100)))

    first = prompt.items[2]
    assert isinstance(first, ToolOutput)
    assert isinstance(first.output, str)
    assert first.output.startswith("o1#2 .")
    assert " characters are left out here" in first.output
    assert 60 < len(first.output) <= 100
    assert prompt.items == [*items[:2], first, *items[3:]]
    assert turn.context is not None
    spared = 900 - len(first.output)
    assert turn.context.left_out == (LeftOut("shortened", 1, spared, "output 1", "output 1"),)
    assert turn.context.tokens == whole_size(prompt) == OTHERS + sum(map(size_of, items)) - spared
    least = await told(turn_of(items, before=items[:10]), contexts(window(1400, tool_output_tokens=100)))
    assert least.items[-1] == items[-1]  # new: told as it is
    assert [name_of(item) for item in least.items] == [name_of(item) for item in items]


async def test_pictures_and_files_are_told_of_before_blocks_go() -> None:
    items = said("p", "a", "f", "a", "p")
    size = OTHERS + sum(map(size_of, items))

    fewer = await told(turn := turn_of(items, before=items[:4]), contexts(window(size - 1)))
    least = await told(turn_of(items, before=items[:4]), contexts(window(size - 400)))

    note = Text("[A picture was here. It is left out to save room.]")
    assert fewer.items == [Message("user", [Text("p#0 ".ljust(40, ".")), note]), *items[1:]]
    assert turn.context is not None
    assert turn.context.left_out == (LeftOut("image", 1, 300 - len(note.text), "p#0", "p#0"),)
    assert [type(part) for part in least.items[2].content] == [Text, Text]  # type: ignore[union-attr]
    assert isinstance(least.items[4], Message)
    assert least.items[4].content[1] == Image("https://example.com/a.png")


async def test_the_question_stays_while_its_tools_are_at_work() -> None:
    calls = [kind for number in range(9) for kind in (f"c{number}", f"o{number}:200")]
    items = said("q", "a", "q", *calls)

    prompt = await told(turn_of(items, before=items[:-1]), contexts(window(800, tool_output_tokens=1000)))

    assert [name_of(item) for item in prompt.items] == ["q#2", *(name_of(item) for item in items[-6:])]


async def test_pinned_items_and_instructions_stay() -> None:
    items = said("d", "q", "a", "q", "a", "q", "a", "q")
    memory = Remembering(Recollection(pinned={"q#1", "unheard-of"}))
    turn = turn_of(items, before=items[:7])

    prompt = await told(turn, contexts(window(270), memory))

    assert prompt.items == [*items[:3], *items[5:]]
    assert turn.context is not None
    assert (turn.context.pinned, turn.context.items) == (1, 6)
    assert turn.context.left_out == (LeftOut("window", 2, 88, "q#3", "a#4"),)
    assert memory.asked == [(turn.past, False)]


async def test_a_summary_takes_the_place_of_all_up_to_its_anchor() -> None:
    items = said("d", "q", "a", "q", "a", "q")
    summary = Summary("a#2", 7, "They said hello.")
    memory = Remembering(Recollection(summary=summary))
    turn = turn_of(items, before=items[:5], answered=frozenset({2, 4}))

    prompt = await told(turn, contexts(Context("summary", 4000), memory))

    message = told_summary("They said hello.")
    assert prompt.items == [items[0], message, *items[3:]]
    assert prompt.answered == frozenset()
    left_out = (LeftOut("summarised", 2, 88, "q#1", "a#2"),)
    assert turn.context == ContextRecord(
        "summary", 4, 4000, whole_size(prompt), left_out, SummaryTold("a#2", 7, size_of(message))
    )


async def test_in_a_chain_an_anchor_is_the_last_item_of_its_response() -> None:
    items = said("q", "a", "q", "a", "q")
    memory = Remembering(Recollection(summary=Summary("resp_1", 2, "Hello.")))
    turn = turn_of(items)
    turn.past = Past("", ["resp_1", "resp_1", "resp_2", "resp_2"], ["1", "2", "3", "4"])

    prompt = await told(turn, contexts(Context("summary", 4000), memory))

    assert prompt.items == [told_summary("Hello."), *items[2:]]


async def test_a_summary_of_nothing_that_is_here_is_not_told() -> None:
    items = said("q", "a", "q")
    for anchor in ("q#0", "a#7"):
        memory = Remembering(Recollection(summary=Summary(anchor, 1, "Hello.")))
        turn = turn_of(items, before=items[:2])

        assert (await told(turn, contexts(Context("summary", 4000), memory))).items == items
        assert turn.context == ContextRecord("summary", 3, 4000, whole_size(Prompt(items)))


async def test_behind_a_summary_blocks_go_all_the_same() -> None:
    items = said("q", "a", "q", "a", "q", "a", "q")
    summary = Summary("a#1", 2, "Hello.")
    room = OTHERS + size_of(told_summary("Hello.")) + 3 * 44

    turn = turn_of(items, before=items[:6])
    prompt = await told(turn, contexts(Context("summary", room), Remembering(Recollection(summary=summary))))

    assert prompt.items == [told_summary("Hello."), *items[4:]]
    assert turn.context is not None
    assert turn.context.left_out == (
        LeftOut("summarised", 2, 88, "q#0", "a#1"),
        LeftOut("window", 2, 88, "q#2", "a#3"),
    )


async def test_facts_stand_behind_the_instructions_also_where_all_is_told() -> None:
    facts = ["I am Ann.", "I like tea."]
    memory = Remembering(Recollection(facts, pinned={"q#0"}))
    for context in (Context(facts=True), Context("window", 4000, facts=True)):
        turn = turn_of(said("q"), instructions="Be kind.")

        assert (await told(turn, contexts(context, memory))).instructions == f"Be kind.\n\n{told_facts(facts)}"
        assert turn.context is not None
        assert (turn.context.strategy, turn.context.items, turn.context.facts) == (context.strategy, 1, 2)
        assert (await told(turn_of(said("q")), contexts(context, memory))).instructions == told_facts(facts)
    assert {has_facts for _, has_facts in memory.asked} == {True}


async def test_of_too_many_facts_the_newest_are_told_and_nobody_is_refused_for_them() -> None:
    facts = [f"Fact {number:03} {'x' * 490}" for number in range(200)]
    memory = Remembering(Recollection(facts))

    async def told_of(context: Context, question: int, **model: Any) -> tuple[list[int], ContextRecord]:
        turn = turn_of(said(f"q:{question}"), instructions="Be kind.")
        prompt = await told(turn, contexts(context, memory, **model))
        assert turn.context is not None
        assert prompt.instructions is not None
        return [number for number in range(200) if f"Fact {number:03} " in prompt.instructions], turn.context

    short = Context("window", 4_000, facts=True)
    numbers, record = await told_of(short, 40)
    assert numbers == [199]
    assert record.left_out == (LeftOut("facts", 199, 199 * len(f"- {facts[0]}\n")),)
    assert (record.facts, record.tokens) == (1, OTHERS + len(f"Be kind.\n\n{told_facts(facts[199:])}") + 44)
    assert (await told_of(short, 3_900))[0] == []
    assert (await told_of(Context(facts=True), 40, context_tokens=16_384, max_output_tokens=384))[0] == [
        *range(193, 200)
    ]
    assert (await told_of(Context(facts=True), 15_000, context_tokens=16_384, max_output_tokens=384))[0] == [199]
    assert (await told_of(Context(facts=True), 15_900, context_tokens=16_384, max_output_tokens=384))[0] == []
    assert (await told_of(Context(facts=True), 40))[0] == [197, 198, 199]


async def test_where_all_may_be_cut_facts_are_told_in_spite_of_what_is_old() -> None:
    items = said("q:8000", "a", "q")
    turn = turn_of(items, before=items[:2], truncation="auto")

    prompt = await told(
        turn, contexts(Context(facts=True), Remembering(Recollection(["I am Ann."])), context_tokens=8_000)
    )

    assert prompt.instructions == told_facts(["I am Ann."])
    assert prompt.items == items


async def test_facts_are_told_only_where_the_feature_says_so() -> None:
    items = said("q", "a", "q")
    memory = Remembering(Recollection(["I am Ann."]))

    for context in (Context("summary", 4000), window(100)):
        turn = turn_of(items, before=items[:2])
        assert (await told(turn, contexts(context, memory))).instructions is None
        assert turn.context is not None
        assert turn.context.facts == 0
    assert {has_facts for _, has_facts in memory.asked} == {False}


async def test_what_must_be_told_and_does_not_fit_is_refused_by_its_size() -> None:
    turn = turn_of(said("q", "a", "q:2000"), max_output_tokens=100)
    with pytest.raises(BadRequest) as caught:
        await told(turn, contexts(window(1500)))

    error = caught.value
    assert (error.code, error.param) == ("context_length_exceeded", "input")
    assert "1,500" in error.message
    assert f"{OTHERS + 2004:,}" in error.message
    chat = Turn("chat", USER, "fast", Prompt(said("q:2000")), HandClock(), "talk")
    with pytest.raises(BadRequest) as caught:
        await told(chat, contexts(window(1500)))
    assert caught.value.param == "messages"


async def test_where_the_store_is_away_nobody_is_told_half_of_it() -> None:
    memory = Remembering()
    memory.is_away = True
    items = said("q", "a", "q")

    for context in (Context(facts=True), Context("summary", 4000), window(100)):
        with pytest.raises(Unavailable):
            await told(turn_of(items, before=items[:2]), contexts(context, memory))


async def test_truncation_leaves_alone_what_was_made_to_fit() -> None:
    items = said("q:2000", "a:2000", "q")
    models = {"fast": Model(["scripted/echo"], context_tokens=1000)}
    turn = turn_of(items, max_output_tokens=100)
    await told(turn, contexts(window(500), context_tokens=1000))

    assert Truncation(models, NoTokens()).admit(turn) is None
    assert turn.request == Prompt(items[2:], max_output_tokens=100, dialect="responses")


async def test_where_all_is_told_truncation_has_its_say() -> None:
    class Estimates(NoTokens):
        async def counted(self, model: str, request: Request) -> int | None:
            return None

    turn = turn_of(said("q:2000", "a:2000", "q:2000"))
    await told(turn, contexts(Context(facts=True), context_tokens=1000))

    waiting = Truncation({"fast": Model(["scripted/echo"], context_tokens=1000)}, Estimates()).admit(turn)
    assert waiting is not None
    with pytest.raises(BadRequest):
        await waiting


# --- any history ----------------------------------------------------------------------------------


class Case(NamedTuple):
    """What came before, of which some was deleted, what is new, and what there is to remember."""

    before: list[Recalled]
    new: list[Item]
    recollection: Recollection
    context: Context


@st.composite
def cases(draw: st.DrawFn) -> Case:
    items = draw(histories())
    deleted = draw(st.sets(st.integers(0, len(items) - 1), max_size=3)) if draw(st.booleans()) else set()
    before = [each for place, each in enumerate(recalled(items)) if place not in deleted]
    new: list[Item] = [Message("user", "new ".ljust(draw(st.integers(4, 300)), "."))]
    ids = [each.id for each in before]
    summary = None
    if ids and draw(st.booleans()):
        summary = Summary(draw(st.sampled_from(ids)), 3, "They talked. " * draw(st.integers(1, 9)))
    pinned = draw(st.sets(st.sampled_from(ids), max_size=2)) if ids and draw(st.booleans()) else set[str]()
    facts = draw(st.lists(st.text(max_size=200), max_size=6))
    strategy: ContextStrategy = draw(st.sampled_from(["window", "summary"]))
    tokens = draw(st.integers(300, 4000))
    limit = draw(st.sampled_from([80, 100, 500]))  # a note of what is missing takes some 60
    context = Context(strategy, tokens, tool_output_tokens=limit, facts=draw(st.booleans()))
    return Case(before, new, Recollection(facts, summary, pinned), context)


async def _both(
    case: Case, tokens: CharTokens, reach: Reach | None = None
) -> tuple[list[Item], Turn, Prompt | BadRequest]:
    """What history makes of a case, and then context of that."""
    turn = turn_of(case.new, conversation=ConversationNamed("conv_1"), instructions="Be kind.")
    waiting = History(Shelf(case.before), reach).admit(turn)
    assert waiting is not None
    await waiting
    assert isinstance(turn.request, Prompt)
    whole = turn.request.items
    try:
        return whole, turn, await told(turn, contexts(case.context, Remembering(case.recollection), tokens))
    except BadRequest as error:
        return whole, turn, error


@given(cases(), st.integers(1, 2_000), st.booleans())
async def test_who_looks_at_what_is_near_alone_is_told_the_same(case: Case, chars: int, knows_all: bool) -> None:
    """Long pasts are cut before anybody has looked at them, wherever that is; what that costs is looked at again."""
    tokens = CharTokens()
    _, turn, prompt = await _both(case, tokens)
    near_tokens = tokens if knows_all else _Forgetting()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_FEW", 0)
        _, near_turn, near_prompt = await _both(case, near_tokens, lambda _: chars)

    if isinstance(prompt, BadRequest):
        assert isinstance(near_prompt, BadRequest)
        assert near_prompt.message == prompt.message
    else:
        assert near_prompt == prompt
        assert near_turn.context == turn.context


class _Forgetting(CharTokens):
    def known_sum(self, model: str, messages: Sequence[Message]) -> int | None:
        return None


async def test_what_is_far_is_not_even_looked_at() -> None:
    items = said(*["q", "a"] * 50)
    tokens = CharTokens()
    turn = turn_of(said("q"), conversation=ConversationNamed("conv_1"))
    policy = contexts(window(300), tokens=tokens)
    waiting = History(Shelf(recalled(items)), policy.reach).admit(turn)
    assert waiting is not None
    await waiting

    prompt = await told(turn, policy)

    assert len(prompt.items) == 5
    assert tokens.counted < 70
    assert turn.context is not None
    assert turn.context.left_out == (LeftOut("window", 96, 96 * 44, "q#0", "a#95"),)


@given(cases(), st.booleans())
async def test_whatever_was_said_what_is_told_is_whole_and_fits(case: Case, waits: bool) -> None:
    whole, turn, prompt = await _both(case, WaitingTokens() if waits else CharTokens())
    names = [name_of(item) for item in whole]
    past, budget = turn.past, case.context.tokens
    assert past is not None
    assert budget is not None
    held = _must_be_told(whole, case)
    found, summary = _outline(whole, past, case), case.recollection.summary
    least = OTHERS + len("Be kind.") + sum(size_of(whole[place]) for place in found.held)

    if isinstance(prompt, BadRequest):  # not for facts, and not for a summary
        assert least > budget
        return
    if found.stood_for:
        assert summary is not None
        least += size_of(told_summary(summary.content))
        assert (turn.context is not None and turn.context.summary is not None) == (least <= budget)
        least = least if least <= budget else least - size_of(told_summary(summary.content))

    record = turn.context
    assert record is not None
    summaries = [item for item in prompt.items if record.summary is not None and _is_summary(item, case)]
    items = [item for item in prompt.items if item not in summaries]
    left = [name_of(item) for item in items]
    # It fits, by what it says of itself and by another count.
    assert record.tokens is not None
    assert record.tokens == whole_size(prompt) <= budget == record.budget
    # In order, each once.
    assert left == [name for name in names if name in set(left)]
    # Whole pairs.
    outputs = [item.call_id for item in items if isinstance(item, ToolOutput)]
    calls = [item.call_id for item in items if isinstance(item, ToolCall)]
    answered = {item.call_id for item in whole if isinstance(item, ToolOutput)}
    assert set(outputs) <= set(calls)
    assert {call for call in calls if call in answered} <= set(outputs)
    assert not any(is_thought(item) and not is_models(_next(items, item)) for item in items)
    # What must be told is, as it was.
    by_name = dict(zip(left, items, strict=True))
    assert [by_name.get(name) for name in names if name in held] == [
        item for name, item in zip(names, whole, strict=True) if name in held
    ]
    # Of facts the newest are, in a quarter, and no fewer than there is room for.
    facts = case.recollection.facts if case.context.facts else ()
    instructions = _with_newest(facts, record.facts)
    assert prompt.instructions == instructions
    assert len(instructions) - len("Be kind.") <= budget // 4
    if record.facts < len(facts):
        more = len(_with_newest(facts, record.facts + 1)) - len("Be kind.")
        assert more > min(budget // 4, budget - least)
        assert record.left_out[-1].why == "facts"
        assert record.left_out[-1].items == len(facts) - record.facts
    # The record adds up.
    gone = [each for each in record.left_out if each.why in ("window", "summarised")]
    assert len(items) + sum(each.items for each in gone) == len(whole)
    assert record.items == len(items)
    told_tokens = 0 if record.summary is None else record.summary.tokens
    assert record.tokens - told_tokens + sum(each.tokens for each in record.left_out if each.why != "facts") == (
        OTHERS + len(instructions) + sum(map(size_of, whole))
    )
    changed = {name for name, item in zip(names, whole, strict=True) if name in by_name and by_name[name] != item}
    parts = [each for each in record.left_out if each.why in ("shortened", "image")]
    assert max((each.items for each in parts), default=0) <= len(changed) <= sum(each.items for each in parts)
    msgspec.json.encode(record)


@given(cases())
async def test_what_was_assembled_is_left_as_it_is(case: Case) -> None:
    _, _, prompt = await _both(case, CharTokens())
    if isinstance(prompt, BadRequest):
        return
    context = Context("window", case.context.tokens, tool_output_tokens=case.context.tool_output_tokens)

    again = turn_of(prompt.items, instructions=prompt.instructions)

    assert await told(again, contexts(context)) == Prompt(
        prompt.items, prompt.instructions, dialect="responses", truncation=None
    )
    assert again.context is not None
    assert again.context.left_out == ()


@given(cases())
async def test_nothing_goes_while_there_is_room(case: Case) -> None:
    """However little is left of it: a block more would be too much, even where all old ones are told in part."""
    whole, turn, prompt = await _both(case, CharTokens())
    record, past = turn.context, turn.past
    if isinstance(prompt, BadRequest) or record is None or past is None or record.budget is None:
        return
    names = [name_of(item) for item in whole]
    windowed = next((each for each in record.left_out if each.why == "window"), None)
    if windowed is None or windowed.last is None:
        assert windowed is None
        return
    # A summary that what must be told leaves no room for stands for nothing.
    found = _outline(whole, past, case, stands=record.summary is not None)
    gone = next(number for number, block in enumerate(found.old) if names.index(windowed.last) in block)
    assert record.tokens is not None
    least = record.tokens - sum(size_of(item) for item in prompt.items)
    least += 0 if record.summary is None else record.summary.tokens
    least += sum(size_of(whole[place]) for place in found.held)
    for block in found.old[gone:]:
        least += sum(_least_size(whole[place], case.context.tool_output_tokens) for place in block)
    assert least > record.budget


def _with_newest(facts: Sequence[str], number: int) -> str:
    return f"Be kind.\n\n{told_facts(facts[len(facts) - number :])}" if number else "Be kind."


def _least_size(item: Item, of_output: int) -> int:
    """The most tokens that an item has where it is told in part, as far as it may be."""
    match item:
        case ToolOutput(output=str(text)):
            return 4 + min(len(text), of_output)
        case Message(content=[Text(text), _]):
            return 4 + len(text) + sum(len(note.text) for _, note in shown(item))
        case _:
            return size_of(item)


def _must_be_told(whole: Sequence[Item], case: Case) -> set[str]:
    new = {name_of(item) for item in case.new}
    instructing = {name_of(item) for item in whole if isinstance(item, Message) and item.role == "developer"}
    return new | instructing | {*case.recollection.pinned} & {name_of(item) for item in whole}


def _outline(whole: Sequence[Item], past: Past, case: Case, *, stands: bool = True) -> Outline:
    pinned = {place for place, item_id in enumerate(past.ids) if item_id in case.recollection.pinned}
    summary = case.recollection.summary if stands and case.context.strategy == "summary" else None
    covered = 0 if summary is None or summary.anchor not in past.ids else past.ids.index(summary.anchor) + 1
    return outline(whole, new_from(whole, len(past.ids)), pinned, covered)


def _is_summary(item: Item, case: Case) -> bool:
    summary = case.recollection.summary
    return summary is not None and item == told_summary(summary.content)


def _next(items: Sequence[Item], item: Item) -> Item:
    place = next(place for place, each in enumerate(items) if each is item)
    return items[place + 1]
