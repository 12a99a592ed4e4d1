"""What a request of Anthropic's Messages API asks, and what is wrong with it, in the words of that API.

Shapes: the types of Anthropic's Python package, 2.12. Every field that it knows is read or taken; one that it
does not know is refused, as the provider does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.providers.scripts import count_input
from frontdesk.turn.items import Format, Image, Item, Message, Part, Prompt, Text, Tool, ToolCall, ToolOutput, Unknown
from frontdesk.upstream.anthropic_schemas import check_schema

_encode = msgspec.json.Encoder(order="deterministic").encode
NO_THREADS = "thread_unsupported_request"
"""The code of the error that tells a client to send its conversation whole."""
_MAX_MARKS = 4
_LEAST_THOUGHT_TOKENS = 1024
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


# --- shapes -------------------------------------------------------------------------------------


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    pass


class _CacheControl(_Strict, kw_only=True):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class _Citations(_Strict, kw_only=True):
    enabled: bool = False


class _Block(_Strict, kw_only=True):
    type: str
    cache_control: _CacheControl | None = None


class _Text(_Block, kw_only=True):
    text: str
    citations: list[dict[str, Any]] | None = None


class _Image(_Block, kw_only=True):
    source: dict[str, Any]
    transformations: dict[str, Any] | None = None


class _Document(_Block, kw_only=True):
    source: dict[str, Any]
    citations: _Citations | None = None
    context: str | None = None
    title: str | None = None


class _SearchResult(_Block, kw_only=True):
    content: list[_Text]
    source: str
    title: str
    citations: _Citations | None = None


class _ToolUse(_Block, kw_only=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


class _ToolResult(_Block, kw_only=True):
    tool_use_id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
    content: str | list[dict[str, Any]] = ""
    is_error: bool = False
    toolset_name: str | None = None


class _Thinking(_Strict, kw_only=True):
    type: str
    thinking: str
    signature: str


class _RedactedThinking(_Strict, kw_only=True):
    type: str
    data: str


class _Base64Source(_Strict, kw_only=True):
    type: str
    data: str
    media_type: str


class _TextSource(_Strict, kw_only=True):
    type: str
    data: str
    media_type: Literal["text/plain"]


class _UrlSource(_Strict, kw_only=True):
    type: str
    url: str


class _FileSource(_Strict, kw_only=True):
    type: str
    file_id: str


class _ContentSource(_Strict, kw_only=True):
    type: str
    content: str | list[dict[str, Any]]


class _Message(_Strict, kw_only=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class _Tool(_Strict, kw_only=True):
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: _CacheControl | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class _ToolChoice(_Strict, kw_only=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _ThinkingConfig(_Strict, kw_only=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class _JsonFormat(_Strict, kw_only=True):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class _OutputConfig(_Strict, kw_only=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _JsonFormat | None = None


class _Metadata(_Strict, kw_only=True):
    user_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class _Counted(_Strict, kw_only=True):
    """What both an answer and a count of tokens are asked with."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: list[_Message]
    system: str | list[_Text] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _ThinkingConfig | None = None
    output_config: _OutputConfig | None = None
    output_format: _JsonFormat | None = None
    cache_control: _CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    context_management: dict[str, Any] | None = None
    compaction: dict[str, Any] | None = None


class _Create(_Counted, kw_only=True):
    max_tokens: Annotated[int, msgspec.Meta(ge=0)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    metadata: _Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    container: Any = None
    diagnostics: dict[str, Any] | None = None
    inference_geo: str | None = None
    thread: Any = None
    fallbacks: Any = None
    fallback_credit_token: Any = None
    billing_policy: Any = None


_BLOCKS: dict[str, type[_Strict]] = {
    "text": _Text,
    "image": _Image,
    "document": _Document,
    "search_result": _SearchResult,
    "tool_use": _ToolUse,
    "tool_result": _ToolResult,
    "thinking": _Thinking,
    "redacted_thinking": _RedactedThinking,
}
# Made by tools that the provider runs; they come back in a conversation's history.
_HOSTED_BLOCKS = frozenset(
    {
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
        "mcp_tool_use",
        "mcp_tool_result",
        "compaction",
    }
)
_IN_ASSISTANT = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})
_IN_USER = frozenset({"text", "image", "document", "search_result", "tool_result"})
_IN_RESULT = frozenset({"text", "image", "document", "search_result", "tool_reference", "browser_state"})
_SOURCES: dict[str, dict[str, type[_Strict]]] = {
    "image": {"base64": _Base64Source, "url": _UrlSource, "file": _FileSource},
    "document": {
        "base64": _Base64Source,
        "text": _TextSource,
        "url": _UrlSource,
        "file": _FileSource,
        "content": _ContentSource,
    },
}
_MEDIA_TYPES = {
    "image": frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
    "document": frozenset({"application/pdf"}),
}
# Taken only of clients that name a beta in their headers.
_IN_BETA = (
    "output_format",
    "mcp_servers",
    "context_management",
    "compaction",
    "thread",
    "fallbacks",
    "fallback_credit_token",
    "billing_policy",
)
_HOSTED_TOOL = re.compile(r"[a-z0-9_]+_\d{8}|mcp_toolset")


# --- reading ------------------------------------------------------------------------------------


def read_messages(raw: dict[str, Any], *, is_beta: bool) -> MessagesRequest:
    """Read what an answer is asked with; raises BadRequest."""
    _check_beta(raw, is_beta=is_beta)
    shape = _converted(raw, _Create, "")
    if shape.thread is not None:
        raise BadRequest("thread: Threads are not kept here. Send the conversation.", code=NO_THREADS, param="thread")
    _check_sampling(shape)
    parameters: dict[str, Any] = {"stop": shape.stop_sequences}
    return _read(raw, shape, shape.max_tokens, parameters, is_streaming=shape.stream is True)


def count_messages(raw: dict[str, Any], *, is_beta: bool) -> int:
    """Return the input tokens of what is asked; raises BadRequest."""
    _check_beta(raw, is_beta=is_beta)
    return count_input(_read(raw, _converted(raw, _Counted, ""), None, {}, is_streaming=False).prompt)


def sealed(thoughts: str) -> str:
    """Return the signature of thoughts."""
    return base64.b64encode(thoughts.encode()).decode()


def _read(
    raw: dict[str, Any],
    shape: _Counted,
    max_tokens: int | None,
    parameters: dict[str, Any],
    *,
    is_streaming: bool,
) -> MessagesRequest:
    reader = _Reader(shape, raw)
    reader.read()
    thinking = shape.thinking
    is_thinking = thinking is not None and thinking.type in ("enabled", "adaptive")
    _check_thinking(shape, max_tokens)
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

    def __init__(self, shape: _Counted, raw: dict[str, Any]) -> None:
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
            awaited = _check_calls(blocks, message.role, awaited, known, place)
        if awaited:
            raise _unanswered(awaited, len(messages) - 1)
        if self._shape.cache_control is not None:
            self._mark_last(self._shape.cache_control.ttl)
        if self._marks > _MAX_MARKS:
            raise BadRequest(
                f"A maximum of {_MAX_MARKS} blocks with cache_control may be provided. Found {self._marks}."
            )

    def _add_piece(self, value: Any, items: list[Item], mark: _CacheControl | None) -> None:
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
                mark = msgspec.convert(raw.get("cache_control"), _CacheControl | None)
                self._add_piece(_without_mark(raw), [], mark)
                continue
            tool = _converted(raw, _Tool, f"{where}.custom")
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
        blocks = [_Text(type="text", text=system)] if isinstance(system, str) else system
        for place, block in enumerate(blocks):
            if not block.text.strip():
                raise BadRequest("system: text content blocks must be non-empty", param=f"system.{place}")
            self._add_piece(block.text, [Message("system", block.text)], block.cache_control)
        self.instructions = "\n\n".join(block.text for block in blocks) or None

    def _read_message(self, message: _Message, place: int, *, is_last: bool) -> list[_Strict]:
        where = f"messages.{place}"
        raws = message.content
        if isinstance(raws, str):
            raws = [{"type": "text", "text": raws}] if raws or not is_last else []
        if not raws and not (is_last and message.role == "assistant"):
            raise BadRequest(f"{where}: all messages must have non-empty content except for the optional final"
                             " assistant message", param=where)  # fmt: skip
        blocks: list[_Strict] = []
        parts: list[Part] = []
        for position, raw in enumerate(raws):
            at = f"{where}.content.{position}"
            block = _read_block(raw, message.role, at)
            if block is not None:
                blocks.append(block)
            before = len(self.items)
            self._add_block(block, message.role, parts, at)
            made = self.items[before:] or ([Message(message.role, [parts[-1]])] if _is_part(block) else [])
            mark: _CacheControl | None = getattr(block, "cache_control", None)
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

    def _add_block(self, block: _Strict | None, role: str, parts: list[Part], at: str) -> None:
        match block:
            case _Text():
                if not block.text.strip():
                    raise BadRequest("messages: text content blocks must be non-empty", param=at)
                self.is_redacted = self.is_redacted or _REDACTED in block.text
                parts.append(Text(block.text))
            case _ToolUse():
                self._flush(role, parts)
                self.items.append(ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode()))
            case _ToolResult():
                self._flush(role, parts)
                self.items.append(ToolOutput(block.tool_use_id, self._result(block, at)))
            case _Thinking() | _RedactedThinking() | None:
                pass  # nothing that a script would answer to
            case _Image():
                parts.append(_image(block, f"{at}.image"))
            case _:
                parts.append(self._file(block, at))

    def _flush(self, role: str, parts: list[Part]) -> None:
        if parts:
            text = parts[0].text if len(parts) == 1 and isinstance(parts[0], Text) else None
            self.items.append(Message(role, text if text is not None else list(parts)))
            parts.clear()

    def _result(self, result: _ToolResult, at: str) -> str | list[Part]:
        if isinstance(result.content, str):
            return result.content
        parts: list[Part] = []
        for place, raw in enumerate(result.content):
            inside = f"{at}.tool_result.content.{place}"
            kind = raw.get("type")
            if not isinstance(kind, str) or kind not in _IN_RESULT:
                raise _strange_tag(inside, kind, _IN_RESULT)
            block = _read_block(raw, "user", inside) if kind in _BLOCKS else None
            match block:
                case None:
                    parts.append(Unknown({"type": kind}, "chat"))
                case _Text():
                    parts.append(Text(block.text))
                case _Image():
                    parts.append(_image(block, f"{inside}.image"))
                case _:
                    parts.append(self._file(block, inside))
        return parts

    def _file(self, block: _Strict, at: str) -> Part:
        """A document or what a search found; an answer may cite it where it may be cited."""
        if isinstance(block, _SearchResult):
            if block.citations is not None and block.citations.enabled and block.content:
                self.cited.append(_cited_result(block, self._search_results))
            self._search_results += 1
            return Unknown({"type": "search_result"}, "chat")
        assert isinstance(block, _Document)
        source = _read_source(block.source, "document", f"{at}.document")
        if block.citations is not None and block.citations.enabled:
            location = _cited_document(block, source, self._documents)
            if location is not None:
                self.cited.append(Cited(location))
        self._documents += 1
        return Unknown({"type": "document"}, "chat")


def _is_part(block: _Strict | None) -> bool:
    return isinstance(block, _Text | _Image | _Document | _SearchResult)


def _without_mark(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name != "cache_control"}


def _read_block(raw: dict[str, Any], role: str, where: str) -> _Strict | None:
    kind = raw.get("type")
    known = _IN_ASSISTANT if role == "assistant" else _IN_USER if role == "user" else frozenset({"text"})
    if not isinstance(kind, str) or (kind not in _BLOCKS and kind not in _HOSTED_BLOCKS):
        raise _strange_tag(where, kind, known)
    if kind in _HOSTED_BLOCKS:
        return None
    if kind not in known:
        raise BadRequest(f"{where}: '{kind}' blocks are not permitted in {role} messages", param=where)
    fields = {name: value for name, value in raw.items() if value is not None}
    block = _converted(fields, _BLOCKS[kind], f"{where}.{kind}")
    if (
        isinstance(block, _Thinking)
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


def _read_source(raw: dict[str, Any], kind: str, where: str) -> _Strict:
    shapes = _SOURCES[kind]
    tag = raw.get("type")
    if not isinstance(tag, str) or tag not in shapes:
        raise _strange_tag(f"{where}.source", tag, frozenset(shapes))
    source = _converted(raw, shapes[tag], f"{where}.source.{tag}")
    if isinstance(source, _Base64Source):
        if source.media_type not in _MEDIA_TYPES[kind]:
            known = " or ".join(f"'{each}'" for each in sorted(_MEDIA_TYPES[kind]))
            raise BadRequest(f"{where}.source.base64.media_type: Input should be {known}", param=where)
        if not source.data or not _is_base64(source.data):
            raise BadRequest(f"{where}.source.base64.data: The file is no valid base64", param=where)
    if isinstance(source, _UrlSource) and not source.url.startswith("https://"):
        raise BadRequest(f"{where}.source.url.url: Only HTTPS URLs are supported.", param=where)
    return source


def _image(block: _Image, where: str) -> Image:
    source = _read_source(block.source, "image", where)
    match source:
        case _UrlSource():
            return Image(source.url)
        case _Base64Source():
            return Image(f"data:{source.media_type};base64,{source.data}")
        case _:
            return Image("file:")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _check_beta(raw: dict[str, Any], *, is_beta: bool) -> None:
    for name in _IN_BETA:
        if not is_beta and raw.get(name) is not None:
            raise BadRequest(f"{name}: Extra inputs are not permitted", param=name)


# --- rules --------------------------------------------------------------------------------------


def _check_sampling(shape: _Create) -> None:
    if shape.temperature is not None and shape.top_p is not None:
        raise BadRequest(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.", param="top_p"
        )
    if any(not stop.strip() for stop in shape.stop_sequences or []):
        raise BadRequest("stop_sequences: each stop sequence must contain non-whitespace", param="stop_sequences")
    if shape.thinking is None or shape.thinking.type not in ("enabled", "adaptive"):
        return
    if shape.temperature not in (None, 1):
        raise BadRequest("`temperature` may only be set to 1 when thinking is enabled.", param="temperature")
    if shape.top_k is not None:
        raise BadRequest("`top_k` must be unset when thinking is enabled.", param="top_k")
    if shape.top_p is not None and shape.top_p < 0.95:
        raise BadRequest(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.", param="top_p"
        )


def _check_thinking(shape: _Counted, max_tokens: int | None) -> None:
    thinking = shape.thinking
    if thinking is None:
        return
    if thinking.type != "enabled" and thinking.budget_tokens is not None:
        raise BadRequest(f"thinking.{thinking.type}.budget_tokens: Extra inputs are not permitted", param="thinking")
    if thinking.type not in ("enabled", "adaptive"):
        return
    choice = shape.tool_choice
    if choice is not None and choice.type in ("any", "tool"):
        raise BadRequest("Thinking may not be enabled when tool_choice forces tool use.", param="tool_choice")
    if thinking.type == "adaptive":
        return
    budget = thinking.budget_tokens
    if budget is None:
        raise BadRequest("thinking.enabled.budget_tokens: Field required", param="thinking.budget_tokens")
    if budget < _LEAST_THOUGHT_TOKENS:
        raise BadRequest(
            f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_THOUGHT_TOKENS}",
            param="thinking.budget_tokens",
        )
    if max_tokens is not None and max_tokens <= budget:
        raise BadRequest("`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
    _check_thoughts_come_first(shape.messages)


def _check_thoughts_come_first(messages: list[_Message]) -> None:
    """The turn of the assistant that is under way begins with thoughts, where it called a tool."""
    places = [place for place, message in enumerate(messages) if message.role == "assistant"]
    if not places or isinstance(messages[places[-1]].content, str):
        return
    blocks = cast("list[dict[str, Any]]", messages[places[-1]].content)
    kinds = [block.get("type") for block in blocks]
    if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
        raise BadRequest(
            f"messages.{places[-1]}.content.0.type: Expected `thinking` or `redacted_thinking`, but found"
            f" `{kinds[0]}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
            param=f"messages.{places[-1]}",
        )


def _check_calls(blocks: list[_Strict], role: str, awaited: list[str], known: set[str], place: int) -> list[str]:
    """Check that each call has its result in the next message, and return the calls that await theirs now."""
    results = [block.tool_use_id for block in blocks if isinstance(block, _ToolResult)]
    for position, block in enumerate(blocks):
        if isinstance(block, _ToolResult) and block.tool_use_id not in awaited:
            raise BadRequest(
                f"messages.{place}.content.{position}: unexpected `tool_use_id` found in `tool_result` blocks:"
                f" {block.tool_use_id}. Each `tool_result` block must have a corresponding `tool_use` block in the"
                " previous message.",
                param=f"messages.{place}",
            )
    if len(set(results)) < len(results):
        raise BadRequest(
            f"messages.{place}: each tool_use must have a single result. Found multiple `tool_result` blocks.",
            param=f"messages.{place}",
        )
    missing = [call for call in awaited if call not in results]
    first = next((n for n, block in enumerate(blocks) if not isinstance(block, _ToolResult)), len(blocks))
    if missing or (awaited and first < len(results)):
        raise _unanswered(missing or awaited, place - 1)
    calls = [block.id for block in blocks if isinstance(block, _ToolUse)]
    for call in calls:
        if call in known:
            raise BadRequest(f"messages.{place}: `tool_use` ids must be unique", param=f"messages.{place}")
        known.add(call)
    return calls if role == "assistant" else []


def _unanswered(calls: list[str], place: int) -> BadRequest:
    return BadRequest(
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after:"
        f" {', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
        " message.",
        param=f"messages.{place}",
    )


def _format(shape: _Counted) -> Format | None:
    newer = None if shape.output_config is None else shape.output_config.format
    if newer is not None and shape.output_format is not None:
        raise BadRequest("output_format: Cannot be given together with 'output_config.format'", param="output_format")
    form = newer or shape.output_format
    if form is None:
        return None
    check_schema(form.schema, "output_format.schema" if newer is None else "output_config.format.schema")
    return Format("json_schema", {"name": "output", "schema": form.schema})


def _tool_choice(choice: _ToolChoice | None) -> str | dict[str, Any] | None:
    match None if choice is None else choice.type:
        case "any":
            return "required"
        case "tool":
            return {"type": "function", "name": choice and choice.name}
        case kind:
            return kind


# --- citations ----------------------------------------------------------------------------------


def _cited_document(block: _Document, source: _Strict, index: int) -> dict[str, Any] | None:
    """The first passage of a document. What is inside of a PDF is not read, so none of it is cited."""
    common = {"document_index": index, "document_title": block.title, "file_id": None}
    if isinstance(source, _TextSource) and source.data:
        passage = re.match(r"[^.!?\n]*[.!?\n]?\s*", source.data)
        text = passage[0] if passage else source.data
        return {
            "type": "char_location",
            "cited_text": text,
            **common,
            "start_char_index": 0,
            "end_char_index": len(text),
        }
    if not isinstance(source, _ContentSource):
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


def _cited_result(block: _SearchResult, index: int) -> Cited:
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


# --- errors -------------------------------------------------------------------------------------

_PATH = re.compile(r" - at `(?:key` in `)?\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_STRANGE = re.compile(r"Object contains unknown field `([^`]+)`")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]+)`(?P<bound>[^,]*)")
_WORDS = {"str": "a valid string", "int": "a valid integer", "float": "a valid number", "bool": "a valid boolean",
          "array": "a valid list", "object": "a valid dictionary"}  # fmt: skip
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def _converted(raw: dict[str, Any], shape: type[_Shape], where: str) -> _Shape:
    """Return the object at `where` typed; raises BadRequest in the provider's words."""
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        raise _explained(str(error), where) from None


def _explained(said: str, where: str) -> BadRequest:
    match = _PATH.search(said)
    path = match["path"].replace("[", ".").replace("]", "").removeprefix(".") if match else ""
    place = ".".join(part for part in (where, path) if part)
    said = said[: match.start()] if match else said
    missing, strange, expected = _MISSING.match(said), _STRANGE.match(said), _EXPECTED.match(said)
    if missing:
        place, told = ".".join(part for part in (place, missing[1]) if part), "Field required"
    elif strange:
        place, told = ".".join(part for part in (place, strange[1]) if part), "Extra inputs are not permitted"
    elif expected:
        kinds = [_WORDS.get(kind, kind) for kind in expected["kinds"].split(" | ") if kind != "null"]
        bound = (
            expected["bound"].replace(" >= ", " greater than or equal to ").replace(" <= ", " less than or equal to ")
        )
        told = f"Input should be{bound}" if bound.strip() else f"Input should be {' or '.join(kinds)}"
    else:
        told = f"Input is not valid: {said}"
    return BadRequest(f"{place}: {told}" if place else told, param=place or None)
