"""Conversations: the shapes of what callers send."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from frontdesk.wire.openai_responses_shapes import ITEMS
from frontdesk.wire.parameters import Metadata

_MOST_ITEMS = 20  # OpenAI's own limit
_Items = Annotated[list[dict[str, Any]], Meta(max_length=_MOST_ITEMS), ITEMS]


class ConversationAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation to begin, with these items in it."""

    items: _Items | None = None
    metadata: Metadata | None = None


class ConversationChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What changes of a conversation: all of its metadata; null takes it away."""

    metadata: Metadata | None


class ItemsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Items to put behind those that a conversation has."""

    items: Annotated[_Items, Meta(min_length=1)]
