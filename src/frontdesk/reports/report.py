"""Reports: read in short pieces, so that one over a year keeps nobody waiting who reads a row.

A piece lies within one month and covers as much time as was quick to read before. Each turn is in one piece alone,
so the sums of pieces add up. One report is read at a time, and one of a single person beside it, which an index makes
quick; the time that they wait for each other is part of what they may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, Unavailable
from frontdesk.core.periods import window_start_ms
from frontdesk.reports.question import Dimension, Question
from frontdesk.reports.spans import spans
from frontdesk.reports.store import Key, UsageReader
from frontdesk.reports.sums import NOTHING, Sums, added, total
from frontdesk.storage.database import Database

Names = tuple[str | None, ...]
"""The values of a group in the order of its question; None where a turn has none."""

_ROWS_AT_ONCE = 500


class ReportLimits(msgspec.Struct, frozen=True):
    """How much a report may be, and how long it may take. `most_lengths` are different lengths of answers, of all its
    groups together.
    """

    timeout_s: float = 20.0
    most_groups: int = 10_000
    most_lengths: int = 200_000


class Report(msgspec.Struct, frozen=True):
    """The groups of a question in the order of their names, those without a name first."""

    question: Question
    groups: list[tuple[Names, Sums]]
    totals: Sums


class Reports:
    """Makes the reports of all tenants."""

    def __init__(self, database: Database, clock: Clock, limits: ReportLimits | None = None) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits or ReportLimits()
        self._of_one_person = asyncio.Lock()
        self._of_many = asyncio.Lock()

    async def make(self, tenant: str, question: Question) -> Report:
        """Sum up the groups of a question. Raises BadRequest where they are too many, Unavailable after its time."""
        one_at_a_time = self._of_one_person if "user" in question.only else self._of_many
        try:
            async with asyncio.timeout(self._limits.timeout_s), one_at_a_time:
                groups = await self._groups(UsageReader(self._database, tenant), question)
        except TimeoutError:
            raise too_slow(self._limits) from None
        return Report(question, sorted(groups.items(), key=_order), total(groups.values()))

    async def _groups(self, reader: UsageReader, question: Question) -> dict[Names, Sums]:
        most = self._limits.most_groups
        groups: dict[Names, Sums] = {}
        for since_ms, until_ms in spans(question.from_ms, question.to_ms, self._clock):
            piece = msgspec.structs.replace(question, from_ms=since_ms, to_ms=until_ms)
            rows = await reader.groups(piece, most + 1)
            month_ms = window_start_ms("month", since_ms)
            for number, (names, sums) in enumerate(_named(rows, question.group_by, month_ms), 1):
                groups[names] = added(groups.get(names, NOTHING), sums)
                if number % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if len(groups) > most:
                raise _too_many(most, question)
        return groups


def too_slow(limits: ReportLimits) -> Unavailable:
    """The error of a report that takes longer than it may."""
    return Unavailable(
        f"This report takes longer than {limits.timeout_s:g} s. Ask for a shorter range ('from', 'to'), and put "
        "several together.",
        code="report_too_slow",
        retry_after_s=60,
    )


def _named(
    rows: list[tuple[Key, Sums]], group_by: tuple[Dimension, ...], month_ms: int
) -> Iterator[tuple[Names, Sums]]:
    """Give the values of groups their names: hours, days and months as ISO 8601 has them."""
    times = [place for place, name in enumerate(group_by) if name in _TIMES]
    known: dict[tuple[str, str | int | None], str] = {}
    for key, sums in rows:
        names: list[str | int | None] = list(key)
        for place in times:
            told = (group_by[place], key[place])
            if told not in known:
                known[told] = _time_name(group_by[place], key[place], month_ms)
            names[place] = known[told]
        yield tuple(None if name is None else str(name) for name in names), sums


_TIMES = ("hour", "day", "month")


def _time_name(dimension: str, number: str | int | None, month_ms: int) -> str:
    if dimension == "month":
        return _utc(month_ms).strftime("%Y-%m")
    if dimension == "day":
        return _utc(int(number or 0) * 86_400_000).strftime("%Y-%m-%d")
    return _utc(int(number or 0) * 3_600_000).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def order_of(names: Names) -> tuple[tuple[bool, str], ...]:
    """What groups are sorted by: the same on every engine."""
    return tuple((name is not None, name or "") for name in names)


def _order(group: tuple[Names, Sums]) -> tuple[tuple[bool, str], ...]:
    return order_of(group[0])


def _too_many(most: int, question: Question) -> BadRequest:
    return BadRequest(
        f"Grouped by {', '.join(question.group_by)}, this has more than {most:,} groups. Group by less, ask for a "
        "shorter range, or name one value ('user', 'feature', 'model', 'provider', 'tier', 'status').",
        code="too_many_groups",
        param="group_by",
    )
