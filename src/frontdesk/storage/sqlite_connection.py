"""Raw SQLite connections, set up as Frontdesk wants them, and what their errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from frontdesk.storage.errors import ConstraintViolated, StatementFailed, StorageBusy, StorageError, StorageFailed

# These end the whole transaction and may pass: https://www.sqlite.org/rescode.html.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
# After these the connection cannot be trusted any more.
_FINAL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def _itself(value: Any) -> Any:
    return value


# The driver asks values of all types that it has no adapter for how they would be stored, which costs it more than
# storing them.
sqlite3.register_adapter(type(None), _itself)
sqlite3.register_adapter(bytes, _itself)
sqlite3.register_adapter(bool, int)


def path_of(url: str) -> Path:
    """The file of `sqlite:///path`. Raises StorageFailed for what is no file."""
    path = url.removeprefix("sqlite://").removeprefix("/")
    if not url.startswith("sqlite:///") or not path or path.startswith(":") or "?" in path:
        raise StorageFailed(f"{url!r} names no SQLite file. Use sqlite:///path or sqlite:////absolute/path.")
    return Path(path)


def connect_writer(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a connection that commits durably (`synchronous=FULL`) and leaves checkpoints to others."""
    connection = _connect(path, busy_timeout_s)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA foreign_keys = ON")
    # In kB. It fills up within minutes, and what is hot is the end of a few indexes; the system caches the file.
    connection.execute("PRAGMA cache_size = -4000")
    return connection


def connect_reader(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = _connect(path, busy_timeout_s)
    connection.execute("PRAGMA query_only = ON")
    return connection


def create_privately(path: Path) -> None:
    """Create the file, for its owner only: it holds the secret that signs session tokens.

    SQLite gives the log beside it the same rights.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, cached_statements=512
    )


def is_final(error: Exception) -> bool:
    """Whether the file or the disk is broken, so that nothing more may be written."""
    return _primary_code(error) in _FINAL


def ends_transaction(error: Exception) -> bool:
    """Whether the error is no fault of the statement that met it, but strikes all of its neighbours."""
    return _primary_code(error) in _FINAL | _PASSING


def translate(error: Exception) -> StorageError:
    """Say an engine's error in the words of `errors`."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolated(str(error))
    if is_final(error):
        return StorageFailed(f"SQLite cannot write any more: {describe(error)}. Restart once the disk is well.")
    if ends_transaction(error):
        return StorageBusy(f"SQLite cannot write now: {describe(error)}.")
    return StatementFailed(f"{type(error).__name__}: {error}")


def describe(error: Exception) -> str:
    """An error with SQLite's name for it."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return f"{error} ({name})"


def _primary_code(error: Exception) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
