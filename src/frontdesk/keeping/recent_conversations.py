"""What conversations say, as requests go on with them. What was read last of them is kept here as it is told.

    not known           all of the path is read
    changed since       what was deleted is dropped, and what of the path is not known is read
    as it was           nothing is read, but that it is

Kept is each item at its own place, so that it is found whichever branch goes through it. A place never gets another
item, nor a branch with items another fork, with one exception: what a response has brought goes again where it is
withdrawn. So what is read while one holds the conversation is told, and only what was known before is kept. Who may
read, and what was deleted, is asked of the store each time: nothing is told that is not there any more.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NamedTuple, Protocol

import msgspec

from frontdesk.conversations.rows import CountedItem
from frontdesk.conversations.service import Conversations, Seen
from frontdesk.conversations.store.reading import StoredItem
from frontdesk.conversations.tree import Place, Stretch
from frontdesk.core.clock import Clock
from frontdesk.files.owner import Owner
from frontdesk.policies.history import Recalled, is_plain
from frontdesk.turn.items import ConversationNamed, Item, Message, Text, ToolCall, ToolOutput
from frontdesk.wire.openai_responses import read_items

Json = dict[str, Any]

_MOST_BYTES = 32 * 1024 * 1024
_LARGEST_PART = 4  # of all that is kept, so that one conversation full of pictures does not push out all others
_LIFE_S = 300.0
_AN_ITEM_BYTES = 500  # of memory, besides what it says
_decode = msgspec.json.Decoder(Json).decode


class Counts(Protocol):
    """Remembers how many tokens texts have."""

    def know(self, vocabulary: str, text: str, tokens: int) -> None:
        """Remember how many a text has in the vocabulary of this name."""
        ...

    def counted(self, text: str) -> tuple[str, int] | None:
        """In which vocabulary a text was counted, and how many it has; None where that is not worth keeping."""
        ...


class _Own(NamedTuple):
    """What is known of a branch's own places, from its fork on. None is where nothing is told."""

    fork: int
    items: list[Recalled | None]
    sizes: list[int]


class _Known(NamedTuple):
    """What is known of a conversation, as it was at one version of it. Never changed: others may read by it."""

    created_at_ms: int
    version: int
    deleted: int
    branch: int
    branches: dict[int, _Own]
    uncounted: list[tuple[Place, Recalled]]
    until: float = 0.0

    @property
    def tip(self) -> Stretch | None:
        """The part of the chosen branch that is known."""
        own = self.branches.get(self.branch)
        return None if own is None else Stretch(self.branch, own.fork, own.fork + len(own.items))

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, about."""
        return sum(sum(own.sizes) + len(own.items) * _AN_ITEM_BYTES for own in self.branches.values())


class RecentConversations:
    """Reads conversations, and keeps what was read last for some minutes."""

    def __init__(
        self,
        conversations: Conversations,
        clock: Clock,
        counts: Counts | None = None,
        *,
        most_bytes: int = _MOST_BYTES,
        life_s: float = _LIFE_S,
    ) -> None:
        self._conversations = conversations
        self._clock = clock
        self._counts = counts
        self._most_bytes = most_bytes
        self._life_s = life_s
        self._kept: dict[tuple[Owner, str], tuple[_Known, int]] = {}  # with its size, in the order of their reading
        self.size_bytes = 0

    async def read(self, owner: Owner, named: ConversationNamed) -> tuple[int, list[Recalled]]:
        """The version of the owner's conversation, and what comes before a new input, the first item first.

        Raises NotFound, BadRequest where that is too much.
        """
        kept = self._find(owner, named.id)
        seen = await self._conversations.see(owner, named.id, None if kept is None else kept.tip)
        path = await self._conversations.path_for(owner, seen, named)
        known = whole = await self._still_known(owner, seen, kept)
        missing = _missing(path, known)
        if missing:
            besides_bytes = sum(map(sum, (own.sizes[some] for own, some in _known_along(path, known))))
            told = await self._conversations.told(owner, seen, missing, besides_bytes)
            whole = self._with(seen, known, missing, told)
        self._keep(owner, seen, known if seen.row.response is not None else whole)
        return seen.row.version, _along(path, whole)

    # --- what is known --------------------------------------------------------------------------

    async def _still_known(self, owner: Owner, seen: Seen, known: _Known | None) -> _Known:
        row = seen.row
        if known is None or known.created_at_ms != row.created_at_ms or known.version > row.version:
            return _Known(row.created_at_ms, row.version, seen.deleted, row.branch, {}, [])
        if self._counts is not None and known.uncounted:
            self._note_counts(owner, seen, self._counts, known.uncounted)
        if known.version == row.version:
            return known._replace(uncounted=[])
        deleted: Set[Place] = frozenset()
        if known.deleted != seen.deleted:
            deleted = await self._conversations.deleted(owner, seen)
        branches = {number: _without(own, number, deleted) for number, own in known.branches.items()}
        return _Known(row.created_at_ms, row.version, seen.deleted, row.branch, branches, [])

    def _with(self, seen: Seen, known: _Known, missing: Sequence[Stretch], told: Sequence[StoredItem]) -> _Known:
        """What is known, with what was read at the places that were missing."""
        read = {item.place: (each, len(item.content)) for item, each in zip(told, _recalled(told), strict=True)}
        branches = dict(known.branches)
        for number, first, until in missing:
            own = branches.get(number) or _Own(seen.tree.branches[number].fork, [], [])
            found = [read.get(Place(number, position), _NOT_TOLD) for position in range(first, until)]
            branches[number] = own._replace(
                items=[*own.items, *(each for each, _ in found)], sizes=[*own.sizes, *(size for _, size in found)]
            )
        return known._replace(branches=branches, uncounted=[*known.uncounted, *self._learnt(told, read)])

    def _learnt(
        self, told: Sequence[StoredItem], read: dict[Place, tuple[Recalled | None, int]]
    ) -> list[tuple[Place, Recalled]]:
        """Remember the counts that were stored with items; returns those that have none."""
        uncounted: list[tuple[Place, Recalled]] = []
        for item in told if self._counts is not None else ():
            each, _ = read[item.place]
            text = None if each is None else text_of(each.item)
            if each is None or text is None:
                continue
            if item.tokens is None or item.tokens_by is None:
                uncounted.append((item.place, each))
            elif self._counts is not None:
                self._counts.know(item.tokens_by, text, item.tokens)
        return uncounted

    def _note_counts(
        self, owner: Owner, seen: Seen, counts: Counts, uncounted: Sequence[tuple[Place, Recalled]]
    ) -> None:
        """Have it stored how many tokens items have that were counted since they were read."""
        found: list[CountedItem] = []
        for place, each in uncounted:
            text = text_of(each.item)
            counted = None if text is None else counts.counted(text)
            if counted is not None:
                vocabulary, tokens = counted
                found.append(CountedItem(place.branch, place.position, each.id, tokens, vocabulary))
        if found:
            self._conversations.note_tokens(owner, seen, found)

    # --- memory ---------------------------------------------------------------------------------

    def _find(self, owner: Owner, conversation_id: str) -> _Known | None:
        found = self._kept.get((owner, conversation_id))
        return None if found is None or found[0].until <= self._clock.monotonic() else found[0]

    def _keep(self, owner: Owner, seen: Seen, known: _Known) -> None:
        now = self._clock.monotonic()
        self._forget(owner, seen.row.id)
        size_bytes = known.size_bytes
        if size_bytes * _LARGEST_PART > self._most_bytes:
            return
        self._kept[owner, seen.row.id] = known._replace(until=now + self._life_s), size_bytes
        self.size_bytes += size_bytes
        while True:
            oldest = next(iter(self._kept))
            if self.size_bytes <= self._most_bytes and self._kept[oldest][0].until > now:
                return
            self._forget(*oldest)

    def _forget(self, owner: Owner, conversation_id: str) -> None:
        _, size_bytes = self._kept.pop((owner, conversation_id), _NOT_KEPT)
        self.size_bytes -= size_bytes


_NOT_TOLD: tuple[None, int] = (None, 0)
_NOT_KEPT: tuple[None, int] = (None, 0)


# --- places -------------------------------------------------------------------------------------


def _without(own: _Own, number: int, deleted: Set[Place]) -> _Own:
    gone = [place.position - own.fork for place in deleted if place.branch == number]
    if not gone:
        return own
    items, sizes = [*own.items], [*own.sizes]
    for index in gone:
        if index < len(items):
            items[index], sizes[index] = _NOT_TOLD
    return own._replace(items=items, sizes=sizes)


def _missing(path: Sequence[Stretch], known: _Known) -> list[Stretch]:
    """What must be read: of each branch what lies behind what is known of it, so that there are no gaps."""
    missing: list[Stretch] = []
    for number, first, until in path:
        own = known.branches.get(number)
        behind = first if own is None else own.fork + len(own.items)
        if behind < until:
            missing.append(Stretch(number, behind, until))
    return missing


def _known_along(path: Sequence[Stretch], known: _Known) -> list[tuple[_Own, slice]]:
    return [
        (own, slice(first - own.fork, until - own.fork))
        for number, first, until in path
        if (own := known.branches.get(number)) is not None
    ]


def _along(path: Sequence[Stretch], known: _Known) -> list[Recalled]:
    items: list[Recalled | None] = []
    for own, some in _known_along(path, known):
        items += own.items[some]
    return [each for each in items if each is not None]


# --- items --------------------------------------------------------------------------------------


def recalled_of(items: Sequence[Json]) -> list[Recalled]:
    """Items of a conversation. Their calls count as answers, whoever put them there: a call by itself is no more than
    words of the assistant's, and anybody may put those in.
    """
    whole = [item for item in items if not is_broken(item)]
    return [
        Recalled(item["id"], each, is_answer=type(each) is ToolCall, is_plain=is_plain(each))
        for item, each in zip(whole, map(plain, read_items(whole, "conversation")), strict=True)
    ]


def is_broken(item: Json) -> bool:
    """Whether it is a call, or a thought, that broke off: half a message says something, half of those does not."""
    return item.get("status") == "incomplete" and item.get("type") != "message"


def plain(item: Item) -> Item:
    """A message that says one text and nothing else, as one: so it came, or might have, and all servers read it."""
    match item:
        case Message(content=[Text(extra=None) as text]):
            return msgspec.structs.replace(item, content=text.text)
        case _:
            return item


def text_of(item: Item) -> str | None:
    """The text that is all, or nearly all, that an item says; None where it says more, or something else."""
    match item:
        case Message(content=str() as text) | ToolOutput(output=str() as text):
            return text
        case ToolCall():
            return item.arguments
        case _:
            return None


def _recalled(told: Sequence[StoredItem]) -> list[Recalled | None]:
    found = (recalled_of([_decode(item.content)]) for item in told)
    return [each[0] if each else None for each in found]
