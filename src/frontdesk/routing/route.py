"""A route: one way to an answer, and all that is known of how it is."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from frontdesk.core.config import Priority, Retries
from frontdesk.routing.breakers import Breaker
from frontdesk.routing.latencies import Latencies
from frontdesk.routing.our_keys import OurKey
from frontdesk.routing.retries import RetryBudget
from frontdesk.turn.seams import Provider
from frontdesk.turn.turn import Turn

NO_RETRIES = Retries(most=0)
_A_FIRST_WORD_S = 1.0  # at most, where none was heard yet: who waits longer may find out


class Standing(Protocol):
    """How a provider's slots are."""

    @property
    def concurrent(self) -> int:
        """How many there are."""
        ...

    @property
    def spare(self) -> int:
        """How many of them are kept for interactive requests."""
        ...

    @property
    def in_use(self) -> int:
        """How many are taken."""
        ...

    @property
    def waiting(self) -> Mapping[Priority, int]:
        """How many wait for one, by their class."""
        ...

    @property
    def shed(self) -> int:
        """How many were refused one so far."""
        ...


class Slots(Protocol):
    """The slots of a provider (`scheduling.slots`)."""

    def enter(self, turn: Turn) -> Awaitable[None] | None:
        """Take one: None where it is granted at once. Raises ProviderFull, as does a wait: in time before
        the turn's deadline. It may be cancelled.
        """
        ...

    def leave(self, turn: Turn) -> None:
        """Give it back, once for each that was granted."""
        ...

    def standing(self) -> Standing:
        """How they are now."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One way to an answer: a provider and its own name of the model.

    `retries`, `budget` and `slots` are the provider's, the same for all of its routes; the breaker is the route's
    own. None stands for no such care. `first_event_s` is how long the first word may take, `attempt_s` a whole answer.
    """

    provider_name: str
    provider: Provider
    model: str
    retries: Retries = NO_RETRIES
    budget: RetryBudget | None = None
    breaker: Breaker | None = None
    slots: Slots | None = None
    first_event_s: float = math.inf
    attempt_s: float = math.inf
    latencies: Latencies = field(default_factory=Latencies)
    our_key: OurKey = field(default_factory=OurKey)

    @property
    def name(self) -> str:
        """As configurations and prices call it: "provider/model"."""
        return f"{self.provider_name}/{self.model}"

    @property
    def is_resting(self) -> bool:
        """Whether it is left alone for now."""
        return self.breaker is not None and self.breaker.rest_s() > 0

    @property
    def is_well(self) -> bool:
        """Whether nothing speaks against asking it: it neither rests nor is just being tried again."""
        return self.breaker is None or (self.breaker.state == "closed" and not self.is_resting)

    @property
    def health(self) -> Literal["ok", "resting"]:
        """How it is, in a word."""
        return "resting" if self.is_resting else "ok"

    def check(self, turn: Turn) -> None:
        """Raise ProviderResting where this turn is to leave it alone.

        A resting route is tried by one at a time: by none whose deadline comes before its first word usually does.
        """
        breaker = self.breaker
        if breaker is None:
            return
        breaker.check()
        if breaker.state != "closed" and turn.deadline_at - turn.clock.monotonic() < self._usual_first_event_s():
            raise breaker.resting()

    def _usual_first_event_s(self) -> float:
        (median_s,) = self.latencies.quantiles(0.5)
        return min(self.first_event_s, _A_FIRST_WORD_S) if median_s is None else median_s

    def without_retries(self) -> Route:
        """The same route, asked once."""
        return replace(self, retries=NO_RETRIES)

    def has_room(self, turn: Turn) -> bool:
        """Whether a slot is free for this turn at once."""
        if self.slots is None:
            return True
        standing = self.slots.standing()
        kept = 0 if turn.priority == "interactive" else standing.spare
        return standing.in_use + kept < standing.concurrent
