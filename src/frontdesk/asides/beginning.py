"""What begins with an answer: jobs, each one insert in the transaction that stores the answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from frontdesk.conversations.rows import ConversationRow
from frontdesk.core.clock import unix_ms
from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import NewJob
from frontdesk.jobs.store import JOB_PREFIX, enqueue
from frontdesk.storage.query import Row, Step
from frontdesk.turn.turn import Turn

JobOf = Callable[[ConversationRow, Turn], NewJob | None]
"""The job for a conversation and the turn whose answer comes into it; None where nothing is to be done."""
JobOfTurn = Callable[[Turn], NewJob | None]
"""The job for a turn whose answer is stored, in a conversation or not; None where nothing is to be done."""


class Beginnings:
    """What begins with the answer of one turn (`keeping.kept.Beginning`). `wake` is called where anything did."""

    __slots__ = ("_has_begun", "_jobs", "_jobs_of_turn", "_turn", "_wake")

    def __init__(
        self, turn: Turn, jobs: Sequence[JobOf], wake: Callable[[], None], jobs_of_turn: Sequence[JobOfTurn] = ()
    ) -> None:
        self._turn = turn
        self._jobs = jobs
        self._jobs_of_turn = jobs_of_turn
        self._wake = wake
        self._has_begun = False

    def begin(self, row: ConversationRow) -> Generator[Step, list[Row], None]:
        """Enqueue what there is to do in a conversation."""
        yield from self._enqueue(row.tenant, [job_of(row, self._turn) for job_of in self._jobs])
        yield from self.begin_apart(row.tenant)

    def begin_apart(self, tenant: str) -> Generator[Step, list[Row], None]:
        """Enqueue what there is to do wherever the answer is."""
        yield from self._enqueue(tenant, [job_of(self._turn) for job_of in self._jobs_of_turn])

    def begun(self) -> None:
        """It is stored."""
        if self._has_begun:
            self._wake()

    def _enqueue(self, tenant: str, jobs: Sequence[NewJob | None]) -> Generator[Step, list[Row], None]:
        now_ms = unix_ms(self._turn.clock)
        for new in jobs:
            if new is not None:
                yield enqueue(tenant, new, new_id(JOB_PREFIX), now_ms)
                self._has_begun = True
