"""What a report is asked for: a range of time, what to group by, and what to leave out."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.core.periods import window_end_ms, window_start_ms
from frontdesk.turn.turn import Status

Dimension = Literal[
    "user",
    "feature",
    "model",
    "provider",
    "provider_model",
    "purpose",
    "tier",
    "status",
    "role",
    "hour",
    "day",
    "month",
]
"""What turns may be told apart by.

`purpose` is what an attempt was for; `status` and `role` are the turn's: how it ended, and who asked.
"""
Narrowing = Literal["user", "feature", "model", "provider", "tier", "status"]
"""What a report may be narrowed to one value of."""

DIMENSIONS: tuple[Dimension, ...] = typing.get_args(Dimension)
NARROWINGS: tuple[Narrowing, ...] = typing.get_args(Narrowing)
STATUSES: tuple[str, ...] = typing.get_args(Status)
OF_ATTEMPTS: frozenset[str] = frozenset({"provider", "provider_model", "purpose"})
"""What a turn may have several values of, one for each attempt."""
MOST_DIMENSIONS = 3
MOST_DAYS = 366
_BY_NAME: dict[str, Dimension] = {name: name for name in DIMENSIONS}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_YEAR_3000_MS = 32_503_680_000_000
_MOST_CHARS = 200


class Question(msgspec.Struct, frozen=True):
    """The turns that began from `from_ms` on and before `to_ms`, grouped. `only` are values that all must have."""

    from_ms: int
    to_ms: int
    group_by: tuple[Dimension, ...] = ()
    only: Mapping[Narrowing, str] = {}


def read_question(given: Mapping[str, str], now_ms: int) -> Question:
    """Read the query of a request; without a range it is the current month. Raises BadRequest."""
    from_ms, to_ms = _range(given.get("from"), given.get("to"), now_ms)
    return Question(from_ms, to_ms, _group_by(given.get("group_by", "")), _only(given))


def single_values(pairs: Iterable[tuple[str, str]], known: Iterable[str]) -> dict[str, str]:
    """A query's values by name. Raises BadRequest for a name that is not known, and for one that comes twice."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise _wrong(name, f"Unknown parameter: {name!r}. Known: {', '.join(known)}.")
        if name in found:
            raise _wrong(name, f"{name!r} is there twice. Name it once.")
        found[name] = value
    return found


def moment_ms(text: str, param: str) -> int:
    """A date or a time of ISO 8601 in milliseconds since 1970; without a zone it is UTC. Raises BadRequest."""
    try:
        moment = datetime.fromisoformat(text)
        time_ms = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        time_ms = -1
    if not 0 <= time_ms < _YEAR_3000_MS:
        raise _wrong(
            param,
            f"{param!r} is {text!r}. It must be a date or a time since 1970, as 2026-07-01 or 2026-07-01T12:00:00Z; "
            "a '+' is written %2B.",
        )
    return time_ms


def _range(since: str | None, until: str | None, now_ms: int) -> tuple[int, int]:
    to_ms = None if until is None else moment_ms(until, "to")
    month_ms = window_start_ms("month", now_ms if to_ms is None else max(0, to_ms - 1))
    from_ms = month_ms if since is None else moment_ms(since, "from")
    if to_ms is None:
        to_ms = max(window_end_ms("month", month_ms) or month_ms, from_ms)
    if from_ms >= to_ms:
        raise _wrong("from", "'from' must be before 'to', which is not part of the range itself.")
    if to_ms - from_ms > MOST_DAYS * _DAY_MS:
        days = -(-(to_ms - from_ms) // _DAY_MS)
        raise _wrong("from", f"From 'from' to 'to' are {days} days. Ask for {MOST_DAYS} at most, year by year.")
    return from_ms, to_ms


def _group_by(text: str) -> tuple[Dimension, ...]:
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    found: list[Dimension] = []
    for name in names:
        dimension = _BY_NAME.get(name)
        if dimension is None:
            raise _wrong("group_by", f"'group_by' has {name!r}. Known: {', '.join(DIMENSIONS)}.")
        if dimension in found:
            raise _wrong("group_by", f"'group_by' has {name!r} twice.")
        found.append(dimension)
    if len(found) > MOST_DIMENSIONS:
        raise _wrong("group_by", f"'group_by' has {len(found)} names. It can have {MOST_DIMENSIONS} at most.")
    return tuple(found)


def _only(given: Mapping[str, str]) -> dict[Narrowing, str]:
    only: dict[Narrowing, str] = {}
    for name in NARROWINGS:
        value = given.get(name)
        if value is None:
            continue
        if not (0 < len(value) <= _MOST_CHARS and value.isprintable()):
            raise _wrong(name, f"{name!r} is {value!r}. It must have 1 to {_MOST_CHARS} printable characters.")
        if name == "status" and value not in STATUSES:
            raise _wrong(name, f"'status' is {value!r}. Known: {', '.join(STATUSES)}.")
        only[name] = value
    return only


def _wrong(param: str, message: str) -> BadRequest:
    return BadRequest(message, code="invalid_value", param=param)
