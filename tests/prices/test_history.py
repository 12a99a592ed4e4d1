"""Which price held when is written down once, as it comes into force."""

from __future__ import annotations

import pytest

from frontdesk.core.config import Price as ConfiguredPrice
from frontdesk.core.config import PriceChange as ConfiguredChange
from frontdesk.prices.book import PriceBook
from frontdesk.prices.history import PriceHistory, terms_of
from frontdesk.prices.store import PriceRow, PriceStore
from frontdesk.storage.database import Database
from tests.fakes import HandClock
from tests.prices.books import NOW, book, time_of

pytestmark = pytest.mark.usefixtures("small_snapshot")


def ms(text: str) -> int:
    return round(time_of(text) * 1000)


def configured(usd: float, *changes: tuple[str, float]) -> PriceBook:
    """A book with one route, by the configuration's word."""
    changed = [ConfiguredChange(each, since=since) for since, each in changes]
    return book("openai/plain", prices={"openai/plain": ConfiguredPrice(usd, changes=changed)})


class Desk:
    """A database that processes with one book after another record into."""

    def __init__(self, database: Database) -> None:
        self.clock = HandClock(NOW)
        self.store = PriceStore(database, "default")

    def history(self, opened: PriceBook) -> PriceHistory:
        return PriceHistory(self.store, opened, self.clock)

    async def told(self, route: str = "openai/plain") -> list[tuple[int, str, float | None]]:
        """Since when which book had which price for reading, the oldest first."""
        rows = await self.store.history(route, 100)
        return [(row.since_ms, row.book, usd_of(row)) for row in reversed(rows)]


def usd_of(row: PriceRow) -> float | None:
    terms = terms_of(row)
    return None if terms is None else terms.rates.input / 1_000_000


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


async def test_a_first_price_counts_from_now_or_from_its_date(desk: Desk) -> None:
    recorded = await desk.history(book("openai/plain", "openai/dated")).record()

    assert recorded == 2
    assert await desk.told("openai/plain") == [(ms("2026-11-23T12:00"), "prices 1.0", 0.15)]
    assert await desk.told("openai/dated") == [(ms("2026-06-01"), "prices 1.0 since 2026-06-01", 3)]


async def test_what_has_not_changed_is_written_once(desk: Desk) -> None:
    for _ in range(3):
        await desk.history(
            book("openai/plain", "openai/nightly", "openai/stepped", "openai/tiered", "proxy/x")
        ).record()
        desk.clock.move(86_400)

    assert [len(await desk.told(route)) for route in ("openai/plain", "openai/nightly", "openai/tiered")] == [1, 1, 1]
    assert await desk.told("proxy/x") == [(ms("2026-11-23T12:00"), "none", None)]


async def test_a_change_of_the_configuration_counts_from_now(desk: Desk) -> None:
    await desk.history(configured(1.0)).record()
    desk.clock.move(3600)

    recorded = await desk.history(configured(2.0)).record()

    assert recorded == 1
    assert await desk.told() == [
        (ms("2026-11-23T12:00"), "configured", 1),
        (ms("2026-11-23T13:00"), "configured", 2),
    ]


async def test_a_price_that_is_lost_and_found_is_told(desk: Desk) -> None:
    await desk.history(configured(1.0)).record()
    desk.clock.move(1)
    await desk.history(book("openai/plain")).record()
    desk.clock.move(1)
    unknown = PriceBook({"openai/plain": book("proxy/x")._listings["proxy/x"]})
    await desk.history(unknown).record()

    assert [(source, usd) for _, source, usd in await desk.told()] == [
        ("configured", 1),
        ("prices 1.0", 0.15),
        ("none", None),
    ]


async def test_a_dated_change_counts_from_its_date_while_the_server_runs(desk: Desk) -> None:
    history = desk.history(configured(1.0, ("2026-12-01", 2.0)))
    await history.record()
    desk.clock.move(time_of("2026-11-30T23:59:59") - NOW)
    assert await history.record() == 0
    desk.clock.move(1)

    assert await history.record() == 1
    assert await history.record() == 0
    assert await desk.told() == [
        (ms("2026-11-23T12:00"), "configured", 1),
        (ms("2026-12-01"), "configured since 2026-12-01", 2),
    ]


async def test_all_dates_that_passed_while_nothing_ran_are_told(desk: Desk) -> None:
    opened = configured(1.0, ("2026-12-01", 2.0), ("2026-12-05", 2.0), ("2027-01-01", 3.0), ("2028-01-01", 4.0))
    await desk.history(opened).record()
    desk.clock.move(86_400 * 100)

    assert await desk.history(opened).record() == 2
    assert await desk.told() == [
        (ms("2026-11-23T12:00"), "configured", 1),
        (ms("2026-12-01"), "configured since 2026-12-01", 2),
        (ms("2027-01-01"), "configured since 2027-01-01", 3),
    ]


async def test_a_price_that_was_taken_back_after_a_date_passed_is_told_as_well(desk: Desk) -> None:
    await desk.history(configured(1.0, ("2026-12-01", 2.0))).record()
    desk.clock.move(time_of("2026-12-02") - NOW)
    await desk.history(configured(1.0, ("2026-12-01", 2.0))).record()
    desk.clock.move(1)

    await desk.history(configured(1.0)).record()

    assert [(source, usd) for _, source, usd in await desk.told()] == [
        ("configured", 1),
        ("configured since 2026-12-01", 2),
        ("configured", 1),
    ]


async def test_a_dated_change_that_is_amended_later_counts_from_then(desk: Desk) -> None:
    desk.clock.move(time_of("2026-12-02") - NOW)
    await desk.history(configured(1.0, ("2026-12-01", 2.0))).record()
    desk.clock.move(3600)

    await desk.history(configured(1.0, ("2026-12-01", 2.5))).record()

    assert [(since, usd) for since, _, usd in await desk.told()] == [
        (ms("2026-12-01"), 2),
        (ms("2026-12-02T01:00"), 2.5),
    ]


async def test_another_edition_of_the_book_with_the_same_price_is_no_change(desk: Desk) -> None:
    await desk.history(book("openai/plain")).record()
    desk.clock.move(1)

    same = book("openai/plain", prices={"openai/plain": ConfiguredPrice(0.15, 0.6)})

    assert await desk.history(same).record() == 0


async def test_nothing_is_asked_until_the_next_date(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    history = desk.history(configured(1.0, ("2026-12-01", 2.0)))
    await history.record()
    monkeypatch.setattr(desk.store, "newest", lambda: pytest.fail("the database was asked"))

    desk.clock.move(86_400)

    assert await history.record() == 0


async def test_a_clock_that_went_back_writes_nothing_twice(desk: Desk) -> None:
    await desk.history(configured(1.0)).record()
    desk.clock.move(-3600)

    assert await desk.history(configured(1.0)).record() == 0
    assert await desk.history(configured(2.0)).record() == 1
    assert [usd for _, _, usd in await desk.told()] == [1, 2]


async def test_all_of_a_tariff_is_written_down(desk: Desk) -> None:
    await desk.history(book("openai/stepped", "openai/nightly", "openai/tiered")).record()

    stepped, nightly, tiered = [
        terms_of((await desk.store.history(f"openai/{name}", 1))[0]) for name in ("stepped", "nightly", "tiered")
    ]
    assert stepped is not None
    assert [(above, rates.output) for above, rates in stepped.steps] == [(100_000, 5_000_000), (200_000, 6_000_000)]
    assert nightly is not None
    assert [(each.starts, each.ends, each.rates.input) for each in nightly.daily] == [
        (990, 30, 4_000_000),
        (1200, 1260, 1_000_000),
    ]
    assert tiered is not None
    assert {name: each.rates.output for name, each in tiered.service_tiers.items()} == {
        "priority": 4_000_000,
        "flex": 1_000_000,
    }
    assert stepped.rates.cached == 500_000
