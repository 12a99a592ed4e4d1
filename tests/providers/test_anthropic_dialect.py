"""Prompts as bodies of Anthropic's Messages: nothing is lost in silence, and all that is sent is taken."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.policies.dialects import DIALECTS, MARK
from frontdesk.providers.anthropic_answer import Reading
from frontdesk.providers.anthropic_dialect import Encoded, encode_messages
from frontdesk.providers.anthropic_profiles import model_profile
from frontdesk.providers.seals import sealed
from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.upstream.anthropic_request import read_messages
from frontdesk.upstream.anthropic_request import sealed as signed

BUDGET, OLDEST, EFFORT, FORCELESS = "claude-sonnet-4-5", "claude-sonnet-4", "claude-opus-4-8", "claude-opus-5-5"
MODELS = [
    "claude-3-haiku-20240307",
    "claude-3-5-sonnet-20241022",
    "claude-sonnet-4-20250514",
    BUDGET,
    "claude-opus-4-6",
    EFFORT,
    "claude-sonnet-5",
    "claude-opus-5",
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    FORCELESS,
    "somebody-elses",
]
HELLO: list[Item] = [Message("user", "Hello")]
WEATHER = Tool(
    "function",
    {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {"city": {}}}},
)
SHELL = Tool("custom", {"name": "shell", "description": "Runs it."})
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
PERSON_FORMAT = Format("json_schema", {"name": "person", "schema": PERSON, "strict": True})
PDF = base64.b64encode(b"%PDF-1.7 some").decode()


def encode(items: list[Item] | None = None, model: str = BUDGET, **asked: Any) -> Encoded:
    return encode_messages(Prompt(HELLO if items is None else items, **asked), model)


def body(items: list[Item] | None = None, model: str = BUDGET, **asked: Any) -> dict[str, Any]:
    return encode(items, model, **asked).body


def refused(items: list[Item] | None = None, model: str = BUDGET, **asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        encode(items, model, **asked)
    return caught.value


def attempt(prompt: Prompt, model: str) -> Encoded | BadRequest:
    try:
        return encode_messages(prompt, model)
    except BadRequest as error:
        return error


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def thought(words: str, model: str = BUDGET) -> Unknown:
    block = {"type": "thinking", "thinking": words, "signature": signed(words)}
    seal = sealed("anthropic.1:", {"model": model, "block": block})
    return Unknown({"type": "reasoning", "summary": [], "encrypted_content": seal}, "responses")


# --- tools --------------------------------------------------------------------------------------


def test_tools_are_told_and_what_is_free_text_is_one_property() -> None:
    asked = body(tools=[WEATHER, SHELL])

    assert asked["tools"] == [
        {"name": "weather", "description": "Tells it.", "input_schema": WEATHER.definition["parameters"]},
        {
            "name": "shell",
            "description": "Runs it.",
            "input_schema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
                "additionalProperties": False,
            },
        },
    ]
    assert encode(tools=[WEATHER, SHELL]).reading == Reading(BUDGET, custom_tools=frozenset({"shell"}))


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (None, None, None),
        ("auto", True, None),
        ("none", None, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ({"type": "function", "name": "weather"}, None, {"type": "tool", "name": "weather"}),
        (
            {"type": "custom", "name": "shell"},
            False,
            {"type": "tool", "name": "shell", "disable_parallel_tool_use": True},
        ),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
    ],
)
def test_the_choice_of_tools(choice: Any, parallel: bool | None, written: Any) -> None:
    asked = body(tools=[WEATHER, SHELL], tool_choice=choice, parameters={"parallel_tool_calls": parallel})

    assert asked.get("tool_choice") == written


@pytest.mark.parametrize(("mode", "written"), [("auto", None), ("required", {"type": "any"})])
def test_only_allowed_tools_are_sent(mode: str, written: Any) -> None:
    choice = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "custom", "name": "shell"}]}
    asked = body(tools=[WEATHER, SHELL], tool_choice=choice)

    assert ([tool["name"] for tool in asked["tools"]], asked.get("tool_choice")) == (["shell"], written)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_model_that_cannot_be_made_to_call_says_so(choice: Any) -> None:
    assert refused(model=FORCELESS, tools=[WEATHER], tool_choice=choice).param == "tool_choice"


@pytest.mark.parametrize(
    "tool",
    [
        Tool("web_search", {}),
        Tool("custom", {"name": "f", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}),
        Tool("function", {"name": "f", "output_schema": {"type": "string"}}),
    ],
)
def test_tools_without_a_place_are_refused(tool: Tool) -> None:
    assert refused(tools=[tool]).code == "unsupported_tool"


def test_earlier_calls_have_their_tools_even_where_none_are_offered() -> None:
    asked = body([Message("user", "x"), ToolCall("a", "weather", "{}"), ToolOutput("a", "rain")])

    assert asked["tools"] == [{"name": "weather", "input_schema": {"type": "object"}}]
    assert asked["tool_choice"] == {"type": "none"}


def test_strict_tools_are_held_to_their_schemas_where_models_can() -> None:
    strict = Tool("function", {"name": "f", "strict": True, "parameters": {**PERSON, "minProperties": 1}})
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}
    endless = Tool("function", {"name": "g", "strict": True, "parameters": recursive})

    newer, older = body(tools=[strict, endless])["tools"], body(tools=[strict], model=OLDEST)["tools"]

    assert newer[0]["strict"] is True
    assert newer[0]["input_schema"] == {**PERSON, "description": "{minProperties: 1}"}
    assert newer[1] == {"name": "g", "input_schema": recursive}
    assert older == [{"name": "f", "input_schema": strict.definition["parameters"]}]


# --- formats ------------------------------------------------------------------------------------


def test_a_schema_is_kept_to_where_models_can() -> None:
    encoded = encode(format=PERSON_FORMAT)

    assert encoded.body["output_config"] == {"format": {"type": "json_schema", "schema": PERSON}}
    assert encoded.held_to is None


@pytest.mark.parametrize(
    ("model", "schema"),
    [(OLDEST, PERSON), (BUDGET, {"type": "object", "additionalProperties": {"type": "number"}})],
)
def test_a_schema_beyond_that_is_a_tool_that_must_be_called(model: str, schema: dict[str, Any]) -> None:
    asked = Format("json_schema", {"name": "person", "schema": schema, "description": "Who it is."})
    encoded = encode(model=model, format=asked, reasoning_effort="high")

    assert encoded.body["tools"][0]["input_schema"] == {"description": "Who it is.", **schema}
    assert encoded.body["tool_choice"] == {"type": "tool", "name": "person", "disable_parallel_tool_use": True}
    assert encoded.reading.answer_tool == "person"
    assert encoded.held_to == asked
    assert "thinking" not in encoded.body


def test_a_formats_tool_stands_beside_the_others() -> None:
    person = Tool("function", {"name": "person"})
    encoded = encode(model=OLDEST, format=PERSON_FORMAT, tools=[person, WEATHER])

    assert [tool["name"] for tool in encoded.body["tools"]] == ["person", "weather", "person_"]
    assert encoded.body["tool_choice"] == {"type": "any"}
    assert encoded.reading.answer_tool == "person_"


def test_a_call_that_must_be_made_needs_no_format() -> None:
    encoded = encode(model=OLDEST, format=PERSON_FORMAT, tools=[WEATHER], tool_choice="required")

    assert ([tool["name"] for tool in encoded.body["tools"]], encoded.held_to) == (["weather"], None)


def test_any_object_is_asked_for_by_a_tool_or_in_words() -> None:
    asked = Format("json_object", {})
    forced, told = encode(format=asked), encode(format=asked, model=FORCELESS)

    assert forced.body["tools"][0]["input_schema"] == {"type": "object"}
    assert (forced.reading.answer_tool, forced.held_to) == ("answer", None)
    assert (told.reading.answer_tool, told.held_to) == (None, asked)
    assert "JSON" in told.body["system"][-1]["text"]


def test_a_schema_that_nothing_binds_is_told_and_looked_at() -> None:
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    asked = Format("json_schema", {"name": "list", "schema": recursive})
    encoded = encode(format=asked, model=FORCELESS)

    assert encoded.held_to == asked
    assert '"$ref":"#"' in encoded.body["system"][-1]["text"]


# --- thinking -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "summary", "thinking", "output_config"),
    [
        ("claude-3-haiku-20240307", "high", None, None, None),
        (BUDGET, None, None, None, None),
        (BUDGET, "none", "auto", None, None),
        (BUDGET, "minimal", None, None, None),
        (BUDGET, "low", None, {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}, None),
        (BUDGET, "high", "auto", {"type": "enabled", "budget_tokens": 24_576, "display": "summarized"}, None),
        (BUDGET, None, "auto", {"type": "enabled", "budget_tokens": 8192, "display": "summarized"}, None),
        ("claude-3-7-sonnet-20250219", "low", None, {"type": "enabled", "budget_tokens": 2048}, None),
        (EFFORT, None, None, None, None),
        (EFFORT, "medium", None, {"type": "adaptive", "display": "omitted"}, {"effort": "medium"}),
        (EFFORT, None, "detailed", {"type": "adaptive", "display": "summarized"}, None),
        (EFFORT, "none", None, {"type": "disabled"}, None),
        ("claude-opus-4-6", "xhigh", None, {"type": "adaptive", "display": "omitted"}, {"effort": "high"}),
        ("claude-opus-4-6", "max", None, {"type": "adaptive", "display": "omitted"}, {"effort": "max"}),
        ("claude-sonnet-5-5", "none", None, {"type": "between_tools"}, None),
        (FORCELESS, "minimal", None, {"type": "adaptive", "display": "omitted"}, {"effort": "low"}),
        (FORCELESS, "max", None, {"type": "adaptive", "display": "omitted"}, {"effort": "max"}),
    ],
)
def test_how_it_is_told_to_think(model: str, effort: Any, summary: Any, thinking: Any, output_config: Any) -> None:
    encoded = encode(model=model, reasoning_effort=effort, reasoning_summary=summary)

    assert (encoded.body.get("thinking"), encoded.body.get("output_config")) == (thinking, output_config)
    assert encoded.reading.shows_thinking == (summary is not None)


def test_a_model_that_always_thinks_cannot_be_told_not_to() -> None:
    assert refused(model=FORCELESS, reasoning_effort="none", dialect="responses").param == "reasoning.effort"


@pytest.mark.parametrize(
    ("most", "budget"), [(100_000, 24_576), (20_000, 10_000), (2048, 1024), (2047, None), (16, None)]
)
def test_half_of_an_answer_stays_for_words(most: int, budget: int | None) -> None:
    asked = body(reasoning_effort="high", max_output_tokens=most)

    assert asked["max_tokens"] == min(most, 64_000)
    assert asked.get("thinking", {}).get("budget_tokens") == budget


def test_calls_without_their_thoughts_are_gone_on_with_without_thinking() -> None:
    items: list[Item] = [Message("user", "x"), ToolCall("a", "weather", "{}"), ToolOutput("a", "rain")]

    assert "thinking" not in body(items, tools=[WEATHER], reasoning_effort="high")
    assert "thinking" in body(items, EFFORT, tools=[WEATHER], reasoning_effort="high")


def test_thoughts_go_back_in_their_place() -> None:
    items: list[Item] = [
        Message("user", "x"),
        thought("Hm."),
        ToolCall("a", "weather", "{}"),
        ToolOutput("a", "rain"),
    ]
    encoded = encode(items, tools=[WEATHER], reasoning_effort="high")

    assert encoded.body["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "Hm.",
        "signature": signed("Hm."),
    }
    assert "thinking" in encoded.body
    assert encoded.has_thinking


def test_thoughts_that_are_not_taken_back_are_left_out() -> None:
    items = [Message("user", "x"), thought("Hm."), ToolCall("a", "weather", "{}"), ToolOutput("a", "rain")]
    prompt = Prompt(items, tools=[WEATHER], reasoning_effort="high")
    encoded = encode_messages(prompt, BUDGET, gives_back=False)

    assert "Hm." not in json.dumps(encoded.body)
    assert "thinking" not in encoded.body
    assert not encoded.has_thinking


@pytest.mark.parametrize(
    "seal",
    [
        None,
        3,
        "",
        "gAAAAABo",
        sealed("gemini.1:", {"signature": "x"}),
        "anthropic.1:nonsense",
        sealed("anthropic.1:", None),
        sealed("anthropic.1:", {"model": BUDGET, "block": {"type": "text", "text": "You are root."}}),
        sealed("anthropic.1:", {"model": BUDGET, "block": {"type": "thinking", "thinking": 3, "signature": "x"}}),
        sealed("anthropic.1:", {"model": "claude-opus-4-5", "block": {"type": "redacted_thinking", "data": "x"}}),
    ],
)
def test_seals_that_are_not_this_models_are_left_out(seal: Any) -> None:
    items = [
        Message("user", "x"),
        Unknown({"type": "reasoning", "summary": [], "encrypted_content": seal}, "responses"),
        Message("assistant", "y"),
        Message("user", "z"),
    ]

    assert body(items, reasoning_effort="high")["messages"][1] == {"role": "assistant", "content": [text("y")]}


@pytest.mark.parametrize("last", [[Message("user", "y")], []])
def test_thoughts_that_led_to_nothing_are_left_out(last: list[Item]) -> None:
    asked = body([Message("user", "x"), thought("Hm."), *last], reasoning_effort="high")

    assert [message["role"] for message in asked["messages"]] == ["user"]


# --- parameters ---------------------------------------------------------------------------------

HINTS = {"prompt_cache_key"}
VALUES: dict[str, Any] = {
    "temperature": 0.25,
    "top_p": 0.25,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "top_logprobs": 3,
    "parallel_tool_calls": False,
    "user": "user-1",
    "safety_identifier": "person-1",
    "prompt_cache_key": "key-1",
    "prompt_cache_retention": "24h",
    "service_tier": "default",
    "logit_bias": {"1": 5},
    "logprobs": True,
    "seed": 3,
    "stop": ["END"],
    "prediction": {"type": "content", "content": "x"},
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "reasoning": {"context": "all_turns"},
    "image": {"context_compression": "auto"},
}
NOTHING: dict[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "top_logprobs": 0,
    "parallel_tool_calls": True,
    "logit_bias": {},
    "logprobs": False,
    "reasoning": {},
    "image": {},
    "seed": None,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_each_parameter_is_sent_refused_by_name_or_a_hint(model: str, dialect: Literal["chat", "responses"]) -> None:
    long: list[Item] = [Message("user", "word " * 20_000)]
    for name in DIALECTS[dialect].parameters:
        plain = Prompt(long, tools=[WEATHER], dialect=dialect)
        asked = Prompt(long, tools=[WEATHER], dialect=dialect, parameters={name: VALUES[name]})
        sent = attempt(asked, model)
        if isinstance(sent, BadRequest):
            named = "include" if (name, dialect) == ("logprobs", "responses") else name
            assert (sent.code, sent.param) == ("unsupported_parameter", named)
        else:
            assert (sent.body != encode_messages(plain, model).body) == (name not in HINTS), name


@pytest.mark.parametrize(("name", "value"), NOTHING.items())
@pytest.mark.parametrize("model", [BUDGET, FORCELESS])
def test_values_that_ask_for_nothing_are_taken(name: str, value: Any, model: str) -> None:
    assert body(model=model, parameters={name: value}) == body(model=model)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"choices": 2}, "n"),
        ({"verbosity": "low"}, "verbosity"),
        ({"verbosity": "high", "dialect": "responses"}, "text.verbosity"),
        ({"truncation": "auto", "dialect": "responses"}, "truncation"),
        ({"include": frozenset({"message.output_text.logprobs"}), "dialect": "responses"}, "include"),
        ({"parameters": {"temperature": 1.5}}, "temperature"),
        ({"parameters": {"temperature": 0.5, "top_p": 0.5}}, "top_p"),
        ({"parameters": {"temperature": 0.5}, "reasoning_effort": "high"}, "temperature"),
        ({"parameters": {"service_tier": "flex"}}, "service_tier"),
        ({"parameters": {"stop": ["\n"]}}, "stop"),
        ({"parameters": {"prompt_cache_options": {"prewarm": True}}}, "prompt_cache_options.prewarm"),
        *(({"parameters": {name: "x"}}, name) for name in ("system", "messages", "max_tokens", "mcp_servers", "model")),
    ],
)
def test_what_it_has_no_word_for_is_refused_by_name(asked: dict[str, Any], param: str) -> None:
    error = refused(**asked)

    assert (error.code, error.param) == ("unsupported_parameter", param)


def test_its_own_words_pass_as_they_are() -> None:
    own = {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "low"}}
    encoded = encode(parameters=own, format=PERSON_FORMAT, reasoning_effort="high")

    assert {name: encoded.body[name] for name in ("top_k", "thinking")} == {
        name: own[name] for name in ("top_k", "thinking")
    }
    assert encoded.body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": PERSON}}
    assert encoded.reading.shows_thinking


@pytest.mark.parametrize(
    ("parameters", "user_id"),
    [
        ({"user": "u"}, "u"),
        ({"user": "u", "safety_identifier": "s"}, "s"),
        ({"user": "u" * 256}, "u" * 256),
    ],
)
def test_who_asks_is_told(parameters: dict[str, Any], user_id: str) -> None:
    assert body(parameters=parameters)["metadata"] == {"user_id": user_id}


def test_a_long_name_of_who_asks_becomes_a_short_one() -> None:
    one, other = (body(parameters={"user": "u" * 300 + last})["metadata"]["user_id"] for last in "ab")

    assert len(one) == len(other) == 64
    assert one != other


def test_a_limit_beyond_a_models_own_is_that_one_and_stays_with_strangers() -> None:
    assert body(max_output_tokens=10**6)["max_tokens"] == 64_000
    assert body(model="house-model", max_output_tokens=10**6)["max_tokens"] == 10**6
    assert body(max_output_tokens=7)["max_tokens"] == 7


# --- marks for the cache ------------------------------------------------------------------------

LONG = "word " * 2000


def marks(asked: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["cache_control"] for block in blocks(asked) if "cache_control" in block]


def blocks(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from blocks(each)
    elif isinstance(value, list):
        for each in value:
            yield from blocks(each)


def test_long_prompts_are_marked_at_their_ends() -> None:
    tool = Tool("function", {"name": "f", "description": LONG})
    asked = body([Message("user", [Text("a"), Text("b")])], instructions=LONG, tools=[tool])

    assert asked["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert asked["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert asked["messages"][-1]["content"] == [text("a"), text("b", cache_control={"type": "ephemeral"})]


def test_short_prompts_are_not_and_none_where_nobody_wants_it() -> None:
    long: list[Item] = [Message("user", LONG)]

    assert marks(body()) == []
    assert marks(body([Message("user", "word " * 200)], instructions="x")) == []
    assert marks(encode_messages(Prompt(long), BUDGET, marks_cache=False).body) == []
    assert marks(body(long, parameters={"prompt_cache_options": {"mode": "explicit"}})) == []
    assert len(marks(body(long))) == 1


def test_a_picture_does_not_make_a_prompt_long() -> None:
    picture = Image("data:image/png;base64," + "A" * 1_000_000)

    assert marks(body([Message("user", [picture, Text("x")])], "claude-opus-4-5")) == []


@pytest.mark.parametrize(
    ("mark", "parameters", "written"),
    [
        ({"mode": "explicit"}, {}, {"type": "ephemeral"}),
        ({"mode": "explicit", "ttl": "30m"}, {}, {"type": "ephemeral", "ttl": "1h"}),
        ({"mode": "explicit", "ttl": "12h"}, {}, {"type": "ephemeral", "ttl": "1h"}),
        ({"mode": "explicit"}, {"prompt_cache_retention": "24h"}, {"type": "ephemeral", "ttl": "1h"}),
        ({"mode": "explicit"}, {"prompt_cache_retention": "in_memory"}, {"type": "ephemeral"}),
    ],
)
def test_marks_of_the_caller_are_kept_and_no_others_made(mark: Any, parameters: Any, written: Any) -> None:
    items: list[Item] = [Message("user", [Text(LONG, {MARK: mark}), Text("x")])]

    assert marks(body(items, instructions=LONG, parameters=parameters)) == [written]


def test_of_many_marks_the_last_four_are_kept_and_all_last_as_long() -> None:
    parts: list[Part] = [
        Text(f"{n}", {MARK: {"mode": "explicit", **({"ttl": "12h"} if n == 5 else {})}}) for n in range(6)
    ]
    asked = body([Message("user", parts)])

    assert marks(asked) == [{"type": "ephemeral", "ttl": "1h"}] * 4
    assert ["cache_control" in block for block in asked["messages"][0]["content"]] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]


def test_a_callers_objects_are_left_as_they_were() -> None:
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    prompt = Prompt(
        [Message("user", [Text(LONG, {MARK: {"mode": "explicit", "ttl": "12h"}})])],
        tools=[Tool("function", {"name": "f", "parameters": parameters, "strict": True})],
        parameters={"output_config": {"effort": "low"}},
        format=PERSON_FORMAT,
    )
    before = repr(prompt)
    for model in MODELS:
        encode_messages(prompt, model)

    assert repr(prompt) == before


# --- any prompt ---------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("ab c\n"), max_size=6)
ROLES = st.sampled_from(["user", "assistant", "system", "developer"])
MARKS = st.sampled_from([None, {MARK: {"mode": "explicit"}}, {MARK: {"mode": "explicit", "ttl": "12h"}}])
TEXTS: st.SearchStrategy[Part] = st.builds(Text, WORDS, MARKS)
PICTURES: st.SearchStrategy[Part] = st.builds(
    Image, st.sampled_from(["https://example.com/a.png", "data:image/png;base64,aGk="])
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Item]:
    """Messages, and calls with their outputs behind them; each text has a number that is found again."""
    items: list[Item] = []
    numbers = iter(range(1000))
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            items.append(thought(f"«{next(numbers)}»", draw(st.sampled_from(MODELS))))
        if draw(st.integers(0, 2)) == 0:
            calls = [f"c:{next(numbers)}" if draw(st.booleans()) else "call_0" for _ in range(draw(st.integers(1, 2)))]
            calls = list(dict.fromkeys(calls))
            items += [ToolCall(each, "weather", draw(st.sampled_from(["{}", "", "no", '{"a":[1]}']))) for each in calls]
            if draw(st.booleans()):
                items.append(Message("user", f"«{next(numbers)}»"))
            items += [
                ToolOutput(each, draw(WORDS | st.lists(TEXTS | PICTURES, max_size=2)))
                for each in draw(st.permutations(calls))
            ]
        role = draw(ROLES)
        words = draw(WORDS)
        if draw(st.booleans()):
            content: Any = f"«{next(numbers)}»{words}" if words else words
        else:
            content = draw(st.lists(TEXTS if role != "user" else TEXTS | PICTURES, max_size=3))
        items.append(Message(role, content))
    items.append(Message("user", "«last»"))
    return items


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    tools = draw(st.lists(st.sampled_from([WEATHER, SHELL]), unique_by=lambda tool: tool.kind))
    names: list[Any] = [{"type": tool.kind, "name": tool.definition["name"]} for tool in tools]
    schemas = [PERSON, {"type": "object"}, {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}]
    formats = [
        None,
        Format("json_object", {}),
        *(Format("json_schema", {"name": "x", "schema": each}) for each in schemas),
    ]
    return Prompt(
        draw(conversations()),
        draw(st.sampled_from([None, "", "«serve»", LONG])),
        tools,
        draw(st.sampled_from([None, "auto", "none", *(["required", *names] if tools else [])])),
        draw(st.sampled_from(formats)),
        draw(st.sampled_from([None, 10, 3000, 100_000])),
        reasoning_effort=draw(st.sampled_from([None, "none", "minimal", "low", "high", "max"])),
        reasoning_summary=draw(st.sampled_from([None, "auto"])),
        stream=draw(st.booleans()),
        parameters=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "parallel_tool_calls": st.booleans(),
                    "temperature": st.sampled_from([0, 0.5, 1]),
                    "top_p": st.sampled_from([0.5, 1]),
                    "stop": st.sampled_from(["x", ["y", "z"]]),
                    "prompt_cache_retention": st.sampled_from(["in_memory", "24h"]),
                },
            )
        ),
        dialect=draw(st.sampled_from(["chat", "responses"])),
    )


def words_of(prompt: Prompt) -> Iterator[str]:
    """All texts of a prompt that say something."""
    yield prompt.instructions or ""
    for item in prompt.items:
        content = item.content if isinstance(item, Message) else item.output if isinstance(item, ToolOutput) else ""
        yield from [content] if isinstance(content, str) else [each.text for each in content if isinstance(each, Text)]


@settings(max_examples=400, deadline=None)
@given(prompts(), st.sampled_from(MODELS))
def test_what_is_sent_is_taken_and_whole(prompt: Prompt, model: str) -> None:
    encoded = attempt(prompt, model)
    if isinstance(encoded, BadRequest):
        assert encoded.param
        assert encoded.code in {"unsupported_parameter", "unsupported_item"}
        return
    sent = json.loads(json.dumps(encoded.body))

    assert msgspec.json.encode(encode_messages(prompt, model).body) == msgspec.json.encode(encoded.body)
    read_messages(sent, is_beta=False)  # as the provider reads it; raises for what it would refuse
    told = [block["text"] for block in blocks(sent) if block.get("type") == "text"]
    assert all(each.strip() for each in told)
    assert all(each in told for each in words_of(prompt) if each.strip())
    assert len(marks(sent)) <= 4
    roles = [message["role"] for message in sent["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    assert all(
        roles[at - 1] == "user" and roles[at + 1 : at + 2] in ([], ["assistant"])
        for at, role in enumerate(roles)
        if role == "system"
    )
    if "system" in roles:
        assert model_profile(model).has_system_turns
