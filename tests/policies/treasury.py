"""A treasury in memory, and prices on paper, for tests of what decides about money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frontdesk.core.money import Micros, Price, Rates
from frontdesk.ledger.holds import Balance, C, Choose, Enter, Reservation, Settlement, Window
from frontdesk.storage.errors import StorageFailed


class MemoryTreasury:
    """Keeps windows and holds as the ledger does, in one process and one turn of the loop."""

    def __init__(self) -> None:
        self.windows: dict[tuple[str, Window], Balance] = {}
        self.holds: dict[str, Micros] = {}
        self.reservations: list[Reservation] = []
        self.has_failed = False

    def put(self, window: Window, spent: Micros, held: Micros = 0, tenant: str = "default") -> None:
        """Say what a window has."""
        self.windows[tenant, window] = Balance(spent, held)

    async def reserve(self, reservation: Reservation, choose: Choose[C], enter: Enter[C] | None = None) -> C:
        assert reservation.turn not in self.holds
        assert enter is None  # it has no store that anything could enter
        self.reservations.append(reservation)
        return await self.extend(reservation, choose)

    async def extend(self, reservation: Reservation, choose: Choose[C]) -> C:
        if self.has_failed:
            raise StorageFailed("the disk is gone")
        choice = choose([self._of(reservation.tenant, window) for window in reservation.windows])
        if choice.micros:
            self.holds[reservation.turn] = self.holds.get(reservation.turn, 0) + choice.micros
            self._move(reservation, 0, choice.micros)
        return choice

    def settle(self, settlement: Settlement) -> None:
        held = self.holds.pop(settlement.reservation.turn, 0)
        self._move(settlement.reservation, settlement.micros, -held)

    async def balances(self, tenant: str, windows: Sequence[Window]) -> list[Balance]:
        if self.has_failed:
            raise StorageFailed("the disk is gone")
        return [self._of(tenant, window) for window in windows]

    def _of(self, tenant: str, window: Window) -> Balance:
        return self.windows.get((tenant, window), Balance(0, 0))

    def _move(self, reservation: Reservation, spent: Micros, held: Micros) -> None:
        for window in dict.fromkeys(reservation.windows):
            was = self._of(reservation.tenant, window)
            self.windows[reservation.tenant, window] = Balance(was.spent + spent, was.held + held)


class PaperPrices:
    """Prices as they were written down; those of a service tier under "route@tier"."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self.prices = dict(prices)

    def price_of(self, route: str, at: float, service_tier: str | None = None) -> Price | None:
        return self.prices.get(route if service_tier is None else f"{route}@{service_tier}")


def price(input_usd: float, output_usd: float, **more: int) -> Price:
    """Dollars a million tokens, which are micro-dollars a token; every bucket of a side alike."""
    read, written = round(input_usd * 1_000_000), round(output_usd * 1_000_000)
    reads = dict.fromkeys(
        ("input", "cached", "cache_write", "cache_write_hour", "audio_input", "image_input", "tool"), read
    )
    writes = dict.fromkeys(("output", "reasoning", "audio_output", "image_output"), written)
    return Price(Rates(**{**reads, **writes, **more}))


FREE = Price(Rates(), book="local")
