"""What belongs to persons, in whatever table, and how it becomes another person's."""

from __future__ import annotations

from collections.abc import Generator

from sqlalchemy import Table, bindparam, exists, select, update

from frontdesk.ledger.store.windows import move_spent
from frontdesk.storage.query import Query, Row, Step
from frontdesk.storage.tables import metadata, person, session

# Sessions stay and end: a token that was stolen from the anonymous person must not become the user's.
MOVED: list[Table] = [table for table in metadata.sorted_tables if "person" in table.c and table is not session]

# In the transaction of an upgrade: whether it is this one that has won.
HAS_BECOME = exists().where(
    person.c.tenant == bindparam("of_tenant"),
    person.c.id == bindparam("of_person"),
    person.c.became == bindparam("new_person"),
)

MOVES = [
    Query(
        update(table)
        .where(table.c.tenant == bindparam("of_tenant"), table.c.person == bindparam("of_person"), HAS_BECOME)
        .values(person=bindparam("new_person"))
    )
    for table in MOVED
]

_HAS_BECOME = Query(select(HAS_BECOME))


def move_all(tenant: str, anonymous: str, new_person: str, now_ms: int) -> Generator[Step, list[Row], None]:
    """Move all that belongs to an anonymous person, where they have become this one; part of a transaction.

    What they have spent goes first: windows are locked before turns, as by the ledger.
    """
    of_anonymous = {"of_tenant": tenant, "of_person": anonymous, "new_person": new_person}
    ((has_become,),) = yield Step(_HAS_BECOME, of_anonymous)
    if has_become:
        yield from move_spent(tenant, anonymous, new_person, now_ms)
        for move in MOVES:
            yield Step(move, of_anonymous)
