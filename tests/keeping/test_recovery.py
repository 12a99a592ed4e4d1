"""What dead processes leave is ended once, or carried on once, whoever finds it and whatever fails meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from frontdesk.accounts.absent import CallerThen
from frontdesk.core.errors import BadRequest
from frontdesk.doors.desk import Visit
from frontdesk.keeping.again import Again
from frontdesk.keeping.recovery import Recovery
from frontdesk.keeping.rows import Asked, ResponseRow, encode_asked
from frontdesk.keeping.store.responses import put
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.errors import StorageFailed
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import response
from frontdesk.turn.events import TurnCancelled
from frontdesk.turn.log import Entry, Failure
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock
from tests.keeping.jumping_time import run_jumping
from tests.keeping.memory import MemoryDatabase
from tests.keeping.process import (
    ANSWER,
    DAY_MS,
    KILL,
    PATH,
    Client,
    Process,
    Speaker,
    done,
    is_empty,
    keys,
    row_of,
    rows,
    statuses,
    until,
)


class Taker:
    """A process that takes over. What is to be asked again goes through its keeper, as a door would have it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.asked_again: list[str] = []
        self.may_ask = True
        self.error: Exception | None = None
        self.recovery = Recovery(process.home, process.texts, self._run_again, self._says, 12)

    async def _run_again(self, row: ResponseRow) -> bool:
        self.asked_again.append(row.id)
        if self.error is not None:
            raise self.error
        if self.may_ask:
            turn = self.process.turn()
            turn.id, turn.started_at = row.id, row.created_at_ms / 1000
            self.process.keeper.carry_on(turn, self.process.plan(turn))
        return self.may_ask

    async def _says(self, row: ResponseRow, entries: list[Entry]) -> list[dict[str, Any]]:
        return []


@pytest.fixture
async def processes(database: Database) -> AsyncIterator[tuple[Process, Taker]]:
    """One that is going to die, and one that finds what it leaves."""
    clock = HandClock()
    first = Process(database, Speaker(waits_at=2), name="one", clock=clock)
    second = Taker(Process(database, Speaker(), name="two", clock=clock))
    await first.lease.begin()
    await second.process.lease.begin()
    yield first, second
    await second.process.until_idle()
    assert second.process.holds_nothing()
    await second.process.close()


async def die(process: Process) -> None:
    await process.crash()
    await process.database.write(Step(KILL, {"of_id": process.lease.carrier}))


async def enter(process: Process, **options: Any) -> Turn:
    """Have a turn entered, of which nothing is done yet."""
    turn = process.turn()
    kept = process.keeper._new(turn, process.plan(turn, "key-1", **options))
    await kept.enter_alone()
    return turn


async def test_one_that_was_being_asked_ends_as_failed_with_what_was_told(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    client = Client()
    turn = first.ask(client, "key-1")
    await until(lambda: len(client.events) == 2)
    await die(first)

    assert await second.recovery.sweep() == 1
    assert await second.recovery.sweep() == 0

    again = await second.process.answer("key-1")
    assert again.events == client.events == ANSWER[:2]
    assert again.code == "server_crashed"
    assert second.asked_again == []
    assert await rows(second.process.database) == [(turn.id, "failed", True, "two")]
    whole = await second.process.texts.answer("default", turn.id)
    assert whole is not None
    assert isinstance(whole[-1], Failure)


async def test_one_of_which_nobody_was_asked_is_asked_once(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    turn = await enter(first)
    await die(first)

    await second.recovery.sweep()
    same = Client()
    second.process.ask(same, "key-1")
    await done(same)
    await second.process.until_idle()

    assert same.events == ANSWER
    assert second.asked_again == [turn.id]
    speaker: Any = second.process.live._line.router
    assert speaker._routes["fast"][0].provider.asked == 1
    assert await rows(second.process.database) == [(turn.id, "completed", True, "two")]


async def test_one_that_dies_again_while_it_is_asked_again_is_not_asked_a_third_time(
    processes: tuple[Process, Taker],
) -> None:
    first, second = processes
    turn = await enter(first)
    await die(first)
    slow = Taker(Process(first.database, speaker := Speaker(waits_at=2), name="three", clock=first.clock))
    await slow.process.lease.begin()
    await slow.recovery.sweep()
    await until(lambda: speaker.asked)
    await die(slow.process)

    await second.recovery.sweep()

    assert (second.asked_again, speaker.asked) == ([], 1)
    assert await statuses(second.process.database) == {turn.id: "failed"}


async def test_one_that_is_asked_again_and_refused_ends_and_gives_its_key_back(
    processes: tuple[Process, Taker],
) -> None:
    first, second = processes
    turn = await enter(first)
    await die(first)
    router: Any = second.process.live._line.router
    router._routes["fast"][0].provider.batches = [BadRequest("It cannot.", code="bad")]

    await second.recovery.sweep()
    await second.process.until_idle()

    assert await statuses(second.process.database) == {turn.id: "failed"}
    assert await keys(second.process.database) == []


async def test_one_whose_caller_may_not_ask_any_more_ends(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    turn = await enter(first)
    await die(first)
    second.may_ask = False

    await second.recovery.sweep()

    assert await statuses(second.process.database) == {turn.id: "failed"}
    assert (await second.process.answer("key-1")).code == "caller_gone"


async def test_one_of_which_nothing_was_kept_is_forgotten_with_its_key(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    await enter(first, stores=False, keeps_texts=False)
    await die(first)

    await second.recovery.sweep()

    assert await is_empty(second.process.database)
    assert second.asked_again == []
    assert (await second.process.answer("key-1")).events == ANSWER


async def test_one_that_was_to_end_ends_as_cancelled(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    client = Client()
    turn = first.ask(client, "key-1")
    await until(lambda: len(client.events) == 2)
    await die(first)
    await first.database.write(Step(_WANT_CANCEL, {"of_id": turn.id}))

    await second.recovery.sweep()

    assert await statuses(second.process.database) == {turn.id: "cancelled"}
    again = await second.process.answer("key-1")
    assert again.events == [*ANSWER[:2], TurnCancelled()]


async def test_what_dies_is_kept_no_longer_than_its_tier_says(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    for key, tier, stores in (("a", "brief", True), ("b", "free", True), ("c", "free", False), ("d", "brief", False)):
        client = Client()
        first.ask(client, key, turn=first.turn(tier=tier, text=key), stores=stores)
        await until(lambda: len(client.events) == 2)  # noqa: B023 - it is this one's
    await die(first)

    await second.recovery.sweep()

    query = Query(sa.select(response.c.expires_at_ms, response.c.finished_at_ms, response.c.events_until_ms))
    kept = [
        (until_ms - ended_ms, events_ms - ended_ms)
        for until_ms, ended_ms, events_ms in await first.database.read(query)
    ]
    assert sorted(kept) == sorted([(DAY_MS, DAY_MS), (30 * DAY_MS, DAY_MS), (2 * DAY_MS, 2 * DAY_MS), (DAY_MS, DAY_MS)])


async def test_a_storage_that_fails_in_the_middle_loses_none(processes: tuple[Process, Taker]) -> None:
    first, second = processes
    turns = []
    for number in range(4):
        client = Client()
        turns.append(first.ask(client, f"key-{number}"))
        await until(lambda: len(client.events) == 2)  # noqa: B023 - it is this one's
    await die(first)
    texts: Any = second.process.texts
    entries_from, fails = texts.entries_from, iter([False, True, True, False])

    async def sometimes(*asked: Any) -> Any:
        if next(fails, False):
            raise StorageFailed("The disk is gone.")
        return await entries_from(*asked)

    texts.entries_from = sometimes
    for _ in range(2):
        with pytest.raises(StorageFailed):
            await second.recovery.sweep()
    await second.recovery.sweep()

    assert await statuses(first.database) == {turn.id: "failed" for turn in turns}
    assert second.recovery._taken == {}


async def test_a_bug_in_asking_one_again_ends_that_one_alone(
    processes: tuple[Process, Taker], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = processes
    turn = await enter(first)
    await die(first)
    second.error = RuntimeError("A bug.")

    await second.recovery.sweep()

    assert await statuses(first.database) == {turn.id: "failed"}
    assert "response_not_run_again" in caplog.text


async def test_a_process_that_goes_down_itself_leaves_to_others_what_it_has_taken(
    processes: tuple[Process, Taker],
) -> None:
    first, second = processes
    turn = await enter(first)
    await die(first)
    await second.process.live.close(0)

    await second.recovery.sweep()

    assert await rows(first.database) == [(turn.id, "queued", False, None)]
    assert second.process.holds_nothing()


def test_a_long_recovery_lets_its_process_say_that_it_lives_meanwhile() -> None:
    async def play() -> None:
        database = MemoryDatabase()
        first, second = Process(database, Speaker(), name="one"), Taker(Process(database, Speaker(), name="two"))
        await first.lease.begin()
        turns = [first.turn() for _ in range(20)]
        for turn in turns:
            kept = first.keeper._new(turn, first.plan(turn))
            kept._is_asked = True
            await kept.enter_alone()
        database.takes_s = 0.5
        loop = asyncio.get_running_loop()

        sweeps = 0
        while (await statuses(database)) != {turn.id: "failed" for turn in turns}:
            began_at = loop.time()
            await second.recovery.sweep()
            assert loop.time() - began_at < 4
            sweeps += 1

        assert 3 <= sweeps <= 10
        assert second.recovery._taken == {}

    run_jumping(play())


async def test_what_the_carrier_still_stores_after_it_was_fenced_is_not_there(postgresql_url: str) -> None:
    """Two processes, two connections: one is only slow, the other takes it for dead."""
    one, two = await open_database(postgresql_url), await open_database(postgresql_url)
    clock = HandClock()
    first = Process(one, speaker := Speaker([[event] for event in ANSWER], waits_at=3), name="one", clock=clock)
    second = Taker(Process(two, Speaker(), name="two", clock=clock))
    await first.lease.begin()
    await second.process.lease.begin()
    client = Client()
    turn = first.ask(client, "key-1")
    await until(lambda: len(client.events) == 3)
    await one.write(Step(KILL, {"of_id": "one"}))

    sweeping = asyncio.ensure_future(second.recovery.sweep())
    speaker.may_speak.set()
    await asyncio.gather(done(client), sweeping)
    await first.until_idle()

    row = await row_of(second.process, turn)
    told = [entry for _, batch in await second.process.texts.entries_from("default", turn.id, 0) for entry in batch]
    if row.status == "completed":  # it was quick enough
        assert told == client.events == ANSWER
    else:
        assert row.status == "failed"
        assert told[:-1] == ANSWER[: len(told) - 1]
        assert client.events == told[: len(client.events)]
    again = await second.process.answer("key-1")
    assert again.events == [entry for entry in told if not isinstance(entry, Failure)]
    for process, database in ((first, one), (second.process, two)):
        await process.close()
        await database.close()


async def test_many_take_overs_at_once_end_each_turn_once(postgresql_url: str) -> None:
    opened = [await open_database(postgresql_url) for _ in range(3)]
    clock = HandClock()
    first = Process(opened[0], Speaker(waits_at=2), name="one", clock=clock)
    await first.lease.begin()
    clients = [Client() for _ in range(12)]
    turns = [first.ask(client, f"key-{number}") for number, client in enumerate(clients)]
    await until(lambda: all(len(client.events) == 2 for client in clients))
    await die(first)
    takers = [
        Taker(Process(database, Speaker(), name=f"p{number}", clock=clock)) for number, database in enumerate(opened)
    ]
    for taker in takers:
        await taker.process.lease.begin()

    swept = await asyncio.gather(*(taker.recovery.sweep() for taker in takers))

    assert sum(swept) == 12
    assert await statuses(opened[0]) == {turn.id: "failed" for turn in turns}
    for taker, database in zip(takers, opened, strict=True):
        await taker.process.close()
        await database.close()


_WANT_CANCEL = Query(sa.update(response).where(response.c.id == sa.bindparam("of_id")).values(wants_cancel=True))


# --- asking again -------------------------------------------------------------------------------


class NowKnown:
    """Callers, all of whom are there, or nobody."""

    def __init__(self, caller: Caller | None) -> None:
        self._caller = caller
        self.asked: list[tuple[str, str, CallerThen, int]] = []

    async def caller_now(self, tenant: str, person: str, then: CallerThen, since_ms: int) -> Caller | None:
        self.asked.append((tenant, person, then, since_ms))
        return self._caller


async def left(database: Any, **fields: Any) -> ResponseRow:
    asked = Asked(
        b'{"a":1}',
        "application/json",
        feature="feature-é",
        priority="batch",
        address="192.0.2.7",
        path=PATH,
        context='time_zone="UTC"',
    )
    made = Process(database, Speaker())
    turn = made.turn()
    kept = made.keeper._new(turn, made.plan(turn, "key-1"))
    row = msgspec.structs.replace(kept._row(), **fields)
    await database.transact(lambda: put(row, encode_asked(asked)))
    return row


async def test_it_is_asked_again_as_it_was_asked() -> None:
    database = MemoryDatabase()
    row = await left(database)
    caller, visits = Caller("user", "sess_1", "u1", "free"), []

    async def serve(visit: Visit) -> None:
        visits.append(visit)

    callers = NowKnown(caller)
    assert await Again({PATH: serve}, callers, Process(database, Speaker()).texts).run(row)

    (visit,) = visits
    assert (visit.caller, visit.body, visit.adopts) == (caller, b'{"a":1}', row)
    assert visit.content_type == b"application/json"
    assert visit.head.feature == "feature-é".encode("latin-1")
    assert visit.head.priority == b"batch"
    assert visit.head.context == b'time_zone="UTC"'
    assert visit.head.idempotency_key is None
    assert visit.scope["client"] == ("192.0.2.7", 0)
    ((_, _, then, since_ms),) = callers.asked
    assert (then.credential_id, since_ms) == ("sess_1", row.created_at_ms)
    assert (await visit.receive())["type"] == "http.disconnect"


async def test_it_is_not_asked_where_nobody_may_or_nothing_is_kept_or_nobody_serves_it() -> None:
    database = MemoryDatabase()
    row = await left(database)
    caller = Caller("user", "sess_1", "u1", "free")
    texts = Process(database, Speaker()).texts

    async def serve(visit: Visit) -> None:
        raise BadRequest("The configuration has changed.")

    async def never(visit: Visit) -> None:
        raise AssertionError

    assert not await Again({PATH: never}, NowKnown(None), texts).run(row)
    assert not await Again({}, NowKnown(caller), texts).run(row)
    assert not await Again({PATH: never}, NowKnown(caller), texts).run(msgspec.structs.replace(row, id="resp_other"))
    assert not await Again({PATH: serve}, NowKnown(caller), texts).run(row)
