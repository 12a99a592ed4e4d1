"""Money is put aside, given back and spent: one turn at a time, and many at once. On both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from frontdesk.core.clock import unix_ms
from frontdesk.ledger import ledger as ledger_module
from frontdesk.ledger.holds import Balance, Settlement, Window
from frontdesk.storage.database import Database
from frontdesk.storage.errors import StorageBusy, StorageClosed, StorageFailed
from tests.fakes import HandClock
from tests.ledger.books import Choice, Desk, Take, books, reservation, window, windows_now

NOTHING = Balance(0, 0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def desk(database: Database, clock: HandClock) -> AsyncIterator[Desk]:
    made = Desk(database, clock)
    yield made
    await made.ledger.close()


# --- one turn -----------------------------------------------------------------------------------


async def test_what_is_chosen_is_put_aside_in_every_window(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)

    choice = await desk.ledger.reserve(reserved, Take(500))

    assert choice == Choice(500, (NOTHING, NOTHING, NOTHING))
    stored = await books(desk.database)
    assert stored.windows == {("default", each): Balance(0, 500) for each in reserved.windows}
    assert stored.holds == {("default", reserved.turn): 500}
    assert desk.ledger.open_holds == 1


async def test_a_settlement_gives_back_what_was_put_aside_and_spends_what_it_cost(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))

    desk.settle(reserved, 120)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.windows == {("default", each): Balance(120, 0) for each in reserved.windows}
    assert stored.holds == {}
    assert stored.costs == {("default", reserved.turn): [(120, "usage")]}
    assert (desk.ledger.open_holds, desk.ledger.waiting_settlements) == (0, 0)


async def test_who_looks_at_balances_sees_what_was_just_settled(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))

    desk.settle(reserved, 120)

    assert await desk.ledger.balances("default", reserved.windows) == [Balance(120, 0)] * 3


async def test_a_turn_may_cost_more_than_was_put_aside(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))

    desk.settle(reserved, 700)
    await desk.ledger.flush()

    assert (await books(desk.database)).balance("app") == Balance(700, 0)


async def test_who_puts_nothing_aside_holds_nothing(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)

    choice = await desk.ledger.reserve(reserved, Take(500, cap=499))

    assert choice.micros == 0
    stored = await books(desk.database)
    assert set(stored.windows.values()) == {NOTHING}
    assert stored.holds == {}
    assert desk.ledger.open_holds == 0


async def test_a_turn_that_put_nothing_aside_spends_what_it_cost_once(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(0))

    desk.settle(reserved, 70)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.windows == {("default", each): Balance(70, 0) for each in reserved.windows}
    assert stored.cost == 70


async def test_rows_of_a_turn_that_cost_nothing_are_written_all_the_same(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(0))

    desk.settle(reserved, 0)
    await desk.ledger.flush()

    assert (await books(desk.database)).costs == {("default", reserved.turn): [(0, "usage")]}


async def test_more_is_put_aside_for_a_turn_that_needs_it(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))

    choice = await desk.ledger.extend(reserved, Take(300))

    assert choice == Choice(300, (Balance(0, 500),) * 3)
    stored = await books(desk.database)
    assert stored.holds == {("default", reserved.turn): 800}
    assert stored.balance("app") == Balance(0, 800)

    desk.settle(reserved, 10)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds) == (Balance(10, 0), {})


async def test_a_turn_that_put_nothing_aside_may_do_so_later(desk: Desk, clock: HandClock) -> None:
    """Its first route was free, the next one is not."""
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(0))

    await desk.ledger.extend(reserved, Take(300))

    stored = await books(desk.database)
    assert stored.holds == {("default", reserved.turn): 300}
    desk.settle(reserved, 10)
    await desk.ledger.flush()
    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds) == (Balance(10, 0), {})


async def test_a_window_that_two_budgets_look_at_counts_once(desk: Desk, clock: HandClock) -> None:
    day = window("app", "day", unix_ms(clock))
    reserved = reservation(clock, day, day)

    choice = await desk.ledger.reserve(reserved, Take(500))
    other = await desk.ledger.reserve(reservation(clock, day), Take(1))
    desk.settle(reserved, 20)
    await desk.ledger.flush()

    assert choice.saw == (NOTHING, NOTHING)
    assert other.saw == (Balance(0, 500),)
    assert (await books(desk.database)).balance("app") == Balance(20, 1)


async def test_balances_are_told_in_the_order_of_asking(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))
    first, second, third = reserved.windows
    unknown = Window("app", "total", 0)

    assert await desk.ledger.balances("default", [third, unknown, first]) == [Balance(0, 500), NOTHING, Balance(0, 500)]
    assert await desk.ledger.balances("other", [second]) == [NOTHING]


async def test_tenants_share_nothing(desk: Desk, clock: HandClock) -> None:
    one, other = reservation(clock, turn_id="turn_1"), reservation(clock, turn_id="turn_1", tenant="other")
    await asyncio.gather(desk.ledger.reserve(one, Take(5)), desk.ledger.reserve(other, Take(7)))

    desk.settle(other, 2)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.balance("app") == Balance(0, 5)
    assert stored.balance("app", "other") == Balance(2, 0)
    assert stored.holds == {("default", "turn_1"): 5}


# --- many at once -------------------------------------------------------------------------------


async def test_two_hundred_at_once_never_pass_the_cap(desk: Desk, clock: HandClock) -> None:
    reserved = [reservation(clock, person=f"u{number % 7}") for number in range(200)]

    choices = await asyncio.gather(*(desk.ledger.reserve(each, Take(30, cap=1_000)) for each in reserved))

    assert sum(choice.micros for choice in choices) == 990
    stored = await books(desk.database)
    assert stored.balance("app") == Balance(0, 990)
    assert sum(stored.holds.values()) == 990


async def test_clients_that_go_on_until_all_is_refused_never_pass_the_cap(desk: Desk, clock: HandClock) -> None:
    async def use_up(person: int) -> None:
        while True:
            reserved = reservation(clock, person=f"u{person}")
            choice = await desk.ledger.reserve(reserved, Take(90, cap=20_000))
            if not choice.micros:
                return
            assert all(spent + held + 90 <= 20_000 for spent, held in choice.saw)
            await asyncio.sleep(0)
            desk.settle(reserved, person % 91)

    await asyncio.gather(*(use_up(person) for person in range(1, 201)))
    await desk.ledger.flush()

    stored = await books(desk.database)
    spent = stored.balance("app").spent
    assert 20_000 - 90 < spent <= 20_000
    assert stored.balance("app").held == 0
    assert stored.cost == spent == sum(stored.balance(f"user:u{person}").spent for person in range(1, 201))
    assert stored.holds == {}


async def test_each_sees_what_those_before_it_in_its_transaction_have_left(desk: Desk, clock: HandClock) -> None:
    first = reservation(clock)
    await desk.ledger.reserve(first, Take(100))

    desk.settle(first, 30)
    choices = await asyncio.gather(*(desk.ledger.reserve(reservation(clock), Take(10)) for _ in range(3)))

    assert [choice.saw[2] for choice in choices] == [Balance(30, 0), Balance(30, 10), Balance(30, 20)]


async def test_those_that_wait_together_share_a_transaction(desk: Desk, clock: HandClock) -> None:
    transactions: list[int] = []
    transact = desk.database.transact

    async def counted(*arguments: Any, **options: Any) -> object:
        transactions.append(1)
        return await transact(*arguments, **options)

    desk.database.transact = counted  # pyright: ignore[reportAttributeAccessIssue] - it only counts
    await asyncio.gather(*(desk.ledger.reserve(reservation(clock), Take(1)) for _ in range(100)))

    assert len(transactions) == 1


async def test_a_choice_that_raises_fails_alone(desk: Desk, clock: HandClock) -> None:
    def raises(_: object) -> Choice:
        raise LookupError("of its own")

    outcomes = await asyncio.gather(
        desk.ledger.reserve(reservation(clock), Take(5)),
        desk.ledger.reserve(reservation(clock), raises),
        desk.ledger.reserve(reservation(clock), Take(-1)),
        desk.ledger.reserve(reservation(clock), lambda _: None),  # pyright: ignore[reportArgumentType] - the subject
        desk.ledger.reserve(reservation(clock), Take(7)),
        return_exceptions=True,
    )

    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Choice, LookupError, ValueError, AttributeError, Choice]
    assert (await books(desk.database)).balance("app") == Balance(0, 12)


async def test_a_turn_that_reserves_twice_fails_alone(desk: Desk, clock: HandClock) -> None:
    """It would lose what the first one put aside."""
    reserved = reservation(clock)

    first, second, other = await asyncio.gather(
        desk.ledger.reserve(reserved, Take(5)),
        desk.ledger.reserve(reserved, Take(6)),
        desk.ledger.reserve(reservation(clock), Take(7)),
        return_exceptions=True,
    )

    assert first == Choice(5, (NOTHING,) * 3)
    assert isinstance(second, Exception)
    assert isinstance(other, Choice)
    stored = await books(desk.database)
    assert stored.balance("app") == Balance(0, 12)
    desk.settle(reserved, 0)
    await desk.ledger.flush()
    assert (await books(desk.database)).balance("app") == Balance(0, 7)


async def test_rows_that_can_never_be_stored_do_not_cost_the_money_or_a_neighbour(
    desk: Desk, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = reservation(clock), reservation(clock)
    await asyncio.gather(desk.ledger.reserve(bad, Take(5)), desk.ledger.reserve(good, Take(5)))
    settlement = desk.settlement(bad, 3)
    turn_step = settlement.rows[0]
    assert isinstance(turn_step.parameters, dict)
    broken = type(turn_step)(turn_step.query, {**turn_step.parameters, "status": None})

    desk.ledger.settle(Settlement(bad, 3, (broken,)))
    desk.settle(good, 4)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.balance("app") == Balance(7, 0)
    assert stored.costs == {("default", good.turn): [(4, "usage")]}
    assert desk.ledger.lost_settlements == 1
    assert desk.ledger.waiting_settlements == 0
    assert "settlements_lost" in caplog.text


# --- who stops waiting --------------------------------------------------------------------------


@pytest.mark.parametrize("turns_of_the_loop", range(12))
async def test_what_was_put_aside_for_who_stops_waiting_is_given_back(
    desk: Desk, clock: HandClock, turns_of_the_loop: int
) -> None:
    reserved = reservation(clock)
    waiting = asyncio.create_task(desk.ledger.reserve(reserved, Take(500)))
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    has_ended = not waiting.cancel()
    if has_ended:
        desk.settle(reserved, 0)
    else:
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await desk.ledger.reserve(reservation(clock), Take(1))
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.balance("app") == Balance(0, 1)
    assert list(stored.holds.values()) == [1]
    assert desk.ledger.open_holds == 1


async def test_many_who_stop_waiting_at_any_moment_leave_nothing(desk: Desk, clock: HandClock) -> None:
    """Also in the very moment in which they would have been answered."""

    async def ask(number: int) -> None:
        reserved = reservation(clock, person=f"u{number % 5}")
        waiting = asyncio.create_task(desk.ledger.reserve(reserved, Take(500)))
        for _ in range(number % 40):
            await asyncio.sleep(0)
        if number % 3:
            waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            return
        desk.settle(reserved, 1)

    await asyncio.gather(*(ask(number) for number in range(400)))
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert stored.holds == {}
    assert stored.balance("app") == Balance(stored.cost, 0)
    assert stored.cost >= 134
    assert desk.ledger.open_holds == 0


async def test_who_is_cancelled_as_the_answer_comes_gives_back(desk: Desk, clock: HandClock) -> None:
    """The answer is there, and the task that waited for it is cancelled before it goes on."""
    waiting = asyncio.create_task(desk.ledger.reserve(reservation(clock), Take(500)))

    def cancel_after(batch: Any, outcome: Any) -> None:
        stored(batch, outcome)
        waiting.cancel()

    stored = desk.ledger._stored  # the moment between
    desk.ledger._stored = cancel_after
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await desk.ledger.flush()

    after = await books(desk.database)
    assert (after.balance("app"), after.holds) == (NOTHING, {})


@pytest.mark.parametrize("turns_of_the_loop", range(12))
async def test_an_extension_that_nobody_waits_for_goes_back_with_the_turn(
    desk: Desk, clock: HandClock, turns_of_the_loop: int
) -> None:
    for first in (0, 100):
        reserved = reservation(clock)
        await desk.ledger.reserve(reserved, Take(first))
        waiting = asyncio.create_task(desk.ledger.extend(reserved, Take(500)))
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        desk.settle(reserved, 10)
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds) == (Balance(20, 0), {})


async def test_who_stops_waiting_before_a_transaction_begins_is_no_part_of_it(desk: Desk, clock: HandClock) -> None:
    """An extension that came after its turn's settlement would hold for ever."""
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(0))
    has_begun, may_go_on = asyncio.Event(), asyncio.Event()
    transact = desk.database.transact

    async def slowly(*arguments: Any, **options: Any) -> object:
        has_begun.set()
        await may_go_on.wait()
        return await transact(*arguments, **options)

    desk.database.transact = slowly  # pyright: ignore[reportAttributeAccessIssue] - it only waits
    under_way = asyncio.create_task(desk.ledger.reserve(reservation(clock), Take(1)))
    await has_begun.wait()
    extending = asyncio.create_task(desk.ledger.extend(reserved, Take(500)))
    await asyncio.sleep(0)
    extending.cancel()
    await asyncio.gather(extending, return_exceptions=True)
    desk.settle(reserved, 10)
    may_go_on.set()
    await under_way
    await desk.ledger.flush()

    stored = await books(desk.database)
    assert (stored.balance("app"), list(stored.holds.values())) == (Balance(10, 1), [1])


# --- closing, bounds ----------------------------------------------------------------------------


async def test_closing_stores_what_waits(database: Database, clock: HandClock) -> None:
    desk = Desk(database, clock)
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))
    desk.settle(reserved, 120)

    await desk.ledger.close()

    assert (await books(database)).balance("app") == Balance(120, 0)
    with pytest.raises(StorageClosed):
        await desk.ledger.reserve(reservation(clock), Take(1))
    with pytest.raises(StorageClosed):
        await desk.ledger.extend(reserved, Take(1))


async def test_two_ledgers_of_one_process_do_not_take_each_others_work_for_their_own(
    database: Database, clock: HandClock
) -> None:
    """One that follows another, or stands beside it, counts what it stores from the start."""
    for number in range(3):
        desk = Desk(database, clock, owner="proc_1")
        reserved = reservation(clock)
        assert (await desk.ledger.reserve(reserved, Take(500))).saw[2] == Balance(20 * number, 0)
        desk.settle(reserved, 20)
        if number:
            await desk.ledger.close()
            await desk.ledger.close()
        else:
            await desk.ledger.flush()

    assert (await books(database)).balance("app") == Balance(60, 0)


async def test_a_settlement_after_the_end_is_said_to_be_lost(
    database: Database, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(database, clock)
    reserved = reservation(clock)
    await desk.ledger.reserve(reserved, Take(500))
    await desk.ledger.close()

    desk.settle(reserved, 120)

    assert desk.ledger.lost_settlements == 1
    assert "settlements_lost reason=after the ledger was closed" in caplog.text


async def test_nothing_is_reserved_where_too_many_settlements_wait(
    desk: Desk, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MOST_WAITING", 3)
    open_turns = [reservation(clock) for _ in range(4)]
    for each in open_turns:
        await desk.ledger.reserve(each, Take(1))
    for each in open_turns:
        desk.settle(each, 1)

    with pytest.raises(StorageBusy, match="4 settlements wait"):
        await desk.ledger.reserve(reservation(clock), Take(1))

    await desk.ledger.flush()
    assert (await desk.ledger.reserve(reservation(clock), Take(1))).micros == 1
    assert (await books(desk.database)).balance("app") == Balance(4, 1)


async def test_more_than_fit_into_a_transaction_are_all_stored(desk: Desk, clock: HandClock) -> None:
    reserved = [reservation(clock) for _ in range(300)]
    await asyncio.gather(*(desk.ledger.reserve(each, Take(2)) for each in reserved))
    for each in reserved:
        desk.settle(each, 1)

    late = await asyncio.gather(*(desk.ledger.reserve(reservation(clock), Take(2)) for _ in range(300)))
    await desk.ledger.flush()

    assert {choice.micros for choice in late} == {2}
    stored = await books(desk.database)
    assert (stored.balance("app"), len(stored.holds), stored.cost) == (Balance(300, 600), 300, 300)


async def test_a_hold_that_was_swept_is_not_extended(desk: Desk, clock: HandClock) -> None:
    reserved = reservation(clock, lasts_ms=1_000)
    await desk.ledger.reserve(reserved, Take(500))
    clock.move(2)
    assert await desk.ledger.sweep(60) == 1

    with pytest.raises(StorageFailed, match="has expired"):
        await desk.ledger.extend(reserved, Take(1))

    assert (await books(desk.database)).balance("app") == Balance(500, 0)


def test_windows_of_the_tests_are_of_now() -> None:
    clock = HandClock()
    assert [each.starts_at_ms % 86_400_000 for each in windows_now(clock)] == [0, 0, 0]
