"""The accounts of one tenant."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, bindparam, exists, null, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import Insert

from frontdesk.accounts.store.moves import HAS_BECOME, move_all
from frontdesk.accounts.store.rows import (
    ENDED_COLUMNS,
    KEY_COLUMNS,
    PERSON_COLUMNS,
    SESSION_COLUMNS,
    EndedSession,
    KeyRow,
    PersonRow,
    SessionRow,
    read_ended,
    read_key,
    read_session,
    write_names,
)
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import app_key, person, session, setting

ENDED_BEFORE = "revoked_before_ms"
_SIGNING_SECRET = "session_signing_secret"  # noqa: S105 - its name
_SECRET_BYTES = 32


class AccountStore:
    """The accounts of a tenant: no statement of it reads or writes another one's rows."""

    def __init__(self, database: Database, tenant: str = "default") -> None:
        self._database = database
        self._tenant = tenant

    # --- settings ---------------------------------------------------------------------------

    async def signing_secret(self) -> bytes:
        """The secret that signs tokens; made when first asked for, the same for all."""
        where = {"tenant": self._tenant, "name": _SIGNING_SECRET}
        rows = await self._database.read(_FIND_SETTING, where)
        if not rows:
            values = {**where, "value": secrets.token_bytes(_SECRET_BYTES)}
            _, rows = await self._database.write(Step(_ADD_SETTING, values), Step(_FIND_SETTING, where))
        return rows[0][0]

    async def end_all_before(self, before_ms: int) -> None:
        """Let no credential of people count that was issued before this time."""
        # Digits of one length: later ones are greater as bytes, too.
        values = {"tenant": self._tenant, "name": ENDED_BEFORE, "value": f"{before_ms:020}".encode()}
        await self._database.write(Step(_RAISE_SETTING, values))

    # --- keys -------------------------------------------------------------------------------

    async def create_key(self, row: KeyRow, key_hash: bytes) -> None:
        """Add a key. Raises ConstraintViolated where the hash is known already."""
        values = {name: getattr(row, name) for name in KeyRow.__slots__}
        values |= {"tenant": self._tenant, "hash": key_hash, "scopes": write_names(row.scopes)}
        await self._database.write(Step(_ADD_KEY, values))

    async def list_keys(self, after: str, limit: int) -> list[KeyRow]:
        """The keys that were not revoked, the newest first, from behind the key `after`, which may be ''."""
        page = {"tenant": self._tenant, "after": after, "limit": limit}
        return [read_key(row) for row in await self._database.read(_LIST_KEYS, page)]

    async def has_keys(self) -> bool:
        """Whether any key was ever made."""
        return bool(await self._database.read(_ANY_KEY, {"tenant": self._tenant}))

    async def find_key(self, key_id: str) -> KeyRow | None:
        """The key of this id, expired and revoked ones too."""
        rows = await self._database.read(_FIND_KEY, {"tenant": self._tenant, "id": key_id})
        return read_key(rows[0]) if rows else None

    async def revoke_key(self, key_id: str, now_ms: int) -> bool:
        """End a key; False where there is none that holds."""
        (ended,) = await self._database.write(
            Step(_REVOKE_KEY, {"of_tenant": self._tenant, "of_id": key_id, "now_ms": now_ms})
        )
        return bool(ended)

    # --- persons ----------------------------------------------------------------------------

    async def ensure_person(self, person_id: str, now_ms: int) -> None:
        """Let a person come into being, where they have not yet."""
        await self._database.write(self._person(_ADD_PERSON, person_id, now_ms))

    async def find_person(self, person_id: str) -> PersonRow | None:
        """The person of this id."""
        rows = await self._database.read(_FIND_PERSON, {"tenant": self._tenant, "id": person_id})
        return PersonRow(*rows[0]) if rows else None

    async def list_persons(self, after: str, limit: int) -> list[PersonRow]:
        """Persons in order of their ids, from behind `after`; none who became another."""
        rows = await self._database.read(_LIST_PERSONS, {"tenant": self._tenant, "after": after, "limit": limit})
        return [PersonRow(*row) for row in rows]

    async def assign_tier(self, person_id: str, tier: str | None, now_ms: int) -> PersonRow:
        """Set the tier that an operator gives; the person comes into being."""
        (rows,) = await self._database.write(
            self._person(_ASSIGN_TIER, person_id, now_ms, assigned_tier=tier, changed_at_ms=now_ms)
        )
        return PersonRow(*rows[0])

    # --- sessions ---------------------------------------------------------------------------

    async def create_session(self, row: SessionRow, now_ms: int) -> bool:
        """Add a session, and its person, in one transaction; whether the person is another one by it.

        Its tier becomes the person's as well; None leaves theirs as it is.
        """
        values = {name: getattr(row, name) for name in SessionRow.__slots__}
        features = None if row.features is None else sorted(row.features)
        values |= {"tenant": self._tenant, "groups": write_names(row.groups), "features": write_names(features)}
        changed, _ = await self._database.write(
            self._person(_ADD_PERSON if row.tier is None else _SET_TIER, row.person, now_ms, tier=row.tier),
            Step(_ADD_SESSION, values),
        )
        return bool(changed)

    async def find_session(self, session_id: str) -> SessionRow | None:
        """The session of this id, expired and ended ones too."""
        rows = await self._database.read(_FIND_SESSION, {"tenant": self._tenant, "id": session_id})
        return read_session(rows[0]) if rows else None

    async def sessions_of(self, person_id: str, since_ms: int, now_ms: int, after: str, limit: int) -> list[SessionRow]:
        """A person's sessions that began at `since_ms` or later and hold, the latest first.

        From behind the session `after`, which may be ''.
        """
        page = {
            "tenant": self._tenant,
            "person": person_id,
            "since_ms": since_ms,
            "now_ms": now_ms,
            "after": after,
            "limit": limit,
        }
        return [read_session(row) for row in await self._database.read(_SESSIONS_OF, page)]

    async def use_refresh_token(
        self, session_id: str, number: int, now_ms: int, expires_at_ms: int
    ) -> SessionRow | None:
        """Count the session's current refresh token as used; returns the session as it is then.

        None where another use of it came first, or the session has ended. What is told of that is not used yet.
        """
        (rows,) = await self._database.write(
            Step(
                _USE_REFRESH_TOKEN,
                {
                    "of_tenant": self._tenant,
                    "of_id": session_id,
                    "of_number": number,
                    "now_ms": now_ms,
                    "until_ms": expires_at_ms,
                },
            )
        )
        return read_session(rows[0]) if rows else None

    async def tell_again(
        self, session_id: str, number: int, told_at_ms: int, now_ms: int, expires_at_ms: int
    ) -> SessionRow | None:
        """Let what the last refresh told, and nobody used, count from now; returns the session as it is then.

        `number` and `told_at_ms` say which refresh that was. None where its tokens were used or told again
        meanwhile, or the session has ended.
        """
        (rows,) = await self._database.write(
            Step(
                _TELL_AGAIN,
                {
                    "of_tenant": self._tenant,
                    "of_id": session_id,
                    "of_number": number,
                    "told_at_ms": told_at_ms,
                    "now_ms": now_ms,
                    "until_ms": expires_at_ms,
                },
            )
        )
        return read_session(rows[0]) if rows else None

    async def end_session(self, session_id: str, person_id: str | None, now_ms: int) -> EndedSession | None:
        """End a session, of this person where one is named; None where there is none that holds."""
        values = {"of_tenant": self._tenant, "of_id": session_id, "of_person": person_id, "now_ms": now_ms}
        (ended,) = await self._database.write(Step(_END_SESSION, values))
        return read_ended(ended[0]) if ended else None

    async def end_sessions_of(self, person_id: str, now_ms: int) -> list[EndedSession]:
        """End all sessions of a person, and what identity providers issued to them before now.

        Returns the sessions that held. The person comes into being: a token of theirs may yet be shown first.
        """
        of_person = {"of_tenant": self._tenant, "of_person": person_id, "now_ms": now_ms}
        _, ended = await self._database.write(
            self._person(_END_BEFORE, person_id, now_ms, revoked_before_ms=now_ms, changed_at_ms=now_ms),
            Step(_END_SESSIONS_OF, of_person),
        )
        return [read_ended(row) for row in ended]

    # --- upgrades ---------------------------------------------------------------------------

    async def upgrade(self, anonymous: SessionRow, person_id: str, now_ms: int) -> list[EndedSession] | None:
        """Let the person of an anonymous session become this one, with all that is theirs.

        Returns the anonymous person's sessions, which are ended; None where this one had ended, or where they, or
        the person that they should be, became somebody before. All of it is one transaction, and its steps from the
        fourth on do nothing unless the third, or an earlier upgrade to the same person, has won. The person comes
        into being.
        """
        of_anonymous = {"of_tenant": self._tenant, "of_person": anonymous.person, "new_person": person_id}

        def become() -> Generator[Step, list[Row], list[Row] | None]:
            yield self._person(_ADD_PERSON, person_id, now_ms)
            yield Step(_LOCK_BOTH, of_anonymous)
            won = yield Step(_BECOME, {**of_anonymous, "of_session": anonymous.id, "now_ms": now_ms})
            ended = yield Step(_END_ANONYMOUS, {**of_anonymous, "now_ms": now_ms})
            yield from move_all(self._tenant, anonymous.person, person_id, now_ms)
            return ended if won else None

        ended = await self._database.transact(become)
        return None if ended is None else [read_ended(row) for row in ended]

    async def move_rest(self, anonymous: str, person_id: str, now_ms: int) -> None:
        """Move what was written for an anonymous person after they became this one."""
        await self._database.transact(lambda: move_all(self._tenant, anonymous, person_id, now_ms))

    def _person(self, query: Query, person_id: str, now_ms: int, **values: str | int | None) -> Step:
        return Step(
            query, {**_NOTHING_SAID, "tenant": self._tenant, "id": person_id, "created_at_ms": now_ms, **values}
        )


_NOTHING_SAID: dict[str, str | int | None] = dict.fromkeys(column.name for column in person.c)

# --- statements ---------------------------------------------------------------------------------

_ADD_SETTING = Query(insert(setting).on_conflict_do_nothing())
_raise_setting = insert(setting)
_RAISE_SETTING = Query(
    _raise_setting.on_conflict_do_update(
        index_elements=[setting.c.tenant, setting.c.name],
        set_={"value": _raise_setting.excluded.value},
        where=setting.c.value < _raise_setting.excluded.value,
    )
)
_FIND_SETTING = Query(
    select(setting.c.value).where(setting.c.tenant == bindparam("tenant"), setting.c.name == bindparam("name"))
)


def _is_behind(table: Table, *same: str) -> ColumnElement[bool]:
    """Whether a row is older than the one with the id `after`, where an id is given.

    None is older than one that is not there, or differs in one of the columns that must be the `same`.
    """
    after = bindparam("after", type_=Text)
    of_after = table.alias("of_after")
    its_place = select(of_after.c.created_at_ms, of_after.c.id).where(
        of_after.c.id == after, *(of_after.c[name] == bindparam(name) for name in ("tenant", *same))
    )
    return or_(after == "", tuple_(table.c.created_at_ms, table.c.id) < its_place.scalar_subquery())


_ADD_KEY = Query(insert(app_key))
_FIND_KEY = Query(select(*KEY_COLUMNS).where(app_key.c.tenant == bindparam("tenant"), app_key.c.id == bindparam("id")))
_LIST_KEYS = Query(
    select(*KEY_COLUMNS)
    .where(
        app_key.c.tenant == bindparam("tenant"),
        app_key.c.revoked_at_ms.is_(None),
        _is_behind(app_key),
    )
    .order_by(app_key.c.created_at_ms.desc(), app_key.c.id.desc())
    .limit(bindparam("limit"))
)
_ANY_KEY = Query(select(app_key.c.id).where(app_key.c.tenant == bindparam("tenant")).limit(1))
_REVOKE_KEY = Query(
    update(app_key)
    .where(
        app_key.c.tenant == bindparam("of_tenant"),
        app_key.c.id == bindparam("of_id"),
        app_key.c.revoked_at_ms.is_(None),
    )
    .values(revoked_at_ms=bindparam("now_ms"))
    .returning(app_key.c.id)
)


def _put_person(change: Callable[[Any], tuple[dict[str, Any], Any]]) -> Insert:
    """Insert a person or, where they are there, change them.

    `change` tells from the row that was to be inserted what is set, and where.
    """
    statement = insert(person)
    values, where = change(statement.excluded)
    return statement.on_conflict_do_update(index_elements=[person.c.tenant, person.c.id], set_=values, where=where)


_ADD_PERSON = Query(insert(person).on_conflict_do_nothing())
# The same tier again is no change: nobody need learn of it.
_SET_TIER = Query(
    _put_person(
        lambda new: (
            {"tier": new.tier, "changed_at_ms": new.created_at_ms},
            person.c.tier.is_distinct_from(new.tier),
        )
    ).returning(person.c.id)
)
_ASSIGN_TIER = Query(
    _put_person(lambda new: ({"assigned_tier": new.assigned_tier, "changed_at_ms": new.changed_at_ms}, None)).returning(
        *PERSON_COLUMNS
    )
)
_END_BEFORE = Query(
    _put_person(
        lambda new: (
            {"revoked_before_ms": new.revoked_before_ms, "changed_at_ms": new.changed_at_ms},
            or_(person.c.revoked_before_ms.is_(None), person.c.revoked_before_ms < new.revoked_before_ms),
        )
    )
)
_FIND_PERSON = Query(
    select(*PERSON_COLUMNS).where(person.c.tenant == bindparam("tenant"), person.c.id == bindparam("id"))
)
_LIST_PERSONS = Query(
    select(*PERSON_COLUMNS)
    .where(person.c.tenant == bindparam("tenant"), person.c.id > bindparam("after"), person.c.became.is_(None))
    .order_by(person.c.id)
    .limit(bindparam("limit"))
)

_ADD_SESSION = Query(insert(session))
_FIND_SESSION = Query(
    select(*SESSION_COLUMNS).where(session.c.tenant == bindparam("tenant"), session.c.id == bindparam("id"))
)
_SESSIONS_OF = Query(
    select(*SESSION_COLUMNS)
    .where(
        session.c.tenant == bindparam("tenant"),
        session.c.person == bindparam("person"),
        session.c.revoked_at_ms.is_(None),
        session.c.created_at_ms >= bindparam("since_ms"),
        session.c.expires_at_ms > bindparam("now_ms"),
        _is_behind(session, "person"),
    )
    .order_by(session.c.created_at_ms.desc(), session.c.id.desc())
    .limit(bindparam("limit"))
)
_USE_REFRESH_TOKEN = Query(
    update(session)
    .where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.id == bindparam("of_id"),
        session.c.refresh_number == bindparam("of_number"),
        session.c.revoked_at_ms.is_(None),
    )
    .values(
        refresh_number=session.c.refresh_number + 1,
        refreshed_at_ms=bindparam("now_ms"),
        used_at_ms=null(),
        expires_at_ms=bindparam("until_ms"),
    )
    .returning(*SESSION_COLUMNS)
)
_TELL_AGAIN = Query(
    update(session)
    .where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.id == bindparam("of_id"),
        session.c.refresh_number == bindparam("of_number"),
        session.c.refreshed_at_ms == bindparam("told_at_ms"),
        session.c.used_at_ms.is_(None),
        session.c.revoked_at_ms.is_(None),
    )
    .values(refreshed_at_ms=bindparam("now_ms"), expires_at_ms=bindparam("until_ms"))
    .returning(*SESSION_COLUMNS)
)
_end = update(session).values(revoked_at_ms=bindparam("now_ms")).returning(*ENDED_COLUMNS)
_END_SESSION = Query(
    _end.where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.id == bindparam("of_id"),
        or_(bindparam("of_person", type_=Text).is_(None), session.c.person == bindparam("of_person", type_=Text)),
        session.c.revoked_at_ms.is_(None),
    )
)
_END_SESSIONS_OF = Query(
    _end.where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.person == bindparam("of_person"),
        session.c.revoked_at_ms.is_(None),
        session.c.expires_at_ms > bindparam("now_ms"),
    )
)

# Of two upgrades that meet in a person, the second sees what the first has done.
_LOCK_BOTH = Query(
    select(person.c.id)
    .where(
        person.c.tenant == bindparam("of_tenant"),
        or_(person.c.id == bindparam("of_person"), person.c.id == bindparam("new_person")),
    )
    .order_by(person.c.id)
    .with_for_update()
)
_new = person.alias("new")
_BECOME = Query(
    update(person)
    .where(
        person.c.tenant == bindparam("of_tenant"),
        person.c.id == bindparam("of_person"),
        person.c.became.is_(None),
        exists().where(
            _new.c.tenant == bindparam("of_tenant"),
            _new.c.id == bindparam("new_person"),
            _new.c.became.is_(None),
        ),
        exists().where(
            session.c.tenant == bindparam("of_tenant"),
            session.c.id == bindparam("of_session"),
            session.c.person == bindparam("of_person"),
            session.c.revoked_at_ms.is_(None),
        ),
    )
    .values(became=bindparam("new_person"), changed_at_ms=bindparam("now_ms"))
    .returning(person.c.id)
)
_END_ANONYMOUS = Query(
    _end.where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.person == bindparam("of_person"),
        session.c.revoked_at_ms.is_(None),
        HAS_BECOME,
    )
)
