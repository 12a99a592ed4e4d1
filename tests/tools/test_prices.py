"""The snapshot costs what its source says, to the pico-dollar; and what cannot be said is not said."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from genai_prices import types as theirs
from genai_prices.data import providers as their_providers
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from frontdesk.core.config import Config, Model, Provider
from frontdesk.core.money import Buckets
from frontdesk.prices.book import PriceBook
from frontdesk.prices.snapshot import Clause, Daily, Rates, Stepped, Tariff
from tools import prices
from tools.prices import InexpressibleError, clause_of, model_of, plain, rates_of, tariffs_of

ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "perplexity": "https://api.perplexity.ai",
    "x-ai": "https://api.x.ai/v1",
}
SOURCES = {provider.id: provider for provider in their_providers}
ROUTES = [f"{name}/{model.id}" for name in ADDRESSES for model in SOURCES[name].models]
BOOK = PriceBook.open(
    Config(
        providers={name: Provider("openai-compatible", base_url=url) for name, url in ADDRESSES.items()},
        models={"all": Model([*ROUTES])},
    )
)
UNPRICED = BOOK.unpriced()
CHANGING = [
    route
    for route, tariffs in BOOK.tariffs().items()
    if route not in UNPRICED and (len(tariffs) > 1 or tariffs[0].daily or tariffs[0].service_tiers)
]
PRICED = st.sampled_from(CHANGING) | st.sampled_from([route for route in ROUTES if route not in UNPRICED])
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001 - it asks so
TIERS = st.sampled_from([None, "default", "flex", "priority", "fast"])


def said_of(route: str, at: datetime, tier: str | None = None) -> theirs.ModelPrice:
    """What the source says that a route costs."""
    provider, _, name = route.partition("/")
    model = SOURCES[provider].find_model(name, all_providers=their_providers)
    assert model is not None
    return model.get_prices(at, None if tier is None else {"service_tier": tier})


@settings(max_examples=400)
@given(PRICED, TIMES, TIERS, st.integers(0, 400_000), st.integers(0, 400_000), st.integers(0, 100_000))
def test_a_call_costs_what_the_source_says_it_does(
    route: str, at: datetime, tier: str | None, read: int, cached: int, written: int
) -> None:
    price = BOOK.price_of(route, at.timestamp(), tier)
    said = said_of(route, at, tier)
    if price is None:  # a dearer tier of which nothing is known
        assert tier in ("priority", "fast")
        assert said == said_of(route, at)
        return
    usage = theirs.Usage(input_tokens=read + cached, cache_read_tokens=cached, output_tokens=written)
    rates = price.rates_for(read + cached)
    expected = Fraction(said.calc_price(usage)["total_price"]) * 10**12
    if said.output_mtok is None:  # what has no price for output writes nothing
        expected += rates.output * written

    picos = rates.picos(Buckets(input=read, cached=cached, output=written))

    if _is_exact(said) and not _has_dearer_cached_images(said):
        assert picos == expected
    else:
        assert picos >= expected - (read + cached + written)


def _is_exact(said: theirs.ModelPrice) -> bool:
    """Whether a token costs whole pico-dollars. A few prices are thirds, or come from sums of floats."""
    every = [value for value in vars(said).values() if value is not None]
    rates = [rate for value in every for rate in _rates_in(value)]
    return all(rate * 10**6 == (rate * 10**6).to_integral_value() for rate in rates)


def _has_dearer_cached_images(said: theirs.ModelPrice) -> bool:
    return said.cache_image_read_mtok is not None and said.cache_image_read_mtok != said.cache_read_mtok


def _rates_in(value: Decimal | theirs.TieredPrices) -> list[Decimal]:
    return [value] if isinstance(value, Decimal) else [value.base, *(tier.price for tier in value.tiers)]


PARTS = {
    "cached": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_hour": "cache_write_1h_tokens",
    "audio_input": "input_audio_tokens",
    "image_input": "input_image_tokens",
    "audio_output": "output_audio_tokens",
    "image_output": "output_image_tokens",
}


@settings(max_examples=400)
@given(PRICED, TIMES, st.fixed_dictionaries(dict.fromkeys(PARTS, st.integers(0, 10_000))))
def test_no_part_costs_less_than_the_source_says(route: str, at: datetime, parts: dict[str, int]) -> None:
    price = BOOK.price_of(route, at.timestamp())
    assert price is not None
    buckets = replace(Buckets(input=7, output=9), **parts)
    usage = theirs.Usage(
        input_tokens=buckets.total_input,
        output_tokens=buckets.total_output,
        cache_audio_read_tokens=0,
        cache_image_read_tokens=0,
        **{name: parts[bucket] for bucket, name in PARTS.items()},
    )
    usage.cache_write_tokens = parts["cache_write"] + parts["cache_write_hour"]  # theirs is all of it

    cost = Fraction(said_of(route, at).calc_price(usage)["total_price"]) * 10**6

    assert price.cost(buckets) + 1 >= cost


def test_most_models_of_most_providers_have_a_price() -> None:
    assert len(ROUTES) > 1000
    assert len(UNPRICED) < len(ROUTES) / 20


# --- the command --------------------------------------------------------------------------------


def test_the_snapshot_is_what_the_installed_package_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.main([]) == 0
    assert capsys.readouterr().out == ""


def test_a_stale_snapshot_fails_and_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "snapshot.json"
    stale.write_text(prices.FILE.read_text().replace('"input":"', '"input":"1', 1))
    monkeypatch.setattr(prices, "FILE", stale)

    assert prices.main([]) == 1
    assert "python -m tools.prices --write" in capsys.readouterr().out


def test_what_is_written_is_current_and_tells_what_has_no_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prices, "FILE", tmp_path / "snapshot.json")

    assert prices.main(["--write"]) == 0
    told = capsys.readouterr().out
    assert prices.main([]) == 0
    assert "unpriced: " in told
    assert "priced by audio_hours" in told
    assert "left aside: processing: batch" in told


# --- what can be said, and what cannot ----------------------------------------------------------


def price(**rates: Any) -> theirs.ModelPrice:
    return theirs.ModelPrice(**{name: Decimal(rate) if isinstance(rate, str) else rate for name, rate in rates.items()})


def rates(**named: Any) -> Rates:
    return rates_of("openai", vars(price(**named)))


def test_each_unit_goes_into_its_bucket() -> None:
    made = rates(
        input_mtok="1",
        output_mtok="2",
        cache_read_mtok="3",
        cache_write_mtok="4",
        cache_write_1h_mtok="4.5",
        input_audio_mtok="5",
        input_image_mtok="6",
        output_reasoning_mtok="7",
        output_audio_mtok="8",
        output_image_mtok="9",
        requests_kcount="10",
    )

    assert made == Rates(
        Decimal(1),
        output=Decimal(2),
        cached=Decimal(3),
        cache_write=Decimal(4),
        cache_write_hour=Decimal("4.5"),
        audio_input=Decimal(5),
        image_input=Decimal(6),
        reasoning=Decimal(7),
        audio_output=Decimal(8),
        image_output=Decimal(9),
        request=Decimal("0.01"),
    )


def test_what_is_heard_and_spoken_has_its_own_units() -> None:
    assert rates(audio_hours="0.36", input_audio_hours="0.36") == Rates(Decimal(0), audio_minute=Decimal("0.006"))
    assert rates(input_audio_hours="0.04").audio_minute == Decimal("0.000666666667")
    assert rates(input_mchars="15") == Rates(Decimal(0), character=Decimal(15))


def test_openais_judgements_cost_nothing() -> None:
    moderation = theirs.ModelInfo("moderation", theirs.ClauseContains("moderation"), prices=price())

    assert model_of("openai", moderation).tariffs == [Tariff(Decimal(0))]
    assert model_of("mistral", moderation).unpriced == "without any price"


def test_what_no_answer_tells_apart_gets_the_dearer_price() -> None:
    made = rates(
        input_mtok="2",
        cache_read_mtok="0.5",
        cache_image_read_mtok="0.7",
        cache_audio_read_mtok="1",
    )

    assert made == Rates(Decimal(2), cached=Decimal("0.7"), audio_input=Decimal(2))


def test_the_dearer_of_two_stepped_rates_is_so_at_every_length() -> None:
    def stepped(base: str, *steps: tuple[int, str]) -> theirs.TieredPrices:
        return theirs.TieredPrices(Decimal(base), [theirs.Tier(start, Decimal(rate)) for start, rate in steps])

    made = rates(
        input_mtok="1",
        cache_read_mtok=stepped("2", (100, "3")),
        cache_image_read_mtok=stepped("1", (50, "4"), (200, "1")),
    )

    assert made.cached == Stepped(Decimal(2), ((50, Decimal(4)), (100, Decimal(4)), (200, Decimal(3))))


@pytest.mark.parametrize(
    ("provider", "named", "reason"),
    [
        ("openai", {"audio_hours": "0.36"}, "audio_hours"),
        ("openai", {"input_mtok": "1", "audio_hours": "0.36"}, "audio_hours"),
        ("openai", {"input_mtok": "1", "output_citation_mtok": "2"}, "output_citation_mtok"),
        ("openai", {"input_mtok": "1", "tomorrows_unit": "2"}, "tomorrows_unit"),
        ("openai", {"input_mtok": "1", "input_video_mtok": "2"}, "input_video_mtok"),
        ("openai", {"input_mtok": "1", "output_video_mtok": "2"}, "output_video_mtok"),
        ("perplexity", {"input_mtok": "1", "web_searches_kcount": "5"}, "web_searches_kcount"),
        ("openai", {"output_mtok": "1"}, "not by tokens read"),
        ("openai", {"input_audio_hours": "0.36", "audio_hours": "0.72"}, "audio_hours"),
        ("mistral", {"input_mtok": "1", "input_audio_hours": "0.24"}, "input_audio_hours"),
    ],
)
def test_what_cannot_be_said_has_no_price_and_the_reason(provider: str, named: dict[str, str], reason: str) -> None:
    with pytest.raises(InexpressibleError, match=reason):
        rates_of(provider, vars(price(**named)))

    made = model_of(provider, theirs.ModelInfo("m", theirs.ClauseEquals("m"), prices=price(**named)))
    assert made.tariffs == []
    assert made.unpriced is not None
    assert reason in made.unpriced


def test_searches_that_nobody_can_ask_for_cost_nothing() -> None:
    assert rates(input_mtok="1", web_searches_kcount="10", storage_searches_kcount="2.5") == Rates(Decimal(1))


def test_video_that_costs_no_more_than_words_is_counted_as_words() -> None:
    assert rates(input_mtok="3", input_video_mtok="3") == Rates(Decimal(3))


@pytest.mark.parametrize(
    ("text", "written"), [("1E+1", "10"), ("0.150", "0.15"), ("0.0375", "0.0375"), ("0E-7", "0"), ("1000", "1000")]
)
def test_numbers_are_written_without_exponents(text: str, written: str) -> None:
    assert str(plain(Decimal(text))) == written


def test_a_rule_is_taken_over_as_it_is() -> None:
    rule = theirs.ClauseOr(
        [theirs.ClauseStartsWith("a"), theirs.ClauseAnd([theirs.ClauseContains("b"), theirs.ClauseRegex("c$")])]
    )

    assert clause_of(rule) == Clause(
        any_of=[Clause(starts_with="a"), Clause(all_of=[Clause(contains="b"), Clause(regex="c$")])]
    )


# --- when a price holds -------------------------------------------------------------------------


def model(*conditions: tuple[Any, str], name: str = "m", variants: list[theirs.PriceVariant] | None = None) -> Any:
    return theirs.ModelInfo(
        name,
        theirs.ClauseEquals(name),
        prices=[theirs.ConditionalPrice(constraint, prices=price(input_mtok=usd)) for constraint, usd in conditions],
        price_variants=variants,
    )


def since(day: str) -> theirs.StartDateConstraint:
    return theirs.StartDateConstraint(date.fromisoformat(day))


def between(start: str, end: str) -> theirs.TimeOfDateConstraint:
    return theirs.TimeOfDateConstraint(time.fromisoformat(start), time.fromisoformat(end))


def test_dated_prices_follow_one_another() -> None:
    made = tariffs_of("x", model((None, "1"), (since("2026-08-01"), "2"), (since("2026-09-01"), "3")))

    assert made == [
        Tariff(Decimal(1)),
        Tariff(Decimal(2), since=date(2026, 8, 1)),
        Tariff(Decimal(3), since=date(2026, 9, 1)),
    ]


def test_of_prices_that_hold_the_last_one_counts_even_against_the_dates() -> None:
    made = tariffs_of("x", model((None, "1"), (since("2026-09-01"), "3"), (since("2026-08-01"), "2")))

    assert made == [Tariff(Decimal(1)), Tariff(Decimal(2), since=date(2026, 8, 1))]


def test_hours_of_a_day_hold_beside_every_date_before_them() -> None:
    made = tariffs_of("x", model((None, "4"), (since("2026-08-01"), "2"), (between("16:30", "00:30"), "1")))

    cheap = (Daily(Decimal(1), starts=990, ends=30),)
    assert made == [
        Tariff(Decimal(4), daily=cheap),
        Tariff(Decimal(2), daily=cheap, since=date(2026, 8, 1)),
    ]


def test_a_date_after_hours_of_a_day_ends_them() -> None:
    made = tariffs_of("x", model((None, "4"), (between("01:00", "02:00"), "1"), (since("2026-08-01"), "2")))

    assert made == [
        Tariff(Decimal(4), daily=(Daily(Decimal(1), starts=60, ends=120),)),
        Tariff(Decimal(2), since=date(2026, 8, 1)),
    ]


def test_a_tier_has_what_it_names_and_the_rest_of_the_usual() -> None:
    made = tariffs_of(
        "x",
        model(
            (None, "1"),
            variants=[
                theirs.PriceVariant({"service_tier": "default"}, price()),
                theirs.PriceVariant({"service_tier": "priority"}, price(output_mtok="9"), since("2026-08-01")),
                theirs.PriceVariant({"processing": "batch"}, price(input_mtok="0.5")),
            ],
        ),
    )

    priority = {"priority": Rates(Decimal(1), output=Decimal(9))}
    assert made == [
        Tariff(Decimal(1)),
        Tariff(Decimal(1), service_tiers=priority, since=date(2026, 8, 1)),
    ]


def test_of_two_prices_of_a_tier_the_first_that_holds_counts() -> None:
    made = tariffs_of(
        "x",
        model(
            (None, "1"),
            variants=[
                theirs.PriceVariant({"service_tier": "flex"}, price(input_mtok="3"), since("2027-01-01")),
                theirs.PriceVariant({"service_tier": "flex"}, price(input_mtok="2")),
            ],
        ),
    )

    assert made == [
        Tariff(Decimal(1), service_tiers={"flex": Rates(Decimal(2))}),
        Tariff(Decimal(1), service_tiers={"flex": Rates(Decimal(3))}, since=date(2027, 1, 1)),
    ]


def test_a_variant_that_nobody_here_knows_leaves_its_model_unpriced() -> None:
    variants = [theirs.PriceVariant({"region": "eu"}, price(input_mtok="9"))]

    with pytest.raises(InexpressibleError, match="region"):
        tariffs_of("x", model((None, "1"), variants=variants))


def test_without_any_price_only_what_is_called_free_is_free() -> None:
    nothing = theirs.ModelInfo("m", theirs.ClauseEquals("m"), prices=price())
    free = theirs.ModelInfo("m:free", theirs.ClauseEquals("m:free"), prices=price())

    assert model_of("x", nothing).unpriced == "without any price"
    assert model_of("x", free).tariffs == [Tariff(Decimal(0))]
