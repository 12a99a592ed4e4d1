"""What was ended before its time: single sessions, and all credentials of a tenant's people at once.

In this process it counts at once. Other processes learn of it by looking at the store every second,
a minute back each time: a revocation can become visible long after its own time, by a slow commit or
another machine's clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from frontdesk.accounts.people import People
from frontdesk.accounts.store import AccountStore, AllTenants, EndedSession
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.storage.database import Database

_LOOK_AT_ALL_EVERY_MS = 3_600_000


class Revocations:
    """Sessions and tenants whose tokens do not count any more, though their signatures do."""

    def __init__(self, database: Database, clock: Clock, people: People) -> None:
        self._database = database
        self._clock = clock
        self._people = people
        self._all = AllTenants(database)
        self._sessions: dict[tuple[str, str], int] = {}
        self._tenants: dict[str, int] = {}
        self._looked_at_all_ms = 0

    def holds(self, tenant: str, session_id: str, issued_at_ms: int) -> bool:
        """Whether this session was not ended."""
        return (tenant, session_id) not in self._sessions and issued_at_ms >= self._tenants.get(tenant, 0)

    def before_ms(self, tenant: str) -> int:
        """The time from before which no credential of this tenant's people counts; 0 where all do."""
        return self._tenants.get(tenant, 0)

    def add(self, ended: Iterable[EndedSession]) -> None:
        """Some sessions were ended: let none of their tokens be known any more."""
        for session in ended:
            if (session.tenant, session.id) not in self._sessions:
                self._sessions[session.tenant, session.id] = session.until_ms
                self._people.forget(session.tenant, session.person)

    async def end_all(self, tenant: str) -> None:
        """Let no credential of this tenant's people count that was issued until now."""
        before_ms = unix_ms(self._clock) + 1  # all of this millisecond; sessions that begin from now on say so
        await AccountStore(self._database, tenant).end_all_before(before_ms)
        self._tenants[tenant] = max(before_ms, self.before_ms(tenant))

    async def learn(self, since_ms: int) -> bool:
        """Learn what other processes have ended since this time; whether a whole tenant was among it."""
        now_ms = unix_ms(self._clock)
        if not 0 <= now_ms - self._looked_at_all_ms < _LOOK_AT_ALL_EVERY_MS:
            since_ms = 0
            self._sessions = {key: until_ms for key, until_ms in self._sessions.items() if until_ms > now_ms}
        self.add(await self._all.sessions_ended_since(since_ms, now_ms))
        if since_ms == 0:
            self._looked_at_all_ms = now_ms
        return await self._learn_of_tenants()

    async def _learn_of_tenants(self) -> bool:
        ended = False
        for tenant, before_ms in (await self._all.ended_before()).items():
            if before_ms > self.before_ms(tenant):
                self._tenants[tenant] = before_ms
                ended = True
        return ended
