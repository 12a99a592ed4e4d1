"""What /api/feedback and /api/admin/feedback answer, for the OpenAPI document. Times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from frontdesk.feedback.question import Grouping
from frontdesk.feedback.rows import Rating, Reason


class Feedback(Struct, kw_only=True):
    """What somebody says of a response. `correction` is what it should have been; `feature` and `model` are its own."""

    id: str
    object: Literal["feedback"]
    response_id: str
    rating: Rating
    reason: Reason | None
    comment: str | None
    correction: str | None
    feature: str | None
    model: str | None
    created_at: int
    changed_at: int
    expires_at: int | None


class FeedbackList(Struct):
    """A page of what the caller said, the latest first."""

    object: Literal["list"]
    data: list[Feedback]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FeedbackDeleted(Struct):
    """Feedback that was taken back."""

    id: str
    object: Literal["feedback"]
    deleted: Literal[True]


class ReviewedFeedback(Feedback, kw_only=True):
    """Feedback as reviewers read it.

    `prompt` is the version of the feature's instructions, empty where it had none, null where nothing is known of it;
    operators alone are told the `user`, null where a key asked.
    """

    prompt: str | None
    user: str | UnsetType | None = UNSET


class ReviewedFeedbackList(Struct):
    """A page of what everybody said, the latest first."""

    object: Literal["list"]
    data: list[ReviewedFeedback]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FeedbackCounts(Struct, kw_only=True):
    """How often it was up and down. `share` is that of up, the true one being from `low` to `high` 19 times of 20; null
    of nothing.
    """

    up: int
    down: int
    share: float | None
    low: float | None
    high: float | None


class FeedbackSum(FeedbackCounts, kw_only=True):
    """The counts of one value of what it was grouped by; null where there is none. Days are as 2026-07-01, UTC."""

    value: str | None
    object: Literal["feedback.sum"]


class FeedbackSums(Struct):
    """All groups, in the order of their values. `totals` are over the range `from` ≤ time < `to`."""

    object: Literal["list"]
    data: list[FeedbackSum]
    from_: int = field(name="from")
    to: int
    group_by: Grouping
    totals: FeedbackCounts
