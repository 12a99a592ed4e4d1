"""Turns become rows: whose they are, and what became of them."""

from __future__ import annotations

from frontdesk.storage.database import Database
from frontdesk.turn.turn import Attempt, Caller
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.usage.store import TurnReader, TurnStore
from tests.fakes import HandClock, make_turn


async def test_a_turn_is_written_under_its_callers_tenant(database: Database) -> None:
    clock = HandClock()
    store = TurnStore(database, owner="proc_1", clock=clock)
    turn = make_turn(clock, caller=Caller("user", "sess_1", "u1", tenant="acme"))
    turn.attempts.append(Attempt("openai", "gpt-5-mini", clock.now()))
    recorder = TurnRecorder(store, database)

    recorder.started(turn)
    turn.status = "completed"
    recorder.settled(turn)
    store.close()
    await database.flush()

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
