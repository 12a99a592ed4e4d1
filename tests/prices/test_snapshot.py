import hashlib
from decimal import Decimal

import msgspec
import pytest

from frontdesk.prices.snapshot import FILE, Clause, Model, Snapshot, Stepped, Tariff, rate_above, steps_of

SNAPSHOT = Snapshot.read()
MODELS = [
    (provider.id, model)
    for provider in SNAPSHOT.providers
    for model in msgspec.json.decode(provider.models, type=list[Model])
]


def rates_of(tariff: Tariff) -> list[Decimal | Stepped]:
    every = [tariff, *tariff.daily, *tariff.service_tiers.values()]
    values = [value for rates in every for value in msgspec.structs.astuple(rates)]
    return [value for value in values if isinstance(value, Decimal | Stepped)]


# --- the file that comes with this version ------------------------------------------------------


def test_it_says_where_it_comes_from_and_under_which_license() -> None:
    assert SNAPSHOT.package.startswith("genai-prices ")
    assert "MIT License" in SNAPSHOT.license
    assert "Copyright (c) Pydantic" in SNAPSHOT.license


def test_its_sum_is_of_its_content() -> None:
    text = b"".join(msgspec.json.encode(provider, order="sorted") for provider in SNAPSHOT.providers)

    # Lines are broken for people alone.
    assert hashlib.sha256(text.replace(b"\n", b"")).hexdigest() == SNAPSHOT.sha256


def test_it_is_small() -> None:
    assert FILE.stat().st_size < 500_000


def test_every_model_has_a_price_or_the_reason_why_not() -> None:
    assert [f"{provider}/{model.id}" for provider, model in MODELS if bool(model.tariffs) == bool(model.unpriced)] == []


def test_every_first_tariff_has_always_held_and_the_others_come_by_their_dates() -> None:
    for _, model in MODELS:
        dates = [tariff.since for tariff in model.tariffs]
        assert dates[:1] in ([], [None])
        later = [date for date in dates[1:] if date is not None]
        assert later == sorted(set(later)) == dates[1:]


def test_no_price_is_below_nothing_or_beyond_reason() -> None:
    for provider, model in MODELS:
        for tariff in model.tariffs:
            for rate in rates_of(tariff):
                for above in (-1, *steps_of([rate])):
                    assert 0 <= rate_above(rate, above) <= 10_000, f"{provider}/{model.id}"


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com/v1", "deepseek"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.x.ai/v1", "x-ai"),
        ("https://desk.openai.azure.com/openai/v1", "azure"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "google"),
    ],
)
def test_providers_are_known_by_their_addresses(base_url: str, provider: str) -> None:
    found = SNAPSHOT.provider_at(base_url)

    assert found is not None
    assert found.id == provider


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9000/v1", "https://example.org/https://api.openai.com"])
def test_an_address_that_is_nobodys_has_no_provider(base_url: str) -> None:
    assert SNAPSHOT.provider_at(base_url) is None


# --- rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "fits", "does_not"),
    [
        ({"equals": "GPT-4o"}, "gpt-4o", "gpt-4o-mini"),
        ({"starts_with": "GPT-4o"}, "gpt-4o-mini", "my-gpt-4o"),
        ({"ends_with": "-Mini"}, "gpt-4o-mini", "gpt-4o-mini-2"),
        ({"contains": "4O"}, "gpt-4o-mini", "gpt-4-o"),
        ({"regex": r"^gpt-\d+$"}, "gpt-5", "gpt-5o"),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", "c"),
        ({"and": [{"starts_with": "a"}, {"ends_with": "z"}]}, "abz", "abc"),
    ],
)
def test_a_rule_fits_names(rule: dict[str, object], fits: str, does_not: str) -> None:
    clause = msgspec.convert(rule, Clause)

    assert (clause.matches(fits), clause.matches(does_not)) == (True, False)


# --- rates --------------------------------------------------------------------------------------


def test_a_stepped_rate_is_that_of_the_last_step_that_begins_there() -> None:
    rate = Stepped(Decimal(1), ((100, Decimal(2)), (200, Decimal(3))))

    assert [rate_above(rate, tokens) for tokens in (-1, 99, 100, 199, 200, 201)] == [1, 1, 2, 2, 3, 3]
    assert rate_above(Decimal("0.1"), 5) == Decimal("0.1")


def test_steps_of_several_rates_are_put_in_order() -> None:
    one = Stepped(Decimal(1), ((200, Decimal(2)),))
    other = Stepped(Decimal(1), ((100, Decimal(2)), (200, Decimal(3))))

    assert steps_of([one, None, Decimal(1), other]) == [100, 200]
