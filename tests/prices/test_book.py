import json
import math
import subprocess
import sys

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.core.config import Config
from frontdesk.core.config import Price as ConfiguredPrice
from frontdesk.core.config import PriceChange as ConfiguredChange
from frontdesk.core.money import Price, Rates
from frontdesk.prices.book import PAID_ONE_BY_ONE, Listing, PriceBook
from frontdesk.prices.tariffs import Daily, Tariff, holding_at
from tests.prices.books import NOW, book, config, time_of

pytestmark = pytest.mark.usefixtures("small_snapshot")


def rates(read: int, written: int, **more: int) -> Rates:
    """Rates with what is left out put in."""
    every = {
        **dict.fromkeys(("input", "cached", "cache_write", "audio_input", "image_input", "tool"), read),
        "cache_write_hour": more.get("cache_write", read),
        **dict.fromkeys(("output", "reasoning", "audio_output", "image_output"), written),
        **more,
    }
    return Rates(**every)


def input_rate(price: Price | None) -> float | None:
    return None if price is None else price.rates.input / 1_000_000


# --- whose price --------------------------------------------------------------------------------


def test_a_provider_costs_what_it_charges() -> None:
    assert book("openai/plain").price_of("openai/plain", NOW) == Price(rates(150_000, 600_000), book="prices 1.0")


def test_prices_survive_to_the_last_digit() -> None:
    found = book("openai/cached").price_of("openai/cached", NOW)

    assert found == Price(rates(2_500_000, 10_000_000, cached=37_500), book="prices 1.0")


def test_what_is_asked_at_a_providers_address_is_its_own_price() -> None:
    found = book("other/plain", "openai/plain")

    assert [input_rate(found.price_of(route, NOW)) for route in ("other/plain", "openai/plain")] == [7, 0.15]


def test_a_provider_that_offers_anothers_models_charges_as_that_one_does() -> None:
    found = book("other/cached", "other/borrowed")

    assert [input_rate(found.price_of(f"other/{name}", NOW)) for name in ("cached", "borrowed")] == [2.5, 9]


def test_an_address_that_is_nobodys_has_no_price_even_with_names_of_openai() -> None:
    assert book("proxy/plain").price_of("proxy/plain", NOW) is None


@pytest.mark.parametrize("provider", ["local", "scripted"])
def test_what_runs_here_costs_nothing(provider: str) -> None:
    found = book(f"{provider}/x").price_of(f"{provider}/x", NOW)

    assert found == Price(Rates(), book=provider)
    assert found is not None
    assert found.is_free


def test_a_route_that_is_not_configured_has_no_price() -> None:
    assert book("openai/plain").price_of("openai/cached", NOW) is None


@pytest.mark.parametrize(
    ("name", "usd"), [("FAMILY", 1), ("family-2026-01-02", 1), ("family-20260102", 1), ("family-2", None)]
)
def test_names_are_matched_by_the_rules_of_their_model(name: str, usd: float | None) -> None:
    assert input_rate(book(f"openai/{name}").price_of(f"openai/{name}", NOW)) == usd


def test_what_cannot_be_priced_gets_no_price_by_a_later_rule() -> None:
    assert book("openai/spoken-words").price_of("openai/spoken-words", NOW) is None


def test_a_model_that_writes_nothing_has_its_writing_priced_as_its_reading() -> None:
    assert book("openai/embed").price_of("openai/embed", NOW) == Price(rates(20_000, 20_000), book="prices 1.0")


def test_a_call_may_have_a_price_of_its_own() -> None:
    found = book("openai/searching").price_of("openai/searching", NOW)

    assert found is not None
    assert found.rates.request == 12_000_000_000


def test_rates_that_change_at_different_lengths_become_steps_of_all() -> None:
    found = book("openai/stepped").price_of("openai/stepped", NOW)

    assert found == Price(
        rates(1_000_000, 4_000_000, cached=500_000),
        (
            (100_000, rates(1_000_000, 5_000_000, cached=500_000)),
            (200_000, rates(2_000_000, 6_000_000, cached=500_000)),
        ),
        "prices 1.0",
    )


# --- what is configured -------------------------------------------------------------------------


def test_what_is_configured_comes_before_what_a_provider_charges() -> None:
    found = book("openai/plain", prices={"openai/plain": ConfiguredPrice(3.0, 4.0)})

    assert found.price_of("openai/plain", NOW) == Price(rates(3_000_000, 4_000_000), book="configured")


def test_a_models_own_price_comes_before_that_of_all_others_of_its_provider() -> None:
    found = book(
        "openai/plain",
        "openai/cached",
        "local/x",
        prices={
            "openai/*": ConfiguredPrice(5.0),
            "openai/plain": ConfiguredPrice(3.0),
            "local/*": ConfiguredPrice(1.0),
        },
    )

    assert [input_rate(found.price_of(route, NOW)) for route in ("openai/plain", "openai/cached", "local/x")] == [
        3,
        5,
        1,
    ]


def test_configured_rates_that_are_left_out_are_as_input_and_output_which_is_nothing() -> None:
    said = ConfiguredPrice(3.0, reasoning=1.0, request=0.000_000_5)

    found = book("proxy/x", prices={"proxy/x": said}).price_of("proxy/x", NOW)

    assert found == Price(rates(3_000_000, 0, reasoning=1_000_000, request=500_000), book="configured")


def test_every_configured_rate_is_of_its_bucket() -> None:
    names = [name for name in Rates.__struct_fields__ if name not in PAID_ONE_BY_ONE]
    said = msgspec.convert({name: float(place) for place, name in enumerate(names, 1)}, ConfiguredPrice)

    found = book("proxy/x", prices={"proxy/x": said}).price_of("proxy/x", NOW)

    assert found is not None
    assert found.rates == Rates(**{name: place * 1_000_000 for place, name in enumerate(names, 1)})


def test_what_is_not_paid_by_tokens_needs_no_rate_for_them() -> None:
    said = msgspec.convert({"audio_minute": 0.006, "character": 15, "image": 0.04}, ConfiguredPrice)

    found = book("proxy/x", prices={"proxy/x": said}).price_of("proxy/x", NOW)

    assert found == Price(
        Rates(audio_minute=6_000_000_000, character=15_000_000, image=40_000_000_000), book="configured"
    )


def test_configured_changes_hold_from_midnight_of_utc() -> None:
    said = ConfiguredPrice(
        4.0, changes=[ConfiguredChange(3.0, since="2026-11-23"), ConfiguredChange(2.0, 9.0, since="2026-12-01")]
    )
    found = book("openai/plain", prices={"openai/plain": said})
    moments = ["2026-11-22T23:59:59.999", "2026-11-23T00:00:00", "2026-11-30T23:59:59.999", "2026-12-01T00:00:00"]

    prices = [found.price_of("openai/plain", time_of(moment)) for moment in moments]

    assert [(input_rate(price), price and price.book) for price in prices] == [
        (4, "configured"),
        (3, "configured since 2026-11-23"),
        (3, "configured since 2026-11-23"),
        (2, "configured since 2026-12-01"),
    ]


# --- when it holds ------------------------------------------------------------------------------


def test_a_provider_changes_its_prices_at_dates() -> None:
    found = book("openai/dated")
    days = ["1990-01-01", "2026-05-31", "2026-06-01", "2026-11-30", "2026-12-01", "2099-01-01"]

    prices = [found.price_of("openai/dated", time_of(day)) for day in days]

    assert [input_rate(price) for price in prices] == [4, 4, 3, 3, 2, 2]
    assert [price and price.book for price in prices[1:4:2]] == ["prices 1.0", "prices 1.0 since 2026-06-01"]


def test_a_change_of_another_part_leaves_a_price_its_date() -> None:
    found = book("openai/tiered")

    assert found.price_of("openai/tiered", NOW) == Price(rates(1_000_000, 2_000_000), book="prices 1.0")


@pytest.mark.parametrize(
    ("moment", "usd"),
    [
        ("16:29:59", 8),
        ("16:30:00", 4),
        ("19:59:59", 4),
        ("20:00:00", 1),
        ("20:59:59", 1),
        ("21:00:00", 4),
        ("23:59:59", 4),
        ("00:00:00", 4),
        ("00:29:59", 4),
        ("00:30:00", 8),
    ],
)
def test_a_price_may_follow_the_time_of_day(moment: str, usd: float) -> None:
    found = book("openai/nightly")

    assert input_rate(found.price_of("openai/nightly", time_of(f"2026-11-23T{moment}"))) == usd


HALF_HOURS = st.integers(0, 48 * 40).map(lambda number: time_of("2026-05-15") + number * 1800.0)


@given(st.lists(HALF_HOURS, min_size=1, max_size=20))
def test_in_whatever_order_times_are_asked_each_has_its_own_price(times: list[float]) -> None:
    asked_often = PriceBook(_AT_ALL_TIMES)

    for at in times:
        asked_once = PriceBook(_AT_ALL_TIMES)
        for route in _AT_ALL_TIMES:
            assert asked_often.price_of(route, at) == asked_once.price_of(route, at)


@given(HALF_HOURS)
@example(time_of("2026-06-01T00:30"))
def test_what_holds_at_a_time_holds_from_its_beginning_to_its_end(at: float) -> None:
    for route, listing in _AT_ALL_TIMES.items():
        holding = holding_at(listing.tariffs, at)
        assert holding.since <= at < holding.until
        for other in (holding.since, (holding.since + holding.until) / 2, holding.until - 1):
            if math.isfinite(other):
                assert PriceBook(_AT_ALL_TIMES).price_of(route, other) == holding.price


def _costing(usd: int) -> Price:
    return Price(rates(usd * 1_000_000, 0))


_AT_ALL_TIMES = {
    "vllm/dated": Listing((Tariff(_costing(1)), Tariff(_costing(2), since=time_of("2026-06-01")))),
    "vllm/daily": Listing(
        (
            Tariff(_costing(3), daily=(Daily(990, 30, _costing(4)), Daily(1200, 1260, _costing(5)))),
            Tariff(_costing(6), since=time_of("2026-06-01"), daily=(Daily(60, 120, _costing(7)),)),
            Tariff(_costing(8), since=time_of("2026-06-10")),
        )
    ),
}


# --- service tiers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "usd"), [(None, 1), ("auto", 1), ("default", 1), ("priority", 2), ("flex", 0.5), ("scale", 1)]
)
def test_a_service_tier_may_have_a_price_of_its_own(tier: str | None, usd: float) -> None:
    assert input_rate(book("openai/tiered").price_of("openai/tiered", NOW, tier)) == usd


def test_a_tier_has_its_price_from_the_day_that_it_is_known() -> None:
    found = book("openai/tiered")

    assert found.price_of("openai/tiered", time_of("2026-05-31"), "priority") is None
    price = found.price_of("openai/tiered", time_of("2026-06-01"), "priority")
    assert price is not None
    assert price.book == "prices 1.0 since 2026-06-01, priority"


@pytest.mark.parametrize("tier", ["priority", "fast", "ultrafast"])
def test_a_tier_that_costs_more_has_no_price_where_nobody_says_how_much(tier: str) -> None:
    assert book("openai/plain").price_of("openai/plain", NOW, tier) is None


@pytest.mark.parametrize("route", ["openai/plain", "local/x"])
def test_what_is_configured_or_runs_here_costs_the_same_in_every_tier(route: str) -> None:
    found = book("openai/plain", "local/x", prices={"openai/plain": ConfiguredPrice(3.0)})

    assert found.price_of(route, NOW, "priority") == found.price_of(route, NOW) is not None


# --- the whole book -----------------------------------------------------------------------------


def test_routes_without_a_price_are_listed_each_with_the_reason() -> None:
    found = book("openai/plain", "openai/spoken", "openai/nobody", "proxy/plain", "local/x")

    assert found.unpriced() == {
        "openai/spoken": "prices 1.0 has it priced by audio_hours",
        "openai/nobody": "prices 1.0 has no such model of the provider 'openai'",
        "proxy/plain": "prices 1.0 has no provider at its address",
    }


def test_the_book_lists_each_route_once_with_what_holds_and_until_when() -> None:
    listed = book("openai/dated", "openai/cached", "proxy/x", "openai/nightly").effective(NOW)

    assert [(each.route, input_rate(each.holding.price), each.context_tokens) for each in listed] == [
        ("openai/dated", 3, None),
        ("openai/cached", 2.5, 128_000),
        ("proxy/x", None, None),
        ("openai/nightly", 8, None),
    ]
    assert [each.holding.until for each in listed] == [
        time_of("2026-12-01"),
        float("inf"),
        float("inf"),
        time_of("2026-11-23T16:30:00"),
    ]


def test_the_snapshot_is_not_read_where_nothing_may_be_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontdesk.prices.snapshot.Snapshot.read", lambda: pytest.fail("it was read"))

    found = book("openai/plain", "local/x", prices={"openai/*": ConfiguredPrice(1.0)})

    assert found.unpriced() == {}


def test_a_book_without_routes_is_empty() -> None:
    assert PriceBook.open(Config()).effective(NOW) == []


def test_neither_the_package_of_the_prices_nor_what_it_brings_is_loaded() -> None:
    code = """
import json, sys
from frontdesk.core.config import Config, Model, Provider
from frontdesk.prices.book import PriceBook
PriceBook.open(Config(providers={"o": Provider("openai")}, models={"m": Model(["o/gpt-4o"])}))
print(json.dumps([name for name in ("genai_prices", "pydantic", "httpx2", "sqlalchemy") if name in sys.modules]))
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout

    assert json.loads(loaded) == []


def test_what_a_configuration_says_of_routes_stays_as_it_was() -> None:
    said = config("openai/plain")
    before = repr(said)

    PriceBook.open(said)

    assert repr(said) == before
