"""What belongs to persons, in whatever table, and how it becomes another person's."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from sqlalchemy import Table, Text, and_, bindparam, delete, exists, or_, select, update

from frontdesk.changes.store import move
from frontdesk.ledger.store.windows import move_spent
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import change, fact, feedback, idempotency_key, metadata, person, session, sync_head

# Sessions stay and end: a token that was stolen from the anonymous person must not become the user's.
MOVED: list[Table] = [table for table in metadata.sorted_tables if "person" in table.c and table is not session]

# Those whose keys tell the person have rules of their own.
NAMED_BY_PERSON = (change, fact, feedback, idempotency_key, sync_head)

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
    if table not in NAMED_BY_PERSON
]

_HAS_BECOME = Query(select(HAS_BECOME))

# Keys of repeated requests are named by their person. One that both have used for one route can be only one's: the
# later of the two, for a device repeats what it sent last. One that is being done stays until it is, for who does it
# knows it by its name; but a turn is known by its response.
_keys = idempotency_key.c
_key_parts = [_keys.credential, _keys.route, _keys.key]
_of_anonymous = and_(_keys.tenant == bindparam("of_tenant"), _keys.person == bindparam("of_person"))
_is_it = and_(_of_anonymous, *(part == bindparam(f"of_{part.name}") for part in _key_parts))
_is_not_being_done = or_(_keys.response.is_not(None), _keys.http_status.is_not(None), _keys.owner.is_(None))
_LOCK_KEYS = Query(select(*_key_parts).where(_of_anonymous, _is_not_being_done).order_by(*_key_parts).with_for_update())
_as_users = insert(idempotency_key).from_select(
    [column.name for column in _keys],
    select(*(bindparam("new_person", type_=Text) if column is _keys.person else column for column in _keys)).where(
        _is_it
    ),
)
_COPY_KEY = Query(
    _as_users.on_conflict_do_update(
        index_elements=list(idempotency_key.primary_key.columns),
        set_={column.name: _as_users.excluded[column.name] for column in _keys if not column.primary_key},
        where=_keys.created_at_ms < _as_users.excluded.created_at_ms,
    )
)
_FORGET_KEY = Query(delete(idempotency_key).where(_is_it))


def _taking(table: Table) -> Query:
    is_anonymous = and_(table.c.tenant == bindparam("of_tenant"), table.c.person == bindparam("of_person"))
    return Query(delete(table).where(is_anonymous).returning(*table.c))


def _giving(table: Table) -> Query:
    return Query(insert(table).on_conflict_do_nothing(index_elements=list(table.primary_key.columns)))


# Where both have said something of one response, or have a fact of one id, the user's own stays.
_TAKE_AND_GIVE = {table: (_taking(table), _giving(table)) for table in (feedback, fact)}


def move_all(tenant: str, anonymous: str, new_person: str, now_ms: int) -> Generator[Step, list[Row], None]:
    """Move all that belongs to an anonymous person, where they have become this one; part of a transaction.

    What they have spent goes first: windows are locked before turns, as by the ledger.
    """
    of_anonymous = {"of_tenant": tenant, "of_person": anonymous, "new_person": new_person}
    ((has_become,),) = yield Step(_HAS_BECOME, of_anonymous)
    if has_become:
        yield from move_spent(tenant, anonymous, new_person, now_ms)
        for query in MOVES:
            yield Step(query, of_anonymous)
        yield from _move_keys(of_anonymous)
        for table in _TAKE_AND_GIVE:
            yield from _take_and_give(table, of_anonymous)
        yield move(tenant, anonymous, new_person)


def _move_keys(of_anonymous: Mapping[str, object]) -> Generator[Step, list[Row], None]:
    found = yield Step(_LOCK_KEYS, of_anonymous)
    keys = [
        {**of_anonymous, "of_credential": credential, "of_route": route, "of_key": key}
        for credential, route, key in found
    ]
    if keys:
        yield Step(_COPY_KEY, keys)
        yield Step(_FORGET_KEY, keys)


def _take_and_give(table: Table, of_anonymous: Mapping[str, object]) -> Generator[Step, list[Row], None]:
    take, give = _TAKE_AND_GIVE[table]
    taken = yield Step(take, of_anonymous)
    names = table.c.keys()
    rows = [{**dict(zip(names, row, strict=True)), "person": of_anonymous["new_person"]} for row in taken]
    if rows:
        yield Step(give, rows)
