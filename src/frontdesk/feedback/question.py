"""What a reviewer asks of feedback: a range of time, what to narrow it to, what to group by."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Literal

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.feedback.rows import RATINGS, REASONS
from frontdesk.reports.question import moment_ms, read_question

Narrowing = Literal["rating", "reason", "feature", "model", "prompt"]
"""What feedback may be narrowed to one value of."""
Grouping = Literal["feature", "model", "prompt", "reason", "day"]
"""What feedback may be told apart by. Days are those of UTC."""

NARROWINGS: tuple[Narrowing, ...] = typing.get_args(Narrowing)
GROUPINGS: tuple[Grouping, ...] = typing.get_args(Grouping)
_BY_NAME: dict[str, Grouping] = {name: name for name in GROUPINGS}
_CHOICES: Mapping[str, tuple[str, ...]] = {"rating": RATINGS, "reason": REASONS}
_END_MS = 253_402_300_800_000  # the year 10000
_MOST_CHARS = 200


class Question(msgspec.Struct, frozen=True):
    """What was said first from `from_ms` on and before `to_ms`. `only` are values that all must have."""

    from_ms: int = 0
    to_ms: int = _END_MS
    only: Mapping[Narrowing, str] = {}

    @property
    def is_of_all_times(self) -> bool:
        """Whether its range leaves nothing out."""
        return self.from_ms == 0 and self.to_ms == _END_MS


def read_page_question(given: Mapping[str, str]) -> Question:
    """Read the query of a list; without a range it is all. Raises BadRequest."""
    from_ms = moment_ms(given["from"], "from") if "from" in given else 0
    to_ms = moment_ms(given["to"], "to") if "to" in given else _END_MS
    if from_ms >= to_ms:
        raise _wrong("from", "'from' must be before 'to', which is not part of the range itself.")
    return Question(from_ms, to_ms, _only(given))


def read_sums_question(given: Mapping[str, str], now_ms: int) -> tuple[Question, Grouping]:
    """Read the query of sums; the range is a report's, without one the current month. Raises BadRequest."""
    report = read_question({name: given[name] for name in ("from", "to") if name in given}, now_ms)
    return Question(report.from_ms, report.to_ms, _only(given)), _grouping(given.get("group_by", "feature"))


def _grouping(name: str) -> Grouping:
    grouping = _BY_NAME.get(name)
    if grouping is None:
        raise _wrong("group_by", f"'group_by' is {name[:_MOST_CHARS]!r}. Known: {', '.join(GROUPINGS)}.")
    return grouping


def _only(given: Mapping[str, str]) -> dict[Narrowing, str]:
    return {name: _value(name, given[name]) for name in NARROWINGS if name in given}


def _value(name: Narrowing, value: str) -> str:
    choices = _CHOICES.get(name)
    if choices is not None and value not in choices:
        raise _wrong(name, f"{name!r} is {value[:_MOST_CHARS]!r}. Known: {', '.join(choices)}.")
    # Empty is the version of no instructions.
    least = 0 if name == "prompt" else 1
    if not (least <= len(value) <= _MOST_CHARS and value.isprintable()):
        raise _wrong(
            name,
            f"{name!r} is {value[:_MOST_CHARS]!r}. It must have {least} to {_MOST_CHARS} printable characters.",
        )
    return value


def _wrong(param: str, message: str) -> BadRequest:
    return BadRequest(message, code="invalid_value", param=param)
