"""Whether a database's tables are those of this version, and how the server gets them there.

The server never imports Alembic (40 MB, half a second): it looks at the revision by hand and starts
`python -m frontdesk.storage.migrate` only where that is not the newest.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from frontdesk.storage.errors import MigrationFailed
from frontdesk.storage.sqlite_connection import path_of

HEAD = "0009"
"""The newest revision; a test holds it to Alembic's."""

_QUERY = "SELECT version_num FROM alembic_version"
_TIMEOUT_S = 10.0
_MIGRATION_TIMEOUT_S = 600.0


async def migrate_in_child(url: str) -> None:
    """Bring the tables to this version. Quick where they are already.

    Raises MigrationFailed, with what the migration said. Safe in several processes at once.
    """
    if await revision_of(url) == HEAD:
        return
    # By its input, not as an argument: a list of processes would show the password.
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "frontdesk.storage.migrate",
        "-",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_MIGRATION_TIMEOUT_S):
            _, words = await child.communicate(url.encode())
    except BaseException:
        child.kill()
        await child.wait()
        raise
    if child.returncode != 0:
        raise MigrationFailed(words.decode(errors="replace").strip() or "The migration was ended.")


async def revision_of(url: str) -> str | None:
    """The revision of a database's tables; None where it has none or cannot be asked."""
    if url.startswith("sqlite:"):
        return await asyncio.to_thread(_revision_of_file, path_of(url))
    from frontdesk.storage.postgresql_connection import ask  # noqa: PLC0415 - asyncpg is an extra

    return await ask(url, _QUERY, _TIMEOUT_S)


def _revision_of_file(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=_TIMEOUT_S)) as connection:
            row = connection.execute(_QUERY).fetchone()
    except sqlite3.Error:  # no such table, or no such database: the migration says which
        return None
    return None if row is None else row[0]
