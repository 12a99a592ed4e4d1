"""docs/wire.md: what happens to each field of a request, and what the events of an answer are."""

from __future__ import annotations

import itertools
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from frontdesk.doors.openapi import FAILURES, STREAM_CODES
from frontdesk.wire import openai_answers
from frontdesk.wire.openai_chat_shapes import (
    CHAT_CALLS,
    CHAT_MESSAGES,
    CHAT_PARTS,
    CHAT_REFUSED,
    CHAT_TOOLS,
    ChatCompletionRequest,
    ChatPassed,
)
from frontdesk.wire.openai_embeddings import EmbeddingsAsked, EmbeddingsPassed
from frontdesk.wire.openai_images import (
    IMAGES_REFUSED,
    EditPassed,
    GenerationPassed,
    ImageEditAsked,
    ImageGenerationAsked,
    ImagesPassed,
    ImageVariationAsked,
)
from frontdesk.wire.openai_moderations import MODERATION_PARTS, ModerationsAsked
from frontdesk.wire.openai_responses_shapes import (
    CACHE_OPTIONS_REFUSED,
    CALL_REFUSED,
    ITEMS,
    PARTS,
    PROMPT_REFUSED,
    RESPONSES_REFUSED,
    TOOL_CHOICES,
    TOOL_REFUSED,
    TOOLS,
    ResponseRequest,
    ResponsesPassed,
)
from frontdesk.wire.openai_responses_socket import CREATION_REFUSED, CreationEnvelope
from frontdesk.wire.openai_speech import SpeechAsked, SpeechPassed
from frontdesk.wire.openai_transcripts import (
    TranscriptionAsked,
    TranscriptionPassed,
    TranslationAsked,
    TranslationPassed,
)
from frontdesk.wire.parameters import LeftOut
from frontdesk.wire.reading import Kinds, Refused, names_of

Json = dict[str, Any]
_HEAD = """\
# The wire, field by field

Written by `python -m tools.openapi --write` from the shapes that the server reads by; contract/openapi.json, which
every server has at `/openapi.json`, is made of the same. Why an answer is not always what each document of this field
says: [decision 6](../decisions/0006-which-document-we-follow.md).

Every field of OpenAI's is *read* (Frontdesk understands it, and tells the provider in its dialect), *passed on*
(checked, then told as it is), or *refused* by its name, with status 400 and the code `unsupported_parameter`. A few
say something of an earlier answer that no model reads; they are *left out*. Fields that are not OpenAI's are passed
on untouched. A value of the wrong type, or out of its range, is 400 `invalid_type` or `invalid_value`.
"""


def wire_page(document: Json) -> str:
    """Return the page."""
    schemas = document["components"]["schemas"]
    pages = (_chat(schemas), _responses(schemas), _embeddings(schemas), _media(schemas), _errors())
    return "\n".join([_HEAD, *itertools.chain.from_iterable(pages)])


def _chat(schemas: Json) -> Iterator[str]:
    yield "## Chat Completions\n"
    yield from _body(ChatCompletionRequest, ChatPassed, CHAT_REFUSED, schemas)
    yield from _kinds("### Messages", CHAT_MESSAGES, schemas)
    yield from _kinds("### Parts of a message", CHAT_PARTS, schemas)
    yield from _kinds("### Tool calls of earlier answers", CHAT_CALLS, schemas)
    yield from _kinds("### Tools", CHAT_TOOLS, schemas)
    yield "### Chunks\n"
    yield "A stream is of `data:` lines: chunks, then `[DONE]`. One that breaks off ends with an error body instead."
    yield "`reasoning_content` is what the model thought, or the summary of it."
    yield ""
    yield from _table(
        ("field", "type"),
        ((f"`{name}`", words) for name, words, _ in _fields(openai_answers.ChatCompletionChunk, schemas)),
    )


def _responses(schemas: Json) -> Iterator[str]:
    yield "## Responses\n"
    nested = {
        **{f"prompt.{name}": refused for name, refused in PROMPT_REFUSED.items()},
        **{f"prompt_cache_options.{name}": refused for name, refused in CACHE_OPTIONS_REFUSED.items()},
    }
    yield from _body(ResponseRequest, ResponsesPassed, {**RESPONSES_REFUSED, **nested}, schemas)
    yield from _kinds("### Items of `input`", ITEMS, schemas, ("all calls and outputs", CALL_REFUSED))
    yield from _kinds("### Parts of a message's content", PARTS, schemas)
    yield from _kinds("### Tools of a response", TOOLS, schemas, ("all", TOOL_REFUSED))
    yield from _kinds("### Objects of `tool_choice`", TOOL_CHOICES, schemas)
    yield "### Events\n"
    yield "Each is one `event:` and one `data:` line, in one write; `sequence_number` counts them from 0 without a gap."
    yield ""
    yield from _table(("event", "fields beside `type` and `sequence_number`", "when"), _events())
    yield "### Messages of a WebSocket\n"
    yield "One of the type `response.create` has the fields of a request, and these: [websockets.md](websockets.md)."
    yield ""
    _, own = msgspec.json.schema_components([CreationEnvelope], ref_template="{name}")
    yield from _body(CreationEnvelope, msgspec.Struct, CREATION_REFUSED, own)


def _embeddings(schemas: Json) -> Iterator[str]:
    yield "## Embeddings\n"
    yield from _body(EmbeddingsAsked, EmbeddingsPassed, {}, schemas)


def _media(schemas: Json) -> Iterator[str]:
    yield "## Moderations\n"
    yield from _body(ModerationsAsked, msgspec.Struct, {}, schemas)
    yield from _kinds("### Parts of `input`", MODERATION_PARTS, schemas)
    yield "## Transcriptions\n"
    yield "A form (`multipart/form-data`), as all that brings files: a list is `name[]` or `name`, sent repeatedly; a"
    yield "field of an object is `name[field]`."
    yield ""
    yield from _body(TranscriptionAsked, TranscriptionPassed, {}, schemas)
    yield "## Translations\n"
    yield from _body(TranslationAsked, TranslationPassed, {}, schemas)
    yield "## Speech\n"
    yield from _body(SpeechAsked, SpeechPassed, {}, schemas)
    yield "## Pictures\n"
    yield "### Generations\n"
    yield from _body(ImageGenerationAsked, GenerationPassed, IMAGES_REFUSED, schemas)
    yield "### Edits\n"
    yield "A form; `image` may come up to 16 times."
    yield ""
    yield from _body(ImageEditAsked, EditPassed, IMAGES_REFUSED, schemas)
    yield "### Variations\n"
    yield "A form."
    yield ""
    yield from _body(ImageVariationAsked, ImagesPassed, {}, schemas)


def _errors() -> Iterator[str]:
    yield "## Errors\n"
    yield 'OpenAI\'s body: `{"error": {"message", "type", "param", "code"}}`; `param` is the path of the wrong field.'
    yield ""
    yield from _table(
        ("status", "means", "codes"),
        (
            (str(status), failure.says, ", ".join(f"`{code}`" for code in failure.codes))
            for status, failure in FAILURES.items()
        ),
    )
    codes = ", ".join(f"`{code}`" for code in STREAM_CODES)
    yield f"Inside a stream of Chat Completions there may also be {codes}. A Response that fails has one of OpenAI's"
    yield "codes for that: `server_error`, `rate_limit_exceeded`, `invalid_prompt`, or a provider's about pictures."
    yield ""


# --- tables -------------------------------------------------------------------------------------


def _body(
    shape: type[msgspec.Struct], passed: type[msgspec.Struct], refused: Mapping[str, Refused], schemas: Json
) -> Iterator[str]:
    on = names_of(passed)
    rows = [
        (f"`{name}`", words, "passed on" if name.partition(".")[0] in on else "read")
        for name, words, _ in _fields(shape, schemas)
    ]
    rows += [(f"`{name}`", "", _refusal(field)) for name, field in refused.items()]
    yield from _table(("field", "type", "what happens"), rows)


def _refusal(field: Refused) -> str:
    harmless = [msgspec.json.encode(value).decode() for value in field.harmless if value is not None]
    unless = f" (except `{', '.join(harmless)}`)" if harmless else ""
    return f"refused{unless}: {field.remedy}"


def _kinds(
    title: str, kinds: Kinds, schemas: Json, refused: tuple[str, Mapping[str, Refused]] = ("", {})
) -> Iterator[str]:
    yield f"{title}\n"
    yield from _table((kinds.field, "field", "type", "what happens"), _kind_rows(kinds, schemas, *refused))


def _kind_rows(kinds: Kinds, schemas: Json, whose: str, refused: Mapping[str, Refused]) -> Iterator[tuple[str, ...]]:
    for kind, shape in kinds.shapes.items():
        for name, words, is_left_out in _fields(shape, schemas):
            if name != kinds.field:
                yield f"`{kind}`", f"`{name}`", words, "left out" if is_left_out else "read"
    for name, field in refused.items():
        yield whose, f"`{name}`", "", _refusal(field)
    by_remedy: dict[str, list[str]] = {}
    for kind, remedy in kinds.refused.items():
        by_remedy.setdefault(remedy, []).append(f"`{kind}`")
    for remedy, names in by_remedy.items():
        yield ", ".join(names), "", "", f"refused: {remedy}"
    yield "any other", "", "", "passed on, for providers that know it" if kinds.carries else "refused"


def _events() -> Iterator[tuple[str, ...]]:
    for event in typing.get_args(openai_answers.ResponseEvent):
        fields = [field.encode_name for field in msgspec.structs.fields(event) if field.name != "sequence_number"]
        yield f"`{event.__struct_config__.tag}`", ", ".join(f"`{name}`" for name in fields), event.__doc__ or ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield ""


# --- types in words -----------------------------------------------------------------------------


def _fields(shape: type[msgspec.Struct], schemas: Json, place: str = "") -> Iterator[tuple[str, str, bool]]:
    """Yield (path, type in words, whether it is left out) of each field, those of objects inside included."""
    properties = schemas[shape.__name__]["properties"]
    for field in msgspec.structs.fields(shape):
        name = place + field.encode_name
        inner = _only_shape(field.type)
        if inner is None:
            yield name, _words(properties[field.encode_name], schemas), LeftOut in _annotations(field.type)
        else:
            yield from _fields(inner, schemas, f"{name}.")


def _only_shape(kind: Any) -> type[msgspec.Struct] | None:
    """The shape of a field that holds one object and nothing else."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return None if kind.__struct_config__.tag is not None else kind
    options = [option for option in typing.get_args(kind) if option not in (type(None), msgspec.UnsetType)]
    is_optional = len(options) == 1 and typing.get_origin(kind) in (typing.Union, types.UnionType)
    return _only_shape(options[0]) if is_optional else None


def _annotations(kind: Any) -> list[Any]:
    own = list(getattr(kind, "__metadata__", ()))
    return own + [note for inner in typing.get_args(kind) for note in _annotations(inner)]


def _words(schema: Json, schemas: Json) -> str:
    """A JSON schema in words, without the null that every optional field may have."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _object(schemas[name], schemas)
    if "enum" in schema:
        return " or ".join(f"`{msgspec.json.encode(value).decode()}`" for value in schema["enum"])
    if "anyOf" in schema and "type" not in schema:
        return _options(schema["anyOf"], schemas)
    match schema.get("type"):
        case "string" if schema.get("format") == "binary":
            return "a file"
        case "string":
            return "text" + _bounds(schema, "minLength", "maxLength", " characters") + _pattern(schema)
        case "integer" | "number" as kind:
            return kind + _bounds(schema, "minimum", "maximum", "")
        case "boolean":
            return "true or false"
        case "array":
            items = _words(schema.get("items", {}), schemas)
            return f"list{_bounds(schema, 'minItems', 'maxItems', '')} of {items}"
        case "object":
            values = cast("Json | None", schema.get("additionalProperties"))
            of = f" of {_words(values, schemas)}" if values else ""
            return f"object{_bounds(schema, 'minProperties', 'maxProperties', ' pairs')}{of}"
        case _:
            return "anything"


def _options(options: list[Json], schemas: Json) -> str:
    kinds = [option for option in options if option.get("type") != "null"]
    if len(kinds) > 1 and all("$ref" in option or "not" in str(option) for option in kinds):
        return "objects, see below" if len(kinds) > 3 else " or ".join(_words(option, schemas) for option in kinds)
    return " or ".join(dict.fromkeys(_words(option, schemas) for option in kinds))


def _object(schema: Json, schemas: Json) -> str:
    names = [
        f"`{name}`: {_words(value, schemas)}" if name == "type" else f"`{name}`"
        for name, value in schema["properties"].items()
    ]
    return f"{{{', '.join(names)}}}"


def _bounds(schema: Json, least: str, most: str, unit: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is None and high is None:
        return ""
    if high is None:
        return f" ({low} or more{unit})"
    return f" (up to {high}{unit})" if low is None else f" ({low} to {high}{unit})"


_NO_LINE_BEHIND = r"(?!\n)"  # of a pattern, for Python: elsewhere "$" says it


def _pattern(schema: Json) -> str:
    if "pattern" not in schema:
        return ""
    return f" that matches `{schema['pattern'].removesuffix(_NO_LINE_BEHIND)}`"
