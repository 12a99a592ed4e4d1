"""The one interface to stored rows, whatever the engine.

`write` is a transaction: all of its steps or none, on the disk when it returns. `enqueue` is the
same for what nobody waits for; it cannot fail, block or be cancelled. Both go through a lane:

    MONEY    reservations, settlements, messages: first, always
    EVENTS   what is told afterwards: turns, event logs, statistics
    BULK     what can wait: imports, sweeps; a slice at a time, and the only lane that may drop

Within a lane, what was enqueued is written after everything that the lane took before it. On
SQLite a `write` keeps that order too. On PostgreSQL it starts at once and runs beside others: it
does not wait for what was enqueued before it (`flush` does).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.lanes import Heard, Lane, Results
from frontdesk.storage.query import NOTHING, Parameters, Query, Row, Step, Work

T = TypeVar("T")

FEW_ROWS = 5
"""How many a transaction touches that is about one thing."""


class Database(Protocol):
    """Rows, read and written. Belongs to the event loop that opened it.

    `heard` is told what transactions did as their last (`query.Last`), once they are committed; but not of one whose
    outcome is not known.
    """

    heard: Heard

    @property
    def is_alone(self) -> bool:
        """Whether no other process can serve from this database at the same time."""
        ...

    @property
    def failure(self) -> str | None:
        """Why writes fail just now, in words for an operator; None when all is well.

        On SQLite a disk error is final: a commit whose fsync failed cannot be tried again, because
        the kernel has dropped the pages. Writes are refused until the database is opened anew.
        """
        ...

    @property
    def lost_writes(self) -> int:
        """How many enqueued entries could not be stored. Each was logged."""
        ...

    @property
    def dropped_writes(self) -> int:
        """How many entries of the BULK lane were dropped because too much of it waited."""
        ...

    async def read(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        """Return a select's rows, columns in its order; what was committed before is seen.

        Raises StatementFailed or StorageFailed; the latter also when it takes too long.
        """
        ...

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        """Run the steps as one transaction, and return when it is on the disk.

        Returns the rows of each step, in order; a step that ran for several sets of values has
        none. Steps that lock rows which others want too must do so in one order everywhere
        (sorted keys). A cancelled waiter does not cancel its write.

        Raises ConstraintViolated, StatementFailed or StorageFailed. Nothing is stored then, but
        after OutcomeUnknown it may be.
        """
        ...

    def transact(self, work: Work[T], lane: Lane = Lane.MONEY, *, rows: int = FEW_ROWS) -> asyncio.Future[T]:
        """Run a transaction that looks before it writes, and return what `work` returns when it is on the disk.

        `work` makes a generator that yields steps and is sent their rows. It sees what is committed and no
        other transaction's half; rows that it decides by it must lock (`with_for_update`), in one order
        everywhere. It may be made anew and run again, on any thread, so it must change nothing but through
        its steps, and take no time. `rows` says about how many it touches, so that short ones share a commit.
        A cancelled waiter does not cancel it. Raises as `write`, and WorkFailed where its own code raises:
        nothing is stored then, and nobody else is hurt.
        """
        ...

    def enqueue(self, *steps: Step, lane: Lane = Lane.EVENTS) -> None:
        """Write the steps as one transaction, soon. Never blocks and never raises for storage.

        Where the disk is full or the server away, it is tried again, in order, until it is stored.
        What can never be stored is counted (`lost_writes`) and logged.
        """
        ...

    def enqueue_rows(self, query: Query, rows: Sequence[Parameters], lane: Lane = Lane.EVENTS) -> None:
        """Run a statement for each of some rows that have nothing to do with each other, soon.

        As `enqueue`, but not all or nothing: a row that can never be stored is lost alone.
        """
        ...

    async def flush(self) -> None:
        """Return when everything that was enqueued so far is stored or lost.

        Raises StorageFailed where that cannot be, for now.
        """
        ...

    async def close(self) -> None:
        """Write what was enqueued, then close. May be called twice; nothing may be asked after it."""
        ...


class StorageLimits(msgspec.Struct, frozen=True):
    """How long things may take, and how much may wait."""

    busy_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    statement_timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    patience_s: float = 5.0
    """How long a write goes on trying to reach a PostgreSQL that is away."""
    close_timeout_s: float = 10.0
    linger_s: float = 0.01
    """How long an enqueued entry waits for company."""
    bulk_slice_s: float = 0.005
    bulk_queue_rows: int = 20_000
    connections: int = 10
    head_start_s: float = 0.003
    """How long the event loop waits for SQLite's writer to run a group's statements; see side_thread."""
    loan_after_s: float = 0.001
    """After which time the loop first lends the writer the interpreter during a commit."""


async def open_database(url: str, limits: StorageLimits | None = None) -> Database:
    """Open the database that this process serves from.

    `sqlite:///path` (relative to the working directory), `sqlite:////absolute/path` or
    `postgresql://...`. A SQLite file is this process's own until it is closed: raises AlreadyServed
    where another one has it. The tables must exist (`schema.migrate_in_child`). Raises StorageFailed.
    """
    return await _open(url, limits or StorageLimits(), is_server=True)


async def open_beside(url: str, limits: StorageLimits | None = None) -> Database:
    """Open a database that another process may be serving from, as a command does."""
    return await _open(url, limits or StorageLimits(), is_server=False)


async def flush_for(database: Database, timeout_s: float) -> None:
    """Flush, again and again while the storage fails, but no longer than this."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not await _has_flushed(database):  # noqa: ASYNC110 - nobody tells when a disk has room again
                await asyncio.sleep(_FLUSH_PAUSE_S)


_FLUSH_PAUSE_S = 0.1


async def _has_flushed(database: Database) -> bool:
    try:
        await database.flush()
    except StorageFailed:
        return False
    return True


async def _open(url: str, limits: StorageLimits, *, is_server: bool) -> Database:
    scheme, separator, _ = url.partition("://")
    if scheme == "sqlite" and separator:
        from frontdesk.storage.sqlite import open_sqlite  # noqa: PLC0415 - one engine is enough

        return await open_sqlite(url, limits, is_server=is_server)
    if scheme in {"postgresql", "postgres"} and separator:
        from frontdesk.storage.postgresql import open_postgresql  # noqa: PLC0415 - asyncpg is an extra

        return await open_postgresql(url, limits)
    raise StorageFailed(f"A database of kind {scheme!r} is not known. Use sqlite:///path or postgresql://...")
