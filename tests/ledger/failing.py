"""A database whose transactions fail as storage fails: before, or in a commit that nobody hears of."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from enum import Enum
from typing import Any, TypeVar

from frontdesk.storage.database import Database
from frontdesk.storage.errors import OutcomeUnknown, StorageBusy
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Row, Step, Work

T = TypeVar("T")


class Failure(Enum):
    """What happens to a transaction."""

    AWAY = "nothing is stored"
    LOST = "it broke in the commit, and is not stored"
    STORED = "it broke in the commit, and is stored"
    STORED_UNSEEN = "it broke in the commit, is stored, and the storage itself runs it again"


class FailingDatabase:
    """Fails the next transactions as `failures` say, one each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.failures: deque[Failure] = deque()
        self.is_away = False
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def next(self, *failures: Failure | None) -> None:
        """Let the next transactions fail so, and none after them."""
        self.failures = deque(failure for failure in failures if failure is not None)

    async def transact(self, work: Work[T], lane: Lane = Lane.MONEY, **options: Any) -> T:
        self.tries += 1
        failure = Failure.AWAY if self.is_away else self.failures.popleft() if self.failures else None
        if failure is Failure.AWAY:
            raise StorageBusy("The disk is full.")
        if failure is Failure.LOST:
            raise OutcomeUnknown("It went away while committing.")
        if failure is None:
            return await self._database.transact(work, lane, **options)
        await self._database.transact(work, lane, **options)
        if failure is Failure.STORED:
            raise OutcomeUnknown("It went away while committing.")
        return await self._database.transact(work, lane, **options)


class CountingRuns:
    """Counts transactions, and how often their code was run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transactions = self.runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def transact(self, work: Work[T], lane: Lane = Lane.MONEY, **options: Any) -> T:
        self.transactions += 1

        def counted() -> Generator[Step, list[Row], T]:
            self.runs += 1
            return work()

        return await self._database.transact(counted, lane, **options)
