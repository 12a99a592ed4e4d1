"""Sessions: begun, refreshed, ended.

A session that is refreshable has one chain of refresh tokens, numbered from 0. Nothing of them is stored
but how many were used, so the current one can be made again for whoever lost the answer that brought it:

    presented                                what happens
    the current one                          it is counted as used; the next one and a new session token are told
    the one before it, soon after            the same pair is told again: two tabs ask at once
    the one before it, whenever, as long     the pair is told again, counting from now: the reply was lost, or the
    as nothing of that pair was used         phone was in a tunnel
    the one before it, later; any other      somebody else has it: the session ends

Of several who present one at once, one moves the row and the others find it moved. A pair is used with the
first request that its session token comes with: `saw` is told of that, and `note_uses` keeps it. Until that
is kept, in a second, who repeats is believed.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from frontdesk.accounts.people import People, check_name
from frontdesk.accounts.revocations import Revocations
from frontdesk.accounts.store import AccountStore, AllTenants, SessionRow
from frontdesk.accounts.tokens import Claims, RefreshClaims, TokenSigner
from frontdesk.core import config
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, NotFound, Unauthenticated
from frontdesk.core.ids import ANONYMOUS_PREFIX, new_id
from frontdesk.storage.database import Database

_log = logging.getLogger("frontdesk.accounts")
Admit = Callable[[str | None], Awaitable[None]]
"""Asks whether a session of this app may go on now; raises where it may not."""
_MAX_LIFE_S = 366 * 24 * 3600
# Whatever clocks tell, no token of such a session holds anywhere.
_KEPT_MS = 24 * 3_600_000
_MAX_NOTED = 50_000
_SWEPT_AT_ONCE = 500
_SWEEP_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that shall begin. Without a person it is that of a new anonymous one.

    A tier becomes the person's, None leaves theirs; a `claimed_tier` is this session's alone, as long as it is not
    refreshed, and counts more than theirs. None features are all. It ends at `not_after`, in
    seconds since 1970, whatever is refreshed.
    """

    tenant: str
    person: str | None
    tier: str | None
    groups: tuple[str, ...]
    features: frozenset[str] | None
    app: str | None
    expires_in_s: int
    is_refreshable: bool
    is_anonymous: bool
    not_after: float | None = None
    claimed_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its person holds it. Times are in seconds since 1970."""

    id: str
    token: str
    person: str
    expires_at: int
    refresh_token: str | None
    refresh_expires_at: int | None
    is_anonymous: bool


class Refreshing(enum.Enum):
    """What a refresh token is good for."""

    CURRENT = "it refreshes"
    REPEATED = "it was used just now, and the answer may be lost"
    UNANSWERED = "it was used, but nothing that was answered: the answer was lost"
    REUSED = "it was used before: two parties have it"
    EXPIRED = "it was not used for too long"
    ENDED = "its session has ended"


class Sessions:
    """The sessions of all tenants."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: config.Auth,
        signer: TokenSigner,
        people: People,
        revocations: Revocations,
    ) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._people = people
        self._revocations = revocations
        self._refresh_life_ms = int(settings.refresh_ttl_s * 1000)
        self._grace_ms = int(settings.refresh_grace_s * 1000)
        self._sweep_at = 0.0
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}
        self._noted: dict[tuple[str, str], int] = {}

    async def begin(self, new: NewSession) -> Session:
        """Begin a session; its person comes into being with it. Raises BadRequest for what cannot be."""
        _check(new)
        if new.person is not None:
            await self._check_person(new.tenant, new.person)
        now_ms = unix_ms(self._clock)
        # What ended all sessions of the tenant may have come from a machine whose clock is ahead.
        row = self._row(new, max(now_ms, self._revocations.before_ms(new.tenant)))
        if row.expires_at_ms <= now_ms:
            raise Unauthenticated("The token that should begin a session has expired.", code="token_expired")
        if await AccountStore(self._database, new.tenant).create_session(row, now_ms):
            self._people.forget(new.tenant, row.person)
        return self._told(row, new.claimed_tier)

    async def refresh(self, refresh_token: str, admit: Admit | None = None) -> Session:
        """Go on with a session: a new token, and the refresh token that comes next.

        `admit` is asked with the session's app before anything changes; what it raises is raised. Raises
        Unauthenticated; for one that was used before, after it has ended the session.
        """
        claims = self._refresh_claims(refresh_token)
        store = AccountStore(self._database, claims.tenant)
        while (row := await store.find_session(claims.session)) is not None:
            if admit is not None:
                await admit(row.app)
            match self.judge(row, claims.number):
                case Refreshing.CURRENT:
                    advanced = await self._advance(store, row)
                    if advanced is not None:  # else another one was quicker
                        return self._told(advanced)
                case Refreshing.REPEATED:
                    return self._told(row)
                case Refreshing.UNANSWERED:
                    renewed = await self._tell_again(store, row)
                    if renewed is not None:
                        return self._told(renewed)
                case Refreshing.REUSED:
                    await self.end_reused(claims)
                    raise Unauthenticated(
                        "This refresh token was used before, so the session was ended. Begin a new one.",
                        code="refresh_token_reused",
                    )
                case Refreshing.EXPIRED:
                    raise Unauthenticated(
                        "This refresh token has expired. Begin a new session.", code="refresh_token_expired"
                    )
                case Refreshing.ENDED:
                    break
        raise Unauthenticated("This session was ended. Begin a new one.", code="token_revoked")

    def saw(self, claims: Claims) -> None:
        """Somebody came with this session's token: who has it has the refresh token that was told with it.

        To be told once of each token, more often at will.
        """
        key = claims.tenant, claims.session
        if claims.number > max(self._noted.get(key, 0), self._seen.get(key, (0, 0))[0]):
            self._seen[key] = claims.number, unix_ms(self._clock)

    def note_uses(self) -> None:
        """Let the store keep which tokens were seen since the last call. Only enqueues."""
        if not self._seen:
            return
        AllTenants(self._database).note_session_uses([(*key, *seen) for key, seen in self._seen.items()])
        if len(self._noted) >= _MAX_NOTED:
            self._noted.clear()
        self._noted |= {key: number for key, (number, _) in self._seen.items()}
        self._seen.clear()

    def session_of_refresh_token(self, refresh_token: str) -> str:
        """The session that a refresh token is of, whether or not it still refreshes. Raises Unauthenticated."""
        return self._refresh_claims(refresh_token).session

    def _refresh_claims(self, refresh_token: str) -> RefreshClaims:
        claims = self._signer.check_refresh(refresh_token)
        if claims is None:
            raise Unauthenticated("This refresh token is not valid. Begin a new session.", code="invalid_token")
        return claims

    async def end(self, tenant: str, session_id: str, person: str | None = None) -> None:
        """End a session now; where a person is named, only one of theirs. Raises NotFound."""
        ended = None
        if session_id.isprintable():
            store = AccountStore(self._database, tenant)
            ended = await store.end_session(session_id, person, unix_ms(self._clock))
        if ended is None:
            raise NotFound(f"There is no session {session_id!r}.", code="session_not_found")
        self._revocations.add([ended])

    async def end_all_of(self, tenant: str, person: str) -> int:
        """End all sessions of a person now, and what identity providers issued to them until now.

        Returns how many sessions that were.
        """
        check_name(person)
        ended = await AccountStore(self._database, tenant).end_sessions_of(person, unix_ms(self._clock))
        self._revocations.add(ended)
        self._people.forget(tenant, person)
        return len(ended)

    async def list_of(self, tenant: str, person: str, after: str, limit: int) -> list[SessionRow]:
        """A person's sessions that hold, the latest first, from behind the session `after`, which may be ''."""
        check_name(person)
        since_ms = self._revocations.before_ms(tenant)
        return await AccountStore(self._database, tenant).sessions_of(
            person, since_ms, unix_ms(self._clock), after, limit
        )

    async def sweep(self) -> None:
        """Delete sessions that expired a day ago: some now and, once none are left, none for an hour."""
        if self._clock.monotonic() < self._sweep_at:
            return
        forgotten = await AllTenants(self._database).forget_sessions(unix_ms(self._clock) - _KEPT_MS, _SWEPT_AT_ONCE)
        if forgotten < _SWEPT_AT_ONCE:
            self._sweep_at = self._clock.monotonic() + _SWEEP_EVERY_S
        if forgotten:
            _log.info("sessions_swept count=%d", forgotten)

    def judge(self, row: SessionRow, number: int) -> Refreshing:
        """What the refresh token of this number is good for now."""
        if row.revoked_at_ms is not None or row.refresh_number is None:
            return Refreshing.ENDED
        if not self._revocations.holds(row.tenant, row.id, row.created_at_ms):
            return Refreshing.ENDED
        now_ms = unix_ms(self._clock)
        if row.expires_at_ms <= now_ms:
            return Refreshing.EXPIRED
        if number == row.refresh_number:
            return Refreshing.CURRENT
        if row.refreshed_at_ms is None or number != row.refresh_number - 1:
            return Refreshing.REUSED
        # The later of both: processes' clocks differ, and a use may be kept after the pair was told again.
        if now_ms - max(row.refreshed_at_ms, row.used_at_ms or 0) <= self._grace_ms:
            return Refreshing.REPEATED
        return Refreshing.UNANSWERED if row.used_at_ms is None else Refreshing.REUSED

    async def end_reused(self, claims: RefreshClaims) -> None:
        """End a session of which two parties have a refresh token."""
        _log.warning("refresh_token_reused session=%s tenant=%s", claims.session, claims.tenant)
        store = AccountStore(self._database, claims.tenant)
        ended = await store.end_session(claims.session, None, unix_ms(self._clock))
        if ended is not None:
            self._revocations.add([ended])

    async def _check_person(self, tenant: str, person: str) -> None:
        found = await self._people.standing(tenant, person)
        became = None if found is None else found[0].became
        if became is not None:
            raise became_another(person, became)

    def _row(self, new: NewSession, began_at_ms: int) -> SessionRow:
        not_after_ms = began_at_ms + _MAX_LIFE_S * 1000
        if new.not_after is not None:
            not_after_ms = min(not_after_ms, int(new.not_after * 1000))
        expires_at_ms = began_at_ms + new.expires_in_s * 1000
        if new.is_refreshable:
            expires_at_ms = max(expires_at_ms, began_at_ms + self._refresh_life_ms)
        return SessionRow(
            tenant=new.tenant,
            id=new_id("sess_"),
            person=new_id(ANONYMOUS_PREFIX) if new.person is None else new.person,
            tier=new.tier,
            groups=new.groups,
            features=new.features,
            app=new.app,
            is_anonymous=new.is_anonymous,
            lifetime_s=new.expires_in_s,
            refresh_number=0 if new.is_refreshable else None,
            refreshed_at_ms=None,
            used_at_ms=None,
            created_at_ms=began_at_ms,
            expires_at_ms=min(expires_at_ms, not_after_ms),
            not_after_ms=not_after_ms,
            revoked_at_ms=None,
        )

    async def _advance(self, store: AccountStore, row: SessionRow) -> SessionRow | None:
        assert row.refresh_number is not None
        now_ms = unix_ms(self._clock)
        return await store.use_refresh_token(row.id, row.refresh_number, now_ms, self._expiry_ms(row, now_ms))

    async def _tell_again(self, store: AccountStore, row: SessionRow) -> SessionRow | None:
        assert row.refresh_number is not None
        assert row.refreshed_at_ms is not None
        now_ms = unix_ms(self._clock)
        return await store.tell_again(
            row.id, row.refresh_number, row.refreshed_at_ms, now_ms, self._expiry_ms(row, now_ms)
        )

    def _expiry_ms(self, row: SessionRow, refreshed_at_ms: int) -> int:
        assert row.lifetime_s is not None
        assert row.not_after_ms is not None
        return min(refreshed_at_ms + max(row.lifetime_s * 1000, self._refresh_life_ms), row.not_after_ms)

    def _told(self, row: SessionRow, claimed_tier: str | None = None) -> Session:
        """A session with its current tokens. The same row tells the same, in every process."""
        assert row.lifetime_s is not None
        assert row.not_after_ms is not None
        told_at_ms = row.created_at_ms if row.refreshed_at_ms is None else row.refreshed_at_ms
        expires_at = min(told_at_ms + row.lifetime_s * 1000, row.not_after_ms) // 1000
        claims = Claims(
            session=row.id,
            person=row.person,
            tier=None,
            expires_at=expires_at,
            tenant=row.tenant,
            issued_at_ms=row.created_at_ms,
            groups=row.groups,
            features=None if row.features is None else tuple(sorted(row.features)),
            app=row.app,
            is_anonymous=row.is_anonymous,
            claimed_tier=claimed_tier,
            number=row.refresh_number or 0,
        )
        refresh_token = refresh_expires_at = None
        if row.refresh_number is not None:
            refresh_token = self._signer.sign_refresh(RefreshClaims(row.id, row.refresh_number, row.tenant))
            refresh_expires_at = row.expires_at_ms // 1000
        return Session(
            id=row.id,
            token=self._signer.sign(claims),
            person=row.person,
            expires_at=expires_at,
            refresh_token=refresh_token,
            refresh_expires_at=refresh_expires_at,
            is_anonymous=row.is_anonymous,
        )


def _check(new: NewSession) -> None:
    """Raise BadRequest for what does not fit into a token, or into a row."""
    if new.person is not None:
        check_name(new.person)
    if not 1 <= new.expires_in_s <= _MAX_LIFE_S:
        raise BadRequest(
            f"'expires_in' is {new.expires_in_s}. It must be from 1 to {_MAX_LIFE_S} seconds.",
            code="invalid_value",
            param="expires_in",
        )


def became_another(person: str, became: str) -> BadRequest:
    """The error for a person whom nothing can be given any more."""
    return BadRequest(
        f"The user {person!r} signed in and became {became!r}. Name that one.", code="invalid_value", param="user"
    )
