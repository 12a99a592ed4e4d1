"""Bring a database's tables to this version: `python -m frontdesk.storage.migrate URL`.

`-` reads the URL from the input. Everything happens in one transaction, and one process does it at
a time: on SQLite under the lock that a server holds as well, on PostgreSQL under an advisory lock.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from frontdesk.storage.errors import AlreadyServed, StorageError
from frontdesk.storage.file_lock import FileLock
from frontdesk.storage.sqlite_connection import create_privately, path_of

_LOCK_TIMEOUT_S = 30.0
_LOCK_PAUSE_S = 0.05
# Any number that nothing else locks: "frontdesk" in ASCII, cut to 63 bits.
_ADVISORY_LOCK = int.from_bytes(b"frontdes", "big")


def main() -> None:
    """Run as a program: exits with 1 and one message where it fails."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m frontdesk.storage.migrate URL")
    url = sys.stdin.read().strip() if sys.argv[1] == "-" else sys.argv[1]
    try:
        migrate(url)
    except CommandError as error:
        sys.exit(f"The tables are not those of this version or an older one: {error}")
    except (StorageError, OSError, SQLAlchemyError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def migrate(url: str) -> None:
    """Bring the tables to the newest revision. Blocks. Safe in several processes at once."""
    if url.startswith("sqlite:"):
        _migrate_sqlite(path_of(url))
    else:
        asyncio.run(_migrate_postgresql(url))


def alembic_config() -> Config:
    """What Alembic needs to know; there is no file of it."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def upgrade(connection: sa.Connection) -> None:
    """Run the missing revisions on a connection that has begun a transaction."""
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _migrate_sqlite(path: Path) -> None:
    lock = _lock(path)
    try:
        create_privately(path)
        engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S, isolation_level=None),
            poolclass=sa.NullPool,
        )
        # The module itself begins no transaction for DDL; a migration must be whole or not at all.
        event.listen(engine, "begin", _begin_immediate)
        with engine.begin() as connection:
            upgrade(connection)
    finally:
        lock.release()


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lock(path: Path) -> FileLock:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            return FileLock.acquire(path)
        except AlreadyServed:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOCK_PAUSE_S)


async def _migrate_postgresql(url: str) -> None:
    from frontdesk.storage.postgresql_connection import connect_driver  # noqa: PLC0415 - asyncpg is an extra

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect_driver(url, _LOCK_TIMEOUT_S), poolclass=sa.NullPool
    )
    async with engine.begin() as connection:
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        await connection.run_sync(upgrade)


if __name__ == "__main__":
    main()
