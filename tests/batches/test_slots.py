"""Places: never more than there are, and fairly among those who want them."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.batches.slots import FairSlots, FundedLines


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_has_fewest_is_next() -> None:
    slots = FairSlots(4)
    order: list[str] = []

    async def want(owner: str) -> None:
        await slots.take(owner)
        order.append(owner)

    waiting = [asyncio.ensure_future(want(owner)) for owner in "aaaaaaaab"]
    await settled()
    assert order == ["a"] * 4
    for _ in range(2):
        slots.free("a")
        await settled()

    assert order == ["a"] * 4 + ["b", "a"]
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_waits_longest_is_next_among_equals() -> None:
    slots = FairSlots(1)
    await slots.take("x")
    order: list[str] = []

    async def want(owner: str) -> None:
        await slots.take(owner)
        order.append(owner)
        slots.free(owner)

    waiting = [asyncio.ensure_future(want(owner)) for owner in "cab"]
    await settled()
    slots.free("x")
    await asyncio.gather(*waiting)

    assert order == ["c", "a", "b"]


async def test_who_gives_up_takes_no_place() -> None:
    slots = FairSlots(1)
    await slots.take("a")
    waits = asyncio.ensure_future(slots.take("b"))
    just_got_it = asyncio.ensure_future(slots.take("c"))
    await settled()
    waits.cancel()
    await settled()
    slots.free("a")  # c has it, and is cancelled before it knows
    just_got_it.cancel()
    await asyncio.gather(waits, just_got_it, return_exceptions=True)

    async with asyncio.timeout(1):
        await slots.take("d")


@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "free", "cancel"])), max_size=40))
def test_never_more_than_there_are_and_none_is_lost(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        slots, places = FairSlots(3), 3
        held: Counter[str] = Counter()
        waiting: list[tuple[str, asyncio.Task[None]]] = []

        async def take(owner: str) -> None:
            await slots.take(owner)
            held[owner] += 1

        for owner, step in steps:
            if step == "take":
                waiting.append((owner, asyncio.ensure_future(take(owner))))
            elif step == "free" and held[owner]:
                held[owner] -= 1
                slots.free(owner)
            elif step == "cancel":
                for _, task in [each for each in waiting if each[0] == owner and not each[1].done()][:1]:
                    task.cancel()
            await settled()
            still = [each for each in waiting if not each[1].done()]
            assert held.total() <= places
            assert held.total() == places or not still

        for owner in list(held):
            while held[owner]:
                held[owner] -= 1
                slots.free(owner)
                await settled()
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)

    asyncio.run(play())


def test_what_money_covers_is_learnt_for_each_owner() -> None:
    funded = FundedLines()
    for _ in range(3):
        funded.begin("a")
    assert funded.may_begin("a")

    funded.end("a")
    assert funded.refused("a") == 2
    assert (funded.may_begin("a"), funded.may_begin("b")) == (False, True)
    funded.end("a")
    assert funded.may_begin("a")
    funded.begin("a")
    assert not funded.may_begin("a")
    funded.answered("a")
    assert funded.may_begin("a")


def test_one_line_at_a_time_is_tried_however_often_money_is_refused() -> None:
    funded = FundedLines()
    for _ in range(3):
        assert funded.may_begin("a")
        funded.begin("a")
        funded.end("a")
        assert funded.refused("a") == 0

    funded.begin("a")
    assert not funded.may_begin("a")
    funded.forget("a")
    assert funded.may_begin("a")
