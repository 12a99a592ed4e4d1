"""Whatever a body holds: it is refused by name or understood to its last field, at both doors, never a crash.

What a request may say is read here from the wires' own shapes, not from the tables that the policy has.
"""

from __future__ import annotations

import itertools
import json
import types
import typing
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.config import Feature
from frontdesk.core.errors import BadRequest, Forbidden
from frontdesk.policies.features import Features
from frontdesk.providers.chat_dialect import encode_chat
from frontdesk.providers.profiles import COMPATIBLE, OPENAI
from frontdesk.providers.responses_dialect import encode_responses
from frontdesk.turn.items import Prompt
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire import openai_chat_shapes as chat
from frontdesk.wire import openai_responses_shapes as responses
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.reading import Kinds
from tests.fakes import HandClock
from tests.policies.things import CAPABILITIES, Door

SHAPES: dict[Door, type[msgspec.Struct]] = {"chat": chat.ChatCompletionRequest, "responses": responses.ResponseRequest}
REFUSED = {
    "chat": chat.CHAT_REFUSED,
    "responses": {
        **responses.RESPONSES_REFUSED,
        **responses.CACHE_OPTIONS_REFUSED,
        **responses.CALL_REFUSED,
        **responses.TOOL_REFUSED,
    },
}

# --- what nobody knows ----------------------------------------------------------------------------


def unknown_in(value: Any, kind: Any, door: Door) -> Iterator[str]:
    """The fields, and the kinds of objects, in a value that its type does not have."""
    if typing.get_origin(kind) is typing.Annotated:
        kind, *notes = typing.get_args(kind)
        kinds = next((note for note in notes if isinstance(note, Kinds)), None)
        if kinds is not None:
            yield from _unknown_of_kinds(value, kinds, door)
            return
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if isinstance(value, dict):
            yield from _unknown_of_struct(value, kind, door)
        return
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        for each in value if isinstance(value, list) else ():
            yield from unknown_in(each, inner[0], door)
    elif origin in (typing.Union, types.UnionType):
        for each in inner:
            if _may_hold(each, value):
                yield from unknown_in(value, each, door)


def _may_hold(kind: Any, value: Any) -> bool:
    """Whether a tagged shape is that of a value's tag."""
    config = getattr(kind, "__struct_config__", None)
    return config is None or config.tag is None or not isinstance(value, dict) or value.get("type") == config.tag


def _unknown_of_kinds(value: Any, kinds: Kinds, door: Door) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, dict):
            continue  # wrong, or no object at all
        name = each.get(kinds.field) or kinds.default
        if isinstance(name, str) and name in kinds.shapes:
            yield from _unknown_of_struct(each, kinds.shapes[name], door)
        else:
            yield f"kind {name}"


def _unknown_of_struct(value: dict[str, Any], shape: type[msgspec.Struct], door: Door) -> Iterator[str]:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    for name, inner in value.items():
        if name in fields:
            yield from unknown_in(inner, fields[name], door)
        elif inner is not None and name != shape.__struct_config__.tag_field:
            is_harmless = name in REFUSED[door] and inner in REFUSED[door][name].harmless
            if not is_harmless and not _is_of_answers(name, inner, value, door):
                yield name


def _is_of_answers(name: str, inner: Any, value: dict[str, Any], door: Door) -> bool:
    """What an answer had may be sent back, and one mark of a prompt's parts counts for all texts."""
    if value.get("role") == "assistant":
        return (name, inner) == ("annotations", []) or (
            door == "chat" and name == "reasoning_content" and isinstance(inner, str)
        )
    return name == "prompt_cache_breakpoint" and value.get("type") in ("text", "output_text")


def test_what_is_unknown_would_be_seen() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "more": 1}]}], "top_k": 1}
    odd = {
        "input": [{"type": "odd"}, {"role": "user", "content": "x", "n": None}],
        "text": {"format": {"type": "text"}},
    }

    assert sorted(unknown_in(body, SHAPES["chat"], "chat")) == ["more", "top_k"]
    assert list(unknown_in(odd, SHAPES["responses"], "responses")) == ["kind odd"]
    assert list(unknown_in({"prediction": {"content": [{"q": 1}]}}, SHAPES["chat"], "chat")) == ["q"]


# --- bodies ---------------------------------------------------------------------------------------

NAMES = sorted(
    {
        *("type", "role", "text", "content", "image_url", "url", "detail", "file", "file_id", "file_data", "filename"),
        *("input_audio", "data", "format", "refusal", "name", "tool_calls", "function_call", "audio", "output", "id"),
        *("summary", "encrypted_content", "status", "phase", "call_id", "arguments", "input", "cache_control"),
        *(
            "prompt_cache_breakpoint",
            "annotations",
            "reasoning_content",
            "tool_call_id",
            "function",
            "custom",
            "mode",
            "more",
            "models",
        ),
    }
)
KINDS = sorted(
    {*chat.CHAT_PARTS.shapes, *responses.PARTS.shapes, *responses.ITEMS.shapes, *chat.CHAT_CALLS.shapes, "video"}
)
ROLES = [*chat.CHAT_MESSAGES.shapes, "king"]
SCALARS = st.sampled_from([None, True, 0, 7, "", "x", "low", "https://x.example/y.png", "explicit", *KINDS, *ROLES])
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
)


def mostly_with(base: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that may have more, or have other things, than a well-made one has."""
    more = st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=2)
    return st.builds(
        lambda own, rest, wins: {**rest, **own} if wins else {**own, **rest},
        st.fixed_dictionaries(base),
        more,
        st.booleans(),
    )


def made(**base: Any) -> st.SearchStrategy[dict[str, Any]]:
    return mostly_with(
        {name: each if isinstance(each, st.SearchStrategy) else st.just(each) for name, each in base.items()}
    )


IMAGE = st.just("https://x.example/y.png") | made(url="https://x.example/y.png")
PARTS = st.one_of(
    made(type=st.sampled_from(KINDS)),
    made(type=st.sampled_from(["text", "input_text", "output_text"]), text=st.just("x") | ANYTHING),
    made(type="refusal", refusal="x"),
    made(type=st.sampled_from(["image_url", "input_image"]), image_url=IMAGE | ANYTHING),
    made(type="input_audio", input_audio=made(data="AAAA", format="wav") | ANYTHING),
    made(type="file", file=made(file_id="f") | ANYTHING),
    made(type="input_file", file_id="f"),
)
CONTENT = st.just("x") | st.lists(PARTS, min_size=1, max_size=2) | ANYTHING
CALLS = made(id="c", function=made(name="f", arguments="{}")) | made(
    id="c", type="custom", custom=made(name="f", input="x")
)
MESSAGES = st.one_of(
    made(role=st.sampled_from(ROLES), content=CONTENT),
    made(role="assistant", content=CONTENT, tool_calls=st.lists(CALLS, max_size=2)),
    made(role="tool", tool_call_id="c", content=CONTENT),
    made(role="function", name="f", content="x"),
)
THOUGHTS = st.lists(made(type="summary_text", text="x"), max_size=2)
ITEMS = st.one_of(
    MESSAGES,
    made(type=st.sampled_from([*responses.ITEMS.shapes, "odd"])),
    made(type="reasoning", summary=THOUGHTS),
    made(type="function_call", call_id="c", name="f", arguments="{}"),
    made(type="custom_tool_call", call_id="c", name="f", input="x"),
    made(type=st.sampled_from(["function_call_output", "custom_tool_call_output"]), call_id="c", output=CONTENT),
)
TOOLS = st.one_of(
    made(type="function", name="f"),
    made(type="function", function=made(name="f")),
    made(
        type="custom", custom=made(name="f", format=made(type="grammar", grammar=made(definition="x", syntax="lark")))
    ),
    made(type="x_search"),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tools": st.lists(TOOLS, max_size=2),
    "tool_choice": st.sampled_from(["auto", "required"])
    | made(
        type=st.sampled_from(["function", "x_search", "allowed_tools"]), name="f", tools=st.lists(TOOLS, max_size=1)
    ),
    "response_format": made(type="json_schema", json_schema=made(name="x", schema=ANYTHING)),
    "text": st.fixed_dictionaries({"format": made(type="json_schema", name="x", schema=st.just({}))}),
    "prediction": made(type="content", content=CONTENT),
    "prompt_cache_options": made(mode="explicit"),
    "reasoning": made(effort="low"),
    "image": made(context_compression="auto"),
    "background": st.sampled_from([False, None, True]),
    "temperature": st.sampled_from([0.5, 1]),
    "logit_bias": st.just({}) | ANYTHING,
    "stop": ANYTHING,
    "n_predict": ANYTHING,
    "instructions": st.just("Mine."),
}
BRINGING: list[tuple[Door, str, st.SearchStrategy[Any]]] = [
    ("chat", "messages", MESSAGES),
    ("responses", "input", ITEMS),
]
BODIES: dict[Door, st.SearchStrategy[dict[str, Any]]] = {
    door: st.builds(
        lambda field, said, more: {field: said, **more},
        st.just(field),
        st.lists(each, min_size=1, max_size=2),
        st.fixed_dictionaries({}, optional=FIELDS),
    )
    for door, field, each in BRINGING
}
OPENED: list[list[Any]] = [
    [],
    ["tools", "images", "audio", "files", "parameters", "instructions", "json_schema"],
    list(CAPABILITIES),
]


def passed(door: Door, body: dict[str, Any], may: list[Any]) -> Prompt | None:
    """What of a body reaches the providers; None where it is refused, which it must be by name."""
    try:
        content = json.dumps(body).encode()
        prompt = read_chat(content).prompt if door == "chat" else read_responses(content).prompt
        turn = Turn(door, Caller("user", "c_1", "u_1"), "fast", prompt, HandClock(), "any")
        Features({"any": Feature(client_may=may)}).admit(turn)
    except (BadRequest, Forbidden) as error:
        if error.param is None:
            raise
        return None
    assert isinstance(turn.request, Prompt)
    return turn.request


@pytest.mark.parametrize("door", ["chat", "responses"])
@settings(max_examples=500)
@given(data=st.data())
def test_nothing_passes_that_nobody_knows(door: Door, data: st.DataObject) -> None:
    body = data.draw(BODIES[door])
    unknown = list(unknown_in(body, SHAPES[door], door))

    for may in OPENED:
        prompt = passed(door, body, may)
        if prompt is None:
            continue
        assert "other_parameters" in may or not unknown
        assert not any(name.startswith("kind ") for name in unknown)
        for encode, profile in itertools.product((encode_chat, encode_responses), (OPENAI, COMPATIBLE)):
            with suppress(BadRequest):
                encode(prompt, "m", profile)


@pytest.mark.parametrize("field", ["tool_call_id", "tool_calls"])
def test_a_functions_message_has_no_field_of_a_tools(field: str) -> None:
    body = {"messages": [{"role": "function", "name": "f", "content": "x", field: []}]}

    assert passed("chat", body, ["tools", "parameters"]) is None
    assert passed("chat", body, ["tools", "parameters", "other_parameters"]) is not None


@pytest.mark.parametrize("door", ["chat", "responses"])
@settings(max_examples=400, deadline=None)
@given(part=PARTS | ANYTHING)
def test_no_part_passes_but_words_where_nothing_is_opened(door: Door, part: Any) -> None:
    body = {"messages" if door == "chat" else "input": [{"role": "user", "content": [part]}]}

    if passed(door, body, []) is not None:
        words = ("text",) if door == "chat" else ("text", "input_text", "output_text")
        assert part["type"] in words
        assert isinstance(part["text"], str)


@pytest.mark.parametrize(
    ("door", "part"),
    [
        ("responses", {"type": "image_url", "image_url": "https://x.example/y.png"}),
        ("responses", {"type": "file"}),
        ("responses", {"type": "input_audio", "input_audio": []}),
        ("chat", {"type": "input_text", "text": {"any": ["json"]}}),
        ("chat", {"type": "input_image"}),
    ],
)
@pytest.mark.parametrize("may", OPENED)
def test_kinds_of_the_other_wire_are_strangers(door: Door, part: dict[str, Any], may: list[Any]) -> None:
    body = {"messages" if door == "chat" else "input": [{"role": "user", "content": [part]}]}
    content = json.dumps(body).encode()
    prompt = read_chat(content).prompt if door == "chat" else read_responses(content).prompt

    with pytest.raises(Forbidden, match=f"does not allow a part of type '{part['type']}'.*no capability"):
        Features({"any": Feature(client_may=may)}).admit(
            Turn(door, Caller("user", "c_1", "u_1"), "fast", prompt, HandClock(), "any")
        )
