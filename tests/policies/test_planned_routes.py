"""Budgets and weighted routes: money is put aside for the route that is drawn; what is cheaper goes before the draw."""

from __future__ import annotations

from collections import Counter
from typing import Any

from frontdesk.core.config import Budget, Config, Model, PersonBudget, Provider, Tier
from frontdesk.core.money import Price, Rates
from frontdesk.ledger.holds import Balance, Window
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets
from frontdesk.policies.funds import Funds
from frontdesk.routing.plans import Plans
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock, make_turn
from tests.funds import PricesByRoute
from tests.policies.treasury import MemoryTreasury

PRICES = PricesByRoute(
    {
        "p/dear": Price(Rates(input=4_000_000, output=4_000_000)),
        "p/cheap": Price(Rates(input=1_000_000, output=1_000_000)),
        "p/other": Price(Rates(input=2_000_000, output=2_000_000)),
    }
)


def desk(steps: list[Any], **budget: Any) -> tuple[Budgets, Plans, MemoryTreasury]:
    config = Config(
        providers={"p": Provider("scripted")},
        models={"fast": Model(steps)},
        tiers={"free": Tier(budget=PersonBudget(1, **budget))},
        default_tier="free",
        budgets=[Budget(100, "day", scope="app")],
    )
    plans, treasury = Plans(config.models), MemoryTreasury()
    return Budgets(config, PRICES, treasury, Access(config), HandClock(), planned=plans.of), plans, treasury


def turn_of(person: int) -> Turn:
    turn = make_turn(caller=Caller("user", "sess_1", f"u{person}", "free"))
    turn.tier = "free"
    return turn


async def admitted(policy: Budgets, turn: Turn) -> Turn:
    waiting = policy.admit(turn)
    if waiting is not None:
        await waiting
    return turn


async def test_what_is_drawn_is_what_money_is_put_aside_for() -> None:
    policy, plans, treasury = desk([{"p/dear": 1, "p/cheap": 1}, "p/other"])
    firsts: Counter[str] = Counter()
    for person in range(60):
        turn = turn_of(person)
        drawn = plans.of(turn)
        await admitted(policy, turn)

        assert turn.routes == drawn
        firsts[drawn[0]] += 1
        assert isinstance(turn.funds, Funds)
        assert turn.funds.cover(drawn[0]) is True  # at once: one transaction was enough
    assert min(firsts.values()) > 15
    assert set(firsts) == {"p/dear", "p/cheap"}
    assert len(treasury.reservations) == 60


async def test_near_the_end_of_a_budget_what_is_cheaper_goes_before_the_draw() -> None:
    policy, plans, treasury = desk([{"p/dear": 1, "p/cheap": 1}, "p/other"], degrade_at=[0.5])
    for person in range(20):
        turn = turn_of(person)
        own = Window(f"user:u{person}", "day", int(turn.started_at * 1000) // 86_400_000 * 86_400_000)
        treasury.windows["default", own] = Balance(600_000, 0)

        await admitted(policy, turn)

        assert turn.routes is not None
        assert turn.routes[0] == "p/cheap"
        assert set(turn.routes) == set(plans.of(turn))
