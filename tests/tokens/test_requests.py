"""Requests in tokens, where the vocabulary is known: texts exactly, all else as budgets estimate it."""

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

    assert await RequestTokens(CONFIG, counter).counted(model, PROMPT) == 6 + 3 + around
    assert counter.asked == [encoding]


@pytest.mark.parametrize("model", ["namesake", "new"])
async def test_of_all_others_nothing_is_said(model: str) -> None:
    counter = Words()

    assert await RequestTokens(CONFIG, counter).counted(model, PROMPT) is None
    assert counter.asked == []


async def test_nor_where_nobody_can_count_now() -> None:
    assert await RequestTokens(CONFIG, Words(can_count=False)).counted("known", PROMPT) is None
