"""What is stored as the OpenAPI document describes it: conversations, and lists of what responses and chats held.

Imported only to make that document, as `openai_answers`. Items and messages that a request brought are told with the
fields of strangers that it had.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from frontdesk.wire.openai_answers import ChatCompletion, ResponseUsage
from frontdesk.wire.openai_chat_shapes import CHAT_CALLS, CHAT_PARTS, ChatCalledFunction
from frontdesk.wire.openai_responses_shapes import PARTS, Content, ReasoningText, SummaryText
from frontdesk.wire.parameters import Metadata
from frontdesk.wire.reading import Kinds

_Count = Annotated[int, Meta(ge=0)]
_UnixTime = Annotated[int, Meta(ge=0, description="Seconds since 1970.")]
_Status = Literal["in_progress", "completed", "incomplete"]

# --- items --------------------------------------------------------------------------------------


class ListedMessage(msgspec.Struct, tag_field="type", tag="message"):
    """A message, of a person, of the app, or of the model. What was said in one text is a part."""

    id: str
    status: _Status
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[list[dict[str, Any]], PARTS]
    phase: Literal["commentary", "final_answer"] | UnsetType = UNSET


class ListedFunctionCall(msgspec.Struct, tag_field="type", tag="function_call"):
    """A call of a function."""

    id: str
    status: _Status
    call_id: str
    name: str
    arguments: str


class ListedFunctionCallOutput(msgspec.Struct, tag_field="type", tag="function_call_output"):
    """What a function returned."""

    id: str
    status: _Status
    call_id: str
    output: Content
    name: str | UnsetType = UNSET


class ListedCustomToolCall(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    """A call of a custom tool."""

    id: str
    status: _Status
    call_id: str
    name: str
    input: str


class ListedCustomToolCallOutput(msgspec.Struct, tag_field="type", tag="custom_tool_call_output"):
    """What a custom tool returned."""

    id: str
    status: _Status
    call_id: str
    output: Content


class ListedReasoning(msgspec.Struct, tag_field="type", tag="reasoning"):
    """What a model thought. `encrypted_content` is there where `include` asks for it, and it was sealed."""

    id: str
    summary: list[SummaryText]
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    status: _Status | UnsetType = UNSET


class ListedCompaction(msgspec.Struct, tag_field="type", tag="compaction"):
    """What came before, made shorter and sealed."""

    id: str
    encrypted_content: str
    created_by: str | UnsetType = UNSET


class ListedReference(msgspec.Struct, tag_field="type", tag="item_reference"):
    """An item that was named by its id, and is not stored any more."""

    id: str


LISTED = Kinds(
    "type",
    {
        "message": ListedMessage,
        "function_call": ListedFunctionCall,
        "function_call_output": ListedFunctionCallOutput,
        "custom_tool_call": ListedCustomToolCall,
        "custom_tool_call_output": ListedCustomToolCallOutput,
        "reasoning": ListedReasoning,
        "compaction": ListedCompaction,
        "item_reference": ListedReference,
    },
    carries=True,
)


class ItemList(msgspec.Struct):
    """A page of items."""

    object: Literal["list"]
    data: Annotated[list[dict[str, Any]], LISTED]
    first_id: str | None
    last_id: str | None
    has_more: bool


# --- conversations ------------------------------------------------------------------------------


class Conversation(msgspec.Struct):
    """A conversation. Its items are listed by themselves."""

    id: str
    object: Literal["conversation"]
    created_at: _UnixTime
    metadata: Metadata


class ConversationDeleted(msgspec.Struct):
    """A conversation that is not there any more."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]


# --- responses ----------------------------------------------------------------------------------


class ResponseDeleted(msgspec.Struct):
    """A response that is not there any more."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputTokens(msgspec.Struct):
    """How many tokens an input has."""

    object: Literal["response.input_tokens"]
    input_tokens: _Count


class CompactedResponse(msgspec.Struct):
    """What was said, made shorter: the items to send instead."""

    id: str
    object: Literal["response.compaction"]
    created_at: _UnixTime
    output: Annotated[list[dict[str, Any]], LISTED]
    usage: ResponseUsage


# --- chat completions ---------------------------------------------------------------------------


class ChatCompletionList(msgspec.Struct):
    """A page of the caller's own stored chat completions."""

    object: Literal["list"]
    data: list[ChatCompletion]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ChatCompletionDeleted(msgspec.Struct):
    """A chat completion that is not there any more."""

    id: str
    object: Literal["chat.completion.deleted"]
    deleted: Literal[True]


class ListedChatMessage(msgspec.Struct):
    """A message of a stored request. What was said in parts is in `content_parts`."""

    id: str
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | None
    refusal: str | None
    name: str | None
    content_parts: Annotated[list[dict[str, Any]], CHAT_PARTS] | None
    tool_calls: Annotated[list[dict[str, Any]], CHAT_CALLS] | UnsetType | None = UNSET
    tool_call_id: str | UnsetType = UNSET
    function_call: ChatCalledFunction | UnsetType | None = UNSET


class ChatMessageList(msgspec.Struct):
    """A page of the messages of a stored request."""

    object: Literal["list"]
    data: list[ListedChatMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool
