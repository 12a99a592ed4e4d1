"""Sizes: no provider counts more than the bound, whatever the text, and what is longer is never smaller."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.turn.items import (
    EmbeddingRequest,
    Format,
    Image,
    Item,
    Message,
    Part,
    Prompt,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    Unknown,
)
from frontdesk.turn.sizes import Size, measure, size_of, texts_in, utf8_bytes
from tests.fakes import make_turn

with warnings.catch_warnings():  # it opens its vocabularies in a way that Python has given up
    warnings.simplefilter("ignore", DeprecationWarning)
    import bpe_openai

TOKENIZERS = [bpe_openai.get_encoding(name) for name in ("o200k_base", "cl100k_base", "voyage3_base")]
WINDOW = 2_097_152

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(
    ["", "a" * 500, "\n" * 200, "        " * 40, "ﷺ﷽" * 30, "👩🏽‍🚀" * 20, "日本語" * 50, "é̂" * 40, "\x00\x01" * 30]
)
objects = st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.none(), max_size=4)


def unknown_parts() -> st.SearchStrategy[Unknown]:
    kinds = ["text", "image_url", "input_image", "input_audio", "file", "video_url", "refusal"]
    return st.builds(lambda kind, more: Unknown({**more, "type": kind}, "chat"), st.sampled_from(kinds), objects)


parts: st.SearchStrategy[Part] = (
    st.builds(Text, texts, st.none() | objects)
    | st.builds(Image, texts, st.sampled_from([None, "low", "high", "auto"]))
    | unknown_parts()
)
contents = texts | st.lists(parts, max_size=3)
items: st.SearchStrategy[Item] = (
    st.builds(Message, st.sampled_from(["user", "assistant"]), contents, st.none() | objects)
    | st.builds(ToolCall, texts, texts, texts)
    | st.builds(ToolOutput, texts, contents)
    | st.builds(
        lambda raw, kind: Unknown({**raw, "type": kind}, "responses"), objects, st.sampled_from(["reasoning", "x"])
    )
    | st.builds(lambda raw, text: Unknown({**raw, "content": [{"type": "text", "text": text}]}, "chat"), objects, texts)
)
tools = st.builds(Tool, st.just("function"), objects)
prompts = st.builds(
    Prompt,
    items=st.lists(items, max_size=4),
    instructions=st.none() | texts,
    tools=st.lists(tools, max_size=2),
    format=st.none() | st.builds(Format, st.just("json_schema"), objects),
    parameters=objects,
)
embeddings = st.builds(
    EmbeddingRequest, st.lists(texts, max_size=3) | st.lists(st.lists(st.integers(0, 200_000), max_size=9), max_size=3)
)


def longest(text: str) -> int:
    return max(len(tokenizer.encode_ordinary(text)) for tokenizer in TOKENIZERS)


# --- the bound ------------------------------------------------------------------------------------


@given(texts)
@example("<|endoftext|><|im_start|>")
def test_no_tokenizer_makes_more_of_a_text_than_its_bytes(text: str) -> None:
    assert longest(text) <= utf8_bytes(text)


@given(st.lists(texts, max_size=5), st.none() | texts)
def test_no_tokenizer_makes_more_of_a_conversation_than_the_bound(said: list[str], instructions: str | None) -> None:
    """As OpenAI counts: 3 tokens around each message, 3 before the answer, and the role (its cookbook)."""
    prompt = Prompt([Message("user", text) for text in said], instructions=instructions)
    counted = 3 + sum(4 + longest(text) for text in [*said, *([instructions] if instructions else [])])

    assert counted <= measure(prompt).bound


@given(st.lists(texts, max_size=5))
def test_no_tokenizer_makes_more_of_a_written_template_than_the_bound(said: list[str]) -> None:
    """A template's marks as plain text are the worst that a server can make of them."""
    said = said * 9
    written = "".join(f"<|im_start|>user\n{text}<|im_end|>\n" for text in said) + "<|im_start|>assistant\n"

    assert longest(written) <= measure(Prompt([Message("user", text) for text in said])).bound


@given(objects)
def test_a_tool_is_no_longer_than_its_bound_however_it_is_written(definition: dict[str, Any]) -> None:
    bound = measure(Prompt([], tools=[Tool("function", definition)])).bound

    for indent in (None, 2, 4):
        for escapes in (True, False):
            assert longest(json.dumps(definition, indent=indent, ensure_ascii=escapes)) <= bound


@given(prompts | embeddings)
def test_the_estimate_is_within_the_bound(request: Request) -> None:
    size = measure(request)

    assert 0 <= size.estimate <= size.bound


# --- what is added counts -------------------------------------------------------------------------


def assert_not_smaller(more: Size, less: Size) -> None:
    assert more.bound >= less.bound
    assert more.estimate >= less.estimate


@given(prompts, items)
def test_one_more_item_makes_nothing_smaller(prompt: Prompt, item: Item) -> None:
    longer = measure(Prompt([*prompt.items, item], instructions=prompt.instructions, tools=prompt.tools))
    before = measure(Prompt(prompt.items, instructions=prompt.instructions, tools=prompt.tools))

    assert_not_smaller(longer, before)
    assert longer.bound > before.bound


@given(prompts, tools, texts)
def test_tools_instructions_and_formats_make_nothing_smaller(prompt: Prompt, tool: Tool, text: str) -> None:
    before = measure(Prompt(prompt.items))

    for longer in (
        Prompt(prompt.items, tools=[tool]),
        Prompt(prompt.items, instructions=text),
        Prompt(prompt.items, format=Format("json_schema", tool.definition)),
        Prompt(prompt.items, parameters=tool.definition),
        Prompt(prompt.items, tool_choice=tool.definition),
    ):
        assert_not_smaller(measure(longer), before)


@given(texts, texts)
def test_a_longer_text_is_not_smaller(text: str, more: str) -> None:
    for wrap in (
        lambda text: Message("user", text),
        lambda text: Message("user", [Text(text)]),
        lambda text: ToolOutput("c", text),
        lambda text: ToolOutput(text, ""),
        lambda text: ToolCall(text, "f", ""),
        lambda text: ToolCall("c", "f", text),
        lambda text: Unknown({"role": "function", "content": text}, "chat"),
    ):
        assert_not_smaller(measure(Prompt([wrap(text + more)])), measure(Prompt([wrap(text)])))


@given(st.lists(texts, max_size=3), texts)
def test_one_more_text_to_embed_makes_nothing_smaller(inputs: list[str], text: str) -> None:
    assert_not_smaller(measure(EmbeddingRequest([*inputs, text])), measure(EmbeddingRequest(inputs)))


# --- by rule --------------------------------------------------------------------------------------


def grows_by(item: Item) -> int:
    return measure(Prompt([item])).bound - measure(Prompt([Message("user", [])])).bound


def test_a_picture_has_its_formulas_maximum_and_not_its_bytes() -> None:
    data = "data:image/png;base64," + "A" * 100_000

    assert grows_by(Message("user", [Image(data)])) == 48_169
    assert grows_by(Message("user", [Image(data, "low")])) == 16_384


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "image_url", "image_url": {"url": "U", "detail": "high"}, "cache_control": {"type": "x"}},
        {"type": "input_image", "image_url": "U", "detail": "auto", "odd": 1},
        {"type": "input_image", "file_id": "file-1"},
    ],
)
def test_a_picture_that_came_with_more_is_still_a_picture(raw: dict[str, Any]) -> None:
    if "image_url" in raw:
        long = "data:image/png;base64," + "A" * 100_000
        image = raw["image_url"]
        raw = {**raw, "image_url": {**image, "url": long} if isinstance(image, dict) else long}

    assert 48_169 <= grows_by(Message("user", [Unknown(raw, "chat")])) < 48_169 + 200


def test_sound_is_counted_by_its_length() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "A" * 128_000, "format": "mp3"}}

    assert 4_000 <= grows_by(Message("user", [Unknown(part, "chat")])) < 4_100


@pytest.mark.parametrize(
    "item",
    [
        Message("user", [Unknown({"type": "file", "file": {"file_id": "file-1"}}, "chat")]),
        Message("user", [Unknown({"type": "input_file", "file_url": "https://a.example/x.pdf"}, "responses")]),
        Message("user", [Unknown({"type": "video_url", "video_url": {"url": "https://a.example"}}, "chat")]),
        Message("assistant", "", {"audio": {"id": "audio_1"}}),
        Unknown({"type": "item_reference", "id": "msg_1"}, "responses"),
        Unknown({"type": "computer_call_output", "output": {}}, "responses"),
        Unknown({"role": "tool", "content": [{"type": "file", "file": {}}]}, "chat"),
        Unknown({"role": "assistant", "audio": {"id": "audio_1"}, "tool_calls": []}, "chat"),
    ],
)
def test_what_nobody_can_look_into_is_as_long_as_a_request_can_be(item: Item) -> None:
    assert grows_by(item) >= WINDOW
    assert measure(Prompt([item, item])).bound < 2 * WINDOW


def test_calls_and_outputs_count_where_they_say_more_than_ours_hold() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "x" * 900}}]}
    output = {"type": "function_call_output", "output": [{"type": "input_text", "text": "y" * 900}], "odd": 1}

    assert 2_700 <= grows_by(Unknown(call, "chat")) < 3_300
    assert 1_800 <= grows_by(Unknown(output, "responses")) < 2_300


def test_ids_and_choices_count_where_some_template_writes_them() -> None:
    assert grows_by(ToolOutput("c" * 500, "")) - grows_by(ToolOutput("", "")) == 500
    assert grows_by(ToolCall("c" * 500, "f", "")) - grows_by(ToolCall("", "f", "")) == 1_500
    allowed = {"type": "allowed_tools", "tools": [{"type": "function", "name": "f" * 900}]}
    assert measure(Prompt([], tool_choice=allowed)).bound > measure(Prompt([])).bound + 2_700


def test_tokens_to_embed_are_counted_as_they_are() -> None:
    assert measure(EmbeddingRequest([[1, 2, 3], [4]])).estimate == 4
    assert measure(EmbeddingRequest([[1] * 1000])).bound - measure(EmbeddingRequest([[]])).bound == 1000


# --- how it is counted ----------------------------------------------------------------------------


def test_a_very_long_text_that_is_not_ascii_is_not_looked_at() -> None:
    assert utf8_bytes("é" * (1 << 20)) == 2 << 20
    assert utf8_bytes("é" * ((1 << 20) + 1)) == 4 * ((1 << 20) + 1)
    assert utf8_bytes("e" * (2 << 20)) == 2 << 20


def test_half_of_a_character_is_counted_as_well() -> None:
    assert utf8_bytes("\ud800") == 3


@given(prompts | embeddings)
def test_texts_and_the_rest_are_all(request: Request) -> None:
    found, rest = texts_in(request)

    assert rest + sum(map(utf8_bytes, found)) == measure(request).bound


def test_a_turn_is_measured_once() -> None:
    turn = make_turn(text="hello")
    first = size_of(turn)
    turn.request = Prompt([Message("user", "a longer text than before")])

    assert size_of(turn) is first
    assert turn.size is first


FILES = [
    ("chat", lambda data: {"type": "file", "file": {"filename": "a.txt", "file_data": data}}),
    ("responses", lambda data: {"type": "input_file", "filename": "a.txt", "file_data": data}),
]


def grown_by_file(dialect: Any, part: Callable[[str], dict[str, Any]], data: str) -> int:
    return grows_by(Message("user", [Unknown(part(data), dialect)]))


@pytest.mark.parametrize(("dialect", "part"), FILES, ids=["chat", "responses"])
@given(texts, st.sampled_from(["text/plain", "text/csv;charset=utf-8", "application/json"]))
def test_a_file_of_words_is_as_long_as_its_words(dialect: str, part: Any, text: str, kind: str) -> None:
    data = f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"

    bound = grown_by_file(dialect, part, data)

    assert max(len(tokenizer.encode(text)) for tokenizer in TOKENIZERS) <= bound
    assert bound <= 2 * len(text.encode()) + 1_000


@pytest.mark.parametrize(("dialect", "part"), FILES, ids=["chat", "responses"])
@pytest.mark.parametrize(
    "data",
    [
        "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.4 all of it letters").decode(),
        "data:text/plain;base64," + base64.b64encode(b"\n\n%PDF-1.4").decode(),
        "data:text/plain,%25PDF-1.4",
        "data:application/zip;base64," + base64.b64encode(b"PK\xff\xfe").decode(),
        "data:audio/wav;base64," + base64.b64encode(b"RIFF").decode(),
    ],
)
def test_a_file_of_anything_else_is_as_long_as_a_request_can_be(dialect: str, part: Any, data: str) -> None:
    assert grown_by_file(dialect, part, data) >= WINDOW
