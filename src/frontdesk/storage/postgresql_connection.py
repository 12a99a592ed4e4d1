"""asyncpg: what we use of it, how its pool is set up, and what its errors mean."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, Protocol, TypeVar, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none; the protocols below stand in

from frontdesk.storage.database import StorageLimits
from frontdesk.storage.errors import (
    ConstraintViolated,
    OutcomeUnknown,
    StatementFailed,
    StorageError,
    StorageFailed,
)
from frontdesk.storage.lanes import Entry, Results
from frontdesk.storage.query import BoundStep, Query, Row, Work, bind_work

T = TypeVar("T")

_asyncpg = cast("Any", asyncpg)


class Connection(Protocol):
    """The part of asyncpg's connection that is used here; it has no types of its own."""

    async def execute(self, query: str, *values: object) -> str:
        """Run a statement; without values it may be several."""
        ...

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """Run a statement for each set of values, in one go."""
        ...

    async def fetch(self, query: str, *values: object) -> list[Iterable[Any]]:
        """Run a statement and return its rows."""
        ...

    async def fetchval(self, query: str, *values: object) -> Any:
        """Run a statement and return the first column of its first row."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...


class Pool(Protocol):
    """The part of asyncpg's pool that is used here."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Borrow a connection."""
        ...

    async def close(self) -> None:
        """Close all connections, when they have come back."""
        ...

    def terminate(self) -> None:
        """Close all connections now."""
        ...


async def connect_driver(url: str, timeout_s: float) -> Any:
    """Open one connection of asyncpg's own type, for SQLAlchemy. The caller closes it."""
    return await _asyncpg.connect(_dsn(url), timeout=timeout_s)


async def ask(url: str, query: str, timeout_s: float) -> Any:
    """Ask one question on a connection of its own. None where there is no answer to it.

    Raises StorageFailed where the server cannot be reached.
    """
    try:
        connection = cast("Connection", await connect_driver(url, timeout_s))
    except Exception as error:
        raise StorageFailed(f"PostgreSQL cannot be reached: {describe(error)}.") from error
    try:
        return await connection.fetchval(query)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()


async def connect_pool(url: str, limits: StorageLimits) -> Pool:
    """Open a pool. Raises StorageFailed where the server cannot be reached."""
    try:
        return cast(
            "Pool",
            await _asyncpg.create_pool(
                _dsn(url),
                min_size=1,
                max_size=limits.connections,
                timeout=limits.connect_timeout_s,
                command_timeout=limits.statement_timeout_s + 1,
                reset=_keep_as_is,
                server_settings={
                    "application_name": "frontdesk",
                    "statement_timeout": _milliseconds(limits.statement_timeout_s),
                    "idle_in_transaction_session_timeout": _milliseconds(limits.statement_timeout_s * 2),
                },
            ),
        )
    except Exception as error:
        raise StorageFailed(f"PostgreSQL cannot be reached: {describe(error)}.") from error


def _dsn(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def _keep_as_is(_connection: object) -> None:
    """Save the round trip of asyncpg's own reset: nothing here outlives a transaction (`SET LOCAL`)."""


# --- running ------------------------------------------------------------------------------------


class Progress(Enum):
    """How far a transaction has come."""

    OPEN = "open"
    COMMITTING = "committing"
    COMMITTED = "committed"


class Transaction:
    """One transaction on a borrowed connection, and how far it came."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.progress = Progress.OPEN
        self.results: Results = []

    async def run(self, steps: Sequence[BoundStep]) -> None:
        """Run the steps and commit."""
        if len(steps) == 1:
            # A statement alone is a transaction: one round trip instead of three.
            self.progress = Progress.COMMITTING
            self.results = [await _run(self._connection, steps[0])]
            self.progress = Progress.COMMITTED
        else:
            await self.run_together(steps)

    async def run_together(self, steps: Sequence[BoundStep], begin: str = "BEGIN") -> None:
        """Run the steps and commit. `begin` may do more than begin."""
        async with self._begun(begin):
            for step in steps:
                self.results.append(await _run(self._connection, step))

    async def run_work(self, entry: Entry, work: Work[T]) -> T:
        """Run an entry's work, which makes its steps as it goes, and commit."""
        told: list[Any] = []
        async with self._begun("BEGIN"):
            result = await self._drive(work, told)
        entry.told = told
        return result

    @contextlib.asynccontextmanager
    async def _begun(self, begin: str) -> AsyncGenerator[None]:
        try:
            await self._connection.execute(begin)
            yield
        except BaseException:
            with contextlib.suppress(Exception):  # the failure that led here says what is wrong
                await self._connection.execute("ROLLBACK")
            raise
        self.progress = Progress.COMMITTING
        await self._connection.execute("COMMIT")
        self.progress = Progress.COMMITTED

    async def _drive(self, work: Work[T], told: list[Any]) -> T:
        with contextlib.closing(bind_work(work, Query.for_postgresql, told)) as steps:
            try:
                step = next(steps)
                while True:
                    step = steps.send(await _run(self._connection, step))
            except StopIteration as end:
                return end.value


async def _run(connection: Connection, step: BoundStep) -> list[Row]:
    if step.is_many:
        await connection.executemany(step.sql, step.values)
        return []
    return [tuple(record) for record in await connection.fetch(step.sql, *step.values)]


# --- errors -------------------------------------------------------------------------------------

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html.
_CONSTRAINT = "23"
# Connections, resources, shutdown, disk; and what a change of passwords, databases or sessions brings.
_SERVER_TROUBLE = ("08", "53", "57P", "58", "XX", "28", "3D", "25P03", "25P04")
# Serialization, deadlock, lock, time-out.
_CONTENTION = frozenset({"40001", "40P01", "55P03", "57014"})


class Verdict(Enum):
    """What an error calls for."""

    TRY_LATER = "the server is away or in trouble"
    TRY_AGAIN = "others were in the way; a moment later it may work"
    FINAL = "the statement or its values are wrong"


def judge(error: Exception) -> Verdict:
    """Say what an error calls for."""
    code = _code(error)
    if code in _CONTENTION or isinstance(error, asyncpg.InvalidCachedStatementError):
        return Verdict.TRY_AGAIN
    if code is not None:
        return Verdict.TRY_LATER if code.startswith(_SERVER_TROUBLE) else Verdict.FINAL
    if isinstance(error, asyncpg.InterfaceError):
        return Verdict.TRY_LATER if _was_not_sent(error) else Verdict.FINAL
    if isinstance(error, (ValueError, TypeError, OverflowError)):
        return Verdict.FINAL
    return Verdict.TRY_LATER


def translate(error: Exception, progress: Progress = Progress.OPEN) -> StorageError:
    """Say an engine's error in the words of `errors`."""
    if isinstance(error, StorageError):
        return error
    code = _code(error)
    if code is not None and code.startswith(_CONSTRAINT):
        return ConstraintViolated(describe(error))
    verdict = judge(error)
    if verdict is Verdict.FINAL:
        return StatementFailed(describe(error))
    if verdict is Verdict.TRY_LATER and progress is Progress.COMMITTING and not _was_not_sent(error):
        return OutcomeUnknown(f"PostgreSQL went away while committing: {describe(error)}.")
    return StorageFailed(f"PostgreSQL cannot do this now: {describe(error)}.")


def uneven(pause_s: float) -> float:
    """A pause of about this length: two that were in each other's way must not meet again."""
    return pause_s * (0.5 + random.random())  # noqa: S311 - no secret


def describe(error: Exception) -> str:
    """An error without its details, which hold values of rows."""
    words = str(error.args[0]) if error.args else ""
    kind = _code(error) or type(error).__name__
    return f"{words} ({kind})" if words else kind


def _was_not_sent(error: Exception) -> bool:
    """Whether the connection was found to be gone before anything was sent."""
    return isinstance(error, asyncpg.InterfaceError) and ("closed" in str(error) or "released" in str(error))


def _code(error: Exception) -> str | None:
    code: object = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    return code if isinstance(code, str) else None
