"""Facts: what people want to have remembered of them, in their own words. They see, change and erase them.

Each is one line, so that the block in which models are told of them is what it seems to be. One that was erased is in
no prompt from then on: nobody keeps a copy.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from frontdesk.accounts.people import is_name
from frontdesk.asides.wording import visible
from frontdesk.changes.store import Change, note
from frontdesk.conversations.items import folded
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, FrontdeskError, NotFound, TooLarge
from frontdesk.core.ids import new_id
from frontdesk.memory.rows import FactRow
from frontdesk.memory.store import facts as rows_of_facts
from frontdesk.memory.store.facts import FACT_PREFIX, FactStore
from frontdesk.memory.store.told import MOST_FACTS
from frontdesk.storage.database import Database
from frontdesk.storage.query import Row, Step, Work

MOST_CHARS = 500
"""Of a fact."""
_MAX_TOLD_CHARS = 128


class Facts:
    """The facts of everybody, each their person's alone."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._store = FactStore(database)
        self._clock = clock

    async def page(self, tenant: str, person: str, after: str, limit: int) -> list[FactRow]:
        """A person's facts, the latest first; behind the id `after`, where that is not empty."""
        return await self._store.list_of(tenant, person, after, limit)

    async def find(self, tenant: str, person: str, fact_id: str) -> FactRow:
        """The person's fact of this id. Raises NotFound."""
        found = await self._store.find(tenant, person, fact_id) if is_name(fact_id) else None
        if found is None:
            raise _no_fact(fact_id)
        return found

    async def add(self, tenant: str, person: str, words: str) -> FactRow:
        """Keep a fact. Raises BadRequest, TooLarge where the person has as many as they may."""
        fact_id = new_id(FACT_PREFIX)
        line = line_of(words)
        await self._done(partial(keeping, tenant, person, fact_id, line, unix_ms(self._clock)))
        return await self.find(tenant, person, fact_id)

    async def change(self, tenant: str, person: str, fact_id: str, words: str) -> FactRow:
        """Say a fact in other words. Raises BadRequest, NotFound."""
        line = line_of(words)
        await self._done(partial(changing, tenant, person, fact_id, line, unix_ms(self._clock)))
        return await self.find(tenant, person, fact_id)

    async def erase(self, tenant: str, person: str, fact_id: str) -> None:
        """Erase a fact. Raises NotFound."""
        await self._done(partial(erasing, tenant, person, fact_id, unix_ms(self._clock)))

    async def _done(self, work: Work[FrontdeskError | None]) -> None:
        refusal = await self._database.transact(work)
        if refusal is not None:
            raise refusal


# --- parts of transactions ----------------------------------------------------------------------


def keeping(
    tenant: str, person: str, fact_id: str, line: str, now_ms: int, response: str | None = None
) -> Generator[Step, list[Row], FrontdeskError | None]:
    """Keep a fact, or say one that is there in other words; part of a transaction.

    `line` is what `line_of` made. Returns why not, where the person has as many as they may.
    """
    if (yield from rows_of_facts.is_there(tenant, person, fact_id)):
        yield rows_of_facts.set_words(tenant, person, fact_id, line, now_ms)
    else:
        yield from rows_of_facts.person_now(tenant, person)  # or many at once would each find room
        if (yield from rows_of_facts.count(tenant, person, MOST_FACTS)) >= MOST_FACTS:
            return too_many()
        yield rows_of_facts.put(
            FactRow(
                tenant=tenant,
                person=person,
                id=fact_id,
                words=line,
                response=response,
                created_at_ms=now_ms,
                changed_at_ms=now_ms,
            )
        )
    yield note(Change(tenant, person, "", "fact", fact_id, now_ms))
    return None


def changing(
    tenant: str, person: str, fact_id: str, line: str, now_ms: int
) -> Generator[Step, list[Row], FrontdeskError | None]:
    """Say a fact in other words; part of a transaction. Returns why not, where it is not there."""
    if not is_name(fact_id) or not (yield from rows_of_facts.is_there(tenant, person, fact_id)):
        return _no_fact(fact_id)
    return (yield from keeping(tenant, person, fact_id, line, now_ms))


def erasing(tenant: str, person: str, fact_id: str, now_ms: int) -> Generator[Step, list[Row], FrontdeskError | None]:
    """Erase a fact; part of a transaction. Returns why not, where it is not there."""
    if not is_name(fact_id) or not (yield rows_of_facts.remove(tenant, person, fact_id)):
        return _no_fact(fact_id)
    yield note(Change(tenant, person, "", "fact", fact_id, now_ms, is_deleted=True))
    return None


def noticing(
    tenant: str, person: str, lines: list[tuple[str, str]], response: str, now_ms: int
) -> Generator[Step, list[Row], None]:
    """Keep what somebody asked to have remembered, as (id, line); part of a transaction.

    What they have in these words already is not kept twice, and what is too much is not kept.
    """
    person = yield from rows_of_facts.person_now(tenant, person)
    known = {folded(words) for words in (yield from rows_of_facts.words_of_all(tenant, person, MOST_FACTS))}
    for fact_id, line in lines:
        if folded(line) not in known:
            known.add(folded(line))
            yield from keeping(tenant, person, fact_id, line, now_ms, response)


def line_of(words: str) -> str:
    """A fact's words as they are kept. Raises BadRequest for none, and for more than may be."""
    line = visible(words)
    if not line:
        raise BadRequest("'words' says nothing that can be seen.", code="invalid_value", param="words")
    if len(line) > MOST_CHARS:
        raise BadRequest(
            f"'words' has {len(line):,} characters. A fact may have {MOST_CHARS}.", code="invalid_value", param="words"
        )
    return line


def too_many() -> TooLarge:
    """The error for one fact more than a person may have."""
    return TooLarge(f"You have {MOST_FACTS} facts, which is all that you may have. Erase some.", code="too_many_facts")


def _no_fact(fact_id: str) -> NotFound:
    return NotFound(f"There is no fact {fact_id[:_MAX_TOLD_CHARS]!r}.", code="fact_not_found")
