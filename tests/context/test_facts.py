"""Which facts are told: the newest, as many as there is room for with the block that they stand in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.context.facts import Facts
from frontdesk.turn.context import LeftOut


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(0, 30), st.lists(st.integers(-20, 400), max_size=3))
def test_the_newest_are_told_that_there_is_room_for(sizes: list[int], around: int, rooms: list[int]) -> None:
    all_of_them = facts = Facts([str(place) for place in range(len(sizes))], sizes, around)

    for room in rooms:
        facts = facts.within(room)

    number = len(facts.told)
    assert facts.told == all_of_them.words[len(sizes) - number :]
    assert facts.tokens == (around + sum(sizes[len(sizes) - number :]) if number else 0)
    if rooms:
        assert not number or facts.tokens <= min(rooms)
        assert number == len(sizes) or around + sum(sizes[len(sizes) - number - 1 :]) > min(rooms)
    assert sum(each.items for each in facts.left_out) == len(sizes) - number


def test_those_that_are_not_told_stand_in_the_record() -> None:
    assert Facts(["a", "b", "c"], [10, 20, 30], 5).within(40).left_out == (LeftOut("facts", 2, 30),)
    assert Facts(["a"], [10], 5).within(15).left_out == ()
