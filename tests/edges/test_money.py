"""What is spent, with everything going wrong at once: the cap holds, the ledger is the provider's own journal,
and nothing stays put aside.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.limits.valkey_server import started_server
from tests.serving import Served
from tests.upstreams import ScriptedUpstream, scripted_upstream

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
INPUT, OUTPUT = 2, 8  # micro-dollars a token, dollars a million
CAP_USD = 0.1
CAP = 100_000

# One of each: what is spent, what is held, what was put aside for turns; what attempts cost, in all and as reported.
WINDOW = "select spent_micros, held_micros from budget_window where scope = 'app'"
OPEN_HOLDS = "select count(*) from hold where swept_at_ms is null"
HELD = "select coalesce(sum(abs(held_micros)), 0) from budget_window"
COST = "select coalesce(sum(cost_micros), 0) from attempt"
REPORTED = "select coalesce(sum(cost_micros), 0) from attempt where cost_source = 'usage'"
UNDER_WAY = "select count(*) from turn where status = 'running'"
USERS = """
    select count(*) from budget_window where scope like 'user:%' and spent_micros <> (
        select coalesce(sum(attempt.cost_micros), 0) from attempt
        join turn on turn.tenant = attempt.tenant and turn.id = attempt.turn
        where 'user:' || turn.person = budget_window.scope)
"""

Rows = Callable[[str], Awaitable[Sequence[Sequence[Any]]]]


def settings(up: ScriptedUpstream, **more: Any) -> dict[str, Any]:
    """A budget for all, one for each person, and a provider whose every token is priced."""
    return {
        "providers": {"mock": {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-mock"}},
        "models": {
            "quick": {"route": ["mock/words-20"]},
            "paced": {"route": ["mock/words-30:pace=3,jitter=2"]},
            "rescued": {"route": ["mock/words-9:fault=503", "mock/words-20"]},
            "cut": {"route": ["mock/words-20:fault=cut@700", "mock/words-10"]},
            "embed": {"route": ["mock/echo"], "kind": "embeddings"},
        },
        "default_model": "quick",
        "prices": {"mock/*": {"input": INPUT, "output": OUTPUT}},
        "tiers": {"free": {"budget": {"usd": 0.02, "per": "day"}}},
        "default_tier": "free",
        "budgets": [{"scope": "app", "usd": CAP_USD, "per": "total"}],
        "hangup_drain_s": 20,
        **more,
    }


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


class Client:
    """A device that asks in every way, hangs up and cancels as it likes, until it is told that nothing is left."""

    def __init__(self, servers: Sequence[Served], token: str, number: int, *, patient: bool) -> None:
        self._servers = servers
        self._token = token
        self._chance = random.Random(number)
        self._is_patient = patient
        self.refusals = 0
        self.answers = 0

    async def ask_until_refused(self, refusals: int) -> None:
        """Ask again and again; a server that is gone or begins is waited for."""
        while self.refusals < refusals:
            try:
                await self._ask()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(0.02)

    async def _ask(self) -> None:
        path = self._chance.choice([CHAT, CHAT, RESPONSES, EMBEDDINGS])
        streams = path != EMBEDDINGS and self._chance.random() < 0.6
        models = ["quick", "paced", "rescued", "rescued" if self._is_patient else "cut"]
        body: dict[str, Any] = {"stream": streams, "model": self._chance.choice(models)}
        words = "word " * self._chance.randrange(1, 30)
        if path == CHAT:
            body["messages"] = [{"role": "user", "content": words}]
        else:
            body["input"] = words
        if path == EMBEDDINGS:
            body = {"model": "embed", "input": words}
        elif self._chance.random() < 0.5:
            body["max_tokens" if path == CHAT else "max_output_tokens"] = self._chance.randrange(16, 60)
        connection = await RawConnection.open(self._chance.choice(self._servers))
        try:
            connection.send(post(path, json.dumps(body).encode(), self._token))
            await self._read(connection, streams)
        finally:
            connection.hang_up()

    async def _read(self, connection: RawConnection, streams: bool) -> None:
        leaves = not self._is_patient and self._chance.random() < 0.3
        if leaves and self._chance.random() < 0.5:
            await asyncio.sleep(self._chance.random() / 20)
            return
        if not streams:
            status, headers, answer = await connection.answer()
            self._note(status, headers, answer)
            return
        status, headers = await connection.head()
        if status != 200:
            self._note(status, headers, await connection.reader.readexactly(int(headers["content-length"])))
            return
        first = await connection.until(b"\n\n")
        if leaves:
            if (at := first.find(b'"id":"resp_')) >= 0 and self._chance.random() < 0.5:
                response = first[at + 6 : first.index(b'"', at + 6)].decode()
                await ask(self._chance.choice(self._servers), post(f"{RESPONSES}/{response}/cancel", b"", self._token))
            return
        await connection.until(b"0\r\n\r\n")
        self.answers += 1

    def _note(self, status: int, headers: dict[str, str], answer: bytes) -> None:
        if status == 200:
            self.answers += 1
            return
        error = json.loads(answer)["error"]
        if status == 429:
            assert error["code"] == "insufficient_quota", error
            assert headers["x-should-retry"] == "false"
            self.refusals += 1
        else:
            assert status in (502, 503), (status, error)  # `cut` breaks off for bodies; the store may be going down


async def tokens(served: Served, users: int) -> list[str]:
    """A session for each of some people."""
    made = [await ask(served, post("/api/sessions", json.dumps({"user": f"u{n}"}).encode())) for n in range(users)]
    return [answer["token"] for _, answer in made]


async def settled(rows: Rows) -> None:
    """Wait until no turn is under way and nothing is put aside."""
    async with asyncio.timeout(60):
        while [*(await rows(UNDER_WAY))[0], *(await rows(OPEN_HOLDS))[0]] != [0, 0]:
            await asyncio.sleep(0.05)


async def check(rows: Rows) -> int:
    """What is spent in all, after everything that must hold whatever happened."""
    [(spent, held)] = await rows(WINDOW)
    assert held == 0
    assert (await rows(HELD))[0][0] == 0
    assert spent == (await rows(COST))[0][0]
    assert (await rows(USERS))[0][0] == 0
    return int(spent)


def billed(up: ScriptedUpstream) -> int:
    """What the provider would charge for all that it was asked."""
    return sum(INPUT * each.billed.input_tokens + OUTPUT * each.billed.output_tokens for each in up.journal())


def billed_as_reported(up: ScriptedUpstream) -> int:
    """The same of answers that went out whole, and so with their usage."""
    return sum(
        INPUT * each.billed.input_tokens + OUTPUT * each.billed.output_tokens
        for each in up.journal()
        if each.ended == "whole"
    )


def rows_of(served: Served) -> Rows:
    """Look into a SQLite file."""

    async def rows(statement: str) -> Sequence[Sequence[Any]]:
        return await asyncio.to_thread(served.rows, statement)

    return rows


async def test_the_ledger_is_the_providers_own_journal(tmp_path: Path, up: ScriptedUpstream) -> None:
    """200 clients who read to the end: what was reported is what was spent, to the micro-dollar."""
    served = Served(tmp_path, settings(up))
    await asyncio.to_thread(served.start)
    try:
        who = await tokens(served, 40)
        clients = [Client([served], who[n % 40], n, patient=True) for n in range(200)]

        await asyncio.gather(*(client.ask_until_refused(2) for client in clients))

        await settled(rows_of(served))
        spent = await check(rows_of(served))
        assert CAP * 0.8 < spent <= CAP
        assert (await rows_of(served)(REPORTED))[0][0] == billed_as_reported(up)
        assert spent >= billed(up)
        assert sum(client.answers for client in clients) > 100
    finally:
        await asyncio.to_thread(served.stop)


async def test_hang_ups_cancels_and_crashes_do_not_pass_the_cap(tmp_path: Path, up: ScriptedUpstream) -> None:
    """The server is killed at random moments and started again, until all is refused."""
    served = Served(tmp_path, settings(up))
    await asyncio.to_thread(served.start)
    await _storm([served], up, crashes=4, clients=200, rows=rows_of(served))


async def _storm(
    servers: Sequence[Served], up: ScriptedUpstream, *, crashes: int, clients: int, rows: Rows, seed: int = 20261123
) -> None:
    chance = random.Random(seed)
    try:
        who = await tokens(servers[0], 40)
        devices = [Client(servers, who[n % 40], n + seed, patient=False) for n in range(clients)]
        asking = asyncio.gather(*(device.ask_until_refused(3) for device in devices))
        for _ in range(crashes):
            await asyncio.sleep(chance.uniform(0.1, 0.8))  # the random moment itself
            served = chance.choice(servers)
            served.process.kill()
            await asyncio.to_thread(served.wait)
            await asyncio.to_thread(served.start)
        await asking
        await settled(rows)
        spent = await check(rows)
        assert spent <= CAP
        assert spent >= billed_as_reported(up)
        assert (await rows(REPORTED))[0][0] <= billed_as_reported(up)
    finally:
        for served in servers:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(served.stop)


async def test_who_leaves_before_an_answer_in_one_piece_has_not_had_it_for_nothing(
    tmp_path: Path, up: ScriptedUpstream
) -> None:
    """Nobody here sees what the provider writes meanwhile, and it charges for it."""
    slow = {"slow": {"route": ["mock/words-200:pace=30"]}}
    served = Served(tmp_path, settings(up, models=slow, default_model="slow", hangup_drain_s=1))
    await asyncio.to_thread(served.start)
    try:
        [token] = await tokens(served, 1)
        connection = await RawConnection.open(served)
        body = {"messages": [{"role": "user", "content": "what does this cost"}], "max_tokens": 190}
        connection.send(post(CHAT, json.dumps(body).encode(), token))
        await up.until(lambda: up.stats.open_streams + up.stats.open_connections > 0)

        connection.hang_up()

        await settled(rows_of(served))
        assert up.journal()[-1].billed.output_tokens > 0
        assert billed(up) <= await check(rows_of(served)) <= CAP
        await served.until_rows("select status, cost_source from attempt", [("abandoned", "estimate")])
    finally:
        await asyncio.to_thread(served.stop)


async def test_a_provider_that_reports_nonsense_does_not_use_a_budget_up(tmp_path: Path, up: ScriptedUpstream) -> None:
    served = Served(
        tmp_path, settings(up, models={"odd": {"route": ["mock/words-20:usage=huge"]}}, default_model="odd")
    )
    await asyncio.to_thread(served.start)
    try:
        [token] = await tokens(served, 1)
        body = json.dumps({"messages": [{"role": "user", "content": "what does this cost"}]}).encode()

        answers = [await ask(served, post(CHAT, body, token)) for _ in range(5)]

        assert [status for status, _ in answers] == [200] * 5
        await settled(rows_of(served))
        assert billed(up) / 2 < await check(rows_of(served)) < billed(up) * 3
    finally:
        await asyncio.to_thread(served.stop)


@pytest.fixture
async def shared_rows(postgresql_url: str) -> AsyncIterator[Rows]:
    connection = await asyncpg.connect(postgresql_url)
    busy = asyncio.Lock()

    async def rows(statement: str) -> Sequence[Sequence[Any]]:
        async with busy:
            return [tuple(record) for record in await connection.fetch(statement)]

    yield rows
    await connection.close()


async def test_two_processes_on_postgresql_and_valkey(
    tmp_path: Path, up: ScriptedUpstream, postgresql_url: str, shared_rows: Rows
) -> None:
    """Either is killed while the other goes on; what a dead one held is settled by whoever notices."""
    with started_server() as valkey:
        config = settings(up, database=postgresql_url, valkey=valkey.url)
        config["tiers"]["free"] |= {"concurrent": 40}
        servers = [Served(folder(tmp_path, name), config) for name in ("one", "two")]
        await asyncio.gather(*(asyncio.to_thread(served.start) for served in servers))
        await _storm(servers, up, crashes=2, clients=100, rows=shared_rows)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(8))
async def test_many_crashes_on_sqlite(tmp_path: Path, up: ScriptedUpstream, seed: int) -> None:
    served = Served(tmp_path, settings(up))
    await asyncio.to_thread(served.start)
    await _storm([served], up, crashes=6, clients=200, rows=rows_of(served), seed=seed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(3))
async def test_many_crashes_of_two_processes(
    tmp_path: Path, up: ScriptedUpstream, postgresql_url: str, shared_rows: Rows, seed: int
) -> None:
    with started_server() as valkey:
        config = settings(up, database=postgresql_url, valkey=valkey.url)
        servers = [Served(folder(tmp_path, name), config) for name in ("one", "two")]
        await asyncio.gather(*(asyncio.to_thread(served.start) for served in servers))
        await _storm(servers, up, crashes=4, clients=200, rows=shared_rows, seed=seed)


def folder(parent: Path, name: str) -> Path:
    """A new folder."""
    made = parent / name
    made.mkdir()
    return made
