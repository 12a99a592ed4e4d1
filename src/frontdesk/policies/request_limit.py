"""Requests a minute, by person: GCRA, which is a sliding window without a list of times.

`tat` is the theoretical arrival time: each request moves it on by one interval, and one that would
move it further than a minute ahead of now is refused. A full minute's allowance may come at once;
after that, one request an interval. In this process only.
"""

from __future__ import annotations

from collections.abc import Mapping

from frontdesk.core.clock import Clock
from frontdesk.core.errors import RateLimited
from frontdesk.policies.tiers import tier_of
from frontdesk.turn.turn import Caller, Turn

_WINDOW_S = 60.0


class RequestLimit:
    """Refuses people who ask more often than their tier allows. Servers are not limited."""

    def __init__(self, requests_per_minute: Mapping[str, int | None], default_tier: str | None, clock: Clock) -> None:
        self._intervals_s = {
            tier: None if limit is None else _WINDOW_S / limit for tier, limit in requests_per_minute.items()
        }
        self._default_tier = default_tier
        self._clock = clock
        self._tats: dict[tuple[str, str], float] = {}
        self._sweep_at = clock.monotonic() + _WINDOW_S

    def admit(self, turn: Turn) -> None:
        """Take one request, or raise RateLimited with the time until the next may come."""
        interval_s = self._interval_s(turn.caller)
        if interval_s is None:
            return
        now = self._clock.monotonic()
        person = _person(turn.caller)
        tat = max(now, self._tats.get(person, now)) + interval_s
        if tat - now > _WINDOW_S + _ROUNDING_S:
            limit = round(_WINDOW_S / interval_s)
            wait_s = tat - now - _WINDOW_S
            raise RateLimited(
                f"You may send {limit} messages a minute, and have. Try again in {max(1, round(wait_s))} s.",
                retry_after_s=wait_s,
            )
        if now >= self._sweep_at:
            self._sweep(now)
        self._tats[person] = tat

    def settle(self, turn: Turn) -> None:
        """A turn that was refused before any provider was asked has used nothing."""
        interval_s = self._interval_s(turn.caller)
        person = _person(turn.caller)
        if turn.status == "refused" and not turn.attempts and interval_s is not None and person in self._tats:
            self._tats[person] -= interval_s

    def _interval_s(self, caller: Caller) -> float | None:
        if caller.kind == "server":
            return None
        return self._intervals_s.get(tier_of(caller, self._intervals_s, self._default_tier))

    def _sweep(self, now: float) -> None:
        """Forget who has their whole allowance again."""
        self._tats = {person: tat for person, tat in self._tats.items() if tat > now}
        self._sweep_at = now + _WINDOW_S


_ROUNDING_S = 1e-6


def _person(caller: Caller) -> tuple[str, str]:
    return caller.tenant, caller.person or caller.credential_id
