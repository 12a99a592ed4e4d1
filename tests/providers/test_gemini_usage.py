"""Gemini's usage adds up to its total, whatever it leaves out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.gemini_usage import read_gemini_usage
from frontdesk.turn.events import Usage

COUNT = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(5, 0)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 0}, Usage(5, 0)),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 10},
            Usage(5, 5, reasoning_tokens=3),
        ),
        ({"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 11}, Usage(5, 6, reasoning_tokens=4)),
        (
            {"promptTokenCount": 5, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 14},
            Usage(12, 2, tool_tokens=7),
        ),
        (
            {
                "promptTokenCount": 300,
                "cachedContentTokenCount": 100,
                "candidatesTokenCount": 60,
                "totalTokenCount": 360,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 10},
                    {"modality": "AUDIO", "tokenCount": 32},
                    {"modality": "IMAGE", "tokenCount": 129},
                    {"modality": "IMAGE", "tokenCount": 129},
                ],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
            },
            Usage(300, 60, cached_tokens=100, audio_input_tokens=32, image_input_tokens=258, audio_output_tokens=60),
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": -1, "thoughtsTokenCount": "3", "promptTokensDetails": 5},
            Usage(5, 0),
        ),
        ({"promptTokenCount": 5, "promptTokensDetails": [5, {}, {"modality": "AUDIO"}]}, Usage(5, 0)),
    ],
)
def test_usage_is_read(raw: dict[str, Any], expected: Usage) -> None:
    assert read_gemini_usage(raw) == msgspec.structs.replace(expected, raw=raw)


@pytest.mark.parametrize("raw", [{}, {"promptTokenCount": None}, {"promptTokenCount": -1}, {"promptTokenCount": 2**40}])
def test_usage_that_says_nothing_of_the_prompt_is_none(raw: dict[str, Any]) -> None:
    assert read_gemini_usage(raw) is None


@given(COUNT, COUNT, st.none() | COUNT, st.none() | COUNT)
def test_the_parts_add_up_to_the_total(prompt: int, written: int, thoughts: int | None, tools: int | None) -> None:
    total = prompt + written + (thoughts or 0) + (tools or 0)
    raw = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tools,
        "totalTokenCount": total,
    }

    usage = read_gemini_usage(raw)

    assert usage is not None
    assert usage.input_tokens + usage.output_tokens == total
    assert (usage.reasoning_tokens, usage.tool_tokens) == (thoughts, tools)
