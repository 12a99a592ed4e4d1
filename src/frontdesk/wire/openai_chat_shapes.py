"""Chat Completions as it is asked for: the shape of each object of a request.

Reading checks against these, and the OpenAPI document is made of them. Fields that no shape names
are no fields of OpenAI's; they are carried on to the provider.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from frontdesk.wire.parameters import (
    CacheBreakpoint,
    Effort,
    FormatName,
    JsonObjectFormat,
    JsonSchema,
    LeftOut,
    Metadata,
    OutputLimit,
    Passed,
    TextFormat,
    Verbosity,
)
from frontdesk.wire.reading import Kinds, Refused

# --- parts of a message -------------------------------------------------------------------------


class ChatTextPart(msgspec.Struct):
    """Words."""

    type: Literal["text"]
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatImageUrl(msgspec.Struct):
    """Where a picture is: an https URL or a data URL."""

    url: Annotated[str, Meta(min_length=1)]
    detail: Literal["auto", "low", "high", "original"] | None = None


class ChatImagePart(msgspec.Struct):
    """A picture."""

    type: Literal["image_url"]
    image_url: ChatImageUrl
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatInputAudio(msgspec.Struct):
    """Sound, as base64."""

    data: str
    format: Literal["wav", "mp3"]


class ChatAudioPart(msgspec.Struct):
    """Something to hear."""

    type: Literal["input_audio"]
    input_audio: ChatInputAudio
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatFile(msgspec.Struct):
    """A file, as a data URL or by the provider's id of it."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class ChatFilePart(msgspec.Struct):
    """Something to read."""

    type: Literal["file"]
    file: ChatFile
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatRefusalPart(msgspec.Struct):
    """With what words an earlier answer declined."""

    type: Literal["refusal"]
    refusal: str


CHAT_PARTS = Kinds(
    "type",
    {
        "text": ChatTextPart,
        "image_url": ChatImagePart,
        "input_audio": ChatAudioPart,
        "file": ChatFilePart,
        "refusal": ChatRefusalPart,
    },
    carries=True,
)
ChatContent = str | Annotated[list[dict[str, Any]], Meta(min_length=1), CHAT_PARTS]

# --- tool calls of earlier answers --------------------------------------------------------------


class ChatCalledFunction(msgspec.Struct):
    """Which function, with which arguments."""

    name: str
    arguments: str


class ChatFunctionCall(msgspec.Struct):
    """A call of a function."""

    id: Annotated[str, Meta(min_length=1)]
    function: ChatCalledFunction
    type: Literal["function"] = "function"
    index: Annotated[int, LeftOut] | None = None


class ChatCalledCustom(msgspec.Struct):
    """Which custom tool, with which text."""

    name: str
    input: str


class ChatCustomCall(msgspec.Struct):
    """A call of a custom tool."""

    id: Annotated[str, Meta(min_length=1)]
    custom: ChatCalledCustom
    type: Literal["custom"]
    index: Annotated[int, LeftOut] | None = None


CHAT_CALLS = Kinds("type", {"function": ChatFunctionCall, "custom": ChatCustomCall}, default="function")

# --- messages -----------------------------------------------------------------------------------


class ChatSystemMessage(msgspec.Struct):
    """What the app says to the model."""

    role: Literal["system"]
    content: ChatContent
    name: str | None = None


class ChatDeveloperMessage(msgspec.Struct):
    """What the app says to newer models."""

    role: Literal["developer"]
    content: ChatContent
    name: str | None = None


class ChatUserMessage(msgspec.Struct):
    """What a person says."""

    role: Literal["user"]
    content: ChatContent
    name: str | None = None


class ChatAudioAnswer(msgspec.Struct):
    """An earlier answer in sound, by the provider's id of it."""

    id: str


class ChatAssistantMessage(msgspec.Struct):
    """What the model answered, or which tools it called."""

    role: Literal["assistant"]
    content: ChatContent | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[dict[str, Any]], CHAT_CALLS] | None = None
    function_call: ChatCalledFunction | None = None
    audio: ChatAudioAnswer | None = None
    annotations: Annotated[list[Any], LeftOut] | None = None


class ChatToolMessage(msgspec.Struct):
    """What a tool returned."""

    role: Literal["tool"]
    tool_call_id: Annotated[str, Meta(min_length=1)]
    content: ChatContent
    name: Annotated[str, LeftOut] | None = None


class ChatFunctionMessage(msgspec.Struct):
    """What a function returned, in the shape before tools."""

    role: Literal["function"]
    name: str
    content: str | None


CHAT_MESSAGES = Kinds(
    "role",
    {
        "system": ChatSystemMessage,
        "developer": ChatDeveloperMessage,
        "user": ChatUserMessage,
        "assistant": ChatAssistantMessage,
        "tool": ChatToolMessage,
        "function": ChatFunctionMessage,
    },
)

# --- tools and the shape of answers -------------------------------------------------------------

ChatToolName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$(?!\\n)")]


class ChatFunction(msgspec.Struct):
    """A function that the model may call. `parameters` is a JSON schema."""

    name: ChatToolName
    description: str | None = None
    parameters: JsonSchema | None = None
    strict: bool | None = None


class ChatFunctionTool(msgspec.Struct, forbid_unknown_fields=True):
    """A function."""

    type: Literal["function"]
    function: ChatFunction


class ChatTextFormat(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    """Free text."""


class ChatGrammar(msgspec.Struct):
    """A grammar, and in which notation it is."""

    definition: str
    syntax: Literal["lark", "regex"]


class ChatGrammarFormat(msgspec.Struct, tag_field="type", tag="grammar", forbid_unknown_fields=True):
    """Text that a grammar describes."""

    grammar: ChatGrammar


class ChatCustom(msgspec.Struct):
    """A tool that takes text instead of JSON."""

    name: ChatToolName
    description: str | None = None
    format: ChatTextFormat | ChatGrammarFormat | None = None


class ChatCustomTool(msgspec.Struct, forbid_unknown_fields=True):
    """A custom tool."""

    type: Literal["custom"]
    custom: ChatCustom


CHAT_TOOLS = Kinds("type", {"function": ChatFunctionTool, "custom": ChatCustomTool})


class ChatToolReference(msgspec.Struct, forbid_unknown_fields=True):
    """A tool, by its name."""

    name: str


class ChatFunctionChoice(msgspec.Struct, tag_field="type", tag="function", forbid_unknown_fields=True):
    """This function and no other."""

    function: ChatToolReference


class ChatCustomChoice(msgspec.Struct, tag_field="type", tag="custom", forbid_unknown_fields=True):
    """This custom tool and no other."""

    custom: ChatToolReference


class ChatAllowedTools(msgspec.Struct, forbid_unknown_fields=True):
    """Some of the tools: one of them must be called, or may."""

    mode: Literal["auto", "required"]
    tools: list[ChatFunctionChoice | ChatCustomChoice]


class ChatAllowedToolsChoice(msgspec.Struct, tag_field="type", tag="allowed_tools", forbid_unknown_fields=True):
    """Only some of the tools."""

    allowed_tools: ChatAllowedTools


ChatToolChoice = Literal["none", "auto", "required"] | ChatFunctionChoice | ChatCustomChoice | ChatAllowedToolsChoice


class ChatJsonSchema(msgspec.Struct):
    """A JSON schema with a name."""

    name: FormatName
    description: str | None = None
    schema: JsonSchema | None = None
    strict: bool | None = None


class ChatJsonSchemaFormat(msgspec.Struct, tag_field="type", tag="json_schema", forbid_unknown_fields=True):
    """JSON that fits a schema."""

    json_schema: ChatJsonSchema


# --- the request --------------------------------------------------------------------------------


class ChatPrediction(msgspec.Struct):
    """What much of the answer will be."""

    type: Literal["content"]
    content: str | Annotated[list[ChatTextPart], Meta(min_length=1)]


class ChatCacheOptions(msgspec.Struct):
    """How a provider caches the prompt."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] | None = None


class ChatPassed(Passed):
    """What Chat Completions passes on."""

    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Meta(min_length=1, max_length=4)] | None = None
    prediction: ChatPrediction | None = None
    prompt_cache_options: ChatCacheOptions | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None


class ChatStreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What else a stream brings: usage in its last chunk, and text that hides how long the words are."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionRequest(ChatPassed, kw_only=True):
    """A request for a chat completion."""

    messages: Annotated[list[dict[str, Any]], Meta(min_length=1), CHAT_MESSAGES]
    model: str | None = None
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    max_completion_tokens: OutputLimit | None = None
    max_tokens: OutputLimit | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=128), CHAT_TOOLS] | None = None
    tool_choice: ChatToolChoice | None = None
    response_format: TextFormat | JsonObjectFormat | ChatJsonSchemaFormat | None = None
    reasoning_effort: Effort | None = None
    verbosity: Verbosity | None = None
    metadata: Metadata | None = None
    store: bool | None = None


class StoredChatChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What changes of a stored chat completion: all of its metadata; null takes it away."""

    metadata: Metadata | None


_TEXT_ONLY = "Leave it out: answers are text."
_OF_RESPONSES = "It belongs to /v1/responses."
CHAT_REFUSED: dict[str, Refused] = {
    "functions": Refused("Use 'tools'."),
    "function_call": Refused("Use 'tool_choice'."),
    "modalities": Refused(_TEXT_ONLY, (None, ["text"])),
    "audio": Refused(_TEXT_ONLY),
    "web_search_options": Refused("Leave it out: what a search costs is not counted here."),
    "moderation": Refused("Leave it out: the server's own guards screen what it sends and answers."),
    # Responses' own names. Carried on, some would be obeyed by a provider and seen by nobody here.
    "input": Refused("Use 'messages'."),
    "instructions": Refused("Use a message of the role 'developer' or 'system'."),
    "max_output_tokens": Refused("Use 'max_completion_tokens'."),
    "text": Refused("Use 'response_format' and 'verbosity'."),
    "previous_response_id": Refused(_OF_RESPONSES),
    "conversation": Refused(_OF_RESPONSES),
    "background": Refused(_OF_RESPONSES, (None, False)),
}
