"""Accounts as tests open them, and the identity provider that they believe."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from frontdesk.accounts.identity import Identity
from frontdesk.accounts.service import Accounts, NewSession, Session
from frontdesk.core import config
from frontdesk.core.errors import FrontdeskError, Unauthenticated
from frontdesk.storage.database import Database
from frontdesk.storage.lanes import Lane, Results
from frontdesk.storage.query import NOTHING, Parameters, Query, Row, Step
from tests.fakes import HandClock

ADMIN = "fd_sk_the-operators-own"


class FakeIssuers:
    """Believes the tokens that it was given."""

    def __init__(self, **identities: Identity) -> None:
        self.identities = {token.replace("_", "."): identity for token, identity in identities.items()}
        self.generation = 0
        self.asked = 0

    async def identify(self, token: str) -> Identity:
        self.asked += 1
        if token not in self.identities:
            raise Unauthenticated("It is not signed by a known key.", code="invalid_token")
        return self.identities[token]


class CountingDatabase:
    """A database that counts what is asked of it, and lets something happen while it reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = self.writes = 0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        self.writes += 1
        return await self._database.write(*steps, lane=lane)

    async def read(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        rows = await self._database.read(query, parameters)
        self.reads += 1
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            await happens()
        return rows


async def opened(database: Any, clock: HandClock, issuers: FakeIssuers | None = None, **settings: Any) -> Accounts:
    """Accounts that are loaded, as one process has them. The database may be one that counts."""
    accounts = Accounts(database, clock, ADMIN, config.Auth(**settings), issuers)
    await accounts.load()
    return accounts


def new_session(person: str | None = "u1", **values: Any) -> NewSession:
    """A session of ten minutes that cannot be refreshed; without a person an anonymous one, which can."""
    is_anonymous = person is None
    new = NewSession("default", person, None, (), None, None, 600, is_anonymous, is_anonymous)
    return dataclasses.replace(new, **values)


async def begun(accounts: Accounts, person: str | None = "u1", **values: Any) -> Session:
    return await accounts.begin_session(new_session(person, **values))


def identity(person: str = "u1", **values: Any) -> Identity:
    """What a token says of its bearer: nothing but who it is."""
    usual: dict[str, Any] = {
        "tier": None,
        "groups": (),
        "features": None,
        "app": None,
        "issued_at": 1_800_000_000.0,
        "expires_at": 1_800_003_600.0,
    }
    return Identity(person, **{**usual, **values})


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


async def use(accounts: Accounts, session: Session) -> None:
    """Ask with the session's token, and let the store learn of it."""
    await accounts.identify(bearer(session.token))
    await accounts.refresh()
    await accounts._database.flush()


async def code_of(accounts: Accounts, token: str) -> str | None:
    """None where the token is believed, else why not. What is known and what is not must agree."""
    known = accounts.known(bearer(token))
    try:
        caller = await accounts.identify(bearer(token))
    except FrontdeskError as refusal:
        assert known is None
        return refusal.code
    assert known is None or (known.credential_id, known.tier) == (caller.credential_id, caller.tier)
    return None


async def tier_of(accounts: Accounts, token: str) -> str | None:
    """The tier of a token's person, as the next request would have it."""
    caller = accounts.known(bearer(token)) or await accounts.identify(bearer(token))
    return caller.tier


async def refusal_of(work: Awaitable[object]) -> tuple[int, str]:
    """Status and code of an error that must come."""
    try:
        await work
    except FrontdeskError as refusal:
        return refusal.status, refusal.code
    raise AssertionError("It was not refused.")
