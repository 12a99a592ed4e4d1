"""What begins with an answer in a conversation: jobs, each one insert in the transaction that puts the answer in."""

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


class Beginnings:
    """What begins with the answer of one turn (`keeping.kept.Beginning`). `wake` is called where anything did."""

    __slots__ = ("_has_begun", "_jobs", "_turn", "_wake")

    def __init__(self, turn: Turn, jobs: Sequence[JobOf], wake: Callable[[], None]) -> None:
        self._turn = turn
        self._jobs = jobs
        self._wake = wake
        self._has_begun = False

    def begin(self, row: ConversationRow) -> Generator[Step, list[Row], None]:
        """Enqueue what there is to do."""
        now_ms = unix_ms(self._turn.clock)
        for job_of in self._jobs:
            new = job_of(row, self._turn)
            if new is not None:
                yield enqueue(row.tenant, new, new_id(JOB_PREFIX), now_ms)
                self._has_begun = True

    def begun(self) -> None:
        """It is stored."""
        if self._has_begun:
            self._wake()
