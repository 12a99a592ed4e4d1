"""A lock file: one process at a time serves from a SQLite file, or changes its tables."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from frontdesk.storage.errors import AlreadyServed


class FileLock:
    """The lock of one database file, held from `acquire` until `release` or the process's end.

    The lock is the kernel's (flock), not the file's existence: a file left behind locks nobody out.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, database: Path) -> FileLock:
        """Lock a database file. Raises AlreadyServed where another process has it."""
        path = database.with_name(f"{database.name}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise AlreadyServed(
                f"{str(database)!r} is in use by process {holder}, which holds {str(path)!r}. "
                "SQLite serves one process: end that one, or use PostgreSQL."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let others have it. The file stays: removing it could remove another one's lock."""
        os.close(self._descriptor)
