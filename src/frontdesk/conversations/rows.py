"""Conversations and their items as they are stored. Times are milliseconds since 1970."""

from __future__ import annotations

import msgspec


class ConversationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation. `branch` is the chosen one, `branches` how many there are, `response` what is being made in it.

    `version` counts what changes of its items and of which branch is chosen. `person` is "" where it is a key's.
    """

    tenant: str
    id: str
    person: str
    title: str | None
    metadata: str | None
    branch: int
    branches: int
    version: int
    response: str | None
    created_at_ms: int
    changed_at_ms: int
    pinned_at_ms: int | None
    expires_at_ms: int | None


class FollowUps(msgspec.Struct, frozen=True):
    """What may be asked next, behind which response. There may be no such questions."""

    response: str
    questions: tuple[str, ...]


class ItemHead(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is there, without its content, which has `bytes`."""

    branch: int
    position: int
    id: str
    response: str | None
    created_at_ms: int
    pinned_at_ms: int | None
    bytes: int


class CountedItem(msgspec.Struct, frozen=True):
    """How many tokens the text of an item has, as a vocabulary counts."""

    branch: int
    position: int
    id: str
    tokens: int
    tokens_by: str
