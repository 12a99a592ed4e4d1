"""A provider's slots and the requests for them, on a clock that jumps from one happening to the next."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from frontdesk.core.config import Priority
from frontdesk.core.config import Slots as SlotsConfig
from frontdesk.core.errors import ProviderFull
from frontdesk.scheduling.slots import Slots
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock, make_turn


def turn_of(clock: HandClock, priority: Priority = "interactive", person: str = "u1") -> Turn:
    """A turn of this class and person."""
    turn = make_turn(clock, caller=Caller("user", f"sess_{person}", person))
    turn.priority = priority
    return turn


@dataclass
class Request:
    """One that was asked for, and what became of it. Times are seconds from the beginning."""

    priority: Priority
    came_at: float
    began_at: float | None = None
    ended_at: float | None = None
    refusal: ProviderFull | None = None

    @property
    def waited_s(self) -> float:
        assert self.began_at is not None
        return self.began_at - self.came_at


@dataclass
class Simulation:
    """Lets requests come, hold their slots as long as they take, and go."""

    settings: SlotsConfig
    clock: HandClock = field(default_factory=HandClock)
    requests: list[Request] = field(default_factory=list)
    busy_s: float = 0.0
    """Seconds that slots were held, of all together."""
    idle_s: float = 0.0
    """Seconds that slots were free which were not spare, while somebody waited."""

    def __post_init__(self) -> None:
        self.slots = Slots("p", self.settings, self.clock)
        self._began_at = self.clock.monotonic()
        self._happenings: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def now(self) -> float:
        return self.clock.monotonic() - self._began_at

    def at(self, when: float, happening: Callable[[], None]) -> None:
        heappush(self._happenings, (when, next(self._numbers), happening))

    def ask(self, when: float, priority: Priority, person: str, takes_s: Callable[[], float]) -> None:
        """A request that comes then."""
        self.at(when, lambda: self._come(priority, person, takes_s))

    async def run(self, until: float) -> None:
        """Let all happen that does until then; what still waits is given up."""
        while self._happenings and self._happenings[0][0] <= until:
            when, _, happening = heappop(self._happenings)
            standing, passing_s = self.slots.standing(), when - self.now
            self.busy_s += standing.in_use * passing_s
            if any(standing.waiting.values()):
                self.idle_s += max(0, standing.concurrent - standing.spare - standing.in_use) * passing_s
            self.clock.move(when - self.now)
            happening()
            for _ in range(4):
                await asyncio.sleep(0)
        self.at_the_end = self.slots.standing()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begun(self, priority: Priority, since: float = 0.0) -> list[Request]:
        """Those of a class that came since then and got a slot."""
        return [
            each
            for each in self.requests
            if each.priority == priority and each.began_at is not None and each.came_at >= since
        ]

    def _come(self, priority: Priority, person: str, takes_s: Callable[[], float]) -> None:
        request = Request(priority, self.now)
        self.requests.append(request)
        task = asyncio.ensure_future(self._serve(request, turn_of(self.clock, priority, person), takes_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: Request, turn: Turn, takes_s: Callable[[], float]) -> None:
        try:
            granted = self.slots.enter(turn)
            if granted is not None:
                await granted
        except ProviderFull as refusal:
            request.refusal = refusal
            return
        request.began_at = self.now

        def go() -> None:
            request.ended_at = self.now
            self.slots.leave(turn)

        self.at(self.now + takes_s(), go)
