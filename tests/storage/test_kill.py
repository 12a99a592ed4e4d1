"""kill -9 at any moment: what was acknowledged is there, and no transaction is half there."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest

from frontdesk.storage.database import open_database
from frontdesk.storage.query import Step
from tests.storage.notes import CREATE, DROP, LIST

_ROUNDS = {"sqlite": 10, "postgresql": 3}


async def test_a_killed_process_loses_nothing_that_it_acknowledged(database_url: str, engine: str):
    await _kill_rounds(database_url, _ROUNDS[engine])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hundred_killed_processes_lose_nothing_that_they_acknowledged(database_url: str):
    await _kill_rounds(database_url, 100)


async def _kill_rounds(url: str, rounds: int) -> None:
    chance = random.Random(20261122)
    for _ in range(rounds):
        await _prepare(url)
        acknowledged = await _write_until_killed(url, chance.randint(1, 400), chance.random() * 0.002)
        await _check(url, acknowledged)


async def _prepare(url: str) -> None:
    database = await open_database(url)
    await database.write(Step(DROP), Step(CREATE))
    await database.close()


async def _write_until_killed(url: str, lines: int, later_s: float) -> set[int]:
    """Kill the child a moment after it has acknowledged so many writes."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.storage.writing_child", url, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    acknowledged = {int(await child.stdout.readline()) for _ in range(lines)}
    await asyncio.sleep(later_s)  # any moment of its work
    child.kill()
    rest = await child.stdout.read()
    await child.wait()
    # The last line may be cut off.
    return acknowledged | {int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")}


async def _check(url: str, acknowledged: set[int]) -> None:
    database = await open_database(url)
    rows = await database.read(LIST)
    await database.close()
    stored = {row[0] for row in rows}
    awaited = {number for number in stored if -10_000_000 < number < 10_000_000}
    enqueued = stored - awaited

    assert acknowledged <= stored
    assert {-number for number in awaited} == awaited
    assert {n - 10_000_000 for n in enqueued if n < 20_000_000} == {n - 20_000_000 for n in enqueued if n > 20_000_000}
