"""What endpoints that are no chat have in common: their answers are whole, or an error."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from frontdesk.core.errors import ProviderError, Unprocessable
from frontdesk.turn.events import Event, TurnIncomplete

FILE: TypeAlias = Annotated[Any, Meta(extra_json_schema={"type": "string", "format": "binary"})]
"""A field of a form that is a file; `forms` reads it."""
_encode = msgspec.json.Encoder().encode


def check_whole(events: list[Event]) -> None:
    """Raise an error where an answer ends without being whole, for no shape can say so: Unprocessable where a rule
    withholds it, ProviderError where it goes on for longer than any could.
    """
    if not events or not isinstance(events[-1], TurnIncomplete):
        return
    if events[-1].reason == "content_filter":
        raise Unprocessable("A rule of this server withholds the answer.", code="content_filter")
    raise ProviderError("the answer is longer than any could be")


def data_frame(payload: Any) -> bytes:
    """Return a server-sent event without a name."""
    return b"data: %b\n\n" % _encode(payload)


def named_frame(payload: dict[str, Any]) -> bytes:
    """Return the server-sent event that is called as the payload's `type`."""
    return b"event: %b\ndata: %b\n\n" % (payload["type"].encode(), _encode(payload))
