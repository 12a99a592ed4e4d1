"""Answers as the OpenAPI document describes them. Nothing here renders: see the `_render` modules.

Imported only to make that document, so that a server starts without it. The tests hold every body
and event that is sent against it. A field that may be missing is Unset; one that may say nothing is None.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from frontdesk.wire.openai_responses_shapes import TOOLS, ReasoningText, SummaryText, TextOptions, ToolChoice
from frontdesk.wire.parameters import Effort, Metadata

_Count = Annotated[int, Meta(ge=0)]
_UnixTime = Annotated[int, Meta(ge=0, description="Seconds since 1970.")]
_Obfuscation = Annotated[str, Meta(description="Hides the delta's length; only with `include_obfuscation`.")]

# --- errors and models --------------------------------------------------------------------------


class ErrorDetails(msgspec.Struct):
    """What went wrong, for people (`message`) and for programs (`code`)."""

    message: str
    type: str
    param: Annotated[str, Meta(description="The path of the field that is wrong.")] | None
    code: str | None


class Error(msgspec.Struct):
    """OpenAI's error body."""

    error: ErrorDetails


class Model(msgspec.Struct):
    """A model that this caller may use."""

    id: str
    object: Literal["model"]
    created: _UnixTime
    owned_by: str


class ModelList(msgspec.Struct):
    """All models that this caller may use."""

    object: Literal["list"]
    data: list[Model]


# --- embeddings ---------------------------------------------------------------------------------


class Embedding(msgspec.Struct):
    """One vector: numbers, or base64 of little-endian 32-bit floats."""

    object: Literal["embedding"]
    index: _Count
    embedding: list[float] | str


class EmbeddingsUsage(msgspec.Struct):
    """Tokens that the inputs have."""

    prompt_tokens: _Count
    total_tokens: _Count


class EmbeddingList(msgspec.Struct):
    """Vectors in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


# --- chat completions ---------------------------------------------------------------------------


class ChatTopLogprob(msgspec.Struct):
    """A token that could have stood here."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChatTokenLogprob(ChatTopLogprob):
    """A token and how likely it was."""

    top_logprobs: list[ChatTopLogprob]


class ChatLogprobs(msgspec.Struct):
    """How likely the tokens were."""

    content: list[ChatTokenLogprob] | None
    refusal: list[ChatTokenLogprob] | None


class ChatAnsweredFunction(msgspec.Struct):
    """A function and its arguments, as JSON text that the model wrote."""

    name: str
    arguments: str


class ChatAnsweredFunctionCall(msgspec.Struct, tag_field="type", tag="function"):
    """A call of a function."""

    id: str
    function: ChatAnsweredFunction


class ChatAnsweredCustom(msgspec.Struct):
    """A custom tool and the text for it."""

    name: str
    input: str


class ChatAnsweredCustomCall(msgspec.Struct, tag_field="type", tag="custom"):
    """A call of a custom tool."""

    id: str
    custom: ChatAnsweredCustom


class ChatUrlSource(msgspec.Struct):
    """A page, and where in the message what it says begins and ends, in characters."""

    url: str
    title: str
    start_index: _Count
    end_index: _Count


class ChatUrlCitation(msgspec.Struct, tag_field="type", tag="url_citation"):
    """A page that the message rests on."""

    url_citation: ChatUrlSource


class ChatAnswer(msgspec.Struct):
    """The model's message."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[ChatUrlCitation]
    reasoning_content: Annotated[str, Meta(description="What it thought, or a summary of that.")] | UnsetType = UNSET
    tool_calls: list[ChatAnsweredFunctionCall | ChatAnsweredCustomCall] | UnsetType = UNSET


_FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class ChatChoice(msgspec.Struct):
    """One answer of `n`."""

    index: _Count
    message: ChatAnswer
    logprobs: ChatLogprobs | None
    finish_reason: _FinishReason


class ChatPromptDetails(msgspec.Struct):
    """What the prompt's tokens are made of; 0 where the provider did not say."""

    cached_tokens: _Count
    cache_write_tokens: _Count
    audio_tokens: _Count


class ChatCompletionDetails(msgspec.Struct):
    """What the answer's tokens are made of; 0 where the provider did not say."""

    reasoning_tokens: _Count
    audio_tokens: _Count
    accepted_prediction_tokens: _Count
    rejected_prediction_tokens: _Count


class ChatUsage(msgspec.Struct):
    """What the answer used, in tokens."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: ChatPromptDetails
    completion_tokens_details: ChatCompletionDetails


class ChatCompletion(msgspec.Struct):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: _UnixTime
    model: str
    choices: list[ChatChoice]
    service_tier: str | None
    usage: ChatUsage | UnsetType = UNSET
    system_fingerprint: str | UnsetType = UNSET
    metadata: Annotated[Metadata, Meta(description="Where it is stored.")] | UnsetType = UNSET


class ChatFunctionDelta(msgspec.Struct):
    """More of a function's arguments; its name comes first."""

    arguments: str
    name: str | UnsetType = UNSET


class ChatCustomDelta(msgspec.Struct):
    """More of the text for a custom tool; its name comes first."""

    input: str
    name: str | UnsetType = UNSET


class ChatCallDelta(msgspec.Struct):
    """More of a call; its id and type come first."""

    index: _Count
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: ChatFunctionDelta | UnsetType = UNSET
    custom: ChatCustomDelta | UnsetType = UNSET


class ChatDelta(msgspec.Struct):
    """More of the message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    annotations: list[ChatUrlCitation] | UnsetType = UNSET
    tool_calls: Annotated[list[ChatCallDelta], Meta(min_length=1, max_length=1)] | UnsetType = UNSET


class ChatChunkChoice(msgspec.Struct):
    """More of one answer of `n`."""

    index: _Count
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: _FinishReason | None


class ChatCompletionChunk(msgspec.Struct):
    """A piece of an answer. With `include_usage` the last one has no choices, and the usage."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: _UnixTime
    model: str
    choices: list[ChatChunkChoice]
    service_tier: str | None
    usage: ChatUsage | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType = UNSET
    obfuscation: _Obfuscation | UnsetType = UNSET


# --- responses ----------------------------------------------------------------------------------


class TopLogprob(msgspec.Struct):
    """A token that could have stood here."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token and how likely it was."""

    top_logprobs: list[TopLogprob]


class UrlCitation(msgspec.Struct, tag_field="type", tag="url_citation"):
    """A page that the text rests on, and where in it, in characters."""

    url: str
    title: str
    start_index: _Count
    end_index: _Count


class FileCitation(msgspec.Struct, tag_field="type", tag="file_citation"):
    """A file that the text rests on, and where in the text it is named."""

    file_id: str
    filename: str
    index: _Count


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    """Words."""

    text: str
    annotations: list[UrlCitation | FileCitation]
    logprobs: list[TokenLogprob]


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    """The words with which the model declines."""

    refusal: str


class OutputReasoningText(msgspec.Struct, tag_field="type", tag="reasoning_text"):
    """What the model thinks."""

    text: str


_Status = Literal["in_progress", "completed", "incomplete"]


class OutputMessage(msgspec.Struct, tag_field="type", tag="message"):
    """A message of the model."""

    id: str
    status: _Status
    role: Literal["assistant"]
    content: list[OutputText | OutputRefusal]
    phase: Literal["commentary", "final_answer"] | UnsetType = UNSET


class OutputReasoning(msgspec.Struct, tag_field="type", tag="reasoning"):
    """What the model thought. `encrypted_content` is there where `include` asks and the provider sealed it."""

    id: str
    status: _Status
    summary: list[SummaryText]
    content: list[ReasoningText]
    encrypted_content: str | UnsetType = UNSET


class OutputFunctionCall(msgspec.Struct, tag_field="type", tag="function_call"):
    """A call of a function."""

    id: str
    status: _Status
    call_id: str
    name: str
    arguments: str


class OutputCustomToolCall(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    """A call of a custom tool."""

    id: str
    status: _Status
    call_id: str
    name: str
    input: str


OutputItem = OutputMessage | OutputReasoning | OutputFunctionCall | OutputCustomToolCall


class ResponseError(msgspec.Struct):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(msgspec.Struct):
    """Why a response stops early."""

    reason: Literal["max_output_tokens", "content_filter"]


class EchoedReasoning(msgspec.Struct):
    """What was said about thinking."""

    effort: Effort | None
    summary: Literal["auto", "concise", "detailed"] | None
    context: Literal["auto", "current_turn", "all_turns"] | None


class EchoedPrompt(msgspec.Struct):
    """The feature whose instructions were asked for, and the values for their variables."""

    id: str
    variables: dict[str, str] | None
    version: None


class EchoedConversation(msgspec.Struct):
    """The conversation that the response belongs to."""

    id: str


class EchoedCacheOptions(msgspec.Struct):
    """What was said about caching."""

    mode: Literal["implicit", "explicit"]
    ttl: Literal["30m", "12h"]


class InputTokensDetails(msgspec.Struct):
    """What the input's tokens are made of; 0 where the provider did not say."""

    cached_tokens: _Count
    cache_write_tokens: _Count


class OutputTokensDetails(msgspec.Struct):
    """What the output's tokens are made of; 0 where the provider did not say."""

    reasoning_tokens: _Count


class ResponseUsage(msgspec.Struct):
    """What the response used, in tokens."""

    input_tokens: _Count
    input_tokens_details: InputTokensDetails
    output_tokens: _Count
    output_tokens_details: OutputTokensDetails
    total_tokens: _Count


class Response(msgspec.Struct):
    """An answer, as far as it came, and what was asked for."""

    id: str
    object: Literal["response"]
    created_at: _UnixTime
    completed_at: _UnixTime | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    model: str
    output: list[OutputItem]
    usage: ResponseUsage | None
    background: bool
    conversation: EchoedConversation | None
    frequency_penalty: float
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None
    metadata: Metadata
    moderation: None
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: str | None
    prompt: EchoedPrompt | None
    prompt_cache_key: str | None
    prompt_cache_retention: Literal["in_memory", "24h"] | None
    reasoning: EchoedReasoning
    safety_identifier: str | None
    service_tier: Annotated[str, Meta(description="The tier that served; else the one asked for.")]
    store: Annotated[bool, Meta(description="Whether it can be retrieved.")]
    temperature: float
    text: TextOptions
    tool_choice: ToolChoice
    tools: Annotated[list[dict[str, Any]], TOOLS]
    top_logprobs: _Count
    top_p: float
    truncation: Literal["auto", "disabled"]
    prompt_cache_options: EchoedCacheOptions | UnsetType = UNSET
    user: str | UnsetType = UNSET


# --- the events of a response -------------------------------------------------------------------


class _Event(msgspec.Struct, tag_field="type"):
    sequence_number: Annotated[int, Meta(ge=0, description="Counts the events of a stream from 0, without gaps.")]


class ResponseCreated(_Event, tag="response.created"):
    """The first event."""

    response: Response


class ResponseQueued(_Event, tag="response.queued"):
    """The second one of a response in the background."""

    response: Response


class ResponseInProgress(_Event, tag="response.in_progress"):
    """The answer begins."""

    response: Response


class ResponseCompleted(_Event, tag="response.completed"):
    """The end of a whole answer."""

    response: Response


class ResponseIncomplete(_Event, tag="response.incomplete"):
    """The end of an answer that stops early; its status says whether it was cancelled."""

    response: Response


class ResponseFailed(_Event, tag="response.failed"):
    """The end of an answer that broke off."""

    response: Response


class OutputItemAdded(_Event, tag="response.output_item.added"):
    """An item begins."""

    output_index: _Count
    item: OutputItem


class OutputItemDone(_Event, tag="response.output_item.done"):
    """An item has ended."""

    output_index: _Count
    item: OutputItem


class _ContentEvent(_Event):
    item_id: str
    output_index: _Count
    content_index: _Count


class ContentPartAdded(_ContentEvent, tag="response.content_part.added"):
    """A part of an item's content begins."""

    part: OutputText | OutputRefusal | OutputReasoningText


class ContentPartDone(_ContentEvent, tag="response.content_part.done"):
    """A part of an item's content has ended."""

    part: OutputText | OutputRefusal | OutputReasoningText


class EventTopLogprob(msgspec.Struct):
    """A token that could have stood here."""

    token: str
    logprob: float


class EventLogprob(EventTopLogprob):
    """A token and how likely it was."""

    top_logprobs: list[EventTopLogprob]


class OutputTextDelta(_ContentEvent, tag="response.output_text.delta"):
    """More words."""

    delta: str
    logprobs: list[EventLogprob]
    obfuscation: _Obfuscation | UnsetType = UNSET


class OutputTextAnnotationAdded(_ContentEvent, tag="response.output_text.annotation.added"):
    """What the words so far rest on."""

    annotation_index: Annotated[int, Meta(ge=0, description="Counts the annotations of a part.")]
    annotation: UrlCitation | FileCitation


class OutputTextDone(_ContentEvent, tag="response.output_text.done"):
    """All words of a part."""

    text: str
    logprobs: list[EventLogprob]


class RefusalDelta(_ContentEvent, tag="response.refusal.delta"):
    """More of the words with which the model declines."""

    delta: str
    obfuscation: _Obfuscation | UnsetType = UNSET


class RefusalDone(_ContentEvent, tag="response.refusal.done"):
    """All words with which the model declines."""

    refusal: str


class ReasoningTextDelta(_ContentEvent, tag="response.reasoning_text.delta"):
    """More of what the model thinks."""

    delta: str
    obfuscation: _Obfuscation | UnsetType = UNSET


class ReasoningTextDone(_ContentEvent, tag="response.reasoning_text.done"):
    """All that the model thought in this part."""

    text: str


class _SummaryEvent(_Event):
    item_id: str
    output_index: _Count
    summary_index: _Count


class ReasoningSummaryPartAdded(_SummaryEvent, tag="response.reasoning_summary_part.added"):
    """A part of the summary begins."""

    part: SummaryText


class ReasoningSummaryPartDone(_SummaryEvent, tag="response.reasoning_summary_part.done"):
    """A part of the summary has ended."""

    part: SummaryText


class ReasoningSummaryTextDelta(_SummaryEvent, tag="response.reasoning_summary_text.delta"):
    """More of the summary."""

    delta: str
    obfuscation: _Obfuscation | UnsetType = UNSET


class ReasoningSummaryTextDone(_SummaryEvent, tag="response.reasoning_summary_text.done"):
    """All of a part of the summary."""

    text: str


class _CallEvent(_Event):
    item_id: str
    output_index: _Count


class FunctionCallArgumentsDelta(_CallEvent, tag="response.function_call_arguments.delta"):
    """More of a call's arguments."""

    delta: str
    obfuscation: _Obfuscation | UnsetType = UNSET


class FunctionCallArgumentsDone(_CallEvent, tag="response.function_call_arguments.done"):
    """All of a call's arguments."""

    name: str
    arguments: str


class CustomToolCallInputDelta(_CallEvent, tag="response.custom_tool_call_input.delta"):
    """More of the text for a custom tool."""

    delta: str
    obfuscation: _Obfuscation | UnsetType = UNSET


class CustomToolCallInputDone(_CallEvent, tag="response.custom_tool_call_input.done"):
    """All of the text for a custom tool."""

    input: str


ResponseEvent = (
    ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | OutputItemAdded
    | ContentPartAdded
    | OutputTextDelta
    | OutputTextAnnotationAdded
    | OutputTextDone
    | RefusalDelta
    | RefusalDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | ContentPartDone
    | ReasoningSummaryPartAdded
    | ReasoningSummaryTextDelta
    | ReasoningSummaryTextDone
    | ReasoningSummaryPartDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
    | OutputItemDone
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
)
