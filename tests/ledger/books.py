"""What tests of the ledger share: turns that cost money, and what the books say in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.ids import new_id
from frontdesk.core.periods import Period, window_start_ms
from frontdesk.ledger.holds import Balance, Facts, Reservation, Settlement, Window
from frontdesk.ledger.ledger import Ledger
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import attempt, budget_window, hold, process, turn
from frontdesk.usage.rows import AttemptRow, CostSource, TurnRow
from frontdesk.usage.store import TurnStore, crash_rows

HOUR_MS = 3_600_000
START = 1_800_000_000.0
"""A Friday in January 2027, 08:00 UTC."""


class Choice(NamedTuple):
    """Puts so much aside. It remembers what it saw."""

    micros: int
    saw: tuple[Balance, ...] = ()


class Take:
    """Takes an amount if it fits under the cap in each window, else nothing."""

    def __init__(self, micros: int, cap: int = 2**50) -> None:
        self._micros = micros
        self._cap = cap

    def __call__(self, balances: Sequence[Balance]) -> Choice:
        fits = all(spent + held + self._micros <= self._cap for spent, held in balances)
        return Choice(self._micros if fits else 0, tuple(balances))


def window(scope: str, period: Period, now_ms: int) -> Window:
    return Window(scope, period, window_start_ms(period, now_ms))


def windows_now(clock: Clock, person: str = "u1", tier: str = "free") -> tuple[Window, ...]:
    now_ms = unix_ms(clock)
    return (
        window(f"user:{person}", "day", now_ms),
        window(f"tier:{tier}", "day", now_ms),
        window("app", "month", now_ms),
    )


def reservation(
    clock: Clock,
    *windows: Window,
    person: str = "u1",
    tier: str = "free",
    tenant: str = "default",
    turn_id: str | None = None,
    lasts_ms: int = HOUR_MS,
) -> Reservation:
    """A turn of a person that begins now; without windows, those of `windows_now`."""
    now_ms = unix_ms(clock)
    facts = Facts("chat", "user", "sess_1", person, "chat", tier, "fast", False, now_ms, "openai/gpt")
    chosen = windows or windows_now(clock, person, tier)
    return Reservation(tenant, turn_id or new_id("turn_"), chosen, facts, now_ms + lasts_ms)


def rows_of(
    database: Database, owner: str, reserved: Reservation, micros: int | None, source: CostSource = "usage"
) -> tuple[Step, ...]:
    """The rows of a turn with one attempt, as the recorder makes them; None is a cost that nobody knows."""
    facts = reserved.facts
    made = TurnRow(
        tenant=reserved.tenant,
        id=reserved.turn,
        door=facts.door,
        caller=facts.caller,
        person=facts.person,
        feature=facts.feature,
        tier=facts.tier,
        model=facts.model,
        is_streaming=facts.is_streaming,
        started_at_ms=facts.started_at_ms,
        status="completed",
        cost_micros=micros,
    )
    provider, _, model = facts.route.partition("/")
    call = AttemptRow(
        tenant=reserved.tenant,
        turn=reserved.turn,
        number=1,
        provider=provider,
        model=model,
        started_at_ms=facts.started_at_ms,
        status="completed",
        cost_micros=micros,
        cost_source=source,
    )
    return TurnStore(database, owner=owner, clock=_NoClock()).final_steps(made, [call])


class _NoClock:
    def now(self) -> float:
        raise AssertionError("a row's times are its turn's")

    monotonic = now


class Desk:
    """A process that serves: a ledger, and its name."""

    def __init__(self, database: Database, clock: Clock, owner: str | None = None) -> None:
        self.database = database
        self.clock = clock
        self.owner = owner or new_id("proc_")
        self.ledger = Ledger(database, self.owner, clock, crash_rows)

    async def beat(self) -> None:
        await TurnStore(self.database, owner=self.owner, clock=self.clock).heartbeat()

    def settlement(self, reserved: Reservation, micros: int) -> Settlement:
        return Settlement(reserved, micros, rows_of(self.database, self.owner, reserved, micros))

    def settle(self, reserved: Reservation, micros: int) -> None:
        self.ledger.settle(self.settlement(reserved, micros))


# --- what is stored -----------------------------------------------------------------------------

_WINDOWS = Query(
    sa.select(
        budget_window.c.tenant,
        budget_window.c.scope,
        budget_window.c.period,
        budget_window.c.starts_at_ms,
        budget_window.c.spent_micros,
        budget_window.c.held_micros,
    )
)
_HOLDS = Query(sa.select(hold.c.tenant, hold.c.turn, hold.c.micros, hold.c.swept_at_ms))
_COSTS = Query(
    sa.select(attempt.c.tenant, attempt.c.turn, attempt.c.cost_micros, attempt.c.cost_source).order_by(
        attempt.c.tenant, attempt.c.turn, attempt.c.number
    )
)
CLEAR = [Query(sa.delete(table)) for table in (attempt, turn, hold, budget_window, process)]


class Books(NamedTuple):
    """All that is stored: windows (spent, held), holds that are not swept, holds that are, costs of attempts."""

    windows: dict[tuple[str, Window], Balance]
    holds: dict[tuple[str, str], int]
    swept: dict[tuple[str, str], int]
    costs: dict[tuple[str, str], list[tuple[int | None, str]]]

    @property
    def cost(self) -> int:
        """What all attempts cost together."""
        return sum(micros or 0 for costs in self.costs.values() for micros, _ in costs)

    def balance(self, scope: str, tenant: str = "default") -> Balance:
        """What all windows of a scope say together."""
        found = [balance for (its, key), balance in self.windows.items() if (its, key.scope) == (tenant, scope)]
        return Balance(sum(each.spent for each in found), sum(each.held for each in found))


async def books(database: Database) -> Books:
    windows = {
        (tenant, Window(scope, period, start)): Balance(spent, held)
        for tenant, scope, period, start, spent, held in await database.read(_WINDOWS)
    }
    found = await database.read(_HOLDS)
    costs: dict[tuple[str, str], list[tuple[int | None, str]]] = {}
    for tenant, turn_id, micros, source in await database.read(_COSTS):
        costs.setdefault((tenant, turn_id), []).append((micros, source))
    return Books(
        windows,
        {(tenant, turn_id): micros for tenant, turn_id, micros, swept in found if swept is None},
        {(tenant, turn_id): micros for tenant, turn_id, micros, swept in found if swept is not None},
        costs,
    )
