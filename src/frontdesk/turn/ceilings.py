"""How long an answer may get that money was put aside for: a provider that does not keep to
`max_output_tokens` must not spend without end.

It is measured in characters, which are counted anyway. Below both ceilings an answer costs one comparison a batch.
"""

from __future__ import annotations

import sys

from frontdesk.turn.items import Prompt, TranscriptionRequest
from frontdesk.turn.media_sizes import written_at_most
from frontdesk.turn.turn import Turn

_LONG_TOKEN_CHARS = 8  # no language's tokens are longer on average
_SLACK_CHARS = 4_096  # tables and code have long tokens, and a short answer may be all of them


def most_chars(turn: Turn) -> int:
    """The characters beyond which the turn's answer is ended.

    No tokens hold more on average; while somebody reads, there is some slack. Without money put aside, or without
    a bound of its tokens, there is no ceiling.
    """
    request = turn.request
    if turn.funds is None:
        return sys.maxsize
    if isinstance(request, TranscriptionRequest):
        tokens = written_at_most(request)
    elif isinstance(request, Prompt) and request.max_output_tokens is not None:
        tokens = request.max_output_tokens * request.choices
    else:
        return sys.maxsize
    chars = tokens * _LONG_TOKEN_CHARS
    return chars + _SLACK_CHARS if turn.has_reader else chars
