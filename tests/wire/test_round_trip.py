"""What a caller says in Chat Completions reaches a Chat Completions provider as it was said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.providers.chat_dialect import encode_chat
from frontdesk.providers.profiles import OPENAI
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_responses import read_responses

WORDS = st.text(max_size=12)
NAMES = st.text(alphabet="abcdefg_", min_size=1, max_size=6)
PARTS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}, WORDS),
    st.just({"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}),
    st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}),
    st.just({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
    st.just({"type": "file", "file": {"file_id": "file-1"}}),
    st.just({"type": "a_part_of_tomorrow", "anything": [1, {"deep": None}]}),
)
CONTENT = st.one_of(WORDS, st.lists(PARTS, min_size=1, max_size=3))
CALLS = st.one_of(
    st.builds(
        lambda n, a: {"id": f"call_{n}", "type": "function", "function": {"name": n, "arguments": a}}, NAMES, WORDS
    ),
    st.builds(lambda n, a: {"id": f"call_{n}", "type": "custom", "custom": {"name": n, "input": a}}, NAMES, WORDS),
)
PEOPLE = st.builds(
    lambda role, content, extra: {"role": role, "content": content, **extra},
    st.sampled_from(["system", "developer", "user"]),
    CONTENT,
    st.sampled_from([{}, {"name": "ada"}, {"vendor_field": {"a": 1}}]),
)
ANSWERS = st.one_of(
    st.builds(lambda text: {"role": "assistant", "content": text}, WORDS),
    st.just({"role": "assistant", "content": "", "refusal": "No."}),
    st.builds(lambda text: {"role": "assistant", "content": text, "reasoning_content": "hm"}, WORDS),
)
CALLING = st.builds(
    lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
    st.one_of(st.none(), WORDS.filter(bool)),
    st.lists(CALLS, min_size=1, max_size=3),
)
OUTPUTS = st.builds(lambda content: {"role": "tool", "tool_call_id": "call_a", "content": content}, CONTENT)
OLD = st.just({"role": "function", "name": "f", "content": "old"})


@given(st.lists(st.one_of(PEOPLE, ANSWERS, OUTPUTS, OLD), min_size=1, max_size=6))
def test_messages(messages: list[dict[str, Any]]) -> None:
    assert sent({"messages": messages})["messages"] == messages


@given(PEOPLE, CALLING, st.lists(OUTPUTS, max_size=2))
def test_messages_with_calls(asked: dict[str, Any], calling: dict[str, Any], outputs: list[dict[str, Any]]) -> None:
    messages = [asked, calling, *outputs, asked]

    assert sent({"messages": messages})["messages"] == messages


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0, "top_p": 0.5, "seed": 7, "stop": ["a", "b"], "logit_bias": {"50256": -100}},
        {"logprobs": True, "top_logprobs": 3, "n": 2, "parallel_tool_calls": False},
        {
            "presence_penalty": 1,
            "frequency_penalty": -1,
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
        },
        {"max_completion_tokens": 5, "reasoning_effort": "low", "verbosity": "low", "service_tier": "flex"},
        {"prediction": {"type": "content", "content": "x"}},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}]},
        {"tools": [{"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}], "tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "custom", "custom": {"name": "c"}}},
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            }
        },
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "c",
                        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}},
                    },
                }
            ]
        },
        {"top_k": 3, "chat_template_kwargs": {"a": [1]}},
    ],
)
def test_parameters(fields: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "x"}]

    assert sent({"messages": messages, **fields}) == {"messages": messages, "model": "m", **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"store": False},
        {"metadata": {"feature": "x"}},
        {"temperature": None},
        {"modalities": ["text"]},
        {"background": False},
    ],
)
def test_what_stays_here(fields: dict[str, Any]) -> None:
    """What to store and what a request is for are ours to know; null and what would be refused say nothing."""
    messages = [{"role": "user", "content": "x"}]

    assert sent({"messages": messages, **fields}) == {"messages": messages, "model": "m"}


def test_old_max_tokens_is_the_new_one() -> None:
    assert sent({"messages": [{"role": "user", "content": "x"}], "max_tokens": 5})["max_completion_tokens"] == 5


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """The body that a provider gets of this one."""
    return encode_chat(read_chat(json.dumps(body).encode()).prompt, "m", OPENAI)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_completion_tokens": 0, "max_tokens": 5}, "max_completion_tokens"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": {"type": ["x"]}}}, "tool_choice.function.type"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [7]}}},
            "tool_choice.allowed_tools.tools[0]",
        ),
    ],
)
def test_what_would_be_lost_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        sent({"messages": [{"role": "user", "content": "x"}], **fields})

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 128}, "n"),
        ({"max_completion_tokens": 1_000_000}, "max_completion_tokens"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"functions": []}, "functions"),
        ({"messages": []}, "messages"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": ["x"]}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{}]}}, "tool_choice.tools[0].type"),
    ],
)
def test_responses_takes_no_names_of_chat_completions(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_responses(json.dumps({"input": "x", **fields}).encode())

    assert caught.value.param == param


def test_responses_tools_reach_chat_completions_in_its_shape() -> None:
    body = {
        "input": "x",
        "tools": [
            {
                "type": "custom",
                "name": "c",
                "format": {"type": "grammar", "syntax": "lark", "definition": "a"},
            },
            {"type": "function", "name": "f", "parameters": {"type": "object"}},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    }

    written = encode_chat(read_responses(json.dumps(body).encode()).prompt, "m", OPENAI)

    assert written["tools"] == [
        {
            "type": "custom",
            "custom": {
                "name": "c",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "a"}},
            },
        },
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
    ]
    assert written["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    }
