"""What is asked: a request in one neutral form, in the vocabulary of OpenAI's Responses items.

`wire/` reads the callers' bytes into it, `providers/` write it in their dialect. What we decide
something about is typed; all else is carried in `extra` and `parameters`, untouched, under the
name that OpenAI's wire gives it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from frontdesk.core.errors import BadRequest


class Text(msgspec.Struct, frozen=True):
    """Words, of a person or of the model. `extra` is what else the wire's part said."""

    text: str
    extra: dict[str, Any] | None = None


class Image(msgspec.Struct, frozen=True):
    """A picture: an https URL or a data URL. `detail` is low, high, auto or absent."""

    url: str
    detail: str | None = None


class Unknown(msgspec.Struct, frozen=True):
    """A part or an item that we carry without reading it, in the spelling of `dialect`."""

    raw: dict[str, Any]
    dialect: Literal["chat", "responses"]


Part = Text | Image | Unknown


class Message(msgspec.Struct, frozen=True):
    """One message. `content` is plain text, or parts in order."""

    role: str
    content: str | list[Part]
    extra: dict[str, Any] | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model made. `arguments` is its text (JSON for a function, free for custom)."""

    call_id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"


class ToolOutput(msgspec.Struct, frozen=True):
    """What a call returned."""

    call_id: str
    output: str | list[Part]
    kind: Literal["function", "custom"] = "function"


class Reference(msgspec.Struct, frozen=True):
    """An item that is stored here, by its id. No provider sees one: the item is put in its place before."""

    id: str


class Compaction(msgspec.Struct, frozen=True):
    """What came before, made shorter and sealed by this server. No provider sees one: what it holds takes its place."""

    sealed: str


Item = Message | ToolCall | ToolOutput | Reference | Compaction | Unknown


def unresolved(item: Reference | Compaction) -> BadRequest:
    """Make the error for an item that a provider would see though it means something only here."""
    kind = "item_reference" if isinstance(item, Reference) else "compaction"
    return BadRequest(
        f"An item of type {kind!r} cannot be used here. Send the items themselves that it stands for.",
        code="unsupported_item",
        param="input",
    )


class Tool(msgspec.Struct, frozen=True):
    """A tool that the model may call. `definition` is flat, as in Responses, without `type`."""

    kind: str
    definition: dict[str, Any]


class Format(msgspec.Struct, frozen=True):
    """The shape that the answer must have. `definition` is flat: name, schema, strict, description."""

    kind: Literal["json_object", "json_schema"]
    definition: dict[str, Any]


class ConversationNamed(msgspec.Struct, frozen=True):
    """The conversation that a request goes on with: at its end, or behind the item `after`; None is its beginning.

    With `or_new` it begins where there is none: its id is one that a person's device has made. With a `version` it is
    gone on with only while it has that one: what is to be added was checked against it.
    """

    id: str
    after: str | msgspec.UnsetType | None = msgspec.UNSET
    or_new: bool = False
    version: int | None = None


SUMMARY_OPENS = "This is a summary of what was said earlier in this conversation"
"""How a message begins that stands for what is not there any more. It has the role of a user: whoever made the summary
could say what it holds, so it must not speak for the application.
"""


class Prompt(msgspec.Struct, frozen=True):
    """A request for an answer.

    `dialect` is what the caller spoke: a provider that speaks both answers in the same one.
    `items` are in order of the conversation. `tool_choice` is "none", "auto", "required" or
    {"type": ..., "name": ...} as in Responses. `parameters` hold all that we do not decide
    about, in the spelling of Chat Completions; a provider maps it, carries it or refuses it by name.
    `include` and `truncation` are Responses' own. `variables` are values for the feature's instructions. `previous` and
    `conversation` name what came before `items`; whoever asks a provider has put it in front of them. `answered` are
    the places of items that this server said itself, and put in: nobody needs leave to bring those.
    """

    items: list[Item]
    instructions: str | None = None
    tools: list[Tool] = []
    tool_choice: str | dict[str, Any] | None = None
    format: Format | None = None
    max_output_tokens: int | None = None
    reasoning_effort: str | None = None
    reasoning_summary: str | None = None
    verbosity: str | None = None
    choices: int = 1
    stream: bool = False
    include: frozenset[str] = frozenset()
    truncation: str | None = None
    parameters: dict[str, Any] = {}
    variables: dict[str, str] = {}
    dialect: Literal["chat", "responses"] = "chat"
    previous: str | None = None
    conversation: ConversationNamed | None = None
    answered: frozenset[int] = frozenset()


class EmbeddingRequest(msgspec.Struct, frozen=True):
    """A request for vectors: texts, or lists of token ids, in order. `parameters` are carried, as a prompt's."""

    inputs: list[str] | list[list[int]]
    dimensions: int | None = None
    stream: bool = False
    parameters: dict[str, Any] = {}


class ModerationRequest(msgspec.Struct, frozen=True):
    """A request for a judgement: of each of some texts, or of words and pictures together."""

    inputs: list[str] | list[Text | Image]
    stream: bool = False
    parameters: dict[str, Any] = {}


class Upload(msgspec.Struct, frozen=True):
    """A file that a request brought, with the name and type that it gave."""

    content: bytes
    filename: str
    media_type: str


TranscriptFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]
SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class TranscriptionRequest(msgspec.Struct, frozen=True):
    """A request for what is said in a recording: as it is said, or in English.

    `prompt` are words of the same kind, which say what to expect. `granularities` is what gets times of its own,
    `include` what is told besides. `parameters` are carried as the wire's form has them; a list is a repeated field.
    """

    audio: Upload
    task: Literal["transcribe", "translate"] = "transcribe"
    format: TranscriptFormat = "json"
    language: str | None = None
    prompt: str | None = None
    granularities: tuple[Literal["word", "segment"], ...] = ()
    include: tuple[str, ...] = ()
    stream: bool = False
    parameters: dict[str, Any] = {}


class SpeechRequest(msgspec.Struct, frozen=True):
    """A request to speak a text. `voice` is a name, or an object that holds an id. A stream is one of events."""

    text: str
    voice: str | dict[str, Any]
    format: SpeechFormat = "mp3"
    instructions: str | None = None
    stream: bool = False
    parameters: dict[str, Any] = {}


class ImageRequest(msgspec.Struct, frozen=True):
    """A request for `n` pictures: of a description, out of others (`images`), or like one.

    `mask` is where one may change, `markup` what is drawn over it as a hint. A stream tells of `partial_images` steps
    on the way.
    """

    operation: Literal["generate", "edit", "vary"]
    prompt: str | None = None
    images: tuple[Upload, ...] = ()
    mask: Upload | None = None
    markup: Upload | None = None
    n: int = 1
    size: str | None = None
    quality: str | None = None
    partial_images: int = 0
    stream: bool = False
    parameters: dict[str, Any] = {}


MediaRequest = ModerationRequest | TranscriptionRequest | SpeechRequest | ImageRequest
"""What is neither a chat nor vectors. Each is answered by events of its own."""
Request = Prompt | EmbeddingRequest | MediaRequest
