"""The pieces in which a report is read, so that one over a year keeps nobody waiting who reads a row."""

from __future__ import annotations

from collections.abc import Iterator

from frontdesk.core.clock import Clock
from frontdesk.core.periods import window_end_ms, window_start_ms

_FIRST_SPAN_MS = 3_600_000
_LEAST_SPAN_MS = 60_000
_MOST_SPAN_MS = 32 * 86_400_000
_QUICK_S = 0.04
_SLOW_S = 0.15


def spans(from_ms: int, to_ms: int, clock: Clock) -> Iterator[tuple[int, int]]:
    """Yield the beginnings and ends of pieces that follow each other, each within one month.

    The next is as long as is quick, going by the time in which who reads them was done with the one before.
    """
    since_ms, span_ms = from_ms, _FIRST_SPAN_MS
    while since_ms < to_ms:
        month_ms = window_start_ms("month", since_ms)
        until_ms = min(to_ms, since_ms + span_ms, window_end_ms("month", month_ms) or to_ms)
        began = clock.monotonic()
        yield since_ms, until_ms
        span_ms = _next_span(span_ms, until_ms - since_ms, clock.monotonic() - began)
        since_ms = until_ms


def _next_span(span_ms: int, read_ms: int, took_s: float) -> int:
    """How much the next piece covers, where so much of this one was read in this time."""
    if took_s < _QUICK_S:
        return min(_MOST_SPAN_MS, span_ms * 2) if read_ms == span_ms else span_ms
    return max(_LEAST_SPAN_MS, span_ms // 2) if took_s > _SLOW_S else span_ms
