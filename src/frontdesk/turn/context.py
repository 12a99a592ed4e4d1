"""What came before a request, and what its model is told of it: noted with the turn, without a word of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from frontdesk.turn.items import Message

Why = Literal["shortened", "image", "summarised", "window", "facts"]
"""A tool's output is told in part; a picture or file is named and not shown; a summary stands for it; it is not told
at all. The last is of facts, of which there are more than there is room for.
"""


class Past(NamedTuple):
    """What a request goes on with: items of a conversation, or of a chain ("").

    `anchors` and `ids` have one for each item, the first item first. An anchor is what a summary of all up to the item
    would name: the id of the item in a conversation, that of its response in a chain, where several share one. The
    first of the items, `far`, are not in the prompt: plain messages that whole blocks end with, and for which there is
    no room in all likelihood.
    """

    conversation: str = ""
    anchors: Sequence[str] = ()
    ids: Sequence[str] = ()
    far: Sequence[Message] = ()


class LeftOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """Items that a model is not told as they were, and how many tokens that spares.

    `first` and `last` are the ids of the first and the last of them, where they have some.
    """

    why: Why
    items: int
    tokens: int
    first: str | None = msgspec.field(default=None, name="from")
    last: str | None = msgspec.field(default=None, name="to")


class SummaryTold(msgspec.Struct, frozen=True):
    """The summary that is told: of all up to `anchor`, so many items, in so many tokens."""

    anchor: str
    items: int
    tokens: int


class ContextRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model is told: `items` of what was said, in so many `tokens` with all else before the answer.

    `budget` is what there was room for. Both are None where nothing was counted. `facts` and `pinned` are how many of
    those are told.
    """

    strategy: str
    items: int
    budget: int | None = None
    tokens: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    summary: SummaryTold | None = None
    facts: int = 0
    pinned: int = 0
