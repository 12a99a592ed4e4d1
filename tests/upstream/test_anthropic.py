"""Anthropic's dialect: what it takes, what it refuses and in which words, and the order of its events."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from frontdesk.upstream.anthropic_schemas import check_schema
from tests.upstream.raw import Seen, asking, exchange
from tests.upstream.speaking import ANTHROPIC, MESSAGES, messages
from tests.upstreams import ScriptedUpstream

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {"name": "weather", "input_schema": SCHEMA}
HOSTED: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
USE: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
THINKING = {"type": "enabled", "budget_tokens": 1024}
SEALED = {"type": "thinking", "thinking": "Hm.", "signature": base64.b64encode(b"Hm.").decode()}
MARK = {"type": "ephemeral"}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def words(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **fields}


async def asked(upstream: ScriptedUpstream, model: str = "echo", *, stream: bool = False, **fields: Any) -> Seen:
    """Ask with these fields; a field that is None is left out."""
    body = {name: value for name, value in messages(model, stream=stream, **fields).items() if value is not None}
    return await exchange(upstream, asking(MESSAGES, body, **ANTHROPIC))


# --- what is refused ----------------------------------------------------------------------------

_CONVERSATION = [user(words("hi")), assistant(USE), user(RESULT)]
_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"model": ""}, "model: "),
    ({"messages": None}, "messages: Field required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": [assistant(words("hi"))]}, 'messages: first message must use the "user" role'),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: "),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [user()]}, "messages.0: all messages must have non-empty content"),
    ({"messages": [user(words(" "))]}, "messages: text content blocks must be non-empty"),
    ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
    ({"messages": [user({"text": "hi"})]}, "messages.0.content.0.type: Field required"),
    ({"messages": [user({"type": "input_text"})]}, "messages.0.content.0: Input tag 'input_text' found"),
    ({"messages": [user(words("hi", mood="x"))]}, "messages.0.content.0.text.mood: Extra inputs are not permitted"),
    ({"messages": [user(USE)]}, "messages.0.content.0: 'tool_use' blocks are not permitted in user messages"),
    ({"messages": [user(words("hi")), assistant(words("So "))]}, "messages: final assistant content cannot end"),
    ({"seed": 4}, "seed: Extra inputs are not permitted"),
    ({"metadata": {"user": "u"}}, "metadata.user: Extra inputs are not permitted"),
    ({"thread": {"type": "create"}}, "thread: Extra inputs are not permitted"),
    ({"output_format": {"type": "json_schema", "schema": SCHEMA}}, "output_format: Extra inputs are not permitted"),
    ({"service_tier": "flex"}, "service_tier: "),
    ({"system": " "}, "system: text content blocks must be non-empty"),
    ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "kept"}}]}, "system.0.cache_control.type"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"temperature": 0.5, "top_p": 0.5}, "`temperature` and `top_p` cannot both be specified"),
    ({"stop_sequences": ["\n"]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ({"tools": [{"name": "a b", "input_schema": SCHEMA}]}, "tools.0.custom.name: "),
    ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tools": [{"type": "function", "function": {}}]}, "tools.0: Input tag 'function' found"),
    ({"tool_choice": {"type": "any"}}, "tool_choice: tool_choice may only be specified while providing tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice: Tool 'x' not found"),
    ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type: "),
    ({"messages": _CONVERSATION[:2]}, "messages.1: `tool_use` ids were found without `tool_result` blocks"),
    ({"messages": [*_CONVERSATION[:2], user(words("hm"))]}, "messages.1: `tool_use` ids were found without"),
    ({"messages": [*_CONVERSATION[:2], user(words("hm"), RESULT)]}, "messages.1: `tool_use` ids were found without"),
    ({"messages": [user(RESULT)]}, "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks"),
    ({"messages": [*_CONVERSATION[:2], user(RESULT, RESULT)]}, "messages.2: each tool_use must have a single result"),
    ({"messages": [*_CONVERSATION, *_CONVERSATION[1:]]}, "messages.3: `tool_use` ids must be unique"),
    ({"messages": [user(words("hi")), assistant({**USE, "id": "a b"})]}, "messages.1.content.0.tool_use.id: "),
    ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking.enabled.budget_tokens: Input should be greater"),
    ({"thinking": {"type": "adaptive", "budget_tokens": 2000}}, "thinking.adaptive.budget_tokens: Extra inputs"),
    ({"thinking": THINKING, "max_tokens": 1024}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    ({"thinking": THINKING, "temperature": 0}, "`temperature` may only be set to 1 when thinking is enabled"),
    ({"thinking": THINKING, "top_k": 4}, "`top_k` must be unset when thinking is enabled"),
    ({"thinking": THINKING, "top_p": 0.5}, "`top_p` must be greater than or equal to 0.95"),
    ({"thinking": THINKING, "tools": [TOOL], "tool_choice": {"type": "any"}}, "Thinking may not be enabled when"),
    ({"thinking": THINKING, "messages": _CONVERSATION}, "messages.1.content.0.type: Expected `thinking`"),
    (
        {"messages": [_CONVERSATION[0], assistant({**SEALED, "signature": "TGll"}, words("x"))]},
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    ({"messages": [user({"type": "image", "source": {"type": "url", "url": "http://a/b"}})]}, "messages.0.content.0."),
    (
        {
            "messages": [
                user({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AA=="}})
            ]
        },
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/gif'",
    ),
    (
        {"messages": [user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!"}})]},
        "messages.0.content.0.image.source.base64.data: ",
    ),
    ({"messages": [user({"type": "document", "source": {"type": "s3"}})]}, "messages.0.content.0.document.source: "),
    ({"messages": [user(*[words("hi", cache_control=MARK)] * 5)]}, "A maximum of 4 blocks with cache_control"),
    (
        {"messages": [user(words("a", cache_control=MARK), words("b", cache_control={**MARK, "ttl": "1h"}))]},
        "messages.0.content.1.text.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'",
    ),
]


@pytest.mark.parametrize(("fields", "message"), _REFUSED, ids=[message[:50] for _, message in _REFUSED])
async def test_what_is_refused_and_why(upstream: ScriptedUpstream, fields: dict[str, Any], message: str) -> None:
    seen = await asked(upstream, **fields)

    assert (seen.status, seen.json["type"], seen.json["error"]["type"]) == (400, "error", "invalid_request_error")
    assert seen.json["error"]["message"].startswith(message)
    assert seen.json["request_id"] == seen.headers["request-id"]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "object", "properties": {}}, "For 'object' type, 'additionalProperties' must be explicitly set"),
        ({"type": "integer", "minimum": 2, "maximum": 3}, "For 'integer' type, properties maximum, minimum are not"),
        ({"type": "string", "maxLength": 2}, "For 'string' type, properties maxLength are not supported"),
        ({"type": ["array", "null"], "items": {}, "minItems": 2}, "For 'array' type, 'minItems' values other than 0"),
        ({"anyOf": [{"type": "number", "multipleOf": 2}]}, "For 'number' type, properties multipleOf are not"),
        ({"enum": [{"a": 1}]}, "Enum values must be"),
        ({"$ref": "https://example.com/s"}, "External $ref"),
        ({"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}, "Recursive"),
    ],
)
async def test_schemas_that_the_provider_cannot_promise(
    upstream: ScriptedUpstream, schema: dict[str, Any], message: str
) -> None:
    properties = {"x": {name: value for name, value in schema.items() if name != "$defs"}}
    whole = {**SCHEMA, "properties": properties, "$defs": schema.get("$defs", {})}

    ways: list[tuple[dict[str, Any], str]] = [
        ({"output_config": {"format": {"type": "json_schema", "schema": whole}}}, "output_config.format.schema"),
        ({"tools": [{**TOOL, "input_schema": whole, "strict": True}]}, "tools.0.custom"),
    ]
    for fields, where in ways:
        seen = await asked(upstream, **fields)
        assert seen.status == 400
        assert seen.json["error"]["message"].startswith(f"{where}: {message}")
    lax = [{**TOOL, "input_schema": whole}]
    assert (await asked(upstream, tools=lax, tool_choice={"type": "none"})).status == 200


def test_a_schema_that_points_to_the_same_things_often_is_looked_through_once() -> None:
    definitions = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(300)
    }
    shallow = {
        **SCHEMA,
        "$defs": {**definitions, "d60": {"type": "string"}},
        "properties": {"x": {"$ref": "#/$defs/d0"}},
    }

    check_schema(shallow, "here")


async def test_a_version_is_wanted(upstream: ScriptedUpstream) -> None:
    seen = await exchange(upstream, asking(MESSAGES, messages("echo")))

    assert (seen.status, seen.json["error"]["message"]) == (400, "anthropic-version: header is required")


async def test_what_only_betas_take(upstream: ScriptedUpstream) -> None:
    fields = messages("echo", stream=False, output_format={"type": "json_schema", "schema": SCHEMA})
    seen = await exchange(
        upstream, asking(MESSAGES, fields, **ANTHROPIC, anthropic_beta="structured-outputs-2025-11-13")
    )
    assert json.loads(seen.json["content"][0]["text"]) == {"city": "text"}

    fields = messages("echo", stream=False, thread={"type": "create"})
    seen = await exchange(upstream, asking(MESSAGES, fields, **ANTHROPIC, anthropic_beta="threads"))
    assert seen.json["error"]["details"] == {"error_code": "thread_unsupported_request"}


async def test_citations_and_formats_exclude_each_other(upstream: ScriptedUpstream) -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "A."}
    document = {"type": "document", "source": source, "citations": {"enabled": True}}
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}

    seen = await asked(upstream, messages=[user(document, words("hi"))], output_config=form)

    assert (seen.status, "Citations" in seen.json["error"]["message"]) == (400, True)


# --- what is answered ---------------------------------------------------------------------------


def kinds_of(seen: Seen) -> list[str]:
    return [event["type"].removeprefix("content_block_") for event in seen.events]


async def test_events_in_their_order(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, "thinking", stream=True, thinking={"type": "adaptive"}, tools=[TOOL])

    assert kinds_of(seen) == [
        "message_start",
        *("start", "ping", *["delta"] * 4, "stop"),  # three words, and the signature
        *("start", *["delta"] * 3, "stop"),  # nothing yet, then two pieces
        "message_delta",
        "message_stop",
    ]
    names = [line.removeprefix(b"event: ").decode() for line in seen.body.split(b"\n") if line.startswith(b"event: ")]
    assert names == [event["type"] for event in seen.events]
    assert [event["index"] for event in seen.events if "index" in event] == [0] * 6 + [1] * 5


async def test_a_calls_input_comes_in_pieces_of_json(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, "tools-all", stream=True, tools=[TOOL, {**TOOL, "name": "tides"}])

    inputs: dict[int, str] = {}
    for event in seen.events:
        if event["type"] == "content_block_delta":
            inputs[event["index"]] = inputs.get(event["index"], "") + event["delta"]["partial_json"]
    assert [json.loads(text) for text in inputs.values()] == [{"city": "text"}] * 2
    starts = [event["content_block"] for event in seen.events if event["type"] == "content_block_start"]
    assert [(block["name"], block["input"]) for block in starts] == [("weather", {}), ("tides", {})]
    assert len({block["id"] for block in starts}) == 2


async def test_a_conversation_with_everything_is_taken(upstream: ScriptedUpstream) -> None:
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    result = {
        **RESULT,
        "content": [words("sunny"), {"type": "tool_reference", "tool_name": "weather"}],
        "is_error": True,
    }
    conversation = [
        user(words("hi")),
        assistant(SEALED, {"type": "redacted_thinking", "data": "AA=="}, searched, words("So"), USE),
        user(result, words("and now?")),
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "well?"},
    ]
    seen = await asked(
        upstream,
        messages=conversation,
        system=[words("You are kind.")],
        thinking=THINKING,
        tools=[TOOL, HOSTED],
        tool_choice={"type": "none"},
        output_config={"effort": "high"},
        service_tier="auto",
        metadata={"user_id": "u"},
    )

    assert (seen.status, seen.json["content"]) == (200, [{"type": "text", "text": "well?"}])
    # kind + hi + So + its call's JSON + sunny, [tool_reference] + and now? + brief + well?
    assert seen.json["usage"]["input_tokens"] == 3 + 1 + 1 + 1 + 2 + 2 + 2 + 1


async def test_an_answer_goes_on_from_what_it_was_given(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, messages=[user(words("hi")), assistant(words("Well, I"))])

    assert seen.json["content"] == [{"type": "text", "text": "Well, I"}]


async def test_thoughts_that_nobody_wants_are_not_thought(upstream: ScriptedUpstream) -> None:
    for thinking in (None, {"type": "disabled"}):
        seen = await asked(upstream, "thinking", thinking=thinking)
        assert [block["type"] for block in seen.json["content"]] == ["text"]
        assert (seen.json["usage"]["output_tokens"], upstream.journal()[-1].billed.output_tokens) == (2, 2)


async def test_thoughts_that_are_left_out_are_billed(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, "thinking", thinking={"type": "adaptive", "display": "omitted"})

    assert seen.json["content"][0]["thinking"] == ""
    assert seen.json["usage"]["output_tokens"] == upstream.journal()[-1].billed.output_tokens == 5


async def test_an_answer_of_no_tokens_fills_the_cache(upstream: ScriptedUpstream) -> None:
    marked = [user(words("one two three", cache_control=MARK))]
    warmed = await asked(upstream, "words-4", messages=marked, max_tokens=0)
    answered = await asked(upstream, "words-4", messages=marked)

    assert (warmed.json["content"], warmed.json["stop_reason"]) == ([], "max_tokens")
    assert warmed.json["usage"]["cache_creation_input_tokens"] == 3
    assert answered.json["usage"]["cache_read_input_tokens"] == 3


async def test_what_failed_fills_no_cache(upstream: ScriptedUpstream) -> None:
    marked = [user(words("one two three", cache_control=MARK))]
    upstream.play({"script": "fault=529", "times": 1})
    failed = await asked(upstream, messages=marked)
    answered = await asked(upstream, messages=marked)

    assert failed.status == 529
    assert answered.json["usage"]["cache_creation_input_tokens"] == 3


async def test_a_mark_on_the_request_is_one_on_its_last_block(upstream: ScriptedUpstream) -> None:
    seen = await asked(upstream, text="one two three", cache_control=MARK)
    again = await asked(upstream, text="one two three", cache_control=MARK)

    assert (seen.json["usage"]["cache_creation_input_tokens"], again.json["usage"]["cache_read_input_tokens"]) == (3, 3)


async def test_tokens_are_counted_without_an_answer(upstream: ScriptedUpstream) -> None:
    body = {"model": "echo", "messages": [user(words("one two"))], "system": "three"}
    path = f"{MESSAGES}/count_tokens"

    assert (await exchange(upstream, asking(path, body, **ANTHROPIC))).json == {"input_tokens": 3}
    refused = await exchange(upstream, asking(path, {**body, "max_tokens": 3}, **ANTHROPIC))
    assert refused.json["error"]["message"] == "max_tokens: Extra inputs are not permitted"
    assert upstream.stats.output_tokens == 0
