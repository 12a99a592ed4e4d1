"""Budgets on a real ledger, on both engines: whoever comes together, the cap holds and all of it comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from frontdesk.core.config import Budget, Config, Model, PersonBudget, Tier
from frontdesk.core.errors import ProviderError, QuotaSpent
from frontdesk.ledger.holds import Balance, Facts, Settlement, Window
from frontdesk.ledger.ledger import Ledger
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets
from frontdesk.policies.funds import Funds
from frontdesk.storage.database import Database
from frontdesk.storage.query import Step
from frontdesk.turn.turn import Attempt, Caller, Turn
from tests.fakes import HandClock, make_turn
from tests.policies.treasury import FREE, PaperPrices, price

CAP = 20_000
APP = Window("app", "total", 0)
TOTAL = Window("user:u1", "total", 0)
CONFIG = Config(
    models={"fast": Model(["p/dear", "p/cheap", "local/small"], max_output_tokens=200)},
    tiers={"free": Tier(budget=PersonBudget(0.012, "total", when_spent="free"))},
    default_tier="free",
    budgets=[Budget(CAP / 1e6, "total", scope="app"), Budget(0.5, "total", scope="user:u1")],
)
PRICES = {"p/dear": price(2, 10), "p/cheap": price(0.5, 2), "local/small": FREE}


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    opened = Ledger(database, "proc_1", HandClock(), no_rows)
    yield opened
    await opened.close()


def no_rows(tenant: str, turn: str, facts: Facts, micros: int, now_ms: int) -> Sequence[Step]:
    return ()


def policy(ledger: Ledger) -> Budgets:
    return Budgets(CONFIG, PaperPrices(PRICES), ledger, Access(CONFIG), HandClock())


def turn_of(person: str) -> Turn:
    turn = make_turn(caller=Caller("user", "sess", person, "free"))
    turn.tier = "free"
    return turn


def funds_of(turn: Turn) -> Funds:
    assert isinstance(turn.funds, Funds)
    return turn.funds


async def balance(ledger: Ledger, *windows: Window) -> list[Balance]:
    await ledger.flush()
    return await ledger.balances("default", windows)


async def test_a_window_that_two_budgets_count_is_held_and_spent_once(ledger: Ledger) -> None:
    turn = turn_of("u1")
    waiting = policy(ledger).admit(turn)
    assert waiting is not None
    await waiting
    [(_, held), *_] = await balance(ledger, APP)

    assert held > 0
    assert await balance(ledger, TOTAL) == [Balance(0, held)]
    ledger.settle(Settlement(funds_of(turn).reservation, 77, ()))
    assert await balance(ledger, TOTAL, APP) == [Balance(77, 0), Balance(77, 0)]


async def test_who_stops_waiting_leaves_nothing_behind(ledger: Ledger) -> None:
    admit = policy(ledger).admit
    turns = [turn_of(f"u{number}") for number in range(2, 20)]
    tasks = [asyncio.ensure_future(waiting) for turn in turns if (waiting := admit(turn)) is not None]
    for _ in range(3):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    for turn in turns:
        if turn.funds is not None:
            ledger.settle(Settlement(funds_of(turn).reservation, 0, ()))
    assert await balance(ledger, APP) == [Balance(0, 0)]


async def test_however_many_come_together_the_cap_holds(ledger: Ledger) -> None:
    """Turns that fall back, some of them after an attempt that was billed, and cost as much as they may."""
    budgets = policy(ledger)
    spent: list[int] = []

    async def ask(number: int) -> str:
        chance = random.Random(number)
        turn = turn_of(f"u{number % 5}")
        try:
            if (waiting := budgets.admit(turn)) is not None:
                await waiting
        except QuotaSpent:
            return "refused"
        funds, cost = funds_of(turn), 0
        for route in turn.routes or ():
            covered = funds.cover(route)
            if not (covered if isinstance(covered, bool) else await covered):
                continue
            await asyncio.sleep(0)
            is_billed = chance.random() < 0.7
            cost += funds._bound(route) if is_billed else 0
            provider, _, model = route.partition("/")
            turn.attempts.append(Attempt(provider, model, 0.0))
            turn.attempts[-1].error = ProviderError("x", upstream_status=None if is_billed else 500)
            if chance.random() < 0.5:
                break
        spent.append(cost)
        ledger.settle(Settlement(funds.reservation, cost, ()))
        return "free" if turn.routes == ("local/small",) else "paid"

    became: list[str] = []
    for start in range(0, 200, 40):
        became += await asyncio.gather(*(ask(start + number) for number in range(40)))

    [(app_spent, app_held), *people] = await balance(
        ledger, APP, *(Window(f"user:u{number}", "total", 0) for number in range(5))
    )
    assert (app_spent, app_held) == (sum(spent), 0)
    assert CAP * 0.8 < app_spent <= CAP
    assert all(each.held == 0 and each.spent <= 12_000 for each in people)
    assert sum(each.spent for each in people) == app_spent
    assert {"refused", "paid"} <= set(became)
