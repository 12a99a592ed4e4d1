"""How far features and models use up the limits of their answers, so that these can be tuned.

Of turns of chats and responses that came to an end: completed, or cut off. Every length is counted by its value
(`lengths`), and read in pieces as other reports are.
"""

from __future__ import annotations

import asyncio

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest
from frontdesk.reports.lengths import Figures, Lengths
from frontdesk.reports.question import Question
from frontdesk.reports.report import Names, ReportLimits, order_of, too_slow
from frontdesk.reports.spans import spans
from frontdesk.reports.store import LengthReader
from frontdesk.storage.database import Database

_ROWS_AT_ONCE = 500


class OutputLimits:
    """Makes these figures for all tenants, one report at a time."""

    def __init__(self, database: Database, clock: Clock, limits: ReportLimits | None = None) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits or ReportLimits()
        self._one_at_a_time = asyncio.Lock()

    async def make(self, tenant: str, question: Question) -> list[tuple[Names, Figures]]:
        """The figures of each feature and model in a range, in the order of their names.

        Raises BadRequest where there are too many to count, Unavailable after its time.
        """
        try:
            async with asyncio.timeout(self._limits.timeout_s), self._one_at_a_time:
                groups = await self._groups(LengthReader(self._database, tenant), question)
                told: list[tuple[Names, Figures]] = []
                for names in sorted(groups, key=order_of):
                    told.append((names, groups[names].figures()))
                    await asyncio.sleep(0)
                return told
        except TimeoutError:
            raise too_slow(self._limits) from None

    async def _groups(self, reader: LengthReader, question: Question) -> dict[Names, Lengths]:
        groups: dict[Names, Lengths] = {}
        kept, most = 0, self._limits.most_lengths
        for since_ms, until_ms in spans(question.from_ms, question.to_ms, self._clock):
            piece = msgspec.structs.replace(question, from_ms=since_ms, to_ms=until_ms)
            for number, row in enumerate(await reader.lengths(piece, most + 1), 1):
                lengths = groups.setdefault((row.feature, row.model), Lengths())
                kept += lengths.add(row.given, row.used, row.turns, is_cut=row.is_cut == 1)
                if kept > most or len(groups) > self._limits.most_groups:
                    raise _too_many()
                if number % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        return groups


def _too_many() -> BadRequest:
    return BadRequest(
        "This has more features, models and different lengths than are counted at once. Ask for a shorter range "
        "('from', 'to'), or name a 'feature' or a 'model'.",
        code="too_many_groups",
        param="from",
    )
