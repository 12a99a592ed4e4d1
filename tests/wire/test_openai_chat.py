"""Chat Completions, read: what is wrong is named by its path, with its value and the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Format, Image, Message, Text, ToolCall, ToolOutput, Unknown
from frontdesk.wire.openai_chat import ChatRequest, read_chat

NAME = "a" * 64


def read(**fields: Any) -> ChatRequest:
    return read_chat(json.dumps({"messages": [{"role": "user", "content": "x"}], **fields}).encode())


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x", **fields}]}


def part(**fields: Any) -> dict[str, Any]:
    return message(content=[{"type": "text", "text": "x"}, fields])


def function(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **fields}}]}


@pytest.mark.parametrize(
    ("fields", "param", "code", "words"),
    [
        # types
        ({"temperature": "hot"}, "temperature", "invalid_type", "expected a number or null, not 'hot'"),
        ({"temperature": True}, "temperature", "invalid_type", "not true"),
        ({"top_logprobs": 1.5}, "top_logprobs", "invalid_type", "expected an integer or null, not 1.5"),
        ({"stream": "yes"}, "stream", "invalid_type", "expected true or false or null, not 'yes'"),
        ({"stop": 7}, "stop", "invalid_type", "expected a text or a list or null, not 7"),
        ({"stop": ["a", 7]}, "stop[1]", "invalid_type", "expected a text, not 7"),
        ({"messages": {}}, "messages", "invalid_type", "expected a list, not an object"),
        ({"messages": ["x"]}, "messages[0]", "invalid_type", "expected an object, not 'x'"),
        ({"metadata": {"a": 1}}, "metadata", "invalid_type", "expected a text"),
        ({"model": "x" * 100, "user": ["y"]}, "user", "invalid_type", "not a list of 1"),
        (message(content=7), "messages[0].content", "invalid_type", "expected a text or a list, not 7"),
        (message(content=["x"]), "messages[0].content[0]", "invalid_type", "expected an object"),
        (message(name=7), "messages[0].name", "invalid_type", "expected a text or null, not 7"),
        (part(type="text", text=7), "messages[0].content[1].text", "invalid_type", "expected a text, not 7"),
        (part(type=7), "messages[0].content[1].type", "invalid_value", "must be one of text, image_url"),
        (part(type="file", file="x"), "messages[0].content[1].file", "invalid_type", "expected an object"),
        (function(parameters="x"), "tools[0].function.parameters", "invalid_type", "expected an object or null"),
        # ranges
        ({"temperature": 2.1}, "temperature", "invalid_value", "<= 2.0, not 2.1"),
        ({"temperature": -1}, "temperature", "invalid_value", ">= 0.0, not -1"),
        ({"top_p": 1.01}, "top_p", "invalid_value", "<= 1.0"),
        ({"presence_penalty": 3}, "presence_penalty", "invalid_value", "<= 2.0, not 3"),
        ({"frequency_penalty": -3}, "frequency_penalty", "invalid_value", ">= -2.0"),
        ({"logit_bias": {"50256": 101}}, "logit_bias", "invalid_value", "<= 100.0"),
        ({"n": 0}, "n", "invalid_value", ">= 1, not 0"),
        ({"n": 9}, "n", "invalid_value", "<= 8, not 9"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value", ">= 1"),
        ({"max_completion_tokens": 2**31}, "max_completion_tokens", "invalid_value", "<= 2147483647"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value", "<= 20"),
        ({"seed": 2**63}, "seed", "invalid_value", "9223372036854775807"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value", "length <= 4, not a list of 5"),
        ({"stop": []}, "stop", "invalid_value", "length >= 1"),
        ({"messages": []}, "messages", "invalid_value", "length >= 1"),
        ({"user": "u" * 513}, "user", "invalid_value", "length <= 512, not a text of 513 characters"),
        ({"safety_identifier": "s" * 65}, "safety_identifier", "invalid_value", "length <= 64"),
        ({"metadata": {"k" * 65: "v"}}, "metadata", "invalid_value", "length <= 64 as each key"),
        ({"metadata": {"k": "v" * 513}}, "metadata", "invalid_value", "length <= 512"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value", "length <= 16"),
        ({"tools": function()["tools"] * 129}, "tools", "invalid_value", "length <= 128"),
        (function(name="a b"), "tools[0].function.name", "invalid_value", "{1,64}$', not 'a b'"),
        (function(name="ab\n"), "tools[0].function.name", "invalid_value", "{1,64}$', not 'ab"),
        (function(name=NAME + "a"), "tools[0].function.name", "invalid_value", "a text of 65 characters"),
        (message(content=[]), "messages[0].content", "invalid_value", "length >= 1"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a.b"}}},
            "response_format.json_schema.name",
            "invalid_value",
            "not 'a.b'",
        ),
        # enumerations and kinds
        ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value", "'huge'. It must be one of 'none',"),
        ({"verbosity": "loud"}, "verbosity", "invalid_value", "'low', 'medium', 'high'"),
        ({"service_tier": "ultrafast"}, "service_tier", "invalid_value", "'auto', 'default', 'flex'"),
        ({"prompt_cache_retention": "1h"}, "prompt_cache_retention", "invalid_value", "'in_memory', '24h'"),
        ({"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl", "invalid_value", "one of '30m'"),
        ({"tool_choice": "perhaps"}, "tool_choice", "invalid_value", "'none', 'auto', 'required'"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type", "invalid_value", "'custom', 'allowed_tools'"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value", "'json_schema'"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value", "one of function, custom"),
        (message(role="king"), "messages[0].role", "invalid_value", "'king'. It must be one of system, developer"),
        (
            part(type="image_url", image_url={"url": "x", "detail": "sharp"}),
            "messages[0].content[1].image_url.detail",
            "invalid_value",
            "'auto', 'low', 'high', 'original'",
        ),
        # what is missing
        ({"tool_choice": {"type": "function"}}, "tool_choice.function", "missing_required_parameter", ""),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter", ""),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter", ""),
        ({"prediction": {"type": "content"}}, "prediction.content", "missing_required_parameter", ""),
        (part(type="image_url"), "messages[0].content[1].image_url", "missing_required_parameter", ""),
        (part(text="x"), "messages[0].content[1].type", "missing_required_parameter", "one of text, image_url"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter", "one of system"),
        (message(role="tool"), "messages[0].tool_call_id", "missing_required_parameter", ""),
        # objects that are read whole
        ({"stream": True, "stream_options": {"speed": 1}}, "stream_options.speed", "unsupported_parameter", ""),
        ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema", "unsupported_parameter", ""),
        ({"tools": [{**function()["tools"][0], "strict": True}]}, "tools[0].strict", "unsupported_parameter", ""),
        # what only goes together
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value", "Send 'stream': true"),
        ({"stream_options": {}, "stream": False}, "stream_options", "invalid_value", "Send 'stream': true"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value", "needs 'logprobs': true"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, code: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)

    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert words in caught.value.message
    assert param in caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"temperature": 2},
        {"n": 8},
        {"stop": ["a"] * 4},
        {"stop": None},
        {"logprobs": True, "top_logprobs": 20},
        {"top_logprobs": 0},
        {"seed": -(2**63)},
        {"metadata": {"k" * 64: "v" * 512}},
        {"metadata": {str(n): "" for n in range(16)}},
        {"safety_identifier": "s" * 64},
        {"logit_bias": {"1": -100, "2": 100}},
        {"stream_options": None},
        {"tools": function(name=NAME)["tools"] * 128},
        {"messages": [{"role": "assistant"}, {"role": "function", "name": "f", "content": None}]},
    ],
)
def test_what_is_just_right_passes(fields: dict[str, Any]) -> None:
    read(**fields)


def test_items_are_in_order_and_whole() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    prompt = read(
        messages=[
            {"role": "system", "content": "Be brief.", "name": "app"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sunny"}], "name": "f"},
        ]
    ).prompt

    assert prompt.items == [
        Message("system", "Be brief.", {"name": "app"}),
        Message("user", [Image("https://x.example/a.png")]),
        ToolCall("call_1", "f", "{}"),
        ToolOutput("call_1", [Text("sunny")]),
    ]
    assert prompt.dialect == "chat"


def test_more_than_ours_can_hold_is_carried_as_it_came() -> None:
    """A signature of thoughts, a mark for a cache: the provider that gave or knows them gets them back."""
    signed = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"s": 1}}
    messages = [
        {"role": "assistant", "tool_calls": [signed]},
        {"role": "tool", "tool_call_id": "c", "content": "x", "cache_control": {"type": "ephemeral"}},
    ]
    parts = [
        {"type": "image_url", "image_url": {"url": "x"}, "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "x", "format": "image/png"}},
    ]
    inside = {**signed, "function": {"name": "f", "arguments": "{}", "signature": "s"}, "extra_content": None}

    assert read(messages=messages).prompt.items == [Unknown(each, "chat") for each in messages]
    assert read(messages=[{"role": "assistant", "tool_calls": [inside]}]).prompt.items == [
        Unknown({"role": "assistant", "tool_calls": [inside]}, "chat")
    ]
    assert read(**message(content=parts)).prompt.items == [Message("user", [Unknown(each, "chat") for each in parts])]
    with pytest.raises(BadRequest, match="name"):
        read(messages=[{"role": "assistant", "tool_calls": [{**signed, "function": {"arguments": "{}"}}]}])


def test_null_says_nothing() -> None:
    names = ["temperature", "stop", "tools", "tool_choice", "response_format", "stream", "n", "metadata", "functions"]

    assert read(**dict.fromkeys(names)) == read()


def test_schema_is_carried_with_what_it_says_beside_itself() -> None:
    schema = {"name": "x", "schema": {"type": "object"}, "strict": True, "vendor": 1}

    asked = read(response_format={"type": "json_schema", "json_schema": schema})

    assert asked.prompt.format == Format("json_schema", schema)


@pytest.mark.parametrize(("usage", "obfuscation"), [(True, False), (False, True), (True, True)])
def test_options_of_a_stream(usage: bool, obfuscation: bool) -> None:
    asked = read(stream=True, stream_options={"include_usage": usage, "include_obfuscation": obfuscation})

    assert (asked.includes_usage, asked.obfuscates) == (usage, obfuscation)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "messages", "temperature", "stop", "tools", "tool_choice", "response_format", "stream", "stream_options",
    "metadata", "logit_bias", "n", "prediction", "prompt_cache_options", "functions", "modalities", "store", "audio",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), JSON, max_size=4))
def test_whatever_comes_is_read_or_refused(fields: dict[str, Any]) -> None:
    refusal = refusal_of(lambda: read(**fields))

    assert refusal is None or (refusal.message and refusal.param)


def refusal_of(reading: Callable[[], object]) -> BadRequest | None:
    """What reading refuses; any other error than a refusal is a bug and comes through."""
    try:
        reading()
    except BadRequest as refusal:
        return refusal
    return None


def test_metadata_may_hold_values_for_instructions() -> None:
    asked = read(metadata={"feature": "chat", "variables.name": "Ann", "variables.": "x", "other": "y"})

    assert asked.feature == "chat"
    assert asked.prompt.variables == {"name": "Ann", "": "x"}
    assert "metadata" not in asked.prompt.parameters


def test_what_an_answer_rested_on_does_not_come_back() -> None:
    """No model reads it, and most servers do not know it in a request."""
    page = {"type": "url_citation", "url_citation": {"url": "https://example.test/"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "own": 1}
    answers = [
        {"role": "assistant", "content": "Hi.", "annotations": [page]},
        {"role": "assistant", "content": "Hi.", "annotations": [page], "tool_calls": [call]},
    ]

    first, second = read_chat(json.dumps({"messages": answers}).encode()).prompt.items

    assert first == Message("assistant", "Hi.")
    assert second == Unknown({"role": "assistant", "content": "Hi.", "tool_calls": [call]}, "chat")


def test_what_is_to_be_stored_is_told() -> None:
    told = [read(**fields) for fields in ({}, {"store": True}, {"store": False})]
    named = read(store=True, metadata={"a": "b"})

    assert [chat.store for chat in told] == [None, True, False]
    assert [chat.metadata for chat in (*told, named)] == [{}, {}, {}, {"a": "b"}]
    assert all("store" not in chat.prompt.parameters for chat in (*told, named))
