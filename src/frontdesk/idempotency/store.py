"""Rows of idempotency keys: what was asked under one, by whom, and what came of it.

    (no row) ──claim──► claimed ──answer──► answered ──until it expires──► (as good as no row)
                        │  │  └──release──► (no row)          refused: nothing was done
                        │  └──doubt──► in doubt               it may have been done
                        └── its process dies ──► in doubt ──take_over──► claimed, where doing it again does no harm

A claim of a turn names its response, whose own row tells how it stands; it is never answered here. Rows hold no key,
but what only that key makes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Text, and_, bindparam, delete, or_, select, update

from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.storage.processes import is_of_dead, of_dead
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import idempotency_key, person


class Claimed(NamedTuple):
    """What is kept under a key that was used before. Times are milliseconds since 1970.

    `owner` is the process that does it, None where that is in doubt. It is answered where `http_status` is there.
    """

    fingerprint: bytes
    response: str | None
    owner: str | None
    http_status: int | None
    answer: bytes | None
    created_at_ms: int
    expires_at_ms: int


def claim(
    owner: Owner,
    route: str,
    key: str,
    fingerprint: bytes,
    response: str | None,
    process: str | None,
    now_ms: int,
    expires_at_ms: int,
) -> Generator[Step, list[Row], Claimed | None]:
    """Claim a key for what is to be done under it; part of a transaction.

    Returns None where it is this claim's now, and else what was claimed before: that row stays locked until the
    transaction ends. One that has expired gives way. Of a turn's claim that is run again (its commit was not
    acknowledged) the first is its own.
    """
    values = {
        **_named(owner, route, key),
        "fingerprint": fingerprint,
        "response": response,
        "owner": process,
        "http_status": None,
        "answer": None,
        "created_at_ms": now_ms,
        "expires_at_ms": expires_at_ms,
        "now_ms": now_ms,
    }
    if (yield Step(_CLAIM, values)):
        return None
    (row,) = yield Step(_LOCK, _of(owner, route, key))
    found = Claimed(*row)
    return None if response is not None and found.response == response else found


def release(owner: Owner, route: str, key: str, response: str | None, process: str | None) -> Step:
    """The step that gives a key back, where the claim that was made with these values is not answered."""
    return Step(_RELEASE, {**_of(owner, route, key), "of_response": response, "of_process": process})


def answered(owner: Owner, route: str, key: str, process: str, http_status: int, answer: bytes) -> Step:
    """The step that keeps what a process answered to what it has claimed."""
    kept = {"new_status": http_status, "new_answer": answer}
    return Step(_ANSWER, {**_of(owner, route, key), "of_process": process, **kept})


def doubt(owner: Owner, route: str, key: str, process: str) -> Step:
    """The step that says of what a process has claimed that nobody knows whether it was done."""
    return Step(_DOUBT, {**_of(owner, route, key), "of_process": process})


def take_over(owner: Owner, route: str, key: str, found: Claimed, process: str) -> Step:
    """The step that makes a claim a process's own that was found in doubt; it returns a row where it has."""
    return Step(_TAKE_OVER, {**_of(owner, route, key), "of_owner": found.owner, "new_owner": process})


async def find(database: Database, owner: Owner, route: str, key: str, now_ms: int) -> Claimed | None:
    """What is kept under a key, unless it has expired."""
    rows = await database.read(_FIND, {**_of(owner, route, key), "now_ms": now_ms})
    return Claimed(*rows[0]) if rows else None


async def is_in_doubt(
    database: Database, owner: Owner, route: str, key: str, process: str, now_ms: int, dead_after_s: float
) -> bool:
    """Whether nobody does any more what was claimed; as `process` sees it, which never is dead itself."""
    dead = of_dead(database, process, now_ms, dead_after_s)
    return bool(await database.read(_IN_DOUBT, {**_of(owner, route, key), **dead}))


def _named(owner: Owner, route: str, key: str) -> dict[str, object]:
    return {**owner._asdict(), "route": route, "key": hashlib.sha256(key.encode()).hexdigest()}


def _of(owner: Owner, route: str, key: str) -> dict[str, object]:
    return {f"of_{name}": value for name, value in _named(owner, route, key).items()}


# --- statements ---------------------------------------------------------------------------------

_row = idempotency_key.c
_COLUMNS = [_row[name] for name in Claimed._fields]
_NOW = bindparam("now_ms", type_=BigInteger)
_IS_ANYBODYS: ColumnElement[bool] = and_(
    *(_row[name] == bindparam(f"of_{name}") for name in ("tenant", "credential", "route", "key"))
)
_THIS = and_(_IS_ANYBODYS, _row.person == bindparam("of_person"))
_IS_OPEN = and_(_THIS, _row.http_status.is_(None))
# Who claimed it may have become somebody else since, and the claim is theirs.
_became = (
    select(person.c.became)
    .where(person.c.tenant == bindparam("of_tenant"), person.c.id == bindparam("of_person"))
    .scalar_subquery()
)
_IS_HELD = and_(
    _IS_ANYBODYS, or_(_row.person == bindparam("of_person"), _row.person == _became), _row.http_status.is_(None)
)
_IS_OF_PROCESS = and_(_IS_HELD, _row.response.is_(None), _row.owner == bindparam("of_process"))


def _same(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether a column is this value, which may be null."""
    value = bindparam(name, type_=Text)
    return or_(column == value, and_(column.is_(None), value.is_(None)))


_insert = insert(idempotency_key)
_CLAIM = Query(
    _insert.on_conflict_do_update(
        index_elements=list(idempotency_key.primary_key),
        set_={column.name: _insert.excluded[column.name] for column in _row if not column.primary_key},
        where=_row.expires_at_ms <= _NOW,
    ).returning(_row.created_at_ms)
)
_LOCK = Query(select(*_COLUMNS).where(_THIS).with_for_update())
_FIND = Query(select(*_COLUMNS).where(_THIS, _row.expires_at_ms > _NOW))
_RELEASE = Query(
    delete(idempotency_key).where(_IS_HELD, _same(_row.response, "of_response"), _same(_row.owner, "of_process"))
)
_ANSWER = Query(
    update(idempotency_key)
    .where(_IS_OF_PROCESS)
    .values(http_status=bindparam("new_status"), answer=bindparam("new_answer"))
    .returning(_row.created_at_ms)
)
_DOUBT = Query(update(idempotency_key).where(_IS_OF_PROCESS).values(owner=None))
_TAKE_OVER = Query(
    update(idempotency_key)
    .where(_IS_OPEN, _row.response.is_(None), _same(_row.owner, "of_owner"))
    .values(owner=bindparam("new_owner"))
    .returning(_row.created_at_ms)
)
_IN_DOUBT = Query(
    select(_row.created_at_ms).where(
        _IS_OPEN, _row.response.is_(None), or_(_row.owner.is_(None), is_of_dead(_row.owner))
    )
)
