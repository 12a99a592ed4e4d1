"""Rows of accounts: settings, secret keys, persons and sessions of one tenant."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import bindparam, or_, select, update

from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import app_key, person, session, setting

_SIGNING_SECRET = "session_signing_secret"  # noqa: S105 - its name
_SECRET_BYTES = 32
_PAGE = 1_000
_MOST_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A secret key, without its hash."""

    tenant: str
    id: str
    name: str
    role: str
    hint: str
    created_at_ms: int
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class PersonRow:
    """An end user. `tier` is None for the default one."""

    id: str
    tier: str | None
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session of a person."""

    id: str
    person: str
    tier: str | None
    is_anonymous: bool
    created_at_ms: int
    expires_at_ms: int
    revoked_at_ms: int | None


class AccountStore:
    """The accounts of a tenant."""

    def __init__(self, database: Database, tenant: str = "default") -> None:
        self._database = database
        self._tenant = tenant

    # --- settings ---------------------------------------------------------------------------

    async def signing_secret(self) -> bytes:
        """The secret that signs session tokens; made when first asked for, the same for all."""
        return await self.setting(_SIGNING_SECRET, secrets.token_bytes(_SECRET_BYTES))

    async def setting(self, name: str, default: bytes) -> bytes:
        """A setting's value. Where there is none the default is stored; of several at once one wins."""
        where = {"tenant": self._tenant, "name": name}
        rows = await self._database.read(_FIND_SETTING, where)
        if not rows:
            _, rows = await self._database.write(
                Step(_ADD_SETTING, {**where, "value": default}), Step(_FIND_SETTING, where)
            )
        return rows[0][0]

    # --- keys -------------------------------------------------------------------------------

    async def create_key(
        self, key_id: str, name: str, role: str, key_hash: bytes, *, hint: str, created_at_ms: int
    ) -> None:
        """Add a key. Raises ConstraintViolated where the hash is known already."""
        values = {
            "tenant": self._tenant,
            "id": key_id,
            "name": name,
            "role": role,
            "hash": key_hash,
            "hint": hint,
            "scopes": None,
            "expires_at_ms": None,
            "last_used_at_ms": None,
            "created_at_ms": created_at_ms,
            "revoked_at_ms": None,
        }
        await self._database.write(Step(_ADD_KEY, values))

    async def find_key(self, key_hash: bytes) -> KeyRow | None:
        """The key of this hash, of any tenant, revoked or not."""
        rows = await self._database.read(_FIND_KEY, {"hash": key_hash})
        return KeyRow(*rows[0]) if rows else None

    async def list_keys(self) -> list[KeyRow]:
        """The keys that hold, oldest first; a thousand at most."""
        return [KeyRow(*row) for row in await self._database.read(_LIST_KEYS, {"tenant": self._tenant})]

    async def has_keys(self) -> bool:
        """Whether any key was ever made."""
        return bool(await self._database.read(_ANY_KEY, {"tenant": self._tenant}))

    async def revoke_key(self, key_id: str, now_ms: int) -> bool:
        """End a key; False where there is none that holds."""
        (ended,) = await self._database.write(
            Step(_REVOKE_KEY, {"of_tenant": self._tenant, "of_id": key_id, "now_ms": now_ms})
        )
        return bool(ended)

    async def keys_revoked_since(self, since_ms: int) -> list[str]:
        """Ids of the keys that were revoked at this time or later."""
        rows = await self._database.read(_KEYS_REVOKED, {"tenant": self._tenant, "since_ms": since_ms})
        return [row[0] for row in rows]

    # --- persons ----------------------------------------------------------------------------

    async def ensure_person(self, person_id: str, now_ms: int) -> None:  # noqa: V105 - for persons known by a JWT
        """Let a person come into being, where they have not yet."""
        await self._database.write(self._person_step(_ADD_PERSON, person_id, None, now_ms))

    async def set_tier(self, person_id: str, tier: str | None, now_ms: int) -> None:  # noqa: V105 - the same
        """Set a person's tier; they come into being where they have not yet."""
        await self._database.write(self._person_step(_SET_TIER, person_id, tier, now_ms))

    async def find_person(self, person_id: str) -> PersonRow | None:  # noqa: V105 - what tests look at
        """The person of this id."""
        rows = await self._database.read(_FIND_PERSON, {"tenant": self._tenant, "id": person_id})
        return PersonRow(*rows[0]) if rows else None

    # --- sessions ---------------------------------------------------------------------------

    async def create_session(
        self,
        session_id: str,
        person_id: str,
        tier: str | None,
        *,
        is_anonymous: bool,
        created_at_ms: int,
        expires_at_ms: int,
    ) -> None:
        """Add a session, and its person, in one transaction.

        The tier becomes the person's as well; None leaves theirs as it is.
        """
        values = {
            "tenant": self._tenant,
            "id": session_id,
            "person": person_id,
            "tier": tier,
            "groups": None,
            "features": None,
            "app": None,
            "lifetime_s": None,
            "refresh_number": None,
            "refreshed_at_ms": None,
            "is_anonymous": is_anonymous,
            "created_at_ms": created_at_ms,
            "expires_at_ms": expires_at_ms,
            "revoked_at_ms": None,
        }
        await self._database.write(
            self._person_step(_ADD_PERSON if tier is None else _SET_TIER, person_id, tier, created_at_ms),
            Step(_ADD_SESSION, values),
        )

    async def find_session(self, session_id: str) -> SessionRow | None:  # noqa: V105 - what tests look at
        """The session of this id, expired and revoked ones too."""
        rows = await self._database.read(_FIND_SESSION, {"tenant": self._tenant, "id": session_id})
        return _session_row(rows[0]) if rows else None

    async def revoke_session(self, session_id: str, now_ms: int) -> bool:
        """End a session; False where there is none that holds."""
        (ended,) = await self._database.write(
            Step(_REVOKE_SESSION, {"of_tenant": self._tenant, "of_id": session_id, "now_ms": now_ms})
        )
        return bool(ended)

    async def revoke_sessions_of(self, person_id: str, now_ms: int) -> list[str]:
        """End all sessions of a person; returns the ids of those that held, sorted."""
        (ended,) = await self._database.write(
            Step(_REVOKE_SESSIONS_OF, {"of_tenant": self._tenant, "of_person": person_id, "now_ms": now_ms})
        )
        return sorted(row[0] for row in ended)

    async def sessions_revoked_since(self, since_ms: int, now_ms: int) -> list[str]:
        """Ids of the sessions that were revoked at `since_ms` or later and have not expired by `now_ms`.

        All of them, in order of their revocation: read a page at a time.
        """
        found: list[str] = []
        place = {"after_ms": since_ms, "after_id": ""}
        while True:
            rows = await self._database.read(_SESSIONS_REVOKED, {"tenant": self._tenant, "now_ms": now_ms, **place})
            found.extend(row[0] for row in rows)
            if len(rows) < _PAGE:
                return found
            place = {"after_ms": rows[-1][1], "after_id": rows[-1][0]}

    def _person_step(self, query: Query, person_id: str, tier: str | None, now_ms: int) -> Step:
        values = {"tenant": self._tenant, "id": person_id, "tier": tier, "created_at_ms": now_ms}
        return Step(
            query, {"assigned_tier": None, "became": None, "changed_at_ms": None, "revoked_before_ms": None, **values}
        )


def _session_row(row: Row) -> SessionRow:
    # SQLite has no booleans of its own.
    return SessionRow(row[0], row[1], row[2], bool(row[3]), *row[4:])


# --- statements ---------------------------------------------------------------------------------

_ADD_SETTING = Query(insert(setting).on_conflict_do_nothing())
_FIND_SETTING = Query(
    select(setting.c.value).where(setting.c.tenant == bindparam("tenant"), setting.c.name == bindparam("name"))
)

_KEY_COLUMNS = (
    app_key.c.tenant,
    app_key.c.id,
    app_key.c.name,
    app_key.c.role,
    app_key.c.hint,
    app_key.c.created_at_ms,
    app_key.c.revoked_at_ms,
)
_ADD_KEY = Query(insert(app_key))
_FIND_KEY = Query(select(*_KEY_COLUMNS).where(app_key.c.hash == bindparam("hash")))
_LIST_KEYS = Query(
    select(*_KEY_COLUMNS)
    .where(app_key.c.tenant == bindparam("tenant"), app_key.c.revoked_at_ms.is_(None))
    .order_by(app_key.c.created_at_ms, app_key.c.id)
    .limit(_MOST_KEYS)
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
_KEYS_REVOKED = Query(
    select(app_key.c.id)
    .where(app_key.c.tenant == bindparam("tenant"), app_key.c.revoked_at_ms >= bindparam("since_ms"))
    .order_by(app_key.c.revoked_at_ms.desc())
    .limit(_MOST_KEYS)
)

_ADD_PERSON = Query(insert(person).on_conflict_do_nothing())
_INSERT_PERSON = insert(person)
_SET_TIER = Query(
    _INSERT_PERSON.on_conflict_do_update(
        index_elements=[person.c.tenant, person.c.id], set_={"tier": _INSERT_PERSON.excluded.tier}
    )
)
_FIND_PERSON = Query(
    select(person.c.id, person.c.tier, person.c.created_at_ms).where(
        person.c.tenant == bindparam("tenant"), person.c.id == bindparam("id")
    )
)

_ADD_SESSION = Query(insert(session))
_FIND_SESSION = Query(
    select(
        session.c.id,
        session.c.person,
        session.c.tier,
        session.c.is_anonymous,
        session.c.created_at_ms,
        session.c.expires_at_ms,
        session.c.revoked_at_ms,
    ).where(session.c.tenant == bindparam("tenant"), session.c.id == bindparam("id"))
)
_REVOKE_SESSION = Query(
    update(session)
    .where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.id == bindparam("of_id"),
        session.c.revoked_at_ms.is_(None),
    )
    .values(revoked_at_ms=bindparam("now_ms"))
    .returning(session.c.id)
)
_REVOKE_SESSIONS_OF = Query(
    update(session)
    .where(
        session.c.tenant == bindparam("of_tenant"),
        session.c.person == bindparam("of_person"),
        session.c.revoked_at_ms.is_(None),
        session.c.expires_at_ms > bindparam("now_ms"),
    )
    .values(revoked_at_ms=bindparam("now_ms"))
    .returning(session.c.id)
)
_SESSIONS_REVOKED = Query(
    select(session.c.id, session.c.revoked_at_ms)
    .where(
        session.c.tenant == bindparam("tenant"),
        session.c.expires_at_ms > bindparam("now_ms"),
        session.c.revoked_at_ms >= bindparam("after_ms"),
        or_(session.c.revoked_at_ms > bindparam("after_ms"), session.c.id > bindparam("after_id")),
    )
    .order_by(session.c.revoked_at_ms, session.c.id)
    .limit(_PAGE)
)
