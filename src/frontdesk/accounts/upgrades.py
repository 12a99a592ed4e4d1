"""Upgrades: an anonymous person signs in, and all that they did becomes the user's.

The anonymous sessions end with it, for a token that was stolen before would be a user's afterwards. Turns
that still run at that moment write their rows later, and spend, under the person that they began with; a
sweep moves that.
"""

from __future__ import annotations

import logging

from frontdesk.accounts.people import check_name
from frontdesk.accounts.revocations import Revocations
from frontdesk.accounts.sessions import Refreshing, Sessions, became_another
from frontdesk.accounts.store import AccountStore, AllTenants, SessionRow
from frontdesk.accounts.tokens import REFRESH_PREFIX, TokenSigner
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest
from frontdesk.storage.database import Database

_log = logging.getLogger("frontdesk.accounts")
# Longer than any turn may take, and than rows wait while a store is away.
_SWEPT_FOR_MS = 25 * 3_600_000


class Upgrades:
    """The upgrades of all tenants."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        signer: TokenSigner,
        revocations: Revocations,
        sessions: Sessions,
    ) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._revocations = revocations
        self._sessions = sessions
        self._all = AllTenants(database)

    async def upgrade(self, anonymous_token: str, tenant: str, person: str) -> str:
        """Make everything of an anonymous person this one's, who is signed in; returns the anonymous one's id.

        The token is a session token or a refresh token of theirs. The same again is harmless. Raises
        BadRequest for a token that does not hold, where they are not anonymous or became another, and where the
        person became another.
        """
        check_name(person)
        store = AccountStore(self._database, tenant)
        row, is_live = await self._session_of(anonymous_token, store, tenant)
        if not row.is_anonymous or row.person == person:
            raise _not_anonymous(f"The session {row.id!r} is not anonymous: {row.person!r} is signed in already.")
        became = await self._became(store, row.person)
        if became is None:
            if not is_live:
                raise _wrong("was ended or has expired")
            ended = await store.upgrade(row, person, unix_ms(self._clock))
            if ended is not None:
                self._revocations.add(ended)  # so nothing is known of their person either
                return row.person
            became = await self._became(store, row.person)
        if became is None:
            who_is = await self._became(store, person)
            raise _wrong("was ended just now") if who_is is None else became_another(person, who_is)
        if became != person:
            raise _not_anonymous(f"The person of session {row.id!r} became another user before.")
        return row.person

    async def sweep(self) -> None:
        """Move what was written for people after they became another. Cheap where nobody did lately."""
        now_ms = unix_ms(self._clock)
        left = await self._all.left_behind(now_ms - _SWEPT_FOR_MS, now_ms)
        for tenant, anonymous, person in left:
            await AccountStore(self._database, tenant).move_rest(anonymous, person, now_ms)
        if left:
            _log.info("upgrades_swept persons=%d", len(left))

    async def _session_of(self, token: str, store: AccountStore, tenant: str) -> tuple[SessionRow, bool]:
        """The session of a token of either kind, and whether the token holds."""
        if token.startswith(REFRESH_PREFIX):
            return await self._session_of_refresh_token(token, store, tenant)
        claims = self._signer.check(token)
        row = None if claims is None or claims.tenant != tenant else await store.find_session(claims.session)
        if claims is None or row is None:
            raise _wrong("is not one of this server's")
        is_live = (
            claims.expires_at > self._clock.now()
            and row.revoked_at_ms is None
            and self._revocations.holds(tenant, row.id, claims.issued_at_ms)
        )
        return row, is_live

    async def _session_of_refresh_token(self, token: str, store: AccountStore, tenant: str) -> tuple[SessionRow, bool]:
        claims = self._signer.check_refresh(token)
        row = None if claims is None or claims.tenant != tenant else await store.find_session(claims.session)
        if claims is None or row is None:
            raise _wrong("is not one of this server's")
        verdict = self._sessions.judge(row, claims.number)
        if verdict is Refreshing.REUSED:
            await self._sessions.end_reused(claims)
        return row, verdict in (Refreshing.CURRENT, Refreshing.REPEATED, Refreshing.UNANSWERED)

    async def _became(self, store: AccountStore, person: str) -> str | None:
        found = await store.find_person(person)
        return None if found is None else found.became


def _wrong(why: str) -> BadRequest:
    # No 401: the request's own credential is good, and its session must not be given up for this.
    return BadRequest(
        f"The token of the anonymous session {why}. Go on without it.", code="invalid_value", param="anonymous_token"
    )


def _not_anonymous(message: str) -> BadRequest:
    return BadRequest(message, code="not_anonymous", param="anonymous_token")
