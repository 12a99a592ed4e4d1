"""The record of a context: what was left out of it and why. Ids and numbers, and none of the words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from frontdesk.context.assembly import Assembly, Outline
from frontdesk.turn.context import LeftOut, Past, Why


def left_out(
    assembly: Assembly, found: Outline, tokens: Sequence[int], past: Past, far_tokens: int = 0
) -> tuple[LeftOut, ...]:
    """What a model is not told as it was, by why.

    `tokens` are those of each item, `far_tokens` those of all that is far.
    """
    entries: list[LeftOut] = []
    for why in ("shortened", "image"):
        savings = [saving for saving in assembly.savings if saving.why == why]
        if savings:
            spared = sum(saving.tokens for saving in savings)
            entries.append(_entry(why, {saving.place for saving in savings}, spared, past))
    goes: list[tuple[Why, list[int]]] = [("summarised", found.stood_for), ("window", assembly.dropped)]
    is_far = bool(past.far)  # it goes with the first of these
    for why, places in goes:
        if places:
            entry = _entry(why, places, _sum(tokens, places), past)
            entries.append(_with_far(entry, past, far_tokens) if is_far else entry)
            is_far = False
    return tuple(entries)


def _entry(why: Why, at: Iterable[int], tokens: int, past: Past) -> LeftOut:
    places = sorted(at)
    return LeftOut(why, len(places), tokens, _id_at(past, places[0]), _id_at(past, places[-1]))


def _with_far(entry: LeftOut, past: Past, tokens: int) -> LeftOut:
    items = entry.items + len(past.far)
    return LeftOut(entry.why, items, entry.tokens + tokens, past.ids[0], entry.last)


def _sum(tokens: Sequence[int], places: Iterable[int]) -> int:
    return sum(map(tokens.__getitem__, places))


def _id_at(past: Past, place: int) -> str | None:
    """The id of an item that was there before; those that a request brings itself have none by then."""
    place += len(past.far)
    return past.ids[place] if place < len(past.ids) else None
