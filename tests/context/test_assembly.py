"""Assembly: as much as fits is told, what must not go stays, and nothing is given up that would have fitted."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.context.assembly import Assembly, Outline, Saving, assemble, outline, tokens_of
from frontdesk.turn.items import Item
from tests.context.histories import histories, said, size_of


def outlined(*args: Any, **options: Any) -> Outline:
    """The outline with its blocks as lists."""
    found = outline(*args, **options)
    return found._replace(old=[[*block] for block in found.old])


def test_the_question_that_is_being_answered_stays_however_much_was_looked_up_for_it() -> None:
    items = said("q", "a", "q", "c1", "o1", "c2", "o2", "c3", "o3")

    found = outlined(items, 8)

    assert found == Outline([2, 7, 8], [], [[0, 1], [3, 4], [5, 6]])


def test_pinned_items_stay_with_what_belongs_to_them_and_instructions_by_themselves() -> None:
    items = said("q", "a", "q", "c1", "d", "o1", "a", "q", "a", "q")

    assert outlined(items, 9, {1}) == Outline([0, 1, 4, 9], [], [[2], [3, 5, 6], [7, 8]])
    assert outline(items, 9, {5}).held == [3, 4, 5, 6, 9]


def test_a_summary_stands_for_whole_blocks() -> None:
    items = said("d", "q", "c1", "o1", "a", "q", "a", "q")

    assert outlined(items, 7, summarised=3) == Outline([0, 7], [1], [[2, 3, 4], [5, 6]])
    assert outlined(items, 7, summarised=8) == Outline([0, 7], [1, 2, 3, 4, 5, 6], [])
    assert outlined(items, 7, {2}, summarised=7) == Outline([0, 2, 3, 4, 7], [1, 5, 6], [])


def test_the_last_block_stays_where_nothing_is_new() -> None:
    assert outlined(said("q", "a", "c1", "o1", "a"), 5) == Outline([0, 1, 2, 3, 4], [], [])


def test_what_is_given_up_goes_in_its_order_and_comes_back_where_it_fits_after_all() -> None:
    found = Outline([9], [], [[0], [1], [2], [3]])
    tokens = [100, 100, 100, 100, 0, 0, 0, 0, 0, 10]
    outputs = [Saving(place, -1, "shortened", "x", 60) for place in (0, 2)]
    pictures = [Saving(place, 1, "image", "x", 30) for place in (1, 3)]

    def at(room: int) -> Assembly | None:
        return assemble(found, tokens, room, [*outputs, *pictures])

    assert at(410) == Assembly([0, 1, 2, 3, 9], [], [], 410)
    assert at(409) == Assembly([0, 1, 2, 3, 9], [], [outputs[0]], 350)
    assert at(349) == Assembly([0, 1, 2, 3, 9], [], outputs, 290)
    assert at(289) == Assembly([0, 1, 2, 3, 9], [], [*outputs, pictures[0]], 260)
    assert at(230) == Assembly([0, 1, 2, 3, 9], [], [*outputs, *pictures], 230)
    assert at(229) == Assembly([1, 2, 3, 9], [0], [outputs[1], pictures[0]], 220)
    assert at(310) == Assembly([0, 1, 2, 3, 9], [], outputs, 290)
    assert at(189) == Assembly([2, 3, 9], [0, 1], [outputs[1], pictures[1]][:1], 150)
    assert at(10) == Assembly([9], [0, 1, 2, 3], [], 10)
    assert at(9) is None


@st.composite
def _outlines(draw: st.DrawFn) -> tuple[list[Item], Outline, list[int], list[Saving]]:
    items = draw(histories())
    pinned = draw(st.sets(st.integers(0, len(items) - 1), max_size=3))
    found = outlined(items, draw(st.integers(0, len(items))), pinned, draw(st.integers(0, len(items) // 2)))
    tokens = [size_of(item) for item in items]
    old = sorted(place for block in found.old for place in block)
    shrinkable = draw(st.lists(st.sampled_from(old), unique=True)) if old else []
    savings = [
        Saving(place, 0, why, "x", draw(st.integers(1, tokens[place] // 2)))
        for why in ("shortened", "image")
        for place in sorted(shrinkable)
        if tokens[place] > 1 and draw(st.booleans())
    ]
    return items, found, tokens, savings


@given(_outlines(), st.integers(0, 6000))
def test_as_much_is_told_as_fits(drawn: tuple[list[Item], Outline, list[int], list[Saving]], room: int) -> None:
    items, found, tokens, savings = drawn
    old = [place for block in found.old for place in block]
    assert sorted([*found.held, *found.stood_for, *old]) == list(range(len(items)))
    held = sum(tokens[place] for place in found.held)

    assembly = assemble(found, tokens, room, savings)

    assert (assembly is None) == (held > room)
    if assembly is None:
        return
    spared = {place: sum(each.tokens for each in savings if each.place == place) for place in range(len(items))}
    told = sum(tokens[place] for place in assembly.kept) - sum(saving.tokens for saving in assembly.savings)
    assert told == assembly.tokens <= room
    assert sorted([*assembly.kept, *assembly.dropped]) == sorted([*found.held, *old])
    assert assembly.kept == sorted(assembly.kept)
    assert {*found.held} <= {*assembly.kept}
    # Blocks go whole, the oldest first, and none that would have fitted with all that may be told in part.
    numbers = range(len(found.old) + 1)
    number = next(each for each in numbers if [*itertools.chain(*found.old[:each])] == assembly.dropped)
    least = held + sum(tokens[place] - spared[place] for block in found.old[number:] for place in block)
    if number:
        assert least + sum(tokens[place] - spared[place] for place in found.old[number - 1]) > room
    # Nothing is told in part that would fit as it is.
    assert all(saving.place in assembly.kept and saving in savings for saving in assembly.savings)
    assert all(assembly.tokens + saving.tokens > room for saving in assembly.savings)
    if tokens_of(found, tokens) <= room:
        assert (assembly.dropped, assembly.savings) == ([], [])
