"""Tokens, counted by us where no provider said. It errs to either side, but never above what was bounded before.

What was read is the size of the request, what was written 4 characters a token. An answer that was left before its
end has more that nobody saw: it comes in one piece, or was thought about first. That is as long as it took: else who
leaves early enough would have it for nothing.
"""

from __future__ import annotations

from frontdesk.turn.events import Usage
from frontdesk.turn.items import Prompt
from frontdesk.turn.sizes import size_of
from frontdesk.turn.turn import Attempt, Turn

_CHARS_PER_TOKEN = 4
_UNSEEN_PER_S = 100  # large models write 50 to 150 tokens a second
_BEGINS_AFTER_S = 2.0  # a stream that says nothing for longer thinks
_LONGEST_S = 600.0  # a clock may have been set


def counted_usage(turn: Turn) -> Usage | None:
    """Estimate what a turn used; None where no provider was asked, or none of them answered at all."""
    if not turn.attempts or (turn.attempts[-1].status == "failed" and turn.first_event_at is None):
        return None
    return Usage(
        input_tokens=size_of(turn).estimate,
        output_tokens=_written(turn, turn.attempts[-1]),
        source="counted",
    )


def _written(turn: Turn, attempt: Attempt) -> int:
    tokens = -(-turn.answered_chars // _CHARS_PER_TOKEN)
    request = turn.request
    if not isinstance(request, Prompt):
        return tokens
    if attempt.status == "running":  # it was left
        tokens += _unseen(turn, attempt) * request.choices
    if request.max_output_tokens is None:
        return tokens
    return min(tokens, request.max_output_tokens * request.choices)


def _unseen(turn: Turn, attempt: Attempt) -> int:
    until = attempt.first_event_at or turn.finished_at or turn.clock.now()
    quiet_s = until - attempt.started_at - (_BEGINS_AFTER_S if turn.request.stream else 0)
    return int(max(0.0, min(quiet_s, _LONGEST_S)) * _UNSEEN_PER_S)
