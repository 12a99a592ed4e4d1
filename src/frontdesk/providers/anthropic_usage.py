"""Usage as Anthropic's Messages API counts it, read into the one shape that events carry.

Three kinds of input stand beside each other there, and make up the input together: read anew, read from the cache,
written to it. What stays for an hour in the cache costs more to write than what stays for five minutes:
`cache_creation` tells them apart, and where it is missing all of it counts as the dearer.
"""

from __future__ import annotations

from typing import Any, cast

from frontdesk.turn.events import Usage

_MOST_TOKENS = 2**25
"""What no call reaches: a figure beyond is a provider's mistake, and none."""


def read_messages_usage(raw: dict[str, Any]) -> Usage | None:
    """Return the usage of an answer; None where what it read and wrote are not counts."""
    fresh, written = _count(raw.get("input_tokens")), _count(raw.get("output_tokens"))
    if fresh is None or written is None:
        return None
    cached = _count(raw.get("cache_read_input_tokens"))
    cache_write = _count(raw.get("cache_creation_input_tokens"))
    details = raw.get("output_tokens_details")
    thought = cast("dict[str, Any]", details).get("thinking_tokens") if isinstance(details, dict) else None
    return Usage(
        input_tokens=fresh + (cached or 0) + (cache_write or 0),
        output_tokens=written,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        cache_write_hour_tokens=_for_an_hour(raw, cache_write),
        reasoning_tokens=_count(thought),
        raw=raw,
    )


def _for_an_hour(raw: dict[str, Any], cache_write: int | None) -> int | None:
    kept = raw.get("cache_creation")
    told = _count(cast("dict[str, Any]", kept).get("ephemeral_1h_input_tokens")) if isinstance(kept, dict) else None
    return cache_write if told is None else told


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None
