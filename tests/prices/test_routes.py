"""/api/admin/prices: what each route costs, and what it cost before; for operators."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.gate import Gate
from frontdesk.accounts.issuers import Issuers
from frontdesk.accounts.service import Accounts
from frontdesk.core.config import Auth
from frontdesk.core.config import Price as ConfiguredPrice
from frontdesk.core.config import PriceChange as ConfiguredChange
from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.prices.book import PriceBook
from frontdesk.prices.history import PriceHistory
from frontdesk.prices.routes import PriceRoutes
from frontdesk.prices.store import PriceStore
from frontdesk.storage.database import Database
from tests.fakes import HandClock
from tests.http.asgi import Answer, ask
from tests.prices.books import NOW, book, time_of

pytestmark = pytest.mark.usefixtures("small_snapshot")

ADMIN_KEY = "fd_sk_test-admin-key-that-opens-nothing-real"
NOTHING = {
    "input": 0.0,
    "cached": 0.0,
    "cache_write": 0.0,
    "cache_write_hour": 0.0,
    "audio_input": 0.0,
    "image_input": 0.0,
    "tool": 0.0,
    "output": 0.0,
    "reasoning": 0.0,
    "audio_output": 0.0,
    "image_output": 0.0,
    "request": 0.0,
    "audio_minute": 0.0,
    "character": 0.0,
    "image": 0.0,
}


def usd(read: float, written: float, **more: float) -> dict[str, float]:
    """Rates as they are told."""
    names_read = ("input", "cached", "cache_write", "cache_write_hour", "audio_input", "image_input", "tool")
    names_written = ("output", "reasoning", "audio_output", "image_output")
    return {**NOTHING, **dict.fromkeys(names_read, read), **dict.fromkeys(names_written, written), **more}


class Desk:
    """The routes over a real store."""

    def __init__(self, database: Database) -> None:
        self.clock = HandClock(NOW)
        self.database = database
        issuers = Issuers([], {}, self.clock)
        self.accounts = Accounts(database, self.clock, ADMIN_KEY, Auth(), None)
        self.gate = Gate(self.accounts, Attestations(issuers, {}, self.clock), takes_cookies=False, origins=[])

    async def recorded(self, opened: PriceBook) -> None:
        await PriceHistory(PriceStore(self.database, "default"), opened, self.clock).record()

    async def ask(self, opened: PriceBook, path: str, bearer: str = ADMIN_KEY) -> Answer:
        routes = PriceRoutes(opened, self.database, self.gate, self.clock).routes()
        application: Any = Edge({}, Routes(list(routes), Routes([], None)))  # type: ignore[arg-type]
        return await ask(application, "GET", path, headers=[(b"authorization", b"Bearer " + bearer.encode())])


@pytest.fixture
async def desk(database: Database) -> Desk:
    opened = Desk(database)
    await opened.accounts.load()
    return opened


async def test_each_configured_route_is_listed_with_what_it_costs(desk: Desk) -> None:
    answer = await desk.ask(book("openai/cached", "proxy/x", "local/y"), "/api/admin/prices")

    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.body == {
        "object": "list",
        "data": [
            {
                "route": "openai/cached",
                "object": "price",
                "book": "prices 1.0",
                "unpriced": None,
                "rates": usd(2.5, 10.0, cached=0.0375),
                "steps": [],
                "service_tiers": {},
                "context_tokens": 128_000,
                "next_change_at": None,
            },
            {
                "route": "proxy/x",
                "object": "price",
                "book": None,
                "unpriced": "prices 1.0 has no provider at its address",
                "rates": None,
                "steps": [],
                "service_tiers": {},
                "context_tokens": None,
                "next_change_at": None,
            },
            {
                "route": "local/y",
                "object": "price",
                "book": "local",
                "unpriced": None,
                "rates": NOTHING,
                "steps": [],
                "service_tiers": {},
                "context_tokens": None,
                "next_change_at": None,
            },
        ],
    }


async def test_steps_tiers_and_what_a_call_costs_are_told(desk: Desk) -> None:
    answer = await desk.ask(book("openai/stepped", "openai/tiered", "openai/searching"), "/api/admin/prices")

    stepped, tiered, searching = answer.body["data"]
    assert stepped["steps"] == [
        {"above_input_tokens": 100_000, "rates": usd(1.0, 5.0, cached=0.5)},
        {"above_input_tokens": 200_000, "rates": usd(2.0, 6.0, cached=0.5)},
    ]
    assert tiered["service_tiers"] == {
        "priority": {"rates": usd(2.0, 4.0), "steps": []},
        "flex": {"rates": usd(0.5, 1.0), "steps": []},
    }
    assert searching["rates"] == usd(1.0, 1.0, request=0.012)


async def test_the_next_change_is_told(desk: Desk) -> None:
    answer = await desk.ask(book("openai/dated", "openai/nightly"), "/api/admin/prices")

    assert [each["next_change_at"] for each in answer.body["data"]] == [
        int(time_of("2026-12-01")),
        int(time_of("2026-11-23T16:30")),
    ]


async def test_a_route_has_its_history_the_latest_change_first(desk: Desk) -> None:
    said = ConfiguredPrice(1.0, 2.0, changes=[ConfiguredChange(3.0, 4.0, since="2026-12-01")])
    opened = book("openai/plain", prices={"openai/plain": said})
    await desk.recorded(book("openai/plain"))
    desk.clock.move(3600)
    await desk.recorded(opened)
    desk.clock.move(86_400 * 30)
    await desk.recorded(opened)

    answer = await desk.ask(opened, "/api/admin/prices/openai/plain")

    assert (answer.body["configured"], answer.body["rates"]) == (True, usd(3.0, 4.0))
    assert [(each["since"], each["book"], each["rates"]["input"]) for each in answer.body["history"]] == [
        (int(time_of("2026-12-01")), "configured since 2026-12-01", 3.0),
        (int(time_of("2026-11-23T13:00")), "configured", 1.0),
        (int(time_of("2026-11-23T12:00")), "prices 1.0", 0.15),
    ]


async def test_hours_of_a_day_are_told_in_a_history(desk: Desk) -> None:
    await desk.recorded(book("openai/nightly", "proxy/x"))

    nightly = await desk.ask(book("openai/nightly"), "/api/admin/prices/openai/nightly")
    unpriced = await desk.ask(book("proxy/x"), "/api/admin/prices/proxy/x")

    assert nightly.body["history"][0]["daily"] == [
        {"from": "16:30", "until": "00:30", "rates": usd(4.0, 4.0), "steps": []},
        {"from": "20:00", "until": "21:00", "rates": usd(1.0, 1.0), "steps": []},
    ]
    assert unpriced.body["history"] == [
        {"since": int(NOW), "book": None, "rates": None, "steps": [], "daily": [], "service_tiers": {}}
    ]


async def test_what_two_processes_wrote_alike_is_told_once(desk: Desk) -> None:
    opened = book("openai/plain")
    store = PriceStore(desk.database, "default")
    await desk.recorded(opened)
    (row,) = await store.history("openai/plain", 10)
    await store.add([type(row)(row.route, row.since_ms + 3, row.book, row.rates)])

    answer = await desk.ask(opened, "/api/admin/prices/openai/plain")

    assert [each["since"] for each in answer.body["history"]] == [int(NOW)]


async def test_a_route_that_was_configured_once_keeps_its_history(desk: Desk) -> None:
    await desk.recorded(book("openai/plain"))

    answer = await desk.ask(book("openai/cached"), "/api/admin/prices/openai/plain")

    assert (answer.body["configured"], answer.body["rates"], len(answer.body["history"])) == (False, None, 1)
    assert answer.body["unpriced"] == "it is in no model's route"


@pytest.mark.parametrize("route", ["openai/nothing", "openai/", "openai/\0", "'; --", "x" * 5_000])
async def test_a_route_that_never_was_is_not_found(desk: Desk, route: str) -> None:
    answer = await desk.ask(book("openai/plain"), f"/api/admin/prices/{route}")

    assert (answer.status, answer.code) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [
        ("operator", None, 200),
        ("operator", frozenset({"usage"}), 200),
        ("operator", frozenset({"keys"}), 403),
        ("server", None, 403),
        ("reviewer", None, 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/admin/prices", "/api/admin/prices/openai/plain"])
async def test_only_operators_may_ask(
    desk: Desk, path: str, role: Any, scopes: frozenset[str] | None, status: int
) -> None:
    _, key = await desk.accounts.create_key("default", "x", role, scopes, None)

    assert (await desk.ask(book("openai/plain"), path, bearer=key)).status == status


@pytest.mark.parametrize("path", ["/api/admin/prices", "/api/admin/prices/openai/plain"])
async def test_without_a_credential_nothing_is_told(desk: Desk, path: str) -> None:
    assert (await desk.ask(book("openai/plain"), path, bearer="nobody's")).status == 401
