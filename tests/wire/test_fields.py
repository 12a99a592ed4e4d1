"""No field of OpenAI's is dropped in silence: each is read, passed on, or refused by its name.

What OpenAI's fields are, the installed SDK says: its parameter types are walked to the last field and value.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
import typing_extensions
from openai.types import (
    embedding_create_params,
    image_create_variation_params,
    image_edit_params,
    image_generate_params,
    moderation_create_params,
)
from openai.types.audio import speech_create_params, transcription_create_params, translation_create_params
from openai.types.chat import completion_create_params, completion_update_params
from openai.types.conversations import conversation_create_params, conversation_update_params, item_create_params
from openai.types.responses import input_token_count_params, response_compact_params, response_create_params

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import Reference
from frontdesk.wire import openai_chat_shapes as chat
from frontdesk.wire import openai_responses_shapes as responses
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_conversation_shapes import ConversationAsked, ConversationChanges, ItemsAsked
from frontdesk.wire.openai_embeddings import EmbeddingsAsked, read_embeddings
from frontdesk.wire.openai_images import IMAGES_REFUSED, ImageEditAsked, ImageGenerationAsked, ImageVariationAsked
from frontdesk.wire.openai_moderations import ModerationsAsked
from frontdesk.wire.openai_responses import read_compact, read_input_tokens, read_responses
from frontdesk.wire.openai_speech import SpeechAsked
from frontdesk.wire.openai_transcripts import TranscriptionAsked, TranslationAsked
from frontdesk.wire.reading import Kinds, Refused
from tests.wire.samples import notes_of, optional_fields, sample, smallest

REFUSED: dict[type[msgspec.Struct], Mapping[str, Refused]] = {
    chat.ChatCompletionRequest: chat.CHAT_REFUSED,
    responses.ResponseRequest: responses.RESPONSES_REFUSED,
    responses.InputTokensAsked: responses.INPUT_TOKENS_REFUSED,
    ItemsAsked: {"include": Refused("It stands in the query.")},
    **dict.fromkeys((ImageGenerationAsked, ImageEditAsked), IMAGES_REFUSED),
    responses.CacheOptions: responses.CACHE_OPTIONS_REFUSED,
    responses.PromptReference: responses.PROMPT_REFUSED,
    **dict.fromkeys((responses.FunctionTool, responses.CustomTool), responses.TOOL_REFUSED),
    **dict.fromkeys(
        (
            responses.FunctionCallItem,
            responses.FunctionCallOutputItem,
            responses.CustomToolCallItem,
            responses.CustomToolCallOutputItem,
        ),
        responses.CALL_REFUSED,
    ),
}

# --- what the SDK knows ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "shape"),
    [
        (completion_create_params.CompletionCreateParamsStreaming, chat.ChatCompletionRequest),
        (completion_create_params.CompletionCreateParamsNonStreaming, chat.ChatCompletionRequest),
        (response_create_params.ResponseCreateParamsStreaming, responses.ResponseRequest),
        (response_create_params.ResponseCreateParamsNonStreaming, responses.ResponseRequest),
        (embedding_create_params.EmbeddingCreateParams, EmbeddingsAsked),
        (moderation_create_params.ModerationCreateParams, ModerationsAsked),
        (transcription_create_params.TranscriptionCreateParamsStreaming, TranscriptionAsked),
        (transcription_create_params.TranscriptionCreateParamsNonStreaming, TranscriptionAsked),
        (translation_create_params.TranslationCreateParams, TranslationAsked),
        (speech_create_params.SpeechCreateParams, SpeechAsked),
        (image_generate_params.ImageGenerateParamsStreaming, ImageGenerationAsked),
        (image_generate_params.ImageGenerateParamsNonStreaming, ImageGenerationAsked),
        (image_edit_params.ImageEditParamsStreaming, ImageEditAsked),
        (image_edit_params.ImageEditParamsNonStreaming, ImageEditAsked),
        (image_create_variation_params.ImageCreateVariationParams, ImageVariationAsked),
        (input_token_count_params.InputTokenCountParams, responses.InputTokensAsked),
        (response_compact_params.ResponseCompactParams, responses.CompactAsked),
        (conversation_create_params.ConversationCreateParams, ConversationAsked),
        (conversation_update_params.ConversationUpdateParams, ConversationChanges),
        (item_create_params.ItemCreateParams, ItemsAsked),
        (completion_update_params.CompletionUpdateParams, chat.StoredChatChanges),
    ],
)
def test_every_field_and_value_of_the_sdk_is_known(params: Any, shape: type[msgspec.Struct]) -> None:
    assert list(unknown(params, shape, "", set())) == []


def test_the_walk_finds_what_is_missing() -> None:
    class Poorer(msgspec.Struct):
        messages: typing.Annotated[list[dict[str, Any]], Kinds("role", {"user": chat.ChatUserMessage})]
        verbosity: typing.Literal["low"] | None = None

    found = set(unknown(completion_create_params.CompletionCreateParamsNonStreaming, Poorer, "", set()))

    assert {"temperature", "messages[].role='system'", "verbosity='high'"} <= found
    assert "messages[].role='user'" not in found


def unknown(params: Any, shape: type[msgspec.Struct], path: str, seen: set[Any]) -> Iterator[str]:
    """Yield what the SDK's type has and our shape neither has nor refuses: a field, a kind, or a value."""
    if (params, shape) in seen:
        return
    seen.add((params, shape))
    ours = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    ours |= {str(shape.__struct_config__.tag_field): typing.Literal[shape.__struct_config__.tag]}
    for name, hint in typing_extensions.get_type_hints(params).items():
        place = f"{path}{name}"
        if name in REFUSED.get(shape, ()):
            continue
        if name not in ours:
            yield place
            continue
        for option in flat(hint):
            if isinstance(option, Value):
                if not takes(ours[name], option.value):
                    yield f"{place}={option.value!r}"
            elif is_params(option):
                yield from unknown_object(option, ours[name], f"{place}[]" if is_list(ours[name]) else place, seen)


def unknown_object(params: Any, ours: Any, path: str, seen: set[Any]) -> Iterator[str]:
    """Yield what is unknown of one kind of object that a field may hold."""
    hints = typing_extensions.get_type_hints(params)
    for kinds in (note for note in notes_of(ours) if isinstance(note, Kinds)):
        named = [option.value for option in flat(hints.get(kinds.field)) if isinstance(option, Value)]
        for kind in named or [kinds.default]:
            if kind in kinds.refused:
                continue
            if kind in kinds.shapes:
                yield from unknown(params, kinds.shapes[kind], f"{path}.", seen)
            else:
                yield f"{path}.{kinds.field}={kind!r}"
        return
    shapes = [option for option in flat(ours) if isinstance(option, type) and issubclass(option, msgspec.Struct)]
    if not shapes:  # an object that is carried as it is, such as a JSON schema
        assert any(typing.get_origin(option) is dict or option is Any for option in flat(ours)), path
        return
    tags = {shape.__struct_config__.tag: shape for shape in shapes}
    named = [option.value for option in flat(hints.get("type")) if isinstance(option, Value)]
    shape = shapes[0] if len(shapes) == 1 else tags.get(named[0])
    if shape is None:
        yield f"{path}.type={named[0]!r}"
    else:
        yield from unknown(params, shape, f"{path}.", seen)


class Value(typing.NamedTuple):
    """A value of an enumeration."""

    value: Any


def flat(hint: Any) -> list[Any]:
    """The options of a type: values, SDK parameters, shapes and other types; lists by what they hold."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return [Value(value) for value in inside]
    is_wrapper = origin in (typing.Union, types.UnionType, typing_extensions.Required, typing_extensions.NotRequired)
    if is_wrapper or (origin is not None and origin is not dict and origin is not typing.Annotated):
        return [option for each in inside for option in flat(each)]
    return flat(inside[0]) if origin is typing.Annotated else [hint]


def is_params(option: Any) -> bool:
    return typing_extensions.is_typeddict(option)


def is_list(kind: Any) -> bool:
    return typing.get_origin(kind) is list or any(is_list(inner) for inner in typing.get_args(kind))


def takes(kind: Any, value: Any) -> bool:
    """Whether a field of this type takes a value, alone or in a list."""
    for candidate in (value, [value]):
        try:
            msgspec.convert(candidate, kind)
        except msgspec.ValidationError:
            continue
        return True
    return False


# --- what we know, we do something with -----------------------------------------------------------

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
RESPONSE: dict[str, Any] = {"input": "x"}
EMBEDDING: dict[str, Any] = {"input": "x"}
NEEDS: dict[str, dict[str, Any]] = {"stream_options": {"stream": True}, "top_logprobs": {"logprobs": True}}


@pytest.mark.parametrize("name", [name for name, _ in optional_fields(chat.ChatCompletionRequest)])
def test_each_field_of_chat_completions_is_heard(name: str) -> None:
    given = sample(dict(optional_fields(chat.ChatCompletionRequest))[name])
    base = {**CHAT, **NEEDS.get(name, {})}

    assert read_chat(written({**base, name: told(name, given)})) != read_chat(written(base))


@pytest.mark.parametrize("name", [name for name, _ in optional_fields(responses.ResponseRequest)])
def test_each_field_of_responses_is_heard(name: str) -> None:
    given = sample(dict(optional_fields(responses.ResponseRequest))[name])
    base = {**RESPONSE, **({"stream": True} if name == "stream_options" else {})}

    assert read_responses(written({**base, name: told(name, given)})) != read_responses(written(base))


@pytest.mark.parametrize(
    ("shape", "read", "name"),
    [
        pytest.param(shape, read, name, id=f"{shape.__name__}.{name}")
        for shape, read in ((responses.InputTokensAsked, read_input_tokens), (responses.CompactAsked, read_compact))
        for name, _ in optional_fields(shape)
    ],
)
def test_each_field_beside_responses_is_heard(shape: type[msgspec.Struct], read: Any, name: str) -> None:
    given = sample(dict(optional_fields(shape))[name])

    assert read(written({**RESPONSE, name: told(name, given)})) != read(written(RESPONSE))


@pytest.mark.parametrize("name", [name for name, _ in optional_fields(EmbeddingsAsked)])
def test_each_field_of_embeddings_is_heard(name: str) -> None:
    given = sample(dict(optional_fields(EmbeddingsAsked))[name])

    assert read_embeddings(written({**EMBEDDING, name: told(name, given)})) != read_embeddings(written(EMBEDDING))


def told(name: str, given: Any) -> Any:
    """Some first values of enumerations are what is the default anyway."""
    return {
        "response_format": {"type": "json_object"},
        "text": {"verbosity": "low"},
        "encoding_format": "base64",
        "prompt": {"id": "x", "variables": {"a": "b"}},
        "input": "y",
        "store": False,
    }.get(name, 2 if name == "n" else given)


def parts_of(kinds: Kinds) -> list[Any]:
    return [
        pytest.param(shape, name, kind, id=f"{shape.__name__}.{name}")
        for shape in kinds.shapes.values()
        for name, kind in optional_fields(shape)
    ]


@pytest.mark.parametrize(("shape", "name", "kind"), parts_of(chat.CHAT_MESSAGES))
def test_each_field_of_a_chat_message_is_heard(shape: type[msgspec.Struct], name: str, kind: Any) -> None:
    assert_heard(lambda message: read_chat(written({"messages": [message]})).prompt.items, shape, name, kind)


@pytest.mark.parametrize(("shape", "name", "kind"), parts_of(chat.CHAT_PARTS))
def test_each_field_of_a_chat_part_is_heard(shape: type[msgspec.Struct], name: str, kind: Any) -> None:
    def read(part: Any) -> Any:
        return read_chat(written({"messages": [{"role": "user", "content": [part]}]})).prompt.items

    assert_heard(read, shape, name, kind)


@pytest.mark.parametrize(("shape", "name", "kind"), parts_of(responses.ITEMS))
def test_each_field_of_an_item_is_heard(shape: type[msgspec.Struct], name: str, kind: Any) -> None:
    assert_heard(lambda item: read_responses(written({"input": [item]})).prompt.items, shape, name, kind)


PICTURE_BY_URL = "InputImagePart.image_url"  # a picture needs it or an id: see test_openai_responses


@pytest.mark.parametrize(
    ("shape", "name", "kind"), [part for part in parts_of(responses.PARTS) if part.id != PICTURE_BY_URL]
)
def test_each_field_of_a_part_is_heard(shape: type[msgspec.Struct], name: str, kind: Any) -> None:
    def read(part: Any) -> Any:
        return read_responses(written({"input": [{"role": "user", "content": [part]}]})).prompt.items

    assert_heard(read, shape, name, kind)


@pytest.mark.parametrize(("shape", "name", "kind"), parts_of(responses.TOOLS))
def test_each_field_of_a_tool_is_heard(shape: type[msgspec.Struct], name: str, kind: Any) -> None:
    assert_heard(lambda tool: read_responses(written({**RESPONSE, "tools": [tool]})).prompt.tools, shape, name, kind)


def assert_heard(read: Any, shape: type[msgspec.Struct], name: str, kind: Any) -> None:
    base = smallest(shape)
    if shape is responses.InputImagePart:
        base["image_url"] = "https://x.example/a.png"

    assert read({**base, name: sample(kind)}) != read(base)


# --- what is not ours is carried ------------------------------------------------------------------


def test_strangers_are_carried_untouched() -> None:
    stranger = {"deep": [1, {"null": None}]}

    asked = read_chat(written({**CHAT, "top_k": 5, "vendor": stranger, "nothing": None}))
    spoken = read_responses(written({**RESPONSE, "top_k": 5, "vendor": stranger, "nothing": None}))
    embedded = read_embeddings(written({**EMBEDDING, "input_type": "query", "user": "u"}))

    assert asked.prompt.parameters == spoken.prompt.parameters == {"top_k": 5, "vendor": stranger}
    assert embedded.request.parameters == {"input_type": "query", "user": "u"}


# --- what is refused ------------------------------------------------------------------------------

MEANINGFUL: dict[str, Any] = {
    "prewarm": True,
    "async": True,
    "store": True,
    "background": True,
    "modalities": ["audio"],
}


def refusals(table: Mapping[str, Refused]) -> list[Any]:
    return [pytest.param(name, refused, id=name) for name, refused in table.items()]


@pytest.mark.parametrize(("name", "refused"), refusals(chat.CHAT_REFUSED))
def test_chat_completions_refuses_by_name(name: str, refused: Refused) -> None:
    assert_refused(lambda value: read_chat(written({**CHAT, name: value})), name, name, refused)


@pytest.mark.parametrize(("name", "refused"), refusals(responses.RESPONSES_REFUSED))
def test_responses_refuses_by_name(name: str, refused: Refused) -> None:
    assert_refused(lambda value: read_responses(written({**RESPONSE, name: value})), name, name, refused)


@pytest.mark.parametrize(("name", "refused"), refusals(responses.CACHE_OPTIONS_REFUSED))
def test_cache_options_are_refused_by_name(name: str, refused: Refused) -> None:
    def read(value: Any) -> Any:
        return read_responses(written({**RESPONSE, "prompt_cache_options": {name: value}}))

    assert_refused(read, name, f"prompt_cache_options.{name}", refused)


@pytest.mark.parametrize(("name", "refused"), refusals(responses.PROMPT_REFUSED))
def test_fields_of_a_prompt_are_refused_by_name(name: str, refused: Refused) -> None:
    def read(value: Any) -> Any:
        return read_responses(written({**RESPONSE, "prompt": {"id": "chat", name: value}}))

    assert_refused(read, name, f"prompt.{name}", refused)


@pytest.mark.parametrize(("name", "refused"), refusals(responses.TOOL_REFUSED))
@pytest.mark.parametrize("kind", ["function", "custom"])
def test_options_of_tools_are_refused_by_name(kind: str, name: str, refused: Refused) -> None:
    def read(value: Any) -> Any:
        return read_responses(written({**RESPONSE, "tools": [{"type": kind, "name": "f", name: value}]}))

    assert_refused(read, name, f"tools[0].{name}", refused)


@pytest.mark.parametrize(("name", "refused"), refusals(responses.CALL_REFUSED))
@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
    ],
    ids=lambda item: item["type"],
)
def test_options_of_calls_are_refused_by_name(item: dict[str, Any], name: str, refused: Refused) -> None:
    def read(value: Any) -> Any:
        return read_responses(written({"input": [{**item, name: value}]}))

    assert_refused(read, name, f"input[0].{name}", refused)


def assert_refused(read: Any, name: str, param: str, refused: Refused) -> None:
    for harmless in refused.harmless:
        read(harmless)
    with pytest.raises(BadRequest) as caught:
        read(MEANINGFUL.get(name, ["x"]))

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "unsupported_parameter", param)
    assert caught.value.message == f"{param!r} is not supported here. {refused.remedy}"


@pytest.mark.parametrize("kind", responses.TOOLS.refused)
def test_hosted_tools_are_refused_by_name(kind: str) -> None:
    for fields, param in (
        ({"tools": [{"type": "function", "name": "f"}, {"type": kind}]}, "tools[1].type"),
        ({"tool_choice": {"type": kind}}, "tool_choice.type"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": kind}]}},
            "tool_choice.tools[0].type",
        ),
    ):
        with pytest.raises(BadRequest) as caught:
            read_responses(written({**RESPONSE, **fields}))

        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
        assert repr(kind) in caught.value.message
        assert "run it yourself" in caught.value.message


@pytest.mark.parametrize(("kind", "remedy"), responses.ITEMS.refused.items())
def test_items_of_hosted_tools_are_refused_by_name(kind: str, remedy: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_responses(written({"input": [{"role": "user", "content": "x"}, {"type": kind, "id": "x"}]}))

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "input[1].type")
    assert caught.value.message == f"{kind!r} in 'input[1].type' is not supported here. {remedy}"


def test_a_reference_without_its_type_is_one() -> None:
    named = [{"id": "msg_1"}, {"id": "msg_1", "type": None}, {"id": "msg_1", "type": "item_reference"}]

    assert read_responses(written({"input": named})).prompt.items == [Reference("msg_1")] * 3


def written(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
