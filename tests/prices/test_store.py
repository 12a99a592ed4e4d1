"""Rows of prices, on both engines."""

from __future__ import annotations

from frontdesk.prices.store import PriceRow, PriceStore
from frontdesk.storage.database import Database

FAST = [
    PriceRow("openai/fast", 1000, "prices 1.0", '{"rates":1}'),
    PriceRow("openai/fast", 2000, "configured", '{"rates":2}'),
    PriceRow("openai/fast", 3000, "none", None),
]
BEST = PriceRow("openai/best", 1500, "prices 1.0", '{"rates":3}')


async def test_the_newest_row_of_each_route_is_found(database: Database) -> None:
    store = PriceStore(database, "default")
    await store.add([FAST[1], FAST[0], BEST])
    await store.add([FAST[2]])

    assert await store.newest() == {"openai/fast": FAST[2], "openai/best": BEST}


async def test_a_history_is_told_from_its_end(database: Database) -> None:
    store = PriceStore(database, "default")
    await store.add([*FAST, BEST])

    assert await store.history("openai/fast", 10) == FAST[::-1]
    assert await store.history("openai/fast", 2) == [FAST[2], FAST[1]]
    assert await store.history("openai/other", 10) == []


async def test_a_row_that_is_there_stays(database: Database) -> None:
    store = PriceStore(database, "default")
    await store.add([FAST[0]])

    await store.add([PriceRow("openai/fast", 1000, "another", None), FAST[1]])

    assert await store.history("openai/fast", 10) == [FAST[1], FAST[0]]


async def test_tenants_have_prices_of_their_own(database: Database) -> None:
    await PriceStore(database, "default").add([FAST[0]])
    other = PriceStore(database, "other")
    await other.add([FAST[1]])

    assert await other.newest() == {"openai/fast": FAST[1]}
    assert await other.history("openai/fast", 10) == [FAST[1]]


async def test_nothing_to_add_adds_nothing(database: Database) -> None:
    store = PriceStore(database, "default")

    await store.add([])

    assert await store.newest() == {}
