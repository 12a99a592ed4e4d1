"""Who is recognised, who no longer is, and what other processes learn of it. On both engines."""

from __future__ import annotations

import asyncio
import math

import pytest

from frontdesk.accounts import people, service
from frontdesk.accounts.service import Accounts
from frontdesk.accounts.tokens import Claims, TokenSigner
from frontdesk.core import config
from frontdesk.core.errors import Unauthenticated
from frontdesk.storage.database import Database
from tests.accounts.opened import (
    ADMIN,
    CountingDatabase,
    FakeIssuers,
    bearer,
    begun,
    code_of,
    identity,
    opened,
    tier_of,
)
from tests.fakes import HandClock

HOUR_S = 3600


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


# --- sessions -----------------------------------------------------------------------------------


async def test_a_session_is_its_person_until_it_expires(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(
        accounts,
        "u1",
        tier="free",
        groups=("red", "blue"),
        features=frozenset({"chat"}),
        app="ios",
        expires_in_s=60,
    )

    caller = await accounts.identify(bearer(session.token))

    assert {name: getattr(caller, name) for name in caller.__slots__} == {
        "role": "user",
        "credential_id": session.id,
        "tenant": "default",
        "person": "u1",
        "tier": "free",
        "groups": ("red", "blue"),
        "features": frozenset({"chat"}),
        "scopes": None,
        "app": "ios",
        "is_anonymous": False,
        "claimed_tier": None,
        "expires_at": clock.now() + 60,
    }
    assert accounts.known(bearer(session.token)) is caller
    clock.move(60)
    assert accounts.known(bearer(session.token)) is None
    assert await code_of(accounts, session.token) == "token_expired"


async def test_a_session_of_another_tenant_is_that_tenants(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    ours = await begun(accounts, "u1", tier="free")
    theirs = await begun(accounts, "u1", tenant="other", tier="gold")

    caller = await accounts.identify(bearer(theirs.token))

    assert (caller.tenant, caller.person, caller.tier) == ("other", "u1", "gold")
    assert await tier_of(accounts, ours.token) == "free"


async def test_an_unseen_token_of_a_known_person_asks_nobody(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    tokens = [(await begun(accounts, "u1")).token for _ in range(5)]
    await accounts.identify(bearer(tokens[0]))
    reads = counting.reads

    for token in tokens:
        assert (await accounts.identify(bearer(token))).person == "u1"

    assert counting.reads == reads


async def test_the_token_of_a_person_who_is_no_more_is_refused(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    secret = await service.AccountStore(database).signing_secret()
    token = TokenSigner(secret).sign(Claims("sess_1", "nobody", None, int(clock.now()) + 60))

    assert await code_of(accounts, token) == "token_revoked"


async def test_before_the_secret_is_loaded_nobody_is_believed(database: Database, clock: HandClock) -> None:
    accounts = Accounts(database, clock, None, config.Auth())
    token = TokenSigner(b"").sign(Claims("sess_1", "u1", None, int(clock.now()) + 60))

    assert await code_of(accounts, token) == "invalid_token"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_credential"),
        (b"", "invalid_api_key"),
        (b"Bearer", "invalid_api_key"),
        (b"Bearer ", "invalid_api_key"),
        (b"Basic dXNlcjpwYXNz", "invalid_api_key"),
        (b"Bearer fd_sk_unknown", "invalid_api_key"),
        (b"Bearer \xff\xfe", "invalid_api_key"),
        (b"Bearer fd_st_x", "invalid_token"),
        (b"Bearer fd_st_x.y.z", "invalid_token"),
        (b"Bearer fd_rt_x.y", "invalid_token"),
        (b"Bearer a.b.c", "invalid_api_key"),
    ],
)
async def test_headers_that_say_nothing(database: Database, header: bytes | None, code: str) -> None:
    accounts = await opened(database, HandClock())

    with pytest.raises(Unauthenticated) as caught:
        await accounts.identify(header)

    assert caught.value.code == code
    assert accounts.known(header) is None


# --- what is kept -------------------------------------------------------------------------------


async def test_only_the_usual_spelling_of_a_header_is_kept(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts)

    for blanks in range(1, 50):
        await accounts.identify(b"Bearer" + b" " * blanks + session.token.encode())
    await accounts.identify(b"bearer " + session.token.encode())

    assert list(accounts._known) == [bearer(session.token)]


async def test_a_long_header_is_known_by_its_hash_which_nobody_can_send(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts, groups=tuple(f"group {number}" for number in range(64)))
    header = bearer(session.token)
    assert len(header) > 256

    caller = await accounts.identify(header)

    assert accounts.known(header) is caller
    (key,) = accounts._known
    assert len(key) == 64
    assert isinstance(key, str)
    assert accounts.known(key.encode()) is None


async def test_what_is_known_is_bounded(database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_MAX_KNOWN", 10)
    monkeypatch.setattr(people, "_MAX_STANDINGS", 4)
    accounts = await opened(database, clock)

    sessions = [await begun(accounts, f"u{number}", tier="free") for number in range(25)]
    for session in sessions:
        assert await code_of(accounts, session.token) is None
        assert len(accounts._known) <= 10

    # Whose token is still known but who was forgotten as a person must be read anew: nothing could be taken back.
    for number in range(25):
        await accounts.assign_tier("default", f"u{number}", "gold")
    assert [await tier_of(accounts, session.token) for session in reversed(sessions)] == ["gold"] * 25


async def test_what_no_look_finds_counts_after_an_hour(database: Database, clock: HandClock) -> None:
    """Another machine whose clock is behind by hours changes a tier."""
    behind = HandClock(clock.now() - 10 * HOUR_S)
    here, elsewhere = await opened(database, clock), await opened(database, behind)
    session = await begun(here, tier="free", expires_in_s=10 * HOUR_S)
    assert await tier_of(here, session.token) == "free"

    await elsewhere.assign_tier("default", "u1", "gold")
    await here.refresh()
    clock.move(HOUR_S - 1)
    assert await tier_of(here, session.token) == "free"
    clock.move(1)
    assert await tier_of(here, session.token) == "gold"


# --- tiers --------------------------------------------------------------------------------------


async def test_of_several_tiers_the_operators_counts_then_the_tokens_then_the_servers(
    database: Database, clock: HandClock
) -> None:
    issuers = FakeIssuers(a_b_c=identity("u1", tier="claimed"), d_e_f=identity("u1"))
    accounts = await opened(database, clock, issuers)
    session = await begun(accounts, "u1", tier="said")

    async def tiers() -> list[str | None]:
        return [await tier_of(accounts, token) for token in ("a.b.c", "d.e.f", session.token)]

    assert await tiers() == ["claimed", "said", "said"]
    await accounts.assign_tier("default", "u1", "assigned")
    assert await tiers() == ["assigned", "assigned", "assigned"]
    await accounts.assign_tier("default", "u1", None)
    assert await tiers() == ["claimed", "said", "said"]


async def test_a_change_of_tier_counts_at_once_here_and_after_a_look_elsewhere(
    database: Database, clock: HandClock
) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    session = await begun(here, "u1", tier="free")
    other = await begun(here, "u2", tier="free")
    assert await tier_of(elsewhere, session.token) == await tier_of(elsewhere, other.token) == "free"
    clock.move(5)

    await begun(here, "u1", tier="premium")
    assert await tier_of(here, session.token) == "premium"
    assert await tier_of(elsewhere, session.token) == "free"
    await elsewhere.refresh()
    assert await tier_of(elsewhere, session.token) == "premium"

    await here.assign_tier("default", "u1", "gold")
    assert await tier_of(here, session.token) == "gold"
    await elsewhere.refresh()
    assert await tier_of(elsewhere, session.token) == "gold"
    assert await tier_of(elsewhere, other.token) == "free"


async def test_one_persons_change_costs_nobody_else_anything(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    sessions = [await begun(accounts, f"u{number}") for number in range(20)]
    for session in sessions:
        await accounts.identify(bearer(session.token))

    await accounts.assign_tier("default", "u7", "gold")
    await accounts.end_session("default", sessions[8].id)
    await (await opened(database, clock)).assign_tier("default", "u9", "gold")
    await accounts.refresh()
    await accounts.refresh()

    known = [accounts.known(bearer(session.token)) is not None for session in sessions]
    assert known == [number not in (7, 8, 9) for number in range(20)]
    # A change is looked at for a minute, but it is one change.
    assert await tier_of(accounts, sessions[9].token) == "gold"
    await accounts.refresh()
    assert accounts.known(bearer(sessions[9].token)) is not None


async def test_a_person_who_changes_while_they_are_read_is_read_again(database: Database, clock: HandClock) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    session = await begun(accounts, "u1", tier="free")

    counting.meanwhile = lambda: accounts.assign_tier("default", "u1", "gold")

    assert await tier_of(accounts, session.token) == "gold"
    assert await tier_of(accounts, session.token) == "gold"


async def test_a_session_that_ends_while_its_person_is_read_is_not_believed(
    database: Database, clock: HandClock
) -> None:
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock)
    session = await begun(accounts, "u1")

    counting.meanwhile = lambda: accounts.end_session("default", session.id)

    assert await code_of(accounts, session.token) == "token_revoked"
    assert accounts.known(bearer(session.token)) is None


# --- ends ---------------------------------------------------------------------------------------


async def test_an_end_counts_at_once_here_and_after_a_look_elsewhere(database: Database, clock: HandClock) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    session = await begun(here)
    assert await code_of(elsewhere, session.token) is None
    clock.move(5)

    await here.end_session("default", session.id)

    assert await code_of(here, session.token) == "token_revoked"
    await elsewhere.refresh()
    assert elsewhere.known(bearer(session.token)) is None
    assert await code_of(elsewhere, session.token) == "token_revoked"
    assert await code_of(await opened(database, clock), session.token) == "token_revoked"


async def test_an_end_is_of_one_tenants_session(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts)
    secret = await service.AccountStore(database).signing_secret()
    twin = TokenSigner(secret).sign(Claims(session.id, "u1", None, session.expires_at, "other"))
    await begun(accounts, tenant="other")

    await accounts.end_session("default", session.id)

    assert await code_of(accounts, session.token) == "token_revoked"
    assert await code_of(accounts, twin) is None


async def test_all_sessions_of_a_tenant_end_and_new_ones_hold(database: Database, clock: HandClock) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    old = await begun(here)
    spared = await begun(here, tenant="other")
    for accounts in (here, elsewhere):
        assert await code_of(accounts, old.token) is None

    await here.end_all_sessions("default")
    new = await begun(here)  # in the same millisecond

    assert [await code_of(here, each.token) for each in (old, new, spared)] == ["token_revoked", None, None]
    await elsewhere.refresh()
    assert [await code_of(elsewhere, each.token) for each in (old, new, spared)] == ["token_revoked", None, None]
    fresh = await opened(database, clock)
    assert [await code_of(fresh, each.token) for each in (old, new, spared)] == ["token_revoked", None, None]


async def test_a_process_whose_clock_is_behind_can_begin_sessions_after_all_were_ended(
    database: Database, clock: HandClock
) -> None:
    behind = HandClock(clock.now() - 40)
    here, elsewhere = await opened(database, clock), await opened(database, behind)
    await here.end_all_sessions("default")
    await elsewhere.refresh()

    session = await begun(elsewhere)

    assert await code_of(here, session.token) is None


async def test_a_changed_clock_makes_no_ended_session_good(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    session = await begun(accounts)
    await accounts.end_session("default", session.id)

    clock.move(-300)
    await accounts.refresh()

    assert await code_of(accounts, session.token) == "token_revoked"


async def test_an_end_that_commits_late_is_learnt_all_the_same(database: Database, clock: HandClock) -> None:
    here = await opened(database, clock)
    session = await begun(here)
    assert await code_of(here, session.token) is None
    ended_at_ms = int(clock.now() * 1000)
    for _ in range(20):
        clock.move(1)
        await here.refresh()

    await service.AccountStore(database).end_session(session.id, None, ended_at_ms)
    await here.refresh()

    assert here.known(bearer(session.token)) is None
    assert await code_of(here, session.token) == "token_revoked"


async def test_what_happened_while_the_store_was_away_is_learnt_when_it_is_back(
    database: Database, clock: HandClock
) -> None:
    """Longer than the usual look goes back."""
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    key, secret = await elsewhere.create_key("default", "web", "server", None, None)
    session, promoted = await begun(here, "u1", tier="free"), await begun(here, "u2", tier="free")
    for token in (session.token, promoted.token, secret):
        await here.identify(bearer(token))

    clock.move(10)
    await elsewhere.end_session("default", session.id)
    await elsewhere.assign_tier("default", "u2", "gold")
    await elsewhere.revoke_key("default", key.id)
    clock.move(300)
    await here.refresh()

    assert await code_of(here, session.token) == "token_revoked"
    assert await tier_of(here, promoted.token) == "gold"
    assert await code_of(here, secret) == "invalid_api_key"


async def test_what_was_ended_is_forgotten_when_its_tokens_have_expired(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)
    for _ in range(5):
        session = await begun(accounts, expires_in_s=60, is_refreshable=True)
        await accounts.end_session("default", session.id)
    lasting = await begun(accounts, expires_in_s=2 * HOUR_S)
    await accounts.end_session("default", lasting.id)
    assert len(accounts._revocations._sessions) == 6

    clock.move(HOUR_S + 1)
    await accounts.refresh()

    assert list(accounts._revocations._sessions) == [("default", lasting.id)]
    assert await code_of(accounts, lasting.token) == "token_revoked"


# --- tokens of identity providers ---------------------------------------------------------------


async def test_the_bearer_of_a_providers_token_comes_into_being_once(database: Database, clock: HandClock) -> None:
    issuers = FakeIssuers(
        a_b_c=identity("idp:u1", tier="gold", groups=("red",), features=frozenset({"chat"}), app="ios")
    )
    counting = CountingDatabase(database)
    accounts = await opened(counting, clock, issuers)

    caller = await accounts.identify(bearer("a.b.c"))

    assert {name: getattr(caller, name) for name in caller.__slots__ if name != "credential_id"} == {
        "role": "user",
        "tenant": "default",
        "person": "idp:u1",
        "tier": "gold",
        "groups": ("red",),
        "features": frozenset({"chat"}),
        "scopes": None,
        "app": "ios",
        "is_anonymous": False,
        "claimed_tier": "gold",
        "expires_at": 1_800_003_600.0,
    }
    assert caller.credential_id.startswith("jwt_")
    assert "a.b.c" not in caller.credential_id
    assert accounts.known(bearer("a.b.c")) is caller
    assert (await accounts.find_person("default", "idp:u1")).created_at_ms == int(clock.now() * 1000)
    reads = counting.reads
    await accounts.identify(bearer("a.b.c"))
    assert counting.reads == reads


async def test_a_providers_token_is_known_until_it_expires(database: Database, clock: HandClock) -> None:
    issuers = FakeIssuers(a_b_c=identity(expires_at=clock.now() + 60))
    accounts = await opened(database, clock, issuers)
    await accounts.identify(bearer("a.b.c"))

    clock.move(59)
    assert accounts.known(bearer("a.b.c")) is not None
    clock.move(1)
    assert accounts.known(bearer("a.b.c")) is None


async def test_when_a_providers_keys_change_its_tokens_are_looked_at_again(
    database: Database, clock: HandClock
) -> None:
    issuers = FakeIssuers(a_b_c=identity())
    accounts = await opened(database, clock, issuers)
    await accounts.identify(bearer("a.b.c"))
    await accounts.refresh()
    assert accounts.known(bearer("a.b.c")) is not None

    issuers.identities.clear()
    issuers.generation += 1
    await accounts.refresh()

    assert await code_of(accounts, "a.b.c") == "invalid_token"


async def test_a_token_whose_keys_change_while_it_is_looked_at_is_not_kept(
    database: Database, clock: HandClock
) -> None:
    class Rotating(FakeIssuers):
        async def identify(self, token: str):
            found = await super().identify(token)
            self.generation += 1
            return found

    accounts = await opened(database, clock, Rotating(a_b_c=identity()))

    assert (await accounts.identify(bearer("a.b.c"))).person == "u1"
    assert accounts.known(bearer("a.b.c")) is None


@pytest.mark.parametrize("token", ["a.b.c", "eyJhbGciOi", "eyJhbGciOi.eyJpc3Mi", "fd_sk_a.b.c", "fd_st_a.b.c"])
async def test_only_what_may_be_a_providers_token_is_shown_to_it(
    database: Database, clock: HandClock, token: str
) -> None:
    issuers = FakeIssuers()
    accounts = await opened(database, clock, issuers)

    assert await code_of(accounts, token) in ("invalid_token", "invalid_api_key")

    assert issuers.asked == (1 if token in ("a.b.c", "eyJhbGciOi.eyJpc3Mi") else 0)


@pytest.mark.parametrize("ends", ["of a person", "of a tenant"])
async def test_a_providers_tokens_from_before_an_end_do_not_count(
    database: Database, clock: HandClock, ends: str
) -> None:
    now = clock.now()
    issuers = FakeIssuers(
        a_b_old=identity(issued_at=now - 5),
        a_b_new=identity(issued_at=now + 15, expires_at=now + 900),
        a_b_timeless=identity(issued_at=None),
    )
    here, elsewhere = await opened(database, clock, issuers), await opened(database, clock, issuers)
    for accounts in (here, elsewhere):
        for token in issuers.identities:
            assert await code_of(accounts, token) is None
    clock.move(10)

    if ends == "of a person":
        assert await here.end_sessions_of("default", "u1") == 0
    else:
        await here.end_all_sessions("default")

    refused = {"a.b.old": "token_revoked", "a.b.timeless": "token_revoked", "a.b.new": None}
    assert {token: await code_of(here, token) for token in issuers.identities} == refused
    await elsewhere.refresh()
    assert {token: await code_of(elsewhere, token) for token in issuers.identities} == refused


@pytest.mark.parametrize("person", ["", "x" * 129, "a\0b", "a\nb"])
async def test_a_provider_cannot_name_what_is_no_name(database: Database, clock: HandClock, person: str) -> None:
    accounts = await opened(database, clock, FakeIssuers(a_b_c=identity(person)))

    assert await code_of(accounts, "a.b.c") == "invalid_token"


async def test_many_unseen_tokens_of_one_person_at_once(database: Database, clock: HandClock) -> None:
    issuers = FakeIssuers(**{f"a_b_{number}": identity("new") for number in range(20)})
    accounts = await opened(database, clock, issuers)

    callers = await asyncio.gather(*(accounts.identify(bearer(token)) for token in issuers.identities))

    assert {caller.person for caller in callers} == {"new"}
    assert len({caller.credential_id for caller in callers}) == 20


async def test_the_operators_key_may_look_like_anything(database: Database, clock: HandClock) -> None:
    accounts = Accounts(database, clock, "a.b.c", config.Auth(), FakeIssuers(a_b_c=identity()))
    await accounts.load()

    caller = await accounts.identify(bearer("a.b.c"))

    assert (caller.role, caller.scopes, caller.tenant, caller.expires_at) == ("operator", None, "default", math.inf)


async def test_the_operators_key_is_an_operators(database: Database, clock: HandClock) -> None:
    accounts = await opened(database, clock)

    assert (await accounts.identify(bearer(ADMIN))).role == "operator"
    assert await accounts.has_keys() is False


# --- csrf ---------------------------------------------------------------------------------------


async def test_a_csrf_token_is_the_sessions_own_and_no_credential(database: Database, clock: HandClock) -> None:
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    one, two = await begun(here), await begun(here)

    token = here.csrf_token(one.id)

    assert token == elsewhere.csrf_token(one.id)
    assert token != here.csrf_token(two.id)
    assert token not in one.token
    assert await code_of(here, token) == "invalid_api_key"
