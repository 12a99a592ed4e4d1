"""All that a request can bring beyond plain words, at both doors, and what it takes: said once, as a table.

Written from docs/features.md, not from the code. `needs` are words of `client_may`; None is what none of them allows.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

Door = Literal["chat", "responses"]
CAPABILITIES = (
    "instructions",
    "tools",
    "json_schema",
    "images",
    "audio",
    "files",
    "parameters",
    "other_parameters",
)


@dataclass(frozen=True)
class Thing:
    """Something that a request may bring: top-level fields, or messages and items to append."""

    name: str
    needs: frozenset[str] | None
    chat: dict[str, Any] | None = None
    responses: dict[str, Any] | None = None
    chat_param: str = "messages"
    responses_param: str = "input"

    def param(self, door: Door) -> str:
        return self.chat_param if door == "chat" else self.responses_param

    def fields(self, door: Door) -> dict[str, Any] | None:
        return self.chat if door == "chat" else self.responses


def needs(*capabilities: str) -> frozenset[str]:
    return frozenset(capabilities)


NOTHING = needs()


def field(
    name: str, takes: frozenset[str] | None, value: Any, *, chat: bool = True, responses: bool = True, label: str = ""
) -> Thing:
    """A top-level field that both doors, or one, spell alike."""
    fields = {name: value}
    return Thing(label or name, takes, fields if chat else None, fields if responses else None, name, name)


def said(name: str, takes: frozenset[str] | None, chat: Any, responses: Any) -> Thing:
    """A message of Chat Completions, or an item of Responses; None where a door has it not."""
    return Thing(
        name,
        takes,
        None if chat is None else {"messages": chat if isinstance(chat, list) else [chat]},
        None if responses is None else {"input": responses if isinstance(responses, list) else [responses]},
    )


def part(name: str, takes: frozenset[str] | None, chat: Any, responses: Any, role: str = "user") -> Thing:
    """A part of a message."""
    return said(
        name,
        takes,
        None if chat is None else {"role": role, "content": [chat]},
        None if responses is None else {"role": role, "content": [responses]},
    )


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}
FLAT_TOOL = {"type": "function", "name": "f"}
SCHEMA = {"name": "mine", "schema": {"type": "object"}}
PICTURE = "data:image/png;base64,AAAA"

INSTRUCTIONS = [
    Thing("instructions", needs("instructions"), None, {"instructions": "Mine."}, "", "instructions"),
    said(
        "system message",
        needs("instructions"),
        {"role": "system", "content": "Mine."},
        {"role": "system", "content": "Mine."},
    ),
    said(
        "developer message",
        needs("instructions"),
        {"role": "developer", "content": [{"type": "text", "text": "Mine."}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Mine."}]},
    ),
    said(
        "system message with a picture",
        needs("instructions", "images"),
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "system", "content": [{"type": "input_image", "image_url": PICTURE}]},
    ),
]
TOOLS = [
    Thing("tools", needs("tools"), {"tools": [TOOL]}, {"tools": [FLAT_TOOL]}, "tools", "tools"),
    Thing(
        "tool_choice by name",
        needs("tools"),
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "function", "name": "f"}},
        "tool_choice",
        "tool_choice",
    ),
    field("tool_choice", needs("tools"), "required", label="tool_choice required"),
    said(
        "tool call",
        needs("tools"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
    ),
    said(
        "tool output",
        needs("tools"),
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
        {"type": "function_call_output", "call_id": "call_1", "output": "x"},
    ),
    said(
        "custom call",
        needs("tools"),
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}],
        },
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
    ),
    said(
        "tool output with a picture",
        needs("tools", "images"),
        {
            "role": "tool",
            "tool_call_id": "call_1",
            "content": [{"type": "image_url", "image_url": {"url": PICTURE}}],
        },
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [{"type": "input_image", "image_url": PICTURE}],
        },
    ),
    said(
        "tool call with more",
        needs("tools", "other_parameters"),
        {"role": "assistant", "tool_calls": [{**CALL, "extra_content": {"x": 1}}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "extra": 1},
    ),
    said(
        "tool output with more and a picture",
        needs("tools", "other_parameters", "images"),
        {
            "role": "tool",
            "tool_call_id": "c",
            "cache": 1,
            "content": [{"type": "image_url", "image_url": {"url": PICTURE}}],
        },
        {
            "type": "function_call_output",
            "call_id": "c",
            "cache": 1,
            "output": [{"type": "input_image", "image_url": PICTURE}],
        },
    ),
    said(
        "calls where none belong",
        needs("tools", "other_parameters"),
        {"role": "user", "content": "x", "tool_calls": [CALL]},
        {"role": "assistant", "content": "x", "tool_calls": [CALL]},
    ),
    said(
        "function call of old with more",
        needs("tools", "other_parameters"),
        {"role": "assistant", "content": "x", "function_call": {"name": "f", "arguments": "{}", "more": 1}},
        {"role": "assistant", "content": "x", "function_call": {"name": "f", "arguments": "{}"}},
    ),
    Thing(
        "tool with more",
        needs("tools", "other_parameters"),
        {"tools": [{"type": "function", "function": {"name": "f", "cache_control": {}}}]},
        {"tools": [{**FLAT_TOOL, "cache_control": {}}]},
        "tools",
        "tools",
    ),
    Thing("stranger's tool", None, None, {"tools": [{"type": "x_search"}]}, "", "tools"),
    Thing("stranger's tool_choice", None, None, {"tool_choice": {"type": "x_search"}}, "", "tool_choice"),
    Thing(
        "one of some stranger's tools",
        None,
        None,
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [FLAT_TOOL, {"type": "x_search"}]}},
        "",
        "tool_choice",
    ),
    said("function message", needs("tools"), {"role": "function", "name": "f", "content": "x"}, None),
    said(
        "function call of old",
        needs("tools"),
        {"role": "assistant", "content": "x", "function_call": {"name": "f", "arguments": "{}"}},
        None,
    ),
]
FORMATS = [
    Thing(
        "json_schema",
        needs("json_schema"),
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        {"text": {"format": {"type": "json_schema", **SCHEMA}}},
        "response_format",
        "text.format",
    ),
    Thing(
        "json_schema with more",
        needs("json_schema", "other_parameters"),
        {"response_format": {"type": "json_schema", "json_schema": {**SCHEMA, "more": 1}}},
        {"text": {"format": {"type": "json_schema", **SCHEMA, "more": 1}}},
        "response_format",
        "text.format",
    ),
    Thing(
        "json_object",
        needs("json_schema"),
        {"response_format": {"type": "json_object"}},
        {"text": {"format": {"type": "json_object"}}},
        "response_format",
        "text.format",
    ),
]
PARTS = [
    part(
        "picture",
        needs("images"),
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        {"type": "input_image", "image_url": PICTURE},
    ),
    part("picture by id", needs("images", "files"), None, {"type": "input_image", "file_id": "file-1"}),
    part(
        "picture with more",
        needs("images", "other_parameters"),
        {"type": "image_url", "image_url": {"url": PICTURE, "fps": 1}},
        {"type": "input_image", "image_url": PICTURE, "fps": 1},
    ),
    part(
        "sound",
        needs("audio"),
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        None,
    ),
    part(
        "sound with more",
        needs("audio", "other_parameters"),
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}, "data": "x"},
        None,
    ),
    said("sound of an answer", needs("audio"), {"role": "assistant", "content": "x", "audio": {"id": "a"}}, None),
    part(
        "file",
        needs("files"),
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_file", "file_url": "https://x.example/a.pdf"},
    ),
    part("stranger's part", None, {"type": "video_url", "url": "x"}, {"type": "video", "url": "x"}),
    part(
        "words with a mark",
        needs("parameters"),
        {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ),
    part(
        "picture with a mark",
        needs("images", "parameters"),
        {"type": "image_url", "image_url": {"url": PICTURE}, "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": PICTURE, "prompt_cache_breakpoint": {"mode": "explicit"}},
    ),
    part(
        "words with more",
        needs("other_parameters"),
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
        {"type": "input_text", "text": "x", "image_url": {"url": PICTURE}},
    ),
    part("the other wire's words", None, {"type": "input_text", "text": {"any": [1]}}, None),
    part("words of the other wire's answers", None, {"type": "output_text", "text": "x"}, None, "assistant"),
    part(
        "the other wire's picture",
        None,
        {"type": "input_image", "image_url": PICTURE},
        {"type": "image_url", "image_url": PICTURE},
    ),
    part("the other wire's file", None, {"type": "input_file", "file_id": "f"}, {"type": "file"}),
    part("the other wire's sound", None, None, {"type": "input_audio", "input_audio": []}),
    part("a person's refusal", None, {"type": "refusal", "refusal": "x"}, {"type": "refusal", "refusal": "x"}),
    said("name of a person", needs("parameters"), {"role": "user", "name": "ann", "content": "x"}, None),
    said(
        "a message with more",
        needs("other_parameters"),
        {"role": "user", "cache_control": {}, "content": "x"},
        {"role": "user", "name": "ann", "content": "x"},
    ),
    said("stranger's item", None, None, {"type": "memory", "id": "m_1"}),
]
PARAMETERS = [
    *(
        field(name, needs("parameters"), value)
        for name, value in {
            "temperature": 0.3,
            "top_p": 0.5,
            "frequency_penalty": 0.5,
            "presence_penalty": -1,
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "service_tier": "flex",
            "prompt_cache_options": {"mode": "explicit"},
        }.items()
    ),
    *(
        field(name, needs("other_parameters"), value)
        for name, value in {
            "top_k": 40,
            "a_field_of_tomorrow": {"deep": 1},
            "store_everything": False,
            "nothing_of_tomorrow": {},
            "n_predict": 100_000,
            "models": ["best"],
            "provider": {"order": ["x"]},
            "chat_template": "{{x}}",
            "guided_json": {"type": "object"},
        }.items()
    ),
    *(field(name, needs("other_parameters"), 7, chat=False, label=f"chat's {name}") for name in ("seed", "stop")),
    field("prediction", needs("other_parameters"), {"type": "content", "content": "x"}, chat=False, label="chat's"),
    field("image", needs("other_parameters"), {"context_compression": "auto"}, responses=False, label="responses'"),
    field(
        "prompt_cache_options",
        needs("parameters", "other_parameters"),
        {"mode": "explicit", "more": 1},
        label="cache options with more",
    ),
    field(
        "prediction",
        needs("parameters", "other_parameters"),
        {"type": "content", "content": [{"type": "text", "text": "x", "more": 1}]},
        responses=False,
        label="prediction with more",
    ),
    Thing(
        "reasoning with more",
        needs("parameters", "other_parameters"),
        None,
        {"reasoning": {"mode": "pro", "more": 1}},
        "",
        "reasoning",
    ),
    *(
        field(name, needs("parameters"), value, responses=False)
        for name, value in {
            "seed": 1,
            "stop": ["x"],
            "n": 2,
            "logit_bias": {"1": 1},
            "logprobs": True,
            "prediction": {"type": "content", "content": "x"},
        }.items()
    ),
    field("truncation", needs("parameters"), "auto", chat=False),
    field("include", needs("parameters"), ["reasoning.encrypted_content"], chat=False),
    field("image", needs("parameters"), {"context_compression": "auto"}, chat=False),
    Thing(
        "effort",
        needs("parameters"),
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high"}},
        "reasoning_effort",
        "reasoning.effort",
    ),
    Thing("summary", needs("parameters"), None, {"reasoning": {"summary": "auto"}}, "", "reasoning.summary"),
    Thing("context", needs("parameters"), None, {"reasoning": {"context": "auto"}}, "", "reasoning"),
    Thing(
        "verbosity",
        needs("parameters"),
        {"verbosity": "low"},
        {"text": {"verbosity": "low"}},
        "verbosity",
        "text.verbosity",
    ),
    Thing("include logprobs", needs("parameters"), None, {"include": ["message.output_text.logprobs"]}, "", "include"),
    field("top_logprobs", needs("parameters"), 2, chat=False),
]
HARMLESS = [
    said("earlier answer", NOTHING, {"role": "assistant", "content": "Hi."}, {"role": "assistant", "content": "Hi."}),
    said(
        "earlier answer as it came",
        NOTHING,
        {"role": "assistant", "content": "Hi.", "refusal": None, "annotations": [], "reasoning_content": "Hm."},
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "Hi.", "annotations": [], "logprobs": []}],
        },
    ),
    said(
        "earlier refusal",
        NOTHING,
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ),
    said(
        "earlier reasoning",
        NOTHING,
        None,
        {
            "type": "reasoning",
            "id": "rs_1",
            "status": "completed",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
            "encrypted_content": "x",
        },
    ),
    said(
        "words in parts",
        NOTHING,
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "text", "text": "y"}]},
    ),
    field("tool_choice", NOTHING, "auto", label="tool_choice auto"),
    field("tool_choice", NOTHING, "none", label="tool_choice none"),
    field("parallel_tool_calls", NOTHING, True),
    field("tools", NOTHING, [], label="no tools"),
    field("temperature", NOTHING, None, label="temperature null"),
    field("temperature", NOTHING, 1, label="temperature as it is"),
    field("top_p", NOTHING, 1.0, label="top_p as it is"),
    field("presence_penalty", NOTHING, 0, label="no penalty"),
    field("service_tier", NOTHING, "auto", label="any tier"),
    field("top_logprobs", NOTHING, 0, responses=False, label="no top_logprobs"),
    field("logprobs", NOTHING, False, responses=False, label="no logprobs"),
    field("logit_bias", NOTHING, {}, responses=False, label="no bias"),
    field("n", NOTHING, 1, responses=False, label="one answer"),
    field("include", NOTHING, [], chat=False, label="include nothing"),
    field("instructions", NOTHING, "", chat=False, label="no instructions"),
    field("truncation", NOTHING, "disabled", chat=False, label="no truncation"),
    field("metadata", NOTHING, {"note": "x"}),
    field("store", NOTHING, False),
    field("max_tokens", NOTHING, 50, responses=False, label="max_tokens"),
    field("max_completion_tokens", NOTHING, 5000, responses=False, label="max_completion_tokens"),
    field("max_output_tokens", NOTHING, 5000, chat=False, label="max_output_tokens"),
    field("background", NOTHING, False),
    field("modalities", NOTHING, ["text"]),
    field("n", NOTHING, 1, chat=False, label="one Response"),
    field("logprobs", NOTHING, False, chat=False, label="no logprobs of a Response"),
    field("service_tier", NOTHING, "default", label="the tier that Responses tell"),
    field("prompt_cache_options", NOTHING, {"mode": None}, label="nothing about a cache"),
    field("prompt_cache_options", NOTHING, {"mode": "implicit", "ttl": "30m"}, label="a cache as it is"),
    field("prompt_cache_options", NOTHING, {"prewarm": False}, chat=False, label="no prewarming"),
    field("image", NOTHING, {}, chat=False, label="nothing about pictures"),
    field("image", NOTHING, {"context_compression": None}, chat=False, label="still nothing about pictures"),
    Thing("verbosity as it is", NOTHING, {"verbosity": "medium"}, {"text": {"verbosity": "medium"}}),
    Thing("no reasoning", NOTHING, None, {"reasoning": {"effort": None, "summary": None, "context": None}}),
    Thing("text", NOTHING, {"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
]
GROUPS = [INSTRUCTIONS, TOOLS, FORMATS, PARTS, PARAMETERS, HARMLESS]
THINGS = [thing for group in GROUPS for thing in group]


def request_of(door: Door, things: list[Thing], **more: Any) -> dict[str, Any]:
    """A request of one plain message that brings these things. A field that two of them say is the later one's."""
    words: dict[str, Any] = {"role": "user", "content": "Hello there"}
    body: dict[str, Any] = {"messages" if door == "chat" else "input": [words]}
    for fields in (*(thing.fields(door) or {} for thing in things), more):
        for name, value in copy.deepcopy(fields).items():
            if name in ("messages", "input"):
                body[name] += value
            elif isinstance(value, dict) and isinstance(body.get(name), dict):
                body[name] |= value
            else:
                body[name] = value
    return body
