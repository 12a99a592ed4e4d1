"""Anonymous sessions are limited by the network that they begin from, and by the device."""

from __future__ import annotations

import pytest

from frontdesk.accounts.anonymous import AnonymousLimit, ExchangeLimit
from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.core.errors import RateLimited
from frontdesk.limits.in_process import InProcessCounters
from tests.fakes import HandClock

DEVICE = "device-0123456789"


async def begin(limit: AnonymousLimit, host: str, device: str | None = None) -> float | None:
    """Begin a session; returns None where it may begin, else the seconds to wait."""
    try:
        await limit.admit(host, device)
    except RateLimited as refusal:
        return refusal.retry_after_s
    return None


async def test_an_address_has_so_many_an_hour() -> None:
    clock = HandClock()
    limit = AnonymousLimit(2, 5, InProcessCounters(clock))

    assert [await begin(limit, "192.0.2.1") for _ in range(3)] == [None, None, pytest.approx(1800)]
    assert await begin(limit, "192.0.2.2") is None
    clock.move(1800)
    assert await begin(limit, "192.0.2.1") is None


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:0:1::", "2001:db8:0:0:2::", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("unix", "unix", True),
        ("", "", True),
    ],
)
async def test_what_counts_as_one_address(first: str, second: str, is_same: bool) -> None:
    limit = AnonymousLimit(1, 5, InProcessCounters(HandClock()))
    await begin(limit, first)

    assert (await begin(limit, second) is not None) == is_same


async def test_a_device_has_its_own_limit_wherever_it_is() -> None:
    clock = HandClock()
    limit = AnonymousLimit(20, 2, InProcessCounters(clock))

    waits = [await begin(limit, f"192.0.2.{number}", DEVICE) for number in range(3)]

    assert waits == [None, None, pytest.approx(1800)]
    assert await begin(limit, "192.0.2.1", DEVICE + "0") is None
    assert await begin(limit, "192.0.2.1") is None
    clock.move(1800)
    assert await begin(limit, "192.0.2.9", DEVICE) is None


async def test_many_devices_of_one_network_share_its_limit() -> None:
    limit = AnonymousLimit(3, 2, InProcessCounters(HandClock()))

    waits = [await begin(limit, "192.0.2.1", f"{DEVICE}{number}") for number in range(4)]

    assert waits == [None, None, None, pytest.approx(1200)]


async def test_what_a_device_may_not_is_not_counted_against_its_network() -> None:
    limit = AnonymousLimit(3, 1, InProcessCounters(HandClock()))
    assert await begin(limit, "192.0.2.1", DEVICE) is None

    for _ in range(5):
        assert await begin(limit, "192.0.2.1", DEVICE) == pytest.approx(3600)

    assert [await begin(limit, "192.0.2.1") for _ in range(3)] == [None, None, pytest.approx(1200)]


async def test_what_a_network_may_not_is_not_counted_against_the_device() -> None:
    limit = AnonymousLimit(1, 1, InProcessCounters(HandClock()))
    await begin(limit, "192.0.2.1")

    assert await begin(limit, "192.0.2.1", DEVICE) is not None
    assert await begin(limit, "192.0.2.2", DEVICE) is None


async def test_devices_are_kept_as_hashes() -> None:
    counters = InProcessCounters(HandClock())
    limit = AnonymousLimit(1, 1, counters)
    await begin(limit, "192.0.2.1", DEVICE)

    assert len(counters._times.values) == 2
    assert not any(DEVICE in key for key in counters._times.values)


async def test_the_refusal_says_whose_limit_it_is_and_when_in_whole_seconds() -> None:
    limit = AnonymousLimit(7, 2, InProcessCounters(HandClock()))
    for _ in range(2):
        await begin(limit, "192.0.2.1", DEVICE)

    with pytest.raises(RateLimited, match=r"^2 sessions an hour .* from your device, .* Try again in 1800 s\.$"):
        await limit.admit("192.0.2.1", DEVICE)
    for _ in range(5):
        await begin(limit, "192.0.2.1")
    with pytest.raises(RateLimited, match=r"^7 sessions an hour .* from your network, .* Try again in 515 s\.$"):
        await limit.admit("192.0.2.1", None)


async def test_sixty_sessions_an_hour_begin_with_tokens_of_one_person() -> None:
    clock = HandClock()
    limit = ExchangeLimit(InProcessCounters(clock))
    for _ in range(60):
        await limit.admit(DEFAULT_TENANT, "u1")

    with pytest.raises(RateLimited, match=r"^60 sessions an hour .* or try again in 60 s\.$"):
        await limit.admit(DEFAULT_TENANT, "u1")
    await limit.admit(DEFAULT_TENANT, "u2")
    await limit.admit("another", "u1")
    clock.move(60)
    await limit.admit(DEFAULT_TENANT, "u1")
