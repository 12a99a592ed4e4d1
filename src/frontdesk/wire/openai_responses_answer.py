"""Responses: an answer as it comes together, and the Response object that it is at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from frontdesk.core.errors import FrontdeskError, Refused
from frontdesk.turn.events import AnswerDescribed, MessageStarted, ReasoningStarted, ToolCallStarted, Usage
from frontdesk.turn.facts import ResponseFacts
from frontdesk.wire.logprobs import part_logprobs

SEALED = "reasoning.encrypted_content"
"""What `include` says of a request that wants its own thoughts back, sealed."""
_encode = msgspec.json.Encoder().encode

ItemStatus = Literal["in_progress", "completed", "incomplete"]
ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]


class Answer:
    """The Response as it comes together."""

    __slots__ = ("_error", "_facts", "_shows_sealed", "_tier", "items", "reason", "status", "usage")

    def __init__(self, facts: ResponseFacts) -> None:
        self._facts = facts
        self._shows_sealed = SEALED in facts.include
        self._error: dict[str, str] | None = None
        self._tier: str | None = None
        self.items: dict[int, AnswerItem] = {}
        self.usage: Usage | None = None
        self.status: ResponseStatus = "in_progress"
        self.reason: str | None = None

    def start(self, event: MessageStarted | ReasoningStarted | ToolCallStarted) -> AnswerItem:
        """Begin an item."""
        item = self.items[event.output] = AnswerItem(event, len(self.items), shows_sealed=self._shows_sealed)
        return item

    def describe(self, event: AnswerDescribed) -> None:
        """Tell the tier that served in place of the one that was asked for."""
        if event.service_tier is not None:
            self._tier = event.service_tier

    def end(self, status: ResponseStatus, reason: str | None = None) -> None:
        """Note how it ended; `reason` says why it is incomplete. Items that have not ended do so now."""
        self.status = status
        self.reason = reason
        for item in self.items.values():
            item.finish("completed" if status == "completed" else "incomplete")

    def fail(self, error: FrontdeskError) -> None:
        """Note that it broke off."""
        self.end("failed")
        self._error = {"code": _error_code(error), "message": error.message}

    def response(self, status: ResponseStatus | None = None) -> dict[str, Any]:
        """The Response object as far as it came, or as it is in another status."""
        facts = self._facts
        status = status or self.status
        ended_at = facts.finished_at
        response = {
            "id": facts.id,
            "object": "response",
            "created_at": int(facts.started_at),
            "completed_at": None if status != "completed" or ended_at is None else int(ended_at),
            "status": status,
            "error": self._error,
            "incomplete_details": None if self.reason is None else {"reason": self.reason},
            "model": facts.model,
            "output": self.output(),
            "usage": usage_body(self.usage),
            **facts.said,
        }
        if self._tier is not None:
            response["service_tier"] = self._tier
        return response

    def output(self) -> list[dict[str, Any]]:
        """The items as far as they came, in order."""
        return [item.body() for item in self.items.values()]


class AnswerItem:
    """One item as it comes together: a message, what the model thinks, or a tool call."""

    __slots__ = (
        "_phase",
        "_shows_sealed",
        "_summary",
        "_text_chars",
        "annotations",
        "arguments_name",
        "call",
        "delta_head",
        "delta_middle",
        "delta_tail",
        "index",
        "item_id",
        "kind",
        "logprobs",
        "part_kind",
        "parts",
        "sealed",
        "status",
        "summary_texts",
        "texts",
    )

    def __init__(
        self, event: MessageStarted | ReasoningStarted | ToolCallStarted, index: int, *, shows_sealed: bool
    ) -> None:
        self.index = index
        self.item_id = event.item_id
        self.status: ItemStatus = "in_progress"
        self.texts: list[str] = []
        self.logprobs: list[Any] = []
        self.annotations: list[dict[str, Any]] = []  # of the open part
        self._text_chars = 0  # in the parts of words before it
        self.parts: list[dict[str, Any]] = []
        self.part_kind: str | None = None
        self.sealed: str | None = None
        self.summary_texts: list[str] | None = None
        self._summary: list[dict[str, Any]] = []
        self._shows_sealed = shows_sealed
        self._phase = event.phase if isinstance(event, MessageStarted) else None
        self.call: ToolCallStarted | None = event if isinstance(event, ToolCallStarted) else None
        self.kind = "message" if isinstance(event, MessageStarted) else "reasoning"
        self.arguments_name = ""
        if self.call is not None:
            self.kind = "function_call" if self.call.kind == "function" else "custom_tool_call"
            self.arguments_name = (
                "function_call_arguments" if self.call.kind == "function" else "custom_tool_call_input"
            )

    def place(self) -> dict[str, Any]:
        """Where the content's newest part is."""
        return {"item_id": self.item_id, "output_index": self.index, "content_index": self._content_index()}

    def summary_place(self) -> dict[str, Any]:
        """Where the summary's open part is."""
        return {"item_id": self.item_id, "output_index": self.index, "summary_index": len(self._summary)}

    def is_empty_message(self) -> bool:
        """Whether it is a message in which nothing was said."""
        return self.kind == "message" and not self.parts and self.part_kind is None

    def open_part(self, part: str) -> None:
        """Begin a part of the content."""
        self.part_kind = part
        self.delta_head = b'event: response.%b.delta\ndata: {"type":"response.%b.delta","sequence_number":' % (
            part.encode(),
            part.encode(),
        )
        self.delta_middle = b',"item_id":%b,"output_index":%d,"content_index":%d,"delta":' % (
            _encode(self.item_id),
            self.index,
            self._content_index(),
        )
        self.delta_tail = b',"logprobs":[]}\n\n'

    def close_part(self) -> dict[str, Any]:
        """End the open part and return its body; an empty dict where none is open."""
        if self.part_kind is None:
            return {}
        body = self._open_body(self.part_kind)
        if self.part_kind == "output_text":
            self._text_chars += len(body["text"])
        self.parts.append(body)
        self.texts = []
        self.logprobs = []
        self.annotations = []
        self.part_kind = None
        return body

    def annotate(self, annotation: dict[str, Any]) -> dict[str, Any]:
        """Add what the open part rests on, and return it with the indexes that it has there."""
        if self._text_chars:
            moved = {name: max(0, annotation[name] - self._text_chars) for name in _INDEXES if name in annotation}
            annotation = {**annotation, **moved}
        self.annotations.append(annotation)
        return annotation

    def open_summary(self) -> None:
        """Begin a part of the summary; one before it ends."""
        self.close_summary()
        self.summary_texts = []

    def add_summary(self, text: str) -> None:
        """Take more of the summary, with or without its part's beginning."""
        if self.summary_texts is None:
            self.summary_texts = []
        self.summary_texts.append(text)

    def close_summary(self) -> dict[str, Any]:
        """End the summary's open part and return its body; an empty dict where none is open."""
        if self.summary_texts is None:
            return {}
        body = summary_body("".join(self.summary_texts))
        self._summary.append(body)
        self.summary_texts = None
        return body

    def finish(self, status: ItemStatus) -> None:
        """End the item, if it has not ended."""
        if self.status != "in_progress":
            return
        if self.is_empty_message():
            self.open_part("output_text")
        self.close_summary()
        self.close_part()
        self.status = status

    def body(self) -> dict[str, Any]:
        """The item as far as it came."""
        head = {"id": self.item_id, "type": self.kind, "status": self.status}
        if self.call is not None:
            text = "".join(self.texts)
            return {**head, "call_id": self.call.call_id, "name": self.call.name, text_name(self.call): text}
        content = self.parts if self.part_kind is None else [*self.parts, self._open_body(self.part_kind)]
        if self.kind == "reasoning":
            summary = self._summary
            if self.summary_texts is not None:
                summary = [*summary, summary_body("".join(self.summary_texts))]
            sealed = {} if self.sealed is None or not self._shows_sealed else {"encrypted_content": self.sealed}
            return {**head, "summary": summary, "content": content, **sealed}
        phase = {} if self._phase is None else {"phase": self._phase}
        return {**head, "role": "assistant", **phase, "content": content}

    def _open_body(self, part: str) -> dict[str, Any]:
        return part_body(part, "".join(self.texts), part_logprobs(self.logprobs), self.annotations)

    def _content_index(self) -> int:
        return len(self.parts) if self.part_kind is not None else max(0, len(self.parts) - 1)


_INDEXES = ("start_index", "end_index", "index")


def part_body(
    part: str, text: str, logprobs: Sequence[Any] = (), annotations: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """A part of an item's content."""
    if part == "refusal":
        return {"type": "refusal", "refusal": text}
    if part == "reasoning_text":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def summary_body(text: str) -> dict[str, Any]:
    """A part of the summary of what the model thought."""
    return {"type": "summary_text", "text": text}


def text_of(part: dict[str, Any]) -> str:
    """The words of a part of an item's content."""
    return part["refusal"] if part["type"] == "refusal" else part["text"]


def text_name(call: ToolCallStarted) -> str:
    """How what a call says is named."""
    return "arguments" if call.kind == "function" else "input"


# OpenAI's ResponseErrorCode, without those that only its own tools have.
_ERROR_CODES = frozenset(
    {
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "bio_policy",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)


def _error_code(error: FrontdeskError) -> str:
    """An error in the words that a Response has for it."""
    if error.code in _ERROR_CODES:
        return error.code
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, Refused) else "server_error"


def usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """Return usage as Responses spells it; None where no provider reported any."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
