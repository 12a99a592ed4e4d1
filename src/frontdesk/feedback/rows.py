"""Feedback as values: what somebody says of a response, and the row that is kept of it."""

from __future__ import annotations

import typing
from typing import Literal

import msgspec

Rating = Literal["up", "down"]
Reason = Literal[
    "wrong",
    "incomplete",
    "unhelpful",
    "unsafe",
    "too_long",
    "too_short",
    "style",
    "language",
    "slow",
    "other",
]
MOST_COMMENT_CHARS = 2_000
MOST_CORRECTION_CHARS = 32_000
RATINGS: tuple[str, ...] = typing.get_args(Rating)
REASONS: tuple[str, ...] = typing.get_args(Reason)


class Said(msgspec.Struct, frozen=True):
    """What somebody says of a response: `correction` is what it should have been."""

    rating: Rating
    reason: Reason | None = None
    comment: str | None = None
    correction: str | None = None


class Rated(msgspec.Struct, frozen=True):
    """The turn that made the response. `prompt` is the version of its instructions, "" where it had none."""

    tier: str | None
    feature: str | None
    model: str | None
    prompt: str | None


class FeedbackRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner said last of one response. Times are milliseconds since 1970."""

    tenant: str
    person: str
    credential: str
    response: str
    id: str
    rating: Rating
    reason: Reason | None
    comment: str | None
    correction: str | None
    feature: str | None
    model: str | None
    prompt: str | None
    created_at_ms: int
    changed_at_ms: int
    expires_at_ms: int | None
