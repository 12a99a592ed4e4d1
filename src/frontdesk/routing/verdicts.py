"""What a failure says: whether the same route is asked again, whether another may do better, and who is to blame.

what happened                                        again    another   counts against the route
cannot be reached, broke off, cannot be read         yes      yes       yes
500, 502, 503, 529 and other 5xx                     yes      yes       yes
408, 409, 425                                        yes      yes       no
429                                                  yes *    yes       no: it rests for as long as was said
too slow with its first word, or silent               yes *    yes       yes; no where the caller's time was over
not done in time, but answering                      -        -         no: a request may ask for much
501, 505                                             no       yes       yes
401, 402: our key, our account                       no       yes       yes
429, where it says that our account is not served    no       yes       yes
403, 404 and all others                              no       yes       no: a request may bring them about
no answer in the format that was asked for           yes      yes       no: a format may be impossible
the request is at fault                              no       no        no
the request is too much for this model               no       yes       no

* where no other route is left: to ask the same one again takes longer
"""

from __future__ import annotations

from typing import Literal

from frontdesk.core.errors import ProviderError, Refused
from frontdesk.routing.deadlines import TIMEOUT_CODE, DeadlinePassed

Mark = Literal["failure", "busy", "nothing"]
"""What an attempt tells of its route: it failed; it has no room for now; nothing."""

_BUSY_CODE = "provider_busy"
_FORMAT_CODE = "invalid_structured_output"
_TOO_MANY = 429
_OVERLOADED = frozenset({_TOO_MANY, 529})
_FLEETING = frozenset({408, 409, 425, _TOO_MANY})
_LASTING = frozenset({501, 505})
_OURS = frozenset({401, 402})
_SERVERS_FAULT = 500
_INABILITIES = frozenset(
    {
        "context_length_exceeded",
        "unsupported_item",
        "unsupported_language",
        "unsupported_parameter",
        "unsupported_part",
        "unsupported_request",
        "unsupported_tool",
        "wrong_model",
    }
)


def may_repeat(error: ProviderError) -> bool:
    """Whether the same route may answer where it is asked again."""
    status = error.upstream_status
    if status is None:
        return True
    if error.should_retry is False:  # a 429 may mean that our money is spent
        return False
    return status in _FLEETING or (status >= _SERVERS_FAULT and status not in _LASTING)


def is_quicker_elsewhere(error: ProviderError) -> bool:
    """Whether to wait for the same route is worth it only where there is no other: it has no room, or takes long."""
    if error.should_retry is False:
        return False
    return error.upstream_status in _OVERLOADED or error.code in (_BUSY_CODE, TIMEOUT_CODE)


def mark_of(error: ProviderError) -> Mark:
    """What a failure tells of its route. What a request can bring about by itself tells nothing."""
    status = error.upstream_status
    if status == _TOO_MANY:
        return "failure" if error.should_retry is False else "busy"
    if status is None:
        return "nothing" if error.code == _FORMAT_CODE or isinstance(error, DeadlinePassed) else "failure"
    return "failure" if status >= _SERVERS_FAULT or status in _OURS else "nothing"


def is_inability(refusal: Refused) -> bool:
    """Whether a refusal says no more than that this route cannot do what is asked."""
    return refusal.code in _INABILITIES
