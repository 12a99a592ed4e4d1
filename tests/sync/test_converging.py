"""Whoever takes pages, of whatever size and at whatever moments, comes to have what is stored."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.changes.store import ChangeStore
from frontdesk.storage.database import Database, open_database
from tests.fakes import HandClock
from tests.sync.person import KINDS, Person, seq_of
from tests.sync.stored import told
from tests.sync.taker import Taker

DONE = st.sampled_from(KINDS)
# Who takes a page, and how many changes at most.
TAKEN = st.tuples(st.integers(0, 2), st.sampled_from([1, 2, 3, 7, 1_000]))
TURNS = st.lists(st.one_of(DONE, DONE, DONE, TAKEN), max_size=60)
WRITERS = 50
_numbers = itertools.count()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(turns=TURNS, seed=st.integers(0, 2**32), sweeps=st.booleans())
async def test_pages_of_any_size_at_any_moment_come_to_what_is_stored(
    database: Database, turns: list[str | tuple[int, int]], seed: int, sweeps: bool
):
    clock = HandClock()
    person = Person(database, clock, f"u{next(_numbers)}", random.Random(seed))
    takers = [Taker() for _ in range(3)]
    for _ in range(2):
        await person.do("begin")

    for turn in turns:
        if isinstance(turn, str):
            await person.do(turn)
            clock.move(1)
            continue
        who, limit = turn
        await person.take(takers[who], limit)
    if sweeps:  # whoever does not know of the deleted begins anew
        while await ChangeStore(database).sweep(10**15):
            pass
    expected = await person.stored()

    for taker in takers:
        await person.take_all(taker, 3)
        assert told(taker.things) == expected
    before = takers[0].cursor
    assert not (await person.take(takers[0], 1_000)).changes
    assert takers[0].cursor == before


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[list[Database]]:
    """The same database, opened by one or, where several processes may, by two."""
    first = await open_database(database_url)
    opened = [first] if first.is_alone else [first, await open_database(database_url)]
    yield opened
    for each in opened:
        await each.close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_fifty_who_write_at_once_lose_no_change_at_any_cursor(two: list[Database], seed: int):
    """Who reads all the time, upward, sees every number once in the order of commits, and none that comes late."""
    clock, chance = HandClock(), random.Random(seed)
    writers = [Person(two[number % len(two)], clock, "u1", random.Random(seed + number)) for number in range(WRITERS)]
    await writers[0].do("begin")
    shared = writers[0].conversations[0]
    for writer in writers:
        writer.conversations.append(shared)
    has_ended = asyncio.Event()

    async def write(writer: Person) -> None:
        for kind in ["begin", *writer._chance.choices(KINDS, k=10)]:
            await writer.do(kind)

    async def read(database: Database, seen: list[int]) -> Taker:
        reader, taker = Person(database, clock, "u1", chance), Taker()
        is_last = False
        while not is_last:
            is_last = has_ended.is_set()
            while True:
                page = await reader.take(taker, chance.choice([1, 5, 50]))
                if page.cursor.count(".") == 1 and all(place.count(".") == 1 for place in page.places):
                    seen += map(seq_of, page.places)
                if not page.has_more:
                    break
            await asyncio.sleep(0)
        return taker

    orders: list[list[int]] = [[] for _ in range(4)]
    readers = [asyncio.create_task(read(two[place % len(two)], seen)) for place, seen in enumerate(orders)]
    await asyncio.gather(*map(write, writers))
    has_ended.set()
    takers = await asyncio.gather(*readers)

    expected = await writers[0].stored()
    assert len(expected) > WRITERS
    for taker, seen in zip(takers, orders, strict=True):
        assert told(taker.things) == expected
        assert seen == sorted(set(seen))
    head = await ChangeStore(two[0]).head("default", "u1")
    assert head is not None
    assert {taker.cursor for taker in takers} == {f"{head.epoch}.{head.head}"}
