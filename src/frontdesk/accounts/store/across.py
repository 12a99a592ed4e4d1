"""What is asked across tenants, and why it may be.

A key is found before its tenant is known: the tenant comes from the key. And one process recognises
callers of all tenants, so it must learn of every change that another process made. Nothing here
answers a request with rows of a tenant that its credential does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    null,
    or_,
    select,
    tuple_,
    update,
)

from frontdesk.accounts.store.moves import MOVED
from frontdesk.accounts.store.rows import (
    ENDED_COLUMNS,
    KEY_COLUMNS,
    LATE_MS,
    PERSON_COLUMNS,
    EndedSession,
    KeyRow,
    PersonRow,
    read_ended,
    read_key,
)
from frontdesk.accounts.store.tenant import ENDED_BEFORE
from frontdesk.ledger.store.windows import has_spent_as, running_windows
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Parameters, Query, Row, Step
from frontdesk.storage.tables import app_key, person, session, setting

_PAGE = 1_000


class AllTenants:
    """The accounts of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_key(self, key_hash: bytes) -> KeyRow | None:
        """The key of this hash, revoked or not."""
        rows = await self._database.read(_FIND_KEY, {"hash": key_hash})
        return read_key(rows[0]) if rows else None

    def note_key_uses(self, uses: Sequence[tuple[str, str, int]]) -> None:
        """Keep when keys were used last: (tenant, id, ms). Only enqueues."""
        # In one order everywhere, for they lock their rows together.
        rows = [{"of_tenant": tenant, "of_id": key_id, "used_at_ms": ms} for tenant, key_id, ms in sorted(uses)]
        self._database.enqueue_rows(_NOTE_USE, rows, Lane.BULK)

    def note_session_uses(self, uses: Sequence[tuple[str, str, int, int]]) -> None:
        """Keep when what the last refresh of sessions told was used first: (tenant, id, number, ms). Only enqueues."""
        rows = [
            {"of_tenant": tenant, "of_id": session_id, "of_number": number, "used_at_ms": ms}
            for tenant, session_id, number, ms in sorted(uses)
        ]
        # Not with what may be dropped: by these uses thieves are found.
        self._database.enqueue_rows(_NOTE_SESSION_USE, rows, Lane.EVENTS)

    async def keys_revoked_since(self, since_ms: int) -> list[tuple[str, str]]:
        """Tenants and ids of the keys that were revoked at this time or later."""
        rows = await self._read_all(_KEYS_REVOKED, {}, (since_ms, "", ""), _place_by_time)
        return [(tenant, key_id) for _, tenant, key_id in rows]

    async def sessions_ended_since(self, since_ms: int, now_ms: int) -> list[EndedSession]:
        """The sessions that were ended at `since_ms` or later and of which a token may still be alive."""
        rows = await self._read_all(_SESSIONS_ENDED, {"now_ms": now_ms}, (since_ms, "", ""), _place_of_ended)
        return [read_ended(row) for row in rows]

    async def forget_sessions(self, expired_before_ms: int, limit: int) -> int:
        """Delete sessions that expired before this time, `limit` at most; returns how many."""
        forgotten = 0
        tenant = ""
        # A tenant at a time: so it is an index that finds them.
        while forgotten < limit and (rows := await self._database.read(_NEXT_TENANT, {"after": tenant})):
            tenant = rows[0][0]
            expired = {"tenant": tenant, "before_ms": expired_before_ms, "limit": limit - forgotten}
            found = await self._database.read(_EXPIRED, expired)
            if found:
                # In one order everywhere, for other processes may be at the same.
                ids = [{"of_tenant": tenant, "of_id": session_id} for (session_id,) in sorted(found)]
                await self._database.write(Step(_FORGET, ids), lane=Lane.BULK)
            forgotten += len(found)
        return forgotten

    async def persons_changed_since(self, since_ms: int) -> list[PersonRow]:
        """The persons whose tiers, tokens or names were changed at this time or later."""
        rows = await self._read_all(_PERSONS_CHANGED, {}, (since_ms, "", ""), _place_by_time)
        return [PersonRow(*row[1:]) for row in rows]

    async def ended_before(self) -> dict[str, int]:
        """The tenants whose credentials from before a time, in ms, do not count."""
        rows = await self._read_all(_ENDED_BEFORE, {}, (0, "", ""), lambda row: (0, row[0], ""))
        return {tenant: int(value) for tenant, value in rows}

    async def left_behind(self, since_ms: int, now_ms: int) -> list[tuple[str, str, str]]:
        """Persons who became another at `since_ms` or later, and still have rows, or have spent something: tenant,
        id, whom they became.

        A thousand at most; moving them makes room for the next.
        """
        rows = await self._database.read(_LEFT_BEHIND, {"since_ms": since_ms, **running_windows(now_ms)})
        return [(tenant, person_id, became) for tenant, person_id, became in rows]

    async def _read_all(
        self, query: Query, parameters: Parameters, place: _Place, place_of: Callable[[Row], _Place]
    ) -> list[Row]:
        """Read a page at a time: what is left out here would be believed for ever."""
        found: list[Row] = []
        while True:
            after = dict(zip(("after_ms", "after_tenant", "after_id"), place, strict=True))
            rows = await self._database.read(query, {**parameters, **after})
            found += rows
            if len(rows) < _PAGE:
                return found
            place = place_of(rows[-1])


_Place = tuple[int, str, str]


def _place_by_time(row: Row) -> _Place:
    changed_at_ms, tenant, row_id = row[:3]
    return changed_at_ms, tenant, row_id


def _place_of_ended(row: Row) -> _Place:
    tenant, session_id, *_, revoked_at_ms = row
    return revoked_at_ms, tenant, session_id


# --- statements ---------------------------------------------------------------------------------


def _is_after(time: ColumnElement[int], tenant: ColumnElement[str], row_id: ColumnElement[str]) -> ColumnElement[bool]:
    after_ms = bindparam("after_ms", type_=BigInteger)
    place = tuple_(after_ms, bindparam("after_tenant", type_=Text), bindparam("after_id", type_=Text))
    return (time >= after_ms) & (tuple_(time, tenant, row_id) > place)


_FIND_KEY = Query(select(*KEY_COLUMNS).where(app_key.c.hash == bindparam("hash")))
_NOTE_USE = Query(
    update(app_key)
    .where(
        app_key.c.tenant == bindparam("of_tenant"),
        app_key.c.id == bindparam("of_id"),
        or_(app_key.c.last_used_at_ms.is_(None), app_key.c.last_used_at_ms < bindparam("used_at_ms")),
    )
    .values(last_used_at_ms=bindparam("used_at_ms"))
)
_NOTE_SESSION_USE = Query(
    update(session)
    .where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.id == bindparam("of_id"),
        session.c.refresh_number == bindparam("of_number"),
        session.c.used_at_ms.is_(None),
    )
    .values(used_at_ms=bindparam("used_at_ms"))
)
_KEYS_REVOKED = Query(
    select(app_key.c.revoked_at_ms, app_key.c.tenant, app_key.c.id)
    .where(_is_after(app_key.c.revoked_at_ms, app_key.c.tenant, app_key.c.id))
    .order_by(app_key.c.revoked_at_ms, app_key.c.tenant, app_key.c.id)
    .limit(_PAGE)
)
_SESSIONS_ENDED = Query(
    select(*ENDED_COLUMNS)
    .where(
        session.c.expires_at_ms > bindparam("now_ms"),
        or_(
            session.c.lifetime_s.is_(null()),
            session.c.revoked_at_ms + cast(session.c.lifetime_s, BigInteger) * 1000 + LATE_MS > bindparam("now_ms"),
        ),
        _is_after(session.c.revoked_at_ms, session.c.tenant, session.c.id),
    )
    .order_by(session.c.revoked_at_ms, session.c.tenant, session.c.id)
    .limit(_PAGE)
)
_NEXT_TENANT = Query(
    select(session.c.tenant).where(session.c.tenant > bindparam("after")).order_by(session.c.tenant).limit(1)
)
_EXPIRED = Query(
    select(session.c.id)
    .where(session.c.tenant == bindparam("tenant"), session.c.expires_at_ms < bindparam("before_ms"))
    .order_by(session.c.expires_at_ms)
    .limit(bindparam("limit"))
)
_FORGET = Query(delete(session).where(session.c.tenant == bindparam("of_tenant"), session.c.id == bindparam("of_id")))
_PERSONS_CHANGED = Query(
    select(person.c.changed_at_ms, *PERSON_COLUMNS)
    .where(_is_after(person.c.changed_at_ms, person.c.tenant, person.c.id))
    .order_by(person.c.changed_at_ms, person.c.tenant, person.c.id)
    .limit(_PAGE)
)
_ENDED_BEFORE = Query(
    select(setting.c.tenant, setting.c.value)
    .where(setting.c.name == ENDED_BEFORE, setting.c.tenant > bindparam("after_tenant"))
    .order_by(setting.c.tenant)
    .limit(_PAGE)
)
_LEFT_BEHIND = Query(
    select(person.c.tenant, person.c.id, person.c.became)
    .where(
        person.c.became.is_not(None),
        person.c.changed_at_ms >= bindparam("since_ms"),
        or_(
            has_spent_as(person.c.id, person.c.tenant),
            *(exists().where(table.c.tenant == person.c.tenant, table.c.person == person.c.id) for table in MOVED),
        ),
    )
    .order_by(person.c.changed_at_ms)
    .limit(_PAGE)
)
