"""How large a request is, in tokens, for what must know it before a provider counts them. Nothing is tokenized.

Text is bounded by its UTF-8 bytes: each token of a byte-level BPE (OpenAI, Llama 3, Qwen) or of a SentencePiece
with byte fallback (Llama 2, Gemma, Mistral) is at least one of them. A tokenizer that first rewrites text (NFKC in
some embedding models) may pass that on the few characters that it takes apart. What else a request is made of:

    each message                16 tokens for what a chat template writes around it
    each tool                   3 for each byte of its JSON, however it is rendered, and 64
    tools at all                1,024 for what a provider says of tools
    calls                       3 for each byte of the arguments, which some templates write anew, and 64
    outputs of calls            2 for each byte: written as a JSON text, its quotes and line ends double
    a format                    as a tool
    a picture                   2,833 + 8 x 5,667 (OpenAI's tiles, of gpt-4o-mini, the most of all known formulas);
                                16,384 in low detail, which Qwen-VL on vLLM does not know
    sound                       1 for each 32 characters of base64, right from 8 kbit/s on at 32 tokens a second
    what we cannot look into    2,097,152 once: a file, a reference. No model served reads more than that at once
    all else that is carried    the bytes of its JSON

The walk costs some microseconds, whatever the length of ASCII texts; a million other characters cost a millisecond.
"""

from __future__ import annotations

from typing import Any, assert_never, cast

import msgspec

from frontdesk.turn.file_texts import text_bytes
from frontdesk.turn.items import (
    Compaction,
    EmbeddingRequest,
    Image,
    ImageRequest,
    Item,
    MediaRequest,
    Message,
    ModerationRequest,
    Part,
    Prompt,
    Reference,
    Request,
    SpeechRequest,
    Text,
    ToolCall,
    ToolOutput,
    TranscriptionRequest,
    Unknown,
)
from frontdesk.turn.media_sizes import HEARD_PER_S, HEARD_PER_S_ESTIMATE
from frontdesk.turn.recordings import duration_of
from frontdesk.turn.turn import Turn

BYTES_PER_TOKEN = 3
"""Of what is estimated: English has 4 and more, other languages 2 to 4."""

_A_REQUEST = 64
_A_MESSAGE = 16
_A_PART = 8
_A_TOOL = 64
_TOOLS = 1024
_RENDERED = 3  # a byte of JSON, written anew: é may become \u00e9
_QUOTED = 2
_PICTURE = 2833 + 8 * 5667
_PICTURE_LOW = 16_384
_PICTURE_ESTIMATE = 765  # OpenAI's figure for a square picture of 1,024 pixels in high detail
_BASE64_PER_SOUND = 32
_WINDOW = 2_097_152
_WINDOW_ESTIMATE = 2_000  # some pages
_MESSAGE_ESTIMATE = 4
_LONG_CHARS = 1 << 20
_UTF8_AT_MOST = 4

_encode = msgspec.json.Encoder().encode


class Size(msgspec.Struct, frozen=True, gc=False):
    """A request in tokens: no more than `bound`, whoever counts them, and about `estimate`."""

    bound: int
    estimate: int


def size_of(turn: Turn) -> Size:
    """The size of a turn's request, measured once."""
    if turn.size is None:
        turn.size = measure(turn.request)
    return turn.size


def measure(request: Request) -> Size:
    """Measure a request that has its instructions inside."""
    walk = _Walk(request)
    bound, estimate = walk.bound, walk.estimate
    for text in walk.texts:
        size = utf8_bytes(text)
        bound += size
        estimate += -(-size // BYTES_PER_TOKEN)
    return Size(bound, estimate)


def texts_in(request: Request) -> tuple[list[str], int]:
    """The texts of a request that a tokenizer may count, and the bound of all else."""
    walk = _Walk(request)
    return walk.texts, walk.bound


def utf8_bytes(text: str) -> int:
    """How many bytes a text has in UTF-8; of a very long one that is not ASCII, the most that it may have."""
    if text.isascii():
        return len(text)
    if len(text) > _LONG_CHARS:
        return len(text) * _UTF8_AT_MOST
    return len(text.encode("utf-8", "surrogatepass"))


class _Walk:
    """Once through a request: its plain texts, and bound and estimate of all else."""

    __slots__ = ("_has_unseen", "bound", "estimate", "texts")

    def __init__(self, request: Request) -> None:
        self.texts: list[str] = []
        self.bound = _A_REQUEST
        self.estimate = 0
        self._has_unseen = False
        if type(request) is Prompt:
            self._add_prompt(request)
        elif type(request) is EmbeddingRequest:
            self._add_inputs(request)
        else:
            self._add_media(cast("MediaRequest", request))

    def _add_prompt(self, prompt: Prompt) -> None:
        if prompt.instructions:
            self._add_message(prompt.instructions)
        for item in prompt.items:
            if type(item) is Message and type(item.content) is str and item.extra is None:
                self._add_message(item.content)  # nearly all are
            else:
                self._add_item(item)
        if prompt.tools:
            self._add(_TOOLS, 0)
            for tool in prompt.tools:
                self._add_definition(tool.definition)
        if isinstance(prompt.tool_choice, dict):
            self._add_definition(prompt.tool_choice)
        if prompt.format is not None:
            self._add_definition(prompt.format.definition)
        if prompt.parameters:
            self._add(len(_encode(prompt.parameters)), 0)

    def _add_inputs(self, request: EmbeddingRequest) -> None:
        for given in request.inputs:
            if isinstance(given, str):
                self.texts.append(given)
                self._add(_A_MESSAGE, 0)
            else:
                self._add(_A_MESSAGE + len(given), len(given))

    def _add_media(self, request: MediaRequest) -> None:
        match request:
            case ModerationRequest():
                for given in request.inputs:
                    self._add_part(Text(given) if isinstance(given, str) else given)
            case TranscriptionRequest():
                lasts = duration_of(request.audio.content)
                self._add(HEARD_PER_S * lasts.most, HEARD_PER_S_ESTIMATE * lasts.estimate)
                self.texts += [text for text in (request.prompt, request.language) if text]
            case SpeechRequest():
                self.texts += [text for text in (request.text, request.instructions) if text]
            case ImageRequest():
                self.texts += [request.prompt] if request.prompt else []
                for each in (*request.images, request.mask, request.markup):
                    if each is not None:
                        self._add_picture(None)
            case _:
                assert_never(request)
        if request.parameters:
            self._add(len(_encode(request.parameters)), 0)

    def _add_message(self, text: str) -> None:
        self.texts.append(text)
        self.bound += _A_MESSAGE
        self.estimate += _MESSAGE_ESTIMATE

    def _add_item(self, item: Item) -> None:
        self._add(_A_MESSAGE, _MESSAGE_ESTIMATE)
        match item:
            case Message():
                self._add_content(item.content)
                self._add_extra(item.extra)
            case ToolCall():
                self._add_rendered(sum(map(utf8_bytes, (item.call_id, item.name, item.arguments))))
            case ToolOutput():
                self._add(utf8_bytes(item.call_id), 0)
                self._add_output(item.output)
            case Reference() | Compaction():
                pass  # what it stands for is counted in its place
            case Unknown():
                self._add_raw_item(item)

    # --- content --------------------------------------------------------------------------------

    def _add_content(self, content: str | list[Part]) -> None:
        if isinstance(content, str):
            self.texts.append(content)
            return
        for part in content:
            self._add_part(part)

    def _add_part(self, part: Part) -> None:
        match part:
            case Text():
                self.texts.append(part.text)
                self._add(_A_PART, 0)
                if part.extra:
                    self._add_json(part.extra)
            case Image():
                self._add_picture(part.detail)
            case Unknown():
                self._add_raw_part(part.raw)

    def _add_output(self, output: str | list[Part]) -> None:
        for part in [Text(output)] if isinstance(output, str) else output:
            if isinstance(part, Text):
                size = utf8_bytes(part.text)
                self._add(_A_PART + _QUOTED * size, -(-size // BYTES_PER_TOKEN))
            else:
                self._add_part(part)

    def _add_picture(self, detail: object) -> None:
        self._add(_PICTURE_LOW if detail == "low" else _PICTURE, _PICTURE_ESTIMATE)

    def _add_extra(self, extra: dict[str, Any] | None) -> None:
        if not extra:
            return
        if extra.get("audio") is not None:  # an earlier answer's sound, by its id
            self._add_unseen()
        self._add_json(extra)

    # --- what came as it is ---------------------------------------------------------------------

    def _add_raw_item(self, item: Unknown) -> None:
        raw = item.raw
        if item.dialect == "responses" and raw.get("type") not in _KNOWN_ITEMS:
            self._add_unseen()
        rest = dict(raw)
        for field in ("content", "output"):
            if isinstance(parts := raw.get(field), list) and raw.get("type") != "reasoning":
                del rest[field]
                for part in cast("list[object]", parts):
                    self._add_raw_part(part)
        if rest.get("audio") is not None:
            self._add_unseen()
        self._add_rendered(len(_encode(rest)))

    def _add_raw_part(self, raw: object) -> None:
        self._add(_A_PART, 0)
        part = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        kind = part.get("type")
        if kind in _PICTURES:
            image = part.get("image_url")
            inner = cast("dict[str, Any]", image) if isinstance(image, dict) else {}
            self._add_picture(part.get("detail") or inner.get("detail"))
            rest = {name: value for name, value in part.items() if name != "image_url"}
            rest["image_url"] = {name: value for name, value in inner.items() if name != "url"}
            self._add_json(rest)
        elif kind == "input_audio":
            self._add_sound(len(_encode(part)))
        elif kind in _WORDS:
            self._add_quoted(len(_encode(part)))
        elif kind in _FILES and (size := _bytes_of_text_file(part)) is not None:
            self._add_quoted(size)
        else:
            self._add_unseen()
            self._add_json(cast("object", raw), is_estimated=False)

    # --- sums -----------------------------------------------------------------------------------

    def _add(self, bound: int, estimate: int) -> None:
        self.bound += bound
        self.estimate += estimate

    def _add_definition(self, definition: dict[str, Any]) -> None:
        self._add_rendered(len(_encode(definition)))

    def _add_rendered(self, size_bytes: int) -> None:
        self._add(_A_TOOL + _RENDERED * size_bytes, -(-size_bytes // BYTES_PER_TOKEN))

    def _add_quoted(self, size_bytes: int) -> None:
        self._add(_QUOTED * size_bytes, -(-size_bytes // BYTES_PER_TOKEN))

    def _add_json(self, value: object, *, is_estimated: bool = True) -> None:
        size = len(_encode(value))
        self._add(size, -(-size // BYTES_PER_TOKEN) if is_estimated else 0)

    def _add_sound(self, size_chars: int) -> None:
        tokens = -(-size_chars // _BASE64_PER_SOUND)
        self._add(_A_MESSAGE + tokens, tokens)

    def _add_unseen(self) -> None:
        if not self._has_unseen:
            self._has_unseen = True
            self._add(_WINDOW, _WINDOW_ESTIMATE)


_PICTURES = frozenset({"image_url", "input_image"})
_FILES = frozenset({"file", "input_file"})


def _bytes_of_text_file(part: dict[str, Any]) -> int | None:
    """How large a part is that brings a file of words; None where they are none, or lie elsewhere."""
    inner = part.get("file")
    fields = cast("dict[str, Any]", inner) if isinstance(inner, dict) else part
    content = fields.get("file_data")
    if not isinstance(content, str) or (size := text_bytes(content)) is None:
        return None
    return size + len(_encode(part)) - len(content)


_WORDS = frozenset({"text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
_KNOWN_ITEMS = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
    }
)
