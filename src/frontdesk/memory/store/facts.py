"""Rows of facts: each its person's alone."""

from __future__ import annotations

from collections.abc import Generator

import msgspec
from sqlalchemy import Integer, Text, and_, bindparam, delete, func, select, update

from frontdesk.memory.rows import FactRow
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import fact
from frontdesk.storage.tables import person as person_table

FACT_PREFIX = "fact_"
_BEHIND_ALL = f"{FACT_PREFIX}{'g' * 32}"


class FactStore:
    """The facts of everybody, each person's asked for by themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_of(self, tenant: str, person: str, after: str, limit: int) -> list[FactRow]:
        """A person's facts, the latest first, from behind the id `after`, which may be ''."""
        page = {"tenant": tenant, "person": person, "after": after or _BEHIND_ALL, "limit": limit}
        return [_read(row) for row in await self._database.read(_LIST, page)]

    async def find(self, tenant: str, person: str, fact_id: str) -> FactRow | None:
        """The person's fact of this id."""
        rows = await self._database.read(_FIND, {"tenant": tenant, "person": person, "id": fact_id})
        return _read(rows[0]) if rows else None


# --- parts of transactions ----------------------------------------------------------------------


def person_now(tenant: str, person: str) -> Generator[Step, list[Row], str]:
    """Who a person is by now, who may have become another; they stay who they are until the transaction has ended."""
    rows = yield Step(_LOCK_PERSON, {"tenant": tenant, "id": person})
    return rows[0][0] if rows and rows[0][0] else person


def words_of_all(tenant: str, person: str, most: int) -> Generator[Step, list[Row], list[str]]:
    """What a person's facts say, `most` of them at most."""
    rows = yield Step(_WORDS, {"tenant": tenant, "person": person, "most": most})
    return [words for (words,) in rows]


def is_there(tenant: str, person: str, fact_id: str) -> Generator[Step, list[Row], bool]:
    """Whether a person has a fact of this id, which nobody else changes until the transaction has ended."""
    return bool((yield Step(_LOCK, {"tenant": tenant, "person": person, "id": fact_id})))


def count(tenant: str, person: str, most: int) -> Generator[Step, list[Row], int]:
    """How many facts a person has, counted up to `most`."""
    ((found,),) = yield Step(_COUNT, {"tenant": tenant, "person": person, "most": most})
    return found


def put(row: FactRow) -> Step:
    """Keep a fact that is not there. Brings a row, unless one of its id was put there meanwhile."""
    return Step(_PUT, msgspec.structs.asdict(row))


def set_words(tenant: str, person: str, fact_id: str, words: str, now_ms: int) -> Step:
    """Say a fact in other words; they are its person's own then."""
    it = {"of_tenant": tenant, "of_person": person, "of_id": fact_id}
    return Step(_SET_WORDS, {**it, "new_words": words, "now_ms": now_ms})


def remove(tenant: str, person: str, fact_id: str) -> Step:
    """Erase a fact; brings a row where it was there."""
    return Step(_REMOVE, {"of_tenant": tenant, "of_person": person, "of_id": fact_id})


def _read(row: Row) -> FactRow:
    return FactRow(**dict(zip(FactRow.__struct_fields__, row, strict=True)))


# --- statements ---------------------------------------------------------------------------------

_COLUMNS = [fact.c[name] for name in FactRow.__struct_fields__]
_of_person = and_(fact.c.tenant == bindparam("tenant"), fact.c.person == bindparam("person"))
_is_it = and_(
    fact.c.tenant == bindparam("of_tenant"), fact.c.person == bindparam("of_person"), fact.c.id == bindparam("of_id")
)
_LIST = Query(
    select(*_COLUMNS)
    .where(_of_person, fact.c.id < bindparam("after"))
    .order_by(fact.c.id.desc())
    .limit(bindparam("limit"))
)
_FIND = Query(select(*_COLUMNS).where(_of_person, fact.c.id == bindparam("id")))
_LOCK = Query(select(fact.c.id).where(_of_person, fact.c.id == bindparam("id")).with_for_update())
_LOCK_PERSON = Query(
    select(person_table.c.became)
    .where(person_table.c.tenant == bindparam("tenant"), person_table.c.id == bindparam("id"))
    .with_for_update()
)
_WORDS = Query(select(fact.c.words).where(_of_person).limit(bindparam("most", type_=Integer)))
_some = select(fact.c.id).where(_of_person).limit(bindparam("most", type_=Integer)).subquery("some")
_COUNT = Query(select(func.count()).select_from(_some))
_PUT = Query(insert(fact).on_conflict_do_nothing().returning(fact.c.id))
_SET_WORDS = Query(
    update(fact)
    .where(_is_it)
    .values(words=bindparam("new_words", type_=Text), response=None, changed_at_ms=bindparam("now_ms"))
)
_REMOVE = Query(delete(fact).where(_is_it).returning(fact.c.id))
