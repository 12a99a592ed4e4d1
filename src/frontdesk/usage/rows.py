"""What is kept of turns and attempts: the columns of `storage.tables`, as values that are read and written.

Times are milliseconds since 1970; tokens and micro-dollars are None where they are not known.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from frontdesk.turn.turn import Purpose, Status

UsageSource = Literal["reported", "counted"]
CostSource = Literal["provider", "usage", "estimate", "crash"]
"""The provider's own figure; its usage at our price; our count at our price; what was put aside when all was lost."""


class Used(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What turns and attempts have in common of what they used.

    `input_tokens` and `output_tokens` are all; cached, written to a cache and thought are parts of them. Of a turn
    they are those of the attempt that answered, else of its last one, and `cost_micros` is what all of its attempts
    cost: None where of none it is known.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource | None = None
    cost_micros: int | None = None


class TurnRow(Used, frozen=True, kw_only=True, gc=False):
    """A turn. `prompt` names the version of its instructions: "" where it had none, None in rows that say nothing.

    `max_output_tokens` is how long its answer might get, `context` (JSON) what its model was told, and what not.
    """

    tenant: str
    id: str
    door: str
    caller: str
    is_streaming: bool
    started_at_ms: int
    status: Status = "running"
    person: str | None = None
    credential: str | None = None
    feature: str | None = None
    tier: str | None = None
    model: str | None = None
    error_code: str | None = None
    http_status: int | None = None
    first_event_at_ms: int | None = None
    finished_at_ms: int | None = None
    prompt: str | None = None
    max_output_tokens: int | None = None
    context: str | None = None


class AttemptRow(Used, frozen=True, kw_only=True, gc=False):
    """A call of a provider. `number` counts from 1 within the turn.

    All parts of its tokens share none with each other. `raw_usage` is the provider's JSON, `price` the book by which
    the cost was reckoned. `purpose` is None in rows that are older than it.
    """

    tenant: str
    turn: str
    number: int
    provider: str
    model: str
    started_at_ms: int
    status: Status = "running"
    error_code: str | None = None
    http_status: int | None = None
    first_event_at_ms: int | None = None
    finished_at_ms: int | None = None
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    tool_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    raw_usage: str | None = None
    cost_source: CostSource | None = None
    price: str | None = None
    purpose: Purpose | None = None


def values_of(row: TurnRow | AttemptRow) -> dict[str, Any]:
    """A row as an engine takes it: a name that a client made up, or a count that cannot be, must not cost it."""
    values = msgspec.structs.asdict(row)
    for name in _NAMES:
        text = values.get(name)
        if text is not None and (len(text) > _MOST_CHARS or not text.isprintable()):
            values[name] = text[:_MOST_CHARS].encode("utf-8", "replace").decode().replace("\0", "?")
    # Its parts are never more than the whole.
    if (row.input_tokens or 0) > _MOST_TOKENS or (row.output_tokens or 0) > _MOST_TOKENS:
        for name, value in values.items():
            if type(value) is int:
                values[name] = min(value, _MOST_TOKENS)
    return values


# Any name may be a client's; what is kept of it is enough to recognise it.
_NAMES = ("model", "person", "feature", "error_code")
_MOST_CHARS = 200
_MOST_TOKENS = 2**63 - 1
