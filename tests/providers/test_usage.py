"""Usage as each provider spells it. The objects are as their documentation shows them, or as they were answered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from frontdesk.core.money import Buckets
from frontdesk.providers.usage import read_chat_usage, read_responses_usage
from frontdesk.turn.buckets import buckets_of
from frontdesk.turn.events import Usage

OPENAI = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 10,
        "rejected_prediction_tokens": 4,
    },
}
OPENAI_AUDIO = {
    "prompt_tokens": 120,
    "completion_tokens": 250,
    "total_tokens": 370,
    "prompt_tokens_details": {"text_tokens": 20, "audio_tokens": 100, "cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "text_tokens": 50, "audio_tokens": 200},
}
OPENROUTER = {
    "prompt_tokens": 194,
    "completion_tokens": 2,
    "total_tokens": 196,
    "cost": 0.000_140_05,
    "is_byok": False,
    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0},
    "cost_details": {"upstream_inference_cost": None},
    "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
}
DEEPSEEK = {
    "prompt_tokens": 1042,
    "completion_tokens": 60,
    "total_tokens": 1102,
    "prompt_cache_hit_tokens": 1024,
    "prompt_cache_miss_tokens": 18,
    "completion_tokens_details": {"reasoning_tokens": 40},
}
GROQ = {
    "queue_time": 0.036,
    "prompt_tokens": 4641,
    "prompt_time": 0.2,
    "completion_tokens": 175,
    "completion_time": 0.4,
    "total_tokens": 4816,
    "total_time": 0.6,
    "prompt_tokens_details": {"cached_tokens": 4608},
}
XAI = {
    "prompt_tokens": 291,
    "completion_tokens": 9,
    "total_tokens": 639,
    "prompt_tokens_details": {"text_tokens": 35, "audio_tokens": 0, "image_tokens": 256, "cached_tokens": 6},
    "completion_tokens_details": {
        "reasoning_tokens": 339,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
    "num_sources_used": 0,
    "cost_in_usd_ticks": 37_756_001,
}
GEMINI = {"completion_tokens": 102, "prompt_tokens": 758, "total_tokens": 1725}
MISTRAL = {"prompt_tokens": 130, "completion_tokens": 20, "total_tokens": 150, "num_cached_tokens": 128}
TOGETHER = {"prompt_tokens": 1012, "completion_tokens": 44, "total_tokens": 1056, "cached_tokens": 960}
PERPLEXITY = {
    "prompt_tokens": 33,
    "completion_tokens": 7163,
    "total_tokens": 7196,
    "reasoning_tokens": 1000,
    "cost": {"input_tokens_cost": 0.0, "output_tokens_cost": 0.057, "request_cost": 0.005, "total_cost": 0.062},
}
VOYAGE = {"total_tokens": 10}
OPENAI_EMBEDDINGS = {"prompt_tokens": 8, "total_tokens": 8}
RESPONSES = {
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 256, "cache_write_tokens": 12},
    "output_tokens": 52,
    "output_tokens_details": {"reasoning_tokens": 32},
    "total_tokens": 380,
}

READ: dict[str, tuple[dict[str, Any], Usage, Buckets]] = {
    "OpenAI": (
        OPENAI,
        Usage(
            2006,
            300,
            cached_tokens=1920,
            reasoning_tokens=128,
            accepted_prediction_tokens=10,
            rejected_prediction_tokens=4,
            audio_input_tokens=0,
            audio_output_tokens=0,
        ),
        Buckets(input=86, cached=1920, output=172, reasoning=128),
    ),
    "OpenAI, sound": (
        OPENAI_AUDIO,
        Usage(120, 250, cached_tokens=0, reasoning_tokens=0, audio_input_tokens=100, audio_output_tokens=200),
        Buckets(input=20, audio_input=100, output=50, audio_output=200),
    ),
    "OpenAI, embeddings": (OPENAI_EMBEDDINGS, Usage(8, 0), Buckets(input=8)),
    "OpenRouter": (
        OPENROUTER,
        Usage(
            194,
            2,
            cached_tokens=0,
            cache_write_tokens=100,
            reasoning_tokens=0,
            audio_input_tokens=0,
            image_output_tokens=0,
        ),
        Buckets(input=94, cache_write=100, output=2),
    ),
    "DeepSeek": (
        DEEPSEEK,
        Usage(1042, 60, cached_tokens=1024, reasoning_tokens=40),
        Buckets(input=18, cached=1024, output=20, reasoning=40),
    ),
    "Groq": (GROQ, Usage(4641, 175, cached_tokens=4608), Buckets(input=33, cached=4608, output=175)),
    "xAI": (
        XAI,
        Usage(
            291,
            348,
            cached_tokens=6,
            reasoning_tokens=339,
            accepted_prediction_tokens=0,
            rejected_prediction_tokens=0,
            audio_input_tokens=0,
            image_input_tokens=256,
            audio_output_tokens=0,
        ),
        Buckets(input=29, cached=6, image_input=256, output=9, reasoning=339),
    ),
    "Gemini": (GEMINI, Usage(758, 967, reasoning_tokens=865), Buckets(input=758, output=102, reasoning=865)),
    "Mistral": (MISTRAL, Usage(130, 20, cached_tokens=128), Buckets(input=2, cached=128, output=20)),
    "Together": (TOGETHER, Usage(1012, 44, cached_tokens=960), Buckets(input=52, cached=960, output=44)),
    "Perplexity": (
        PERPLEXITY,
        Usage(33, 7163, reasoning_tokens=1000),
        Buckets(input=33, output=6163, reasoning=1000),
    ),
    "Voyage, embeddings": (VOYAGE, Usage(10, 0), Buckets(input=10)),
}


@pytest.mark.parametrize(("raw", "usage", "buckets"), READ.values(), ids=READ)
def test_what_a_provider_says_is_read(raw: dict[str, Any], usage: Usage, buckets: Buckets) -> None:
    read = read_chat_usage(raw)

    assert read is not None
    assert read == replace(usage, raw=raw)
    assert buckets_of(read) == buckets


@pytest.mark.parametrize("raw", [each[0] for each in READ.values()], ids=READ)
def test_buckets_add_up_to_the_providers_own_total(raw: dict[str, Any]) -> None:
    read = read_chat_usage(raw)

    assert read is not None
    buckets = buckets_of(read)
    assert buckets.total_input + buckets.total_output == raw["total_tokens"]


def test_responses_say_it_in_other_words() -> None:
    usage = Usage(328, 52, cached_tokens=256, cache_write_tokens=12, reasoning_tokens=32, raw=RESPONSES)

    assert read_responses_usage(RESPONSES) == usage


# --- absent, null and 0 -------------------------------------------------------------------------


def test_absent_and_null_are_unknown_and_0_is_0() -> None:
    absent = read_chat_usage({"prompt_tokens": 1, "completion_tokens": 2})
    null = read_chat_usage(
        {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": None,
            "prompt_tokens_details": {"cached_tokens": None},
        }
    )
    zero = read_chat_usage({"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}})

    assert [usage and usage.cached_tokens for usage in (absent, null, zero)] == [None, None, 0]


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"prompt_tokens": None, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": "1", "completion_tokens": 1},
        {"completion_tokens": 1, "total_tokens": 5},
        {"prompt_tokens": None, "total_tokens": 5},
    ],
)
def test_without_both_totals_nothing_is_known(raw: dict[str, Any]) -> None:
    assert read_chat_usage(raw) is None


def test_a_part_that_is_no_count_is_unknown() -> None:
    raw = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": "4"},
        "cached_tokens": -1,
    }

    assert read_chat_usage(raw) == Usage(5, 2, raw=raw)


def test_details_come_before_what_stands_beside_them() -> None:
    raw = {
        "prompt_tokens": 50,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 0},
        "prompt_cache_hit_tokens": 40,
    }

    usage = read_chat_usage(raw)

    assert usage is not None
    assert usage.cached_tokens == 0


# --- totals that do not fit ---------------------------------------------------------------------


@pytest.mark.parametrize(("total", "reasoning"), [(17, 4), (13, 4), (12, 4), (3, 4), (99, 0)])
def test_a_total_that_is_not_their_sum_with_reasoning_changes_nothing(total: int, reasoning: int) -> None:
    usage = read_chat_usage(
        {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "total_tokens": total,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )

    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (5, 7, reasoning)


@pytest.mark.parametrize("nonsense", [2**25 + 1, 10**12, 2**63, 2**70])
def test_a_figure_that_no_call_reaches_is_none(nonsense: int) -> None:
    """One such mistake would use up every budget that it counts against."""
    assert read_chat_usage({"prompt_tokens": nonsense, "completion_tokens": 5}) is None
    assert read_chat_usage({"prompt_tokens": 5, "completion_tokens": nonsense}) is None

    of_parts = read_chat_usage(
        {
            "prompt_tokens": 5,
            "completion_tokens": 5,
            "total_tokens": nonsense,
            "prompt_tokens_details": {"cached_tokens": nonsense},
        }
    )

    assert of_parts is not None
    assert (of_parts.input_tokens, of_parts.output_tokens, of_parts.cached_tokens) == (5, 5, None)


def test_the_most_that_can_be_embedded_at_once_is_a_figure() -> None:
    usage = read_chat_usage({"prompt_tokens": 2048 * 8192, "total_tokens": 2048 * 8192})

    assert usage is not None
    assert usage.input_tokens == 2048 * 8192


def test_a_charge_that_no_call_reaches_is_none() -> None:
    assert cost_of(cost=10_000) == 10**10
    assert cost_of(cost=10_000.01) is None
    assert cost_of(cost_in_usd_ticks=2**80) is None


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 50),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)
DETAILS = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "total_cost"]
    ),
    ANYTHING,
)
ANY_RAW = st.dictionaries(
    st.sampled_from(
        [
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "prompt_tokens_details",
            "completion_tokens_details",
            "cached_tokens",
            "prompt_cache_hit_tokens",
            "reasoning_tokens",
            "cost",
            "cost_in_usd_ticks",
            "is_byok",
            "cost_details",
        ]
    ),
    ANYTHING | DETAILS,
)


@given(ANY_RAW)
def test_whatever_is_said_is_read_within_bounds_or_not_at_all(raw: dict[str, Any]) -> None:
    usage = read_chat_usage(raw, reports_cost=True)

    if usage is not None:
        counts = [getattr(usage, name) for name in Usage.__struct_fields__ if name.endswith("_tokens")]
        assert all(count is None or 0 <= count <= 2**25 for count in counts)
        assert usage.cost_micros is None or 0 <= usage.cost_micros <= 10**10


# --- what was charged ---------------------------------------------------------------------------


def cost_of(**said: Any) -> int | None:
    usage = read_chat_usage({"prompt_tokens": 1, "completion_tokens": 1, **said}, reports_cost=True)
    assert usage is not None
    return usage.cost_micros


def test_a_cost_counts_only_where_the_provider_is_one_that_tells_it() -> None:
    assert [read_chat_usage(OPENROUTER, reports_cost=tells) for tells in (False, True)] == [
        replace(READ["OpenRouter"][1], raw=OPENROUTER),
        replace(READ["OpenRouter"][1], raw=OPENROUTER, cost_micros=141),
    ]


@pytest.mark.parametrize(
    ("said", "micros"),
    [
        ({"cost": 0.95}, 950_000),
        ({"cost": 0.000_000_1}, 1),
        ({"cost": 3}, 3_000_000),
        ({"cost": 0}, 0),
        ({"cost": None}, None),
        ({}, None),
        ({"cost": -0.1}, None),
        ({"cost": float("nan")}, None),
        ({"cost": float("inf")}, None),
        ({"cost": True}, None),
        ({"cost": "0.95"}, None),
        ({"cost": 1e300}, None),
    ],
)
def test_dollars_become_micro_dollars_rounded_up(said: dict[str, Any], micros: int | None) -> None:
    assert cost_of(**said) == micros


def test_with_a_key_of_ones_own_what_the_provider_behind_it_charged_comes_on_top() -> None:
    assert cost_of(cost=0.95, is_byok=True, cost_details={"upstream_inference_cost": 19}) == 19_950_000
    assert cost_of(cost=0.95, is_byok=False, cost_details={"upstream_inference_cost": 19}) == 950_000


def test_a_cost_of_which_a_part_is_not_told_is_unknown() -> None:
    assert cost_of(cost=0.95, is_byok=True, cost_details={"upstream_inference_cost": None}) is None
    assert cost_of(cost=0.95, is_byok=True) is None


def test_ticks_are_ten_thousandths_of_a_micro_dollar() -> None:
    assert cost_of(cost_in_usd_ticks=37_756_001) == 3776
    assert cost_of(cost_in_usd_ticks=0) == 0


def test_parts_of_a_cost_come_with_their_sum() -> None:
    assert cost_of(cost=PERPLEXITY["cost"]) == 62_000
    assert cost_of(cost={"input_tokens_cost": 0.1}) is None


def test_responses_tell_a_cost_alike() -> None:
    usage = read_responses_usage({**RESPONSES, "cost": 0.5}, reports_cost=True)

    assert usage is not None
    assert usage.cost_micros == 500_000
