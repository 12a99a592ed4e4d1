"""Turns become rows: whose they are, what became of them, and what they cost."""

from __future__ import annotations

import msgspec
import pytest

from frontdesk.core.errors import ProviderError
from frontdesk.core.money import Price, Rates
from frontdesk.storage.database import Database
from frontdesk.turn.context import ContextRecord, LeftOut
from frontdesk.turn.events import Usage
from frontdesk.turn.turn import Attempt, Caller, Turn
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.usage.rows import AttemptRow, TurnRow
from frontdesk.usage.store import TurnReader, TurnStore
from tests.fakes import HandClock, make_turn
from tests.funds import ListTreasury, PlayedFunds, PricesByRoute

PRICES = PricesByRoute(
    {
        "one/m1": Price(Rates(input=1_000_000, cached=100_000, output=5_000_000), book="today's"),
        "two/m2": Price(Rates(input=2_000_000, output=8_000_000), book="operator's"),
    }
)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1_000.0)


@pytest.fixture
def store(database: Database, clock: HandClock) -> TurnStore:
    return TurnStore(database, owner="proc_1", clock=clock)


@pytest.fixture
def reader(database: Database) -> TurnReader:
    return TurnReader(database, "default")


async def _written(store: TurnStore, database: Database) -> None:
    store.close()
    await database.flush()


def _answered(turn: Turn, usage: Usage, route: str = "one/m1") -> None:
    """The turn's last attempt answered all of it."""
    provider, _, model = route.partition("/")
    attempt = Attempt(provider, model, turn.started_at)
    attempt.first_event_at = attempt.finished_at = turn.first_event_at = turn.started_at + 1
    attempt.status = turn.status = "completed"
    turn.attempts.append(attempt)
    turn.usage = usage
    turn.finished_at = turn.started_at + 2


def _failed(turn: Turn, error: ProviderError, usage: Usage | None = None, route: str = "one/m1") -> None:
    """One more attempt failed before anything was seen of it."""
    provider, _, model = route.partition("/")
    attempt = Attempt(provider, model, turn.started_at)
    attempt.status, attempt.error, attempt.usage = "failed", error, usage
    attempt.finished_at = turn.started_at + 1
    turn.attempts.append(attempt)


async def test_a_turn_is_written_under_its_callers_tenant(store: TurnStore, database: Database, clock: HandClock):
    turn = make_turn(clock, caller=Caller("user", "sess_1", "u1", tenant="acme"))
    turn.attempts.append(Attempt("openai", "gpt-5-mini", clock.now()))
    recorder = TurnRecorder(store, database)

    recorder.started(turn)
    turn.status = "completed"
    recorder.settled(turn)
    await _written(store, database)

    acme = TurnReader(database, "acme")
    (row,) = await acme.recent(9)
    assert (row.tenant, row.id, row.caller, row.credential, row.person, row.status) == (
        "acme",
        turn.id,
        "user",
        "sess_1",
        "u1",
        "completed",
    )
    assert [(each.tenant, each.provider) for each in await acme.attempts_of(turn.id)] == [("acme", "openai")]
    assert await TurnReader(database, "default").recent(9) == []


async def test_a_row_has_all_that_was_written_to_a_cache_for_however_long(
    store: TurnStore, database: Database, clock: HandClock, reader: TurnReader
):
    turn = make_turn(clock)
    prices = PricesByRoute({"one/m1": Price(Rates(cache_write=3_750_000, cache_write_hour=6_000_000))})
    recorder = TurnRecorder(store, database, prices)
    recorder.started(turn)
    _answered(turn, Usage(100, 0, cache_write_tokens=100, cache_write_hour_tokens=60))

    recorder.settled(turn)
    await _written(store, database)

    (row,) = await reader.recent(9)
    assert (row.input_tokens, row.cache_write_tokens, row.cost_micros) == (100, 100, 150 + 360)


async def test_a_turn_is_told_whole(store: TurnStore, database: Database, clock: HandClock, reader: TurnReader):
    """Parts of the tokens share none, though the provider's do: the sound is among what was cached."""
    turn = make_turn(clock)
    recorder = TurnRecorder(store, database, PRICES)
    recorder.started(turn)
    turn.tier, turn.prompt = "free", "0123456789ab"
    turn.context = ContextRecord("window", 3, 100, 90, (LeftOut("window", 2, 40, "msg_1", "msg_2"),))
    # What a budget gave it last, for each of its choices.
    turn.request = msgspec.structs.replace(turn.request, max_output_tokens=300, choices=2)
    usage = Usage(
        input_tokens=100,
        output_tokens=50,
        cached_tokens=100,
        audio_input_tokens=30,
        image_input_tokens=0,
        reasoning_tokens=20,
        image_output_tokens=10,
        raw={"prompt_tokens": 100},
    )
    _answered(turn, usage)

    recorder.settled(turn)
    await _written(store, database)

    used = {
        "input_tokens": 100,
        "output_tokens": 50,
        "cached_tokens": 70,
        "reasoning_tokens": 20,
        "usage_source": "reported",
        "cost_micros": 7 + 100,  # sound, pictures and thoughts have no rates here
    }
    assert await reader.find(turn.id) == TurnRow(
        tenant="default",
        id=turn.id,
        door="responses",
        caller="user",
        is_streaming=True,
        started_at_ms=1_000_000,
        status="completed",
        person="u1",
        credential="sess_1",
        feature="default",
        tier="free",
        model="fast",
        first_event_at_ms=1_001_000,
        finished_at_ms=1_002_000,
        prompt="0123456789ab",
        max_output_tokens=600,
        context='{"strategy":"window","items":3,"budget":100,"tokens":90,"left_out":[{"why":"window","items":2,'
        '"tokens":40,"from":"msg_1","to":"msg_2"}]}',
        **used,
    )
    assert await reader.attempts_of(turn.id) == [
        AttemptRow(
            tenant="default",
            turn=turn.id,
            number=1,
            provider="one",
            model="m1",
            started_at_ms=1_000_000,
            status="completed",
            first_event_at_ms=1_001_000,
            finished_at_ms=1_001_000,
            audio_input_tokens=30,
            image_input_tokens=0,
            image_output_tokens=10,
            raw_usage='{"prompt_tokens":100}',
            cost_source="usage",
            price="today's",
            purpose="first",
            **used,
        )
    ]


async def test_a_turn_costs_what_all_of_its_attempts_cost(
    store: TurnStore, database: Database, clock: HandClock, reader: TurnReader
):
    turn = make_turn(clock)
    _failed(turn, ProviderError("busy", upstream_status=529))
    _failed(turn, ProviderError("broke off"), Usage(9, 1))
    _answered(turn, Usage(10, 2), "two/m2")

    TurnRecorder(store, database, PRICES).settled(turn)
    await _written(store, database)

    attempts = await reader.attempts_of(turn.id)
    assert [(each.cost_micros, each.cost_source, each.price) for each in attempts] == [
        (0, "estimate", None),
        (14, "usage", "today's"),
        (36, "usage", "operator's"),
    ]
    assert [(each.input_tokens, each.output_tokens) for each in attempts] == [(None, None), (9, 1), (10, 2)]
    row = await reader.find(turn.id)
    assert row is not None
    assert (row.cost_micros, row.input_tokens, row.output_tokens) == (50, 10, 2)


@pytest.mark.parametrize("hedge_wins", [True, False])
async def test_a_turn_has_the_tokens_of_the_attempt_that_answered_and_the_costs_of_both(
    store: TurnStore, database: Database, clock: HandClock, reader: TurnReader, hedge_wins: bool
):
    """With hedging that is not always the last one. The other was left, and reported before it was."""
    turn = make_turn(clock)
    first = Attempt("one", "m1", turn.started_at, "first")
    hedge = Attempt("two", "m2", turn.started_at, "hedge")
    turn.attempts += [first, hedge]
    answering, left = (hedge, first) if hedge_wins else (first, hedge)
    turn.answering = answering
    answering.first_event_at = turn.first_event_at = turn.started_at + 1
    answering.status = turn.status = "completed"
    turn.usage, turn.answered_chars = Usage(10, 2), 8
    left.status, left.usage = "cancelled", Usage(30, 4)
    left.finished_at = answering.finished_at = turn.finished_at = turn.started_at + 1

    TurnRecorder(store, database, PRICES).settled(turn)
    await _written(store, database)

    attempts = await reader.attempts_of(turn.id)
    one, two = (30 + 5 * 4, 2 * 10 + 8 * 2) if hedge_wins else (10 + 5 * 2, 2 * 30 + 8 * 4)
    assert [(each.purpose, each.cost_micros) for each in attempts] == [("first", one), ("hedge", two)]
    assert [each.status for each in attempts] == (
        ["cancelled", "completed"] if hedge_wins else ["completed", "cancelled"]
    )
    row = await reader.find(turn.id)
    assert row is not None
    assert (row.cost_micros, row.input_tokens, row.output_tokens) == (one + two, 10, 2)


async def test_what_has_no_price_is_no_zero(store: TurnStore, database: Database, clock: HandClock, reader: TurnReader):
    """A turn's cost is not known where that of no attempt is; else it is what is known."""
    unpriced, half_priced, untried = (make_turn(clock) for _ in range(3))
    _answered(unpriced, Usage(10, 2), "three/m3")
    _failed(half_priced, ProviderError("broke off"), Usage(9, 1))
    _answered(half_priced, Usage(10, 2), "three/m3")
    untried.status = "refused"

    for turn in (unpriced, half_priced, untried):
        TurnRecorder(store, database, PRICES).settled(turn)
    await _written(store, database)

    rows = [await reader.find(turn.id) for turn in (unpriced, half_priced, untried)]
    assert [row.cost_micros for row in rows if row is not None] == [None, 14, None]
    (attempt,) = await reader.attempts_of(unpriced.id)
    assert (attempt.cost_micros, attempt.cost_source, attempt.price, attempt.input_tokens) == (None, None, None, 10)


async def test_without_prices_nothing_has_a_cost(
    store: TurnStore, database: Database, clock: HandClock, reader: TurnReader
):
    turn = make_turn(clock)
    _failed(turn, ProviderError("busy", upstream_status=529))
    _answered(turn, Usage(10, 2, cost_micros=4))

    TurnRecorder(store, database).settled(turn)
    await _written(store, database)

    assert [(each.cost_micros, each.cost_source) for each in await reader.attempts_of(turn.id)] == [(None, None)] * 2
    row = await reader.find(turn.id)
    assert row is not None
    assert row.cost_micros is None


async def test_rows_of_a_funded_turn_go_with_what_it_cost(
    store: TurnStore, database: Database, clock: HandClock, reader: TurnReader
):
    turn, treasury = make_turn(clock), ListTreasury()
    recorder = TurnRecorder(store, database, PRICES, treasury)
    recorder.started(turn)
    turn.funds = funds = PlayedFunds(turn)
    _failed(turn, ProviderError("broke off"), Usage(9, 1))
    _answered(turn, Usage(10, 2), "two/m2")

    recorder.settled(turn)
    await _written(store, database)

    assert await reader.find(turn.id) is None, "nothing of it is gathered any more"
    (settlement,) = treasury.settlements
    assert (settlement.reservation, settlement.micros) == (funds.reservation, 50)
    await database.write(*settlement.rows)
    row = await reader.find(turn.id)
    assert row is not None
    assert (row.status, row.cost_micros) == ("completed", 50)
    assert [each.cost_micros for each in await reader.attempts_of(turn.id)] == [14, 36]


async def test_a_funded_turn_that_asked_nobody_gives_all_back(store: TurnStore, database: Database, clock: HandClock):
    turn, treasury = make_turn(clock), ListTreasury()
    turn.funds = PlayedFunds(turn)
    turn.status = "cancelled"

    TurnRecorder(store, database, PRICES, treasury).settled(turn)

    (settlement,) = treasury.settlements
    assert (settlement.micros, len(settlement.rows)) == (0, 1)


async def test_a_turn_without_funds_is_not_settled(store: TurnStore, database: Database, clock: HandClock):
    turn, treasury = make_turn(clock), ListTreasury()
    _answered(turn, Usage(10, 2))

    TurnRecorder(store, database, PRICES, treasury).settled(turn)
    await _written(store, database)

    assert treasury.settlements == []
    assert await TurnReader(database, "default").find(turn.id) is not None
