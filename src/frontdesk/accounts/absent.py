"""Callers who are not there: their work goes on, as who they are by now, until what they called with is taken back.

That a session has run out ends nothing, for it is not asked any more; that it was ended does, as does a key that
was revoked or has expired, and a person who is not there any more.
"""

from __future__ import annotations

import msgspec

from frontdesk.accounts.keys import ADMIN_KEY_ID, caller_of_key
from frontdesk.accounts.people import People
from frontdesk.accounts.revocations import Revocations
from frontdesk.accounts.store import AccountStore, PersonRow
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller, Role


class CallerThen(msgspec.Struct, frozen=True):
    """A caller as they were when they asked; the person stands beside it, for they may become another.

    `tier` is that of what they asked, where it matters how long that is kept.
    """

    role: Role
    credential_id: str
    groups: tuple[str, ...] = ()
    features: frozenset[str] | None = None
    app: str | None = None
    is_anonymous: bool = False
    claimed_tier: str | None = None
    tier: str | None = None


def caller_then(caller: Caller) -> CallerThen:
    """What to keep of a caller."""
    return CallerThen(
        caller.role,
        caller.credential_id,
        caller.groups,
        caller.features,
        caller.app,
        caller.is_anonymous,
        caller.claimed_tier,
    )


class Absent:
    """Tells who absent callers are now."""

    def __init__(
        self, database: Database, clock: Clock, people: People, revocations: Revocations, *, has_admin_key: bool
    ) -> None:
        self._database = database
        self._clock = clock
        self._people = people
        self._revocations = revocations
        self._has_admin_key = has_admin_key

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        """The caller of something that was asked at `since_ms`; None where they may not ask any more.

        `person` is whose it is by now, "" of a key's. Reads a row or two.
        """
        if then.role != "user":
            return await self._key(tenant, then)
        found = await self._people.standing(tenant, person)
        if found is None:
            return None
        row, _ = found
        if max(self._revocations.before_ms(tenant), row.revoked_before_ms or 0) > since_ms:
            return None
        session = await AccountStore(self._database, tenant).find_session(then.credential_id)
        # What an upgrade ended is the session of who they were; what they had asked goes on as the user's.
        is_same = session is None or session.person == person
        if session is not None and is_same and session.revoked_at_ms is not None:
            return None
        return _user(row, then, is_same=is_same)

    async def is_there(self, tenant: str, person: str) -> bool:
        """Whether there is such a person."""
        return await self._people.standing(tenant, person) is not None

    async def _key(self, tenant: str, then: CallerThen) -> Caller | None:
        if then.credential_id == ADMIN_KEY_ID:
            return Caller("operator", ADMIN_KEY_ID, tenant=tenant) if self._has_admin_key else None
        row = await AccountStore(self._database, tenant).find_key(then.credential_id)
        if row is None or row.revoked_at_ms is not None:
            return None
        if row.expires_at_ms is not None and row.expires_at_ms <= unix_ms(self._clock):
            return None
        return caller_of_key(row)


def _user(row: PersonRow, then: CallerThen, *, is_same: bool) -> Caller:
    claimed = then.claimed_tier if is_same else None
    return Caller(
        "user",
        then.credential_id,
        row.id,
        row.assigned_tier or claimed or row.tier,
        row.tenant,
        groups=then.groups,
        features=then.features,
        app=then.app,
        is_anonymous=then.is_anonymous and is_same,
        claimed_tier=claimed,
    )
