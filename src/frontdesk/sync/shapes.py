"""What devices send and are told, as values: entries of their outboxes, what became of each, and changes.

Fields that say nothing are left out of what is told.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from frontdesk.core.config.features import FEATURE_NAME
from frontdesk.feedback.rows import MOST_COMMENT_CHARS, MOST_CORRECTION_CHARS, Rating, Reason
from frontdesk.wire.parameters import Metadata, StoredId
from frontdesk.wire.reading import Kinds

Json = dict[str, Any]

MOST_ENTRIES = 100
MOST_CHANGES = 1_000
USUAL_CHANGES = 200
MOST_OUTPUTS = 128
MOST_TITLE_CHARS = 200

# With their lengths, for a line break may stand behind what `$` matches.
EntryId = Annotated[str, Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", max_length=36)]
FactId = Annotated[str, Meta(pattern="^fact_[0-9a-f]{32}$", max_length=37)]
_OwnConversationId = Annotated[str, Meta(pattern="^conv_[0-9a-f]{32}$", max_length=37)]
_Feature = Annotated[str, Meta(pattern=f"^{FEATURE_NAME.pattern}$", max_length=64)]
_Title = Annotated[str, Meta(min_length=1, max_length=MOST_TITLE_CHARS)]

# --- entries ------------------------------------------------------------------------------------


class Entry(Struct, tag_field="type", kw_only=True, forbid_unknown_fields=True):
    """Something that was done on a device. The id is its own, a UUID (RFC 9562): by it the entry is done once."""

    id: EntryId


class ConversationEntry(Entry, tag="conversation", kw_only=True):
    """A conversation begins, under an id that the device has made."""

    conversation: _OwnConversationId
    title: _Title | None = None
    metadata: Metadata | None = None


class Asking(Entry, kw_only=True):
    """An entry that asks a model. `request` is what of a request for a response is said besides."""

    conversation: StoredId
    feature: _Feature | None = None
    request: Json | None = None


class MessageEntry(Asking, tag="message", kw_only=True):
    """Somebody said something: at the end, behind the item `after`, or at the beginning (null)."""

    content: str | list[Json]
    after: StoredId | UnsetType | None = UNSET


class AnswerEntry(Asking, tag="answer", kw_only=True):
    """Another answer is wanted, behind an item, or at the end."""

    after: StoredId | UnsetType = UNSET


class EditEntry(Asking, tag="edit", kw_only=True):
    """Somebody said something else than in an item: that comes beside it."""

    item: StoredId
    content: str | list[Json]


class DeviceOutput(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a tool of a device said to one call; it is of the call's own kind, where none is said."""

    call_id: Annotated[str, Meta(min_length=1)]
    output: str | list[Json]
    type: Literal["function_call_output", "custom_tool_call_output"] | UnsetType = UNSET


class OutputsEntry(Asking, tag="outputs", kw_only=True):
    """Tools of a device said something, to calls of an answer: at the end, or behind the item `after`. What the model
    makes of it is wanted.
    """

    outputs: Annotated[list[DeviceOutput], Meta(min_length=1, max_length=MOST_OUTPUTS)]
    after: StoredId | UnsetType = UNSET


class CancelEntry(Entry, tag="cancel", kw_only=True):
    """An answer is not wanted any more."""

    response: StoredId


class RenameEntry(Entry, tag="rename", kw_only=True):
    """A conversation got a name, or has none any more."""

    conversation: StoredId
    title: _Title | None


class PinEntry(Entry, tag="pin", kw_only=True):
    """A conversation is pinned, or not any more."""

    conversation: StoredId
    pinned: bool


class ChooseEntry(Entry, tag="choose", kw_only=True):
    """Another branch of a conversation was chosen."""

    conversation: StoredId
    branch: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class MetadataEntry(Entry, tag="metadata", kw_only=True):
    """A conversation got other metadata."""

    conversation: StoredId
    metadata: Metadata | None


class DeleteEntry(Entry, tag="delete", kw_only=True):
    """A conversation was deleted, or one item of it."""

    conversation: StoredId
    item: StoredId | None = None


class PinItemEntry(Entry, tag="pin_item", kw_only=True):
    """An item is told to every model from now on, or not any more."""

    conversation: StoredId
    item: StoredId
    pinned: bool


class ReadEntry(Entry, tag="read", kw_only=True):
    """A conversation was read as far as this item."""

    conversation: StoredId
    item: StoredId


class FeedbackEntry(Entry, tag="feedback", kw_only=True):
    """What somebody thinks of an answer; without a rating, nothing any more."""

    response: StoredId
    rating: Rating | None
    reason: Reason | None = None
    comment: Annotated[str, Meta(max_length=MOST_COMMENT_CHARS)] | None = None
    correction: Annotated[str, Meta(max_length=MOST_CORRECTION_CHARS)] | None = None


class FactEntry(Entry, tag="fact", kw_only=True):
    """Something that is to be remembered, in other words than before, or not any more (null)."""

    fact: FactId
    words: Annotated[str, Meta(min_length=1, max_length=2_000)] | None


ENTRIES = Kinds(
    "type",
    {
        "conversation": ConversationEntry,
        "message": MessageEntry,
        "answer": AnswerEntry,
        "edit": EditEntry,
        "outputs": OutputsEntry,
        "cancel": CancelEntry,
        "rename": RenameEntry,
        "pin": PinEntry,
        "choose": ChooseEntry,
        "metadata": MetadataEntry,
        "delete": DeleteEntry,
        "pin_item": PinItemEntry,
        "read": ReadEntry,
        "feedback": FeedbackEntry,
        "fact": FactEntry,
    },
)


class SyncBody(Struct, forbid_unknown_fields=True):
    """What a device sends: where it is, how much it takes, and what was done on it. `push` is read entry by entry.

    With a `limit` of 0 it is told no changes: its `cursor`, which it needs then, comes back as it was sent.
    """

    cursor: Annotated[str, Meta(max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=0, le=MOST_CHANGES)] = USUAL_CHANGES
    push: Annotated[list[Json], Meta(max_length=MOST_ENTRIES), ENTRIES] = []


# --- what became of them --------------------------------------------------------------------------


class Result(Struct, omit_defaults=True, kw_only=True):
    """What became of an entry.

    It is done; or it waits, and is to be sent again, after so long where that is known; or it is refused, and sending
    it again is of no use. `id` is null of what has none that could be read.
    """

    id: str | None
    status: Literal["done", "waiting", "refused"]
    item: str | None = None
    response: str | None = None
    error: Json | None = None
    retry_after_s: float | None = None


# --- changes --------------------------------------------------------------------------------------


class SyncedBranch(Struct):
    """A branch of a conversation: along its parent up to the position `fork`, where its own items begin."""

    number: int
    parent: int | None
    fork: int
    length: int


class SyncedFollowUps(Struct):
    """What may be asked next, behind this response."""

    response: str
    questions: list[str]


class ConversationTold(Struct, tag_field="type", tag="conversation", omit_defaults=True, kw_only=True):
    """A conversation as it is. `branches` are there where there are several, `response` is what is being made."""

    id: str
    title: str | None = None
    metadata: dict[str, str] = {}
    branch: int
    branches: list[SyncedBranch] = []
    version: int
    response: str | None = None
    created_at: int
    changed_at: int
    pinned_at: int | None = None
    expires_at: int | None = None
    read_item: str | None = None
    follow_ups: SyncedFollowUps | None = None


class ItemTold(Struct, tag_field="type", tag="item", omit_defaults=True, kw_only=True):
    """An item as it is, and its place. One that is large has its `bytes` told instead of the `item` itself."""

    conversation: str
    id: str
    branch: int
    position: int
    response: str | None = None
    created_at: int
    pinned: bool = False
    item: msgspec.Raw | UnsetType = UNSET
    bytes: int | None = None


class TurnTold(Struct, tag_field="type", tag="turn", omit_defaults=True, kw_only=True):
    """How far an answer has come: the ticks beside a message. `code` is why it failed."""

    conversation: str
    id: str
    state: str
    code: str | None = None


class FeedbackTold(Struct, tag_field="type", tag="feedback", omit_defaults=True, kw_only=True):
    """What was said of an answer."""

    response: str
    id: str
    rating: Rating
    reason: Reason | None = None
    comment: str | None = None
    correction: str | None = None
    feature: str | None = None
    model: str | None = None
    created_at: int
    changed_at: int
    expires_at: int | None = None


class FactTold(Struct, tag_field="type", tag="fact", omit_defaults=True, kw_only=True):
    """Something that is remembered. `response` is what it was said in, where nobody wrote it down themselves."""

    id: str
    words: str
    response: str | None = None
    created_at: int
    changed_at: int


class Gone(Struct, omit_defaults=True, kw_only=True):
    """Something that is no longer there; of a conversation, with all that is in it."""

    type: Literal["conversation", "item", "turn", "feedback", "fact"]
    conversation: str | None = None
    response: str | None = None
    id: str | None = None
    deleted: Literal[True]


Told = ConversationTold | ItemTold | TurnTold | FeedbackTold | FactTold | Gone


class Page(Struct, kw_only=True):
    """Some changes, and where who is told them is behind each: as many `places` as `changes`.

    With `is_reset` it is the first page of a first sync: what is not told again is no longer there.
    """

    cursor: str
    has_more: bool = False
    is_reset: bool = False
    changes: list[Told] = []
    places: list[str] = []


class SyncAnswer(Struct, omit_defaults=True, kw_only=True):
    """What a device is told."""

    cursor: str
    has_more: bool | UnsetType = UNSET
    reset: bool = False
    results: list[Result] | UnsetType = UNSET
    changes: list[Told] | UnsetType = UNSET


def conversation_of(told: Told) -> str | None:
    """Of which conversation a change is; None where of none."""
    match told:
        case ConversationTold():
            return told.id
        case ItemTold() | TurnTold():
            return told.conversation
        case Gone():
            return told.id if told.type == "conversation" else told.conversation
        case FeedbackTold() | FactTold():
            return None
