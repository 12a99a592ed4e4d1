"""How times are told in headers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.limits.telling import HEADERS, duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, b"0ms"),
        (0.0001, b"1ms"),
        (0.12, b"120ms"),
        (0.9999, b"1000ms"),
        (1, b"1s"),
        (1.01, b"2s"),
        (59.5, b"1m0s"),
        (360, b"6m0s"),
        (3599.2, b"1h0m0s"),
        (86_399, b"23h59m59s"),
    ],
)
def test_times_are_told_as_openai_does(seconds: float, told: bytes) -> None:
    assert duration(seconds) == told


@given(st.floats(0, 100_000))
def test_what_is_told_is_never_too_early_and_hardly_too_late(seconds: float) -> None:
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    told = sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[smh])", duration(seconds).decode()))

    assert seconds <= told + 1e-9
    assert told < seconds + 1


def test_the_names_are_openais() -> None:
    assert HEADERS == (
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    )
