"""Shadows: copies that nobody hears of, bounded, and in nobody's way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from frontdesk.core.config import Shadow
from frontdesk.routing.router import FallbackRouter
from frontdesk.routing.shadows import Shadows
from frontdesk.turn.events import Event
from frontdesk.turn.run import Line, run_turn
from frontdesk.turn.seams import Sink
from frontdesk.turn.turn import Caller, Interruption, Turn
from tests.edges.raw import RawConnection, ask, post
from tests.fakes import DiaryPolicy, HandClock, ListSink, make_turn
from tests.routing.plays import Plays, answer, route
from tests.serving import serving
from tests.upstreams import ScriptedUpstream, scripted_upstream


class Carried:
    """Notes which copies are carried, and lets them end when it is told to."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.goes_on = asyncio.Event()

    async def carry(self, turn: Turn, sink: Sink) -> None:
        self.turns.append(turn)
        await self.goes_on.wait()


def shadows(carried: Carried, *, share: float = 1.0, draw: float = 0.5, most: int = 2) -> Shadows:
    return Shadows({"fast": Shadow("p/new", share)}, carried.carry, HandClock(), lambda: draw, 60, most)


async def test_a_copy_is_the_servers_own_and_what_the_provider_was_asked() -> None:
    carried = Carried()
    turn = make_turn(caller=Caller("user", "sess_1", "u1", "free", tenant="acme"))
    turn.feature = "chat"
    turn.instructions, turn.prompt = "the server's own", "0123456789ab"

    shadows(carried).copy(turn)
    await asyncio.sleep(0)

    [copied] = carried.turns
    caller = copied.caller
    assert (caller.role, caller.credential_id, caller.person, caller.tenant) == ("server", "shadow", None, "acme")
    assert copied.id != turn.id
    assert copied.request is turn.request
    assert (copied.model, copied.feature, copied.door, copied.priority) == ("fast", "chat", turn.door, "background")
    assert (copied.instructions, copied.prompt) == (turn.instructions, turn.prompt)
    assert copied.deadline_at == HandClock().monotonic() + 60
    assert copied.attempts == []


async def test_only_its_share_is_copied_and_only_of_models_that_have_one() -> None:
    carried = Carried()
    shadows(carried, share=0.5, draw=0.5).copy(make_turn())
    shadows(carried, share=0.0, draw=0.0).copy(make_turn())
    shadows(carried).copy(make_turn(model="plain"))
    await asyncio.sleep(0)
    assert carried.turns == []

    shadows(carried, share=0.5, draw=0.49).copy(make_turn())
    await asyncio.sleep(0)
    assert len(carried.turns) == 1


async def test_what_is_too_many_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    carried = Carried()
    copying = shadows(carried, most=2)
    for _ in range(5):
        copying.copy(make_turn())
    await asyncio.sleep(0)
    assert (len(carried.turns), copying.dropped) == (2, 3)
    assert caplog.text.count("shadow_dropped") == 2

    carried.goes_on.set()
    for _ in range(3):
        await asyncio.sleep(0)
    copying.copy(make_turn())
    await asyncio.sleep(0)

    assert len(carried.turns) == 3


async def test_closing_ends_those_under_way_and_takes_no_more() -> None:
    carried = Carried()
    copying = shadows(carried)
    copying.copy(make_turn())
    await asyncio.sleep(0)

    await copying.close()
    copying.copy(make_turn())
    await asyncio.sleep(0)

    [copied] = carried.turns
    assert copied.interruption is Interruption.SHUTDOWN


async def test_the_turn_does_not_wait_for_its_shadow_nor_hears_of_its_failure() -> None:
    clock, diary = HandClock(), list[str]()
    never, failing = Plays([asyncio.Event()]), Plays([lambda: RuntimeError("a bug")])
    for provider in (never, failing):
        shadow = FallbackRouter({"fast": [route("s", provider, clock)]}, purpose="shadow")
        line = Line([DiaryPolicy("shadow", diary)], [], shadow)
        copying = Shadows(
            {"fast": Shadow("s/m")}, lambda turn, sink, line=line: run_turn(turn, line, sink), clock, lambda: 0.0, 60
        )
        router = FallbackRouter({"fast": [route("p", Plays([answer("x")]), clock)]}, copies=copying)
        sink, turn = ListSink(), make_turn(clock)

        await run_turn(turn, Line([], [], router), sink)

        assert sink.events == answer("x")
        assert turn.status == "completed"
        while not provider.asked:
            await asyncio.sleep(0)
        await copying.close()
        assert provider.open_answers == 0
    assert diary == ["admit shadow", "settle shadow failed"] * 2


async def test_nothing_is_copied_of_what_no_provider_answers() -> None:
    clock, carried = HandClock(), Carried()
    router = FallbackRouter(
        {"fast": [route("p", Plays([lambda: RuntimeError("a bug")]), clock)]}, copies=shadows(carried)
    )

    async def push(_: list[Event]) -> None:
        """Nothing comes."""

    with pytest.raises(RuntimeError):
        await router.carry(make_turn(clock), push)
    await asyncio.sleep(0)

    assert carried.turns == []


# --- served -------------------------------------------------------------------------------------


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


def settings(up: ScriptedUpstream) -> dict[str, Any]:
    return {
        "providers": {"mock": {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-mock"}},
        "models": {"fast": {"route": ["mock/words-3"], "shadow": {"to": "mock/words-5"}}},
        "default_model": "fast",
        "features": {"chat": {"instructions": "Say nothing of swordfish.", "client_may": []}},
        "tiers": {"free": {"requests_per_minute": 5, "budget": {"usd": 0.01, "per": "day"}}},
        "default_tier": "free",
        "prices": {"mock/words-3": {"input": 1, "output": 2}, "mock/words-5": {"input": 10, "output": 20}},
        "budgets": [
            {"scope": "app", "usd": 10, "per": "total"},
            {"scope": "feature:chat", "usd": 10, "per": "total"},
        ],
        "guards": {"credentials": "mask"},
    }


ROWS = """
    select turn.caller, turn.credential, turn.person, turn.model, turn.status, attempt.model, attempt.purpose,
        attempt.cost_micros
    from turn join attempt on attempt.tenant = turn.tenant and attempt.turn = turn.id order by attempt.model
"""


async def test_a_shadow_is_a_row_that_the_app_pays_for_and_no_person(tmp_path: Path, up: ScriptedUpstream) -> None:
    with serving(tmp_path, settings(up)) as served:
        _, session = await ask(served, post("/api/sessions", b'{"user": "u1"}'))
        body = json.dumps({"messages": [{"role": "user", "content": "my key is sk-proj-" + "a1B2" * 12}]}).encode()
        status, told = await ask(served, post("/v1/chat/completions", body, session["token"]))
        await served.until_rows("select count(*) from turn where status = 'completed'", [(2,)])
        await served.until_rows("select sum(held_micros) from budget_window", [(0,)])
        rows = served.rows(ROWS)
        spent = dict(served.rows("select scope, spent_micros from budget_window"))
        await RawConnection.close_all()

    assert (status, told["choices"][0]["message"]["content"]) == (200, "word0 word1 word2 ")
    (*own, own_cost), (*shadow, shadow_cost) = rows
    assert own[0] == "user"
    assert own[2:] == ["u1", "fast", "completed", "words-3", "first"]
    assert shadow == ["server", "shadow", None, "fast", "completed", "words-5", "shadow"]
    assert spent == {"app": own_cost + shadow_cost, "feature:chat": own_cost + shadow_cost, "user:u1": own_cost}
    first, second = [json.loads(bytes(record.body or b"")) for record in up.journal()]  # type: ignore[arg-type]
    assert [first["model"], second["model"]] == ["words-3", "words-5"]
    assert first["messages"] == second["messages"]
    assert json.dumps(second).count("swordfish") == 1
    assert "a1B2a1B2" not in json.dumps(second)


async def test_a_shadow_that_fails_is_asked_once_and_told_to_nobody(tmp_path: Path, up: ScriptedUpstream) -> None:
    up.play({"script": "fault=500", "model": "words-5"})
    with serving(tmp_path, settings(up)) as served:
        body = json.dumps({"messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()
        connection = await RawConnection.open(served)
        connection.send(post("/v1/chat/completions", body))
        status, _, told = await connection.answer()
        await served.until_rows("select status from turn order by status", [("completed",), ("failed",)])
        await RawConnection.close_all()

    assert status == 200
    assert told.endswith(b"data: [DONE]\n\n")
    assert [record.model for record in up.journal()] == ["words-3", "words-5"]
