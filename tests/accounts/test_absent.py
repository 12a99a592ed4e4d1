"""Callers who are not there: who they are by now, and when what they called with does not count any more."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.accounts.absent import CallerThen, caller_then
from frontdesk.accounts.keys import ADMIN_KEY_ID
from frontdesk.accounts.service import Accounts
from frontdesk.core import config
from frontdesk.core.clock import unix_ms
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller
from tests.accounts.opened import FakeIssuers, bearer, begun, identity, opened
from tests.fakes import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def caller_of(accounts: Accounts, token: str) -> Caller:
    return accounts.known(bearer(token)) or await accounts.identify(bearer(token))


def told(caller: Caller | None) -> dict[str, Any] | None:
    return (
        None if caller is None else {name: getattr(caller, name) for name in Caller.__slots__ if name != "expires_at"}
    )


async def now(accounts: Accounts, caller: Caller, since_ms: int, person: str | None = None) -> Caller | None:
    return await accounts.absent.caller_now(
        caller.tenant, caller.person or "" if person is None else person, caller_then(caller), since_ms
    )


async def test_a_session_that_has_run_out_ends_nothing(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, tier="gold", groups=("g",), features=frozenset({"f"}), app="phone")
    caller = await caller_of(accounts, session.token)
    since_ms = unix_ms(clock)

    clock.move(86_000)

    assert told(await now(accounts, caller, since_ms)) == told(caller)


async def test_what_was_said_since_counts(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    caller = await caller_of(accounts, (await begun(accounts, tier="gold")).token)
    since_ms = unix_ms(clock)
    clock.move(10)

    await accounts.assign_tier("default", "u1", "iron")

    found = await now(accounts, caller, since_ms)
    assert found is not None
    assert found.tier == "iron"


@pytest.mark.parametrize("ending", ["session", "all of the user's", "all of the tenant's"])
async def test_what_is_ended_counts_no_more(database: Database, clock: HandClock, ending: str) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    session = await begun(here)
    caller = await caller_of(here, session.token)
    since_ms = unix_ms(clock)
    clock.move(10)

    if ending == "session":
        await here.end_session("default", session.id, None)
    elif ending == "all of the user's":
        await here.end_sessions_of("default", "u1")
    else:
        await here.end_all_sessions("default")
    await elsewhere.refresh()

    for accounts in (here, elsewhere):
        assert await now(accounts, caller, since_ms) is None
        assert await accounts.absent.is_there("default", "u1")


async def test_another_session_of_the_same_user_may_end(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    caller = await caller_of(accounts, (await begun(accounts)).token)
    other = await begun(accounts)

    await accounts.end_session("default", other.id, None)

    assert await now(accounts, caller, unix_ms(clock)) is not None


async def test_an_identity_providers_user(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock, FakeIssuers(a_b_c=identity("u1", tier="gold", groups=("g",))))
    caller = await caller_of(accounts, "a.b.c")
    since_ms = unix_ms(clock)
    clock.move(10)

    assert told(await now(accounts, caller, since_ms)) == told(caller)
    await accounts.end_sessions_of("default", "u1")
    assert await now(accounts, caller, since_ms) is None


async def test_after_an_upgrade_they_are_the_user(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    anonymous = await begun(accounts, None, tier="free")
    caller = await caller_of(accounts, anonymous.token)
    await begun(accounts, "u1", tier="gold")
    since_ms = unix_ms(clock)
    clock.move(10)

    await accounts.upgrade(anonymous.token, "default", "u1")

    found = await now(accounts, caller, since_ms, person="u1")
    assert found is not None
    assert (found.person, found.tier, found.is_anonymous) == ("u1", "gold", False)


async def test_who_never_was_is_not_there(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)

    assert not await accounts.absent.is_there("default", "nobody")
    assert await accounts.absent.caller_now("default", "nobody", CallerThen("user", "sess_1"), 0) is None
    assert await accounts.absent.caller_now("default", "", CallerThen("server", "key_1"), 0) is None


async def test_a_key_counts_until_it_is_revoked_or_expires(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    scopes = frozenset({"turns"})
    kept, revoked, expiring = [
        (await accounts.create_key("default", name, "server", scopes, expires_in))[0]
        for name, expires_in in (("kept", None), ("revoked", None), ("expiring", 3600))
    ]
    then = [CallerThen("server", row.id) for row in (kept, revoked, expiring)]
    since_ms = unix_ms(clock)

    async def who() -> list[Caller | None]:
        return [await accounts.absent.caller_now("default", "", each, since_ms) for each in then]

    assert all(caller is not None and caller.scopes == scopes for caller in await who())
    await accounts.revoke_key("default", revoked.id)
    clock.move(3600)
    assert [caller and caller.credential_id for caller in await who()] == [kept.id, None, None]
    assert await accounts.absent.caller_now("other", "", then[0], since_ms) is None


async def test_the_operators_own_key_counts_as_long_as_there_is_one(database: Database, clock: HandClock) -> None:
    with_key, without = await opened(database, clock), Accounts(database, clock, None, config.Auth())
    then = CallerThen("operator", ADMIN_KEY_ID)

    found = await with_key.absent.caller_now("default", "", then, 0)

    assert found is not None
    assert (found.role, found.credential_id) == ("operator", ADMIN_KEY_ID)
    assert await without.absent.caller_now("default", "", then, 0) is None
