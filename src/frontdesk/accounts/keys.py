"""Secret keys: made, recognised, revoked, and when they were used last.

A key is asked for in the store, and then believed for a minute; a revocation is learnt sooner.
"""

from __future__ import annotations

import typing
from typing import cast

from frontdesk.accounts.people import NAME_RULE, Standing, is_name
from frontdesk.accounts.store import AccountStore, AllTenants, KeyRow
from frontdesk.accounts.tokens import KEY_PREFIX, REFRESH_PREFIX, hash_key, new_secret_key
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, NotFound, Unauthenticated
from frontdesk.core.ids import new_id
from frontdesk.http.callers import KeyScope
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller, Role

ADMIN_KEY_ID = "key_environment"
DEFAULT_TENANT = "default"
KEY_ROLES: tuple[Role, ...] = ("server", "operator", "reviewer")
KEY_SCOPES: tuple[str, ...] = typing.get_args(KeyScope)
BELIEVED_S = 60.0
_NOTED_EVERY_MS = 60_000
_MAX_EXPIRES_IN_S = 10 * 366 * 24 * 3600


class Keys:
    """The secret keys of all tenants. `admin_key` is the operator's own, from the environment."""

    def __init__(self, database: Database, clock: Clock, admin_key: str | None) -> None:
        self._database = database
        self._clock = clock
        self._all = AllTenants(database)
        self._admin_hash = None if admin_key is None else hash_key(admin_key)
        self._standings: dict[tuple[str, str], Standing] = {}
        self._revoked: set[tuple[str, str]] = set()
        self._used_at_ms: dict[tuple[str, str], int] = {}
        self._noted_at_ms: dict[tuple[str, str], int] = {}

    # --- recognising ------------------------------------------------------------------------

    def is_operators(self, key: str) -> bool:
        """Whether this is the operator's own key, which may look like anything."""
        return hash_key(key) == self._admin_hash

    async def recognise(self, key: str) -> tuple[Caller, Standing]:
        """Whose key this is. Raises Unauthenticated, saying what is wrong with it."""
        if self.is_operators(key):
            return Caller("operator", ADMIN_KEY_ID, tenant=DEFAULT_TENANT), Standing()
        if key.startswith(REFRESH_PREFIX):
            raise Unauthenticated(
                "This is a refresh token, which only POST /api/sessions/refresh takes. Send the session's token.",
                code="invalid_token",
            )
        row = await self._all.find_key(hash_key(key)) if key.startswith(KEY_PREFIX) else None
        # The last: it may have been revoked here while the store was asked.
        if row is None or row.revoked_at_ms is not None or (row.tenant, row.id) in self._revoked:
            raise Unauthenticated(
                "This is not a key of this server. Frontdesk's secret keys begin with 'fd_sk_' and its session "
                "tokens with 'fd_st_'; a provider's key is never sent here."
            )
        now_ms = unix_ms(self._clock)
        if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
            raise Unauthenticated(f"The key {row.id!r} has expired. Make a new one.", code="key_expired")
        self._used_at_ms[row.tenant, row.id] = now_ms
        return caller_of_key(row), self._standings.setdefault((row.tenant, row.id), Standing())

    def note_uses(self) -> None:
        """Let the store keep when keys were used last: of each at most once a minute. Only enqueues."""
        now_ms = unix_ms(self._clock)
        due = [
            (*key, used_at_ms)
            for key, used_at_ms in self._used_at_ms.items()
            if abs(now_ms - self._noted_at_ms.get(key, 0)) >= _NOTED_EVERY_MS
        ]
        if not due:
            return
        self._all.note_key_uses(due)
        for tenant, key_id, _ in due:
            del self._used_at_ms[tenant, key_id]
            self._noted_at_ms[tenant, key_id] = now_ms

    async def learn(self, since_ms: int) -> None:
        """Learn what other processes have revoked since this time."""
        for tenant, key_id in await self._all.keys_revoked_since(since_ms):
            self._forget(tenant, key_id)

    def _forget(self, tenant: str, key_id: str) -> None:
        self._revoked.add((tenant, key_id))
        standing = self._standings.pop((tenant, key_id), None)
        if standing is not None:
            standing.holds = False

    # --- keeping ----------------------------------------------------------------------------

    async def create(
        self, tenant: str, name: str, role: Role, scopes: frozenset[str] | None, expires_in_s: int | None
    ) -> tuple[KeyRow, str]:
        """Make a secret key; returns its row and the key, which is kept nowhere."""
        _check(tenant, name, role, scopes, expires_in_s)
        key = new_secret_key()
        now_ms = unix_ms(self._clock)
        row = KeyRow(
            tenant=tenant,
            id=new_id("key_"),
            name=name,
            role=role,
            hint=key[-4:],
            scopes=scopes,
            created_at_ms=now_ms,
            expires_at_ms=None if expires_in_s is None else now_ms + expires_in_s * 1000,
            last_used_at_ms=None,
            revoked_at_ms=None,
        )
        await AccountStore(self._database, tenant).create_key(row, hash_key(key))
        return row, key

    async def list(self, tenant: str, after: str = "", limit: int = 1_000) -> list[KeyRow]:
        """A tenant's keys that were not revoked, expired ones too, the newest first, from behind the key `after`."""
        return await AccountStore(self._database, tenant).list_keys(after, limit)

    async def exist(self) -> bool:
        """Whether any key of the default tenant was ever made."""
        return await AccountStore(self._database, DEFAULT_TENANT).has_keys()

    async def revoke(self, tenant: str, key_id: str) -> None:
        """End a key now. Raises NotFound."""
        store = AccountStore(self._database, tenant)
        if not key_id.isprintable() or not await store.revoke_key(key_id, unix_ms(self._clock)):
            raise NotFound(f"There is no key {key_id!r} that holds.", code="key_not_found")
        self._forget(tenant, key_id)


def caller_of_key(row: KeyRow) -> Caller:
    """Who calls with a key."""
    # Only `create` writes roles, and it lets no others pass.
    role = cast("Role", row.role)
    if row.expires_at_ms is None:
        return Caller(role, row.id, tenant=row.tenant, scopes=row.scopes)
    return Caller(role, row.id, tenant=row.tenant, scopes=row.scopes, expires_at=row.expires_at_ms / 1000)


def _check(tenant: str, name: str, role: Role, scopes: frozenset[str] | None, expires_in_s: int | None) -> None:
    for param, text in (("tenant", tenant), ("name", name)):
        if not is_name(text):
            raise _wrong(param, f"{param!r} must be {NAME_RULE}.")
    if role not in KEY_ROLES:
        raise _wrong("role", f"'role' is {role!r}. Keys have one of these: {', '.join(KEY_ROLES)}.")
    if scopes is not None and not scopes:
        raise _wrong("scopes", "'scopes' is empty, so the key could do nothing. Leave it out for all scopes.")
    unknown = sorted((scopes or frozenset()) - set(KEY_SCOPES))
    if unknown:
        raise _wrong("scopes", f"'scopes' has {unknown[0]!r}. Known: {', '.join(KEY_SCOPES)}.")
    if expires_in_s is not None and not 1 <= expires_in_s <= _MAX_EXPIRES_IN_S:
        raise _wrong(
            "expires_in", f"'expires_in' is {expires_in_s}. It must be from 1 to {_MAX_EXPIRES_IN_S} seconds, or null."
        )


def _wrong(param: str, message: str) -> BadRequest:
    return BadRequest(message, code="invalid_value", param=param)
