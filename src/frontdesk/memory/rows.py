"""Summaries and facts as they are stored. Times are milliseconds since 1970."""

from __future__ import annotations

import msgspec


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of all up to the item `anchor` of a conversation; of a chain, where that is "", up to a response.

    `items` is how many those are, `model` is which one wrote it. `content` is "" where none gave a usable one: all that
    there was then has the anchor.
    """

    tenant: str
    conversation: str
    anchor: str
    person: str
    credential: str
    content: str
    items: int
    model: str
    created_at_ms: int


class FactRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants to have remembered. `response` is where they said it; None where they wrote it down."""

    tenant: str
    person: str
    id: str
    words: str
    response: str | None
    created_at_ms: int
    changed_at_ms: int
