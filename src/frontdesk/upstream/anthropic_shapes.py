"""The shapes of what Anthropic's Messages API is asked with, and what is said of a request that has another.

Those of Anthropic's Python package, 2.12. Every field that it knows is read or taken; one that it does not know is
refused, as the provider does.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from frontdesk.core.errors import BadRequest


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An object that has no fields but these."""


class CacheControl(Strict, kw_only=True):
    """A mark: what is cached ends here."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class _Citations(Strict, kw_only=True):
    enabled: bool = False


class _Block(Strict, kw_only=True):
    type: str
    cache_control: CacheControl | None = None


class Text(_Block, kw_only=True):
    """Words, and the sources that an earlier answer gave for them."""

    text: str
    citations: list[dict[str, Any]] | None = None


class Image(_Block, kw_only=True):
    """A picture."""

    source: dict[str, Any]
    transformations: dict[str, Any] | None = None


class Document(_Block, kw_only=True):
    """A file to read, which an answer may cite."""

    source: dict[str, Any]
    citations: _Citations | None = None
    context: str | None = None
    title: str | None = None


class SearchResult(_Block, kw_only=True):
    """What a search of the client's own found."""

    content: list[Text]
    source: str
    title: str
    citations: _Citations | None = None


class ToolUse(_Block, kw_only=True):
    """A call that an earlier answer made."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


class ToolResult(_Block, kw_only=True):
    """What came of a call."""

    tool_use_id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
    content: str | list[dict[str, Any]] = ""
    is_error: bool = False
    toolset_name: str | None = None


class Thinking(Strict, kw_only=True):
    """Thoughts of an earlier answer, with their signature."""

    type: str
    thinking: str
    signature: str


class RedactedThinking(Strict, kw_only=True):
    """Thoughts of an earlier answer that nobody but the provider reads."""

    type: str
    data: str


class Base64Source(Strict, kw_only=True):
    """A file's bytes."""

    type: str
    data: str
    media_type: str


class TextSource(Strict, kw_only=True):
    """A document of plain text."""

    type: str
    data: str
    media_type: Literal["text/plain"]


class UrlSource(Strict, kw_only=True):
    """Where a file is."""

    type: str
    url: str


class _FileSource(Strict, kw_only=True):
    type: str
    file_id: str


class ContentSource(Strict, kw_only=True):
    """A document made of blocks."""

    type: str
    content: str | list[dict[str, Any]]


class Message(Strict, kw_only=True):
    """A message: words, or blocks that are read one by one."""

    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class Tool(Strict, kw_only=True):
    """A tool that the client runs."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class ToolChoice(Strict, kw_only=True):
    """Which tools an answer may call."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _ThinkingConfig(Strict, kw_only=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class _JsonFormat(Strict, kw_only=True):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class _OutputConfig(Strict, kw_only=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _JsonFormat | None = None


class _Metadata(Strict, kw_only=True):
    user_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class Counted(Strict, kw_only=True):
    """What both an answer and a count of tokens are asked with."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: list[Message]
    system: str | list[Text] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: ToolChoice | None = None
    thinking: _ThinkingConfig | None = None
    output_config: _OutputConfig | None = None
    output_format: _JsonFormat | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    context_management: dict[str, Any] | None = None
    compaction: dict[str, Any] | None = None


class Create(Counted, kw_only=True):
    """What an answer is asked with."""

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


BLOCKS: dict[str, type[Strict]] = {
    "text": Text,
    "image": Image,
    "document": Document,
    "search_result": SearchResult,
    "tool_use": ToolUse,
    "tool_result": ToolResult,
    "thinking": Thinking,
    "redacted_thinking": RedactedThinking,
}
# Made by tools that the provider runs; they come back in a conversation's history.
HOSTED_BLOCKS = frozenset(
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
IN_ASSISTANT = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})
IN_USER = frozenset({"text", "image", "document", "search_result", "tool_result"})
IN_RESULT = frozenset({"text", "image", "document", "search_result", "tool_reference", "browser_state"})
SOURCES: dict[str, dict[str, type[Strict]]] = {
    "image": {"base64": Base64Source, "url": UrlSource, "file": _FileSource},
    "document": {
        "base64": Base64Source,
        "text": TextSource,
        "url": UrlSource,
        "file": _FileSource,
        "content": ContentSource,
    },
}
MEDIA_TYPES = {
    "image": frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
    "document": frozenset({"application/pdf"}),
}


# --- errors -------------------------------------------------------------------------------------

_PATH = re.compile(r" - at `(?:key` in `)?\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_STRANGE = re.compile(r"Object contains unknown field `([^`]+)`")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]+)`(?P<bound>[^,]*)")
_WORDS = {"str": "a valid string", "int": "a valid integer", "float": "a valid number", "bool": "a valid boolean",
          "array": "a valid list", "object": "a valid dictionary"}  # fmt: skip
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def converted(raw: dict[str, Any], shape: type[_Shape], where: str) -> _Shape:
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
