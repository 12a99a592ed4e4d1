"""Group commit: what waits is written in one transaction, and one fsync pays for all of it.

A group first runs plainly. One failed statement is undone by SQLite itself; where an entry of
several statements fails, the group is rolled back and run again with a savepoint around each, so
that the entry at fault fails alone. That is rare, so the savepoints (3 µs each) are not paid always.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from frontdesk.storage.errors import OutcomeUnknown, StorageError, StorageFailed
from frontdesk.storage.lanes import Entry, Lane
from frontdesk.storage.query import BoundStep, Query, Row, Work, bind_work
from frontdesk.storage.side_thread import Leave
from frontdesk.storage.sqlite_connection import describe, ends_transaction, is_final, translate


@dataclass(slots=True)
class Outcome:
    """What became of a group: each of its entries is in exactly one of these places.

    Where `failure` is set nothing was stored, and `unwritten` holds all entries.
    """

    stored: list[tuple[Entry, Any]] = field(default_factory=list[tuple[Entry, Any]])
    refused: list[tuple[Entry, StorageError]] = field(default_factory=list[tuple[Entry, StorageError]])
    unwritten: list[Entry] = field(default_factory=list[Entry])
    failure: StorageFailed | None = None
    is_final: bool = False


T = TypeVar("T")


class _NeedsIsolation(Exception):
    """An entry of several statements failed half-way through."""


class SqliteWriter:
    """Writes groups. `write_group` belongs to one thread at a time.

    `gate` is held while a transaction is open; who else needs the database to itself takes it.
    """

    def __init__(self, connection: sqlite3.Connection, gate: threading.Lock, bulk_slice_s: float) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._gate = gate
        self._bulk_slice_s = bulk_slice_s
        self.rows_written = 0

    def write_group(self, entries: Sequence[Entry], leave: Leave) -> Outcome:
        """Write the entries in order, durably. Calls `leave` when only the commit is left to do."""
        with self._gate:
            try:
                return self._try(entries, self._run_plainly, leave)
            except _NeedsIsolation:
                self._roll_back()
                return self._try(entries, self._run_isolated, leave)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _try(self, entries: Sequence[Entry], run: Callable[[Entry], Any], leave: Leave) -> Outcome:
        outcome = Outcome()
        is_committing = False
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
            self._run_all(entries, run, outcome)
            leave()
            is_committing = True
            self._connection.commit()
        except _NeedsIsolation:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the entries must hear of it
            self._roll_back()
            return _failed(entries, error, is_committing=is_committing)
        self.rows_written += sum(entry.rows for entry, _ in outcome.stored)
        return outcome

    def _run_all(self, entries: Sequence[Entry], run: Callable[[Entry], Any], outcome: Outcome) -> None:
        slice_ends = time.monotonic() + self._bulk_slice_s
        for place, entry in enumerate(entries):
            if entry.lane is Lane.BULK and place and time.monotonic() >= slice_ends:
                outcome.unwritten.extend(entries[place:])
                return
            try:
                outcome.stored.append((entry, run(entry)))
            except _NeedsIsolation:
                raise
            except Exception as error:
                if ends_transaction(error) or not self._connection.in_transaction:
                    raise
                outcome.refused.append((entry, translate(error)))

    def _run_plainly(self, entry: Entry) -> Any:
        try:
            return self._run(entry)
        except Exception as error:
            if entry.is_simple or ends_transaction(error):
                raise
            raise _NeedsIsolation from error

    def _run_isolated(self, entry: Entry) -> Any:
        self._cursor.execute("SAVEPOINT entry")
        try:
            results = self._run(entry)
        except Exception:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK TO entry")
                self._cursor.execute("RELEASE entry")
            raise
        self._cursor.execute("RELEASE entry")
        return results

    def _run(self, entry: Entry) -> Any:
        return [self._step(step) for step in entry.steps] if entry.work is None else self._work(entry, entry.work)

    def _work(self, entry: Entry, work: Work[T]) -> T:
        told: list[Any] = []
        entry.told = told
        steps = bind_work(work, Query.for_sqlite, told)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._step(step))
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    def _step(self, step: BoundStep) -> list[Row]:
        if step.is_many:
            self._cursor.executemany(step.sql, step.values)
            return []
        return self._cursor.execute(step.sql, step.values).fetchall()

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # the failure that led here says what is wrong
            self._connection.rollback()


def _failed(entries: Sequence[Entry], error: Exception, *, is_committing: bool) -> Outcome:
    failure = translate(error)
    if is_committing and is_final(error):
        failure = OutcomeUnknown(f"SQLite could not commit: {describe(error)}. Restart once the disk is well.")
    if not isinstance(failure, StorageFailed):
        failure = StorageFailed(f"SQLite failed unexpectedly: {describe(error)}.")
    return Outcome(unwritten=list(entries), failure=failure, is_final=is_final(error))
