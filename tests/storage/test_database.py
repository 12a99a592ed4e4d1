"""What holds on both engines."""

from __future__ import annotations

import asyncio
import logging

import pytest
import sqlalchemy as sa

from frontdesk.storage.database import Database, StorageLimits, open_database
from frontdesk.storage.errors import ConstraintViolated, StatementFailed, StorageClosed, StorageFailed
from frontdesk.storage.lanes import Lane
from frontdesk.storage.query import Query, Step
from tests.storage.notes import ADD, ADD_RETURNING, APPEND, COUNT, CREATE, LIST, PUT, SET, note
from tests.storage.notes import notes as notes_table


async def test_a_write_is_read_back(notes: Database):
    assert await notes.write(Step(ADD, note(1, "one"))) == [[]]

    assert await notes.read(LIST) == [(1, "one")]


async def test_a_write_returns_the_rows_of_each_step_in_order(notes: Database):
    results = await notes.write(
        Step(ADD_RETURNING, note(1, "one")),
        Step(ADD, [note(2, "two"), note(3, "three")]),
        Step(SET, {"of_id": 2, "new_text": "zwei"}),
        Step(COUNT),
    )

    assert results == [[(1, "one")], [], [(2,)], [(3,)]]


async def test_a_read_takes_values_by_name(notes: Database):
    find = Query(sa.select(notes_table.c.text).where(notes_table.c.id == sa.bindparam("wanted")))
    await notes.write(Step(ADD, [note(1, "one"), note(2, "two")]))

    assert await notes.read(find, {"wanted": 2}) == [("two",)]


async def test_nothing_of_a_failed_write_is_stored(notes: Database):
    with pytest.raises(ConstraintViolated):
        await notes.write(Step(ADD, note(1, "one")), Step(ADD, [note(2, "two"), note(3, "forbidden")]))

    assert await notes.read(LIST) == []


async def test_a_failed_write_does_not_take_its_neighbours_down(notes: Database):
    good = [notes.write(Step(ADD, note(n, "good")), Step(ADD, note(-n, "good"))) for n in range(1, 20)]
    bad = [notes.write(Step(ADD, note(n + 100, "half")), Step(ADD, note(n, "forbidden"))) for n in range(100, 110)]
    single = [notes.write(Step(ADD, note(n, "forbidden"))) for n in range(300, 305)]

    outcomes = await asyncio.gather(*good, *bad, *single, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [list] * 19 + [ConstraintViolated] * 15
    assert await notes.read(LIST) == [(n, "good") for n in range(-19, 20) if n]


async def test_a_value_that_an_engine_cannot_hold_fails_its_statement(notes: Database):
    with pytest.raises(StatementFailed):
        await notes.write(Step(ADD, note(2**70, "too large")))

    await notes.write(Step(ADD, note(1, "one")))
    assert await notes.read(LIST) == [(1, "one")]


async def test_a_wrong_statement_fails_alone(notes: Database):
    wrong = Query(sa.text("INSERT INTO nowhere VALUES (1)"))

    with pytest.raises(StatementFailed):
        await notes.write(Step(ADD, note(1, "one")), Step(wrong))
    with pytest.raises(StatementFailed):
        await notes.read(Query(sa.text("SELECT 1 FROM nowhere")))

    assert await notes.read(COUNT) == [(0,)]
    assert notes.failure is None


async def test_a_missing_value_is_named(notes: Database):
    with pytest.raises(KeyError, match="text"):
        await notes.write(Step(ADD, {"id": 1}))
    with pytest.raises(KeyError, match="text"):
        notes.enqueue(Step(ADD, {"id": 1}))


async def test_messages_of_errors_hold_no_values(notes: Database, caplog: pytest.LogCaptureFixture):
    await notes.write(Step(ADD, note(4711, "private")))

    with pytest.raises(ConstraintViolated) as raised:
        await notes.write(Step(ADD, note(4711, "private")))
    notes.enqueue(Step(ADD, note(4711, "private")))
    await notes.flush()

    said = str(raised.value) + caplog.text
    assert "4711" not in said
    assert "private" not in said


async def test_a_cancelled_waiter_does_not_cancel_its_write(notes: Database):
    writing = asyncio.create_task(notes.write(Step(ADD, note(1, "one")), Step(ADD, note(2, "two"))))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    notes.enqueue(Step(COUNT), lane=Lane.MONEY)
    await notes.flush()

    assert await notes.read(COUNT) == [(2,)]


async def test_what_is_enqueued_comes_after_the_writes_before_it(notes: Database):
    """A cancelled reservation enqueues its release behind itself."""
    writing = asyncio.create_task(notes.write(Step(ADD, note(1, "held")), Step(COUNT)))
    await asyncio.sleep(0)
    writing.cancel()
    notes.enqueue(Step(SET, {"of_id": 1, "new_text": "released"}), lane=Lane.MONEY)
    await notes.flush()

    assert await notes.read(LIST) == [(1, "released")]


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_lane_keeps_its_order(notes: Database, lane: Lane):
    notes.enqueue(Step(ADD, note(1, "")), lane=lane)
    for number in range(100):
        notes.enqueue(Step(APPEND, {"of_id": 1, "more": f"{number} "}), lane=lane)
        if number % 17 == 0:
            await asyncio.sleep(0)
    await notes.flush()

    assert await notes.read(LIST) == [(1, "".join(f"{number} " for number in range(100)))]


async def test_enqueued_writes_that_fail_are_counted_and_logged_and_lost_alone(
    notes: Database, caplog: pytest.LogCaptureFixture
):
    for number in range(10):
        text = "forbidden" if number == 5 else "good"
        notes.enqueue(Step(ADD, note(number, "first")), Step(ADD, note(number + 100, text)))
    await notes.flush()

    expected = [number for number in range(10) if number != 5]
    assert [row[0] for row in await notes.read(LIST)] == expected + [number + 100 for number in expected]
    assert notes.lost_writes == 1
    assert caplog.text.count("enqueued_writes_lost entries=1") == 1


async def test_rows_that_have_nothing_to_do_with_each_other_are_lost_alone(notes: Database):
    texts = ["good", "forbidden", "good", "good", "forbidden"]
    notes.enqueue_rows(ADD, [note(number, text) for number, text in enumerate(texts)])
    await notes.flush()

    assert await notes.read(LIST) == [(0, "good"), (2, "good"), (3, "good")]
    assert notes.lost_writes == 2


async def test_many_enqueued_rows_are_all_written(notes: Database):
    for number in range(0, 3_000, 3):
        notes.enqueue(Step(ADD, [note(number + n, "x") for n in range(3)]), lane=Lane(number % 3))
    await notes.flush()

    assert await notes.read(COUNT) == [(3_000,)]


async def test_closing_writes_what_was_enqueued(database_url: str):
    first = await open_database(database_url)
    await first.write(Step(CREATE))
    for number in range(500):
        first.enqueue(Step(ADD, note(number, "kept")), lane=Lane(number % 3))
    await first.close()
    second = await open_database(database_url)

    assert await second.read(COUNT) == [(500,)]
    await second.close()


async def test_a_closed_database_refuses_and_counts(notes: Database, caplog: pytest.LogCaptureFixture):
    await notes.close()
    await notes.close()

    with pytest.raises(StorageClosed):
        await notes.write(Step(ADD, note(1, "late")))
    with pytest.raises(StorageClosed):
        await notes.read(LIST)
    notes.enqueue(Step(ADD, note(1, "late")))

    assert notes.lost_writes == 1
    assert "enqueued_writes_lost" in caplog.text


async def test_only_the_bulk_lane_drops(database_url: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.ERROR)
    database = await open_database(database_url, StorageLimits(bulk_queue_rows=10))
    await database.write(Step(CREATE))
    for number in range(30):
        for lane in Lane:
            database.enqueue(Step(ADD, note(number * 3 + lane, lane.name)), lane=lane)
    await database.flush()
    texts = [row[1] for row in await database.read(LIST)]

    assert {lane: texts.count(lane.name) for lane in Lane} == {Lane.MONEY: 30, Lane.EVENTS: 30, Lane.BULK: 10}
    assert database.dropped_writes == 20
    assert database.lost_writes == 0
    await database.close()


async def test_an_upsert_is_the_same_on_both(notes: Database):
    await notes.write(Step(PUT, note(1, "one")), Step(PUT, [note(1, "uno"), note(2, "two")]))

    assert await notes.read(LIST) == [(1, "uno"), (2, "two")]


async def test_many_readers_and_writers_at_once(notes: Database):
    async def work(number: int) -> None:
        await notes.write(Step(ADD, note(number, "x")))
        rows = await notes.read(LIST)
        assert (number, "x") in rows

    await asyncio.gather(*(work(number) for number in range(100)))


@pytest.mark.parametrize("url", ["mysql://x", "frontdesk.db", "sqlite://", "sqlite:///", "sqlite:///:memory:"])
async def test_an_address_that_names_no_database_is_refused(url: str):
    with pytest.raises(StorageFailed):
        await open_database(url)
