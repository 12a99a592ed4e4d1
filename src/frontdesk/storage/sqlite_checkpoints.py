"""Checkpoints: moving what the write-ahead log (WAL) holds into the SQLite file, beside the writer.

A passive checkpoint copies while others write, and the writer starts the log over once all of it
was copied. Under writes that never pause it never is; then the gate holds the writer back for the
few milliseconds that the rest takes. The log keeps its length when it starts over, because a commit
that does not lengthen a file costs two thirds of one that does; only a very long one is cut off.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from frontdesk.storage.sqlite_connection import describe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckpointPlan:
    """When to look, from how many pages on to hold the writer back, and what log is cut off."""

    interval_s: float = 1.0
    restart_pages: int = 4_000  # 16 MB
    truncate_bytes: int = 64_000_000


class SqliteCheckpoints:
    """A thread that makes checkpoints while there is something to copy."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        gate: threading.Lock,
        rows_written: Callable[[], int],
        plan: CheckpointPlan,
    ) -> None:
        self._connection = connection
        self._wal = path.with_name(f"{path.name}-wal")
        self._gate = gate
        self._rows_written = rows_written
        self._plan = plan
        self._stop = threading.Event()
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; blocks until a checkpoint that is under way has ended."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        rows_copied = 0
        while not self._stop.wait(self._plan.interval_s):
            rows = self._rows_written()
            if rows != rows_copied and self._checkpoint():
                rows_copied = rows

    def _checkpoint(self) -> bool:
        """Whether all was copied that the log held when this began."""
        try:
            pages, copied = self._copy("PASSIVE")
            if pages >= self._plan.restart_pages:
                with self._gate:
                    pages, copied = self._copy("TRUNCATE" if self._is_very_long() else "RESTART")
        except sqlite3.Error as error:
            # The log still holds everything: the next attempt copies it again.
            if self.failure is None:
                _log.error("checkpoint_failed error=%s", describe(error))
            self.failure = f"SQLite could not copy its log: {describe(error)}."
            return False
        self.failure = None
        return pages == copied

    def _copy(self, mode: str) -> tuple[int, int]:
        _is_blocked, pages, copied = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return pages, copied

    def _is_very_long(self) -> bool:
        with contextlib.suppress(OSError):
            return self._wal.stat().st_size > self._plan.truncate_bytes
        return False
