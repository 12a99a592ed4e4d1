"""What waits to be written: entries in three lanes, each first in, first out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any

from frontdesk.storage.errors import WorkFailed
from frontdesk.storage.query import BoundStep, Row, Work

_log = logging.getLogger(__name__)

Results = list[list[Row]]

Heard = Callable[[Sequence[Any]], None]
"""Is given what a transaction told of itself, once it is committed; on the event loop."""


def nobody_heard(_: Sequence[Any]) -> None:
    """Nobody listens."""


class Lane(IntEnum):
    """How urgent a write is; `database` tells what belongs where."""

    MONEY = 0
    EVENTS = 1
    BULK = 2


class Entry:
    """One write on its way: its steps, and who waits for it (nobody, where it was enqueued).

    One that `is_divisible` has one step, whose rows have nothing to do with each other. One with `work` makes
    its steps as it goes, about `rows_of_work`; what it returns is its only result, and `told` what it tells others.
    """

    __slots__ = ("future", "is_divisible", "lane", "number", "rows", "steps", "told", "work")

    def __init__(
        self,
        steps: Sequence[BoundStep],
        lane: Lane,
        future: asyncio.Future[Any] | None = None,
        *,
        number: int = 0,
        is_divisible: bool = False,
        work: Work[Any] | None = None,
        rows_of_work: int = 0,
    ) -> None:
        self.steps = steps
        self.lane = lane
        self.future = future
        self.number = number
        self.is_divisible = is_divisible
        self.work = work
        self.rows = rows_of_work
        self.told: Sequence[Any] = ()
        for step in steps:
            self.rows += len(step.values) if step.is_many else 1

    @property
    def is_simple(self) -> bool:
        """Whether one statement does it all: an engine undoes a failed statement by itself."""
        return self.work is None and (len(self.steps) == 0 or (len(self.steps) == 1 and not self.steps[0].is_many))

    def divide(self) -> list[Entry]:
        """An entry for each row; none where it cannot be divided, or not any further."""
        if not self.is_divisible:
            return []
        (step,) = self.steps
        return [Entry([BoundStep(step.sql, row, is_many=False)], self.lane, number=self.number) for row in step.values]

    def succeed(self, results: Any) -> None:
        """Tell who waits, if anybody still does."""
        if self.future is not None and not self.future.done():
            self.future.set_result(results)

    def tell(self, heard: Heard) -> None:
        """Tell others what was committed."""
        if not self.told:
            return
        try:
            heard(self.told)
        except Exception:  # noqa: BLE001 - a bug there must not look like a failure of the storage
            _log.exception("commit_not_heard")

    def fail(self, error: Exception) -> None:
        """Tell who waits, if anybody still does. A fault of our own code is told to the log as well."""
        if isinstance(error, WorkFailed):
            _log.error("transaction_code_failed lane=%s", self.lane.name, exc_info=error)
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)


class Lanes:
    """The three queues. Not for several threads: the event loop alone touches it."""

    def __init__(self, bulk_queue_rows: int) -> None:
        self._waiting: dict[Lane, deque[Entry]] = {lane: deque() for lane in Lane}
        self._rows = dict.fromkeys(Lane, 0)
        self._bulk_queue_rows = bulk_queue_rows
        self._awaited = 0

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for an entry."""
        return self._awaited > 0

    @property
    def rows(self) -> int:
        """How many rows wait in all lanes."""
        return sum(self._rows.values())

    def has(self, lane: Lane) -> bool:
        """Whether something waits in this lane."""
        return bool(self._waiting[lane])

    def add(self, entry: Entry) -> bool:
        """Put an entry last in its lane; False where it is BULK that nobody awaits, and too much."""
        is_too_much = self._rows[Lane.BULK] + entry.rows > self._bulk_queue_rows
        if entry.lane is Lane.BULK and entry.future is None and is_too_much:
            return False
        self._waiting[entry.lane].append(entry)
        self._count(entry, 1)
        return True

    def take(self, lane: Lane, rows: int) -> list[Entry]:
        """Take entries from the front until they hold `rows`; the last one may exceed it."""
        queue = self._waiting[lane]
        taken: list[Entry] = []
        while queue and rows > 0:
            entry = queue.popleft()
            self._count(entry, -1)
            rows -= entry.rows
            taken.append(entry)
        return taken

    def take_all(self) -> list[Entry]:
        """Take everything, most urgent first."""
        return [entry for lane in Lane for entry in self.take(lane, self._rows[lane] + 1)]

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Put entries, given in order, back in front of their lanes."""
        for entry in reversed(list(entries)):
            self._waiting[entry.lane].appendleft(entry)
            self._count(entry, 1)

    def _count(self, entry: Entry, sign: int) -> None:
        self._rows[entry.lane] += sign * entry.rows
        if entry.future is not None:
            self._awaited += sign
