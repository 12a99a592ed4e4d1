"""Migrations bring an empty database to the tables, once, whoever else tries at the same time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from frontdesk.storage.database import open_database
from frontdesk.storage.errors import MigrationFailed, StorageFailed
from frontdesk.storage.migrate import alembic_config
from frontdesk.storage.schema import HEAD, migrate_in_child, revision_of
from frontdesk.storage.tables import metadata
from tests.engines import PostgresqlServer


@pytest.fixture
async def empty_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database without tables."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    await run_on(server.url(), "CREATE DATABASE empty")
    yield server.url("empty")
    await run_on(server.url(), "DROP DATABASE empty WITH (FORCE)")


async def run_on(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_the_migrated_tables_are_those_of_the_code(empty_url: str):
    await migrate_in_child(empty_url)

    assert await inspected(empty_url, _differences) == []
    assert await revision_of(empty_url) == HEAD


async def test_the_fixtures_have_the_tables_of_the_code(database_url: str):
    assert await inspected(database_url, _differences) == []
    assert await revision_of(database_url) == HEAD


async def test_several_processes_may_migrate_at_once(empty_url: str):
    await asyncio.gather(*(migrate_in_child(empty_url) for _ in range(4)))

    assert await inspected(empty_url, _differences) == []


async def test_migrating_again_keeps_what_is_there(empty_url: str):
    await migrate_in_child(empty_url)
    await inspected(empty_url, lambda connection: connection.execute(sa.text(_ADD_SETTING)))
    await migrate_in_child(empty_url)
    await _migrate_as_a_program(empty_url)

    rows = await inspected(empty_url, lambda connection: connection.execute(sa.text("SELECT name FROM setting")).all())
    assert rows == [("kept",)]


async def test_tables_of_a_newer_version_are_refused(empty_url: str):
    await migrate_in_child(empty_url)
    await inspected(empty_url, lambda connection: connection.execute(sa.text(_FROM_THE_FUTURE)))

    with pytest.raises(MigrationFailed, match="9999"):
        await migrate_in_child(empty_url)


async def test_a_migrated_database_opens(empty_url: str):
    await migrate_in_child(empty_url)
    database = await open_database(empty_url)

    assert database.failure is None
    await database.close()


async def test_a_failure_is_told(tmp_path: Path):
    with pytest.raises(MigrationFailed, match="missing"):
        await migrate_in_child(f"sqlite:///{tmp_path}/missing/frontdesk.db")
    with pytest.raises(StorageFailed, match="PostgreSQL cannot be reached"):
        await migrate_in_child("postgresql://nobody@/nowhere?host=/nonexistent")


def test_the_address_may_come_by_the_input(tmp_path: Path):
    """Among the arguments, a list of processes would show its password."""
    url = f"sqlite:///{tmp_path}/empty.db"
    program = [sys.executable, "-m", "frontdesk.storage.migrate", "-"]

    subprocess.run(program, input=url, text=True, check=True)

    assert asyncio.run(revision_of(url)) == HEAD


def test_the_newest_revision_is_known_without_alembic():
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_the_server_does_not_import_alembic():
    modules = "frontdesk.storage.schema, frontdesk.storage.sqlite, frontdesk.storage.postgresql"
    program = f"import sys, {modules}; sys.exit('alembic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Without a default for `value`, in bytes that both engines read.
_ADD_SETTING = "INSERT INTO setting (tenant, name, value) VALUES ('default', 'kept', 'x')"
_FROM_THE_FUTURE = "UPDATE alembic_version SET version_num = '9999'"


async def _migrate_as_a_program(url: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "frontdesk.storage.migrate", url)
    assert await child.wait() == 0


def _differences(connection: sa.Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), metadata)


async def inspected(url: str, look: Callable[[sa.Connection], Any]) -> Any:
    """Look at a database through SQLAlchemy, in a transaction that is committed."""
    if url.startswith("sqlite:"):
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            return look(connection)
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=sa.NullPool
    )
    async with engine.begin() as connection:
        return await connection.run_sync(look)
