"""Conversations: kept, read and changed, each its owner's alone.

What is another's is as good as not there, and so is what has expired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from frontdesk.conversations import entering, steps
from frontdesk.conversations.entering import Adding
from frontdesk.conversations.items import first_words, folded, pattern_of
from frontdesk.conversations.noting import changed
from frontdesk.conversations.refusals import locked, no_conversation, no_item
from frontdesk.conversations.rows import ConversationRow, CountedItem, FollowUps, ItemHead
from frontdesk.conversations.steps import MOST_CONVERSATIONS, Changes, Steps, new_row, no_branch, too_many
from frontdesk.conversations.store import writing
from frontdesk.conversations.store.reading import BEHIND, ConversationStore, StoredItem
from frontdesk.conversations.tree import Branch, Place, Stretch, Tree, cut
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.turn.items import ConversationNamed
from frontdesk.wire.refusing import wrong

Json = dict[str, Any]
Order = Literal["asc", "desc"]
Until = Callable[[int], int | None]
"""When a conversation goes that was changed at this time, unless it is changed again; None for never."""

MOST_READ_MB = 64
"""How much of a conversation a request goes on with."""

_MEGABYTE = 1024 * 1024
_PAGE_BYTES = 8 * _MEGABYTE
_READ_AT_ONCE = 200
_FIRST_WORDS_CHARS = 100
_MAX_TOLD_CHARS = 128
_decode = msgspec.json.Decoder(Json).decode


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
    """A conversation and its branches. What was deleted is not looked up, only how many items that are.

    `behind` are items behind what was `known` before, the first few.
    """

    row: ConversationRow
    tree: Tree
    deleted: int
    known: Stretch | None
    behind: list[StoredItem]

    def holds(self, path: Sequence[Stretch]) -> bool:
        """Whether all that is at these places is among those items."""
        if self.known is None or len(path) != 1:
            return False
        ((branch, first, until),) = path
        return (branch, first) == (self.known.branch, self.known.until) and until - first <= BEHIND


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
        now_ms = unix_ms(self._clock)
        row = new_row(owner, new_id("conv_"), metadata, now_ms, until_ms(now_ms))
        refusal = entering.why_not_first(row, items, "items")
        if refusal is not None:
            raise refusal
        adding = Adding(UNSET, items, "items")

        def keep() -> Steps:
            if owner.person and (yield from writing.count(owner, self._most, now_ms)) >= self._most:
                return too_many(self._most)
            yield from writing.create(owner, row)
            yield changed(row, now_ms)
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

    async def see(self, owner: Owner, conversation_id: str, known: Stretch | None = None) -> Seen:
        """The owner's conversation of this id, with its branches, and the items behind what is `known` of one.

        Raises NotFound.
        """
        found = None
        if conversation_id.isprintable():
            found = await self._store(owner).see(conversation_id, unix_ms(self._clock), known)
        if found is None:
            raise no_conversation(conversation_id)
        return Seen(found.row, Tree(found.branches), found.deleted, known, found.behind)

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
        work = partial(steps.change, owner, conversation_id, changes, unix_ms(self._clock))
        await self._done(conversation_id, work)
        return await self.find(owner, conversation_id)

    async def delete(self, owner: Owner, conversation_id: str) -> None:
        """Remove a conversation and its items. Responses that were made in it stay. Raises NotFound."""
        await self._done(conversation_id, partial(steps.delete, owner, conversation_id, unix_ms(self._clock)))
        await self.remove(owner, conversation_id)

    async def remove(self, owner: Owner, conversation_id: str) -> None:
        """Remove what is in a conversation that has ended. The same again is harmless."""
        await self._store(owner).remove(conversation_id, unix_ms(self._clock))

    # --- items ----------------------------------------------------------------------------------

    async def add(self, owner: Owner, conversation_id: str, items: Sequence[Json]) -> None:
        """Put items at the end of the chosen branch. Raises NotFound, BadRequest, Conflict while a response is made."""
        now_ms = unix_ms(self._clock)
        adding = Adding(UNSET, items, "items")

        def work() -> Steps:
            row = yield from writing.lock(owner, conversation_id, now_ms)
            if row is None:
                return no_conversation(conversation_id)
            if row.response is not None:
                return locked(row)
            return (yield from entering.add(row, adding, now_ms))

        await self._done(conversation_id, work)

    async def page(
        self, owner: Owner, seen: Seen, after: str, limit: int, order: Order, branch: int | None
    ) -> ItemPage:
        """Items of a branch, None for all of them branch by branch, from behind the item `after`.

        Fewer than `limit` where they are large. Raises BadRequest.
        """
        row, tree = seen.row, seen.tree
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
            raise no_branch(row, branch)
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
        if not item_id.isprintable():
            raise no_item(item_id)
        work = partial(steps.delete_item, owner, conversation_id, item_id, unix_ms(self._clock))
        await self._done(conversation_id, work)
        return await self.find(owner, conversation_id)

    async def pin_item(self, owner: Owner, conversation_id: str, item_id: str, *, is_pinned: bool) -> None:
        """Have every model told an item, or not any more. Raises NotFound, BadRequest."""
        if not item_id.isprintable():
            raise no_item(item_id)
        now_ms = unix_ms(self._clock)
        work = partial(steps.pin_item, owner, conversation_id, item_id, now_ms, is_pinned=is_pinned)
        await self._done(conversation_id, work)

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

    async def item_before(self, owner: Owner, conversation_id: str, item_id: str) -> str | None:
        """The id of the item before one; None where it is the first. Raises NotFound."""
        seen = await self.see(owner, conversation_id)
        head = await self._store(owner).item(seen.row, item_id)
        if head is None or head.branch >= len(seen.tree.branches):
            raise no_item(item_id)
        (around,) = await self.around(owner, seen, [head])
        return around.parent

    # --- for turns ------------------------------------------------------------------------------

    async def path_for(self, owner: Owner, seen: Seen, named: ConversationNamed) -> list[Stretch]:
        """The places of what comes before a new input, whatever of it was deleted. Raises NotFound."""
        row, tree = seen.row, seen.tree
        if named.after is UNSET:
            return tree.path(row.branch)
        if named.after is None:
            return []
        head = await self._store(owner).item(row, named.after) if named.after.isprintable() else None
        if head is None or head.branch >= len(tree.branches):
            raise no_item(named.after)
        return tree.path_to(_place(head))

    async def told(self, owner: Owner, seen: Seen, path: Sequence[Stretch], besides_bytes: int = 0) -> list[StoredItem]:
        """The items at these places, in order.

        Raises BadRequest where they hold too much, with `besides_bytes` that are known already.
        """
        store, most_bytes = self._store(owner), MOST_READ_MB * _MEGABYTE - besides_bytes
        if seen.holds(path):
            behind = [item for item in seen.behind if item.place.position < path[0].until]
            if sum(len(item.content) for item in behind) > most_bytes:
                raise _too_large(seen.row)
            return behind
        if path and await store.size_bytes(seen.row, path) > most_bytes:
            raise _too_large(seen.row)
        items: list[StoredItem] = []
        for first in range(path[0].first if path else 0, path[-1].until if path else 0, _READ_AT_ONCE):
            if some := cut(path, first, first + _READ_AT_ONCE):
                items += await store.told(seen.row, some)
        return items

    async def deleted(self, owner: Owner, seen: Seen) -> set[Place]:
        """Where items of it were that have been deleted."""
        return await self._store(owner).deleted(seen.row)

    def note_tokens(self, owner: Owner, seen: Seen, counted: Sequence[CountedItem]) -> None:
        """Have it stored, some time, how many tokens items have."""
        self._store(owner).note_tokens(seen.row, counted)

    # --- what they have in common ---------------------------------------------------------------

    def _store(self, owner: Owner) -> ConversationStore:
        return ConversationStore(self._database, owner)

    async def _done(self, conversation_id: str, work: Callable[[], Steps]) -> None:
        """Do something to a conversation. Raises what it returns, and NotFound for what is no id."""
        if not conversation_id.isprintable():
            raise no_conversation(conversation_id)
        refusal = await self._database.transact(work)
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


def _no_start(after: str) -> BadRequest:
    return wrong("after", f"There is no item {after[:_MAX_TOLD_CHARS]!r} in what is listed, behind which to begin.")


def _too_large(row: ConversationRow) -> BadRequest:
    return BadRequest(
        f"The items of the conversation {row.id!r} hold more than {MOST_READ_MB} MB, which is all that a request goes "
        "on with. Go on behind an earlier one, or begin another conversation.",
        code="conversation_too_large",
    )
