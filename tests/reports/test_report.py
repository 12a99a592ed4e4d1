"""Reports on both engines: what counts where, that it adds up, and how much may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, Unavailable
from frontdesk.core.money import usd
from frontdesk.reports.question import DIMENSIONS, Narrowing, Question
from frontdesk.reports.report import Report, ReportLimits, Reports
from frontdesk.reports.sums import INPUT_PARTS, MEASURES, OUTPUT_PARTS, SOURCES, TOKENS, told
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.query import Parameters, Query, Row
from tests.fakes import HandClock
from tests.reports.rows import DAY_MS, HOUR_MS, JULY_MS, a_turn, an_attempt, keep

AUGUST_MS = JULY_MS + 31 * DAY_MS
ALL = {"from_ms": JULY_MS - 200 * DAY_MS, "to_ms": JULY_MS + 100 * DAY_MS}
JULY: Any = {"from_ms": JULY_MS, "to_ms": AUGUST_MS}


async def report_of(database: Database, tenant: str = "default", **asked: Any) -> Report:
    return await Reports(database, HandClock()).make(tenant, Question(**{**JULY, **asked}))


async def groups_of(database: Database, measure: str, **asked: Any) -> dict[Any, Any]:
    """One measure of each group."""
    report = await report_of(database, **asked)
    return {names[0] if len(names) == 1 else names: told(sums)[measure] for names, sums in report.groups}


# --- what counts --------------------------------------------------------------------------------


async def test_nothing_is_no_groups_and_totals_of_nothing(database: Database) -> None:
    for group_by in ((), ("user",), ("month", "provider")):
        report = await report_of(database, group_by=group_by)

        assert report.groups == []
        assert set(told(report.totals).values()) == {0}


async def test_every_measure_of_a_group(database: Database) -> None:
    parts = dict(zip((*INPUT_PARTS, *OUTPUT_PARTS), (10, 20, 30, 40, 50, 3, 4, 5), strict=True))
    await keep(
        database,
        [a_turn("t1"), a_turn("t2", status="refused"), a_turn("t3", status="running")],
        [
            an_attempt("t1", status="failed", cost_micros=0, cost_source="usage"),
            an_attempt("t1", number=2, input_tokens=1_000, output_tokens=100, cost_micros=7, **parts),
            an_attempt("t1", number=3, input_tokens=1, cost_micros=20, cost_source="provider"),
            an_attempt("t1", number=4, cost_micros=300, cost_source="estimate"),
            an_attempt("t1", number=5, cost_micros=4_000, cost_source="crash", status="abandoned"),
            an_attempt("t1", number=6, input_tokens=2, output_tokens=2, cost_source=None),
            an_attempt("t3", status="running", cost_source=None),
        ],
    )

    report = await report_of(database)

    ((names, sums),) = report.groups
    assert names == ()
    assert told(sums) == told(report.totals)
    assert told(sums) == {
        "turns": 3,
        "attempts": 7,
        "failed_attempts": 2,
        "unpriced_attempts": 1,
        "input_tokens": 1_003,
        "output_tokens": 102,
        **parts,
        "plain_input_tokens": 1_003 - 150,
        "plain_output_tokens": 102 - 12,
        "cost_usd": 0.004327,
        "provider_cost_usd": 0.00002,
        "usage_cost_usd": 0.000007,
        "estimate_cost_usd": 0.0003,
        "crash_cost_usd": 0.004,
    }


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("user", {None: 1, "u1": 2}),
        ("feature", {"chat": 2, "drafts": 1}),
        ("model", {None: 1, "fast": 2}),
        ("tier", {None: 1, "free": 2}),
        ("status", {"completed": 2, "refused": 1}),
        ("role", {"server": 1, "user": 2}),
        ("hour", {"2026-07-01T00:00:00Z": 1, "2026-07-01T23:00:00Z": 1, "2026-07-31T23:00:00Z": 1}),
        ("day", {"2026-07-01": 2, "2026-07-31": 1}),
        ("month", {"2026-07": 3}),
        ("provider", {None: 1, "local": 1, "openai": 2}),
        ("provider_model", {None: 1, "gpt-5-mini": 2, "smol": 1}),
        ("purpose", {None: 1, "fallback": 1, "first": 2}),
    ],
)
async def test_turns_are_told_apart_by_each_dimension(
    database: Database, dimension: str, expected: dict[str | None, int]
) -> None:
    await keep(
        database,
        [
            a_turn("t1"),
            a_turn("t2", caller="server", person=None, tier=None, started_at_ms=JULY_MS + DAY_MS - 1),
            a_turn("t3", feature="drafts", model=None, status="refused", started_at_ms=AUGUST_MS - 1),
        ],
        [
            an_attempt("t1", status="failed"),
            an_attempt("t1", number=2, provider="local", model="smol", purpose="fallback"),
            an_attempt("t2"),
        ],
    )

    assert await groups_of(database, "turns", group_by=(dimension,)) == expected
    assert list(await groups_of(database, "turns", group_by=(dimension,))) == list(expected)
    assert told((await report_of(database, group_by=(dimension,))).totals)["turns"] == 3


async def test_a_turn_counts_once_in_each_provider_that_it_tried(database: Database) -> None:
    await keep(
        database,
        [a_turn("t1"), a_turn("t2")],
        [
            an_attempt("t1", provider="a", model="x"),
            an_attempt("t1", number=2, provider="b", model="x", purpose="fallback"),
            an_attempt("t1", number=3, provider="b", model="y", purpose="retry"),
            an_attempt("t2", provider="b", model="y"),
        ],
    )

    assert await groups_of(database, "turns", group_by=("provider",)) == {"a": 1, "b": 2}
    assert await groups_of(database, "attempts", group_by=("provider",)) == {"a": 1, "b": 3}
    by_purpose = await report_of(database, group_by=("purpose", "provider"))
    assert [(names, told(sums)["attempts"]) for names, sums in by_purpose.groups] == [
        (("fallback", "b"), 1),
        (("first", "a"), 1),
        (("first", "b"), 1),
        (("retry", "b"), 1),
    ]
    assert told(by_purpose.totals)["turns"] == 2
    narrowed = await report_of(database, group_by=("provider_model",), only={"provider": "b"})
    assert [(names, told(sums)["turns"]) for names, sums in narrowed.groups] == [(("x",), 1), (("y",), 2)]
    assert told(narrowed.totals)["turns"] == 2


async def test_attempts_belong_to_the_time_at_which_their_turn_began(database: Database) -> None:
    """As budgets count them: a turn that began in a month is spent from that month."""
    await keep(
        database,
        [a_turn("t1", started_at_ms=AUGUST_MS - 1)],
        [an_attempt("t1", started_at_ms=AUGUST_MS + 5_000, cost_micros=9)],
    )

    assert await groups_of(database, "cost_usd", **ALL, group_by=("month",)) == {"2026-07": 0.000009}


async def test_a_range_has_its_beginning_and_not_its_end(database: Database) -> None:
    await keep(
        database, [a_turn(f"t{ms}", started_at_ms=ms) for ms in (JULY_MS - 1, JULY_MS, AUGUST_MS - 1, AUGUST_MS)]
    )

    assert told((await report_of(database)).totals)["turns"] == 2


async def test_each_tenant_sees_its_own(database: Database) -> None:
    """Ids of turns may be equal."""
    await keep(
        database,
        [a_turn("t1"), a_turn("t1", tenant="acme", person="u2")],
        [an_attempt("t1", cost_micros=1), an_attempt("t1", tenant="acme", cost_micros=2, provider="b")],
    )

    for group_by in (("user", "provider"), ()):
        ours, theirs = [await report_of(database, tenant, group_by=group_by) for tenant in ("default", "acme")]
        assert [told(each.totals)["cost_usd"] for each in (ours, theirs)] == [0.000001, 0.000002]
    assert [names for names, _ in (await report_of(database, "acme", group_by=("user", "provider"))).groups] == [
        ("u2", "b")
    ]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ({"user": "u2"}, 2),
        ({"feature": "drafts"}, 2),
        ({"model": "best"}, 2),
        ({"provider": "b"}, 2),
        ({"tier": "paid"}, 2),
        ({"status": "failed"}, 2),
        ({"user": "u2", "status": "completed"}, 0),
        ({"user": "u2", "provider": "b", "tier": "paid"}, 2),
        ({"user": "'; drop table turn; --"}, 0),
    ],
)
async def test_a_report_is_narrowed_to_what_was_named(database: Database, only: dict[str, str], expected: int) -> None:
    another = {"person": "u2", "feature": "drafts", "model": "best", "tier": "paid", "status": "failed"}
    await keep(
        database,
        [a_turn("t1"), a_turn("t2", **another)],
        [an_attempt("t1", cost_micros=1), an_attempt("t2", cost_micros=2, provider="b")],
    )

    assert told((await report_of(database, only=only)).totals)["cost_usd"] == usd(expected)


async def test_nonsense_of_a_provider_costs_no_report(database: Database) -> None:
    """Rows keep as much as a column holds; two of them are more than a sum holds."""
    most = 2**63 - 1
    await keep(
        database,
        [a_turn("t1"), a_turn("t2")],
        [an_attempt(turn, input_tokens=most, output_tokens=5, cost_micros=most) for turn in ("t1", "t2")],
    )

    totals = told((await report_of(database)).totals)

    assert (totals["input_tokens"], totals["output_tokens"], totals["cost_usd"]) == (2 * 10**12, 10, 2_000_000.0)


# --- sums ---------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "b", "ü", "Ω", "A", "", "-1"])
_COUNTS = st.none() | st.integers(0, 10**9)
_ATTEMPTS = st.fixed_dictionaries(
    {
        "provider": _NAMES,
        "model": _NAMES,
        "purpose": st.sampled_from(["first", "retry", "fallback", "hedge", "shadow"]),
        "status": st.sampled_from(["completed", "failed", "abandoned", "running"]),
        "cost_micros": _COUNTS,
        "cost_source": st.none() | st.sampled_from(SOURCES),
        **dict.fromkeys(TOKENS, _COUNTS),
    }
)
_TURNS = st.fixed_dictionaries(
    {
        "caller": st.sampled_from(["user", "server", "operator"]),
        "person": st.none() | _NAMES,
        "feature": st.none() | _NAMES,
        "tier": st.none() | _NAMES,
        "model": st.none() | _NAMES,
        "status": st.sampled_from(["completed", "failed", "refused", "running"]),
        "started_at_ms": st.integers(JULY_MS - 100 * DAY_MS, JULY_MS + 40 * DAY_MS),
    }
)
_MONTHS = st.lists(st.tuples(_TURNS, st.lists(_ATTEMPTS, max_size=3)), max_size=12)


@pytest.fixture
async def both(sqlite_url: str, postgresql_url: str) -> AsyncIterator[list[Database]]:
    opened = [await open_database(url) for url in (sqlite_url, postgresql_url)]
    yield opened
    for each in opened:
        await each.close()


async def test_groups_add_up_to_the_totals_and_both_engines_say_the_same(both: list[Database]) -> None:
    """Of whatever rows, by whatever dimensions; against sums that are made here, by hand."""
    loop = asyncio.get_running_loop()
    number = 0

    async def check(rows: list[tuple[dict[str, Any], list[dict[str, Any]]]], group_by: tuple[str, ...]) -> None:
        nonlocal number
        number += 1
        tenant = f"tenant{number}"
        turns = [a_turn(f"t{place}", tenant=tenant, **values) for place, (values, _) in enumerate(rows)]
        attempts = [
            an_attempt(f"t{place}", tenant=tenant, number=count, **values)
            for place, (_, tried) in enumerate(rows)
            for count, values in enumerate(tried, 1)
        ]
        reports: list[Report] = []
        for database in both:
            await keep(database, turns, attempts)
            reports.append(await report_of(database, tenant, **ALL, group_by=group_by))

        assert reports[0] == reports[1]
        by_hand = _by_hand(turns, attempts, group_by)
        assert [(names, told(sums)) for names, sums in reports[0].groups] == sorted(by_hand.items(), key=_order)
        totals = told(reports[0].totals)
        for measure in MEASURES[1:]:
            exact = sum(round(group[measure] * 10**6) for group in by_hand.values())
            assert round(totals[measure] * 10**6) == exact, measure
        assert totals["turns"] == len(turns)
        assert round(totals["cost_usd"] * 10**6) == sum(each["cost_micros"] or 0 for each in attempts)

    @settings(
        max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(rows=_MONTHS, group_by=st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True).map(tuple))
    def cases(rows: Any, group_by: Any) -> None:
        asyncio.run_coroutine_threadsafe(check(rows, group_by), loop).result(60)

    await asyncio.to_thread(cases)
    assert number >= 40


def _by_hand(turns: list[dict[str, Any]], attempts: list[dict[str, Any]], group_by: tuple[str, ...]) -> dict[Any, Any]:
    """The same sums by the plainest way there is: a row of every turn and attempt, and a set of ids a group."""
    members: dict[Any, list[tuple[str, dict[str, Any] | None]]] = {}
    for turn in turns:
        for attempt in [each for each in attempts if each["turn"] == turn["id"]] or [None]:
            names = tuple(_value(name, turn, attempt) for name in group_by)
            members.setdefault(names, []).append((turn["id"], attempt))
    return {names: _measures(rows) for names, rows in members.items()}


def _measures(rows: list[tuple[str, dict[str, Any] | None]]) -> dict[str, Any]:
    tried = [attempt for _, attempt in rows if attempt is not None]
    found: dict[str, Any] = {
        "turns": len({turn for turn, _ in rows}),
        "attempts": len(tried),
        "failed_attempts": len([each for each in tried if each["status"] in ("failed", "abandoned")]),
        "unpriced_attempts": len([e for e in tried if e["status"] != "running" and e["cost_micros"] is None]),
        **{name: sum(each[name] or 0 for each in tried) for name in TOKENS},
    }
    found["plain_input_tokens"] = found["input_tokens"] - sum(found[part] for part in INPUT_PARTS)
    found["plain_output_tokens"] = found["output_tokens"] - sum(found[part] for part in OUTPUT_PARTS)
    found["cost_usd"] = usd(sum(each["cost_micros"] or 0 for each in tried))
    for source in SOURCES:
        costs = [each["cost_micros"] or 0 for each in tried if each["cost_source"] == source]
        found[f"{source}_cost_usd"] = usd(sum(costs))
    return found


def _value(dimension: str, turn: dict[str, Any], attempt: dict[str, Any] | None) -> str | None:
    began = datetime.fromtimestamp(turn["started_at_ms"] / 1000, UTC)
    match dimension:
        case "user":
            return turn["person"]
        case "role":
            return turn["caller"]
        case "hour":
            return began.strftime("%Y-%m-%dT%H:00:00Z")
        case "day":
            return began.strftime("%Y-%m-%d")
        case "month":
            return began.strftime("%Y-%m")
        case "provider":
            return None if attempt is None else attempt["provider"]
        case "provider_model":
            return None if attempt is None else attempt["model"]
        case "purpose":
            return None if attempt is None else attempt["purpose"]
        case _:
            return turn[dimension]


def _order(group: tuple[tuple[str | None, ...], Any]) -> Any:
    return [(name is not None, name or "") for name in group[0]]


# --- how much -----------------------------------------------------------------------------------


async def test_more_groups_than_may_be_are_refused_with_what_helps(database: Database) -> None:
    await keep(database, [a_turn(f"t{number}", person=f"u{number}") for number in range(6)])
    reports = Reports(database, HandClock(), ReportLimits(most_groups=5))

    with pytest.raises(BadRequest, match="Grouped by user, this has more than 5 groups") as caught:
        await reports.make("default", Question(**JULY, group_by=("user",)))

    assert (caught.value.code, caught.value.param) == ("too_many_groups", "group_by")
    narrowed = await reports.make("default", Question(**JULY, group_by=("user",), only={"user": "u3"}))
    assert [names for names, _ in narrowed.groups] == [("u3",)]


class ReadingDatabase:
    """Notes the range of each read, and how long the clock says that it took."""

    def __init__(self, database: Database, clock: HandClock, seconds_an_hour: float) -> None:
        self._database = database
        self._clock = clock
        self._seconds_an_hour = seconds_an_hour
        self.ranges: list[tuple[int, int]] = []

    async def read(self, query: Query, parameters: Parameters) -> list[Row]:
        since, until = parameters["from_ms"], parameters["to_ms"]
        assert isinstance(since, int)
        assert isinstance(until, int)
        self.ranges.append((since, until))
        self._clock.move((until - since) / HOUR_MS * self._seconds_an_hour)
        return await self._database.read(query, parameters)


@pytest.mark.parametrize(("seconds_an_hour", "most_hours"), [(0.0, 31 * 24), (0.001, 64), (0.01, 8), (0.2, 1)])
async def test_a_piece_covers_as_much_time_as_is_quick_to_read(
    database: Database, seconds_an_hour: float, most_hours: int
) -> None:
    """Who reads a row meanwhile waits for one piece; and a piece is never of two months."""
    clock = HandClock()
    reading: Any = ReadingDatabase(database, clock, seconds_an_hour)

    await Reports(reading, clock).make("default", Question(JULY_MS - 40 * DAY_MS, AUGUST_MS + DAY_MS, ("month",)))

    assert (reading.ranges[0][0], reading.ranges[-1][1]) == (JULY_MS - 40 * DAY_MS, AUGUST_MS + DAY_MS)
    assert [until for _, until in reading.ranges[:-1]] == [since for since, _ in reading.ranges[1:]]
    longest = max(until - since for since, until in reading.ranges)
    assert longest / HOUR_MS <= most_hours
    months = {(1, 0)} | {(since // JULY_MS, since // AUGUST_MS) for since, _ in reading.ranges}
    assert months == {(0, 0), (1, 0), (1, 1)}
    for since, until in reading.ranges:
        assert not since < JULY_MS < until
        assert not since < AUGUST_MS < until


class StuckDatabase:
    """Never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self, _query: Query, _parameters: Parameters) -> list[Row]:
        self.asked += 1
        return await asyncio.get_running_loop().create_future()


async def test_a_report_that_takes_too_long_ends_in_words() -> None:
    stuck: Any = StuckDatabase()
    reports = Reports(stuck, HandClock(), ReportLimits(timeout_s=0.05))

    one_person: dict[Narrowing, str] = {"user": "u1"}
    for only in ({}, one_person):
        with pytest.raises(Unavailable, match=r"longer than 0\.05 s\. Ask for a shorter range") as caught:
            await reports.make("default", Question(**JULY, only=only))
        assert (caught.value.code, caught.value.status) == ("report_too_slow", 503)


async def test_one_report_is_read_at_a_time_and_a_persons_beside_it() -> None:
    stuck: Any = StuckDatabase()
    reports = Reports(stuck, HandClock(), ReportLimits(timeout_s=30))
    asked = [Question(**JULY), Question(**JULY), Question(**JULY, only={"user": "u1"})]

    waiting = [asyncio.ensure_future(reports.make("default", each)) for each in asked]
    for _ in range(10):
        await asyncio.sleep(0)

    assert stuck.asked == 2
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
