"""What is asked across tenants, on both engines."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from frontdesk.accounts.store import AccountStore, AllTenants, EndedSession
from frontdesk.storage.database import Database, open_beside, open_database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import session
from tests.accounts.rows import a_key, a_session


@pytest.fixture
def across(database: Database) -> AllTenants:
    return AllTenants(database)


async def create_sessions(database: Database, tenant: str, *session_ids: str, **values) -> None:
    store = AccountStore(database, tenant)
    await asyncio.gather(*(store.create_session(a_session(each, **values), 1_000) for each in session_ids))


# --- keys ---------------------------------------------------------------------------------------


async def test_a_key_tells_its_tenant(database: Database, across: AllTenants):
    await AccountStore(database, "a").create_key(a_key("key_1"), b"of a")
    await AccountStore(database, "b").create_key(a_key("key_1"), b"of b")

    assert await across.find_key(b"of b") == a_key("key_1", tenant="b")


async def test_revoked_keys_are_told_since_a_time(database: Database, across: AllTenants):
    for tenant, revoked_at_ms in (("a", 5_000), ("b", 5_001), ("c", 5_001), ("d", None)):
        store = AccountStore(database, tenant)
        await store.create_key(a_key("key_1"), tenant.encode())
        if revoked_at_ms is not None:
            await store.revoke_key("key_1", revoked_at_ms)

    assert await across.keys_revoked_since(5_001) == [("b", "key_1"), ("c", "key_1")]


async def test_the_last_use_is_kept_and_an_earlier_one_does_not_count(database: Database, across: AllTenants):
    for tenant in ("a", "b", "c"):
        await AccountStore(database, tenant).create_key(a_key("key_1"), tenant.encode())

    across.note_key_uses([("b", "key_1", 2_000), ("a", "key_1", 3_000), ("b", "key_2", 9_000)])
    across.note_key_uses([("a", "key_1", 1_000), ("b", "key_1", 4_000)])
    await database.flush()

    used = [(await across.find_key(tenant)) for tenant in (b"a", b"b", b"c")]
    assert [key and key.last_used_at_ms for key in used] == [3_000, 4_000, None]


# --- what changed -------------------------------------------------------------------------------


async def test_ended_sessions_are_told_since_a_time_until_their_tokens_are_dead(database: Database, across: AllTenants):
    hour_ms = 3_600_000
    for number, tenant in enumerate(("b", "a", "a")):
        await create_sessions(
            database, tenant, f"sess_{number}", lifetime_s=3600, expires_at_ms=720 * hour_ms, refresh_number=0
        )
        await AccountStore(database, tenant).end_session(f"sess_{number}", None, 5_000 + number)
    until_ms = 5_001 + hour_ms + 60_000

    assert await across.sessions_ended_since(5_001, now_ms=6_000) == [
        EndedSession("a", "sess_1", "u1", until_ms),
        EndedSession("a", "sess_2", "u1", until_ms + 1),
    ]
    assert [each.id for each in await across.sessions_ended_since(0, now_ms=until_ms)] == ["sess_2"]
    assert await across.sessions_ended_since(6_000, now_ms=6_000) == []


async def test_a_session_that_ends_soon_is_told_no_longer_than_that(database: Database, across: AllTenants):
    await create_sessions(database, "a", "sess_1", lifetime_s=100, expires_at_ms=9_000)
    await create_sessions(database, "a", "sess_of_an_earlier_version", lifetime_s=None, expires_at_ms=9_000)
    await AccountStore(database, "a").end_sessions_of("u1", 5_000)

    assert [each.until_ms for each in await across.sessions_ended_since(0, now_ms=8_999)] == [9_000, 9_000]
    assert await across.sessions_ended_since(0, now_ms=9_000) == []


async def test_a_lifetime_of_a_year_is_no_trouble(database: Database, across: AllTenants):
    """In milliseconds it is more than 32 bits hold."""
    year_s = 366 * 24 * 3600
    await create_sessions(database, "a", "sess_1", lifetime_s=year_s, expires_at_ms=2**50)
    await AccountStore(database, "a").end_session("sess_1", None, 5_000)

    (ended,) = await across.sessions_ended_since(0, now_ms=9_000)

    assert ended.until_ms == 5_000 + year_s * 1000 + 60_000


async def test_no_ended_session_is_left_out_where_there_are_many(database: Database, across: AllTenants):
    """They are read in pages; sessions that were ended together lie on both sides of an edge."""
    for tenant in ("a", "b"):
        for start in range(0, 1_250, 250):
            await create_sessions(database, tenant, *(f"sess_{start + n:04}" for n in range(250)))
        await AccountStore(database, tenant).end_sessions_of("u1", 5_000)

    found = await across.sessions_ended_since(5_000, now_ms=5_000)

    assert [(each.tenant, each.id) for each in found] == [
        (tenant, f"sess_{number:04}") for tenant in ("a", "b") for number in range(1_250)
    ]


async def test_sessions_that_expired_are_forgotten_so_many_at_once(database: Database, across: AllTenants):
    for tenant in ("a", "b"):
        await create_sessions(database, tenant, "sess_1", "sess_2", expires_at_ms=4_999)
        await create_sessions(database, tenant, "sess_3", expires_at_ms=5_000)

    assert [await across.forget_sessions(5_000, limit=3) for _ in range(3)] == [3, 1, 0]

    assert await left(database) == ["a/sess_3", "b/sess_3"]


async def test_processes_that_forget_at_once_are_not_in_each_others_way(database_url: str):
    serving = await open_database(database_url)
    others = [await open_beside(database_url) for _ in range(3)]
    for start in range(0, 100, 20):
        await create_sessions(serving, "a", *(f"sess_{start + n}" for n in range(20)), expires_at_ms=1_001 + start)

    await asyncio.gather(*(AllTenants(each).forget_sessions(5_000, limit=100) for each in [serving, *others]))

    assert await left(serving) == []
    for each in [*others, serving]:
        await each.close()


async def left(database: Database) -> list[str]:
    """The sessions that are there, of all tenants."""
    rows = await database.read(Query(select(session.c.tenant, session.c.id).order_by(session.c.tenant, session.c.id)))
    return [f"{tenant}/{session_id}" for tenant, session_id in rows]


async def test_changed_people_are_told_since_a_time_of_all_tenants(database: Database, across: AllTenants):
    a, b = AccountStore(database, "a"), AccountStore(database, "b")
    await a.ensure_person("new", 9_000)
    await a.assign_tier("old", "free", 4_000)
    await b.assign_tier("u1", "free", 5_000)
    await a.assign_tier("u1", "premium", 5_000)
    await a.end_sessions_of("u2", 6_000)

    assert [(row.tenant, row.id) for row in await across.persons_changed_since(5_000)] == [
        ("a", "u1"),
        ("b", "u1"),
        ("a", "u2"),
    ]


async def test_tenants_are_told_whose_credentials_do_not_count(database: Database, across: AllTenants):
    assert await across.ended_before() == {}
    await AccountStore(database, "b").signing_secret()
    for number in range(3):
        await AccountStore(database, f"tenant-{number}").end_all_before(5_000 + number)

    assert await across.ended_before() == {"tenant-0": 5_000, "tenant-1": 5_001, "tenant-2": 5_002}


async def test_people_who_became_another_are_told_while_they_have_rows(database: Database, across: AllTenants):
    """None of these has any: what is moved is looked at in the tests of upgrades."""
    anonymous = a_session("sess_1", person="anon_1", is_anonymous=True)
    store = AccountStore(database, "a")
    await store.create_session(anonymous, 1_000)
    await store.upgrade(anonymous, "u1", 5_000)

    assert await across.left_behind(0, 5_000) == []
