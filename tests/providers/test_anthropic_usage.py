from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.money import Buckets, Price, Rates
from frontdesk.providers.anthropic_usage import read_messages_usage
from frontdesk.turn.buckets import buckets_of
from tests.providers.recorded_anthropic import LAST_USAGE, USAGE

WRITTEN: dict[str, Any] = {"input_tokens": 25, "cache_creation_input_tokens": 1000, "output_tokens": 15}


def kept(minutes: int, hour: Any) -> dict[str, Any]:
    """What the API says of tokens that were written to its cache."""
    return {"cache_creation": {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour}}


@pytest.mark.parametrize(
    ("told", "minutes", "hour"),
    [
        (kept(1000, 0), 1000, 0),
        (kept(0, 1000), 0, 1000),
        (kept(400, 600), 400, 600),
        ({}, 0, 1000),
        ({"cache_creation": None}, 0, 1000),
        (kept(0, "1000"), 0, 1000),
        (kept(0, -1), 0, 1000),
        (kept(0, 2000), 0, 1000),
    ],
)
def test_what_is_written_for_an_hour_is_told_apart_and_else_counts_as_the_dearer(
    told: dict[str, Any], minutes: int, hour: int
) -> None:
    usage = read_messages_usage({**WRITTEN, **told})

    assert usage is not None
    assert buckets_of(usage) == Buckets(input=25, cache_write=minutes, cache_write_hour=hour, output=15)


def test_each_of_both_costs_its_own_price() -> None:
    # claude-sonnet-4: 3 dollars, 3.75 for five minutes, 6 for an hour, 0.30 out of the cache, 15 written.
    price = Price(
        Rates(input=3_000_000, cached=300_000, cache_write=3_750_000, cache_write_hour=6_000_000, output=15_000_000)
    )
    usage = read_messages_usage({**WRITTEN, **kept(400, 600)})

    assert usage is not None
    assert price.cost(buckets_of(usage)) == 75 + 1500 + 3600 + 225


def test_nothing_was_written_where_nothing_is_told_of_a_cache() -> None:
    usage = read_messages_usage({"input_tokens": 25, "output_tokens": 15})

    assert usage is not None
    assert (usage.cache_write_tokens, usage.cache_write_hour_tokens) == (None, None)


def test_the_first_word_about_the_cache_still_holds_at_the_end_of_a_stream() -> None:
    usage = read_messages_usage({**USAGE, **LAST_USAGE})

    assert usage is not None
    assert buckets_of(usage) == Buckets(input=25, cached=2000, cache_write=100, output=8, reasoning=7)
