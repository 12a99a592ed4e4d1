"""What belongs to persons, in whatever table, and how it becomes another person's."""

from __future__ import annotations

from sqlalchemy import Table, bindparam, exists, update

from frontdesk.storage.query import Query
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
