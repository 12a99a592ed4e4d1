"""Anonymous sessions are limited by the network that they begin from."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from frontdesk.accounts.routes import AnonymousLimit
from frontdesk.core.errors import RateLimited
from tests.fakes import HandClock


def begin(limit: AnonymousLimit, host: str | None) -> float | None:
    """Begin a session; returns None where it may begin, else the seconds to wait."""
    try:
        limit.admit(Request({"type": "http", "client": None if host is None else (host, 5000)}))
    except RateLimited as refusal:
        return refusal.retry_after_s
    return None


def test_an_address_has_so_many_an_hour() -> None:
    clock = HandClock()
    limit = AnonymousLimit(2, clock)

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
        (None, None, True),
    ],
)
def test_what_counts_as_one_address(first: str | None, second: str | None, is_same: bool) -> None:
    limit = AnonymousLimit(1, HandClock())
    begin(limit, first)

    assert (begin(limit, second) is not None) == is_same


def test_the_refusal_says_when_in_whole_seconds() -> None:
    clock = HandClock()
    limit = AnonymousLimit(7, clock)
    for _ in range(7):
        begin(limit, "192.0.2.1")

    with pytest.raises(RateLimited, match=r"^7 sessions an hour .* Try again in 515 s\.$"):
        limit.admit(Request({"type": "http", "client": ("192.0.2.1", 5000)}))
