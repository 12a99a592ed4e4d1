"""Accounts on both engines: who is recognised, who no longer is, and what other processes learn."""

from __future__ import annotations

import pytest

from frontdesk.accounts.service import Accounts
from frontdesk.accounts.store import AccountStore, KeyRow
from frontdesk.core.errors import BadRequest, NotFound, Unauthenticated
from frontdesk.storage.database import Database
from tests.fakes import HandClock

ADMIN = "fd_sk_the-operators-own"


async def opened(database: Database, clock: HandClock) -> Accounts:
    accounts = Accounts(AccountStore(database), clock, ADMIN)
    await accounts.load()
    return accounts


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


async def code_of(accounts: Accounts, token: str) -> str | None:
    """None where the token is believed, else why not."""
    try:
        await accounts.identify(bearer(token))
    except Unauthenticated as refusal:
        return refusal.code
    return None


async def test_a_session_is_its_person_until_it_expires(database: Database) -> None:
    clock = HandClock()
    accounts = await opened(database, clock)
    session = await accounts.create_session("u1", "free", 60, is_anonymous=False)

    caller = await accounts.identify(bearer(session.token))

    assert (caller.role, caller.person, caller.tier, caller.credential_id) == ("user", "u1", "free", session.id)
    assert accounts.known(bearer(session.token)) is caller
    clock.move(60)
    assert accounts.known(bearer(session.token)) is None
    assert await code_of(accounts, session.token) == "token_expired"


async def test_anonymous_people_are_all_different(database: Database) -> None:
    accounts = await opened(database, HandClock())

    people = {(await accounts.create_session(None, None, 60, is_anonymous=True)).person for _ in range(5)}

    assert len(people) == 5


async def test_a_revocation_counts_at_once_here_and_after_a_look_elsewhere(database: Database) -> None:
    clock = HandClock()
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    session = await here.create_session("u1", None, 600, is_anonymous=False)
    assert await code_of(elsewhere, session.token) is None
    clock.move(5)

    await here.revoke_session(session.id)

    assert await code_of(here, session.token) == "token_revoked"
    await elsewhere.refresh()
    assert elsewhere.known(bearer(session.token)) is None
    assert await code_of(elsewhere, session.token) == "token_revoked"
    assert await code_of(await opened(database, clock), session.token) == "token_revoked"
    with pytest.raises(NotFound):
        await here.revoke_session(session.id)


async def test_all_sessions_of_a_person_end_and_no_others(database: Database) -> None:
    accounts = await opened(database, HandClock())
    mine = [await accounts.create_session("u1", None, 600, is_anonymous=False) for _ in range(3)]
    other = await accounts.create_session("u2", None, 600, is_anonymous=False)

    assert await accounts.revoke_sessions_of("u1") == 3

    assert [await code_of(accounts, session.token) for session in mine] == ["token_revoked"] * 3
    assert await code_of(accounts, other.token) is None


async def test_keys_are_believed_until_they_are_revoked(database: Database) -> None:
    clock = HandClock()
    here, elsewhere = await opened(database, clock), await opened(database, clock)
    key_id, key = await here.create_key("billing")

    assert (await elsewhere.identify(bearer(key))).role == "server"
    assert [(row.id, row.name, row.hint) for row in await here.list_keys()] == [(key_id, "billing", key[-4:])]
    clock.move(5)
    await here.revoke_key(key_id)
    assert await code_of(here, key) == "invalid_api_key"
    await elsewhere.refresh()
    assert await code_of(elsewhere, key) == "invalid_api_key"
    with pytest.raises(NotFound):
        await here.revoke_key(key_id)


async def test_the_operators_key_is_a_servers(database: Database) -> None:
    accounts = await opened(database, HandClock())

    assert (await accounts.identify(bearer(ADMIN))).role == "operator"
    assert await accounts.has_keys() is False


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
    ],
)
async def test_headers_that_say_nothing(database: Database, header: bytes | None, code: str) -> None:
    accounts = await opened(database, HandClock())

    with pytest.raises(Unauthenticated) as caught:
        await accounts.identify(header)

    assert caught.value.code == code


@pytest.mark.parametrize("person", ["", "x" * 129, "a\nb", "a\x00"])
async def test_people_have_names_that_can_be_read(database: Database, person: str) -> None:
    accounts = await opened(database, HandClock())

    with pytest.raises(BadRequest, match="user"):
        await accounts.create_session(person, None, 60, is_anonymous=False)


async def test_a_changed_clock_makes_no_revoked_token_good(database: Database) -> None:
    clock = HandClock()
    accounts = await opened(database, clock)
    session = await accounts.create_session("u1", None, 600, is_anonymous=False)
    await accounts.revoke_session(session.id)

    clock.move(-300)
    await accounts.refresh()

    assert await code_of(accounts, session.token) == "token_revoked"


async def test_a_revocation_that_commits_late_is_learnt_all_the_same(database: Database) -> None:
    clock = HandClock()
    here = await opened(database, clock)
    key_id, key = await here.create_key("slow")
    assert await code_of(here, key) is None
    revoked_at_ms = int(clock.now() * 1000)
    for _ in range(20):
        clock.move(1)
        await here.refresh()

    await AccountStore(database).revoke_key(key_id, revoked_at_ms)
    await here.refresh()

    assert here.known(bearer(key)) is None
    assert await code_of(here, key) == "invalid_api_key"


async def test_a_key_revoked_while_it_is_looked_up_is_not_believed(database: Database) -> None:
    clock = HandClock()

    class SlowStore(AccountStore):
        async def find_key(self, key_hash: bytes) -> KeyRow | None:
            found = await super().find_key(key_hash)
            if found is not None and found.revoked_at_ms is None:
                await accounts.revoke_key(found.id)
            return found

    accounts = Accounts(SlowStore(database), clock, None)
    await accounts.load()
    _, key = await accounts.create_key("racing")

    assert await code_of(accounts, key) == "invalid_api_key"
    assert accounts.known(bearer(key)) is None


async def test_only_the_usual_spelling_of_a_header_is_kept(database: Database) -> None:
    accounts = await opened(database, HandClock())
    session = await accounts.create_session("u1", None, 60, is_anonymous=False)

    for blanks in range(1, 50):
        await accounts.identify(b"Bearer" + b" " * blanks + session.token.encode())
    await accounts.identify(b"bearer " + session.token.encode())

    assert list(accounts._known) == [bearer(session.token)]


async def test_what_was_revoked_is_forgotten_when_it_has_expired(database: Database) -> None:
    clock = HandClock()
    accounts = await opened(database, clock)
    for _ in range(5):
        session = await accounts.create_session("u1", None, 60, is_anonymous=False)
        await accounts.revoke_session(session.id)
    assert len(accounts._revoked) == 5

    clock.move(3601)
    await accounts.refresh()

    assert accounts._revoked == set()
