"""What is stored together with money that is put aside: both, or neither, and nobody else's is touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

from frontdesk.core.errors import Conflict
from frontdesk.keeping.store.carriers import begin, may_go_on
from frontdesk.ledger.holds import Balance
from frontdesk.storage.database import Database
from frontdesk.storage.errors import OutcomeUnknown, StatementFailed, StorageError, StorageFailed
from frontdesk.storage.query import Row, Step
from tests.fakes import HandClock
from tests.ledger.books import Choice, Desk, Take, books, reservation
from tests.ledger.failing import FailingDatabase, Failure

NOTHING = Balance(0, 0)
Entering = Callable[[Any], Generator[Step, list[Row], Exception | None] | None]


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


def storing(name: str, refusal: Exception | None = None, error: Exception | None = None) -> Entering:
    """Keeps a row of this name, unless it is refused; or breaks."""

    def enter(_: Choice) -> Generator[Step, list[Row], Exception | None]:
        if refusal is None:
            yield begin(name, 0)
        if error is not None:
            raise error
        return refusal

    return enter


async def is_there(desk: Desk, name: str) -> bool:
    return bool((await desk.database.write(may_go_on(name)))[0])


async def test_it_is_stored_with_what_is_put_aside(desk: Desk, clock: HandClock) -> None:
    choice = await desk.ledger.reserve(reservation(clock), Take(500), storing("a"))

    assert choice.micros == 500
    assert await is_there(desk, "a")
    assert (await books(desk.database)).balance("app") == Balance(0, 500)


async def test_it_sees_what_was_chosen_and_may_have_nothing_to_store(desk: Desk, clock: HandClock) -> None:
    seen: list[int] = []

    def enter(choice: Choice) -> None:
        seen.append(choice.micros)

    await desk.ledger.reserve(reservation(clock), Take(500, cap=100), enter)

    assert seen == [0]
    assert (await books(desk.database)).holds == {}


async def test_what_refuses_it_is_raised_and_nothing_is_put_aside(desk: Desk, clock: HandClock) -> None:
    with pytest.raises(Conflict, match="locked"):
        await desk.ledger.reserve(reservation(clock), Take(500), storing("a", Conflict("It is locked.")))

    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds, desk.ledger.open_holds) == (NOTHING, {}, 0)


async def test_of_those_who_come_together_each_has_what_is_its_own(desk: Desk, clock: HandClock) -> None:
    """One is refused, one is a bug, one takes what is left: the others do not notice."""

    def one(number: int) -> Any:
        refusal = Conflict("It is locked.") if number % 5 == 1 else None
        error = RuntimeError("A bug.") if number % 5 == 2 else None
        return desk.ledger.reserve(
            reservation(clock, person=f"u{number}"), Take(100, cap=1_000), storing(f"p{number}", refusal, error)
        )

    outcomes = await asyncio.gather(*(one(number) for number in range(20)), return_exceptions=True)

    kinds = [type(each) for each in outcomes]
    assert [kinds[number] for number in range(20) if number % 5 == 1] == [Conflict] * 4
    assert all(issubclass(kinds[number], StatementFailed) for number in range(20) if number % 5 == 2)
    granted = [number for number, each in enumerate(outcomes) if isinstance(each, Choice) and each.micros]
    assert len(granted) == 10
    assert [number for number in range(20) if await is_there(desk, f"p{number}")] == [
        number for number in range(20) if number % 5 not in {1, 2}
    ]
    assert (await books(desk.database)).balance("app") == Balance(0, 1_000)


@pytest.mark.parametrize("failure", Failure)
async def test_where_it_fails_the_money_goes_back_and_who_asked_is_told_whether_it_may_be_stored(
    desk: Desk, failing: FailingDatabase, clock: HandClock, failure: Failure
) -> None:
    failing.failures.append(failure)

    with pytest.raises(StorageFailed) as told:
        await desk.ledger.reserve(reservation(clock), Take(500), storing("a"))

    await desk.ledger.flush()
    stored = await books(desk.database)
    assert (stored.balance("app"), stored.holds, desk.ledger.open_holds) == (NOTHING, {}, 0)
    if not isinstance(told.value, OutcomeUnknown):  # then nobody looks after it
        assert not await is_there(desk, "a")
    if failure in {Failure.STORED, Failure.STORED_UNSEEN}:
        assert isinstance(told.value, OutcomeUnknown)
        assert await is_there(desk, "a")


async def test_a_ledger_that_takes_nothing_more_stores_nothing(desk: Desk, clock: HandClock) -> None:
    await desk.ledger.close()

    with pytest.raises(StorageError):
        await desk.ledger.reserve(reservation(clock), Take(500), storing("a"))

    assert not await is_there(desk, "a")
