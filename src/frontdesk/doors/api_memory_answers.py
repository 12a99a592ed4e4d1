"""What /api/facts answers, and pinned items, for the OpenAPI document. Times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Fact(Struct, kw_only=True):
    """Something that a person wants to have remembered.

    `response_id` is the response to the message in which they asked for it, null where they wrote it down themselves.
    """

    id: str
    object: Literal["fact"]
    words: str
    response_id: str | None
    created_at: int
    changed_at: int


class FactList(Struct):
    """A page of what is remembered, the latest first."""

    object: Literal["list"]
    data: list[Fact]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FactDeleted(Struct):
    """A fact that was erased."""

    id: str
    object: Literal["fact"]
    deleted: Literal[True]


class ChangedItem(Struct):
    """An item of a conversation that was pinned, or not any more."""

    id: str
    object: Literal["conversation.item"]
    pinned: bool
