"""How many sessions may begin without a secret key: each may bring a new person, who has all limits for themselves."""

from __future__ import annotations

import hashlib
import math

from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.core.errors import RateLimited
from frontdesk.core.ids import new_id
from frontdesk.limits.counters import Counters, Denied, Take, Taken, key_of, rate
from frontdesk.limits.networks import network_of

_HOUR_S = 3600.0
_EXCHANGES = 60


class AnonymousLimit:
    """So many an hour from one network, and of them so many from one device.

    A device is what it says it is, so it may only be narrower than its network. It is kept as a hash.
    """

    def __init__(self, per_network: int, per_device: int, counters: Counters) -> None:
        self._counters = counters
        self._per_network = rate(per_network, _HOUR_S)
        self._per_device = rate(per_device, _HOUR_S)

    async def admit(self, address: str, device: str | None) -> None:
        """Take one session, or none and raise RateLimited with the time until the next may begin."""
        network = network_of(address)
        takes = [Take(key_of(DEFAULT_TENANT, f"anonymous_network:{network}"), self._per_network)]
        if device is not None:
            name = hashlib.sha256(device.encode()).hexdigest()
            takes.append(Take(key_of(DEFAULT_TENANT, f"anonymous_device:{name}"), self._per_device))
        denied = await _denied(self._counters, takes)
        if denied is None:
            return
        limit, whose = takes[denied.by].limit.amount, ("network", "device")[denied.by]
        raise RateLimited(
            f"{limit} sessions an hour may begin without a credential from your {whose}, and have. "
            f"Try again in {math.ceil(denied.wait_s)} s.",
            retry_after_s=denied.wait_s,
        )


class ExchangeLimit:
    """So many sessions an hour begin with an identity provider's tokens of one person."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._limit = rate(_EXCHANGES, _HOUR_S)

    async def admit(self, tenant: str, person: str) -> None:
        """Take one session, or raise RateLimited with the time until the next may begin."""
        denied = await _denied(self._counters, [Take(key_of(tenant, f"exchanges:{person}"), self._limit)])
        if denied is not None:
            raise RateLimited(
                f"{_EXCHANGES} sessions an hour may begin with tokens of one user, and have. Go on with one of them, "
                f"or try again in {math.ceil(denied.wait_s)} s.",
                retry_after_s=denied.wait_s,
            )


async def _denied(counters: Counters, takes: list[Take]) -> Denied | None:
    outcome = counters.take(takes, new_id("sess_"))
    if not isinstance(outcome, (Taken, Denied)):
        outcome = await outcome
    return outcome if isinstance(outcome, Denied) else None
