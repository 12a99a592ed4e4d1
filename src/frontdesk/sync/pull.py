"""What has changed of a person's things since a cursor, a page at a time.

A first sync goes down from the newest change to the oldest, so that what people look at first is there first; from
then on it goes up. What changes meanwhile has a higher number than where it began, and comes behind it.

Theory of operation. Numbers are in the order of the commits (`changes.store`), so a page that was read in one statement
misses nothing below its last number. Downward it misses what has moved to above where it began: while there is
something, no page is the last. Whether the cursor was too old is looked up behind that: what was deleted may be
forgotten at any moment. What the changes are of is looked up after that, as it is by then: it may be newer than its
change, whose row has then moved on and is told once more; it may be gone, and is told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import msgspec

from frontdesk.changes.store import ChangeRow, ChangeStore, Head
from frontdesk.conversations.items import shown
from frontdesk.conversations.rows import FollowUps
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.sync.cursor import NOTHING, Cursor, read_cursor
from frontdesk.sync.shapes import (
    USUAL_CHANGES,
    ConversationTold,
    FactTold,
    FeedbackTold,
    Gone,
    ItemTold,
    Page,
    SyncedBranch,
    SyncedFollowUps,
    Told,
    TurnTold,
)
from frontdesk.sync.store import ConversationFound, FactFound, FeedbackFound, Found, ItemFound, SyncStore

MOST_PAGE_BYTES = 1024 * 1024

_EACH_BYTES = 300  # beside what is long of it
_UNMEASURED = 4  # as many as fit, however long
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_read_follow_ups = msgspec.json.Decoder(FollowUps).decode
_read_metadata = msgspec.json.Decoder(dict[str, str]).decode


class Pulling:
    """Tells what has changed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._changes = ChangeStore(database)
        self._store = SyncStore(database)
        self._clock = clock

    async def now(self, owner: Owner) -> str:
        """The cursor of who has all there is."""
        head = await self._changes.head(owner.tenant, owner.person)
        return str(NOTHING if head is None else Cursor(head.epoch, head.head))

    async def pull(self, owner: Owner, cursor: str | None, limit: int = USUAL_CHANGES) -> Page:
        """What has changed of a person's things behind a cursor, or all there is, the newest first.

        At most `limit` changes, and fewer where they are large. A cursor that is too old, or none of this person's,
        begins a first sync. The same cursor brings the same page while nothing changes. Raises StorageError.
        """
        asked = None if cursor is None else read_cursor(cursor)
        found: list[ChangeRow] = []
        if asked is not None and asked.at is None:
            found = await self._changes.after(owner.tenant, owner.person, asked.seq, limit + 1)
        head = await self._changes.head(owner.tenant, owner.person)  # behind them: see above
        if head is None:
            return Page(cursor=str(NOTHING), is_reset=cursor is not None and asked != NOTHING)
        if asked is not None and _holds(asked, head):
            if asked.at is None:
                return await self._up(owner, asked, found, limit)
            return await self._down(owner, asked, min(asked.at - 1, asked.seq), limit)
        page = await self._down(owner, Cursor(head.epoch, head.head), head.head, limit)
        page.is_reset = cursor is not None and asked != NOTHING
        return page

    async def _up(self, owner: Owner, cursor: Cursor, found: list[ChangeRow], limit: int) -> Page:
        """The first of the changes that were found behind a cursor."""
        rows = await self._fitting(owner, found[:limit])
        places = [str(Cursor(cursor.epoch, row.seq)) for row in rows]
        return Page(
            cursor=places[-1] if places else str(cursor),
            has_more=len(found) > len(rows),
            changes=await self._told(owner, rows),
            places=places,
        )

    async def _down(self, owner: Owner, start: Cursor, seq: int, limit: int) -> Page:
        """The first changes from one number down. Behind the last of them, `start` is where it goes on upward."""
        found = await self._changes.before(owner.tenant, owner.person, seq, limit + 1)
        rows = await self._fitting(owner, found[:limit])
        places = [str(start._replace(at=row.seq)) for row in rows]
        has_ended = len(found) == len(rows)
        end = str(start._replace(at=None))
        if has_ended and places:
            places[-1] = end
        return Page(
            cursor=end if has_ended else places[-1],
            has_more=not has_ended or await self._has_grown(owner, start.seq),
            changes=await self._told(owner, rows),
            places=places,
        )

    async def _has_grown(self, owner: Owner, seq: int) -> bool:
        """Whether anything changed behind a number: it may be what was not there any more further down."""
        head = await self._changes.head(owner.tenant, owner.person)
        return head is not None and head.head > seq

    async def _fitting(self, owner: Owner, rows: list[ChangeRow]) -> list[ChangeRow]:
        """The first of some changes, no more than fit into a page."""
        if len(rows) <= _UNMEASURED:
            return rows
        sizes = await self._store.sizes(owner, rows)
        ends = accumulate(size + _EACH_BYTES for size in sizes)
        fitting = sum(end <= MOST_PAGE_BYTES for end in ends)
        return rows[: max(fitting, 1)]

    async def _told(self, owner: Owner, rows: Sequence[ChangeRow]) -> list[Told]:
        found = await self._store.find(owner, rows, unix_ms(self._clock))
        return [_told(row, found) for row in rows]


def _holds(cursor: Cursor, head: Head) -> bool:
    """Whether all that has changed since a cursor is still known."""
    return cursor.epoch == head.epoch and head.floor <= cursor.seq <= head.head


def _told(row: ChangeRow, found: Found) -> Told:
    """A change, with what it is of; as gone, where that is not there any more."""
    if row.is_deleted:
        return _gone(row)
    match row.kind:
        case "conversation":
            conversation = found.conversations.get(row.conversation)
            return _gone(row) if conversation is None else _conversation(conversation, found)
        case "item":
            item = found.items.get((row.conversation, row.id))
            return _gone(row) if item is None else _item(item)
        case "turn":
            state, _, code = (row.state or "").partition(":")
            return TurnTold(conversation=row.conversation, id=row.id, state=state, code=code or None)
        case "feedback":
            feedback = found.feedback.get(row.id)
            return _gone(row) if feedback is None else _feedback(feedback)
        case "fact":
            fact = found.facts.get(row.id)
            return _gone(row) if fact is None else _fact(fact)


def _gone(row: ChangeRow) -> Gone:
    match row.kind:
        case "conversation":
            return Gone(type="conversation", id=row.conversation, deleted=True)
        case "item" | "turn":
            return Gone(type=row.kind, conversation=row.conversation, id=row.id, deleted=True)
        case "feedback":
            return Gone(type="feedback", response=row.id, deleted=True)
        case "fact":
            return Gone(type="fact", id=row.id, deleted=True)


def _conversation(row: ConversationFound, found: Found) -> ConversationTold:
    branches = found.branches.get(row.id, [])
    follow_ups = None if row.follow_ups is None else _read_follow_ups(row.follow_ups)
    return ConversationTold(
        id=row.id,
        title=row.title,
        metadata=_read_metadata(row.metadata) if row.metadata else {},
        branch=row.branch,
        branches=[SyncedBranch(each.number, each.parent, each.fork, each.length) for each in branches],
        version=row.version,
        response=row.response,
        created_at=row.created_at_ms // 1000,
        changed_at=row.changed_at_ms // 1000,
        pinned_at=_seconds(row.pinned_at_ms),
        expires_at=_seconds(row.expires_at_ms),
        read_item=row.read_item,
        follow_ups=None if follow_ups is None else SyncedFollowUps(follow_ups.response, list(follow_ups.questions)),
    )


def _item(row: ItemFound) -> ItemTold:
    told = ItemTold(
        conversation=row.conversation,
        id=row.id,
        branch=row.branch,
        position=row.position,
        response=row.response,
        created_at=row.created_at_ms // 1000,
        pinned=row.pinned_at_ms is not None,
    )
    if row.content is None:
        told.bytes = row.bytes
    else:
        told.item = msgspec.Raw(_shown(row.content))
    return told


# What items have that is told only to those who ask for it; texts have these words with a backslash.
_HIDDEN = (b'"encrypted_content"', b'"logprobs":[{')


def _shown(content: bytes) -> bytes:
    content = bytes(content)
    if not any(word in content for word in _HIDDEN):
        return content
    return _encode(shown(_decode(content), ()))


def _feedback(row: FeedbackFound) -> FeedbackTold:
    return FeedbackTold(
        response=row.response,
        id=row.id,
        rating=row.rating,
        reason=row.reason,
        comment=row.comment,
        correction=row.correction,
        feature=row.feature,
        model=row.model,
        created_at=row.created_at_ms // 1000,
        changed_at=row.changed_at_ms // 1000,
        expires_at=_seconds(row.expires_at_ms),
    )


def _fact(row: FactFound) -> FactTold:
    return FactTold(
        id=row.id,
        words=row.words,
        response=row.response,
        created_at=row.created_at_ms // 1000,
        changed_at=row.changed_at_ms // 1000,
    )


def _seconds(time_ms: int | None) -> int | None:
    return None if time_ms is None else time_ms // 1000
