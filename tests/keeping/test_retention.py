"""How long texts are kept: the least of what is said counts, and 0 is not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Config, Feature, Tier, parse_config
from frontdesk.core.config import Retention as Settings
from frontdesk.keeping.retention import Kept, Retention

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def retention(tier: float | None = None, feature: float | None = None, **said: Any) -> Retention:
    """Of people of the tier "free" who use the feature "chat"."""
    return Retention(
        Config(
            tiers={"free": Tier(keep_days=tier), "paid": Tier()},
            features={"chat": Feature(keep_days=feature), "notes": Feature()},
            retention=Settings(**said),
        )
    )


def test_where_nothing_is_said_responses_are_kept_for_a_month_and_conversations_for_ever() -> None:
    kept = retention().of("free", "chat")

    assert kept == Kept(30, None)
    assert (kept.stores, kept.has_conversations) == (True, True)
    assert kept.response_until_ms(NOW_MS) == NOW_MS + 30 * DAY_MS
    assert kept.conversation_until_ms(NOW_MS) is None


@pytest.mark.parametrize(
    ("tier", "feature", "expected"),
    [
        ("free", "chat", Kept(3, 3)),
        ("free", "notes", Kept(7, 7)),
        ("paid", "chat", Kept(3, 3)),
        ("paid", "notes", Kept(30, 90)),
        (None, "chat", Kept(3, 3)),
        ("", "", Kept(30, 90)),
        (None, None, Kept(30, 90)),
        ("gone", "gone", Kept(30, 90)),
    ],
)
def test_tier_and_feature_count_each_for_its_own(tier: str | None, feature: str | None, expected: Kept) -> None:
    rule = retention(tier=7, feature=3, responses_days=30, conversations_days=90)

    assert rule.of(tier, feature) == expected


days = st.none() | st.sampled_from([0.0, 1 / 24, 1.0, 30.0]) | st.floats(0, 3660)


@given(server=days, tier=days, feature=days)
def test_nobody_keeps_longer_than_anybody_says(server: float | None, tier: float | None, feature: float | None) -> None:
    rule = retention(tier=tier, feature=feature, responses_days=server, conversations_days=server)

    kept = rule.of("free", "chat")

    said = [each for each in (server, tier, feature) if each is not None]
    assert kept.response_days == kept.conversation_days == (min(said) if said else None)
    assert kept.stores is kept.has_conversations is (0 not in said)
    until_ms = kept.response_until_ms(NOW_MS)
    assert (until_ms is None) == (said == [])
    assert until_ms is None or all(until_ms <= NOW_MS + round(each * DAY_MS) for each in said)


def test_what_is_kept_for_no_time_is_not_stored() -> None:
    of_responses = retention(responses_days=0).of("free", "chat")
    of_tier = retention(tier=0).of("free", "chat")

    assert (of_responses.stores, of_responses.has_conversations) == (False, True)
    assert (of_tier.stores, of_tier.has_conversations) == (False, False)
    assert of_tier.conversation_until_ms(NOW_MS) == NOW_MS


def test_events_go_no_later_than_their_response() -> None:
    rule = retention(events_hours=24, keys_hours=48)

    assert rule.events_until_ms(NOW_MS, None) == NOW_MS + DAY_MS
    assert rule.events_until_ms(NOW_MS, NOW_MS + 2 * DAY_MS) == NOW_MS + DAY_MS
    assert rule.events_until_ms(NOW_MS, NOW_MS + 1_000) == NOW_MS + 1_000
    assert rule.key_until_ms(NOW_MS) == NOW_MS + 2 * DAY_MS


def test_it_is_read_from_a_configuration() -> None:
    config = parse_config(
        "retention: {responses_days: ~, conversations_days: 0.5}\n"
        "tiers: {free: {keep_days: 2}}\ndefault_tier: free\nfeatures: {secret: {keep_days: 0}}",
        {},
    )

    rule = Retention(config)

    assert [rule.of("free", None), rule.of(None, None), rule.of("free", "secret")] == [
        Kept(2, 0.5),
        Kept(None, 0.5),
        Kept(0, 0),
    ]
