"""Conversations as Anthropic's turns: each word has its place, and what has none is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.policies.dialects import MARK
from frontdesk.providers.anthropic_dialect import encode_messages
from frontdesk.providers.seals import sealed
from frontdesk.turn.items import Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown

BUDGET, EFFORT = "claude-sonnet-4-5", "claude-opus-4-8"
WEATHER, SHELL = Tool("function", {"name": "weather"}), Tool("custom", {"name": "shell"})
SEAL = sealed("anthropic.1:", {"model": EFFORT, "block": {"type": "redacted_thinking", "data": "x"}})
PDF = base64.b64encode(b"%PDF-1.7 some").decode()


def body(items: list[Item], model: str = BUDGET, **asked: Any) -> dict[str, Any]:
    return encode_messages(Prompt(items, **asked), model).body


def refused(items: list[Item], model: str = BUDGET, **asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        body(items, model, **asked)
    return caught.value


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


# --- the conversation ---------------------------------------------------------------------------


def test_a_conversation_is_turns_in_turn() -> None:
    items: list[Item] = [
        Message("system", "Be kind."),
        Message("developer", [Text("Be brief."), Text("")]),
        Message("user", "One"),
        Message("user", [Text("Two"), Text(" \n")]),
        Message("assistant", "Three"),
        Message("assistant", "", {"refusal": "No four."}),
        Message("user", "Five"),
    ]

    assert body(items, instructions="You serve.") == {
        "model": BUDGET,
        "max_tokens": 64_000,
        "system": [text("You serve."), text("Be kind."), text("Be brief.")],
        "messages": [
            {"role": "user", "content": [text("One"), text("Two")]},
            {"role": "assistant", "content": [text("Three"), text("No four.")]},
            {"role": "user", "content": [text("Five")]},
        ],
    }


def test_outputs_of_parallel_calls_stand_first_in_one_turn() -> None:
    items: list[Item] = [
        Message("user", "Both"),
        Message("assistant", "I look."),
        ToolCall("a", "weather", '{"city": "Köln"}'),
        ToolCall("call:b/1", "shell", "ls -l", "custom"),
        Message("user", "And hurry"),
        ToolOutput("call:b/1", ""),
        ToolOutput("a", [Text("rain"), Image("https://example.com/a.png", "low")]),
    ]
    asked = body(items, tools=[WEATHER, SHELL])
    calls, results = asked["messages"][1]["content"], asked["messages"][2]["content"]
    other_id = calls[2]["id"]

    assert calls == [
        text("I look."),
        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": other_id, "name": "shell", "input": {"input": "ls -l"}},
    ]
    assert results == [
        {"type": "tool_result", "tool_use_id": other_id},
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [text("rain"), {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}],
        },
        text("And hurry"),
    ]
    assert other_id.replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [("", {}), ('{"a": 1}', {"a": 1}), ("{broken", {"arguments": "{broken"}), ("[1]", {"arguments": [1]})],
)
def test_earlier_arguments_become_an_object(arguments: str, given: Any) -> None:
    items = [Message("user", "x"), ToolCall("a", "weather", arguments), ToolOutput("a", "y")]

    assert body(items, tools=[WEATHER])["messages"][1]["content"][0]["input"] == given


def test_ids_that_other_providers_use_twice_are_told_apart() -> None:
    items: list[Item] = []
    for _ in range(3):
        items += [Message("user", "x"), ToolCall("call_0", "weather", "{}"), ToolOutput("call_0", "y")]
    asked = body(items, tools=[WEATHER])

    called = [b["id"] for m in asked["messages"] for b in m["content"] if b["type"] == "tool_use"]
    answered = [b["tool_use_id"] for m in asked["messages"] for b in m["content"] if b["type"] == "tool_result"]

    assert len(set(called)) == 3
    assert called == answered


def test_calls_that_are_made_while_others_run_are_of_the_same_turn() -> None:
    items: list[Item] = [
        Message("user", "Go"),
        ToolCall("a", "weather", "{}"),
        ToolCall("b", "weather", "{}"),
        ToolOutput("a", "1"),
        Message("assistant", "And one more:"),
        ToolCall("c", "weather", "{}"),
        ToolOutput("c", "3"),
        ToolOutput("b", "2"),
    ]
    _, calls, results = body(items)["messages"]

    assert [block.get("id") for block in calls["content"]] == ["a", "b", None, "c"]
    assert [block["tool_use_id"] for block in results["content"]] == ["a", "c", "b"]


@pytest.mark.parametrize(
    "items",
    [
        [Message("user", "x"), ToolCall("a", "f", "{}")],
        [Message("user", "x"), ToolCall("a", "f", "{}"), Message("user", "y")],
        [Message("user", "x"), ToolCall("a", "f", "{}"), Message("user", "y"), Message("assistant", "z")],
        [Message("user", "x"), ToolOutput("a", "y")],
        [Message("user", "x"), ToolCall("a", "f", "{}"), ToolOutput("a", "y"), ToolOutput("a", "z")],
    ],
)
@pytest.mark.parametrize(("dialect", "param"), [("chat", "messages"), ("responses", "input")])
def test_calls_and_outputs_that_do_not_meet_are_refused(items: list[Item], dialect: Any, param: str) -> None:
    assert refused(items, dialect=dialect).param == param


@pytest.mark.parametrize(
    ("model", "system", "roles"),
    [
        (BUDGET, ["First", "Now French."], ["user", "assistant", "user"]),
        (EFFORT, ["First"], ["user", "assistant", "user", "system"]),
    ],
)
def test_later_system_messages_keep_their_weight(model: str, system: list[str], roles: list[str]) -> None:
    items: list[Item] = [
        Message("system", "First"),
        Message("user", "a"),
        Message("assistant", "b"),
        Message("developer", "Now French."),
        Message("user", "c"),
    ]
    asked = body(items, model)

    assert [block["text"] for block in asked["system"]] == system
    assert [message["role"] for message in asked["messages"]] == roles


def test_a_system_message_without_a_users_turn_goes_before_the_conversation() -> None:
    items: list[Item] = [
        Message("user", "a"),
        Message("assistant", "b"),
        Message("system", "s"),
        Message("assistant", "c"),
        Message("user", "d"),
    ]
    asked = body(items, EFFORT)

    assert asked["system"] == [text("s")]
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user"]


def test_a_system_message_beside_an_output_stays_the_systems() -> None:
    items: list[Item] = [
        Message("user", "a"),
        ToolCall("c", "weather", "{}"),
        Message("system", "s"),
        ToolOutput("c", "rain"),
    ]

    assert [each["role"] for each in body(items, EFFORT)["messages"]] == ["user", "assistant", "user", "system"]


@pytest.mark.parametrize("model", [BUDGET, EFFORT])
def test_a_system_message_at_the_end_is_the_users_so_that_nobody_goes_on_with_an_answer(model: str) -> None:
    asked = body([Message("user", "a"), Message("assistant", "b"), Message("system", "Now sum up.")], model)

    assert "system" not in asked
    assert asked["messages"][-1] == {"role": "user", "content": [text("Now sum up.")]}


def test_a_system_message_alone_is_the_users() -> None:
    asked = body([Message("system", "Be kind."), Message("developer", "Write a poem.")], instructions="You serve.")

    assert asked["system"] == [text("You serve."), text("Be kind.")]
    assert asked["messages"] == [{"role": "user", "content": [text("Write a poem.")]}]


@pytest.mark.parametrize("items", [[], [Message("user", " ")], [Message("assistant", "")]])
def test_a_conversation_without_words_is_refused(items: list[Item]) -> None:
    assert refused(items, instructions="You serve.").param == "messages"


def test_who_opens_a_conversation_is_told() -> None:
    asked = body([Message("assistant", "How can I help?"), Message("user", "So.")])

    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user"]


def test_words_to_go_on_with_are_for_models_that_do() -> None:
    items: list[Item] = [Message("user", "x"), Message("assistant", "The answer is ")]

    assert body(items)["messages"][-1] == {"role": "assistant", "content": [text("The answer is")]}
    assert refused(items, EFFORT).code == "unsupported_item"


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Image("data:image/jpg;base64,aGk="),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}},
        ),
        (
            Unknown(
                {
                    "type": "input_image",
                    "image_url": "https://example.com/a.png",
                    "detail": "low",
                    MARK: {"mode": "explicit"},
                },
                "responses",
            ),
            {
                "type": "image",
                "source": {"type": "url", "url": "https://example.com/a.png"},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            Unknown(
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
                "chat",
            ),
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
        ),
        (
            Unknown({"type": "input_file", "file_url": "https://example.com/a.pdf"}, "responses"),
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        ),
        (
            Unknown(
                {"type": "file", "file": {"filename": "a.md", "file_data": base64.b64encode("# Ä".encode()).decode()}},
                "chat",
            ),
            {
                "type": "document",
                "title": "a.md",
                "source": {"type": "text", "media_type": "text/plain", "data": "# Ä"},
            },
        ),
        (
            Unknown(
                {"type": "input_file", "filename": "a.png", "file_data": "data:image/png;base64,aGk="}, "responses"
            ),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        ),
    ],
)
def test_parts_become_blocks(part: Part, block: dict[str, Any]) -> None:
    prompt = Prompt([Message("user", [part, Text("What is it?")])])

    assert encode_messages(prompt, BUDGET, marks_cache=False).body["messages"] == [
        {"role": "user", "content": [block, text("What is it?")]}
    ]


@pytest.mark.parametrize(
    "part",
    [
        Image("http://example.com/a.png"),
        Image("data:image/tiff;base64,aGk="),
        Unknown({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, "chat"),
        Unknown({"type": "input_image", "file_id": "file-1"}, "responses"),
        Unknown({"type": "input_file", "file_id": "file-1"}, "responses"),
        Unknown({"type": "input_file", "file_url": "https://example.com/a.docx"}, "responses"),
        Unknown({"type": "file", "file": {"filename": "a.docx", "file_data": "aGk="}}, "chat"),
        Unknown({"type": "file", "file": {"filename": "a.txt", "file_data": "/w=="}}, "chat"),
        Unknown({"type": "hologram"}, "chat"),
    ],
)
def test_parts_without_a_place_are_refused(part: Part) -> None:
    error = refused([Message("user", [part])])

    assert (error.code, error.param) == ("unsupported_part", "messages")


@pytest.mark.parametrize("role", ["assistant", "system", "developer"])
def test_pictures_are_the_users_alone(role: str) -> None:
    items: list[Item] = [Message(role, [Image("https://example.com/a.png")]), Message("user", "x")]

    assert refused(items).code == "unsupported_part"


@pytest.mark.parametrize(
    "item",
    [
        Message("user", "x", {"name": "Ada"}),
        Message("assistant", "x", {"audio": {"id": "a"}}),
        Message("assistant", "x", {"function_call": {"name": "f", "arguments": "{}"}}),
        Message("user", "x", {"shoe_size": 42}),
        Message("user", [Text("x", {"colour": "red"})]),
        Unknown({"role": "function", "name": "f", "content": "x"}, "chat"),
        Unknown({"role": "tool", "tool_call_id": "a", "content": "x", "shoe_size": 42}, "chat"),
        Unknown({"type": "web_search_call", "id": "ws_1"}, "responses"),
    ],
)
def test_what_a_message_cannot_say_is_refused(item: Item) -> None:
    assert refused([item, Message("user", "x")]).code == "unsupported_item"


def test_what_another_provider_signed_is_left_out() -> None:
    call = {
        "id": "a",
        "type": "function",
        "function": {"name": "weather", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "x"}},
    }
    items: list[Item] = [
        Message("user", "x"),
        Unknown({"role": "assistant", "content": "I look.", "tool_calls": [call]}, "chat"),
        Unknown(
            {"role": "tool", "tool_call_id": "a", "content": [text("rain", **{MARK: {"mode": "explicit"}})]}, "chat"
        ),
    ]
    said = body(items, tools=[WEATHER])["messages"]

    assert said[1]["content"] == [text("I look."), {"type": "tool_use", "id": "a", "name": "weather", "input": {}}]
    assert said[2]["content"][0]["content"] == [text("rain", cache_control={"type": "ephemeral"})]


def test_a_system_message_that_nothing_answered_stays_with_the_users_words() -> None:
    reasoning = Unknown({"type": "reasoning", "encrypted_content": SEAL}, "responses")
    items: list[Item] = [
        Message("user", "a"),
        Message("system", "s"),
        reasoning,
        Message("user", "b"),
        Message("system", "t"),
    ]

    assert body(items, EFFORT, reasoning_effort="high")["messages"] == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "system", "content": [text("s"), text("t")]},
    ]


def test_names_that_anthropic_refuses_are_spelled_in_its_letters() -> None:
    items: list[Item] = [Message("user", "Go")]
    for place, name in enumerate(["fs.read", "Köln 🛎", "", "x" * 200]):
        items += [ToolCall(f"c{place}", name, "{}"), ToolOutput(f"c{place}", "done")]

    asked = body(items)
    names = [block["name"] for each in asked["messages"] for block in each["content"] if block["type"] == "tool_use"]

    assert names == ["fs_read", "K_ln__", "_", "x" * 128]
    assert [tool["name"] for tool in asked["tools"]] == names


def test_parallel_calls_of_one_id_each_have_their_output() -> None:
    items: list[Item] = [
        Message("user", "Both"),
        ToolCall("call_0", "weather", "{}"),
        ToolCall("call_0", "shell", "ls", "custom"),
        ToolOutput("call_0", "rain"),
        ToolOutput("call_0", "a.txt"),
    ]
    _, calls, results = body(items, tools=[WEATHER, SHELL])["messages"]

    ids = [block["id"] for block in calls["content"]]
    assert len(set(ids)) == 2
    assert results["content"] == [
        {"type": "tool_result", "tool_use_id": ids[0], "content": [text("rain")]},
        {"type": "tool_result", "tool_use_id": ids[1], "content": [text("a.txt")]},
    ]
