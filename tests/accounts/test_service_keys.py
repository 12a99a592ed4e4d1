"""Secret keys: what they may, until when, and when they were used last. On both engines."""

from __future__ import annotations

import pytest

from frontdesk.accounts.service import Accounts
from frontdesk.accounts.store import KeyRow
from frontdesk.core import config
from frontdesk.core.errors import BadRequest, NotFound, Unauthenticated
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Role
from tests.accounts.opened import CountingDatabase, bearer, code_of, opened
from tests.fakes import HandClock

HOUR_S = 3600


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def made(accounts: Accounts, name: str = "web", tenant: str = "default") -> tuple[KeyRow, str]:
    return await accounts.create_key(tenant, name, "server", None, None)


@pytest.mark.parametrize("role", ["server", "operator", "reviewer"])
@pytest.mark.parametrize("scopes", [None, frozenset({"turns", "sessions"})])
async def test_a_key_says_what_its_holder_may(
    database: Database, clock: HandClock, role: Role, scopes: frozenset[str] | None
) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)

    row, key = await here.create_key("acme", "billing", role, scopes, HOUR_S)

    caller = await elsewhere.identify(bearer(key))
    assert (caller.role, caller.credential_id, caller.tenant, caller.scopes, caller.person) == (
        role,
        row.id,
        "acme",
        scopes,
        None,
    )
    assert caller.expires_at == clock.now() + HOUR_S
    assert (row.name, row.hint) == ("billing", key[-4:])
    assert await here.list_keys("acme") == [row]
    assert await here.list_keys("default") == []


async def test_a_key_is_believed_until_it_is_revoked(database: Database, clock: HandClock) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    row, key = await made(here)
    for accounts in (here, elsewhere):
        assert await code_of(accounts, key) is None
    clock.move(5)

    await here.revoke_key("default", row.id)

    assert await code_of(here, key) == "invalid_api_key"
    await elsewhere.refresh()
    assert elsewhere.known(bearer(key)) is None
    assert await code_of(elsewhere, key) == "invalid_api_key"


async def test_a_key_is_asked_for_once_a_minute(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    _, key = await made(accounts)
    reads = counting.reads
    await accounts.identify(bearer(key))

    clock.move(59)
    assert accounts.known(bearer(key)) is not None
    clock.move(1)
    assert accounts.known(bearer(key)) is None

    await accounts.identify(bearer(key))
    assert counting.reads == reads + 2


async def test_a_key_that_has_expired_is_told_so(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    row, key = await accounts.create_key("default", "web", "server", None, 30)
    assert await code_of(accounts, key) is None

    clock.move(30)

    assert accounts.known(bearer(key)) is None
    with pytest.raises(Unauthenticated, match=row.id) as caught:
        await accounts.identify(bearer(key))
    assert caught.value.code == "key_expired"
    assert await accounts.list_keys("default") == [row]


async def test_a_key_revoked_while_it_is_looked_up_is_not_believed(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    row, key = await made(accounts)

    counting.meanwhile = lambda: accounts.revoke_key("default", row.id)

    assert await code_of(accounts, key) == "invalid_api_key"
    assert accounts.known(bearer(key)) is None


@pytest.mark.parametrize("key_id", ["key_0", "", "a\x00b", "of another tenant", "revoked"])
async def test_only_a_key_that_holds_can_be_revoked(database: Database, clock: HandClock, key_id: str) -> None:
    accounts = await opened(database, clock)
    theirs, key = await made(accounts, tenant="other")
    gone, _ = await made(accounts)
    await accounts.revoke_key("default", gone.id)
    ids = {"of another tenant": theirs.id, "revoked": gone.id}

    with pytest.raises(NotFound) as caught:
        await accounts.revoke_key("default", ids.get(key_id, key_id))

    assert caught.value.code == "key_not_found"
    assert await code_of(accounts, key) is None


async def test_whether_the_default_tenant_has_keys(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    await made(accounts, tenant="other")
    assert not await accounts.has_keys()

    row, _ = await made(accounts)
    await accounts.revoke_key("default", row.id)

    assert await accounts.has_keys()


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"tenant": ""}, "tenant"),
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"role": "user"}, "role"),
        ({"role": "root"}, "role"),
        ({"scopes": frozenset({"turns", "everything"})}, "scopes"),
        ({"scopes": frozenset()}, "scopes"),
        ({"expires_in_s": 0}, "expires_in"),
        ({"expires_in_s": 11 * 366 * 24 * HOUR_S}, "expires_in"),
    ],
)
async def test_a_key_that_cannot_be(database: Database, values: dict[str, object], param: str) -> None:
    accounts = await opened(database, HandClock())
    usual = {"tenant": "default", "name": "web", "role": "server", "scopes": None, "expires_in_s": None}

    with pytest.raises(BadRequest) as caught:
        await accounts.create_key(**{**usual, **values})

    assert (caught.value.code, caught.value.param) == ("invalid_value", param)


# --- last uses ----------------------------------------------------------------------------------


async def last_uses(accounts: Accounts, database: Database) -> list[int | None]:
    await accounts.refresh()
    await database.flush()
    """Of the keys, the oldest first."""
    return [row.last_used_at_ms for row in reversed(await accounts.list_keys("default"))]


async def test_the_last_use_of_a_key_is_kept_to_the_minute(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    _, used = await made(accounts, "used")
    clock.move(1)
    await made(accounts, "unused")
    began_ms = int(clock.now() * 1000)

    assert await last_uses(accounts, database) == [None, None]
    await accounts.identify(bearer(used))
    assert await last_uses(accounts, database) == [began_ms, None]
    clock.move(59)
    await accounts.identify(bearer(used))
    assert await last_uses(accounts, database) == [began_ms, None]
    clock.move(1)
    assert await last_uses(accounts, database) == [began_ms + 59_000, None]


async def test_of_a_key_that_is_in_use_a_minute_is_written_once(database: Database, clock: HandClock) -> None:
    class Noting(CountingDatabase):
        noted = 0

        def enqueue_rows(self, query, rows, lane) -> None:
            self.noted += len(rows)
            self._database.enqueue_rows(query, rows, lane)

    noting = Noting(database)
    accounts = await opened(noting, clock)
    keys = [await made(accounts, f"key {number}") for number in range(3)]

    for _ in range(600):
        for _, key in keys:
            await accounts.identify(bearer(key))
        await accounts.refresh()
        clock.move(1)

    assert noting.noted == 3 * 10


async def test_the_operators_own_key_has_no_row_to_note_in(database: Database, clock: HandClock) -> None:
    accounts = Accounts(database, clock, "my own", config.Auth())
    await accounts.load()

    await accounts.identify(bearer("my own"))

    assert await last_uses(accounts, database) == []
