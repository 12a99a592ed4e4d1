"""Rows of turns, attempts and processes, on both engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import bindparam, update

from frontdesk.ledger.holds import Facts
from frontdesk.storage.database import Database, open_beside
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import attempt, turn
from frontdesk.usage.rows import AttemptRow, TurnRow, Used
from frontdesk.usage.store import TurnReader, TurnStore, crash_rows
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


def _start(store: TurnStore, row: TurnRow) -> None:
    store.started(row.tenant, row.id, lambda: row)


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
    tier="free",
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
    cost_micros=321,
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
    audio_input_tokens=1,
    image_input_tokens=2,
    tool_tokens=0,
    audio_output_tokens=6,
    image_output_tokens=7,
    usage_source="reported",
    cost_micros=321,
    cost_source="usage",
    price="config",
    raw_usage='{"total_tokens": 30}',
)


async def test_a_settled_turn_is_kept_whole(store: TurnStore, database: Database, reader: TurnReader):
    _start(store, _turn("resp_1"))
    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)

    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_a_turn_is_there_while_it_runs(store: TurnStore, database: Database, reader: TurnReader):
    _start(store, _turn("resp_1", person="u1"))
    store.attempted(_attempt("resp_1"))
    await _written(store, database)
    assert await reader.find("resp_1") == _turn("resp_1", person="u1")
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1")]

    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)
    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


def test_rows_are_what_the_tables_have():
    """Tables say what is kept, once; a column that is forgotten here is a value that no row ever gets."""
    assert set(TurnRow.__struct_fields__) == set(turn.c.keys()) - {"owner"}
    assert set(AttemptRow.__struct_fields__) == set(attempt.c.keys())
    assert set(Used.__struct_fields__) < set(turn.c.keys()) & set(attempt.c.keys())


async def test_a_row_that_says_running_changes_none_that_is_there(
    open_store: Callable[..., TurnStore], database: Database, reader: TurnReader
):
    """Lanes have no order among each other: the end may be written first."""
    store = open_store()
    await database.write(*store.final_steps(_FULL_TURN, [_FULL_ATTEMPT]))

    _start(store, _turn("resp_1"))
    store.attempted(_attempt("resp_1"))
    await _written(store, database)

    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_what_others_write_at_the_end_is_no_more_gathered(
    store: TurnStore, database: Database, reader: TurnReader
):
    _start(store, _turn("resp_1"))
    store.attempted(_attempt("resp_1"))

    steps = store.final_steps(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)

    assert await reader.find("resp_1") is None
    assert await reader.attempts_of("resp_1") == []
    await database.write(*steps)
    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_a_turn_without_attempts_has_one_row(store: TurnStore, database: Database, reader: TurnReader):
    await database.write(*store.final_steps(_turn("resp_1", status="refused"), []))

    assert await reader.find("resp_1") == _turn("resp_1", status="refused")


async def test_a_turn_that_settles_at_once_is_never_made_a_row_of_while_it_runs(
    store: TurnStore, database: Database, reader: TurnReader
):
    def unwanted() -> TurnRow:
        raise AssertionError("its row is not needed")

    store.started("default", "resp_1", unwanted)
    store.settled(_FULL_TURN, [_FULL_ATTEMPT])
    await _written(store, database)

    assert await reader.find("resp_1") == _FULL_TURN


async def test_what_is_not_known_stays_unknown(store: TurnStore, database: Database, reader: TurnReader):
    store.settled(_turn("resp_1", status="completed", input_tokens=0), [])
    await _written(store, database)

    kept = await reader.find("resp_1")
    assert kept is not None
    assert (kept.input_tokens, kept.output_tokens) == (0, None)


async def test_the_latest_turns_come_first(store: TurnStore, database: Database, reader: TurnReader):
    for number in (3, 1, 2):
        _start(store, _turn(f"resp_{number}", started_at_ms=number))
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
        _start(store, _turn("resp_1", tenant=tenant))
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
    _start(store, _turn("resp_1", person="anon_1"))
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
    _start(store, _turn("resp_1"))
    while await reader.find("resp_1") is None:
        await database.flush()


async def test_nothing_is_gathered_twice(store: TurnStore, database: Database, reader: TurnReader):
    store.settled(_turn("resp_1", status="completed"), [])
    await _written(store, database)
    _start(store, _turn("resp_2"))
    await _written(store, database)

    assert [turn.id for turn in await reader.recent(10)] == ["resp_2", "resp_1"]


# --- crashes ------------------------------------------------------------------------------------


async def _written(store: TurnStore, database: Database) -> None:
    store.close()
    await database.flush()


async def _abandon(store: TurnStore, database: Database, turn_id: str) -> None:
    """A process begins a turn and is never heard of again."""
    await store.register_process()
    _start(store, _turn(turn_id))
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
    _start(store, _turn("resp_mine"))
    await _written(store, database)

    assert await store.sweep_orphans(dead_after_s=30) == 1
    assert await store.sweep_orphans(dead_after_s=30) == 0

    crashed = {"error_code": "server_crashed", "finished_at_ms": 1_060_000}
    assert await reader.find("resp_1") == _turn("resp_1", status="failed", **crashed)
    assert await reader.attempts_of("resp_1") == [
        _attempt("resp_1", status="abandoned", cost_source="crash", **crashed)
    ]
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
    _start(dead, _turn("resp_1", tenant="other"))
    dead.attempted(_attempt("resp_1", tenant="other"))
    _start(dead, _turn("resp_2"))
    await _written(dead, database)
    clock.move(60)
    await living.register_process()
    _start(living, _turn("resp_1"))
    living.attempted(_attempt("resp_1"))
    await _written(living, database)

    assert await living.sweep_orphans(dead_after_s=30) == 2

    theirs = TurnReader(database, "other")
    assert [turn.status for turn in await theirs.recent(9)] == ["failed"]
    assert [attempt.status for attempt in await theirs.attempts_of("resp_1")] == ["abandoned"]
    assert await reader.find("resp_1") == _turn("resp_1")
    assert await reader.attempts_of("resp_1") == [_attempt("resp_1")]


# --- crashes with money put aside ---------------------------------------------------------------

_FACTS = Facts(
    door="chat",
    caller="user",
    credential="sess_1",
    person="u1",
    feature="chat",
    tier="free",
    model="fast",
    is_streaming=True,
    started_at_ms=1_000,
    route="openai/org/gpt-5-mini",
)
_CRASHED = {"error_code": "server_crashed", "finished_at_ms": 9_000, "cost_micros": 70}
_SWEPT_TURN = TurnRow(
    tenant="default",
    id="resp_1",
    door="chat",
    caller="user",
    is_streaming=True,
    started_at_ms=1_000,
    status="failed",
    person="u1",
    credential="sess_1",
    feature="chat",
    tier="free",
    model="fast",
    **_CRASHED,
)
_SWEPT_ATTEMPT = AttemptRow(
    tenant="default",
    turn="resp_1",
    number=1,
    provider="openai",
    model="org/gpt-5-mini",
    started_at_ms=1_000,
    status="abandoned",
    cost_source="crash",
    **_CRASHED,
)


async def _crash(database: Database, micros: int = 70, now_ms: int = 9_000) -> None:
    await database.write(*crash_rows("default", "resp_1", _FACTS, micros, now_ms))


async def test_a_crash_leaves_rows_where_none_were_written(database: Database, reader: TurnReader):
    await _crash(database)
    await _crash(database, now_ms=9_999)

    assert await reader.find("resp_1") == _SWEPT_TURN
    assert await reader.attempts_of("resp_1") == [_SWEPT_ATTEMPT]


async def test_a_crash_ends_a_turn_that_was_seen_running(store: TurnStore, database: Database, reader: TurnReader):
    _start(store, _turn("resp_1", person="u2", started_at_ms=900))
    store.attempted(_attempt("resp_1", provider="other", model="m", started_at_ms=901))
    await _written(store, database)

    await _crash(database)

    assert await reader.find("resp_1") == _turn(
        "resp_1", person="u2", started_at_ms=900, status="failed", tier="free", **_CRASHED
    )
    assert await reader.attempts_of("resp_1") == [
        _attempt(
            "resp_1",
            provider="other",
            model="m",
            started_at_ms=901,
            status="abandoned",
            cost_source="crash",
            **_CRASHED,
        )
    ]


async def test_a_crash_is_the_same_whichever_sweep_comes_first(
    open_store: Callable[..., TurnStore], database: Database, clock: HandClock, reader: TurnReader
):
    await _abandon(open_store("proc_dead"), database, "resp_1")
    clock.move(8.0)
    survivor = open_store("proc_2")

    assert await survivor.sweep_orphans(dead_after_s=1) == 1
    await _crash(database, now_ms=9_999)
    swept_first = await reader.find("resp_1"), await reader.attempts_of("resp_1")
    assert await survivor.sweep_orphans(dead_after_s=1) == 0

    ended = {**_CRASHED, "finished_at_ms": 1_008_000}
    assert swept_first == (
        _turn("resp_1", status="failed", tier="free", **ended),
        [_attempt("resp_1", status="abandoned", cost_source="crash", **ended)],
    )
    assert (await reader.find("resp_1"), await reader.attempts_of("resp_1")) == swept_first


async def test_a_crash_changes_no_turn_that_has_ended(store: TurnStore, database: Database, reader: TurnReader):
    await database.write(*store.final_steps(_FULL_TURN, [_FULL_ATTEMPT]))

    await _crash(database)

    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_who_comes_back_after_a_crash_knows_better(store: TurnStore, database: Database, reader: TurnReader):
    await _crash(database)

    await database.write(*store.final_steps(_FULL_TURN, [_FULL_ATTEMPT]))

    assert await reader.find("resp_1") == _FULL_TURN
    assert await reader.attempts_of("resp_1") == [_FULL_ATTEMPT]


async def test_rows_of_the_same_turns_can_be_written_at_the_same_time(
    open_store: Callable[..., TurnStore], database: Database, reader: TurnReader
):
    """By the ledger and by who began them: whoever is first, the end stands and nothing is lost."""
    for round_number in range(5):
        store = open_store()
        ids = [f"resp_{round_number}_{number:03}" for number in range(40)]
        for turn_id in reversed(ids):
            _start(store, _turn(turn_id))
        store.close()
        steps = [step for turn_id in ids for step in store.final_steps(_turn(turn_id, status="completed"), [])]
        await database.write(*steps)
        await database.flush()
        assert {row.status for row in await reader.recent(40)} == {"completed"}
    assert database.lost_writes == 0
