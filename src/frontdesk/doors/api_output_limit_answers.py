"""What /api/usage/output_limits answers, for the OpenAPI document. Lengths are tokens."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field


class OutputLimit(Struct, kw_only=True):
    """How long the answers of a feature and a model got (`used_…`), of all turns that came to an end, and how long they
    might get (`given_…`), of those that had a limit. `cut_turns` reached it. `suggested` is a limit for them; null
    where fewer than 100 turns say something.
    """

    id: str
    object: Literal["usage.output_limit"]
    feature: str | None
    model: str | None
    turns: int
    limited_turns: int
    given_p50: int | None
    given_max: int | None
    used_p50: int
    used_p90: int
    used_p99: int
    used_max: int
    cut_turns: int
    cut_share: float | None
    suggested: int | None


class OutputLimitList(Struct):
    """A page of them, in the order of their names, of the range `from` ≤ time < `to`."""

    object: Literal["list"]
    data: list[OutputLimit]
    first_id: str | None
    last_id: str | None
    has_more: bool
    from_: int = field(name="from")
    to: int
