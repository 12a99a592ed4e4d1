"""Requests a minute, by person: a full minute's allowance may come at once, then it refills evenly.

In this process only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from frontdesk.core.clock import Clock
from frontdesk.core.errors import RateLimited
from frontdesk.core.gcra import ArrivalTimes
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.turn import Caller, Turn

_WINDOW_S = 60.0


class RequestLimit:
    """Refuses people who ask more often than their tier allows. Servers are not limited."""

    def __init__(self, requests_per_minute: Mapping[str, int | None], default_tier: str | None, clock: Clock) -> None:
        self._limits = dict(requests_per_minute)
        self._default_tier = default_tier
        self._tats: ArrivalTimes[tuple[str, str]] = ArrivalTimes(clock, _WINDOW_S)

    def admit(self, turn: Turn) -> None:
        """Take one request, or raise RateLimited with the time until the next may come."""
        limit = self._limit(turn.caller)
        if limit is None:
            return
        wait_s = self._tats.take(_person(turn.caller), limit)
        if wait_s is not None:
            raise RateLimited(
                f"You may send {limit} messages a minute, and have. Try again in {math.ceil(wait_s)} s.",
                retry_after_s=wait_s,
            )

    def settle(self, turn: Turn) -> None:
        """A turn that was refused before any provider was asked has used nothing."""
        limit = self._limit(turn.caller)
        if turn.status == "refused" and not turn.attempts and limit is not None:
            self._tats.give_back(_person(turn.caller), limit)

    def _limit(self, caller: Caller) -> int | None:
        if caller.role != "user":
            return None
        return self._limits.get(tier_of(caller, self._limits, self._default_tier))


def _person(caller: Caller) -> tuple[str, str]:
    return caller.tenant, caller.person or caller.credential_id
