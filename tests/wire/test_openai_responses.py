"""Responses, read: what is wrong is named by its path, with its value and the remedy."""

from __future__ import annotations

import json
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import (
    Compaction,
    ConversationNamed,
    Format,
    Image,
    Message,
    Reference,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.wire.openai_responses import (
    ResponsesRequest,
    read_compact,
    read_input_tokens,
    read_items,
    read_responses,
)
from frontdesk.wire.openai_responses_shapes import Includable
from tests.wire.test_openai_chat import JSON, refusal_of

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def read(**fields: Any) -> ResponsesRequest:
    return read_responses(json.dumps({"input": "x", **fields}).encode())


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "x"}, fields]}


def part(**fields: Any) -> dict[str, Any]:
    return item(role="user", content=[fields])


@pytest.mark.parametrize(
    ("fields", "param", "code", "words"),
    [
        ({"input": 7}, "input", "invalid_type", "expected a text or a list or null, not 7"),
        ({"input": None}, "input", "missing_required_parameter", "'previous_response_id'"),
        ({"input": []}, "input", "missing_required_parameter", "what to go on with"),
        ({"background": True, "store": False}, "background", "invalid_value", "'store': true"),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id",
         "mutually_exclusive_parameters", "'conversation'"),
        ({"previous_response_id": "a b"}, "previous_response_id", "invalid_value", "not 'a b'"),
        ({"previous_response_id": "ab\n"}, "previous_response_id", "invalid_value", "not 'ab"),
        ({"conversation": {"id": ""}}, "conversation.id", "invalid_value", "not ''"),
        ({"conversation": {}}, "conversation.id", "missing_required_parameter", ""),
        ({"conversation": {"id": "c", "before": "x"}}, "conversation.before", "unsupported_parameter", ""),
        ({"conversation": {"id": "c", "after": "x\0"}}, "conversation.after", "invalid_value", "not "),
        ({"context_management": [{"type": "compaction"}]}, "context_management", "unsupported_parameter", "/compact"),
        ({"background_options": {"x": 1}}, "background_options", "unsupported_parameter", "'background'"),
        (item(type="item_reference"), "input[1].id", "missing_required_parameter", ""),
        (item(type="item_reference", id="x", content="y"), "input[1].content", "unsupported_parameter", ""),
        (item(type="compaction"), "input[1].encrypted_content", "missing_required_parameter", ""),
        (item(type="compaction", encrypted_content=""), "input[1].encrypted_content", "invalid_value", "length >= 1"),
        (item(type="compaction_trigger"), "input[1].type", "unsupported_parameter", "/v1/responses/compact"),
        ({"input": ["x"]}, "input[0]", "invalid_type", "expected an object, not 'x'"),
        ({"instructions": ["x"]}, "instructions", "invalid_type", "expected a text or null"),
        ({"temperature": 3}, "temperature", "invalid_value", "<= 2.0, not 3"),
        ({"top_logprobs": 21}, "top_logprobs", "invalid_value", "<= 20, not 21"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value", ">= 1, not 0"),
        ({"include": ["everything"]}, "include[0]", "invalid_value", "'reasoning.encrypted_content'"),
        ({"include": "x"}, "include", "invalid_type", "expected a list or null"),
        ({"truncation": "some"}, "truncation", "invalid_value", "'auto', 'disabled'"),
        ({"service_tier": "scenic"}, "service_tier", "invalid_value", "'ultrafast'"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "invalid_value", "'xhigh', 'max'"),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary", "invalid_value", "'auto', 'concise', 'detailed'"),
        ({"reasoning": {"generate_summary": "x"}}, "reasoning.generate_summary", "invalid_value", "'auto'"),
        ({"reasoning": {"context": "none"}}, "reasoning.context", "invalid_value", "'all_turns'"),
        ({"text": {"verbosity": "loud"}}, "text.verbosity", "invalid_value", "'low'"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value", "'json_object'"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "missing_required_parameter", ""),
        (
            {"text": {"format": {"type": "json_schema", "name": "x"}}},
            "text.format.schema",
            "missing_required_parameter",
            "",
        ),
        ({"text": {"tone": "warm"}}, "text.tone", "unsupported_parameter", ""),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter", ""),
        ({"tools": [{"type": "function", "name": "a" * 129}]}, "tools[0].name", "invalid_value", "{1,128}"),
        ({"tools": [{"name": "f"}]}, "tools[0].type", "missing_required_parameter", "one of function, custom"),
        ({"tools": [{"type": 7}]}, "tools[0].type", "invalid_value", "one of function, custom"),
        ({"tool_choice": "perhaps"}, "tool_choice", "invalid_value", "'none', 'auto', 'required'"),
        ({"tool_choice": {}}, "tool_choice.type", "missing_required_parameter", ""),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name", "missing_required_parameter", ""),
        ({"prompt_cache_options": {"ttl": "1h"}}, "prompt_cache_options.ttl", "invalid_value", "'30m', '12h'"),
        ({"image": {"context_compression": "x"}}, "image.context_compression", "invalid_value", "'enabled'"),
        ({"stream": True, "stream_options": {"include_usage": True}}, "stream_options.include_usage",
         "unsupported_parameter", ""),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options", "invalid_value", "'stream': true"),
        (item(role="king", content="x"), "input[1].role", "invalid_value", "'king'"),
        (item(role="user"), "input[1].content", "missing_required_parameter", ""),
        (item(role="user", content=[7]), "input[1].content[0]", "invalid_type", "expected an object"),
        (item(role="assistant", content="x", phase="middle"), "input[1].phase", "invalid_value", "'commentary'"),
        (item(type="function_call", name="f"), "input[1].call_id", "missing_required_parameter", ""),
        (item(**{**CALL, "arguments": {}}), "input[1].arguments", "invalid_type", "expected a text, not an object"),
        (item(type="function_call_output", call_id="c"), "input[1].output", "missing_required_parameter", ""),
        (item(type="custom_tool_call", call_id="c", name="f"), "input[1].input", "missing_required_parameter", ""),
        (item(type="reasoning", summary="x"), "input[1].summary", "invalid_type", "expected a list"),
        (item(type="reasoning", summary=[{"type": "text", "text": "x"}]), "input[1].summary[0].type", "invalid_value",
         "'summary_text'"),
        (item(type=7), "input[1].type", "invalid_value", "one of message"),
        (part(type="input_image"), "input[1].content[0].image_url", "missing_required_parameter", ""),
        (part(type="input_image", detail="sharp"), "input[1].content[0].detail", "invalid_value", "'original'"),
        (part(type="input_text"), "input[1].content[0].text", "missing_required_parameter", ""),
        (part(text="x"), "input[1].content[0].type", "missing_required_parameter", "one of input_text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, code: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)

    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert words in caught.value.message
    assert param in caught.value.message


def test_items_are_in_order_and_whole() -> None:
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    output = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "sunny"}]}
    prompt = read(
        input=[
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://x.example/a", "detail": "low"}]},
            sealed,
            {**CALL, "id": "fc_1", "status": "completed"},
            output,
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "final_answer",
                "content": [{"type": "output_text", "text": "well", "annotations": [], "logprobs": []}],
            },
        ]
    ).prompt  # fmt: skip

    assert prompt.items == [
        Message("user", [Image("https://x.example/a", "low")]),
        Unknown(sealed, "responses"),
        ToolCall("c", "f", "{}"),
        ToolOutput("c", [Text("sunny")]),
        Message("assistant", [Text("well")], {"phase": "final_answer"}),
    ]
    assert prompt.dialect == "responses"


def test_what_only_responses_knows_is_in_the_prompt() -> None:
    prompt = read(
        reasoning={"effort": "low", "generate_summary": "concise", "context": "all_turns", "mode": "pro", "vendor": 1},
        truncation="auto",
        include=list(typing.get_args(Includable)),
        text={"format": {"type": "json_schema", "name": "x", "schema": {}, "strict": None}, "verbosity": "low"},
        tools=[{"type": "function", "name": "f", "output_schema": {}}, {"type": "vendor_tool", "x": 1}],
        instructions="Be brief.",
        max_output_tokens=7,
    ).prompt

    assert (prompt.reasoning_effort, prompt.reasoning_summary, prompt.truncation) == ("low", "concise", "auto")
    assert prompt.include == set(typing.get_args(Includable))
    assert prompt.format == Format("json_schema", {"name": "x", "schema": {}, "strict": None})
    assert prompt.tools == [Tool("function", {"name": "f", "output_schema": {}}), Tool("vendor_tool", {"x": 1})]
    assert (prompt.instructions, prompt.max_output_tokens, prompt.verbosity) == ("Be brief.", 7, "low")
    assert prompt.parameters == {
        "logprobs": True,
        "reasoning": {"context": "all_turns", "mode": "pro", "vendor": 1},
    }


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 0}, {}),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}),
    ],
)
def test_logprobs_are_asked_for_in_the_spelling_of_chat_completions(
    fields: dict[str, Any], parameters: dict[str, Any]
) -> None:
    assert read(**fields).prompt.parameters == parameters


@pytest.mark.parametrize(
    "said",
    [
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_image", "image_url": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        {"type": "refusal", "refusal": "No."},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ],
)
def test_parts_that_ours_cannot_hold_are_carried_as_they_came(said: dict[str, Any]) -> None:
    assert read(**part(**said)).prompt.items[1] == Message("user", [Unknown(said, "responses")])


@pytest.mark.parametrize("said", [{**CALL, "vendor": 1}, {"type": "vendor_item", "x": [1]}])
def test_items_that_ours_cannot_hold_are_carried_as_they_came(said: dict[str, Any]) -> None:
    assert read(**item(**said)).prompt.items[1] == Unknown(said, "responses")


def test_what_is_carried_was_checked() -> None:
    said = {"type": "function_call_output", "call_id": "c", "vendor": 1, "output": [{"type": "input_text", "text": {}}]}

    with pytest.raises(BadRequest) as caught:
        read(**item(**said))

    assert caught.value.param == "input[1].output[0].text"


def test_null_says_nothing() -> None:
    names = ["temperature", "tools", "tool_choice", "text", "reasoning", "stream", "metadata", "background", "prompt"]

    assert read(**dict.fromkeys(names)) == read()


FIELDS = [
    "input", "temperature", "tools", "tool_choice", "text", "reasoning", "stream", "stream_options", "include",
    "metadata", "prompt_cache_options", "image", "background", "truncation", "messages",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), JSON, max_size=4))
def test_whatever_comes_is_read_or_refused(fields: dict[str, Any]) -> None:
    refusal = refusal_of(lambda: read(**fields))

    assert refusal is None or (refusal.message and refusal.param)


# --- prompts that the server holds ----------------------------------------------------------------


def test_a_prompt_names_a_feature_and_its_values() -> None:
    asked = read(prompt={"id": "chat", "variables": {"name": "Ann"}, "version": None}, metadata={"feature": "chat"})

    assert (asked.prompt_id, asked.feature, asked.prompt.variables) == ("chat", "chat", {"name": "Ann"})
    assert asked.echo["prompt"] == {"id": "chat", "variables": {"name": "Ann"}, "version": None}
    assert "prompt" not in asked.prompt.parameters


def test_values_may_come_in_metadata_as_well() -> None:
    asked = read(metadata={"variables.name": "Ann", "variable": "x"}, prompt={"id": "chat", "variables": {"at": "1"}})

    assert asked.prompt.variables == {"name": "Ann", "at": "1"}
    assert read(metadata={"variables.a": "x"}, prompt={"id": "c", "variables": {"a": "x"}}).prompt.variables == {
        "a": "x"
    }
    refusal = refusal_of(lambda: read(metadata={"variables.a": "x"}, prompt={"id": "c", "variables": {"a": "y"}}))
    assert refusal is not None
    assert (refusal.code, refusal.param) == ("invalid_variable", "variables.a")


@pytest.mark.parametrize(
    ("prompt", "param", "code"),
    [
        ("chat", "prompt", "invalid_type"),
        ({}, "prompt.id", "missing_required_parameter"),
        ({"id": ""}, "prompt.id", "invalid_value"),
        ({"id": "c", "version": "2"}, "prompt.version", "unsupported_parameter"),
        ({"id": "c", "vars": {}}, "prompt.vars", "unsupported_parameter"),
        ({"id": "c", "variables": []}, "prompt.variables", "invalid_type"),
        ({"id": "c", "variables": {"a": 7}}, "prompt.variables.a", "invalid_type"),
        ({"id": "c", "variables": {"a": None}}, "prompt.variables.a", "invalid_type"),
        (
            {"id": "c", "variables": {"b": "x", "a": {"type": "input_text", "text": "x"}}},
            "prompt.variables.a",
            "unsupported_parameter",
        ),
        ({"id": "c", "variables": {"k" * 100: 7}}, "prompt.variables." + "k" * 64, "invalid_type"),
    ],
)
def test_what_is_wrong_with_a_prompt_is_named(prompt: Any, param: str, code: str) -> None:
    refusal = refusal_of(lambda: read(prompt=prompt))

    assert refusal is not None
    assert (refusal.param, refusal.code) == (param, code)


# --- what is stored -------------------------------------------------------------------------------


def test_a_response_is_stored_unless_its_request_says_otherwise() -> None:
    told = [read(**fields) for fields in ({}, {"store": None}, {"store": True}, {"store": False})]

    assert [asked.store for asked in told] == [True, True, True, False]
    assert [asked.echo["store"] for asked in told] == [True, True, True, False]


def test_the_background_is_asked_for() -> None:
    told = [read(**fields) for fields in ({}, {"background": False, "store": False}, {"background": True})]

    assert [(asked.background, asked.echo["background"]) for asked in told] == [
        (False, False),
        (False, False),
        (True, True),
    ]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (None, None),
        ("conv_1", ConversationNamed("conv_1", UNSET)),
        ({"id": "conv_1"}, ConversationNamed("conv_1", UNSET)),
        ({"id": "conv_1", "after": None}, ConversationNamed("conv_1", None)),
        ({"id": "conv_1", "after": "msg_1"}, ConversationNamed("conv_1", "msg_1")),
    ],
)
def test_a_conversation_is_named_by_its_id_or_as_an_object(said: Any, named: ConversationNamed | None) -> None:
    asked = read(conversation=said)

    assert asked.conversation == named
    assert asked.echo["conversation"] == (None if named is None else {"id": "conv_1"})


def test_an_earlier_response_is_named_and_repeated() -> None:
    asked = read(previous_response_id="resp_1")

    assert (asked.previous, asked.echo["previous_response_id"]) == ("resp_1", "resp_1")
    assert asked.prompt.parameters == {}


@pytest.mark.parametrize("earlier", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
@pytest.mark.parametrize("nothing", [{}, {"input": None}, {"input": []}])
def test_nothing_new_need_be_said_behind_what_is_stored(earlier: dict[str, Any], nothing: dict[str, Any]) -> None:
    assert read_responses(json.dumps({**earlier, **nothing}).encode()).prompt.items == []


def test_items_that_mean_something_only_here_are_read() -> None:
    given_items = [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "compaction", "encrypted_content": "sealed", "id": "cmp_1", "created_by": None},
    ]

    assert read(input=given_items).prompt.items == [Reference("msg_1"), Compaction("sealed")]
    assert read_items(given_items, "items") == [Reference("msg_1"), Compaction("sealed")]


def test_the_size_of_an_input_may_be_asked_without_one() -> None:
    asked = read_input_tokens(b'{"instructions": "Be brief.", "tools": [{"type": "function", "name": "f"}]}')

    assert (asked.prompt.items, asked.prompt.instructions, len(asked.prompt.tools)) == ([], "Be brief.", 1)


@pytest.mark.parametrize(
    ("reads", "fields", "param", "code"),
    [
        (read_input_tokens, {"input": 7}, "input", "invalid_type"),
        (read_input_tokens, {"temperature": 1}, "temperature", "unsupported_parameter"),
        (read_input_tokens, {"personality": "friendly"}, "personality", "unsupported_parameter"),
        (read_input_tokens, {"conversation": "c", "previous_response_id": "r"}, "previous_response_id",
         "mutually_exclusive_parameters"),
        (read_input_tokens, {"input": [{"role": "king", "content": ""}]}, "input[0].role", "invalid_value"),
        (read_compact, {}, "input", "missing_required_parameter"),
        (read_compact, {"input": "x", "tools": []}, "tools", "unsupported_parameter"),
        (read_compact, {"input": "x", "prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm",
         "unsupported_parameter"),
    ],
)  # fmt: skip
def test_what_is_wrong_beside_responses_is_named(reads: Any, fields: dict[str, Any], param: str, code: str) -> None:
    refused = refusal_of(lambda: reads(json.dumps(fields).encode()))

    assert refused is not None
    assert (refused.param, refused.code) == (param, code)
