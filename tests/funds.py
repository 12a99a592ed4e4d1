"""Fakes for money: funds that cover what they are told to, a treasury that keeps a list, prices from a table."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence

from frontdesk.core.money import Price
from frontdesk.ledger.holds import Balance, C, Choose, Enter, Facts, Reservation, Settlement, Window
from frontdesk.turn.turn import Turn


class PlayedFunds:
    """Covers every route but `uncovered`; an answer that is `slow` has to be waited for."""

    def __init__(self, turn: Turn, uncovered: Sequence[str] = (), slow: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self._uncovered = uncovered
        self._slow = slow
        self._reservation = Reservation(
            turn.caller.tenant,
            turn.id,
            (Window("app", "total", 0),),
            facts_of(turn),
            int(turn.started_at * 1000) + 600_000,
        )

    @property
    def reservation(self) -> Reservation:
        return self._reservation

    def cover(self, route: str) -> Awaitable[bool] | bool:
        self.asked.append(route)
        is_covered = route not in self._uncovered
        return self._extend(is_covered=is_covered) if route in self._slow else is_covered

    async def _extend(self, *, is_covered: bool) -> bool:
        await asyncio.sleep(0)
        return is_covered


class FundingPolicy:
    """Puts money aside for every turn."""

    def __init__(self, uncovered: Sequence[str] = (), slow: Sequence[str] = ()) -> None:
        self._uncovered = uncovered
        self._slow = slow

    def admit(self, turn: Turn) -> None:
        turn.funds = PlayedFunds(turn, self._uncovered, self._slow)

    def settle(self, turn: Turn) -> None:
        """The recorder does."""


class ListTreasury:
    """Keeps settlements."""

    def __init__(self) -> None:
        self.settlements: list[Settlement] = []

    async def reserve(self, reservation: Reservation, choose: Choose[C], enter: Enter[C] | None = None) -> C:
        assert enter is None  # it has no store that anything could enter
        return choose([Balance(0, 0) for _ in reservation.windows])

    async def extend(self, reservation: Reservation, choose: Choose[C]) -> C:
        return await self.reserve(reservation, choose)

    def settle(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)

    async def balances(self, tenant: str, windows: Sequence[Window]) -> list[Balance]:
        del tenant
        return [Balance(0, 0) for _ in windows]


class PricesByRoute:
    """What routes cost until a time; "one/m1 priority" is the price of a service tier."""

    def __init__(self, prices: Mapping[str, Price], until: float = math.inf) -> None:
        self._prices = prices
        self._until = until

    def price_of(self, route: str, at: float, service_tier: str | None = None) -> Price | None:
        if at >= self._until:
            return None
        return self._prices.get(route if service_tier is None else f"{route} {service_tier}")


def facts_of(turn: Turn, route: str = "one/m1") -> Facts:
    """What the ledger keeps of a turn."""
    return Facts(
        door=turn.door,
        caller=turn.caller.role,
        credential=turn.caller.credential_id,
        person=turn.caller.person,
        feature=turn.feature,
        tier=turn.tier,
        model=turn.model,
        is_streaming=True,
        started_at_ms=int(turn.started_at * 1000),
        route=route,
    )
