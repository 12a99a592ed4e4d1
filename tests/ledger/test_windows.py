"""Windows come into being with what was spent before anybody counted, and become another person's. On both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from frontdesk.accounts.store import AllTenants
from frontdesk.core.clock import unix_ms
from frontdesk.ledger.holds import Balance, Reservation, Window
from frontdesk.storage.database import Database
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import budget_window
from tests.accounts.opened import begun, opened
from tests.fakes import HandClock
from tests.ledger.books import Desk, Take, books, reservation, rows_of, window

NOTHING = Balance(0, 0)
NOON = datetime(2028, 2, 29, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOON)


@pytest.fixture
async def desk(database: Database, clock: HandClock) -> AsyncIterator[Desk]:
    made = Desk(database, clock)
    yield made
    await made.ledger.close()


async def spend(desk: Desk, reserved: Reservation, micros: int) -> None:
    await desk.ledger.reserve(reserved, Take(1_000))
    desk.settle(reserved, micros)
    await desk.ledger.flush()


async def write_turn(desk: Desk, reserved: Reservation, micros: int | None) -> None:
    """A turn that no budget applied to."""
    await desk.database.write(*rows_of(desk.database, desk.owner, reserved, micros))


async def told(desk: Desk, *windows: Window, tenant: str = "default") -> list[Balance]:
    """What is told to somebody who reserves."""
    choice = await desk.ledger.reserve(reservation(desk.clock, *windows, tenant=tenant), Take(0))
    return list(choice.saw)


# --- history ------------------------------------------------------------------------------------


async def test_a_new_budget_counts_what_was_spent_in_its_period(desk: Desk, clock: HandClock) -> None:
    """The leap day is one of its own, and February's."""
    now_ms = unix_ms(clock)
    clock.move(-31 * 86_400)  # January
    await write_turn(desk, reservation(clock), 1)
    clock.move(30 * 86_400)  # yesterday
    await write_turn(desk, reservation(clock), 20)
    clock.move(86_400)
    await write_turn(desk, reservation(clock, tier="premium"), 300)
    await write_turn(desk, reservation(clock, person="u2"), 4_000)
    await write_turn(desk, reservation(clock, person="u2"), None)
    await write_turn(desk, reservation(clock, tenant="other"), 50_000)

    expected = {
        "app": (4_300, 4_320, 4_321),
        "user:u1": (300, 320, 321),
        "user:u2": (4_000, 4_000, 4_000),
        "user:u3": (0, 0, 0),
        "tier:free": (4_000, 4_020, 4_021),
        "tier:premium": (300, 300, 300),
        "feature:chat": (4_300, 4_320, 4_321),
        "feature:summaries": (0, 0, 0),
        "group:staff": (0, 0, 0),
    }
    for scope, (day, month, total) in expected.items():
        windows = [window(scope, period, now_ms) for period in ("day", "month", "total")]
        assert await told(desk, *windows) == [Balance(day, 0), Balance(month, 0), Balance(total, 0)], scope
    for scope in ("app", "user:u1", "tier:free"):
        assert await told(desk, window(scope, "day", now_ms - 86_400_000)) == [Balance(20, 0)], scope


async def test_what_is_settled_with_the_first_look_is_counted_once(desk: Desk, clock: HandClock) -> None:
    """A settlement and the reservation that makes a window share a transaction, and the turn is in its history."""
    day, month = window("app", "day", unix_ms(clock)), window("app", "month", unix_ms(clock))
    reserved = reservation(clock, day)
    await desk.ledger.reserve(reserved, Take(500))

    desk.settle(reserved, 30)
    choice = await desk.ledger.reserve(reservation(clock, day, month), Take(1))
    await desk.ledger.flush()

    assert choice.saw[0] == Balance(30, 0)
    stored = await books(desk.database)
    assert stored.windows[("default", day)] == Balance(30, 1)
    # Its reservation did not name the month.
    assert stored.windows[("default", month)] == Balance(0, 1)


async def test_a_window_that_was_deleted_is_made_anew_with_what_it_said(desk: Desk, clock: HandClock) -> None:
    """Though the ledger has seen it and believes it to be there."""
    app = window("app", "month", unix_ms(clock))
    await spend(desk, reservation(clock, app), 70)
    await desk.database.write(Step(Query(sa.delete(budget_window))))

    assert await told(desk, app) == [Balance(70, 0)]

    open_turn = reservation(clock, app)
    await desk.ledger.reserve(open_turn, Take(0))
    await desk.database.write(Step(Query(sa.delete(budget_window))))
    desk.settle(open_turn, 5)
    await desk.ledger.flush()
    assert await told(desk, app) == [Balance(75, 0)]


async def test_the_first_to_come_at_once_make_a_window_once(desk: Desk, clock: HandClock, database_url: str) -> None:
    await write_turn(desk, reservation(clock), 70)
    others = [Desk(desk.database, clock) for _ in range(5)]

    choices = await asyncio.gather(
        *(each.ledger.reserve(reservation(clock), Take(10)) for each in (desk, *others)),
    )

    assert sorted(choice.saw[2] for choice in choices) == [Balance(70, 10 * number) for number in range(6)]


# --- periods ------------------------------------------------------------------------------------


async def test_a_turn_is_spent_in_the_period_that_it_began_in(desk: Desk, clock: HandClock) -> None:
    """It began on the leap day and ended in March."""
    clock.move(12 * 3600 - 1)
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))
    clock.move(2)

    before = await told(desk, *reservation(clock).windows)
    desk.settle(reserved, 30)
    await desk.ledger.flush()

    assert before == [NOTHING] * 3
    assert await told(desk, *reservation(clock).windows) == [NOTHING] * 3
    assert await told(desk, *reserved.windows) == [Balance(30, 0)] * 3


# --- upgrades -----------------------------------------------------------------------------------


async def test_what_an_anonymous_person_spent_is_the_users_once(desk: Desk, clock: HandClock) -> None:
    accounts = await opened(desk.database, clock)
    anonymous = await begun(accounts, None)
    now_ms = unix_ms(clock)

    def of(person: str) -> list[Window]:
        return [window(f"user:{person}", period, now_ms) for period in ("day", "month", "total")]

    await spend(desk, reservation(clock, *of(anonymous.person), person=anonymous.person), 70)
    # The user has a window of the day already; for the month, only turns.
    await spend(desk, reservation(clock, of("u1")[0], person="u1"), 5)
    open_turn = reservation(clock, *of(anonymous.person), person=anonymous.person)
    await desk.ledger.reserve(open_turn, Take(400))

    await accounts.upgrade(anonymous.token, "default", "u1")
    await accounts.upgrade(anonymous.token, "default", "u1")
    await accounts.sweep_upgrades()

    assert await told(desk, *of("u1")) == [Balance(75, 0)] * 3
    assert await told(desk, *of(anonymous.person)) == [Balance(0, 400)] * 3

    desk.settle(open_turn, 9)
    await desk.ledger.flush()
    for _ in range(3):
        await accounts.sweep_upgrades()

    assert await told(desk, *of("u1")) == [Balance(84, 0)] * 3
    assert await told(desk, *of(anonymous.person)) == [NOTHING] * 3


async def test_a_user_without_windows_gets_them_with_all_that_is_theirs(desk: Desk, clock: HandClock) -> None:
    """Nothing of it comes twice, by the turns that become theirs and by what they cost."""
    accounts = await opened(desk.database, clock)
    anonymous = await begun(accounts, None)
    day = window(f"user:{anonymous.person}", "day", unix_ms(clock))
    await write_turn(desk, reservation(clock, person="u1"), 1_000)
    await write_turn(desk, reservation(clock, person=anonymous.person), 200)
    await spend(desk, reservation(clock, day, person=anonymous.person), 30)
    assert await told(desk, day) == [Balance(230, 0)]

    await accounts.upgrade(anonymous.token, "default", "u1")

    months = window("user:u1", "month", unix_ms(clock))
    assert await told(desk, window("user:u1", "day", unix_ms(clock)), months) == [Balance(1_230, 0)] * 2


async def test_only_the_same_tenants_windows_are_moved(desk: Desk, clock: HandClock) -> None:
    accounts = await opened(desk.database, clock)
    anonymous = await begun(accounts, None)
    day = window(f"user:{anonymous.person}", "day", unix_ms(clock))
    await spend(desk, reservation(clock, day, person=anonymous.person, tenant="other"), 30)

    await accounts.upgrade(anonymous.token, "default", "u1")
    await accounts.sweep_upgrades()

    assert await told(desk, day, tenant="other") == [Balance(30, 0)]
    assert await told(desk, window("user:u1", "day", unix_ms(clock))) == [NOTHING]


async def test_windows_of_periods_that_have_ended_stay(desk: Desk, clock: HandClock) -> None:
    """Also that of the first of the month, which begins when the month does that still runs."""
    clock.move(36 * 3600 - 1)
    accounts = await opened(desk.database, clock)
    anonymous = await begun(accounts, None)
    day = window(f"user:{anonymous.person}", "day", unix_ms(clock))
    assert day.starts_at_ms == window("app", "month", unix_ms(clock)).starts_at_ms
    await spend(desk, reservation(clock, day, person=anonymous.person), 30)
    clock.move(2)

    await accounts.upgrade(anonymous.token, "default", "u1")
    await accounts.sweep_upgrades()

    assert await told(desk, day) == [Balance(30, 0)]
    now_ms = unix_ms(clock)
    assert await AllTenants(desk.database).left_behind(0, now_ms) == []


async def test_what_is_corrected_after_an_upgrade_is_corrected_for_the_user(desk: Desk, clock: HandClock) -> None:
    """Its hold was swept and spent, and moved with the rest; then it turned out to have cost less."""
    accounts = await opened(desk.database, clock)
    anonymous = await begun(accounts, None)
    day = window(f"user:{anonymous.person}", "day", unix_ms(clock))
    reserved = reservation(clock, day, person=anonymous.person, lasts_ms=1_000)
    await desk.ledger.reserve(reserved, Take(500))
    clock.move(2)
    await desk.ledger.sweep(60)
    await accounts.upgrade(anonymous.token, "default", "u1")
    assert await told(desk, window("user:u1", "day", unix_ms(clock))) == [Balance(500, 0)]

    desk.settle(reserved, 40)
    await desk.ledger.flush()
    await accounts.sweep_upgrades()

    assert await told(desk, window("user:u1", "day", unix_ms(clock)), day) == [Balance(40, 0), NOTHING]


async def test_upgrades_beside_settlements_lose_and_double_nothing(desk: Desk, clock: HandClock) -> None:
    accounts = await opened(desk.database, clock)
    total = 0
    for round_ in range(6):
        anonymous = await begun(accounts, None)
        day = window(f"user:{anonymous.person}", "day", unix_ms(clock))
        turns = [reservation(clock, day, person=anonymous.person) for _ in range(10)]
        await asyncio.gather(*(desk.ledger.reserve(each, Take(100)) for each in turns))
        upgrading = asyncio.create_task(accounts.upgrade(anonymous.token, "default", "u1"))
        for number, each in enumerate(turns):
            desk.settle(each, number)
            for _ in range(round_):
                await asyncio.sleep(0)
        await upgrading
        await asyncio.gather(accounts.sweep_upgrades(), accounts.sweep_upgrades())
        await desk.ledger.flush()
        await accounts.sweep_upgrades()
        total += 45

        assert await told(desk, window("user:u1", "day", unix_ms(clock)), day) == [Balance(total, 0), NOTHING]
