"""Asides wired up: what begins with an answer, and who does it, at the doors that all requests pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from frontdesk.accounts.absent import Absent
from frontdesk.asides.asking import Aside
from frontdesk.asides.beginning import Beginnings, JobOf, JobOfTurn
from frontdesk.asides.follow_ups import FollowUpWriter, follow_ups_job
from frontdesk.asides.titles import TITLE, Titles, title_job
from frontdesk.batches.room import OwnLimits
from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import Config
from frontdesk.core.config.asides import FOLLOW_UPS, TITLES
from frontdesk.doors.absent import AbsentDesk, Asker
from frontdesk.doors.chat import ChatDoor
from frontdesk.http.callers import Callers
from frontdesk.jobs.plan import Handler, Kind
from frontdesk.policies.access import Access
from frontdesk.policies.limits import Limits
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.turn import Turn

_MEGABYTE = 1024 * 1024
_ANSWER_S = 90.0
_TIMEOUT_S = 120.0  # above that: what takes too long is told to the handler, which knows what to do without
_KEEP_DAYS = 1.0


class _Begins(NamedTuple):
    """What begins with answers, for those who have this feature."""

    feature: str
    job_of: JobOf


class Remembers(Protocol):
    """What begins with answers besides, wherever they are kept."""

    @property
    def begins(self) -> bool:
        """Whether anything ever does."""
        ...

    def jobs_of(self, turn: Turn) -> Sequence[JobOfTurn]:
        """What begins with the answer of this turn."""
        ...


class Asides:
    """The asides of one process. `wake` is to be what looks for new jobs."""

    def __init__(self, config: Config, access: Access, memory: Remembers) -> None:
        self._config = config
        self._access = access
        self._memory = memory
        self._begin: list[_Begins] = []
        if config.titles.are_given:
            self._begin.append(_Begins(TITLES, title_job))
        if config.follow_ups.model is not None:
            self._begin.append(_Begins(FOLLOW_UPS, follow_ups_job))
        self.wake: Callable[[], None] = _nobody

    @property
    def beginning(self) -> Callable[[Turn], Beginnings | None] | None:
        """What begins with the answer of a turn in its conversation; None where nothing ever does."""
        return self._beginning if self._begin or self._memory.begins else None

    @property
    def beginning_apart(self) -> Callable[[Turn], Beginnings | None] | None:
        """What begins with the answer of a turn that is stored in no conversation; None where nothing ever does."""
        return self._beginning_apart if self._memory.begins else None

    def aside(self, callers: Callers, live: LiveTurns, limits: Limits, absent: Absent) -> Aside:
        """What asks."""
        clock = SystemClock()
        desk = AbsentDesk(callers, live, clock, self._access, int(self._config.limits.body_mb * _MEGABYTE))
        timeout_s = _ANSWER_S if self._config.limits.turn_timeout_s > _ANSWER_S else None
        asker = Asker({"/v1/chat/completions": ChatDoor(desk).serve}, "background", timeout_s, asides=True)
        return Aside(asker, absent, OwnLimits(limits), clock)

    def kinds(self, aside: Aside, conversations: Conversations) -> list[Kind]:
        """The kinds of jobs that there are, and who does them."""
        clock = SystemClock()
        titles, follow_ups = self._config.titles, self._config.follow_ups
        # Whether they are configured or not: some may be left from when they were.
        handlers: dict[str, Handler] = {
            TITLE: Titles(conversations, aside, titles.model, clock),
            FOLLOW_UPS: FollowUpWriter(conversations, aside, follow_ups.model, follow_ups.count, clock),
        }
        return [Kind(name, handler, timeout_s=_TIMEOUT_S, keep_days=_KEEP_DAYS) for name, handler in handlers.items()]

    def _beginning(self, turn: Turn) -> Beginnings | None:
        jobs = [each.job_of for each in self._begin if self._has(turn, each.feature)]
        jobs_of_turn = self._memory.jobs_of(turn)
        return Beginnings(turn, jobs, self._wake, jobs_of_turn) if jobs or jobs_of_turn else None

    def _beginning_apart(self, turn: Turn) -> Beginnings | None:
        jobs_of_turn = self._memory.jobs_of(turn)
        return Beginnings(turn, (), self._wake, jobs_of_turn) if jobs_of_turn else None

    def _has(self, turn: Turn, feature: str) -> bool:
        """Whether its caller has a feature; one that is not configured needs none, and then none does."""
        return feature not in self._config.features or feature in self._access.features_of(turn.caller)

    def _wake(self) -> None:
        self.wake()


def _nobody() -> None:
    """Nobody looks yet."""
