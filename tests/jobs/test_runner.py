"""Jobs to their ends: what each changes is changed once, whatever its handler, its process or an operator does."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Generator

import asyncpg
import pytest
from sqlalchemy import bindparam, select, update

from frontdesk.core.clock import unix_ms
from frontdesk.core.errors import ProviderError
from frontdesk.core.ids import new_id
from frontdesk.jobs.plan import Done, GiveUp, Job, NewJob, Progress, Retry
from frontdesk.jobs.store import enqueue
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageFailed, WorkFailed
from frontdesk.storage.query import Query, Row, Step, insert
from frontdesk.storage.tables import job
from tests.fakes import HandClock
from tests.jobs.desk import TENANT, JobDesk, job_desk, make_effects
from tests.jobs.effects import effect, effect_of, effects


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


# --- to the end ---------------------------------------------------------------------------------


async def test_each_is_done_once(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        ids = [await desk.keep(f"j{number}") for number in range(50)]
        rows = [await desk.until(job_id, "completed") for job_id in ids]

        names = Counter(f"j{number}" for number in range(50))
        assert Counter(desk.worker.names) == names
        assert await effects(database) == names
        assert {(row.attempts, row.error_code, row.finished_at_ms) for row in rows} == {
            (1, None, rows[0].created_at_ms)
        }


async def test_a_job_is_kept_with_what_causes_it(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:

        def caused() -> Generator[Step, list[Row], None]:
            yield enqueue(TENANT, NewJob("work", b"never"), new_id("job_"), 0)
            raise ValueError

        with pytest.raises(WorkFailed):
            await database.transact(caused)

        await desk.until(await desk.keep("good"), "completed")
        assert desk.worker.names == ["good"]


async def test_its_handler_is_told_all_of_it(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.outcomes["j"] = [ValueError()]
        job_id = await desk.keep("j", person="u1", priority=3)
        await desk.when(lambda: desk.worker.jobs != [])
        await desk.until(job_id, "waiting")
        clock.move(3)
        await desk.until(job_id, "completed")

        first, second = desk.worker.jobs
        assert (first.tenant, first.id, first.kind, first.person) == (TENANT, job_id, "work", "u1")
        assert (first.payload, first.priority, first.attempt) == (b"j", 3, 1)
        assert second == type(first)(**{**_fields(first), "attempt": 2})


def _fields(job: object) -> dict[str, object]:
    return {name: getattr(job, name) for name in type(job).__struct_fields__}  # type: ignore[attr-defined]


async def test_none_begins_before_its_time(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        late = await desk.keep("late", run_at_ms=int(clock.now() * 1000) + 60_000)
        await desk.until(await desk.keep("now"), "completed")
        clock.move(59.9)
        await desk.until(await desk.keep("then"), "completed")
        assert desk.worker.names == ["now", "then"]

        clock.move(0.1)
        await desk.until(late, "completed")


async def test_the_highest_priority_is_first_then_the_longest_due(database: Database, clock: HandClock) -> None:
    desk = JobDesk(database, clock, kinds=("work", "other"), at_once=1)
    await make_effects(database)
    await desk.heartbeat()
    now_ms = int(clock.now() * 1000)
    for name, kind, priority, due in (
        ("c", "work", 0, 30), ("b", "other", 0, 20), ("a", "work", 5, 10), ("d", "other", -1, 40),
    ):  # fmt: skip
        last = await desk.keep(name, kind, priority=priority, run_at_ms=now_ms - due)
    desk.runner.start()

    await desk.until(last, "completed")

    assert desk.worker.names == ["a", "c", "b", "d"]
    await desk.runner.close()


async def test_so_many_at_once_and_no_kind_takes_all_places(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, kinds=("work", "other"), at_once=5, together=3) as desk:
        desk.worker.gate.clear()
        slow = [await desk.keep(f"w{number}", priority=9) for number in range(10)]
        await desk.when(lambda: desk.worker.running.total() == 3)
        others = [await desk.keep(f"o{number}", "other") for number in range(4)]
        await desk.when(lambda: desk.worker.running.total() == 5)

        assert [(await desk.row(job_id)).status for job_id in others] == ["running", "running", "waiting", "waiting"]
        desk.worker.gate.set()
        for job_id in [*slow, *others]:
            await desk.until(job_id, "completed")
        assert desk.worker.most_running == 5


async def test_of_the_same_one_is_open_at_a_time(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, kinds=("work", "other")) as desk:
        desk.worker.gate.clear()
        first = await desk.keep("first", dedupe="d")
        await desk.when(lambda: desk.worker.running.total() == 1)
        await desk.keep("second", dedupe="d")
        elsewhere = await desk.keep("elsewhere", "other", dedupe="d")
        desk.worker.gate.set()
        await desk.until(first, "completed")
        await desk.until(elsewhere, "completed")

        third = await desk.keep("third", dedupe="d")
        await desk.until(third, "completed")

        assert sorted(desk.worker.names) == ["elsewhere", "first", "third"]


async def test_nobody_does_a_kind_that_is_not_known_and_it_is_told_once(
    database: Database, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with job_desk(database, clock) as desk:
        unknown = [await desk.keep(f"u{number}", "future") for number in range(3)]
        for _ in range(3):
            clock.move(61)
            await desk.until(await desk.keep("w"), "completed")
        assert {(await desk.row(job_id)).status for job_id in unknown} == {"waiting"}
    assert [record.getMessage() for record in caplog.records if "unknown" in record.getMessage()] == [
        "job_kind_unknown kind=future"
    ]

    newer = JobDesk(database, clock, kinds=("work", "future"))
    newer.runner.start()
    for job_id in unknown:
        await newer.until(job_id, "completed")
    await newer.runner.close()


# --- failures -----------------------------------------------------------------------------------


async def test_what_breaks_is_tried_again_later_each_time(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, most_attempts=4) as desk:
        desk.worker.outcomes["j"] = [ValueError("words"), ProviderError("words"), RuntimeError("words")]
        job_id = await desk.keep("j")
        codes = []
        for attempt in (1, 2, 3):
            await desk.when(lambda attempt=attempt: len(desk.worker.jobs) == attempt)
            row = await desk.until(job_id, "waiting")
            pause_s = (row.run_at_ms - clock.now() * 1000) / 1000
            assert 2 ** (attempt - 1) <= pause_s <= 2**attempt
            codes.append(row.error_code)
            clock.move(pause_s + 0.001)

        row = await desk.until(job_id, "completed")

        assert codes == ["job_failed", "provider_error", "job_failed"]
        assert (row.attempts, row.error_code, row.error) == (4, None, None)
        assert await effects(database) == Counter({"j": 1})


async def test_after_its_last_attempt_it_has_failed(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, most_attempts=2) as desk:
        desk.worker.outcomes["j"] = [ValueError("a secret"), ValueError("a secret")]
        job_id = await desk.keep("j")
        await desk.when(lambda: len(desk.worker.jobs) == 1)
        await desk.until(job_id, "waiting")
        clock.move(2)

        row = await desk.until(job_id, "failed")

        assert (row.attempts, row.error_code) == (2, "job_failed")
        assert row.error == "It broke with ValueError, which the log tells, in attempt 2 of 2."
        assert row.finished_at_ms == int(clock.now() * 1000)
        assert await effects(database) == Counter()


async def test_who_gives_up_is_not_asked_again(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.outcomes["j"] = [GiveUp("gone", "What it was about is gone.")]

        row = await desk.until(await desk.keep("j"), "failed")

        assert (row.attempts, row.error_code, row.error) == (1, "gone", "What it was about is gone.")


async def test_what_is_not_a_jobs_fault_costs_it_no_attempt(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, most_attempts=1) as desk:
        desk.worker.outcomes["j"] = [Retry(10.0, is_free=True)] * 20
        job_id = await desk.keep("j")
        for done in range(1, 21):
            await desk.when(lambda done=done: len(desk.worker.jobs) == done)
            row = await desk.until(job_id, "waiting")
            assert (row.attempts, row.run_at_ms) == (0, int(clock.now() * 1000) + 10_000)
            clock.move(10)

        assert (await desk.until(job_id, "completed")).attempts == 1


async def test_one_that_takes_too_long_is_ended(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, most_attempts=1, timeout_s=0.05) as desk:
        desk.worker.gates["j"] = asyncio.Event()

        row = await desk.until(await desk.keep("j"), "failed")

        assert (row.error_code, desk.worker.running["j"]) == ("job_timeout", 0)
        assert row.error == "It took longer than its 0.05 seconds, in attempt 1 of 1."


async def test_a_change_that_cannot_be_is_a_failure_and_half_of_it_is_not_done(
    database: Database, clock: HandClock
) -> None:
    def broken() -> Generator[Step, list[Row], None]:
        yield from effect_of("half")()
        raise ValueError

    def doubled() -> Generator[Step, list[Row], None]:
        yield from effect_of("half")()
        kept = enqueue(TENANT, NewJob("work", b""), other, 0)
        yield Step(Query(insert(job)), kept.parameters)  # there is one of this id already

    async with job_desk(database, clock, most_attempts=1) as desk:
        other = (await desk.until(await desk.keep("other"), "completed")).id
        desk.worker.outcomes = {"a": [broken], "b": [doubled]}

        ends = [await desk.until(await desk.keep(name), "failed") for name in ("a", "b")]

        assert [row.error_code for row in ends] == ["job_failed", "job_failed"]
        assert await effects(database) == Counter({"other": 1})


async def test_a_job_is_not_done_again_because_the_storage_fails(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)
        failing = Failing(database)
        monkeypatch.setattr(desk.runner._work, "_database", failing)
        desk.worker.gates["j"].set()
        await desk.when(lambda: failing.failures >= 2)
        failing.is_well = True

        await desk.until(job_id, "completed")

        assert desk.worker.names == ["j"]
        assert await effects(database) == Counter({"j": 1})


class Failing:
    """A database that cannot be reached for a while."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_well = False
        self.failures = 0

    def __getattr__(self, name: str) -> object:
        if self.is_well:
            return getattr(self._database, name)
        if name == "is_alone":
            return self._database.is_alone
        return self._fail

    async def _fail(self, *_: object, **__: object) -> None:
        self.failures += 1
        raise StorageFailed("away")


async def test_a_claim_that_nobody_heard_of_is_given_back(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stored, but its process was told that it may not have been."""
    desk = JobDesk(database, clock)
    await make_effects(database)
    await desk.heartbeat()
    work = desk.runner._work
    claim = work.claim
    job_id = await desk.keep("j")

    async def unheard(*asked: object) -> object:
        await claim(*asked)  # type: ignore[arg-type]
        monkeypatch.setattr(work, "claim", claim)
        raise StorageFailed("It broke in the commit.")

    monkeypatch.setattr(work, "claim", unheard)
    desk.runner.start()

    row = await desk.until(job_id, "completed")

    assert (row.attempts, desk.worker.names) == (1, ["j"])
    await desk.runner.close()


async def test_who_has_what_a_job_changes_finds_it_open(database: Database, clock: HandClock) -> None:
    """Its row changes last: else a turn that holds a conversation, and keeps a job for it, would wait for who waits."""
    seen: list[str] = []

    def look() -> Generator[Step, list[Row], None]:
        ((status,),) = yield Step(_STATUS, {"of_id": job_id})
        seen.append(status)
        yield from effect_of("j")()

    async with job_desk(database, clock) as desk:
        desk.worker.outcomes["j"] = [look]
        job_id = new_id("job_")
        await desk.keep("j", job_id=job_id)
        await desk.until(job_id, "completed")

    assert set(seen) == {"running"}


async def test_nobody_who_has_what_a_job_changes_waits_for_it(postgresql_url: str, clock: HandClock) -> None:
    """A turn has locked its conversation, in which a job wants to change something, and keeps the like of that job."""
    database, turn = await open_database(postgresql_url), await asyncpg.connect(postgresql_url)
    looking = await asyncpg.connect(postgresql_url)
    times: list[int] = []

    def change() -> Generator[Step, list[Row], None]:
        times.append(1)
        yield Step(Query(update(effect).values(name="changed")))

    async with job_desk(database, clock) as desk:
        await turn.execute("INSERT INTO effect VALUES ('held')")
        desk.worker.outcomes["j"] = [change]
        async with turn.transaction():
            await turn.execute("UPDATE effect SET name = 'held'")
            job_id = await desk.keep("j", dedupe="d")
            async with asyncio.timeout(10):
                while not await looking.fetchval(_WAITING):
                    await asyncio.sleep(0.002)
            await turn.execute(_KEEP_LIKE)
        await desk.until(job_id, "completed")

    assert times == [1]
    assert await effects(database) == Counter({"changed": 1})
    assert len(await desk.rows()) == 1
    for connection in (turn, looking, database):
        await connection.close()


_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
_KEEP_LIKE = """
    INSERT INTO job (tenant, id, kind, person, payload, priority, dedupe, status, run_at_ms, attempts, wants_cancel,
                     created_at_ms)
    VALUES ('default', 'job_like', 'work', '', 'like', 0, 'd', 'waiting', 0, 0, false, 0)
    ON CONFLICT DO NOTHING
"""
_STATUS = Query(select(job.c.status).where(job.c.id == bindparam("of_id")))


# --- cancelling ---------------------------------------------------------------------------------


async def test_one_that_is_to_end_is_not_put_back(database: Database, clock: HandClock) -> None:
    """Its claim was stored, nobody here does it, and an operator has cancelled it meanwhile."""
    desk = JobDesk(database, clock)
    await make_effects(database)
    await desk.heartbeat()
    job_id = await desk.keep("j")
    await desk.runner._work.claim({"work": 1}, 1, unix_ms(clock))
    assert await desk.store.cancel(TENANT, job_id, unix_ms(clock)) == "running"

    await desk.runner._leave_lost()

    assert (await desk.row(job_id)).status == "cancelled"


async def test_one_that_is_to_end_may_take_time_to_tidy_up(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidying, may_end = asyncio.Event(), asyncio.Event()
    tidied: list[str] = []

    async def tidy(job: Job, progress: Progress) -> Done | None:
        try:
            await asyncio.Event().wait()
        finally:
            tidying.set()
            await may_end.wait()
            tidied.append(job.id)

    async with job_desk(database, clock) as desk:
        monkeypatch.setattr(desk.worker, "run", tidy)
        job_id = await desk.keep("j")
        await desk.until(job_id, "running")
        await desk.store.cancel(TENANT, job_id, unix_ms(clock))
        await tidying.wait()
        await desk.runner._leave_lost()
        may_end.set()
        await desk.until(job_id, "cancelled")

    assert tidied == [job_id]


async def test_one_that_waits_is_cancelled_at_once(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        job_id = await desk.keep("j", run_at_ms=int(clock.now() * 1000) + 1000)

        assert await desk.store.cancel(TENANT, job_id, 7) == "waiting"

        row = await desk.row(job_id)
        assert (row.status, row.finished_at_ms) == ("cancelled", 7)
        clock.move(2)
        await desk.until(await desk.keep("k"), "completed")
        assert desk.worker.names == ["k"]
        assert await desk.store.cancel(TENANT, job_id, 8) == "cancelled"
        assert (await desk.row(job_id)).finished_at_ms == 7


async def test_one_that_is_being_done_is_ended_soon(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)

        assert await desk.store.cancel(TENANT, job_id, 7) == "running"

        await desk.until(job_id, "cancelled")
        assert desk.worker.running["j"] == 0
        assert await effects(database) == Counter()


async def test_one_that_is_done_in_spite_of_that_is_done(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        desk.worker.stubborn.add("j")
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)
        await desk.store.cancel(TENANT, job_id, 7)

        await desk.until(job_id, "completed")

        assert await effects(database) == Counter({"j": 1})


async def test_one_that_is_to_end_and_fails_instead_is_not_tried_again(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        desk.worker.stubborn.add("j")
        desk.worker.outcomes["j"] = [ValueError()]
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)
        await desk.store.cancel(TENANT, job_id, 7)

        await desk.until(job_id, "cancelled")

        assert desk.worker.names == ["j"]


async def test_what_has_failed_or_was_cancelled_begins_anew(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock, most_attempts=1) as desk:
        desk.worker.outcomes["failed"] = [ValueError()]
        failed = (await desk.until(await desk.keep("failed"), "failed")).id
        cancelled = await desk.keep("cancelled", run_at_ms=int(clock.now() * 1000) + 1000)
        await desk.store.cancel(TENANT, cancelled, 7)

        for job_id, status in ((failed, "failed"), (cancelled, "cancelled")):
            assert await desk.store.retry(TENANT, job_id, int(clock.now() * 1000)) == status
            row = await desk.until(job_id, "completed")
            assert (row.attempts, row.error, row.wants_cancel) == (1, None, False)
            assert await desk.store.retry(TENANT, job_id, 9) == "completed"
        assert await effects(database) == Counter({"failed": 1, "cancelled": 1})


# --- progress -----------------------------------------------------------------------------------


async def test_how_far_it_has_come_is_told_while_it_is_done_and_afterwards(
    database: Database, clock: HandClock
) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        desk.worker.tells["j"] = (3, 10)
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)
        async with asyncio.timeout(10):
            while (await desk.row(job_id)).done != 3:
                await asyncio.sleep(0.002)
        desk.worker.gates["j"].set()

        row = await desk.until(job_id, "completed")

        assert (row.done, row.total) == (3, 10)


# --- the ends of processes ----------------------------------------------------------------------


async def test_what_is_under_way_gets_some_time_when_the_process_stops(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)
        desk.runner.stop()
        later = await desk.keep("later")
        closing = asyncio.ensure_future(desk.runner.close(20.0))
        desk.worker.gates["j"].set()
        await closing

        assert [(await desk.row(each)).status for each in (job_id, later)] == ["completed", "waiting"]


async def test_then_it_is_put_back_as_if_it_had_not_begun(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gate.clear()
        ids = [await desk.keep(f"j{number}") for number in range(4)]
        await desk.when(lambda: desk.worker.running.total() == 4)
        await desk.runner.close()

        rows = [await desk.row(job_id) for job_id in ids]
        assert {(row.status, row.attempts, row.run_at_ms) for row in rows} == {("waiting", 0, int(clock.now() * 1000))}
        assert desk.worker.running.total() == 0

    next_one = JobDesk(database, clock)
    next_one.runner.start()
    for job_id in ids:
        assert (await next_one.until(job_id, "completed")).attempts == 1
    assert await effects(database) == Counter({f"j{number}": 1 for number in range(4)})
    await next_one.runner.close()


async def test_what_a_dead_process_left_is_done_by_another(database: Database, clock: HandClock) -> None:
    dead = JobDesk(database, clock)
    await make_effects(database)
    await dead.heartbeat()
    dead.worker.gate.clear()
    dead.runner.start()
    job_id = await dead.keep("j")
    await dead.when(lambda: dead.worker.running["j"] == 1)
    await dead.runner._looking.close()  # it hangs, and knows nothing of what happens

    clock.move(31)
    alive = JobDesk(database, clock)
    await alive.heartbeat()
    alive.runner.start()
    async with asyncio.timeout(10):
        while (await alive.row(job_id)).error_code != "server_crashed":
            await asyncio.sleep(0.002)
    clock.move(2)
    row = await alive.until(job_id, "completed")
    assert row.attempts == 2

    dead.worker.gate.set()  # it was alive after all: it may not change anything any more
    await dead.when(lambda: dead.worker.running["j"] == 0)
    await dead.runner.close(5.0)
    assert await effects(database) == Counter({"j": 1})
    await alive.runner.close()


async def test_who_finds_that_others_have_its_job_ends_it(database: Database, clock: HandClock) -> None:
    async with job_desk(database, clock) as desk:
        desk.worker.gates["j"] = asyncio.Event()
        job_id = await desk.keep("j")
        await desk.when(lambda: desk.worker.running["j"] == 1)
        other = JobDesk(database, clock)
        clock.move(31)
        await other.heartbeat()
        assert await other.runner._work.recover(int(clock.now() * 1000), 0.0) == 1

        await desk.when(lambda: desk.worker.running["j"] == 0)

        assert (await desk.row(job_id)).status == "waiting"
        assert await effects(database) == Counter()


async def test_a_job_that_kills_its_process_is_given_up(database: Database, clock: HandClock) -> None:
    await make_effects(database)
    job_id = await JobDesk(database, clock).keep("j")
    for attempt in (1, 2):
        desk = JobDesk(database, clock, most_attempts=2)
        await desk.heartbeat()
        claims = await desk.runner._work.claim({"work": 4}, 8, int(clock.now() * 1000))
        assert [claim.job.attempt for claim in claims] == [attempt]
        clock.move(31)
        survivor = JobDesk(database, clock, most_attempts=2)
        await survivor.heartbeat()
        assert await survivor.runner._work.recover(int(clock.now() * 1000), 0.0) == 1
        clock.move(5)

    row = await desk.row(job_id)
    assert (row.status, row.error_code) == ("failed", "server_crashed")
    assert row.error == "The server that did it went down, in attempt 2 of 2."


async def test_two_processes_share_the_work(postgresql_url: str, clock: HandClock) -> None:
    first, second = await open_database(postgresql_url), await open_database(postgresql_url)
    async with job_desk(first, clock) as one:
        two = JobDesk(second, clock)
        await two.heartbeat()
        two.runner.start()
        ids = [await one.keep(f"j{number}") for number in range(100)]
        for job_id in ids:
            await one.until(job_id, "completed")
        names = one.worker.names + two.worker.names
        await two.runner.close()

    assert Counter(names) == await effects(first) == Counter(f"j{number}" for number in range(100))
    await first.close()
    await second.close()


async def test_the_log_tells_no_texts_of_jobs(
    database: Database, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "frontdesk")
    async with job_desk(database, clock, most_attempts=1) as desk:
        desk.worker.outcomes["private words"] = [ProviderError("private reason")]
        await desk.until(await desk.keep("private words"), "failed")

    assert "job_not_done" in caplog.text
    assert "private" not in caplog.text
