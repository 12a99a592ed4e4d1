"""Prompts become bodies of generateContent in which nothing is lost, or are refused by name."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.policies.dialects import DIALECTS
from frontdesk.providers.gemini_dialect import GEMINI_HINTS, custom_tools, encode_gemini, renamed_tools
from frontdesk.providers.gemini_profiles import gemini_profile
from frontdesk.providers.gemini_seals import UNSIGNED, Signature, sealed
from frontdesk.turn.items import (
    Format,
    Image,
    Item,
    Message,
    Part,
    Prompt,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)

NEWEST = "gemini-3.8-flash"
SECOND = "gemini-2.5-flash"
OLD = "gemini-2.0-flash"
WEATHER = Tool(
    "function", {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}, "strict": True}
)
TIME = Tool("function", {"name": "time"})
HELLO = Message("user", "Hello")
PNG = "data:image/png;base64,iVBORw0KGgo="


def encode(prompt: Prompt, model: str = NEWEST) -> dict[str, Any]:
    """The body as it is sent."""
    return json.loads(msgspec.json.encode(encode_gemini(prompt, model, gemini_profile(model))))


def contents(*items: Item, model: str = NEWEST, dialect: Literal["chat", "responses"] = "chat") -> list[dict[str, Any]]:
    return encode(Prompt(list(items), dialect=dialect), model)["contents"]


def generation(model: str = NEWEST, **fields: Any) -> dict[str, Any]:
    return encode(Prompt([HELLO], **fields), model).get("generationConfig", {})


def refusal(prompt: Prompt, model: str = NEWEST) -> tuple[str, str | None]:
    with pytest.raises(BadRequest) as caught:
        encode(prompt, model)
    return caught.value.code, caught.value.param


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"text": words}


def call(call_id: str, name: str, arguments: dict[str, Any], signature: str | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"id": call_id, "name": name, "args": arguments}}
    return part if signature is None else {**part, "thoughtSignature": signature}


def response(call_id: str, name: str, said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": call_id, "name": name, "response": said, **more}}


def reasoning(signature: Signature | str) -> Unknown:
    seal = signature if isinstance(signature, str) else sealed(signature)
    return Unknown({"type": "reasoning", "summary": [], "encrypted_content": seal}, "responses")


# --- who says what ------------------------------------------------------------------------------


def test_leading_instructions_go_before_the_contents_and_later_ones_stay_where_they_are() -> None:
    items: list[Item] = [
        Message("system", "Be brief."),
        Message("developer", [Text("Be kind.")]),
        HELLO,
        Message("assistant", "Hi."),
        Message("system", "Now in German."),
        Message("user", "Again"),
    ]

    assert encode(Prompt(items, instructions="You are a clerk.")) == {
        "systemInstruction": {"parts": [text("You are a clerk."), text("Be brief."), text("Be kind.")]},
        "contents": [user(text("Hello")), model(text("Hi.")), user(text("Now in German."), text("Again"))],
    }


def test_instructions_that_nobody_answers_are_the_users_words() -> None:
    assert encode(Prompt([Message("system", "Say hi.")], instructions="Be brief.")) == {
        "systemInstruction": {"parts": [text("Be brief.")]},
        "contents": [user(text("Say hi."))],
    }


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_prompt_that_says_nothing_is_refused(dialect: Literal["chat", "responses"]) -> None:
    name = "messages" if dialect == "chat" else "input"

    assert refusal(Prompt([Message("user", "")], dialect=dialect)) == ("invalid_value", name)
    assert refusal(Prompt([], dialect=dialect)) == ("invalid_value", name)


def test_instructions_hold_only_words() -> None:
    assert refusal(Prompt([Message("system", [Image(PNG)]), HELLO])) == ("unsupported_part", "messages")


def test_what_an_answer_declined_with_is_told_again() -> None:
    items: list[Item] = [
        HELLO,
        Message("assistant", "", {"refusal": "I cannot."}),
        Message("assistant", [Unknown({"type": "refusal", "refusal": "Still not."}, "responses")]),
        Message("user", "Why?"),
    ]

    assert contents(*items)[1] == model(text("I cannot."), text("Still not."))


def test_labels_of_answers_are_passed_over_and_what_says_something_is_refused() -> None:
    labelled = Message("assistant", [Text("Hi.", {"annotations": [], "logprobs": []})], {"phase": "final_answer"})

    assert contents(HELLO, labelled, HELLO)[1] == model(text("Hi."))
    assert refusal(Prompt([Message("user", "Hi", {"name": "ada"})])) == ("unsupported_parameter", "messages")
    assert refusal(Prompt([Message("user", [Text("Hi", {"odd": 1})])])) == ("unsupported_part", "messages")
    assert refusal(Prompt([Message("critic", "Hi")])) == ("unsupported_item", "messages")


# --- calls ----------------------------------------------------------------------------------------


def test_calls_and_their_outputs_stand_by_turns_and_in_order() -> None:
    items: list[Item] = [
        HELLO,
        ToolCall("a", "weather", '{"city": "Köln"}'),
        ToolCall("b", "time", ""),
        Message("user", "Quick!"),
        ToolOutput("b", "noon"),
        ToolOutput("a", '{"degrees": 21}'),
        ToolCall("c", "note", "free text", "custom"),
        ToolOutput("c", "[1, 2]"),
    ]

    assert contents(*items, model=SECOND) == [
        user(text("Hello")),
        model(call("a", "weather", {"city": "Köln"}), call("b", "time", {})),
        user(response("a", "weather", {"degrees": 21}), response("b", "time", {"output": "noon"})),
        user(text("Quick!")),
        model(call("c", "note", {"input": "free text"})),
        user(response("c", "note", {"output": "[1, 2]"})),
    ]


@pytest.mark.parametrize("arguments", ['{"city": ', "[1]", '"x"', "null"])
def test_arguments_that_are_no_object_are_told_as_they_are(arguments: str) -> None:
    said = contents(HELLO, ToolCall("a", "weather", arguments), ToolOutput("a", ""), model=SECOND)

    assert said[1] == model(call("a", "weather", {"arguments": arguments}))
    assert said[2] == user(response("a", "weather", {"output": ""}))


def test_an_output_without_its_call_is_refused() -> None:
    assert refusal(Prompt([HELLO, ToolOutput("a", "x")])) == ("invalid_value", "messages")
    assert refusal(Prompt([HELLO, ToolOutput("a", "x")], dialect="responses")) == ("invalid_value", "input")


def test_pictures_that_a_tool_returns_are_in_its_response_or_behind_it() -> None:
    items: list[Item] = [
        HELLO,
        ToolCall("a", "chart", "{}"),
        ToolOutput("a", [Text("Here:"), Image(PNG)]),
    ]
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}

    assert contents(*items)[2] == user(response("a", "chart", {"output": "Here:"}, parts=[picture]))
    assert contents(*items, model=SECOND)[2:] == [
        user(response("a", "chart", {"output": "Here:"})),
        user(text("chart returned:"), picture),
    ]


def test_a_call_without_its_output_is_refused() -> None:
    asked = Prompt([HELLO, ToolCall("a", "weather", "{}")])
    assert refusal(asked) == ("invalid_value", "messages")
    asked = Prompt([HELLO, ToolCall("a", "weather", "{}"), HELLO, Message("assistant", "Well")], dialect="responses")
    assert refusal(asked) == ("invalid_value", "input")


def test_parallel_calls_of_one_id_each_have_their_output() -> None:
    items: list[Item] = [
        HELLO,
        ToolCall("x", "weather", "{}"),
        ToolCall("x", "time", "{}"),
        ToolOutput("x", "rain"),
        ToolOutput("x", "noon"),
    ]

    assert contents(*items, model=SECOND)[2] == user(
        response("x", "weather", {"output": "rain"}), response("x", "time", {"output": "noon"})
    )
    assert refusal(Prompt([*items, ToolOutput("x", "again")])) == ("invalid_value", "messages")


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

    assert contents(*items, model=SECOND) == [
        user(text("Go")),
        model(call("a", "weather", {}), call("b", "weather", {}), text("And one more:"), call("c", "weather", {})),
        user(
            *(response(call_id, "weather", {"output": said}) for call_id, said in [("a", "1"), ("b", "2"), ("c", "3")])
        ),
    ]


def test_a_conversation_that_a_call_opens_has_a_users_turn_before_it() -> None:
    said = contents(ToolCall("a", "weather", "{}"), ToolOutput("a", "rain"), model=SECOND)

    assert [turn["role"] for turn in said] == ["user", "model", "user"]
    assert contents(Message("assistant", "Hi."), HELLO)[0] == model(text("Hi."))


def test_only_models_that_go_on_with_an_answer_are_given_the_beginning_of_one() -> None:
    items: list[Item] = [HELLO, Message("assistant", "It is")]

    assert contents(*items, model="gemini-3.5-flash")[1] == model(text("It is"))
    for name in ("gemini-3.5-flash-lite", "gemini-3.6-flash", NEWEST):
        assert refusal(Prompt(items), name) == ("unsupported_item", "messages")


def test_a_picture_of_an_unknown_type_stands_behind_the_response_that_must_say_one() -> None:
    pictures: list[Part] = [Image("https://example.com/a.png"), Image("https://example.com/b")]
    said = contents(HELLO, ToolCall("a", "chart", "{}"), ToolOutput("a", pictures))
    known = {"fileData": {"fileUri": "https://example.com/a.png", "mimeType": "image/png"}}

    assert said[2:] == [
        user(response("a", "chart", {"output": ""}, parts=[known])),
        user(text("chart returned:"), {"fileData": {"fileUri": "https://example.com/b"}}),
    ]


# --- signatures -----------------------------------------------------------------------------------


def test_a_signature_goes_back_to_the_call_it_stood_on() -> None:
    items: list[Item] = [
        HELLO,
        reasoning(Signature("c2ln", NEWEST)),
        ToolCall("a", "weather", "{}"),
        ToolCall("b", "time", "{}"),
        ToolOutput("a", "x"),
        ToolOutput("b", "y"),
    ]

    assert contents(*items, dialect="responses")[1] == model(call("a", "weather", {}, "c2ln"), call("b", "time", {}))


def test_a_signature_goes_back_to_the_end_of_the_words_it_stood_on() -> None:
    def answered(signature: Signature) -> list[dict[str, Any]]:
        items = (HELLO, Message("assistant", "It is 42."), reasoning(signature), Message("user", "Why?"))
        return contents(*items, dialect="responses")[1]["parts"]

    assert answered(Signature("c2ln", NEWEST, "text", 0)) == [
        text("It is 42."),
        {"text": "", "thoughtSignature": "c2ln"},
    ]
    assert answered(Signature("c2ln", NEWEST, "text", 3)) == [
        text("It is "),
        {"text": "42.", "thoughtSignature": "c2ln"},
    ]
    for chars in (9, 1000):
        assert answered(Signature("c2ln", NEWEST, "text", chars)) == [{"text": "It is 42.", "thoughtSignature": "c2ln"}]
    assert answered(Signature("c2ln", NEWEST, "text", -1))[0] == text("It is 42.")


@pytest.mark.parametrize(
    "seal",
    [Signature("c2ln", "gemini-3.1-pro-preview"), "gAAAAABoOpenAIs", "anthropic.1:e30=", "gemini.1:e30=", "gemini.1:ü"],
)
def test_another_models_thoughts_are_left_out(seal: Signature | str) -> None:
    items = (HELLO, reasoning(seal), ToolCall("a", "weather", "{}"), ToolOutput("a", "x"))

    assert contents(*items, model=SECOND, dialect="responses")[1] == model(call("a", "weather", {}))


def test_the_first_call_of_each_step_is_signed_where_the_model_wants_it() -> None:
    items: list[Item] = [
        HELLO,
        ToolCall("a", "weather", "{}"),
        ToolCall("b", "time", "{}"),
        ToolOutput("a", "x"),
        ToolOutput("b", "y"),
        Message("assistant", "One more."),
        ToolCall("c", "time", "{}"),
        ToolOutput("c", "z"),
    ]

    said = contents(*items)

    assert said[1] == model(call("a", "weather", {}, UNSIGNED), call("b", "time", {}))
    assert said[3] == model(text("One more."), call("c", "time", {}, UNSIGNED))
    assert UNSIGNED not in json.dumps(contents(*items, model=SECOND))


def test_a_signature_in_the_spelling_of_googles_chat_completions_is_read() -> None:
    message = {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "weather", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "c2ln"}},
            }
        ],
    }
    output = {
        "role": "tool",
        "tool_call_id": "a",
        "content": [{"type": "text", "text": "Sun"}],
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }

    assert contents(HELLO, Unknown(message, "chat"), Unknown(output, "chat"))[1:] == [
        model(text("Let me see."), call("a", "weather", {}, "c2ln")),
        user(response("a", "weather", {"output": "Sun"})),
    ]


@pytest.mark.parametrize(
    "item",
    [
        Unknown({"role": "function", "name": "weather", "content": "Sun"}, "chat"),
        Unknown(
            {"role": "assistant", "content": "", "function_call": {"name": "x", "arguments": ""}, "tool_calls": []},
            "chat",
        ),
        Unknown(
            {
                "role": "assistant",
                "tool_calls": [{"id": "a", "type": "function", "odd": 1, "function": {"name": "x", "arguments": ""}}],
            },
            "chat",
        ),
        Unknown({"role": "tool", "tool_call_id": "a", "content": "x", "odd": 1}, "chat"),
        Unknown({"type": "function_call", "call_id": "a", "name": "x", "arguments": "", "odd": 1}, "responses"),
        Unknown({"type": "new_item"}, "responses"),
    ],
)
def test_an_item_that_has_no_place_is_refused(item: Unknown) -> None:
    code, param = refusal(Prompt([HELLO, item], dialect=item.dialect))

    assert code in ("unsupported_item", "unsupported_parameter")
    assert param == ("messages" if item.dialect == "chat" else "input")


# --- parts ----------------------------------------------------------------------------------------

PDF = base64.b64encode(b"%PDF-1.7").decode()
CSV = base64.b64encode("Stadt;Höhe".encode()).decode()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Image(PNG), [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]),
        (
            Image("https://a.example/b.JPG?c=d.png", "auto"),
            [{"fileData": {"fileUri": "https://a.example/b.JPG?c=d.png", "mimeType": "image/jpeg"}}],
        ),
        (Image("https://a.example/b"), [{"fileData": {"fileUri": "https://a.example/b"}}]),
        (
            Unknown({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, "chat"),
            [{"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}],
        ),
        (
            Unknown(
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
                "chat",
            ),
            [text("a.pdf:"), {"inlineData": {"mimeType": "application/pdf", "data": PDF}}],
        ),
        (
            Unknown({"type": "input_file", "filename": "a.csv", "file_data": CSV}, "responses"),
            [text("a.csv:"), {"inlineData": {"mimeType": "text/plain", "data": CSV}}],
        ),
        (
            Unknown({"type": "input_file", "file_url": "https://a.example/b.pdf"}, "responses"),
            [{"fileData": {"fileUri": "https://a.example/b.pdf", "mimeType": "application/pdf"}}],
        ),
    ],
)
def test_a_part_is_told_in_geminis_words(part: Part, expected: list[dict[str, Any]]) -> None:
    assert contents(Message("user", [part])) == [user(*expected)]


@pytest.mark.parametrize(
    "part",
    [
        Image("http://a.example/b.png"),
        Image("gs://bucket/b.png"),
        Unknown({"type": "file", "file": {"file_id": "file-1"}}, "chat"),
        Unknown({"type": "input_image", "file_id": "file-1"}, "responses"),
        Unknown({"type": "file", "file": {"filename": "a.docx", "file_data": PDF[::-1]}}, "chat"),
        Unknown({"type": "file", "file": {"file_data": "AAAA"}}, "chat"),
        Unknown({"type": "input_audio"}, "chat"),
        Unknown({"type": "input_video", "video": {}}, "chat"),
    ],
)
def test_a_part_that_gemini_cannot_read_is_refused(part: Part) -> None:
    assert refusal(Prompt([Message("user", [part])])) == ("unsupported_part", "messages")


def test_a_model_that_fetches_nothing_reads_only_what_was_uploaded_to_google() -> None:
    uploaded = "https://generativelanguage.googleapis.com/v1beta/files/abc"

    assert refusal(Prompt([Message("user", [Image("https://a.example/b.png")])]), OLD) == (
        "unsupported_part",
        "messages",
    )
    assert contents(Message("user", [Image(uploaded)]), model=OLD) == [user({"fileData": {"fileUri": uploaded}})]


@pytest.mark.parametrize(
    ("details", "resolution"),
    [
        (("low", "low"), "MEDIA_RESOLUTION_LOW"),
        (("low", "high"), "MEDIA_RESOLUTION_HIGH"),
        (("original",), "MEDIA_RESOLUTION_HIGH"),
        (("low", "auto"), None),
        ((None,), None),
    ],
)
def test_pictures_are_looked_at_as_closely_as_one_of_them_needs(
    details: tuple[str | None, ...], resolution: str | None
) -> None:
    message = Message("user", [Image(PNG, detail) for detail in details])

    assert encode(Prompt([message])).get("generationConfig", {}).get("mediaResolution") == resolution


# --- tools ----------------------------------------------------------------------------------------


def tools_of(model: str = NEWEST, **fields: Any) -> tuple[Any, Any]:
    body = encode(Prompt([HELLO], **fields), model)
    tools = body.get("tools")
    return tools and tools[0]["functionDeclarations"], body.get("toolConfig", {}).get("functionCallingConfig")


def test_tools_are_declared_with_their_schemas() -> None:
    note = Tool("custom", {"name": "note", "description": "Keeps text.", "format": {"type": "text"}})
    answered = Tool("function", {"name": "sum", "output_schema": {"type": "integer"}})

    declared, config = tools_of(tools=[WEATHER, note, answered])

    assert declared == [
        {"name": "weather", "description": "Tells it.", "parametersJsonSchema": {"type": "object"}},
        {
            "name": "note",
            "description": "Keeps text.",
            "parametersJsonSchema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
            },
        },
        {"name": "sum", "responseJsonSchema": {"type": "integer"}},
    ]
    assert config is None
    assert custom_tools(Prompt([HELLO], tools=[WEATHER, note])) == frozenset({"note"})


@pytest.mark.parametrize(
    ("choice", "names", "config"),
    [
        ("auto", ["weather", "time"], {"mode": "AUTO"}),
        ("none", ["weather", "time"], {"mode": "NONE"}),
        ("required", ["weather", "time"], {"mode": "ANY"}),
        (
            {"type": "function", "name": "time"},
            ["weather", "time"],
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "time"}]},
            ["weather", "time"],
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]},
            ["time"],
            {"mode": "AUTO"},
        ),
    ],
)
def test_the_choice_of_tools_is_told(choice: Any, names: list[str], config: dict[str, Any]) -> None:
    declared, told = tools_of(tools=[WEATHER, TIME], tool_choice=choice)

    assert [each["name"] for each in declared] == names
    assert told == config


def test_a_name_begins_as_gemini_wants_it() -> None:
    tools = [Tool("function", {"name": "3d-render"}), Tool("custom", {"name": "-shell"}), TIME]
    items: list[Item] = [HELLO, ToolCall("a", "3d-render", "{}"), ToolOutput("a", ""), ToolCall("b", "a b", "{}")]
    body = encode(
        Prompt([*items, ToolOutput("b", "")], tools=tools, tool_choice={"type": "function", "name": "3d-render"}),
        SECOND,
    )

    declared = [each["name"] for each in body["tools"][0]["functionDeclarations"]]
    assert declared == ["_3d-render", "_-shell", "time"]
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["_3d-render"]
    assert body["contents"][1:3] == [
        model(call("a", "_3d-render", {})),
        user(response("a", "_3d-render", {"output": ""})),
    ]
    assert body["contents"][3] == model(call("b", "a_b", {}))
    assert renamed_tools(Prompt([HELLO], tools=tools)) == {"_3d-render": "3d-render", "_-shell": "-shell"}


def test_a_choice_without_tools_says_nothing_unless_it_asks_for_one() -> None:
    assert tools_of(tool_choice="none") == tools_of(tool_choice="auto") == (None, None)
    for choice in ("required", {"type": "function", "name": "weather"}):
        assert refusal(Prompt([HELLO], tool_choice=choice)) == ("invalid_value", "tool_choice")
    missing = {"type": "function", "name": "missing"}
    assert refusal(Prompt([HELLO], tools=[TIME], tool_choice=missing)) == ("invalid_value", "tool_choice")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tools": [Tool("web_search", {})]}, ("unsupported_tool", "tools")),
        (
            {
                "tools": [
                    Tool("custom", {"name": "x", "format": {"type": "grammar", "definition": "a", "syntax": "regex"}})
                ]
            },
            ("unsupported_tool", "tools"),
        ),
        ({"tools": [Tool("function", {"name": "x", "odd": 1})]}, ("unsupported_parameter", "tools")),
        ({"tools": [TIME], "tool_choice": {"type": "hosted"}}, ("unsupported_tool", "tool_choice")),
        (
            {"tools": [TIME], "parameters": {"parallel_tool_calls": False}},
            ("unsupported_parameter", "parallel_tool_calls"),
        ),
    ],
)
def test_tools_that_gemini_has_not_are_refused(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refusal(Prompt([HELLO], **fields)) == expected


def test_one_call_at_a_time_asks_for_nothing_without_tools() -> None:
    assert generation(parameters={"parallel_tool_calls": False}) == {}


# --- format, length, thinking -----------------------------------------------------------------------

SCHEMA = Format("json_schema", {"name": "city", "description": "One.", "schema": {"type": "object"}, "strict": True})


def test_formats_are_told() -> None:
    assert generation(format=SCHEMA) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"description": "One.", "type": "object"},
    }
    assert generation(format=Format("json_object", {})) == {"responseMimeType": "application/json"}


def test_a_format_beside_tools_is_for_models_that_can() -> None:
    both = Prompt([HELLO], tools=[TIME], format=SCHEMA)

    assert encode(both)["generationConfig"]["responseMimeType"] == "application/json"
    assert refusal(both, SECOND) == ("unsupported_parameter", "response_format")
    assert refusal(msgspec.structs.replace(both, dialect="responses"), OLD) == ("unsupported_parameter", "text.format")


def test_lengths_and_choices_are_told() -> None:
    assert generation(SECOND, max_output_tokens=7, choices=3, verbosity="medium") == {
        "maxOutputTokens": 7,
        "candidateCount": 3,
    }
    assert refusal(Prompt([HELLO], choices=9), SECOND) == ("unsupported_parameter", "n")
    assert refusal(Prompt([HELLO], choices=2), "gemini-3-flash-preview") == ("unsupported_parameter", "n")


@pytest.mark.parametrize(
    ("name", "effort", "expected"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", "minimal", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("models/gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24_576}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32_768}),
        ("gemini-2.5-flash", "xhigh", {"thinkingBudget": 24_576}),
        ("gemini-3-pro-preview", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH"}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.6-flash", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.7-flash", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", "medium", {"thinkingLevel": "MEDIUM"}),
        ("gemini-3.8-flash", "xhigh", {"thinkingLevel": "HIGH"}),
        ("gemini-9-ultra", "none", {"thinkingLevel": "LOW"}),
    ],
)
def test_an_effort_is_what_the_model_offers(name: str, effort: str, expected: dict[str, Any]) -> None:
    assert generation(name, reasoning_effort=effort) == {"thinkingConfig": expected}


def test_thoughts_are_hidden_unless_a_summary_is_asked_for() -> None:
    assert generation() == {}
    assert generation(reasoning_summary="auto") == {"thinkingConfig": {"includeThoughts": True}}
    assert generation(SECOND, reasoning_summary="auto", reasoning_effort="none") == {
        "thinkingConfig": {"thinkingBudget": 0}
    }


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    assert generation(OLD, reasoning_effort="none") == {}
    assert refusal(Prompt([HELLO], reasoning_effort="low"), OLD) == ("unsupported_parameter", "reasoning_effort")
    asked = Prompt([HELLO], reasoning_effort="low", dialect="responses")
    assert refusal(asked, OLD) == ("unsupported_parameter", "reasoning.effort")
    asked = Prompt([HELLO], reasoning_summary="auto", dialect="responses")
    assert refusal(asked, OLD) == ("unsupported_parameter", "reasoning.summary")


# --- parameters -----------------------------------------------------------------------------------


def test_parameters_are_told_in_geminis_words() -> None:
    parameters = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 20,
        "seed": 2**63 - 1,
        "stop": "END",
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "logprobs": True,
        "top_logprobs": 3,
        "service_tier": "flex",
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cached_content": "cachedContents/1",
    }

    body = encode(Prompt([HELLO], parameters=parameters), OLD)

    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 20,
        "seed": 2**31 - 1,
        "stopSequences": ["END"],
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert body["serviceTier"] == "flex"
    assert body["safetySettings"] == parameters["safetySettings"]
    assert body["cachedContent"] == "cachedContents/1"


def test_a_thinking_config_of_geminis_own_goes_before_what_an_effort_means() -> None:
    told = generation(SECOND, reasoning_effort="low", parameters={"thinkingConfig": {"thinkingBudget": 300}})

    assert told == {"thinkingConfig": {"thinkingBudget": 300}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frequency_penalty", 0),
        ("presence_penalty", 0.0),
        ("logprobs", False),
        ("top_logprobs", 0),
        ("logit_bias", {}),
        ("modalities", ["text"]),
        ("temperature", 1),
        ("top_p", 1.0),
        ("prediction", None),
        ("reasoning", {}),
        ("service_tier", "auto"),
        ("service_tier", "default"),
        ("stop", []),
    ],
)
def test_a_value_that_asks_for_nothing_is_none(name: str, value: Any) -> None:
    assert encode(Prompt([HELLO], parameters={name: value})) == {"contents": [user(text("Hello"))]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bias", {"50256": -100}),
        ("prediction", {"type": "content", "content": "x"}),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy"}),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("frequency_penalty", 0.5),
        ("presence_penalty", 0.5),
        ("temperature", 0),
        ("top_p", 0.5),
        ("top_k", 40),
        ("service_tier", "scale"),
        ("stop", list("abcdef")),
        ("reasoning", {"context": "auto"}),
        ("image", {"context_compression": "on"}),
        ("something_new", 1),
    ],
)
def test_a_parameter_that_the_model_lacks_is_refused_by_name(name: str, value: Any) -> None:
    assert refusal(Prompt([HELLO], parameters={name: value})) == ("unsupported_parameter", name)


def test_what_only_responses_say_is_refused_in_their_words() -> None:
    assert refusal(Prompt([HELLO], truncation="auto", dialect="responses"))[1] == "truncation"
    assert refusal(Prompt([HELLO], verbosity="low", dialect="responses"))[1] == "text.verbosity"
    assert refusal(Prompt([HELLO], verbosity="high"))[1] == "verbosity"


# A value of each parameter that asks for something.
ASKING: dict[str, Any] = {
    "temperature": 0.25,
    "top_p": 0.25,
    "frequency_penalty": 0.25,
    "presence_penalty": 0.25,
    "top_logprobs": 2,
    "parallel_tool_calls": False,
    "user": "ada",
    "safety_identifier": "s1",
    "prompt_cache_key": "k1",
    "prompt_cache_retention": "24h",
    "service_tier": "priority",
    "logit_bias": {"1": 1},
    "logprobs": True,
    "seed": 25,
    "stop": ["halt"],
    "prediction": {"type": "content", "content": "said"},
    "prompt_cache_options": {"mode": "explicit"},
    "reasoning": {"context": "all_turns"},
    "image": {"context_compression": "on"},
}


@pytest.mark.parametrize("name", [NEWEST, SECOND, OLD, "gemini-3-flash-preview"])
@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_every_parameter_is_told_refused_or_a_hint(name: str, dialect: Literal["chat", "responses"]) -> None:
    for parameter in DIALECTS[dialect].parameters:
        value = ASKING[parameter]
        prompt = Prompt([HELLO], tools=[TIME], parameters={parameter: value}, dialect=dialect)
        plain = encode(Prompt([HELLO], tools=[TIME], dialect=dialect), name)
        refused = refusal_or_none(prompt, name)
        if refused is not None:
            assert refused == ("unsupported_parameter", parameter)
            continue
        body = encode(prompt, name)
        if parameter in GEMINI_HINTS:
            assert body == plain
        else:
            said = body.get("generationConfig", {}) | {"serviceTier": body.get("serviceTier")}
            assert value in said.values(), parameter


def refusal_or_none(prompt: Prompt, model: str) -> tuple[str, str | None] | None:
    try:
        encode(prompt, model)
    except BadRequest as error:
        return error.code, error.param
    return None


# --- any prompt at all ------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SEALS = st.one_of(
    st.builds(
        Signature,
        st.just("c2ln"),
        st.sampled_from([NEWEST, SECOND]),
        st.sampled_from(["call", "text"]),
        st.integers(-2, 9),
    ),
    st.sampled_from(["gAAAAABo", "anthropic.1:e30=", "gemini.1:zzz"]),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Item]:
    """Items as clients send them: outputs behind their calls, the rest in any order."""
    items: list[Item] = []
    for place in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["message", "parts", "calls", "seal"]))
        role = draw(st.sampled_from(["system", "developer", "user", "assistant"]))
        if kind == "message":
            items.append(Message(role, draw(WORDS | st.just(""))))
        elif kind == "parts":
            items.append(Message(role, [Text(words) for words in draw(st.lists(WORDS, max_size=3))]))
        elif kind == "calls":
            waiting = [f"call_{place}_{number}" for number in range(draw(st.integers(1, 3)))]
            for call_id in waiting:
                arguments = draw(st.builds(lambda words: json.dumps({"q": words}), WORDS) | WORDS)
                kind_of_tool: Literal["function", "custom"] = draw(st.sampled_from(["function", "custom"]))
                items.append(ToolCall(call_id, f"tool_{place}", arguments, kind_of_tool))
            if draw(st.booleans()):
                items.append(Message("user", draw(WORDS)))
            for call_id in draw(st.permutations(waiting)):
                parts: list[Part] = [Text(words) for words in draw(st.lists(WORDS, min_size=1, max_size=2))]
                items.append(ToolOutput(call_id, draw(WORDS | st.just(parts))))
        else:
            items.append(reasoning(draw(SEALS)))
    return items


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [each for one in value for each in strings_in(one)]
    return [each for one in value.values() for each in strings_in(one)] if isinstance(value, dict) else []


def said_in(items: list[Item]) -> list[str]:
    texts: list[str] = []
    for item in items:
        match item:
            case Message(content=str(words)) | ToolOutput(output=str(words)):
                texts.append(words)
            case Message(content=list(parts)) | ToolOutput(output=list(parts)):
                texts += [part.text for part in parts if isinstance(part, Text)]
            case ToolCall():
                try:
                    texts += strings_in(json.loads(item.arguments)) if item.kind == "function" else [item.arguments]
                except ValueError:
                    texts.append(item.arguments)
            case _:
                pass
    return texts


@given(conversations(), st.sampled_from([NEWEST, SECOND]))
def test_any_conversation_alternates_and_loses_no_word(items: list[Item], name: str) -> None:
    prompt = Prompt(items, instructions="Be brief.", dialect="responses")
    if not any(said_in(items)) and not any(isinstance(item, ToolCall) for item in items):
        assert refusal(prompt, name) == ("invalid_value", "input")
        return

    if name == NEWEST and encode(prompt, SECOND)["contents"][-1]["role"] == "model":
        assert refusal(prompt, name) == ("unsupported_item", "input")
        return
    before = repr(prompt)

    body = encode(prompt, name)

    assert json.dumps(body) == json.dumps(encode(prompt, name))
    assert repr(prompt) == before
    turns = body["contents"]
    assert all(turn["parts"] for turn in turns)
    awaited = 0
    for last, turn in pairwise([None, *turns]):
        assert turn is not None
        kinds = [next(iter(part)) for part in turn["parts"]]
        responses = kinds.count("functionResponse")
        assert responses == awaited
        awaited = kinds.count("functionCall")
        if turn["role"] == "user":
            assert responses in (0, len(kinds))
            assert last is None or last["role"] == "model" or "functionResponse" in last["parts"][0]
        else:
            assert not awaited or (last is not None and last["role"] == "user")
            assert last is None or last["role"] == "user"
            calls = [part for part in turn["parts"] if "functionCall" in part]
            assert not calls or ("thoughtSignature" in calls[0]) or name == SECOND
    called: dict[str, str] = {}
    for part in (part for turn in turns for part in turn["parts"]):
        if "functionCall" in part:
            called[part["functionCall"]["id"]] = part["functionCall"]["name"]
        if "functionResponse" in part:
            assert called.pop(part["functionResponse"]["id"]) == part["functionResponse"]["name"]
    told = "\0".join(strings_in(body))
    for words in said_in(items):
        assert words in told or words in _without_signed_splits(turns)


def _without_signed_splits(turns: list[dict[str, Any]]) -> str:
    """The words of each content together: a signature splits a text in two."""
    return "\0".join("".join(part.get("text", "") for part in turn["parts"]) for turn in turns)
