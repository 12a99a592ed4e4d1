"""What a turn carries to its provider: the money put aside for it, and what each attempt may take of it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from frontdesk.core.errors import store_unavailable
from frontdesk.core.money import Micros
from frontdesk.ledger.holds import Balance, Reservation, Treasury
from frontdesk.policies.spending import Call, Cap, Grant, more
from frontdesk.storage.errors import StorageError
from frontdesk.turn.turn import Turn


class Funds:
    """Money put aside for a turn (`Held`), as it was granted for this call."""

    __slots__ = ("_attempts", "_call", "_caps", "_grant", "_micros", "_treasury", "reservation")

    def __init__(
        self,
        turn: Turn,
        reservation: Reservation,
        call: Call,
        grant: Grant,
        caps: Sequence[Cap],
        treasury: Treasury,
    ) -> None:
        self.reservation = reservation
        self._attempts = turn.attempts  # not the turn, which has this: no ring for the collector to find
        self._call = call
        self._grant = grant
        self._micros = grant.micros
        self._caps = caps
        self._treasury = treasury

    def cover(self, route: str) -> Awaitable[bool] | bool:
        """Whether one more attempt by this route is covered, besides what those before it may have cost.

        Waits only where more must be put aside. Raises Unavailable where the store cannot.
        """
        attempts = self._attempts
        if not attempts and route == self._grant.routes[0]:
            return True
        if route not in self._grant.routes:
            return False
        risked = sum(self._bound(f"{each.provider}/{each.model}") for each in attempts if not each.was_free)
        missing = risked + self._bound(route) - self._micros
        return True if missing <= 0 else self._extend(missing)

    def _bound(self, route: str) -> Micros:
        """The most that an attempt may cost."""
        tokens = self._grant.max_output_tokens
        most = self._call.limit if tokens is None else tokens
        return max((self._call.bound(each, most) for each in self._call.menu.paid if each.route == route), default=0)

    async def _extend(self, missing: Micros) -> bool:
        def choose(balances: Sequence[Balance]) -> _Portion:
            return _Portion(more(balances, self._caps, missing))

        try:
            portion = await self._treasury.extend(self.reservation, choose)
        except StorageError:
            raise store_unavailable() from None
        self._micros += portion.micros
        return portion.micros == missing


class _Portion(NamedTuple):
    micros: Micros
