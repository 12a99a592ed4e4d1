"""Storage fails: what waits is stored later, once, and what was put aside for nobody goes back. On both engines."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from frontdesk.ledger.holds import Balance
from frontdesk.storage.database import Database, StorageLimits, open_database
from frontdesk.storage.errors import OutcomeUnknown, StorageError, StorageFailed
from tests.engines import PostgresqlServer
from tests.fakes import HandClock
from tests.ledger.books import Choice, Desk, Take, books, reservation
from tests.ledger.failing import CountingRuns, FailingDatabase, Failure

NOTHING = Balance(0, 0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def failing(database: Database) -> FailingDatabase:
    return FailingDatabase(database)


@pytest.fixture
async def desk(failing: Any, clock: HandClock) -> AsyncIterator[Desk]:
    made = Desk(failing, clock)
    yield made
    await made.ledger.close()


UNKNOWN = [Failure.LOST, Failure.STORED, Failure.STORED_UNSEEN]


@pytest.mark.parametrize("failure", Failure)
async def test_a_reservation_that_fails_holds_nothing(
    desk: Desk, failing: FailingDatabase, clock: HandClock, failure: Failure
) -> None:
    failing.failures.append(failure)

    with pytest.raises(OutcomeUnknown if failure in UNKNOWN else StorageFailed):
        await desk.ledger.reserve(reservation(clock), Take(500))

    await desk.ledger.flush()
    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds) == (NOTHING, {})
    assert (desk.ledger.open_holds, desk.ledger.waiting_settlements) == (0, 0)


@pytest.mark.parametrize("failures", [*itertools.product(Failure, repeat=2), UNKNOWN], ids=str)
@pytest.mark.parametrize("held", [500, 0])
async def test_a_settlement_is_stored_once_whatever_happens(
    desk: Desk, failing: FailingDatabase, clock: HandClock, failures: Sequence[Failure], held: int
) -> None:
    """Whether its turn had put something aside or not."""
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(held))
    failing.failures.extend(failures)

    desk.settle(reserved, 120)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.windows == {("default", each): Balance(120, 0) for each in reserved.windows}
    assert (stored.cost, stored.holds) == (120, {})
    assert desk.ledger.lost_settlements == 0


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("held", [500, 0])
async def test_an_extension_that_fails_goes_back_with_the_turn(
    desk: Desk, failing: FailingDatabase, clock: HandClock, failure: Failure, held: int
) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(held))
    failing.failures.append(failure)
    with pytest.raises(StorageFailed):
        await desk.ledger.extend(reserved, Take(300))

    desk.settle(reserved, 10)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds, stored.cost) == (Balance(10, 0), {}, 10)


async def test_who_asks_while_storage_is_away_is_told_and_settlements_wait(
    desk: Desk, failing: FailingDatabase, clock: HandClock
) -> None:
    turns = [reservation(clock) for _ in range(20)]
    await asyncio.gather(*(desk.ledger.reserve(each, Take(100)) for each in turns))
    failing.is_away = True
    for each in turns:
        desk.settle(each, 3)

    outcomes = await asyncio.gather(
        *(desk.ledger.reserve(reservation(clock), Take(1)) for _ in range(5)), return_exceptions=True
    )
    with pytest.raises(StorageFailed):
        await desk.ledger.reserve(reservation(clock), Take(1))

    assert [type(outcome).__name__ for outcome in outcomes] == ["StorageBusy"] * 5
    assert desk.ledger.waiting_settlements == 20
    failing.is_away = False
    # Who asks again does not wait for the pause to pass, and comes behind what waits.
    choice = await desk.ledger.reserve(reservation(clock), Take(1))
    assert choice.saw[2] == Balance(60, 0)
    await desk.ledger.flush()
    assert (await books(desk.database)).cost == 60


async def test_settlements_are_stored_by_themselves_when_storage_comes_back(
    desk: Desk, failing: FailingDatabase, clock: HandClock
) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(100))
    failing.is_away = True
    desk.settle(reserved, 3)
    while failing.tries < 4:
        await asyncio.sleep(0.01)

    failing.is_away = False
    await desk.ledger.flush()

    assert (await books(desk.database)).balance("app") == Balance(3, 0)


async def test_what_is_left_when_closing_is_for_the_sweeper(
    database: Database, failing: Any, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    desk, next_one = Desk(failing, clock), Desk(database, clock)
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(100))
    failing.is_away = True
    desk.settle(reserved, 3)

    await desk.ledger.close(timeout_s=0.05)

    assert "settlements_lost reason=the ledger was closed count=1" in caplog.text
    clock.move(61)
    await next_one.ledger.sweep(60)
    stored = await books(database)
    assert (stored.balance("app"), stored.cost) == (Balance(100, 0), 100)


async def test_who_waits_when_it_is_closed_is_told(failing: Any, clock: HandClock) -> None:
    desk = Desk(failing, clock)
    started, never = asyncio.Event(), asyncio.Event()

    async def stuck(*_: object, **__: object) -> None:
        started.set()
        await never.wait()

    failing.transact = stuck
    first = asyncio.create_task(desk.ledger.reserve(reservation(clock), Take(1)))
    await started.wait()
    second = asyncio.create_task(desk.ledger.reserve(reservation(clock), Take(1)))
    await asyncio.sleep(0)

    await desk.ledger.close(timeout_s=0.01)

    for waiting in (first, second):
        with pytest.raises(StorageError, match="closed"):
            await waiting


async def test_many_turns_through_failures_of_all_kinds_stay_exact(
    desk: Desk, failing: FailingDatabase, clock: HandClock
) -> None:
    chance = random.Random(20270115)

    async def serve(number: int) -> int:
        reserved = reservation(clock, person=f"u{number % 7}")
        waiting = asyncio.create_task(desk.ledger.reserve(reserved, Take(chance.choice([0, 90]), cap=30_000)))
        for _ in range(chance.randint(0, 30)):
            await asyncio.sleep(0)
        if chance.random() < 0.2:
            waiting.cancel()
        if chance.random() < 0.2:
            failing.failures.append(chance.choice(list(Failure)))
        (choice,) = await asyncio.gather(waiting, return_exceptions=True)
        if not isinstance(choice, Choice):
            return 0
        assert choice.saw[2].spent + choice.saw[2].held + choice.micros <= 30_000
        if chance.random() < 0.3:
            await asyncio.gather(desk.ledger.extend(reserved, Take(40, cap=30_000)), return_exceptions=True)
        cost = chance.randint(0, 90)
        desk.settle(reserved, cost)
        return cost

    costs = await asyncio.gather(*(serve(number) for number in range(600)))
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.balance("app") == Balance(sum(costs), 0)
    assert sum(stored.balance(f"user:u{number}").spent for number in range(7)) == stored.cost == sum(costs)
    assert (stored.holds, desk.ledger.open_holds, desk.ledger.lost_settlements) == ({}, 0, 0)


# --- a real server ------------------------------------------------------------------------------

_PATIENT = StorageLimits(patience_s=30, close_timeout_s=30)
_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'frontdesk' AND pid != pg_backend_pid()
"""


async def _serve_until(done: asyncio.Event, desk: Desk, number: int) -> int:
    chance, spent = random.Random(number), 0
    while not done.is_set():
        reserved = reservation(desk.clock, person=f"u{number % 5}")
        try:
            await desk.ledger.reserve(reserved, Take(chance.choice([0, 50])))
        except StorageError:
            continue
        cost = chance.randint(0, 60)
        desk.settle(reserved, cost)
        spent += cost
    return spent


async def test_connections_that_are_cut_in_the_middle_lose_and_double_nothing(
    postgresql_url: str, clock: HandClock
) -> None:
    databases = [await open_database(postgresql_url, _PATIENT) for _ in range(2)]
    desks = [Desk(each, clock) for each in databases]
    done = asyncio.Event()
    serving = [asyncio.create_task(_serve_until(done, desks[number % 2], number)) for number in range(24)]
    killer = await asyncpg.connect(postgresql_url)

    chance = random.Random(1)
    for _ in range(25):
        await asyncio.sleep(chance.random() * 0.06)
        await killer.execute(_TERMINATE)
    done.set()
    costs = await asyncio.gather(*serving)
    for desk in desks:
        await desk.ledger.flush()

    stored = await books(databases[0])
    assert stored.balance("app") == Balance(sum(costs), 0)
    assert stored.cost == sum(costs) > 0
    assert stored.holds == {}
    assert [desk.ledger.lost_settlements for desk in desks] == [0, 0]
    await killer.close()
    for desk in desks:
        await desk.ledger.close()
        await desk.database.close()


async def test_a_server_that_crashes_under_it_loses_and_doubles_nothing(
    postgresql_url: str, postgresql_server: PostgresqlServer, clock: HandClock
) -> None:
    database = await open_database(postgresql_url, _PATIENT)
    desk = Desk(database, clock)
    done = asyncio.Event()
    serving = [asyncio.create_task(_serve_until(done, desk, number)) for number in range(16)]

    for _ in range(2):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(postgresql_server.restart, "immediate")
    done.set()
    costs = await asyncio.gather(*serving)
    await desk.ledger.flush()

    stored = await books(database)
    assert (stored.balance("app"), stored.cost) == (Balance(sum(costs), 0), sum(costs))
    assert stored.holds == {}
    await desk.ledger.close()
    await database.close()


async def test_two_processes_never_pass_a_cap_together_and_never_deadlock(
    postgresql_url: str, clock: HandClock
) -> None:
    """They reserve for the same people, in whatever order, with windows that are not there yet."""
    databases = [CountingRuns(await open_database(postgresql_url)) for _ in range(2)]
    desks = [Desk(each, clock) for each in databases]  # pyright: ignore[reportArgumentType] - all but one method
    chance = random.Random(3)

    async def use_up(number: int) -> int:
        desk, spent = desks[number % 2], 0
        for _ in range(12):
            people = chance.sample(range(12), 3)
            windows = [w for person in people for w in reservation(clock, person=f"u{person}").windows[:1]]
            shared = reservation(clock).windows[2]
            reserved = reservation(clock, *windows, shared)
            choice = await desk.ledger.reserve(reserved, Take(30, cap=9_000))
            assert choice.saw[3].spent + choice.saw[3].held + choice.micros <= 9_000
            if choice.micros:
                cost = chance.randint(0, 30)
                desk.settle(reserved, cost)
                spent += cost
        return spent

    costs = await asyncio.gather(*(use_up(number) for number in range(60)))
    for desk in desks:
        await desk.ledger.flush()

    stored = await books(desks[0].database)
    assert stored.balance("app") == Balance(sum(costs), 0)
    assert (stored.cost, stored.holds) == (sum(costs), {})
    # A deadlock would have been tried again.
    assert [each.runs for each in databases] == [each.transactions for each in databases]
    for desk in desks:
        await desk.ledger.close()
        await desk.database.close()
