import msgspec
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.money import Buckets, Units
from frontdesk.turn.buckets import buckets_of
from frontdesk.turn.events import Usage

TOTALS = st.integers(0, 10**12)
PARTS = st.one_of(st.none(), st.integers(0, 100), st.integers(-(10**13), 10**13))
PART_NAMES = [
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_hour_tokens",
    "reasoning_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "tool_tokens",
    "audio_output_tokens",
    "image_output_tokens",
]
ANY_USAGE = st.builds(
    Usage,
    input_tokens=st.one_of(TOTALS, st.integers(0, 200)),
    output_tokens=st.one_of(TOTALS, st.integers(0, 200)),
    **dict.fromkeys(PART_NAMES, PARTS),
)


@given(ANY_USAGE)
def test_buckets_add_up_to_the_totals_whatever_the_parts_say(usage: Usage) -> None:
    buckets = buckets_of(usage)

    assert (buckets.total_input, buckets.total_output) == (usage.input_tokens, usage.output_tokens)
    assert min(tokens for tokens in msgspec.structs.astuple(buckets) if tokens is not None) >= 0


def test_what_is_no_tokens_stays_beside_them() -> None:
    units = Units(audio_seconds=3, characters=2, images=1)

    assert buckets_of(Usage(1, 2, units=units)) == Buckets(input=1, output=2, units=units)


@given(ANY_USAGE)
def test_no_bucket_has_more_than_its_part(usage: Usage) -> None:
    buckets = buckets_of(usage)

    assert buckets.cached <= max(usage.cached_tokens or 0, 0)
    assert buckets.cache_write + buckets.cache_write_hour <= max(usage.cache_write_tokens or 0, 0)
    assert buckets.cache_write_hour <= max(usage.cache_write_hour_tokens or 0, 0)
    assert buckets.audio_input <= max(usage.audio_input_tokens or 0, 0)
    assert buckets.image_input <= max(usage.image_input_tokens or 0, 0)
    assert buckets.tool <= max(usage.tool_tokens or 0, 0)
    assert buckets.reasoning <= max(usage.reasoning_tokens or 0, 0)
    assert buckets.audio_output <= max(usage.audio_output_tokens or 0, 0)
    assert buckets.image_output <= max(usage.image_output_tokens or 0, 0)


def test_parts_that_fit_are_taken_as_they_are() -> None:
    usage = Usage(
        1000,
        500,
        cached_tokens=300,
        cache_write_tokens=100,
        cache_write_hour_tokens=60,
        reasoning_tokens=200,
        audio_input_tokens=50,
        image_input_tokens=40,
        tool_tokens=10,
        audio_output_tokens=20,
        image_output_tokens=30,
    )

    assert buckets_of(usage) == Buckets(
        input=500,
        cached=300,
        cache_write=40,
        cache_write_hour=60,
        audio_input=50,
        image_input=40,
        tool=10,
        output=250,
        reasoning=200,
        audio_output=20,
        image_output=30,
    )


def test_parts_that_are_not_told_were_read_and_written_plainly() -> None:
    assert buckets_of(Usage(7, 3)) == Buckets(input=7, output=3)


def test_what_is_kept_for_an_hour_is_a_part_of_what_was_written_to_a_cache() -> None:
    assert buckets_of(Usage(50, 0, cache_write_tokens=20, cache_write_hour_tokens=90)) == Buckets(
        input=30, cache_write_hour=20
    )
    assert buckets_of(Usage(50, 0, cache_write_hour_tokens=20)) == Buckets(input=50)


def test_sound_that_was_read_from_a_cache_stays_sound() -> None:
    usage = Usage(100, 0, cached_tokens=90, audio_input_tokens=80)

    assert buckets_of(usage) == Buckets(input=0, audio_input=80, cached=20)


def test_an_image_that_was_read_from_a_cache_was_cached() -> None:
    usage = Usage(265, 0, cached_tokens=192, image_input_tokens=256)

    assert buckets_of(usage) == Buckets(input=0, cached=192, image_input=73)


def test_predictions_that_were_rejected_were_written_all_the_same() -> None:
    usage = Usage(5, 12, accepted_prediction_tokens=3, rejected_prediction_tokens=4, reasoning_tokens=2)

    assert buckets_of(usage) == Buckets(input=5, output=10, reasoning=2)


def test_what_is_nonsense_is_taken_for_nothing() -> None:
    assert buckets_of(Usage(-5, -1, cached_tokens=-3, reasoning_tokens=9)) == Buckets()
