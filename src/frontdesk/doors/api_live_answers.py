"""What /api/events and /api/conversations/{id}/events answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from frontdesk.doors.api_sync_answers import (
    CHANGES,
    SyncedConversation,
    SyncedFact,
    SyncedFeedback,
    SyncedGone,
    SyncedItem,
    SyncedTurn,
)
from frontdesk.wire.openai_answers import ErrorDetails


class Polled(Struct, kw_only=True):
    """What has changed behind the cursor that was sent, and after how many seconds to ask again. With `reset` it is the
    first page of a first sync. Who knows another revision than `bootstrap` asks for that again.
    """

    cursor: str
    has_more: bool
    reset: Literal[True] | UnsetType = UNSET
    changes: Annotated[list[dict[str, Any]], CHANGES]
    poll_after_s: float
    bootstrap: str


class StreamCursor(Struct):
    """Of the events `ready` and `heartbeat`: all up to this cursor has been told. Who knows another revision than
    `bootstrap` asks for that again.
    """

    cursor: str
    bootstrap: str


class StreamReset(Struct):
    """Of the event `reset`: a first sync follows, up to `ready`. What is not told again by then is no longer there."""


class StreamBye(Struct, kw_only=True):
    """Of the event `bye`, the last one: why the stream ends, and when to come again, where that is of use."""

    error: ErrorDetails
    retry_after_s: float | UnsetType = UNSET


StreamEvent = (
    SyncedConversation
    | SyncedItem
    | SyncedTurn
    | SyncedFeedback
    | SyncedFact
    | SyncedGone
    | StreamCursor
    | StreamReset
    | StreamBye
)
"""What the events of a stream say."""
