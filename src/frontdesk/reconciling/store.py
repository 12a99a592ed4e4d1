"""What the ledger says of a provider's attempts: a day at a time, by the provider's name of each model.

By when each was called, as providers bill it; `frontdesk.reports` counts turns by when they began.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, literal_column, select

from frontdesk.core.money import Micros
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import attempt

_DAY_MS = 86_400_000
_MOST_MODELS = 10_000


class Spent(NamedTuple):
    """The attempts of one model in one day. `unpriced` of them have no cost, and are in no sum of it.

    `estimated` and `crashed` are what of `micros` the provider never reported.
    """

    day: date
    model: str
    attempts: int
    unpriced: int
    micros: Micros
    estimated: Micros
    crashed: Micros
    input_tokens: int
    output_tokens: int


class LedgerReader:
    """The attempts of one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def spent(self, provider: str, day: date) -> list[Spent]:
        """What a provider's models cost in a day, UTC, in order of their names."""
        values = {"of_tenant": self._tenant, "of_provider": provider, **_range_of(day)}
        rows = await self._database.read(_SPENT, values)
        return sorted(Spent(day, model, *(int(value or 0) for value in sums)) for model, *sums in rows)

    async def providers(self, day: date) -> list[str]:
        """The providers that were called in a day."""
        rows = await self._database.read(_PROVIDERS, {"of_tenant": self._tenant, **_range_of(day)})
        return sorted(name for (name,) in rows)


def _range_of(day: date) -> dict[str, int]:
    from_ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    return {"from_ms": from_ms, "to_ms": from_ms + _DAY_MS}


# --- statements ---------------------------------------------------------------------------------

_of_day = and_(
    attempt.c.tenant == bindparam("of_tenant"),
    attempt.c.started_at_ms >= bindparam("from_ms"),
    attempt.c.started_at_ms < bindparam("to_ms"),
)
_unpriced = and_(attempt.c.cost_micros.is_(None), attempt.c.status != literal_column("'running'"))
_SPENT = Query(
    select(
        attempt.c.model,
        func.count(),
        func.count(case((_unpriced, attempt.c.number))),
        func.sum(attempt.c.cost_micros),
        func.sum(case((attempt.c.cost_source == literal_column("'estimate'"), attempt.c.cost_micros))),
        func.sum(case((attempt.c.cost_source == literal_column("'crash'"), attempt.c.cost_micros))),
        func.sum(attempt.c.input_tokens),
        func.sum(attempt.c.output_tokens),
    )
    .where(_of_day, attempt.c.provider == bindparam("of_provider"))
    .group_by(attempt.c.model)
    .limit(_MOST_MODELS)
)
_PROVIDERS = Query(select(attempt.c.provider).distinct().where(_of_day).limit(_MOST_MODELS))
