from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from frontdesk.core.money import UNBOUNDED, Buckets, Ceiling, Price, Rates, Units, micros_of, picos_of, usd, usd_words

COUNTS = st.integers(0, 2_000_000)
# Up to 100 dollars a million tokens; often nothing, or what does not divide evenly.
PICOS = st.one_of(st.just(0), st.integers(1, 7), st.integers(0, 100_000_000))
RATES = st.builds(Rates, **dict.fromkeys(Rates.__struct_fields__, PICOS))
TOKENS = tuple(name for name in Buckets.__struct_fields__ if name != "units")
UNITS = st.none() | st.builds(Units, **dict.fromkeys(Units.__struct_fields__, COUNTS))
BUCKETS = st.builds(Buckets, **dict.fromkeys(TOKENS, COUNTS), units=UNITS)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """Prices with up to three steps, each dearer or cheaper than the one before."""
    aboves = sorted(draw(st.sets(st.integers(0, 3_000_000), max_size=3)))
    return Price(draw(RATES), tuple((above, draw(RATES)) for above in aboves))


def exact_micros(rates: Rates, buckets: Buckets) -> Fraction:
    """What a call costs, in fractions, said another way than the code does."""
    picos = sum((Fraction(getattr(buckets, name)) * getattr(rates, name) for name in TOKENS), Fraction(rates.request))
    if (units := buckets.units) is not None:
        picos += Fraction(units.audio_seconds, 60) * rates.audio_minute
        picos += units.characters * rates.character + units.images * rates.image
    return picos / 1_000_000


# --- costs --------------------------------------------------------------------------------------


@given(RATES, BUCKETS)
def test_a_cost_is_exact_and_rounded_up_once(rates: Rates, buckets: Buckets) -> None:
    cost = Price(rates).cost(buckets)

    assert 0 <= cost - exact_micros(rates, buckets) < 1


@given(prices(), BUCKETS)
def test_the_last_step_that_is_exceeded_decides_over_all_of_the_call(price: Price, buckets: Buckets) -> None:
    exceeded = [rates for above, rates in price.steps if buckets.total_input > above]
    rates = exceeded[-1] if exceeded else price.rates

    assert price.cost(buckets) == Price(rates).cost(buckets)


def test_as_many_tokens_as_a_step_says_do_not_exceed_it() -> None:
    price = Price(Rates(input=1_000_000), ((200_000, Rates(input=2_000_000)),))

    assert price.cost(Buckets(input=200_000)) == 200_000
    assert price.cost(Buckets(input=200_001)) == 400_002


def test_what_was_read_from_a_cache_counts_towards_a_step() -> None:
    price = Price(Rates(cached=1_000_000), ((10, Rates(cached=3_000_000)),))

    assert price.cost(Buckets(input=6, cached=5)) == 15


def test_a_single_token_is_not_for_free() -> None:
    assert Price(Rates(input=picos_of("0.02"))).cost(Buckets(input=1)) == 1
    assert Price(Rates(input=picos_of("0.02"))).cost(Buckets()) == 0


def test_a_call_may_cost_something_itself() -> None:
    assert Price(Rates(request=12_000_000_000)).cost(Buckets()) == 12_000


def test_sound_characters_and_pictures_have_rates_of_their_own() -> None:
    rates = Rates(input=1_000_000, audio_minute=6_000_000_000, character=15_000_000, image=40_000_000_000)

    def cost(**units: int) -> int:
        return Price(rates).cost(Buckets(input=1, units=Units(**units)))

    assert cost(audio_seconds=60) == 6_001
    assert cost(audio_seconds=1) == 101
    assert cost(characters=2) == 31
    assert cost(images=3) == 120_001
    assert Price(rates).cost(Buckets(input=1)) == 1


@pytest.mark.parametrize(
    ("name", "is_by_units"), [("audio_minute", True), ("character", True), ("image", True), ("input", False)]
)
def test_what_is_paid_besides_tokens_is_not_free(name: str, is_by_units: bool) -> None:
    price = Price(Rates(), ((10, Rates(**{name: 1})),))

    assert not price.is_free
    assert price.is_by_units == is_by_units


def test_every_bucket_has_its_own_rate() -> None:
    names = TOKENS
    rates = Rates(**{name: 1_000_000 * (place + 1) for place, name in enumerate(names)})

    assert [Price(rates).cost(replace(Buckets(), **{name: 1})) for name in names] == list(range(1, len(names) + 1))


def test_amounts_of_the_largest_calls_fit_64_bits() -> None:
    dearest = Rates(**dict.fromkeys(Rates.__struct_fields__, picos_of(100_000)))
    most = Buckets(input=10**12, output=10**12)

    assert Price(dearest).cost(most) < 2**63


# --- bounds -------------------------------------------------------------------------------------


@st.composite
def buckets_within(draw: st.DrawFn, names: tuple[str, ...], total: int) -> dict[str, int]:
    """Buckets of these names with no more tokens together."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = draw(st.integers(0, total))
        total -= counts[name]
    return counts


READ = Buckets.__struct_fields__[:7]
WRITTEN = TOKENS[7:]


@given(prices(), COUNTS, COUNTS, st.data())
def test_no_call_within_bounds_costs_more_than_its_bound(
    price: Price, input_tokens: int, output_tokens: int, data: st.DataObject
) -> None:
    read = data.draw(buckets_within(READ, input_tokens))
    written = data.draw(buckets_within(WRITTEN, output_tokens))
    units = data.draw(UNITS)
    buckets = Buckets(**read, **written, units=units)

    assert price.cost(buckets) <= price.bound(input_tokens, output_tokens, units)


@given(RATES, COUNTS, COUNTS, st.sampled_from(READ), st.sampled_from(WRITTEN))
def test_a_price_without_steps_has_a_bound_that_is_reached(
    rates: Rates, input_tokens: int, output_tokens: int, read: str, written: str
) -> None:
    dearest = Rates(
        **{name: getattr(rates, read) for name in READ},
        **{name: getattr(rates, written) for name in WRITTEN},
        request=rates.request,
    )

    bound = Price(dearest).bound(input_tokens, output_tokens)

    assert bound == Price(dearest).cost(Buckets(input=input_tokens, output=output_tokens))


@given(prices(), COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_bound_never_falls_when_more_may_be_read_or_written(
    price: Price, input_tokens: int, output_tokens: int, more_input: int, more_output: int
) -> None:
    assert price.bound(input_tokens, output_tokens) <= price.bound(
        input_tokens + more_input, output_tokens + more_output
    )


def test_a_step_that_is_cheaper_does_not_make_the_bound_smaller() -> None:
    price = Price(Rates(input=5_000_000), ((100, Rates(input=1_000_000)),))

    assert price.cost(Buckets(input=100)) == 500
    assert price.bound(101, 0) >= 500


@given(prices(), COUNTS, st.integers(0, 10**12))
def test_what_is_affordable_is_the_most_that_fits(price: Price, input_tokens: int, micros: int) -> None:
    affordable = Ceiling(price).affordable_output(input_tokens, micros)

    if affordable < 0:
        assert price.bound(input_tokens, 0) > micros
    else:
        assert price.bound(input_tokens, affordable) <= micros
    if 0 <= affordable < UNBOUNDED:
        assert price.bound(input_tokens, affordable + 1) > micros


def test_where_writing_costs_nothing_as_much_as_one_likes_is_affordable() -> None:
    assert Ceiling(Price(Rates(input=1_000_000))).affordable_output(10, 10) == UNBOUNDED
    assert Ceiling(Price(Rates(input=1_000_000))).affordable_output(10, 9) < 0


@given(prices())
def test_free_is_what_costs_nothing_whatever_is_asked(price: Price) -> None:
    assert price.is_free == (price.bound(10_000_000, 10_000_000) == 0)


def test_a_price_that_costs_only_above_a_step_is_not_free() -> None:
    assert not Price(Rates(), ((10, Rates(output=1)),)).is_free
    assert not Price(Rates(request=1)).is_free
    assert Price(Rates(), ((10, Rates()),), book="local").is_free


@given(BUCKETS)
def test_buckets_share_no_token(buckets: Buckets) -> None:
    assert buckets.total_input + buckets.total_output == sum(getattr(buckets, name) for name in TOKENS)


# --- amounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dollars", "micros"),
    [(0.1, 100_000), (0.000_001, 1), ("12.34", 12_340_000), (0, 0), (1e9, 10**15), (Decimal("0.0000005"), 1)],
)
def test_dollars_become_the_micro_dollars_that_were_written(dollars: float | Decimal | str, micros: int) -> None:
    assert micros_of(dollars) == micros


@pytest.mark.parametrize(
    ("rate", "picos"), [(0.15, 150_000), ("0.0375", 37_500), (Decimal("0.0833333333333333"), 83_333), (1.1, 1_100_000)]
)
def test_a_price_for_a_million_tokens_becomes_one_for_a_token(rate: float | Decimal | str, picos: int) -> None:
    assert picos_of(rate) == picos


@given(st.integers(0, 4 * 10**15))
def test_micro_dollars_come_back_from_the_dollars_of_json(micros: int) -> None:
    assert micros_of(usd(micros)) == micros


@pytest.mark.parametrize(
    ("micros", "words"),
    [
        (0, "$0.00"),
        (50_000, "$0.05"),
        (12_400_000, "$12.40"),
        (12, "$0.000012"),
        (1_234_500, "$1.2345"),
        (10**15, "$1000000000.00"),
    ],
)
def test_amounts_are_told_as_people_write_them(micros: int, words: str) -> None:
    assert usd_words(micros) == words
