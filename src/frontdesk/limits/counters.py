"""Counters: what callers have used of their limits. One call takes all that a request needs, or none of it.

kind     what it counts                  theory
rate     so much in a window of time     GCRA (ITU-T I.371): each thing moves the key's arrival time on by one interval;
                                         what would move it further than a window ahead of now is refused. A whole
                                         allowance may come at once, then it refills evenly
day      so much in a day, UTC           a sum that belongs to its day; nothing is ever reset
lease    so many at the same time        a name for each that is under way; in Valkey with an expiry, renewed as long
                                         as its process lives

What was taken is an estimate. It is settled once with what was used: the rest comes back, as far as time has not
brought it back already, and what was used beyond it is owed, so that later requests wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.config.problems import ConfigError

Kind = Literal["rate", "day", "lease"]
Sharing = Literal["alone", "shared", "degraded"]
"""Who counts: this process for itself, by choice; all together; this process for itself, since Valkey is away."""


class Limit(msgspec.Struct, frozen=True, gc=False):
    """So much: `amount` in `window_s` seconds, of which one comes back every `interval_s`; a day; or at a time."""

    kind: Kind
    amount: int
    window_s: float = 0.0
    interval_s: float = 0.0


def rate(amount: int, window_s: float = 60.0) -> Limit:
    """So much in a window of this many seconds."""
    return Limit("rate", amount, window_s, window_s / amount)


def per_day(amount: int) -> Limit:
    """So much in a day, UTC."""
    return Limit("day", amount)


def at_a_time(amount: int) -> Limit:
    """So many under way."""
    return Limit("lease", amount)


def key_of(tenant: str, subject: str) -> str:
    """The key of what a subject uses. Keys of one tenant stay together in a Valkey cluster (its hash tags)."""
    return f"frontdesk:{{{tenant}}}:limit:{subject}"


class Take(msgspec.Struct, frozen=True, gc=False):
    """What a request takes of one limit. `weight` is at most the limit's amount."""

    key: str
    limit: Limit
    weight: int = 1


class Left(msgspec.Struct, frozen=True, order=True, gc=False):
    """How much is left of a limit, and in how many seconds it will be whole; 0 where only an end can tell."""

    amount: int
    whole_in_s: float


class Taken(msgspec.Struct, gc=False):
    """What was taken, to be settled exactly once.

    `left` and `marks` are in the order of `takes`: what is left now, and where in its counter each stands (an
    arrival time, a day). `mirror` is this process's own count of what was taken in Valkey.
    """

    takes: Sequence[Take]
    holder: str
    left: list[Left]
    marks: list[float]
    mirror: Taken | None = None


class Denied(msgspec.Struct, gc=False):
    """Nothing was taken: of the limits that refuse, `by` is the place of the one that does so for longest."""

    by: int
    wait_s: float
    left: list[Left]


class Counters(Protocol):
    """Counts. Keys are `key_of`'s, and a key always has the same kind of limit."""

    @property
    def sharing(self) -> Sharing:
        """Who counts just now."""
        ...

    def take(self, takes: Sequence[Take], holder: str) -> Taken | Denied | Awaitable[Taken | Denied]:
        """Take all, or nothing. `holder` names what is under way; no two have one name.

        Awaitable only where somebody else must be asked. If that wait is cancelled, nothing stays taken.
        """
        ...

    def settle(self, taken: Taken, used: Sequence[int]) -> None:
        """Put what was used in the place of what was taken, in the order of the takes. Leases end.

        Never waits. What cannot be told to Valkey now is told later.
        """
        ...

    def look(self, takes: Sequence[Take]) -> list[Left] | Awaitable[list[Left]]:
        """What is left, and nothing taken."""
        ...

    async def close(self) -> None:
        """End the work in the background."""
        ...


LEASE_WAIT_S = 1.0
"""When to ask again for what only somebody else's end sets free."""


async def open_counters(valkey: str | None, clock: Clock) -> Counters:
    """Open the counters of this process: with the address of a Valkey they are shared with all who have the same.

    A Valkey that cannot be reached is no error; until it can, each process counts for itself.
    Raises ConfigError where the package for it is not installed.
    """
    if valkey is None:
        from frontdesk.limits.in_process import InProcessCounters  # noqa: PLC0415 - it imports this module

        return InProcessCounters(clock)
    try:
        from frontdesk.limits.valkey import open_valkey  # noqa: PLC0415 - its package is an extra
    except ImportError as error:
        raise ConfigError(
            f"'valkey' needs a package that is not here: pip install 'frontdesk[valkey]' ({error})."
        ) from error

    return await open_valkey(valkey, clock)
