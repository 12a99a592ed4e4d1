"""Rows of turns, attempts and processes, on both engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from frontdesk.storage.database import Database, open_beside
from frontdesk.usage.store import AttemptRow, TurnRow, TurnStore
from tests.fakes import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1_000.0)


@pytest.fixture
def open_store(database: Database, clock: HandClock) -> Callable[..., TurnStore]:
    def opened(owner: str = "proc_1", tenant: str = "default", on: Database = database) -> TurnStore:
        return TurnStore(on, owner=owner, clock=clock, tenant=tenant)

    return opened


@pytest.fixture
def store(open_store: Callable[..., TurnStore]) -> TurnStore:
    return open_store()


def _turn(turn_id: str, **values) -> TurnRow:
    return TurnRow(
        **{"id": turn_id, "door": "chat", "caller": "user", "is_streaming": True, "started_at_ms": 1_000, **values}
    )


def _attempt(turn_id: str, number: int = 1, **values) -> AttemptRow:
    return AttemptRow(
        **{"turn": turn_id, "number": number, "provider": "openai", "model": "m", "started_at_ms": 1_001, **values}
    )


_FULL_TURN = TurnRow(
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


async def test_a_settled_turn_is_kept_whole(store: TurnStore, database: Database):
    store.started(_turn("resp_1"))
    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)

    assert await store.find("resp_1") == _FULL_TURN
    assert await store.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_a_turn_is_there_while_it_runs(store: TurnStore, database: Database):
    store.started(_turn("resp_1"))
    store.attempted(_attempt("resp_1"))
    await _written(store, database)
    assert await store.find("resp_1") == _turn("resp_1")
    assert await store.attempts_of("resp_1") == [_attempt("resp_1")]

    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)
    assert await store.find("resp_1") == _FULL_TURN
    assert await store.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_what_is_not_known_stays_unknown(store: TurnStore, database: Database):
    store.settled(_turn("resp_1", status="completed", input_tokens=0), [])
    await _written(store, database)

    kept = await store.find("resp_1")
    assert kept is not None
    assert (kept.input_tokens, kept.output_tokens) == (0, None)


async def test_the_latest_turns_come_first(store: TurnStore, database: Database):
    for number in (3, 1, 2):
        store.started(_turn(f"resp_{number}", started_at_ms=number))
    await _written(store, database)

    assert [turn.id for turn in await store.recent(2)] == ["resp_3", "resp_2"]


async def test_attempts_are_in_order(store: TurnStore, database: Database):
    store.settled(_turn("resp_1"), [_attempt("resp_1", number) for number in (2, 1, 3)])
    await _written(store, database)

    assert [attempt.number for attempt in await store.attempts_of("resp_1")] == [1, 2, 3]


async def test_a_tenant_sees_its_own(open_store: Callable[..., TurnStore], store: TurnStore, database: Database):
    store.settled(_turn("resp_1"), [_attempt("resp_1")])
    await _written(store, database)
    other = open_store(tenant="other")

    assert (await other.find("resp_1"), await other.recent(10), await other.attempts_of("resp_1")) == (None, [], [])


async def test_strange_names_and_counts_do_not_cost_the_row(store: TurnStore, database: Database):
    """A model's name is whatever a client sent, and a provider may report nonsense."""
    names = ["a\0b", "lone \ud800 surrogate", "x" * 10_000, "line\nbreak", "naïve 🙂"]
    for number, name in enumerate(names):
        store.settled(
            _turn(f"resp_{number}", model=name, feature=name, person=name, input_tokens=10**30),
            [_attempt(f"resp_{number}", output_tokens=2**63)],
        )
    await _written(store, database)

    turns = [await store.find(f"resp_{number}") for number in range(len(names))]
    kept = [turn.model for turn in turns if turn is not None]
    assert kept == ["a?b", "lone ? surrogate", "x" * 200, "line\nbreak", "naïve 🙂"]
    assert {turn.input_tokens for turn in turns if turn is not None} == {2**63 - 1}
    assert database.lost_writes == 0


async def test_gathered_rows_are_written_by_themselves(store: TurnStore, database: Database):
    store.started(_turn("resp_1"))
    while await store.find("resp_1") is None:
        await database.flush()


async def test_nothing_is_gathered_twice(store: TurnStore, database: Database):
    store.settled(_turn("resp_1", status="completed"), [])
    await _written(store, database)
    store.started(_turn("resp_2"))
    await _written(store, database)

    assert [turn.id for turn in await store.recent(10)] == ["resp_2", "resp_1"]


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


async def test_turns_of_a_dead_process_fail(open_store: Callable[..., TurnStore], database: Database, clock: HandClock):
    await _abandon(open_store("proc_dead"), database, "resp_1")
    clock.move(60)
    store = open_store("proc_2")
    await store.register_process()
    store.started(_turn("resp_mine"))
    await _written(store, database)

    assert await store.sweep_orphans(dead_after_s=30) == 1
    assert await store.sweep_orphans(dead_after_s=30) == 0

    crashed = {"error_code": "server_crashed", "finished_at_ms": 1_060_000}
    assert await store.find("resp_1") == _turn("resp_1", status="failed", **crashed)
    assert await store.attempts_of("resp_1") == [_attempt("resp_1", status="abandoned", **crashed)]
    assert await store.find("resp_1_settled") == _turn("resp_1_settled", status="completed")
    assert await store.attempts_of("resp_1_settled") == [_attempt("resp_1_settled", status="completed")]
    assert await store.find("resp_mine") == _turn("resp_mine")


async def test_turns_of_a_living_process_go_on(
    open_store: Callable[..., TurnStore], database_url: str, database: Database, clock: HandClock
):
    # On SQLite only a process beside the server must think of others as alive.
    beside = await open_beside(database_url)
    other = open_store("proc_other")
    await _abandon(other, database, "resp_1")
    clock.move(60)
    await other.heartbeat()

    swept = await open_store("proc_2", on=beside).sweep_orphans(dead_after_s=30)

    assert swept == 0
    assert await other.find("resp_1") == _turn("resp_1")
    await beside.close()


async def test_where_no_other_process_can_serve_all_others_are_dead(
    open_store: Callable[..., TurnStore], database: Database, engine: str
):
    await _abandon(open_store("proc_just_now"), database, "resp_1")

    swept = await open_store("proc_2").sweep_orphans(dead_after_s=30)

    assert swept == (1 if engine == "sqlite" else 0)


async def test_a_process_that_was_thought_dead_has_the_last_word(
    open_store: Callable[..., TurnStore], database: Database, clock: HandClock
):
    paused = open_store("proc_paused")
    await _abandon(paused, database, "resp_1")
    clock.move(60)
    await open_store("proc_2").sweep_orphans(dead_after_s=30)

    paused.settled(_turn("resp_1", status="completed", http_status=200), [_attempt("resp_1", status="completed")])
    await _written(paused, database)
    await paused.heartbeat()

    assert await paused.find("resp_1") == _turn("resp_1", status="completed", http_status=200)
    assert await paused.attempts_of("resp_1") == [_attempt("resp_1", status="completed")]


async def test_a_sweep_stays_in_its_tenant(open_store: Callable[..., TurnStore], database: Database, clock: HandClock):
    theirs = open_store("proc_dead", tenant="other")
    await _abandon(theirs, database, "resp_1")
    clock.move(60)

    assert await open_store("proc_2").sweep_orphans(dead_after_s=30) == 0
    assert await theirs.find("resp_1") == _turn("resp_1")
    assert await open_store("proc_2", tenant="other").sweep_orphans(dead_after_s=30) == 1
