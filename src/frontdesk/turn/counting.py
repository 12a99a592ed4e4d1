"""Tokens, counted by us where no provider said: 4 characters a token, which errs to either side.

Only for answers that broke off or were left; it costs as much as the request is long.
"""

from __future__ import annotations

from frontdesk.turn.events import Usage
from frontdesk.turn.items import EmbeddingRequest, Image, Message, Part, Request, Text, ToolCall, ToolOutput, Unknown
from frontdesk.turn.turn import Turn

_CHARS_PER_TOKEN = 4
_IMAGE_TOKENS = 765  # OpenAI's figure for a square picture of 1,024 pixels in high detail


def counted_usage(turn: Turn) -> Usage | None:
    """Estimate what a turn used; None where no provider was asked, or none of them answered at all."""
    if not turn.attempts or (turn.attempts[-1].status == "failed" and turn.first_event_at is None):
        return None
    return Usage(
        input_tokens=_tokens_of(turn.request),
        output_tokens=_tokens(turn.answered_chars),
        source="counted",
    )


def _tokens(chars: int) -> int:
    return -(-chars // _CHARS_PER_TOKEN)


def _tokens_of(request: Request) -> int:
    if isinstance(request, EmbeddingRequest):
        return sum(_tokens(len(given)) if isinstance(given, str) else len(given) for given in request.inputs)
    total = _tokens(len(request.instructions or ""))
    for item in request.items:
        match item:
            case Message():
                total += _content_tokens(item.content)
            case ToolCall():
                total += _tokens(len(item.arguments))
            case ToolOutput():
                total += _content_tokens(item.output)
            case Unknown():
                total += _tokens(len(str(item.raw)))
    return total


def _content_tokens(content: str | list[Part]) -> int:
    if isinstance(content, str):
        return _tokens(len(content))
    return sum(_part_tokens(part) for part in content)


def _part_tokens(part: Part) -> int:
    match part:
        case Text():
            return _tokens(len(part.text))
        case Image():
            return _IMAGE_TOKENS
        case Unknown():
            return _tokens(len(str(part.raw)))
