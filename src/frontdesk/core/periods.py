"""The periods of budgets, in UTC. A window is known by its period and its start: nothing is ever reset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

Period = Literal["day", "month", "total"]
PERIODS: tuple[Period, ...] = ("day", "month", "total")

_DAY_MS = 86_400_000


def window_start_ms(period: Period, now_ms: int) -> int:
    """When the window began that this time lies in: the day, the month, or all time, which began at 0."""
    if period == "total":
        return 0
    if period == "day":
        return now_ms - now_ms % _DAY_MS
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return _ms(moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def window_end_ms(period: Period, start_ms: int) -> int | None:
    """When a window ends and the next one begins; None where it never does."""
    if period == "total":
        return None
    if period == "day":
        return start_ms + _DAY_MS
    start = datetime.fromtimestamp(start_ms / 1000, UTC)
    return _ms((start.replace(day=1) + timedelta(days=32)).replace(day=1))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
