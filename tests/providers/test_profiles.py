"""Vendors of OpenAI's dialect: each parameter is told in its words, refused by its name, or a hint; none is lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config.vendors import VENDORS
from frontdesk.core.errors import BadRequest
from frontdesk.providers.chat_dialect import encode_chat
from frontdesk.providers.profiles import COMPATIBLE, HINTS, Profile, profile_of
from frontdesk.turn.items import Format, Image, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.wire.openai_chat import read_chat

ALL = sorted(VENDORS)
PDF = base64.b64encode(b"%PDF-1.7 invented").decode()
USER = Message("user", "x")
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def row(vendor: str) -> Profile:
    return profile_of(vendor, "https://proxy.example/v1")


def body(vendor: str, model: str = "m", **fields: Any) -> dict[str, Any]:
    fields.setdefault("items", [USER])
    return encode_chat(Prompt(**fields), model, row(vendor))


def written(prompt: Prompt, profile: Profile) -> dict[str, Any] | BadRequest:
    try:
        return encode_chat(prompt, "m", profile)
    except BadRequest as error:
        return error


def refusal(vendor: str, **fields: Any) -> tuple[str, str | None]:
    with pytest.raises(BadRequest) as caught:
        body(vendor, **fields)
    return caught.value.code, caught.value.param


# --- whose row ------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ALL)
def test_every_vendor_has_a_row(vendor: str) -> None:
    assert row(vendor) != COMPATIBLE
    assert not row(vendor).carries_unknown


@pytest.mark.parametrize(
    ("base_url", "vendor"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.together.xyz/v1", "together"),
    ],
)
def test_an_address_tells_its_vendor(base_url: str, vendor: str) -> None:
    assert profile_of(None, base_url) == row(vendor)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:11434/v1", "http://localhost:8080/v1", "https://ai.example/v1"])
def test_any_other_address_is_nobodys(base_url: str) -> None:
    assert profile_of(None, base_url) == COMPATIBLE


def test_a_vendor_that_is_named_goes_before_the_address() -> None:
    assert profile_of("vllm", "https://api.groq.com/openai/v1") == row("vllm")


# --- parameters -----------------------------------------------------------------------------------

# What each parameter that OpenAI documents may be, in a request.
EVERYTHING: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "logit_bias": {"1": 5},
    "logprobs": True,
    "top_logprobs": 2,
    "seed": 7,
    "stop": ["."],
    "n": 2,
    "max_completion_tokens": 99,
    "verbosity": "low",
    "reasoning_effort": "high",
    "service_tier": "flex",
    "parallel_tool_calls": False,
    "metadata": {"a": "b"},
    "prediction": {"type": "content", "content": "x"},
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
    "user": "u",
    "top_k": 3,  # not OpenAI's
}
# By vendor, under which name or names a parameter is told.
OTHER_NAMES: dict[str, dict[str, set[str]]] = {
    "deepseek": {"max_completion_tokens": {"max_tokens"}, "reasoning_effort": {"reasoning_effort", "thinking"}},
    "groq": {"max_completion_tokens": {"max_completion_tokens"}},
    "llama-cpp": {"max_completion_tokens": {"max_tokens"}, "reasoning_effort": {"chat_template_kwargs"}},
    "mistral": {"max_completion_tokens": {"max_tokens"}, "seed": {"random_seed"}},
    "ollama": {"max_completion_tokens": {"max_tokens"}},
    "openrouter": {"max_completion_tokens": {"max_tokens"}, "reasoning_effort": {"reasoning"}},
    "together": {"max_completion_tokens": {"max_tokens"}, "reasoning_effort": {"reasoning", "reasoning_effort"}},
    "vllm": {
        "max_completion_tokens": {"max_tokens"},
        "reasoning_effort": {"reasoning_effort", "chat_template_kwargs"},
    },
}


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("vendor", ALL)
def test_a_parameter_is_told_or_refused_by_name_or_a_hint(vendor: str, name: str) -> None:
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}], name: EVERYTHING[name]}
    if name == "top_logprobs":
        asked["logprobs"] = True
    prompt = read_chat(json.dumps(asked).encode()).prompt

    told = written(prompt, row(vendor))

    names = OTHER_NAMES[vendor].get(name, {name})
    if isinstance(told, BadRequest):
        assert told.code == "unsupported_parameter"
        assert told.param == name or (name, told.param) == ("top_logprobs", "logprobs")
        assert repr(told.param) in told.message
    elif not names <= told.keys():
        assert name in HINTS
    elif names == {name}:
        assert told[name] == EVERYTHING[name]


def test_what_is_only_a_hint_is_written_down() -> None:
    """Each is about who asks, or how fast and dear an answer comes. Nothing joins them that changes what it says."""
    assert sorted(HINTS) == [
        "metadata",
        "prediction",
        "prompt_cache_breakpoint",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "user",
    ]


@pytest.mark.parametrize("vendor", ALL)
def test_what_asks_for_nothing_is_not_refused(vendor: str) -> None:
    nothing = {
        "logprobs": False,
        "top_logprobs": 0,
        "logit_bias": {},
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "parallel_tool_calls": True,
        "service_tier": "default",
    }

    told = body(vendor, parameters=nothing, verbosity="medium")

    assert not row(vendor).lacks & told.keys()
    assert "service_tier" not in told


def test_a_caller_of_responses_is_told_its_own_names() -> None:
    said: dict[str, Any] = {"dialect": "responses"}

    assert refusal("groq", verbosity="low", **said) == ("unsupported_parameter", "text.verbosity")
    assert refusal("groq", include=frozenset({"message.output_text.logprobs"}), **said) == (
        "unsupported_parameter",
        "include",
    )


@pytest.mark.parametrize("vendor", ALL)
def test_usage_is_asked_for_where_it_must_be(vendor: str) -> None:
    assert ("stream_options" in body(vendor, stream=True)) is (vendor != "mistral")


@pytest.mark.parametrize(
    ("vendor", "model", "effort", "expected"),
    [
        ("deepseek", "m", "none", {"thinking": {"type": "disabled"}}),
        ("deepseek", "m", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("groq", "openai/gpt-oss-20b", "xhigh", {"reasoning_effort": "high"}),
        ("groq", "qwen/qwen3-32b", "low", {"reasoning_effort": "default", "reasoning_format": "parsed"}),
        ("groq", "qwen/qwen3-32b", "none", {"reasoning_effort": "none"}),
        ("mistral", "mistral-medium-latest", "minimal", {"reasoning_effort": "minimal"}),
        ("mistral", "magistral-medium-latest", "low", {"prompt_mode": "reasoning"}),
        ("mistral", "magistral-medium-latest", "none", {"prompt_mode": None}),
        ("ollama", "m", "minimal", {"reasoning_effort": "low"}),
        ("ollama", "m", "none", {"reasoning_effort": "none"}),
        ("openrouter", "m", "xhigh", {"reasoning": {"effort": "xhigh"}}),
        ("together", "m", "none", {"reasoning": {"enabled": False}}),
        ("together", "m", "medium", {"reasoning": {"enabled": True}, "reasoning_effort": "medium"}),
        ("vllm", "m", "none", {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
        (
            "vllm",
            "m",
            "max",
            {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}, "reasoning_effort": "high"},
        ),
        ("llama-cpp", "m", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("llama-cpp", "m", "low", {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"}}),
    ],
)
def test_thinking_is_asked_for_in_the_vendors_words(
    vendor: str, model: str, effort: str, expected: dict[str, Any]
) -> None:
    plain = body(vendor, model)

    asked = body(vendor, model, reasoning_effort=effort)

    assert {name: value for name, value in asked.items() if name not in plain and name != "provider"} == expected


def test_an_effort_stands_beside_what_the_caller_says_there() -> None:
    said = body("vllm", reasoning_effort="none", parameters={"chat_template_kwargs": {"custom": 1, "thinking": True}})
    routed = body("openrouter", reasoning_effort="low", parameters={"reasoning": {"exclude": True}})

    assert said["chat_template_kwargs"] == {"custom": 1, "enable_thinking": False, "thinking": False}
    assert routed["reasoning"] == {"exclude": True, "effort": "low"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"parameters": {"temperature": 0.5, "user": "u"}, "max_output_tokens": 9}, None),
        ({"reasoning_effort": "none"}, None),
        ({"parameters": {"seed": 1}}, {"require_parameters": True}),
        ({"format": Format("json_object", {})}, {"require_parameters": True}),
        ({"tools": [Tool("function", {"name": "f"})]}, {"require_parameters": True}),
        ({"reasoning_effort": "low"}, {"require_parameters": True}),
        (
            {"parameters": {"stop": ".", "provider": {"order": ["a"]}}},
            {"require_parameters": True, "order": ["a"]},
        ),
        ({"parameters": {"stop": ".", "provider": {"require_parameters": False}}}, {"require_parameters": False}),
    ],
)
def test_openrouter_passes_nothing_over_in_silence(fields: dict[str, Any], expected: Any) -> None:
    assert body("openrouter", **fields).get("provider") == expected


# --- tools ----------------------------------------------------------------------------------------

TOOLS = [Tool("function", {"name": name}) for name in ("a", "b", "c")]
NAMED = {"type": "function", "name": "b"}
SOME = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "a"}, NAMED]}


def offered(written: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in written.get("tools", [])]


@pytest.mark.parametrize("vendor", sorted(set(ALL) - {"ollama", "llama-cpp"}))
def test_a_tool_can_be_named(vendor: str) -> None:
    told = body(vendor, tools=TOOLS, tool_choice=NAMED)

    assert told["tool_choice"] == {"type": "function", "function": {"name": "b"}}
    assert offered(told) == ["a", "b", "c"]


@pytest.mark.parametrize("vendor", sorted(set(ALL) - {"ollama"}))
def test_a_choice_among_some_tools_offers_no_others(vendor: str) -> None:
    told = body(vendor, tools=TOOLS, tool_choice=SOME)

    assert told["tool_choice"] == "required"
    assert offered(told) == ["a", "b"]


def test_a_server_without_names_is_offered_the_one_tool() -> None:
    told = body("llama-cpp", tools=TOOLS, tool_choice=NAMED)

    assert told["tool_choice"] == "required"
    assert offered(told) == ["b"]


def test_a_server_without_choices_is_offered_tools_or_none() -> None:
    assert offered(body("ollama", tools=TOOLS, tool_choice="auto")) == ["a", "b", "c"]
    assert offered(body("ollama", tools=TOOLS, tool_choice="none")) == []
    assert offered(body("ollama", tools=TOOLS, tool_choice={**SOME, "mode": "auto"})) == ["a", "b"]
    assert "tool_choice" not in body("ollama", tools=TOOLS, tool_choice="auto")
    for choice in ("required", NAMED, SOME):
        assert refusal("ollama", tools=TOOLS, tool_choice=choice) == ("unsupported_parameter", "tool_choice")


@pytest.mark.parametrize("vendor", ALL)
def test_custom_tools_are_refused_by_name(vendor: str) -> None:
    assert refusal(vendor, tools=[Tool("custom", {"name": "patch"})]) == ("unsupported_tool", "tools")
    assert refusal(vendor, items=[USER, ToolCall("c", "patch", "x", "custom")]) == ("unsupported_item", "messages")


# --- conversations --------------------------------------------------------------------------------

ANSWER = Message(
    "assistant",
    "Hi.",
    {
        "id": "msg_1",
        "annotations": [],
        "refusal": None,
        "status": "completed",
        "phase": "final_answer",
        "reasoning_content": "Hm.",
    },
)


@pytest.mark.parametrize("vendor", ALL)
def test_labels_of_earlier_answers_are_left_out(vendor: str) -> None:
    (answer,) = body(vendor, items=[ANSWER])["messages"]

    name = row(vendor).reasoning_name
    thoughts = {} if name is None else {name: "Hm."}
    assert answer == {"role": "assistant", "content": "Hi.", **thoughts}


def test_what_a_vendor_has_besides_is_carried() -> None:
    (answer,) = body("mistral", items=[Message("assistant", "Hi", {"prefix": True})])["messages"]
    details = [{"type": "reasoning.encrypted", "data": "sealed"}]
    (routed,) = body("openrouter", items=[Message("assistant", "Hi", {"reasoning_details": details})])["messages"]
    text = Text("x", {"cache_control": {"type": "ephemeral"}})
    (marked,) = body("openrouter", items=[Message("user", [text])])["messages"]

    assert answer["prefix"] is True
    assert routed["reasoning_details"] == details
    assert marked["content"] == [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize("vendor", ALL)
def test_the_words_of_a_refusal_are_the_answers(vendor: str) -> None:
    beside = Message("assistant", "", {"refusal": "No."})
    inside = Message("assistant", [Unknown({"type": "refusal", "refusal": "No."}, "chat")])

    first, second = body(vendor, items=[beside, inside])["messages"]

    assert first == {"role": "assistant", "content": "No."}
    assert second == {"role": "assistant", "content": [{"type": "text", "text": "No."}]}


@pytest.mark.parametrize("name", ["audio", "function_call"])
def test_what_no_vendor_has_of_an_answer_is_refused_by_name(name: str) -> None:
    assert refusal("groq", items=[Message("assistant", "", {name: {}})]) == ("unsupported_parameter", "messages")


def test_thoughts_go_back_with_the_calls_that_they_led_to() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    items = [USER, Unknown(thought, "responses"), ToolCall("c", "f", "{}"), ToolOutput("c", "1"), ANSWER]

    _, call, _, answer = body("deepseek", items=items, dialect="responses")["messages"]

    assert call["reasoning_content"] == "Hm."
    assert call["tool_calls"][0]["id"] == "c"
    assert answer["content"] == "Hi."


def test_thoughts_without_an_answer_are_left_out() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}, "odd"]}

    (message,) = body("deepseek", items=[Unknown(thought, "responses"), USER], dialect="responses")["messages"]

    assert message == {"role": "user", "content": "x"}


def test_mistral_is_given_ids_as_it_makes_them() -> None:
    call_id = "call_0123456789abcdef"
    raw = {"role": "tool", "tool_call_id": call_id, "content": "1", "cache": True}
    ours = [
        ToolCall(call_id, "f", "{}"),
        ToolCall("Ab3dE6gH9", "g", "{}"),
        ToolOutput(call_id, "1"),
        Unknown(raw, "chat"),
    ]

    calls, output, unknown = body("mistral", items=ours)["messages"]

    first, second = (call["id"] for call in calls["tool_calls"])
    assert len(first) == 9
    assert first.isalnum()
    assert second == "Ab3dE6gH9"
    assert output["tool_call_id"] == unknown["tool_call_id"] == first


def test_a_call_that_says_more_than_a_call_is_cut_to_one() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"seal": "s"}}
    raw = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "reasoning_content": "Hm."}

    (message,) = body("groq", items=[Unknown(raw, "chat")])["messages"]

    assert message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "reasoning": "Hm.",
    }


# --- parts ----------------------------------------------------------------------------------------

SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
FILE_AT = {"type": "input_file", "file_url": "https://example.test/a.pdf"}
FILE_ID = {"type": "file", "file": {"file_id": "file-1"}}


def part(vendor: str, raw: dict[str, Any]) -> Any:
    dialect = "responses" if raw["type"] in ("input_file", "input_image") else "chat"
    message = Message("user", [Unknown(raw, dialect)])
    told = written(Prompt([message], dialect=dialect), row(vendor))
    if isinstance(told, BadRequest):
        assert told.param == ("messages" if dialect == "chat" else "input")
        return told.code
    return told["messages"][0]["content"][0]


REFUSED = "unsupported_part"


@pytest.mark.parametrize("vendor", ALL)
def test_sounds(vendor: str) -> None:
    expected: Any = SOUND
    if vendor in ("deepseek", "groq", "ollama"):
        expected = REFUSED
    if vendor == "mistral":
        expected = {"type": "input_audio", "input_audio": "UklGRg=="}

    assert part(vendor, SOUND) == expected


@pytest.mark.parametrize("vendor", sorted(set(ALL) - {"mistral", "openrouter"}))
@pytest.mark.parametrize("raw", [FILE, FILE_AT, FILE_ID])
def test_files_are_refused_where_there_are_none(vendor: str, raw: dict[str, Any]) -> None:
    assert part(vendor, raw) == REFUSED


def test_files_in_the_vendors_words() -> None:
    inline = f"data:application/pdf;base64,{PDF}"

    assert part("mistral", FILE) == {"type": "document_url", "document_url": inline, "document_name": "a.pdf"}
    assert part("mistral", FILE_AT) == {"type": "document_url", "document_url": "https://example.test/a.pdf"}
    assert part("mistral", FILE_ID) == {"type": "file", "file_id": "file-1"}
    assert part("openrouter", FILE) == FILE
    assert part("openrouter", FILE_AT) == {"type": "file", "file": {"file_data": "https://example.test/a.pdf"}}
    assert part("openrouter", FILE_ID) == FILE_ID


@pytest.mark.parametrize("vendor", ALL)
def test_pictures(vendor: str) -> None:
    url = "data:image/png;base64,iVBORw0="
    said = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    (message,) = body(vendor, items=[Message("user", [Image(url, "low")])])["messages"]

    assert message["content"] == [said]
    assert part(vendor, {"type": "input_image", "file_id": "file-1"}) == REFUSED


@pytest.mark.parametrize("vendor", ALL)
def test_a_vendors_own_kind_of_part_is_carried(vendor: str) -> None:
    video = {"type": "video_url", "video_url": {"url": "https://example.test/a.mp4"}}

    assert part(vendor, video) == video


# --- marks for caches -----------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ALL)
def test_marks_are_told_where_a_vendor_has_marks(vendor: str) -> None:
    long = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}, **MARK}
    parts: list[Part] = [Text("x", MARK), Text("y", long), Unknown(picture, "chat")]

    (message,) = body(vendor, items=[Message("user", parts)])["messages"]

    told = [each.get("cache_control") for each in message["content"]]
    short = {"type": "ephemeral"}
    assert told == ([short, {**short, "ttl": "1h"}, short] if vendor == "openrouter" else [None] * 3)
    assert not any("prompt_cache_breakpoint" in each for each in message["content"])


@pytest.mark.parametrize(
    ("model", "items", "is_marked"),
    [
        ("anthropic/claude-sonnet-4.5", [USER], True),
        ("~anthropic/claude-sonnet-latest", [USER], True),
        ("openai/gpt-5", [USER], False),
        ("anthropic/claude-sonnet-4.5", [Message("user", [Text("x", MARK)])], False),
    ],
)
def test_openrouter_keeps_what_claude_reads_again(model: str, items: list[Any], is_marked: bool) -> None:
    prompt = Prompt(items)
    unmarked = profile_of("openrouter", "https://proxy.example/v1", marks_cache=False)

    assert ("cache_control" in encode_chat(prompt, model, row("openrouter"))) is is_marked
    assert "cache_control" not in encode_chat(prompt, model, unmarked)


# --- anything -------------------------------------------------------------------------------------

_parts = st.lists(
    st.sampled_from(
        [
            {"type": "text", "text": "x", **MARK},
            {"type": "text", "text": "y", "own": 1},
            {"type": "image_url", "image_url": {"url": "https://example.test/a.png", "own": 1}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}, **MARK},
            SOUND,
            {**SOUND, **MARK},
            FILE,
            FILE_ID,
            {"type": "file", "file": {}},
            {"type": "refusal", "refusal": "No."},
            {"type": "video_url", "video_url": {}},
        ]
    ),
    min_size=1,
    max_size=3,
)
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_calls = st.lists(
    st.sampled_from(
        [
            _CALL,
            {**_CALL, "extra_content": {}},
            {"id": "d", "function": {"name": "g", "arguments": "", "own": 1}},
            {"id": "e", "type": "custom", "custom": {"name": "p", "input": "x"}},
            {"id": "e", "type": "custom", "custom": {"name": "p", "input": "x"}, "own": 1},
        ]
    ),
    min_size=1,
    max_size=2,
)
_of_answers = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.none() | st.just("Hi.") | _parts,
        "tool_calls": _calls,
        "refusal": st.none() | st.just("No."),
        "reasoning_content": st.just("Hm."),
        "reasoning": st.just("Hm.") | st.just({"odd": 1}),
        "reasoning_details": st.just([{}]),
        "annotations": st.just([{"type": "url_citation"}]),
        "name": st.just("ada"),
        "audio": st.just({"id": "a"}),
        "prefix": st.just(True),
        "status": st.just("completed"),
    },
)
_messages = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "developer", "user"]), "content": st.just("x") | _parts},
            optional={"name": st.just("ada"), "own": st.just(1)},
        ),
        st.fixed_dictionaries(
            {"role": st.just("tool"), "tool_call_id": st.just("c"), "content": st.just("1") | _parts},
            optional={"own": st.just(1)},
        ),
        st.just({"role": "function", "name": "f", "content": "1"}),
        _of_answers,
    ),
    min_size=1,
    max_size=4,
)


@given(_messages)
def test_any_conversation_is_written_or_refused_by_name(messages: list[dict[str, Any]]) -> None:
    prompt = read_chat(json.dumps({"model": "m", "messages": messages}).encode()).prompt
    before = json.dumps(messages)

    for vendor in [*ALL, None]:
        profile = COMPATIBLE if vendor is None else row(vendor)
        told = written(prompt, profile)
        if isinstance(told, BadRequest):
            assert told.param == "messages"
            continue
        assert json.loads(json.dumps(told)) == told
        contents = [message.get("content") for message in told["messages"]]
        words = "".join(content for content in contents if isinstance(content, str))
        said = sum(message.get("content") == "Hi." for message in messages)
        assert words.count("Hi.") == said
        labels = {"annotations", "status"} if vendor else {"annotations"}
        assert not any(labels & message.keys() for message in told["messages"])
    assert json.dumps(messages) == before
