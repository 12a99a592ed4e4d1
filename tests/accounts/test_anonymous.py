"""Anonymous sessions are limited by the network that they begin from, and by the device."""

from __future__ import annotations

import pytest

from frontdesk.accounts.anonymous import AnonymousLimit
from frontdesk.core.errors import RateLimited
from tests.fakes import HandClock

DEVICE = "device-0123456789"


def begin(limit: AnonymousLimit, host: str, device: str | None = None) -> float | None:
    """Begin a session; returns None where it may begin, else the seconds to wait."""
    try:
        limit.admit(host, device)
    except RateLimited as refusal:
        return refusal.retry_after_s
    return None


def test_an_address_has_so_many_an_hour() -> None:
    clock = HandClock()
    limit = AnonymousLimit(2, 5, clock)

    assert [begin(limit, "192.0.2.1") for _ in range(3)] == [None, None, pytest.approx(1800)]
    assert begin(limit, "192.0.2.2") is None
    clock.move(1800)
    assert begin(limit, "192.0.2.1") is None


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
def test_what_counts_as_one_address(first: str, second: str, is_same: bool) -> None:
    limit = AnonymousLimit(1, 5, HandClock())
    begin(limit, first)

    assert (begin(limit, second) is not None) == is_same


def test_a_device_has_its_own_limit_wherever_it_is() -> None:
    clock = HandClock()
    limit = AnonymousLimit(20, 2, clock)

    waits = [begin(limit, f"192.0.2.{number}", DEVICE) for number in range(3)]

    assert waits == [None, None, pytest.approx(1800)]
    assert begin(limit, "192.0.2.1", DEVICE + "0") is None
    assert begin(limit, "192.0.2.1") is None
    clock.move(1800)
    assert begin(limit, "192.0.2.9", DEVICE) is None


def test_many_devices_of_one_network_share_its_limit() -> None:
    limit = AnonymousLimit(3, 2, HandClock())

    waits = [begin(limit, "192.0.2.1", f"{DEVICE}{number}") for number in range(4)]

    assert waits == [None, None, None, pytest.approx(1200)]


def test_what_a_device_may_not_is_not_counted_against_its_network() -> None:
    limit = AnonymousLimit(3, 1, HandClock())
    assert begin(limit, "192.0.2.1", DEVICE) is None

    for _ in range(5):
        assert begin(limit, "192.0.2.1", DEVICE) == pytest.approx(3600)

    assert [begin(limit, "192.0.2.1") for _ in range(3)] == [None, None, pytest.approx(1200)]


def test_what_a_network_may_not_is_not_counted_against_the_device() -> None:
    limit = AnonymousLimit(1, 1, HandClock())
    begin(limit, "192.0.2.1")

    assert begin(limit, "192.0.2.1", DEVICE) is not None
    assert begin(limit, "192.0.2.2", DEVICE) is None


def test_devices_are_kept_as_hashes() -> None:
    limit = AnonymousLimit(1, 1, HandClock())
    begin(limit, "192.0.2.1", DEVICE)

    (kept,) = limit._devices

    assert len(kept) == 32
    assert DEVICE.encode() not in kept


def test_the_refusal_says_whose_limit_it_is_and_when_in_whole_seconds() -> None:
    limit = AnonymousLimit(7, 2, HandClock())
    for _ in range(2):
        begin(limit, "192.0.2.1", DEVICE)

    with pytest.raises(RateLimited, match=r"^2 sessions an hour .* from your device, .* Try again in 1800 s\.$"):
        limit.admit("192.0.2.1", DEVICE)
    for _ in range(5):
        begin(limit, "192.0.2.1")
    with pytest.raises(RateLimited, match=r"^7 sessions an hour .* from your network, .* Try again in 515 s\.$"):
        limit.admit("192.0.2.1", None)
