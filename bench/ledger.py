"""What a durable reservation and its settlement cost on SQLite, as CPU time of the whole process.

    python -m bench.ledger [FOLDER]

prints one JSON object: microseconds of all threads a pair, and how long a reservation waits. 32 turns are under way
at a time, each in three windows: its person's day, their tier's day, the app's month. `synchronous` is FULL, so each
reservation is on the disk before its turn goes on. The baseline of the rows is to write them as turns without a
budget do. FOLDER should be on the disk that will be used; default is the current one.
"""

from __future__ import annotations

import asyncio
import json
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import uvloop

from frontdesk.core.clock import SystemClock, unix_ms
from frontdesk.core.ids import new_id
from frontdesk.core.periods import window_start_ms
from frontdesk.ledger.holds import Balance, Facts, Reservation, Settlement, Window
from frontdesk.ledger.ledger import Ledger
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.migrate import migrate
from frontdesk.usage.rows import AttemptRow, TurnRow
from frontdesk.usage.store import TurnStore, crash_rows

_PEOPLE = 200
_TOGETHER = 32
_PAIRS = 10_000
_ROUNDS = 5
_HOLD, _COST = 500, 300
_CAP = 10**15


class _Choice(NamedTuple):
    micros: int


class _Desk(NamedTuple):
    """A process: its ledger, and who makes its rows."""

    database: Database
    ledger: Ledger
    turns: TurnStore


One = Callable[[_Desk, Reservation], Awaitable[None]]


def main() -> None:
    """Measure and print."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "."
    figures: dict[str, object] = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    }
    for name, one in _MEASUREMENTS.items():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            url = f"sqlite:///{Path(place) / 'bench.db'}"
            migrate(url)
            figures[name] = uvloop.run(_measure(url, one))
    print(json.dumps(figures, indent=2))


async def _measure(url: str, one: One) -> dict[str, float]:
    database, clock, owner = await open_database(url), SystemClock(), new_id("proc_")
    desk = _Desk(database, Ledger(database, owner, clock, crash_rows), TurnStore(database, owner=owner, clock=clock))
    await desk.turns.heartbeat()
    rounds: list[float] = []
    waits_s: list[float] = []
    await _together(desk, one, _PAIRS // 10, [])
    for _ in range(_ROUNDS):
        began = time.process_time()
        await _together(desk, one, _PAIRS, waits_s)
        rounds.append((time.process_time() - began) / _PAIRS * 1e6)
    await desk.ledger.close()
    await database.close()
    waits_s.sort()
    return {
        "cpu_us": round(statistics.median(rounds), 1),
        "p50_ms": round(waits_s[len(waits_s) // 2] * 1e3, 2),
        "p99_ms": round(waits_s[int(len(waits_s) * 0.99)] * 1e3, 2),
    }


async def _together(desk: _Desk, one: One, total: int, waits_s: list[float]) -> None:
    numbers = iter(range(total))
    month, day = (window_start_ms(period, unix_ms(SystemClock())) for period in ("month", "day"))

    async def work() -> None:
        for number in numbers:
            reservation = _reservation(number % _PEOPLE, day, month)
            began = time.perf_counter()
            await one(desk, reservation)
            waits_s.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(_TOGETHER)))
    await desk.ledger.flush()
    await desk.database.flush()


def _reservation(person: int, day_ms: int, month_ms: int) -> Reservation:
    now_ms = int(time.time() * 1000)
    name = f"auth0|{person:024}"
    windows = (
        Window(f"user:{name}", "day", day_ms),
        Window("tier:free", "day", day_ms),
        Window("app", "month", month_ms),
    )
    facts = Facts(
        door="chat",
        caller="user",
        credential="sess_1",
        person=name,
        feature="chat",
        tier="free",
        model="fast",
        is_streaming=True,
        started_at_ms=now_ms,
        route="openai/gpt-5-mini",
    )
    return Reservation("default", new_id("turn_"), windows, facts, now_ms + 660_000)


def _choose(balances: Sequence[Balance]) -> _Choice:
    return _Choice(_HOLD if all(spent + held + _HOLD <= _CAP for spent, held in balances) else 0)


async def _nothing(*_: object) -> None:
    """The turn of the bench itself, which every measurement contains."""
    await asyncio.sleep(0)


async def _pair(desk: _Desk, reservation: Reservation) -> None:
    await desk.ledger.reserve(reservation, _choose)
    desk.ledger.settle(Settlement(reservation, _COST, ()))


async def _pair_with_rows(desk: _Desk, reservation: Reservation) -> None:
    await desk.ledger.reserve(reservation, _choose)
    turn, attempt = _rows_of(reservation)
    desk.ledger.settle(Settlement(reservation, _COST, desk.turns.final_steps(turn, [attempt])))


async def _rows_alone(desk: _Desk, reservation: Reservation) -> None:
    """A turn without a budget."""
    await asyncio.sleep(0)
    turn, attempt = _rows_of(reservation)
    desk.turns.settled(turn, [attempt])


def _rows_of(reservation: Reservation) -> tuple[TurnRow, AttemptRow]:
    facts = reservation.facts
    began_ms, first_ms, ended_ms = facts.started_at_ms, facts.started_at_ms + 300, facts.started_at_ms + 2_500
    turn = TurnRow(
        tenant=reservation.tenant,
        id=reservation.turn,
        door=facts.door,
        caller=facts.caller,
        is_streaming=facts.is_streaming,
        started_at_ms=began_ms,
        status="completed",
        person=facts.person,
        credential=facts.credential,
        feature=facts.feature,
        tier=facts.tier,
        model=facts.model,
        first_event_at_ms=first_ms,
        finished_at_ms=ended_ms,
        input_tokens=900,
        output_tokens=250,
        usage_source="reported",
        cost_micros=_COST,
    )
    attempt = AttemptRow(
        tenant=reservation.tenant,
        turn=reservation.turn,
        number=1,
        provider="openai",
        model="gpt-5-mini",
        started_at_ms=began_ms,
        status="completed",
        first_event_at_ms=first_ms,
        finished_at_ms=ended_ms,
        input_tokens=900,
        output_tokens=250,
        usage_source="reported",
        raw_usage='{"prompt_tokens":900,"completion_tokens":250,"total_tokens":1150}',
        cost_micros=_COST,
        cost_source="usage",
        price="genai-prices 2026-11-01",
    )
    return turn, attempt


_MEASUREMENTS: dict[str, One] = {
    "the_bench_itself": _nothing,
    "pair": _pair,
    "pair_with_rows": _pair_with_rows,
    "rows_alone": _rows_alone,
}


if __name__ == "__main__":
    main()
