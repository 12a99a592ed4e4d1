"""How long things are kept is told in words, and what means nothing, or less than it seems, is doubted."""

from __future__ import annotations

import pytest

from frontdesk.checking.keeping import KeptFor, doubts_about_keeping, kept_for
from frontdesk.core.config import Config, parse_config

OF_TIER = "tiers: {free: {keep_days: %s}}\ndefault_tier: free\n"


def config(text: str) -> Config:
    return parse_config(text, {})


def test_the_defaults_in_words() -> None:
    assert kept_for(Config()) == [
        KeptFor("stored responses", "30 days after their end"),
        KeptFor("conversations, and feedback", "for ever"),
        KeptFor("events to resume from", "24 hours after their end"),
        KeptFor("keys of repeated requests", "48 hours"),
        KeptFor("ids of what was deleted, for devices", "30 days"),
        KeptFor("rows of requests, without texts", "for ever"),
        KeptFor("windows of budgets, and their alerts", "400 days after their end"),
        KeptFor("files", "30 days at most"),
        KeptFor("batches", "30 days after their end"),
        KeptFor("jobs", "7 days after their end, titles and follow-ups 1 day"),
    ]


def test_what_is_not_stored_is_said_to_be_so() -> None:
    told = dict(
        kept_for(config("retention: {responses_days: 0, conversations_days: 1}\nfeatures: {f: {keep_days: 0}}"))
    )

    assert told["stored responses"] == "not stored"
    assert told["conversations, and feedback"] == "1 day after their last change"
    assert told["texts of feature 'f'"] == "not stored"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("{}", []),
        (OF_TIER % 60, []),  # conversations are kept for longer
        (OF_TIER % 60 + "retention: {conversations_days: 60}", [("tiers", "free", "keep_days")]),
        (OF_TIER % 59 + "retention: {conversations_days: 60}", []),
        (OF_TIER % 60 + "retention: {responses_days: ~, conversations_days: 60}", []),
        (OF_TIER % 0 + "retention: {responses_days: 0, conversations_days: 0}", []),
        ("features: {f: {keep_days: 99}}\nretention: {conversations_days: 60}", [("features", "f", "keep_days")]),
        ("retention: {responses_days: 0}", [("retention", "responses_days")]),
        ("retention: {responses_days: 0, conversations_days: 5}", []),
        ("retention: {turns_days: 7}", []),
        ("retention: {turns_days: 7}\nbudgets: [{scope: app, usd: 1}]", []),
        (
            "retention: {turns_days: 7}\nbudgets: [{scope: app, usd: 1, per: month}]",
            [("retention", "turns_days")],
        ),
        ("retention: {turns_days: 31}\nbudgets: [{scope: app, usd: 1, per: month}]", []),
        (
            "retention: {turns_days: 7}\ntiers: {t: {budget: {usd: 1, per: total}}}\ndefault_tier: t",
            [("retention", "turns_days")],
        ),
    ],
)
def test_what_is_doubted(text: str, places: list[tuple[str, ...]]) -> None:
    assert [place for place, _ in doubts_about_keeping(config(text))] == places
