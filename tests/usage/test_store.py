"""Rows of turns, attempts and processes, on both engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import bindparam, update

from frontdesk.storage.database import Database, open_beside
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import turn
from frontdesk.usage.store import AttemptRow, TurnReader, TurnRow, TurnStore
from tests.fakes import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1_000.0)


@pytest.fixture
def open_store(database: Database, clock: HandClock) -> Callable[..., TurnStore]:
    def opened(owner: str = "proc_1", on: Database = database) -> TurnStore:
        return TurnStore(on, owner=owner, clock=clock)

    return opened


@pytest.fixture
def store(open_store: Callable[..., TurnStore]) -> TurnStore:
    return open_store()


@pytest.fixture
def reader(database: Database) -> TurnReader:
    return TurnReader(database, "default")


def _turn(turn_id: str, **values) -> TurnRow:
    usual = {"door": "chat", "caller": "user", "is_streaming": True, "started_at_ms": 1_000}
    return TurnRow(**{"tenant": "default", "id": turn_id, **usual, **values})


def _attempt(turn_id: str, number: int = 1, **values) -> AttemptRow:
    usual = {"provider": "openai", "model": "m", "started_at_ms": 1_001}
    return AttemptRow(**{"tenant": "default", "turn": turn_id, "number": number, **usual, **values})


_FULL_TURN = TurnRow(
    tenant="default",
    id="resp_1",
    door="responses",
    caller="user",
    is_streaming=False,
    started_at_ms=1_000,
    status="completed",
    person="u1",
    credential="sess_1",
    feature="chat",
    model="fast",
    error_code="none",
    http_status=200,
    first_event_at_ms=1_100,
    finished_at_ms=1_200,
    input_tokens=10,
    output_tokens=20,
    cached_tokens=3,
    cache_write_tokens=4,
    reasoning_tokens=5,
    usage_source="reported",
)
_FULL_ATTEMPT = AttemptRow(
    tenant="default",
    turn="resp_1",
    number=1,
    provider="openai",
    model="gpt-5-mini",
    started_at_ms=1_001,
    status="completed",
    error_code="none",
    http_status=200,
    first_event_at_ms=1_100,
    finished_at_ms=1_200,
    input_tokens=10,
    output_tokens=20,
    cached_tokens=3,
    cache_write_tokens=4,
    reasoning_tokens=5,
    usage_source="reported",
    raw_usage='{"total_tokens": 30}',
)


async def test_a_settled_turn_is_kept_whole(store: TurnStore, database: Database, reader: TurnReader):
    store.started(_turn("resp_1"))
    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)

    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_a_turn_is_there_while_it_runs(store: TurnStore, database: Database, reader: TurnReader):
    store.started(_turn("resp_1", person="u1"))
    store.attempted(_attempt("resp_1"))
    await _written(store, database)
    assert await reader.find("resp_1") == _turn("resp_1", person="u1")
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1")]

    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)
    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_what_is_not_known_stays_unknown(store: TurnStore, database: Database, reader: TurnReader):
    store.settled(_turn("resp_1", status="completed", input_tokens=0), [])
    await _written(store, database)

    kept = await reader.find("resp_1")
    assert kept is not None
    assert (kept.input_tokens, kept.output_tokens) == (0, None)


async def test_the_latest_turns_come_first(store: TurnStore, database: Database, reader: TurnReader):
    for number in (3, 1, 2):
        store.started(_turn(f"resp_{number}", started_at_ms=number))
    await _written(store, database)

    assert [turn.id for turn in await reader.recent(2)] == ["resp_3", "resp_2"]


async def test_attempts_are_in_order(store: TurnStore, database: Database, reader: TurnReader):
    store.settled(_turn("resp_1"), [_attempt("resp_1", number) for number in (2, 1, 3)])
    await _written(store, database)

    assert [attempt.number for attempt in await reader.attempts_of("resp_1")] == [1, 2, 3]


async def test_each_row_is_its_tenants_and_no_reader_sees_anothers(
    store: TurnStore, database: Database, reader: TurnReader
):
    """One process carries the turns of all; their ids may be equal."""
    for tenant, model in (("default", "ours"), ("other", "theirs")):
        store.started(_turn("resp_1", tenant=tenant))
        attempts = [_attempt("resp_1", tenant=tenant, model=model)]
        store.settled(_turn("resp_1", tenant=tenant, model=model, status="completed"), attempts)
    store.settled(_turn("resp_2", tenant="other"), [_attempt("resp_2", tenant="other")])
    await _written(store, database)
    assert {name for name in vars(TurnReader) if not name.startswith("_")} == {"find", "recent", "attempts_of"}

    ours = _turn("resp_1", model="ours", status="completed")
    assert [await reader.find("resp_1"), await reader.find("resp_2")] == [ours, None]
    assert await reader.recent(10) == [ours]
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1", model="ours")]
    assert await reader.attempts_of("resp_2") == []


async def test_a_row_stays_with_whom_it_was_given_to(store: TurnStore, database: Database, reader: TurnReader):
    """Its person became another one while the turn ran; it settles under the name that it began with."""
    store.started(_turn("resp_1", person="anon_1"))
    await _written(store, database)
    give = update(turn).where(turn.c.id == bindparam("of_id")).values(person=bindparam("new_person"))
    await database.write(Step(Query(give), {"of_id": "resp_1", "new_person": "u1"}))

    store.settled(_turn("resp_1", person="anon_1", status="completed"), [])
    await _written(store, database)

    assert await reader.find("resp_1") == _turn("resp_1", person="u1", status="completed")


async def test_strange_names_and_counts_do_not_cost_the_row(store: TurnStore, database: Database, reader: TurnReader):
    """A model's name is whatever a client sent, and a provider may report nonsense."""
    names = ["a\0b", "lone \ud800 surrogate", "x" * 10_000, "line\nbreak", "naïve 🙂"]
    for number, name in enumerate(names):
        store.settled(
            _turn(f"resp_{number}", model=name, feature=name, person=name, input_tokens=10**30),
            [_attempt(f"resp_{number}", output_tokens=2**63)],
        )
    await _written(store, database)

    turns = [await reader.find(f"resp_{number}") for number in range(len(names))]
    kept = [turn.model for turn in turns if turn is not None]
    assert kept == ["a?b", "lone ? surrogate", "x" * 200, "line\nbreak", "naïve 🙂"]
    assert {turn.input_tokens for turn in turns if turn is not None} == {2**63 - 1}
    assert database.lost_writes == 0


async def test_gathered_rows_are_written_by_themselves(store: TurnStore, database: Database, reader: TurnReader):
    store.started(_turn("resp_1"))
    while await reader.find("resp_1") is None:
        await database.flush()


async def test_nothing_is_gathered_twice(store: TurnStore, database: Database, reader: TurnReader):
    store.settled(_turn("resp_1", status="completed"), [])
    await _written(store, database)
    store.started(_turn("resp_2"))
    await _written(store, database)

    assert [turn.id for turn in await reader.recent(10)] == ["resp_2", "resp_1"]


# --- crashes ------------------------------------------------------------------------------------


async def _written(store: TurnStore, database: Database) -> None:
    store.close()
    await database.flush()


async def _abandon(store: TurnStore, database: Database, turn_id: str) -> None:
    """A process begins a turn and is never heard of again."""
    await store.register_process()
    store.started(_turn(turn_id))
    store.settled(_turn(f"{turn_id}_settled", status="completed"), [_attempt(f"{turn_id}_settled", status="completed")])
    store.attempted(_attempt(turn_id))
    await _written(store, database)


async def test_turns_of_a_dead_process_fail(
    open_store: Callable[..., TurnStore], database: Database, clock: HandClock, reader: TurnReader
):
    await _abandon(open_store("proc_dead"), database, "resp_1")
    clock.move(60)
    store = open_store("proc_2")
    await store.register_process()
    store.started(_turn("resp_mine"))
    await _written(store, database)

    assert await store.sweep_orphans(dead_after_s=30) == 1
    assert await store.sweep_orphans(dead_after_s=30) == 0

    crashed = {"error_code": "server_crashed", "finished_at_ms": 1_060_000}
    assert await reader.find("resp_1") == _turn("resp_1", status="failed", **crashed)
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1", status="abandoned", **crashed)]
    assert await reader.find("resp_1_settled") == _turn("resp_1_settled", status="completed")
    assert await reader.attempts_of("resp_1_settled") == [_attempt("resp_1_settled", status="completed")]
    assert await reader.find("resp_mine") == _turn("resp_mine")


async def test_turns_of_a_living_process_go_on(
    open_store: Callable[..., TurnStore], database_url: str, database: Database, clock: HandClock, reader: TurnReader
):
    # On SQLite only a process beside the server must think of others as alive.
    beside = await open_beside(database_url)
    other = open_store("proc_other")
    await _abandon(other, database, "resp_1")
    clock.move(60)
    await other.heartbeat()

    swept = await open_store("proc_2", on=beside).sweep_orphans(dead_after_s=30)

    assert swept == 0
    assert await reader.find("resp_1") == _turn("resp_1")
    await beside.close()


async def test_where_no_other_process_can_serve_all_others_are_dead(
    open_store: Callable[..., TurnStore], database: Database, engine: str
):
    await _abandon(open_store("proc_just_now"), database, "resp_1")

    swept = await open_store("proc_2").sweep_orphans(dead_after_s=30)

    assert swept == (1 if engine == "sqlite" else 0)


async def test_a_process_that_was_thought_dead_has_the_last_word(
    open_store: Callable[..., TurnStore], database: Database, clock: HandClock, reader: TurnReader
):
    paused = open_store("proc_paused")
    await _abandon(paused, database, "resp_1")
    clock.move(60)
    await open_store("proc_2").sweep_orphans(dead_after_s=30)

    paused.settled(_turn("resp_1", status="completed", http_status=200), [_attempt("resp_1", status="completed")])
    await _written(paused, database)
    await paused.heartbeat()

    assert await reader.find("resp_1") == _turn("resp_1", status="completed", http_status=200)
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1", status="completed")]


async def test_a_sweep_ends_the_turns_of_all_tenants_and_no_others_of_their_names(
    open_store: Callable[..., TurnStore], database: Database, reader: TurnReader, clock: HandClock
):
    dead, living = open_store("proc_dead"), open_store("proc_2")
    dead.started(_turn("resp_1", tenant="other"))
    dead.attempted(_attempt("resp_1", tenant="other"))
    dead.started(_turn("resp_2"))
    await _written(dead, database)
    clock.move(60)
    await living.register_process()
    living.started(_turn("resp_1"))
    living.attempted(_attempt("resp_1"))
    await _written(living, database)

    assert await living.sweep_orphans(dead_after_s=30) == 2

    theirs = TurnReader(database, "other")
    assert [turn.status for turn in await theirs.recent(9)] == ["failed"]
    assert [attempt.status for attempt in await theirs.attempts_of("resp_1")] == ["abandoned"]
    assert await reader.find("resp_1") == _turn("resp_1")
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1")]
