"""Requests in tokens: texts exactly where the vocabulary is known, all else as budgets estimate it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from frontdesk.core.config import Config
from frontdesk.core.config.shapes import Model, Provider
from frontdesk.tokens.requests import RequestTokens
from frontdesk.turn.items import Image, Message, Prompt, Text, Tool
from frontdesk.turn.sizes import measure


class Words:
    """Counts words, or cannot."""

    def __init__(self, *, can_count: bool = True) -> None:
        self.can_count = can_count
        self.asked: list[str] = []

    async def count(self, texts: Sequence[str], encoding: str) -> int | None:
        self.asked.append(encoding)
        return sum(len(text.split()) for text in texts) if self.can_count else None


CONFIG = Config(
    providers={
        "openai": Provider(kind="openai", api_key="sk-test-nothing"),
        "other": Provider(kind="openai-compatible", base_url="http://127.0.0.1:1/v1"),
    },
    models={
        "known": Model(route=["openai/gpt-4o", "other/llama"]),
        "older": Model(route=["openai/gpt-4-turbo"]),
        "namesake": Model(route=["other/gpt-4o", "openai/gpt-4o"]),
        "new": Model(route=["openai/whatever-9"]),
    },
)
PICTURE = Image("https://example.com/a.png")
PROMPT = Prompt(
    [Message("user", "one two three"), Message("user", [Text("four"), PICTURE])],
    instructions="five six",
    tools=[Tool("function", {"name": "look", "parameters": {"type": "object"}})],
)


@pytest.mark.parametrize(("model", "encoding"), [("known", "o200k_base"), ("older", "cl100k_base")])
async def test_texts_are_counted_where_the_first_route_is_openai_s(model: str, encoding: str) -> None:
    counter = Words()
    without_texts = Prompt([Message("user", ""), Message("user", [Text(""), PICTURE])], tools=PROMPT.tools)
    around = measure(without_texts).estimate + 4  # of the instructions

    assert await RequestTokens(CONFIG, counter).count(model, PROMPT) == 6 + 3 + around
    assert counter.asked == [encoding]


@pytest.mark.parametrize("model", ["namesake", "new"])
async def test_all_others_are_estimated(model: str) -> None:
    counter = Words()

    assert await RequestTokens(CONFIG, counter).count(model, PROMPT) == measure(PROMPT).estimate
    assert counter.asked == []


async def test_what_cannot_be_counted_now_is_estimated() -> None:
    assert await RequestTokens(CONFIG, Words(can_count=False)).count("known", PROMPT) == measure(PROMPT).estimate


async def test_who_needs_a_count_is_told_no_estimate() -> None:
    tokens = RequestTokens(CONFIG, Words())

    assert await tokens.counted("known", PROMPT) == await tokens.count("known", PROMPT)
    assert await tokens.counted("new", PROMPT) is None
    assert await RequestTokens(CONFIG, Words(can_count=False)).counted("known", PROMPT) is None
