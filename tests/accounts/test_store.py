"""Rows of accounts, on both engines."""

from __future__ import annotations

import asyncio

import pytest

from frontdesk.accounts.store import AccountStore, KeyRow, PersonRow, SessionRow
from frontdesk.storage.database import Database, open_beside, open_database
from frontdesk.storage.errors import ConstraintViolated


@pytest.fixture
def store(database: Database) -> AccountStore:
    return AccountStore(database)


async def _create_key(store: AccountStore, key_id: str, key_hash: bytes, created_at_ms: int = 1_000) -> None:
    await store.create_key(key_id, "web", "server", key_hash, hint="abcd", created_at_ms=created_at_ms)


async def _create_session(
    store: AccountStore, session_id: str, person: str = "u1", tier: str | None = "free", expires_at_ms: int = 9_000
) -> None:
    await store.create_session(
        session_id, person, tier, is_anonymous=False, created_at_ms=1_000, expires_at_ms=expires_at_ms
    )


# --- settings -----------------------------------------------------------------------------------


async def test_the_signing_secret_is_made_once(store: AccountStore):
    secrets = await asyncio.gather(*(store.signing_secret() for _ in range(10)))

    assert len(set(secrets)) == 1
    assert len(secrets[0]) == 32


async def test_processes_that_race_for_the_secret_get_the_same(database_url: str):
    serving = await open_database(database_url)
    others = [await open_beside(database_url) for _ in range(3)]

    secrets = await asyncio.gather(*(AccountStore(each).signing_secret() for each in [serving, *others]))

    assert len(set(secrets)) == 1
    for each in [*others, serving]:
        await each.close()


async def test_a_secret_survives_and_is_the_tenants_own(database: Database, store: AccountStore):
    secret = await store.signing_secret()

    assert await AccountStore(database).signing_secret() == secret
    assert await AccountStore(database, tenant="other").signing_secret() != secret


# --- keys ---------------------------------------------------------------------------------------


async def test_a_key_is_found_by_its_hash(store: AccountStore):
    assert not await store.has_keys()
    await _create_key(store, "key_1", b"hash 1")

    assert await store.find_key(b"hash 1") == KeyRow("default", "key_1", "web", "server", "abcd", 1_000, None)
    assert await store.find_key(b"hash 2") is None
    assert await store.has_keys()


async def test_a_hash_is_there_once_among_all_tenants(database: Database, store: AccountStore):
    await _create_key(store, "key_1", b"hash")

    with pytest.raises(ConstraintViolated):
        await _create_key(AccountStore(database, tenant="other"), "key_2", b"hash")


async def test_keys_are_listed_from_the_oldest_without_the_revoked(database: Database, store: AccountStore):
    await _create_key(store, "key_b", b"2", created_at_ms=2_000)
    await _create_key(store, "key_a", b"1", created_at_ms=1_000)
    await _create_key(store, "key_c", b"3", created_at_ms=3_000)
    await _create_key(AccountStore(database, tenant="other"), "key_d", b"4")
    await store.revoke_key("key_a", 5_000)

    assert [key.id for key in await store.list_keys()] == ["key_b", "key_c"]


async def test_a_key_is_revoked_once(database: Database, store: AccountStore):
    await _create_key(store, "key_1", b"hash")

    assert not await AccountStore(database, tenant="other").revoke_key("key_1", 5_000)
    assert await store.revoke_key("key_1", 5_000)
    assert not await store.revoke_key("key_1", 6_000)
    assert not await store.revoke_key("key_2", 6_000)

    key = await store.find_key(b"hash")
    assert key is not None
    assert key.revoked_at_ms == 5_000
    assert await store.has_keys()


async def test_revoked_keys_are_told_since_a_time(store: AccountStore):
    for number in range(4):
        await _create_key(store, f"key_{number}", bytes([number]))
    for number in range(3):
        await store.revoke_key(f"key_{number}", 5_000 + number)

    assert sorted(await store.keys_revoked_since(5_001)) == ["key_1", "key_2"]


# --- persons ------------------------------------------------------------------------------------


async def test_a_person_comes_into_being_once(store: AccountStore):
    assert await store.find_person("u1") is None
    await store.ensure_person("u1", 1_000)
    await store.ensure_person("u1", 2_000)

    assert await store.find_person("u1") == PersonRow("u1", None, 1_000)


async def test_a_tier_is_set_and_changed(store: AccountStore):
    await store.set_tier("u1", "free", 1_000)
    await store.set_tier("u1", "premium", 2_000)
    await store.ensure_person("u1", 3_000)

    assert await store.find_person("u1") == PersonRow("u1", "premium", 1_000)


# --- sessions -----------------------------------------------------------------------------------


async def test_a_session_comes_with_its_person(store: AccountStore):
    await store.create_session("sess_1", "u1", "free", is_anonymous=True, created_at_ms=1_000, expires_at_ms=2_000)

    assert await store.find_session("sess_1") == SessionRow("sess_1", "u1", "free", True, 1_000, 2_000, None)
    assert await store.find_person("u1") == PersonRow("u1", "free", 1_000)
    assert await store.find_session("sess_2") is None


async def test_a_session_without_a_tier_leaves_the_persons(store: AccountStore):
    await _create_session(store, "sess_1", tier="premium")
    await _create_session(store, "sess_2", tier=None)

    assert await store.find_person("u1") == PersonRow("u1", "premium", 1_000)


async def test_a_session_that_fails_leaves_no_person(store: AccountStore):
    await _create_session(store, "sess_1", person="u1")

    with pytest.raises(ConstraintViolated):
        await _create_session(store, "sess_1", person="u2")

    assert await store.find_person("u2") is None


async def test_a_session_is_revoked_once(database: Database, store: AccountStore):
    await _create_session(store, "sess_1")

    assert not await AccountStore(database, tenant="other").revoke_session("sess_1", 5_000)
    assert await store.revoke_session("sess_1", 5_000)
    assert not await store.revoke_session("sess_1", 6_000)
    assert not await store.revoke_session("sess_2", 6_000)


async def test_all_sessions_of_a_person_are_revoked_that_hold(store: AccountStore):
    await _create_session(store, "sess_b")
    await _create_session(store, "sess_a")
    await _create_session(store, "sess_expired", expires_at_ms=2_000)
    await _create_session(store, "sess_revoked")
    await _create_session(store, "sess_of_another", person="u2")
    await store.revoke_session("sess_revoked", 4_000)

    assert await store.revoke_sessions_of("u1", 5_000) == ["sess_a", "sess_b"]
    assert await store.revoke_sessions_of("u1", 6_000) == []


async def test_revoked_sessions_are_told_since_a_time_until_they_expire(store: AccountStore):
    for number in range(5):
        await _create_session(store, f"sess_{number}", expires_at_ms=9_000 + number)
    for number in range(4):
        await store.revoke_session(f"sess_{number}", 5_000 + number)

    assert await store.sessions_revoked_since(5_001, now_ms=8_000) == ["sess_1", "sess_2", "sess_3"]
    assert await store.sessions_revoked_since(5_001, now_ms=9_002) == ["sess_3"]
    assert await store.sessions_revoked_since(6_000, now_ms=8_000) == []


async def test_no_revoked_session_is_left_out_where_there_are_many(store: AccountStore):
    """They are read in pages; sessions that were revoked together lie on both sides of an edge."""
    for start in range(0, 2_500, 500):
        await asyncio.gather(*(_create_session(store, f"sess_{start + n:04}") for n in range(500)))
    await store.revoke_sessions_of("u1", 5_000)

    found = await store.sessions_revoked_since(5_000, now_ms=5_000)

    assert found == [f"sess_{number:04}" for number in range(2_500)]
