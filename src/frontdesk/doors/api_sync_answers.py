"""What /api/sync answers, for the OpenAPI document. Times are Unix seconds; what says nothing is left out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from frontdesk.changes.store import State
from frontdesk.doors.api_answers import KeptItem
from frontdesk.feedback.rows import Rating, Reason
from frontdesk.sync.shapes import SyncedBranch, SyncedFollowUps
from frontdesk.wire.openai_answers import ErrorDetails
from frontdesk.wire.reading import Kinds


class SyncResult(Struct, kw_only=True):
    """What became of an entry that was pushed.

    It is `done`, with the `item` and the `response` that came of it; or it is `waiting`, and to be sent again, after
    `retry_after_s` where that is known; or it is `refused`, and sending it again is of no use. `id` is null of one
    whose id could not be read.
    """

    id: str | None
    status: Literal["done", "waiting", "refused"]
    item: str | UnsetType = UNSET
    response: str | UnsetType = UNSET
    error: ErrorDetails | UnsetType = UNSET
    retry_after_s: float | UnsetType = UNSET


class SyncedConversation(Struct, kw_only=True):
    """A conversation as it is. `branch` is the chosen one; `branches` are told where there are several. `response` is
    being made in it, `read_item` is the latest item that was read on any device.
    """

    type: Literal["conversation"]
    id: str
    title: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    branch: int
    branches: list[SyncedBranch] | UnsetType = UNSET
    version: int
    response: str | UnsetType = UNSET
    created_at: int
    changed_at: int
    pinned_at: int | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    read_item: str | UnsetType = UNSET
    follow_ups: SyncedFollowUps | UnsetType = UNSET


class SyncedItem(Struct, kw_only=True):
    """An item and its place. One of more than 256 kB has its `bytes` told instead of the `item` itself."""

    type: Literal["item"]
    conversation: str
    id: str
    branch: int
    position: int
    response: str | UnsetType = UNSET
    created_at: int
    pinned: Literal[True] | UnsetType = UNSET
    item: KeptItem | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class SyncedTurn(Struct, kw_only=True):
    """How far an answer has come: the ticks beside a message. `id` is its response, `code` why it failed."""

    type: Literal["turn"]
    conversation: str
    id: str
    state: State
    code: str | UnsetType = UNSET


class SyncedFeedback(Struct, kw_only=True):
    """What was said of a response."""

    type: Literal["feedback"]
    response: str
    id: str
    rating: Rating
    reason: Reason | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    correction: str | UnsetType = UNSET
    feature: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    created_at: int
    changed_at: int
    expires_at: int | UnsetType = UNSET


class SyncedFact(Struct, kw_only=True):
    """What is to be remembered; `response` is where it was said, if nobody wrote it down themselves."""

    type: Literal["fact"]
    id: str
    words: str
    response: str | UnsetType = UNSET
    created_at: int
    changed_at: int


class SyncedGone(Struct, kw_only=True):
    """What is no longer there, by what names it; a conversation with all that is in it."""

    type: Literal["conversation", "item", "turn", "feedback", "fact"]
    conversation: str | UnsetType = UNSET
    response: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    deleted: Literal[True]


CHANGES = Kinds(
    "type",
    {
        "conversation": SyncedConversation,
        "item": SyncedItem,
        "turn": SyncedTurn,
        "feedback": SyncedFeedback,
        "fact": SyncedFact,
        "": SyncedGone,
    },
)
"""A change is one of these; of what is gone `type` says what it was."""


class SyncAnswered(Struct, kw_only=True):
    """What became of what was pushed, and what has changed behind the cursor that was sent. `cursor` is where to go on;
    with `reset` all that is not told again from here on is no longer there.
    """

    cursor: str
    has_more: bool
    reset: Literal[True] | UnsetType = UNSET
    results: list[SyncResult] | UnsetType = UNSET
    changes: Annotated[list[dict[str, Any]], CHANGES]
