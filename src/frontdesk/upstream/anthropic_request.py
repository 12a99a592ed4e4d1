"""What a request of Anthropic's Messages API asks, and what is wrong with it, in the words of that API."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.providers.scripts import count_input
from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.upstream import anthropic_shapes as shapes
from frontdesk.upstream.anthropic_rules import check_beta, check_calls, check_sampling, check_thinking, unanswered
from frontdesk.upstream.anthropic_schemas import check_schema

_encode = msgspec.json.Encoder(order="deterministic").encode
NO_THREADS = "thread_unsupported_request"
"""The code of the error that tells a client to send its conversation whole."""
_MAX_MARKS = 4
_HOSTED_TOOL = re.compile(r"[a-z0-9_]+_\d{8}|mcp_toolset")
_REDACTED = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_"
"""With this in a prompt the provider's models think behind a curtain, so that clients can be tested."""


class Piece(NamedTuple):
    """A piece of a prompt as the cache sees it: what it is known by, its tokens, and how long a mark keeps it."""

    key: bytes
    tokens: int
    kept: Literal["5m", "1h"] | None


class Cited(NamedTuple):
    """A passage that an answer may cite, as the API tells where it stands."""

    location: dict[str, Any]


class MessagesRequest(NamedTuple):
    """A request, read. `thinks` is None where no thoughts are wanted."""

    prompt: Prompt
    model: str
    stream: bool
    pieces: list[Piece]
    cited: list[Cited]
    thinks: Literal["summarized", "omitted"] | None
    is_redacted: bool
    has_hosted_tools: bool


# --- reading ------------------------------------------------------------------------------------


def read_messages(raw: dict[str, Any], *, is_beta: bool) -> MessagesRequest:
    """Read what an answer is asked with; raises BadRequest."""
    check_beta(raw, is_beta=is_beta)
    shape = shapes.converted(raw, shapes.Create, "")
    if shape.thread is not None:
        raise BadRequest("thread: Threads are not kept here. Send the conversation.", code=NO_THREADS, param="thread")
    check_sampling(shape)
    parameters: dict[str, Any] = {"stop": shape.stop_sequences}
    return _read(raw, shape, shape.max_tokens, parameters, is_streaming=shape.stream is True)


def count_messages(raw: dict[str, Any], *, is_beta: bool) -> int:
    """Return the input tokens of what is asked; raises BadRequest."""
    check_beta(raw, is_beta=is_beta)
    return count_input(_read(raw, shapes.converted(raw, shapes.Counted, ""), None, {}, is_streaming=False).prompt)


def sealed(thoughts: str) -> str:
    """Return the signature of thoughts."""
    return base64.b64encode(thoughts.encode()).decode()


def _read(
    raw: dict[str, Any],
    shape: shapes.Counted,
    max_tokens: int | None,
    parameters: dict[str, Any],
    *,
    is_streaming: bool,
) -> MessagesRequest:
    reader = _Reader(shape, raw)
    reader.read()
    thinking = shape.thinking
    is_thinking = thinking is not None and thinking.type in ("enabled", "adaptive")
    check_thinking(shape, max_tokens)
    form = _format(shape)
    if form is not None and reader.cited:
        raise BadRequest("messages: Citations cannot be enabled when an output format is given.", param="messages")
    choice = shape.tool_choice
    if choice is not None and choice.disable_parallel_tool_use:
        parameters["parallel_tool_calls"] = False
    effort = shape.output_config and shape.output_config.effort
    prompt = Prompt(
        reader.items,
        reader.instructions,
        reader.tools,
        _tool_choice(choice),
        form,
        max_tokens,
        reasoning_effort=effort or "high" if is_thinking else "none",
        stream=is_streaming,
        include=frozenset({"reasoning.encrypted_content"} if is_thinking else ()),
        parameters=parameters,
    )
    return MessagesRequest(
        prompt,
        shape.model,
        is_streaming,
        reader.pieces,
        reader.cited,
        (thinking.display or "summarized") if thinking is not None and is_thinking else None,
        reader.is_redacted,
        reader.has_hosted_tools,
    )


class _Reader:
    """Walks through a request's blocks in the order in which the provider's cache does."""

    def __init__(self, shape: shapes.Counted, raw: dict[str, Any]) -> None:
        self._shape = shape
        self._raw = raw
        self._marks = 0
        self.items: list[Item] = []
        self.instructions: str | None = None
        self.tools: list[Tool] = []
        self.pieces: list[Piece] = []
        self.cited: list[Cited] = []
        self.is_redacted = False
        self.has_hosted_tools = False
        self._documents = 0
        self._search_results = 0

    def read(self) -> None:
        """Read tools, system and messages."""
        self._read_tools()
        self._read_system()
        messages = self._shape.messages
        if not messages:
            raise BadRequest("messages: at least one message is required", param="messages")
        if messages[0].role != "user":
            raise BadRequest('messages: first message must use the "user" role', param="messages.0.role")
        # Other thoughts, another choice of tools: what was cached of messages does not hold for them.
        settings = (self._raw.get("thinking"), self._raw.get("tool_choice"))
        self._add_piece(settings, [], None)
        awaited: list[str] = []
        known: set[str] = set()
        for place, message in enumerate(messages):
            blocks = self._read_message(message, place, is_last=place == len(messages) - 1)
            awaited = check_calls(blocks, message.role, awaited, known, place)
        if awaited:
            raise unanswered(awaited, len(messages) - 1)
        if self._shape.cache_control is not None:
            self._mark_last(self._shape.cache_control.ttl)
        if self._marks > _MAX_MARKS:
            raise BadRequest(
                f"A maximum of {_MAX_MARKS} blocks with cache_control may be provided. Found {self._marks}."
            )

    def _add_piece(self, value: Any, items: list[Item], mark: shapes.CacheControl | None) -> None:
        if mark is not None:
            self._marks += 1
        self.pieces.append(Piece(_encode(value), count_input(Prompt(items)), mark.ttl if mark else None))

    def _mark_last(self, kept: Literal["5m", "1h"]) -> None:
        self._marks += 1
        self.pieces[-1] = self.pieces[-1]._replace(kept=kept)

    def _read_tools(self) -> None:
        names: set[str] = set()
        for place, raw in enumerate(self._shape.tools or []):
            where = f"tools.{place}"
            kind = raw.get("type")
            if kind not in (None, "custom"):
                if not isinstance(kind, str) or _HOSTED_TOOL.fullmatch(kind) is None:
                    raise BadRequest(f"{where}: Input tag '{kind}' found using 'type' is none of the tools'.")
                self.has_hosted_tools = True
                mark = msgspec.convert(raw.get("cache_control"), shapes.CacheControl | None)
                self._add_piece(_without_mark(raw), [], mark)
                continue
            tool = shapes.converted(raw, shapes.Tool, f"{where}.custom")
            if tool.name in names:
                raise BadRequest("tools: Tool names must be unique.", param="tools")
            names.add(tool.name)
            if tool.input_schema.get("type") != "object":
                raise BadRequest(f"{where}.custom.input_schema.type: Input should be 'object'", param=where)
            if tool.strict:
                check_schema(tool.input_schema, f"{where}.custom")
            definition = {"name": tool.name, "parameters": tool.input_schema}
            self.tools.append(Tool("function", definition))
            self._add_piece(_without_mark(raw), [], tool.cache_control)
        choice = self._shape.tool_choice
        if choice is None:
            return
        if not self._shape.tools:
            raise BadRequest(
                "tool_choice: tool_choice may only be specified while providing tools", param="tool_choice"
            )
        if choice.type == "tool" and choice.name not in names:
            raise BadRequest(f"tool_choice: Tool '{choice.name}' not found in provided tools", param="tool_choice")

    def _read_system(self) -> None:
        system = self._shape.system
        if system is None:
            return
        blocks = [shapes.Text(type="text", text=system)] if isinstance(system, str) else system
        for place, block in enumerate(blocks):
            if not block.text.strip():
                raise BadRequest("system: text content blocks must be non-empty", param=f"system.{place}")
            self._add_piece(block.text, [Message("system", block.text)], block.cache_control)
        self.instructions = "\n\n".join(block.text for block in blocks) or None

    def _read_message(self, message: shapes.Message, place: int, *, is_last: bool) -> list[shapes.Strict]:
        where = f"messages.{place}"
        raws = message.content
        if isinstance(raws, str):
            raws = [{"type": "text", "text": raws}] if raws or not is_last else []
        if not raws and not (is_last and message.role == "assistant"):
            raise BadRequest(f"{where}: all messages must have non-empty content except for the optional final"
                             " assistant message", param=where)  # fmt: skip
        blocks: list[shapes.Strict] = []
        parts: list[Part] = []
        for position, raw in enumerate(raws):
            at = f"{where}.content.{position}"
            block = _read_block(raw, message.role, at)
            if block is not None:
                blocks.append(block)
            before = len(self.items)
            self._add_block(block, message.role, parts, at)
            made = self.items[before:] or ([Message(message.role, [parts[-1]])] if _is_part(block) else [])
            mark: shapes.CacheControl | None = getattr(block, "cache_control", None)
            if mark is not None and mark.ttl == "1h" and any(piece.kept == "5m" for piece in self.pieces):
                raise BadRequest(
                    f"{at}.{raw.get('type')}.cache_control.ttl: a ttl='1h' cache_control block must not come after a"
                    " ttl='5m' cache_control block",
                    param=at,
                )
            self._add_piece((message.role, _without_mark(raw)), made, mark)
        self._flush(message.role, parts)
        if is_last and message.role == "assistant" and raws and str(raws[-1].get("text", "x"))[-1:].isspace():
            raise BadRequest("messages: final assistant content cannot end with trailing whitespace", param=where)
        return blocks

    def _add_block(self, block: shapes.Strict | None, role: str, parts: list[Part], at: str) -> None:
        match block:
            case shapes.Text():
                if not block.text.strip():
                    raise BadRequest("messages: text content blocks must be non-empty", param=at)
                self.is_redacted = self.is_redacted or _REDACTED in block.text
                parts.append(Text(block.text))
            case shapes.ToolUse():
                self._flush(role, parts)
                self.items.append(ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode()))
            case shapes.ToolResult():
                self._flush(role, parts)
                self.items.append(ToolOutput(block.tool_use_id, self._result(block, at)))
            case shapes.Thinking() | shapes.RedactedThinking() | None:
                pass  # nothing that a script would answer to
            case shapes.Image():
                parts.append(_image(block, f"{at}.image"))
            case _:
                parts.append(self._file(block, at))

    def _flush(self, role: str, parts: list[Part]) -> None:
        if parts:
            text = parts[0].text if len(parts) == 1 and isinstance(parts[0], Text) else None
            self.items.append(Message(role, text if text is not None else list(parts)))
            parts.clear()

    def _result(self, result: shapes.ToolResult, at: str) -> str | list[Part]:
        if isinstance(result.content, str):
            return result.content
        parts: list[Part] = []
        for place, raw in enumerate(result.content):
            inside = f"{at}.tool_result.content.{place}"
            kind = raw.get("type")
            if not isinstance(kind, str) or kind not in shapes.IN_RESULT:
                raise _strange_tag(inside, kind, shapes.IN_RESULT)
            block = _read_block(raw, "user", inside) if kind in shapes.BLOCKS else None
            match block:
                case None:
                    parts.append(Unknown({"type": kind}, "chat"))
                case shapes.Text():
                    parts.append(Text(block.text))
                case shapes.Image():
                    parts.append(_image(block, f"{inside}.image"))
                case _:
                    parts.append(self._file(block, inside))
        return parts

    def _file(self, block: shapes.Strict, at: str) -> Part:
        """A document or what a search found; an answer may cite it where it may be cited."""
        if isinstance(block, shapes.SearchResult):
            if block.citations is not None and block.citations.enabled and block.content:
                self.cited.append(_cited_result(block, self._search_results))
            self._search_results += 1
            return Unknown({"type": "search_result"}, "chat")
        assert isinstance(block, shapes.Document)
        source = _read_source(block.source, "document", f"{at}.document")
        if block.citations is not None and block.citations.enabled:
            location = _cited_document(block, source, self._documents)
            if location is not None:
                self.cited.append(Cited(location))
        self._documents += 1
        return Unknown({"type": "document"}, "chat")


def _is_part(block: shapes.Strict | None) -> bool:
    return isinstance(block, shapes.Text | shapes.Image | shapes.Document | shapes.SearchResult)


def _without_mark(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name != "cache_control"}


def _read_block(raw: dict[str, Any], role: str, where: str) -> shapes.Strict | None:
    kind = raw.get("type")
    known = shapes.IN_ASSISTANT if role == "assistant" else shapes.IN_USER if role == "user" else frozenset({"text"})
    if not isinstance(kind, str) or (kind not in shapes.BLOCKS and kind not in shapes.HOSTED_BLOCKS):
        raise _strange_tag(where, kind, known)
    if kind in shapes.HOSTED_BLOCKS:
        return None
    if kind not in known:
        raise BadRequest(f"{where}: '{kind}' blocks are not permitted in {role} messages", param=where)
    fields = {name: value for name, value in raw.items() if value is not None}
    block = shapes.converted(fields, shapes.BLOCKS[kind], f"{where}.{kind}")
    if (
        isinstance(block, shapes.Thinking)
        and block.signature != sealed(block.thinking)
        and not (block.thinking == "" and _is_base64(block.signature))
    ):
        raise BadRequest(f"{where}: Invalid `signature` in `thinking` block", param=where)
    return block


def _strange_tag(where: str, kind: Any, known: frozenset[str]) -> BadRequest:
    if kind is None:
        return BadRequest(f"{where}.type: Field required", param=f"{where}.type")
    tags = ", ".join(f"'{tag}'" for tag in sorted(known))
    return BadRequest(
        f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}", param=where
    )


def _read_source(raw: dict[str, Any], kind: str, where: str) -> shapes.Strict:
    known = shapes.SOURCES[kind]
    tag = raw.get("type")
    if not isinstance(tag, str) or tag not in known:
        raise _strange_tag(f"{where}.source", tag, frozenset(known))
    source = shapes.converted(raw, known[tag], f"{where}.source.{tag}")
    if isinstance(source, shapes.Base64Source):
        if source.media_type not in shapes.MEDIA_TYPES[kind]:
            types = " or ".join(f"'{each}'" for each in sorted(shapes.MEDIA_TYPES[kind]))
            raise BadRequest(f"{where}.source.base64.media_type: Input should be {types}", param=where)
        if not source.data or not _is_base64(source.data):
            raise BadRequest(f"{where}.source.base64.data: The file is no valid base64", param=where)
    if isinstance(source, shapes.UrlSource) and not source.url.startswith("https://"):
        raise BadRequest(f"{where}.source.url.url: Only HTTPS URLs are supported.", param=where)
    return source


def _image(block: shapes.Image, where: str) -> Image:
    source = _read_source(block.source, "image", where)
    match source:
        case shapes.UrlSource():
            return Image(source.url)
        case shapes.Base64Source():
            return Image(f"data:{source.media_type};base64,{source.data}")
        case _:
            return Image("file:")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _format(shape: shapes.Counted) -> Format | None:
    newer = None if shape.output_config is None else shape.output_config.format
    if newer is not None and shape.output_format is not None:
        raise BadRequest("output_format: Cannot be given together with 'output_config.format'", param="output_format")
    form = newer or shape.output_format
    if form is None:
        return None
    check_schema(form.schema, "output_format.schema" if newer is None else "output_config.format.schema")
    return Format("json_schema", {"name": "output", "schema": form.schema})


def _tool_choice(choice: shapes.ToolChoice | None) -> str | dict[str, Any] | None:
    match None if choice is None else choice.type:
        case "any":
            return "required"
        case "tool":
            return {"type": "function", "name": choice and choice.name}
        case kind:
            return kind


# --- citations ----------------------------------------------------------------------------------


def _cited_document(block: shapes.Document, source: shapes.Strict, index: int) -> dict[str, Any] | None:
    """The first passage of a document. What is inside of a PDF is not read, so none of it is cited."""
    common = {"document_index": index, "document_title": block.title, "file_id": None}
    if isinstance(source, shapes.TextSource) and source.data:
        passage = re.match(r"[^.!?\n]*[.!?\n]?\s*", source.data)
        text = passage[0] if passage else source.data
        return {
            "type": "char_location",
            "cited_text": text,
            **common,
            "start_char_index": 0,
            "end_char_index": len(text),
        }
    if not isinstance(source, shapes.ContentSource):
        return None
    content = source.content
    text = content if isinstance(content, str) else next(_texts(content), None)
    if text is None:
        return None
    return {
        "type": "content_block_location",
        "cited_text": text,
        **common,
        "start_block_index": 0,
        "end_block_index": 1,
    }


def _texts(blocks: list[dict[str, Any]]) -> Iterator[str]:
    return (str(block["text"]) for block in blocks[:1] if block.get("type") == "text")


def _cited_result(block: shapes.SearchResult, index: int) -> Cited:
    return Cited(
        {
            "type": "search_result_location",
            "cited_text": block.content[0].text,
            "search_result_index": index,
            "source": block.source,
            "title": block.title,
            "start_block_index": 0,
            "end_block_index": 1,
        }
    )
