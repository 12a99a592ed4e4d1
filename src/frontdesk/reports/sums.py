"""What is summed up of a group, as one row of whole numbers: of two groups the sums add up, name by name.

Tokens are those of all attempts, failed ones too. `input_tokens` and `output_tokens` are all; the parts share none,
and what no part has is plain. Money is in micro-dollars here, and in dollars where it is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add
from typing import Any

from frontdesk.core.money import MICROS_PER_USD, usd

INPUT_PARTS = (
    "cached_tokens",
    "cache_write_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "tool_tokens",
)
OUTPUT_PARTS = ("reasoning_tokens", "audio_output_tokens", "image_output_tokens")
TOKENS = ("input_tokens", *INPUT_PARTS, "output_tokens", *OUTPUT_PARTS)
SOURCES = ("provider", "usage", "estimate", "crash")
"""How a cost is known: the provider said it, its usage was priced, it was counted here, or a hold was taken for it."""
_COSTS = ("cost", *(f"{source}_cost" for source in SOURCES))
COUNTS = ("turns", "attempts", "failed_attempts", "unpriced_attempts")
COLUMNS = ("begun", *COUNTS, *TOKENS, *_COSTS)
"""The order of a row. `begun` counts each turn in one group alone, so that it adds up to the turns of all."""

Sums = tuple[int, ...]
NOTHING: Sums = (0,) * len(COLUMNS)

_PLACES = {name: place for place, name in enumerate(COLUMNS)}


def added(left: Sums, right: Sums) -> Sums:
    """The sums of two groups together."""
    return tuple(map(add, left, right))


def total(groups: Iterable[Sums]) -> Sums:
    """The sums of all groups together. A turn counts once, in however many groups it is."""
    columns = list(zip(*groups, strict=True))
    if not columns:
        return NOTHING
    sums = [sum(column) for column in columns]
    sums[_PLACES["turns"]] = sums[_PLACES["begun"]]
    return tuple(sums)


def told(sums: Sums) -> dict[str, Any]:
    """The measures of a group, as JSON has them: money in dollars, exact to the micro-dollar."""
    counts = _counts(sums)
    return counts | {f"{name}_usd": usd(sums[_PLACES[name]]) for name in _COSTS}


def cells(sums: Sums) -> list[str]:
    """The same in the order of `MEASURES`, as CSV has them: dollars with six decimals."""
    return [str(count) for count in _counts(sums).values()] + [_dollars(sums[_PLACES[name]]) for name in _COSTS]


def _counts(sums: Sums) -> dict[str, int]:
    counts = {name: sums[_PLACES[name]] for name in (*COUNTS, *TOKENS)}
    counts["plain_input_tokens"] = counts["input_tokens"] - sum(counts[part] for part in INPUT_PARTS)
    counts["plain_output_tokens"] = counts["output_tokens"] - sum(counts[part] for part in OUTPUT_PARTS)
    return counts


def _dollars(micros: int) -> str:
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS_PER_USD)
    return f"{sign}{whole}.{rest:06}"


MEASURES = tuple(told(NOTHING))
"""The names of what is told."""
