from __future__ import annotations

import pytest

from frontdesk.tokens.encodings import encoding_of


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "gpt-4o-mini",
        "gpt-4o-mini-2024-07-18",
        "chatgpt-4o-latest",
        "gpt-4.1",
        "gpt-4.1-nano-2025-04-14",
        "gpt-4.5-preview",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-2025-08-07",
        "gpt-5.2",
        "gpt-5.2-chat-latest",
        "o1",
        "o1-preview",
        "o3-mini-2025-01-31",
        "o4-mini",
        "ft:gpt-4o-mini-2024-07-18:owner::abc123",
    ],
)
def test_models_since_gpt_4o_read_by_the_larger_vocabulary(model: str):
    assert encoding_of(model) == "o200k_base"


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4",
        "gpt-4-0613",
        "gpt-4-32k",
        "gpt-4-turbo-2024-04-09",
        "gpt-3.5-turbo",
        "gpt-3.5-turbo-0125",
        "text-embedding-3-small",
        "text-embedding-3-large",
        "text-embedding-ada-002",
        "ft:gpt-3.5-turbo-0125:owner::abc123",
    ],
)
def test_models_before_it_read_by_the_smaller_one(model: str):
    assert encoding_of(model) == "cl100k_base"


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt",
        "gpt-50",
        "gpt-6",
        "gpt-4b",
        "gpt-4.2",
        "gpt-oss-20b",
        "o2",
        "o5",
        "o1x",
        "davinci-002",
        "claude-sonnet-4-5",
        "my-gpt-4o",
        "openai/gpt-4o",
        "GPT-4O",
        "gpt-4o ",
        "gpt-4o\n",
        "gpt-4o-",
        "text-embedding-4",
        "smollm2-135m",
        "llama-3.1",
    ],
)
def test_of_all_others_nothing_is_known(model: str):
    assert encoding_of(model) is None
