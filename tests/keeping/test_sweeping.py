"""What is kept no longer goes, with all that hangs on it, and nothing else does. On both engines."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import select

from frontdesk.core import config
from frontdesk.core.clock import unix_ms
from frontdesk.core.periods import window_start_ms
from frontdesk.keeping.store import sweeping
from frontdesk.keeping.sweeping import Sweeper
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import (
    alert,
    attempt,
    budget_window,
    conversation,
    conversation_branch,
    conversation_item,
    feedback,
    idempotency_key,
    response,
    response_event,
    response_text,
    turn,
)
from tests.accounts.opened import CountingDatabase
from tests.fakes import HandClock

DAY_S = 86_400
DAY_MS = DAY_S * 1000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def now_ms(clock: HandClock) -> int:
    return unix_ms(clock)


def sweeper(database: Database, clock: HandClock, **settings: Any) -> Sweeper:
    return Sweeper(database, clock, config.Retention(**{"responses_days": None, **settings}))


# --- rows ---------------------------------------------------------------------------------------


def row_of(table: sa.Table, **values: object) -> dict[str, object]:
    """A row with something in every column that must have it."""
    kinds: list[tuple[type, Any]] = [(sa.Boolean, True), (sa.Integer, 1), (sa.LargeBinary, b"x")]
    filled = {
        column.name: None
        if column.nullable
        else next((value for kind, value in kinds if isinstance(column.type, kind)), "x")
        for column in table.c
    }
    return {**filled, "tenant": "default", **values}


async def add(database: Database, table: sa.Table, rows: Iterable[dict[str, object]]) -> None:
    await database.write(Step(Query(insert(table)), [row_of(table, **row) for row in rows]))


async def rows(database: Database, *columns: sa.Column[Any]) -> list[Any]:
    """What is there in these columns, in order; of one column, its values."""
    found = await database.read(Query(select(*columns).order_by(*columns)))
    return [row[0] for row in found] if len(columns) == 1 else found


async def add_responses(
    database: Database, *ids: str, events: int = 3, tenant: str = "default", **values: object
) -> None:
    """Responses that have ended, with two texts and some events each."""
    told = {"finished_at_ms": 1, "is_stored": True, **values}
    await add(database, response, [{"tenant": tenant, "id": each, **told} for each in ids])
    of_each = [{"tenant": tenant, "response": each} for each in ids]
    await add(database, response_text, [{**of, "part": part} for of in of_each for part in ("asked", "answer")])
    await add(database, response_event, [{**of, "first": first} for of in of_each for first in range(events)])


async def add_conversations(database: Database, *ids: str, items: int = 3, **values: object) -> None:
    """Conversations of two branches, with so many items in each."""
    await add(database, conversation, [{"id": each, "changed_at_ms": 1, **values} for each in ids])
    branches = [{"conversation": each, "number": number} for each in ids for number in range(2)]
    await add(database, conversation_branch, branches)
    places = [
        {"conversation": each["conversation"], "branch": each["number"], "position": position}
        for each in branches
        for position in range(items)
    ]
    named = [{**each, "id": f"msg_{each['branch']}_{each['position']}"} for each in places]
    await add(database, conversation_item, named)


async def parts_of_responses(database: Database) -> list[tuple[str, int, int]]:
    """The ids of responses, or of what is there of one, and how many texts and events there are of each."""
    there: dict[str, list[int]] = {each: [0, 0] for each in await rows(database, response.c.id)}
    for place, table in enumerate((response_text, response_event)):
        for each in await rows(database, table.c.response):
            there.setdefault(each, [0, 0])[place] += 1
    return [(each, *parts) for each, parts in sorted(there.items())]  # type: ignore[misc]


# --- responses ----------------------------------------------------------------------------------


async def test_a_response_goes_at_its_time_with_all_that_hangs_on_it(
    database: Database, clock: HandClock, now_ms: int
) -> None:
    await add_responses(database, "a", expires_at_ms=now_ms + 1_000, events_until_ms=now_ms - 5)
    await add_responses(database, "b", expires_at_ms=now_ms + 2_000, events_until_ms=now_ms + 2_000)
    await add_responses(database, "c", expires_at_ms=None, events_until_ms=None)
    sweep = sweeper(database, clock).sweep

    assert await sweep() == 1  # the events of one
    assert await parts_of_responses(database) == [("a", 2, 0), ("b", 2, 3), ("c", 2, 3)]

    clock.move(1)
    assert await sweep() == 1
    assert await parts_of_responses(database) == [("b", 2, 3), ("c", 2, 3)]

    clock.move(1)
    assert await sweep() == 2
    assert await sweep() == 0
    assert await parts_of_responses(database) == [("c", 2, 3)]


async def test_a_response_goes_though_its_events_could_stay(database: Database, clock: HandClock, now_ms: int) -> None:
    await add_responses(database, "a", events=450, expires_at_ms=now_ms, events_until_ms=now_ms + DAY_MS)
    await add_responses(database, "b", events=2, expires_at_ms=now_ms, events_until_ms=None)

    await sweeper(database, clock).sweep()

    assert await parts_of_responses(database) == []


async def test_a_response_under_way_stays_whatever_its_row_says(
    database: Database, clock: HandClock, now_ms: int
) -> None:
    await add_responses(database, "a", finished_at_ms=None, expires_at_ms=now_ms, events_until_ms=now_ms)

    assert await sweeper(database, clock).sweep() == 0

    assert await parts_of_responses(database) == [("a", 2, 3)]


async def test_all_that_is_over_goes_at_once_whosever_it_is(database: Database, clock: HandClock, now_ms: int) -> None:
    for tenant in ("default", "other", "third"):
        ids = [f"{tenant}{number:03}" for number in range(120)]
        over = {"expires_at_ms": now_ms, "events_until_ms": now_ms}
        await add_responses(database, *ids, tenant=tenant, events=5, **over)
    await add_responses(
        database, "stays", tenant="other", events=1, expires_at_ms=now_ms + 1, events_until_ms=now_ms + 1
    )

    await sweeper(database, clock).sweep()

    assert await parts_of_responses(database) == [("stays", 2, 1)]
    assert await rows(database, response.c.tenant) == ["other"]


async def test_namesakes_of_other_tenants_stay(database: Database, clock: HandClock, now_ms: int) -> None:
    await add_responses(database, "a", expires_at_ms=now_ms, events_until_ms=now_ms)
    await add_responses(database, "a", tenant="other", expires_at_ms=now_ms + 1, events_until_ms=now_ms + 1)

    await sweeper(database, clock).sweep()

    assert await parts_of_responses(database) == [("a", 2, 3)]
    for table in (response, response_text, response_event):
        assert set(await rows(database, table.c.tenant)) == {"other"}


# --- keys, conversations ------------------------------------------------------------------------


async def test_keys_go_at_their_time(database: Database, clock: HandClock, now_ms: int) -> None:
    ended = [{"key": f"a{number}", "expires_at_ms": now_ms} for number in range(600)]
    await add(database, idempotency_key, [*ended, {"key": "b", "expires_at_ms": now_ms + 1}])

    assert await sweeper(database, clock).sweep() == 600

    assert await rows(database, idempotency_key.c.key) == ["b"]


async def test_a_conversation_goes_with_its_items_and_branches(
    database: Database, clock: HandClock, now_ms: int
) -> None:
    await add_conversations(database, "a", "b", items=150, expires_at_ms=now_ms)
    await add_conversations(database, "c", "d", expires_at_ms=now_ms + 1)
    await add_conversations(database, "e", expires_at_ms=None)
    await add_conversations(database, *(f"small{number:03}" for number in range(90)), items=1, expires_at_ms=now_ms)

    assert await sweeper(database, clock).sweep() >= 92

    for column in (conversation.c.id, conversation_branch.c.conversation, conversation_item.c.conversation):
        assert sorted(set(await rows(database, column))) == ["c", "d", "e"]
    assert len(await rows(database, conversation_item.c.id)) == 18


async def test_a_conversation_stays_while_a_response_is_made_in_it(
    database: Database, clock: HandClock, now_ms: int
) -> None:
    await add_responses(database, "now", finished_at_ms=None)
    await add_responses(database, "before")
    await add_conversations(database, "a", expires_at_ms=now_ms, response="now")
    await add_conversations(database, "b", expires_at_ms=now_ms, response="before")
    await add_conversations(database, "c", expires_at_ms=now_ms, response="deleted")

    await sweeper(database, clock).sweep()

    assert await rows(database, conversation.c.id) == ["a"]
    assert set(await rows(database, conversation_item.c.conversation)) == {"a"}


# --- what was stored under another configuration --------------------------------------------------


async def test_what_was_kept_for_longer_is_shortened_once_and_never_lengthened(
    database: Database, clock: HandClock, now_ms: int
) -> None:
    ended = {"finished_at_ms": now_ms - 5 * DAY_MS, "events_until_ms": None}
    for name, expires_at_ms in (("ever", None), ("long", now_ms + DAY_MS), ("short", now_ms + 1)):
        await add_responses(database, f"old {name}", **{**ended, "expires_at_ms": expires_at_ms})
        await add_responses(
            database, f"new {name}", **{**ended, "finished_at_ms": now_ms, "expires_at_ms": expires_at_ms}
        )
    await add_responses(database, "under way", **{**ended, "finished_at_ms": None, "expires_at_ms": None})
    await add_responses(database, "of a key", **{**ended, "is_stored": False, "expires_at_ms": now_ms + DAY_MS})
    await add_conversations(database, "old", expires_at_ms=None, changed_at_ms=now_ms - 5 * DAY_MS)
    await add_conversations(database, "used", expires_at_ms=None, changed_at_ms=now_ms)
    swept = sweeper(database, clock, responses_days=4, conversations_days=5)

    await swept.sweep()

    assert await rows(database, response.c.id, response.c.expires_at_ms) == [
        ("new ever", now_ms + 4 * DAY_MS),
        ("new long", now_ms + DAY_MS),
        ("new short", now_ms + 1),
        ("of a key", now_ms + DAY_MS),
        ("under way", None),
    ]
    assert await rows(database, conversation.c.id, conversation.c.expires_at_ms) == [("used", now_ms + 5 * DAY_MS)]
    await add_responses(database, "later", **{**ended, "expires_at_ms": None})
    await swept.sweep()
    assert "later" in await rows(database, response.c.id)


async def add_feedback(database: Database, *ids: str, **values: object) -> None:
    await add(database, feedback, [{"id": each, "response": each, "changed_at_ms": 1, **values} for each in ids])


async def test_feedback_goes_at_its_time(database: Database, clock: HandClock, now_ms: int) -> None:
    await add_feedback(database, *(f"over {number:03}" for number in range(300)), expires_at_ms=now_ms)
    await add_feedback(database, "later", expires_at_ms=now_ms + 1)
    await add_feedback(database, "never", expires_at_ms=None)

    assert await sweeper(database, clock).sweep() == 300
    assert await rows(database, feedback.c.id) == ["later", "never"]


@pytest.mark.parametrize("text", ["comment", "correction"])
async def test_feedback_with_texts_is_shortened_as_conversations_are(
    database: Database, clock: HandClock, now_ms: int, text: str
) -> None:
    """A rating alone says no more than the row of its turn."""
    await add_feedback(database, "new", expires_at_ms=None, changed_at_ms=now_ms, **{text: "No."})
    await add_feedback(database, "old", expires_at_ms=None, changed_at_ms=now_ms - 5 * DAY_MS, **{text: "No."})
    await add_feedback(database, "rating", expires_at_ms=None)
    await add_feedback(database, "short", expires_at_ms=now_ms + 1, changed_at_ms=now_ms, **{text: "No."})

    await sweeper(database, clock, conversations_days=5).sweep()

    assert await rows(database, feedback.c.id, feedback.c.expires_at_ms) == [
        ("new", now_ms + 5 * DAY_MS),
        ("rating", None),
        ("short", now_ms + 1),
    ]


async def test_feedback_whose_texts_are_taken_out_meanwhile_is_not_shortened(database: Database, now_ms: int) -> None:
    await add_feedback(database, "said anew", expires_at_ms=None, changed_at_ms=now_ms, comment="No.")
    counting: Any = CountingDatabase(database)
    counting.meanwhile = lambda: database.write(Step(Query(sa.update(feedback).values(comment=None))))

    await sweeping.SweepStore(counting).shorten_feedback(0, None)

    assert await rows(database, feedback.c.expires_at_ms) == [None]


async def test_nothing_is_shortened_below_the_time_of_keys(database: Database, clock: HandClock, now_ms: int) -> None:
    """A repeated request is told what came of the first."""
    for name, age_ms in (("old", 7_200_000), ("new", 7_199_999)):
        await add_responses(database, name, finished_at_ms=now_ms - age_ms, events_until_ms=None, expires_at_ms=None)

    await sweeper(database, clock, responses_days=0, keys_hours=2).sweep()

    assert await rows(database, response.c.id, response.c.expires_at_ms) == [("new", now_ms + 1)]


async def test_more_than_a_page_is_shortened(sqlite_url: str, clock: HandClock, now_ms: int) -> None:
    database = await open_database(sqlite_url)
    ids = [{"id": f"resp_{number:05}", "finished_at_ms": now_ms, "is_stored": True} for number in range(2_500)]
    await add(database, response, ids)

    await sweeper(database, clock, responses_days=3).sweep()

    assert set(await rows(database, response.c.expires_at_ms)) == {now_ms + 3 * DAY_MS}
    await database.close()


# --- turns, windows, alerts ---------------------------------------------------------------------


async def test_turns_go_by_their_age_with_their_attempts(database: Database, clock: HandClock, now_ms: int) -> None:
    before_ms = now_ms - 30 * DAY_MS
    for tenant in ("default", "other"):
        turns = [
            {"id": "old", "started_at_ms": before_ms - 1, "status": "completed"},
            {"id": "young", "started_at_ms": before_ms, "status": "completed"},
            {"id": "running", "started_at_ms": before_ms - 1, "status": "running"},
            *({"id": f"old{n:03}", "started_at_ms": n, "status": "failed"} for n in range(600)),
        ]
        await add(database, turn, [{"tenant": tenant, **each} for each in turns])
        attempts = [{"tenant": tenant, "turn": each["id"], "number": n} for each in turns for n in (1, 2)]
        await add(database, attempt, attempts)

    assert await sweeper(database, clock, turns_days=None).sweep() == 0
    assert await sweeper(database, clock, turns_days=30).sweep() == 2 * 601

    left = [(tenant, each) for tenant in ("default", "other") for each in ("running", "young")]
    assert await rows(database, turn.c.tenant, turn.c.id) == left
    assert await rows(database, attempt.c.tenant, attempt.c.turn) == sorted(left * 2)


async def test_windows_and_alerts_go_once_they_are_over_for_long(
    database: Database, clock: HandClock, now_ms: int
) -> None:
    """One that runs stays, however long it does: it would be told again, and counted anew."""
    today_ms, month_ms = window_start_ms("day", now_ms), window_start_ms("month", now_ms)
    last_month_ms = window_start_ms("month", month_ms - 1)
    windows = [
        ("total", 0, 0),
        ("month", month_ms, 0),
        ("day", today_ms, 0),
        ("day", today_ms - DAY_MS, 0),
        ("day", today_ms - 2 * DAY_MS, 0),  # ended a day before midnight
        ("day", today_ms - 3 * DAY_MS, 7),
        ("month", last_month_ms, 0),
    ]
    keys = [{"scope": "app", "period": period, "starts_at_ms": start_ms} for period, start_ms, _ in windows]
    held = [held for *_, held in windows]
    await add(database, budget_window, [{**key, "held_micros": micros} for key, micros in zip(keys, held, strict=True)])
    await add(database, alert, [{**key, "kind": "alert_at"} for key in keys])

    assert await sweeper(database, clock, alerts_days=None).sweep() == 0
    await sweeper(database, clock, alerts_days=1).sweep()

    left = {(period, start) for period, start, _ in windows}
    left -= {("month", last_month_ms), ("day", today_ms - 2 * DAY_MS)}
    assert set(await rows(database, budget_window.c.period, budget_window.c.starts_at_ms)) == left
    told = left - {("day", today_ms - 3 * DAY_MS)}
    assert set(await rows(database, alert.c.period, alert.c.starts_at_ms)) == told


async def test_windows_are_looked_at_some_pages_at_a_time_and_over_again(
    sqlite_url: str, clock: HandClock, now_ms: int
) -> None:
    database = await open_database(sqlite_url)
    today_ms = window_start_ms("day", now_ms)
    of_people = [
        {"scope": f"user:{number:05}", "period": "day", "starts_at_ms": start_ms, "held_micros": 0}
        for number in range(4_000)
        for start_ms in (today_ms, today_ms - 9 * DAY_MS)
    ]
    await add(database, budget_window, of_people)
    swept = sweeper(database, clock, alerts_days=1)

    assert [await swept.sweep() for _ in range(3)] == [2_500, 1_500, 0]

    clock.move(3 * DAY_S)
    assert [await swept.sweep() for _ in range(2)] == [4_000, 0]
    await database.close()


# --- several processes --------------------------------------------------------------------------


async def test_processes_that_sweep_at_once_share_the_work(postgresql_url: str, clock: HandClock, now_ms: int) -> None:
    """None waits for another's locks, and none is in another's way."""
    processes = [await open_database(postgresql_url) for _ in range(3)]
    over: dict[str, Any] = {"expires_at_ms": now_ms, "events_until_ms": now_ms}
    await add_responses(processes[0], *(f"resp_{number:04}" for number in range(500)), **over)
    await add(processes[0], idempotency_key, [{"key": f"k{n}", "expires_at_ms": now_ms} for n in range(3_000)])
    old = [{"id": f"turn{n:04}", "started_at_ms": n, "status": "completed"} for n in range(3_000)]
    await add(processes[0], turn, old)
    await add_conversations(processes[0], *(f"conv_{n:03}" for n in range(200)), items=5, expires_at_ms=now_ms)
    sweepers = [sweeper(each, clock, turns_days=1) for each in processes]

    swept = await asyncio.gather(*(each.sweep() for each in sweepers))

    assert sum(swept) >= 500 + 3_000 + 3_000 + 200
    assert all(swept)
    for table in (response, response_text, response_event, idempotency_key, turn, conversation_item):
        assert await rows(processes[0], table.c.tenant) == []
    for each in processes:
        await each.close()


async def test_what_another_process_has_locked_is_passed_over(
    postgresql_url: str, clock: HandClock, now_ms: int
) -> None:
    database, other = await open_database(postgresql_url), await asyncpg.connect(postgresql_url)
    await add_responses(database, "free", "held", expires_at_ms=now_ms, events_until_ms=None)
    async with other.transaction():
        await other.execute("SELECT id FROM response WHERE id = 'held' FOR UPDATE")

        assert await sweeper(database, clock).sweep() == 1
        assert await rows(database, response.c.id) == ["held"]

    assert await sweeper(database, clock).sweep() == 1
    await other.close()
    await database.close()


# --- plans --------------------------------------------------------------------------------------

QUERIES = {
    **{name: query for name, query in vars(sweeping).items() if isinstance(query, Query)},
    **{f"{name}.behind": pages.behind for name, pages in vars(sweeping).items() if isinstance(pages, sweeping._Pages)},
}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_no_table_is_read_whole_and_nothing_is_sorted(sqlite_template: Path, name: str) -> None:
    connection = sqlite3.connect(sqlite_template)
    sql = QUERIES[name].for_sqlite().sql

    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]

    connection.close()
    assert [
        step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step or step.endswith("(tenant=?)")
    ] == []
    assert any("SEARCH" in step for step in plan)
