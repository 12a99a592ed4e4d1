"""Who calls: secret keys and session tokens, made, recognised and revoked.

What was seen before is known without a hash: the whole Authorization header, written the one usual
way, is the cache's key. Any revocation empties the cache. In this process it counts at once; other
processes learn of it by looking at the store every second (`refresh`), a minute back each time, for
a revocation can become visible long after its own time: a slow commit, another machine's clock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import cast

from frontdesk.accounts.store import AccountStore, KeyRow
from frontdesk.accounts.tokens import (
    KEY_PREFIX,
    TOKEN_PREFIX,
    Claims,
    TokenSigner,
    hash_key,
    new_secret_key,
)
from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, NotFound, Unauthenticated, store_unavailable
from frontdesk.core.ids import new_id
from frontdesk.storage.errors import StorageError
from frontdesk.turn.turn import Caller, Role

_log = logging.getLogger("frontdesk.accounts")
_MAX_KNOWN = 20_000
_LOOK_BACK_MS = 60_000
_LOOK_AT_ALL_EVERY_MS = 3_600_000
_KEY_KNOWN_S = 60.0
_MAX_PERSON_CHARS = 128
_MAX_EXPIRES_IN_S = 366 * 24 * 3600
ADMIN_KEY_ID = "key_environment"


def missing_credential() -> Unauthenticated:
    """The error for a request that says nothing of who calls."""
    return Unauthenticated(
        "No credential was sent. Send 'Authorization: Bearer' with a user's token or a secret key.",
        code="missing_credential",
    )


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its caller sees it. `expires_at` is in seconds since 1970."""

    id: str
    token: str
    person: str
    expires_at: int


class Accounts:
    """Recognises callers. `load()` before use."""

    def __init__(self, store: AccountStore, clock: Clock, admin_key: str | None) -> None:
        self._store = store
        self._clock = clock
        self._admin_hash = None if admin_key is None else hash_key(admin_key)
        self._signer = TokenSigner(b"")
        self._known: dict[bytes, tuple[Caller, float]] = {}
        self._revoked: set[str] = set()
        self._looked_at_all_ms = 0

    async def load(self) -> None:
        """Read the signing secret and what is revoked."""
        self._signer = TokenSigner(await self._store.signing_secret())
        await self.refresh()

    async def refresh(self) -> None:
        """Learn what other processes revoked since the last look."""
        now_ms = int(self._clock.now() * 1000)
        looks_at_all = not 0 <= now_ms - self._looked_at_all_ms < _LOOK_AT_ALL_EVERY_MS
        since_ms = 0 if looks_at_all else now_ms - _LOOK_BACK_MS
        sessions = await self._store.sessions_revoked_since(since_ms, now_ms)
        keys = await self._store.keys_revoked_since(since_ms)
        found = {*sessions, *keys}
        if not found <= self._revoked:
            self._known.clear()
        if looks_at_all:
            self._revoked = found  # forgets what has expired
            self._known.clear()
            self._looked_at_all_ms = now_ms
        else:
            self._revoked |= found

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a credential that was seen before and still holds."""
        if authorization is None:
            return None
        found = self._known.get(authorization)
        if found is None or found[1] <= self._clock.now():
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
        if token.startswith(TOKEN_PREFIX):
            caller, expires_at = self._caller_of_session(token)
        else:
            caller, expires_at = await self._caller_of_key(token)
        # Only the usual spelling is kept: blanks could make any number of headers of one token.
        if authorization == b"Bearer " + token.encode("latin-1"):
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[authorization] = (caller, expires_at)
        return caller

    async def create_session(
        self, person: str | None, tier: str | None, expires_in_s: int, *, is_anonymous: bool
    ) -> Session:
        """Begin a session; its person comes into being with it."""
        person = new_id("anon_") if person is None else person
        if not 1 <= len(person) <= _MAX_PERSON_CHARS or not person.isprintable():
            raise BadRequest(
                f"'user' must have 1 to {_MAX_PERSON_CHARS} printable characters.", code="invalid_value", param="user"
            )
        if not 1 <= expires_in_s <= _MAX_EXPIRES_IN_S:
            raise BadRequest(
                f"'expires_in' is {expires_in_s}. It must be from 1 to {_MAX_EXPIRES_IN_S} seconds.",
                code="invalid_value",
                param="expires_in",
            )
        now = self._clock.now()
        session_id = new_id("sess_")
        expires_at = int(now) + expires_in_s
        await self._store.create_session(
            session_id,
            person,
            tier,
            is_anonymous=is_anonymous,
            created_at_ms=int(now * 1000),
            expires_at_ms=expires_at * 1000,
        )
        token = self._signer.sign(Claims(session_id, person, tier, expires_at))
        return Session(session_id, token, person, expires_at)

    async def revoke_session(self, session_id: str) -> None:
        """End a session now. Raises NotFound."""
        if not await self._store.revoke_session(session_id, int(self._clock.now() * 1000)):
            raise NotFound(f"There is no session {session_id!r}.", code="session_not_found")
        self._forget(session_id)

    async def revoke_sessions_of(self, person: str) -> int:
        """End all sessions of a person now; returns how many there were."""
        ended = await self._store.revoke_sessions_of(person, int(self._clock.now() * 1000))
        self._revoked.update(ended)
        self._known.clear()
        return len(ended)

    async def create_key(self, name: str) -> tuple[str, str]:
        """Make a secret key; returns its id and the key, which is kept nowhere."""
        key = new_secret_key()
        key_id = new_id("key_")
        await self._store.create_key(
            key_id, name, "server", hash_key(key), hint=key[-4:], created_at_ms=int(self._clock.now() * 1000)
        )
        return key_id, key

    async def list_keys(self) -> list[KeyRow]:
        """The keys that hold."""
        return await self._store.list_keys()

    async def has_keys(self) -> bool:
        """Whether any key was ever made."""
        return await self._store.has_keys()

    async def revoke_key(self, key_id: str) -> None:
        """End a key now. Raises NotFound."""
        if not await self._store.revoke_key(key_id, int(self._clock.now() * 1000)):
            raise NotFound(f"There is no key {key_id!r} that holds.", code="key_not_found")
        self._forget(key_id)

    def _forget(self, credential_id: str) -> None:
        self._revoked.add(credential_id)
        self._known.clear()

    def _caller_of_session(self, token: str) -> tuple[Caller, float]:
        claims = self._signer.check(token)
        if claims is None:
            raise Unauthenticated("This session token is not valid. Begin a new session.", code="invalid_token")
        if claims.expires_at <= self._clock.now():
            raise Unauthenticated("This session has expired. Begin a new one.", code="token_expired")
        if claims.session in self._revoked:
            raise Unauthenticated("This session was ended. Begin a new one.", code="token_revoked")
        return Caller("user", claims.session, claims.person, claims.tier, claims.tenant), float(claims.expires_at)

    async def _caller_of_key(self, token: str) -> tuple[Caller, float]:
        digest = hash_key(token)
        if digest == self._admin_hash:
            return Caller("operator", ADMIN_KEY_ID), float("inf")
        key = await self._find_key(digest) if token.startswith(KEY_PREFIX) else None
        # The last: it may have been revoked here while the store was asked.
        if key is None or key.revoked_at_ms is not None or key.id in self._revoked:
            raise Unauthenticated(
                "This is not a key of this server. Frontdesk's secret keys begin with 'fd_sk_' and its session "
                "tokens with 'fd_st_'; a provider's key is never sent here."
            )
        return Caller(cast("Role", key.role), key.id, tenant=key.tenant), self._clock.now() + _KEY_KNOWN_S

    async def _find_key(self, digest: bytes) -> KeyRow | None:
        try:
            return await self._store.find_key(digest)
        except StorageError as error:
            _log.error("store_failed reason=%s", error)
            raise store_unavailable() from None
