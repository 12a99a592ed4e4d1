"""Who calls: credentials are recognised here, whatever their kind.

    fd_sk_…         a secret key, or the operator's own         keys.py
    fd_st_…         a session token                             sessions.py
    a.b.c           a token of an identity provider             TokenIssuers

What was seen before is known without a hash: the whole Authorization header, written the one usual
way, is the cache's key. An entry counts while the `Standing` does that it was made with.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Protocol

from frontdesk.accounts.absent import Absent
from frontdesk.accounts.identity import Identity
from frontdesk.accounts.jwt import looks_like_jwt
from frontdesk.accounts.keys import BELIEVED_S, DEFAULT_TENANT, Keys
from frontdesk.accounts.people import NAME_RULE, TRUSTED_S, People, Standing, is_name
from frontdesk.accounts.revocations import Revocations
from frontdesk.accounts.sessions import NewSession, Session, Sessions
from frontdesk.accounts.store import AccountStore
from frontdesk.accounts.tokens import KEY_PREFIX, REFRESH_PREFIX, TOKEN_PREFIX, TokenSigner
from frontdesk.accounts.upgrades import Upgrades
from frontdesk.core import config
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import Unauthenticated
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller

__all__ = ["Accounts", "NewSession", "Session", "TokenIssuers", "missing_credential"]

_MAX_KNOWN = 20_000
_LOOK_BACK_MS = 60_000
# Longer headers are known by their hash: tokens of identity providers have kilobytes.
_SHORT_BYTES = 256


class TokenIssuers(Protocol):
    """The identity providers whose tokens are accepted."""

    @property
    def generation(self) -> int:
        """A number that changes whenever a token that was accepted may be refused now."""
        ...

    async def identify(self, token: str) -> Identity:
        """Who the bearer of a token is. Raises Unauthenticated, saying what is wrong with it."""
        ...


def missing_credential() -> Unauthenticated:
    """The error for a request that says nothing of who calls."""
    return Unauthenticated(
        "No credential was sent. Send 'Authorization: Bearer' with a user's token or a secret key.",
        code="missing_credential",
    )


class Accounts:
    """Recognises the callers of all tenants, one for each process. `load()` before use."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        admin_key: str | None,
        settings: config.Auth,
        issuers: TokenIssuers | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._issuers = issuers
        self._generation = self._generation_now()
        self._known: dict[bytes | str, tuple[Caller, float, Standing]] = {}
        self._looked_at_ms = 0
        # Until the secret is loaded nothing is believed.
        self._signer = signer = TokenSigner(secrets.token_bytes(32))
        self._people = people = People(database, clock)
        self._revocations = revocations = Revocations(database, clock, people)
        self._keys = keys = Keys(database, clock, admin_key)
        self._sessions = sessions = Sessions(database, clock, settings, signer, people, revocations)
        upgrades = Upgrades(database, clock, signer, revocations, sessions)
        self.absent = Absent(database, clock, people, revocations, has_admin_key=admin_key is not None)

        # What is asked of accounts besides: each says where it is made what it does.
        self.csrf_token = signer.csrf_token
        self.begin_session = sessions.begin
        self.refresh_session = sessions.refresh
        self.session_of_refresh_token = sessions.session_of_refresh_token
        self.end_session = sessions.end
        self.end_sessions_of = sessions.end_all_of
        self.sessions_of = sessions.list_of
        self.sweep_sessions = sessions.sweep
        self.upgrade = upgrades.upgrade
        self.sweep_upgrades = upgrades.sweep
        self.assign_tier = people.assign_tier
        self.find_person = people.find
        self.list_persons = people.list
        self.create_key = keys.create
        self.list_keys = keys.list
        self.revoke_key = keys.revoke
        self.has_keys = keys.exist

    async def load(self) -> None:
        """Read the signing secret and what was ended."""
        self._signer.use(await AccountStore(self._database, DEFAULT_TENANT).signing_secret())
        self._looked_at_ms = unix_ms(self._clock)
        await self.refresh()

    async def refresh(self) -> None:
        """Learn what other processes changed since the last look; keep when keys and sessions were used."""
        now_ms = unix_ms(self._clock)
        since_ms = min(now_ms, self._looked_at_ms) - _LOOK_BACK_MS
        await self._people.learn(since_ms)
        await self._keys.learn(since_ms)
        if await self._revocations.learn(since_ms):
            self._known.clear()
        self._looked_at_ms = now_ms
        if self._generation != self._generation_now():
            self._generation = self._generation_now()
            self._known.clear()
        self._keys.note_uses()
        self._sessions.note_uses()

    async def end_all_sessions(self, tenant: str) -> None:
        """End all sessions of a tenant's people now, and what identity providers issued to them until now."""
        await self._revocations.end_all(tenant)
        self._known.clear()

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a credential that was seen before and still holds."""
        if authorization is None:
            return None
        found = self._known.get(authorization if len(authorization) <= _SHORT_BYTES else _digest(authorization))
        if found is None or found[1] <= self._clock.now() or not found[2].holds:
            return None
        return found[0]

    async def identify(self, authorization: bytes | None) -> Caller:
        """The caller of any credential. Raises Unauthenticated, saying what is wrong with it."""
        if authorization is None:
            raise missing_credential()
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("The Authorization header must be 'Bearer' and a token.")
        generation = self._generation_now()
        if token.startswith(TOKEN_PREFIX):
            caller, standing = await self._caller_of_session(token)
        elif self._issuers is not None and self._is_of_issuer(token):
            caller, standing = await self._caller_of_issuer(token, self._issuers)
        else:
            caller, standing = await self._keys.recognise(token)
        # Only the usual spelling is kept: blanks could make any number of headers of one token.
        if authorization == b"Bearer " + token.encode("latin-1") and generation == self._generation_now():
            self._keep(authorization, caller, standing)
        return caller

    def _keep(self, authorization: bytes, caller: Caller, standing: Standing) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        key = authorization if len(authorization) <= _SHORT_BYTES else _digest(authorization)
        believed_until = self._clock.now() + (TRUSTED_S if caller.role == "user" else BELIEVED_S)
        self._known[key] = caller, min(caller.expires_at, believed_until), standing

    async def _caller_of_session(self, token: str) -> tuple[Caller, Standing]:
        claims = self._signer.check(token)
        if claims is None:
            raise Unauthenticated("This session token is not valid. Begin a new session.", code="invalid_token")
        if claims.expires_at <= self._clock.now():
            raise Unauthenticated("This session has expired. Begin a new one.", code="token_expired")
        found = await self._people.standing(claims.tenant, claims.person)
        # After the person was read: the session may have ended meanwhile.
        if found is None or not self._revocations.holds(claims.tenant, claims.session, claims.issued_at_ms):
            raise _ended()
        person, standing = found
        if person.became is not None:
            raise _ended()
        self._sessions.saw(claims)
        caller = Caller(
            "user",
            claims.session,
            claims.person,
            person.assigned_tier or claims.claimed_tier or person.tier,
            claims.tenant,
            groups=claims.groups,
            features=None if claims.features is None else frozenset(claims.features),
            app=claims.app,
            is_anonymous=claims.is_anonymous,
            claimed_tier=claims.claimed_tier,
            expires_at=claims.expires_at,
        )
        return caller, standing

    async def _caller_of_issuer(self, token: str, issuers: TokenIssuers) -> tuple[Caller, Standing]:
        identity = await issuers.identify(token)
        if not is_name(identity.person):
            raise Unauthenticated(f"This token's user must be {NAME_RULE}.", code="invalid_token")
        person, standing = await self._people.ensure(DEFAULT_TENANT, identity.person)
        before_ms = max(self._revocations.before_ms(DEFAULT_TENANT), person.revoked_before_ms or 0)
        is_late = before_ms and (identity.issued_at is None or identity.issued_at * 1000 < before_ms)
        if is_late or person.became is not None:
            raise _ended()
        caller = Caller(
            "user",
            f"jwt_{_digest(token.encode())[:32]}",
            identity.person,
            person.assigned_tier or identity.tier or person.tier,
            DEFAULT_TENANT,
            groups=identity.groups,
            features=identity.features,
            app=identity.app,
            claimed_tier=identity.tier,
            expires_at=identity.expires_at,
        )
        return caller, standing

    def _is_of_issuer(self, token: str) -> bool:
        if token.startswith(_OUR_PREFIXES) or not (token.count(".") == 2 or looks_like_jwt(token)):
            return False
        return not self._keys.is_operators(token)

    def _generation_now(self) -> int:
        return 0 if self._issuers is None else self._issuers.generation


_OUR_PREFIXES = (KEY_PREFIX, TOKEN_PREFIX, REFRESH_PREFIX)


def _digest(value: bytes) -> str:
    # A text: nobody can send a header that is the hash of another one's.
    return hashlib.sha256(value).hexdigest()


def _ended() -> Unauthenticated:
    return Unauthenticated("This session was ended. Begin a new one.", code="token_revoked")
