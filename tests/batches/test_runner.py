"""Batches to their ends: each line is asked once, whatever becomes of its process, and is told of once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select

from frontdesk.accounts.store import AccountStore
from frontdesk.accounts.store.moves import move_all
from frontdesk.batches.lines import Problem
from frontdesk.batches.routes import told_of
from frontdesk.batches.store import AllBatches, BatchWork, Claim
from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import FrontdeskError
from frontdesk.doors.absent import Answered, Interrupted, Postponed, Unfunded
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.query import Query, Step, insert
from frontdesk.storage.tables import batch, batch_line, person
from frontdesk.turn.events import Usage
from frontdesk.turn.turn import Caller
from tests.batches.desk import SPENT, USER, BatchDesk, batch_desk, line, lines
from tests.fakes import HandClock

OTHER, KEY = Caller("user", "sess_2", "u2"), Caller("server", "key_1")
_LINES = Query(select(func.count()).select_from(batch_line))
_BATCHES = Query(select(func.count()).select_from(batch))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def count(database: Database, query: Query) -> int:
    return (await database.read(query))[0][0]


def errors_of(row: Any) -> list[tuple[str, int | None]]:
    return [(problem["code"], problem["line"]) for problem in told_of(row)["errors"]["data"]]


# --- to the end ---------------------------------------------------------------------------------


async def test_every_line_is_asked_once_and_answered(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        desk.provider.outcomes["l3"] = [Answered(404, "req_1", b'{"error":{}}')]
        desk.provider.outcomes["l5"] = [Interrupted()]

        row = await desk.create(lines(60), metadata={"a": "b"}, output_expires_s=7200)
        row = await desk.until(row, "completed")

        output, errors = await desk.results(row)
        assert output == {f"l{n}": {"said": f"l{n}"} for n in range(1, 61) if n not in (3, 5)}
        assert errors == {"l3": 404, "l5": "interrupted"}
        assert Counter(desk.provider.asked) == Counter({f"l{n}": 1 for n in range(1, 61)})
        assert desk.provider.most_running <= 4
        told = told_of(row)
        assert told["metadata"] == {"a": "b"}
        assert None not in (told["in_progress_at"], told["finalizing_at"], told["completed_at"])
        assert row.output_file is not None
        kept = await desk.files.find(row.owner, row.output_file)
        assert kept.expires_at_ms == kept.created_at_ms + 7_200_000
        assert (kept.purpose, kept.filename) == ("batch_output", f"{row.id}_output.jsonl")
        assert await count(database, _LINES) == 0


async def test_results_are_in_the_order_of_the_file(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=8) as desk:
        row = await desk.until(await desk.create(lines(50)), "completed")

        assert [each["custom_id"] for each in await desk.content(row.output_file, row.owner)] == [
            f"l{n}" for n in range(1, 51)
        ]


async def test_what_its_answers_used_is_told(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        desk.provider.outcomes["l1"] = [Answered(200, "x", b"{}", Usage(10, 7, cached_tokens=4, reasoning_tokens=2))]
        desk.provider.outcomes["l2"] = [Answered(400, "x", b"{}", Usage(1, 1)), Answered(400, "x", b"{}")]
        desk.provider.gate.clear()
        row = await desk.create(b"\n".join(line(name, model="fast") for name in ("l1", "l2", "l3")))
        assert told_of(row)["usage"] is None
        desk.provider.gate.set()
        row = await desk.until(row, "completed")

        mixed = await desk.until(await desk.create(b"\n".join([line("a", model="fast"), line("b")])), "completed")

        assert (told_of(row)["model"], told_of(mixed)["model"]) == ("fast", None)
        assert told_of(row)["usage"] == {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 19,
        }


async def test_a_file_without_a_line_is_not_made(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        good = await desk.until(await desk.create(lines(2)), "completed")
        desk.provider.outcomes = {f"l{n}": [Answered(400, "req", b"{}")] for n in (1, 2)}
        bad = await desk.until(await desk.create(lines(2)), "completed")

        assert (good.output_file is None, good.error_file is None) == (False, True)
        assert (bad.output_file is None, bad.error_file is None) == (True, False)


async def test_a_file_with_bad_lines_fails_as_a_whole_and_nothing_is_asked(
    database: Database, clock: HandClock
) -> None:
    content = b"\n".join([line("a"), b"{", line("a"), line("b", stream=True), b"", line("c")])
    async with batch_desk(database, clock) as desk:
        row = await desk.until(await desk.create(content), "failed")

        assert errors_of(row) == [
            ("invalid_json_line", 2),
            ("duplicate_custom_id", 3),
            ("unsupported_parameter", 4),
        ]
        assert desk.provider.asked == []
        assert told_of(row)["request_counts"] == {"total": 0, "completed": 0, "failed": 0}


async def test_a_file_that_is_deleted_before_it_begins(database: Database, clock: HandClock) -> None:
    desk = BatchDesk(database, clock)
    await desk.heartbeat()
    row = await desk.create(lines(2))
    await desk.files.delete(row.owner, row.input_file)
    desk.runner.start()

    row = await desk.until(row, "failed")

    assert errors_of(row) == [("file_not_found", None)]
    await desk.runner.close()


async def test_a_file_that_is_deleted_later_is_read_to_its_end(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        desk.provider.gate.clear()
        row = await desk.create(lines(30))
        await desk.when(lambda: desk.provider.running == 4)
        await desk.files.delete(row.owner, row.input_file)
        await desk.files.sweep()
        desk.provider.gate.set()

        row = await desk.until(row, "completed")

        assert len((await desk.results(row))[0]) == 30
        clock.move(1)
        assert await desk.files.sweep() == 1


# --- what is in the way -------------------------------------------------------------------------


async def test_a_line_that_there_is_no_room_for_is_asked_again_and_the_others_wait_with_it(
    database: Database, clock: HandClock
) -> None:
    async with batch_desk(database, clock, concurrent=1) as desk:
        desk.provider.outcomes["l2"] = [Postponed(30.0), Postponed(None)]
        row = await desk.create(lines(4))
        asked = desk.provider.asked
        await desk.when(lambda: asked == ["l1", "l2"])
        await asyncio.sleep(0.05)
        clock.move(29)
        desk.runner.look()
        await asyncio.sleep(0.05)
        assert asked == ["l1", "l2"]

        clock.move(1)
        desk.runner.look()
        await desk.when(lambda: asked.count("l2") == 2)
        await asyncio.sleep(0.05)
        assert asked.count("l2") == 2
        clock.move(2)  # of itself it waits a second, then two, and so on
        desk.runner.look()
        row = await desk.until(row, "completed")

        assert Counter(asked) == Counter({"l1": 1, "l2": 3, "l3": 1, "l4": 1})
        assert len((await desk.results(row))[0]) == 4


async def test_nothing_is_asked_where_its_owner_has_little_left(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        desk.limits.is_full = True
        row = await desk.until(await desk.create(lines(3)), "in_progress")
        await asyncio.sleep(0.05)
        assert desk.provider.asked == []

        desk.limits.is_full = False
        desk.runner.look()

        assert len((await desk.results(await desk.until(row, "completed")))[0]) == 3


async def test_a_line_without_money_waits_for_those_under_way(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=3) as desk:
        desk.provider.gates["l1"] = asyncio.Event()
        desk.provider.covers = 1
        row = await desk.create(lines(6))
        await desk.when(lambda: "l2" in desk.provider.asked)
        await asyncio.sleep(0.05)
        assert desk.provider.asked in (["l1", "l2"], ["l1", "l2", "l3"])  # others would be refused as well

        desk.provider.gates["l1"].set()
        row = await desk.until(row, "completed")

        assert set((await desk.results(row))[0]) == {f"l{n}" for n in range(1, 7)}
        assert desk.places_taken == {}


async def test_a_line_without_money_waits_for_those_of_its_owners_other_batches(
    database: Database, clock: HandClock
) -> None:
    async with batch_desk(database, clock, concurrent=3) as desk:
        desk.provider.gates["l1"] = asyncio.Event()
        desk.provider.outcomes["m"] = [Unfunded(SPENT, None)]
        first = await desk.create(lines(1))
        await desk.when(lambda: desk.provider.running == 1)
        second = await desk.create(line("m"))
        await desk.when(lambda: "m" in desk.provider.asked)
        await asyncio.sleep(0.05)
        assert (await desk.find(second)).status == "in_progress"

        desk.provider.gates["l1"].set()

        assert len((await desk.results(await desk.until(second, "completed")))[0]) == 1
        await desk.until(first, "completed")


async def test_lines_fail_where_the_money_is_spent_and_are_not_asked_over_and_over(
    database: Database, clock: HandClock
) -> None:
    async with batch_desk(database, clock, concurrent=4) as desk:
        desk.provider.outcomes = {f"l{n}": [Unfunded(SPENT, None)] * 9 for n in range(2, 41)}

        row = await desk.until(await desk.create(lines(40)), "completed")

        assert (await desk.results(row))[1] == {f"l{n}": 429 for n in range(2, 41)}
        assert len(desk.provider.asked) <= 40 + 4


async def test_money_that_others_answers_hold_is_waited_for(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        desk.provider.outcomes["l1"] = [Unfunded(SPENT, 5.0)]
        row = await desk.create(lines(1))
        await desk.when(lambda: desk.provider.asked == ["l1"])
        await asyncio.sleep(0.05)
        assert desk.provider.asked == ["l1"]

        clock.move(1)
        desk.runner.look()

        assert len((await desk.results(await desk.until(row, "completed")))[0]) == 1


async def test_money_that_is_there_only_after_long_is_not_waited_for(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        desk.provider.outcomes["l1"] = [Unfunded(SPENT, 3600.0)]

        row = await desk.until(await desk.create(lines(1)), "completed")

        assert (await desk.results(row))[1] == {"l1": 429}


async def test_a_window_that_is_over_ends_it(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=2) as desk:
        desk.provider.gate.clear()
        row = await desk.create(lines(5))
        await desk.when(lambda: desk.provider.running == 2)
        clock.move(86_400)
        desk.provider.gate.set()

        row = await desk.until(row, "expired")

        output, errors = await desk.results(row)
        assert set(output) == {"l1", "l2"}
        assert errors == dict.fromkeys(("l3", "l4", "l5"), "batch_expired")
        assert desk.provider.asked == ["l1", "l2"]
        assert row.expired_at_ms is not None


async def test_it_is_cancelled_while_lines_are_under_way(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=2) as desk:
        desk.provider.gate.clear()
        row = await desk.create(lines(5))
        await desk.when(lambda: desk.provider.running == 2)
        cancelled = await desk.batches.cancel(row.owner, row.id)
        assert (cancelled.status, cancelled.cancelling_at_ms) == ("cancelling", unix_ms(clock))
        assert (await desk.batches.cancel(row.owner, row.id)).status == "cancelling"
        desk.provider.gate.set()

        row = await desk.until(row, "cancelled")

        output, errors = await desk.results(row)
        assert set(output) == {"l1", "l2"}
        assert errors == dict.fromkeys(("l3", "l4", "l5"), "batch_cancelled")
        with pytest.raises(FrontdeskError) as refused:
            await desk.batches.cancel(row.owner, row.id)
        assert refused.value.code == "batch_not_cancellable"


async def test_it_is_cancelled_before_it_begins(database: Database, clock: HandClock) -> None:
    desk = BatchDesk(database, clock)
    await desk.heartbeat()
    row = await desk.create(lines(5))
    await desk.batches.cancel(row.owner, row.id)
    desk.runner.start()

    row = await desk.until(row, "cancelled")

    assert (row.output_file, row.error_file, desk.provider.asked) == (None, None, [])
    await desk.runner.close()


async def test_what_it_was_made_with_is_revoked(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=2) as desk:
        desk.provider.gate.clear()
        row = await desk.create(lines(5))
        await desk.when(lambda: desk.provider.running == 2)
        desk.callers.revoked.add(USER.credential_id)
        clock.move(6)
        desk.provider.gate.set()

        row = await desk.until(row, "cancelled")

        assert errors_of(row) == [("credential_revoked", None)]
        assert desk.provider.asked == ["l1", "l2"]
        output, errors = await desk.results(row)
        assert (set(output), set(errors.values())) == ({"l1", "l2"}, {"batch_cancelled"})


async def test_of_who_is_not_there_any_more_nothing_is_written(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=2) as desk:
        desk.provider.gate.clear()
        row = await desk.create(lines(5))
        await desk.when(lambda: desk.provider.running == 2)
        desk.callers.gone.add("u1")
        clock.move(6)
        desk.provider.gate.set()

        row = await desk.until(row, "cancelled")

        assert (row.output_file, row.error_file) == (None, None)
        assert await count(database, _LINES) == 0


# --- whose it is --------------------------------------------------------------------------------


async def test_each_sees_their_own(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as desk:
        made = {caller: await desk.create(lines(1), caller) for caller in (USER, OTHER, KEY)}
        for caller, row in made.items():
            await desk.until(row, "completed", caller=caller)
            assert [each.id for each in await desk.batches.list(row.owner, "", 10)] == [row.id]
            for other in made.values():
                if other is row:
                    continue
                for work in (desk.batches.find, desk.batches.cancel):
                    with pytest.raises(FrontdeskError) as refused:
                        await work(row.owner, other.id)
                    assert (refused.value.status, refused.value.code) == (404, "batch_not_found")
        assert {caller.person or caller.credential_id for caller in desk.provider.callers} == {"u1", "u2", "key_1"}


async def test_pages_are_whole_and_the_latest_come_first(database: Database, clock: HandClock) -> None:
    desk = BatchDesk(database, clock)
    made = [await desk.create(lines(1)) for _ in range(5)]
    ids = sorted((row.id for row in made), reverse=True)

    for limit in (1, 2, 5, 9):
        found: list[str] = []
        while page := await desk.batches.list(made[0].owner, found[-1] if found else "", limit):
            found += [row.id for row in page]
        assert found == ids


async def test_a_batch_is_made_of_ones_own_file_for_batches(database: Database, clock: HandClock) -> None:
    desk = BatchDesk(database, clock)
    anothers, of_another_kind = await desk.upload(lines(1), OTHER), await desk.upload(lines(1), USER, "user_data")

    async def refusal(file_id: str) -> tuple[int, str, str | None]:
        from frontdesk.batches.service import NewBatch

        with pytest.raises(FrontdeskError) as refused:
            await desk.batches.create(USER, NewBatch("/v1/embeddings", file_id, None, "", None, None))
        return refused.value.status, refused.value.code, refused.value.param

    assert await refusal(anothers) == await refusal("file-" + "0" * 32) == (400, "file_not_found", "input_file_id")
    assert await refusal(of_another_kind) == (400, "invalid_value", "input_file_id")


async def test_a_person_has_so_many_under_way(database: Database, clock: HandClock) -> None:
    desk = BatchDesk(database, clock, per_user=2)
    await AccountStore(database, "default").ensure_person("u1", 1)
    begun = await asyncio.gather(*(desk.create(lines(1)) for _ in range(5)), return_exceptions=True)

    assert sum(not isinstance(each, Exception) for each in begun) == 2
    assert {each.code for each in begun if isinstance(each, FrontdeskError)} == {"too_many_batches"}
    for _ in range(4):
        await desk.create(lines(1), KEY)


async def test_what_an_anonymous_person_asked_for_becomes_the_users(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=2) as desk:
        anonymous = Caller("user", "sess_3", "anon_1", is_anonymous=True)
        desk.provider.gate.clear()
        row = await desk.create(lines(6), anonymous)
        await desk.when(lambda: desk.provider.running == 2)
        values: dict[str, Any] = {column.name: None for column in person.c}
        became = {"tenant": "default", "id": "anon_1", "became": "u1", "created_at_ms": 1, "changed_at_ms": 1}
        await database.write(Step(Query(insert(person)), {**values, **became}))
        await database.transact(lambda: move_all("default", "anon_1", "u1", unix_ms(clock)))
        clock.move(6)
        desk.provider.gate.set()

        row = await desk.until(row, "completed")

        assert len((await desk.results(row))[0]) == 6
        assert [caller.person for caller in desk.provider.callers] == ["anon_1"] * 2 + ["u1"] * 4
        assert desk.places_taken == {}


async def test_who_has_fewest_batches_under_way_is_taken_next(database: Database, clock: HandClock) -> None:
    desk = BatchDesk(database, clock)
    work = BatchWork(database, desk.process, dead_after_s=30)
    await desk.heartbeat()
    of_key = [await desk.create(lines(1), KEY) for _ in range(5)]
    clock.move(1)
    of_user = await desk.create(lines(1), USER)
    clock.move(1)
    of_other = await desk.create(lines(1), OTHER)

    taken = [await work.take(unix_ms(clock), 3) for _ in range(6)]

    of_key_first, *of_key_later = [row.id for row in taken if row is not None and row.credential]
    assert [row and row.id for row in taken] == [of_key_first, of_user.id, of_other.id, *of_key_later, None]
    assert len(of_key_later) == 2  # not more than one owner may have here
    assert {of_key_first, *of_key_later} <= {row.id for row in of_key}


async def test_places_are_shared_fairly_between_people(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=2) as desk:
        desk.provider.gate.clear()
        first = await desk.create(lines(40))
        await desk.when(lambda: desk.provider.running == 2)
        second = await desk.create(b"\n".join(line(f"m{n}") for n in range(10)), OTHER)
        await desk.until(second, "in_progress", caller=OTHER)
        desk.provider.gate.set()
        await desk.until(second, "completed", caller=OTHER)

        # Whoever came first has asked about as many between the others' first and last, not all of theirs.
        whose = "".join(said[0] for said in desk.provider.asked)
        assert whose[whose.index("m") : whose.rindex("m")].count("l") <= 20
        await desk.until(first, "completed")


# --- processes ----------------------------------------------------------------------------------


async def test_a_process_that_stops_keeps_what_was_answered_and_leaves_the_rest(
    database: Database, clock: HandClock
) -> None:
    async with batch_desk(database, clock, concurrent=2) as first:
        first.provider.gate.clear()
        row = await first.create(lines(10))
        await first.when(lambda: first.provider.running == 2)
        first.runner.stop()
        first.provider.gate.set()
        await first.runner.close()
        assert first.provider.asked == ["l1", "l2"]
        assert (await first.find(row)).status == "in_progress"

        async with batch_desk(database, clock) as second:
            row = await second.until(row, "completed")

            assert Counter(second.provider.asked) == Counter(f"l{n}" for n in range(3, 11))
            assert len((await second.results(row))[0]) == 10


async def test_lines_of_a_dead_process_are_never_asked_again(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, concurrent=3) as first:
        first.provider.outcomes["l2"] = [Answered(200, "x", b"{}")]
        first.provider.gate.clear()
        row = await first.create(lines(8))
        await first.when(lambda: first.provider.running == 3)
        await first.die()
        clock.move(31)

        async with batch_desk(database, clock) as second:
            row = await second.until(row, "completed")

            assert Counter(second.provider.asked) == Counter(f"l{n}" for n in range(4, 9))
            output, errors = await second.results(row)
            assert errors == dict.fromkeys(("l1", "l2", "l3"), "interrupted")
            assert set(output) == {f"l{n}" for n in range(4, 9)}


async def test_who_was_taken_for_dead_changes_nothing_when_it_comes_back(postgresql_url: str, clock: HandClock) -> None:
    """It was asleep for a minute, with lines under way, and does not know that another process goes on with it."""
    database = await open_database(postgresql_url)
    async with batch_desk(database, clock, concurrent=2) as asleep:
        asleep.provider.gate.clear()
        row = await asleep.create(lines(30))
        await asleep.when(lambda: asleep.provider.running == 2)
        clock.move(31)
        async with batch_desk(database, clock, concurrent=2) as awake:
            awake.provider.gate.clear()
            await awake.when(lambda: awake.provider.running == 2)
            asleep.provider.gate.set()
            await asyncio.sleep(0.1)
            awake.provider.gate.set()

            row = await awake.until(row, "completed")

            output, errors = await awake.results(row)
            assert errors == dict.fromkeys(("l1", "l2"), "interrupted")
            assert len(output) == 28
            assert asleep.provider.asked == ["l1", "l2"]
            assert len(awake.provider.asked) == 28
    await database.close()


async def test_no_line_is_claimed_while_another_process_takes_its_batch_over(
    postgresql_url: str, clock: HandClock
) -> None:
    """Who takes it over has looked for lines under way already, and would never learn of this one."""
    database = await open_database(postgresql_url)
    other = await asyncpg.connect(postgresql_url)
    async with batch_desk(database, clock) as desk:
        desk.limits.is_full = True
        row = await desk.until(await desk.create(lines(3)), "in_progress")
        taking = other.transaction()
        await taking.start()
        await other.execute("update batch set owner = 'proc_other'")

        claiming = asyncio.create_task(BatchWork(database, desk.process, 30).claim(row, Claim(1, "batch_req_1"), "l1"))
        while not claiming.done() and not await other.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.005)
        await taking.commit()

        assert not await claiming
        assert await count(database, _LINES) == 0
    await other.close()
    await database.close()


async def test_a_claim_is_given_up_by_who_made_it_alone(database: Database, clock: HandClock) -> None:
    """Whoever was not told that its claim is given up says so again, when another process may have claimed the line."""
    async with batch_desk(database, clock) as desk:
        desk.limits.is_full = True
        row = await desk.until(await desk.create(lines(1)), "in_progress")
        work = BatchWork(database, desk.process, 30)
        mine, others = Claim(1, "batch_req_1"), Claim(1, "batch_req_2")
        assert await work.claim(row, mine, "l1")
        await work.unclaim(row, mine)
        assert await work.claim(row, others, "l1")

        await work.unclaim(row, mine)
        await work.answer(row, mine, "completed", "{}", None)

        (found,) = await work.lines(row, 0)
        assert (found.id, found.status) == ("batch_req_2", "running")


async def test_a_line_that_was_good_once_is_asked_whatever_the_limit_is_by_then(
    database: Database, clock: HandClock
) -> None:
    async with batch_desk(database, clock) as first:
        first.limits.is_full = True
        row = await first.create(b"\n".join([line("a", pad="x" * 5_000), line("b")]))
        await first.until(row, "in_progress")
    async with batch_desk(database, clock, max_line_bytes=1_000) as second:
        row = await second.until(row, "completed")

        output, errors = await second.results(row)
        assert (set(output), errors) == ({"a", "b"}, {})


async def test_processes_share_the_batches(postgresql_url: str, clock: HandClock) -> None:
    database = await open_database(postgresql_url)
    async with batch_desk(database, clock) as one, batch_desk(database, clock) as other:
        # Each batch is seen by both at the same moment.
        rows = await asyncio.gather(*(one.create(lines(5), KEY) for _ in range(12)))
        other.runner.look()
        for row in rows:
            row = await one.until(row, "completed", caller=KEY)  # noqa: PLW2901 - as it is by now
            assert len((await one.results(row, KEY))[0]) == 5

        asked = Counter([*one.provider.asked, *other.provider.asked])
        assert asked == Counter({f"l{n}": 12 for n in range(1, 6)})
    await database.close()


async def test_results_that_were_half_written_are_written_anew(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock) as first:
        row = await first.create(lines(3))
        failing = Failing(first.files)
        first.runner._means.files.begin_output = failing.begin_output
        await first.when(lambda: failing.began > 0)
        await first.die()
        clock.move(31)

        async with batch_desk(database, clock) as second:
            row = await second.until(row, "completed")

            assert len((await second.results(row))[0]) == 3
            assert second.provider.asked == []
            assert len(await second.files.list(row.owner, "batch_output", "", 10, "asc")) == 1


class Failing:
    """Results that come to no end."""

    def __init__(self, files: Any) -> None:
        self._begin = files.begin_output
        self.began = 0

    async def begin_output(self, owner: Any) -> Any:
        upload = await self._begin(owner)
        await upload.write(b"half")
        await upload.flush()
        self.began += 1
        await asyncio.get_running_loop().create_future()


class Flaky:
    """A database whose writes fail now and then, before or after they were done."""

    is_alone = True

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writes = 0
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, *steps: Any, **options: Any) -> Any:
        return await self._maybe(lambda: self._database.write(*steps, **options))

    async def transact(self, *work: Any, **options: Any) -> Any:
        return await self._maybe(lambda: self._database.transact(*work, **options))

    async def _maybe(self, work: Any) -> Any:
        self.writes += 1
        if self.fails and self.writes % 7 == 0:
            raise StorageFailed("The disk is full.")
        result = await work()
        if self.fails and self.writes % 11 == 0:
            raise StorageFailed("Nobody knows whether it was stored.")
        return result


async def test_a_store_that_fails_now_and_then_lets_no_line_be_asked_twice(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frontdesk.batches.runner._PAUSE_S", 0.01)
    monkeypatch.setattr("frontdesk.batches.carrying._STORE_PAUSE_S", 0.01)
    flaky: Any = Flaky(database)
    async with batch_desk(flaky, clock) as desk:
        row = await desk.create(lines(20))
        flaky.fails = True

        row = await desk.until(row, "completed")

        flaky.fails = False
        output, errors = await desk.results(row)
        assert len(output) + len(errors) == 20
        assert set(errors.values()) <= {"interrupted"}
        assert max(Counter(desk.provider.asked).values()) == 1
        assert set(desk.provider.asked) == set(output)


# --- afterwards ---------------------------------------------------------------------------------


async def test_it_is_forgotten_some_time_after_its_end(database: Database, clock: HandClock) -> None:
    async with batch_desk(database, clock, keep_days=2) as desk:
        desk.provider.gate.clear()
        row, running = await desk.create(lines(1)), await desk.create(lines(1))
        desk.provider.gate.set()
        await desk.until(row, "completed")
        await desk.until(running, "completed")
        failed = await desk.until(await desk.create(b"{"), "failed")

        clock.move(2 * 86_400 - 1)
        assert await AllBatches(database).sweep(unix_ms(clock)) == 0
        clock.move(2)
        assert await AllBatches(database).sweep(unix_ms(clock)) == 3
        assert await count(database, _BATCHES) == 0
        with pytest.raises(FrontdeskError):
            await desk.find(failed)


def test_problems_are_told_as_openai_does() -> None:
    assert json.loads(json.dumps(told_of_problem())) == {"code": "c", "message": "m", "param": None, "line": 4}


def told_of_problem() -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(Problem("c", "m", None, 4))
