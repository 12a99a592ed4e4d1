"""Rows of one tenant's accounts, on both engines."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from frontdesk.accounts.store import AccountStore, AllTenants, EndedSession, KeyRow, PersonRow, SessionRow
from frontdesk.storage.database import Database, open_beside, open_database
from frontdesk.storage.errors import ConstraintViolated
from tests.accounts.rows import a_key, a_person, a_session


@pytest.fixture
def store(database: Database) -> AccountStore:
    return AccountStore(database)


async def create_session(store: AccountStore, session_id: str, **values) -> SessionRow:
    row = a_session(session_id, **values)
    await store.create_session(row, row.created_at_ms)
    return row


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


async def test_the_time_from_before_which_nothing_counts_only_rises(database: Database, store: AccountStore):
    for before_ms in (5_000, 90_000, 7_000):
        await store.end_all_before(before_ms)

    assert await AllTenants(database).ended_before() == {"default": 90_000}


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [None, frozenset[str](), frozenset({"turns", "users"})])
async def test_a_key_is_found_by_its_hash(database: Database, store: AccountStore, scopes: frozenset[str] | None):
    assert not await store.has_keys()
    row = a_key("key_1", scopes=scopes, expires_at_ms=9_000)
    await store.create_key(row, b"hash 1")

    assert await AllTenants(database).find_key(b"hash 1") == row
    assert await AllTenants(database).find_key(b"hash 2") is None
    assert await store.has_keys()


async def test_a_hash_is_there_once_among_all_tenants(database: Database, store: AccountStore):
    await store.create_key(a_key("key_1"), b"hash")

    with pytest.raises(ConstraintViolated):
        await AccountStore(database, tenant="other").create_key(a_key("key_2"), b"hash")


async def test_keys_are_listed_from_the_newest_without_the_revoked(store: AccountStore):
    for name, created_at_ms in (("b", 2_000), ("a", 1_000), ("c", 3_000), ("d", 2_000), ("e", 4_000)):
        await store.create_key(a_key(f"key_{name}", created_at_ms=created_at_ms), name.encode())
    await store.revoke_key("key_e", 5_000)

    async def page(after: str, limit: int = 9) -> list[str]:
        return [key.id.removeprefix("key_") for key in await store.list_keys(after, limit)]

    assert await page("") == ["c", "d", "b", "a"]
    assert [await page("", 2), await page("key_d", 2), await page("key_a"), await page("key_e", 1)] == [
        ["c", "d"],
        ["b", "a"],
        [],
        ["c"],
    ]
    assert await page("key_unheard_of") == []


async def test_a_key_is_revoked_once(database: Database, store: AccountStore):
    await store.create_key(a_key("key_1"), b"hash")

    assert await store.revoke_key("key_1", 5_000)
    assert not await store.revoke_key("key_1", 6_000)
    assert not await store.revoke_key("key_2", 6_000)

    assert await AllTenants(database).find_key(b"hash") == a_key("key_1", revoked_at_ms=5_000)
    assert await store.has_keys()


# --- persons ------------------------------------------------------------------------------------


async def test_a_person_comes_into_being_once(store: AccountStore):
    assert await store.find_person("u1") is None
    await store.ensure_person("u1", 1_000)
    await store.ensure_person("u1", 2_000)

    assert await store.find_person("u1") == a_person("u1", created_at_ms=1_000)


async def test_an_assigned_tier_stands_beside_what_a_server_said(store: AccountStore):
    assigned = await store.assign_tier("u1", "premium", 1_000)
    await create_session(store, "sess_1", tier="free")

    assert assigned == a_person("u1", assigned_tier="premium", created_at_ms=1_000)
    assert await store.find_person("u1") == replace(assigned, tier="free")
    assert await store.assign_tier("u1", None, 2_000) == a_person("u1", tier="free", created_at_ms=1_000)


async def test_people_are_listed_in_order_a_page_at_a_time(store: AccountStore):
    for person in ("c", "a", "d", "b"):
        await store.ensure_person(person, 1_000)

    assert [row.id for row in await store.list_persons("", 3)] == ["a", "b", "c"]
    assert [row.id for row in await store.list_persons("c", 3)] == ["d"]
    assert await store.list_persons("d", 3) == []


async def test_who_became_another_is_found_but_not_listed(store: AccountStore):
    anonymous = await create_session(store, "sess_1", person="anon_1", is_anonymous=True, tier=None)
    await store.upgrade(anonymous, "u1", 5_000)

    assert await store.find_person("anon_1") == a_person("anon_1", became="u1", created_at_ms=1_000)
    assert [row.id for row in await store.list_persons("", 9)] == ["u1"]


# --- sessions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [None, frozenset[str](), frozenset({"chat", "summaries"})])
async def test_a_session_comes_with_its_person(store: AccountStore, features: frozenset[str] | None):
    row = await create_session(
        store, "sess_1", tier="free", groups=("red", "blue"), features=features, app="ios", is_anonymous=True
    )

    assert await store.find_session("sess_1") == row
    assert await store.find_person("u1") == a_person("u1", tier="free", created_at_ms=1_000)
    assert await store.find_session("sess_2") is None


async def test_a_session_without_a_tier_leaves_the_persons(store: AccountStore):
    await create_session(store, "sess_1", tier="premium")
    await create_session(store, "sess_2", tier=None)

    assert await store.find_person("u1") == a_person("u1", tier="premium", created_at_ms=1_000)


async def test_only_another_tier_is_a_change(database: Database, store: AccountStore):
    """A busy server begins many sessions with the tier that its user has: nobody need read that anew."""
    changes = [
        await store.create_session(a_session(f"sess_{number}", tier=tier), 1_000 + number)
        for number, tier in enumerate(["free", "free", None, "premium", "premium"])
    ]

    assert changes == [True, False, False, True, False]
    assert await AllTenants(database).persons_changed_since(1_004) == []
    assert [row.tier for row in await AllTenants(database).persons_changed_since(1_003)] == ["premium"]


async def test_a_session_that_fails_leaves_no_person(store: AccountStore):
    await create_session(store, "sess_1", person="u1")

    with pytest.raises(ConstraintViolated):
        await create_session(store, "sess_1", person="u2")

    assert await store.find_person("u2") is None


async def test_a_persons_sessions_are_those_that_hold_the_latest_first(store: AccountStore):
    for session_id, values in {
        "sess_old": {"created_at_ms": 1_000},
        "sess_new": {"created_at_ms": 3_000},
        "sess_expired": {"expires_at_ms": 4_000},
        "sess_ended": {},
        "sess_of_another": {"person": "u2"},
    }.items():
        await create_session(store, session_id, **values)
    await store.end_session("sess_ended", None, 3_500)

    assert [row.id for row in await store.sessions_of("u1", 0, 4_000, "", 9)] == ["sess_new", "sess_old"]
    assert [row.id for row in await store.sessions_of("u1", 1_001, 4_000, "", 9)] == ["sess_new"]


async def test_a_persons_sessions_are_read_a_page_at_a_time(store: AccountStore):
    """From behind one that has ended, too; another person's session is like one that never was."""
    for number in range(5):
        await create_session(store, f"sess_{number}", created_at_ms=1_000 + number // 2)
    await create_session(store, "sess_others", person="u2", created_at_ms=9_000)
    await store.end_session("sess_2", None, 2_000)

    async def page(after: str) -> list[str]:
        return [row.id for row in await store.sessions_of("u1", 0, 2_000, after, 2)]

    assert await page("") == ["sess_4", "sess_3"]
    assert await page("sess_3") == ["sess_1", "sess_0"]
    assert await page("sess_2") == ["sess_1", "sess_0"]
    assert await page("sess_0") == await page("sess_others") == await page("sess_unheard_of") == []


async def test_a_refresh_token_is_used_once(store: AccountStore):
    row = await create_session(store, "sess_1", refresh_number=0, expires_at_ms=9_000)

    used = await store.use_refresh_token("sess_1", 0, 2_000, 10_000)

    assert used == replace(row, refresh_number=1, refreshed_at_ms=2_000, expires_at_ms=10_000)
    assert await store.use_refresh_token("sess_1", 0, 3_000, 11_000) is None
    assert await store.use_refresh_token("sess_1", 2, 3_000, 11_000) is None
    assert await store.find_session("sess_1") == used


async def test_what_the_last_refresh_told_is_told_again_as_long_as_nobody_used_it(
    store: AccountStore, database: Database
):
    await create_session(store, "sess_1", refresh_number=0)
    used = await store.use_refresh_token("sess_1", 0, 2_000, 10_000)
    assert used is not None

    assert await store.tell_again("sess_1", 1, 1_999, 3_000, 11_000) is None
    assert await store.tell_again("sess_1", 0, 2_000, 3_000, 11_000) is None
    again = await store.tell_again("sess_1", 1, 2_000, 3_000, 11_000)
    assert again is not None
    assert again == replace(used, refreshed_at_ms=3_000, expires_at_ms=11_000)
    assert await store.tell_again("sess_1", 1, 2_000, 4_000, 12_000) is None

    AllTenants(database).note_session_uses([("default", "sess_1", 0, 4_000), ("default", "sess_1", 2, 4_000)])
    await database.flush()
    assert await store.find_session("sess_1") == again
    AllTenants(database).note_session_uses([("default", "sess_1", 1, 4_000), ("other", "sess_1", 1, 3_000)])
    AllTenants(database).note_session_uses([("default", "sess_1", 1, 5_000)])
    await database.flush()
    assert await store.find_session("sess_1") == replace(again, used_at_ms=4_000)
    assert await store.tell_again("sess_1", 1, 3_000, 6_000, 12_000) is None
    assert await store.use_refresh_token("sess_1", 1, 7_000, 13_000) == replace(
        used, refresh_number=2, refreshed_at_ms=7_000, expires_at_ms=13_000
    )


async def test_no_refresh_token_of_an_ended_session_can_be_used(store: AccountStore):
    await create_session(store, "sess_1", refresh_number=0)
    await store.use_refresh_token("sess_1", 0, 1_500, 11_000)
    await store.end_session("sess_1", None, 2_000)

    assert await store.use_refresh_token("sess_1", 1, 3_000, 11_000) is None
    assert await store.tell_again("sess_1", 1, 1_500, 3_000, 11_000) is None


async def test_a_session_is_ended_once_and_only_by_its_own_person(store: AccountStore):
    await create_session(store, "sess_1")

    assert await store.end_session("sess_1", "u2", 5_000) is None
    assert await store.end_session("sess_1", "u1", 5_000) == EndedSession("default", "sess_1", "u1", 9_000)
    assert await store.end_session("sess_1", "u1", 6_000) is None
    assert await store.end_session("sess_1", None, 6_000) is None
    assert await store.end_session("sess_2", None, 6_000) is None


async def test_all_sessions_of_a_person_are_ended_that_hold(store: AccountStore):
    for session_id, values in {
        "sess_b": {},
        "sess_a": {},
        "sess_expired": {"expires_at_ms": 2_000},
        "sess_ended": {},
        "sess_of_another": {"person": "u2"},
    }.items():
        await create_session(store, session_id, **values)
    await store.end_session("sess_ended", None, 4_000)

    assert sorted(ended.id for ended in await store.end_sessions_of("u1", 5_000)) == ["sess_a", "sess_b"]
    assert await store.end_sessions_of("u1", 6_000) == []
    assert await store.find_person("u1") == a_person("u1", created_at_ms=1_000, revoked_before_ms=6_000)


async def test_who_was_never_seen_can_be_locked_out(store: AccountStore):
    """An identity provider's token of theirs may yet be shown for the first time."""
    await store.end_sessions_of("u1", 5_000)
    await store.ensure_person("u1", 6_000)

    assert await store.find_person("u1") == a_person("u1", created_at_ms=5_000, revoked_before_ms=5_000)


async def test_a_clock_that_was_set_back_lets_nothing_count_again(store: AccountStore):
    await store.end_sessions_of("u1", 5_000)
    await store.end_sessions_of("u1", 4_000)

    person = await store.find_person("u1")
    assert person is not None
    assert person.revoked_before_ms == 5_000


# --- tenants ------------------------------------------------------------------------------------


async def everything_of(store: AccountStore) -> list[object]:
    """Call every method of the store, and gather what it says. A new method must be added here."""
    said: list[object] = []
    asked: set[str] = set()

    async def ask(method: str, *arguments: object) -> None:
        asked.add(method)
        said.append(await getattr(store, method)(*arguments))

    await ask("has_keys")
    await ask("create_key", a_key("key_1"), store._tenant.encode())
    await ask("has_keys")
    await ask("ensure_person", "u0", 1_000)
    await ask("assign_tier", "u1", "premium", 1_000)
    await ask("create_session", a_session("sess_1", tier="free", refresh_number=0), 1_000)
    await ask("create_session", a_session("sess_2"), 1_000)
    await ask("create_session", a_session("sess_3", person="u2"), 1_000)
    anonymous = a_session("sess_4", person="anon_1", is_anonymous=True)
    await ask("create_session", anonymous, 1_000)
    await ask("create_session", replace(anonymous, id="sess_5"), 1_000)
    await ask("use_refresh_token", "sess_1", 0, 2_000, 8_000)
    await ask("tell_again", "sess_1", 1, 2_000, 3_000, 8_000)
    await ask("list_keys", "", 9)
    await ask("sessions_of", "u1", 0, 2_000, "sess_2", 9)
    await ask("sessions_of", "u1", 0, 2_000, "", 9)
    await ask("find_session", "sess_1")
    await ask("end_session", "sess_1", "u1", 3_000)
    await ask("end_session", "sess_3", None, 3_000)
    await ask("end_sessions_of", "u1", 3_000)
    await ask("upgrade", anonymous, "u1", 4_000)
    ended = a_session("sess_6", person="anon_2", is_anonymous=True)
    await ask("create_session", ended, 1_000)
    await ask("end_session", "sess_6", None, 3_000)
    await ask("upgrade", ended, "u1", 4_000)
    await ask("move_rest", "anon_1", "u1", 5_000)
    await ask("find_person", "anon_1")
    await ask("find_person", "u1")
    await ask("list_persons", "", 9)
    await ask("end_all_before", 5_000)
    await ask("find_key", "key_1")
    await ask("revoke_key", "key_1", 5_000)
    await ask("list_keys", "", 9)
    said.append(type(await store.signing_secret()))
    missing = {name for name in vars(AccountStore) if not name.startswith("_")} - asked - {"signing_secret"}
    assert missing == set()
    return said


async def all_rows(database: Database) -> list[object]:
    """What is stored that a tenant's store could have touched."""
    across = AllTenants(database)
    return [
        await across.find_key(b"other"),
        await across.persons_changed_since(0),
        await across.sessions_ended_since(0, 0),
        await across.keys_revoked_since(0),
        await across.ended_before(),
        [await AccountStore(database, "other").find_person(each) for each in ("u0", "u1", "u2", "anon_1", "anon_2")],
        [await AccountStore(database, "other").find_session(f"sess_{number}") for number in range(1, 7)],
        await AccountStore(database, "other").signing_secret(),
    ]


async def test_no_method_sees_or_touches_another_tenants_rows(database: Database):
    """The other tenant has rows of the same ids throughout; the answers are those of a tenant that is alone."""
    alone = await everything_of(AccountStore(database, "alone"))
    other = AccountStore(database, "other")
    await other.create_key(a_key("key_1"), b"other")
    await other.create_session(a_session("sess_1", tier="gold", refresh_number=0), 1_000)
    for number, person in ((2, "u1"), (3, "u2"), (4, "anon_1"), (5, "anon_1"), (6, "anon_2")):
        await other.create_session(a_session(f"sess_{number}", person=person, is_anonymous=number > 3), 1_000)
    before = await all_rows(database)

    beside = await everything_of(AccountStore(database, "besi"))

    assert [str(each).replace("besi", "alone") for each in beside] == [str(each) for each in alone]
    after = await all_rows(database)
    assert [without("besi", each) for each in after] == before


def without(tenant: str, rows: object) -> object:
    """What was read across tenants, less one of them."""
    if isinstance(rows, dict):
        return {key: value for key, value in rows.items() if key != tenant}
    if isinstance(rows, list):
        return [row for row in rows if getattr(row, "tenant", None) != tenant and row != (tenant, "key_1")]
    return rows


# --- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [KeyRow, PersonRow, SessionRow])
def test_rows_carry_their_tenant(shape: type):
    assert shape.__slots__[0] == "tenant"
