"""What the line asks of the ledger: putting money aside for a turn, and saying what it cost.

reserve ─► a hold, durable ─► (extend) ─► settle: the hold goes back, the cost is spent
              │ the process dies
              ▼
           the sweeper settles it at the hold, marked
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from frontdesk.core.money import Micros
from frontdesk.core.periods import Period
from frontdesk.storage.query import Row, Step


class Window(msgspec.Struct, frozen=True, order=True, gc=False):
    """What a budget counts: a scope (app, tier:NAME, feature:NAME, group:NAME, user:NAME) in one period."""

    scope: str
    period: Period
    starts_at_ms: int


class Balance(NamedTuple):
    """What a window says: what was settled, and what is put aside for turns under way."""

    spent: Micros
    held: Micros


class Facts(msgspec.Struct, frozen=True):
    """What a row of the turn needs where the process that carries it dies. `route` is the first that is tried.

    It is kept with the hold, and another version may read it: a new field needs a default.
    """

    door: str
    caller: str
    credential: str
    person: str | None
    feature: str | None
    tier: str | None
    model: str
    is_streaming: bool
    started_at_ms: int
    route: str


class Reservation(msgspec.Struct, frozen=True):
    """A turn that may cost money, and the windows that it would be spent from."""

    tenant: str
    turn: str
    windows: tuple[Window, ...]
    facts: Facts
    expires_at_ms: int


class Choice(Protocol):
    """What was decided, looking at the balances. `micros` are put aside; 0 puts nothing aside."""

    @property
    def micros(self) -> Micros:
        """How much to put aside."""
        ...


C = TypeVar("C", bound=Choice)
Choose = Callable[[Sequence[Balance]], C]
"""Decides by the balances of a reservation's windows, in their order. Pure and quick; on any thread, maybe twice."""
Enter = Callable[[C], Generator[Step, list[Row], Exception | None] | None]
"""What else is stored where this was chosen, in the same transaction: its steps, which return an error where nothing
is to be put aside after all. Pure as well."""


class Held(Protocol):
    """What a turn carries in `funds`: money put aside for it, or windows that it is counted in all the same."""

    @property
    def reservation(self) -> Reservation:
        """Whose it is."""
        ...

    def cover(self, route: str) -> Awaitable[bool] | bool:
        """See `turn.seams.Funds`."""
        ...


class Settlement(msgspec.Struct, frozen=True):
    """What a turn cost, and the rows that tell of it: written together, or not at all."""

    reservation: Reservation
    micros: Micros
    rows: tuple[Step, ...]


class Treasury(Protocol):
    """Puts money aside. `reserve` and `extend` return once it is durable; raise StorageError where it cannot be.

    What is put aside for who stops waiting is given back.
    """

    async def reserve(self, reservation: Reservation, choose: Choose[C], enter: Enter[C] | None = None) -> C:
        """Look at the windows, choose, and put aside what was chosen: no other turn comes between."""
        ...

    async def extend(self, reservation: Reservation, choose: Choose[C]) -> C:
        """Put aside more for a turn, or something where it has nothing so far: the same in all of its windows.

        Raises StorageError too where its hold has expired, for then it is spent.
        """
        ...

    def settle(self, settlement: Settlement) -> None:
        """Give back what was put aside and spend what it cost, soon, once. Never fails, blocks or is cancelled."""
        ...

    async def balances(self, tenant: str, windows: Sequence[Window]) -> list[Balance]:
        """What these windows say now; nothing spent where there is none yet."""
        ...
