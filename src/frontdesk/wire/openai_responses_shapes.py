"""Responses as they are asked for: the shape of each object of a request.

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
    StoredId,
    TextFormat,
    Verbosity,
)
from frontdesk.wire.reading import Kinds, Refused

# --- parts of a message -------------------------------------------------------------------------


class InputTextPart(msgspec.Struct):
    """Words."""

    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class PlainTextPart(msgspec.Struct):
    """Words, as some clients of Chat Completions spell them."""

    type: Literal["text"]
    text: str


class OutputTextPart(msgspec.Struct):
    """Words of an earlier answer."""

    type: Literal["output_text"]
    text: str
    annotations: Annotated[list[Any], LeftOut] | None = None
    logprobs: Annotated[list[Any], LeftOut] | None = None


class RefusalPart(msgspec.Struct):
    """With what words an earlier answer declined."""

    type: Literal["refusal"]
    refusal: str


class InputImagePart(msgspec.Struct):
    """A picture: an https URL, a data URL, or the provider's id of it."""

    type: Literal["input_image"]
    image_url: Annotated[str, Meta(min_length=1)] | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputFilePart(msgspec.Struct):
    """Something to read: a data URL, a URL, or the provider's id of it."""

    type: Literal["input_file"]
    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


PARTS = Kinds(
    "type",
    {
        "input_text": InputTextPart,
        "input_image": InputImagePart,
        "input_file": InputFilePart,
        "output_text": OutputTextPart,
        "refusal": RefusalPart,
        "text": PlainTextPart,
    },
    carries=True,
)
Content = str | Annotated[list[dict[str, Any]], PARTS]

# --- items --------------------------------------------------------------------------------------

_ItemStatus = Literal["in_progress", "completed", "incomplete"]


class MessageItem(msgspec.Struct):
    """A message, of a person, of the app, or of an earlier answer."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    type: Literal["message"] | None = None
    phase: Literal["commentary", "final_answer"] | None = None
    id: Annotated[str, LeftOut] | None = None
    status: Annotated[_ItemStatus, LeftOut] | None = None


class FunctionCallItem(msgspec.Struct):
    """A call of a function."""

    type: Literal["function_call"]
    call_id: Annotated[str, Meta(min_length=1)]
    name: str
    arguments: str
    id: Annotated[str, LeftOut] | None = None
    status: Annotated[_ItemStatus, LeftOut] | None = None


class FunctionCallOutputItem(msgspec.Struct):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: Annotated[str, Meta(min_length=1)]
    output: Content
    name: Annotated[str, LeftOut] | None = None
    id: Annotated[str, LeftOut] | None = None
    status: Annotated[_ItemStatus, LeftOut] | None = None


class CustomToolCallItem(msgspec.Struct):
    """A call of a custom tool."""

    type: Literal["custom_tool_call"]
    call_id: Annotated[str, Meta(min_length=1)]
    name: str
    input: str
    id: Annotated[str, LeftOut] | None = None
    status: Annotated[_ItemStatus, LeftOut] | None = None


class CustomToolCallOutputItem(msgspec.Struct):
    """What a custom tool returned."""

    type: Literal["custom_tool_call_output"]
    call_id: Annotated[str, Meta(min_length=1)]
    output: Content
    id: Annotated[str, LeftOut] | None = None
    status: Annotated[_ItemStatus, LeftOut] | None = None


class SummaryText(msgspec.Struct):
    """A part of the summary of what a model thought."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(msgspec.Struct):
    """A part of what a model thought."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(msgspec.Struct):
    """What a model thought on the way to an earlier answer."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[SummaryText] = []
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: _ItemStatus | None = None


class ItemReference(msgspec.Struct, forbid_unknown_fields=True):
    """An item that is stored here, by its id."""

    type: Literal["item_reference"]
    id: StoredId


class CompactionItem(msgspec.Struct):
    """What came before, as this server made it shorter and sealed it."""

    type: Literal["compaction"]
    encrypted_content: Annotated[str, Meta(min_length=1)]
    id: Annotated[str, LeftOut] | None = None
    created_by: Annotated[str, LeftOut] | None = None


_HOSTED = "No provider's own tools run here, so nothing makes such items: leave it out."
ITEMS = Kinds(
    "type",
    {
        "message": MessageItem,
        "function_call": FunctionCallItem,
        "function_call_output": FunctionCallOutputItem,
        "custom_tool_call": CustomToolCallItem,
        "custom_tool_call_output": CustomToolCallOutputItem,
        "reasoning": ReasoningItem,
        "item_reference": ItemReference,
        "compaction": CompactionItem,
    },
    refused={
        "compaction_trigger": "Ask for it at '/v1/responses/compact'.",
        "additional_tools": "Name all tools in 'tools'.",
        "configuration_update": "Say it in the request's own fields.",
        **dict.fromkeys(
            (
                "apply_patch_call",
                "apply_patch_call_output",
                "code_interpreter_call",
                "computer_call",
                "computer_call_output",
                "file_search_call",
                "image_generation_call",
                "local_shell_call",
                "local_shell_call_output",
                "mcp_approval_request",
                "mcp_approval_response",
                "mcp_call",
                "mcp_list_tools",
                "program",
                "program_output",
                "shell_call",
                "shell_call_output",
                "tool_search_call",
                "tool_search_output",
                "web_search_call",
            ),
            _HOSTED,
        ),
    },
    carries=True,
    default="message",
)
# Of calls and their outputs: what only tools make that are not offered here.
_OF_OTHER_TOOLS = "Leave it out: only tools make it that are not offered here."
CALL_REFUSED: dict[str, Refused] = {
    "async": Refused("Leave it out: calls are answered in the next request.", (None, False)),
    "caller": Refused(_OF_OTHER_TOOLS, (None, {"type": "direct"})),
    "namespace": Refused(_OF_OTHER_TOOLS),
}

# --- tools and the shape of answers -------------------------------------------------------------

_ToolName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$(?!\\n)")]


class FunctionTool(msgspec.Struct):
    """A function that the model may call. `parameters` is a JSON schema."""

    type: Literal["function"]
    name: _ToolName
    description: str | None = None
    parameters: JsonSchema | None = None
    strict: bool | None = None
    output_schema: JsonSchema | None = None


class PlainFormat(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    """Free text."""


class GrammarFormat(msgspec.Struct, tag_field="type", tag="grammar", forbid_unknown_fields=True):
    """Text that a grammar describes."""

    definition: str
    syntax: Literal["lark", "regex"]


class CustomTool(msgspec.Struct):
    """A tool that takes text instead of JSON."""

    type: Literal["custom"]
    name: _ToolName
    description: str | None = None
    format: PlainFormat | GrammarFormat | None = None


_NOT_OFFERED = "Providers' own tools are not offered here. Offer a 'function' or 'custom' tool and run it yourself."
TOOLS = Kinds(
    "type",
    {"function": FunctionTool, "custom": CustomTool},
    refused=dict.fromkeys(
        (
            "apply_patch",
            "code_interpreter",
            "computer",
            "computer_use",
            "computer_use_preview",
            "file_search",
            "image_generation",
            "local_shell",
            "mcp",
            "namespace",
            "programmatic_tool_calling",
            "shell",
            "tool_search",
            "web_search",
            "web_search_2025_08_26",
            "web_search_preview",
            "web_search_preview_2025_03_11",
        ),
        _NOT_OFFERED,
    ),
    carries=True,
)
TOOL_REFUSED: dict[str, Refused] = {
    "async": Refused("Leave it out: calls are answered in the next request.", (None, False)),
    "defer_loading": Refused("Leave it out: all tools are known from the start.", (None, False)),
    "allowed_callers": Refused("Leave it out: the model alone calls tools.", (None, ["direct"])),
}


class FunctionChoice(msgspec.Struct, forbid_unknown_fields=True):
    """This function and no other."""

    type: Literal["function"]
    name: str


class CustomChoice(msgspec.Struct, forbid_unknown_fields=True):
    """This custom tool and no other."""

    type: Literal["custom"]
    name: str


TOOL_REFERENCES = Kinds(
    "type", {"function": FunctionChoice, "custom": CustomChoice}, refused=TOOLS.refused, carries=True
)


class AllowedToolsChoice(msgspec.Struct, forbid_unknown_fields=True):
    """Only some of the tools: one of them must be called, or may."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[dict[str, Any]], TOOL_REFERENCES]


TOOL_CHOICES = Kinds(
    "type",
    {**TOOL_REFERENCES.shapes, "allowed_tools": AllowedToolsChoice},
    refused=TOOLS.refused,
    carries=True,
)
ToolChoice = Literal["none", "auto", "required"] | Annotated[dict[str, Any], TOOL_CHOICES]


class JsonSchemaFormat(msgspec.Struct, tag_field="type", tag="json_schema"):
    """JSON that fits a schema."""

    name: FormatName
    schema: JsonSchema
    description: str | None = None
    strict: bool | None = None


# --- the request --------------------------------------------------------------------------------


class TextOptions(msgspec.Struct, forbid_unknown_fields=True):
    """The shape of the answer, and how many words it makes."""

    format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    verbosity: Verbosity | None = None


_Summary = Literal["auto", "concise", "detailed"]


class Reasoning(msgspec.Struct):
    """How hard the model thinks, and what it tells of it. `context` and `mode` are passed on."""

    effort: Effort | None = None
    summary: _Summary | None = None
    generate_summary: _Summary | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None


class CacheOptions(msgspec.Struct):
    """How a provider caches the prompt."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None


CACHE_OPTIONS_REFUSED: dict[str, Refused] = {
    "comparison_response_id": Refused("Leave it out: the provider does not know the ids given here."),
    "prewarm": Refused("Leave it out: every request is answered.", (None, False)),
}


class ImageOptions(msgspec.Struct):
    """What a provider does with the request's pictures."""

    context_compression: Literal["auto", "enabled", "disabled"] | None = None


class PromptReference(msgspec.Struct):
    """A feature whose instructions the server holds, and values for their variables."""

    id: Annotated[str, Meta(min_length=1)]
    variables: dict[str, str] | None = None


PROMPT_REFUSED: dict[str, Refused] = {
    "version": Refused("Leave it out: a feature has one version, which its operator changes.")
}


class ResponsesPassed(Passed):
    """What Responses passes on."""

    prompt_cache_options: CacheOptions | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    image: ImageOptions | None = None


class ResponsesStreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What else a stream brings: text that hides how long the words are."""

    include_obfuscation: bool | None = None


Includable = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class ConversationReference(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation, and the item behind which the request goes on with it: null is before the first one."""

    id: StoredId
    after: StoredId | msgspec.UnsetType | None = msgspec.UNSET


class ResponseRequest(ResponsesPassed, kw_only=True):
    """A request for a response."""

    input: str | Annotated[list[dict[str, Any]], ITEMS] | None = None
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: ResponsesStreamOptions | None = None
    max_output_tokens: OutputLimit | None = None
    tools: Annotated[list[dict[str, Any]], TOOLS] | None = None
    tool_choice: ToolChoice | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    include: list[Includable] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    prompt: PromptReference | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: StoredId | None = None
    conversation: StoredId | ConversationReference | None = None


class InputTokensAsked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request for how many tokens the input of a response would have."""

    input: str | Annotated[list[dict[str, Any]], ITEMS] | None = None
    model: str | None = None
    instructions: str | None = None
    previous_response_id: StoredId | None = None
    conversation: StoredId | ConversationReference | None = None
    tools: Annotated[list[dict[str, Any]], TOOLS] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | None = None


INPUT_TOKENS_REFUSED: dict[str, Refused] = {
    "personality": Refused("Leave it out: say in 'instructions' how the model shall answer.")
}


class CompactAsked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request to make what was said shorter."""

    input: str | Annotated[list[dict[str, Any]], ITEMS] | None = None
    model: str | None = None
    instructions: str | None = None
    previous_response_id: StoredId | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=512)] | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "fast"] | None = None
    image: ImageOptions | None = None


RESPONSES_REFUSED: dict[str, Refused] = {
    "background_options": Refused("Leave it out, and send 'background' alone."),
    "context_management": Refused("Leave it out, and ask '/v1/responses/compact' for shorter input."),
    "max_tool_calls": Refused("It limits tools that the provider runs, and none are offered."),
    "moderation": Refused("Leave it out: the server's own guards screen what it sends and answers."),
    "access_programs": Refused("Leave it out: it belongs to the account of whoever runs this server."),
    # Chat Completions' own names. Carried on, they would be obeyed by a provider and seen by nobody here.
    "messages": Refused("Use 'input'."),
    "n": Refused("Send several requests.", (None, 1)),
    "max_tokens": Refused("Use 'max_output_tokens'."),
    "max_completion_tokens": Refused("Use 'max_output_tokens'."),
    "response_format": Refused("Use 'text.format'."),
    "functions": Refused("Use 'tools'."),
    "function_call": Refused("Use 'tool_choice'."),
    "reasoning_effort": Refused("Use 'reasoning.effort'."),
    "verbosity": Refused("Use 'text.verbosity'."),
    "logprobs": Refused("Use 'include'.", (None, False)),
    "modalities": Refused("Leave it out: answers are text.", (None, ["text"])),
    "audio": Refused("Leave it out: answers are text."),
    "web_search_options": Refused(_NOT_OFFERED),
}
