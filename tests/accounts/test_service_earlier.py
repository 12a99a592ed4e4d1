"""What an earlier version stored and gave out goes on after its tables were brought to this one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command

from frontdesk.accounts.service import Accounts
from frontdesk.storage.database import open_database
from frontdesk.storage.migrate import alembic_config, migrate
from tests.accounts.opened import bearer, code_of, opened, refusal_of, tier_of
from tests.fakes import HandClock

NOW = 1_800_000_000
SECRET = b"s" * 32


@pytest.fixture
async def accounts(tmp_path: Path) -> AsyncIterator[Accounts]:
    """Accounts on a file that the first version filled."""
    path = tmp_path / "earlier.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    fill(path)
    migrate(f"sqlite:///{path}")
    database = await open_database(f"sqlite:///{path}")
    yield await opened(database, HandClock(NOW))
    await database.close()


def fill(path: Path) -> None:
    connection = sqlite3.connect(path)
    now_ms, later_ms = NOW * 1000, (NOW + 600) * 1000
    connection.execute("INSERT INTO setting VALUES ('default', 'session_signing_secret', ?)", (SECRET,))
    key_hash = hashlib.sha256(b"fd_sk_earlier").digest()
    connection.execute(
        "INSERT INTO app_key VALUES ('default', 'key_1', 'web', 'server', ?, 'lier', ?, NULL)", (key_hash, now_ms)
    )
    connection.execute("INSERT INTO person VALUES ('default', 'u1', 'gold', ?)", (now_ms,))
    connection.execute("INSERT INTO person VALUES ('default', 'anon_1', NULL, ?)", (now_ms,))
    for session_id, person, is_anonymous, revoked_at_ms in (
        ("sess_1", "u1", False, None),
        ("sess_2", "u1", False, now_ms),
        ("sess_3", "anon_1", True, None),
    ):
        connection.execute(
            "INSERT INTO session VALUES ('default', ?, ?, NULL, ?, ?, ?, ?)",
            (session_id, person, is_anonymous, now_ms, later_ms, revoked_at_ms),
        )
    connection.commit()
    connection.close()


def token_of(session_id: str, person: str, tier: str | None = None) -> str:
    claims = msgspec.msgpack.encode([session_id, person, tier, NOW + 600, "default"])
    payload = base64.urlsafe_b64encode(claims).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET, payload, "sha256")).rstrip(b"=")
    return f"fd_st_{payload.decode()}.{mac.decode()}"


async def test_its_sessions_hold_and_those_it_ended_do_not(accounts: Accounts) -> None:
    assert await code_of(accounts, token_of("sess_1", "u1")) is None
    assert await code_of(accounts, token_of("sess_2", "u1")) == "token_revoked"
    assert [row.id for row in await accounts.sessions_of("default", "u1", "", 9)] == ["sess_1"]


async def test_the_tier_of_a_token_is_not_believed_any_more(accounts: Accounts) -> None:
    assert await tier_of(accounts, token_of("sess_1", "u1", "platinum")) == "gold"


async def test_its_sessions_end_as_all_do(accounts: Accounts) -> None:
    one, another = token_of("sess_1", "u1"), token_of("sess_3", "anon_1")
    await accounts.end_session("default", "sess_1")
    assert await code_of(accounts, one) == "token_revoked"
    assert await code_of(accounts, another) is None

    await accounts.end_all_sessions("default")

    assert await code_of(accounts, another) == "token_revoked"


async def test_its_anonymous_people_can_sign_in(accounts: Accounts) -> None:
    token = token_of("sess_3", "anon_1")

    assert await accounts.upgrade(token, "default", "u1") == "anon_1"

    assert await code_of(accounts, token) == "token_revoked"
    assert await refusal_of(accounts.upgrade(token_of("sess_1", "u1"), "default", "u2")) == (400, "not_anonymous")


async def test_its_keys_hold(accounts: Accounts) -> None:
    caller = await accounts.identify(bearer("fd_sk_earlier"))

    assert (caller.role, caller.credential_id, caller.tenant, caller.scopes) == ("server", "key_1", "default", None)
