"""Conversations: kept, read and changed, each its owner's alone.

What is another's is as good as not there, and so is what has expired.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from frontdesk.conversations import entering
from frontdesk.conversations.entering import Adding, no_conversation, no_item
from frontdesk.conversations.items import check_kept, first_words, folded, pattern_of
from frontdesk.conversations.rows import ConversationRow, FollowUps, ItemHead
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.reading import ConversationStore
from frontdesk.conversations.tree import Branch, Place, Stretch, Tree, cut
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, FrontdeskError, TooLarge
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.query import Row, Step
from frontdesk.turn.items import ConversationNamed
from frontdesk.wire.refusing import wrong

Json = dict[str, Any]
Order = Literal["asc", "desc"]
Until = Callable[[int], int | None]
"""When a conversation goes that was changed at this time, unless it is changed again; None for never."""

MOST_CONVERSATIONS = 10_000
"""Of a person."""

MOST_READ_MB = 64
"""How much of a conversation a request goes on with."""

_MEGABYTE = 1024 * 1024
_PAGE_BYTES = 8 * _MEGABYTE
_READ_AT_ONCE = 200
_FIRST_WORDS_CHARS = 100
_MAX_TOLD_CHARS = 128
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Json).decode


class Changes(msgspec.Struct, frozen=True):
    """What is to become of a conversation. What is unset stays."""

    title: str | UnsetType | None = UNSET
    is_pinned: bool | UnsetType = UNSET
    branch: int | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET


class KeptItem(msgspec.Struct, frozen=True):
    """An item and what it is. `item` has its id."""

    head: ItemHead
    item: Json


class ItemPage(msgspec.Struct, frozen=True):
    """Some items; `has_more` where others follow."""

    items: list[KeptItem]
    has_more: bool


class Around(msgspec.Struct, frozen=True):
    """What is around an item: the id of the one before, and by branch those that stand beside it, itself included."""

    parent: str | None
    siblings: list[tuple[int, str]]


class ToldBranch(msgspec.Struct, frozen=True):
    """A branch, and how its own first message begins."""

    branch: Branch
    first_words: str


class Seen(NamedTuple):
    """A conversation and its branches, of which the chosen one is there. What was deleted is not looked up."""

    row: ConversationRow
    tree: Tree


class Conversations:
    """The conversations of everybody. A person may have `most`; keys have as many as they make."""

    def __init__(self, database: Database, clock: Clock, most: int = MOST_CONVERSATIONS) -> None:
        self._database = database
        self._clock = clock
        self._most = most

    # --- conversations --------------------------------------------------------------------------

    async def create(
        self, owner: Owner, items: Sequence[Json], metadata: dict[str, str] | None, until_ms: Until
    ) -> ConversationRow:
        """Keep a conversation with these items; it expires as long after each change as `until_ms` says of this one.

        Raises BadRequest, TooLarge where a person has as many as they may.
        """
        check_kept(items, "items")
        now_ms = unix_ms(self._clock)
        row = ConversationRow(
            tenant=owner.tenant,
            id=new_id("conv_"),
            title=None,
            metadata=_encode(metadata).decode() if metadata else None,
            branch=0,
            branches=1,
            version=0,
            response=None,
            created_at_ms=now_ms,
            changed_at_ms=now_ms,
            pinned_at_ms=None,
            expires_at_ms=until_ms(now_ms),
        )
        adding = Adding(UNSET, items, "items")

        def keep() -> Generator[Step, list[Row], FrontdeskError | None]:
            if owner.person and (yield from writing.count(owner, self._most, now_ms)) >= self._most:
                return _too_many(self._most)
            yield from writing.create(owner, row)
            return (yield from entering.add(row, adding, now_ms)) if items else None

        refusal = await self._database.transact(keep)
        if refusal is not None:
            raise refusal
        return row

    async def find(self, owner: Owner, conversation_id: str) -> ConversationRow:
        """The owner's conversation of this id. Raises NotFound."""
        row = None
        if conversation_id.isprintable():
            row = await self._store(owner).find(conversation_id, unix_ms(self._clock))
        if row is None:
            raise no_conversation(conversation_id)
        return row

    async def follow_ups(self, owner: Owner, conversation_id: str) -> FollowUps | None:
        """What may be asked next; None where nobody has thought about that since the last change. Raises NotFound."""
        row = await self.find(owner, conversation_id)
        return await self._store(owner).follow_ups(row.id, unix_ms(self._clock))

    async def see(self, owner: Owner, conversation_id: str) -> Seen:
        """The owner's conversation of this id, with its branches. Raises NotFound."""
        while True:
            row = await self.find(owner, conversation_id)
            tree = Tree(await self._store(owner).branches(row))
            # A turn that was withdrawn between the two reads has taken its branch along.
            if row.branch < len(tree.branches):
                return Seen(row, tree)

    async def list(self, owner: Owner, after: str, limit: int, words: str = "") -> list[ConversationRow]:
        """The owner's conversations from behind the one of the id `after`, pinned ones first, then what changed last.

        Only those in whose title, or in an item, these words stand, if there are any: all that they said is looked
        through. Raises BadRequest.
        """
        store = self._store(owner)
        now_ms = unix_ms(self._clock)
        behind = await store.find(after, now_ms) if after else None
        if after and behind is None:
            raise wrong("after", f"There is no conversation {after[:_MAX_TOLD_CHARS]!r} behind which to begin.")
        return await store.list(behind, limit, pattern_of(words) if folded(words) else None, now_ms)

    async def change(self, owner: Owner, conversation_id: str, changes: Changes) -> ConversationRow:
        """Change what is said of a conversation, or which branch is chosen. Raises NotFound, BadRequest, Conflict."""
        now_ms = unix_ms(self._clock)

        def work(row: ConversationRow) -> Generator[Step, list[Row], FrontdeskError | None]:
            if changes.branch is not UNSET and changes.branch != row.branch:
                if row.response is not None:
                    return entering.locked(row)
                if changes.branch >= row.branches:
                    return _no_branch(row, changes.branch)
                yield writing.change(row, changes.branch, row.branches, None, now_ms)
            if changes.title is not UNSET:
                yield from writing.set_title(row, changes.title, folded(changes.title or ""))
            if changes.is_pinned is not UNSET and changes.is_pinned != (row.pinned_at_ms is not None):
                yield writing.set_pinned(row, now_ms if changes.is_pinned else None)
            if changes.metadata is not UNSET:
                metadata = _encode(changes.metadata).decode() if changes.metadata else None
                yield writing.set_metadata(row, metadata)
            return None

        await self._changed(owner, conversation_id, now_ms, work)
        return await self.find(owner, conversation_id)

    async def delete(self, owner: Owner, conversation_id: str) -> None:
        """Remove a conversation and its items. Responses that were made in it stay. Raises NotFound."""
        now_ms = unix_ms(self._clock)

        def work(row: ConversationRow) -> Generator[Step, list[Row], FrontdeskError | None]:
            yield writing.end(row, now_ms)
            return None

        await self._changed(owner, conversation_id, now_ms, work)
        await self._store(owner).remove(conversation_id, now_ms)

    # --- items ----------------------------------------------------------------------------------

    async def add(self, owner: Owner, conversation_id: str, items: Sequence[Json]) -> None:
        """Put items at the end of the chosen branch. Raises NotFound, BadRequest, Conflict while a response is made."""
        now_ms = unix_ms(self._clock)
        adding = Adding(UNSET, items, "items")

        def work(row: ConversationRow) -> Generator[Step, list[Row], FrontdeskError | None]:
            if row.response is not None:
                return entering.locked(row)
            return (yield from entering.add(row, adding, now_ms))

        await self._changed(owner, conversation_id, now_ms, work)

    async def page(
        self, owner: Owner, seen: Seen, after: str, limit: int, order: Order, branch: int | None
    ) -> ItemPage:
        """Items of a branch, None for all of them branch by branch, from behind the item `after`.

        Fewer than `limit` where they are large. Raises BadRequest.
        """
        row, tree = seen
        store = self._store(owner)
        is_backwards = order == "desc"
        head = await store.item(row, after, or_deleted=True) if after else None
        if after and head is None:
            raise _no_start(after)
        place = None if head is None else Place(head.branch, head.position)
        if branch is None:
            found = await store.all(row, place, limit + 1, is_backwards=is_backwards)
            heads = [head for head in found if head.branch < len(tree.branches)]  # or it began since
        elif branch >= len(tree.branches):
            raise _no_branch(row, branch)
        else:
            path = _rest(tree.path(branch), place, after, is_backwards=is_backwards)
            heads = await store.along(row, path, limit + 1, is_backwards=is_backwards)
        wanted = _fitting(heads[:limit])
        contents = await store.contents_of(row, map(_place, wanted))
        items = [KeptItem(each, _decode(contents[_place(each)])) for each in wanted if _place(each) in contents]
        return ItemPage(items, has_more=len(heads) > len(wanted))

    async def item(self, owner: Owner, conversation_id: str, item_id: str) -> Json:
        """One item, of whatever branch. Raises NotFound."""
        row = await self.find(owner, conversation_id)
        store = self._store(owner)
        head = await store.item(row, item_id) if item_id.isprintable() else None
        contents = {} if head is None else await store.contents_of(row, [_place(head)])
        if not contents:
            raise no_item(item_id)
        (content,) = contents.values()
        return _decode(content)

    async def delete_item(self, owner: Owner, conversation_id: str, item_id: str) -> ConversationRow:
        """Remove what an item says; what follows on it stays. Raises NotFound."""
        now_ms = unix_ms(self._clock)

        def work(row: ConversationRow) -> Generator[Step, list[Row], FrontdeskError | None]:
            if not item_id.isprintable() or not (yield writing.empty_item(row, item_id)):
                return no_item(item_id)
            yield writing.change(row, row.branch, row.branches, row.response, now_ms)
            return None

        await self._changed(owner, conversation_id, now_ms, work)
        return await self.find(owner, conversation_id)

    # --- branches -------------------------------------------------------------------------------

    async def branches(self, owner: Owner, seen: Seen) -> list[ToldBranch]:
        """All branches, in order."""
        beginnings = await self._store(owner).beginnings(seen.row)
        return [
            ToldBranch(branch, _begins(*beginnings.get(branch.number, (None, None)))) for branch in seen.tree.branches
        ]

    async def around(self, owner: Owner, seen: Seen, heads: Sequence[ItemHead]) -> list[Around]:
        """What is around each of these items."""
        row, store = seen.row, self._store(owner)
        tree = Tree(seen.tree.branches, await store.deleted(row))
        found = [(tree.before(place), tree.beside(place)) for place in map(_place, heads)]
        places = {place for before, beside in found for place in (before, *beside) if place is not None}
        ids = await store.ids_of(row, places)
        return [
            Around(
                None if before is None else ids.get(before),
                [(place.branch, ids[place]) for place in beside if place in ids],
            )
            for before, beside in found
        ]

    # --- for turns ------------------------------------------------------------------------------

    async def items_for(self, owner: Owner, named: ConversationNamed) -> tuple[int, list[Json]]:
        """What comes before a new input: the version that was read, and the items in order.

        They are those of the chosen branch, or up to `named.after`. Raises NotFound, BadRequest where they hold too
        much.
        """
        row, tree = await self.see(owner, named.id)
        store = self._store(owner)
        path = tree.path(row.branch)
        if named.after is not UNSET:
            path = tree.path_to(await self._place_of(store, row, tree, named.after))
        if await store.size_bytes(row, path) > MOST_READ_MB * _MEGABYTE:
            raise _too_large(row)
        items: list[Json] = []
        until = path[-1].until if path else 0
        for first in range(0, until, _READ_AT_ONCE):
            contents = await store.contents(row, cut(path, first, first + _READ_AT_ONCE))
            items += map(_decode, contents)
        return row.version, items

    async def _place_of(
        self, store: ConversationStore, row: ConversationRow, tree: Tree, after: str | None
    ) -> Place | None:
        if after is None:
            return None
        head = await store.item(row, after) if after.isprintable() else None
        if head is None or head.branch >= len(tree.branches):
            raise no_item(after)
        return _place(head)

    # --- what they have in common ---------------------------------------------------------------

    def _store(self, owner: Owner) -> ConversationStore:
        return ConversationStore(self._database, owner)

    async def _changed(
        self,
        owner: Owner,
        conversation_id: str,
        now_ms: int,
        work: Callable[[ConversationRow], Generator[Step, list[Row], FrontdeskError | None]],
    ) -> None:
        """Do something to a conversation that is locked. Raises what it returns, and NotFound."""
        if not conversation_id.isprintable():
            raise no_conversation(conversation_id)

        def locked() -> Generator[Step, list[Row], FrontdeskError | None]:
            row = yield from writing.lock(owner, conversation_id, now_ms)
            if row is None:
                return no_conversation(conversation_id)
            return (yield from work(row))

        refusal = await self._database.transact(locked)
        if refusal is not None:
            raise refusal


def _place(head: ItemHead) -> Place:
    return Place(head.branch, head.position)


def _rest(path: list[Stretch], place: Place | None, after: str, *, is_backwards: bool) -> list[Stretch]:
    """What of a path lies behind one of its places."""
    if place is None:
        return path
    if not any(each.branch == place.branch and each.first <= place.position < each.until for each in path):
        raise _no_start(after)
    if is_backwards:
        return cut(path, 0, place.position)
    return cut(path, place.position + 1, path[-1].until)


def _fitting(heads: Sequence[ItemHead]) -> list[ItemHead]:
    """The first of some items, no more than fit into an answer; one at least, where there is one."""
    total = 0
    for number, head in enumerate(heads):
        total += head.bytes
        if total > _PAGE_BYTES and number > 0:
            return list(heads[:number])
    return list(heads)


def _begins(content: bytes | None, words: str | None) -> str:
    told = first_words(_decode(content), _FIRST_WORDS_CHARS) if content else ""
    return told or (words or "")[:_FIRST_WORDS_CHARS]


def _no_branch(row: ConversationRow, branch: int) -> BadRequest:
    known = "one, 0" if row.branches == 1 else f"{row.branches}, numbered from 0"
    return wrong("branch", f"There is no branch {branch} in the conversation {row.id!r}: it has {known}.")


def _no_start(after: str) -> BadRequest:
    return wrong("after", f"There is no item {after[:_MAX_TOLD_CHARS]!r} in what is listed, behind which to begin.")


def _too_many(most: int) -> TooLarge:
    return TooLarge(
        f"You have {most:,} conversations, which is all that you may have. Delete some.",
        code="too_many_conversations",
    )


def _too_large(row: ConversationRow) -> BadRequest:
    return BadRequest(
        f"The items of the conversation {row.id!r} hold more than {MOST_READ_MB} MB, which is all that a request goes "
        "on with. Go on behind an earlier one, or begin another conversation.",
        code="conversation_too_large",
    )
