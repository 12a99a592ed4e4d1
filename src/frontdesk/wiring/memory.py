"""Memory wired up: what models are told of before, who sums it up and takes it down, what people see of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from frontdesk.asides.asking import AbsentCallers, Aside
from frontdesk.asides.beginning import JobOfTurn
from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import Clock
from frontdesk.core.config import Config
from frontdesk.core.config.asides import SUMMARIES
from frontdesk.http.callers import Callers, GuardedRoute
from frontdesk.http.once import Idempotency
from frontdesk.jobs.plan import Kind
from frontdesk.memory.facts import Facts
from frontdesk.memory.messages import OwnMessages
from frontdesk.memory.phrases import USUAL, Phrases
from frontdesk.memory.recall import Recall
from frontdesk.memory.remembering import REMEMBER, Remembering, remember_job
from frontdesk.memory.routes import FactRoutes
from frontdesk.memory.summarising import SUMMARY, Counts, Library, Summaries, summary_job
from frontdesk.memory.writers import CheapestWriters
from frontdesk.policies.access import Access
from frontdesk.prices.book import PriceBook
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Turn

_SUMMARY_TIMEOUT_S = 900.0
_REMEMBER_TIMEOUT_S = 120.0
_KEEP_DAYS = 1.0


class Memory:
    """The memory of one process."""

    def __init__(self, config: Config, database: Database, access: Access, clock: Clock) -> None:
        self._config = config
        self._database = database
        self._access = access
        self._clock = clock
        self._phrases = Phrases(USUAL if config.remember is None else config.remember)
        contexts = {name: feature.context for name, feature in config.features.items() if feature.context is not None}
        self._summing_up = {name for name, context in contexts.items() if context.strategy == "summary"}
        self._remembering = {name for name, context in contexts.items() if context.facts}
        self._models = {name: context.summary.model for name, context in contexts.items()}
        self.recall = Recall(database)
        self.facts = Facts(database, clock)

    @property
    def begins(self) -> bool:
        """Whether anything ever begins with an answer."""
        return bool(self._summing_up or self._remembering)

    def jobs_of(self, turn: Turn) -> Sequence[JobOfTurn]:
        """What begins with the answer of a turn."""
        jobs: list[JobOfTurn] = []
        if turn.feature in self._summing_up and self._may_ask(turn):
            jobs.append(summary_job)
        if turn.feature in self._remembering:
            jobs.append(partial(remember_job, self._phrases))
        return jobs

    def kinds(
        self,
        aside: Aside,
        callers: AbsentCallers,
        conversations: Conversations,
        library: Library,
        book: PriceBook,
        counts: Counts,
    ) -> list[Kind]:
        """The kinds of jobs that there are. Whether configured or not: some may be left from when they were."""
        clock = self._clock
        writers = CheapestWriters(self._config, self._access, book, clock)
        messages = OwnMessages(conversations, library)
        summaries = Summaries(self._config, self._database, library, aside, callers, writers, counts, clock)
        remembering = Remembering(self._phrases, messages, aside, callers, writers, self._models.get, clock)
        return [
            Kind(SUMMARY, summaries, timeout_s=_SUMMARY_TIMEOUT_S, together=2, keep_days=_KEEP_DAYS),
            Kind(REMEMBER, remembering, timeout_s=_REMEMBER_TIMEOUT_S, keep_days=_KEEP_DAYS),
        ]

    def routes(self, callers: Callers, idempotency: Idempotency | None) -> list[GuardedRoute]:
        """The routes of facts."""
        return FactRoutes(self.facts, callers, idempotency).routes()

    def _may_ask(self, turn: Turn) -> bool:
        """Whether its caller has the feature that summaries are asked as, where there is one."""
        return SUMMARIES not in self._config.features or SUMMARIES in self._access.features_of(turn.caller)
