"""Usage as providers spell it, read into the one shape that events carry.

Most parts stand where OpenAI has them, some beside:

    reasoning outside of the output    xAI: input + output + reasoning = total. It is added to the output.
    reasoning that is not named        Gemini: input + output < total. What is missing was thought.
    cached_tokens beside the totals    DeepSeek (prompt_cache_hit_tokens), Together, Moonshot, Mistral
    reasoning_tokens beside them       Perplexity, SGLang
    a total alone                      Voyage: of embeddings, so all of it was read

So the parts add up to what the provider says in total. Absent, null and nonsense are None, 0 is 0.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from typing import Any, cast

from frontdesk.turn.events import Usage

_CACHED_BESIDE = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
_MOST_TOKENS = 2**25
_MOST_MICROS = 10**10
"""What no call reaches: twice the most that can be embedded at once, and ten thousand dollars. A figure beyond is none:
one such mistake of a provider would use up every budget and limit that it counts against.
"""


def read_chat_usage(raw: dict[str, Any], *, reports_cost: bool = False) -> Usage | None:
    """Return usage of Chat Completions or Embeddings; None where its two totals are not counts.

    `reports_cost`: whether the provider is one whose word counts for what it charged.
    """
    return _read(raw, "prompt_tokens", "completion_tokens", reports_cost=reports_cost)


def read_responses_usage(raw: dict[str, Any], *, reports_cost: bool = False) -> Usage | None:
    """Return usage of Responses; None where its two totals are not counts. See `read_chat_usage`."""
    return _read(raw, "input_tokens", "output_tokens", reports_cost=reports_cost)


def _read(raw: dict[str, Any], input_name: str, output_name: str, *, reports_cost: bool) -> Usage | None:
    total = _count(raw.get("total_tokens"))
    output_tokens = _count(raw.get(output_name, 0))
    input_tokens = _count(raw.get(input_name, total if output_name not in raw else None))
    if input_tokens is None or output_tokens is None:
        return None
    read = _details(raw, f"{input_name}_details")
    written = _details(raw, f"{output_name}_details")
    cached = _count(read.get("cached_tokens"))
    if cached is None:
        cached = _first_count(raw, _CACHED_BESIDE)
    reasoning = _count(written.get("reasoning_tokens"))
    if reasoning is None:
        reasoning = _count(raw.get("reasoning_tokens"))
    unsaid = 0 if total is None else total - input_tokens - output_tokens
    if unsaid > 0 and reasoning in (None, unsaid):
        output_tokens += unsaid
        reasoning = unsaid
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached,
        cache_write_tokens=_count(read.get("cache_write_tokens")),
        reasoning_tokens=reasoning,
        accepted_prediction_tokens=_count(written.get("accepted_prediction_tokens")),
        rejected_prediction_tokens=_count(written.get("rejected_prediction_tokens")),
        audio_input_tokens=_count(read.get("audio_tokens")),
        image_input_tokens=_count(read.get("image_tokens")),
        audio_output_tokens=_count(written.get("audio_tokens")),
        image_output_tokens=_count(written.get("image_tokens")),
        cost_micros=_cost(raw) if reports_cost else None,
        raw=raw,
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _first_count(raw: dict[str, Any], names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := _count(raw.get(name))) is not None), None)


def _details(raw: dict[str, Any], name: str) -> dict[str, Any]:
    details = raw.get(name)
    return cast("dict[str, Any]", details) if isinstance(details, dict) else {}


# --- what the provider charged ------------------------------------------------------------------

_TICKS_PER_USD = 10**10


def _cost(raw: dict[str, Any]) -> int | None:
    """What was charged, in micro-dollars, rounded up; None where it is not said, not all of it, or is nonsense.

    A number of dollars is OpenRouter's; with a key of one's own, what the provider behind it charged comes on
    top. xAI counts in ticks, Perplexity adds its parts up under `total_cost`.
    """
    ticks = raw.get("cost_in_usd_ticks")
    if type(ticks) is int and ticks >= 0:
        return _micros(Decimal(ticks) / _TICKS_PER_USD)
    said = raw.get("cost")
    usd = _usd(cast("dict[str, Any]", said).get("total_cost") if isinstance(said, dict) else said)
    if usd is not None and raw.get("is_byok") is True:
        upstream = _usd(_details(raw, "cost_details").get("upstream_inference_cost"))
        usd = None if upstream is None else usd + upstream
    return None if usd is None else _micros(usd)


def _usd(value: Any) -> Decimal | None:
    """An amount as it was written: 0.00014, and not the binary fraction beside it."""
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        return None
    return Decimal(repr(value))


def _micros(usd: Decimal) -> int | None:
    micros = int((usd * 1_000_000).to_integral_value(ROUND_CEILING))
    return micros if micros <= _MOST_MICROS else None
