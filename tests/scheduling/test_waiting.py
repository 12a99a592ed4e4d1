"""Who is let in next: by class, callers taking turns, and nobody too old behind who is newer for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import PRIORITIES, Priority
from frontdesk.scheduling.waiting import LEVELS, Waiter, Waiting
from tests.fakes import HandClock
from tests.scheduling.simulated import turn_of

AGEING_S = 10.0
NO_FUTURE = cast("asyncio.Future[Any]", None)


def waiter(person: str = "a", priority: Priority = "background", since: float = 0.0) -> Waiter:
    return Waiter(turn_of(HandClock(), priority, person), ("default", person), since, since + 1000, NO_FUTURE)


def waiting_of(*waiters: Waiter) -> Waiting:
    waiting = Waiting(AGEING_S)
    for each in waiters:
        waiting.add(each)
    return waiting


def let_all_in(waiting: Waiting) -> list[Waiter]:
    order: list[Waiter] = []
    while (first := waiting.next()) is not None:
        waiting.let_in(first)
        order.append(first)
    return order


def persons(waiters: Sequence[Waiter]) -> str:
    return "".join(each.who[1] for each in waiters)


def test_higher_classes_go_first() -> None:
    coming = [waiter(priority=priority) for priority in reversed(PRIORITIES)]

    order = let_all_in(waiting_of(*coming))

    assert [each.turn.priority for each in order] == list(PRIORITIES)


def test_callers_of_a_class_take_turns() -> None:
    waiting = waiting_of(*map(waiter, "aaaabcb"))

    assert persons(let_all_in(waiting)) == "abcabaa"


def test_a_hundred_requests_of_one_delay_the_first_of_another_by_one() -> None:
    waiting = waiting_of(*(waiter("a") for _ in range(100)))

    assert waiting.place_of_one_more(LEVELS["background"], ("default", "b")) == 2
    waiting.add(waiter("b"))
    assert persons(let_all_in(waiting)[:3]) == "aba"


def test_who_comes_again_does_not_go_before_who_waits() -> None:
    waiting = waiting_of(waiter("a"), waiter("b"), waiter("c"))

    order: list[Waiter] = []
    for _ in range(6):
        first = waiting.next()
        assert first is not None
        waiting.let_in(first)
        order.append(first)
        waiting.add(waiter(first.who[1]))

    assert persons(order) == "abcabc"


def test_who_waits_long_moves_up_to_just_behind_the_interactive() -> None:
    old = waiter("o", "batch")
    waiting = waiting_of(old)

    seen: list[int] = []
    for now in (9.9, 10.0, 20.0, 30.0, 40.0, 400.0):
        waiting.age(now)
        seen.append(old.level)

    assert seen == [4, 3, 2, 1, 1, 1]
    waiting.add(waiter("i", "interactive", since=401))
    waiting.add(waiter("d", "draft", since=401))
    assert persons(let_all_in(waiting)) == "iod"


def test_ageing_that_is_looked_at_late_is_as_if_it_had_been_in_time() -> None:
    often, seldom = (waiting_of(waiter("o", "batch"), waiter("p", "background", since=5)) for _ in range(2))

    for now in range(6, 36):
        often.age(now)
    seldom.age(35)

    assert [(each.who[1], each.level, each.level_since) for each in often] == [("p", 1, 25), ("o", 1, 30)]
    assert [(each.who[1], each.level, each.level_since) for each in seldom] == [("p", 1, 25), ("o", 1, 30)]


def test_the_last_of_the_lowest_class_is_found_for_higher_ones_only() -> None:
    first, last = waiter("a", "background", since=1), waiter("b", "background", since=2)
    waiting = waiting_of(first, waiter("c", "draft", since=1.5), last)

    assert waiting.last_below(LEVELS["interactive"]) is last
    assert waiting.last_below(LEVELS["prefetch"]) is last
    assert waiting.last_below(LEVELS["background"]) is None
    assert waiting.last_below(LEVELS["batch"]) is None


CLASSES = st.sampled_from(PRIORITIES)
COMING = st.lists(st.tuples(st.sampled_from("abcde"), CLASSES, st.floats(0, 8)), max_size=40)


@given(COMING, st.data())
def test_whatever_comes_and_goes_the_order_told_is_the_order_kept(
    coming: list[tuple[str, Priority, float]], data: st.DataObject
) -> None:
    waiting, now, alive = Waiting(AGEING_S), 0.0, list[Waiter]()
    for person, priority, pause_s in coming:
        now += pause_s
        waiting.age(now)
        place = waiting.place_of_one_more(LEVELS[priority], ("default", person))
        newcomer = waiter(person, priority, now)
        waiting.add(newcomer)
        alive.append(newcomer)
        told = list(waiting)
        assert abs(told.index(newcomer) + 1 - place) <= len({each.who for each in told}), "right to within one round"
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(alive))
            alive.remove(gone)
            (waiting.let_in if data.draw(st.booleans()) else waiting.remove)(gone)

    told = list(waiting)
    assert len(waiting) == len(told) == len(alive)
    assert waiting._count_of == Counter(each.who for each in alive)
    assert set(told) == set(alive)
    if told:
        oldest = waiting.oldest()
        assert oldest is not None
        assert oldest in waiting
    assert let_all_in(waiting) == told
