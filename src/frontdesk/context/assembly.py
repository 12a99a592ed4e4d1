"""Assembly: of what was said, which items a model is told, and in what form, so that they fit. Nothing is done here.

What is given up, in this order and no more of it than must be, the oldest first:

    1. what tools returned            told in part
    2. pictures, files, recordings    a note says what was there
    3. blocks                         left out

Then what fits again after all, the newest first. What a summary stands for is left out beforehand, whatever there is
room for: so what stands in front of a conversation changes seldom, and a provider's cache knows it again. Told in any
case, and as they are: instructions, earlier summaries, pinned items, the question that is being answered, what is new.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence, Set
from operator import attrgetter
from typing import Literal, NamedTuple

from frontdesk.context.blocks import blocks_of, question_in, stays
from frontdesk.turn.items import Item, Message, Part


class Saving(NamedTuple):
    """A part of an item that may be told in fewer tokens: in `tokens` fewer, where `instead` takes its place."""

    place: int
    part: int
    why: Literal["shortened", "image"]
    instead: str | Part
    tokens: int


class Outline(NamedTuple):
    """What may happen to the items at these places.

    `held` are told as they are, a summary stands for those at `stood_for`. Each of `old` is what may go of a block, all
    of it or nothing, the oldest block first.
    """

    held: list[int]
    stood_for: list[int]
    old: list[Sequence[int]]


class Assembly(NamedTuple):
    """What is told: the items at `kept`, in order, with these `savings`, in so many tokens. Not those at `dropped`."""

    kept: list[int]
    dropped: list[int]
    savings: list[Saving]
    tokens: int


def outline(items: Sequence[Item], new: int, pinned: Set[int] = frozenset(), summarised: int = 0) -> Outline:
    """Say what may happen to items. New are those from `new` on.

    `pinned` are places; with them stays what belongs to them. A summary stands for the first `summarised` items, as
    far as they are whole blocks.
    """
    found = Outline([], [], [])
    blocks = blocks_of(items)
    question = question_in(items)
    staying = {
        place
        for place, item in enumerate(items)
        if not (type(item) is Message and item.role == "assistant") and stays(item)
    }
    begins_last = blocks[-1].start if blocks else 0
    plain = 0
    if not (staying or pinned or summarised):  # then all before the question and what is new may go: nearly all
        plain = bisect_right(blocks, min(new, question), key=attrgetter("stop"))
        found.old.extend(blocks[:plain])
    for block in blocks[plain:]:
        is_held = block.stop > new or block.start == begins_last or block.start <= question < block.stop
        if is_held or (pinned and not pinned.isdisjoint(block)):
            found.held.extend(block)
            continue
        going = block
        if staying and not staying.isdisjoint(block):
            going = [place for place in block if place not in staying]
            found.held.extend(place for place in block if place in staying)
        if block.stop <= summarised:
            found.stood_for.extend(going)
        elif going:
            found.old.append(going)
    return found


def tokens_of(found: Outline, tokens: Sequence[int]) -> int:
    """How many of all tokens a summary does not stand for."""
    return sum(tokens) - sum(map(tokens.__getitem__, found.stood_for))


def assemble(found: Outline, tokens: Sequence[int], room: int, savings: Sequence[Saving] = ()) -> Assembly | None:
    """Fit items of so many `tokens` each into so much `room`. None where what is held is more.

    `savings` are of items that are old, by kind in the order of giving up, the oldest first within one.
    """
    if sum(map(tokens.__getitem__, found.held)) > room:
        return None
    total = tokens_of(found, tokens)
    saved: list[Saving] = []
    for saving in savings:
        if total <= room:
            break
        total -= saving.tokens
        saved.append(saving)
    blocks, total = _dropped(found.old, tokens, room, total, saved)
    dropped = [*itertools.chain.from_iterable(found.old[:blocks])]
    if saved:
        gone = {*dropped}
        saved = [saving for saving in saved if saving.place not in gone]
        total = _give_back(saved, room, total)
    kept = sorted(itertools.chain(found.held, *found.old[blocks:]))
    return Assembly(kept, dropped, saved, total)


def _dropped(
    old: Sequence[Sequence[int]], tokens: Sequence[int], room: int, total: int, saved: Sequence[Saving]
) -> tuple[int, int]:
    """How many of the blocks must go, the oldest first, and how many tokens are left then."""
    spared: dict[int, int] = {}
    for saving in saved:
        spared[saving.place] = spared.get(saving.place, 0) + saving.tokens
    for number, block in enumerate(old):
        if total <= room:
            return number, total
        total -= sum(map(tokens.__getitem__, block))
        if spared:
            total += sum(spared.get(place, 0) for place in block)
    return len(old), total


def _give_back(saved: list[Saving], room: int, total: int) -> int:
    """Take out of `saved` what fits again as it was, what was given up last first; returns the tokens of all."""
    for number in range(len(saved) - 1, -1, -1):
        if total + saved[number].tokens <= room:
            total += saved[number].tokens
            del saved[number]
    return total
