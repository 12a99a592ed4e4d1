"""A model on this machine reports what was counted by the vocabulary in its file, in the process that counts."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator

import pytest

from frontdesk.core.clock import SystemClock
from frontdesk.core.config import parse_config
from frontdesk.local.vocabularies import FROM_FILE
from frontdesk.providers.local import LocalProvider
from frontdesk.tokens.counter import CounterLimits, TokenCounter
from frontdesk.tokens.items import ItemTokens
from frontdesk.tokens.texts import TextTokens
from frontdesk.tokens.vocabularies import vocabularies_of
from frontdesk.turn.events import UsageReported
from frontdesk.turn.items import Message, Prompt, ToolCall, ToolOutput
from tests.local.machine import CHAT, home_with

SETTINGS = {
    "providers": {"here": {"kind": "local", "model": CHAT}},
    "models": {"small": {"route": [f"here/{CHAT}"]}, "unknown": {"route": ["here/no-such-model"]}},
}
SAID = [
    Prompt([Message("user", "hello")]),
    Prompt([Message("user", "hello")], instructions="Be kind, and 123 good."),
    Prompt(
        [
            Message("system", "Be kind."),
            Message("user", "one"),
            Message("assistant", "two words here"),
            Message("user", "What is 12345?\n\n  Ünïcode 日本語 🎉"),
        ]
    ),
    Prompt(
        [
            Message("user", "word " * 300),
            Message("assistant", "\nbegins with a line"),
            Message("user", "def f(x):\n    return x  # hi\n"),
            Message("assistant", "It isn't, I'll say."),
            Message("user", "and now?"),
        ],
        instructions="Be brief.",
    ),
]
WITH_CALLS = Prompt(
    [Message("user", "use it " * 50), ToolCall("c1", "look", '{"a": 1}'), ToolOutput("c1", "found"), SAID[0].items[0]]
)


@pytest.fixture
async def provider() -> AsyncIterator[LocalProvider]:
    local = LocalProvider(home_with(CHAT), SystemClock(), model=CHAT, threads=1)
    yield local
    await local.close()


@pytest.fixture
async def tokens() -> AsyncIterator[ItemTokens]:
    clock = SystemClock()
    counter = TokenCounter(clock, CounterLimits(timeout_s=60))
    vocabularies = vocabularies_of(parse_config(json.dumps(SETTINGS), {}), home_with(CHAT))
    yield ItemTokens(TextTokens(vocabularies, counter, clock))
    await counter.close()


async def reported(provider: LocalProvider, prompt: Prompt) -> int:
    asked = Prompt(prompt.items, instructions=prompt.instructions, max_output_tokens=1)
    async for events in provider.answer(asked, CHAT):
        for event in events:
            if isinstance(event, UsageReported):
                return event.usage.input_tokens
    raise AssertionError("No usage was reported.")


async def test_messages_are_counted_to_the_token_and_calls_about(provider: LocalProvider, tokens: ItemTokens) -> None:
    counted = [await tokens.whole("small", prompt) for prompt in SAID]

    assert tokens.is_exact("small")
    assert counted == [await reported(provider, prompt) for prompt in SAID]
    assert await tokens.whole("small", WITH_CALLS) == pytest.approx(await reported(provider, WITH_CALLS), abs=8)


async def test_a_model_that_is_not_there_is_estimated() -> None:
    vocabularies = vocabularies_of(parse_config(json.dumps(SETTINGS), {}), home_with(CHAT))

    assert not vocabularies["unknown"].is_known


async def test_a_file_that_is_not_there_costs_one_question(caplog: pytest.LogCaptureFixture) -> None:
    counter = TokenCounter(SystemClock(), CounterLimits(timeout_s=60))

    assert await counter.count_each(["text"], f"{FROM_FILE}/no/such/model.gguf") is None
    assert "token_count_failed" in caplog.text
    await counter.close()


async def test_without_the_package_for_local_models_the_published_vocabularies_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    counter = TokenCounter(SystemClock(), CounterLimits(timeout_s=60))

    assert await counter.count_each(["text"], f"{FROM_FILE}/some/model.gguf") is None
    assert "pip install 'frontdesk[local]'" in caplog.text
    assert await counter.count_each(["hello world", ""], "o200k_base") == [2, 0]
    await counter.close()
