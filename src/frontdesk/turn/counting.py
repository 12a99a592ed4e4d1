"""Tokens, counted by us where no provider said. It errs to either side, but never above what was bounded before.

What was read is the size of the request, what was written 4 characters a token. An answer that was left before its
end has more that nobody saw: it comes in one piece, or was thought about first. That is as long as it took: else who
leaves early enough would have it for nothing.
"""

from __future__ import annotations

from frontdesk.core.errors import ProviderError
from frontdesk.core.money import Units
from frontdesk.turn.events import Usage
from frontdesk.turn.items import EmbeddingRequest, Prompt
from frontdesk.turn.media_sizes import units_about, written_about
from frontdesk.turn.sizes import size_of
from frontdesk.turn.turn import Attempt, Turn

_CHARS_PER_TOKEN = 4
_UNSEEN_PER_S = 100  # large models write 50 to 150 tokens a second
_BEGINS_AFTER_S = 2.0  # a stream that says nothing for longer thinks
_LONGEST_S = 600.0  # a clock may have been set
_TOO_LONG = "provider_timeout"


def answering_attempt(turn: Turn) -> Attempt | None:
    """The attempt whose words are told; where none said any, the last one. None where no provider was asked."""
    return turn.answering or (turn.attempts[-1] if turn.attempts else None)


def counted_usage(turn: Turn, attempt: Attempt | None = None) -> Usage | None:
    """Estimate what an attempt used: this one, else the one that answers. None where there is none, or where it
    failed by itself before anybody saw a word of it.
    """
    answering = answering_attempt(turn)
    attempt = attempt or answering
    if attempt is None:
        return None
    chars = turn.answered_chars if attempt is answering else 0
    has_begun = attempt is answering and turn.first_event_at is not None
    if attempt.status == "failed" and not has_begun and not _was_left(attempt):
        return None
    return Usage(
        input_tokens=size_of(turn).estimate,
        output_tokens=_written(turn, attempt, chars),
        source="counted",
        units=counted_units(turn),
    )


def counted_units(turn: Turn) -> Units | None:
    """What a turn uses besides tokens, as we can tell it; None of chats and vectors."""
    request = turn.request
    return None if isinstance(request, Prompt | EmbeddingRequest) else units_about(request)


def _was_left(attempt: Attempt) -> bool:
    """Whether it was ended here while its provider may have gone on: its turn was, another one answered first, or
    it took too long.
    """
    if attempt.status in ("running", "cancelled"):
        return True
    error = attempt.error
    return isinstance(error, ProviderError) and error.code == _TOO_LONG


def _written(turn: Turn, attempt: Attempt, chars: int) -> int:
    tokens = -(-chars // _CHARS_PER_TOKEN)
    request = turn.request
    if isinstance(request, EmbeddingRequest):
        return tokens
    if not isinstance(request, Prompt):
        return written_about(request, chars)
    if _was_left(attempt):
        tokens += _unseen(turn, attempt) * request.choices
    if request.max_output_tokens is None:
        return tokens
    return min(tokens, request.max_output_tokens * request.choices)


def _unseen(turn: Turn, attempt: Attempt) -> int:
    until = attempt.first_event_at or attempt.finished_at or turn.finished_at or turn.clock.now()
    quiet_s = until - attempt.started_at - (_BEGINS_AFTER_S if turn.request.stream else 0)
    return int(max(0.0, min(quiet_s, _LONGEST_S)) * _UNSEEN_PER_S)
