"""Items in tokens: the parts of a prompt add up to the whole, which is what its provider counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpe_openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import parse_config
from frontdesk.providers.scripts import count_input
from frontdesk.tokens.items import ItemTokens
from frontdesk.tokens.texts import TextTokens
from frontdesk.tokens.vocabularies import vocabularies_of
from frontdesk.turn.items import (
    Compaction,
    Format,
    Image,
    Item,
    Message,
    Prompt,
    Reference,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.turn.sizes import measure
from tests.fakes import HandClock

SETTINGS = {
    "providers": {
        "play": {"kind": "scripted"},
        "openai": {"kind": "openai", "api_key": "sk-test-nothing"},
        "other": {"kind": "openai-compatible", "base_url": "http://127.0.0.1:1/v1"},
    },
    "models": {
        "play": {"route": ["play/echo"]},
        "gpt": {"route": ["openai/gpt-4o"]},
        "old": {"route": ["openai/gpt-4-turbo"]},
        "new": {"route": ["openai/whatever-9"]},
        "namesake": {"route": ["other/gpt-4o", "openai/gpt-4o"]},
    },
}


class Vocabularies:
    """Counts as the process does, in this one; each text that is asked for is noted."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def count_each(self, texts: Sequence[str], encoding: str) -> list[int] | None:
        self.asked += texts
        plain: Any = bpe_openai.get_encoding(encoding)
        return [len(plain.encode_ordinary(text)) for text in texts]


@pytest.fixture
def counter() -> Vocabularies:
    return Vocabularies()


@pytest.fixture
def tokens(counter: Vocabularies) -> ItemTokens:
    return new_tokens(counter)


def new_tokens(counter: Vocabularies) -> ItemTokens:
    config = parse_config(json.dumps(SETTINGS), {})
    return ItemTokens(TextTokens(vocabularies_of(config, Path()), counter, HandClock()))


async def count(tokens: ItemTokens, model: str, items: Sequence[Item]) -> list[int]:
    counted = tokens.count(model, items)
    return counted if isinstance(counted, list) else await counted


_WORDS = st.text("ab é日\n", max_size=12)
_PARTS = st.lists(
    st.builds(Text, _WORDS)
    | st.builds(Image, st.just("https://example.com/a.png"), st.sampled_from([None, "low", "high"]))
    | st.just(Unknown({"type": "refusal", "refusal": "no"}, "responses")),
    max_size=3,
)
_ITEMS: st.SearchStrategy[list[Item]] = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant", "system"]), _WORDS | _PARTS)
    | st.builds(ToolCall, st.just("c1"), st.just("look"), _WORDS)
    | st.builds(ToolOutput, st.just("c1"), _WORDS | _PARTS)
    | st.just(Unknown({"type": "reasoning", "id": "rs_1", "summary": []}, "responses"))
    | st.builds(Reference, st.just("msg_1"))
    | st.builds(Compaction, st.just("fdc1.sealed")),
    max_size=8,
)


# --- what providers count -----------------------------------------------------------------------


@given(items=_ITEMS, instructions=st.none() | _WORDS)
def test_a_scripted_model_counts_the_same(items: list[Item], instructions: str | None) -> None:
    tokens = new_tokens(Vocabularies())
    prompt = Prompt(items, instructions=instructions, tools=[Tool("function", {"name": "look"})])

    around, counts = tokens.around("play", prompt), tokens.count("play", items)

    assert isinstance(around, int)
    assert isinstance(counts, list)
    assert around + sum(counts) == count_input(prompt)


@pytest.mark.parametrize(("model", "encoding", "reported"), [("gpt", "o200k_base", 124), ("old", "cl100k_base", 129)])
async def test_messages_are_what_openai_reports_of_them(
    tokens: ItemTokens, model: str, encoding: str, reported: int
) -> None:
    """See https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken: four of these speakers have names."""
    said = [
        "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
        "New synergies will help drive top-line growth.",
        "Things working well together will increase revenue.",
        "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        "Let's talk later when we're less busy about how to do better.",
        "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    ]
    plain: Any = bpe_openai.get_encoding(encoding)
    named = sum(1 + len(plain.encode_ordinary(name)) for name in ("example_user", "example_assistant") * 2)

    assert await tokens.whole(model, Prompt([Message("user", text) for text in said])) == reported - named


# --- parts and wholes ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["play", "gpt", "new"])
@given(items=_ITEMS, again=_ITEMS)
async def test_each_item_counts_the_same_wherever_it_stands(model: str, items: list[Item], again: list[Item]) -> None:
    """Whatever was counted before, together or alone."""
    tokens = new_tokens(Vocabularies())
    alone = [(await count(tokens, model, [item]))[0] for item in items]

    assert await count(tokens, model, [*again, *items, *again]) == [
        *(together := await count(new_tokens(Vocabularies()), model, again)),
        *alone,
        *together,
    ]


async def test_what_was_counted_is_asked_no_more(tokens: ItemTokens, counter: Vocabularies) -> None:
    items: list[Item] = [Message("user", "one"), ToolCall("c1", "look", "{}"), Message("assistant", [Text("two")])]
    first = await count(tokens, "gpt", items)

    assert tokens.count("gpt", items) == first
    assert await count(tokens, "gpt", [*items, Message("user", "three")]) == [*first, 5]
    assert counter.asked == ["one", "look", "{}", "two", "three"]


async def test_what_goes_along_is_counted(tokens: ItemTokens) -> None:
    bare = Prompt([])
    instructed = Prompt([], instructions="be brief")
    with_tools = Prompt([], tools=[Tool("function", {"name": "look", "parameters": {"type": "object"}})])
    shaped = Prompt([], format=Format("json_schema", {"name": "a", "schema": {"type": "object"}}))

    assert await tokens.whole("gpt", bare) == 3
    assert await tokens.whole("gpt", instructed) == 3 + 4 + 2
    assert 3 + 12 < await tokens.whole("gpt", with_tools) < 60
    assert 3 + 8 < await tokens.whole("gpt", shaped) < 60
    assert await tokens.whole("play", with_tools) == 0


async def test_pictures_cost_what_they_are_shown_in(tokens: ItemTokens) -> None:
    small, large = Image("https://example.com/a.png", "low"), Image("https://example.com/a.png")

    assert await count(tokens, "gpt", [Message("user", [small]), Message("user", [large])]) == [4 + 85, 4 + 765]


# --- models of which nothing is known -----------------------------------------------------------


@given(items=_ITEMS, ratio=st.sampled_from([0.5, 1.0, 1.7]))
def test_estimates_grow_with_what_was_learnt(items: list[Item], ratio: float) -> None:
    texts = TextTokens(vocabularies_of(parse_config(json.dumps(SETTINGS), {}), Path()), Vocabularies(), HandClock())
    tokens = ItemTokens(texts)
    before = tokens.count("namesake", items)
    for _ in range(200):
        texts.learn("namesake", 100_000, int(100_000 * ratio))

    after = tokens.count("namesake", items)

    assert isinstance(before, list)
    assert isinstance(after, list)
    assert not tokens.is_exact("namesake")
    for one, other in zip(before, after, strict=True):
        assert one * ratio * 0.99 <= other <= one * ratio * 1.01 + 6  # each part is rounded up


async def test_an_estimate_of_messages_is_the_one_that_budgets_make(tokens: ItemTokens) -> None:
    prompt = Prompt([Message("user", "some words"), Message("assistant", "é" * 50)], instructions="be brief")

    assert await tokens.whole("new", prompt) == measure(prompt).estimate + 3
