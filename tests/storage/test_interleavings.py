"""Any interleaving of writes, enqueued writes, failures and cancelled waiters ends as a model says.

The model: each operation adds two rows of its own, or none where one of its steps fails. What a
lane keeps in order (all that is enqueued; on SQLite its writes too) is written down in a journal
row of the lane by the operations themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import ConstraintViolated
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Step
from tests.storage.notes import ADD, APPEND, CLEAR, CREATE, LIST, note


@dataclass(frozen=True)
class Operation:
    is_awaited: bool
    lane: Lane
    fails_at: int | None  # which of its steps violates a constraint
    is_many: bool
    is_cancelled: bool
    pauses: int  # turns of the loop before the next operation


OPERATIONS = st.builds(
    Operation,
    is_awaited=st.booleans(),
    lane=st.sampled_from(Lane),
    fails_at=st.sampled_from([None, None, None, 0, 1, 2]),
    is_many=st.booleans(),
    is_cancelled=st.booleans(),
    pauses=st.integers(0, 3),
)


@pytest.fixture
async def notes(database_url: str):
    # Opened here, not by the fixture of all: one database serves many examples.
    database = await open_database(database_url)
    await database.write(Step(CREATE))
    yield database
    await database.close()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(operations=st.lists(OPERATIONS, max_size=25))
async def test_interleavings_end_as_the_model_says(notes: Database, operations: list[Operation]):
    lost_before = notes.lost_writes
    await notes.write(Step(CLEAR), Step(ADD, [note(_journal_of(lane), "") for lane in Lane]))

    outcomes = await _perform(notes, operations)
    await notes.flush()

    model = _Model(operations, keeps_writes_in_order=notes.is_alone)
    assert await notes.read(LIST) == model.rows()
    assert outcomes == model.outcomes()
    assert notes.lost_writes - lost_before == model.lost()


async def _perform(database: Database, operations: list[Operation]) -> list[object]:
    """Returns the kind of each operation's outcome."""
    waiting: list[asyncio.Task[object] | None] = []
    for number, operation in enumerate(operations, start=1):
        steps = _steps(number, operation, is_journalled=not operation.is_awaited or database.is_alone)
        if operation.is_awaited:
            task = asyncio.create_task(database.write(*steps, lane=operation.lane))
            await asyncio.sleep(0)
            if operation.is_cancelled:
                task.cancel()
            waiting.append(task)
        else:
            database.enqueue(*steps, lane=operation.lane)
            waiting.append(None)
        for _ in range(operation.pauses):
            await asyncio.sleep(0)
    outcomes = await asyncio.gather(*(task for task in waiting if task is not None), return_exceptions=True)
    kinds = iter([type(outcome) for outcome in outcomes])
    return [None if task is None else next(kinds) for task in waiting]


def _steps(number: int, operation: Operation, *, is_journalled: bool) -> list[Step]:
    first, second = note(number * 10, "first"), note(number * 10 + 1, "second")
    steps = [Step(ADD, [first, second])] if operation.is_many else [Step(ADD, first), Step(ADD, second)]
    if is_journalled:
        steps.append(Step(APPEND, {"of_id": _journal_of(operation.lane), "more": f"{number} "}))
    if operation.fails_at is not None:
        steps.insert(min(operation.fails_at, len(steps)), Step(ADD, note(number * 10 + 2, "forbidden")))
    return steps


def _journal_of(lane: Lane) -> int:
    return -1 - lane


class _Model:
    def __init__(self, operations: list[Operation], *, keeps_writes_in_order: bool) -> None:
        self._operations = list(enumerate(operations, start=1))
        self._keeps_writes_in_order = keeps_writes_in_order

    def rows(self) -> list[tuple[int, str]]:
        journals = dict.fromkeys(Lane, "")
        rows: list[tuple[int, str]] = []
        for number, operation in self._operations:
            if operation.fails_at is not None:
                continue
            rows += [(number * 10, "first"), (number * 10 + 1, "second")]
            if not operation.is_awaited or self._keeps_writes_in_order:
                journals[operation.lane] += f"{number} "
        return sorted([(_journal_of(lane), text) for lane, text in journals.items()] + rows)

    def outcomes(self) -> list[object]:
        return [self._outcome(operation) for _, operation in self._operations]

    def lost(self) -> int:
        return sum(not operation.is_awaited and operation.fails_at is not None for _, operation in self._operations)

    def _outcome(self, operation: Operation) -> object:
        if not operation.is_awaited:
            return None
        if operation.is_cancelled:
            return asyncio.CancelledError
        return list if operation.fails_at is None else ConstraintViolated
