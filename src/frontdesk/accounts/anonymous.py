"""How many anonymous sessions may begin: each brings a new person, who has all limits for themselves."""

from __future__ import annotations

import hashlib
import ipaddress
import math

from frontdesk.core.clock import Clock
from frontdesk.core.errors import RateLimited
from frontdesk.core.gcra import ArrivalTimes

_HOUR_S = 3600.0


class AnonymousLimit:
    """So many an hour from one network, and of them so many from one device.

    A device is what it says it is, so it may only be narrower than its network. It is kept as a hash.
    """

    def __init__(self, per_network: int, per_device: int, clock: Clock) -> None:
        self._per_network = per_network
        self._per_device = per_device
        self._networks: ArrivalTimes[str] = ArrivalTimes(clock, _HOUR_S)
        self._devices: ArrivalTimes[bytes] = ArrivalTimes(clock, _HOUR_S)

    def admit(self, address: str, device: str | None) -> None:
        """Take one session, or none and raise RateLimited with the time until the next may begin."""
        network = _network(address)
        wait_s = self._networks.take(network, self._per_network)
        if wait_s is not None:
            raise _too_many(self._per_network, "network", wait_s)
        if device is None:
            return
        wait_s = self._devices.take(hashlib.sha256(device.encode()).digest(), self._per_device)
        if wait_s is not None:
            self._networks.give_back(network, self._per_network)
            raise _too_many(self._per_device, "device", wait_s)


def _too_many(limit: int, whose: str, wait_s: float) -> RateLimited:
    return RateLimited(
        f"{limit} sessions an hour may begin without a credential from your {whose}, and have. "
        f"Try again in {math.ceil(wait_s)} s.",
        retry_after_s=wait_s,
    )


def _network(host: str) -> str:
    """What counts as one address: of IPv6 the /64, which is what one subscriber has at least."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
