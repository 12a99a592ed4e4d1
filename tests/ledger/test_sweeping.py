"""A process dies: what it held is spent in full, once, unless it comes back and knows better. On both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from frontdesk.ledger.holds import Balance, Settlement
from frontdesk.storage.database import Database, open_database
from frontdesk.usage.store import TurnReader
from tests.fakes import HandClock
from tests.ledger.books import Desk, Take, books, reservation, rows_of

DEAD_AFTER_S = 60.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def survivor(database: Database, clock: HandClock) -> AsyncIterator[Desk]:
    made = Desk(database, clock)
    await made.beat()
    yield made
    await made.ledger.close()


@pytest.fixture
async def dead(database: Database, clock: HandClock) -> Desk:
    """A process that is never heard of again, and closes nothing."""
    made = Desk(database, clock)
    await made.beat()
    return made


async def passes(clock: HandClock, survivor: Desk) -> None:
    """So much time that who says nothing is dead."""
    clock.move(DEAD_AFTER_S + 1)
    await survivor.beat()


async def test_what_a_dead_process_held_is_spent_in_full(dead: Desk, survivor: Desk, clock: HandClock) -> None:
    turns = [reservation(clock, person=f"u{number}") for number in range(3)]
    for each in turns:
        await dead.ledger.reserve(each, Take(500))
    await dead.ledger.extend(turns[0], Take(50))
    dead.settle(turns[2], 20)
    await dead.ledger.flush()
    await passes(clock, survivor)

    assert await survivor.ledger.sweep(DEAD_AFTER_S) == 2
    assert await survivor.ledger.sweep(DEAD_AFTER_S) == 0

    stored = await books(survivor.database)
    assert stored.holds == {}
    assert stored.balance("app") == Balance(550 + 500 + 20, 0)
    assert [stored.balance(f"user:u{number}").spent for number in range(3)] == [550, 500, 20]
    assert stored.cost == 1070
    assert stored.costs[("default", turns[0].turn)] == [(550, "crash")]
    ended = await TurnReader(survivor.database, "default").find(turns[1].turn)
    assert ended is not None
    assert (ended.status, ended.error_code, ended.person, ended.cost_micros) == ("failed", "server_crashed", "u1", 500)


async def test_who_lives_is_not_swept(postgresql_url: str, clock: HandClock) -> None:
    """Where other processes can serve, that is: on SQLite nobody else does."""
    database = await open_database(postgresql_url)
    living, other = Desk(database, clock), Desk(database, clock)
    await living.beat()
    await living.ledger.reserve(reservation(clock), Take(500))
    clock.move(DEAD_AFTER_S)

    assert await other.ledger.sweep(DEAD_AFTER_S) == 0

    clock.move(0.001)
    assert await other.ledger.sweep(DEAD_AFTER_S) == 1
    await database.close()


async def test_where_one_process_serves_every_other_is_dead_at_once(sqlite_url: str, clock: HandClock) -> None:
    database = await open_database(sqlite_url)
    before, now = Desk(database, clock), Desk(database, clock)
    await before.beat()
    await before.ledger.reserve(reservation(clock), Take(500))
    mine = reservation(clock)
    await now.ledger.reserve(mine, Take(7))

    assert await now.ledger.sweep(DEAD_AFTER_S) == 1

    stored = await books(database)
    assert (stored.balance("app"), list(stored.holds)) == (Balance(500, 7), [("default", mine.turn)])
    await database.close()


async def test_what_has_expired_is_swept_whoever_holds_it(survivor: Desk, clock: HandClock) -> None:
    await survivor.ledger.reserve(reservation(clock, lasts_ms=10_000), Take(500))
    clock.move(9.999)
    assert await survivor.ledger.sweep(DEAD_AFTER_S) == 0
    clock.move(0.001)
    assert await survivor.ledger.sweep(DEAD_AFTER_S) == 1

    assert (await books(survivor.database)).balance("app") == Balance(500, 0)


@pytest.mark.parametrize("cost", [0, 120, 500, 900])
async def test_who_comes_back_has_the_last_word(dead: Desk, survivor: Desk, clock: HandClock, cost: int) -> None:
    reserved = reservation(clock)
    await dead.ledger.reserve(reserved, Take(500))
    await passes(clock, survivor)
    await survivor.ledger.sweep(DEAD_AFTER_S)

    dead.settle(reserved, cost)
    await dead.ledger.flush()

    stored = await books(survivor.database)
    assert stored.windows == {("default", each): Balance(cost, 0) for each in reserved.windows}
    assert stored.costs == {("default", reserved.turn): [(cost, "usage")]}
    assert (stored.holds, stored.swept) == ({}, {})


async def test_a_turn_that_never_called_anybody_costs_nothing_after_all(
    dead: Desk, survivor: Desk, clock: HandClock
) -> None:
    """Its last word is that there was no attempt: the one that the sweeper assumed is taken back."""
    reserved = reservation(clock)
    await dead.ledger.reserve(reserved, Take(500))
    await passes(clock, survivor)
    await survivor.ledger.sweep(DEAD_AFTER_S)

    settlement = dead.settlement(reserved, 0)
    dead.ledger.settle(type(settlement)(reserved, 0, settlement.rows[:1]))
    await dead.ledger.flush()

    stored = await books(survivor.database)
    assert (stored.balance("app"), stored.costs) == (Balance(0, 0), {})


async def test_a_day_later_the_sweepers_word_is_the_last(
    dead: Desk, survivor: Desk, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    reserved = reservation(clock)
    await dead.ledger.reserve(reserved, Take(500))
    await passes(clock, survivor)
    await survivor.ledger.sweep(DEAD_AFTER_S)
    clock.move(86_400)
    await survivor.ledger.sweep(DEAD_AFTER_S)
    assert len((await books(survivor.database)).swept) == 1
    clock.move(1)
    await survivor.ledger.sweep(DEAD_AFTER_S)
    assert (await books(survivor.database)).swept == {}

    dead.settle(reserved, 120)
    await dead.ledger.flush()

    stored = await books(survivor.database)
    assert stored.balance("app") == Balance(500, 0)
    assert stored.costs == {("default", reserved.turn): [(500, "crash")]}
    assert dead.ledger.lost_settlements == 1
    assert "settlements_lost reason=they came long after the sweeper" in caplog.text
    assert dead.ledger.open_holds == 0


@pytest.mark.parametrize("is_heard_of", [True, False])
async def test_a_turn_that_ended_without_its_hold_costs_nothing(
    dead: Desk, survivor: Desk, clock: HandClock, is_heard_of: bool
) -> None:
    """Who asked was gone before the answer, and the process died before it had given back what it put aside."""
    reserved = reservation(clock)
    await dead.ledger.reserve(reserved, Take(500))
    ended, _ = rows_of(dead.database, dead.owner, reserved, None)
    await dead.database.write(ended)
    await passes(clock, survivor)

    assert await survivor.ledger.sweep(DEAD_AFTER_S) == 1
    if is_heard_of:
        dead.ledger.settle(Settlement(reserved, 0, ()))
        await dead.ledger.flush()

    stored = await books(survivor.database)
    assert (stored.balance("app"), stored.holds, stored.costs) == (Balance(0, 0), {}, {})
    row = await TurnReader(survivor.database, "default").find(reserved.turn)
    assert row is not None
    assert (row.status, row.error_code) == ("completed", None)


async def test_more_than_fit_into_a_transaction_are_all_swept(dead: Desk, survivor: Desk, clock: HandClock) -> None:
    await asyncio.gather(
        *(dead.ledger.reserve(reservation(clock, person=f"u{number % 9}"), Take(3)) for number in range(250))
    )
    await passes(clock, survivor)

    assert await survivor.ledger.sweep(DEAD_AFTER_S) == 250

    stored = await books(survivor.database)
    assert (stored.balance("app"), stored.cost, stored.holds) == (Balance(750, 0), 750, {})


async def test_many_sweepers_spend_it_once(database_url: str, clock: HandClock, engine: str) -> None:
    first = await open_database(database_url)
    databases = [first, *([await open_database(database_url) for _ in range(3)] if engine == "postgresql" else [])]
    dead = Desk(first, clock)
    await asyncio.gather(
        *(dead.ledger.reserve(reservation(clock, person=f"u{number % 9}"), Take(3)) for number in range(250))
    )
    clock.move(DEAD_AFTER_S + 1)
    desks = [Desk(databases[number % len(databases)], clock) for number in range(8)]

    swept = await asyncio.gather(*(desk.ledger.sweep(DEAD_AFTER_S) for desk in desks))

    assert sum(swept) == 250
    stored = await books(first)
    assert (stored.balance("app"), stored.cost, stored.holds) == (Balance(750, 0), 750, {})
    for database in databases:
        await database.close()


async def test_a_settlement_beside_a_sweep_is_counted_once(dead: Desk, survivor: Desk, clock: HandClock) -> None:
    """Whoever comes first, what the turn did cost is what is spent."""
    turns = [reservation(clock, person=f"u{number % 5}") for number in range(60)]
    await asyncio.gather(*(dead.ledger.reserve(each, Take(500)) for each in turns))
    await passes(clock, survivor)

    sweeping = asyncio.create_task(survivor.ledger.sweep(DEAD_AFTER_S))
    for number, each in enumerate(turns):
        dead.settle(each, number)
        await asyncio.sleep(0)
    await sweeping
    await dead.ledger.flush()

    stored = await books(survivor.database)
    assert stored.balance("app") == Balance(sum(range(60)), 0)
    assert stored.cost == sum(range(60))
    assert (stored.holds, stored.swept) == ({}, {})
