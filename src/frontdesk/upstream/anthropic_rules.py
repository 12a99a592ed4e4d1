"""What a request of Anthropic's Messages API may not ask, though its shape allows it."""

from __future__ import annotations

from typing import Any, cast

from frontdesk.core.errors import BadRequest
from frontdesk.upstream import anthropic_shapes as shapes

_LEAST_THOUGHT_TOKENS = 1024
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


def check_beta(raw: dict[str, Any], *, is_beta: bool) -> None:
    """Check that a client asks for nothing that it has named no beta for; raises BadRequest."""
    for name in _IN_BETA:
        if not is_beta and raw.get(name) is not None:
            raise BadRequest(f"{name}: Extra inputs are not permitted", param=name)


def check_sampling(shape: shapes.Create) -> None:
    """Check how an answer is drawn, and what stops it; raises BadRequest."""
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


def check_thinking(shape: shapes.Counted, max_tokens: int | None) -> None:
    """Check how an answer is thought about, and what cannot be had beside that; raises BadRequest."""
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


def _check_thoughts_come_first(messages: list[shapes.Message]) -> None:
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


def check_calls(blocks: list[shapes.Strict], role: str, awaited: list[str], known: set[str], place: int) -> list[str]:
    """Check that each call has its result in the next message, and return the calls that await theirs now.

    `awaited` are those of the message before, `known` the ids of all so far, to which this message's are added.
    """
    results = [block.tool_use_id for block in blocks if isinstance(block, shapes.ToolResult)]
    for position, block in enumerate(blocks):
        if isinstance(block, shapes.ToolResult) and block.tool_use_id not in awaited:
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
    first = next((n for n, block in enumerate(blocks) if not isinstance(block, shapes.ToolResult)), len(blocks))
    if missing or (awaited and first < len(results)):
        raise unanswered(missing or awaited, place - 1)
    calls = [block.id for block in blocks if isinstance(block, shapes.ToolUse)]
    for call in calls:
        if call in known:
            raise BadRequest(f"messages.{place}: `tool_use` ids must be unique", param=f"messages.{place}")
        known.add(call)
    return calls if role == "assistant" else []


def unanswered(calls: list[str], place: int) -> BadRequest:
    """The error for calls of the message at `place` whose results do not follow it."""
    return BadRequest(
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after:"
        f" {', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
        " message.",
        param=f"messages.{place}",
    )
