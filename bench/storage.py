"""What a write, an enqueued write and a read cost on SQLite, as CPU time of the whole process.

    python -m bench.storage [FOLDER]

prints one JSON object. The baseline of the pairs is the bare driver: the same statements on one
connection in one thread, a commit each. The figures beside a load have reservations arrive 500 times
a second while jobs, sent by another process, keep the loop busy; their baseline is a writer thread
that has to fight for the interpreter's lock. FOLDER should be on the disk that will be used; default
is the current one.
"""

from __future__ import annotations

import asyncio
import json
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import sqlalchemy as sa
import uvloop
from sqlalchemy.schema import CreateTable

from frontdesk.storage.database import Database, StorageLimits, open_database
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.sqlite_connection import connect_writer

_PEOPLE = 200
_JOB_S = 100e-6

_metadata = sa.MetaData()
_ledger = sa.Table(
    "ledger",
    _metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("spent", sa.BigInteger, nullable=False),
    sa.Column("cap", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_hold = sa.Table(
    "hold",
    _metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text),
    sa.Column("amount", sa.BigInteger),
    sqlite_with_rowid=False,
)
_of_key = sa.and_(_ledger.c.tenant == sa.bindparam("of_tenant"), _ledger.c.key == sa.bindparam("of_key"))
_RESERVE = Query(
    sa.update(_ledger)
    .where(_of_key, _ledger.c.held + _ledger.c.spent + sa.bindparam("by") <= _ledger.c.cap)
    .values(held=_ledger.c.held + sa.bindparam("by"))
    .returning(_ledger.c.held)
)
_HOLD = Query(insert(_hold))
_SETTLE = Query(
    sa.update(_ledger)
    .where(_of_key)
    .values(held=_ledger.c.held - sa.bindparam("by"), spent=_ledger.c.spent + sa.bindparam("cost"))
)
_RELEASE = Query(sa.delete(_hold).where(_hold.c.tenant == sa.bindparam("tenant"), _hold.c.id == sa.bindparam("id")))
_FIND = Query(sa.select(_ledger.c.held, _ledger.c.spent).where(_of_key))


def main() -> None:
    """Measure and print."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "."
    figures: dict[str, object] = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    }
    for name, (measure, limits) in _MEASUREMENTS.items():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            figures[name] = uvloop.run(_measure(Path(place) / "bench.db", measure, limits))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        figures["bare_driver_pair"] = _bare_driver(Path(place) / "bench.db", 2_000)
    print(json.dumps(figures, indent=2))


Measurement = Callable[[Database], Awaitable[dict[str, float]]]


async def _measure(path: Path, measure: Measurement, limits: StorageLimits) -> dict[str, float]:
    database = await open_database(f"sqlite:///{path}", limits)
    await _create(database)
    figures = await measure(database)
    await database.close()
    return figures


async def _create(database: Database) -> None:
    await database.write(*(Step(Query(CreateTable(table))) for table in _metadata.sorted_tables))
    people = [
        {"tenant": "default", "key": f"user:{number}", "held": 0, "spent": 0, "cap": 10**15}
        for number in range(_PEOPLE)
    ]
    await database.write(Step(Query(insert(_ledger)), people))


def _reserve_steps(number: int) -> tuple[Step, Step]:
    key = f"user:{number % _PEOPLE}"
    return (
        Step(_RESERVE, {"of_tenant": "default", "of_key": key, "by": 500}),
        Step(_HOLD, {"tenant": "default", "id": f"hold_{number}", "key": key, "amount": 500}),
    )


def _settle_steps(number: int) -> tuple[Step, Step]:
    key = f"user:{number % _PEOPLE}"
    return (
        Step(_SETTLE, {"of_tenant": "default", "of_key": key, "by": 500, "cost": 300}),
        Step(_RELEASE, {"tenant": "default", "id": f"hold_{number}"}),
    )


async def _pair(database: Database, number: int) -> None:
    """Both awaited: the dearest way."""
    await database.write(*_reserve_steps(number))
    await database.write(*_settle_steps(number))


async def _line_pair(database: Database, number: int) -> None:
    """As the line does it: the settlement is enqueued."""
    await database.write(*_reserve_steps(number))
    database.enqueue(*_settle_steps(number), lane=Lane.MONEY)


def _together(one: Callable[[Database, int], Awaitable[None]], workers: int, total: int) -> Measurement:
    """Measure `total` runs by as many workers, each beginning the next when one has ended."""

    async def measure(database: Database) -> dict[str, float]:
        waits_s: list[float] = []
        numbers = iter(range(total))

        async def work() -> None:
            for number in numbers:
                began = time.perf_counter()
                await one(database, number)
                waits_s.append(time.perf_counter() - began)

        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(work() for _ in range(workers)))
        await database.flush()
        return _figures(time.process_time() - cpu, time.perf_counter() - wall, waits_s)

    return measure


def _figures(cpu_s: float, wall_s: float, waits_s: list[float]) -> dict[str, float]:
    waits_s.sort()
    count = len(waits_s)
    return {
        "cpu_us": round(cpu_s / count * 1e6, 1),
        "wall_us": round(wall_s / count * 1e6, 1),
        "p50_ms": round(waits_s[count // 2] * 1e3, 2),
        "p99_ms": round(waits_s[int(count * 0.99)] * 1e3, 2),
    }


async def _enqueued(database: Database) -> dict[str, float]:
    """Two rows enqueued, some every millisecond, as turns settle."""
    total, at_once = 20_000, 5
    query = Query(insert(_hold))
    cpu, wall = time.process_time(), time.perf_counter()
    for first in range(0, total, at_once):
        for number in range(first, first + at_once):
            rows = [{"tenant": "default", "id": f"{number}.{n}", "key": "user:1", "amount": 1} for n in (1, 2)]
            database.enqueue(Step(query, rows))
        await asyncio.sleep(0.001)
    await database.flush()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    idle_us = await _idle_us(total // at_once)
    return {
        "cpu_us": round((cpu_s * 1e6 - idle_us) / total, 1),
        "cpu_with_the_waiting_loop_us": round(cpu_s / total * 1e6, 1),
        "wall_us": round(wall_s / total * 1e6, 1),
    }


async def _idle_us(rounds: int) -> float:
    cpu = time.process_time()
    for _ in range(rounds):
        await asyncio.sleep(0.001)
    return (time.process_time() - cpu) * 1e6


async def _read(database: Database, number: int) -> None:
    await database.read(_FIND, {"of_tenant": "default", "of_key": f"user:{number % _PEOPLE}"})


def _beside_load(load: float, per_s: float = 500, seconds: float = 4) -> Measurement:
    """Measure reservations that arrive by themselves, beside jobs that keep the loop busy."""

    async def measure(database: Database) -> dict[str, float]:
        spin = _spins(_JOB_S)
        jobs = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SENDER, str(load / _JOB_S), stdout=subprocess.PIPE
        )
        reader = cast("asyncio.StreamReader", jobs.stdout)
        working = asyncio.gather(_do_jobs(reader, spin))
        waits_s: list[float] = []

        async def reserve(number: int) -> None:
            began = time.perf_counter()
            await database.write(*_reserve_steps(number))
            waits_s.append(time.perf_counter() - began)

        await _arrive(reserve, per_s, seconds)
        jobs.kill()
        await jobs.wait()
        (done,) = await working
        waits_s.sort()
        return {
            "jobs_per_s": round(done / seconds),
            "p50_ms": round(waits_s[len(waits_s) // 2] * 1e3, 2),
            "p99_ms": round(waits_s[int(len(waits_s) * 0.99)] * 1e3, 2),
        }

    return measure


async def _arrive(one: Callable[[int], Awaitable[None]], per_s: float, seconds: float) -> None:
    async with asyncio.TaskGroup() as group:
        began, number = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            while number < passed * per_s:
                group.create_task(_run(one, number))
                number += 1
            await asyncio.sleep(0.001)


async def _run(one: Callable[[int], Awaitable[None]], number: int) -> None:
    await one(number)


async def _do_jobs(reader: asyncio.StreamReader, spin: Callable[[], None]) -> int:
    done = 0
    while chunk := await reader.read(64):
        for _ in chunk:
            spin()
            done += 1
            await asyncio.sleep(0)
    return done


_SENDER = """
import os, random, sys, time
chance, at = random.Random(1), time.perf_counter()
while True:
    at += chance.expovariate(float(sys.argv[1]))
    time.sleep(max(0.0, at - time.perf_counter()))
    os.write(1, b"x")
"""


def _spins(seconds: float) -> Callable[[], None]:
    """Work that takes so long, in the interpreter."""

    def spin(rounds: int) -> None:
        total = 0
        for number in range(rounds):
            total += number

    best = 1.0
    for _ in range(50):
        began = time.perf_counter()
        spin(1_000)
        best = min(best, time.perf_counter() - began)
    rounds = int(1_000 * seconds / best)
    return lambda: spin(rounds)


def _bare_driver(path: Path, total: int) -> dict[str, float]:
    """The same pair with nothing around it: a connection, a transaction each, a commit each."""
    connection = connect_writer(path, 1.0)
    for table in _metadata.sorted_tables:
        connection.execute(str(CreateTable(table)))
    for number in range(_PEOPLE):
        connection.execute("INSERT INTO ledger VALUES ('default', ?, 0, 0, 1000000000000000)", (f"user:{number}",))
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(total):
        for steps in (_reserve_steps(number), _settle_steps(number)):
            connection.execute("BEGIN IMMEDIATE")
            for step in steps:
                compiled = step.query.for_sqlite()
                connection.execute(compiled.sql, compiled.bind(cast("dict[str, object]", step.parameters))).fetchall()
            connection.commit()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    connection.close()
    return {"cpu_us": round(cpu_s / total * 1e6, 1), "wall_us": round(wall_s / total * 1e6, 1)}


_LENDING = StorageLimits()
_FIGHTING = StorageLimits(head_start_s=0.0, loan_after_s=3600.0)
_MEASUREMENTS: dict[str, tuple[Measurement, StorageLimits]] = {
    "pair_1_at_a_time": (_together(_pair, 1, 1_000), _LENDING),
    "pair_32_at_a_time": (_together(_pair, 32, 20_000), _LENDING),
    "pair_32_at_a_time_baseline": (_together(_pair, 32, 20_000), _FIGHTING),
    "pair_32_at_a_time_settlement_enqueued": (_together(_line_pair, 32, 20_000), _LENDING),
    "two_rows_enqueued": (_enqueued, _LENDING),
    "read_1_at_a_time": (_together(_read, 1, 5_000), _LENDING),
    "read_32_at_a_time": (_together(_read, 32, 20_000), _LENDING),
    "reserve_beside_30_percent_load": (_beside_load(0.3), _LENDING),
    "reserve_beside_30_percent_load_baseline": (_beside_load(0.3), _FIGHTING),
    "reserve_beside_60_percent_load": (_beside_load(0.6), _LENDING),
    "reserve_beside_60_percent_load_baseline": (_beside_load(0.6), _FIGHTING),
    "reserve_beside_80_percent_load": (_beside_load(0.8), _LENDING),
    "reserve_beside_80_percent_load_baseline": (_beside_load(0.8), _FIGHTING),
}


if __name__ == "__main__":
    random.seed(1)
    main()
