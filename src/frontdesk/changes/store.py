"""Changes of people's things, numbered for each person in the order of the commits.

    a transaction: ... note ... note ... ─► its last statements: heads of all persons, sorted ─► rows ─► commit ─► heard

Theory of operation. `note` is a step of the transaction that changes something. It does nothing where it stands: all
that was noted is written at the end, when the transaction has all its other locks. There the head of each person goes
up by the number of their changes, and the row lock of that holds until the commit. So whoever gets the next numbers has
committed later: a reader that has seen a number has seen all below it, on PostgreSQL as on SQLite. Heads are locked in
the order of their keys, and after them nothing is, so nobody waits for each other.

Of each thing there is one row, which a later change moves to a new number. So there are as many rows as things, and
those of what was deleted, which stay for a while; and whoever comes again reads what they need once.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, cast

from sqlalchemy import BigInteger, Integer, and_, bindparam, case, delete, literal_column, select, update

from frontdesk.storage.database import Database
from frontdesk.storage.json_rows import as_json, json_rows
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Last, Parameters, Query, Row, Step, insert
from frontdesk.storage.tables import change, sync_head

Kind = Literal["conversation", "item", "turn", "feedback", "fact"]
State = Literal["accepted", "answering", "answered", "failed", "read"]
"""Of a turn, as the ticks beside a message tell it."""

_SWEPT_AT_ONCE = 500


class Change(NamedTuple):
    """That something of a person's has changed. The first five fields say what it is.

    `conversation` is which it is of, "" where of none. The `id` is an item's, a response's (of a turn, of feedback) or
    a fact's; a conversation needs none. `state` is a turn's.
    """

    tenant: str
    person: str
    conversation: str
    kind: Kind
    id: str = ""
    at_ms: int = 0
    is_deleted: bool = False
    state: str | None = None


class ChangeRow(NamedTuple):
    """A change as it is stored."""

    seq: int
    conversation: str
    kind: Kind
    id: str
    is_deleted: bool
    state: str | None


class Head(NamedTuple):
    """How far a person's changes go. What was deleted up to `floor` is not told any more."""

    head: int
    floor: int
    epoch: str


class Moved(NamedTuple):
    """What is told of a commit: whose changes go how far by it."""

    tenant: str
    person: str
    head: int


# --- parts of transactions ----------------------------------------------------------------------


def note(*changes: Change) -> Step:
    """Note what has changed; part of a transaction, in which it may be noted again. Things of keys are not."""
    return Step(_NOTED, {"changes": [each for each in changes if each.person]})


def move(tenant: str, anonymous: str, person: str) -> Step:
    """Let all changes of an anonymous person be another's, behind that one's own; part of the transaction that does so
    with all they have.
    """
    return Step(_MOVED, {"tenant": tenant, "anonymous": anonymous, "person": person})


def _write(noted: list[Parameters]) -> Generator[Step, list[Row], list[Moved]]:
    """Number what was noted, and keep it."""
    latest: dict[tuple[object, ...], Change] = {}
    for each in cast("list[dict[str, list[Change]]]", noted):
        for one in each["changes"]:
            latest.pop(one[:_KEY_FIELDS], None)
            latest[one[:_KEY_FIELDS]] = one
    of_persons: dict[tuple[str, str], list[Change]] = {}
    for one in latest.values():
        of_persons.setdefault(one[:2], []).append(one)
    moved: list[Moved] = []
    rows: list[Parameters] = []
    for (tenant, person), theirs in sorted(of_persons.items()):
        head = yield from _raised(tenant, person, len(theirs))
        moved.append(Moved(tenant, person, head))
        rows += [
            dict(zip(_WRITTEN, (*one, seq), strict=True)) for seq, one in enumerate(theirs, head - len(theirs) + 1)
        ]
    gone = [each for each in rows if each["is_deleted"] and each["kind"] == "conversation"]
    if gone:
        yield Step(_FORGET_PARTS, [{f"of_{name}": each[name] for name in _CONVERSATION} for each in gone])
    if rows:
        yield Step(_PUT, rows)
    return moved


def _move(upgrades: list[Parameters]) -> Generator[Step, list[Row], list[Moved]]:
    moved: list[Moved] = []
    for upgrade in upgrades:
        tenant, anonymous, person = (str(upgrade[name]) for name in ("tenant", "anonymous", "person"))
        heads: dict[str, int] = {}
        for each in sorted((anonymous, person)):
            heads[each] = yield from _raised(tenant, each, 0)
        its = {"of_tenant": tenant, "of_person": anonymous}
        taken = yield Step(_TAKE, its)
        rows = [dict(zip(change.c.keys(), row, strict=True)) for row in taken]
        if rows:
            yield Step(_GIVE, [{**row, "person": person, "seq": row["seq"] + heads[person]} for row in rows])
        yield Step(_FORGET_HEAD, its)
        moved.append(Moved(tenant, person, (yield from _raised(tenant, person, heads[anonymous]))))
    return moved


def _raised(tenant: str, person: str, by: int) -> Generator[Step, list[Row], int]:
    """Raise a head, which nobody else does from then on; returns it."""
    none_yet = {"tenant": tenant, "person": person, "head": by, "floor": 0, "epoch": secrets.token_hex(4)}
    ((head,),) = yield Step(_RAISE, none_yet)
    return head


# --- reading ------------------------------------------------------------------------------------


class ChangeStore:
    """The changes of everybody, each person's asked for by themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self, tenant: str, person: str) -> Head | None:
        """How far a person's changes go; None where there are none."""
        rows = await self._database.read(_HEAD, {"tenant": tenant, "person": person})
        return Head(*rows[0]) if rows else None

    async def heads(self, persons: Iterable[tuple[str, str]]) -> list[Moved]:
        """How far those of several go, as (tenant, person); without those who have none."""
        wanted = as_json({"tenant": tenant, "person": person} for tenant, person in persons)
        return [Moved(*row) for row in await self._database.read(_HEADS, {"wanted": wanted})]

    async def after(self, tenant: str, person: str, seq: int, limit: int) -> list[ChangeRow]:
        """A person's changes behind a number, in order."""
        return await self._rows(_AFTER, tenant, person, seq, limit)

    async def before(self, tenant: str, person: str, seq: int, limit: int) -> list[ChangeRow]:
        """A person's changes up to a number, the latest first, without those of what is no longer there."""
        return await self._rows(_BEFORE, tenant, person, seq, limit)

    async def _rows(self, query: Query, tenant: str, person: str, seq: int, limit: int) -> list[ChangeRow]:
        values = {"tenant": tenant, "person": person, "seq": seq, "limit": limit}
        rows = await self._database.read(query, values)
        return [ChangeRow(*row)._replace(is_deleted=bool(row[4])) for row in rows]

    async def sweep(self, before_ms: int) -> int:
        """Forget some of what was deleted before a time; returns how much. Who does not know of it begins anew."""
        found = await self._database.read(_DELETED, {"before_ms": before_ms})
        floors: dict[tuple[str, str], int] = {}
        for tenant, person, *_, seq in found:
            floors[tenant, person] = max(seq, floors.get((tenant, person), 0))
        if floors:
            await self._database.transact(lambda: _forget(floors, found), Lane.BULK)
        return len(found)


def _forget(floors: Mapping[tuple[str, str], int], found: Sequence[Row]) -> Generator[Step, list[Row], None]:
    """First the heads, as by everybody; then those rows that are still as they were found."""
    for (tenant, person), floor in sorted(floors.items()):
        yield Step(_RAISE_FLOOR, {"of_tenant": tenant, "of_person": person, "new_floor": floor})
    yield Step(_FORGET, [dict(zip(_FOUND, row, strict=True)) for row in found])


# --- statements ---------------------------------------------------------------------------------

_KEY_FIELDS = 5
_KEY = Change._fields[:_KEY_FIELDS]
_WRITTEN = (*Change._fields, "seq")
_CONVERSATION = ("tenant", "person", "conversation")
_FOUND = [f"of_{name}" for name in (*_KEY, "seq")]
_NOTED, _MOVED = Last(_write), Last(_move)

_raise = insert(sync_head)
_RAISE = Query(
    _raise.on_conflict_do_update(
        index_elements=["tenant", "person"], set_={"head": sync_head.c.head + _raise.excluded.head}
    ).returning(sync_head.c.head)
)
_put = insert(change)
# Somebody may have read an answer that failed: it has failed all the same.
_state = case(
    (
        and_(_put.excluded.state == literal_column("'read'"), change.c.state.like(literal_column("'failed%'"))),
        change.c.state,
    ),
    else_=_put.excluded.state,
)
_PUT = Query(
    _put.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={
            "seq": _put.excluded.seq,
            "is_deleted": _put.excluded.is_deleted,
            "state": _state,
            "at_ms": _put.excluded.at_ms,
        },
    )
)
_of_person = and_(change.c.tenant == bindparam("of_tenant"), change.c.person == bindparam("of_person"))
_FORGET_PARTS = Query(delete(change).where(_of_person, change.c.conversation == bindparam("of_conversation")))
_TAKE = Query(delete(change).where(_of_person).returning(*change.c))
_GIVE = Query(insert(change).on_conflict_do_nothing(index_elements=list(_KEY)))

_is_head = and_(sync_head.c.tenant == bindparam("of_tenant"), sync_head.c.person == bindparam("of_person"))
_FORGET_HEAD = Query(delete(sync_head).where(_is_head))
_RAISE_FLOOR = Query(
    update(sync_head)
    .where(_is_head, sync_head.c.floor < bindparam("new_floor", type_=BigInteger))
    .values(floor=bindparam("new_floor", type_=BigInteger))
)

_HEAD = Query(
    select(sync_head.c.head, sync_head.c.floor, sync_head.c.epoch).where(
        sync_head.c.tenant == bindparam("tenant"), sync_head.c.person == bindparam("person")
    )
)
_wanted = json_rows("wanted", sync_head.c.tenant, sync_head.c.person)
_HEADS = Query(
    select(sync_head.c.tenant, sync_head.c.person, sync_head.c.head).join_from(
        _wanted,
        sync_head,
        and_(sync_head.c.tenant == _wanted.c.tenant, sync_head.c.person == _wanted.c.person),
    )
)
_of_reader = and_(change.c.tenant == bindparam("tenant"), change.c.person == bindparam("person"))
_seq, _limit = bindparam("seq", type_=BigInteger), bindparam("limit", type_=Integer)
_rows = select(*(change.c[name] for name in ChangeRow._fields))
_AFTER = Query(_rows.where(_of_reader, change.c.seq > _seq).order_by(change.c.seq).limit(_limit))
_BEFORE = Query(
    _rows.where(_of_reader, change.c.seq <= _seq, ~change.c.is_deleted).order_by(change.c.seq.desc()).limit(_limit)
)
_DELETED = Query(
    select(*(change.c[name] for name in (*_KEY, "seq")))
    .where(change.c.is_deleted, change.c.at_ms < bindparam("before_ms", type_=BigInteger))
    .order_by(change.c.at_ms)
    .limit(_SWEPT_AT_ONCE)
)
_FORGET = Query(
    delete(change).where(change.c.is_deleted, *(change.c[name] == bindparam(f"of_{name}") for name in (*_KEY, "seq")))
)
