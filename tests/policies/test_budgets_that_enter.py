"""Turns that are kept enter the store with the money that is put aside for them: whoever cuts in, both or neither."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from frontdesk.core.config import Budget, Config, Model
from frontdesk.core.errors import Conflict, QuotaSpent, Unavailable
from frontdesk.ledger.holds import Balance, Facts, Window
from frontdesk.ledger.ledger import Ledger
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets
from frontdesk.storage.database import Database
from frontdesk.storage.query import Step
from frontdesk.turn.turn import Turn
from tests.fakes import HandClock
from tests.keeping.process import Process, Speaker, is_empty, keys
from tests.ledger.failing import FailingDatabase, Failure
from tests.policies.treasury import PaperPrices, price

APP = Window("app", "total", 0)
CONFIG = Config(models={"fast": Model(["p/dear"], max_output_tokens=200)}, budgets=[Budget(0.02, "total", scope="app")])
DEAR = PaperPrices({"p/dear": price(2, 10)})


def no_rows(tenant: str, turn: str, facts: Facts, micros: int, now_ms: int) -> Sequence[Step]:
    return ()


class Counting:
    """A process whose turns cost money."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.process = Process(database, Speaker())
        self.ledger = Ledger(database, "proc_1", HandClock(), no_rows)
        self.budgets = Budgets(CONFIG, DEAR, self.ledger, Access(CONFIG), HandClock())

    def turn(self, key: str = "key-1", **options: Any) -> Turn:
        turn = self.process.turn()
        turn.entrance = self.process.keeper._new(turn, self.process.plan(turn, key, **options))
        return turn

    async def admit(self, turn: Turn) -> None:
        waiting = self.budgets.admit(turn)
        assert waiting is not None
        await waiting

    async def balance(self) -> Balance:
        await self.ledger.flush()
        return (await self.ledger.balances("default", [APP]))[0]


@pytest.fixture
async def counting(database: Database) -> AsyncIterator[Counting]:
    made = Counting(FailingDatabase(database))
    await made.process.lease.begin()
    yield made
    await made.process.until_idle()
    await made.process.close()
    await made.ledger.close()


async def test_both_are_stored_at_once(counting: Counting) -> None:
    turn = counting.turn()
    await counting.admit(turn)

    assert turn.entrance is not None
    assert (turn.entrance.is_entered, turn.entrance.is_dispatched) == (True, False)
    assert await keys(counting.database) == [turn.id]
    assert (await counting.balance()).held > 0


async def test_whose_key_was_used_before_puts_nothing_aside(counting: Counting) -> None:
    await counting.admit(counting.turn())
    before = await counting.balance()

    with pytest.raises(Conflict) as refused:
        await counting.admit(counting.turn())

    assert refused.value.code == "idempotency_key_in_use"
    assert await counting.balance() == before


async def test_whom_the_budget_refuses_does_not_enter(counting: Counting) -> None:
    with contextlib.suppress(QuotaSpent):
        for number in range(100):
            await counting.admit(counting.turn(f"key-{number}"))
    assert 1 < len(await keys(counting.database)) < 100

    turn = counting.turn("key-more")
    with pytest.raises(QuotaSpent):
        await counting.admit(turn)
    assert turn.id not in await keys(counting.database)


@pytest.mark.parametrize("failure", [Failure.AWAY, Failure.LOST, Failure.STORED])
async def test_where_storing_fails_nothing_of_both_stays(counting: Counting, failure: Failure) -> None:
    counting.database.failures.append(failure)

    with pytest.raises(Unavailable):
        await counting.admit(counting.turn())

    await counting.process.until_idle()
    assert await counting.balance() == Balance(0, 0)
    assert await is_empty(counting.database)


@pytest.mark.parametrize("moments", range(6))
async def test_who_is_cancelled_meanwhile_knows_whether_it_has_entered_and_holds_no_money(
    counting: Counting, moments: int
) -> None:
    turn = counting.turn()
    admitting = asyncio.ensure_future(counting.admit(turn))
    for _ in range(moments):
        await asyncio.sleep(0)

    admitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await admitting

    assert turn.entrance is not None
    assert await keys(counting.database) == ([turn.id] if turn.entrance.is_entered else [])
    assert await counting.balance() == Balance(0, 0)
