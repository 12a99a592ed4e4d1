"""What a model is told beside what was said last: facts, the summary of the older part, which items are pinned.

It costs one look into the store. Nothing is kept here in between: a fact that was erased is in no prompt any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from frontdesk.files.owner import owner_of
from frontdesk.memory.store.told import ToldStore
from frontdesk.storage.database import Database
from frontdesk.turn.context import Past
from frontdesk.turn.turn import Turn


class Summary(NamedTuple):
    """What is left of all that was said up to `anchor`, so many items. Words of a model's, never instructions."""

    anchor: str
    items: int
    content: str


class Recollection(NamedTuple):
    """What is told of before. `facts` are a person's own words, the oldest first; `pinned` are ids of items."""

    facts: Sequence[str] = ()
    summary: Summary | None = None
    pinned: frozenset[str] = frozenset()


class Recall:
    """Looks up what is told of before."""

    def __init__(self, database: Database) -> None:
        self._store = ToldStore(database)

    async def recall(self, turn: Turn, past: Past, *, has_facts: bool) -> Recollection:
        """What there is for this turn; facts where its feature has them. Raises StorageError.

        The summary is the latest one whose anchor is among those of `past`: it stands for all up to the last item that
        has it. What the server asks by itself (`Turn.is_aside`) is told nothing.
        """
        caller = turn.caller
        person = (caller.person or "") if has_facts and caller.role == "user" else ""
        if turn.is_aside or not (person or past.conversation or past.anchors):
            return Recollection()
        owner = owner_of(caller)
        if past.conversation:
            told = await self._store.of_conversation(owner, past.conversation, person)
        elif past.anchors:
            told = await self._store.of_chain(owner, dict.fromkeys(past.anchors), person)
        else:
            told = await self._store.of_nothing(owner, person)
        summaries = {each.anchor: Summary(*each) for each in told.summaries}
        latest = next((each for each in reversed(past.anchors) if each in summaries), "") if summaries else ""
        return Recollection(tuple(told.facts), summaries.get(latest), told.pinned)
