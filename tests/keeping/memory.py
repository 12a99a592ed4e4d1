"""A database in memory whose transactions fail as a test says: real SQL of the real tables, in no time."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from frontdesk.storage.errors import OutcomeUnknown, StatementFailed, StorageBusy
from frontdesk.storage.lanes import Heard, Lane, Results, nobody_heard
from frontdesk.storage.query import NOTHING, BoundStep, Parameters, Query, Row, Step, Work, bind_work
from frontdesk.storage.tables import metadata

T = TypeVar("T")
_TABLES = (
    "process",
    "person",
    "response",
    "response_text",
    "response_event",
    "idempotency_key",
    "conversation",
    "conversation_branch",
    "conversation_item",
    "change",
    "sync_head",
)
_SCHEMA = ";".join(str(CreateTable(metadata.tables[name]).compile(dialect=sqlite.dialect())) for name in _TABLES)


class Fate(Enum):
    """What happens to a transaction."""

    STORED = "it is stored"
    AWAY = "nothing is stored"
    LOST = "it broke in the commit, and is not stored"
    UNSEEN = "it broke in the commit, and is stored"
    REFUSED = "it can never be stored"


def nothing_happens() -> Fate:
    return Fate.STORED


class MemoryDatabase:
    """Transactions come one after the other, each as `fate` says, after `takes_s`."""

    failure = None
    lost_writes = dropped_writes = 0

    def __init__(self, fate: Callable[[], Fate] = nothing_happens, *, is_alone: bool = True) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)
        self._gate = asyncio.Lock()
        self.is_alone = is_alone
        self.fate = fate
        self.takes_s = 0.0
        self.transactions = 0
        self.heard: Heard = nobody_heard

    async def read(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        await asyncio.sleep(0)
        return self.look(query, parameters)

    def look(self, query: Query, parameters: Parameters = NOTHING) -> list[Row]:
        """What is there now."""
        compiled = query.for_sqlite()
        return self._connection.execute(compiled.sql, compiled.bind(parameters)).fetchall()

    async def write(self, *steps: Step, lane: Lane = Lane.MONEY) -> Results:
        def work() -> Generator[Step, list[Row], Results]:
            results: Results = []
            for step in steps:
                results.append((yield step))
            return results

        return await self.transact(work, lane)

    def transact(self, work: Work[T], lane: Lane = Lane.MONEY, **options: Any) -> asyncio.Future[T]:
        # As with a real one, who is cancelled does not cancel it.
        return asyncio.shield(asyncio.ensure_future(self._transact(work)))

    async def _transact(self, work: Work[T]) -> T:
        async with self._gate:
            self.transactions += 1
            fate = self.fate()
            await asyncio.sleep(self.takes_s)
            if fate is Fate.AWAY:
                raise StorageBusy("The disk is full.")
            if fate is Fate.REFUSED:
                raise StatementFailed("No such column.")
            done = self._run(work, commits=fate is not Fate.LOST)
            await asyncio.sleep(0)
            if fate in {Fate.LOST, Fate.UNSEEN}:
                raise OutcomeUnknown("It went away while committing.")
            return done

    def _run(self, work: Work[T], *, commits: bool) -> T:
        self._connection.execute("BEGIN")
        told: list[Any] = []
        try:
            with contextlib.closing(bind_work(work, Query.for_sqlite, told)) as steps:
                try:
                    step = next(steps)
                    while True:
                        step = steps.send(self._step(step))
                except StopIteration as end:
                    done = end.value
        except Exception:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT" if commits else "ROLLBACK")
        if commits and told:
            self.heard(told)
        return done

    def _step(self, step: BoundStep) -> list[Row]:
        if step.is_many:
            self._connection.executemany(step.sql, step.values)
            return []
        return self._connection.execute(step.sql, step.values).fetchall()

    def enqueue(self, *steps: Step, lane: Lane = Lane.EVENTS) -> None:
        raise NotImplementedError

    def enqueue_rows(self, query: Query, rows: Sequence[Parameters], lane: Lane = Lane.EVENTS) -> None:
        raise NotImplementedError

    async def flush(self) -> None: ...

    async def close(self) -> None:
        self._connection.close()


def turning(fates: Sequence[Fate]) -> Callable[[], Fate]:
    """These, one after the other, and then all is well."""
    left: list[Any] = list(fates)
    return lambda: left.pop(0) if left else Fate.STORED
